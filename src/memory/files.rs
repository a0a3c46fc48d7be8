//! The memories of a namespace as a directory: the six verbs of Claude's memory tool over `/memories`. A file is a
//! memory whose key is its path; memories without one stand in a folder of their kind, as `m12.md`.
//! Rule: no path leads anywhere else, and every error says what to do.

use super::change::{self, Update};
use super::journal::Journal;
use super::model::{self, Kind, Memory, New, Who};
use super::select::{self, Filter};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Writer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const ROOT: &str = "/memories";
/// Files of one listing.
const MOST_LISTED: usize = 500;
/// Memories without a path of their own that a listing shows of each kind.
const MOST_OF_KIND: usize = 50;

/// One call of the tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    View {
        path: String,
        /// The first and the last line, counted from 1; -1 is the end.
        #[serde(default)]
        view_range: Option<(i64, i64)>,
    },
    Create {
        path: String,
        file_text: String,
    },
    StrReplace {
        path: String,
        old_str: String,
        #[serde(default)]
        new_str: String,
    },
    Insert {
        path: String,
        insert_line: i64,
        insert_text: String,
    },
    Delete {
        path: String,
    },
    Rename {
        old_path: String,
        new_path: String,
    },
}

impl Command {
    pub fn writes(&self) -> bool {
        !matches!(self, Self::View { .. })
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(&codes::VALUE_INVALID, message)
}

fn absent(path: &str) -> Error {
    Error::new(&codes::MEMORY_NOT_FOUND, format!("the path `{path}` does not exist"))
        .hint("`view` of /memories shows what there is")
}

fn taken(path: &str) -> Error {
    Error::new(&codes::MEMORY_EXISTS, format!("`{path}` exists already"))
        .hint("change it with `str_replace` or `insert`, or delete it first")
}

/// A path below the root, in its one spelling.
fn clean(path: &str) -> Result<String> {
    let outside = || refused(format!("`{path}` is not below {ROOT}"));
    let rest = path.strip_prefix(ROOT).ok_or_else(outside)?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return Err(outside());
    }
    let strange = |part: &str| {
        part == "." || part == ".." || part.contains(['\\', '%', '\0']) || part.chars().any(char::is_control)
    };
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| strange(part)) {
        return Err(refused(format!("`{path}` holds a part that is no plain name")));
    }
    let clean: String = parts.iter().map(|part| format!("/{part}")).collect();
    if clean.len() + ROOT.len() > 200 {
        return Err(refused("a path has at most 200 bytes"));
    }
    Ok(format!("{ROOT}{clean}"))
}

/// Every file of the namespace under its path.
fn all(tx: &Reader, namespace: &str, who: &Who, now: Timestamp) -> Result<BTreeMap<String, Memory>> {
    let filter = Filter { namespace: Some(namespace.into()), ..Filter::default() };
    let mut found = select::fitting(tx, &filter, who, now)?;
    select::sort(&mut found, select::Order::Timestamp);
    let mut files = BTreeMap::new();
    for memory in found {
        files.entry(path_of(&memory)).or_insert(memory);
    }
    Ok(files)
}

fn path_of(memory: &Memory) -> String {
    match memory.key.as_deref().filter(|key| key.starts_with("/memories/")) {
        Some(key) => key.to_string(),
        None => format!("{ROOT}/{}/{}.md", memory.kind.word(), memory.id()),
    }
}

fn file(tx: &Reader, namespace: &str, path: &str, who: &Who, now: Timestamp) -> Result<Memory> {
    let filter = Filter { namespace: Some(namespace.into()), ..Filter::default() };
    let by_kind = Kind::ALL.iter().find_map(|kind| {
        let name = path.strip_prefix(&format!("{ROOT}/{}/", kind.word()))?.strip_suffix(".md")?;
        model::number(name)
    });
    let found = match by_kind {
        Some(number) => select::by_number(tx, Some(number))?
            .filter(|memory| filter.fits(memory, who, now) && path_of(memory) == path),
        None => select::one(tx, path, &filter, who, now).ok(),
    };
    // Whether the namespace may be read at all is asked where there is nothing to find, too.
    super::space::readable(tx, who, Some(namespace))?;
    found.ok_or_else(|| absent(path))
}

