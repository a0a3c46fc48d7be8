//! The noun `schedule`: what runs when, how far each schedule has come, and the history of what became of every due
//! instant. Here stand the cron language, the decision what is due, the plan and the rows; the daemon keeps the time.
//! Rule: that an instant was dealt with and that its run has begun is one commit, before anything is run; a row of the
//! history bars the same instant for ever.

mod agents;
mod change;
pub mod cron;
pub mod due;
mod fire;
mod history;
pub mod model;
pub mod plan;
pub mod scope;
pub mod stats;
pub mod timetable;

#[cfg(test)]
mod tests;

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
use model::{Agent, EVERYONE, Failure, Firing, Line, Schedule, State, Status};
use plan::Slip;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const SCHEDULES: Table<Schedule> = Table::new(tables::SCHEDULES);
const STATES: Table<State> = Table::new(tables::SCHEDULE_STATES);
const FIRINGS: Table<Firing> = Table::new(tables::FIRINGS);
const AGENTS: Table<Agent> = Table::new(tables::AGENTS);

impl Row for Schedule {
    const KIND: u8 = 70;
    const VERSION: u16 = 1;
}

impl Row for State {
    const KIND: u8 = 71;
    const VERSION: u16 = 1;
}

impl Row for Firing {
    const KIND: u8 = 72;
    const VERSION: u16 = 1;
}

impl Row for Agent {
    const KIND: u8 = 73;
    const VERSION: u16 = 1;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List {
        agent: Option<String>,
    },
    Show {
        name: String,
    },
    /// Stores a schedule under its name; `replace`: in the place of the one that is there.
    Put {
        schedule: Box<Schedule>,
        replace: bool,
    },
    Delete {
        names: Vec<String>,
    },
    Enable {
        names: Vec<String>,
        enabled: bool,
        at: Timestamp,
    },
    Pause {
        whom: Whom,
        paused: bool,
        at: Timestamp,
    },
    /// Rows of the history, newest first.
    History(Filter),
    /// One row by its id, which may be shortened to its end.
    Run {
        schedule: Option<String>,
        id: String,
    },
    /// What the plan is told of these schedules, or of all that are on.
    Slips {
        names: Option<Vec<String>>,
    },
    /// Deals with everything of these schedules that is due. `host`: what is known of the machine, as JSON.
    Fire {
        names: Vec<String>,
        now: Timestamp,
        host: String,
    },
    /// Begins a run now, whatever the schedule says.
    Begin {
        name: String,
        now: Timestamp,
        host: String,
    },
    /// The next attempt of a run is about to be made.
    Attempt {
        key: String,
        at: Timestamp,
        attempt: u32,
        why: String,
    },
    /// Runs that are over; those that waited for them begin.
    End {
        ends: Vec<End>,
        now: Timestamp,
    },
    /// After a start: what a former daemon left.
    Recover {
        now: Timestamp,
    },
    /// Schedules were let go: what waited in their queues may begin.
    Release {
        now: Timestamp,
    },
    /// The clock was far ahead: what it has not come to again counts as not considered.
    Rewind {
        now: Timestamp,
    },
    /// Keeps the newest rows of each schedule, and none that ended before.
    Trim {
        keep: u64,
        before: Timestamp,
    },
    Agents,
    PutAgent {
        agent: Agent,
        replace: bool,
    },
    DeleteAgents {
        names: Vec<String>,
    },
}

/// Whose schedules are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    Schedules(Vec<String>),
    Agent(String),
    All,
}

/// Which rows of the history.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Filter {
    pub schedule: Option<String>,
    pub agent: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub status: Option<Status>,
    /// Words that must all stand somewhere in the row's texts.
    pub words: Vec<String>,
    pub limit: u32,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub key: String,
    pub at: Timestamp,
    pub status: Status,
    /// JSON text.
    pub result: String,
    pub failure: Option<Failure>,
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Items(Vec<Item>),
    Item(Box<Item>),
    Firings(Vec<Firing>),
    Firing(Box<Firing>),
    /// `None`: the schedule is off, held, or gone.
    Slips(Vec<(String, Option<Slip>)>),
    Fired(Fired),
    Agents(Vec<Agent>),
    Agent(Agent),
    Names(Vec<String>),
    Count(u64),
    Done,
}

/// A schedule with how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub schedule: Schedule,
    pub state: State,
    /// Why it does not run although it is enabled.
    pub held: Option<Held>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    Itself,
    Agent,
    All,
}

