//! THE call path. Whatever runs something goes through [`Caller`]: policy, cache, bounds, server, records, in this
//! order, once. A backend only knows how to do the work.

pub mod approvals;
pub mod cache;
pub mod context;
pub mod guard;
mod memory;
mod obtain;
pub mod quotas;
mod record;
pub mod results;
pub mod runner;
mod veil;

use crate::error::{Error, Kind, Result, codes};
use crate::metrics::Measures;
use crate::metrics::trace::TRACEPARENT;
use crate::policy::rules::decide::Gate;
use crate::tools::Era;
use crate::upstream::link::Outgoing;
use crate::upstream::message::{Answer, member, quote};
use crate::upstream::view::ViewTool;
use crate::upstream::{Upstream, World};
use crate::usage::Class;
use cache::Cache;
pub use context::{Context, Params};
pub use guard::Subject;
use guard::{Guard, Passed, Passing};
pub use obtain::Item;
use quotas::{Quotas, Ticket};
pub use record::Ended;
use record::{Recorder, Watcher};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// The notification that tells a listener of ours that its call waits for the user; it never leaves umcp.
pub const APPROVAL: &str = "umcp/approval";

/// Makes calls and records them.
pub struct Caller {
    pub world: Arc<World>,
    cache: Cache,
    pub guard: Guard,
    pub quotas: Quotas,
    /// Calls since the daemon started.
    pub calls: AtomicU64,
    /// The same told apart, and the last ones, once their records are made.
    pub measures: Arc<Measures>,
    watcher: OnceLock<Watcher>,
}

/// An answer, with the era it is in.
#[derive(Debug, Clone)]
pub struct Reply {
    pub answer: Answer,
    pub era: Era,
}

impl Caller {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        let (cache, guard, quotas) = (Cache::default(), Guard::default(), Quotas::default());
        // A store that cannot be read is told to the next one who asks it.
        let _ = quotas.reload(&world.shared.engine);
        let (calls, measures, watcher) = (AtomicU64::new(0), Arc::default(), OnceLock::new());
        Arc::new(Self { world, cache, guard, quotas, calls, measures, watcher })
    }

    /// Calls a tool of a view. `params` are those of `tools/call` as the client sent them.
    pub async fn call(&self, tool: &ViewTool, params: &Params<'_>, context: &Context) -> Result<Reply> {
        let arguments = params.raw("arguments").unwrap_or("{}");
        let mut recorder = Recorder::new(self, Subject::of(tool), "", arguments, context);
        let Some(gate) = &tool.gate else { return self.run(tool, params, &mut recorder, context).await };
        let call = self.passing(gate, Subject::of(tool), arguments, params, context);
        let passed = self.pass(&call, &mut recorder).await?;
        let veiled = veil::over(context, &passed);
        let reply = self.run(tool, params, &mut recorder, veiled.as_ref().unwrap_or(context)).await;
        self.guard.release(&call, &passed, reply.map_err(|error| passed.hide_in(error))?)
    }

    async fn pass(&self, call: &Passing<'_>, recorder: &mut Recorder<'_>) -> Result<Passed> {
        // What a call is recorded with that its client gives up while it waits.
        recorder.decision = ("unanswered", None);
        match self.guard.pass(call).await {
            Ok(passed) => {
                recorder.decision = (passed.decision, passed.rule.clone());
                Ok(passed)
            }
            Err(refused) => {
                recorder.decision = ("refused", refused.rule);
                recorder.outcome = Some((Class::Error, 0, Some(refused.error.code.code)));
                Err(refused.error)
            }
        }
    }

    fn passing<'a>(
        &'a self,
        gate: &'a Gate,
        subject: Subject<'a>,
        arguments: &'a str,
        params: &'a Params<'a>,
        context: &'a Context,
    ) -> Passing<'a> {
        Passing { world: &self.world, shared: &self.world.shared, gate, subject, arguments, params, context }
    }

    /// Runs a call that may run, within the quotas if there are any.
    async fn run(
        &self,
        tool: &ViewTool,
        params: &Params<'_>,
        recorder: &mut Recorder<'_>,
        context: &Context,
    ) -> Result<Reply> {
        match self.quotas.any() {
            // In a box, so that the call of somebody without quotas is no larger for them.
            true => Box::pin(self.run_counted(tool, params, recorder, context)).await,
            false => self.run_free(tool, params, recorder, context).await,
        }
    }

    async fn run_counted(
        &self,
        tool: &ViewTool,
        params: &Params<'_>,
        recorder: &mut Recorder<'_>,
        context: &Context,
    ) -> Result<Reply> {
        let mut ticket = self.ticket(tool, recorder, context).await?;
        let reply = self.run_free(tool, params, recorder, context).await;
        if let Some((class, bytes, _)) = recorder.outcome {
            (ticket.call.class, ticket.call.result_bytes) = (class, bytes as u64);
        }
        ticket.call.cached = recorder.cached;
        ticket.call.duration_us = record::micros(recorder.started);
        reply.map(|reply| ticket.marked(reply))
    }

    async fn ticket(
        &self,
        tool: &ViewTool,
        recorder: &mut Recorder<'_>,
        context: &Context,
    ) -> Result<Ticket<'_>> {
        let engine = &self.world.shared.engine;
        let entered = self.quotas.enter(engine, Subject::of(tool), recorder.arguments.len(), context).await;
        entered.inspect_err(|error| {
            recorder.decision.0 = "refused";
            recorder.outcome = Some((Class::Error, 0, Some(error.code.code)));
        })
    }

    async fn run_free(
        &self,
        tool: &ViewTool,
        params: &Params<'_>,
        recorder: &mut Recorder<'_>,
        context: &Context,
    ) -> Result<Reply> {
        let Recorder { arguments, .. } = *recorder;
        // The wait for a person is no time of the server.
        recorder.started = Instant::now();
        let key = |ttl| {
            let seat = tool.upstream.seat(context.session, &context.whose).ok()?;
            Some((ttl, Cache::key(&tool.upstream.entry, &tool.tool, params, &seat)?))
        };
        let key = tool.cache_ms.filter(|_| !tool.upstream.is_told_the_caller()).and_then(key);
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
        let running = upstream.connect_at(upstream.seat(context.session, &context.whose)?).await?;
        let era = running.agreement.era;
        let id = running.connection.next_id();
        let mut meta = context.meta(request.params.meta(), era, id);
        if upstream.is_told_the_caller() {
            meta = context.with_caller(meta);
        }
        let mut traced = None;
        if context.mark.told || upstream.is_inside() {
            let traceparent = context.mark.traceparent();
            meta = with_member(meta, TRACEPARENT, &traceparent);
            let header = std::iter::once((TRACEPARENT.to_string(), traceparent));
            traced = Some(request.headers.iter().cloned().chain(header).collect::<Vec<_>>());
        }
        let params = request.params.forward(request.replaced, &meta);
        if upstream.is_inside() {
            check_escapes(&params)?;
        }
        let outgoing = Outgoing {
            id,
            method: request.method,
            params: &params,
            listener: context.listener.clone(),
            timeout: context.timeout.unwrap_or(upstream.bounds.call),
            name: request.name,
            headers: traced.as_deref().unwrap_or(request.headers),
        };
        let outcome = running.connection.request(outgoing).await;
        // A server may repeat the key it was given in its complaint about it.
        let outcome = outcome.map_err(|error| self.world.shared.known.hide_in(error));
        upstream.went(&running, outcome.as_ref().map(|_| ()));
        let answer = outcome.map_err(|error| upstream.named(error))?;
        Ok(Reply { answer, era })
    }
}

