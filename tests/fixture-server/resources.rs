//! Resources and the one template.
//! Rule: URIs and texts are the conformance suite's words; an unknown URI is an error that names it.

use crate::call::{Call, Era};
use crate::rpc::{self, Halt, RpcError};
use crate::{media, tools};
use serde_json::{Value, json};

pub fn list(call: &Call) -> Result<Value, Halt> {
    let resource = |uri: &str, name: &str, mime: &str| json!({"uri": uri, "name": name, "description": format!("The {name} of the tests"), "mimeType": mime});
    let resources = vec![
        resource("test://static-text", "static text", "text/plain"),
        resource("test://static-binary", "static image", "image/png"),
        resource("test://watched-resource", "watched resource", "text/plain"),
        resource("ui://fixture/panel", "panel", "text/html;profile=mcp-app"),
    ];
    tools::page(call, "resources", resources)
}

pub fn templates(call: &Call) -> Result<Value, Halt> {
    let template = json!({"uriTemplate": "test://template/{id}/data", "name": "data by id",
        "description": "Data of one id", "mimeType": "application/json"});
    tools::page(call, "resourceTemplates", vec![template])
}

pub fn read(call: &Call) -> Result<Value, Halt> {
    let uri = call.params["uri"].as_str().unwrap_or_default();
    let text = |mime: &str, text: &str| json!({"uri": uri, "mimeType": mime, "text": text});
    let content = match uri {
        "test://static-text" => text("text/plain", "This is the content of the static text resource."),
        "test://static-binary" => json!({"uri": uri, "mimeType": "image/png", "blob": media::png()}),
        "test://watched-resource" => text("text/plain", "This resource is being watched."),
        "test://embedded-resource" => text("text/plain", "This is an embedded resource content."),
        "ui://fixture/panel" => {
            text("text/html;profile=mcp-app", "<!doctype html><title>Panel</title><p>Panel")
        }
        _ => match template_id(uri) {
            Some(id) => text(
                "application/json",
                &json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")}).to_string(),
            ),
            None => return Err(not_found(call, uri)),
        },
    };
    Ok(json!({"contents": [content]}))
}

fn template_id(uri: &str) -> Option<&str> {
    let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

fn not_found(call: &Call, uri: &str) -> Halt {
    let code = match call.era {
        Era::Legacy => rpc::RESOURCE_NOT_FOUND_LEGACY,
        Era::Modern => rpc::INVALID_PARAMS,
    };
    RpcError::new(code, "Resource not found").with_data(json!({"uri": uri})).into()
}

#[cfg(test)]
mod tests {
    use super::template_id;

    #[test]
    fn a_template_has_exactly_one_id() {
        let cases = [
            ("test://template/123/data", Some("123")),
            ("test://template//data", None),
            ("test://template/1/2/data", None),
            ("test://static-text", None),
        ];
        for (uri, expected) in cases {
            assert_eq!(template_id(uri), expected, "{uri}");
        }
    }
}
