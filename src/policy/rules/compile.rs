//! From the document a user wrote to rules that decide fast. Pure; done once for each change.
//! Rule: a document with one bad rule is refused as a whole, so that the policy before it stays in force.

use super::model::{Document, Effect, Rule};
use super::pattern::{self, Pattern};
use crate::error::{Error, Result, codes};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rules a policy may have.
const MOST: usize = 10_000;

/// A policy in force.
#[derive(Debug, Default)]
pub struct Policy {
    pub rules: Vec<Arc<Compiled>>,
    /// `Allow`, `Ask` or `Deny`.
    pub default: Effect,
    pub labels: BTreeMap<String, Vec<String>>,
    pub roles: BTreeMap<String, super::model::Role>,
    /// Labels whose use is remembered, since some rule speaks of it.
    pub tracked: BTreeSet<String>,
}

/// One rule, ready.
#[derive(Debug)]
pub struct Compiled {
    pub rule: Rule,
    /// Path and pattern of each argument.
    pub arguments: Vec<(Vec<String>, Pattern)>,
    /// First and last minute of the day, the last one excluded.
    pub hours: Option<(u16, u16)>,
    /// A bit for each day, Monday the lowest; 0 is every day.
    pub days: u8,
    pub redact: Vec<Regex>,
}

impl Compiled {
    /// Whether the rule fits every call of a tool, or depends on the call.
    pub fn is_static(&self) -> bool {
        self.arguments.is_empty() && self.hours.is_none() && self.days == 0 && self.rule.after.is_empty()
    }
}

impl Policy {
    pub fn compile(document: &Document) -> Result<Self> {
        let default = document.default.unwrap_or_default();
        if !matches!(default, Effect::Allow | Effect::Ask | Effect::Deny) {
            return Err(invalid(format!("`{}` cannot be the default", default.word()))
                .hint("the default is allow, ask or deny"));
        }
        if document.rules.len() > MOST {
            return Err(invalid(format!("more than {MOST} rules")));
        }
        let mut names = BTreeSet::new();
        for rule in &document.rules {
            if !names.insert(rule.name.as_str()) {
                return Err(invalid(format!("two rules are called `{}`", rule.name)));
            }
            if let Some(role) = rule.roles.iter().find(|role| !document.roles.contains_key(*role)) {
                return Err(invalid(format!(
                    "rule `{}` speaks of the role `{role}`, which is unknown",
                    rule.name
                ))
                .hint(format!("umcp policy role {role} --client CLIENT")));
            }
        }
        let rules =
            document.rules.iter().map(|rule| compile(rule).map(Arc::new)).collect::<Result<Vec<_>>>()?;
        let tracked = rules.iter().flat_map(|it| it.rule.after.iter().cloned()).collect();
        let (labels, roles) = (document.labels.clone(), document.roles.clone());
        Ok(Self { rules, default, labels, roles, tracked })
    }

    /// Whether every call is allowed without a look.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.default == Effect::Allow
    }
}

/// Compiles one rule; the error names it.
pub fn compile(rule: &Rule) -> Result<Compiled> {
    check_name(&rule.name)?;
    let named = |what: String| invalid(format!("rule `{}`: {what}", rule.name));
    match (rule.effect, &rule.limit, rule.redact.is_empty()) {
        (Effect::Limit, None, _) => return Err(named("the effect `limit` needs `limit`".into())),
        (Effect::Redact, _, true) => {
            return Err(named("the effect `redact` needs patterns in `redact`".into())
                .hint("`keys` and `emails` stand for patterns that are known"));
        }
        (effect, Some(_), _) if effect != Effect::Limit => {
            return Err(named("`limit` goes with the effect `limit` alone".into()));
        }
        (effect, _, false) if effect != Effect::Redact => {
            return Err(named("`redact` goes with the effect `redact` alone".into()));
        }
        _ => {}
    }
    if let Some(limit) = &rule.limit
        && (limit.calls.is_some() != limit.per_seconds.is_some()
            || limit.calls == Some(0)
            || limit.per_seconds == Some(0))
    {
        return Err(named("`calls` and `per_seconds` go together, and neither is 0".into()));
    }
    let arguments = rule.arguments.iter().map(|(path, text)| {
        let pattern = Pattern::parse(text).map_err(|why| named(format!("`{text}` is no pattern: {why}")))?;
        Ok((path.split('.').map(Into::into).collect(), pattern))
    });
    let redact = rule.redact.iter().map(|text| {
        pattern::regex(known_pattern(text)).map_err(|why| named(format!("`{text}` is no pattern: {why}")))
    });
    Ok(Compiled {
        arguments: arguments.collect::<Result<_>>()?,
        hours: rule
            .hours
            .as_deref()
            .map(|text| {
                hours(text)
                    .ok_or_else(|| named(format!("`{text}` is no span of hours")).hint("such as 09:00-18:00"))
            })
            .transpose()?,
        days: rule.days.iter().try_fold(0, |days, word| {
            day(word)
                .map(|day| days | 1 << day)
                .ok_or_else(|| named(format!("`{word}` is no day")).hint("mon, tue, wed, thu, fri, sat, sun"))
        })?,
        redact: redact.collect::<Result<_>>()?,
        rule: rule.clone(),
    })
}

