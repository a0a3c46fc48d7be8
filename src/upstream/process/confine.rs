//! How one process is shut in: its sandbox with the places of this installation, put on a command before it starts.
//! What a profile means stands in `sandbox`; which server has which in its entry.

use super::{Spec, environment};
use crate::error::{Error, Result};
use crate::paths::{Paths, create_private_dir};
use crate::sandbox::{self, Base, Chosen, Limits, Plan, Prepared, Sandbox, Subject};
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Inherited variables that name places in the user's home.
const FOREIGN: [&str; 5] =
    ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"];

/// A sandbox, and the places it is about.
#[derive(Debug, Clone)]
pub struct Confinement {
    pub chosen: Chosen,
    /// A folder of its own: where a strict server works, and what its disk limit counts.
    pub work: PathBuf,
    home: PathBuf,
    own: Arc<[PathBuf]>,
}

/// umcp's own places in the folder `data`, as they were at a moment.
struct Own {
    seen: Instant,
    data: PathBuf,
    places: Arc<[PathBuf]>,
}

/// umcp's own places, which servers that start together ask for once.
fn own(paths: &Paths) -> Arc<[PathBuf]> {
    static LATEST: Mutex<Option<Own>> = Mutex::new(None);
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    let fresh = |own: &&Own| own.seen.elapsed() < sandbox::MOMENT && own.data == paths.data;
    if let Some(own) = latest.as_ref().filter(fresh) {
        return own.places.clone();
    }
    let key = std::env::var_os("UMCP_KEY_FILE").map(PathBuf::from);
    let places: Arc<[PathBuf]> = paths.private().into_iter().chain(key).collect();
    *latest = Some(Own { seen: Instant::now(), data: paths.data.clone(), places: places.clone() });
    places
}

/// What is watched while it runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Bounds {
    pub limits: Limits,
    pub work: Option<PathBuf>,
}

impl Confinement {
    /// `id` names the server, and its folder.
    pub fn new(sandbox: &Sandbox, settings: &Settings, paths: &Paths, id: &str) -> Self {
        Self {
            chosen: sandbox.over(&settings.sandbox.defaults(), memory()),
            work: paths.work(id),
            home: paths.home.clone(),
            own: own(paths),
        }
    }

    /// The folder it starts in unless its entry names one.
    pub fn folder(&self) -> &Path {
        if self.chosen.base == Base::Strict { &self.work } else { &self.home }
    }

    pub(super) fn bounds(&self) -> Bounds {
        let work = self.chosen.limits.disk.map(|_| self.work.clone());
        Bounds { limits: self.chosen.limits, work }
    }

    /// What a start of `program` comes to.
    pub fn plan(&self, program: &Path, args: &[String], env: &BTreeMap<String, String>, cwd: &Path) -> Plan {
        let path = env.get("PATH").cloned().or_else(|| std::env::var("PATH").ok()).unwrap_or_default();
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let work = match self.chosen.base {
            Base::Strict => vec![cwd.to_path_buf(), self.work.clone()],
            _ => vec![cwd.to_path_buf()],
        };
        let subject = Subject {
            program,
            args,
            env,
            path: &path,
            work: &work,
            home: &self.home,
            runtime: runtime.as_deref(),
            own: &self.own,
        };
        sandbox::plan(&self.chosen, subject)
    }

    /// Makes the sandbox of a command that is about to start ready, and its folders and variables.
    pub(super) fn prepare(&self, spec: &Spec, program: &Path, command: &mut Command) -> Result<Prepared> {
        if self.chosen.base == Base::Strict {
            let temporary = self.work.join("tmp");
            create_private_dir(&temporary)?;
            // Programs take a missing file of settings for none, and a forbidden one for a fault. So its home is the
            // one folder it has, and nothing leads to the user's.
            for (name, value) in [("HOME", Some(&self.work)), ("TMPDIR", Some(&temporary))]
                .into_iter()
                .chain(FOREIGN.map(|name| (name, None)))
                .filter(|(name, _)| !spec.env.contains_key(*name))
            {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
        }
        let cwd = spec.cwd.as_deref().unwrap_or(&self.home);
        let plan = self.plan(program, &spec.args, &spec.env, cwd);
        let named = |error: Error| Error { message: format!("`{}`: {}", spec.label, error.message), ..error };
        sandbox::prepare(&plan).map_err(named)
    }
}

impl Spec {
    /// The program as it would be started here.
    pub fn resolved(&self) -> Result<PathBuf> {
        let env: BTreeMap<OsString, OsString> = environment::child_env(std::env::vars_os(), &self.env, "");
        environment::resolve(self, &env)
    }
}

/// Bytes of memory this machine has; 0 when it does not tell.
#[cfg(unix)]
fn memory() -> u64 {
    // SAFETY: asks for two constants of the system.
    let (pages, size) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    u64::try_from(pages).unwrap_or(0) * u64::try_from(size).unwrap_or(0)
}

#[cfg(not(unix))]
fn memory() -> u64 {
    0
}
