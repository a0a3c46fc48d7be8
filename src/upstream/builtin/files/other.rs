//! Directory handles where the system offers none to walk with: each path is made canonical and must then lie
//! below the canonical root, compared name by name. A link exchanged between that and its use is not noticed.

use super::{Info, Kind};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A directory, and the root it must stay below.
pub struct Dir {
    root: PathBuf,
    path: PathBuf,
}

/// Whether the error means that a link leads out of the root.
pub fn is_escape(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::CrossesDevices
}

impl Dir {
    pub fn root(path: &Path) -> io::Result<Self> {
        let root = path.canonicalize()?;
        match root.is_dir() {
            true => Ok(Self { path: root.clone(), root }),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn below(&self, below: &Path) -> io::Result<PathBuf> {
        let path = if below.as_os_str().is_empty() { self.path.clone() } else { self.path.join(below) };
        let path = path.canonicalize()?;
        if path.starts_with(&self.root) { Ok(path) } else { Err(io::ErrorKind::CrossesDevices.into()) }
    }

    pub fn dir(&self, below: &Path) -> io::Result<Self> {
        let path = self.below(below)?;
        match path.is_dir() {
            true => Ok(Self { root: self.root.clone(), path }),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub fn child(&self, name: &OsStr) -> io::Result<Self> {
        match self.info(name)?.kind {
            Kind::Directory => self.dir(Path::new(name)),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub fn file(&self, below: &Path) -> io::Result<File> {
        let path = self.below(below)?;
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let file = File::open(path)?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
        }
    }

    pub fn info(&self, name: &OsStr) -> io::Result<Info> {
        info_of(&fs::symlink_metadata(self.path.join(name))?)
    }

    pub fn own_info(&self) -> io::Result<Info> {
        info_of(&fs::metadata(&self.path)?)
    }

    pub fn link(&self, name: &OsStr) -> io::Result<PathBuf> {
        fs::read_link(self.path.join(name))
    }

    pub fn entries(&self) -> io::Result<Vec<(OsString, Kind)>> {
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            Ok((entry.file_name(), kind_of(entry.file_type()?)))
        };
        fs::read_dir(&self.path)?.map(entry).collect()
    }

    pub fn make(&self, name: &OsStr) -> io::Result<()> {
        fs::create_dir(self.path.join(name))
    }

    /// Puts a file with this content in the place of what was there, in one step. True when nothing was.
    pub fn replace(&self, name: &OsStr, content: &[u8]) -> io::Result<bool> {
        let created = self.info(name).is_err();
        let temporary = self.path.join(format!(".umcp-{}", crate::ids::random_hex(8)));
        let mut file = File::options().write(true).create_new(true).open(&temporary)?;
        let written = file.write_all(content);
        drop(file);
        let moved = written.and_then(|()| fs::rename(&temporary, self.path.join(name)));
        if moved.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        moved.map(|()| created)
    }
}

fn kind_of(kind: fs::FileType) -> Kind {
    match (kind.is_symlink(), kind.is_dir(), kind.is_file()) {
        (true, ..) => Kind::Link,
        (_, true, _) => Kind::Directory,
        (_, _, true) => Kind::File,
        _ => Kind::Other,
    }
}

fn info_of(data: &fs::Metadata) -> io::Result<Info> {
    let since = data.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    Ok(Info {
        kind: kind_of(data.file_type()),
        size: data.len(),
        modified: since.and_then(|since| i64::try_from(since.as_secs()).ok()),
    })
}
