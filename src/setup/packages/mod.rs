//! Packages on disk: looked up, installed, and removed, each by its manager's own program. What is remembered of them
//! is the noun's (`packages`); asking and telling is the command line's.
//! Rule: a package is resolved to versions with digests first, and only those are ever installed.

mod bundle;
mod cargo;
pub mod entry;
mod folder;
mod npm;
mod process;
mod pypi;
mod repository;

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::packages::mcpb::{Answers, Manifest, Start};
use crate::packages::{Installed, Manager, Package, Reference, Resolved};
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
            _ => Err(unknown(reference)),
        }
    }

    /// Only the version, which is quicker.
    pub fn newest(&self, reference: &Reference, scripts: bool) -> Result<String> {
        match reference.manager {
            Manager::Npm => npm::newest(self, reference),
            Manager::Pypi => pypi::newest(self, reference, scripts),
            Manager::Cargo => cargo::resolve(self, reference).map(|resolved| resolved.version),
            Manager::Mcpb => bundle::resolve(self, reference).map(|resolved| resolved.version),
            Manager::Github | Manager::Git => repository::newest(self, reference),
            _ => Err(unknown(reference)),
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
            _ => return Err(unknown(reference)),
        };
        Ok(Start { run, env: BTreeMap::new() })
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
            _ => Err(unknown(&wanted.reference)),
        }
    }
}

/// Whose packages are known by name only: what to do instead.
fn unknown(reference: &Reference) -> Error {
    let (word, name) = (reference.manager.word(), &reference.name);
    let version = reference.version.as_deref().unwrap_or("latest");
    let command = match reference.manager {
        Manager::Go => format!("go install {name}@{version}"),
        Manager::Gem => format!("gem install {name}"),
        Manager::Composer => format!("composer global require {name}"),
        Manager::Nuget => format!("dotnet tool install --global {name}"),
        Manager::Oci => format!("umcp server add NAME -- docker run -i --rm {name}"),
        _ => format!("fetch {name}"),
    };
    let error =
        Error::new(&codes::PACKAGE_MANAGER, format!("umcp does not install packages of `{word}` itself"));
    let error = error.hint(command);
    if reference.manager == Manager::Oci { error } else { error.hint("umcp server add NAME -- PROGRAM") }
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
