//! From a message to its answer: which era it belongs to, which method it names, which faults it meets.
//! It does not know transports. Rule: every request is answered exactly once, unless it was cancelled or a fault forbids it.

use crate::args::Eras;
use crate::call::{Call, Era, META_CAPABILITIES, META_VERSION};
use crate::faults;
use crate::rpc::{self, Halt, RpcError};
use crate::session::Session;
use crate::wire::{self, Out, Sink};
use crate::world::World;
use crate::{listen, prompts, resources, startup, tasks, tools};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const MODERN: &str = "2026-07-28";
pub const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// Takes a message of a two-way connection (stdio, WebSocket, HTTP+SSE); answers go to `sink`.
pub fn receive(world: &Arc<World>, session: &Arc<Session>, message: Value, sink: &Sink) {
    if world.faults.get("never-initialize").is_some() {
        return;
    }
    if !is_request(&message) {
        aside(world, session, &message);
        return;
    }
    match gate(world, session, &message, false) {
        Ok(era) => start(new_call(world, session, era, message, sink, false)),
        Err(error) => {
            let _ = sink.send(Out::Message(rpc::error_message(&message["id"], &error)));
        }
    }
}

pub fn is_request(message: &Value) -> bool {
    message["method"].is_string() && message.get("id").is_some()
}

/// Takes a notification or an answer.
pub fn aside(world: &World, session: &Session, message: &Value) {
    if rpc::is_answer(message) {
        session.take_answer(message);
        return;
    }
    match message["method"].as_str().unwrap_or_default() {
        "notifications/initialized" => session.set_initialized(),
        "notifications/roots/list_changed" => session.note_roots_change(),
        "notifications/cancelled" if session.cancel(&message["params"]["requestId"]) => {
            world.cancelled.fetch_add(1, Ordering::Relaxed);
        }
        _ => {}
    }
}

/// Decides the era of a request, or why it belongs to none. `hint` says that HTTP headers look modern.
pub fn gate(world: &World, session: &Session, message: &Value, hint: bool) -> Result<Era, RpcError> {
    let method = message["method"].as_str().unwrap_or_default();
    let marked = message["params"]["_meta"].get(META_VERSION).is_some();
    let era = match world.options.era {
        Eras::Legacy => Era::Legacy,
        Eras::Modern => Era::Modern,
        Eras::Both if marked || hint || method == "server/discover" => Era::Modern,
        Eras::Both => Era::Legacy,
    };
    match era {
        Era::Modern => check_modern(method, message).map(|()| era),
        Era::Legacy => {
            let early =
                session.version().is_empty() && !matches!(method, "initialize" | "ping" | "server/discover");
            if early { Err(RpcError::new(rpc::INVALID_REQUEST, "initialize comes first")) } else { Ok(era) }
        }
    }
}

fn check_modern(method: &str, message: &Value) -> Result<(), RpcError> {
    let meta = &message["params"]["_meta"];
    if method == "initialize" && meta.get(META_VERSION).is_none() {
        return Err(unsupported(&message["params"]["protocolVersion"]));
    }
    if !meta[META_VERSION].is_string() {
        return Err(rpc::invalid_params(format!("_meta lacks {META_VERSION}")));
    }
    if !meta[META_CAPABILITIES].is_object() {
        return Err(rpc::invalid_params(format!("_meta lacks {META_CAPABILITIES}")));
    }
    Ok(())
}

/// The last check of a modern request: the version itself. HTTP compares headers before it.
pub fn check_version(message: &Value) -> Result<(), RpcError> {
    let version = &message["params"]["_meta"][META_VERSION];
    if version == MODERN { Ok(()) } else { Err(unsupported(version)) }
}

fn unsupported(requested: &Value) -> RpcError {
    let data = json!({"supported": [MODERN], "requested": requested});
    RpcError::new(rpc::UNSUPPORTED_VERSION, "unsupported protocol version").with_data(data)
}

pub fn new_call(
    world: &Arc<World>,
    session: &Arc<Session>,
    era: Era,
    mut message: Value,
    sink: &Sink,
    ends_with_stream: bool,
) -> Call {
    Call {
        faults: world.faults.of_request(&message),
        world: Arc::clone(world),
        session: Arc::clone(session),
        era,
        id: message["id"].take(),
        method: message["method"].as_str().unwrap_or_default().to_owned(),
        params: message["params"].take(),
        sink: sink.clone(),
        ends_with_stream,
    }
}

/// Answers the request in a task of its own.
pub fn start(call: Call) {
    if call.method == "initialize" && call.era == Era::Legacy {
        // At once, so that what the client sends right behind it finds the session open.
        let requested = call.params["protocolVersion"].as_str().unwrap_or_default();
        let version = if LEGACY.contains(&requested) { requested } else { LEGACY[0] };
        call.session.begin(version, &call.params);
    }
    let cancelled = call.session.start_running(&call.id, call.method != "subscriptions/listen");
    tokio::spawn(async move {
        let outcome = if let Some(fault) = faults::find(&call.faults, "ignore-cancel") {
            tokio::time::sleep(Duration::from_millis(fault.number(1000))).await;
            Some(answer(&call).await)
        } else {
            tokio::select! {
                outcome = answer(&call) => Some(outcome),
                () = cancelled.notified() => None,
                () = abandoned(&call) => None,
            }
        };
        if call.method == "subscriptions/listen" {
            call.world.stop_listening(&call.id, &call.sink);
        }
        call.session.stop_running(&call.id);
        if let Some(answer) = outcome.map(|outcome| to_message(&call, outcome)) {
            for out in wire::spoil(&call.faults, answer) {
                // The client may be gone, as any client may.
                let _ = call.sink.send(out);
            }
        }
        if call.world.faults.get("crash-loop").is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            crate::die(1);
        }
    });
}

