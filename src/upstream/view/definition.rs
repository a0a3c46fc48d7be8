//! What becomes of a tool's definition on its way to a client: its exposed name, and the arguments that are
//! mirrored into headers. Everything else stays as the server wrote it.

use crate::upstream::mirror::{Mirrored, mirrored};

/// Tools that can only be called as a task of the 2025-11-25 kind, which umcp does not relay.
pub(super) fn needs_tasks(json: &str) -> bool {
    json.contains("taskSupport")
        && serde_json::from_str::<serde_json::Value>(json)
            .is_ok_and(|tool| tool["execution"]["taskSupport"] == "required")
}

/// Puts the exposed name into a definition; a shortened one keeps the original as its title.
pub(super) fn redefine(json: &str, own: &str, exposed: &str, server: &str) -> (String, Mirrored) {
    let Ok(serde_json::Value::Object(mut tool)) = serde_json::from_str(json) else {
        return (json.into(), Vec::new());
    };
    let mirrored = match json.contains("x-mcp-header") {
        true => tool.get("inputSchema").and_then(|schema| mirrored(schema).ok()).unwrap_or_default(),
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
