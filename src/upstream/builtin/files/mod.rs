//! The built-in `files` server: listing, reading, writing and searching below the directories the entry allows.
//! What lies where is decided by directory handles (`unix`), never by comparing strings: a path is split into
//! the root it names and the names below it, and the operating system walks those from the root's own handle.

mod search;
#[cfg(not(unix))]
#[path = "other.rs"]
mod system;
#[cfg(unix)]
#[path = "unix.rs"]
mod system;
mod tools;

use super::reply::{self, Output};
use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use system::Dir;

/// A longer file is read in parts, by lines.
const MAX_READ: usize = 1 << 20;
const MAX_WRITE: usize = 8 << 20;
const MAX_ENTRIES: usize = 5_000;

/// What a name in a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    File,
    Directory,
    Link,
    Other,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Link => "link",
            Self::Other => "other",
        }
    }
}

/// What is known of a name in a directory, links not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    pub kind: Kind,
    pub size: u64,
    /// Seconds since 1970, where the system tells.
    pub modified: Option<i64>,
}

/// The server: the directories it may touch.
pub struct Files {
    roots: Vec<PathBuf>,
}

/// A path after it was found to be below a root: the root's handle and the names below it.
struct Place {
    root: Dir,
    below: PathBuf,
    /// For messages and results.
    shown: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnePath {
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaybePath {
    path: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadFile {
    path: String,
    first_line: Option<usize>,
    last_line: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteFile {
    path: String,
    content: String,
    #[serde(default)]
    create_directories: bool,
}

impl Files {
    pub fn new(roots: Vec<PathBuf>) -> Self {
        Self { roots }
    }

    pub fn instructions(&self) -> String {
        match self.roots.as_slice() {
            [] => "No directory is allowed yet; every call is refused.".into(),
            [only] => format!("Files below {}. Paths may be absolute or relative to it.", only.display()),
            several => {
                let list: Vec<_> = several.iter().map(|root| root.display().to_string()).collect();
                format!("Files below these directories, by absolute path: {}.", list.join(", "))
            }
        }
    }

    /// Files are slow where disks are, so the work leaves the runtime's threads alone.
    pub async fn call(self: Arc<Self>, tool: String, arguments: Value) -> Result<Output> {
        let work = move || self.act(&tool, arguments);
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::bug("a file operation broke").because(error))?
    }

    fn act(&self, tool: &str, arguments: Value) -> Result<Output> {
        if self.roots.is_empty() {
            return Err(reply::refused("no directory is allowed for this server")
                .hint("umcp server add builtin:files --root DIR --replace"));
        }
        match tool {
            "list_directory" => self.list(&reply::arguments::<MaybePath>(arguments)?),
            "read_file" => self.read(&reply::arguments(arguments)?),
            "write_file" => self.write(&reply::arguments(arguments)?),
            "file_info" => self.info(&reply::arguments(arguments)?),
            _ => self.search(&reply::arguments(arguments)?),
        }
    }

    fn list(&self, asked: &MaybePath) -> Result<Output> {
        let Some(path) = &asked.path else {
            if let [only] = self.roots.as_slice() {
                return list_of(&self.place(&only.to_string_lossy())?);
            }
            let roots: Vec<String> =
                self.roots.iter().map(|root| root.to_string_lossy().into_owned()).collect();
            let entries: Vec<Value> =
                roots.iter().map(|root| json!({"name": root, "kind": "directory", "size": 0})).collect();
            let data = json!({"path": "", "entries": entries, "truncated": false});
            return Ok(Output::data(roots.join("\n"), data));
        };
        list_of(&self.place(path)?)
    }

    fn read(&self, asked: &ReadFile) -> Result<Output> {
        let place = self.place(&asked.path)?;
        let whole = asked.first_line.is_none() && asked.last_line.is_none();
        let (first, last) = (asked.first_line.unwrap_or(1), asked.last_line.unwrap_or(usize::MAX));
        if first == 0 || last < first {
            return Err(reply::invalid("`first_line` counts from 1 and is not above `last_line`"));
        }
        let file = place.root.file(&place.below).map_err(|error| place.explain("read", &error))?;
        let size = file.metadata().map_err(|error| place.explain("read", &error))?.len();
        if whole && size > MAX_READ as u64 {
            let message = format!("`{}` has {size} bytes; at most {MAX_READ} are read at once", place.shown);
            return Err(reply::refused(message).hint("give `first_line` and `last_line`"));
        }
        let bytes = match whole {
            true => {
                let mut bytes = Vec::new();
                file.take(MAX_READ as u64)
                    .read_to_end(&mut bytes)
                    .map_err(|error| place.explain("read", &error))?;
                bytes
            }
            false => {
                lines(io::BufReader::new(file), first, last).map_err(|error| place.explain("read", &error))?
            }
        };
        String::from_utf8(bytes).map(Output::text).map_err(|_| {
            reply::refused(format!("`{}` is not text in UTF-8", place.shown))
                .hint("`file_info` shows what it is")
        })
    }

    fn write(&self, asked: &WriteFile) -> Result<Output> {
        if asked.content.len() > MAX_WRITE {
            return Err(reply::refused(format!("a file of at most {MAX_WRITE} bytes can be written")));
        }
        let place = self.place(&asked.path)?;
        let (parent, name) = place.split()?;
        let failed = |error: io::Error| place.explain("write", &error);
        if asked.create_directories {
            make_all(&place.root, parent).map_err(failed)?;
        }
        let parent = place.root.dir(parent).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                failed(error).hint("set `create_directories` to make the directories above it")
            }
            _ => failed(error),
        })?;
        match parent.info(name).map(|info| info.kind) {
            Ok(Kind::File) | Err(_) => {}
            Ok(kind) => {
                let message = format!("`{}` is there already and no file but a {}", place.shown, kind.word());
                return Err(reply::refused(message).hint("name the file itself"));
            }
        }
        let created = parent.replace(name, asked.content.as_bytes()).map_err(failed)?;
        let bytes = asked.content.len();
        let text =
            format!("{} `{}` ({bytes} bytes)", if created { "created" } else { "replaced" }, place.shown);
        Ok(Output::data(text, json!({"path": place.shown, "bytes": bytes, "created": created})))
    }

