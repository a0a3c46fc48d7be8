//! What happens to due instants, each in one commit with the state of its schedule: rows of the history are written,
//! runs are written down as begun, queued ones move up. Nothing is run here; what is to be run is in the reply.

use super::due::{Admitted, Dues, Passed, admit};
use super::model::{
    Cause, Failure, Firing, Last, MAX_CAUGHT_UP, Schedule, State, Status, Target, key, run_id,
};
use super::scope;
use super::timetable::Timetable;
use super::{AGENTS, End, FIRINGS, Fired, Reply, SCHEDULES, STATES, find, held, holder, state};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Writer};
use serde_json::Value;

/// Bytes of a result that the history keeps.
const MAX_RESULT: usize = 64 << 10;

/// Deals with all that is due of these schedules.
pub fn fire(tx: &mut Writer, names: &[String], now: Timestamp, host: &str) -> Result<Fired> {
    let host: Value = serde_json::from_str(host).unwrap_or_default();
    let held = held(tx)?;
    let mut fired = Fired::default();
    for name in names {
        let schedule = tx.get(&SCHEDULES, name)?;
        let on = schedule.filter(|schedule| schedule.enabled && holder(schedule, &held).is_none());
        let watermark = match on {
            Some(schedule) => Some(fire_one(tx, &schedule, now, &host, &mut fired)?),
            None => None,
        };
        fired.watermarks.push((name.clone(), watermark));
    }
    Ok(fired)
}

fn fire_one(
    tx: &mut Writer,
    schedule: &Schedule,
    now: Timestamp,
    host: &Value,
    fired: &mut Fired,
) -> Result<Timestamp> {
    let mut state = state(tx, schedule)?;
    let timetable = Timetable::read(&schedule.trigger, &schedule.zone)?;
    let dues = Dues { timetable: &timetable, offset: schedule.offset() };
    let considered = dues.consider(schedule.missed, state.watermark, now);
    if let Some(passed) = &considered.passed {
        pass(tx, schedule, &mut state, passed, Status::Missed, now)?;
        state.watermark = state.watermark.max(passed.last);
    }
    debug_assert!(considered.fire.len() <= MAX_CAUGHT_UP);
    for (due, cause) in considered.fire {
        state.watermark = state.watermark.max(due);
        // A row bars its instant, also where a clock that was wrong comes to it a second time; but what was missed
        // only because the clock was wrong has not been dealt with.
        let row = tx.get(&FIRINGS, &key(&schedule.id, due))?;
        if row.is_none_or(|row| row.status == Status::Missed) {
            take(tx, schedule, &mut state, (due, cause), now, host, fired)?;
        }
    }
    tx.put(&STATES, &schedule.id, &state)?;
    Ok(state.watermark)
}

/// One due instant: condition, inputs, overlap, and its row.
fn take(
    tx: &mut Writer,
    schedule: &Schedule,
    state: &mut State,
    (due, cause): (Timestamp, Cause),
    now: Timestamp,
    host: &Value,
    fired: &mut Fired,
) -> Result<()> {
    let mut firing = firing(schedule, due, cause);
    match prepare(tx, schedule, state, due, cause, host) {
        Ok(Some(input)) => firing.input = input,
        Ok(None) => {
            state.totals.skipped += 1;
            return close(tx, firing, Status::Declined, now, "the condition of --when does not hold");
        }
        Err(error) => {
            state.totals.failed += 1;
            state.last = Some(Last { due, status: Status::Failed, ended: now });
            firing.failure = Some(Failure { code: error.code.code.into(), message: error.to_string() });
            return close(tx, firing, Status::Failed, now, &format!("not begun: {error}"));
        }
    }
    let admitted = match cause {
        Cause::Manual => Admitted::Begin,
        _ => admit(schedule.overlap, state.open.len(), state.queued.len()),
    };
    match admitted {
        Admitted::Skip => {
            state.totals.skipped += 1;
            return close(tx, firing, Status::Overlapped, now, "the run before is still under way");
        }
        Admitted::Queue => {
            firing.status = Status::Queued;
            firing.note(now, "waits for the run before");
            state.queued.push(due);
            return tx.put(&FIRINGS, &firing.key(), &firing);
        }
        Admitted::Replace => replace(tx, schedule, state, now, fired)?,
        Admitted::Begin => {}
    }
    start(tx, &mut firing, state, now)?;
    fired.begun.push(firing);
    Ok(())
}

/// The inputs, or `None` where the condition does not hold.
fn prepare(
    tx: &Reader,
    schedule: &Schedule,
    state: &State,
    due: Timestamp,
    cause: Cause,
    host: &Value,
) -> Result<Option<String>> {
    let agent = match &schedule.agent {
        Some(agent) => tx.get(&AGENTS, agent)?,
        None => None,
    };
    let names = scope::names(schedule, agent.as_ref(), state, due, host);
    if let (Some(when), true) = (&schedule.when, cause != Cause::Manual)
        && !scope::holds(when, &names)?
    {
        return Ok(None);
    }
    scope::render(&schedule.input, &names).map(|input| Some(input.to_string()))
}