/// Ends when a client that cancels by closing has closed.
async fn abandoned(call: &Call) {
    if !call.ends_with_stream {
        std::future::pending::<()>().await;
    }
    call.sink.closed().await;
    if call.method == "tools/call" {
        call.world.cancelled.fetch_add(1, Ordering::Relaxed);
    }
}

async fn answer(call: &Call) -> Result<Value, Halt> {
    if faults::find(&call.faults, "exit-mid-call").is_some() {
        startup::complain("fixture-server: exiting in the middle of a call");
        crate::die(1);
    }
    if faults::find(&call.faults, "never-answer").is_some() {
        std::future::pending::<()>().await;
    }
    if let Some(fault) = faults::find(&call.faults, "out-of-order") {
        tokio::time::sleep(Duration::from_millis(startup::random_below(fault.number(50) + 1))).await;
    }
    startup::burden(&call.faults).await;
    if call.method == "tools/call" && call.world.options.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(call.world.options.delay_ms)).await;
    }
    if call.era == Era::Modern && call.method != "initialize" {
        let version = json!({"params": {"_meta": call.meta()}});
        check_version(&version)?;
    }
    dispatch(call).await
}

async fn dispatch(call: &Call) -> Result<Value, Halt> {
    let modern = call.era == Era::Modern;
    match call.method.as_str() {
        "initialize" if !modern => Ok(initialize(call)),
        "ping" if !modern => Ok(json!({})),
        "logging/setLevel" if !modern => {
            call.session.set_level(call.params["level"].as_str().unwrap_or("info"));
            Ok(json!({}))
        }
        "resources/subscribe" if !modern => {
            call.session.subscribe(call.params["uri"].as_str().unwrap_or_default());
            Ok(json!({}))
        }
        "resources/unsubscribe" if !modern => {
            call.session.unsubscribe(call.params["uri"].as_str().unwrap_or_default());
            Ok(json!({}))
        }
        "server/discover" if call.world.faults.get("empty-discover").is_some() => Ok(json!({})),
        "server/discover" if modern => Ok(discover(&call.world)),
        "subscriptions/listen" if modern => listen::listen(call).await,
        "tasks/get" | "tasks/update" | "tasks/cancel" if modern => tasks::method(call),
        "tools/list" => tools::list(call),
        "tools/call" => tools::call(call).await,
        "prompts/list" => prompts::list(call),
        "prompts/get" => prompts::get(call).await,
        "resources/list" => resources::list(call),
        "resources/templates/list" => resources::templates(call),
        "resources/read" => resources::read(call),
        "completion/complete" => prompts::complete(call),
        other => Err(rpc::method_not_found(other).into()),
    }
}

fn initialize(call: &Call) -> Value {
    json!({
        "protocolVersion": call.session.version(),
        "capabilities": capabilities(),
        "serverInfo": call.world.server_info(),
        "instructions": "Tools, prompts and resources for tests. Nothing here is useful.",
    })
}

fn discover(world: &World) -> Value {
    let mut capabilities = capabilities();
    capabilities["extensions"] = json!({TASKS: {}});
    let mut versions = vec![MODERN];
    if world.options.era == Eras::Both {
        versions.extend(LEGACY);
    }
    json!({
        "supportedVersions": versions,
        "capabilities": capabilities,
        "instructions": "Tools, prompts and resources for tests. Nothing here is useful.",
    })
}

fn capabilities() -> Value {
    json!({
        "tools": {"listChanged": true},
        "prompts": {"listChanged": true},
        "resources": {"subscribe": true, "listChanged": true},
        "completions": {},
        "logging": {},
    })
}

fn to_message(call: &Call, outcome: Result<Value, Halt>) -> Value {
    let result = match outcome {
        Ok(result) => result,
        Err(Halt::Error(error)) => return rpc::error_message(&call.id, &error),
        Err(Halt::Input { requests, state }) => {
            let mut result = json!({"resultType": "input_required", "inputRequests": requests});
            if let Some(state) = state {
                result["requestState"] = json!(state);
            }
            result
        }
    };
    let result = if call.era == Era::Modern { modernised(call, result) } else { result };
    rpc::result_message(&call.id, result)
}

/// Adds what every modern result must carry.
fn modernised(call: &Call, mut result: Value) -> Value {
    let Some(fields) = result.as_object_mut() else { return result };
    if call.method == "server/discover" && call.world.faults.get("empty-discover").is_some() {
        return result;
    }
    if call.world.faults.get("no-result-type").is_none() {
        fields.entry("resultType").or_insert_with(|| json!("complete"));
    }
    let cacheable = matches!(call.method.as_str(), "server/discover" | "resources/read")
        || call.method.ends_with("/list") && !call.method.starts_with("tasks");
    if cacheable && fields.get("resultType").is_none_or(|kind| kind == "complete") {
        fields.insert("ttlMs".into(), json!(call.world.options.ttl_ms));
        fields.insert("cacheScope".into(), json!("public"));
    }
    let meta = fields.entry("_meta").or_insert_with(|| json!({}));
    meta["io.modelcontextprotocol/serverInfo"] = call.world.server_info();
    result
}
