//! Reading the files in which other tools (and umcp itself) keep MCP servers.
//! It starts nothing and writes nothing; what could not be mapped is told line by line.
//! Rule: values are kept as written, and no note ever holds a value of `env` or `headers`.

mod detect;
mod entry;
pub mod own;
pub mod shut;
mod values;

use super::model::{Server, tame_name};
use crate::clock::Timestamp;
use crate::documents::{self, Format, Node, Source};
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a file held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    pub servers: Vec<Server>,
    pub notes: Vec<Note>,
    /// The format the file was read as, such as `claude-code` or `codex`.
    pub format: &'static str,
}

/// Something that was not taken over as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub line: Option<u32>,
    pub level: Level,
    pub message: String,
}

/// How much of the entry the note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The whole entry was left out.
    Skipped,
    /// One field was left out.
    Ignored,
    /// A value was taken over in other words.
    Changed,
}

/// Reads every server of a file in any known format.
///
/// `path` tells formats apart and names the file in errors; `ids` makes the ids of the new entries.
pub fn read(path: &str, text: &str, ids: &mut dyn FnMut() -> String, now: Timestamp) -> Result<Imported> {
    let root = documents::parse(path, text)?;
    let toml = Format::of(path, text) == Format::Toml;
    let Some(found) = detect::detect(path, toml, &root) else {
        return Err(unknown(path));
    };
    let source = Source::new(path, text);
    let mut reading = Reading { source: &source, notes: found.notes, servers: Vec::new(), ids, now };
    for candidate in &found.candidates {
        reading.candidate(&found.dialect, candidate)?;
    }
    let (servers, notes) = (reading.servers, reading.notes);
    Ok(Imported { servers, notes, format: found.dialect.name })
}

fn unknown(path: &str) -> Error {
    Error::new(&codes::FORMAT_UNKNOWN, format!("`{path}` holds no servers in a format umcp knows"))
        .hint("umcp reads its own `servers:` files and those of the clients in `umcp client list`")
}

/// What differs between formats that otherwise share their fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Dialect {
    name: &'static str,
    /// A bare `timeout` counts seconds, not milliseconds.
    seconds: bool,
}

/// An entry found in a file, before it is read.
#[derive(Debug)]
struct Candidate<'a> {
    name: String,
    line: u32,
    node: &'a Node,
    /// The project it belongs to, where a file keeps servers per project.
    project: Option<&'a str>,
}

/// The state of one import.
struct Reading<'a> {
    source: &'a Source<'a>,
    notes: Vec<Note>,
    servers: Vec<Server>,
    ids: &'a mut dyn FnMut() -> String,
    now: Timestamp,
}

impl Reading<'_> {
    fn candidate(&mut self, dialect: &Dialect, candidate: &Candidate<'_>) -> Result<()> {
        let notes_before = self.notes.len();
        let blank = || Server::new(String::new(), candidate.name.clone(), entry::nothing(), self.now);
        let server = if dialect.name == own::FORMAT {
            Some(own::read_entry(self.source, candidate.node, blank())?)
        } else {
            entry::read(dialect, candidate, blank(), &mut self.notes)
        };
        let Some(mut server) = server else { return Ok(()) };
        server.origin = Some(dialect.name.into());
        if entry::is_umcp(&server.transport) {
            self.note(candidate, Level::Skipped, format!("`{}` is umcp itself", candidate.name));
            return Ok(());
        }
        if self.servers.iter().any(|known| same(known, &server, &candidate.name)) {
            self.notes.truncate(notes_before);
            self.note(candidate, Level::Skipped, format!("`{}` stands in this file twice", candidate.name));
            return Ok(());
        }
        server.name = self.free_name(candidate);
        if let Err(error) = server.check() {
            self.note(candidate, Level::Skipped, error.message);
            return Ok(());
        }
        server.id = (self.ids)();
        self.servers.push(server);
        Ok(())
    }

    /// A valid name that no entry before has.
    fn free_name(&mut self, candidate: &Candidate<'_>) -> String {
        let wanted = &candidate.name;
        let tame = tame_name(wanted);
        let taken: BTreeSet<_> = self.servers.iter().map(|server| server.name.to_ascii_lowercase()).collect();
        let mut name = tame.clone();
        let mut number = 2;
        while taken.contains(&name.to_ascii_lowercase()) {
            let tail = format!("-{number}");
            let head: String = tame.chars().take(40 - tail.len()).collect();
            name = format!("{}{tail}", head.trim_end_matches('_'));
            number += 1;
        }
        if name != *wanted {
            self.note(candidate, Level::Changed, format!("`{wanted}` is called `{name}` in umcp"));
        }
        name
    }

    fn note(&mut self, candidate: &Candidate<'_>, level: Level, message: String) {
        self.notes.push(Note { line: Some(candidate.line), level, message });
    }
}

/// The same server under the same name, as in files that list it once per agent.
fn same(known: &Server, new: &Server, name: &str) -> bool {
    known.name == tame_name(name)
        && known.transport == new.transport
        && known.env == new.env
        && known.headers == new.headers
        && known.cwd == new.cwd
        && known.tools == new.tools
}

#[cfg(test)]
mod tests;
