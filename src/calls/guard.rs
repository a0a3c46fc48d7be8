//! Carries out what the policy decides about one call: refuses it, asks for it, bounds it, and takes out of its
//! result what must not pass. What is decided stands in the noun `policy`; here is only what has to be remembered.
//! Long because before a call, at its question and after it the same memory is needed.

use super::approvals::{Answered, Desk, Key};
use super::memory::{Counted, Memory, Who};
use super::{Context, Params, Reply};
use crate::audit;
use crate::clock::Timestamp;
use crate::engine::live::Approval;
use crate::error::{Error, Result, codes};
use crate::policy::rules::compile::Compiled;
use crate::policy::rules::decide::{Called, Caller, Circumstances, Decision, Gate, Passage, hints_of};
use crate::policy::rules::model::Hints;
use crate::policy::rules::redact;
use crate::policy::rules::{Effect, Kind};
use crate::tools::Era;
use crate::upstream::link::{Ask, Listener};
use crate::upstream::message::{Answer, quote};
use crate::upstream::view::{ViewTool, refusal};
use crate::upstream::{Happening, Shared, Upstream, World};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// What "for a while" means where the client's user answers.
const WHILE_MS: u64 = 600_000;
/// Characters of arguments that a question shows.
const SHOWN: usize = 2_000;
const CHOICES: [&str; 3] = ["allow once", "allow for 10 minutes", "deny"];

/// What has to be remembered between calls.
#[derive(Default)]
pub struct Guard {
    pub desk: Desk,
    memory: Memory,
}

/// A call that may go on, and what to do with its result.
#[derive(Debug, Default)]
pub struct Passed {
    /// Who or what let it through, for the records: `allow`, or how it was approved.
    pub decision: &'static str,
    pub rule: Option<String>,
    pub redactions: Vec<Arc<Compiled>>,
    /// Bytes of the result, and the rule that says so.
    result_bytes: Option<(u64, String)>,
    /// It was asked for and allowed this once.
    once: bool,
}

impl Passed {
    fn by(how: &'static str, decision: &Decision<'_>) -> Self {
        let bytes = |it: &&Arc<Compiled>| Some((it.rule.limit.as_ref()?.result_bytes?, it.rule.name.clone()));
        Self {
            decision: how,
            redactions: decision.redactions.iter().map(|it| Arc::clone(it)).collect(),
            result_bytes: decision.limits.iter().filter_map(bytes).min(),
            ..Self::default()
        }
    }

    /// An error may quote what its server said.
    pub fn hide_in(&self, error: Error) -> Error {
        redact::redact_error(error, &self.redactions)
    }
}

/// A call that may not go on: why, and the rule.
#[derive(Debug)]
pub struct Refused {
    pub error: Error,
    pub rule: Option<String>,
}

/// What is called: a tool, a prompt or a resource of a server.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub upstream: &'a Arc<Upstream>,
    pub kind: Kind,
    /// Its own name, or the URI.
    pub name: &'a str,
    /// What stands for it in records, which hold no values.
    pub recorded: &'a str,
    /// The definition of a tool, for its hints.
    pub json: &'a str,
}

impl<'a> Subject<'a> {
    pub fn of(tool: &'a ViewTool) -> Self {
        let ViewTool { upstream, tool: name, json, .. } = tool;
        Self { upstream, kind: Kind::Tool, name, recorded: name, json }
    }

    /// As a question and a list of grants name it.
    fn shown(&self) -> String {
        match self.kind {
            Kind::Tool => self.name.into(),
            kind => format!("{} {}", kind.word(), self.name),
        }
    }

    fn path(&self) -> String {
        format!("{}.{}", self.upstream.name(), self.name)
    }
}

/// One call on its way through the guard.
pub struct Passing<'a> {
    pub world: &'a World,
    pub shared: &'a Shared,
    pub gate: &'a Gate,
    pub subject: Subject<'a>,
    /// Arguments as JSON text.
    pub arguments: &'a str,
    pub params: &'a Params<'a>,
    pub context: &'a Context,
}

