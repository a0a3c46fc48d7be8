//! `umcp install`: a server out of a package, at an exact version, with its digests.

use super::{answers, known};
use crate::catalogue;
use crate::cli::context::Context;
use crate::cli::known::all_servers;
use crate::cli::server::pairs;
use crate::error::{Error, Result, codes};
use crate::packages::{Installed, Manager, Package, Reference, Resolved};
use crate::paths::io_error;
use crate::servers::model::Transport;
use crate::servers::{self, Server, spec};
use crate::setup::packages::{Wanted, entry};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Install a server from a package, at an exact version
///
/// REFERENCE says whose package it is: `npm:NAME`, `pypi:NAME`, `cargo:NAME`, `go:PACKAGE`, `gem:NAME`, `composer:VENDOR/NAME`,
/// `nuget:NAME`, with `@VERSION` (PyPI: `==VERSION`) for another than the
/// newest; `oci:IMAGE` for an image; `mcpb:FILE` or `mcpb:URL` for a bundle, `github:OWNER/REPO` or
/// `git:URL` for a repository. The package's manager installs it into a folder of its own, from versions and digests that `umcp.lock` keeps; its server
/// is started from there, without asking any registry. What follows `--` are arguments of the server.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp install npm:@modelcontextprotocol/server-everything\n  umcp install pypi:mcp-server-time==2026.10.19 --name clock\n  umcp install npm:@modelcontextprotocol/server-filesystem -- ~/notes\n  umcp install gem:mcp-notes --project"
)]
pub struct Install {
    #[arg(value_name = "REFERENCE")]
    reference: String,
    /// Call the server this instead of a name derived from the package
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Which of the package's programs is the server
    #[arg(long, value_name = "PROGRAM")]
    program: Option<String>,
    /// Let programs of packages run while they are being installed
    #[arg(long)]
    scripts: bool,
    /// Set a variable for the server; values may hold ${VAR} and secret://NAME
    #[arg(long, value_name = "K=V")]
    env: Vec<String>,
    /// Answer what a bundle wants to know; what it calls sensitive goes to the vault. Of an image: env, volume, network
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Put it in the place of a server of the same name
    #[arg(long)]
    replace: bool,
    /// Keep it in the `umcp.lock` of the project one is in, too, to be committed with it
    #[arg(long)]
    project: bool,
    /// Look up the version and show what would be installed
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[arg(value_name = "ARGUMENT", last = true)]
    arguments: Vec<String>,
}

impl Install {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let reference = self.reference.parse().map_err(|error| meant(ctx, &self.reference, error))?;
        let reference = absolute(reference)?;
        let label = format!("looking up {reference}");
        let (resolved, manifest) = known::work(ctx, &label, |installer| {
            Ok((installer.resolve(&reference, self.scripts)?, installer.manifest(&reference)?))
        })?;
        let own = manifest.as_ref().map_or(reference.name.as_str(), |manifest| &manifest.name);
        let name = self.name.clone().unwrap_or_else(|| spec::package_name(own));
        let old = old(ctx, &name, self.replace)?;
        let plan = Plan::new(&name, &reference, &resolved);
        if self.dry_run {
            return ctx.ui.show(&plan);
        }
        self.consent(ctx, &plan)?;
        let answers = match reference.manager {
            Manager::Oci => answers::of_image(&self.set, &pairs("--env", &self.env)?)?,
            _ => answers::ask(ctx, &name, manifest.as_ref(), &self.set)?,
        };
        let mut package = Package {
            reference: reference.to_string(),
            scripts: self.scripts,
            program: self.program.clone(),
            answers: answers.values.clone(),
            installs: Vec::new(),
        };
        let wanted = Wanted::new(&reference, resolved, &package);
        let label = format!("installing {name} {}", wanted.version);
        let (installed, is_new) =
            known::work(ctx, &label, |installer| installer.install(&wanted, ctx.clock.now()))?;
        package.installs.push(installed.clone());
        let done = answers.keep(ctx).and_then(|()| self.deploy(ctx, &name, package, old));
        if done.is_err() && is_new {
            let _ = known::clear(ctx, std::slice::from_ref(&installed));
        }
        let (installed, error) = done?;
        if self.project {
            let path = known::project_lock(ctx, true)?;
            known::keep_in_project(ctx, &path, std::slice::from_ref(&name))?;
            ctx.ui.note(&format!("pinned in {}", path.display()));
        }
        let done = Done::new(plan, &installed, error, self.scripts);
        for finding in &done.findings {
            ctx.ui.warn(finding);
        }
        ctx.ui.show(&done)
    }
}