    fn info(&self, asked: &OnePath) -> Result<Output> {
        let place = self.place(&asked.path)?;
        let looked = match place.split() {
            Ok((parent, name)) => place.root.dir(parent).and_then(|parent| {
                let info = parent.info(name)?;
                let target = (info.kind == Kind::Link).then(|| parent.link(name)).transpose()?;
                Ok((info, target))
            }),
            Err(_) => place.root.own_info().map(|info| (info, None)),
        };
        let (info, target) = looked.map_err(|error| place.explain("look at", &error))?;
        let modified = info.modified.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        let modified = modified.map(|time| time.to_string());
        let mut text = format!("{} `{}`, {} bytes", info.kind.word(), place.shown, info.size);
        let mut data = json!({"path": place.shown, "kind": info.kind.word(), "size": info.size});
        if let Some(modified) = modified {
            text.push_str(&format!(", changed {modified}"));
            data["modified"] = modified.into();
        }
        if let Some(target) = target {
            text.push_str(&format!(", to `{}`", target.display()));
            data["target"] = target.to_string_lossy().into();
        }
        Ok(Output::data(text, data))
    }

    fn search(&self, asked: &search::Asked) -> Result<Output> {
        let places = match &asked.path {
            Some(path) => vec![self.place(path)?],
            None => {
                let all = self.roots.iter().map(|root| self.place(&root.to_string_lossy()));
                all.collect::<Result<Vec<_>>>()?
            }
        };
        search::run(asked, &places)
    }

    /// Finds the root a path names. The names below it are not looked at yet; the system does that, from the
    /// root's handle.
    fn place(&self, path: &str) -> Result<Place> {
        let asked = Path::new(path);
        let roots: Vec<&str> = self.roots.iter().filter_map(|root| root.to_str()).collect();
        let outside = || {
            reply::refused(format!("`{path}` is not below an allowed directory"))
                .hint(format!("allowed: {}", roots.join(", ")))
        };
        if path.contains('\0') || asked.components().any(|part| part == Component::ParentDir) {
            return Err(outside().hint("`..` is not used in paths here"));
        }
        let relative = !asked.is_absolute();
        if relative
            && (self.roots.len() > 1 || asked.components().any(|part| matches!(part, Component::Prefix(_))))
        {
            return Err(outside().hint("give an absolute path"));
        }
        // The longest root wins, so that a root inside another is opened by its own handle.
        let below = |root: &PathBuf| match relative {
            true => Some((root.clone(), asked.to_path_buf())),
            false => below_root(root, asked).map(|below| (root.clone(), below)),
        };
        let found = self.roots.iter().filter_map(below).min_by_key(|(_, below)| below.components().count());
        let (root, below) = found.ok_or_else(outside)?;
        let below: PathBuf = below.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        let shown = if below.as_os_str().is_empty() { root.clone() } else { root.join(&below) };
        let handle = Dir::root(&root).map_err(|error| {
            reply::refused(format!("the allowed directory `{}` cannot be opened", root.display()))
                .because(error)
        })?;
        Ok(Place { root: handle, below, shown: shown.to_string_lossy().into_owned() })
    }
}