impl Passing<'_> {
    /// Whose call it is, and of what: nobody else's grant or count is its own. A server that was replaced by another
    /// of its name has another id, one that runs something else another fingerprint.
    fn key(&self) -> Key {
        let Subject { upstream, kind, name, .. } = self.subject;
        Key {
            who: self.context.identity.clone(),
            client: self.context.client.clone(),
            server: upstream.id().into(),
            print: upstream.entry.fingerprint(),
            kind,
            name: name.into(),
        }
    }

    /// Counted by the id of the server alone: nothing that changes within it may begin a count anew.
    fn counted(&self, rule: &str) -> Counted {
        let Subject { upstream, kind, name, .. } = self.subject;
        Counted {
            rule: rule.into(),
            server: upstream.id().into(),
            kind,
            name: name.into(),
            who: Some(self.who()),
        }
    }

    fn who(&self) -> Who {
        match self.context.token {
            Some(_) => (true, self.context.identity.clone()),
            None => (false, self.context.client.clone()),
        }
    }

    fn decide<'g>(&self, gate: &'g Gate, used: &BTreeSet<String>, now: Timestamp) -> Decision<'g> {
        gate.decide(&Circumstances { arguments: self.arguments, time: now.local(), used })
    }

    /// What stands before the tool by the policy as it is now; `None` when nothing does any more.
    fn gate_now(&self) -> Result<Option<Arc<Gate>>, Refused> {
        let (client, token) = (self.context.client.clone(), self.context.token.clone());
        let caller = Caller { client, token, profile: self.gate.profile.clone() };
        let Subject { upstream, kind, name, json, .. } = self.subject;
        let hints = if kind.is_tool() { hints_of(json) } else { Hints::default() };
        match self.world.passage(caller, &Called { server: upstream.name(), kind, tool: name, hints }) {
            None | Some(Passage::Open) => Ok(None),
            Some(Passage::Gate(gate)) => Ok(Some(gate)),
            Some(Passage::Closed(rule)) => Err(self.denied(rule.as_deref())),
        }
    }

    fn denied(&self, rule: Option<&Compiled>) -> Refused {
        let Subject { upstream, kind, name, .. } = self.subject;
        let error = refusal(kind, (upstream.name(), name), &self.context.client, rule);
        Refused { error, rule: rule.map(|it| it.rule.name.clone()) }
    }

    fn path(&self) -> String {
        self.subject.path()
    }
}

impl Guard {
    /// Lets a call through, or says why not. Waits where the user has to be asked.
    pub async fn pass(&self, call: &Passing<'_>) -> Result<Passed, Refused> {
        let now = call.shared.engine.now();
        let decision = call.decide(call.gate, &self.memory.used(&call.who(), now), now);
        if decision.effect == Effect::Deny {
            return Err(call.denied(decision.rule.map(Arc::as_ref)));
        }
        self.bound(call, &decision)?;
        let rule = decision.rule.map(|it| it.rule.name.clone());
        if decision.effect != Effect::Ask {
            self.memory.note(&call.who(), &call.context.client, &call.gate.notes, now);
            return Ok(Passed { rule, ..Passed::by("allow", &decision) });
        }
        let asked = self.ask(call, decision.rule, now).await;
        let (how, once) = asked.map_err(|error| Refused { error, rule: rule.clone() })?;
        Ok(Passed { rule, once, ..self.pass_asked(call, how)? })
    }

    /// Decides again once the user has said yes: meanwhile the policy may be another one, and labels were used.
    fn pass_asked(&self, call: &Passing<'_>, how: &'static str) -> Result<Passed, Refused> {
        let now = call.shared.engine.now();
        let Some(gate) = call.gate_now()? else { return Ok(Passed { decision: how, ..Passed::default() }) };
        let decision = call.decide(&gate, &self.memory.used(&call.who(), now), now);
        if decision.effect == Effect::Deny {
            return Err(call.denied(decision.rule.map(Arc::as_ref)));
        }
        self.memory.note(&call.who(), &call.context.client, &gate.notes, now);
        Ok(Passed::by(how, &decision))
    }

    /// What the client gets of a result.
    pub fn release(&self, call: &Passing<'_>, passed: &Passed, reply: Reply) -> Result<Reply> {
        let size = reply.answer.body.len() as u64;
        if let Some((most, rule)) = passed.result_bytes.as_ref().filter(|(most, _)| size > *most) {
            let message =
                format!("the result of `{}` has {size} bytes; the rule `{rule}` allows {most}", call.path());
            return Err(Error::new(&codes::POLICY_DENIED, message).hint("ask for less of it"));
        }
        // Only now, so that no other call goes on in its place while it runs, nor after it failed.
        if passed.once && asks_for_input(&reply) {
            self.desk.goes_on(call.key(), call.arguments, call.shared.engine.now());
        }
        if passed.redactions.is_empty() {
            return Ok(reply);
        }
        match redact::redact(reply.answer.text(), &passed.redactions) {
            Some(body) => Ok(Reply { answer: Answer { ok: reply.answer.ok, body: body.into() }, ..reply }),
            None => Ok(reply),
        }
    }

