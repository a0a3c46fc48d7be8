//! Packages on disk: looked up, installed, and removed, each by its manager's own program. What is remembered of them
//! is the noun's (`packages`); asking and telling is the command line's.
//! Rule: a package is resolved to versions with digests first, and only those are ever installed.

mod bundle;
mod cargo;
mod composer;
pub mod entry;
mod folder;
mod gem;
mod go;
mod npm;
mod nuget;
mod oci;
mod process;
mod pypi;
mod repository;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::packages::mcpb::{Answers, Manifest, Start};
use crate::packages::{self, Installed, Manager, Package, Reference, Resolved};
use crate::paths::Paths;
use folder::{Draft, Place};
pub use process::Runner;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of all packages.
pub fn root(paths: &Paths) -> PathBuf {
    paths.data.join("packages")
}

/// What installs packages.
pub struct Installer<'a> {
    root: PathBuf,
    runner: Runner<'a>,
}

/// What is to be on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub reference: Reference,
    pub version: String,
    pub digest: String,
    pub pins: String,
    /// Which of its programs is the server, where that has to be said.
    pub program: Option<String>,
    /// Whether its programs may run while it is being installed.
    pub scripts: bool,
    /// What a bundle wants to know.
    pub answers: Answers,
}

impl Wanted {
    /// A version as it was looked up, installed in the way `package` says.
    pub fn new(reference: &Reference, resolved: Resolved, package: &Package) -> Self {
        let Resolved { version, digest, pins, .. } = resolved;
        Self {
            reference: reference.clone(),
            version,
            digest,
            pins,
            program: package.program.clone(),
            scripts: package.scripts,
            answers: package.answers.clone(),
        }
    }
}

impl<'a> Installer<'a> {
    pub fn new(runner: Runner<'a>) -> Result<Self> {
        let root = root(runner.paths);
        crate::paths::create_private_dir(&root)?;
        Ok(Self { root, runner })
    }

    /// Which version a reference means now, with the digests of it and of all it needs. Installs nothing.
    pub fn resolve(&self, reference: &Reference, scripts: bool) -> Result<Resolved> {
        match reference.manager {
            Manager::Npm => npm::resolve(self, reference),
            Manager::Pypi => pypi::resolve(self, reference, scripts),
            Manager::Cargo => cargo::resolve(self, reference),
            Manager::Mcpb => bundle::resolve(self, reference),
            Manager::Github | Manager::Git => repository::resolve(self, reference, scripts),
            Manager::Go => go::resolve(self, reference),
            Manager::Gem => gem::resolve(self, reference),
            Manager::Composer => composer::resolve(self, reference),
            Manager::Nuget => nuget::resolve(self, reference),
            Manager::Oci => oci::resolve(self, reference),
        }
    }

    /// Only the version, which is quicker.
    pub fn newest(&self, reference: &Reference, scripts: bool) -> Result<String> {
        match reference.manager {
            Manager::Npm => npm::newest(self, reference),
            Manager::Pypi => pypi::newest(self, reference, scripts),
            Manager::Gem => gem::newest(self, reference),
            Manager::Github | Manager::Git => repository::newest(self, reference),
            _ => self.resolve(reference, scripts).map(|resolved| resolved.version),
        }
    }

    /// What a bundle says of itself; `None` for packages that are none.
    pub fn manifest(&self, reference: &Reference) -> Result<Option<Manifest>> {
        match reference.manager {
            Manager::Mcpb => bundle::manifest(self, reference).map(Some),
            _ => Ok(None),
        }
    }

    /// Puts a version on disk, unless it is there; true says that it was not.
    pub fn install(&self, wanted: &Wanted, now: Timestamp) -> Result<(Installed, bool)> {
        let tree = crate::ids::digest(wanted.pins.as_bytes());
        let place = Place::of(&self.root, &wanted.reference, &wanted.version, &tree, wanted.scripts)?;
        if !place.is_there {
            let draft = Draft::new(&self.root)?;
            self.fill(&draft, &place, wanted)?;
            // A package that is no server leaves nothing behind.
            self.start(wanted, draft.path())?;
            draft.finish(&place)?;
        }
        let Start { run, env } = self.start(wanted, &place.path)?;
        let installed = Installed {
            version: wanted.version.clone(),
            digest: wanted.digest.clone(),
            pins: wanted.pins.clone(),
            folder: place.relative,
            content: folder::content(&place.path)?,
            run,
            env,
            tools: None,
            at: now,
        };
        Ok((installed, !place.is_there))
    }

