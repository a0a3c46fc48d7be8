//! Lists of steps and composite steps: what is ready, what a branch or a loop comes to.
//! Rule: whatever is decided here follows from outcomes of leaves alone, so that a replay decides the same.

use super::{Entered, Found, Machine, expression};
use crate::clock::Timestamp;
use crate::workflows::journal::{Event, Failure, Json, Outcome};
use crate::workflows::machine::Next;
use crate::workflows::model::{Action, Join, Step};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Most items of one loop.
pub const MAX_ITEMS: usize = 10_000;

impl Machine {
    /// Walks a list of steps; `name` tells it from other lists at the same prefix.
    pub(super) fn block(
        &mut self,
        steps: &[Step],
        prefix: &str,
        name: &str,
        now: Timestamp,
        next: &mut Next,
    ) -> Found {
        let key = format!("{prefix}{name}");
        let mut cursor = self.cursors.get(&key).copied().unwrap_or(0);
        let mut open = false;
        for (place, step) in steps.iter().enumerate().skip(cursor) {
            if !self.is_ready(steps, place, cursor, prefix) {
                open = true;
                continue;
            }
            match self.step(step, prefix, now, next) {
                Found::Open => open = true,
                Found::Done(_) if place == cursor => cursor += 1,
                Found::Done(_) => {}
                Found::Failed(failure) => {
                    self.cancel_steps(steps, prefix, next);
                    return Found::Failed(failure);
                }
            }
        }
        self.cursors.insert(key, cursor);
        if open { Found::Open } else { Found::Done(self.last_result(steps, prefix)) }
    }

    /// Whether a step of a list may begin; `cursor` steps at its head are over.
    fn is_ready(&self, steps: &[Step], place: usize, cursor: usize, prefix: &str) -> bool {
        let step = &steps[place];
        let over = |id: &str| self.is_over(prefix, id);
        if !step.reads.iter().all(|id| over(id)) {
            return false;
        }
        if let Some(names) = &step.depends_on {
            return names.iter().all(|(id, _)| over(id));
        }
        let first = match step.parallel {
            // The whole group of neighbours waits for what stands before the group.
            true => place - steps[..place].iter().rev().take_while(|step| step.parallel).count(),
            false => place,
        };
        cursor >= first || steps[cursor..first].iter().all(|step| over(&step.id))
    }

    /// Whether a step seen from `prefix` is over; a name of an outer list counts too.
    fn is_over(&self, prefix: &str, id: &str) -> bool {
        let ends = std::iter::once(0).chain(prefix.match_indices('/').map(|(at, _)| at + 1));
        ends.into_iter().any(|end| {
            let path = format!("{}{id}", &prefix[..end]);
            match self.done.get(&path) {
                Some(Outcome::Failed(_)) => self.settled.contains(&path),
                other => other.is_some(),
            }
        })
    }

    /// The result of the last step of a list that has one.
    fn last_result(&self, steps: &[Step], prefix: &str) -> Value {
        let results =
            steps.iter().rev().filter_map(|step| match self.done.get(&format!("{prefix}{}", step.id)) {
                Some(Outcome::Done(Json(value))) => Some(value.clone()),
                _ => None,
            });
        results.into_iter().next().unwrap_or_default()
    }

    /// Cancels what is open in a list of steps.
    pub(super) fn cancel_steps(&mut self, steps: &[Step], prefix: &str, next: &mut Next) {
        for step in steps {
            let path = format!("{prefix}{}", step.id);
            for (_, inner) in step.action.blocks() {
                self.cancel_steps(inner, prefix, next);
            }
            self.cancel_steps(&step.fallback, prefix, next);
            self.cancel_below(&format!("{path}["), next);
            if self.leaves.contains_key(&path) {
                self.cancel(path, next);
            }
        }
    }

    /// Walks one step.
    pub(super) fn step(&mut self, step: &Step, prefix: &str, now: Timestamp, next: &mut Next) -> Found {
        let path = format!("{prefix}{}", step.id);
        if !self.done.contains_key(&path) {
            if let Err(failure) = self.enter(step, prefix, &path, now, next) {
                self.note(Event::Finished { path: path.clone(), outcome: Outcome::Failed(failure) }, next);
            } else if !self.done.contains_key(&path) {
                self.work(step, prefix, &path, now, next);
            }
        }
        match self.done.get(&path).cloned() {
            None => Found::Open,
            Some(Outcome::Done(Json(value))) => Found::Done(value),
            Some(Outcome::Skipped | Outcome::Cancelled) => Found::Done(Value::Null),
            Some(Outcome::Failed(failure)) => {
                let found = self.failed(step, prefix, &path, failure, now, next);
                if matches!(found, Found::Done(_)) {
                    self.settled.insert(path);
                }
                found
            }
        }
    }

