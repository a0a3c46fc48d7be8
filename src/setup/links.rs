//! Links that umcp makes in folders of other programs: written down before they are made, taken back one by one.
//! Rule: what is there already is never replaced, and only a link that still leads where umcp let it lead is removed.

use crate::error::{Error, Result, codes};
use crate::paths::{create_private_dir, io_error};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// One link, as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub path: PathBuf,
    pub target: PathBuf,
    /// Folders that had to be created, outermost first.
    #[serde(default)]
    pub created: Vec<PathBuf>,
}

impl Link {
    pub fn new(path: PathBuf, target: PathBuf) -> Self {
        let above = path.ancestors().skip(1);
        let missing = above.take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let mut created: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
        created.reverse();
        Self { path, target, created }
    }

    /// Whether it is there as it was made.
    pub fn stands(&self) -> bool {
        fs::read_link(&self.path).is_ok_and(|target| target == self.target)
    }

    pub fn make(&self) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            create_private_dir(folder)?;
        }
        make_link(&self.target, &self.path)
    }

    /// Takes it away, and folders that were made for it and hold nothing.
    pub fn take_back(&self) -> Result<()> {
        if self.stands() {
            unlink(&self.path)?;
        }
        super::journal::remove_empty(&self.created);
        Ok(())
    }
}

/// A link at `path` that leads to the folder `target`.
pub fn make_link(target: &Path, path: &Path) -> Result<()> {
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(target, path);
    #[cfg(windows)]
    let made = std::os::windows::fs::symlink_dir(target, path);
    made.map_err(|error| {
        let failed = io_error("link", path, &error);
        match cfg!(windows) && error.kind() == ErrorKind::PermissionDenied {
            true => failed.hint("links need the Developer Mode of Windows to be on"),
            false => failed,
        }
    })
}

/// Takes a link away; one that is not there is no error.
pub fn unlink(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(meta) if !meta.is_symlink() => {
            let message = format!("`{}` is no link", path.display());
            return Err(Error::new(&codes::IO, message));
        }
        Ok(_) => {}
    }
    let gone = if cfg!(windows) { fs::remove_dir(path) } else { fs::remove_file(path) };
    gone.map_err(|error| io_error("delete", path, &error))
}
