//! What becomes of a call. In two steps: which rules concern a caller and a tool, which is settled when a list is
//! made (`Bound`, `Gate`), and what of them holds for one call (`Gate::decide`).
//! Lists and calls share both steps, so that they cannot differ. Pure: time and memory come in as arguments.

mod whole;

use super::compile::{Compiled, Policy};
use super::model::{Effect, Hints, Kind, Rule};
use super::pattern::Pattern;
use crate::glob;
use crate::policy::pass::Pass;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use whole::keeps_whole;

/// Who calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Caller {
    pub client: Arc<str>,
    /// Name of the key an HTTP client came with.
    pub token: Option<Pass>,
    pub profile: Arc<str>,
}

/// What is called. A hint that is `None` was not given.
#[derive(Debug, Clone, Copy)]
pub struct Called<'a> {
    pub server: &'a str,
    pub kind: Kind,
    /// The tool's or prompt's own name, or the resource's URI.
    pub tool: &'a str,
    pub hints: Hints,
}

/// Everything about one call that is not known before it.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Arguments as JSON text; looked at only when a rule speaks of them.
    pub arguments: &'a str,
    /// Local day (0 is Monday) and minute of the day.
    pub time: (u8, u16),
    /// Labels of the tools the caller has used of late.
    pub used: &'a BTreeSet<String>,
}

/// The rules that concern one caller.
#[derive(Debug, Clone)]
pub struct Bound {
    policy: Arc<Policy>,
    /// Places of the rules in the policy: callers with equal ones see the same.
    pub places: Arc<[u32]>,
    profile: Arc<str>,
}

/// What stands between a caller and what is called.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    rules: Vec<Arc<Compiled>>,
    default: Effect,
    /// Labels of the tool that some rule remembers.
    pub notes: Vec<String>,
    /// The profile whose list it belongs to.
    pub profile: Arc<str>,
}

/// What a list does with a tool.
#[derive(Debug)]
pub enum Passage {
    /// Nothing has to be decided at the call.
    Open,
    /// The call decides.
    Gate(Arc<Gate>),
    /// No call would be let through; the rule, or nothing when it is the default.
    Closed(Option<Arc<Compiled>>),
}

/// What becomes of one call.
#[derive(Debug)]
pub struct Decision<'g> {
    /// `Allow`, `Ask` or `Deny`.
    pub effect: Effect,
    /// The rule that says so; nothing when it is the default.
    pub rule: Option<&'g Arc<Compiled>>,
    pub limits: Vec<&'g Arc<Compiled>>,
    pub redactions: Vec<&'g Arc<Compiled>>,
}

impl Policy {
    /// The rules that concern a caller.
    pub fn bind(self: &Arc<Self>, caller: &Caller) -> Bound {
        let concerns = |(_, it): &(usize, &Arc<Compiled>)| self.misses_caller(it, caller).is_none();
        let places = self.rules.iter().enumerate().filter(concerns).map(|(place, _)| place as u32);
        Bound { policy: self.clone(), places: places.collect(), profile: caller.profile.clone() }
    }

    /// Which condition on the caller a rule's does not hold.
    pub fn misses_caller(&self, it: &Compiled, caller: &Caller) -> Option<&'static str> {
        let rule = &it.rule;
        if !glob::any(&rule.clients, &caller.client) {
            return Some("clients");
        }
        if !glob::any(&rule.profiles, &caller.profile) {
            return Some("profiles");
        }
        let has_role = |name: &String| {
            self.roles.get(name).is_some_and(|role| {
                role.clients.iter().any(|pattern| glob::fits(pattern, &caller.client))
                    || caller.token.as_ref().is_some_and(|pass| {
                        pass.has_role(name) || role.tokens.iter().any(|it| **it == **pass.name())
                    })
            })
        };
        if !rule.roles.is_empty() && !rule.roles.iter().any(has_role) {
            return Some("roles");
        }
        None
    }

    /// Which condition on what is called a rule's does not hold.
    pub fn misses_called(&self, it: &Compiled, called: &Called<'_>, dotted: &str) -> Option<&'static str> {
        let rule = &it.rule;
        if !glob::any(&rule.servers, called.server) {
            return Some("servers");
        }
        if let Some(missed) = misses_name(rule, called, dotted) {
            return Some(missed);
        }
        // Only tools have hints: a rule that looks at them is about no prompt.
        let hinted = called.kind.is_tool() && hints_hold(&rule.hints, &called.hints);
        if !rule.hints.is_empty() && !hinted {
            return Some("hints");
        }
        if !rule.labels.is_empty() && !rule.labels.iter().any(|label| self.has_label(label, called, dotted)) {
            return Some("labels");
        }
        None
    }

    fn has_label(&self, label: &str, called: &Called<'_>, dotted: &str) -> bool {
        let given = self.labels.get(label).is_some_and(|tools| {
            tools.iter().any(|it| glob::fits(it, dotted) || glob::fits(it, called.tool))
        });
        given || said_label(label, &called.hints)
    }

    /// The labels of a tool, given and told by its server.
    pub fn labels_of(&self, called: &Called<'_>) -> Vec<String> {
        let dotted = format!("{}.{}", called.server, called.tool);
        let told = SAID.iter().map(ToString::to_string);
        let all: BTreeSet<String> = self.labels.keys().cloned().chain(told).collect();
        all.into_iter().filter(|label| self.has_label(label, called, &dotted)).collect()
    }
}

