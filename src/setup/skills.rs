//! The files of skills: read from folders and archives, put in place as a whole, and linked into the folders in which
//! clients look. Rule: nothing is followed out of a skill's folder, and a version is there whole or not at all.

use super::journal::{self, Link};
use super::links::{make_link, unlink};
use crate::archive;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::paths::{Paths, create_private_dir, io_error};
use crate::skills::bundle::{self, Content, Files};
use crate::skills::is_name;
use crate::skills::model::{File, Installed};
use std::fs;
use std::path::{Path, PathBuf};

/// What is no part of a skill, wherever it lies.
const PASSED: [&str; 3] = [".git", ".DS_Store", "Thumbs.db"];
/// Most bytes of a bundle.
pub const MAX_BUNDLE: u64 = 32 << 20;
/// How the link is called that leads to the version in use.
const CURRENT: &str = "current";

/// Where all skills lie.
pub fn root(paths: &Paths) -> PathBuf {
    paths.data.join("skills")
}

/// Where a version lies.
pub fn folder(paths: &Paths, name: &str, version: &str) -> PathBuf {
    root(paths).join(name).join(version)
}

/// Reads a folder. A link is refused: what it leads to is not in the folder, or not tomorrow.
pub fn read_folder(path: &Path) -> Result<Files> {
    if !path.is_dir() {
        let message = format!("there is no folder `{}`", path.display());
        return Err(Error::new(&codes::FILE_NOT_FOUND, message));
    }
    let mut files = Files::new();
    let mut total = 0;
    collect(path, path, &mut files, &mut total)?;
    Ok(files)
}

fn collect(root: &Path, folder: &Path, files: &mut Files, total: &mut u64) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|error| io_error("read", folder, &error))? {
        let path = entry.map_err(|error| io_error("read", folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if PASSED.contains(&name.as_str()) {
            continue;
        }
        let meta = fs::symlink_metadata(&path).map_err(|error| io_error("read", &path, &error))?;
        let refuse = |what: &str| {
            let message = format!("`{}` {what}, which a skill may not hold", path.display());
            Err(Error::new(&codes::SKILL_INVALID, message))
        };
        if meta.is_dir() {
            collect(root, &path, files, total)?;
            continue;
        }
        if meta.is_symlink() {
            return refuse("is a link");
        }
        if !meta.is_file() {
            return refuse("is neither a file nor a folder");
        }
        *total += meta.len();
        if *total > bundle::MAX_BYTES || files.len() >= bundle::MAX_FILES {
            return Err(Error::new(
                &codes::SKILL_INVALID,
                format!("`{}` holds more than a skill may: 1000 files of 64 MiB in all", root.display()),
            ));
        }
        let Some(below) = path.strip_prefix(root).ok().and_then(Path::to_str) else {
            return refuse("has a name that is no UTF-8");
        };
        let below = below.replace('\\', "/");
        let bytes = fs::read(&path).map_err(|error| io_error("read", &path, &error))?;
        files.insert(below, Content { bytes, executable: is_executable(&meta) });
    }
    Ok(())
}

fn is_executable(meta: &fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        meta.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    {
        let _ = meta;
        false
    }
}

/// Reads an archive; where everything in it lies in one folder, from there.
pub fn unpack(bytes: &[u8]) -> Result<Files> {
    if bytes.len() as u64 > MAX_BUNDLE {
        return Err(Error::new(&codes::FILE_TOO_LARGE, "a bundle has at most 32 MiB"));
    }
    let entries = archive::entries(bytes)?;
    let total: u64 = entries.iter().map(|entry| entry.size).sum();
    if entries.len() > bundle::MAX_FILES || total > bundle::MAX_BYTES {
        return Err(Error::new(
            &codes::SKILL_INVALID,
            "the archive holds more than a skill may: 1000 files of 64 MiB in all",
        ));
    }
    let top = entries.first().and_then(|entry| entry.path.split_once('/')).map(|(top, _)| format!("{top}/"));
    let top = top.filter(|top| entries.iter().all(|entry| entry.path.starts_with(top))).unwrap_or_default();
    entries
        .iter()
        .map(|entry| {
            let content = Content { bytes: entry.read(bytes)?, executable: entry.executable };
            Ok((entry.path[top.len()..].to_string(), content))
        })
        .collect()
}

/// A bundle of these files.
pub fn pack(files: &Files) -> Result<Vec<u8>> {
    let packed: Vec<archive::Packed<'_>> = files
        .iter()
        .map(|(path, content)| (path.as_str(), content.executable, content.bytes.as_slice()))
        .collect();
    archive::write(&packed)
}

/// Reads the file of a bundle.
pub fn read_bundle(path: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(path).map_err(|error| io_error("read", path, &error))?.len();
    if size > MAX_BUNDLE {
        let message = format!("`{}` is larger than 32 MiB", path.display());
        return Err(Error::new(&codes::FILE_TOO_LARGE, message));
    }
    fs::read(path).map_err(|error| io_error("read", path, &error))
}

/// Puts a version in its place: written beside it and renamed.
pub fn place(paths: &Paths, name: &str, version: &str, files: &Files) -> Result<()> {
    if !is_name(name) || version.contains(['/', '\\']) || version.starts_with('.') {
        return Err(Error::bug("a skill of a name that is none"));
    }
    bundle::check_bounds(files)?;
    let target = folder(paths, name, version);
    let draft = root(paths).join(format!(".draft-{}", crate::ids::random_hex(8)));
    let written = write_all(&draft, files).and_then(|()| {
        if let Some(parent) = target.parent() {
            create_private_dir(parent)?;
        }
        remove(&target)?;
        fs::rename(&draft, &target).map_err(|error| io_error("create", &target, &error))
    });
    if written.is_err() {
        // Whatever is left of it has a name that nobody reads.
        let _ = fs::remove_dir_all(&draft);
    }
    written
}

/// Writes files below a folder that is not there yet.
pub fn write_all(folder: &Path, files: &Files) -> Result<()> {
    create_private_dir(folder)?;
    for (name, content) in files {
        let path = folder.join(name);
        create_private_dir(path.parent().unwrap_or(folder))?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, if content.executable { 0o755 } else { 0o644 });
        let written =
            options.open(&path).and_then(|mut file| std::io::Write::write_all(&mut file, &content.bytes));
        written.map_err(|error| io_error("write", &path, &error))?;
    }
    Ok(())
}