/// What `view` shows.
pub fn view(tx: &Reader, namespace: &str, command: &Command, who: &Who, now: Timestamp) -> Result<String> {
    let Command::View { path, view_range } = command else {
        return Err(Error::bug("a file command that writes was handed to `view`"));
    };
    let path = clean(path)?;
    if path != ROOT
        && let Ok(memory) = file(tx, namespace, &path, who, now)
    {
        return numbered(&path, &content(&memory), *view_range);
    }
    let files = all(tx, namespace, who, now)?;
    let inside = format!("{path}/");
    let below: BTreeMap<&str, &Memory> = files
        .iter()
        .filter(|(file, _)| file.starts_with(&inside))
        .map(|(file, it)| (file.as_str(), it))
        .collect();
    if below.is_empty() && path != ROOT {
        return Err(absent(&path));
    }
    Ok(listing(&path, &below))
}

fn content(memory: &Memory) -> String {
    let triples: String = memory.triples.iter().map(|triple| format!("- {}\n", triple.sentence())).collect();
    format!("{triples}{}", memory.text)
}

fn numbered(path: &str, text: &str, range: Option<(i64, i64)>) -> Result<String> {
    let lines: Vec<&str> = text.split('\n').collect();
    let count = lines.len() as i64;
    let (first, last) = range.unwrap_or((1, -1));
    let last = if last == -1 { count } else { last };
    if first < 1 || first > count || last < first {
        return Err(refused(format!("the lines {first} to {last} are not within 1 to {count}")));
    }
    let mut shown = format!("Here's the content of {path} with line numbers:\n");
    for (at, line) in lines.iter().enumerate().skip(first as usize - 1).take((last - first + 1) as usize) {
        shown.push_str(&format!("{:>6}\t{line}\n", at + 1));
    }
    Ok(shown)
}

/// Sizes and paths, two levels deep.
fn listing(path: &str, files: &BTreeMap<&str, &Memory>) -> String {
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    let mut of_kind: BTreeMap<Kind, usize> = BTreeMap::new();
    let mut hidden = 0;
    for (file, memory) in files {
        let size = memory.text.len() as u64;
        *sizes.entry(path.to_string()).or_default() += size;
        if memory.key.is_none() {
            let shown = of_kind.entry(memory.kind).or_default();
            *shown += 1;
            if *shown > MOST_OF_KIND {
                hidden += 1;
                continue;
            }
        }
        let parts: Vec<&str> = file[path.len() + 1..].split('/').collect();
        for depth in 1..=parts.len().min(2) {
            *sizes.entry(format!("{path}/{}", parts[..depth].join("/"))).or_default() += size;
        }
    }
    let mut text = format!("Here're the files and directories up to 2 levels deep in {path}:\n");
    sizes.entry(path.to_string()).or_default();
    let left = sizes.len().saturating_sub(MOST_LISTED);
    for (name, size) in sizes.iter().take(MOST_LISTED) {
        text.push_str(&format!("{:.1}K\t{name}\n", *size as f64 / 1024.0));
    }
    if left + hidden > 0 {
        text.push_str(&format!("… and {} more; `search` finds them\n", left + hidden));
    }
    text
}

/// Carries out a command that changes something.
pub fn perform(
    tx: &mut Writer,
    namespace: &str,
    command: Command,
    who: &Who,
    now: Timestamp,
) -> Result<String> {
    match command {
        Command::View { .. } => view(tx, namespace, &command, who, now),
        Command::Create { path, file_text } => create(tx, namespace, &clean(&path)?, file_text, who, now),
        Command::StrReplace { path, old_str, new_str } => {
            let path = clean(&path)?;
            let memory = file(tx, namespace, &path, who, now)?;
            let text = replaced(&path, &memory.text, &old_str, &new_str)?;
            edit(tx, &memory, text, who, now)?;
            Ok(format!("The file {path} has been edited."))
        }
        Command::Insert { path, insert_line, insert_text } => {
            let path = clean(&path)?;
            let memory = file(tx, namespace, &path, who, now)?;
            let text = inserted(&memory.text, insert_line, &insert_text)?;
            edit(tx, &memory, text, who, now)?;
            Ok(format!("The file {path} has been edited."))
        }
        Command::Delete { path } => delete(tx, namespace, &clean(&path)?, who, now),
        Command::Rename { old_path, new_path } => {
            rename(tx, namespace, &clean(&old_path)?, &clean(&new_path)?, who, now)
        }
    }
}

/// Whether a file or folder stands there.
fn stands(tx: &Reader, namespace: &str, path: &str, who: &Who, now: Timestamp) -> Result<bool> {
    let inside = format!("{path}/");
    Ok(all(tx, namespace, who, now)?.keys().any(|file| file == path || file.starts_with(&inside)))
}

