//! Declarations of arguments as JSON Schema. A declaration is a type (`string`, `integer?` where it may be left out)
//! or a piece of JSON Schema with `required` beside its keywords.

use crate::documents::{Key, Node, Source, near};
use crate::error::Result;
use serde_json::{Map, Value, json};

const TYPES: [&str; 6] = ["string", "integer", "number", "boolean", "array", "object"];
const KEYWORDS: [&str; 20] = [
    "type",
    "description",
    "title",
    "default",
    "required",
    "enum",
    "const",
    "examples",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "items",
    "minItems",
    "maxItems",
    "uniqueItems",
    "properties",
    "additionalProperties",
];

/// The schema of an object of these arguments. What has a default need not be given.
pub fn of(source: &Source<'_>, arguments: Option<&Node>) -> Result<Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (key, node) in arguments.map(Node::entries).unwrap_or_default() {
        let (schema, needed) = argument(source, key, node)?;
        if needed {
            required.push(key.name.clone());
        }
        properties.insert(key.name.clone(), schema);
    }
    Ok(
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false}),
    )
}

fn argument(source: &Source<'_>, key: &Key, node: &Node) -> Result<(Value, bool)> {
    super::check::argument_name(source, key)?;
    if let Some(word) = node.as_str() {
        let (word, needed) = word.strip_suffix('?').map_or((word, true), |word| (word, false));
        check_type(source, node, word)?;
        return Ok((json!({"type": word}), needed));
    }
    if !node.is_map() {
        let message =
            format!("expected a type or a map for the argument `{}`, found {}", key.name, node.word());
        return Err(source.invalid(node.at, message));
    }
    for (keyword, value) in node.entries() {
        if !KEYWORDS.contains(&keyword.name.as_str()) {
            let error = source.invalid(keyword.at, format!("unknown field `{}`", keyword.name));
            return Err(match near(&keyword.name, KEYWORDS) {
                Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                None => error.hint(format!("known here: {}", KEYWORDS.join(", "))),
            });
        }
        if keyword.name == "required" && value.as_bool().is_none() {
            return Err(source.invalid(value.at, "`required` is true or false"));
        }
    }
    if let Some(word) = node.get("type") {
        check_type(source, word, word.as_str().unwrap_or_default())?;
    }
    let Value::Object(mut schema) = node.to_json() else { return Ok((json!({}), true)) };
    let required = schema.remove("required").and_then(|required| required.as_bool());
    if !schema.contains_key("type") && !schema.contains_key("enum") && !schema.contains_key("const") {
        schema.insert("type".into(), "string".into());
    }
    let needed = required.unwrap_or(!schema.contains_key("default"));
    Ok((Value::Object(schema), needed))
}

fn check_type(source: &Source<'_>, node: &Node, word: &str) -> Result<()> {
    if TYPES.contains(&word) {
        return Ok(());
    }
    let error = source.invalid(node.at, format!("`{word}` is no type of an argument"));
    Err(match near(word, TYPES) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint(format!("types are {}", TYPES.join(", "))),
    })
}
