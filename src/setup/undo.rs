//! Taking back what the journal recorded: files byte for byte, servers that are still as they were added.
//! A client's file that its owner changed since loses umcp's own edit only; `clients::revert` decides how.
//! It shows nothing; the report says what was done and what was left alone.
//! Long because an entry is taken back as one: files, links and servers in the order that loses nothing.
//! Rule: a change of somebody else is never lost unasked, and what cannot be taken back keeps nothing else up.

use super::journal::{self, Edit, Entry, Manifest};
use super::{Call, import, servers};
use crate::clients::revert::{self, Done};
use crate::clients::{self, plan as texts};
use crate::clock::Timestamp;
use crate::documents::limits::decode;
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
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub dry_run: bool,
    pub entries: Vec<Undone>,
}

/// One entry taken back, as far as that was possible.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Undone {
    pub id: u64,
    pub command: String,
    pub files: Vec<Restored>,
    /// Names of servers removed from umcp again.
    pub servers: Vec<String>,
    /// Names of servers that are in umcp again.
    pub returned: Vec<String>,
    /// Secrets that stay in the vault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Names of servers that were changed since and stay.
    pub kept: Vec<String>,
    /// Names of servers that stay because a file still leads to them through umcp.
    pub held: Vec<String>,
    /// Why the servers or the journal could not be brought up to date.
    pub error: Option<Error>,
}

/// One file taken back.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    pub path: PathBuf,
    pub action: Action,
    /// Unified, from the file now to the file afterwards.
    pub diff: String,
    /// What was done beside the changes of others, where there are any.
    pub merge: Option<Done>,
    /// The entry that holds the file as it was until now.
    pub copy: Option<u64>,
    pub error: Option<Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Restored,
    /// It did not exist before.
    Deleted,
    /// It is already what it was.
    AsBefore,
    /// It was changed since; umcp's edit went, the changes stay.
    Merged,
    /// It stays as it is now; the error says why.
    Refused,
}

impl Report {
    /// The error to end with when something could not be taken back: `PARTIAL` when something else was.
    pub fn failure(&self) -> Option<Error> {
        let files = || self.entries.iter().flat_map(|entry| &entry.files);
        let errors = files().filter_map(|file| file.error.as_ref());
        let errors: Vec<&Error> =
            errors.chain(self.entries.iter().filter_map(|entry| entry.error.as_ref())).collect();
        let first = *errors.first()?;
        let acted = |file: &Restored| !matches!(file.action, Action::AsBefore | Action::Refused);
        let moved = |entry: &Undone| !entry.servers.is_empty() || !entry.returned.is_empty();
        if !files().any(acted) && !self.entries.iter().any(moved) {
            return Some(first.clone());
        }
        let mut error = Error::new(&codes::PARTIAL, "not everything could be taken back");
        for hint in errors.iter().flat_map(|error| &error.hints) {
            if !error.hints.contains(hint) {
                error = error.hint(hint.clone());
            }
        }
        Some(error)
    }
}

/// How undo was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub which: Which,
    pub dry_run: bool,
    /// Overwrites files whose changes since cannot be kept, after a copy in the journal.
    pub force: bool,
    pub now: Timestamp,
}

/// What the copies are called that undo itself keeps; `--last` passes these by.
const MERGED: &str = "umcp undo";
const FORCED: &str = "umcp undo --force";

/// What files would hold after the steps so far of a dry run.
type Imagined = Vec<(PathBuf, Option<Vec<u8>>)>;

/// Takes entries back, newest first. What fails is in the report, the rest is done.
///
/// # Errors
/// There is nothing to take back, or the journal cannot be read.
pub fn undo(paths: &Paths, options: Options, call: &mut Call<'_>) -> Result<Report> {
    let chosen = choose(journal::entries(&paths.undo())?, options.which)?;
    // Later entries may have edited the same file: a dry run must see what they would leave.
    let mut imagined = Imagined::new();
    let entries =
        chosen.into_iter().map(|entry| take_back(entry, paths, options, &mut imagined, call)).collect();
    Ok(Report { dry_run: options.dry_run, entries })
}

