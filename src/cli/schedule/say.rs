//! Schedules and their runs in words and as JSON: one shape for all verbs.

use crate::clock::Timestamp;
use crate::schedules::model::{Firing, Missed, Overlap, Schedule, Status, Trigger};
use crate::schedules::timetable::{self, Timetable};
use crate::schedules::{Held, Item};
use crate::servers::formats::own::write_time;
use crate::ui::State;
use serde::Serialize;
use serde_json::Value;

/// A schedule as `--json` shows it.
#[derive(Serialize)]
pub struct View {
    pub name: String,
    pub description: String,
    /// `on`, `off`, `paused` or `over`.
    pub state: &'static str,
    /// Who holds it, where it is paused: `schedule`, `agent` or `all`.
    pub paused_by: Option<&'static str>,
    pub agent: Option<String>,
    pub target: String,
    pub name_of_target: String,
    pub cron: Option<String>,
    pub every_ms: Option<u64>,
    pub at: Option<String>,
    pub timezone: String,
    pub words: String,
    pub input: Value,
    pub missed: Missed,
    pub overlap: Overlap,
    pub jitter_ms: u64,
    pub when: Option<String>,
    pub deadline_ms: Option<u64>,
    pub retries: u32,
    pub retry_after_ms: u64,
    pub next: Option<String>,
    pub next_local: Option<String>,
    pub last: Option<String>,
    pub last_due: Option<String>,
    pub running: usize,
    pub queued: usize,
    pub runs: u64,
    pub failed: u64,
    pub revision: u64,
    #[serde(skip)]
    pub due: Option<Timestamp>,
}

impl View {
    pub fn new(item: Item) -> Self {
        let next = coming(&item).next();
        let Item { schedule, state, held } = item;
        let zone = timetable::zone(&schedule.zone).ok();
        let (mut cron, mut every, mut at) = (None, None, None);
        match &schedule.trigger {
            Trigger::Cron(text) => cron = Some(text.clone()),
            Trigger::Every { ms, .. } => every = Some(*ms),
            Trigger::At(instant) => at = Some(instant.rfc3339()),
        }
        Self {
            state: match (schedule.enabled, held, next) {
                (false, ..) => "off",
                (_, Some(_), _) => "paused",
                (_, _, None) => "over",
                _ => "on",
            },
            paused_by: held.map(holder),
            words: words(&schedule),
            target: schedule.target.kind().into(),
            name_of_target: schedule.target.name().into(),
            input: serde_json::from_str(&schedule.input).unwrap_or_default(),
            next: next.map(Timestamp::rfc3339),
            next_local: next.zip(zone).map(|(next, zone)| timetable::local(next, &zone)),
            last: state.last.as_ref().map(|last| last.status.word().into()),
            last_due: state.last.as_ref().map(|last| last.due.rfc3339()),
            running: state.open.len(),
            queued: state.queued.len(),
            runs: state.totals.begun,
            failed: state.totals.failed,
            due: next,
            cron,
            every_ms: every,
            at,
            name: schedule.name,
            description: schedule.description,
            agent: schedule.agent,
            timezone: schedule.zone,
            missed: schedule.missed,
            overlap: schedule.overlap,
            jitter_ms: schedule.jitter_ms,
            when: schedule.when,
            deadline_ms: schedule.deadline_ms,
            retries: schedule.retries,
            retry_after_ms: schedule.retry_after_ms,
            revision: schedule.revision,
        }
    }
}

fn holder(held: Held) -> &'static str {
    match held {
        Held::Itself => "schedule",
        Held::Agent => "agent",
        Held::All => "all",
    }
}

/// The due instants to come; none while it is off or held.
pub fn coming(item: &Item) -> impl Iterator<Item = Timestamp> + use<> {
    let on = item.schedule.enabled && item.held.is_none();
    let timetable = Timetable::read(&item.schedule.trigger, &item.schedule.zone).ok().filter(|_| on);
    let (offset, mut after) = (item.schedule.offset(), item.state.watermark);
    std::iter::from_fn(move || {
        after = timetable.as_ref()?.shifted(after, offset)?;
        Some(after)
    })
}

/// When a schedule is due, in words.
pub fn words(schedule: &Schedule) -> String {
    match &schedule.trigger {
        Trigger::Cron(text) => match timetable::cron(text) {
            Ok(cron) => cron.words(),
            Err(_) => text.clone(),
        },
        Trigger::Every { ms, .. } => format!("every {}", write_time(*ms)),
        Trigger::At(at) => format!("once, at {}", at.rfc3339()),
    }
}

/// One row of the history as `--json` shows it.
#[derive(Serialize)]
pub struct Row {
    pub id: String,
    pub schedule: String,
    pub agent: Option<String>,
    pub status: Status,
    pub cause: crate::schedules::model::Cause,
    pub due: String,
    pub until: Option<String>,
    pub count: u64,
    pub more: bool,
    pub began: Option<String>,
    pub ended: Option<String>,
    pub delay_ms: Option<u64>,
    pub duration_ms: Option<u64>,
    pub attempts: u32,
    /// The run of the workflow: `umcp workflow status RUN`.
    pub workflow_run: Option<String>,
    pub target: String,
    pub input: Value,
    pub result: Value,
    pub error: Option<crate::schedules::model::Failure>,
    #[serde(skip)]
    pub at: Timestamp,
}

impl Row {
    pub fn new(firing: &Firing) -> Self {
        Self {
            id: firing.id.clone(),
            schedule: firing.schedule.clone(),
            agent: firing.agent.clone(),
            status: firing.status,
            cause: firing.cause,
            due: firing.due.rfc3339(),
            until: (firing.until != firing.due).then(|| firing.until.rfc3339()),
            count: firing.count,
            more: firing.more,
            began: firing.began.map(Timestamp::rfc3339),
            ended: firing.ended.map(Timestamp::rfc3339),
            delay_ms: firing.began.map(|began| began.since_ms(firing.due)),
            duration_ms: firing.took_ms(),
            attempts: firing.attempts,
            workflow_run: firing.run.clone(),
            target: format!("{} {}", firing.target.kind(), firing.target.name()),
            input: serde_json::from_str(&firing.input).unwrap_or_default(),
            result: serde_json::from_str(&firing.result).unwrap_or_else(|_| firing.result.clone().into()),
            error: firing.failure.clone(),
            at: firing.due,
        }
    }
}

pub fn shade(status: Status) -> State {
    match status {
        Status::Completed => State::Ok,
        Status::Failed => State::Fail,
        Status::Running | Status::Queued => State::Busy,
        Status::Interrupted | Status::Missed | Status::Overlapped => State::Warn,
        Status::Cancelled | Status::Paused | Status::Declined => State::Off,
    }
}

/// What a row tells beside its state: the error, the result, or what was not run.
pub fn told(row: &Row) -> String {
    if let Some(error) = &row.error {
        return error.message.clone();
    }
    if row.count > 1 {
        let more = if row.more { " or more" } else { "" };
        return format!("{}{more} up to {}", row.count, row.until.as_deref().unwrap_or_default());
    }
    match &row.result {
        Value::Null => String::new(),
        Value::String(text) => text.lines().next().unwrap_or_default().chars().take(80).collect(),
        value => value.to_string().chars().take(80).collect(),
    }
}
