//! `umcp uninstall` and `umcp rollback`: a package that goes, and the version before that comes back.

use super::known::{self, Entry};
use crate::cli::context::Context;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::packages::Installed;
use crate::servers;
use crate::setup::packages::{entry, is_intact};
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;

/// Uninstall packages, with their servers and settings
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp uninstall everything")]
pub struct Uninstall {
    #[arg(value_name = "SERVER", required = true)]
    names: Vec<String>,
    /// Take them out of the `umcp.lock` of the project one is in, too
    #[arg(long)]
    project: bool,
}

impl Uninstall {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let entries = known::some(ctx, &self.names)?;
        let project = self.project.then(|| known::project_lock(ctx, false)).transpose()?;
        let question = format!("Uninstall {} with its settings?", self.names.join(", "));
        if !ctx.ui.confirm(&question, false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was uninstalled"));
        }
        match ctx.call(servers::Request::Remove { names: self.names.clone() })? {
            Reply::Server(servers::Reply::Servers(_)) => {}
            other => return engine::unexpected(&other),
        }
        known::write_lock(ctx)?;
        if let Some(path) = project {
            known::keep_in_project(ctx, &path, &self.names)?;
        }
        let gone: Vec<Installed> = entries.iter().flat_map(|entry| entry.package.installs.clone()).collect();
        known::clear(ctx, &gone)?;
        let changed = |entry: &Entry| Changed { name: entry.server.name.clone(), version: None, from: None };
        ctx.ui.show(&All { verb: "uninstalled", packages: entries.iter().map(changed).collect() })
    }
}

/// Take the version into use that was before
///
/// The versions before lie on disk side by side, so nothing is fetched. A second rollback leads back again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp rollback everything\n  umcp rollback everything --to 2026.7.4")]
pub struct Rollback {
    #[arg(value_name = "SERVER")]
    name: String,
    /// This one of the versions that are kept
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
}

impl Rollback {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Some(mut entry) = known::some(ctx, std::slice::from_ref(&self.name))?.pop() else {
            return Err(Error::bug("a name without a package"));
        };
        let current = entry.current()?.clone();
        let wanted = self.wanted(&entry, &current)?;
        if is_intact(&ctx.paths, &wanted)? != Some(true) {
            let message = format!("the files of {} {} are gone or changed", self.name, wanted.version);
            return Err(Error::new(&codes::PACKAGE_INVALID, message)
                .hint(format!("umcp update {} --to {}", self.name, wanted.version)));
        }
        let user = entry::user_args(&ctx.paths, &entry.server, &current)?;
        entry::point(&ctx.paths, &mut entry.server, Some(&current), &wanted, user);
        let version = Some(wanted.version.clone());
        let gone = entry.package.switch(wanted);
        known::deploy(ctx, entry.server, true, entry.package)?;
        known::clear(ctx, &gone)?;
        let changed = Changed { name: self.name, version, from: Some(current.version) };
        ctx.ui.show(&All { verb: "rolled back", packages: vec![changed] })
    }

    fn wanted(&self, entry: &Entry, current: &Installed) -> Result<Installed> {
        let kept = || entry.package.installs.iter().filter(|installed| installed.folder != current.folder);
        let found = match &self.to {
            Some(version) => kept().rfind(|installed| installed.version == *version),
            None => entry.package.previous(),
        };
        found.cloned().ok_or_else(|| {
            let message = match &self.to {
                Some(version) => format!("version `{version}` of {} is not kept", self.name),
                None => format!("{} has no version before {}", self.name, current.version),
            };
            let versions: Vec<&str> = kept().map(|installed| installed.version.as_str()).collect();
            let error = Error::new(&codes::PACKAGE_NOT_FOUND, message);
            match versions.as_slice() {
                [] => error.hint(format!("umcp update {} --to VERSION", self.name)),
                some => error.hint(format!("kept are {}", some.join(", "))),
            }
        })
    }
}

#[derive(Serialize)]
struct Changed {
    name: String,
    version: Option<String>,
    from: Option<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All {
    #[serde(skip)]
    verb: &'static str,
    packages: Vec<Changed>,
}

impl Output for All {
    const KIND: &'static str = "package.changed/1";

    fn human(&self, page: &mut Page) {
        for it in &self.packages {
            let way = match (&it.from, &it.version) {
                (Some(from), Some(to)) => format!(" from {from} to {to}"),
                _ => String::new(),
            };
            page.mark(State::Ok, format!("{} {}{way}", self.verb, it.name));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.packages.iter().map(|it| it.name.clone()).collect()
    }
}
