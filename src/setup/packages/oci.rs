//! Images, by the user's own docker or podman: fetched, which runs nothing of them, and from then on named by digest.
//! The image lies where the program keeps its images; the folder of the version holds its name alone.

use super::folder::Draft;
use super::{Installer, process::Step};
use crate::error::{Error, Result, codes};
use crate::packages::mcpb::Answers;
use crate::packages::{Reference, Resolved, Run, oci};
use crate::paths::io_error;
use std::fs;
use std::path::Path;

/// Holds the program that has the image, below the version's folder.
const ENGINE: &str = "engine";

/// The program that runs images: the first that is here and whose engine answers.
pub fn engine(installer: &Installer<'_>) -> Result<&'static str> {
    let mut silent = None;
    for program in oci::ENGINES {
        match installer.runner.run(&installer.root, &Step::new(program, &["version"])) {
            Ok(_) => return Ok(program),
            // One that is here and does not answer says more than one that is not here.
            Err(error) if installer.runner.has(program) => silent = silent.or(Some(error)),
            Err(_) => {}
        }
    }
    Err(silent.unwrap_or_else(|| {
        Error::new(&codes::PACKAGE_MANAGER, "neither `docker` nor `podman` is found on PATH")
            .hint("install Docker: https://docs.docker.com/get-docker")
            .hint("or Podman: https://podman.io/docs/installation")
    }))
}

pub fn resolve(installer: &Installer<'_>, reference: &Reference) -> Result<Resolved> {
    let engine = engine(installer)?;
    let image = oci::image(reference);
    let told = installer.runner.run(&installer.root, &Step::new(engine, &["pull", &image]))?;
    let found = match oci::digest(&told) {
        Some(digest) => Some(digest),
        None => {
            let ask = Step::new(engine, &["image", "inspect", "--format", "{{.Digest}}", &image]);
            oci::digest(&installer.runner.run(&installer.root, &ask)?)
        }
    };
    match found {
        Some(digest) => Ok(oci::resolved(reference, engine, &digest)),
        None => {
            let message = format!("{engine} gives no digest of `{reference}`, so it cannot be pinned");
            Err(Error::new(&codes::PACKAGE_INVALID, message))
        }
    }
}

/// Has the image of these pins on this machine.
pub fn fill(installer: &Installer<'_>, draft: &Draft, reference: &Reference, pins: &str) -> Result<()> {
    let (engine, image) = (engine(installer)?, oci::read(reference, pins)?);
    installer.runner.run(draft.path(), &Step::new(engine, &["pull", image]))?;
    keep(draft, engine)
}

/// Remembers which program has the image.
pub fn keep(draft: &Draft, engine: &str) -> Result<()> {
    draft.write(ENGINE, engine)
}

/// The command that runs an image with the program that has it.
pub fn run(folder: &Path, image: &str, answers: &Answers) -> Result<Run> {
    let path = folder.join(ENGINE);
    let kept = fs::read_to_string(&path).map_err(|error| io_error("read", &path, &error))?;
    match oci::ENGINES.into_iter().find(|engine| *engine == kept) {
        Some(engine) => Ok(oci::run(engine, image, answers)),
        None => Err(Error::new(&codes::PACKAGE_INVALID, "the folder of the image was changed")),
    }
}