/// What a word that is no reference could mean: an entry of the catalogue, or a server that is there already.
fn meant(ctx: &Context, word: &str, error: Error) -> Error {
    if word.contains(':') {
        return error;
    }
    let mut hints = Vec::new();
    if all_servers(ctx).is_ok_and(|servers| servers.iter().any(|server| server.name == word)) {
        hints.push(format!("a server named `{word}` is there already: umcp server show {word}"));
    }
    let named = catalogue::Request::Named { name: word.into(), source: None };
    if ctx.call(named).is_ok() {
        hints.push(format!("umcp catalog install {word}"));
    }
    Error { hints: hints.into_iter().chain(error.hints).collect(), ..error }
}

/// A file is looked for from everywhere later.
fn absolute(reference: Reference) -> Result<Reference> {
    if reference.manager != Manager::Mcpb || reference.name.contains("://") {
        return Ok(reference);
    }
    let path = Path::new(&reference.name);
    let full = std::path::absolute(path).map_err(|error| io_error("find", path, &error))?;
    Ok(Reference { name: full.to_string_lossy().into_owned(), ..reference })
}

impl Install {
    /// Asks before any program of the package runs.
    fn consent(&self, ctx: &Context, plan: &Plan) -> Result<()> {
        if let Some(published) = &plan.published {
            ctx.ui.note(&format!("it is published, and pinned better so: umcp install {published}"));
        }
        let question = if !plan.recipe.is_empty() {
            let (note, verb) = match plan.is_built {
                true => {
                    ("it is built here, by commands that may run code of it and of all it needs:", "Build")
                }
                false => ("it is installed by:", "Install"),
            };
            if !ctx.ui.is_json() {
                ctx.ui.note(note);
                plan.recipe.iter().for_each(|line| ctx.ui.note(&format!("  {line}")));
            }
            format!("{verb} {} {}?", plan.reference, plan.version)
        } else if self.scripts && !plan.scripted.is_empty() {
            format!("Let {} run programs of their own?", plan.scripted.join(", "))
        } else {
            return Ok(());
        };
        match ctx.ui.confirm(&question, false, "--yes")? {
            true => Ok(()),
            false => Err(Error::new(&codes::NOT_CONFIRMED, "nothing was installed")),
        }
    }

    /// Asks the server for its tools and takes it into use; gives what is known of it then, and why it could not be
    /// asked.
    fn deploy(
        &self,
        ctx: &Context,
        name: &str,
        mut package: Package,
        old: Option<Server>,
    ) -> Result<(Installed, Option<Error>)> {
        let Some(installed) = package.installs.last_mut() else {
            return Err(Error::bug("a package without a version"));
        };
        let mut server = server(ctx, name, old.as_ref());
        server.origin = Some(package.reference.clone());
        server.env.extend(pairs("--env", &self.env)?);
        entry::point(&ctx.paths, &mut server, None, installed, self.arguments.clone());
        let asked = known::ask(ctx, &server);
        installed.tools = asked.as_ref().ok().map(known::definitions);
        let done = (installed.clone(), asked.err());
        known::deploy(ctx, server, old.is_some(), package)?;
        Ok(done)
    }
}

