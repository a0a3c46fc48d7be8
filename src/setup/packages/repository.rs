//! Repositories, by the user's own git: one commit is fetched and built by a recipe that its user has seen.

use super::folder::{Draft, Place};
use super::{Installer, cargo, oci, process::Step, pypi};
use crate::error::{Error, Result, codes};
use crate::packages::mcpb::Answers;
use crate::packages::model::FOLDER;
use crate::packages::recipe::{self, Command, FILES, Recipe, Site};
use crate::packages::{Manager, Reference, Resolved, Run};
use crate::paths::io_error;
use std::fs;
use std::path::Path;

/// Largest file at the root of a repository that is looked at, in bytes.
const MAX_FILE: u64 = 16 << 20;

fn url(reference: &Reference) -> String {
    match reference.manager {
        Manager::Github => format!("https://github.com/{}", reference.name),
        _ => reference.name.clone(),
    }
}

fn git(words: &[&str]) -> Step {
    // Nobody is there to type a password, and no hook or helper of a stranger's choice runs.
    Step::new("git", &[&["-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never"], words].concat())
        .with("GIT_TERMINAL_PROMPT", "0")
}

/// The commit that a reference means now.
fn commit(installer: &Installer<'_>, reference: &Reference) -> Result<String> {
    let wanted = reference.version.as_deref().unwrap_or("HEAD");
    if recipe::is_commit(wanted) {
        return Ok(wanted.into());
    }
    let url = url(reference);
    let answer = installer.runner.run(&installer.root, &git(&["ls-remote", "--", &url]))?;
    let names = [
        format!("refs/tags/{wanted}^{{}}"),
        format!("refs/tags/{wanted}"),
        format!("refs/heads/{wanted}"),
        wanted.to_string(),
    ];
    let lines: Vec<(&str, &str)> = answer.lines().filter_map(|line| line.split_once('\t')).collect();
    let found = names.iter().find_map(|name| lines.iter().find(|(_, known)| known == name));
    match found {
        Some((commit, _)) if recipe::is_commit(commit) => Ok((*commit).into()),
        _ => Err(Error::new(&codes::PACKAGE_INVALID, format!("`{url}` has no tag or branch `{wanted}`"))
            .hint(format!("git ls-remote {url}"))),
    }
}

/// Fetches one commit, without its history.
fn fetch(installer: &Installer<'_>, draft: &Draft, reference: &Reference, commit: &str) -> Result<()> {
    let url = url(reference);
    let repository = draft.path().join(FILES);
    let inside = repository.to_string_lossy().into_owned();
    installer.runner.run(draft.path(), &git(&["init", "--quiet", FILES]))?;
    let at = |words: &[&str]| git(&[&["-C", inside.as_str()], words].concat());
    installer.runner.run(draft.path(), &at(&["fetch", "--quiet", "--depth=1", "--", &url, commit]))?;
    installer.runner.run(draft.path(), &at(&["checkout", "--quiet", "--detach", commit]))?;
    super::folder::remove(&repository.join(".git"))
}

fn reader(draft: &Draft) -> impl Fn(&str) -> Option<String> {
    let root = draft.path().join(FILES);
    move |name| {
        let path = root.join(name);
        // A link could lead anywhere.
        let meta = fs::symlink_metadata(&path).ok().filter(|meta| meta.is_file() && meta.len() < MAX_FILE)?;
        (meta.len() < MAX_FILE).then(|| fs::read_to_string(&path).ok()).flatten()
    }
}

