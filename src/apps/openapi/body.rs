//! The body of an operation. The fields of an object become arguments of their own; anything else is one argument `body`.

use super::operation::Draft;
use super::schema::Object;
use crate::apps::model::{Body, Field, Style};
use serde_json::{Map, Value, json};

/// Fields of a body that become arguments of their own; a larger object stays one argument.
const MAX_FIELDS: usize = 60;

/// Puts the body into the draft.
pub fn add<'a>(draft: &mut Draft<'a>, operation: &'a Value) -> Result<(), String> {
    let Some(body) = operation.get("requestBody") else { return Ok(()) };
    let body = draft.document.resolve(body).ok_or("the body's reference leads nowhere")?;
    let required = body["required"] == true;
    let Some(content) = body["content"].as_object() else { return Ok(()) };
    let Some((kind, media)) = best(content) else {
        return match (required, content.is_empty()) {
            (true, false) => Err(format!("umcp cannot write a body of {}", list(content))),
            _ => Ok(()),
        };
    };
    let schema = media.get("schema");
    let name = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if name == "application/x-www-form-urlencoded" || name == "multipart/form-data" {
        return form(draft, schema, media, required, name.starts_with("multipart"));
    }
    if is_json(&name) {
        json_body(draft, schema, required);
        if name != "application/json" && name != "*/*" {
            draft.content_type(kind);
        }
        return Ok(());
    }
    let description = super::text(&body["description"], 240);
    if name.starts_with("text/") || name.contains("xml") || name.contains("yaml") {
        let about = description.unwrap_or_else(|| format!("Text of the type {name}"));
        let argument =
            draft.argument("body", "body", json!({"type": "string", "description": about}), required);
        draft.http.body =
            Some(Body::Text { text: format!("{{{{{argument}}}}}"), content_type: kind.clone() });
    } else {
        let about = description.unwrap_or_else(|| format!("A file of the type {name}"));
        let schema = json!({"type": "string", "contentEncoding": "base64", "description": format!("{about}, in Base64")});
        let argument = draft.argument("body", "body", schema, required);
        let content_type = if name.contains('*') { "application/octet-stream".into() } else { kind.clone() };
        draft.http.body = Some(Body::Binary { argument, content_type });
    }
    Ok(())
}

fn is_json(name: &str) -> bool {
    name == "application/json" || name.ends_with("+json") || name.ends_with("/json") || name == "*/*"
}

/// The kind of content that is easiest to write well.
fn best(content: &Map<String, Value>) -> Option<(&String, &Value)> {
    let rank = |kind: &str| {
        let name = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match name.as_str() {
            "application/json" => 0,
            name if is_json(name) && name != "*/*" => 1,
            "application/x-www-form-urlencoded" => 2,
            "multipart/form-data" => 3,
            "*/*" => 4,
            name if name.starts_with("text/") || name.contains("xml") || name.contains("yaml") => 5,
            name if name.starts_with("multipart/") => u8::MAX,
            name if name.contains('/') => 6,
            _ => u8::MAX,
        }
    };
    content.iter().filter(|(kind, _)| rank(kind) < u8::MAX).min_by_key(|(kind, _)| rank(kind))
}

fn list(content: &Map<String, Value>) -> String {
    content.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn json_body<'a>(draft: &mut Draft<'a>, schema: Option<&'a Value>, required: bool) {
    let object = schema.and_then(|schema| draft.schemas.object(schema));
    let Some(object) = object.filter(|object| object.properties.len() <= MAX_FIELDS) else {
        let schema = schema.map_or_else(|| json!({}), |schema| draft.schemas.convert(schema));
        let argument = draft.argument("body", "body", described(schema, "The body, as JSON"), required);
        draft.http.body = Some(Body::Json(format!("{{{{{argument}}}}}").into()));
        return;
    };
    let mut template = Map::new();
    for (name, argument) in fields(draft, &object, required) {
        template.insert(name, format!("{{{{{argument}}}}}").into());
    }
    draft.http.body = Some(Body::Json(template.into()));
}

fn described(mut schema: Value, about: &str) -> Value {
    if schema.get("description").is_none() && schema.is_object() {
        schema["description"] = about.into();
    }
    schema
}

/// Makes an argument of each field.
fn fields<'a>(draft: &mut Draft<'a>, object: &Object<'a>, required: bool) -> Vec<(String, String)> {
    let mut made = Vec::new();
    for (name, property) in &object.properties {
        let schema = draft.schemas.convert(property);
        let needed = required && object.required.contains(&name.as_str());
        made.push(((*name).clone(), draft.argument(name, "body", schema, needed)));
    }
    made
}

fn form<'a>(
    draft: &mut Draft<'a>,
    schema: Option<&'a Value>,
    media: &'a Value,
    required: bool,
    multipart: bool,
) -> Result<(), String> {
    let Some(object) = schema.and_then(|schema| draft.schemas.object(schema)) else {
        return if required { Err("the fields of its form are not told".into()) } else { Ok(()) };
    };
    let mut parts = Vec::new();
    for (name, property) in &object.properties {
        let mut schema = draft.schemas.convert(property);
        let is_file = schema["format"] == "binary"
            || schema["items"]["format"] == "binary"
            || media["encoding"][name.as_str()]["contentType"]
                .as_str()
                .is_some_and(|kind| kind.starts_with("image/"));
        let style = match () {
            () if multipart && is_file => {
                let about = schema["description"].as_str().unwrap_or("A file").to_string();
                schema = json!({"type": "string", "contentEncoding": "base64", "description": format!("{about}, in Base64")});
                Style::File
            }
            () if multipart && (schema["type"] == "object" || schema["items"]["type"] == "object") => {
                Style::Json
            }
            // Services that take nested forms (Stripe and its kin) read them with brackets.
            () if schema["type"] == "object" || media["encoding"][name.as_str()]["style"] == "deepObject" => {
                Style::Deep
            }
            () => Style::Repeat,
        };
        let needed = required && object.required.contains(&name.as_str());
        let argument = draft.argument(name, "body", schema, needed);
        parts.push(Field { name: (*name).clone(), value: format!("{{{{{argument}}}}}").into(), style });
    }
    draft.http.body = Some(if multipart { Body::Multipart(parts) } else { Body::Form(parts) });
    Ok(())
}
