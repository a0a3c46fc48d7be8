//! Prompts and completion.
//! Rule: names and texts are the conformance suite's words.

use crate::call::Call;
use crate::rpc::{self, Halt};
use crate::{elicit, media, tools};
use serde_json::{Value, json};

pub fn list(call: &Call) -> Result<Value, Halt> {
    let argument = |name: &str| json!({"name": name, "description": format!("The {name} of the test"), "required": true});
    let prompt = |name: &str, description: &str, arguments: Vec<Value>| json!({"name": name, "description": description, "arguments": arguments});
    let mut prompts = vec![
        prompt("test_simple_prompt", "A prompt without arguments", vec![]),
        prompt(
            "test_prompt_with_arguments",
            "A prompt with two arguments",
            vec![argument("arg1"), argument("arg2")],
        ),
        prompt(
            "test_prompt_with_embedded_resource",
            "A prompt with a resource",
            vec![argument("resourceUri")],
        ),
        prompt("test_prompt_with_image", "A prompt with an image", vec![]),
        prompt("test_input_required_result_prompt", "A prompt that needs input", vec![]),
    ];
    prompts.extend(call.world.added_prompts());
    tools::page(call, "prompts", prompts)
}

pub async fn get(call: &Call) -> Result<Value, Halt> {
    let name = call.params["name"].as_str().unwrap_or_default();
    let messages = match name {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (first, second) = (call.text("arg1"), call.text("arg2"));
            vec![text(&format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))]
        }
        "test_prompt_with_embedded_resource" => {
            let resource = json!({"uri": call.argument("resourceUri"), "mimeType": "text/plain",
                "text": "Embedded resource content for testing."});
            vec![
                user(json!({"type": "resource", "resource": resource})),
                text("Please process the embedded resource above."),
            ]
        }
        "test_prompt_with_image" => vec![
            user(json!({"type": "image", "data": media::png(), "mimeType": "image/png"})),
            text("Please analyze the image above."),
        ],
        "test_input_required_result_prompt" => {
            let ask = elicit::text_form("user_context", "What context should the prompt use?", "context");
            let answers = call.ask(&[ask], None).await?;
            vec![text(&format!("Use this context: {}", answers["user_context"]["content"]["context"]))]
        }
        other if call.world.added_prompts().iter().any(|prompt| prompt["name"] == other) => {
            vec![text("This prompt was added at run time.")]
        }
        other => return Err(rpc::invalid_params(format!("unknown prompt: {other}")).into()),
    };
    Ok(json!({"description": format!("The prompt {name}"), "messages": messages}))
}

/// Values for the arguments of `test_prompt_with_arguments` and the `id` of the template.
pub fn complete(call: &Call) -> Result<Value, Halt> {
    let reference = &call.params["ref"];
    let values: &[&str] =
        match (reference["type"].as_str(), reference["name"].as_str(), reference["uri"].as_str()) {
            (Some("ref/prompt"), Some("test_prompt_with_arguments"), _) => {
                &["paris", "park", "party", "test"]
            }
            (Some("ref/prompt"), Some(_), _) => &[],
            (Some("ref/resource"), _, Some("test://template/{id}/data")) => &["1", "12", "123"],
            (Some("ref/resource"), _, Some(_)) => &[],
            _ => return Err(rpc::invalid_params("ref names neither a prompt nor a template").into()),
        };
    let typed = call.params["argument"]["value"].as_str().unwrap_or_default();
    let values: Vec<_> = values.iter().filter(|value| value.starts_with(typed)).collect();
    Ok(json!({"completion": {"total": values.len(), "values": values, "hasMore": false}}))
}

fn user(content: Value) -> Value {
    json!({"role": "user", "content": content})
}

fn text(text: &str) -> Value {
    user(json!({"type": "text", "text": text}))
}
