//! Tools that need something from the client: forms, addresses to visit, model answers, roots.
//! They work in both eras: over the back channel (legacy) or by `input_required` (modern).
//! Rule: names and keys of the `test_` tools are the conformance suite's words.

use crate::call::{Ask, Call, Era};
use crate::rpc::{self, Halt, RpcError};
use crate::tools::tool;
use crate::wire::Out;
use serde_json::{Value, json};

const URL_ELICITATION_REQUIRED: i64 = -32042;

pub fn catalog() -> Vec<Value> {
    let mut tools = vec![
        tool("test_sampling", "Asks the client's model", &["prompt:string!"]),
        tool("test_elicitation", "Asks the user", &["message:string!"]),
        tool("test_elicitation_sep1034_defaults", "Asks with defaults of every type", &[]),
        tool("test_elicitation_sep1330_enums", "Asks with every kind of choice", &[]),
        tool("test_streaming_elicitation", "Asks the user on an event stream", &[]),
    ];
    for kind in [
        "elicitation",
        "sampling",
        "list_roots",
        "request_state",
        "multiple_inputs",
        "multi_round",
        "tampered_state",
        "capabilities",
    ] {
        let name = format!("test_input_required_result_{kind}");
        tools.push(tool(&name, "Needs input before it can answer", &[]));
    }
    tools.extend([
        tool("ask", "Asks the user for one text and gives the answer back", &["message:string!"]),
        tool("ask_url", "Asks the user to visit an address", &["url:string!", "error:boolean"]),
        tool("sample", "Asks the client's model and gives the answer back", &["prompt:string!"]),
        tool("roots", "Lists the client's roots", &[]),
    ]);
    tools
}

/// Answers if the tool is one of these.
pub async fn call(call: &Call, name: &str) -> Option<Result<Value, Halt>> {
    Some(match name {
        "test_sampling" | "sample" => sample(call).await,
        "test_elicitation" => form(call, call.text("message"), contact_form(), "User response: ").await,
        "test_elicitation_sep1034_defaults" => completed(call, "Check the defaults", defaults_form()).await,
        "test_elicitation_sep1330_enums" => completed(call, "Choose", choices_form()).await,
        "test_streaming_elicitation" => {
            let _ = call.sink.send(Out::OpenStream);
            one(call, name_ask()).await
        }
        "test_input_required_result_elicitation" => greet(call).await,
        "test_input_required_result_sampling" => {
            one(call, sampling("capital_question", "What is the capital of France?", 100)).await
        }
        "test_input_required_result_list_roots" | "roots" => one(call, roots()).await,
        "test_input_required_result_request_state" => sealed(call, "state-ok").await,
        "test_input_required_result_tampered_state" => sealed(call, "the state was intact").await,
        "test_input_required_result_multiple_inputs" => several(call).await,
        "test_input_required_result_multi_round" => rounds(call).await,
        "test_input_required_result_capabilities" => what_it_can(call).await,
        "ask" => ask(call).await,
        "ask_url" => ask_url(call).await,
        _ => return None,
    })
}

/// A form with one text field.
pub fn text_form(key: &'static str, message: &str, field: &str) -> Ask {
    let schema = json!({"type": "object", "properties": {field: {"type": "string"}}, "required": [field]});
    elicitation(key, message, schema)
}

pub fn name_ask() -> Ask {
    text_form("user_name", "What is your name?", "name")
}

fn elicitation(key: &'static str, message: &str, schema: Value) -> Ask {
    let params = json!({"message": message, "requestedSchema": schema});
    Ask { key, method: "elicitation/create", params }
}

fn sampling(key: &'static str, prompt: &str, max_tokens: u64) -> Ask {
    let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
    let params = json!({"messages": [message], "maxTokens": max_tokens});
    Ask { key, method: "sampling/createMessage", params }
}

fn roots() -> Ask {
    Ask { key: "client_roots", method: "roots/list", params: json!({}) }
}

/// Asks one thing and gives the raw answer back as text.
async fn one(call: &Call, ask: Ask) -> Result<Value, Halt> {
    let answers = call.ask(&[ask], None).await?;
    Ok(rpc::text(answers.values().map(Value::to_string).collect::<String>()))
}

async fn greet(call: &Call) -> Result<Value, Halt> {
    let answers = call.ask(&[name_ask()], None).await?;
    let name = answers["user_name"]["content"]["name"].as_str().unwrap_or("stranger");
    Ok(rpc::text(format!("Hello, {name}!")))
}

async fn sample(call: &Call) -> Result<Value, Halt> {
    let answers = call.ask(&[sampling("sample", &call.text("prompt"), 100)], None).await?;
    let text = answers["sample"]["content"]["text"].as_str().unwrap_or_default();
    Ok(rpc::text(format!("LLM response: {text}")))
}

