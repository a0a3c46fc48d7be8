//! `umcp doctor`: every check with its cause and its cure, and the cures that are safe to run by themselves.
//! Facts that only a running daemon or an open store can tell come in as [`Facts`].
//! Rule: a check that fails names what to type; a fix of somebody else's file goes through the journal.

mod accounts;
mod clients;
mod machine;
mod own;
mod servers;
pub mod vault;

use super::{Machine, journal};
use crate::apps::App;
use crate::clock::Timestamp;
use crate::engine::live::ServerStatus;
use crate::error::Result;
use crate::integrations::Integration;
use crate::secrets;
use crate::servers::Server;
use crate::settings::Resolved;
use crate::tools::model::Catalogue;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A part of the house that can be checked alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    Settings,
    Files,
    Store,
    Vault,
    Daemon,
    Runtimes,
    Clients,
    Servers,
    Accounts,
    Sandbox,
}

impl Area {
    /// All areas, in the order in which they are checked.
    pub const ALL: &[Self] = &[
        Self::Settings,
        Self::Files,
        Self::Store,
        Self::Vault,
        Self::Daemon,
        Self::Runtimes,
        Self::Clients,
        Self::Servers,
        Self::Accounts,
        Self::Sandbox,
    ];

    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Files => "files",
            Self::Store => "store",
            Self::Vault => "vault",
            Self::Daemon => "daemon",
            Self::Runtimes => "runtimes",
            Self::Clients => "clients",
            Self::Servers => "servers",
            Self::Accounts => "accounts",
            Self::Sandbox => "sandbox",
        }
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Ok,
    /// Said for completeness.
    Info,
    /// Works, but not as it should.
    Warn,
    /// Does not work.
    Fail,
    /// Did not work until `--fix` ran.
    Fixed,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub area: Area,
    pub level: Level,
    pub what: String,
    /// What to type, or to do.
    pub cure: Option<String>,
    /// What `--fix` does about it.
    #[serde(skip)]
    pub fix: Option<Fix>,
}

/// A cure that is safe to run.
#[derive(Debug, Clone)]
pub enum Fix {
    /// An edit of a file, through the journal.
    Edit(journal::Edit),
    /// Makes something of umcp's own readable by its owner only.
    Private(PathBuf),
    /// Removes something of umcp's own that nobody uses.
    Remove(PathBuf),
}

impl Check {
    fn new(area: Area, level: Level, what: impl Into<String>) -> Self {
        Self { area, level, what: what.into(), cure: None, fix: None }
    }

    fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }
}

/// How much of the store a check could read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreRead {
    /// Every record of every table.
    Whole,
    /// What the daemon answered with; it has the store open.
    Served,
    /// Nothing: another process has it open.
    Busy,
    /// Nothing: it has to be opened for writing once.
    Unclean,
    /// Nothing: there is none.
    Missing,
}

/// What the caller found out by asking the daemon and the store.
pub struct Facts {
    pub settings: Result<Resolved>,
    /// The living daemon: its process id and version.
    pub daemon: Result<Option<(u32, String)>>,
    /// Problems of the store, one line each; an error when it cannot be opened.
    pub store: Result<Vec<String>>,
    /// How much of it was read for that.
    pub store_read: StoreRead,
    pub servers: Vec<Server>,
    pub apps: Vec<App>,
    pub integrations: Vec<Integration>,
    /// What opens the vault, and how much is in it.
    pub vault: Result<secrets::Vault>,
    /// Names of what is in it.
    pub secrets: Vec<String>,
    /// By id of the server.
    pub catalogues: BTreeMap<String, Catalogue>,
    /// Empty when no daemon runs.
    pub statuses: Vec<ServerStatus>,
    /// Schedules that are on.
    pub schedules: usize,
    /// Addresses the daemon listens on.
    pub http: Vec<String>,
}

/// All that was checked.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub checks: Vec<Check>,
    pub failed: usize,
    pub warned: usize,
    pub fixed: usize,
    /// The number `umcp undo` takes, when `--fix` edited files of other programs.
    pub undo: Option<u64>,
}

/// Runs the checks of one area, or of all.
pub fn run(machine: &Machine<'_>, facts: &Facts, only: Option<Area>, now: Timestamp) -> Report {
    let areas = Area::ALL.iter().filter(|area| only.is_none_or(|only| only == **area));
    let checks = areas
        .flat_map(|area| match area {
            Area::Settings => own::settings(facts),
            Area::Files => own::files(machine),
            Area::Store => own::store(facts),
            Area::Vault => vault::check(machine.paths, machine.env, facts),
            Area::Daemon => own::daemon(machine, facts),
            Area::Runtimes => machine::runtimes(machine, facts),
            Area::Clients => clients::check(machine, now),
            Area::Servers => servers::check(machine, facts, now),
            Area::Accounts => accounts::check(facts),
            Area::Sandbox => machine::sandbox(machine, facts),
        })
        .collect();
    counted(checks, None)
}

/// Runs the fixes; a check whose fix failed keeps its level and says why.
pub fn fix(mut report: Report, machine: &Machine<'_>, now: Timestamp) -> Result<Report> {
    let edits: Vec<journal::Edit> = report
        .checks
        .iter()
        .filter_map(|check| match &check.fix {
            Some(Fix::Edit(edit)) => Some(edit.clone()),
            _ => None,
        })
        .collect();
    let entry = journal::record(&machine.paths.undo(), now, "umcp doctor --fix", &edits)?;
    for check in &mut report.checks {
        let done = match check.fix.take() {
            None => continue,
            Some(Fix::Edit(_)) => Ok(()),
            Some(Fix::Private(path)) => own::make_private(&path),
            Some(Fix::Remove(path)) => journal::put(&path, None),
        };
        match done {
            Ok(()) => (check.level, check.cure) = (Level::Fixed, None),
            Err(error) => check.what = format!("{}; fixing it failed: {error}", check.what),
        }
    }
    Ok(counted(report.checks, entry.map(|entry| entry.id)))
}

fn counted(checks: Vec<Check>, undo: Option<u64>) -> Report {
    let count = |level| checks.iter().filter(|check| check.level == level).count();
    let (failed, warned, fixed) = (count(Level::Fail), count(Level::Warn), count(Level::Fixed));
    Report { checks, failed, warned, fixed, undo }
}

#[cfg(test)]
mod tests;
