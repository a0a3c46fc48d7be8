//! Where things live on disk, and the owner-only creation of files and folders.
//! `UMCP_HOME` moves everything into one folder. The only home of the `directories` crate.

use crate::error::{Error, Result, codes};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// All directories of one installation. Cheap to clone; nothing is created until `create`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Settings the user may edit (`config.yaml`, `secrets.env`).
    pub config: PathBuf,
    /// The store and its backups.
    pub data: PathBuf,
    /// Logs, lock files, the names index.
    pub state: PathBuf,
    /// The local socket.
    pub runtime: PathBuf,
    /// Things that can be made again.
    pub cache: PathBuf,
    /// The user's home, where other programs keep their files.
    pub home: PathBuf,
}

impl Paths {
    /// Resolves from `UMCP_HOME` or the platform's conventions.
    pub fn from_env() -> Result<Self> {
        let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty()).ok_or_else(|| {
            Error::new(&codes::IO, "the home directory is not known").hint("set HOME or UMCP_HOME")
        })?;
        if let Some(root) = std::env::var_os("UMCP_HOME").filter(|value| !value.is_empty()) {
            return Ok(Self::in_folder(&PathBuf::from(root), home));
        }
        let dirs = directories::ProjectDirs::from("", "", "umcp").ok_or_else(|| {
            Error::new(&codes::IO, "the home directory is not known").hint("set HOME or UMCP_HOME")
        })?;
        let state = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_path_buf();
        let runtime =
            dirs.runtime_dir().filter(|dir| dir.parent().is_some_and(Path::exists)).map(Path::to_path_buf);
        Ok(Self {
            config: dirs.config_dir().to_path_buf(),
            data: dirs.data_local_dir().to_path_buf(),
            runtime: runtime.unwrap_or_else(|| state.join("run")),
            state,
            cache: dirs.cache_dir().to_path_buf(),
            home,
        })
    }

    /// Everything below one folder, as `UMCP_HOME` asks for. `home` stays the user's home.
    pub fn in_folder(root: &Path, home: PathBuf) -> Self {
        let root = if root.is_absolute() {
            root.to_path_buf()
        } else {
            std::env::current_dir().unwrap_or_default().join(root)
        };
        Self {
            config: root.join("config"),
            data: root.join("data"),
            state: root.join("state"),
            runtime: root.join("run"),
            cache: root.join("cache"),
            home,
        }
    }

    pub fn store(&self) -> PathBuf {
        self.data.join("store.redb")
    }

    /// The local socket. A path too long for a socket address moves to the temporary folder under a hashed name.
    pub fn socket(&self) -> PathBuf {
        let path = self.runtime.join("umcp.sock");
        if path.as_os_str().len() < 100 {
            return path;
        }
        let digest = crc32fast::hash(path.as_os_str().as_encoded_bytes());
        std::env::temp_dir().join(format!("umcp-{digest:08x}")).join("umcp.sock")
    }

    /// Held by the living daemon.
    pub fn daemon_lock(&self) -> PathBuf {
        self.state.join("daemon.lock")
    }

    /// Held by whoever is starting a daemon.
    pub fn start_lock(&self) -> PathBuf {
        self.state.join("start.lock")
    }

    pub fn daemon_log(&self) -> PathBuf {
        self.state.join("logs").join("daemon.log")
    }

    /// The certificate umcp made for its listeners.
    pub fn own_certificate(&self) -> PathBuf {
        self.data.join("endpoint.crt")
    }

    /// All that a package manager said when it failed last.
    pub fn packages_log(&self) -> PathBuf {
        self.state.join("packages.log")
    }

    pub fn server_log(&self, id: &str) -> PathBuf {
        self.state.join("logs").join(format!("{id}.log"))
    }

    /// Names for shell completion; see `engine/names_index.rs`.
    pub fn names_index(&self) -> PathBuf {
        self.state.join("names.idx")
    }

    pub fn settings_file(&self) -> PathBuf {
        self.config.join("config.yaml")
    }

    /// `NAME=VALUE` lines, owner-only, read for `secret://NAME`.
    pub fn secrets_file(&self) -> PathBuf {
        self.config.join("secrets.env")
    }

    /// What opens the vault unless another key file or a passphrase does; owner-only.
    pub fn vault_key(&self) -> PathBuf {
        self.data.join("vault.key")
    }

    /// Copies of foreign files from before an edit, for `umcp undo`.
    pub fn undo(&self) -> PathBuf {
        self.data.join("undo")
    }

    /// Large results kept out of the store.
    pub fn results(&self) -> PathBuf {
        self.data.join("results")
    }

    /// A folder of its own for one server.
    pub fn work(&self, id: &str) -> PathBuf {
        self.data.join("work").join(id)
    }

    /// Everything no server has any business with: settings, secrets, the store and its key, logs, the socket. Folders
    /// and what is in them, so that the rest stays private where a server's own program lies in one.
    pub fn private(&self) -> Vec<PathBuf> {
        let mut places =
            vec![self.config.clone(), self.data.clone(), self.state.clone(), self.runtime.clone()];
        places.extend(self.socket().parent().map(Path::to_path_buf));
        let inside = [&self.config, &self.data, &self.state].into_iter().flat_map(fs::read_dir).flatten();
        places.extend(inside.flatten().map(|entry| entry.path()));
        places
    }

    /// Creates the private directories.
    pub fn create(&self) -> Result<()> {
        for dir in [&self.config, &self.data, &self.state, &self.runtime] {
            create_private_dir(dir)?;
        }
        if let Some(dir) = self.socket().parent() {
            create_private_dir(dir)?;
        }
        create_private_dir(&self.state.join("logs"))
    }
}

/// An error of the file system with its path.
pub fn io_error(action: &str, path: &Path, error: &std::io::Error) -> Error {
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => &codes::FILE_NOT_FOUND,
        _ => &codes::IO,
    };
    Error::new(code, format!("cannot {action} `{}`", path.display())).because(error)
}

/// Creates a directory, and its missing parents, readable by the owner only.
pub fn create_private_dir(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| io_error("create", path, &error))
}

/// Options for a new or existing file that only the owner may read.
pub fn private_options() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Replaces `path` as a whole: temporary file beside it, sync, rename. Keeps the mode of an existing file;
/// a new one is owner-only. A symbolic link is followed, so that a linked dotfile stays a link.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, fs::File::sync_all)
}

/// As [`write_atomic`] for what can be made again: nothing waits for the disk, and a power cut may lose it.
pub fn write_cache(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, |_| Ok(()))
}

fn replace(path: &Path, bytes: &[u8], sync: impl Fn(&fs::File) -> std::io::Result<()>) -> Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let dir = target.parent().unwrap_or(Path::new("."));
    create_private_dir(dir)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    // A name nobody can have made a file of before.
    let temporary = dir.join(format!(".{name}.{}.tmp", crate::ids::random_hex(8)));
    let written = (|| {
        let mut file = private_options().write(true).create_new(true).open(&temporary)?;
        if let Ok(meta) = fs::metadata(&target) {
            file.set_permissions(meta.permissions())?;
        }
        file.write_all(bytes)?;
        sync(&file)?;
        fs::rename(&temporary, &target)
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        io_error("write", path, &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atomic_write_keeps_the_mode_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.json");
        write_atomic(&file, b"one").unwrap();
        write_atomic(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_long_home_still_has_a_short_socket() {
        let root = PathBuf::from("/tmp").join("x".repeat(150));
        let paths = Paths::in_folder(&root, "/home/u".into());
        assert!(paths.socket().as_os_str().len() < 100);
    }
}