async fn form(call: &Call, message: String, schema: Value, prefix: &str) -> Result<Value, Halt> {
    let answers = call.ask(&[elicitation("form", &message, schema)], None).await?;
    Ok(rpc::text(format!("{prefix}{}", answers["form"])))
}

async fn completed(call: &Call, message: &str, schema: Value) -> Result<Value, Halt> {
    let answers = call.ask(&[elicitation("form", message, schema)], None).await?;
    let action = answers["form"]["action"].as_str().unwrap_or("none");
    Ok(rpc::text(format!("Elicitation completed: action={action}, content={}", answers["form"]["content"])))
}

async fn sealed(call: &Call, words: &str) -> Result<Value, Halt> {
    call.carried()?;
    let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]});
    let asks = [elicitation("confirm", "Please confirm", schema)];
    call.ask(&asks, Some(json!({"asked": true}))).await?;
    Ok(rpc::text(words))
}

async fn several(call: &Call) -> Result<Value, Halt> {
    let asks = [name_ask(), sampling("greeting", "Generate a greeting", 50), roots()];
    let answers = call.ask(&asks, Some(json!({"asked": 3}))).await?;
    Ok(rpc::text(format!("Got {} answers: {}", answers.len(), Value::Object(answers))))
}

async fn rounds(call: &Call) -> Result<Value, Halt> {
    let carried = call.carried()?.unwrap_or_default();
    let name = match carried["name"].as_str() {
        Some(name) => name.to_owned(),
        None => {
            let first = text_form("step1", "Step 1: What is your name?", "name");
            let answers = call.ask(&[first], Some(json!({"round": 1}))).await?;
            answers["step1"]["content"]["name"].as_str().unwrap_or("stranger").to_owned()
        }
    };
    let second = text_form("step2", "Step 2: What is your favorite color?", "color");
    let answers = call.ask(&[second], Some(json!({"round": 2, "name": name}))).await?;
    Ok(rpc::text(format!("{name} likes {}", answers["step2"]["content"]["color"])))
}

async fn what_it_can(call: &Call) -> Result<Value, Halt> {
    let mut asks = vec![name_ask(), sampling("greeting", "Generate a greeting", 50), roots()];
    let capabilities = call.capabilities();
    asks.retain(|ask| capabilities.get(ask.method.split('/').next().unwrap_or_default()).is_some());
    let answers = call.ask(&asks, None).await?;
    Ok(rpc::text(format!("Got {}", Value::Object(answers))))
}

async fn ask(call: &Call) -> Result<Value, Halt> {
    let answers = call.ask(&[text_form("answer", &call.text("message"), "answer")], None).await?;
    let answer = &answers["answer"];
    match answer["action"].as_str() {
        Some("accept") => Ok(rpc::text(answer["content"]["answer"].as_str().unwrap_or_default())),
        other => Ok(rpc::tool_error(format!("no answer: {}", other.unwrap_or("none")))),
    }
}

async fn ask_url(call: &Call) -> Result<Value, Halt> {
    let mut params = json!({"mode": "url", "message": "Please visit this address", "url": call.text("url")});
    if call.capabilities()["elicitation"].get("url").is_none() {
        return Err(call.lacks("elicitation.url", json!({"elicitation": {"url": {}}})));
    }
    let id = call.world.fresh("visit");
    if call.era == Era::Legacy {
        params["elicitationId"] = json!(id);
        if call.argument("error") == true {
            let error = RpcError::new(URL_ELICITATION_REQUIRED, "an address has to be visited first");
            return Err(error.with_data(json!({"elicitations": [params]})).into());
        }
    }
    let answers = call.ask(&[Ask { key: "visit", method: "elicitation/create", params }], None).await?;
    if call.era == Era::Legacy {
        call.notify("notifications/elicitation/complete", json!({"elicitationId": id}));
    }
    Ok(rpc::text(answers["visit"]["action"].as_str().unwrap_or("none")))
}

fn contact_form() -> Value {
    json!({"type": "object", "properties": {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }, "required": ["username", "email"]})
}

fn defaults_form() -> Value {
    json!({"type": "object", "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true},
    }})
}

fn choices_form() -> Value {
    let plain = json!(["option1", "option2", "option3"]);
    let titled = |noun: &str| {
        json!([
            {"const": "value1", "title": format!("First {noun}")},
            {"const": "value2", "title": format!("Second {noun}")},
            {"const": "value3", "title": format!("Third {noun}")},
        ])
    };
    json!({"type": "object", "properties": {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled("Option")},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
    }})
}
