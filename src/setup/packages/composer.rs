//! Packages of PHP, by the user's own Composer: resolved into a lock file first, then installed from exactly that.
//! No plugin and no script of a package runs, unless the user lets them.

use super::folder::Draft;
use super::{Installer, process::Step};
use crate::error::Result;
use crate::packages::model::FOLDER;
use crate::packages::{Reference, Resolved, Run, composer, program};

pub fn resolve(installer: &Installer<'_>, reference: &Reference) -> Result<Resolved> {
    let draft = Draft::new(&installer.root)?;
    let wanted = reference.version.as_deref().unwrap_or("*");
    draft.write("composer.json", &composer::manifest(&reference.name, wanted, false))?;
    let words =
        ["update", "--no-install", "--no-scripts", "--no-plugins", "--no-interaction", "--no-progress"];
    installer.runner.run(draft.path(), &Step::new("composer", &words))?;
    composer::resolved(reference, &draft.read("composer.lock")?)
}

pub fn fill(
    installer: &Installer<'_>,
    draft: &Draft,
    reference: &Reference,
    (version, pins): (&str, &str),
    scripts: bool,
) -> Result<()> {
    draft.write("composer.json", &composer::manifest(&reference.name, version, scripts))?;
    draft.write("composer.lock", pins)?;
    let step = Step { args: composer::install(scripts), foreign: scripts, ..Step::new("composer", &[]) };
    installer.runner.run(draft.path(), &step).map(drop)
}

pub fn run(reference: &Reference, pins: &str, wanted: Option<&str>) -> Result<Run> {
    let programs = composer::programs(reference, pins)?;
    let program = program::choose(&programs, &reference.name, wanted)?;
    let ending = if cfg!(windows) { ".bat" } else { "" };
    Ok(Run { command: format!("{FOLDER}/vendor/bin/{program}{ending}"), args: Vec::new() })
}
