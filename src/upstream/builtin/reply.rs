//! How the built-in servers describe their tools, read arguments and write results.
//! A refusal is a result the model can read, with a next step; it is never a protocol error.

use crate::error::{Error, Result, codes};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

/// What calling a tool may do.
#[derive(Clone, Copy)]
pub enum Effect {
    /// Looks only.
    Reads,
    /// Replaces or deletes, with the same end however often it is done.
    Replaces,
    /// May do anything.
    Unknown,
}

/// How far a tool reaches.
#[derive(Clone, Copy, PartialEq)]
pub enum World {
    Closed,
    Open,
}

/// A tool with everything a client may show of it. `output` is the schema of its structured result.
pub fn tool(
    name: &'static str,
    title: &str,
    description: &'static str,
    effect: Effect,
    world: World,
    input: Value,
    output: Option<Value>,
) -> Tool {
    let (reads, destroys, repeats) = match effect {
        Effect::Reads => (true, false, true),
        Effect::Replaces => (false, true, true),
        Effect::Unknown => (false, true, false),
    };
    let annotations = ToolAnnotations::with_title(title)
        .read_only(reads)
        .destructive(destroys)
        .idempotent(repeats)
        .open_world(world == World::Open);
    let mut tool =
        Tool::new(name, description, fields(input)).with_title(title).with_annotations(annotations);
    tool.output_schema = output.map(|schema| Arc::new(fields(schema)));
    tool
}

fn fields(schema: Value) -> JsonObject {
    match schema {
        Value::Object(fields) => fields,
        _ => JsonObject::new(),
    }
}

/// The schema of an object with exactly these properties.
pub fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// A result: text for the model, and the same as data where the tool has an output schema.
#[derive(Debug, PartialEq)]
pub struct Output {
    pub text: String,
    pub data: Option<Value>,
}

impl Output {
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), data: None }
    }

    pub fn data(text: impl Into<String>, data: Value) -> Self {
        Self { text: text.into(), data: Some(data) }
    }
}

/// The outcome of a tool as the protocol has it.
pub fn result(outcome: Result<Output>) -> CallToolResult {
    match outcome {
        Ok(output) => {
            let mut result = CallToolResult::success(vec![ContentBlock::text(output.text)]);
            result.structured_content = output.data;
            result
        }
        Err(error) => {
            let hints = error.hints.iter().map(|hint| format!("\nhint: {hint}"));
            let text = format!("{error}{}", hints.collect::<String>());
            CallToolResult::error(vec![ContentBlock::text(text)])
        }
    }
}

/// Reads the arguments of a call.
pub fn arguments<T: DeserializeOwned>(arguments: Value) -> Result<T> {
    serde_json::from_value(arguments).map_err(|error| {
        Error::new(&codes::ARGUMENTS_INVALID, "the arguments do not fit the tool").because(error)
    })
}

/// An argument of the right type that cannot be used.
pub fn invalid(message: impl Into<String>) -> Error {
    Error::new(&codes::ARGUMENTS_INVALID, message)
}

/// Something that must not or could not be done.
pub fn refused(message: impl Into<String>) -> Error {
    Error::new(&codes::FAILED, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_result_with_a_next_step() {
        let result = result(Err(refused("no").because("why").hint("do this").hint("or that")));
        assert_eq!(result.is_error, Some(true));
        assert_eq!(result.content[0].as_text().unwrap().text, "no: why\nhint: do this\nhint: or that");
    }

    #[test]
    fn annotations_say_what_a_tool_does() {
        let made = tool("t", "T", "d", Effect::Replaces, World::Closed, object(json!({}), &[]), None);
        assert_eq!(
            serde_json::to_value(made).unwrap(),
            json!({
                "name": "t", "title": "T", "description": "d",
                "inputSchema": {"type": "object", "properties": {}, "required": [], "additionalProperties": false},
                "annotations": {"title": "T", "readOnlyHint": false, "destructiveHint": true,
                    "idempotentHint": true, "openWorldHint": false}
            })
        );
    }
}