/// The names of `path` below `root`, compared name by name; the root may also be written without its links.
fn below_root(root: &Path, path: &Path) -> Option<PathBuf> {
    if !root.is_absolute() {
        return None;
    }
    let as_given = path.strip_prefix(root).ok().map(Path::to_path_buf);
    as_given.or_else(|| path.strip_prefix(root.canonicalize().ok()?).ok().map(Path::to_path_buf))
}

impl Place {
    /// The directory and the name in it; the root itself has none.
    fn split(&self) -> Result<(&Path, &OsStr)> {
        match (self.below.parent(), self.below.file_name()) {
            (Some(parent), Some(name)) => Ok((parent, name)),
            _ => Err(reply::refused(format!("`{}` is the allowed directory itself", self.shown))
                .hint("name something below it")),
        }
    }

    /// An error of the system in words.
    fn explain(&self, verb: &str, error: &io::Error) -> Error {
        if system::is_escape(error) {
            return reply::refused(format!(
                "`{}` leads out of the allowed directory through a link",
                self.shown
            ))
            .hint("allow the directory the link points to as well, and use its own path");
        }
        let failed = reply::refused(format!("cannot {verb} `{}`", self.shown));
        match error.kind() {
            io::ErrorKind::NotFound => {
                failed.because("it does not exist").hint("`list_directory` shows what is there")
            }
            io::ErrorKind::NotADirectory => failed.because("a name on the way is no directory"),
            io::ErrorKind::IsADirectory => {
                failed.because("it is a directory").hint("`list_directory` shows what is in it")
            }
            _ => failed.because(error),
        }
    }
}

fn list_of(place: &Place) -> Result<Output> {
    let failed = |error: io::Error| place.explain("list", &error);
    let dir = place.root.dir(&place.below).map_err(failed)?;
    let mut names: Vec<OsString> = dir.entries().map_err(failed)?.into_iter().map(|(name, _)| name).collect();
    names.sort();
    let truncated = names.len() > MAX_ENTRIES;
    names.truncate(MAX_ENTRIES);
    let (mut lines, mut entries) = (Vec::new(), Vec::new());
    for name in names {
        // What has gone meanwhile is left out.
        let Ok(info) = dir.info(&name) else { continue };
        let name = name.to_string_lossy();
        lines.push(match info.kind {
            Kind::Directory => format!("{name}/"),
            Kind::Link => format!("{name} (link)"),
            Kind::File | Kind::Other => format!("{name} ({} bytes)", info.size),
        });
        entries.push(json!({"name": name, "kind": info.kind.word(), "size": info.size}));
    }
    if truncated {
        lines.push(format!("only the first {MAX_ENTRIES} names are shown"));
    }
    let text = if lines.is_empty() { "the directory is empty".to_string() } else { lines.join("\n") };
    Ok(Output::data(text, json!({"path": place.shown, "entries": entries, "truncated": truncated})))
}

/// Lines `first` to `last`, at most as many bytes as may be read at once.
fn lines(mut reader: impl io::BufRead, first: usize, last: usize) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut number = 1;
    while number <= last {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            break;
        }
        let (taken, ends) = match memchr::memchr(b'\n', available) {
            Some(at) => (at + 1, true),
            None => (available.len(), false),
        };
        if number >= first {
            if kept.len() + taken > MAX_READ {
                let message = format!("these lines have more than {MAX_READ} bytes; ask for fewer");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
            }
            kept.extend_from_slice(&available[..taken]);
        }
        reader.consume(taken);
        number += usize::from(ends);
    }
    Ok(kept)
}

/// Makes the directories of `path` that are missing, one handle after the other.
fn make_all(root: &Dir, path: &Path) -> io::Result<()> {
    let mut walked = PathBuf::new();
    for name in path {
        let parent = root.dir(&walked)?;
        match parent.make(name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => walked.push(name),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
