//! Taking back what the journal recorded: files byte for byte, servers that are still as they were added.
//! It shows nothing; the report says what was done and what was left alone.
//! Rule: a file that somebody else changed since is never overwritten unasked.

use super::journal::{self, Edit, Entry, FileRecord};
use super::{Call, servers};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::paths::Paths;
use crate::{ids, servers as noun};
use serde::Serialize;
use std::path::PathBuf;

/// Which entries to take back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The newest ones that still stand.
    Last(usize),
    Id(u64),
}

/// What taking back does, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub dry_run: bool,
    pub entries: Vec<Undone>,
}

/// One entry taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undone {
    pub id: u64,
    pub command: String,
    pub files: Vec<Restored>,
    /// Names of servers removed from umcp again.
    pub servers: Vec<String>,
    /// Names of servers that were changed since and stay.
    pub kept: Vec<String>,
}

/// One file taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    pub path: PathBuf,
    pub action: Action,
    /// Unified, from the file now to the file afterwards.
    pub diff: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Restored,
    /// It did not exist before.
    Deleted,
    /// It is already what it was.
    AsBefore,
}

/// How undo was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub which: Which,
    pub dry_run: bool,
    /// Overwrites files changed since, after keeping a copy in the journal.
    pub force: bool,
    pub now: Timestamp,
}

/// What an undo of undo is called; `--last` passes these by.
const FORCED: &str = "umcp undo --force";

/// Takes entries back, newest first.
pub fn undo(paths: &Paths, options: Options, call: &mut Call<'_>) -> Result<Report> {
    let chosen = choose(journal::entries(&paths.undo())?, options.which)?;
    let mut entries = Vec::new();
    // Later entries may have edited the same file: a dry run must see what they would leave.
    let mut imagined: Vec<(PathBuf, Option<Vec<u8>>)> = Vec::new();
    for mut entry in chosen {
        let plan = plan(&entry, options, &imagined)?;
        if options.dry_run {
            imagined.extend(plan.iter().map(|(edit, ..)| (edit.path.clone(), edit.after.clone())));
        } else {
            restore(paths, &plan, options)?;
        }
        let (gone, kept) = take_servers(&entry, options.dry_run, call)?;
        if !options.dry_run {
            entry.manifest.undone = Some(options.now);
            entry.save()?;
        }
        let files = plan.into_iter().map(|step| step_report(&step)).collect();
        entries.push(Undone { id: entry.id, command: entry.manifest.command, files, servers: gone, kept });
    }
    Ok(Report { dry_run: options.dry_run, entries })
}

fn choose(entries: Vec<Entry>, which: Which) -> Result<Vec<Entry>> {
    let nothing = || Error::new(&codes::UNDO_NOTHING, "there is nothing to undo");
    match which {
        Which::Id(id) => {
            let entry = entries.into_iter().find(|entry| entry.id == id).ok_or_else(|| {
                Error::new(&codes::UNDO_NOTHING, format!("there is no entry `{id}` to undo"))
                    .hint("umcp undo --list")
            })?;
            match entry.manifest.undone {
                None => Ok(vec![entry]),
                Some(_) => {
                    Err(Error::new(&codes::UNDO_NOTHING, format!("entry `{id}` was taken back already")))
                }
            }
        }
        Which::Last(count) => {
            let open = |entry: &Entry| entry.manifest.undone.is_none() && entry.manifest.command != FORCED;
            let chosen: Vec<Entry> = entries.into_iter().rev().filter(open).take(count).collect();
            if chosen.is_empty() { Err(nothing()) } else { Ok(chosen) }
        }
    }
}

/// An edit that leads back, with the record it comes from and whether the file was changed since.
type Step = (Edit, FileRecord, bool);

fn plan(entry: &Entry, options: Options, imagined: &[(PathBuf, Option<Vec<u8>>)]) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for (index, record) in entry.manifest.files.iter().enumerate() {
        let now = match imagined.iter().rev().find(|(path, _)| *path == record.path) {
            Some((_, bytes)) => bytes.clone(),
            None => journal::read(&record.path)?,
        };
        let before = entry.before(index)?;
        let digest = now.as_deref().map(ids::digest);
        let changed = digest != record.after && digest != record.before;
        let edit = Edit { path: record.path.clone(), before: now, after: before };
        if changed && !options.force {
            return Err(changed_since(entry, &edit));
        }
        steps.push((edit, record.clone(), changed));
    }
    Ok(steps)
}

fn changed_since(entry: &Entry, edit: &Edit) -> Error {
    let path = edit.path.display();
    Error::new(&codes::UNDO_CHANGED, format!("`{path}` was changed after `{}`", entry.manifest.command))
        .because(format!("undo would make this of it:\n{}", edit.diff()))
        .hint("umcp undo --list    # a later entry may have to go first")
        .hint(format!("umcp undo {} --force    # keeps a copy of the file as it is now", entry.id))
}

fn restore(paths: &Paths, plan: &[Step], options: Options) -> Result<()> {
    let forced: Vec<Edit> = plan.iter().filter(|step| step.2).map(|step| step.0.clone()).collect();
    journal::record(&paths.undo(), options.now, FORCED, &forced)?;
    for (edit, record, forced) in plan {
        if !*forced && edit.changes() {
            journal::put(&edit.path, edit.after.as_deref())?;
        }
        match edit.after {
            Some(_) => journal::set_mode(&edit.path, record.mode)?,
            None => journal::remove_empty(&record.created),
        }
    }
    Ok(())
}

/// Removes the servers the entry added, as far as they are still what was added.
fn take_servers(entry: &Entry, dry_run: bool, call: &mut Call<'_>) -> Result<(Vec<String>, Vec<String>)> {
    if entry.manifest.servers.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let present = servers(call)?;
    let find = |id: &str| present.iter().find(|server| server.id == id);
    let there = entry.manifest.servers.iter().filter_map(|record| Some((record, find(&record.id)?)));
    let (gone, kept): (Vec<_>, Vec<_>) = there.partition(|(record, server)| record.matches(server));
    if !dry_run && !gone.is_empty() {
        let names = gone.iter().map(|(record, _)| record.id.clone()).collect();
        call(noun::Request::Remove { names }.into())?;
    }
    let names = |list: Vec<(&journal::ServerRecord, &noun::Server)>| {
        list.into_iter().map(|(_, server)| server.name.clone()).collect()
    };
    Ok((names(gone), names(kept)))
}

fn step_report((edit, ..): &Step) -> Restored {
    let action = match (&edit.after, edit.changes()) {
        (_, false) => Action::AsBefore,
        (Some(_), true) => Action::Restored,
        (None, true) => Action::Deleted,
    };
    Restored { path: edit.path.clone(), action, diff: edit.diff() }
}