fn own_path(path: &str) -> Result<()> {
    let of_kind = |kind: &&Kind| {
        path.strip_prefix(&format!("{ROOT}/{}", kind.word()))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match Kind::ALL.iter().find(of_kind) {
        _ if path == ROOT => Err(refused(format!("{ROOT} is the directory itself"))),
        Some(kind) => Err(refused(format!("{ROOT}/{} is where memories without a path stand", kind.word()))
            .hint("choose another folder")),
        None => Ok(()),
    }
}

fn create(
    tx: &mut Writer,
    namespace: &str,
    path: &str,
    text: String,
    who: &Who,
    now: Timestamp,
) -> Result<String> {
    own_path(path)?;
    if stands(tx, namespace, path, who, now)? {
        return Err(taken(path));
    }
    // A file may be empty; a memory may not.
    let text = if text.trim().is_empty() { "(empty)".into() } else { text };
    let new = New {
        namespace: namespace.into(),
        key: Some(path.into()),
        text,
        tool: Some("memory".into()),
        ..New::default()
    };
    change::store(tx, vec![new], who, now)?;
    Ok(format!("File created successfully at: {path}"))
}

fn edit(tx: &mut Writer, memory: &Memory, text: String, who: &Who, now: Timestamp) -> Result<()> {
    let text = if text.trim().is_empty() { "(empty)".into() } else { text };
    let update = Update { text: Some(text), ..Update::default() };
    change::update(tx, &memory.id(), &Filter::default(), update, who, now).map(drop)
}

fn replaced(path: &str, text: &str, old: &str, new: &str) -> Result<String> {
    if old.is_empty() {
        return Err(refused("`old_str` is empty").hint("`insert` adds lines"));
    }
    let lines: Vec<String> =
        text.match_indices(old).map(|(at, _)| (text[..at].matches('\n').count() + 1).to_string()).collect();
    match lines.len() {
        1 => Ok(text.replacen(old, new, 1)),
        0 => Err(refused(format!(
            "no replacement was made: `old_str` does not stand in {path} as it is written"
        ))),
        _ => Err(refused(format!("no replacement was made: `old_str` stands in lines {}", lines.join(", ")))
            .hint("make it longer, so that it is unique")),
    }
}

fn inserted(text: &str, line: i64, more: &str) -> Result<String> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    let most = lines.len();
    let Some(at) = usize::try_from(line).ok().filter(|at| *at <= most) else {
        return Err(refused(format!("the line {line} is not within 0 to {most}")));
    };
    lines.insert(at, more.strip_suffix('\n').unwrap_or(more));
    Ok(lines.join("\n"))
}

fn delete(tx: &mut Writer, namespace: &str, path: &str, who: &Who, now: Timestamp) -> Result<String> {
    if path == ROOT {
        return Err(refused(format!("{ROOT} itself cannot be deleted")));
    }
    let inside = format!("{path}/");
    let files = all(tx, namespace, who, now)?;
    let gone: Vec<Memory> = files
        .into_iter()
        .filter(|(file, _)| file == path || file.starts_with(&inside))
        .map(|(_, it)| it)
        .collect();
    if gone.is_empty() {
        return Err(absent(path));
    }
    change::forget(tx, gone, who)?;
    Ok(format!("Successfully deleted {path}"))
}

fn rename(
    tx: &mut Writer,
    namespace: &str,
    from: &str,
    to: &str,
    who: &Who,
    now: Timestamp,
) -> Result<String> {
    own_path(to)?;
    if from == ROOT || to.starts_with(&format!("{from}/")) {
        return Err(refused(format!("`{from}` cannot become `{to}`")));
    }
    if stands(tx, namespace, to, who, now)? {
        return Err(taken(to));
    }
    let inside = format!("{from}/");
    let files = all(tx, namespace, who, now)?;
    let moved: Vec<(String, Memory)> =
        files.into_iter().filter(|(file, _)| file == from || file.starts_with(&inside)).collect();
    if moved.is_empty() {
        return Err(absent(from));
    }
    let mut journal = Journal::new("rename", who, now);
    for (file, memory) in moved {
        change::writable(tx, &memory.id(), &Filter::default(), who, now)?;
        let key = format!("{to}{}", &file[from.len()..]);
        model::check_word("path", &key)?;
        journal.before(memory.number, Some(&memory));
        change::write(tx, &Memory { key: Some(key), updated: now, ..memory })?;
    }
    journal.save(tx)?;
    Ok(format!("Successfully renamed {from} to {to}"))
}