    /// What follows the failure of a step: its fallback, going on, or the failure of its list.
    fn failed(
        &mut self,
        step: &Step,
        prefix: &str,
        path: &str,
        failure: Failure,
        now: Timestamp,
        next: &mut Next,
    ) -> Found {
        if !step.fallback.is_empty() {
            self.set_error(prefix, &failure);
            return match self.block(&step.fallback, prefix, &format!("{}.fallback", step.id), now, next) {
                Found::Open => Found::Open,
                Found::Done(value) => {
                    self.finish(path, Outcome::Done(Json(value.clone())));
                    Found::Done(value)
                }
                Found::Failed(_) if step.continue_on_error => Found::Done(Value::Null),
                Found::Failed(failure) => Found::Failed(failure),
            };
        }
        if step.continue_on_error { Found::Done(Value::Null) } else { Found::Failed(failure) }
    }

    /// `error` for the steps of a catch or a fallback.
    fn set_error(&mut self, prefix: &str, failure: &Failure) {
        let names = match prefix {
            "" => &mut self.base,
            prefix => self.layers.entry(prefix.into()).or_default(),
        };
        names.insert("error".into(), super::error_value(failure));
    }

    /// The first visit of a step: its condition, and what it chooses.
    fn enter(
        &mut self,
        step: &Step,
        prefix: &str,
        path: &str,
        now: Timestamp,
        next: &mut Next,
    ) -> Result<(), Failure> {
        if self.entered.contains_key(path) {
            return Ok(());
        }
        let scope = self.scope(prefix);
        let truth = |formula: &crate::workflows::model::Formula, what: &str| {
            let value = formula
                .value(&scope)
                .map_err(|fault| expression(&format!("{what} of `{}`", step.id), &fault))?;
            value.as_bool().ok_or_else(|| {
                Failure::new(
                    "expression",
                    "UM1003",
                    format!("{what} of `{}` is neither true nor false but {value}", step.id),
                )
            })
        };
        if let Some(condition) = &step.condition
            && !truth(condition, "`if`")?
        {
            self.note(Event::Finished { path: path.into(), outcome: Outcome::Skipped }, next);
            return Ok(());
        }
        let entered = match &step.action {
            Action::Conditional { condition, .. } => {
                Entered::Branch(usize::from(!truth(condition, "`condition`")?))
            }
            Action::Switch { on, cases, .. } => {
                let value = on
                    .value(&scope)
                    .map_err(|fault| expression(&format!("`on` of `{}`", step.id), &fault))?;
                let mut branch = cases.len();
                for (place, (case, _)) in cases.iter().enumerate() {
                    if self.render(case, prefix, &format!("a case of `{}`", step.id))? == value {
                        branch = place;
                        break;
                    }
                }
                Entered::Branch(branch)
            }
            Action::Foreach { items, .. } => {
                let value = items
                    .value(&scope)
                    .map_err(|fault| expression(&format!("`items` of `{}`", step.id), &fault))?;
                match value {
                    Value::Array(items) if items.len() <= MAX_ITEMS => Entered::Items(Arc::new(items)),
                    Value::Array(items) => {
                        let message = format!(
                            "`{}` has {} items; a loop takes at most {MAX_ITEMS}",
                            step.id,
                            items.len()
                        );
                        return Err(Failure::new("invalid", "UM1003", message));
                    }
                    other => {
                        let message = format!("`items` of `{}` is no list but {other}", step.id);
                        return Err(Failure::new("expression", "UM1003", message));
                    }
                }
            }
            _ => Entered::Plain,
        };
        self.entered.insert(path.into(), entered);
        let composite = !step.action.blocks().is_empty();
        if let (Some(limit), true, None) = (step.timeout_ms, composite, self.leaves.get(path)) {
            let until = Some(now.plus_ms(limit));
            self.note(Event::Waiting { path: path.into(), until, message: String::new() }, next);
        }
        Ok(())
    }

