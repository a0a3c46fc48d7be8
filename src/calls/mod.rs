//! THE call path. Whatever runs something goes through [`Caller`]: name, bounds, server, usage record, in this
//! order, once. Policy, quota and secrets join here when they come; a backend only knows how to do the work.

pub mod cache;
pub mod context;
pub mod results;
pub mod runner;

use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result, codes};
use crate::tools::Era;
use crate::upstream::link::Outgoing;
use crate::upstream::message::{Answer, member, quote};
use crate::upstream::view::ViewTool;
use crate::upstream::{Upstream, World};
use crate::usage::{CALLS, Call, Class};
use cache::Cache;
pub use context::{Context, Params};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Makes calls and records them.
pub struct Caller {
    pub world: Arc<World>,
    cache: Cache,
    /// Calls since the daemon started.
    pub calls: AtomicU64,
    watcher: OnceLock<Watcher>,
}

/// Told of every call when it has ended. Returns at once.
type Watcher = Box<dyn Fn(Timestamp, &Call) + Send + Sync>;

/// An answer, with the era it is in.
#[derive(Debug, Clone)]
pub struct Reply {
    pub answer: Answer,
    pub era: Era,
}

impl Caller {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { world, cache: Cache::default(), calls: AtomicU64::new(0), watcher: OnceLock::new() })
    }

    /// Calls a tool of a view. `params` are those of `tools/call` as the client sent them.
    pub async fn call(&self, tool: &ViewTool, params: &Params<'_>, context: &Context) -> Result<Reply> {
        let arguments = params.raw("arguments").unwrap_or("{}");
        let key = |ttl| Some((ttl, Cache::key(&tool.upstream.entry, &tool.tool, params, context.session)?));
        let key = tool.cache_ms.and_then(key);
        let mut recorder = Recorder {
            caller: self,
            tool,
            context,
            bytes: arguments.len(),
            started: Instant::now(),
            outcome: None,
            cached: false,
        };
        if let Some(reply) = key.as_ref().and_then(|(_, key)| self.cache.get(key)) {
            recorder.cached = true;
            recorder.outcome = Some((Class::Ok, reply.answer.body.len(), None));
            return Ok(reply);
        }
        let name = quote(&tool.tool);
        let headers = mirrored_headers(tool, arguments);
        let request = Relayed {
            method: "tools/call",
            params,
            replaced: &[("name", &name), ("arguments", arguments)],
            name: Some(&tool.tool),
            headers: &headers,
        };
        let outcome = self.relay(&tool.upstream, request, context).await;
        recorder.outcome = Some(class_of(&outcome));
        if let (Some((ttl, key)), Ok(reply)) = (key, &outcome)
            && reply.answer.ok
            && !says_error(&reply.answer.body)
        {
            self.cache.put(key, reply, ttl);
        }
        outcome
    }

    /// Sends any request to one server, within its bounds.
    pub async fn relay(
        &self,
        upstream: &Arc<Upstream>,
        request: Relayed<'_>,
        context: &Context,
    ) -> Result<Reply> {
        // A call that can be asked waits for its turn before it takes a place from those who have theirs.
        let _turn = match context.listener {
            Some(_) => Some(upstream.turn(context.session).await?),
            None => None,
        };
        let _permit = upstream.admit().await?;
        let running = upstream.connect(context.session).await?;
        let era = running.agreement.era;
        let id = running.connection.next_id();
        let meta = context.meta(&request.params.meta(), era, id);
        let outgoing = Outgoing {
            id,
            method: request.method,
            params: &request.params.forward(request.replaced, &meta),
            listener: context.listener.clone(),
            timeout: context.timeout.unwrap_or(upstream.bounds.call),
            name: request.name,
            headers: request.headers,
        };
        let outcome = running.connection.request(outgoing).await;
        upstream.went(outcome.as_ref().map(|_| ()));
        let answer = outcome.map_err(|error| upstream.named(error))?;
        Ok(Reply { answer, era })
    }

    /// Sets who is told of every call; once.
    pub fn watch(&self, watcher: impl Fn(Timestamp, &Call) + Send + Sync + 'static) {
        let _ = self.watcher.set(Box::new(watcher));
    }

    /// Records a call of one of umcp's own tools, which needs no server.
    pub fn record_own(
        &self,
        tool: &str,
        arguments: usize,
        result: &[u8],
        started: Instant,
        context: &Context,
    ) {
        let class = if says_error(result) { Class::ToolError } else { Class::Ok };
        self.record(&Call {
            client: context.client.to_string(),
            door: context.door,
            profile: context.profile.as_ref().map(ToString::to_string),
            server: String::new(),
            tool: tool.into(),
            duration_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            request_bytes: arguments as u64,
            result_bytes: result.len() as u64,
            class,
            error: None,
            cached: false,
        });
    }

    fn record(&self, call: &Call) {
        self.calls.fetch_add(1, Relaxed);
        let engine = &self.world.shared.engine;
        let now = engine.now();
        engine.append(&CALLS, now, call);
        if let Some(watcher) = self.watcher.get() {
            watcher(now, call);
        }
    }
}