    /// What the client gets of a later answer to a call that was let through, by the policy as it is now.
    pub fn release_later(&self, call: &Passing<'_>, reply: Reply) -> Result<Reply> {
        let now = call.shared.engine.now();
        // The call itself may have left a label that would deny it now.
        if let Some(refused) = self.denies(call) {
            return Err(refused.error);
        }
        let decision = call.decide(call.gate, &self.memory.used(&call.who(), now), now);
        self.release(call, &Passed::by("allow", &decision), reply)
    }

    /// Whether what a call left behind, or hears without calling, is denied by now. Nobody is asked for it.
    pub fn denies(&self, call: &Passing<'_>) -> Option<Refused> {
        let decision = call.decide(call.gate, &BTreeSet::new(), call.shared.engine.now());
        (decision.effect == Effect::Deny).then(|| call.denied(decision.rule.map(Arc::as_ref)))
    }

    /// Takes back grants, and forgets which labels a client has used; nobody means everybody.
    pub fn forget(&self, client: Option<&str>) {
        self.desk.forget(client);
        self.memory.forget(client);
    }

    fn bound(&self, call: &Passing<'_>, decision: &Decision<'_>) -> Result<(), Refused> {
        for it in &decision.limits {
            let Some(limit) = &it.rule.limit else { continue };
            let refused = |error| Refused { error, rule: Some(it.rule.name.clone()) };
            let arguments = call.arguments;
            let too_much = |what: String| {
                let message =
                    format!("{what}; the rule `{}` forbids that for `{}`", it.rule.name, call.path());
                refused(Error::new(&codes::POLICY_DENIED, message).hint("split the call into smaller ones"))
            };
            if limit.argument_bytes.is_some_and(|most| arguments.len() as u64 > most) {
                return Err(too_much(format!("the arguments have {} bytes", arguments.len())));
            }
            if let Some(depth) =
                limit.depth.map(|_| redact::depth(arguments)).filter(|depth| Some(*depth) > limit.depth)
            {
                return Err(too_much(format!("the arguments are {depth} levels deep")));
            }
            if let (Some(calls), Some(seconds)) = (limit.calls, limit.per_seconds)
                && let Err(wait) =
                    self.memory.count(&call.counted(&it.rule.name), calls, seconds, Instant::now())
            {
                let wait = wait.as_secs() + 1;
                let message = format!(
                    "`{}` was called {calls} times within {seconds} s, which is all the rule `{}` allows",
                    call.path(),
                    it.rule.name
                );
                let error =
                    Error::new(&codes::POLICY_LIMITED, message).hint(format!("try again in {wait} s"));
                return Err(refused(error));
            }
        }
        Ok(())
    }

    /// Asks the user, through every way there is; the first answer counts. Gives how it was allowed, and whether
    /// only this once.
    async fn ask(
        &self,
        call: &Passing<'_>,
        rule: Option<&Arc<Compiled>>,
        now: Timestamp,
    ) -> Result<(&'static str, bool)> {
        let key = call.key();
        let named = (call.subject.upstream.name().to_string(), call.subject.shown());
        if self.desk.is_granted(&key, now) {
            return Ok(("granted", false));
        }
        let goes_on =
            call.params.raw("requestState").is_some() || call.params.raw("inputResponses").is_some();
        if goes_on && self.desk.take_going_on(&key, call.arguments, now) {
            return Ok(("approved", true));
        }
        let patience = call.shared.settings.policy.ask_timeout_ms;
        let approval = question(call, rule, now, now.plus_ms(patience));
        let mut waiting = self.desk.put(approval.clone(), crate::ids::random_number);
        let approval = Approval { id: waiting.id, ..approval };
        let (client, server, tool) =
            (approval.client.clone(), approval.server.clone(), approval.tool.clone());
        call.shared.happened(Happening::Approval { id: waiting.id, client, server, tool });
        let mut elicited = None;
        if let Some(listener) = &call.context.listener {
            elicited = elicit(listener.as_ref(), &approval, call.shared.settings.policy.ask_clients);
        }
        let answered = tokio::time::timeout(Duration::from_millis(patience), async {
            tokio::select! {
                biased;
                Ok(answered) = &mut waiting.answer => answered,
                Some(answered) = by_client(&mut elicited) => answered,
                else => Answered { allow: false, for_ms: None, by: "nobody" },
            }
        });
        let answered = answered.await;
        let (client, server, tool) =
            (approval.client.clone(), approval.server.clone(), approval.tool.clone());
        let said = answered.as_ref().ok();
        call.shared.engine.audit(audit::Event::Approval {
            client,
            server,
            tool,
            rule: approval.rule.clone(),
            allowed: said.is_some_and(|it| it.allow),
            for_ms: said.and_then(|it| it.for_ms),
            by: said.map_or("nobody", |it| it.by).into(),
        });
        let Ok(answered) = answered else {
            let message = format!("nobody approved `{}` for `{}` in time", call.path(), approval.client);
            return Err(Error::new(&codes::NOT_APPROVED, message)
                .hint("while a call waits, the user answers it: umcp approve list"));
        };
        if !answered.allow {
            let message = format!("the user did not approve `{}` for `{}`", call.path(), approval.client);
            return Err(Error::new(&codes::NOT_APPROVED, message));
        }
        let now = call.shared.engine.now();
        if let Some(time) = answered.for_ms {
            self.desk.grant(key, named, now, now.plus_ms(time));
        }
        let how = if answered.by == "client" { "approved by client" } else { "approved" };
        Ok((how, answered.for_ms.is_none()))
    }
}

