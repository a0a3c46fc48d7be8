//! Gems, by the user's own RubyGems: every file is fetched and hashed first, and only files with the wanted digests are
//! installed. Gems may compile, so their code may run.

use super::folder::{self, Draft};
use super::{Installer, process::Step};
use crate::error::{Error, Result, codes};
use crate::packages::gem::{self, Pin};
use crate::packages::model::FOLDER;
use crate::packages::{Reference, Resolved};
use crate::paths::io_error;
use std::collections::BTreeMap;
use std::fs;

fn explained(
    installer: &Installer<'_>,
    draft: &Draft,
    reference: &Reference,
) -> Result<Vec<(String, String, String)>> {
    // Into a folder without gems: what this machine happens to have does not count.
    let step = Step::new("gem", &["install", "--explain", "--install-dir", "gems"]).arg(&reference.name);
    let step = reference.version.iter().fold(step, |step, wanted| step.arg("--version").arg(wanted));
    gem::explained(&installer.runner.run(draft.path(), &step)?)
}

/// Fetches one gem and gives the digest of its file.
fn fetch(installer: &Installer<'_>, draft: &Draft, name: &str, version: &str, file: &str) -> Result<String> {
    installer.runner.run(draft.path(), &Step::new("gem", &["fetch", name, "--version", version]))?;
    let path = draft.path().join(file);
    let bytes = fs::read(&path).map_err(|error| io_error("read", &path, &error))?;
    Ok(crate::ids::digest(&bytes))
}

pub fn resolve(installer: &Installer<'_>, reference: &Reference) -> Result<Resolved> {
    let draft = Draft::new(&installer.root)?;
    let mut gems = Vec::new();
    for (name, version, file) in explained(installer, &draft, reference)? {
        let sha256 = fetch(installer, &draft, &name, &version, &file)?;
        gems.push(Pin { name, version, file, sha256 });
    }
    gem::resolved(reference, &gems)
}

pub fn newest(installer: &Installer<'_>, reference: &Reference) -> Result<String> {
    let draft = Draft::new(&installer.root)?;
    let gems = explained(installer, &draft, reference)?;
    let own = gems.into_iter().find(|(name, ..)| *name == reference.name);
    own.map(|(_, version, _)| version).ok_or_else(|| {
        Error::new(&codes::PACKAGE_INVALID, format!("gem does not name `{reference}` in its own list"))
    })
}

pub fn fill(installer: &Installer<'_>, draft: &Draft, reference: &Reference, pins: &str) -> Result<()> {
    let pins = gem::read(pins)?;
    for pin in &pins {
        let found = fetch(installer, draft, &pin.name, &pin.version, &pin.file)?;
        if found != pin.sha256 {
            let message =
                format!("`{}` is another file than the one wanted: its SHA-256 is {found}", pin.file);
            return Err(Error::new(&codes::PACKAGE_INVALID, message).hint("nothing was installed"));
        }
    }
    let files = |own: bool| -> Vec<String> {
        pins.iter().filter(|pin| (pin.name == reference.name) == own).map(|pin| pin.file.clone()).collect()
    };
    for (files, is_wanted) in [(files(false), false), (files(true), true)] {
        if !files.is_empty() {
            let step = Step { args: gem::install(&files, is_wanted), foreign: true, ..Step::new("gem", &[]) };
            installer.runner.run(draft.path(), &step)?;
        }
    }
    for pin in &pins {
        let path = draft.path().join(&pin.file);
        fs::remove_file(&path).map_err(|error| io_error("remove", &path, &error))?;
    }
    folder::remove(&draft.path().join("gems/cache"))
}

/// The variables by which Ruby finds the gems of a folder, and no others.
pub fn env() -> BTreeMap<String, String> {
    let gems = format!("{FOLDER}/gems");
    [("GEM_HOME".to_string(), gems.clone()), ("GEM_PATH".to_string(), gems)].into()
}
