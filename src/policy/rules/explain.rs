//! Why a call is decided as it is: every rule with the condition it fails on, from the very functions that decide.

use super::compile::{Compiled, Policy};
use super::decide::{Called, Caller, Circumstances, Passage, misses_call};
use super::model::Effect;
use serde::Serialize;
use std::sync::Arc;

/// The decision about one call and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `allow`, `ask` or `deny`.
    pub effect: Effect,
    /// The rule that decides; nothing when it is the default.
    pub rule: Option<String>,
    pub reason: Option<String>,
    /// Whether lists show the tool to this caller.
    pub listed: bool,
    pub labels: Vec<String>,
    pub rules: Vec<Trace>,
}

/// One rule against one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    pub name: String,
    pub effect: Effect,
    /// The condition that does not hold; nothing when the rule fits.
    pub misses: Option<&'static str>,
}

/// Explains one call.
pub fn explain(
    policy: &Arc<Policy>,
    caller: &Caller,
    called: &Called<'_>,
    circumstances: &Circumstances<'_>,
) -> Explanation {
    let dotted = format!("{}.{}", called.server, called.tool);
    let mut parsed = None;
    let mut misses = |it: &Compiled| {
        policy
            .misses_caller(it, caller)
            .or_else(|| policy.misses_called(it, called, &dotted))
            .or_else(|| misses_call(it, circumstances, &mut parsed))
    };
    let trace =
        |it: &Arc<Compiled>| Trace { name: it.rule.name.clone(), effect: it.rule.effect, misses: misses(it) };
    let rules = policy.rules.iter().map(trace).collect();
    let labels = policy.labels_of(called);
    let mut explanation =
        Explanation { effect: Effect::Allow, rule: None, reason: None, listed: true, labels, rules };
    let mut decide = |effect: Effect, rule: Option<&Arc<Compiled>>| {
        explanation.effect = effect;
        explanation.rule = rule.map(|it| it.rule.name.clone());
        explanation.reason = rule.and_then(|it| it.rule.reason.clone());
    };
    match policy.bind(caller).passage(called) {
        Passage::Closed(rule) => {
            decide(Effect::Deny, rule.as_ref());
            explanation.listed = false;
        }
        Passage::Gate(gate) => {
            let decision = gate.decide(circumstances);
            decide(decision.effect, decision.rule);
        }
        Passage::Open => {
            let allows = |it: &&Trace| it.effect == Effect::Allow && it.misses.is_none();
            explanation.rule = explanation.rules.iter().find(allows).map(|it| it.name.clone());
        }
    }
    explanation
}