    /// How the server of an installed package is started.
    fn start(&self, wanted: &Wanted, folder: &Path) -> Result<Start> {
        let (reference, program) = (&wanted.reference, wanted.program.as_deref());
        let run = match reference.manager {
            Manager::Npm => npm::run(reference, folder, program)?,
            Manager::Pypi => pypi::run(reference, folder, program)?,
            Manager::Cargo => cargo::run(folder, &reference.name, program)?,
            Manager::Mcpb => return bundle::start(self, folder, &wanted.answers),
            Manager::Github | Manager::Git => repository::run(folder, &wanted.pins, reference, program)?,
            Manager::Go | Manager::Nuget | Manager::Gem => cargo::run(folder, &reference.name, program)?,
            Manager::Composer => composer::run(reference, &wanted.pins, program)?,
            Manager::Oci => {
                let image = packages::oci::read(reference, &wanted.pins)?;
                oci::run(folder, image, &wanted.answers)?
            }
        };
        let env = if reference.manager == Manager::Gem { gem::env() } else { BTreeMap::new() };
        Ok(Start { run, env })
    }

    fn fill(&self, draft: &Draft, place: &Place, wanted: &Wanted) -> Result<()> {
        match wanted.reference.manager {
            Manager::Npm => npm::fill(self, draft, &wanted.pins, wanted.scripts),
            Manager::Pypi => pypi::fill(self, draft, place, &wanted.pins, wanted.scripts),
            Manager::Cargo => cargo::fill(self, draft, &wanted.reference, &wanted.pins),
            Manager::Mcpb => bundle::fill(self, draft, &wanted.reference, &wanted.digest),
            Manager::Github | Manager::Git => {
                repository::fill(self, draft, place, &wanted.reference, &wanted.pins, wanted.scripts)
            }
            Manager::Go => go::fill(self, draft, &wanted.reference, &wanted.pins),
            Manager::Gem => gem::fill(self, draft, &wanted.reference, &wanted.pins),
            Manager::Composer => {
                let what = (wanted.version.as_str(), wanted.pins.as_str());
                composer::fill(self, draft, &wanted.reference, what, wanted.scripts)
            }
            Manager::Nuget => nuget::fill(self, draft, &wanted.reference, &wanted.pins),
            Manager::Oci => oci::fill(self, draft, &wanted.reference, &wanted.pins),
        }
    }
}

/// Where a version lies.
pub fn place(paths: &Paths, installed: &Installed) -> PathBuf {
    let root = root(paths);
    root.canonicalize().unwrap_or(root).join(&installed.folder)
}

/// Whether the files of a version are those that were installed; `None` when they are not there.
pub fn is_intact(paths: &Paths, installed: &Installed) -> Result<Option<bool>> {
    let place = place(paths, installed);
    match place.is_dir() {
        true => Ok(Some(folder::content(&place)? == installed.content)),
        false => Ok(None),
    }
}

/// Removes a version from disk, and the folders above it that are empty then.
pub fn remove(paths: &Paths, installed: &Installed) -> Result<()> {
    let place = place(paths, installed);
    // What stands in the store is ours, but a folder outside would be a disaster.
    if !place.starts_with(root(paths).canonicalize().unwrap_or_else(|_| root(paths)))
        || installed.folder.split('/').count() < 3
        || installed.folder.split('/').any(|part| matches!(part, "" | "." | ".."))
    {
        return Err(Error::bug("a package outside the folder of packages"));
    }
    folder::remove(&place)?;
    for above in place.ancestors().skip(1).take(2) {
        let _ = std::fs::remove_dir(above);
    }
    Ok(())
}