fn take_back(
    mut entry: Entry,
    paths: &Paths,
    options: Options,
    imagined: &mut Imagined,
    call: &mut Call<'_>,
) -> Undone {
    let command = entry.manifest.command.clone();
    let secrets = entry.manifest.secrets.clone();
    let mut undone = Undone { id: entry.id, command, secrets, ..Undone::default() };
    // Before the files: what a file then leads to has to be there.
    match put_back(&entry, options.dry_run, call) {
        Ok(returned) => undone.returned = returned,
        Err(error) => return Undone { error: Some(error), ..undone },
    }
    undone.files = (0..entry.manifest.files.len())
        .map(|index| {
            let path = entry.manifest.files[index].path.clone();
            file(&entry, index, paths, options, imagined).unwrap_or_else(|error| refused(path, error))
        })
        .collect();
    undone.files.extend(entry.manifest.links.iter().map(|link| unlinked(link, options.dry_run)));
    let records = undone.files.iter().zip(&entry.manifest.files);
    let whole = undone.files.iter().all(|file| file.error.is_none());
    if records.into_iter().any(|(file, record)| file.error.is_some() && record.client.is_some()) {
        undone.held = entry.manifest.servers.iter().map(|server| server.name.clone()).collect();
    } else {
        let copy = undone.files.iter().find_map(|file| file.copy);
        match take_servers(&entry, copy, paths, options.dry_run, call) {
            Ok((gone, kept)) => (undone.servers, undone.kept) = (gone, kept),
            Err(error) => undone.error = Some(error),
        }
    }
    // What is left can be taken back another time.
    if !options.dry_run && whole && undone.error.is_none() {
        entry.manifest.undone = Some(options.now);
        undone.error = entry.save().and_then(|()| reopen(&entry, paths)).err();
    }
    undone
}

/// What a copy of undo had taken back stands again, and can be taken back once more.
fn reopen(copy: &Entry, paths: &Paths) -> Result<()> {
    let Some(id) = copy.manifest.takes_back else { return Ok(()) };
    let original = journal::entries(&paths.undo())?.into_iter().find(|entry| entry.id == id);
    let Some(mut original) = original else { return Ok(()) };
    original.manifest.undone = None;
    original.save()
}

fn file(
    entry: &Entry,
    index: usize,
    paths: &Paths,
    options: Options,
    imagined: &mut Imagined,
) -> Result<Restored> {
    let Step { edit, how } = plan(entry, index, options, imagined)?;
    let mut copy = None;
    if options.dry_run {
        imagined.push((edit.path.clone(), edit.after.clone()));
    } else {
        copy = restore(paths, &edit, &how, entry, index, options.now)?;
    }
    let action = match (&edit.after, &how) {
        _ if !edit.changes() => Action::AsBefore,
        (None, _) => Action::Deleted,
        (Some(_), How::Merged(_)) => Action::Merged,
        (Some(_), _) => Action::Restored,
    };
    let diff = edit.diff();
    let merge = match how {
        How::Merged(done) if action == Action::Merged => Some(done),
        _ => None,
    };
    Ok(Restored { path: edit.path, action, diff, merge, copy, error: None })
}

/// A link that umcp made goes; one that leads elsewhere by now is somebody's.
fn unlinked(link: &journal::Link, dry_run: bool) -> Restored {
    let (path, stands) = (link.path.clone(), link.stands());
    let gone = if dry_run { Ok(()) } else { link.take_back() };
    let action = if stands { Action::Deleted } else { Action::AsBefore };
    match gone {
        Ok(()) => Restored { path, action, diff: String::new(), merge: None, copy: None, error: None },
        Err(error) => refused(path, error),
    }
}

fn refused(path: PathBuf, error: Error) -> Restored {
    let (diff, action) = (String::new(), Action::Refused);
    Restored { path, action, diff, merge: None, copy: None, error: Some(error) }
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
            let open = |entry: &Entry| {
                let Manifest { undone, command, .. } = &entry.manifest;
                undone.is_none() && ![MERGED, FORCED].contains(&command.as_str())
            };
            let chosen: Vec<Entry> = entries.into_iter().rev().filter(open).take(count).collect();
            if chosen.is_empty() { Err(nothing()) } else { Ok(chosen) }
        }
    }
}

/// An edit that leads back.
struct Step {
    edit: Edit,
    how: How,
}

enum How {
    /// To the very bytes from before; nobody changed the file since.
    Exact,
    /// The same over somebody's changes, after a copy.
    Forced,
    /// Beside somebody's changes, after a copy.
    Merged(Done),
}

fn plan(entry: &Entry, index: usize, options: Options, imagined: &Imagined) -> Result<Step> {
    let record = &entry.manifest.files[index];
    let now = match imagined.iter().rev().find(|(path, _)| *path == record.path) {
        Some((_, bytes)) => bytes.clone(),
        None => journal::read(&record.path)?,
    };
    let client = record.client.as_deref().map(clients::find).transpose()?;
    let path = record.path.clone();
    let edit =
        Edit { path, before: now, after: entry.before(index)?, client: client.map(|client| client.id) };
    let digest = edit.before.as_deref().map(ids::digest);
    // Where there is no file any more, nothing of somebody's can be lost.
    if digest.is_none() || digest == record.after || digest == record.before {
        return Ok(Step { edit, how: How::Exact });
    }
    match merge(entry, index, &edit) {
        Ok((after, done)) => Ok(Step { edit: Edit { after, ..edit }, how: How::Merged(done) }),
        Err(_) if options.force => Ok(Step { edit, how: How::Forced }),
        Err(error) => Err(error),
    }
}

