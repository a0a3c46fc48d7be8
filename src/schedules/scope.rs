//! What the expressions of a schedule see: `schedule`, `agent`, `last`, `host`. Pure; what is known of the machine
//! comes in as a value.

use super::model::{Agent, Schedule, State};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::expressions::{Expression, Fault, Names, Scope, Template};
use serde_json::{Map, Value, json};

/// Everything a schedule's expressions may name at one due instant.
pub fn names(
    schedule: &Schedule,
    agent: Option<&Agent>,
    state: &State,
    due: Timestamp,
    host: &Value,
) -> Names {
    let context = agent.map_or(Value::Null, |agent| object(&agent.context));
    let last = state.last.as_ref().map(|last| {
        json!({"status": last.status.word(), "due": last.due.rfc3339(), "ended": last.ended.rfc3339()})
    });
    let of_schedule = json!({
        "name": schedule.name, "due": due.rfc3339(), "zone": schedule.zone, "agent": schedule.agent,
        "runs": state.totals.begun, "failed": state.totals.failed,
    });
    let mut names = Names::new();
    names.insert("schedule".into(), of_schedule);
    names.insert("agent".into(), context);
    names
        .insert("last".into(), last.unwrap_or_else(|| json!({"status": "none", "due": null, "ended": null})));
    names.insert("host".into(), host.clone());
    names
}

fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::Object(Map::new()))
}

/// Reads a condition; `${{ }}` around it may be left out.
///
/// # Errors
/// `VALUE_INVALID` with the place.
pub fn condition(text: &str) -> Result<Expression> {
    let inner = text.trim().strip_prefix("${{").and_then(|text| text.strip_suffix("}}")).unwrap_or(text);
    Expression::parse(inner).map_err(|fault| explained("--when", inner, &fault))
}

/// Whether a condition holds.
pub fn holds(text: &str, names: &Names) -> Result<bool> {
    let expression = condition(text)?;
    let value = expression.evaluate(&Scope::new(names)).map_err(|fault| explained("--when", text, &fault))?;
    value.as_bool().ok_or_else(|| {
        Error::new(&codes::VALUE_INVALID, format!("the condition gives {value}, not true or false"))
    })
}

/// Finds mistakes in the expressions of inputs.
pub fn check_input(value: &Value) -> Result<()> {
    each(value, &mut |text| Template::parse(text).map(|_| Value::Null)).map(drop)
}

/// The inputs with their expressions resolved.
pub fn render(input: &str, names: &Names) -> Result<Value> {
    let scope = Scope::new(names);
    each(&object(input), &mut |text| Template::parse(text)?.render(&scope))
}

fn each(value: &Value, text: &mut dyn FnMut(&str) -> std::result::Result<Value, Fault>) -> Result<Value> {
    Ok(match value {
        Value::String(word) if word.contains("${{") => {
            text(word).map_err(|fault| explained("an input", word, &fault))?
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| each(item, text)).collect::<Result<_>>()?)
        }
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| Ok((key.clone(), each(value, text)?));
            Value::Object(map.iter().map(pair).collect::<Result<_>>()?)
        }
        plain => plain.clone(),
    })
}

fn explained(what: &str, text: &str, fault: &Fault) -> Error {
    let column = text.get(..fault.at.start).map_or(0, |before| before.chars().count());
    let error = Error::new(&codes::VALUE_INVALID, fault.message.clone()).at(crate::error::Span {
        file: what.into(),
        line: 1,
        column: u32::try_from(column).unwrap_or(0) + 1,
        text: text.into(),
    });
    match &fault.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        match json!({"agent": {"email": "a@example.org", "n": 3}, "host": {"load_avg": 0.9}, "last": {"status": "failed"}})
        {
            Value::Object(names) => names,
            _ => Names::new(),
        }
    }

    #[test]
    fn conditions_are_true_false_or_mistakes() {
        for (text, expected) in [
            ("host.load_avg > 0.8", Some(true)),
            ("${{ host.load_avg > 0.95 }}", Some(false)),
            ("last.status != 'completed' && agent.n == 3", Some(true)),
            ("host.load_avg", None),
            ("host.laod_avg > 1", None),
        ] {
            assert_eq!(holds(text, &names()).ok(), expected, "{text}");
        }
        assert!(condition("host.load_avg >").unwrap_err().span.is_some());
    }

    #[test]
    fn inputs_take_values_over_with_their_types() {
        let input = r#"{"to":"${{ agent.email }}","n":"${{ agent.n }}","text":"x ${{ agent.n }}","list":["${{ last.status }}",1]}"#;
        let rendered = render(input, &names()).unwrap();
        assert_eq!(rendered, json!({"to": "a@example.org", "n": 3, "text": "x 3", "list": ["failed", 1]}));
        assert!(check_input(&json!({"a": ["${{ agent. }}"]})).is_err());
        assert!(render(r#"{"a":"${{ agent.phone }}"}"#, &names()).is_err());
    }
}