/// An object as text with one more member, a plain word; nothing stands for an empty object.
fn with_member(object: String, key: &str, word: &str) -> String {
    match object.strip_suffix('}') {
        None => format!(r#"{{"{key}":"{word}"}}"#),
        Some(rest) => format!(r#"{rest},"{key}":"{word}"}}"#),
    }
}

/// Refuses half a surrogate pair, which passes as the text of JSON and which a server of ours could not read: it would
/// leave the call without an answer.
fn check_escapes(params: &str) -> Result<()> {
    let strange = |error: serde_json::Error| {
        Error::new(&codes::ARGUMENTS_INVALID, "the arguments hold an escape that is no text").because(error)
    };
    match params.contains("\\u") {
        true => serde_json::from_str::<serde_json::Value>(params).map(drop).map_err(strange),
        false => Ok(()),
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

fn class_of(outcome: &Result<Reply>) -> (Class, usize, Option<&'static str>) {
    match outcome {
        Ok(reply) if !reply.answer.ok => {
            (Class::Error, reply.answer.body.len(), Some(codes::UPSTREAM_ERROR.code))
        }
        Ok(reply) if says_error(&reply.answer.body) => (Class::ToolError, reply.answer.body.len(), None),
        Ok(reply) => (Class::Ok, reply.answer.body.len(), None),
        Err(error) if error.kind() == Kind::TimedOut => (Class::TimedOut, 0, Some(error.code.code)),
        Err(error) => (Class::Error, 0, Some(error.code.code)),
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
    fn half_a_pair_is_no_text() {
        for (params, good) in [
            (r#"{"a":"x"}"#, true),
            (r#"{"a":"\u00e4 \ud83e\udd80"}"#, true),
            (r#"{"a":"\ud800"}"#, false),
            (r#"{"\udc00":1}"#, false),
        ] {
            assert_eq!(check_escapes(params).is_ok(), good, "{params}");
        }
    }

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
