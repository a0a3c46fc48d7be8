//! What happens in a run, in one line each. Knows no terminal.

use crate::clock::Timestamp;
use crate::ui::text;
use crate::workflows::journal::{Event, Failure, Json, Outcome};
use serde_json::{Map, Value, json};

/// An event of a run for people.
pub fn line(event: &Event, at: Timestamp) -> String {
    match event {
        Event::Started { path, attempt: 1 } => format!("… {path}"),
        Event::Started { path, attempt } => format!("… {path} (attempt {attempt})"),
        Event::Retry { path, failure, again } => {
            let pause = text::duration_ms(again.since_ms(at));
            format!("! {path} failed: {}; again in {pause}", reason(failure))
        }
        Event::Waiting { path, until: Some(until), message } if message.is_empty() => {
            format!("… {path} waits for {}", text::duration_ms(until.since_ms(at)))
        }
        Event::Waiting { path, message, .. } => format!("? {path}: {message}"),
        Event::Finished { path, outcome: Outcome::Done(Json(value)) } => format!("✓ {path}{}", brief(value)),
        Event::Finished { path, outcome: Outcome::Failed(failure) } => {
            format!("✗ {path}: {}", reason(failure))
        }
        Event::Finished { path, outcome: Outcome::Skipped } => format!("○ {path} skipped"),
        Event::Finished { path, outcome: Outcome::Cancelled } => format!("○ {path} cancelled"),
        Event::Interrupted { path } => format!("! {path} was interrupted"),
        Event::Again { path } => format!("… {path} is to be done again"),
        Event::TimedOut => "took longer than its `timeout`".into(),
        Event::Paused => "paused".into(),
        Event::Resumed => "resumed".into(),
        Event::CancelAsked => "asked to cancel".into(),
        Event::Ended { status, failure, .. } => match failure {
            Some(failure) => format!("{}: {}", status.word(), reason(failure)),
            None => status.word().into(),
        },
    }
}

/// An event of a run for programs: `type` is `step` where it is about one, else `run`.
pub fn row(run: &str, event: &Event, at: Timestamp) -> Value {
    let (word, more) = match event {
        Event::Started { attempt, .. } => ("started", json!({"attempt": attempt})),
        Event::Retry { failure, again, .. } => ("retry", json!({"failure": failure, "again": again})),
        Event::Waiting { until, message, .. } => ("waiting", json!({"until": until, "message": message})),
        Event::Finished { outcome: Outcome::Done(Json(value)), .. } => ("done", json!({"result": value})),
        Event::Finished { outcome: Outcome::Failed(failure), .. } => ("failed", json!({"failure": failure})),
        Event::Finished { outcome: Outcome::Skipped, .. } => ("skipped", json!({})),
        Event::Finished { outcome: Outcome::Cancelled, .. } => ("cancelled", json!({})),
        Event::Interrupted { .. } => ("interrupted", json!({})),
        Event::Again { .. } => ("again", json!({})),
        Event::TimedOut => ("timed-out", json!({})),
        Event::Paused => ("paused", json!({})),
        Event::Resumed => ("resumed", json!({})),
        Event::CancelAsked => ("cancel-asked", json!({})),
        Event::Ended { status, failure, .. } => ("ended", json!({"status": status, "failure": failure})),
    };
    let mut row = Map::new();
    row.insert("type".into(), json!(if event.path().is_some() { "step" } else { "run" }));
    row.insert("at".into(), json!(at));
    row.insert("run".into(), json!(run));
    if let Some(path) = event.path() {
        row.insert("step".into(), json!(path));
    }
    row.insert("event".into(), json!(word));
    if let Value::Object(more) = more {
        row.extend(more);
    }
    Value::Object(row)
}

fn reason(failure: &Failure) -> String {
    failure.message.lines().next().unwrap_or_default().into()
}

/// The beginning of a value, where there is one to show.
pub fn brief(value: &Value) -> String {
    let whole = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.replace(['\n', '\r'], " "),
        other => other.to_string(),
    };
    match whole.char_indices().nth(80) {
        Some((end, _)) => format!("  {}…", &whole[..end]),
        None => format!("  {whole}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflows::journal::Status;

    #[test]
    fn an_event_is_a_flat_line_for_programs() {
        let path = || "each/0/ask".to_string();
        let failure = || Failure::new("timeout", "UM0503", "too slow");
        let base = |kind: &str, event: &str, more: Value| {
            let mut row = json!({"type": kind, "at": Timestamp(7), "run": "run_1", "event": event});
            if kind == "step" {
                row["step"] = json!("each/0/ask");
            }
            row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            row
        };
        for (event, expected) in [
            (Event::Started { path: path(), attempt: 2 }, base("step", "started", json!({"attempt": 2}))),
            (
                Event::Finished { path: path(), outcome: Outcome::Done(Json(json!([1]))) },
                base("step", "done", json!({"result": [1]})),
            ),
            (
                Event::Finished { path: path(), outcome: Outcome::Failed(failure()) },
                base("step", "failed", json!({"failure": failure()})),
            ),
            (Event::Paused, base("run", "paused", json!({}))),
            (
                Event::Ended { status: Status::Completed, outputs: "{}".into(), failure: None },
                base("run", "ended", json!({"status": Status::Completed, "failure": null})),
            ),
        ] {
            assert_eq!(row("run_1", &event, Timestamp(7)), expected);
        }
    }
}
