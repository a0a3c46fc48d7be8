//! The noun `workflow`: documents of steps, kept by name, and the runs of them with their journals.
//! Here stand the language, the pure run machine and the rows; `calls::runner` does what the machine says.

pub mod argo;
pub mod bundle;
pub mod check;
pub mod journal;
pub mod machine;
pub mod model;
pub mod read;
pub mod record;
pub mod sample;
pub mod schema;
pub mod start;

#[cfg(test)]
mod tests;

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, codec, tables};
use journal::{Event, Failure, Status};
use serde::{Deserialize, Serialize};

const WORKFLOWS: Table<Definition> = Table::new(tables::WORKFLOWS);
const RUNS: Table<Run> = Table::new(tables::RUNS);
const RUN_EVENTS: Table<Entry> = Table::new(tables::RUN_EVENTS);

impl Row for Definition {
    const KIND: u8 = 30;
    const VERSION: u16 = 2;

    fn upgrade(version: u16, payload: &[u8]) -> Result<Self> {
        match version {
            // Before workflows were tools: the same fields without the last.
            1 => codec::lengthened(payload, &false),
            _ => {
                Err(Error::new(&codes::STORE_DAMAGED, format!("a record has the unknown version {version}")))
            }
        }
    }
}

impl Row for Run {
    const KIND: u8 = 31;
    const VERSION: u16 = 1;
}

impl Row for Entry {
    const KIND: u8 = 32;
    const VERSION: u16 = 1;
}

/// A workflow as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Definition {
    pub name: String,
    pub version: String,
    pub description: String,
    /// The document, untouched.
    pub text: String,
    /// The file it was read from.
    pub file: String,
    pub steps: u64,
    pub updated: Timestamp,
    /// Counts changes.
    pub revision: u64,
    /// It is no tool of the endpoint. Stored last: rows from before it end here.
    #[serde(default)]
    pub hidden: bool,
}

/// One run; a run keeps the document it was started with, whatever becomes of the workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub id: String,
    pub workflow: String,
    pub version: String,
    pub text: String,
    /// JSON object.
    pub inputs: String,
    pub started: Timestamp,
    /// Who started it, such as `cli` or `schedule:nightly`.
    pub by: String,
    /// The run whose step this one is.
    pub parent: Option<String>,
    pub status: Status,
    pub ended: Option<Timestamp>,
    /// JSON object; empty while it runs.
    pub outputs: String,
    pub failure: Option<Failure>,
}

/// What was written down of a run in one commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    pub events: Vec<Event>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List,
    Show {
        name: String,
    },
    /// Stores a document under its name; `replace`: over one that is there.
    Put {
        definition: Box<Definition>,
        replace: bool,
    },
    Delete {
        names: Vec<String>,
    },
    /// Makes workflows tools of the endpoint, or takes that back.
    Publish {
        names: Vec<String>,
        tool: bool,
    },
    /// Newest first.
    Runs {
        workflow: Option<String>,
        status: Option<Status>,
        limit: u32,
    },
    /// One run with its journal; the id may be shortened to what is unique.
    Run {
        id: String,
    },
    /// Writes down a new run.
    Begin {
        run: Box<Run>,
        /// Taken over from an earlier run, as its first entry.
        seed: Vec<Event>,
    },
    /// Writes down what happened; `entry` counts the entries of the run from 0.
    Record {
        run: String,
        entry: u64,
        at: Timestamp,
        status: Status,
        events: Vec<Event>,
    },
    /// Runs that are not over.
    Unfinished,
    /// Keeps the newest runs that are over.
    TrimRuns {
        keep: u64,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Definitions(Vec<Definition>),
    Definition(Box<Definition>),
    Runs(Vec<Run>),
    Run { run: Box<Run>, journal: Vec<Entry> },
    Done,
    Count(u64),
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        !matches!(
            self,
            Self::List | Self::Show { .. } | Self::Runs { .. } | Self::Run { .. } | Self::Unfinished
        )
    }

    /// Whether it may change which tools there are.
    pub fn changes_tools(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::Delete { .. } | Self::Publish { .. })
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::List => {
            Ok(Reply::Definitions(tx.all(&WORKFLOWS)?.into_iter().map(|(_, row)| row).collect()))
        }
        Request::Show { name } => find(tx, name).map(|row| Reply::Definition(Box::new(row))),
        Request::Runs { workflow, status, limit } => {
            let mut runs: Vec<Run> = tx.all(&RUNS)?.into_iter().map(|(_, run)| run).collect();
            runs.retain(|run| workflow.as_ref().is_none_or(|name| run.workflow == *name));
            runs.retain(|run| status.is_none_or(|status| run.status == status));
            runs.reverse();
            runs.truncate(*limit as usize);
            Ok(Reply::Runs(runs))
        }
        Request::Run { id } => {
            let run = run(tx, id)?;
            let journal = tx
                .prefix(&RUN_EVENTS, &format!("{}/", run.id))?
                .into_iter()
                .map(|(_, entry)| entry)
                .collect();
            Ok(Reply::Run { run: Box::new(run), journal })
        }
        Request::Unfinished => {
            let runs = tx.all(&RUNS)?.into_iter().map(|(_, run)| run);
            Ok(Reply::Runs(runs.filter(|run| !run.status.is_over()).collect()))
        }
        _ => Err(Error::bug("a write was handed to `workflows::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    match request {
        Request::Put { definition, replace } => put(tx, *definition, replace),
        Request::Delete { names } => {
            let mut gone = Vec::new();
            for name in names {
                gone.push(find(tx, &name)?);
                tx.remove(&WORKFLOWS, &name)?;
            }
            Ok(Reply::Definitions(gone))
        }
        Request::Publish { names, tool } => {
            let mut changed = Vec::new();
            for name in names {
                let mut definition = find(tx, &name)?;
                definition.hidden = !tool;
                tx.put(&WORKFLOWS, &name, &definition)?;
                changed.push(definition);
            }
            Ok(Reply::Definitions(changed))
        }
        Request::Begin { run, seed } => {
            if tx.get(&RUNS, &run.id)?.is_some() {
                return Err(Error::new(&codes::RUN_EXISTS, format!("a run `{}` exists already", run.id)));
            }
            tx.put(&RUNS, &run.id, &run)?;
            if !seed.is_empty() {
                let entry = Entry { at: run.started, events: seed };
                tx.put(&RUN_EVENTS, &format!("{}/{:010}", run.id, 0), &entry)?;
            }
            Ok(Reply::Done)
        }
        Request::Record { run, entry, at, status, events } => {
            record(tx, &run, entry, status, Entry { at, events })
        }
        Request::TrimRuns { keep } => trim(tx, keep),
        _ => Err(Error::bug("a read was handed to `workflows::write`")),
    }
}

