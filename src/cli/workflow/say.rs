//! What happens in a run, in one line each. Knows no terminal.

use crate::clock::Timestamp;
use crate::ui::text;
use crate::workflows::journal::{Event, Failure, Json, Outcome};
use serde_json::Value;

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
