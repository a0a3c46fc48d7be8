//! The list of tools and the way from a name to its behaviour.
//! What a tool does stands in plain.rs, conformance.rs, elicit.rs and tasks.rs.
//! Rule: the list has the same order each time; a tool that is listed can be called.

use crate::call::Call;
use crate::faults;
use crate::rpc::{self, Halt};
use crate::world::World;
use crate::{conformance, elicit, plain, tasks};
use serde_json::{Value, json};

/// A tool without behaviour, for long lists.
pub fn inert(name: &str, description: &str) -> Value {
    json!({"name": name, "description": description, "inputSchema": {"type": "object", "properties": {}}})
}

/// A tool whose arguments are written `name:type`, with `!` behind the required ones.
pub fn tool(name: &str, description: &str, arguments: &[&str]) -> Value {
    let mut properties = json!({});
    let mut required = Vec::new();
    for argument in arguments {
        let (word, kind) = argument.split_once(':').unwrap_or((argument, "string"));
        let plain = kind.trim_end_matches('!');
        properties[word] = json!({"type": plain});
        if plain != kind {
            required.push(word);
        }
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    json!({"name": name, "description": description, "inputSchema": schema})
}

pub fn list(call: &Call) -> Result<Value, Halt> {
    page(call, "tools", catalog(&call.world))
}

/// One page of a list; the cursor is the position as text.
pub fn page(call: &Call, key: &str, entries: Vec<Value>) -> Result<Value, Halt> {
    let bad = || rpc::invalid_params("unknown cursor");
    let start = match &call.params["cursor"] {
        Value::Null => 0,
        cursor => {
            let text = cursor.as_str().and_then(|text| text.strip_prefix("from-")).ok_or_else(bad)?;
            text.parse::<usize>().ok().filter(|start| *start <= entries.len()).ok_or_else(bad)?
        }
    };
    let size = match call.world.options.page_size {
        0 => entries.len(),
        size => size,
    };
    let end = (start + size).min(entries.len());
    let mut result = json!({});
    result[key] = json!(entries[start..end]);
    if end < entries.len() {
        result["nextCursor"] = json!(format!("from-{end}"));
    }
    Ok(result)
}

pub async fn call(call: &Call) -> Result<Value, Halt> {
    let name = call.params["name"].as_str().unwrap_or_default();
    let mut result = run(call, name).await?;
    if faults::find(&call.faults, "unknown-content").is_some()
        && let Some(content) = result["content"].as_array_mut()
    {
        content.insert(0, json!({"type": "hologram", "beam": [1, 2, 3], "x-vendor": {"deep": true}}));
    }
    Ok(result)
}

async fn run(call: &Call, name: &str) -> Result<Value, Halt> {
    if let Some(outcome) = conformance::call(call, name).await {
        return outcome;
    }
    if let Some(outcome) = elicit::call(call, name).await {
        return outcome;
    }
    if let Some(outcome) = tasks::call(call, name).await {
        return outcome;
    }
    if let Some(outcome) = plain::call(call, name).await {
        return outcome;
    }
    let inert = catalog(&call.world).iter().any(|tool| tool["name"] == name);
    if inert { Ok(rpc::text(format!("{name} does nothing"))) } else { Err(unknown(name)) }
}

fn unknown(name: &str) -> Halt {
    rpc::invalid_params(format!("unknown tool: {name}")).into()
}

/// Every tool, as listed.
pub fn catalog(world: &World) -> Vec<Value> {
    let mut tools = conformance::catalog();
    tools.extend(elicit::catalog());
    tools.extend(tasks::catalog());
    tools.extend(plain::catalog());
    if world.faults.get("malformed-tool").is_some() {
        let broken = json!({"name": "malformed", "description": "A tool without an input schema"});
        tools.insert(1, broken);
    }
    for number in 0..world.options.tools {
        let words = format!("Inert tool number {number} of a long list");
        tools.push(inert(&format!("tool_{number}"), &words));
    }
    tools.extend(world.added_tools());
    tools
}

#[cfg(test)]
mod tests {
    use super::tool;
    use serde_json::json;

    #[test]
    fn a_tool_is_written_in_short() {
        let expected = json!({"name": "add", "description": "Adds", "inputSchema": {"type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "string"}}, "required": ["a"]}});
        assert_eq!(tool("add", "Adds", &["a:number!", "b"]), expected);
    }
}
