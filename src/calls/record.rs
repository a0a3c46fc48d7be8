//! What is left of a call when it has ended, however it ended: a usage record, a record in the audit trail, and a word
//! to those who watch.
//! Rule: on the call's path only what may be gone later is copied; the store's writer thread makes the records of it.

use super::{Caller, Context, Subject, says_error};
use crate::audit;
use crate::clock::Timestamp;
use crate::metrics::meters;
use crate::metrics::spans::{Span, What};
use crate::metrics::trace::Mark;
use crate::usage::{Call, Class, Detail, Door};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Larger arguments are not copied to have their shape told later: it is told at once.
const COPIED: usize = 4 << 10;

/// Told of every call when it has ended. Returns at once.
pub(super) type Watcher = Box<dyn Fn(Timestamp, &Ended<'_>) + Send + Sync>;

/// A call that has ended, for those who watch.
pub struct Ended<'a> {
    pub client: &'a str,
    /// Empty for umcp's own tools.
    pub server: &'a str,
    pub tool: &'a str,
    pub class: Class,
    pub duration_us: u64,
}

/// The arguments, or what is left of them.
enum Arguments {
    Text(String),
    Shape(String),
    /// They are told of nowhere.
    Untold,
}

impl Arguments {
    fn of(text: &str) -> Self {
        if text.len() > COPIED { Self::Shape(audit::shape::shape(text)) } else { Self::Text(text.into()) }
    }

    fn shape(self) -> Option<Box<RawValue>> {
        let shape = match self {
            Self::Text(text) => audit::shape::shape(&text),
            Self::Shape(shape) => shape,
            Self::Untold => return None,
        };
        Some(RawValue::from_string(shape).unwrap_or_default())
    }
}

/// What is known of a call, as little worked on as can be.
pub(super) struct Note {
    client: Arc<str>,
    token: Option<Arc<str>>,
    door: Door,
    profile: Option<Arc<str>>,
    server: String,
    tool: String,
    /// `prompt`, `resource` or `completion`; empty for a tool.
    kind: &'static str,
    arguments: Arguments,
    request_bytes: u64,
    /// What the policy said, and its rule.
    pub decision: &'static str,
    pub rule: Option<String>,
    class: Class,
    result_bytes: u64,
    pub error: Option<&'static str>,
    duration_us: u64,
    cached: bool,
    session: u64,
    mark: Mark,
    run: Option<Arc<str>>,
    /// With every wait; `duration_us` is what the server took.
    whole_us: u64,
}

impl Note {
    /// A call that failed; the caller says what it knows better.
    pub fn new(context: &Context, (server, tool): (&str, &str), arguments: &str) -> Self {
        Self {
            client: context.client.clone(),
            token: context.token.as_ref().map(|pass| pass.name().clone()),
            door: context.door,
            profile: context.profile.clone(),
            server: server.into(),
            tool: tool.into(),
            kind: "",
            arguments: Arguments::of(arguments),
            request_bytes: arguments.len() as u64,
            decision: "allow",
            rule: None,
            class: Class::Error,
            result_bytes: 0,
            error: None,
            duration_us: 0,
            cached: false,
            session: context.session,
            mark: context.mark,
            run: context.run.clone(),
            whole_us: 0,
        }
    }

    fn measured(&self) -> meters::Ended<'_> {
        let refused = self.decision == "refused";
        meters::Ended {
            server: &self.server,
            tool: if self.kind.is_empty() { &self.tool } else { self.kind },
            client: &self.client,
            result: if refused { "refused" } else { self.class.word() },
            duration_us: self.duration_us,
            request_bytes: self.request_bytes,
            result_bytes: self.result_bytes,
            cached: self.cached,
        }
    }

    /// The span, but for its arguments, which are told with the records.
    fn span(&self, ended: Timestamp) -> Span {
        let name = match (self.server.as_str(), self.kind) {
            ("", _) => self.tool.clone(),
            (server, "") => format!("{server}.{}", self.tool),
            (server, kind) => format!("{server} {kind} {}", self.tool),
        };
        let duration_us = self.whole_us.max(self.duration_us);
        Span {
            what: What::Call,
            name,
            started: Timestamp(ended.0.saturating_sub(duration_us)),
            duration_us,
            server_us: (!self.server.is_empty() && self.decision != "refused").then_some(self.duration_us),
            client: self.client.to_string(),
            door: self.door.word().into(),
            result: self.measured().result.into(),
            error: self.error.map(Into::into),
            run: self.run.as_deref().map(Into::into),
            request_bytes: self.request_bytes,
            result_bytes: self.result_bytes,
            ..Span::of(&self.mark)
        }
    }

    /// The records: that of the usage, which is that of tools, and that of the audit trail where there is one.
    fn records(self) -> (Option<Call>, Option<audit::Event>) {
        let event = self.arguments.shape().map(|arguments| {
            audit::Event::Call(Box::new(audit::Call {
                client: self.client.to_string(),
                token: self.token.as_deref().map(Into::into),
                door: self.door.word().into(),
                server: self.server.clone(),
                tool: self.tool.clone(),
                kind: self.kind.into(),
                decision: self.decision.into(),
                rule: self.rule,
                outcome: self.class.word().into(),
                error: self.error.map(Into::into),
                arguments,
                result_bytes: self.result_bytes,
                duration_us: self.duration_us,
            }))
        });
        // Nothing was called for what was refused, nor for umcp's own tools.
        let called = self.decision != "refused" && !self.server.is_empty();
        let call = Call {
            client: self.client.to_string(),
            door: self.door,
            profile: self.profile.as_deref().map(Into::into),
            server: self.server,
            tool: self.tool,
            duration_us: self.duration_us,
            request_bytes: self.request_bytes,
            result_bytes: self.result_bytes,
            class: self.class,
            error: self.error.map(Into::into),
            cached: self.cached,
            detail: Detail {
                session: self.session,
                user: self.token.as_deref().map(Into::into),
                api_calls: (!called).then_some(0),
                ..Detail::default()
            },
        };
        (self.kind.is_empty().then_some(call), event)
    }
}

