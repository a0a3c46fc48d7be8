//! Clients on this machine: where their files are, what stands in them, and the edits that connect umcp.
//! It plans edits and hands them to the journal; what a file becomes is decided by `clients::plan`.
//! Rule: only entries of umcp and entries the user asked to move are ever touched.

use super::Machine;
use super::import;
use super::journal::{self, Edit};
use crate::clients::{self, Client, Entry, Location, Scope, beside, plan, revert};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::servers::Server;
use crate::servers::formats::{self, Note};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// One file of a client and what stands in it.
#[derive(Debug, Clone, Serialize)]
pub struct FileState {
    pub path: PathBuf,
    pub scope: Scope,
    pub exists: bool,
    /// umcp's entry, where it has one.
    pub entry: Option<Entry>,
    /// Names of the servers beside umcp.
    pub beside: Vec<String>,
    /// All servers of the file, as umcp would take them over.
    #[serde(skip)]
    pub servers: Vec<Server>,
    pub notes: Vec<Note>,
    /// Why the file cannot be read.
    pub error: Option<Error>,
}

/// A client and all of its files.
#[derive(Debug, Clone)]
pub struct ClientState {
    pub client: &'static Client,
    /// Whether the client seems to be on this machine at all.
    pub installed: bool,
    pub files: Vec<FileState>,
}

impl ClientState {
    /// Whether umcp stands in one of the files.
    pub fn connected(&self) -> bool {
        self.files.iter().any(|file| file.entry.is_some())
    }

    /// Each server once, with the scopes of the files that name it.
    pub fn servers(&self) -> Vec<(&Server, Vec<Scope>)> {
        let mut distinct: Vec<(&Server, Vec<Scope>)> = Vec::new();
        let all = self.files.iter().flat_map(|file| file.servers.iter().map(|server| (server, file.scope)));
        for (server, scope) in all {
            let known = |other: &&mut (&Server, Vec<Scope>)| {
                other.0.name == server.name && import::same(other.0, server)
            };
            match distinct.iter_mut().find(known) {
                Some((_, scopes)) if scopes.contains(&scope) => {}
                Some((_, scopes)) => scopes.push(scope),
                None => distinct.push((server, vec![scope])),
            }
        }
        distinct
    }
}

/// The places of a client on this machine.
pub fn places(client: &Client, machine: &Machine<'_>) -> Vec<Location> {
    clients::files(client, &machine.paths.home, machine.env, machine.project.as_deref())
}

/// Looks at the files of a client; starts nothing.
pub fn look(client: &'static Client, machine: &Machine<'_>, now: Timestamp) -> ClientState {
    let places = places(client, machine);
    let installed = is_installed(client, &places, &machine.paths.home);
    let files = places
        .into_iter()
        .filter(|place| place.primary || place.path.exists())
        .map(|place| look_at(client, place, now))
        .collect();
    ClientState { client, installed, files }
}

fn look_at(client: &Client, place: Location, now: Timestamp) -> FileState {
    let Location { path, scope, .. } = place;
    let (exists, error) = (false, None);
    let mut state = FileState {
        path,
        scope,
        exists,
        entry: None,
        beside: Vec::new(),
        servers: Vec::new(),
        notes: Vec::new(),
        error,
    };
    let read = journal::read_text(&state.path).and_then(|text| {
        let Some(text) = text else { return Ok(()) };
        state.exists = true;
        let file = state.path.display().to_string();
        state.entry = plan::connected(client, &file, &text)?;
        state.beside = beside::list(client, &file, &text)?.into_iter().map(|other| other.name).collect();
        (state.servers, state.notes) = all_servers(client, &file, &text, now)?;
        Ok(())
    });
    state.error = read.err();
    state
}

/// Every server of a text; a file without any is none of the known formats, and no mistake.
fn all_servers(client: &Client, file: &str, text: &str, now: Timestamp) -> Result<(Vec<Server>, Vec<Note>)> {
    let read = match formats::read(file, text, &mut || ids::fresh("srv"), now) {
        Err(error) if error.is(&codes::FORMAT_UNKNOWN) => return Ok((Vec::new(), Vec::new())),
        read => read?,
    };
    let origin = |server| Server { origin: Some(client.id.into()), ..server };
    // That umcp itself is left out is what everybody expects.
    let notes = read.notes.into_iter().filter(|note| !note.message.ends_with("is umcp itself")).collect();
    Ok((read.servers.into_iter().map(origin).collect(), notes))
}

