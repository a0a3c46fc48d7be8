//! Arguments that a tool's schema mirrors into HTTP headers (`x-mcp-header`): which, and whether the annotations
//! keep the rules of the protocol. Pure; sending the headers is the business of calls and transports.

use serde_json::{Map, Value};

/// Headers with the path of the argument each one repeats.
pub type Mirrored = Vec<(String, Vec<String>)>;

/// The mirrored arguments of an input schema, at any depth; else the rule that is broken.
pub fn mirrored(schema: &Value) -> Result<Mirrored, String> {
    let mut found = Mirrored::new();
    collect(schema, &mut Vec::new(), &mut found)?;
    Ok(found)
}

fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Mirrored) -> Result<(), String> {
    let none = Map::new();
    for (name, property) in schema.get("properties").and_then(Value::as_object).unwrap_or(&none) {
        path.push(name.clone());
        if let Some(header) = property.get("x-mcp-header") {
            let header = header_name(header).ok_or_else(|| format!("`{header}` is no name of a header"))?;
            if !is_primitive(&property["type"]) {
                return Err(format!("`{name}` is mirrored but neither a string, an integer nor a boolean"));
            }
            let header = format!("Mcp-Param-{header}");
            if found.iter().any(|(known, _)| known.eq_ignore_ascii_case(&header)) {
                return Err(format!("two arguments are mirrored as `{header}`"));
            }
            found.push((header, path.clone()));
        }
        collect(property, path, found)?;
        path.pop();
    }
    Ok(())
}

fn header_name(value: &Value) -> Option<&str> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    value.as_str().filter(|name| !name.is_empty() && name.chars().all(token))
}

fn is_primitive(kind: &Value) -> bool {
    let primitive = |kind: &Value| matches!(kind.as_str(), Some("string" | "integer" | "boolean"));
    match kind {
        Value::Array(kinds) => {
            kinds.iter().any(primitive) && kinds.iter().all(|kind| primitive(kind) || kind == "null")
        }
        Value::Null => true,
        kind => primitive(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_are_found_at_any_depth() {
        let schema = json!({"properties": {
            "a": {"type": "string", "x-mcp-header": "Region"},
            "b": {"properties": {"c": {"type": ["integer", "null"], "x-mcp-header": "C"}}},
        }});
        let expected = vec![
            ("Mcp-Param-Region".to_string(), vec!["a".to_string()]),
            ("Mcp-Param-C".to_string(), vec!["b".to_string(), "c".to_string()]),
        ];
        assert_eq!(mirrored(&schema), Ok(expected));
        assert_eq!(mirrored(&json!({"type": "object"})), Ok(Vec::new()));
    }

    #[test]
    fn a_broken_rule_is_named() {
        let one =
            |kind: Value, header: Value| json!({"properties": {"a": {"type": kind, "x-mcp-header": header}}});
        for (schema, expected) in [
            (one(json!("string"), json!("")), "no name"),
            (one(json!("string"), json!("a b")), "no name"),
            (one(json!("string"), json!(7)), "no name"),
            (one(json!("number"), json!("A")), "neither"),
            (one(json!("object"), json!("A")), "neither"),
            (one(json!(["null"]), json!("A")), "neither"),
            (
                json!({"properties": {"a": {"type": "string", "x-mcp-header": "Same"},
                    "b": {"type": "string", "x-mcp-header": "sAME"}}}),
                "two arguments",
            ),
        ] {
            let broken = mirrored(&schema).unwrap_err();
            assert!(broken.contains(expected), "{schema}: {broken}");
        }
    }
}
