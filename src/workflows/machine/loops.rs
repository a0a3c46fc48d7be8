//! Loops: rounds side by side over a list, and rounds one after another until something holds.
//! Rule: a round that is over leaves nothing behind but its result.

use super::{Found, Machine, Next, Phase, expression};
use crate::clock::Timestamp;
use crate::workflows::journal::{Event, Failure, Json, Outcome};
use crate::workflows::model::{Action, Step};
use serde_json::Value;

impl Machine {
    pub(super) fn foreach(
        &mut self,
        step: &Step,
        items: &[Value],
        path: &str,
        now: Timestamp,
        next: &mut Next,
    ) -> Found {
        let Action::Foreach { name, steps, max_concurrency: most, .. } = &step.action else {
            return Found::Open;
        };
        let most = *most;
        let key = format!("{path}[");
        let mut cursor = self.cursors.get(&key).copied().unwrap_or(0);
        let mut active = 0;
        for (place, item) in items.iter().enumerate().skip(cursor) {
            if active >= most || self.rests(now, next) {
                break;
            }
            let round = format!("{path}[{place}]/");
            if !self.rounds.contains_key(&round) {
                let layer = self.layers.entry(round.clone()).or_default();
                layer.entry(name.as_str()).or_insert_with(|| item.clone());
                layer.entry("index").or_insert_with(|| place.into());
                match self.block(steps, &round, "", now, next) {
                    Found::Open => {
                        active += 1;
                        continue;
                    }
                    Found::Done(value) => self.close_round(&round, value),
                    Found::Failed(failure) => {
                        self.cancel_below(&key, next);
                        return Found::Failed(failure);
                    }
                }
            }
            cursor += usize::from(place == cursor);
        }
        if cursor < items.len() {
            self.cursors.insert(key, cursor);
            return Found::Open;
        }
        let results = (0..items.len()).filter_map(|place| self.rounds.remove(&format!("{path}[{place}]/")));
        Found::Done(results.collect())
    }

    /// Whether this walk was long enough; the next one is due at once.
    fn rests(&self, now: Timestamp, next: &mut Next) -> bool {
        if self.patience == 0 {
            next.wake = Some(now);
        }
        self.patience == 0
    }

    /// A round is over: only its result is kept.
    fn close_round(&mut self, round: &str, value: Value) {
        self.layers.retain(|prefix, _| !prefix.starts_with(round));
        self.done.retain(|path, _| !path.starts_with(round));
        self.settled.retain(|path| !path.starts_with(round));
        self.entered.retain(|path, _| !path.starts_with(round));
        self.cursors.retain(|path, _| !path.starts_with(round));
        self.rounds.insert(round.into(), value);
    }

    pub(super) fn repeat(&mut self, step: &Step, path: &str, now: Timestamp, next: &mut Next) -> Found {
        let Action::Repeat { steps, until, max, pause_ms } = &step.action else { return Found::Open };
        let key = format!("{path}[");
        loop {
            if self.rests(now, next) {
                return Found::Open;
            }
            let place = self.cursors.get(&key).copied().unwrap_or(0);
            let round = format!("{path}[{place}]/");
            self.layers.entry(round.clone()).or_default().entry("round").or_insert_with(|| place.into());
            let value = match self.block(steps, &round, "", now, next) {
                Found::Done(value) => value,
                other => return other,
            };
            let reached = match until {
                Some(until) => until.value(&self.scope(&round)).map(|value| value.as_bool()),
                None => Ok(Some(false)),
            };
            let failed = |message: String| Found::Failed(Failure::new("failed", "UM1003", message));
            match reached {
                Ok(Some(true)) => return Found::Done(value),
                Ok(Some(false)) => {}
                Ok(None) => return failed(format!("`until` of `{}` is neither true nor false", step.id)),
                Err(fault) => return Found::Failed(expression(&format!("`until` of `{}`", step.id), &fault)),
            }
            if place + 1 >= *max {
                return match until {
                    None => Found::Done(value),
                    Some(_) => failed(format!("`{}` did not reach its `until` in {max} rounds", step.id)),
                };
            }
            if *pause_ms > 0 && !self.paused(&round, *pause_ms, now, next) {
                return Found::Open;
            }
            self.close_round(&round, Value::Null);
            self.cursors.insert(key.clone(), place + 1);
        }
    }

    /// Whether the pause behind a round is over.
    fn paused(&mut self, round: &str, pause_ms: u64, now: Timestamp, next: &mut Next) -> bool {
        let path = format!("{round}(pause)");
        if self.done.contains_key(&path) {
            return true;
        }
        let until = match self.phase(&path) {
            Some(Phase::Waiting(Some(until))) => *until,
            _ => {
                let until = now.plus_ms(pause_ms);
                self.note(
                    Event::Waiting { path: path.clone(), until: Some(until), message: String::new() },
                    next,
                );
                until
            }
        };
        if now < until {
            next.wake = Some(next.wake.map_or(until, |wake| wake.min(until)));
            return false;
        }
        self.note(Event::Finished { path, outcome: Outcome::Done(Json(Value::Null)) }, next);
        true
    }
}
