//! Whether a rule is one, what its expression finds in measured values, and when it fires. Pure: values and time come in.

use super::Alert;
use crate::clock::Timestamp;
use crate::documents::near;
use crate::error::{Error, Result, Span, codes};
use crate::expressions::{Expression, Fault, Names, Scope, Step};
use serde::{Deserialize, Serialize};

/// The names an expression may begin a path with; the daemon gives each a value.
pub const NAMES: [&str; 22] = [
    "calls",
    "failed",
    "refused",
    "error_rate",
    "calls_per_minute",
    "mean_ms",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "servers",
    "servers_down",
    "servers_failing",
    "restarts",
    "waiting",
    "sessions",
    "approvals_waiting",
    "runs_active",
    "runs_failed",
    "schedule_runs_failed",
    "store_queue",
    "store_dropped",
    "memory_mb",
];
/// Windows and durations at most, in milliseconds.
const LONGEST: u64 = 3_600_000;
const LONGEST_FOR: u64 = 24 * LONGEST;

/// What an expression found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `None` when it could not be said, as for a server that is not there.
    pub holds: Option<bool>,
    /// The values it named, such as `error_rate = 0.25`.
    pub because: String,
    /// Why it could not be said.
    pub problem: Option<String>,
}

/// Refuses a rule that could never be evaluated.
pub fn check(alert: &Alert) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let wrong = |what: String| Err(Error::new(&codes::ALERT_INVALID, what));
    if alert.name.is_empty() || alert.name.len() > 64 || !alert.name.chars().all(plain) {
        return wrong(format!("`{}` is no name: letters, digits, `-`, `_`, `.`, 64 at most", alert.name));
    }
    if !(1..=LONGEST).contains(&alert.window_ms) {
        return wrong("the window is between a moment and an hour".into());
    }
    if alert.for_ms > LONGEST_FOR {
        return wrong("an alert waits for a day at most".into());
    }
    if alert.description.as_ref().is_some_and(|text| text.len() > 1_000) {
        return wrong("a description has 1,000 bytes at most".into());
    }
    parse(&alert.expression).map(drop)
}

/// Reads an expression and checks the names it begins with.
///
/// # Errors
/// `ALERT_INVALID` with the place.
pub fn parse(text: &str) -> Result<Expression> {
    let expression = Expression::parse(text).map_err(|fault| explained(text, &fault))?;
    for (path, at) in expression.paths() {
        if let Some(Step::Key(name)) = path.first()
            && !NAMES.contains(&name.as_str())
        {
            let message = format!("nothing called `{name}` is measured");
            let hint = near(name, NAMES).map_or_else(
                || format!("known are {}", NAMES.join(", ")),
                |it| format!("did you mean `{it}`?"),
            );
            return Err(place(Error::new(&codes::ALERT_INVALID, message).hint(hint), text, at.start));
        }
    }
    Ok(expression)
}

fn explained(text: &str, fault: &Fault) -> Error {
    let error = Error::new(&codes::ALERT_INVALID, fault.message.clone());
    let error = fault.hint.iter().fold(error, |error, hint| error.hint(hint));
    place(error, text, fault.at.start)
}

fn place(error: Error, text: &str, at: usize) -> Error {
    let column = text.get(..at).map_or(0, |before| before.chars().count());
    let column = u32::try_from(column).unwrap_or(0) + 1;
    error.at(Span { file: "the expression".into(), line: 1, column, text: text.into() })
}

/// Evaluates an expression over measured values.
pub fn judge(expression: &Expression, names: &Names) -> Verdict {
    let because = because(expression, names);
    let unsaid = |problem: String| Verdict { holds: None, because: because.clone(), problem: Some(problem) };
    match expression.evaluate(&Scope::new(names)) {
        Ok(value) => match value.as_bool() {
            Some(holds) => Verdict { holds: Some(holds), because, problem: None },
            None => unsaid(format!("it gives {value}, not true or false; compare it with something")),
        },
        Err(fault) => unsaid(fault.message),
    }
}

/// The values of the paths an expression names.
fn because(expression: &Expression, names: &Names) -> String {
    let mut told: Vec<String> = Vec::new();
    for (path, _) in expression.paths() {
        let keys: Option<Vec<&String>> =
            path.iter().map(|step| if let Step::Key(key) = step { Some(key) } else { None }).collect();
        let Some((first, rest)) = keys.as_ref().and_then(|keys| keys.split_first()) else { continue };
        let value = rest.iter().try_fold(names.get(*first), |value, key| Some(value?.get(*key)));
        if let Some(value) = value.flatten().filter(|value| !value.is_object()) {
            let words: Vec<&str> = keys.iter().flatten().map(|key| key.as_str()).collect();
            let line = format!("{} = {value}", words.join("."));
            if !told.contains(&line) {
                told.push(line);
            }
        }
    }
    told.join(", ")
}

