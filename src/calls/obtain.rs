//! Prompts and resources on the call path, and what is left of earlier calls: results of tasks, stored results. The policy
//! decides about all of them as it does about tools.

use super::guard::Refused;
use super::record::Recorder;
use super::{Caller, Context, Params, Relayed, Reply, Subject, class_of, veil};
use crate::error::{Error, Result};
use crate::policy::rules::decide::Gate;
use crate::policy::rules::{Kind, redact};
use crate::upstream::view::{Denied, ViewTool};
use crate::usage::Class;
use std::time::Instant;

/// A prompt or a resource on its way through [`Caller::obtain`].
#[derive(Clone, Copy)]
pub struct Item<'a> {
    pub subject: Subject<'a>,
    /// `prompt`, `resource` or `completion`, as records have it.
    pub what: &'static str,
    pub gate: Option<&'a Gate>,
    /// What the policy sees of the arguments, as JSON text.
    pub arguments: &'a str,
}

impl Caller {
    /// Uses a prompt or a resource. The policy decides as it does about tools, and the audit trail has it.
    pub async fn obtain(&self, item: &Item<'_>, request: Relayed<'_>, context: &Context) -> Result<Reply> {
        let Item { subject, arguments, what, gate } = *item;
        let mut recorder = Recorder::new(self, subject, what, arguments, context);
        let Some(gate) = gate else {
            let outcome = self.relay(subject.upstream, request, context).await;
            recorder.outcome = Some(class_of(&outcome));
            return outcome;
        };
        let call = self.passing(gate, subject, arguments, request.params, context);
        let passed = self.pass(&call, &mut recorder).await?;
        let veiled = veil::over(context, &passed);
        recorder.started = Instant::now();
        let outcome = self.relay(subject.upstream, request, veiled.as_ref().unwrap_or(context)).await;
        recorder.outcome = Some(class_of(&outcome));
        self.guard.release(&call, &passed, outcome.map_err(|error| passed.hide_in(error))?)
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
        let arguments = params.raw("arguments").unwrap_or("{}");
        let call = self.passing(gate, Subject::of(tool), arguments, params, context);
        self.guard.release_later(&call, reply)
    }

    /// The stored result of a call, without what may not pass now; an error where the call would be denied now.
    pub fn release_stored(
        &self,
        tool: &ViewTool,
        arguments: &str,
        text: String,
        context: &Context,
    ) -> Result<String> {
        let Some(gate) = &tool.gate else { return Ok(text) };
        let params = Params::default();
        let call = self.passing(gate, Subject::of(tool), arguments, &params, context);
        if let Some(refused) = self.guard.denies(&call) {
            return Err(refused.error);
        }
        let rules: Vec<_> = gate.redactions().cloned().collect();
        Ok(redact::redact_text(&text, &rules).unwrap_or(text))
    }

    /// Whether the policy as it is now keeps a client from hearing of something it may read.
    pub fn denies(&self, item: &Item<'_>, context: &Context) -> Option<Error> {
        let params = Params::default();
        let call = self.passing(item.gate?, item.subject, item.arguments, &params, context);
        self.guard.denies(&call).map(|refused| refused.error)
    }

    /// Refuses what the policy does not even list.
    pub fn refuse(&self, denied: &Denied, arguments: &str, context: &Context) -> Error {
        let refused = Refused { error: denied.error(&context.client), rule: denied.rule() };
        let what = if denied.kind.is_tool() { "" } else { denied.kind.word() };
        let name = if denied.kind == Kind::Resource { &denied.exposed } else { &denied.tool };
        let subject =
            Subject { upstream: &denied.upstream, kind: denied.kind, name, recorded: name, json: "" };
        let mut recorder = Recorder::new(self, subject, what, arguments, context);
        recorder.decision = ("refused", refused.rule);
        recorder.outcome = Some((Class::Error, 0, Some(refused.error.code.code)));
        refused.error
    }
}