/// What a changed file becomes when only umcp's edit goes.
fn merge(entry: &Entry, index: usize, edit: &Edit) -> Result<(Option<Vec<u8>>, Done)> {
    let client = edit.client.map(clients::find).transpose()?;
    let (Some(client), Some(written), Some(now)) = (client, entry.after(index)?, edit.before.clone()) else {
        return Err(changed_since(entry, edit));
    };
    let file = edit.path.display().to_string();
    let before = decode(&file, edit.after.clone().unwrap_or_default())?;
    let merged = decode(&file, written)
        .and_then(|written| revert::revert(client, &file, &before, &written, &decode(&file, now)?))
        .map_err(|error| not_merged(entry, edit, &error))?;
    // A file that umcp made and that holds nothing of anybody else goes again.
    let hollow = edit.after.is_none() && texts::hollow(client, &merged.text);
    Ok(((!hollow).then(|| merged.text.into_bytes()), merged.done))
}

fn changed_since(entry: &Entry, edit: &Edit) -> Error {
    let path = edit.path.display();
    Error::new(&codes::UNDO_CHANGED, format!("`{path}` was changed after `{}`", entry.manifest.command))
        .because(format!("undo would make this of it:\n{}", edit.diff()))
        .hint("umcp undo --list    # a later entry may have to go first")
        .hint(force(entry))
}

fn not_merged(entry: &Entry, edit: &Edit, why: &Error) -> Error {
    let path = edit.path.display();
    Error::new(&codes::UNDO_CHANGED, format!("`{path}` was changed after `{}`", entry.manifest.command))
        .because(why)
        .hint("umcp undo --list    # a later entry may have to go first")
        .hint(force(entry))
}

fn force(entry: &Entry) -> String {
    format!("umcp undo {} --force    # keeps a copy of the file as it is now", entry.id)
}

/// Makes the edit; the number of the copy where one was kept.
fn restore(
    paths: &Paths,
    edit: &Edit,
    how: &How,
    entry: &Entry,
    index: usize,
    now: Timestamp,
) -> Result<Option<u64>> {
    let record = &entry.manifest.files[index];
    let mut copy = None;
    if edit.changes() {
        let command = match how {
            How::Exact => None,
            How::Forced => Some(FORCED),
            How::Merged(_) => Some(MERGED),
        };
        match command {
            None => journal::put(&edit.path, edit.after.as_deref())?,
            Some(command) => {
                let kept = journal::record(&paths.undo(), now, command, std::slice::from_ref(edit))?;
                if let Some(mut kept) = kept {
                    kept.manifest.takes_back = Some(entry.id);
                    kept.save()?;
                    copy = Some(kept.id);
                }
            }
        }
    }
    match (&edit.after, how) {
        (None, _) => journal::remove_empty(&record.created),
        // The bits of a changed file are its owner's.
        (Some(_), How::Merged(_)) => {}
        (Some(_), _) => journal::set_mode(&edit.path, record.mode)?,
    }
    Ok(copy)
}

/// Adds the servers again that left the store with the entry; their names.
fn put_back(entry: &Entry, dry_run: bool, call: &mut Call<'_>) -> Result<Vec<String>> {
    if entry.manifest.removed.is_empty() {
        return Ok(Vec::new());
    }
    let add = import::merge(&servers(call)?, entry.manifest.removed.clone()).add;
    let names = add.iter().map(|server| server.name.clone()).collect();
    if !dry_run {
        import::add(call, add)?;
    }
    Ok(names)
}

/// Removes the servers the entry added, as far as they are still what was added; the `copy` of a changed file
/// remembers them.
fn take_servers(
    entry: &Entry,
    copy: Option<u64>,
    paths: &Paths,
    dry_run: bool,
    call: &mut Call<'_>,
) -> Result<(Vec<String>, Vec<String>)> {
    if entry.manifest.servers.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let present = servers(call)?;
    let find = |id: &str| present.iter().find(|server| server.id == id);
    let there = entry.manifest.servers.iter().filter_map(|record| Some((record, find(&record.id)?)));
    let (gone, kept): (Vec<_>, Vec<_>) = there.partition(|(record, server)| record.matches(server));
    if !dry_run && !gone.is_empty() {
        let copies = journal::entries(&paths.undo())?.into_iter();
        if let Some(mut copy) = copies.into_iter().find(|entry| Some(entry.id) == copy) {
            copy.manifest.removed = gone.iter().map(|(_, server)| (*server).clone()).collect();
            copy.save()?;
        }
        let names = gone.iter().map(|(record, _)| record.id.clone()).collect();
        call(noun::Request::Remove { names }.into())?;
    }
    let names = |list: Vec<(&journal::ServerRecord, &noun::Server)>| {
        list.into_iter().map(|(_, server)| server.name.clone()).collect()
    };
    Ok((names(gone), names(kept)))
}