fn put(tx: &mut Writer, mut definition: Definition, replace: bool) -> Result<Reply> {
    match tx.get(&WORKFLOWS, &definition.name)? {
        Some(_) if !replace => {
            let message = format!("a workflow named `{}` exists already", definition.name);
            return Err(Error::new(&codes::WORKFLOW_EXISTS, message)
                .hint(format!("umcp workflow create --replace {}", definition.file)));
        }
        Some(old) => {
            definition.revision = old.revision + 1;
            definition.hidden = old.hidden;
        }
        None => {}
    }
    tx.put(&WORKFLOWS, &definition.name, &definition)?;
    Ok(Reply::Definition(Box::new(definition)))
}

/// Whether this is the one workflow there is.
pub fn is_alone(tx: &Reader) -> Result<bool> {
    Ok(tx.all(&WORKFLOWS)?.len() == 1)
}

fn record(tx: &mut Writer, id: &str, number: u64, status: Status, entry: Entry) -> Result<Reply> {
    let mut head = tx.get(&RUNS, id)?.ok_or_else(|| no_run(id))?;
    // The head holds the whole document, so it is only written when something in it changes.
    if head.status != status {
        head.status = status;
        if let Some(Event::Ended { outputs, failure, .. }) = entry.events.last() {
            head.ended = Some(entry.at);
            head.outputs.clone_from(outputs);
            head.failure.clone_from(failure);
        }
        tx.put(&RUNS, id, &head)?;
    }
    tx.put(&RUN_EVENTS, &format!("{id}/{number:010}"), &entry)?;
    Ok(Reply::Done)
}

fn trim(tx: &mut Writer, keep: u64) -> Result<Reply> {
    let mut over: Vec<String> =
        tx.all(&RUNS)?.into_iter().filter(|(_, run)| run.status.is_over()).map(|(id, _)| id).collect();
    let most = usize::try_from(keep).unwrap_or(usize::MAX);
    over.truncate(over.len().saturating_sub(most));
    for id in &over {
        for (key, _) in tx.prefix(&RUN_EVENTS, &format!("{id}/"))? {
            tx.remove(&RUN_EVENTS, &key)?;
        }
        tx.remove(&RUNS, id)?;
    }
    Ok(Reply::Count(over.len() as u64))
}

fn find(tx: &Reader, name: &str) -> Result<Definition> {
    if let Some(row) = tx.get(&WORKFLOWS, name)? {
        return Ok(row);
    }
    let names: Vec<String> = tx.all(&WORKFLOWS)?.into_iter().map(|(name, _)| name).collect();
    let error = Error::new(&codes::WORKFLOW_NOT_FOUND, format!("no workflow named `{name}`"));
    Err(match crate::documents::near(name, names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("umcp workflow list"),
    })
}

fn run(tx: &Reader, id: &str) -> Result<Run> {
    if let Some(run) = tx.get(&RUNS, id)? {
        return Ok(run);
    }
    // Ids sort by time and differ at their end, which is what people type.
    let mut found: Vec<Run> =
        tx.all(&RUNS)?.into_iter().map(|(_, run)| run).filter(|run| run.id.ends_with(id)).collect();
    match (found.pop(), found.pop()) {
        (Some(run), None) if id.len() >= 4 => Ok(run),
        (Some(_), Some(_)) => Err(Error::new(&codes::USAGE, format!("`{id}` is the end of several runs"))
            .hint("umcp workflow runs")),
        _ => Err(no_run(id)),
    }
}

fn no_run(id: &str) -> Error {
    Error::new(&codes::RUN_NOT_FOUND, format!("no run `{id}`")).hint("umcp workflow runs")
}