fn firing(schedule: &Schedule, due: Timestamp, cause: Cause) -> Firing {
    Firing {
        id: run_id(&schedule.id, due),
        schedule_id: schedule.id.clone(),
        schedule: schedule.name.clone(),
        agent: schedule.agent.clone(),
        due,
        until: due,
        count: 1,
        more: false,
        cause,
        status: Status::Running,
        target: schedule.target.clone(),
        input: "{}".into(),
        deadline_ms: schedule.deadline_ms,
        retries: schedule.retries,
        retry_after_ms: schedule.retry_after_ms,
        attempts: 0,
        began: None,
        ended: None,
        run: None,
        result: String::new(),
        failure: None,
        lines: Vec::new(),
    }
}

/// Writes a run down as begun.
fn start(tx: &mut Writer, firing: &mut Firing, state: &mut State, now: Timestamp) -> Result<()> {
    firing.status = Status::Running;
    firing.attempts = 1;
    firing.began = Some(now);
    let late = now.since_ms(firing.due);
    let word = match firing.cause {
        Cause::Manual => "begun by hand".into(),
        Cause::OnTime => "begun".into(),
        Cause::Late => format!("begun, {late} ms late"),
        Cause::CaughtUp => format!("begun, to make up for {}", firing.due.rfc3339()),
    };
    firing.note(now, word);
    name_run(firing, now);
    state.open.push(firing.due);
    state.totals.begun += 1;
    tx.put(&FIRINGS, &firing.key(), firing)
}

/// The run of the workflow gets its name before it is begun, so that it is begun once.
fn name_run(firing: &mut Firing, now: Timestamp) {
    if matches!(firing.target, Target::Workflow(_)) {
        let number = firing.attempts.to_be_bytes();
        let digest = crate::ids::sha256(&[firing.id.as_bytes(), &number]);
        // Ids of runs sort by the time of their making.
        firing.run = Some(format!("wf_{:012x}{}", now.millis(), crate::ids::hex(&digest[..10])));
    }
}

/// Those under way make room; each stays open until it is seen to have ended.
fn replace(
    tx: &mut Writer,
    schedule: &Schedule,
    state: &State,
    now: Timestamp,
    fired: &mut Fired,
) -> Result<()> {
    for due in &state.open {
        let Some(mut old) = tx.get(&FIRINGS, &key(&schedule.id, *due))? else { continue };
        if old.status == Status::Running {
            old.status = Status::Cancelled;
            old.note(now, "cancelled: the next run took its place");
            tx.put(&FIRINGS, &old.key(), &old)?;
            fired.cancelled.push(old);
        }
    }
    Ok(())
}

fn close(tx: &mut Writer, mut firing: Firing, status: Status, now: Timestamp, why: &str) -> Result<()> {
    firing.status = status;
    firing.ended = Some(now);
    firing.note(now, why);
    tx.put(&FIRINGS, &firing.key(), &firing)
}

/// One row for instants that nothing is run for.
pub fn pass(
    tx: &mut Writer,
    schedule: &Schedule,
    state: &mut State,
    passed: &Passed,
    status: Status,
    now: Timestamp,
) -> Result<()> {
    let mut firing = firing(schedule, passed.first, Cause::CaughtUp);
    (firing.until, firing.count, firing.more) = (passed.last, passed.count, passed.more);
    match status {
        Status::Paused => state.totals.skipped += passed.count,
        _ => state.totals.missed += passed.count,
    }
    if tx.contains(&FIRINGS, &firing.key())? {
        return Ok(());
    }
    let more = if passed.more { " or more" } else { "" };
    let why = format!("{}{more} due, up to {}: nothing was run", passed.count, passed.last.rfc3339());
    close(tx, firing, status, now, &why)
}

/// Begins a run now.
pub fn begin(tx: &mut Writer, name: &str, now: Timestamp, host: &str) -> Result<Fired> {
    let schedule = find(tx, name)?;
    let mut state = state(tx, &schedule)?;
    let host: Value = serde_json::from_str(host).unwrap_or_default();
    let mut due = now;
    while tx.contains(&FIRINGS, &key(&schedule.id, due))? {
        due = Timestamp(due.0 + 1);
    }
    let mut fired = Fired::default();
    take(tx, &schedule, &mut state, (due, Cause::Manual), now, &host, &mut fired)?;
    tx.put(&STATES, &schedule.id, &state)?;
    if fired.begun.is_empty() {
        let row = tx.get(&FIRINGS, &key(&schedule.id, due))?;
        let why = row.and_then(|row| row.failure).map_or_else(String::new, |failure| failure.message);
        return Err(Error::new(&codes::VALUE_INVALID, why).hint(format!("umcp schedule show {name}")));
    }
    Ok(fired)
}

