//! THE call path. Whatever runs something goes through [`Caller`]: policy, cache, bounds, server, records, in this
//! order, once. A backend only knows how to do the work.

pub mod approvals;
pub mod cache;
pub mod context;
pub mod guard;
pub mod results;
pub mod runner;

use crate::audit;
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result, codes};
use crate::tools::Era;
use crate::upstream::link::Outgoing;
use crate::upstream::message::{Answer, member, quote};
use crate::upstream::view::{Denied, ViewTool};
use crate::upstream::{Upstream, World};
use crate::usage::{CALLS, Call, Class};
use cache::Cache;
pub use context::{Context, Params};
use guard::{Guard, Passing, Refused};
use serde_json::value::RawValue;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// The notification that tells a listener of ours that its call waits for the user; it never leaves umcp.
pub const APPROVAL: &str = "umcp/approval";

/// Makes calls and records them.
pub struct Caller {
    pub world: Arc<World>,
    cache: Cache,
    pub guard: Guard,
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
        let (cache, guard) = (Cache::default(), Guard::default());
        Arc::new(Self { world, cache, guard, calls: AtomicU64::new(0), watcher: OnceLock::new() })
    }

    /// Calls a tool of a view. `params` are those of `tools/call` as the client sent them.
    pub async fn call(&self, tool: &ViewTool, params: &Params<'_>, context: &Context) -> Result<Reply> {
        let mut recorder = Recorder::new(self, tool, params, context);
        let Some(gate) = &tool.gate else { return self.run(params, &mut recorder).await };
        let call = Passing { world: &self.world, shared: &self.world.shared, gate, tool, params, context };
        // What a call is recorded with that its client gives up while it waits.
        recorder.decision = ("unanswered", None);
        match self.guard.pass(&call).await {
            Ok(passed) => {
                recorder.decision = (passed.decision, passed.rule.clone());
                let reply = self.run(params, &mut recorder).await?;
                self.guard.release(&call, &passed, reply)
            }
            Err(refused) => {
                recorder.decision = ("refused", refused.rule);
                recorder.outcome = Some((Class::Error, 0, Some(refused.error.code.code.into())));
                Err(refused.error)
            }
        }
    }

    /// What the client gets of what a server tells later of a call, such as the result of a task.
    pub fn release_later(
        &self,
        tool: &ViewTool,
        params: &Params<'_>,
        context: &Context,
        reply: Reply,
    ) -> Result<Reply> {
        let Some(gate) = &tool.gate else { return Ok(reply) };
        let call = Passing { world: &self.world, shared: &self.world.shared, gate, tool, params, context };
        self.guard.release_later(&call, reply)
    }

    /// Refuses a call of a tool that the policy does not even list.
    pub fn refuse(&self, denied: &Denied, params: &Params<'_>, context: &Context) -> Error {
        let refused = Refused { error: denied.error(&context.client), rule: denied.rule() };
        let path = (denied.upstream.name(), denied.tool.as_str());
        self.record_refused(path, params, Instant::now(), &refused, context);
        refused.error
    }

    fn record_refused(
        &self,
        (server, tool): (&str, &str),
        params: &Params<'_>,
        started: Instant,
        refused: &Refused,
        context: &Context,
    ) {
        let arguments = params.raw("arguments").unwrap_or("{}");
        let call = Call {
            client: context.client.to_string(),
            door: context.door,
            profile: context.profile.as_ref().map(ToString::to_string),
            server: server.into(),
            tool: tool.into(),
            duration_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            request_bytes: arguments.len() as u64,
            result_bytes: 0,
            class: Class::Error,
            error: Some(refused.error.code.code.into()),
            cached: false,
        };
        self.audit(&call, ("refused", refused.rule.as_deref()), arguments, context);
        self.record(&call);
    }

    /// Leaves a record in the audit trail.
    fn audit(&self, call: &Call, (decision, rule): (&str, Option<&str>), arguments: &str, context: &Context) {
        let shared = &self.world.shared;
        if !shared.settings.audit.calls {
            return;
        }
        let shape = RawValue::from_string(audit::shape::shape(arguments));
        shared.engine.audit(audit::Event::Call(Box::new(audit::Call {
            client: call.client.clone(),
            token: context.token.as_ref().map(ToString::to_string),
            door: call.door.word().into(),
            server: call.server.clone(),
            tool: call.tool.clone(),
            decision: decision.into(),
            rule: rule.map(Into::into),
            outcome: call.class.word().into(),
            error: call.error.clone(),
            arguments: shape.unwrap_or_default(),
            result_bytes: call.result_bytes,
            duration_us: call.duration_us,
        })));
    }

    /// Runs a call that may run.
    async fn run(&self, params: &Params<'_>, recorder: &mut Recorder<'_>) -> Result<Reply> {
        let Recorder { tool, context, arguments, .. } = *recorder;
        // The wait for a person is no time of the server.
        recorder.started = Instant::now();
        let key = |ttl| Some((ttl, Cache::key(&tool.upstream.entry, &tool.tool, params, context.session)?));
        let key = tool.cache_ms.and_then(key);
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
        // A server may repeat the key it was given in its complaint about it.
        let outcome = outcome.map_err(|error| self.world.shared.known.hide_in(error));
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
    arguments: &'a str,
    /// What the policy said, and its rule.
    decision: (&'static str, Option<String>),
    started: Instant,
    outcome: Option<(Class, usize, Option<String>)>,
    cached: bool,
}

impl<'a> Recorder<'a> {
    fn new(caller: &'a Caller, tool: &'a ViewTool, params: &'a Params<'_>, context: &'a Context) -> Self {
        Self {
            caller,
            tool,
            context,
            arguments: params.raw("arguments").unwrap_or("{}"),
            decision: ("allow", None),
            started: Instant::now(),
            outcome: None,
            cached: false,
        }
    }
}

impl Drop for Recorder<'_> {
    fn drop(&mut self) {
        let (class, result_bytes, error) = self.outcome.take().unwrap_or((Class::Cancelled, 0, None));
        let call = Call {
            client: self.context.client.to_string(),
            door: self.context.door,
            profile: self.context.profile.as_ref().map(ToString::to_string),
            server: self.tool.upstream.name().into(),
            tool: self.tool.tool.clone(),
            duration_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            request_bytes: self.arguments.len() as u64,
            result_bytes: result_bytes as u64,
            class,
            error,
            cached: self.cached,
        };
        let decision = (self.decision.0, self.decision.1.as_deref());
        self.caller.audit(&call, decision, self.arguments, self.context);
        self.caller.record(&call);
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