pub fn resolve(installer: &Installer<'_>, reference: &Reference, scripts: bool) -> Result<Resolved> {
    let commit = commit(installer, reference)?;
    let draft = Draft::new(&installer.root)?;
    fetch(installer, &draft, reference, &commit)?;
    let read = reader(&draft);
    let recipe = Recipe::detect(&read)?;
    let name = image_name(reference, &commit);
    let has = |program: &str| installer.runner.has(program);
    let site = Site { read: &read, has: &has, image: (engine(installer, recipe)?, &name) };
    let mut commands: Vec<String> = recipe.commands(&site, scripts).iter().map(Command::line).collect();
    if recipe == Recipe::Python && read("uv.lock").is_some() && !installer.runner.has("uv") {
        commands.push(
            "# its uv.lock counts only where `uv` is installed; so its versions are chosen anew".into(),
        );
    }
    let published = recipe.published(&read).filter(|name| is_published(installer, reference, name));
    Ok(Resolved {
        version: commit[..12].into(),
        digest: format!("git:{commit}"),
        pins: recipe::pins(&commit, recipe),
        dependencies: 0,
        scripted: Vec::new(),
        recipe: commands,
        published: published.map(|name| format!("npm:{name}")),
    })
}

/// What builds images, where that is the recipe.
fn engine(installer: &Installer<'_>, recipe: Recipe) -> Result<&'static str> {
    if recipe == Recipe::Image { oci::engine(installer) } else { Ok("") }
}

/// By which its user finds an image that was built.
fn image_name(reference: &Reference, commit: &str) -> String {
    format!("umcp-build/{}:{}", reference.folder().to_ascii_lowercase(), &commit[..12])
}

/// Whether npm has a package of that name which says it is made of this repository.
fn is_published(installer: &Installer<'_>, reference: &Reference, name: &str) -> bool {
    let Ok(package) = Reference::new(Manager::Npm, name) else { return false };
    let step = Step::new("npm", &["view", "--loglevel=error", "--", &package.name, "repository.url"]);
    let answer = installer.runner.run(&installer.root, &step).unwrap_or_default().to_lowercase();
    let own = reference.name.to_lowercase();
    let own = own.trim_end_matches(".git");
    answer.trim().trim_end_matches(".git").ends_with(own)
}

pub fn newest(installer: &Installer<'_>, reference: &Reference) -> Result<String> {
    Ok(commit(installer, reference)?[..12].into())
}

/// Fetches the commit of these pins and builds it.
pub fn fill(
    installer: &Installer<'_>,
    draft: &Draft,
    place: &Place,
    reference: &Reference,
    pins: &str,
    scripts: bool,
) -> Result<()> {
    let (commit, recipe) = recipe::read_pins(pins)?;
    fetch(installer, draft, reference, &commit)?;
    let (engine, name) = (engine(installer, recipe)?, image_name(reference, &commit));
    let has = |program: &str| installer.runner.has(program);
    let site = Site { read: &reader(draft), has: &has, image: (engine, &name) };
    for command in recipe.commands(&site, scripts) {
        let folder = if command.inside { draft.path().join(FILES) } else { draft.path().to_path_buf() };
        let step = Step { args: command.args, foreign: true, ..Step::new(command.program, &[]) };
        installer.runner.run(&folder, &step)?;
    }
    match recipe {
        Recipe::Python => pypi::settle(&draft.path().join("venv"), draft.path(), &place.path),
        Recipe::Image => oci::keep(draft, engine),
        _ => Ok(()),
    }
}

pub fn run(folder: &Path, pins: &str, reference: &Reference, wanted: Option<&str>) -> Result<Run> {
    let (_, recipe) = recipe::read_pins(pins)?;
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(|error| io_error("read", &path, &error))
    };
    match recipe {
        Recipe::Node => {
            let script = recipe::node_script(&read(&format!("{FILES}/package.json"))?, wanted)?;
            if !folder.join(FILES).join(&script).is_file() {
                let message = format!("the build made no `{script}`, which its package.json names");
                return Err(Error::new(&codes::PACKAGE_INVALID, message));
            }
            Ok(Run { command: "node".into(), args: vec![format!("{FOLDER}/{FILES}/{script}")] })
        }
        Recipe::Python => {
            let name = recipe::python_name(&read("report.json")?)?;
            pypi::run(&Reference::new(Manager::Pypi, &name)?, folder, wanted)
        }
        Recipe::Image => oci::run(folder, &recipe::image_id(&read(recipe::IMAGE)?)?, &Answers::new()),
        Recipe::Rust | Recipe::Go => cargo::run(folder, reference.name.trim_end_matches(".git"), wanted),
    }
}
