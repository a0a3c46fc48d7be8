//! The first run: which clients are there, which servers they have, and one plan that brings all of it into umcp.
//! It asks nothing (`cli/init.rs` does) and starts nothing; the closing check is `probe.rs`.
//! Rule: files of the user are edited, files of a project are shared with others and only read.

use super::clientfiles::{self, ClientState, Connection};
use super::import::{self, Added, Known};
use super::journal::Edit;
use super::{Call, Machine, connect, servers};
use crate::clients::{CLIENTS, Client, Scope};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::ids;
use crate::servers::formats::Note;
use crate::servers::model::{Server, Transport};
use serde::Serialize;
use std::path::PathBuf;

/// What the user wants of the first run.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Ids of clients whose servers are taken over.
    pub import: Vec<&'static str>,
    /// Ids of clients that get umcp's entry.
    pub connect: Vec<&'static str>,
    /// Whether servers taken over leave the clients' own files.
    pub replace: bool,
    /// Other files to write, such as shell completions.
    pub extra: Vec<Edit>,
}

/// Everything that will happen, before any of it does.
#[derive(Debug)]
pub struct Plan {
    pub add: Vec<Server>,
    /// Servers that are there, with the stricter sandbox of both entries.
    pub tighten: Vec<Server>,
    pub edits: Vec<Edit>,
    pub report: Report,
}

/// What the first run did, or would do.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub dry_run: bool,
    pub clients: Vec<ClientReport>,
    pub added: Vec<Added>,
    pub known: Vec<Known>,
    pub files: Vec<FileReport>,
    /// Files that belong to no client, such as shell completions.
    pub others: Vec<PathBuf>,
    /// The number `umcp undo` takes.
    pub undo: Option<u64>,
}

/// What happened with one client.
#[derive(Debug, Clone, Serialize)]
pub struct ClientReport {
    pub id: String,
    pub name: String,
    /// Servers of its files, each once.
    pub imported: usize,
    pub connected: Vec<PathBuf>,
    /// Names of servers that stay in its files beside umcp.
    pub beside: Vec<String>,
    /// Files of a project with servers; they were only read.
    pub shared: Vec<PathBuf>,
    /// Files of a project that connect it to umcp as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub twice: Vec<PathBuf>,
    pub notes: Vec<FileNote>,
    /// What the user must do in the client.
    pub after: Option<String>,
    pub error: Option<Error>,
}

/// A note of an import and its file.
#[derive(Debug, Clone, Serialize)]
pub struct FileNote {
    pub file: PathBuf,
    #[serde(flatten)]
    pub note: Note,
}

/// One edited file.
#[derive(Debug, Clone, Serialize)]
pub struct FileReport {
    pub path: PathBuf,
    pub diff: String,
}

/// The clients on this machine and what stands in their files.
pub fn survey(machine: &Machine<'_>, now: Timestamp) -> Vec<ClientState> {
    let all = CLIENTS.iter().map(|client| clientfiles::look(client, machine, now));
    all.filter(|state| state.installed).collect()
}

/// Decides what happens; touches nothing.
pub fn plan(
    found: &[ClientState],
    choice: &Choice,
    known: &[Server],
    machine: &Machine<'_>,
    now: Timestamp,
) -> Plan {
    let mut plan =
        Planning { known, add: Vec::new(), known_as: Vec::new(), tighten: Vec::new(), edits: Vec::new() };
    let clients = found
        .iter()
        .filter(|state| choice.import.contains(&state.client.id) || choice.connect.contains(&state.client.id))
        .map(|state| plan.client(state, choice, machine, now))
        .collect();
    if known.is_empty() && plan.add.is_empty() {
        let transport = Transport::Builtin { name: "time".into() };
        plan.add.push(Server::new(ids::fresh("srv"), "time", transport, now));
    }
    plan.edits.extend(choice.extra.iter().cloned());
    plan.edits.retain(Edit::changes);
    let others = choice.extra.iter().filter(|edit| edit.changes()).map(|edit| edit.path.clone()).collect();
    let report = Report {
        dry_run: true,
        clients,
        added: plan.add.iter().map(Added::of).collect(),
        known: plan.known_as,
        files: plan
            .edits
            .iter()
            .map(|edit| FileReport { path: edit.path.clone(), diff: edit.diff() })
            .collect(),
        others,
        undo: None,
    };
    Plan { add: plan.add, tighten: plan.tighten, edits: plan.edits, report }
}

