//! Steps that do something themselves: when they begin, wait and begin again.

use super::{Command, Machine, Next, Phase};
use crate::clock::Timestamp;
use crate::ids;
use crate::workflows::journal::{Event, Failure, Json, Outcome};
use crate::workflows::model::{Action, Step, Wait};
use crate::workflows::read::steps::{LONGEST_KEY, keyed};
use serde_json::Value;

impl Machine {
    /// One visit of a leaf that is not over.
    pub(super) fn leaf(&mut self, step: &Step, prefix: &str, path: &str, now: Timestamp, next: &mut Next) {
        match self.phase(path).cloned() {
            Some(Phase::Running) => {}
            Some(Phase::Again(at)) if now < at => wake(next, at),
            Some(Phase::Waiting(until)) => self.waiting(step, path, until, now, next),
            None | Some(Phase::Again(_) | Phase::Interrupted) => {
                if let Err(failure) = self.begin(step, prefix, path, now, next) {
                    let outcome = Outcome::Failed(failure);
                    self.note(Event::Finished { path: path.into(), outcome }, next);
                }
            }
        }
    }

    fn waiting(
        &mut self,
        step: &Step,
        path: &str,
        until: Option<Timestamp>,
        now: Timestamp,
        next: &mut Next,
    ) {
        let Some(until) = until else { return };
        if now < until {
            return wake(next, until);
        }
        let outcome = match step.action {
            Action::Approval { .. } => Outcome::Failed(Failure::new(
                "timeout",
                "UM0006",
                format!("nobody approved `{}` in time", step.id),
            )),
            _ => Outcome::Done(Json(Value::Null)),
        };
        self.note(Event::Finished { path: path.into(), outcome }, next);
    }

    fn begin(
        &mut self,
        step: &Step,
        prefix: &str,
        path: &str,
        now: Timestamp,
        next: &mut Next,
    ) -> Result<(), Failure> {
        let what = format!("`{}`", step.id);
        let command = match &step.action {
            Action::Set { values } => {
                let value = self.render(values, prefix, &what)?;
                self.note(Event::Finished { path: path.into(), outcome: Outcome::Done(Json(value)) }, next);
                return Ok(());
            }
            Action::Wait(wait) => {
                let until = Some(self.until(wait, prefix, &what, now)?);
                self.note(Event::Waiting { path: path.into(), until, message: String::new() }, next);
                self.leaf(step, prefix, path, now, next);
                return Ok(());
            }
            Action::Approval { message } => {
                let message = self.render(message, prefix, &what)?;
                let message = message.as_str().map_or_else(|| message.to_string(), Into::into);
                let until = step.timeout_ms.map(|limit| now.plus_ms(limit));
                self.note(Event::Waiting { path: path.into(), until, message }, next);
                self.leaf(step, prefix, path, now, next);
                return Ok(());
            }
            _ if self.running >= self.workflow.max_concurrency => return Ok(()),
            Action::Call { target, inputs, .. } => {
                let arguments = self.render(inputs, prefix, &what)?;
                Command::Call {
                    path: path.into(),
                    target: target.clone(),
                    arguments,
                    timeout_ms: step.timeout_ms,
                    cache_ms: step.cache_ms,
                    key: self.key(step, prefix, path)?,
                }
            }
            Action::Own { what: own, inputs } => {
                let values = self.render(inputs, prefix, &what)?;
                Command::Own {
                    path: path.into(),
                    what: *own,
                    values,
                    timeout_ms: step.timeout_ms,
                    cache_ms: step.cache_ms,
                    key: self.key(step, prefix, path)?,
                }
            }
            Action::Run { runs, name, inputs, .. } => {
                let inputs = self.render(inputs, prefix, &what)?;
                Command::Run {
                    path: path.into(),
                    runs: *runs,
                    name: name.clone(),
                    inputs,
                    timeout_ms: step.timeout_ms,
                }
            }
            _ => return Ok(()),
        };
        let attempt = self.leaves.get(path).map_or(0, |leaf| leaf.attempts) + 1;
        self.note(Event::Started { path: path.into(), attempt }, next);
        next.commands.push(command);
        Ok(())
    }

    /// What an attempt is recognized by: what the step says, else the run and the path, which no other step has.
    fn key(&self, step: &Step, prefix: &str, path: &str) -> Result<String, Failure> {
        if let Some(shape) = &step.idempotency_key {
            let value = self.render(shape, prefix, &format!("the `idempotency_key` of `{}`", step.id))?;
            return keyed(&value).map_err(|why| Failure::new("invalid", "UM1003", why));
        }
        let own = format!("{}/{path}", self.base["run"]["id"].as_str().unwrap_or_default());
        Ok(if own.len() > LONGEST_KEY { ids::digest(own.as_bytes()) } else { own })
    }

    fn until(&self, wait: &Wait, prefix: &str, what: &str, now: Timestamp) -> Result<Timestamp, Failure> {
        let shape = match wait {
            Wait::For { ms } => return Ok(now.plus_ms(*ms)),
            Wait::Computed(shape) => shape,
        };
        let value = self.render(shape, prefix, what)?;
        let seconds = value.as_f64().filter(|seconds| (0.0..=31_536_000.0).contains(seconds));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within a year of milliseconds"
        )]
        let relative = seconds.map(|seconds| now.plus_ms((seconds * 1000.0) as u64));
        let text = value.as_str();
        let span = || text.and_then(crate::workflows::read::duration).map(|ms| now.plus_ms(ms));
        relative.or_else(span).or_else(|| text.and_then(Timestamp::parse)).ok_or_else(|| {
            Failure::new(
                "invalid",
                "UM1003",
                format!("{what} waits for {value}, which is no time: seconds, `5m` or an RFC 3339 instant"),
            )
        })
    }
}

fn wake(next: &mut Next, at: Timestamp) {
    next.wake = Some(next.wake.map_or(at, |wake| wake.min(at)));
}
