//! What the user changes: schedules come, go, are switched on and off, held and let go. A schedule that comes back
//! looks ahead only: what passed meanwhile is one row of the history and never a burst of runs.

use super::due::Dues;
use super::fire::pass;
use super::model::{EVERYONE, Schedule, State, Status};
use super::timetable::Timetable;
use super::{AGENTS, FIRINGS, Held, Reply, SCHEDULES, STATES, Whom, find, held, holder, item, state};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::Writer;

/// A clock that was set back by more was wrong before: what it has not come to again is due again.
const WRONG: u64 = 3 * 3_600_000_000;

pub fn put(tx: &mut Writer, mut schedule: Schedule, replace: bool) -> Result<Reply> {
    let timetable = Timetable::read(&schedule.trigger, &schedule.zone)?;
    match tx.get(&SCHEDULES, &schedule.name)? {
        Some(_) if !replace => {
            let message = format!("a schedule named `{}` exists already", schedule.name);
            return Err(Error::new(&codes::SCHEDULE_EXISTS, message)
                .hint(format!("umcp schedule update {}", schedule.name)));
        }
        Some(old) => {
            let same = |new: &Schedule| {
                (&old.trigger, &old.zone, old.jitter_ms) == (&new.trigger, &new.zone, new.jitter_ms)
            };
            let moved = !same(&schedule);
            schedule.id.clone_from(&old.id);
            schedule.created = old.created;
            schedule.revision = old.revision + 1;
            if moved {
                let mut state = state(tx, &schedule)?;
                state.watermark = schedule.updated;
                tx.put(&STATES, &schedule.id, &state)?;
            }
        }
        None => {
            let state = State { watermark: schedule.updated, ..State::default() };
            tx.put(&STATES, &schedule.id, &state)?;
        }
    }
    if let Some(agent) = &schedule.agent {
        super::agents::demand(tx, agent)?;
    }
    if timetable.shifted(schedule.updated, schedule.offset()).is_none() && schedule.revision == 0 {
        return Err(Error::new(
            &codes::VALUE_INVALID,
            "the schedule is never due again: its time has passed",
        ));
    }
    tx.put(&SCHEDULES, &schedule.name, &schedule)?;
    let held = held(tx)?;
    item(tx, schedule, &held).map(|item| Reply::Item(Box::new(item)))
}

pub fn delete(tx: &mut Writer, names: &[String]) -> Result<Reply> {
    for name in names {
        let schedule = find(tx, name)?;
        for (key, _) in tx.prefix(&FIRINGS, &format!("{}/", schedule.id))? {
            tx.remove(&FIRINGS, &key)?;
        }
        tx.remove(&STATES, &schedule.id)?;
        tx.remove(&SCHEDULES, name)?;
    }
    Ok(Reply::Names(names.to_vec()))
}

pub fn enable(tx: &mut Writer, names: &[String], enabled: bool, at: Timestamp) -> Result<Reply> {
    for name in names {
        let mut schedule = find(tx, name)?;
        if schedule.enabled == enabled {
            continue;
        }
        schedule.enabled = enabled;
        schedule.updated = at;
        schedule.revision += 1;
        if enabled {
            let mut state = state(tx, &schedule)?;
            state.watermark = state.watermark.max(at);
            tx.put(&STATES, &schedule.id, &state)?;
        }
        tx.put(&SCHEDULES, name, &schedule)?;
    }
    Ok(Reply::Names(names.to_vec()))
}

pub fn pause(tx: &mut Writer, whom: &Whom, paused: bool, at: Timestamp) -> Result<Reply> {
    let before = held(tx)?;
    match whom {
        Whom::Schedules(names) => {
            for name in names {
                let mut schedule = find(tx, name)?;
                schedule.paused = paused;
                schedule.updated = at;
                let was_held = tx.get(&SCHEDULES, name)?.and_then(|old| holder(&old, &before));
                tx.put(&SCHEDULES, name, &schedule)?;
                if was_held == Some(Held::Itself) && !paused {
                    resume(tx, &schedule, at)?;
                }
            }
            return Ok(Reply::Names(names.clone()));
        }
        Whom::Agent(name) => super::agents::hold(tx, name, paused)?,
        Whom::All => {
            let mut everyone = tx.get(&AGENTS, EVERYONE)?.unwrap_or_default();
            everyone.name = EVERYONE.into();
            everyone.paused = paused;
            tx.put(&AGENTS, EVERYONE, &everyone)?;
        }
    }
    let after = held(tx)?;
    let mut names = Vec::new();
    for (name, schedule) in tx.all(&SCHEDULES)? {
        let concerned = match whom {
            Whom::Agent(agent) => schedule.agent.as_deref() == Some(agent),
            _ => true,
        };
        if concerned {
            if holder(&schedule, &before).is_some() && holder(&schedule, &after).is_none() {
                resume(tx, &schedule, at)?;
            }
            names.push(name);
        }
    }
    Ok(Reply::Names(names))
}

/// Writes down what the pause let pass, and goes on from here.
fn resume(tx: &mut Writer, schedule: &Schedule, at: Timestamp) -> Result<()> {
    if !schedule.enabled || holder(schedule, &held(tx)?).is_some() {
        return Ok(());
    }
    let mut state = state(tx, schedule)?;
    let timetable = Timetable::read(&schedule.trigger, &schedule.zone)?;
    let dues = Dues { timetable: &timetable, offset: schedule.offset() };
    if let Some(passed) = dues.skipped(state.watermark, at) {
        pass(tx, schedule, &mut state, &passed, Status::Paused, at)?;
    }
    state.watermark = state.watermark.max(at);
    tx.put(&STATES, &schedule.id, &state)
}

pub fn rewind(tx: &mut Writer, now: Timestamp) -> Result<Reply> {
    let mut count = 0;
    for (id, mut state) in tx.all(&STATES)? {
        if state.watermark.0 > now.0 + WRONG {
            state.watermark = now;
            tx.put(&STATES, &id, &state)?;
            count += 1;
        }
    }
    Ok(Reply::Count(count))
}