/// Does what the plan says: the journal first, then the store, then the files.
pub fn carry_out(plan: Plan, machine: &Machine<'_>, now: Timestamp, call: &mut Call<'_>) -> Result<Report> {
    let Plan { add, tighten, edits, mut report } = plan;
    report.dry_run = false;
    report.undo = connect::perform(machine, now, "umcp init", &edits, add, call)?;
    import::tighten(call, tighten)?;
    Ok(report)
}

/// The whole first run for answers that are known.
pub fn run(
    choice: &Choice,
    machine: &Machine<'_>,
    now: Timestamp,
    dry_run: bool,
    call: &mut Call<'_>,
) -> Result<Report> {
    let known = servers(call)?;
    let plan = plan(&survey(machine, now), choice, &known, machine, now);
    if dry_run { Ok(plan.report) } else { carry_out(plan, machine, now, call) }
}

struct Planning<'a> {
    known: &'a [Server],
    add: Vec<Server>,
    known_as: Vec<Known>,
    tighten: Vec<Server>,
    edits: Vec<Edit>,
}

impl Planning<'_> {
    fn client(
        &mut self,
        state: &ClientState,
        choice: &Choice,
        machine: &Machine<'_>,
        now: Timestamp,
    ) -> ClientReport {
        let client = state.client;
        let mut report = ClientReport {
            id: client.id.into(),
            name: client.name.into(),
            imported: 0,
            connected: Vec::new(),
            beside: Vec::new(),
            shared: Vec::new(),
            twice: Vec::new(),
            notes: Vec::new(),
            after: None,
            error: state.files.iter().find_map(|file| file.error.clone()),
        };
        let imports = choice.import.contains(&client.id);
        if imports {
            report.imported = state.servers().len();
            for file in &state.files {
                if file.scope == Scope::Project && !file.servers.is_empty() {
                    report.shared.push(file.path.clone());
                }
                let notes =
                    file.notes.iter().map(|note| FileNote { file: file.path.clone(), note: note.clone() });
                report.notes.extend(notes);
                self.take(file.servers.clone());
            }
        }
        if choice.connect.contains(&client.id) {
            match self.connect(client, imports && choice.replace, machine, now) {
                Ok((paths, beside)) => {
                    (report.connected, report.beside) = (paths, beside);
                    report.after = client.after.map(String::from);
                    let entry = clientfiles::entry(client, machine, None);
                    report.twice = clientfiles::twins(client, machine, Scope::User, &entry);
                }
                Err(error) => report.error = Some(error),
            }
        }
        report
    }

    fn connect(
        &mut self,
        client: &Client,
        replace: bool,
        machine: &Machine<'_>,
        now: Timestamp,
    ) -> Result<(Vec<PathBuf>, Vec<String>)> {
        let entry = clientfiles::entry(client, machine, None);
        let (mut paths, mut beside) = (Vec::new(), Vec::new());
        for path in clientfiles::targets(client, machine, Scope::User)? {
            let Connection { edit, moved, left } = clientfiles::connect(client, &path, &entry, replace, now)?;
            self.take(moved);
            self.edits.push(edit);
            beside.extend(left);
            paths.push(path);
        }
        Ok((paths, beside))
    }

    fn take(&mut self, servers: Vec<Server>) {
        let known: Vec<Server> = self.tighten.iter().chain(self.known).chain(&self.add).cloned().collect();
        // Told once only: the same file is read again when its servers move.
        let fresh = servers.into_iter().filter(|server| {
            !self.add.iter().any(|other| import::same(other, server) && other.sandbox == server.sandbox)
        });
        let fresh: Vec<Server> = fresh.collect();
        let merged = import::merge(&known, fresh);
        self.add.extend(merged.add);
        let told = |known: &Known| known.name != known.known_as || known.stricter;
        self.known_as.extend(merged.known.into_iter().filter(told));
        for server in merged.tighten {
            let mut there = self.add.iter_mut().chain(&mut self.tighten);
            match there.find(|other| other.id == server.id) {
                Some(other) => *other = server,
                None => self.tighten.push(server),
            }
        }
    }
}

#[cfg(test)]
mod tests;
