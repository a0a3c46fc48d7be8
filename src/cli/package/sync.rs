//! `umcp sync`: what a lock file names is installed, exactly so; nothing is looked up, everything is checked by digest.

use super::known::{self, Entry};
use super::lock::{difference_lines, differs};
use crate::cli::context::Context;
use crate::error::{Error, Result, codes};
use crate::packages::lock::{Difference, Locked};
use crate::packages::{self, Installed, Package};
use crate::servers::{self, Server, model::Transport};
use crate::setup::packages::{Wanted, entry, is_intact, remove};
use crate::tools::pins;
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Install exactly what a lock file names
///
/// What is missing is installed from the versions and digests of the file; with `--frozen` that is all, and anything
/// that differs from the file is refused with the exit code 13. Without it, other versions are switched to those of
/// the file.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp sync --frozen\n  umcp sync ./umcp.lock\n  umcp sync --frozen --project"
)]
pub struct Sync {
    /// The lock file; umcp's own if left out
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The lock file of the project one is in; what it does not name is left alone
    #[arg(long, conflicts_with = "file")]
    project: bool,
    /// Refuse what differs instead of switching to the file's version
    #[arg(long)]
    frozen: bool,
}

/// What became of one package.
#[derive(Serialize)]
struct Outcome {
    name: String,
    version: String,
    /// `same`, `installed`, `repaired`, `switched` or `differs`.
    state: &'static str,
    differences: Vec<Difference>,
}

impl Sync {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let path = match (&self.file, self.project) {
            (Some(file), _) => file.clone(),
            (None, true) => known::project_lock(ctx, false)?,
            (None, false) => known::lock_file(ctx),
        };
        let lock = known::read_lock(&path)?;
        let entries = known::all(ctx)?;
        let mut outcomes = Vec::new();
        for (name, wanted) in &lock.packages {
            let entry = entries.iter().find(|entry| entry.server.name == *name);
            outcomes.push(self.one(ctx, name, wanted, entry)?);
        }
        let others = entries.iter().filter(|entry| !lock.packages.contains_key(&entry.server.name));
        for entry in others.filter(|_| !self.project) {
            let name = entry.server.name.clone();
            match self.frozen {
                true => outcomes.push(Outcome {
                    name,
                    version: entry.current()?.version.clone(),
                    state: "differs",
                    differences: vec![differs("package", "installed", "not in the lock file")],
                }),
                false => ctx.ui.warn(&format!("{name} is installed and not in {}", path.display())),
            }
        }
        if self.file.is_some()
            || self.project
            || outcomes.iter().any(|it| it.state != "same" && it.state != "differs")
        {
            known::write_lock(ctx)?;
        }
        let bad: Vec<&str> =
            outcomes.iter().filter(|it| it.state == "differs").map(|it| it.name.as_str()).collect();
        if bad.is_empty() {
            return ctx.ui.show(&Outcomes(outcomes));
        }
        let error = Error::new(&codes::PACKAGE_DIFFERS, format!("not as locked: {}", bad.join(", ")));
        let error = if self.frozen { error.hint("umcp sync") } else { error.hint("umcp lock verify") };
        ctx.ui.show_failed(&Outcomes(outcomes), &error)?;
        Err(error)
    }

    fn one(&self, ctx: &Context, name: &str, wanted: &Locked, entry: Option<&Entry>) -> Result<Outcome> {
        let outcome = |state: &'static str, differences: Vec<Difference>| {
            Ok(Outcome { name: name.into(), version: wanted.version.clone(), state, differences })
        };
        let Some(entry) = entry else { return self.bring(ctx, name, wanted, None) };
        let differences = known::locked(ctx, entry)?.differences(wanted);
        let current = entry.current()?;
        match (differences.is_empty(), is_intact(&ctx.paths, current)?) {
            (true, Some(true)) => outcome("same", Vec::new()),
            (true, _) => self.bring(ctx, name, wanted, Some(entry)),
            (false, _) if self.frozen => outcome("differs", differences),
            (false, _) => self.bring(ctx, name, wanted, Some(entry)),
        }
    }

    /// Installs what the lock file says and lets the entry run it.
    fn bring(&self, ctx: &Context, name: &str, wanted: &Locked, entry: Option<&Entry>) -> Result<Outcome> {
        let pins = wanted.pins(name)?;
        let reference = wanted.reference.parse()?;
        packages::check(&reference, &wanted.version, &wanted.digest, &pins)?;
        let before = entry.map(Entry::current).transpose()?;
        let same = before.filter(|before| before.version == wanted.version && before.pins == pins);
        if let Some(broken) = same {
            remove(&ctx.paths, broken)?;
        }
        let on_disk = Wanted {
            reference,
            version: wanted.version.clone(),
            digest: wanted.digest.clone(),
            pins,
            program: wanted.program.clone(),
            scripts: wanted.scripts,
            answers: wanted.answers.clone(),
        };
        if wanted.scripts || on_disk.reference.manager.is_built() {
            let question = format!("Let programs of {} run while it is being installed?", wanted.reference);
            if !ctx.ui.confirm(&question, false, "--yes")? {
                return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was installed"));
            }
        }
        let label = format!("installing {name} {}", wanted.version);
        let (mut installed, is_new) =
            known::work(ctx, &label, |installer| installer.install(&on_disk, ctx.clock.now()))?;
        let done = self.deploy(ctx, name, wanted, entry, before, &mut installed);
        let refused = !matches!(&done, Ok(differences) if differences.is_empty());
        if refused && is_new && same.is_none() {
            known::clear(ctx, std::slice::from_ref(&installed))?;
        }
        let differences = done?;
        let state = match (differences.is_empty(), entry.is_some(), same.is_some()) {
            (false, ..) => "differs",
            (true, false, _) => "installed",
            (true, true, true) => "repaired",
            (true, true, false) => "switched",
        };
        Ok(Outcome { name: name.into(), version: wanted.version.clone(), state, differences })
    }

    /// Asks for its tools, and takes it into use where they are those of the file; gives what differs.
    fn deploy(
        &self,
        ctx: &Context,
        name: &str,
        wanted: &Locked,
        entry: Option<&Entry>,
        before: Option<&Installed>,
        installed: &mut Installed,
    ) -> Result<Vec<Difference>> {
        let (mut server, mut package) = match entry {
            Some(entry) => (entry.server.clone(), entry.package.clone()),
            None => (fresh(ctx, name, wanted)?, empty()),
        };
        let user = match before {
            Some(before) => entry::user_args(&ctx.paths, &server, before)?,
            None => wanted.args.clone(),
        };
        entry::point(&ctx.paths, &mut server, before, installed, user);
        match known::ask(ctx, &server) {
            Ok(catalogue) => installed.tools = Some(known::definitions(&catalogue)),
            Err(error) => {
                ctx.ui.warn(&format!("{name} could not be asked for its tools: {error}"));
                // What was known of the same version still holds.
                let same = before.filter(|before| before.pins == installed.pins);
                installed.tools = same.and_then(|before| before.tools.clone());
            }
        }
        let differences = tool_differences(wanted, installed);
        if !differences.is_empty() {
            return Ok(differences);
        }
        package.reference.clone_from(&wanted.reference);
        package.scripts = wanted.scripts;
        package.program.clone_from(&wanted.program);
        package.answers.clone_from(&wanted.answers);
        let gone = package.switch(installed.clone());
        known::deploy(ctx, server, entry.is_some(), package)?;
        known::clear(ctx, &gone)?;
        Ok(Vec::new())
    }
}