/// Takes a folder away; one that is not there is no error.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("delete", path, &error)),
        _ => Ok(()),
    }
}

/// The files of an installed version, exactly those that were installed.
///
/// # Errors
/// `SKILL_CHANGED` names the first file that is another one.
pub fn intact(paths: &Paths, name: &str, installed: &Installed) -> Result<Files> {
    let changed = |why: String| {
        Error::new(
            &codes::SKILL_CHANGED,
            format!("{name} {} is not what was installed: {why}", installed.version),
        )
        .hint(format!("umcp skill install {} --replace", installed.source))
    };
    let place = folder(paths, name, &installed.version);
    let files = read_folder(&place).map_err(|error| changed(error.to_string()))?;
    let found: Vec<File> = bundle::list(&files);
    bundle::compare(&installed.files, &found).map_err(changed)?;
    Ok(files)
}

/// Lets the link that clients follow lead to a version, or takes it away. Where links need rights that the user has
/// not, there is none, and `sync` says so.
pub fn point(paths: &Paths, name: &str, version: Option<&str>) -> Result<PathBuf> {
    let link = root(paths).join(name).join(CURRENT);
    let Some(version) = version else {
        unlink(&link)?;
        return Ok(link);
    };
    // Renamed over the old one, so that there is always one.
    let draft = link.with_file_name(format!(".{CURRENT}-{}", crate::ids::random_hex(4)));
    make_link(&folder(paths, name, version), &draft)?;
    if cfg!(windows) {
        unlink(&link)?;
    }
    fs::rename(&draft, &link).map_err(|error| io_error("create", &link, &error))?;
    Ok(link)
}

/// What became of one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Linked {
    Linked,
    Unchanged,
    /// It led to a skill that is gone.
    Removed,
    /// Something of somebody else has that name.
    Taken,
}

/// What a folder of a client needs to hold exactly these skills of umcp; what is not umcp's stays.
pub fn plan(paths: &Paths, client: &Path, names: &[String]) -> Vec<(PathBuf, Linked)> {
    let mut plan: Vec<(PathBuf, Linked)> = names
        .iter()
        .map(|name| {
            let link = client.join(name);
            let linked = match fs::symlink_metadata(&link) {
                Err(_) => Linked::Linked,
                Ok(_) if leads_to(&link).as_deref() == Some(&*root(paths).join(name).join(CURRENT)) => {
                    Linked::Unchanged
                }
                Ok(_) => Linked::Taken,
            };
            (link, linked)
        })
        .collect();
    for entry in fs::read_dir(client).into_iter().flatten().flatten() {
        let link = entry.path();
        let own = leads_to(&link).is_some_and(|target| target.starts_with(root(paths)));
        if own && !names.iter().any(|name| link.ends_with(name)) {
            plan.push((link, Linked::Removed));
        }
    }
    plan.sort();
    plan
}