/// Files of another scope that lead the client to the same servers: it reads both, and lists umcp twice.
pub fn twins(client: &'static Client, machine: &Machine<'_>, scope: Scope, entry: &Entry) -> Vec<PathBuf> {
    let others = places(client, machine).into_iter().filter(|place| place.scope != scope);
    let leads = |place: &Location| {
        let text = journal::read_text(&place.path).ok().flatten()?;
        plan::connected(client, &place.path.display().to_string(), &text).ok()?
    };
    others
        .filter(|place| leads(place).is_some_and(|it| it.is_twin_of(entry)))
        .map(|place| place.path)
        .collect()
}

/// A file is there, or the folder a client makes for itself.
fn is_installed(client: &Client, places: &[Location], home: &Path) -> bool {
    let folder = |place: &Location| {
        place.scope == Scope::User
            && place.path.parent().is_some_and(|folder| folder != home && folder.is_dir())
    };
    places.iter().any(|place| place.path.is_file() || folder(place))
        || client.id == "claude-code" && home.join(".claude").is_dir()
}

/// The line a client shall run.
pub fn entry(client: &Client, machine: &Machine<'_>, profile: Option<&str>) -> Entry {
    let mut entry = Entry::new(machine.program.display().to_string(), client);
    if let Some(profile) = profile {
        entry.args.extend(["--profile".into(), profile.into()]);
    }
    // A home of its own must be the same for the client, whatever its environment is.
    if let Some(home) = &machine.home {
        entry.env.insert("UMCP_HOME".into(), home.display().to_string());
    }
    entry
}

/// The files of a scope to edit: those that are there, else the one the client would create.
pub fn targets(client: &Client, machine: &Machine<'_>, scope: Scope) -> Result<Vec<PathBuf>> {
    let all: Vec<Location> =
        places(client, machine).into_iter().filter(|place| place.scope == scope).collect();
    let there: Vec<PathBuf> =
        all.iter().filter(|place| place.path.exists()).map(|place| place.path.clone()).collect();
    if !there.is_empty() {
        return Ok(there);
    }
    let Some(first) = all.into_iter().find(|place| place.primary) else {
        let word = if scope == Scope::User { "user" } else { "project" };
        let message = format!("{} has no {word} file on this system", client.name);
        return Err(
            Error::new(&codes::USAGE, message).hint(format!("umcp config generate --client {}", client.id))
        );
    };
    Ok(vec![first.path])
}

/// What connecting does to one file.
#[derive(Debug, Clone)]
pub struct Connection {
    pub edit: Edit,
    /// Servers that are taken out of the file and have to be in umcp.
    pub moved: Vec<Server>,
    /// Servers that stay beside umcp, by their name in the file.
    pub left: Vec<String>,
}

/// Plans umcp's entry into a file; with `replace` the other servers move into umcp.
pub fn connect(
    client: &Client,
    path: &Path,
    entry: &Entry,
    replace: bool,
    now: Timestamp,
) -> Result<Connection> {
    connect_some(client, path, entry, &|_| replace, now)
}

