//! Packages of npm, by the user's own npm: resolved into a lock file first, then installed from nothing but that.

use super::folder::Draft;
use super::{Installer, process::Step};
use crate::error::Result;
use crate::packages::model::FOLDER;
use crate::packages::{Reference, Resolved, Run, npm, program};
use crate::paths::io_error;
use std::path::Path;

const QUIET: [&str; 4] = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];

fn step(words: &[&str]) -> Step {
    Step::new("npm", words).with("npm_config_update_notifier", "false")
}

pub fn resolve(installer: &Installer<'_>, reference: &Reference) -> Result<Resolved> {
    let draft = Draft::new(&installer.root)?;
    draft.write("package.json", npm::EMPTY)?;
    let wanted = reference.version.as_deref().unwrap_or("latest");
    let step = step(&["install", "--package-lock-only", "--ignore-scripts", "--save-exact"]);
    let step = QUIET.iter().fold(step, |step, word| step.arg(*word));
    installer.runner.run(draft.path(), &step.arg("--").arg(format!("{}@{wanted}", reference.name)))?;
    npm::resolved(reference, &draft.read("package-lock.json")?)
}

pub fn newest(installer: &Installer<'_>, reference: &Reference) -> Result<String> {
    let wanted = reference.version.as_deref().unwrap_or("latest");
    let step = step(&["view", "--json", "--loglevel=error"]);
    let step = step.arg("--").arg(format!("{}@{wanted}", reference.name)).arg("version");
    npm::newest(&installer.runner.run(&installer.root, &step)?)
}

pub fn fill(installer: &Installer<'_>, draft: &Draft, pins: &str, scripts: bool) -> Result<()> {
    draft.write("package.json", &npm::manifest(pins)?)?;
    draft.write("package-lock.json", pins)?;
    let step = step(&["ci", "--omit=dev"]);
    let step = QUIET.iter().fold(step, |step, word| step.arg(*word));
    let step = if scripts { step } else { step.arg("--ignore-scripts") };
    installer.runner.run(draft.path(), &Step { foreign: scripts, ..step }).map(drop)
}

pub fn run(reference: &Reference, folder: &Path, wanted: Option<&str>) -> Result<Run> {
    let manifest = folder.join("node_modules").join(&reference.name).join("package.json");
    let text = std::fs::read_to_string(&manifest).map_err(|error| io_error("read", &manifest, &error))?;
    let programs = npm::programs(reference, &text)?;
    let program = program::choose(&programs, &reference.name, wanted)?;
    let ending = if cfg!(windows) { ".cmd" } else { "" };
    Ok(Run { command: format!("{FOLDER}/node_modules/.bin/{program}{ending}"), args: Vec::new() })
}
