//! The built-in `http` server: one HTTP request as the caller wrote it, and the whole answer.
//! An answer with an error status is an answer, not a failure of the tool.

use super::Options;
use super::reply::{self, Effect, Output, World, object, tool};
use super::web::{self, Follow, Web};
use crate::error::Result;
use base64::Engine as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use rmcp::model::Tool;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const DEFAULT_TIME: u64 = 30_000;
const MAX_TIME: u64 = 300_000;
/// Longer answers are cut here, and say so.
const MAX_BODY: usize = 512 << 10;
/// What frames the message is the client's own business.
const OWN_HEADERS: [&str; 6] = ["host", "content-length", "transfer-encoding", "connection", "te", "upgrade"];

/// The server.
pub struct Http {
    web: Web,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    timeout_ms: Option<u64>,
}

impl Http {
    pub fn new(options: &Options) -> Result<Self> {
        Ok(Self { web: Web::new(options, Follow::SameHost)? })
    }

    pub fn tools() -> Vec<Tool> {
        let headers = json!({"type": "object", "additionalProperties": {"type": "string"}});
        vec![tool(
            "http_request",
            "Send an HTTP request",
            "Sends an HTTP request and returns status, headers and body. Redirects are followed on the same host only.",
            Effect::Unknown,
            World::Open,
            object(
                json!({
                    "method": {"type": "string", "enum": METHODS},
                    "url": {"type": "string", "description": "The http or https address"},
                    "headers": headers,
                    "body": {"type": "string", "description": "Sent as it is; name its type in `headers`"},
                    "timeout_ms": {"type": "integer", "minimum": 1, "maximum": MAX_TIME,
                        "description": format!("{DEFAULT_TIME} by default")}
                }),
                &["method", "url"],
            ),
            Some(object(
                json!({
                    "status": {"type": "integer"}, "url": {"type": "string"}, "headers": headers,
                    "body": {"type": "string"}, "body_base64": {"type": "string"}, "truncated": {"type": "boolean"}
                }),
                &["status", "url", "headers", "truncated"],
            )),
        )]
    }

    pub async fn call(&self, arguments: Value) -> Result<Output> {
        let asked: Asked = reply::arguments(arguments)?;
        let method = asked.method.to_ascii_uppercase();
        let method =
            METHODS.iter().find(|known| **known == method).and_then(|known| known.parse::<Method>().ok());
        let method = method.ok_or_else(|| {
            reply::invalid(format!("`{}` is no method this tool sends", asked.method))
                .hint(format!("use one of {}", METHODS.join(", ")))
        })?;
        let time = asked.timeout_ms.unwrap_or(DEFAULT_TIME).clamp(1, MAX_TIME);
        let mut request = self.web.request(method, &asked.url)?;
        request = request.headers(header_map(&asked.headers)?).timeout(Duration::from_millis(time));
        if let Some(body) = asked.body {
            request = request.body(body);
        }
        answer(self.web.send(request).await?).await
    }
}

fn header_map(headers: &BTreeMap<String, String>) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value.trim()).ok());
        let (key, value) =
            parsed.ok_or_else(|| reply::invalid(format!("the header `{name}` is not valid")))?;
        if OWN_HEADERS.contains(&key.as_str()) {
            return Err(reply::invalid(format!("the header `{name}` cannot be set")).hint("leave it out"));
        }
        map.append(key, value);
    }
    Ok(map)
}

async fn answer(response: Response) -> Result<Output> {
    let (status, url) = (response.status(), response.url().to_string());
    let mut headers: Map<String, Value> = Map::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        let joined = match headers.get(name.as_str()).and_then(Value::as_str) {
            Some(earlier) => format!("{earlier}, {value}"),
            None => value.into_owned(),
        };
        headers.insert(name.as_str().into(), joined.into());
    }
    let content_type = headers.get(CONTENT_TYPE.as_str()).and_then(Value::as_str).unwrap_or_default();
    let content_type = content_type.to_ascii_lowercase();
    let (body, truncated) = web::read(response, MAX_BODY).await?;
    let mut text = format!("{status}\n");
    for (name, value) in &headers {
        text.push_str(&format!("{name}: {}\n", value.as_str().unwrap_or_default()));
    }
    let mut data = json!({"status": status.as_u16(), "url": url, "headers": headers, "truncated": truncated});
    let named = content_type.contains("charset=");
    if named || !body.contains(&0) && (truncated || std::str::from_utf8(&body).is_ok()) {
        let body = web::decode(&body, &content_type);
        text.push_str(&format!("\n{body}"));
        data["body"] = body.into();
    } else {
        text.push_str(&format!("\n[{} bytes that are no text]", body.len()));
        data["body_base64"] = base64::engine::general_purpose::STANDARD.encode(&body).into();
    }
    if truncated {
        text.push_str(&format!("\n[the answer is longer; only its first {MAX_BODY} bytes are shown]"));
    }
    Ok(Output::data(text, data))
}