/// The same with only the chosen servers moving into umcp.
pub fn connect_some(
    client: &Client,
    path: &Path,
    entry: &Entry,
    chosen: &dyn Fn(&Server) -> bool,
    now: Timestamp,
) -> Result<Connection> {
    let file = path.display().to_string();
    let before = journal::read_text(path)?;
    let text = before.as_deref().unwrap_or_default();
    let (mut moved, mut left, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for other in beside::list(client, &file, text)? {
        // One entry at a time tells which of them umcp can take over.
        match all_servers(client, &file, &other.text, now) {
            Ok((servers, _)) if !servers.is_empty() && servers.iter().all(chosen) => {
                names.push(other.name);
                moved.extend(servers);
            }
            _ => left.push(other.name),
        }
    }
    let after = plan::connect(client, &file, text, entry)?;
    let after = beside::without(client, &file, &after, &names)?;
    let edit = Edit {
        path: path.to_path_buf(),
        before: before.map(String::into_bytes),
        after: Some(after.into_bytes()),
        client: Some(client.id),
    };
    Ok(Connection { edit, moved, left })
}

/// Plans umcp's entry out of a file; `None` when it is not in there.
///
/// When nobody but umcp changed the file since, it becomes byte for byte what it was. Beside the changes of others
/// umcp's own edits are taken back one by one, as undo does; where that cannot be told apart, only the entry goes.
pub fn disconnect(client: &Client, path: &Path, entries: &[journal::Entry]) -> Result<Option<Edit>> {
    let file = path.display().to_string();
    let Some(text) = journal::read_text(path)? else { return Ok(None) };
    if plan::connected(client, &file, &text)?.is_none() {
        return Ok(None);
    }
    let before = Some(text.clone().into_bytes());
    let edit = |after| {
        Some(Edit { path: path.to_path_buf(), before: before.clone(), after, client: Some(client.id) })
    };
    if let Some(original) = original(client, path, &text, entries)? {
        return Ok(edit(original));
    }
    if let Some(merged) = merged(client, path, &text, entries)? {
        return Ok(edit(merged));
    }
    let oldest = first_copy(path, entries)?;
    let after = plan::disconnect(client, &file, &text, oldest.as_deref())?;
    Ok(edit(Some(after.into_bytes())))
}

/// The content from before umcp came, if every change since then was umcp's own. `Some(None)`: no file.
fn original(
    client: &Client,
    path: &Path,
    text: &str,
    entries: &[journal::Entry],
) -> Result<Option<Option<Vec<u8>>>> {
    let file = path.display().to_string();
    let mut digest = ids::digest(text.as_bytes());
    for entry in entries.iter().rev().filter(|entry| entry.manifest.undone.is_none()) {
        for (index, record) in entry.manifest.files.iter().enumerate() {
            if record.path != path || record.after.as_ref() != Some(&digest) {
                continue;
            }
            let Some(bytes) = entry.before(index)? else { return Ok(Some(None)) };
            let before = String::from_utf8_lossy(&bytes).into_owned();
            if plan::connected(client, &file, &before)?.is_none() {
                return Ok(Some(Some(bytes)));
            }
            digest = ids::digest(&bytes);
        }
    }
    Ok(None)
}

/// The content without umcp's own edits, the newest first, beside what others changed since. `None`: the journal does
/// not lead back, or what umcp wrote is not there any more.
fn merged(
    client: &Client,
    path: &Path,
    text: &str,
    entries: &[journal::Entry],
) -> Result<Option<Option<Vec<u8>>>> {
    let file = path.display().to_string();
    let mut text = text.to_string();
    for entry in entries.iter().rev().filter(|entry| entry.manifest.undone.is_none()) {
        let Some(index) = entry.manifest.files.iter().position(|record| record.path == path) else {
            continue;
        };
        let (before, Some(wrote)) = (entry.before(index)?, entry.after(index)?) else { return Ok(None) };
        let was = before.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        match revert::revert(client, &file, &was, &String::from_utf8_lossy(&wrote), &text) {
            Ok(reverted) => text = reverted.text,
            Err(_) => return Ok(None),
        }
        if plan::connected(client, &file, &was)?.is_some() {
            continue;
        }
        if plan::connected(client, &file, &text)?.is_some() {
            return Ok(None);
        }
        let hollow = before.is_none() && plan::hollow(client, &text);
        return Ok(Some((!hollow).then(|| text.into_bytes())));
    }
    Ok(None)
}

/// The newest copy from before an edit in which umcp did not stand yet.
fn first_copy(path: &Path, entries: &[journal::Entry]) -> Result<Option<String>> {
    for entry in entries.iter().rev() {
        if let Some(index) = entry.manifest.files.iter().position(|record| record.path == path) {
            return Ok(entry.before(index)?.and_then(|bytes| String::from_utf8(bytes).ok()));
        }
    }
    Ok(None)
}
