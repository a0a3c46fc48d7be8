//! The servers inside umcp: time, files, kv, fetch, http, database, memory, skills and workflows. They are spoken to through the same raw link as a
//! child process, so nothing above knows that no process is there. Each has its own file; the protocol is in `host`.
//!
//! A server lives in one task, which ends with its link.

mod database;
mod entities;
mod fetch;
mod files;
mod host;
mod html;
mod http;
mod kv;
mod memory;
mod reply;
mod skills;
mod time;
pub(in crate::upstream) mod web;
pub mod workflows;

use super::Shared;
use super::link::{Inbox, Link, read_lines, write_lines};
use super::supervisor::Upstream;
use crate::documents::near;
use crate::engine::Engine;
use crate::error::{Error, Result, codes};
use host::{Host, Kit};
pub use memory::CALLER;
pub(in crate::upstream) use skills::bytes as skill_file;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every built-in server and what it is for.
pub const NAMES: [(&str, &str); 9] = [
    ("time", "The time in any zone, and conversions that are right around daylight saving"),
    ("fetch", "Web pages as readable text"),
    ("files", "Files below the directories you allow"),
    ("kv", "A key-value store that lives as long as the server runs"),
    ("http", "HTTP requests of any method"),
    ("database", "A SQLite database in one file"),
    ("memory", "What agents remember, across sessions and agents"),
    ("skills", "The skills you have installed, for agents that have none of their own"),
    (workflows::NAME, "Your workflows, each a tool"),
];

/// Bytes on their way between the link and the server, each way.
const PIPE: usize = 64 << 10;

/// What a built-in server takes from its entry, with every reference resolved.
#[derive(Clone, Default)]
pub struct Options {
    /// Directories `files` may touch: absolute paths or `file://` addresses.
    pub roots: Vec<String>,
    /// `UMCP_ALLOW_PRIVATE` for `fetch` and `http`, `TZ` for `time`.
    pub env: BTreeMap<String, String>,
    /// Where a server may keep files of its own.
    pub folder: PathBuf,
    /// What `memory` remembers in.
    pub engine: Option<Engine>,
    /// For `skills`, which reads the store.
    pub shared: Option<Arc<Shared>>,
}

/// Starts the built-in server of an entry. Closing the link ends it.
pub async fn open(name: &str, upstream: &Arc<Upstream>, inbox: Arc<dyn Inbox>) -> Result<Arc<Link>> {
    if name == workflows::NAME {
        let workflows = workflows::Workflows::new(upstream.shared().clone());
        return Ok(start(Kit::Workflows(workflows), inbox));
    }
    let options = upstream.resolving(options).await?;
    open_with(name, options, inbox)
}

fn options(upstream: &Upstream) -> Result<Options> {
    let shared = upstream.shared();
    let root = |root: &String| {
        let root = shared.resolve(root, "a root")?;
        Ok(match root.strip_prefix("~/") {
            Some(below) => shared.paths.home.join(below).to_string_lossy().into_owned(),
            None => root,
        })
    };
    let variable = |(name, value): (&String, &String)| {
        Ok((name.clone(), shared.resolve_value(value, &format!("env {name}"))?))
    };
    Ok(Options {
        roots: upstream.entry.roots.iter().map(root).collect::<Result<_>>()?,
        env: upstream.entry.env.iter().map(variable).collect::<Result<_>>()?,
        folder: shared.paths.data.join("servers").join(upstream.id()),
        engine: Some(shared.engine.clone()),
        shared: Some(shared.clone()),
    })
}

/// Sends a request as the built-in `http` server does: status, headers and body of the answer.
pub(in crate::upstream) async fn http_request(
    allow_private: bool,
    arguments: serde_json::Value,
) -> Result<serde_json::Value> {
    let allowed = allow_private.then(|| ("UMCP_ALLOW_PRIVATE".to_string(), "1".to_string()));
    let options = Options { env: allowed.into_iter().collect(), ..Options::default() };
    let output = http::Http::new(&options)?.call(arguments).await?;
    Ok(output.data.unwrap_or_default())
}

/// The same without an entry.
pub fn open_with(name: &str, options: Options, inbox: Arc<dyn Inbox>) -> Result<Arc<Link>> {
    Ok(start(kit(name, options)?, inbox))
}

fn start(kit: Kit, inbox: Arc<dyn Inbox>) -> Arc<Link> {
    let (link, queue) = Link::new(inbox);
    tokio::spawn(run(Host::new(kit), link.clone(), queue));
    link
}

fn kit(name: &str, options: Options) -> Result<Kit> {
    Ok(match name {
        "time" => Kit::Time(time::Time::new(&options)?),
        "fetch" => Kit::Fetch(fetch::Fetch::new(&options)?),
        "files" => Kit::Files(Arc::new(files::Files::new(options.roots.iter().map(root_path).collect()))),
        "kv" => Kit::Kv(kv::Kv::default()),
        "http" => Kit::Http(http::Http::new(&options)?),
        "skills" => Kit::Skills(skills::Skills::new(&options)),
        "database" => Kit::Database(Arc::new(database::Database::new(&options))),
        "memory" => Kit::Memory(Arc::new(memory::Memory::new(&options))),
        _ => return Err(unknown(name)),
    })
}

fn unknown(name: &str) -> Error {
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    let error = Error::new(&codes::SERVER_INVALID, format!("there is no built-in server `{name}`"));
    match near(name, names.iter().copied()) {
        Some(nearest) => error.hint(format!("did you mean `builtin:{nearest}`?")),
        None => error.hint(format!("the built-in servers are {}", names.join(", "))),
    }
}

/// A root as a path: `file:///a%20b` and `/a b` are the same.
fn root_path(root: &String) -> std::path::PathBuf {
    let address = root.starts_with("file://").then(|| reqwest::Url::parse(root).ok()?.to_file_path().ok());
    address.flatten().unwrap_or_else(|| Path::new(root).to_path_buf())
}

/// Joins the link and the server until one of them ends.
async fn run(host: Host, link: Arc<Link>, queue: tokio::sync::mpsc::UnboundedReceiver<bytes::Bytes>) {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let (reader, writer) = tokio::io::split(ours);
    let server = async {
        if let Ok(running) = rmcp::serve_server(host, theirs).await {
            let _ = running.waiting().await;
        }
    };
    tokio::select! {
        () = server => {}
        () = read_lines(link.clone(), reader) => {}
        () = write_lines(link.clone(), queue, writer) => {}
        _ = link.closed() => {}
    }
    // Dropping the server's future cancels what it was doing.
    link.close(Error::new(&codes::UPSTREAM_DIED, "the built-in server ended"));
}

#[cfg(test)]
mod tests;