/// Writes down that another attempt begins.
pub fn attempt(tx: &mut Writer, key: &str, at: Timestamp, attempt: u32, why: &str) -> Result<Reply> {
    let Some(mut firing) = tx.get(&FIRINGS, key)? else { return Ok(Reply::Done) };
    firing.attempts = attempt;
    firing.note(at, why);
    name_run(&mut firing, at);
    tx.put(&FIRINGS, key, &firing)?;
    Ok(Reply::Firing(Box::new(firing)))
}

/// Writes down how runs ended, and begins those that waited for them.
pub fn end(tx: &mut Writer, ends: Vec<End>, now: Timestamp) -> Result<Fired> {
    let mut fired = Fired::default();
    for end in ends {
        let Some(mut firing) = tx.get(&FIRINGS, &end.key)? else { continue };
        if firing.status == Status::Running {
            firing.status = end.status;
            firing.failure = end.failure;
            firing.result = shortened(end.result);
        }
        if firing.ended.is_some() {
            continue;
        }
        firing.ended = Some(end.at);
        firing.lines.extend(end.lines);
        tx.put(&FIRINGS, &end.key, &firing)?;
        let id = firing.schedule_id.clone();
        let Some(mut state) = tx.get(&STATES, &id)? else { continue };
        settle(&mut state, &firing, end.at);
        move_up(tx, &id, &mut state, now, &mut fired)?;
        tx.put(&STATES, &id, &state)?;
    }
    Ok(fired)
}

fn shortened(text: String) -> String {
    match text.len() {
        ..=MAX_RESULT => text,
        length => {
            let end = text.floor_char_boundary(MAX_RESULT);
            format!("{}… ({length} bytes)", &text[..end])
        }
    }
}

fn settle(state: &mut State, firing: &Firing, at: Timestamp) {
    state.open.retain(|due| *due != firing.due);
    match firing.status {
        Status::Completed => state.totals.completed += 1,
        Status::Cancelled => state.totals.cancelled += 1,
        _ => state.totals.failed += 1,
    }
    state.last = Some(Last { due: firing.due, status: firing.status, ended: at });
}

/// Begins the one that waited longest, where nothing is under way. One whose schedule is off or held waits on.
fn move_up(tx: &mut Writer, id: &str, state: &mut State, now: Timestamp, fired: &mut Fired) -> Result<()> {
    while let (true, Some(due)) = (state.open.is_empty(), state.queued.first().copied()) {
        let Some(mut next) = tx.get(&FIRINGS, &key(id, due))?.filter(|next| next.status == Status::Queued)
        else {
            state.queued.remove(0);
            continue;
        };
        let held = held(tx)?;
        let schedule = tx.get(&SCHEDULES, &next.schedule)?;
        if schedule.is_none_or(|schedule| !schedule.enabled || holder(&schedule, &held).is_some()) {
            fired.held_back = true;
            return Ok(());
        }
        state.queued.remove(0);
        start(tx, &mut next, state, now)?;
        fired.begun.push(next);
    }
    Ok(())
}

/// Begins what waited in a queue while its schedule was off or held, wherever that is over.
pub fn release(tx: &mut Writer, now: Timestamp) -> Result<Fired> {
    let mut fired = Fired::default();
    for (id, mut state) in tx.all(&STATES)? {
        if state.open.is_empty() && !state.queued.is_empty() {
            move_up(tx, &id, &mut state, now, &mut fired)?;
            tx.put(&STATES, &id, &state)?;
        }
    }
    Ok(fired)
}

/// What a former daemon left: runs of workflows go on, other calls are made again only where retries were asked for.
pub fn recover(tx: &mut Writer, now: Timestamp) -> Result<Fired> {
    let mut fired = Fired::default();
    for (id, mut state) in tx.all(&STATES)? {
        if state.open.is_empty() && state.queued.is_empty() {
            continue;
        }
        for due in state.open.clone() {
            let Some(mut firing) = tx.get(&FIRINGS, &key(&id, due))? else {
                state.open.retain(|open| *open != due);
                continue;
            };
            let is_workflow = matches!(firing.target, Target::Workflow(_));
            if firing.status == Status::Cancelled {
                fired.cancelled.push(firing);
            } else if is_workflow {
                fired.begun.push(firing);
            } else if firing.attempts <= firing.retries {
                firing.attempts += 1;
                firing.note(now, format!("the daemon ended meanwhile; attempt {} begins", firing.attempts));
                tx.put(&FIRINGS, &firing.key(), &firing)?;
                fired.begun.push(firing);
            } else {
                let message = "the daemon ended while it ran; whether it had effects is not known";
                firing.failure =
                    Some(Failure { code: codes::INTERRUPTED.code.into(), message: message.into() });
                firing.status = Status::Interrupted;
                settle(&mut state, &firing, now);
                close(tx, firing, Status::Interrupted, now, message)?;
            }
        }
        move_up(tx, &id, &mut state, now, &mut fired)?;
        tx.put(&STATES, &id, &state)?;
    }
    Ok(fired)
}