fn question(call: &Passing<'_>, rule: Option<&Arc<Compiled>>, now: Timestamp, until: Timestamp) -> Approval {
    Approval {
        id: 0,
        client: call.context.client.to_string(),
        server: call.subject.upstream.name().into(),
        tool: call.subject.shown(),
        arguments: shown(call.arguments),
        rule: rule.map(|it| it.rule.name.clone()),
        reason: rule.and_then(|it| it.rule.reason.clone()),
        since: now,
        until,
    }
}

/// Arguments as a question shows them: what could hide something is spelled out, what is long is cut.
fn shown(arguments: &str) -> String {
    let mut text = String::new();
    for (count, c) in arguments.chars().enumerate() {
        if count == SHOWN {
            text.push_str(" […]");
            break;
        }
        let hides = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
        match hides {
            true => text.extend(c.escape_unicode()),
            false => text.push(c),
        }
    }
    text
}

/// Puts the question to the client: to a command line as a notification, to others as an elicitation.
fn elicit(
    listener: &dyn Listener,
    approval: &Approval,
    ask_clients: bool,
) -> Option<oneshot::Receiver<Answer>> {
    listener.notify(super::APPROVAL, &serde_json::to_string(approval).unwrap_or_default());
    if !ask_clients {
        return None;
    }
    let Approval { client, server, tool, arguments, rule, reason, .. } = approval;
    let by =
        rule.as_ref().map_or("the policy's default asks".into(), |rule| format!("the rule `{rule}` asks"));
    let why = reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    let what = match tool.split_once(' ') {
        Some((kind @ ("prompt" | "resource"), name)) => format!("use the {kind} {server}.{name}"),
        _ => format!("call {server}.{tool}"),
    };
    let message = format!("umcp: may `{client}` {what}? ({by}{why})\narguments: {arguments}");
    let schema = format!(
        r#"{{"type":"object","properties":{{"decision":{{"type":"string","title":"Decision","enum":{}}}}},"required":["decision"]}}"#,
        serde_json::json!(CHOICES)
    );
    let params = format!(r#"{{"mode":"form","message":{},"requestedSchema":{schema}}}"#, quote(&message));
    let (reply, answer) = oneshot::channel();
    listener.ask(Ask { method: "elicitation/create".into(), params, reply });
    Some(answer)
}

/// The client's answer; `None` when it could not be asked, which leaves the other ways.
async fn by_client(elicited: &mut Option<oneshot::Receiver<Answer>>) -> Option<Answered> {
    let answer = match elicited {
        Some(answer) => answer.await.ok().filter(|answer| answer.ok)?,
        None => return None,
    };
    let result = answer.json();
    let decision = result["content"]["decision"].as_str().unwrap_or_default();
    let allow = result["action"] == "accept" && CHOICES[..2].contains(&decision);
    Some(Answered { allow, for_ms: (decision == CHOICES[1]).then_some(WHILE_MS), by: "client" })
}

/// Whether the result is a question of the server rather than the end of the call.
fn asks_for_input(reply: &Reply) -> bool {
    reply.era == Era::Modern
        && memchr::memmem::find(&reply.answer.body, b"input_required").is_some()
        && reply.answer.json()["resultType"] == "input_required"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_spelled_out_and_what_is_long_is_cut() {
        assert_eq!(shown("{\"a\":\"\u{202e}x\u{7}\"}"), "{\"a\":\"\\u{202e}x\\u{7}\"}");
        let long = shown(&"é".repeat(3000));
        assert_eq!((long.chars().count(), long.ends_with("[…]")), (SHOWN + 4, true));
    }
}
