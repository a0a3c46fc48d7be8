//! Tools the conformance suite calls by name, those that need nothing from the client.
//! Rule: names, texts and schemas are the suite's words; do not improve them.

use crate::call::Call;
use crate::media;
use crate::rpc::{self, Halt};
use crate::tools::tool;
use crate::wire::Out;
use serde_json::{Value, json};
use std::time::Duration;

const STEP: Duration = Duration::from_millis(50);

pub fn catalog() -> Vec<Value> {
    vec![
        tool("test_simple_text", "Gives a simple text", &[]),
        tool("test_image_content", "Gives an image", &[]),
        tool("test_audio_content", "Gives a sound", &[]),
        tool("test_embedded_resource", "Gives an embedded resource", &[]),
        tool("test_multiple_content_types", "Gives text, an image and a resource", &[]),
        tool("test_tool_with_logging", "Logs three lines while it runs", &[]),
        tool("test_logging_tool", "Logs one line if the request allows it", &[]),
        tool("test_error_handling", "Always reports an error", &[]),
        tool("test_tool_with_progress", "Reports progress three times", &[]),
        tool("test_reconnection", "Closes its stream in the middle of the call", &[]),
        tool("test_missing_capability", "Needs a client with sampling", &[]),
        tool("test_trigger_tool_change", "Changes the list of tools", &[]),
        tool("test_trigger_prompt_change", "Changes the list of prompts", &[]),
        json!({"name": "json_schema_2020_12_tool", "description": "Has a schema with words of 2020-12",
            "inputSchema": schema_2020_12()}),
        json!({"name": "test_x_mcp_header", "description": "Wants its region in a header too", "inputSchema": {
            "type": "object",
            "properties": {
                "region": {"type": "string", "x-mcp-header": "Region"},
                "query": {"type": "string"},
            },
            "required": ["region"],
        }}),
    ]
}

/// Answers if the tool is one of these.
pub async fn call(call: &Call, name: &str) -> Option<Result<Value, Halt>> {
    if let Some(result) = fixed(name) {
        return Some(Ok(result));
    }
    Some(Ok(match name {
        "test_tool_with_logging" => {
            call.log("info", "Tool execution started");
            tokio::time::sleep(STEP).await;
            call.log("info", "Tool processing data");
            tokio::time::sleep(STEP).await;
            call.log("info", "Tool execution completed");
            rpc::text("Tool with logging executed successfully")
        }
        "test_logging_tool" => {
            call.log("info", "one line");
            rpc::text("Logged if the request asked for it")
        }
        "test_tool_with_progress" => {
            call.progress(0, 100);
            tokio::time::sleep(STEP).await;
            call.progress(50, 100);
            tokio::time::sleep(STEP).await;
            call.progress(100, 100);
            rpc::text("Tool with progress executed successfully")
        }
        "test_reconnection" => {
            // The client may be gone already.
            let _ = call.sink.send(Out::CloseStream);
            tokio::time::sleep(2 * STEP).await;
            rpc::text("The stream was closed and the answer came on the next one")
        }
        "test_missing_capability" => match call.require("sampling") {
            Ok(()) => rpc::text("The client can sample"),
            Err(halt) => return Some(Err(halt)),
        },
        "test_trigger_tool_change" => {
            call.world.toggle_tool("test_triggered_tool");
            rpc::text("The list of tools changed")
        }
        "test_trigger_prompt_change" => {
            call.world.add_prompt("test_triggered_prompt");
            rpc::text("The list of prompts changed")
        }
        "test_x_mcp_header" => rpc::text(format!("region {}", call.text("region"))),
        _ => return None,
    }))
}

/// The tools that always give the same.
fn fixed(name: &str) -> Option<Value> {
    Some(match name {
        "test_simple_text" => rpc::text("This is a simple text response for testing."),
        "test_image_content" => content(vec![image()]),
        "test_audio_content" => {
            content(vec![json!({"type": "audio", "data": media::wav(), "mimeType": "audio/wav"})])
        }
        "test_embedded_resource" => content(vec![resource(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content.",
        )]),
        "test_multiple_content_types" => content(vec![
            json!({"type": "text", "text": "Multiple content types test:"}),
            image(),
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ]),
        "test_error_handling" => rpc::tool_error("This tool intentionally returns an error for testing"),
        "json_schema_2020_12_tool" => rpc::text("The schema is what matters"),
        _ => return None,
    })
}

fn content(blocks: Vec<Value>) -> Value {
    json!({"content": blocks})
}

fn image() -> Value {
    json!({"type": "image", "data": media::png(), "mimeType": "image/png"})
}

fn resource(uri: &str, mime: &str, text: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": mime, "text": text}})
}

fn schema_2020_12() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {"$anchor": "addressDef", "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}
