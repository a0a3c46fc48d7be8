//! Carries out what the policy decides about one call: refuses it, asks for it, bounds it, and takes out of its
//! result what must not pass. What is decided stands in the noun `policy`; here is only what has to be remembered.
//! Long because before a call, at its question and after it the same memory is needed.

use super::approvals::{Answered, Desk, Key};
use super::{Context, Params, Reply};
use crate::audit;
use crate::clock::Timestamp;
use crate::engine::live::Approval;
use crate::error::{Error, Result, codes};
use crate::policy::rate::{Buckets, Rate};
use crate::policy::rules::Effect;
use crate::policy::rules::compile::Compiled;
use crate::policy::rules::decide::{Caller, Circumstances, Decision, Gate, Passage};
use crate::policy::rules::redact;
use crate::tools::Era;
use crate::upstream::link::{Ask, Listener};
use crate::upstream::message::{Answer, quote};
use crate::upstream::view::{ViewTool, refusal};
use crate::upstream::{Happening, Shared, World};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Use of a label counts for rules with `after` for this long.
const MEMORY_MS: u64 = 3_600_000;
/// What "for a while" means where the client's user answers.
const WHILE_MS: u64 = 600_000;
/// Clients, and counters of calls, kept at once.
const MOST: usize = 10_000;
/// Characters of arguments that a question shows.
const SHOWN: usize = 2_000;
const CHOICES: [&str; 3] = ["allow once", "allow for 10 minutes", "deny"];

/// Label -> when a tool with it was last called.
type Trail = BTreeMap<String, Timestamp>;
/// Rule, client, server, tool.
type Counter = (String, Arc<str>, String, String);

/// What has to be remembered between calls.
#[derive(Default)]
pub struct Guard {
    pub desk: Desk,
    trails: Mutex<HashMap<Arc<str>, Trail>>,
    counters: Mutex<Option<Buckets<Counter>>>,
}

/// A call that may go on, and what to do with its result.
#[derive(Debug, Default)]
pub struct Passed {
    /// Who or what let it through, for the records: `allow`, or how it was approved.
    pub decision: &'static str,
    pub rule: Option<String>,
    redactions: Vec<Arc<Compiled>>,
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
}

/// A call that may not go on: why, and the rule.
#[derive(Debug)]
pub struct Refused {
    pub error: Error,
    pub rule: Option<String>,
}

/// One call on its way through the guard.
pub struct Passing<'a> {
    pub world: &'a World,
    pub shared: &'a Shared,
    pub gate: &'a Gate,
    pub tool: &'a ViewTool,
    pub params: &'a Params<'a>,
    pub context: &'a Context,
}

impl Passing<'_> {
    fn arguments(&self) -> &str {
        self.params.raw("arguments").unwrap_or("{}")
    }

    fn key(&self) -> Key {
        (self.context.client.clone(), self.tool.upstream.name().into(), self.tool.tool.clone())
    }

    fn decide<'g>(&self, gate: &'g Gate, used: &BTreeSet<String>, now: Timestamp) -> Decision<'g> {
        gate.decide(&Circumstances { arguments: self.arguments(), time: now.local(), used })
    }

    /// What stands before the tool by the policy as it is now; `None` when nothing does any more.
    fn gate_now(&self) -> Result<Option<Arc<Gate>>, Refused> {
        let (client, token) = (self.context.client.clone(), self.context.token.clone());
        let caller = Caller { client, token, profile: self.gate.profile.clone() };
        match self.world.passage(caller, self.tool) {
            None | Some(Passage::Open) => Ok(None),
            Some(Passage::Gate(gate)) => Ok(Some(gate)),
            Some(Passage::Closed(rule)) => Err(self.denied(rule.as_deref())),
        }
    }

    fn denied(&self, rule: Option<&Compiled>) -> Refused {
        let error = refusal(self.tool.upstream.name(), &self.tool.tool, &self.context.client, rule);
        Refused { error, rule: rule.map(|it| it.rule.name.clone()) }
    }

    fn path(&self) -> String {
        format!("{}.{}", self.tool.upstream.name(), self.tool.tool)
    }
}

