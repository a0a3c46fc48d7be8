//! `umcp import`: the servers of files and of other clients, into umcp. Nothing is started.

use super::context::Context;
use super::machine::machine;
use super::secret::tell_plain;
use crate::clients;
use crate::error::Result;
use crate::servers::Server;
use crate::servers::formats::{Level, Note};
use crate::setup::import::{self, Report};
use crate::setup::{clientfiles, connect};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Add the servers of files or clients to umcp; starts nothing
///
/// A word is a file, or a client of `umcp client list`. A server that umcp has already is not added again; another one
/// of the same name gets a name of its own.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp import .mcp.json\n  umcp import cursor codex --dry-run")]
pub struct Import {
    #[arg(value_name = "FILE|CLIENT", required = true)]
    sources: Vec<String>,
    /// Show what would be added
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Imported {
    dry_run: bool,
    files: Vec<Report>,
    /// The number `umcp undo` takes.
    undo: Option<u64>,
}

impl Import {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let machine = machine(ctx)?;
        let now = ctx.clock.now();
        let call = &mut |request| ctx.call(request);
        let mut known = crate::setup::servers(call)?;
        let (mut files, mut add, mut tighten) = (Vec::new(), Vec::new(), Vec::new());
        for source in &self.sources {
            for path in paths(source, &machine, ctx)? {
                let (report, new) = import::read(&path, &known, now)?;
                known.extend(new.add.iter().cloned());
                add.extend(new.add);
                for server in new.tighten {
                    known
                        .iter_mut()
                        .filter(|other| other.id == server.id)
                        .for_each(|other| other.clone_from(&server));
                    tighten.push(server);
                }
                files.push(report);
            }
        }
        let command = format!("umcp import {}", self.sources.join(" "));
        let undo = match self.dry_run {
            true => None,
            false => {
                // What an earlier file of this run added may be tightened too; its newest form counts.
                let late = |server: &mut Server| {
                    if let Some(other) = tighten.iter().rfind(|other| other.id == server.id) {
                        server.clone_from(other);
                    }
                };
                add.iter_mut().for_each(late);
                tighten.retain(|server| !add.iter().any(|added| added.id == server.id));
                tell_plain(ctx, &add);
                let undo = connect::perform(&machine, now, &command, &[], add, call)?;
                import::tighten(call, tighten)?;
                undo
            }
        };
        ctx.ui.show(&Imported { dry_run: self.dry_run, files, undo })
    }
}

/// The files a word stands for.
fn paths(word: &str, machine: &crate::setup::Machine<'_>, ctx: &Context) -> Result<Vec<PathBuf>> {
    let path = Path::new(word);
    if path.exists() {
        return Ok(vec![path.into()]);
    }
    let Ok(client) = clients::find(word) else {
        return import::refuse_missing(path).map(|()| Vec::new());
    };
    let state = clientfiles::look(client, machine, ctx.clock.now());
    let mut paths = Vec::new();
    for file in state.files {
        match file.error {
            Some(error) => return Err(error),
            None if !file.servers.is_empty() => paths.push(file.path),
            None => {}
        }
    }
    if paths.is_empty() {
        ctx.ui.note(&format!("{} has no servers of its own", client.name));
    }
    Ok(paths)
}

/// A note of an import in one line.
pub fn note_line(note: &Note) -> String {
    let level = match note.level {
        Level::Skipped => "left out",
        Level::Ignored => "ignored",
        Level::Changed => "changed",
    };
    let line = note.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    format!("{line}{level}: {}", note.message)
}

/// Says that two entries of a server differ in how it is shut in.
pub fn stricter(page: &mut Page, known: &import::Known) {
    if known.stricter {
        let name = &known.known_as;
        page.mark(State::Warn, format!("{name}: two entries differ in its sandbox, the stricter one holds"));
    }
}

/// What was added, with what deserves a second look.
pub fn added(page: &mut Page, servers: &[import::Added], dry_run: bool) {
    for server in servers {
        let verb = if dry_run { "would add" } else { "added" };
        page.mark(State::Ok, format!("{verb} {} ({}: {})", server.name, server.transport, server.target));
        for caution in &server.cautions {
            page.mark(State::Warn, format!("{}: look twice, it {caution}", server.name));
        }
    }
}

impl Output for Imported {
    const KIND: &'static str = "import/1";

    fn human(&self, page: &mut Page) {
        for file in &self.files {
            page.heading(format!("{} ({})", file.file, file.format));
            added(page, &file.added, self.dry_run);
            for known in &file.known {
                page.mark(State::Off, format!("{} is in umcp already, as {}", known.name, known.known_as));
                stricter(page, known);
            }
            for note in &file.notes {
                page.mark(State::Warn, note_line(note));
            }
        }
        let count: usize = self.files.iter().map(|file| file.added.len()).sum();
        let verb = if self.dry_run { "would be added" } else { "added" };
        page.text(format!("{} {verb}; none was started", text::plural(count, "server")));
        if let Some(id) = self.undo {
            page.text(format!("take it back: umcp undo {id}"));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.files.iter().flat_map(|file| file.added.iter().map(|server| server.name.clone())).collect()
    }
}