/// Makes the links of a plan; the number that `umcp undo` takes, where something was made.
pub fn carry_out(
    paths: &Paths,
    plan: &[(PathBuf, Linked)],
    command: &str,
    now: Timestamp,
) -> Result<Option<u64>> {
    for (link, _) in plan.iter().filter(|(_, linked)| *linked == Linked::Removed) {
        unlink(link)?;
    }
    let target = |link: &Path| root(paths).join(link.file_name().unwrap_or_default()).join(CURRENT);
    let links: Vec<Link> = plan
        .iter()
        .filter(|(_, linked)| *linked == Linked::Linked)
        .map(|(link, _)| Link::new(link.clone(), target(link)))
        .collect();
    journal::link(&paths.undo(), now, command, &links)
}

impl PartialOrd for Linked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Linked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (*self as u8).cmp(&(*other as u8))
    }
}

/// Where a link leads; `None` for what is no link.
fn leads_to(link: &Path) -> Option<PathBuf> {
    fs::read_link(link).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> Files {
        pairs
            .iter()
            .map(|(path, text)| {
                (path.to_string(), Content { bytes: text.as_bytes().to_vec(), executable: false })
            })
            .collect()
    }

    #[test]
    fn a_bundle_holds_what_went_in() {
        let mut all = files(&[("SKILL.md", "text"), ("scripts/run.sh", "x")]);
        all.get_mut("scripts/run.sh").unwrap().executable = true;
        assert_eq!(unpack(&pack(&all).unwrap()).unwrap(), all);
        let nested: Files = all.iter().map(|(path, it)| (format!("greet/{path}"), it.clone())).collect();
        assert_eq!(unpack(&pack(&nested).unwrap()).unwrap(), all);
    }

    #[test]
    fn a_version_is_placed_whole_and_watched() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(dir.path(), dir.path().join("home"));
        let all = files(&[("SKILL.md", "text"), ("a/b", "x")]);
        place(&paths, "greet", "1.0.0", &all).unwrap();
        let installed = Installed {
            version: "1.0.0".into(),
            files: bundle::list(&all),
            source: "./greet".into(),
            ..Installed::default()
        };
        assert_eq!(intact(&paths, "greet", &installed).unwrap(), all);
        let file = folder(&paths, "greet", "1.0.0").join("SKILL.md");
        fs::write(&file, "other").unwrap();
        let error = intact(&paths, "greet", &installed).unwrap_err();
        assert_eq!(error.message, "greet 1.0.0 is not what was installed: `SKILL.md` was changed");
        place(&paths, "greet", "1.0.0", &all).unwrap();
        fs::write(file.with_file_name("more"), "").unwrap();
        assert!(intact(&paths, "greet", &installed).unwrap_err().message.contains("not named"));
        assert!(place(&paths, "../x", "1.0.0", &all).is_err());
        assert!(place(&paths, "x", "../1", &all).is_err());
        assert_eq!(fs::read_dir(root(&paths)).unwrap().count(), 1, "no draft is left");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_refused_in_a_skill() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("SKILL.md"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("more")).unwrap();
        assert!(read_folder(dir.path()).unwrap_err().message.contains("is a link"));
    }

    #[cfg(unix)]
    #[test]
    fn links_come_and_go_and_leave_others_alone() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(dir.path(), dir.path().join("home"));
        let client = dir.path().join("home/.claude/skills");
        for name in ["a", "b"] {
            place(&paths, name, "1.0.0", &files(&[("SKILL.md", name)])).unwrap();
            point(&paths, name, Some("1.0.0")).unwrap();
        }
        fs::create_dir_all(client.join("b")).unwrap();
        let names = ["a".to_string(), "b".into()];
        let seen = |plan: &[(PathBuf, Linked)]| plan.iter().map(|(_, it)| *it).collect::<Vec<_>>();
        let first = plan(&paths, &client, &names);
        assert_eq!(seen(&first), [Linked::Linked, Linked::Taken]);
        let undo = carry_out(&paths, &first, "umcp skill sync", Timestamp(0)).unwrap();
        assert!(undo.is_some());
        assert_eq!(fs::read_to_string(client.join("a/SKILL.md")).unwrap(), "a");
        assert_eq!(seen(&plan(&paths, &client, &names)), [Linked::Unchanged, Linked::Taken]);
        place(&paths, "a", "2.0.0", &files(&[("SKILL.md", "newer")])).unwrap();
        point(&paths, "a", Some("2.0.0")).unwrap();
        assert_eq!(fs::read_to_string(client.join("a/SKILL.md")).unwrap(), "newer");
        let gone = plan(&paths, &client, &[]);
        assert_eq!(seen(&gone), [Linked::Removed]);
        assert_eq!(carry_out(&paths, &gone, "umcp skill sync", Timestamp(0)).unwrap(), None);
        assert!(client.join("b").is_dir() && !client.join("a").exists());
    }
}
