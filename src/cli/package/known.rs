//! What the store knows of packages, each with the entry that runs it; and the lock file that follows it.

use crate::archive;
use crate::cli::context::{self, Context};
use crate::cli::known::all_servers;
use crate::cli::{interrupt, machine};
use crate::engine::live::{Live, LiveReply};
use crate::engine::{self, Deploy, Reply};
use crate::error::{Error, Result, codes};
use crate::packages::lock::{self, Lock, Locked};
use crate::packages::{self, Installed, Package, Reference};
use crate::paths::{io_error, write_atomic};
use crate::policy::address::leads_here;
use crate::servers::{self, Server};
use crate::settings;
use crate::setup::packages::{Installer, Runner, entry};
use crate::tools::{Catalogue, Tool, lint as rules, pins};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LOCK: &str = "umcp.lock";

/// A package that is installed, and the entry that runs it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub server: Server,
    pub package: Package,
}

impl Entry {
    pub fn reference(&self) -> Result<Reference> {
        self.package.reference.parse()
    }

    pub fn current(&self) -> Result<&Installed> {
        self.package.current().ok_or_else(|| {
            let message = format!("the package `{}` has no version", self.server.name);
            Error::new(&codes::STORE_DAMAGED, message)
        })
    }
}

/// All packages, by the names of their servers.
pub fn all(ctx: &Context) -> Result<Vec<Entry>> {
    let mut packages = match ctx.call(packages::Request::List)? {
        Reply::Packages(packages::Reply::Packages(packages)) => packages,
        other => return engine::unexpected(&other),
    };
    let entry = |server: Server| packages.remove(&server.id).map(|package| Entry { server, package });
    Ok(all_servers(ctx)?.into_iter().filter_map(entry).collect())
}

/// Those of these names, or all without any.
pub fn some(ctx: &Context, names: &[String]) -> Result<Vec<Entry>> {
    let all = all(ctx)?;
    if names.is_empty() {
        return Ok(all);
    }
    let known = || all.iter().map(|entry| entry.server.name.as_str());
    let find = |name: &String| match all.iter().find(|entry| entry.server.name == *name) {
        Some(entry) => Ok(entry.clone()),
        None => Err(packages::not_found(name, known())),
    };
    names.iter().map(find).collect()
}