fn invalid(message: String) -> Error {
    Error::new(&codes::POLICY_INVALID, message)
}

fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 60 || !name.chars().all(good) || name.starts_with('-') {
        return Err(Error::new(&codes::NAME_INVALID, format!("`{name}` cannot be the name of a rule"))
            .hint("use 1 to 60 letters, digits, `-`, `_` and `.`"));
    }
    Ok(())
}

/// Words that stand for patterns of what is usually kept back.
fn known_pattern(text: &str) -> &str {
    match text {
        // Prefixes that issuers give their keys, tokens of three parts, and private keys in armour.
        "keys" => {
            r"(?:sk|pk|rk)[-_](?:live|test|proj|ant|or)[-_A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[-_A-Za-z0-9]{20,}|xox[abprs]-[-A-Za-z0-9]{10,}|AKIA[0-9A-Z]{16}|AIza[-_A-Za-z0-9]{35}|umcp_[0-9a-f]{64}|eyJ[-_A-Za-z0-9]{10,}\.[-_A-Za-z0-9]{10,}\.[-_A-Za-z0-9]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)-----END [A-Z ]*PRIVATE KEY-----"
        }
        "emails" => r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}",
        text => text,
    }
}

fn hours(text: &str) -> Option<(u16, u16)> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (minute < 60 && (hour < 24 || (hour == 24 && minute == 0))).then_some(hour * 60 + minute)
    };
    let (from, until) = text.split_once('-')?;
    Some((minute(from)?, minute(until)?)).filter(|(from, until)| from != until)
}

fn day(word: &str) -> Option<u8> {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    days.iter().position(|day| *day == word).map(|day| day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::rules::model::Limit;

    fn rule(effect: Effect) -> Rule {
        Rule { name: "r".into(), effect, ..Rule::default() }
    }

    #[test]
    fn a_bad_rule_is_named() {
        let limit = Some(Limit { calls: Some(1), ..Limit::default() });
        for (rule, expected) in [
            (Rule { name: "a b".into(), ..rule(Effect::Deny) }, "`a b` cannot be the name of a rule"),
            (rule(Effect::Limit), "rule `r`: the effect `limit` needs `limit`"),
            (
                Rule { limit, ..rule(Effect::Limit) },
                "rule `r`: `calls` and `per_seconds` go together, and neither is 0",
            ),
            (Rule { limit, ..rule(Effect::Deny) }, "rule `r`: `limit` goes with the effect `limit` alone"),
            (rule(Effect::Redact), "rule `r`: the effect `redact` needs patterns in `redact`"),
            (
                Rule { redact: vec!["(".into()], ..rule(Effect::Redact) },
                "rule `r`: `(` is no pattern: unclosed group",
            ),
            (
                Rule { arguments: [("a".into(), "re:[".into())].into(), ..rule(Effect::Deny) },
                "rule `r`: `re:[` is no pattern: unclosed character class",
            ),
            (
                Rule { hours: Some("9-18".into()), ..rule(Effect::Deny) },
                "rule `r`: `9-18` is no span of hours",
            ),
            (Rule { days: vec!["monday".into()], ..rule(Effect::Deny) }, "rule `r`: `monday` is no day"),
        ] {
            assert_eq!(compile(&rule).unwrap_err().message, expected);
        }
    }

    #[test]
    fn a_document_is_checked_as_a_whole() {
        let document = |rules: Vec<Rule>| Document { rules, ..Document::default() };
        let twice = Policy::compile(&document(vec![rule(Effect::Deny), rule(Effect::Ask)])).unwrap_err();
        assert_eq!(twice.message, "two rules are called `r`");
        let role = Rule { roles: vec!["guest".into()], ..rule(Effect::Deny) };
        assert!(
            Policy::compile(&document(vec![role])).unwrap_err().message.contains("`guest`, which is unknown")
        );
        assert!(Policy::compile(&Document { default: Some(Effect::Limit), ..Document::default() }).is_err());
    }

    #[test]
    fn known_patterns_compile_and_find() {
        let keys = pattern::regex(known_pattern("keys")).unwrap();
        assert!(keys.is_match(&format!("a ghp_{} b", "x1".repeat(18))));
        assert!(!keys.is_match("skeleton key of the house"));
        assert!(pattern::regex(known_pattern("emails")).unwrap().is_match("to ann@example.org."));
    }

    #[test]
    fn hours_are_minutes_of_the_day() {
        for (text, expected) in [
            ("09:00-18:30", Some((540, 1110))),
            ("22:00-06:00", Some((1320, 360))),
            ("00:00-24:00", Some((0, 1440))),
            ("24:01-25:00", None),
            ("09:00-09:00", None),
            ("9", None),
        ] {
            assert_eq!(hours(text), expected, "{text}");
        }
    }
}
