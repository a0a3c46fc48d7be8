//! Crates, by the user's own Cargo: resolved to a version and its digest first, then built from exactly that.

use super::folder::Draft;
use super::{Installer, process::Step};
use crate::error::{Error, Result, codes};
use crate::packages::model::FOLDER;
use crate::packages::{Reference, Resolved, Run, cargo, program};
use crate::paths::io_error;
use std::path::Path;

pub fn resolve(installer: &Installer<'_>, reference: &Reference) -> Result<Resolved> {
    let draft = Draft::new(&installer.root)?;
    draft.write("Cargo.toml", &cargo::manifest(reference)?)?;
    draft.write("lib.rs", "")?;
    installer.runner.run(draft.path(), &Step::new("cargo", &["generate-lockfile", "--quiet"]))?;
    cargo::resolved(reference, &draft.read("Cargo.lock")?)
}

/// Builds the version of these pins, after a look whether the index still means the same by it.
pub fn fill(installer: &Installer<'_>, draft: &Draft, reference: &Reference, pins: &str) -> Result<()> {
    let version = pins.split(' ').nth(1).unwrap_or_default();
    let now = resolve(installer, &reference.at(version))?;
    if now.pins != pins {
        let message =
            format!("the index names another digest for `{reference}` {version} than the one wanted");
        return Err(Error::new(&codes::PACKAGE_INVALID, message).because(now.digest));
    }
    let words = cargo::install(&reference.name, version);
    let step = Step { args: words, foreign: true, ..Step::new("cargo", &[]) };
    installer.runner.run(draft.path(), &step).map(drop)
}

/// The program among those that a build has made.
pub fn run(folder: &Path, name: &str, wanted: Option<&str>) -> Result<Run> {
    let bin = folder.join("bin");
    let entries = std::fs::read_dir(&bin).map_err(|error| io_error("read", &bin, &error))?;
    let mut programs: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    // `dotnet` keeps the files of its tools beside their programs.
    programs.retain(|name| !name.starts_with('.'));
    programs.sort();
    let program = program::choose(&programs, name, wanted)?;
    Ok(Run { command: format!("{FOLDER}/bin/{program}"), args: Vec::new() })
}
