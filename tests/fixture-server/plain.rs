//! Tools for our own tests: small, each for one question about a gateway.
//! Rule: what a tool answers depends on its arguments and on counters of this process, never on time.

use crate::call::Call;
use crate::rpc::{self, Halt};
use crate::tools::tool;
use crate::{media, startup};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

pub fn catalog() -> Vec<Value> {
    let mut add = tool("add", "Adds two numbers", &["a:number!", "b:number!"]);
    add["outputSchema"] =
        json!({"type": "object", "properties": {"sum": {"type": "number"}}, "required": ["sum"]});
    add["annotations"] = json!({"readOnlyHint": true, "idempotentHint": true, "openWorldHint": false});
    let mut echo = tool("echo", "Gives the text back", &["text:string!"]);
    echo["title"] = json!("Echo");
    echo["annotations"] = json!({"readOnlyHint": true, "idempotentHint": true});
    echo["_meta"] = json!({"example.test/colour": "green"});
    let mut env = tool("env", "Tells the value of an environment variable", &["name:string!"]);
    env["annotations"] = json!({"readOnlyHint": true});
    vec![
        echo,
        add,
        tool("sleep", "Waits; a cancel ends it", &["ms:integer!"]),
        tool("cancelled_count", "Tells how many running calls were cancelled", &[]),
        env,
        tool("big", "Gives a text of that many bytes", &["bytes:integer!"]),
        tool(
            "progress",
            "Reports that many steps of progress, then answers",
            &["steps:integer!", "ms:integer"],
        ),
        tool("counter", "Counts its calls in this process", &[]),
        tool("pid", "Tells the process id", &[]),
        tool("crash", "Exits 1 instead of answering", &["code:integer"]),
        tool("fail", "Answers with isError", &["message:string"]),
        tool("log", "Logs one line at a level", &["message:string!", "level:string"]),
        tool("add_tool", "Adds a tool and says that the list changed", &["name:string!", "description"]),
        tool("update_resource", "Says that a resource changed", &["uri:string!"]),
        tool("image", "Gives a PNG of one pixel", &[]),
        tool("link", "Gives a resource link and an embedded resource", &[]),
        tool("whoami", "Tells what this server knows of the client", &[]),
        tool("meta", "Tells the _meta it received", &[]),
        tool(
            "fault",
            "Meets the named fault in this call only; see --help of the server",
            &["name:string!", "arg"],
        ),
    ]
}

/// Answers if the tool is one of these.
pub async fn call(call: &Call, name: &str) -> Option<Result<Value, Halt>> {
    match name {
        "add" => return Some(add(call)),
        "sleep" => {
            let ms = call.number("ms", 100);
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Some(rpc::text(format!("slept {ms} ms")))
        }
        "progress" => {
            let steps = call.number("steps", 3);
            for step in 1..=steps {
                call.progress(step, steps);
                pause(call.number("ms", 0)).await;
            }
            Some(rpc::text(format!("{steps} steps done")))
        }
        "crash" => {
            startup::complain("fixture-server: crash was called");
            crate::die(i32::try_from(call.number("code", 1)).unwrap_or(1));
        }
        other => at_once(call, other),
    }
    .map(Ok)
}

fn at_once(call: &Call, name: &str) -> Option<Value> {
    Some(match name {
        "echo" => rpc::text(call.text("text")),
        "cancelled_count" => count(call.world.cancelled.load(Ordering::Relaxed)),
        "env" => match std::env::var(call.text("name")) {
            Ok(value) => rpc::text(value),
            Err(_) => rpc::tool_error(format!("{} is not set", call.text("name"))),
        },
        "big" => rpc::text("x".repeat(usize::try_from(call.number("bytes", 1024)).unwrap_or(1024))),
        "counter" => count(call.world.counter.fetch_add(1, Ordering::Relaxed) + 1),
        "pid" => count(u64::from(std::process::id())),
        "fail" => rpc::tool_error(call.argument("message").as_str().unwrap_or("failed as asked")),
        "log" => {
            let level = call.argument("level").as_str().unwrap_or("info");
            call.log(level, &call.text("message"));
            rpc::text("logged")
        }
        "add_tool" => {
            call.world.describe_tool(&call.text("name"), &call.text("description"));
            rpc::text(format!("added {}", call.text("name")))
        }
        "update_resource" => {
            call.world.resource_updated(&call.text("uri"));
            rpc::text(format!("updated {}", call.text("uri")))
        }
        "image" => json!({"content": [{"type": "image", "data": media::png(), "mimeType": "image/png"}]}),
        "link" => link(),
        "whoami" => json_text(&json!({
            "clientInfo": call.client_info(),
            "capabilities": call.capabilities(),
            "protocolVersion": call.session.version(),
            "rootsChanges": call.session.roots_changes(),
        })),
        "meta" => json_text(call.meta()),
        "fault" => rpc::text(format!("{} is over", call.text("name"))),
        _ => return None,
    })
}

fn add(call: &Call) -> Result<Value, Halt> {
    let (Some(a), Some(b)) = (call.argument("a").as_f64(), call.argument("b").as_f64()) else {
        return Err(rpc::invalid_params("a and b must be numbers").into());
    };
    let sum = a + b;
    let sum = if sum.fract() == 0.0 && sum.abs() < 1e15 { json!(sum as i64) } else { json!(sum) };
    let mut result = json_text(&json!({"sum": sum}));
    result["structuredContent"] = json!({"sum": sum});
    Ok(result)
}

fn link() -> Value {
    json!({"content": [
        {"type": "resource_link", "uri": "test://static-text", "name": "static text", "mimeType": "text/plain"},
        {"type": "resource", "resource":
            {"uri": "test://embedded-resource", "mimeType": "text/plain", "text": "Embedded."}},
    ]})
}

fn count(number: u64) -> Value {
    rpc::text(number.to_string())
}

fn json_text(value: &Value) -> Value {
    rpc::text(value.to_string())
}

/// Waits; without a time it only lets others run, so that bursts stay bursts.
async fn pause(ms: u64) {
    match ms {
        0 => tokio::task::yield_now().await,
        ms => tokio::time::sleep(Duration::from_millis(ms)).await,
    }
}
