//! `umcp undo`: takes back what umcp did to files outside its store.

use super::context::Context;
use crate::clients::revert::{Done, Own};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::setup::journal::{self, Entry};
use crate::setup::undo::{self, Action, Options, Report, Restored, Which};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::Args;
use serde::Serialize;

/// Take back umcp's edits of other programs' files
///
/// A file that nobody changed since becomes what it was, byte for byte. In one that was changed, umcp's own edit alone
/// goes: its entry is taken out, servers it had moved are put back, everything else stays as it is now; the file as
/// it was until then is kept, and `umcp undo ID` brings it back. What cannot be told apart is refused; `--force`
/// restores the old file all the same. Servers that came into umcp with the edit leave it again, unless they were
/// changed since.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp undo --list\n  umcp undo\n  umcp undo 3 --dry-run")]
pub struct Undo {
    /// The entry to take back; the newest one if left out
    #[arg(value_name = "ID", conflicts_with = "last")]
    id: Option<u64>,
    /// Show what can be taken back
    #[arg(long, conflicts_with_all = ["id", "last", "force", "dry_run"])]
    list: bool,
    /// Take back the newest N entries
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Show what would happen
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Delete what was kept of an entry; it cannot be taken back any more
    #[arg(long, value_name = "ID", conflicts_with_all = ["id", "last", "list", "force", "dry_run"])]
    forget: Option<u64>,
    /// Overwrite files that were changed since; a copy is kept in the list
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Listed {
    id: u64,
    when: String,
    command: String,
    files: Vec<String>,
    servers: Vec<String>,
    undone: Option<String>,
    #[serde(skip)]
    at: Timestamp,
    #[serde(skip)]
    now: Timestamp,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Entries(Vec<Listed>);

impl Undo {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let now = ctx.clock.now();
        if self.list {
            let entries = journal::entries(&ctx.paths.undo())?;
            return ctx.ui.show(&Entries(entries.iter().rev().map(|entry| Listed::of(entry, now)).collect()));
        }
        if let Some(id) = self.forget {
            return forget(ctx, id);
        }
        let which = match self.id {
            Some(id) => Which::Id(id),
            None => Which::Last(self.last.unwrap_or(1)),
        };
        let options = Options { which, dry_run: self.dry_run, force: self.force, now };
        let report = undo::undo(&ctx.paths, options, &mut |request| ctx.call(request))?;
        let Some(error) = report.failure() else { return ctx.ui.show(&report) };
        ctx.ui.show_failed(&report, &error)?;
        Err(error)
    }
}

/// Deletes the copies of one entry, such as those of files that held keys.
fn forget(ctx: &Context, id: u64) -> Result<()> {
    let entries = journal::entries(&ctx.paths.undo())?;
    let entry = entries.into_iter().find(|entry| entry.id == id).ok_or_else(|| {
        Error::new(&codes::UNDO_NOTHING, format!("there is no entry `{id}` to forget"))
            .hint("umcp undo --list")
    })?;
    let question = format!("Delete what was kept of entry {id}? It cannot be taken back any more.");
    if !ctx.ui.confirm(&question, false, "--yes")? {
        return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was deleted"));
    }
    entry.forget()?;
    ctx.ui.show(&Forgotten { id, command: entry.manifest.command })
}

#[derive(Serialize)]
struct Forgotten {
    id: u64,
    command: String,
}

impl Output for Forgotten {
    const KIND: &'static str = "undo.forgotten/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("forgot entry {} ({}) and its copies of files", self.id, self.command));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}

impl Listed {
    fn of(entry: &Entry, now: Timestamp) -> Self {
        let manifest = &entry.manifest;
        Self {
            id: entry.id,
            when: manifest.when.rfc3339(),
            command: manifest.command.clone(),
            files: manifest
                .files
                .iter()
                .map(|file| &file.path)
                .chain(manifest.links.iter().map(|link| &link.path))
                .map(|path| path.display().to_string())
                .collect(),
            servers: manifest.servers.iter().map(|server| server.name.clone()).collect(),
            undone: manifest.undone.map(Timestamp::rfc3339),
            at: manifest.when,
            now,
        }
    }
}

impl Output for Entries {
    const KIND: &'static str = "undo.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("id").right(),
            Column::new("command"),
            Column::new("when").optional(1),
            Column::new("state"),
            Column::new("files").wraps(),
        ];
        let mut table = Table::new("umcp has edited no files of other programs", columns);
        for entry in &self.0 {
            let state = match entry.undone {
                Some(_) => Cell::state(State::Off, "taken back"),
                None => Cell::state(State::Ok, "stands"),
            };
            table.row([
                Cell::from(entry.id.to_string()),
                (&entry.command).into(),
                text::ago(entry.now, entry.at).into(),
                state,
                entry.files.join(", ").into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|entry| entry.id.to_string()).collect()
    }
}

/// What happened to a file, in one line.
fn file_line(file: &Restored, dry_run: bool) -> (State, String) {
    let path = file.path.display();
    match (file.action, &file.merge, &file.error) {
        (Action::Refused, _, error) => {
            // A difference of many lines stands below, with the error.
            let why = error.as_ref().map(ToString::to_string).unwrap_or_default();
            (State::Fail, why.lines().next().unwrap_or_default().into())
        }
        (Action::Restored, ..) if dry_run => (State::Ok, format!("{path} would be what it was")),
        (Action::Restored, ..) => (State::Ok, format!("{path} is as it was")),
        (Action::Deleted, ..) if dry_run => (State::Ok, format!("{path} would go")),
        (Action::Deleted, ..) => (State::Ok, format!("{path} is gone again")),
        (Action::AsBefore, ..) if dry_run => (State::Off, format!("{path} is as before already")),
        (Action::AsBefore, ..) => (State::Off, format!("{path} was as before already")),
        (Action::Merged, merge, _) => {
            let done = merge.as_ref().map(|done| merged(done, dry_run)).unwrap_or_default();
            let rest = if dry_run { "the rest would stay" } else { "kept the rest" };
            (State::Ok, format!("{path} was changed since; {done}, {rest}"))
        }
    }
}

fn merged(done: &Done, dry_run: bool) -> String {
    let own = match done.entry {
        Own::AsBefore => None,
        Own::TakenOut if dry_run => Some("umcp would be taken out".to_string()),
        Own::TakenOut => Some("took umcp out".to_string()),
        Own::PutBack if dry_run => Some("umcp would get its old entry back".to_string()),
        Own::PutBack => Some("gave umcp its old entry back".to_string()),
    };
    let servers = || text::plural(done.back.len(), "server");
    let back = (!done.back.is_empty()).then(|| match dry_run {
        true => format!("{} put back", servers()),
        false => format!("put {} back", servers()),
    });
    let words: Vec<String> = own.into_iter().chain(back).collect();
    words.join(" and ")
}

impl Output for Report {
    const KIND: &'static str = "undo/1";

