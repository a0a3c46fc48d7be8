//! What becomes of a tool's definition on its way to a client: its exposed name, and the arguments that are
//! mirrored into headers. Everything else stays as the server wrote it.

/// Tools that can only be called as a task of the 2025-11-25 kind, which umcp does not relay.
pub(super) fn needs_tasks(json: &str) -> bool {
    json.contains("taskSupport")
        && serde_json::from_str::<serde_json::Value>(json)
            .is_ok_and(|tool| tool["execution"]["taskSupport"] == "required")
}

/// Puts the exposed name into a definition; a shortened one keeps the original as its title.
pub(super) fn redefine(
    json: &str,
    own: &str,
    exposed: &str,
    server: &str,
) -> (String, Vec<(String, Vec<String>)>) {
    let Ok(serde_json::Value::Object(mut tool)) = serde_json::from_str(json) else {
        return (json.into(), Vec::new());
    };
    let mirrored = match json.contains("x-mcp-header") {
        true => mirrored(tool.get("inputSchema"), &mut Vec::new()),
        false => Vec::new(),
    };
    if own == exposed && !tool.contains_key("execution") {
        return (json.into(), mirrored);
    }
    tool.insert("name".into(), exposed.into());
    tool.remove("execution");
    if !exposed.ends_with(own) {
        tool.entry("title").or_insert_with(|| own.into());
        let meta = tool.entry("_meta").or_insert_with(|| serde_json::json!({}));
        if let Some(meta) = meta.as_object_mut() {
            meta.insert("umcp/tool".into(), format!("{server}.{own}").into());
        }
    }
    (serde_json::Value::Object(tool).to_string(), mirrored)
}

/// Arguments with `x-mcp-header`, at any depth below `properties`.
fn mirrored(schema: Option<&serde_json::Value>, path: &mut Vec<String>) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let properties = schema.and_then(|schema| schema.get("properties")).and_then(|value| value.as_object());
    for (name, property) in properties.into_iter().flatten() {
        path.push(name.clone());
        if let Some(header) = property.get("x-mcp-header").and_then(|value| value.as_str()) {
            found.push((format!("Mcp-Param-{header}"), path.clone()));
        }
        found.extend(mirrored(Some(property), path));
        path.pop();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrored_arguments_are_found_at_any_depth() {
        let json = r#"{"name":"t","inputSchema":{"properties":{"a":{"x-mcp-header":"Region"},"b":{"properties":{"c":{"x-mcp-header":"C"}}}}}}"#;
        let (_, found) = redefine(json, "t", "s__t", "s");
        assert_eq!(
            found,
            [
                ("Mcp-Param-Region".to_string(), vec!["a".to_string()]),
                ("Mcp-Param-C".to_string(), vec!["b".to_string(), "c".to_string()]),
            ]
        );
    }
}