impl Guard {
    /// Lets a call through, or says why not. Waits where the user has to be asked.
    pub async fn pass(&self, call: &Passing<'_>) -> Result<Passed, Refused> {
        let now = call.shared.engine.now();
        let decision = call.decide(call.gate, &self.used(&call.context.client, now), now);
        if decision.effect == Effect::Deny {
            return Err(call.denied(decision.rule.map(Arc::as_ref)));
        }
        self.bound(call, &decision)?;
        let rule = decision.rule.map(|it| it.rule.name.clone());
        if decision.effect != Effect::Ask {
            self.note(&call.context.client, &call.gate.notes, now);
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
        let decision = call.decide(&gate, &self.used(&call.context.client, now), now);
        if decision.effect == Effect::Deny {
            return Err(call.denied(decision.rule.map(Arc::as_ref)));
        }
        self.note(&call.context.client, &gate.notes, now);
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
            self.desk.goes_on(call.key(), call.arguments(), call.shared.engine.now());
        }
        if passed.redactions.is_empty() {
            return Ok(reply);
        }
        let rules: Vec<&Arc<Compiled>> = passed.redactions.iter().collect();
        match redact::redact(reply.answer.text(), &rules) {
            Some(body) => Ok(Reply { answer: Answer { ok: reply.answer.ok, body: body.into() }, ..reply }),
            None => Ok(reply),
        }
    }

    /// What the client gets of a later answer to a call that was let through, by the policy as it is now.
    pub fn release_later(&self, call: &Passing<'_>, reply: Reply) -> Result<Reply> {
        let now = call.shared.engine.now();
        // The call itself may have left a label that would deny it now.
        let decision = call.decide(call.gate, &BTreeSet::new(), now);
        if decision.effect == Effect::Deny {
            return Err(call.denied(decision.rule.map(Arc::as_ref)).error);
        }
        let decision = call.decide(call.gate, &self.used(&call.context.client, now), now);
        self.release(call, &Passed::by("allow", &decision), reply)
    }

    /// Labels of the tools a client has called of late.
    fn used(&self, client: &Arc<str>, now: Timestamp) -> BTreeSet<String> {
        let trails = self.trails.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |(_, at): &(&String, &Timestamp)| now.since_ms(**at) < MEMORY_MS;
        let trail = trails.get(client).into_iter().flatten();
        trail.filter(recent).map(|(label, _)| label.clone()).collect()
    }

    fn note(&self, client: &Arc<str>, labels: &[String], now: Timestamp) {
        if labels.is_empty() {
            return;
        }
        let mut trails = self.trails.lock().unwrap_or_else(PoisonError::into_inner);
        if trails.len() >= MOST && !trails.contains_key(client) {
            trails.retain(|_, trail| trail.values().any(|at| now.since_ms(*at) < MEMORY_MS));
        }
        let trail = trails.entry(client.clone()).or_default();
        trail.extend(labels.iter().map(|label| (label.clone(), now)));
    }

    /// Takes back grants, and forgets which labels a client has used; nobody means everybody.
    pub fn forget(&self, client: Option<&str>) {
        self.desk.forget(client);
        let mut trails = self.trails.lock().unwrap_or_else(PoisonError::into_inner);
        trails.retain(|known, _| client.is_some_and(|client| **known != *client));
    }

    fn bound(&self, call: &Passing<'_>, decision: &Decision<'_>) -> Result<(), Refused> {
        for it in &decision.limits {
            let Some(limit) = &it.rule.limit else { continue };
            let refused = |error| Refused { error, rule: Some(it.rule.name.clone()) };
            let arguments = call.arguments();
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
                && let Err(wait) = self.count(call, &it.rule.name, calls, seconds)
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

    /// Counts a call; the error is how long to wait. Who came with a key is counted by it, whatever it calls itself.
    fn count(&self, call: &Passing<'_>, rule: &str, calls: u32, seconds: u32) -> Result<(), Duration> {
        let (client, server, tool) = call.key();
        let who = call.context.token.as_ref().map_or(client, |pass| format!("key:{pass}").into());
        let rate = Rate { count: calls, per: Duration::from_secs(seconds.into()) };
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = counters.get_or_insert_with(|| Buckets::new(MOST));
        counters.take((rule.into(), who, server, tool), rate, Instant::now())
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
        if self.desk.is_granted(&key, now) {
            return Ok(("granted", false));
        }
        let goes_on =
            call.params.raw("requestState").is_some() || call.params.raw("inputResponses").is_some();
        if goes_on && self.desk.take_going_on(&key, call.arguments(), now) {
            return Ok(("approved", true));
        }
        let patience = call.shared.settings.policy.ask_timeout_ms;
        let approval = question(call, rule, now, now.plus_ms(patience));
        let mut waiting = self.desk.put(approval.clone());
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
            self.desk.grant(key, now.plus_ms(time));
        }
        let how = if answered.by == "client" { "approved by client" } else { "approved" };
        Ok((how, answered.for_ms.is_none()))
    }
}

fn question(call: &Passing<'_>, rule: Option<&Arc<Compiled>>, now: Timestamp, until: Timestamp) -> Approval {
    Approval {
        id: 0,
        client: call.context.client.to_string(),
        server: call.tool.upstream.name().into(),
        tool: call.tool.tool.clone(),
        arguments: shown(call.arguments()),
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
    let message = format!("umcp: may `{client}` call {server}.{tool}? ({by}{why})\narguments: {arguments}");
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