    fn human(&self, page: &mut Page) {
        for entry in &self.entries {
            page.heading(format!("{} (entry {})", entry.command, entry.id));
            for file in &entry.files {
                let (state, line) = file_line(file, self.dry_run);
                page.mark(state, line);
                for name in file.merge.iter().flat_map(|done| &done.other) {
                    page.mark(
                        State::Warn,
                        format!(
                            "{path} has another server {name} by now, which stays",
                            path = file.path.display()
                        ),
                    );
                }
                if let Some(copy) = file.copy {
                    page.text(format!("     as it was until now: umcp undo {copy}"));
                }
                if self.dry_run && !file.diff.is_empty() {
                    page.text(&file.diff);
                }
            }
            let (leaves, comes) = match self.dry_run {
                true => ("would be removed from umcp again", "would be in umcp again"),
                false => ("is removed from umcp again", "is in umcp again"),
            };
            for name in &entry.servers {
                page.mark(State::Ok, format!("server {name} {leaves}"));
            }
            for name in &entry.returned {
                page.mark(State::Ok, format!("server {name} {comes}"));
            }
            if let Some(error) = &entry.error {
                page.mark(State::Fail, error.to_string());
            }
            if !entry.held.is_empty() {
                let names = entry.held.join(", ");
                page.mark(State::Warn, format!("still in umcp, for the file that stays: {names}"));
            }
            for name in &entry.kept {
                page.mark(State::Warn, format!("server {name} was changed since and stays"));
            }
            if !entry.secrets.is_empty() {
                let names = entry.secrets.join(" ");
                page.mark(State::Warn, format!("the vault keeps {}", entry.secrets.join(", ")));
                page.text(format!("umcp secret delete {names}"));
            }
        }
        if self.dry_run {
            page.text("nothing was changed (--dry-run)");
        }
    }

    fn ids(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.id.to_string()).collect()
    }
}