/// The entry that is to be replaced, if there is one.
fn old(ctx: &Context, name: &str, replace: bool) -> Result<Option<Server>> {
    servers::model::check_name(name)?;
    match all_servers(ctx)?.into_iter().find(|server| server.name == name) {
        Some(_) if !replace => {
            let message = format!("a server named `{name}` exists already");
            Err(Error::new(&codes::SERVER_EXISTS, message)
                .hint(format!("umcp update {name}"))
                .hint("give another name with --name, or --replace"))
        }
        old => Ok(old),
    }
}

/// A new entry; in the place of another one it keeps that one's id and variables.
fn server(ctx: &Context, name: &str, old: Option<&Server>) -> Server {
    let transport = Transport::Stdio { command: String::new(), args: Vec::new() };
    let mut server = servers::fresh(name, transport, ctx.clock.now());
    if let Some(old) = old {
        server.id.clone_from(&old.id);
        server.env.clone_from(&old.env);
    }
    server
}

/// What would be installed.
#[derive(Serialize)]
struct Plan {
    name: String,
    reference: String,
    version: String,
    digest: String,
    /// Packages that come along.
    dependencies: usize,
    /// Packages that have programs to be run while they are being installed.
    scripted: Vec<String>,
    /// Commands that build it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recipe: Vec<String>,
    /// Whether these may run code of it.
    #[serde(skip)]
    is_built: bool,
    /// The same package at an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<String>,
}

impl Plan {
    fn new(name: &str, reference: &Reference, resolved: &Resolved) -> Self {
        Self {
            name: name.into(),
            reference: reference.to_string(),
            version: resolved.version.clone(),
            digest: resolved.digest.clone(),
            dependencies: resolved.dependencies,
            scripted: resolved.scripted.clone(),
            recipe: resolved.recipe.clone(),
            is_built: reference.manager.is_built(),
            published: resolved.published.clone(),
        }
    }
}

impl Output for Plan {
    const KIND: &'static str = "package.plan/1";

    fn human(&self, page: &mut Page) {
        page.text(format!("{} {} would be installed as {}", self.reference, self.version, self.name));
        page.pairs([
            ("digest", self.digest.clone()),
            ("comes with", text::plural(self.dependencies, "package")),
        ]);
        for line in &self.recipe {
            page.text(format!("{} by: {line}", if self.is_built { "built" } else { "installed" }));
        }
        if let Some(published) = &self.published {
            page.mark(State::Ok, format!("published, and pinned better, as {published}"));
        }
        if !self.scripted.is_empty() {
            page.mark(
                State::Warn,
                format!("install scripts, not run without --scripts: {}", self.scripted.join(", ")),
            );
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

/// What was installed.
#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    plan: Plan,
    folder: String,
    /// `None` when it could not be asked.
    tools: Option<usize>,
    /// Why it could not be asked.
    error: Option<String>,
    findings: Vec<String>,
    #[serde(skip)]
    scripts: bool,
}

impl Done {
    fn new(plan: Plan, installed: &Installed, error: Option<Error>, scripts: bool) -> Self {
        let tools = installed.tools.as_ref();
        Self {
            plan,
            folder: installed.folder.clone(),
            tools: tools.map(BTreeMap::len),
            error: error.map(|error| error.to_string()),
            findings: tools.map(known::findings).unwrap_or_default(),
            scripts,
        }
    }
}

impl Output for Done {
    const KIND: &'static str = "package.installed/1";

    fn human(&self, page: &mut Page) {
        let Plan { name, version, scripted, .. } = &self.plan;
        let tools = self.tools.map(|tools| format!(" with {}", text::plural(tools, "tool")));
        page.mark(State::Ok, format!("installed {name} {version}{}", tools.unwrap_or_default()));
        if let Some(error) = &self.error {
            page.mark(State::Warn, format!("it could not be asked for its tools: {error}"));
            page.text(format!(
                "give it what it needs: umcp server edit {name}, then umcp server test {name}"
            ));
        }
        if !self.scripts && !scripted.is_empty() {
            page.mark(State::Warn, format!("install scripts were not run: {}", scripted.join(", ")));
            page.text("should it lack something: umcp install with --scripts --replace");
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.plan.name.clone()]
    }
}