    /// One visit of a step that is not over.
    fn work(&mut self, step: &Step, prefix: &str, path: &str, now: Timestamp, next: &mut Next) {
        if step.action.blocks().is_empty() {
            return self.leaf(step, prefix, path, now, next);
        }
        if let Some(super::Phase::Waiting(Some(until))) = self.phase(path).cloned() {
            if now >= until {
                for (_, inner) in step.action.blocks() {
                    self.cancel_steps(inner, prefix, next);
                }
                self.cancel_below(&format!("{path}["), next);
                let failure = Failure::new(
                    "timeout",
                    "UM0006",
                    format!("`{}` took longer than its `timeout`", step.id),
                );
                // Written down: what was cancelled tells a replay nothing of the reason.
                self.note(Event::Finished { path: path.into(), outcome: Outcome::Failed(failure) }, next);
                return;
            }
            next.wake = Some(next.wake.map_or(until, |wake| wake.min(until)));
        }
        let found = self.composite(step, prefix, path, now, next);
        match found {
            Found::Open => {}
            Found::Done(value) => self.finish(path, Outcome::Done(Json(value))),
            Found::Failed(failure) => self.finish(path, Outcome::Failed(failure)),
        }
    }

    fn composite(&mut self, step: &Step, prefix: &str, path: &str, now: Timestamp, next: &mut Next) -> Found {
        let name = |block: &str| format!("{}.{block}", step.id);
        match &step.action {
            Action::Conditional { then, otherwise, .. } => match self.entered.get(path) {
                Some(Entered::Branch(0)) => self.block(then, prefix, &name("then"), now, next),
                _ => self.block(otherwise, prefix, &name("else"), now, next),
            },
            Action::Switch { cases, default, .. } => match self.entered.get(path) {
                Some(Entered::Branch(place)) if *place < cases.len() => {
                    let place = *place;
                    self.block(&cases[place].1, prefix, &name("case"), now, next)
                }
                _ => self.block(default, prefix, &name("default"), now, next),
            },
            Action::Parallel { steps, max_concurrency, join } => {
                self.parallel(steps, *max_concurrency, *join, prefix, now, next)
            }
            Action::Foreach { .. } => {
                let Some(Entered::Items(items)) = self.entered.get(path).cloned() else { return Found::Open };
                self.foreach(step, &items, path, now, next)
            }
            Action::Repeat { .. } => self.repeat(step, path, now, next),
            Action::Try { steps, catch, finally } => {
                let mut found = self.block(steps, prefix, &name("steps"), now, next);
                if let (Found::Failed(failure), false) = (&found, catch.is_empty()) {
                    let failure = failure.clone();
                    self.set_error(prefix, &failure);
                    found = self.block(catch, prefix, &name("catch"), now, next);
                }
                if found == Found::Open {
                    return found;
                }
                match self.block(finally, prefix, &name("finally"), now, next) {
                    Found::Done(_) => found,
                    other => other,
                }
            }
            _ => Found::Open,
        }
    }

    fn parallel(
        &mut self,
        steps: &[Step],
        most: usize,
        join: Join,
        prefix: &str,
        now: Timestamp,
        next: &mut Next,
    ) -> Found {
        let (mut active, mut good, mut bad) = (0, 0, 0);
        let mut failure = None;
        let wanted = match join {
            Join::All => steps.len(),
            Join::Some(wanted) => wanted.min(steps.len()),
        };
        for (place, step) in steps.iter().enumerate() {
            let waits = step.depends_on.is_some() || !step.reads.is_empty();
            if active >= most || waits && !self.is_ready(steps, place, 0, prefix) {
                continue;
            }
            match self.step(step, prefix, now, next) {
                Found::Open => active += 1,
                Found::Done(_) => good += 1,
                Found::Failed(reason) => {
                    bad += 1;
                    failure = Some(reason);
                }
            }
            if steps.len() - bad < wanted {
                break;
            }
        }
        if steps.len() - bad < wanted {
            self.cancel_steps(steps, prefix, next);
            return Found::Failed(
                failure.unwrap_or_else(|| Failure::new("failed", "UM0001", "a step failed")),
            );
        }
        if good < wanted {
            return Found::Open;
        }
        self.cancel_steps(steps, prefix, next);
        let result = |step: &Step| match self.done.get(&format!("{prefix}{}", step.id)) {
            Some(Outcome::Done(Json(value))) => value.clone(),
            _ => Value::Null,
        };
        Found::Done(steps.iter().map(|step| (step.id.clone(), result(step))).collect::<Map<_, _>>().into())
    }
}
