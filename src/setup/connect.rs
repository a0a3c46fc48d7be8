//! Connecting clients to umcp and back, with every file of one command in one entry of the journal.
//! What a file becomes is decided by `clientfiles`; here is the order of things.
//! Rule: servers that leave a client's file are in the store before the file is written.

use super::clientfiles::{self, Connection};
use super::import::{self, Added};
use super::journal::{self, Edit};
use super::{Call, Machine, servers};
use crate::clients::{Client, Scope};
use crate::clock::Timestamp;
use crate::engine::unexpected;
use crate::error::Result;
use crate::servers::{Request, Server};
use serde::Serialize;
use std::path::PathBuf;

/// Which clients, and how.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    pub clients: Vec<&'static Client>,
    pub scope: Scope,
    pub profile: Option<&'a str>,
    /// Servers beside umcp move into umcp.
    pub replace: bool,
    pub dry_run: bool,
    /// As the user typed it, for the journal.
    pub command: String,
}

/// What was done to the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub dry_run: bool,
    pub files: Vec<Change>,
    /// Servers taken over from the files.
    pub added: Vec<Added>,
    /// The number `umcp undo` takes.
    pub undo: Option<u64>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub client: String,
    pub path: PathBuf,
    pub action: Action,
    pub diff: String,
    /// Servers that stay beside umcp.
    pub beside: Vec<String>,
    /// Files of another scope that name umcp as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub twice: Vec<PathBuf>,
    /// What the user must do in the client.
    pub after: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Connected,
    Disconnected,
    /// umcp had created the file, and nothing else is in it.
    Deleted,
    /// It was so already.
    Unchanged,
}

/// Puts umcp into the files of clients.
pub fn connect(ask: &Ask<'_>, machine: &Machine<'_>, now: Timestamp, call: &mut Call<'_>) -> Result<Report> {
    let mut work = Work::default();
    for &client in &ask.clients {
        let entry = clientfiles::entry(client, machine, ask.profile);
        for path in clientfiles::targets(client, machine, ask.scope)? {
            let connection = clientfiles::connect(client, &path, &entry, ask.replace, now)?;
            let twice = clientfiles::twins(client, machine, ask.scope, &entry);
            work.connection(client, connection, twice);
        }
    }
    work.finish(ask, machine, now, call)
}

/// Brings umcp's entries up to date wherever they stand: the path of the program, nothing else.
pub fn sync(ask: &Ask<'_>, machine: &Machine<'_>, now: Timestamp, call: &mut Call<'_>) -> Result<Report> {
    let mut work = Work::default();
    for &client in &ask.clients {
        for file in clientfiles::look(client, machine, now).files {
            if let Some(error) = file.error {
                return Err(error);
            }
            let Some(mut entry) = file.entry else { continue };
            entry.command = machine.program.display().to_string();
            let connection = clientfiles::connect(client, &file.path, &entry, ask.replace, now)?;
            work.connection(client, connection, Vec::new());
        }
    }
    work.finish(ask, machine, now, call)
}

/// Takes umcp out of the files of clients.
pub fn disconnect(
    ask: &Ask<'_>,
    machine: &Machine<'_>,
    now: Timestamp,
    call: &mut Call<'_>,
) -> Result<Report> {
    let entries = journal::entries(&machine.paths.undo())?;
    let mut work = Work::default();
    for &client in &ask.clients {
        for path in clientfiles::targets(client, machine, ask.scope)? {
            let edit = clientfiles::disconnect(client, &path, &entries)?;
            let action = match &edit {
                None => Action::Unchanged,
                Some(edit) if edit.after.is_none() => Action::Deleted,
                Some(_) => Action::Disconnected,
            };
            let diff = edit.as_ref().map(Edit::diff).unwrap_or_default();
            let after = edit.as_ref().and(client.after).map(String::from);
            work.edits.extend(edit);
            work.files.push(Change {
                client: client.id.into(),
                path,
                action,
                diff,
                beside: Vec::new(),
                twice: Vec::new(),
                after,
            });
        }
    }
    let report = work.finish(ask, machine, now, call)?;
    for change in report.files.iter().filter(|change| !ask.dry_run && change.action == Action::Deleted) {
        // The folders umcp made for the file go with it.
        let records = entries.iter().flat_map(|entry| &entry.manifest.files);
        records
            .filter(|record| record.path == change.path)
            .for_each(|record| journal::remove_empty(&record.created));
    }
    Ok(report)
}

/// What a command is about to do.
#[derive(Default)]
struct Work {
    edits: Vec<Edit>,
    files: Vec<Change>,
    moved: Vec<Server>,
}

impl Work {
    fn connection(&mut self, client: &Client, connection: Connection, twice: Vec<PathBuf>) {
        let Connection { edit, moved, left } = connection;
        let (action, after) = match edit.changes() {
            true => (Action::Connected, client.after.map(String::from)),
            false => (Action::Unchanged, None),
        };
        let (path, diff) = (edit.path.clone(), edit.diff());
        self.files.push(Change { client: client.id.into(), path, action, diff, beside: left, twice, after });
        self.edits.push(edit);
        self.moved.extend(moved);
    }

    fn finish(
        self,
        ask: &Ask<'_>,
        machine: &Machine<'_>,
        now: Timestamp,
        call: &mut Call<'_>,
    ) -> Result<Report> {
        let Self { edits, files, moved } = self;
        let add = if moved.is_empty() { Vec::new() } else { import::merge(&servers(call)?, moved).add };
        let added = add.iter().map(Added::of).collect();
        let undo = if ask.dry_run { None } else { perform(machine, now, &ask.command, &edits, add, call)? };
        Ok(Report { dry_run: ask.dry_run, files, added, undo })
    }
}

/// The journal, then the store, then the files; what fails half way leaves nothing behind.
pub fn perform(
    machine: &Machine<'_>,
    now: Timestamp,
    command: &str,
    edits: &[Edit],
    add: Vec<Server>,
    call: &mut Call<'_>,
) -> Result<Option<u64>> {
    let Some(pending) = journal::prepare(&machine.paths.undo(), now, command, edits, &add)? else {
        return Ok(None);
    };
    let ids: Vec<String> = add.iter().map(|server| server.id.clone()).collect();
    if let Err(error) = import::add(call, add) {
        pending.abandon();
        return Err(error);
    }
    match pending.commit() {
        Ok(entry) => Ok(Some(entry.id)),
        Err(error) => {
            // Without the files the servers go again.
            if !ids.is_empty() {
                match call(Request::Remove { names: ids }.into())? {
                    crate::engine::Reply::Server(_) => {}
                    other => return unexpected(&other),
                }
            }
            Err(error)
        }
    }
}