/// What is to be done after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// Since when it holds without firing yet.
    pub pending: Option<Timestamp>,
    /// It begins to fire, or ceases.
    pub turn: Option<bool>,
}

/// From what was found now follows what becomes of an alert. What could not be said changes nothing, but begins the
/// wait anew.
pub fn next(alert: &Alert, pending: Option<Timestamp>, holds: Option<bool>, now: Timestamp) -> Next {
    let stay = Next { pending: None, turn: None };
    match (holds, alert.firing) {
        (None, _) | (Some(true), Some(_)) | (Some(false), None) => stay,
        (Some(false), Some(_)) => Next { turn: Some(false), ..stay },
        (Some(true), None) => {
            // A clock that was set back begins the wait anew.
            let since = pending.filter(|since| *since <= now).unwrap_or(now);
            match now.0 - since.0 >= alert.for_ms.saturating_mul(1000) {
                true => Next { turn: Some(true), ..stay },
                false => Next { pending: Some(since), turn: None },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;
    use serde_json::{Value, json};

    fn alert(expression: &str) -> Alert {
        Alert {
            name: "a".into(),
            expression: expression.into(),
            window_ms: 60_000,
            for_ms: 10,
            severity: Severity::Info,
            description: None,
            created: Timestamp(0),
            silenced_until: None,
            firing: None,
        }
    }

    fn names() -> Names {
        match json!({"error_rate": 0.25, "calls": 8, "servers": {"git": {"up": false, "p95_ms": 12.5}}}) {
            Value::Object(names) => names,
            _ => Names::new(),
        }
    }

    #[test]
    fn an_expression_is_judged_with_its_reasons() {
        for (text, holds, because) in [
            ("error_rate > 0.2 && calls >= 8", Some(true), "error_rate = 0.25, calls = 8"),
            ("!servers.git.up", Some(true), "servers.git.up = false"),
            ("servers['git'].p95_ms > 100", Some(false), "servers.git.p95_ms = 12.5"),
            ("servers.gone.up == false", None, ""),
            ("calls", None, "calls = 8"),
        ] {
            let verdict = judge(&parse(text).unwrap(), &names());
            assert_eq!((verdict.holds, verdict.because.as_str()), (holds, because), "{text}");
            assert_eq!(verdict.problem.is_some(), holds.is_none(), "{text}");
        }
    }

    #[test]
    fn mistakes_are_told_when_a_rule_is_made() {
        for (text, part) in [
            ("error_rat > 1", "nothing called `error_rat`"),
            ("calls >", ""),
            ("", "empty"),
            ("inputs.x == 1", "nothing called `inputs`"),
        ] {
            let error = check(&alert(text)).unwrap_err();
            assert!(error.is(&codes::ALERT_INVALID) && error.message.contains(part), "{text}: {error:?}");
        }
        let named = |name: &str| check(&Alert { name: name.into(), ..alert("calls > 1") });
        assert!(named("ok-1.x_y").is_ok() && named("").is_err() && named("a b").is_err());
        assert!(check(&Alert { window_ms: 0, ..alert("calls > 1") }).is_err());
        assert!(check(&Alert { for_ms: u64::MAX, ..alert("calls > 1") }).is_err());
    }

    #[test]
    fn it_fires_after_its_wait_and_ceases_at_once() {
        let quiet = alert("calls > 1");
        let firing = Alert { firing: Some(Timestamp(1)), ..alert("calls > 1") };
        let at = |ms: u64| Timestamp(ms * 1000);
        for (alert, pending, holds, now, expected) in [
            (&quiet, None, Some(true), 100, (Some(at(100)), None)),
            (&quiet, Some(at(100)), Some(true), 105, (Some(at(100)), None)),
            (&quiet, Some(at(100)), Some(true), 110, (None, Some(true))),
            (&quiet, Some(at(100)), Some(false), 105, (None, None)),
            (&quiet, Some(at(100)), None, 105, (None, None)),
            // The clock was set back.
            (&quiet, Some(at(100)), Some(true), 50, (Some(at(50)), None)),
            (&firing, None, Some(true), 100, (None, None)),
            (&firing, None, None, 100, (None, None)),
            (&firing, None, Some(false), 100, (None, Some(false))),
        ] {
            let next = next(alert, pending, holds, at(now));
            assert_eq!((next.pending, next.turn), expected, "{pending:?} {holds:?} {now}");
        }
    }
}