impl Caller {
    /// Sets who is told of every call; once.
    pub fn watch(&self, watcher: impl Fn(Timestamp, &Ended<'_>) + Send + Sync + 'static) {
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
        let mut note = Note::new(context, ("", tool), "");
        note.arguments = Arguments::Untold;
        note.class = if says_error(result) { Class::ToolError } else { Class::Ok };
        (note.request_bytes, note.result_bytes) = (arguments as u64, result.len() as u64);
        note.duration_us = micros(started);
        self.record(note);
    }

    pub(super) fn record(&self, mut note: Note) {
        let shared = &self.world.shared;
        let now = shared.engine.now();
        let is_tool = note.kind.is_empty();
        self.calls.fetch_add(u64::from(is_tool), Relaxed);
        if let Some(watcher) = self.watcher.get().filter(|_| is_tool) {
            let Note { client, server, tool, class, duration_us, .. } = &note;
            let ended = Ended { client, server, tool, class: *class, duration_us: *duration_us };
            watcher(now, &ended);
        }
        if !shared.settings.audit.calls {
            note.arguments = Arguments::Untold;
        }
        let audited = !matches!(note.arguments, Arguments::Untold);
        let measures = self.measures.clone();
        shared.engine.append_call(now, audited, move || {
            measures.meters.called(&note.measured());
            let span = note.span(now);
            let (call, event) = note.records();
            let arguments = match &event {
                Some(audit::Event::Call(call)) => Some(call.arguments.clone()),
                _ => None,
            };
            measures.spans.push(Span { arguments, ..span });
            (call, event)
        });
    }
}

pub(super) fn micros(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Leaves the records when the call ends, however it ends: a dropped call was cancelled.
pub(super) struct Recorder<'a> {
    caller: &'a Caller,
    subject: Subject<'a>,
    /// What it is, in the audit trail; nothing for a tool.
    what: &'static str,
    pub context: &'a Context,
    pub arguments: &'a str,
    /// What the policy said, and its rule.
    pub decision: (&'static str, Option<String>),
    pub started: Instant,
    /// Before any wait.
    began: Instant,
    /// Bytes of the result, and the code of the error.
    pub outcome: Option<(Class, usize, Option<&'static str>)>,
    pub cached: bool,
}

impl<'a> Recorder<'a> {
    pub fn new(
        caller: &'a Caller,
        subject: Subject<'a>,
        what: &'static str,
        arguments: &'a str,
        context: &'a Context,
    ) -> Self {
        let now = Instant::now();
        Self {
            caller,
            subject,
            what,
            context,
            arguments,
            decision: ("allow", None),
            started: now,
            began: now,
            outcome: None,
            cached: false,
        }
    }
}

impl Drop for Recorder<'_> {
    fn drop(&mut self) {
        let path = (self.subject.upstream.name(), self.subject.recorded);
        let mut note = Note::new(self.context, path, self.arguments);
        note.kind = self.what;
        let (class, result_bytes, error) = self.outcome.take().unwrap_or((Class::Cancelled, 0, None));
        (note.class, note.result_bytes, note.error) = (class, result_bytes as u64, error);
        (note.decision, note.rule) = std::mem::take(&mut self.decision);
        (note.duration_us, note.cached) = (micros(self.started), self.cached);
        note.whole_us = micros(self.began);
        self.caller.record(note);
    }
}