/// A request on its way through [`Caller::relay`].
pub struct Relayed<'a> {
    pub method: &'a str,
    pub params: &'a Params<'a>,
    /// Fields to replace; an empty value leaves the field out.
    pub replaced: &'a [(&'a str, &'a str)],
    /// What the `Mcp-Name` header says over HTTP.
    pub name: Option<&'a str>,
    pub headers: &'a [(String, String)],
}

/// Writes the usage record when the call ends, however it ends: a dropped call was cancelled.
struct Recorder<'a> {
    caller: &'a Caller,
    tool: &'a ViewTool,
    context: &'a Context,
    bytes: usize,
    started: Instant,
    outcome: Option<(Class, usize, Option<String>)>,
    cached: bool,
}

impl Drop for Recorder<'_> {
    fn drop(&mut self) {
        let (class, result_bytes, error) = self.outcome.take().unwrap_or((Class::Cancelled, 0, None));
        self.caller.record(&Call {
            client: self.context.client.to_string(),
            door: self.context.door,
            profile: self.context.profile.as_ref().map(ToString::to_string),
            server: self.tool.upstream.name().into(),
            tool: self.tool.tool.clone(),
            duration_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            request_bytes: self.bytes as u64,
            result_bytes: result_bytes as u64,
            class,
            error,
            cached: self.cached,
        });
    }
}

fn class_of(outcome: &Result<Reply>) -> (Class, usize, Option<String>) {
    match outcome {
        Ok(reply) if !reply.answer.ok => {
            (Class::Error, reply.answer.body.len(), Some(codes::UPSTREAM_ERROR.code.into()))
        }
        Ok(reply) if says_error(&reply.answer.body) => (Class::ToolError, reply.answer.body.len(), None),
        Ok(reply) => (Class::Ok, reply.answer.body.len(), None),
        Err(error) if error.kind() == Kind::TimedOut => (Class::TimedOut, 0, Some(error.code.code.into())),
        Err(error) => (Class::Error, 0, Some(error.code.code.into())),
    }
}

/// Whether a tool's result says `isError` of itself; what it holds may say so of something else.
pub fn says_error(body: &[u8]) -> bool {
    member(body, "isError") == Some("true")
}

/// Headers for arguments that the tool's schema mirrors (`x-mcp-header`).
fn mirrored_headers(tool: &ViewTool, arguments: &str) -> Vec<(String, String)> {
    if tool.mirrored.is_empty() {
        return Vec::new();
    }
    let arguments: serde_json::Value = serde_json::from_str(arguments).unwrap_or_default();
    let value = |path: &[String]| path.iter().try_fold(&arguments, |value, key| value.get(key));
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(_) | serde_json::Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    tool.mirrored.iter().filter_map(|(header, path)| Some((header.clone(), text(value(path)?)?))).collect()
}

/// An error of umcp as a tool result the model can read, rather than an error of the protocol.
pub fn as_tool_result(error: &Error) -> String {
    let mut text = error.to_string();
    for hint in &error.hints {
        text.push_str(&format!("\nhint: {hint}"));
    }
    format!(r#"{{"content":[{{"type":"text","text":{}}}],"isError":true}}"#, quote(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_result_is_told_from_one_that_holds_an_error() {
        for (body, expected) in [
            (r#"{"content":[],"isError":true}"#, true),
            (r#"{"isError" : true}"#, true),
            (r#"{"isError":false}"#, false),
            (r#"{"content":[{"text":"\"isError\":true"}]}"#, false),
            (r#"{"content":[],"structuredContent":{"calls":[{"isError":true}]}}"#, false),
            (r#"{"structuredContent":{"isError":false},"isError":true}"#, true),
            (r"{}", false),
        ] {
            assert_eq!(says_error(body.as_bytes()), expected, "{body}");
        }
    }
}
