//! Parameters of an operation: each an argument, and a place in the request.

use super::operation::Draft;
use super::refs::Document;
use crate::apps::model::{Field, Style};
use serde_json::{Value, json};

/// What frames the message, or is set by the body or the sign-in.
const OWN_HEADERS: [&str; 10] = [
    "accept",
    "content-type",
    "authorization",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "upgrade",
    "cookie",
];

/// Parameters of the path and of the operation, which wins.
pub fn all<'a>(
    document: &Document<'a>,
    item: &'a Value,
    operation: &'a Value,
) -> Result<Vec<&'a Value>, String> {
    let mut all: Vec<&Value> = Vec::new();
    for value in [item, operation].into_iter().flat_map(|node| node["parameters"].as_array()).flatten() {
        let parameter = document.resolve(value).ok_or("a parameter's reference leads nowhere")?;
        all.retain(|known| known["name"] != parameter["name"] || known["in"] != parameter["in"]);
        all.push(parameter);
    }
    Ok(all)
}

/// Puts one parameter into the draft.
pub fn add<'a>(draft: &mut Draft<'a>, parameter: &'a Value) -> Result<(), String> {
    let name = parameter["name"].as_str().unwrap_or_default();
    let place = parameter["in"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Err("a parameter has no name".into());
    }
    if place == "header" && OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    let required = parameter["required"] == true || place == "path";
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if (place == "header" || place == "cookie") && !name.chars().all(token) {
        return match required {
            true => Err(format!("`{name}` cannot be the name of a header")),
            false => Ok(()),
        };
    }
    let (schema, content) = schema_of(parameter);
    let mut schema = schema.map_or_else(|| json!({"type": "string"}), |schema| draft.schemas.convert(schema));
    if let Some(words) = super::text(&parameter["description"], 240) {
        schema["description"] = words.into();
    }
    let argument = draft.argument(name, place, schema, required);
    let style = if content { Style::Json } else { style_of(parameter, place) };
    let field = Field { name: name.into(), value: format!("{{{{{argument}}}}}").into(), style };
    match place {
        "path" => {
            let marker = format!("{{{name}}}");
            let before = match parameter["style"].as_str() {
                Some("label") => ".".to_string(),
                Some("matrix") => format!(";{name}="),
                _ => String::new(),
            };
            draft.http.url = draft.http.url.replace(&marker, &format!("{before}{{{{{argument}}}}}"));
        }
        "query" => draft.http.query.push(field),
        "header" => draft.http.headers.push(field),
        "cookie" => draft.http.cookies.push(field),
        _ => return Err(format!("the parameter `{name}` has no place")),
    }
    Ok(())
}

/// The schema, and whether the value is written as JSON.
fn schema_of(parameter: &Value) -> (Option<&Value>, bool) {
    if let Some(schema) = parameter.get("schema") {
        return (Some(schema), false);
    }
    let content = parameter["content"].as_object().and_then(|content| content.iter().next());
    match content {
        Some((kind, inner)) => (inner.get("schema"), kind.contains("json")),
        None => (None, false),
    }
}

fn style_of(parameter: &Value, place: &str) -> Style {
    let explode = parameter["explode"].as_bool();
    match parameter["style"].as_str() {
        Some("spaceDelimited") => Style::Space,
        Some("pipeDelimited") => Style::Pipe,
        Some("deepObject") => Style::Deep,
        Some("simple") => Style::Comma,
        _ if place == "header" => Style::Comma,
        _ if explode == Some(false) => Style::Comma,
        _ => Style::Repeat,
    }
}
