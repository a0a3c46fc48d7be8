//! Folders of packages: made beside their place and moved there whole, so that nothing half is ever found there.

use crate::error::{Error, Result};
use crate::ids;
use crate::packages::Reference;
use crate::paths::{create_private_dir, io_error};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Says of a folder what it was made of; a folder without it is not finished.
const MARKER: &str = ".umcp-package";
/// How a folder under way is named.
const DRAFT: &str = ".draft-";
/// A draft that nobody touched for so long was left by a program that is gone.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// A folder under way; dropped unfinished, it is gone.
pub struct Draft {
    path: PathBuf,
}

impl Draft {
    /// A new empty folder below that of all packages.
    pub fn new(root: &Path) -> Result<Self> {
        create_private_dir(root)?;
        sweep(root);
        let path = root.join(format!("{DRAFT}{}", ids::random_hex(8)));
        create_private_dir(&path)?;
        // A name through links would differ from what programs write into their files.
        let path = path.canonicalize().map_err(|error| io_error("find", &path, &error))?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path.join(name);
        fs::write(&path, text).map_err(|error| io_error("write", &path, &error))
    }

    pub fn read(&self, name: &str) -> Result<String> {
        let path = self.path.join(name);
        fs::read_to_string(&path).map_err(|error| io_error("read", &path, &error))
    }

    /// Marks the folder as finished and moves it to its place.
    pub fn finish(self, place: &Place) -> Result<()> {
        self.write(MARKER, &place.mark)?;
        if let Some(parent) = place.path.parent() {
            create_private_dir(parent)?;
        }
        // Somebody else has made the same meanwhile, and may be running it.
        if fs::read_to_string(place.path.join(MARKER)).is_ok_and(|mark| mark == place.mark) {
            return Ok(());
        }
        // Something without a mark, or made of something else, is of no use to anybody.
        if place.path.exists() {
            remove(&place.path)?;
        }
        fs::rename(&self.path, &place.path).map_err(|error| io_error("create", &place.path, &error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = remove(&self.path);
    }
}

/// Where a version goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: PathBuf,
    /// Below the root, with `/`.
    pub relative: String,
    /// Whether it is there already, finished, made of the same.
    pub is_there: bool,
    mark: String,
}

impl Place {
    /// The folder of a version whose pins have this digest. Another tree of the same version lies beside it.
    pub fn of(root: &Path, reference: &Reference, version: &str, tree: &str, scripts: bool) -> Result<Self> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_+".contains(c) { c } else { '_' };
        let mut tame: String = version.chars().take(60).map(plain).collect();
        if tame.starts_with('.') || tame.is_empty() {
            tame = format!("v{tame}");
        }
        let mark = format!("{tree} {scripts}\n");
        let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
        let short = &ids::digest(mark.as_bytes())[..8];
        for name in [tame.clone(), format!("{tame}+{short}")] {
            let relative = format!("{}/{}/{name}", reference.manager.word(), reference.folder());
            let path = root.join(&relative);
            let found = fs::read_to_string(path.join(MARKER)).ok();
            if found.is_none() || found.as_ref() == Some(&mark) {
                return Ok(Self { path, relative, is_there: found.is_some(), mark });
            }
        }
        Err(Error::bug("two trees of a package have one digest"))
    }
}

/// Removes what was left behind by programs that were killed.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let is_draft = entry.file_name().to_string_lossy().starts_with(DRAFT);
        let touched = entry.metadata().and_then(|meta| meta.modified()).ok();
        if is_draft && touched.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > FORGOTTEN) {
            let _ = remove(&entry.path());
        }
    }
}

/// Removes a folder with all that is in it; one that is not there is no error.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            // Some managers keep what they fetched read-only.
            open(path);
            fs::remove_dir_all(path).map_err(|error| io_error("remove", path, &error))
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", path, &error)),
        _ => Ok(()),
    }
}

fn open(path: &Path) {
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    if !meta.is_dir() {
        return;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    }
    fs::read_dir(path).into_iter().flatten().flatten().for_each(|entry| open(&entry.path()));
}

/// SHA-256 over names, kinds and contents of all files, in hex. What Python compiled counts too, since it runs that rather
/// than the source: it is made while a package is installed, and not later.
pub fn content(root: &Path) -> Result<String> {
    let mut lines = Vec::new();
    list(root, root, &mut lines)?;
    lines.sort();
    Ok(ids::digest(lines.concat().as_bytes()))
}

fn list(root: &Path, folder: &Path, lines: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(|error| io_error("read", folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| io_error("read", folder, &error))?.path();
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let meta = fs::symlink_metadata(&path).map_err(|error| io_error("read", &path, &error))?;
        if meta.is_symlink() {
            let target = fs::read_link(&path).map_err(|error| io_error("read", &path, &error))?;
            lines.push(format!("link {name} {}\n", target.display()));
        } else if meta.is_dir() {
            list(root, &path, lines)?;
        } else {
            let bytes = fs::read(&path).map_err(|error| io_error("read", &path, &error))?;
            lines.push(format!("file {name} {}\n", ids::digest(&bytes)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_whole_or_gone() {
        let dir = tempfile::tempdir().unwrap();
        let reference: Reference = "npm:@a/b".parse().unwrap();
        let place = |tree: &str| Place::of(dir.path(), &reference, "1.0/../x", tree, false).unwrap();
        let first = place("t1");
        assert!(
            !first.is_there
                && first.relative.starts_with("npm/a_b-")
                && first.relative.ends_with("/1.0_.._x")
        );
        drop(Draft::new(dir.path()).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let draft = Draft::new(dir.path()).unwrap();
        draft.write("a", "1").unwrap();
        draft.finish(&first).unwrap();
        assert!(place("t1").is_there);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the draft is gone");
        let second = place("t2");
        assert!(!second.is_there && second.path != first.path, "another tree lies beside");
    }

    #[test]
    fn every_file_counts_and_so_does_what_python_compiled() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("x/__pycache__")).unwrap();
        fs::write(dir.path().join("x/a"), "1").unwrap();
        let before = content(dir.path()).unwrap();
        fs::write(dir.path().join("x/__pycache__/a.pyc"), "2").unwrap();
        let planted = content(dir.path()).unwrap();
        assert_ne!(planted, before);
        fs::write(dir.path().join("x/a"), "2").unwrap();
        assert_ne!(content(dir.path()).unwrap(), planted);
        fs::write(dir.path().join("x/a"), "1").unwrap();
        fs::remove_dir_all(dir.path().join("x/__pycache__")).unwrap();
        assert_eq!(content(dir.path()).unwrap(), before);
    }
}
