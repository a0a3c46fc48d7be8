//! What all servers of a view say together: instructions within their limit, capabilities, extensions.

use crate::tools::Catalogue;
use crate::upstream::Upstream;
use std::sync::Arc;

pub(super) fn declares(catalogue: &Catalogue, path: &str) -> bool {
    let capabilities: serde_json::Value = serde_json::from_str(&catalogue.capabilities).unwrap_or_default();
    let found = path.split('.').try_fold(&capabilities, |value, key| value.get(key));
    found.is_some_and(|value| *value != serde_json::Value::Bool(false))
}

pub(super) fn instructions_of(shown: &[(&Arc<Upstream>, Arc<Catalogue>)], limit: usize) -> Option<String> {
    let with: Vec<_> = shown
        .iter()
        .filter_map(|(upstream, it)| Some((upstream.name(), it.instructions.as_deref()?)))
        .collect();
    if with.is_empty() {
        return None;
    }
    let share = limit / with.len();
    let mut merged = String::new();
    for (server, text) in with {
        let cut = text.char_indices().map(|(at, _)| at).find(|at| *at >= share).unwrap_or(text.len());
        let more = if cut < text.len() { " […]" } else { "" };
        merged.push_str(&format!("## {server}\n\n{}{more}\n\n", text[..cut].trim()));
    }
    Some(merged.trim_end().into())
}

/// Extensions that umcp relays as they are.
pub(super) fn extensions_of(
    shown: &[(&Arc<Upstream>, Arc<Catalogue>)],
) -> serde_json::Map<String, serde_json::Value> {
    const RELAYED: [&str; 3] =
        ["io.modelcontextprotocol/ui", "io.modelcontextprotocol/tasks", "io.modelcontextprotocol/skills"];
    let mut merged = serde_json::Map::new();
    for (_, catalogue) in shown {
        let capabilities: serde_json::Value =
            serde_json::from_str(&catalogue.capabilities).unwrap_or_default();
        for name in RELAYED {
            if let Some(value) = capabilities["extensions"].get(name) {
                merged.entry(name).or_insert_with(|| value.clone());
            }
        }
    }
    merged
}