/// Does something with package managers while the user sees what it is.
pub fn work<T>(ctx: &Context, label: &str, task: impl FnOnce(&Installer<'_>) -> Result<T>) -> Result<T> {
    let variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let settings = settings::load(&ctx.paths, variables.iter().cloned())?.settings;
    let bar = ctx.ui.progress(label);
    let told = |line: &str| bar.message(line);
    interrupt::watch();
    let runner = Runner {
        paths: &ctx.paths,
        env: &machine::variable,
        variables,
        base: settings.sandbox.defaults().base,
        interrupted: &interrupt::happened,
        told: &told,
        download: &|url, to| download(ctx, url, to),
    };
    let done = task(&Installer::new(runner)?)?;
    match interrupt::happened() {
        true => Err(Error::new(&codes::INTERRUPTED, "interrupted")),
        false => Ok(done),
    }
}

fn download(ctx: &Context, url: &str, to: &Path) -> Result<()> {
    let allow_loopback = leads_here(url);
    let (url, to) = (url.to_string(), to.to_path_buf());
    match ctx.live(Live::Download { url, to, limit: archive::MAX_ARCHIVE, allow_loopback })? {
        LiveReply::Done => Ok(()),
        other => context::unexpected(&other),
    }
}

/// Starts a server as it would be, asks what it offers, and ends it.
pub fn ask(ctx: &Context, server: &Server) -> Result<Catalogue> {
    let bar = ctx.ui.progress(&format!("asking {} for its tools", server.name));
    let reply = ctx.live(Live::Offer { server: Box::new(server.clone()) })?;
    drop(bar);
    match reply {
        LiveReply::Offered(catalogue) => Ok(*catalogue),
        other => context::unexpected(&other),
    }
}

/// Tool -> its definition.
pub fn definitions(catalogue: &Catalogue) -> BTreeMap<String, String> {
    catalogue.tools.iter().map(|tool| (tool.name.clone(), tool.json.clone())).collect()
}

/// What is badly wrong with definitions, one line each.
pub fn findings(tools: &BTreeMap<String, String>) -> Vec<String> {
    let found = |(name, json): (&String, &String)| {
        let tool = Tool { name: name.clone(), json: json.clone() };
        let bad = rules::lint(&tool).into_iter().filter(|it| it.severity == rules::Severity::Error);
        bad.map(|it| format!("{name}: {}", it.message)).collect::<Vec<_>>()
    };
    tools.iter().flat_map(found).collect()
}

/// Takes a version into use and writes the lock file.
pub fn deploy(ctx: &Context, server: Server, replace: bool, package: Package) -> Result<Server> {
    let deploy = Deploy { server, replace, package, at: ctx.clock.now() };
    let server = match ctx.call(deploy)? {
        Reply::Server(servers::Reply::Servers(mut servers)) if servers.len() == 1 => servers.remove(0),
        other => return engine::unexpected(&other),
    };
    write_lock(ctx)?;
    Ok(server)
}

pub fn lock_file(ctx: &Context) -> PathBuf {
    ctx.paths.config.join(LOCK)
}

/// How a package stands now, as a lock file says it.
pub fn locked(ctx: &Context, entry: &Entry) -> Result<Locked> {
    let current = entry.current()?;
    // An entry that was edited has no arguments that could be told apart.
    let args = entry::user_args(&ctx.paths, &entry.server, current).unwrap_or_default();
    let digests = |tools: &BTreeMap<String, String>| {
        tools.iter().map(|(name, json)| (name.clone(), pins::digest(json))).collect()
    };
    Ok(Locked::of(&entry.package, current, args, current.tools.as_ref().map(digests)))
}

/// Everything that is installed, as a lock file says it.
pub fn lock(ctx: &Context) -> Result<Lock> {
    let locked = |entry: &Entry| Ok((entry.server.name.clone(), self::locked(ctx, entry)?));
    let packages = all(ctx)?.iter().map(locked).collect::<Result<_>>()?;
    Ok(Lock { lockfile: lock::FORMAT, packages })
}

/// Writes `umcp.lock` anew, if it is not what it has to be.
pub fn write_lock(ctx: &Context) -> Result<()> {
    let (path, text) = (lock_file(ctx), lock::write(&lock(ctx)?)?);
    match std::fs::read(&path).is_ok_and(|now| now == text.as_bytes()) {
        true => Ok(()),
        false => write_atomic(&path, text.as_bytes()),
    }
}

/// Reads a lock file; one that is not there is an error.
pub fn read_lock(path: &Path) -> Result<Lock> {
    let size = std::fs::metadata(path).map_err(|error| io_error("read", path, &error))?.len();
    if size > lock::MAX_BYTES as u64 {
        let message = format!("`{}` is too large for a lock file", path.display());
        return Err(Error::new(&codes::LOCK_INVALID, message));
    }
    let text = std::fs::read_to_string(path).map_err(|error| io_error("read", path, &error))?;
    lock::read(path, &text)
}

/// The lock file of the project one is in: the nearest one above; for a new one, the top of its repository, else the
/// folder one is in.
pub fn project_lock(ctx: &Context, is_new: bool) -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(|error| io_error("find", Path::new("."), &error))?;
    let own = ctx.paths.config.join(LOCK);
    let found = here.ancestors().map(|folder| folder.join(LOCK)).find(|path| path.is_file() && *path != own);
    let top = || here.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&here);
    match found {
        Some(path) => Ok(path),
        None if is_new => Ok(top().join(LOCK)),
        None => {
            let message = format!("no project with an `{LOCK}` is at `{}` or above", here.display());
            let error = Error::new(&codes::PACKAGE_NOT_FOUND, message);
            Err(error.hint("umcp install REFERENCE --project"))
        }
    }
}

/// What a project's lock file names, and which of it is installed.
pub fn of_project(ctx: &Context, path: &Path) -> Result<Vec<String>> {
    let lock = read_lock(path)?;
    let known = all(ctx)?;
    Ok(lock.packages.into_keys().filter(|name| known.iter().any(|it| it.server.name == *name)).collect())
}

/// Writes into a project's lock file how these stand now; what is installed no more goes from it.
pub fn keep_in_project(ctx: &Context, path: &Path, names: &[String]) -> Result<()> {
    let mut lock = match path.exists() {
        true => read_lock(path)?,
        false => Lock { lockfile: lock::FORMAT, packages: BTreeMap::new() },
    };
    let known = all(ctx)?;
    for name in names {
        match known.iter().find(|entry| entry.server.name == *name) {
            Some(entry) => lock.packages.insert(name.clone(), locked(ctx, entry)?),
            None => lock.packages.remove(name),
        };
    }
    write_atomic(path, lock::write(&lock)?.as_bytes())
}

/// Removes versions from disk that no package has any more.
pub fn clear(ctx: &Context, gone: &[Installed]) -> Result<()> {
    let used: Vec<String> = all(ctx)?
        .into_iter()
        .flat_map(|entry| entry.package.installs)
        .map(|installed| installed.folder)
        .collect();
    let mut unused = gone.iter().filter(|installed| !used.contains(&installed.folder));
    unused.try_for_each(|installed| crate::setup::packages::remove(&ctx.paths, installed))
}