/// How the tools a server offers differ from those of the lock file.
fn tool_differences(wanted: &Locked, installed: &Installed) -> Vec<Difference> {
    let digests: Option<BTreeMap<String, String>> = installed
        .tools
        .as_ref()
        .map(|tools| tools.iter().map(|(name, json)| (name.clone(), pins::digest(json))).collect());
    Locked { tools: digests, ..wanted.clone() }.differences(wanted)
}

fn fresh(ctx: &Context, name: &str, wanted: &Locked) -> Result<Server> {
    servers::model::check_name(name)?;
    let transport = Transport::Stdio { command: String::new(), args: Vec::new() };
    let mut server = servers::fresh(name, transport, ctx.clock.now());
    server.origin = Some(wanted.reference.clone());
    Ok(server)
}

fn empty() -> Package {
    Package {
        reference: String::new(),
        scripts: false,
        program: None,
        answers: BTreeMap::new(),
        installs: Vec::new(),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Outcomes(Vec<Outcome>);

impl Output for Outcomes {
    const KIND: &'static str = "package.synced/1";

    fn human(&self, page: &mut Page) {
        if self.0.is_empty() {
            page.text("the lock file names no packages");
        }
        for it in &self.0 {
            let (name, version) = (&it.name, &it.version);
            match it.state {
                "same" => page.mark(State::Ok, format!("{name} {version} is as locked")),
                "differs" => page.mark(State::Fail, format!("{name} is not as locked")),
                done => page.mark(State::Ok, format!("{done} {name} {version}")),
            };
            difference_lines(page, &it.differences);
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|it| it.name.clone()).collect()
    }
}
