//! Packages of PyPI, by the user's own Python and pip: resolved into requirements with digests first, then installed
//! into a virtual environment from nothing but those. Only wheels, unless the user lets programs of packages run.

use super::folder::{Draft, Place};
use super::{Installer, process::Step};
use crate::error::{Error, Result, codes};
use crate::packages::model::FOLDER;
use crate::packages::{Reference, Resolved, Run, program, pypi};
use crate::paths::io_error;
use std::fs;
use std::path::{Path, PathBuf};

const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };
const PROGRAMS: &str = if cfg!(windows) { "Scripts" } else { "bin" };
/// Scripts that begin with the path of their interpreter are small.
const MAX_SCRIPT: u64 = 64 << 10;

fn pip(words: &[&str]) -> Step {
    let quiet = ["--quiet", "--disable-pip-version-check", "--no-input"];
    let step = Step::new(PYTHON, &["-I", "-m", "pip"]);
    words.iter().chain(&quiet).fold(step, |step, word| step.arg(*word))
}

fn wheels(step: Step, scripts: bool) -> Step {
    if scripts { Step { foreign: true, ..step } } else { step.arg("--only-binary").arg(":all:") }
}

pub fn resolve(installer: &Installer<'_>, reference: &Reference, scripts: bool) -> Result<Resolved> {
    let report = report(installer, reference, scripts, &[])?;
    pypi::resolved(reference, &report)
}

pub fn newest(installer: &Installer<'_>, reference: &Reference, scripts: bool) -> Result<String> {
    let report = report(installer, reference, scripts, &["--no-deps"])?;
    Ok(pypi::resolved(reference, &report)?.version)
}

fn report(installer: &Installer<'_>, reference: &Reference, scripts: bool, more: &[&str]) -> Result<String> {
    let draft = Draft::new(&installer.root)?;
    let step =
        wheels(pip(&["install", "--dry-run", "--ignore-installed", "--report", "report.json"]), scripts);
    let step = more.iter().fold(step, |step, word| step.arg(*word));
    let wanted = match reference.version.as_deref() {
        Some(version) if version.starts_with(|c: char| c.is_ascii_digit()) => format!("=={version}"),
        other => other.unwrap_or_default().to_string(),
    };
    let step = step.arg("--").arg(format!("{}{wanted}", reference.name));
    installer.runner.run(draft.path(), &step).map_err(|error| match scripts {
        true => error,
        // The most frequent reason, and pip does not name it.
        false => error.hint(format!(
            "only wheels are taken; a package that comes as source is built with: umcp install {reference} --scripts"
        )),
    })?;
    draft.read("report.json")
}

pub fn fill(
    installer: &Installer<'_>,
    draft: &Draft,
    place: &Place,
    pins: &str,
    scripts: bool,
) -> Result<()> {
    pypi::check(pins)?;
    draft.write("requirements.txt", pins)?;
    let venv = Step::new(PYTHON, &["-I", "-m", "venv", "--without-pip", "venv"]);
    installer.runner.run(draft.path(), &venv)?;
    let inside = format!("venv/{PROGRAMS}/python");
    // Compiled now, whatever pip's settings say: what appears in the folder later was not installed.
    let step = pip(&["--python", &inside, "install", "--compile", "--no-deps", "--require-hashes"]);
    let step = step.arg("-r").arg("requirements.txt");
    installer.runner.run(draft.path(), &wheels(step, scripts))?;
    settle(&draft.path().join("venv"), draft.path(), &place.path)
}

/// Programs of a virtual environment begin with its path; they are about to move.
pub fn settle(venv: &Path, from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (from.to_string_lossy().into_owned(), to.to_string_lossy().into_owned());
    let mut files = vec![venv.join("pyvenv.cfg")];
    let programs = venv.join(PROGRAMS);
    let entries = fs::read_dir(&programs).map_err(|error| io_error("read", &programs, &error))?;
    files.extend(entries.flatten().map(|entry| entry.path()));
    for file in files {
        let small = fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_file() && meta.len() < MAX_SCRIPT);
        let Some(text) = small.then(|| fs::read_to_string(&file).ok()).flatten() else { continue };
        if text.contains(&from) {
            fs::write(&file, text.replace(&from, &to)).map_err(|error| io_error("write", &file, &error))?;
        }
    }
    Ok(())
}

pub fn run(reference: &Reference, folder: &Path, wanted: Option<&str>) -> Result<Run> {
    let programs = entry_points(reference, folder)?;
    let program = program::choose(&programs, &reference.name, wanted)?;
    let ending = if cfg!(windows) { ".exe" } else { "" };
    Ok(Run { command: format!("{FOLDER}/venv/{PROGRAMS}/{program}{ending}"), args: Vec::new() })
}

/// The programs that the package itself brings, not those of its dependencies.
fn entry_points(reference: &Reference, folder: &Path) -> Result<Vec<String>> {
    let name = pypi::normal(&reference.name);
    let is_own = |path: &PathBuf| {
        let stem = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let own = stem.strip_suffix(".dist-info").and_then(|stem| stem.rsplit_once('-'));
        own.is_some_and(|(own, _)| pypi::normal(own) == name)
    };
    let libraries = libraries(&folder.join("venv"))?;
    let entries = fs::read_dir(&libraries).map_err(|error| io_error("read", &libraries, &error))?;
    let Some(info) = entries.flatten().map(|entry| entry.path()).find(is_own) else {
        let message = format!("`{reference}` is not where pip was to install it");
        return Err(Error::new(&codes::PACKAGE_INVALID, message));
    };
    // A package without programs has no such file.
    let text = fs::read_to_string(info.join("entry_points.txt")).unwrap_or_default();
    Ok(pypi::programs(&text))
}

/// `lib/python3.x/site-packages`.
fn libraries(venv: &Path) -> Result<PathBuf> {
    let windows = venv.join("Lib").join("site-packages");
    let lib = venv.join("lib");
    let versions = fs::read_dir(&lib).into_iter().flatten().flatten();
    let found = versions.map(|entry| entry.path().join("site-packages")).find(|path| path.is_dir());
    found.or_else(|| windows.is_dir().then_some(windows)).ok_or_else(|| {
        Error::new(&codes::PACKAGE_INVALID, format!("`{}` is no virtual environment", venv.display()))
    })
}