fn misses_name(rule: &Rule, called: &Called<'_>, dotted: &str) -> Option<&'static str> {
    let (names, word) = match called.kind {
        Kind::Tool => (&rule.tools, "tools"),
        Kind::Prompt => (&rule.prompts, "prompts"),
        Kind::Resource => (&rule.resources, "resources"),
    };
    let fits = |it: &String| glob::fits(it, dotted) || glob::fits(it, called.tool);
    if !names.is_empty() {
        return (!names.iter().any(fits)).then_some(word);
    }
    let names_nothing = rule.tools.is_empty() && rule.prompts.is_empty() && rule.resources.is_empty();
    let whole = called.kind != Kind::Tool && keeps_whole(rule, called.server);
    (!names_nothing && !whole).then_some(word)
}

/// Labels that the server's own words give.
const SAID: [&str; 2] = ["untrusted", "sends"];

/// A tool that says of itself to reach the world brings in what nobody checked; one that also writes can send.
fn said_label(label: &str, hints: &Hints) -> bool {
    match label {
        "untrusted" => hints.open_world == Some(true),
        "sends" => hints.open_world == Some(true) && hints.read_only == Some(false),
        _ => false,
    }
}

fn hints_hold(wanted: &Hints, said: &Hints) -> bool {
    let read_only = said.read_only.unwrap_or(false);
    let destructive = !read_only && said.destructive.unwrap_or(true);
    wanted.read_only.is_none_or(|wanted| wanted == read_only)
        && wanted.destructive.is_none_or(|wanted| wanted == destructive)
        && wanted.open_world.is_none_or(|wanted| wanted == said.open_world.unwrap_or(true))
}

impl Bound {
    /// What stands between this caller and a tool.
    pub fn passage(&self, called: &Called<'_>) -> Passage {
        let policy = &self.policy;
        let dotted = format!("{}.{}", called.server, called.tool);
        let rules: Vec<Arc<Compiled>> =
            self.rules().filter(|it| policy.misses_called(it, called, &dotted).is_none()).cloned().collect();
        let denies = |it: &&Arc<Compiled>| it.rule.effect == Effect::Deny && it.is_static();
        if let Some(rule) = rules.iter().find(denies) {
            return Passage::Closed(Some(rule.clone()));
        }
        let opens = |it: &Arc<Compiled>| matches!(it.rule.effect, Effect::Allow | Effect::Ask);
        if policy.default == Effect::Deny && !rules.iter().any(opens) {
            return Passage::Closed(None);
        }
        let notes: Vec<String> = match policy.tracked.is_empty() {
            true => Vec::new(),
            false => {
                policy.labels_of(called).into_iter().filter(|label| policy.tracked.contains(label)).collect()
            }
        };
        if policy.default == Effect::Allow
            && notes.is_empty()
            && rules.iter().all(|it| it.rule.effect == Effect::Allow)
        {
            return Passage::Open;
        }
        Passage::Gate(Arc::new(Gate { rules, default: policy.default, notes, profile: self.profile.clone() }))
    }

    fn rules(&self) -> impl Iterator<Item = &Arc<Compiled>> {
        self.places.iter().map(|place| &self.policy.rules[*place as usize])
    }
}

impl Gate {
    /// What holds where both gates have to be passed: the rules of both, but of those that allow only the common ones.
    pub fn and(&self, other: &Self) -> Arc<Self> {
        let has = |gate: &Self, it: &Arc<Compiled>| gate.rules.iter().any(|other| Arc::ptr_eq(other, it));
        let both = self.rules.iter().filter(|it| it.rule.effect != Effect::Allow || has(other, it));
        let more = other.rules.iter().filter(|it| it.rule.effect != Effect::Allow && !has(self, it));
        let notes: BTreeSet<&String> = self.notes.iter().chain(&other.notes).collect();
        Arc::new(Self {
            rules: both.chain(more).cloned().collect(),
            default: self.default,
            notes: notes.into_iter().cloned().collect(),
            profile: self.profile.clone(),
        })
    }

    /// Decides one call: deny beats ask, ask beats allow, and what is left is the default.
    pub fn decide(&self, circumstances: &Circumstances<'_>) -> Decision<'_> {
        let mut parsed = None;
        let mut decision =
            Decision { effect: self.default, rule: None, limits: Vec::new(), redactions: Vec::new() };
        for it in &self.rules {
            if misses_call(it, circumstances, &mut parsed).is_some() {
                continue;
            }
            match it.rule.effect {
                Effect::Limit => decision.limits.push(it),
                Effect::Redact => decision.redactions.push(it),
                effect if decision.rule.is_none_or(|other| rank(effect) > rank(other.rule.effect)) => {
                    decision.effect = effect;
                    decision.rule = Some(it);
                }
                _ => {}
            }
        }
        decision
    }

    /// Everything that may have to be taken out of a result, where it is not known any more what was called with.
    pub fn redactions(&self) -> impl Iterator<Item = &Arc<Compiled>> {
        self.rules.iter().filter(|it| it.rule.effect == Effect::Redact)
    }

    /// Whether some call may have to be asked for.
    pub fn may_ask(&self) -> bool {
        self.default == Effect::Ask || self.rules.iter().any(|it| it.rule.effect == Effect::Ask)
    }
}

fn rank(effect: Effect) -> u8 {
    match effect {
        Effect::Deny => 2,
        Effect::Ask => 1,
        _ => 0,
    }
}

/// Which condition on the call a rule's does not hold. `parsed` keeps the arguments once they were read.
pub fn misses_call(
    it: &Compiled,
    circumstances: &Circumstances<'_>,
    parsed: &mut Option<Option<Value>>,
) -> Option<&'static str> {
    let (day, minute) = circumstances.time;
    if it.days != 0 && it.days & (1 << day) == 0 {
        return Some("days");
    }
    let within = |(from, until): (u16, u16)| match from < until {
        true => (from..until).contains(&minute),
        false => minute >= from || minute < until,
    };
    if !it.hours.is_none_or(within) {
        return Some("hours");
    }
    if !it.rule.after.iter().all(|label| circumstances.used.contains(label)) {
        return Some("after");
    }
    if !it.arguments.is_empty() {
        // To allow, every value must fit: one that fits must not let another one through.
        let all = it.rule.effect == Effect::Allow;
        let text = if circumstances.arguments.is_empty() { "{}" } else { circumstances.arguments };
        let read = parsed.get_or_insert_with(|| serde_json::from_str(text).ok());
        // A server may read what is no value here (`1e999`, half a surrogate pair, deep nesting): whatever a rule is
        // about may stand in it, and nothing of it is allowed.
        let fits =
            |arguments: &Value| it.arguments.iter().all(|(path, wanted)| holds(arguments, path, wanted, all));
        if !read.as_ref().map_or(!all, fits) {
            return Some("arguments");
        }
    }
    None
}

fn holds(value: &Value, path: &[String], wanted: &Pattern, all: bool) -> bool {
    let several = |values: &mut dyn Iterator<Item = &Value>, path: &[String]| {
        let mut values = values.peekable();
        values.peek().is_some()
            && if all {
                values.all(|value| holds(value, path, wanted, all))
            } else {
                values.any(|value| holds(value, path, wanted, all))
            }
    };
    match (value, path.split_first()) {
        (Value::Object(map), Some((key, rest))) if key == "*" => several(&mut map.values(), rest),
        (Value::Array(items), Some((key, rest))) if key == "*" => several(&mut items.iter(), rest),
        (Value::Object(map), Some((key, rest))) => {
            map.get(key).is_some_and(|value| holds(value, rest, wanted, all))
        }
        (Value::Array(items), _) => several(&mut items.iter(), path),
        (Value::String(text), None) => wanted.fits(text),
        (Value::Number(_) | Value::Bool(_), None) => wanted.fits(&value.to_string()),
        _ => false,
    }
}

/// The hints of a tool's definition, as its server gave them.
pub fn hints_of(definition: &str) -> Hints {
    #[derive(serde::Deserialize)]
    struct Tool {
        #[serde(default)]
        annotations: Value,
    }
    let Ok(tool) = serde_json::from_str::<Tool>(definition) else { return Hints::default() };
    let hint = |key: &str| tool.annotations[key].as_bool();
    Hints {
        read_only: hint("readOnlyHint"),
        destructive: hint("destructiveHint"),
        open_world: hint("openWorldHint"),
    }
}

#[cfg(test)]
mod tests;
