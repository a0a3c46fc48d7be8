//! `umcp lock`: what is installed exactly, and whether the lock file and the files on disk still say the same.

use super::known::{self, Entry};
use crate::cli::context::Context;
use crate::error::{Error, Result, codes};
use crate::packages::lock::Difference;
use crate::setup::packages::is_intact;
use crate::ui::{Cell, Column, Output, Page, State, Table};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::collections::BTreeSet;

/// Show the exact versions of packages, and verify them
///
/// `umcp.lock` lies beside the settings and is written after every change. `umcp sync` makes another machine the same.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp lock show\n  umcp lock verify")]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show every package with its exact version and digest
    #[command(alias = "list")]
    Show,
    /// Compare what is installed with `umcp.lock` and the files on disk
    #[command(alias = "check")]
    Verify {
        /// With the lock file of the project one is in; what it does not name does not count
        #[arg(long)]
        project: bool,
    },
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::Show) {
            Verb::Show => show(ctx),
            Verb::Verify { project } => verify(ctx, project),
        }
    }
}

fn show(ctx: &Context) -> Result<()> {
    let row = |entry: &Entry| {
        let current = entry.current()?;
        Ok(Row {
            name: entry.server.name.clone(),
            reference: entry.package.reference.clone(),
            version: current.version.clone(),
            digest: current.digest.clone(),
            tools: current.tools.as_ref().map(std::collections::BTreeMap::len),
            kept: entry.package.installs.iter().rev().skip(1).map(|it| it.version.clone()).collect(),
            folder: crate::setup::packages::place(&ctx.paths, current).to_string_lossy().into_owned(),
        })
    };
    let packages = known::all(ctx)?.iter().map(row).collect::<Result<_>>()?;
    ctx.ui.show(&Rows { file: known::lock_file(ctx).to_string_lossy().into_owned(), packages })
}

#[derive(Serialize)]
struct Row {
    name: String,
    reference: String,
    version: String,
    digest: String,
    /// `None` when it could not be asked.
    tools: Option<usize>,
    /// Versions before, to which `umcp rollback` leads.
    kept: Vec<String>,
    folder: String,
}

#[derive(Serialize)]
struct Rows {
    file: String,
    packages: Vec<Row>,
}

impl Output for Rows {
    const KIND: &'static str = "lock.show/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("package"),
            Column::new("version"),
            Column::new("reference").optional(1),
            Column::new("tools").right(),
            Column::new("kept").optional(2),
            Column::new("digest").optional(3),
        ];
        let mut table = Table::new("no packages are installed; umcp install npm:NAME installs one", columns);
        for row in &self.packages {
            table.row([
                Cell::from(&row.name),
                Cell::from(&row.version),
                Cell::from(&row.reference),
                row.tools.map(|tools| tools.to_string()).unwrap_or_default().into(),
                row.kept.join(", ").into(),
                row.digest.chars().take(24).collect::<String>().into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.packages.iter().map(|row| row.name.clone()).collect()
    }
}

fn verify(ctx: &Context, is_project: bool) -> Result<()> {
    let path = if is_project { known::project_lock(ctx, false)? } else { known::lock_file(ctx) };
    let mut entries = known::all(ctx)?;
    // Without packages there need not be a file.
    let wanted = match path.exists() || !entries.is_empty() {
        true => known::read_lock(&path)?.packages,
        false => Default::default(),
    };
    entries.retain(|entry| !is_project || wanted.contains_key(&entry.server.name));
    let mut packages = Vec::new();
    for entry in &entries {
        let name = &entry.server.name;
        let is = known::locked(ctx, entry)?;
        let mut differences = match wanted.get(name) {
            Some(wanted) => is.differences(wanted),
            None => vec![differs("lock file", "no entry", "an entry")],
        };
        match is_intact(&ctx.paths, entry.current()?)? {
            Some(true) => {}
            Some(false) => differences.push(differs("files", "changed", "as installed")),
            None => differences.push(differs("files", "gone", "as installed")),
        }
        packages.push(Verified { name: name.clone(), differences });
    }
    let installed: BTreeSet<&String> = entries.iter().map(|entry| &entry.server.name).collect();
    for name in wanted.keys().filter(|name| !installed.contains(name)) {
        packages.push(Verified {
            name: name.clone(),
            differences: vec![differs("package", "not installed", "installed")],
        });
    }
    conclude(ctx, packages, if is_project { "umcp sync --project" } else { "umcp sync" })
}

pub fn differs(what: &str, is: &str, wanted: &str) -> Difference {
    Difference { what: what.into(), is: is.into(), wanted: wanted.into() }
}

/// Shows what was verified; differences are an error with the exit code of a check.
fn conclude(ctx: &Context, packages: Vec<Verified>, hint: &str) -> Result<()> {
    let bad: Vec<&str> =
        packages.iter().filter(|it| !it.differences.is_empty()).map(|it| it.name.as_str()).collect();
    if bad.is_empty() {
        return ctx.ui.show(&All(packages));
    }
    let error = Error::new(&codes::PACKAGE_DIFFERS, format!("not as locked: {}", bad.join(", "))).hint(hint);
    ctx.ui.show_failed(&All(packages), &error)?;
    Err(error)
}

#[derive(Serialize)]
struct Verified {
    name: String,
    differences: Vec<Difference>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All(Vec<Verified>);

impl Output for All {
    const KIND: &'static str = "lock.verified/1";

    fn human(&self, page: &mut Page) {
        if self.0.is_empty() {
            page.text("no packages are installed");
        }
        for it in &self.0 {
            match it.differences.is_empty() {
                true => page.mark(State::Ok, format!("{} is as locked", it.name)),
                false => page.mark(State::Fail, format!("{} is not as locked", it.name)),
            };
            difference_lines(page, &it.differences);
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|it| it.name.clone()).collect()
    }
}

pub fn difference_lines(page: &mut Page, differences: &[Difference]) {
    for it in differences {
        let short = |text: &str| text.chars().take(40).collect::<String>();
        page.bullet(format!("{}: {}, wanted {}", it.what, short(&it.is), short(&it.wanted)));
    }
}
