//! Reads a source that is one document or one folder. Registries, which are many pages, are read in `refresh`.
//! Rule: https, or plain http to this very machine; and the daemon fetches, which knows what addresses are private.

use super::git;
use crate::catalogue::list::{self, Read};
use crate::catalogue::{Origin, Source};
use crate::cli::context::{self, Context};
use crate::documents::large::read_large;
use crate::engine::live::{Live, LiveReply};
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use crate::policy::address::leads_here;
use std::path::{Path, PathBuf};

/// Files of a folder that are looked at, and how deep.
const MOST_FILES: usize = 20_000;
const DEEPEST: usize = 8;

pub fn read(ctx: &Context, source: &Source) -> Result<Read> {
    let now = ctx.clock.now();
    match &source.origin {
        Origin::File { path } if Path::new(path).is_dir() => {
            let root = PathBuf::from(path);
            let files = files_below(&root)?;
            let text = |file: &str| read_large(&root.join(file)).map(Some);
            list::read_folder(path, &files, &text, now, true)
        }
        Origin::File { path } => list::read(path, &read_large(Path::new(path))?, now, true),
        Origin::Url { url } => {
            let text = fetch(ctx, source, url).map_err(|error| unread(&source.name, error))?;
            list::read(url, &text, now, false)
        }
        Origin::Git { url, branch } => {
            let bar = ctx.ui.progress(&format!("cloning {url}"));
            let clone = git::Clone::make(url, branch.as_deref())?;
            drop(bar);
            list::read_folder(url, clone.files(), &|file| clone.text(file), now, false)
        }
        Origin::Bundled | Origin::Registry { .. } => {
            Err(Error::bug("a source without a document was read as one"))
        }
    }
}

/// The text at an address, through the daemon.
pub fn fetch(ctx: &Context, source: &Source, url: &str) -> Result<String> {
    let allow_private = source.private || leads_here(url);
    match ctx.live(Live::Fetch { url: url.into(), allow_private })? {
        LiveReply::Fetched(text) => Ok(text),
        other => context::unexpected(&other),
    }
}

/// The error of a source that could not be fetched.
pub fn unread(name: &str, error: Error) -> Error {
    let why = match error.source {
        Some(cause) => format!("{}: {cause}", error.message),
        None => error.message,
    };
    Error::new(&codes::SOURCE_FAILED, format!("the source `{name}` could not be read")).because(why)
}

/// An address of a source, checked.
pub fn web_address(text: &str) -> Result<String> {
    let refuse = |why: &str| {
        Err(Error::new(&codes::VALUE_INVALID, format!("`{text}` cannot be a source: {why}"))
            .hint("write it whole, with https://"))
    };
    let Ok(url) = url::Url::parse(text) else { return refuse("it is no address") };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it carries a name or password");
    }
    match url.scheme() {
        "https" => Ok(text.into()),
        "http" if leads_here(text) => Ok(text.into()),
        "http" => refuse("plain http reaches only this machine"),
        _ => refuse("it is neither https nor http"),
    }
}

/// Paths of all files below a folder, with `/` between; links are not followed.
fn files_below(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![(root.to_path_buf(), String::new(), 0)];
    while let Some((folder, before, depth)) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| io_error("read", &folder, &error))?;
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = format!("{before}{name}");
            if kind.is_dir() && depth < DEEPEST && name != ".git" && name != "node_modules" {
                folders.push((entry.path(), format!("{path}/"), depth + 1));
            } else if kind.is_file() {
                files.push(path);
            }
        }
        if files.len() > MOST_FILES {
            let message = format!("`{}` holds more than {MOST_FILES} files", root.display());
            return Err(
                Error::new(&codes::SOURCE_INVALID, message).hint("name the file of the catalogue itself")
            );
        }
    }
    files.sort();
    Ok(files)
}