/// What follows from a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fired {
    /// Runs that were written down as begun and are to be begun now.
    pub begun: Vec<Firing>,
    /// Runs that are to be cancelled.
    pub cancelled: Vec<Firing>,
    /// How far each schedule has come; `None`: it is to leave the plan.
    pub watermarks: Vec<(String, Option<Timestamp>)>,
    /// A run waits in the queue of a schedule that is off or held.
    pub held_back: bool,
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        !matches!(
            self,
            Self::List { .. }
                | Self::Show { .. }
                | Self::History(_)
                | Self::Run { .. }
                | Self::Slips { .. }
                | Self::Agents
        )
    }

    /// Whether it may change what the plan holds; `Some(None)` means of all schedules.
    pub fn replans(&self) -> Option<Option<Vec<String>>> {
        match self {
            Self::Put { schedule, .. } => Some(Some(vec![schedule.name.clone()])),
            Self::Delete { names } | Self::Enable { names, .. } => Some(Some(names.clone())),
            Self::Pause { whom: Whom::Schedules(names), .. } => Some(Some(names.clone())),
            Self::Pause { .. } | Self::DeleteAgents { .. } => Some(None),
            _ => None,
        }
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::List { agent } => {
            let held = held(tx)?;
            let mut items = Vec::new();
            for (_, schedule) in tx.all(&SCHEDULES)? {
                if agent.is_none() || schedule.agent == *agent {
                    items.push(item(tx, schedule, &held)?);
                }
            }
            Ok(Reply::Items(items))
        }
        Request::Show { name } => {
            let schedule = find(tx, name)?;
            item(tx, schedule, &held(tx)?).map(|item| Reply::Item(Box::new(item)))
        }
        Request::History(filter) => history::list(tx, filter).map(Reply::Firings),
        Request::Run { schedule, id } => history::one(tx, schedule.as_deref(), id),
        Request::Slips { names } => slips(tx, names.as_deref()).map(Reply::Slips),
        Request::Agents => agents::all(tx).map(Reply::Agents),
        _ => Err(Error::bug("a write was handed to `schedules::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::Put { schedule, replace } => change::put(tx, *schedule, replace),
        Request::Delete { names } => change::delete(tx, &names),
        Request::Enable { names, enabled, at } => change::enable(tx, &names, enabled, at),
        Request::Pause { whom, paused, at } => change::pause(tx, &whom, paused, at),
        Request::Fire { names, now, host } => fire::fire(tx, &names, now, &host).map(Reply::Fired),
        Request::Begin { name, now, host } => fire::begin(tx, &name, now, &host).map(Reply::Fired),
        Request::Attempt { key, at, attempt, why } => fire::attempt(tx, &key, at, attempt, &why),
        Request::End { ends, now } => fire::end(tx, ends, now).map(Reply::Fired),
        Request::Recover { now } => fire::recover(tx, now).map(Reply::Fired),
        Request::Release { now } => fire::release(tx, now).map(Reply::Fired),
        Request::Rewind { now } => change::rewind(tx, now),
        Request::Trim { keep, before } => history::trim(tx, keep, before).map(Reply::Count),
        Request::PutAgent { agent, replace } => agents::put(tx, agent, replace),
        Request::DeleteAgents { names } => agents::delete(tx, &names),
        _ => Err(Error::bug("a read was handed to `schedules::write`")),
    }
}

/// Refuses names that could not be a word on the command line.
pub fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = (1..=64).contains(&name.len())
        && name.chars().all(good)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    match fits {
        true => Ok(()),
        false => Err(Error::new(&codes::NAME_INVALID, format!("`{name}` cannot be a name here"))
            .hint("use letters, digits, `-`, `_` and `.`, 64 at most")),
    }
}

/// A schedule by its name.
fn find(tx: &Reader, name: &str) -> Result<Schedule> {
    if let Some(schedule) = tx.get(&SCHEDULES, name)? {
        return Ok(schedule);
    }
    let names: Vec<String> = tx.all(&SCHEDULES)?.into_iter().map(|(name, _)| name).collect();
    let error = Error::new(&codes::SCHEDULE_NOT_FOUND, format!("no schedule named `{name}`"));
    Err(match crate::documents::near(name, names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("umcp schedule list"),
    })
}

fn state(tx: &Reader, schedule: &Schedule) -> Result<State> {
    Ok(tx.get(&STATES, &schedule.id)?.unwrap_or_default())
}

fn item(tx: &Reader, schedule: Schedule, held: &BTreeMap<String, bool>) -> Result<Item> {
    Ok(Item { state: state(tx, &schedule)?, held: holder(&schedule, held), schedule })
}

/// The agents that are paused.
fn held(tx: &Reader) -> Result<BTreeMap<String, bool>> {
    Ok(tx.all(&AGENTS)?.into_iter().map(|(name, agent)| (name, agent.paused)).collect())
}

fn holder(schedule: &Schedule, held: &BTreeMap<String, bool>) -> Option<Held> {
    let is_held = |name: &str| held.get(name).copied().unwrap_or(false);
    if schedule.paused {
        Some(Held::Itself)
    } else if schedule.agent.as_deref().is_some_and(is_held) {
        Some(Held::Agent)
    } else {
        is_held(EVERYONE).then_some(Held::All)
    }
}

fn slips(tx: &Reader, names: Option<&[String]>) -> Result<Vec<(String, Option<Slip>)>> {
    let held = held(tx)?;
    let slip = |schedule: Schedule| -> Result<Option<Slip>> {
        if !schedule.enabled || holder(&schedule, &held).is_some() {
            return Ok(None);
        }
        let (offset, watermark) = (schedule.offset(), state(tx, &schedule)?.watermark);
        let Schedule { name, trigger, zone, .. } = schedule;
        Ok(Some(Slip { name, trigger, zone, offset, watermark }))
    };
    match names {
        Some(names) => names
            .iter()
            .map(|name| {
                let found = tx.get(&SCHEDULES, name)?;
                Ok((name.clone(), found.map(slip).transpose()?.flatten()))
            })
            .collect(),
        None => {
            let all = tx.all(&SCHEDULES)?.into_iter();
            all.map(|(name, schedule)| Ok((name, slip(schedule)?))).collect()
        }
    }
}
