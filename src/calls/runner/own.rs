//! A step that umcp does itself, as an outcome, with the record that every call leaves.

use super::outcome::failure;
use crate::calls::{Caller, Context};
use crate::upstream::steps;
use crate::usage::Door;
use crate::workflows::journal::{Failure, Json, Outcome};
use crate::workflows::model::Own;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Largest result of a step that a journal keeps.
const MAX_RESULT: usize = 1 << 20;

/// Does the step; an error is an outcome too.
pub async fn outcome(
    caller: &Caller,
    (client, run): (&str, &str),
    own: Own,
    values: Value,
    key: &str,
    limit: Option<Duration>,
) -> Outcome {
    let (mut context, started) = (Context::plain(client, Door::Workflow), Instant::now());
    (context.mark, context.run) = (caller.measures.spans.step(run), Some(run.into()));
    let asked = values.to_string().len();
    let done = steps::run(&caller.world.shared, own, values, key, limit).await;
    let text = match &done {
        Ok(value) => value.to_string(),
        Err(_) => r#"{"isError":true}"#.into(),
    };
    caller.record_own(own.word(), asked, text.as_bytes(), started, &context);
    match done {
        Ok(_) if text.len() > MAX_RESULT => {
            let message = format!("the result has {} bytes; a step keeps at most {MAX_RESULT}", text.len());
            Outcome::Failed(Failure::new("invalid", "UM1003", message))
        }
        Ok(value) => Outcome::Done(Json(value)),
        Err(error) => Outcome::Failed(failure(&error)),
    }
}
