//! The journal of edits outside the store: what a file was before is on disk before the file is touched.
//! It does not decide what to take back; that is `undo.rs`.
//! Long because writing, reading and taking back stand or fall with one layout on disk.
//! Rule: an entry is complete and synced before the first byte of an edit is written.

use super::hidden;
pub use super::links::Link;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::paths::{create_private_dir, io_error, private_options, write_atomic};
use crate::servers::Server;
use crate::{documents, ids};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Largest file that is edited, in bytes; everything umcp edits is far below.
const MAX_BYTES: u64 = 16 << 20;

/// One wanted edit of a file: what it was when the edit was planned, and what it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub path: PathBuf,
    /// `None`: there is no such file.
    pub before: Option<Vec<u8>>,
    /// `None`: the file goes away.
    pub after: Option<Vec<u8>>,
    /// Id of the client whose file it is; `None` for umcp's own files.
    pub client: Option<&'static str>,
}

impl Edit {
    /// The difference as people read it, with the secrets of servers hidden; empty when nothing changes.
    pub fn diff(&self) -> String {
        let text = |bytes: &Option<Vec<u8>>| {
            String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned()
        };
        let (file, before, after) = (self.path.display().to_string(), text(&self.before), text(&self.after));
        hidden::hide(&documents::diff::diff(&file, &before, &after), &file, &[&before, &after])
    }

    pub fn changes(&self) -> bool {
        self.before != self.after
    }
}

/// One command's edits, as they stand on disk in `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Manifest {
    pub version: u32,
    pub when: Timestamp,
    /// The command as the user would type it.
    pub command: String,
    pub files: Vec<FileRecord>,
    /// Links that it made.
    #[serde(default)]
    pub links: Vec<Link>,
    /// Servers the command added to the store.
    #[serde(default)]
    pub servers: Vec<ServerRecord>,
    /// Servers that left the store together with the edit, whole, to come back with the files.
    #[serde(default)]
    pub removed: Vec<Server>,
    /// Secrets the command put into the vault; they stay when it is taken back.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// The entry that was taken back, for the copies undo keeps; it stands again once this one is taken back.
    #[serde(default)]
    pub takes_back: Option<u64>,
    /// When it was taken back.
    #[serde(default)]
    pub undone: Option<Timestamp>,
}

/// One edited file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    pub path: PathBuf,
    /// SHA-256 of the old content, which stands beside the manifest; `None` when there was no file.
    pub before: Option<String>,
    /// SHA-256 of the new content; `None` when the file was deleted.
    pub after: Option<String>,
    /// Id of the client whose file it is. The new content of such a file stands beside the manifest too.
    #[serde(default)]
    pub client: Option<String>,
    /// Unix permission bits of the old file.
    #[serde(default)]
    pub mode: Option<u32>,
    /// Folders the edit had to create, outermost first.
    #[serde(default)]
    pub created: Vec<PathBuf>,
}

/// One added server, with the digest of its entry, so that a later change of it is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRecord {
    pub id: String,
    pub name: String,
    pub digest: String,
}

impl ServerRecord {
    pub fn of(server: &Server) -> Self {
        Self { id: server.id.clone(), name: server.name.clone(), digest: digest_of(server) }
    }

    /// Whether the entry is still what was added.
    pub fn matches(&self, server: &Server) -> bool {
        self.id == server.id && self.digest == digest_of(server)
    }
}

fn digest_of(server: &Server) -> String {
    ids::digest(&serde_json::to_vec(server).unwrap_or_default())
}

/// An entry of the journal and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: u64,
    pub folder: PathBuf,
    pub manifest: Manifest,
}

impl Entry {
    /// The content of a file from before the edit.
    pub fn before(&self, index: usize) -> Result<Option<Vec<u8>>> {
        let record = &self.manifest.files[index];
        record.before.as_ref().map(|digest| self.saved(&before_name(index), digest)).transpose()
    }

    /// The content of a client's file as umcp wrote it; `None` when it was not kept.
    pub fn after(&self, index: usize) -> Result<Option<Vec<u8>>> {
        let record = &self.manifest.files[index];
        let kept = record.after.as_ref().filter(|_| record.client.is_some());
        kept.map(|digest| self.saved(&after_name(index), digest)).transpose()
    }

    fn saved(&self, name: &str, digest: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(name);
        let bytes = fs::read(&path).map_err(|error| io_error("read", &path, &error))?;
        if ids::digest(&bytes) != digest {
            let message = format!("the saved copy `{}` is damaged", path.display());
            return Err(Error::new(&codes::STORE_DAMAGED, message));
        }
        Ok(bytes)
    }

    /// Deletes the entry with all copies of files.
    pub fn forget(&self) -> Result<()> {
        fs::remove_dir_all(&self.folder).map_err(|error| io_error("delete", &self.folder, &error))
    }

    /// Writes the manifest back, such as after it was undone.
    pub fn save(&self) -> Result<()> {
        write_atomic(&self.folder.join("manifest.json"), &manifest_text(&self.manifest))
    }
}

/// A file as it is now; `None` when there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if fs::symlink_metadata(path).is_ok() {
                let message = format!("`{}` is a link that leads nowhere", path.display());
                return Err(Error::new(&codes::IO, message));
            }
            Ok(None)
        }
        Err(error) => Err(io_error("read", path, &error)),
        Ok(meta) if !meta.is_file() => {
            Err(Error::new(&codes::IO, format!("`{}` is not a file", path.display())))
        }
        Ok(meta) if meta.len() > MAX_BYTES => {
            Err(Error::new(&codes::FILE_TOO_LARGE, format!("`{}` is larger than 16 MiB", path.display())))
        }
        Ok(_) => fs::read(path).map(Some).map_err(|error| io_error("read", path, &error)),
    }
}

/// The same as text.
pub fn read_text(path: &Path) -> Result<Option<String>> {
    let bytes = read(path)?;
    bytes.map(|bytes| documents::limits::decode(&path.display().to_string(), bytes)).transpose()
}

/// Stores what the files are now, then edits them. All edits happen, or none.
///
/// Servers are recorded only; the caller adds them to the store after `prepare` and before `commit`.
pub fn record(folder: &Path, now: Timestamp, command: &str, edits: &[Edit]) -> Result<Option<Entry>> {
    let Some(pending) = prepare(folder, now, command, edits, &[])? else { return Ok(None) };
    pending.commit().map(Some)
}

/// Writes down links and makes them, all or none; the number of the entry, where there is anything to make.
pub fn link(folder: &Path, now: Timestamp, command: &str, links: &[Link]) -> Result<Option<u64>> {
    if links.is_empty() {
        return Ok(None);
    }
    let (id, place) = new_folder(folder)?;
    let (command, links) = (command.into(), links.to_vec());
    let manifest = Manifest { version: 1, when: now, command, links, ..Manifest::default() };
    write_synced(&place.join("manifest.json"), &manifest_text(&manifest))?;
    sync_dir(&place)?;
    sync_dir(folder)?;
    for (number, link) in manifest.links.iter().enumerate() {
        if let Err(error) = link.make() {
            manifest.links[..number].iter().try_for_each(Link::take_back)?;
            let _ = fs::remove_dir_all(&place);
            return Err(error);
        }
    }
    Ok(Some(id))
}

/// An entry that is on disk, with its edits still to be made.
#[derive(Debug)]
pub struct Pending {
    entry: Entry,
    edits: Vec<Edit>,
}

/// Stores what the files are now; `None` when there is nothing to change.
pub fn prepare(
    folder: &Path,
    now: Timestamp,
    command: &str,
    edits: &[Edit],
    servers: &[Server],
) -> Result<Option<Pending>> {
    let edits: Vec<Edit> = edits.iter().filter(|edit| edit.changes()).cloned().collect();
    if edits.is_empty() && servers.is_empty() {
        return Ok(None);
    }
    let files = edits.iter().map(file_record).collect::<Result<Vec<_>>>()?;
    let manifest = Manifest {
        version: 1,
        when: now,
        command: command.into(),
        files,
        links: Vec::new(),
        servers: servers.iter().map(ServerRecord::of).collect(),
        removed: Vec::new(),
        secrets: Vec::new(),
        takes_back: None,
        undone: None,
    };
    let (id, place) = new_folder(folder)?;
    for (index, edit) in edits.iter().enumerate() {
        if let Some(bytes) = &edit.before {
            write_synced(&place.join(before_name(index)), bytes)?;
        }
        if let (Some(bytes), Some(_)) = (&edit.after, edit.client) {
            write_synced(&place.join(after_name(index)), bytes)?;
        }
    }
    write_synced(&place.join("manifest.json"), &manifest_text(&manifest))?;
    sync_dir(&place)?;
    sync_dir(folder)?;
    Ok(Some(Pending { entry: Entry { id, folder: place, manifest }, edits }))
}

impl Pending {
    /// Makes the edits. When one fails, those before it are taken back and the entry goes.
    pub fn commit(self) -> Result<Entry> {
        for (index, edit) in self.edits.iter().enumerate() {
            let done = unchanged(edit).and_then(|()| put(&edit.path, edit.after.as_deref()));
            if let Err(error) = done {
                for (edit, record) in self.edits.iter().zip(&self.entry.manifest.files).take(index).rev() {
                    put(&edit.path, edit.before.as_deref())?;
                    remove_empty(&record.created);
                }
                self.abandon();
                return Err(error);
            }
        }
        Ok(self.entry)
    }

    /// Forgets the entry; nothing was edited.
    pub fn abandon(self) {
        // A folder that stays behind holds copies of files that are as they were: harmless.
        let _ = fs::remove_dir_all(&self.entry.folder);
    }
}

/// Writes a file as a whole, or takes it away.
pub fn put(path: &Path, bytes: Option<&[u8]>) -> Result<()> {
    match bytes {
        Some(bytes) => write_atomic(path, bytes),
        None => match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("delete", path, &error)),
            _ => Ok(()),
        },
    }
}

/// Takes folders away again that hold nothing.
pub fn remove_empty(folders: &[PathBuf]) {
    for folder in folders.iter().rev() {
        // A folder that holds something by now is somebody's.
        let _ = fs::remove_dir(folder);
    }
}

/// All entries, oldest first. A folder without a readable manifest was never finished and is passed over.
pub fn entries(folder: &Path) -> Result<Vec<Entry>> {
    let read = match fs::read_dir(folder) {
        Ok(read) => read,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("read", folder, &error)),
    };
    let mut entries: Vec<Entry> = read
        .flatten()
        .filter_map(|item| {
            let id = item.file_name().to_string_lossy().parse().ok()?;
            let manifest = fs::read(item.path().join("manifest.json")).ok()?;
            Some(Entry { id, folder: item.path(), manifest: serde_json::from_slice(&manifest).ok()? })
        })
        .collect();
    entries.sort_by_key(|entry| entry.id);
    Ok(entries)
}

fn before_name(index: usize) -> String {
    format!("{index}.before")
}

fn after_name(index: usize) -> String {
    format!("{index}.after")
}

fn manifest_text(manifest: &Manifest) -> Vec<u8> {
    serde_json::to_vec_pretty(manifest).expect("a manifest has only text keys")
}

fn unchanged(edit: &Edit) -> Result<()> {
    if read(&edit.path)? == edit.before {
        return Ok(());
    }
    let message = format!("`{}` was changed by another program in this moment", edit.path.display());
    Err(Error::new(&codes::UNDO_CHANGED, message).hint("run the command again"))
}

fn file_record(edit: &Edit) -> Result<FileRecord> {
    unchanged(edit)?;
    let mut created: Vec<PathBuf> = edit
        .path
        .ancestors()
        .skip(1)
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .map(Path::to_path_buf)
        .collect();
    created.reverse();
    Ok(FileRecord {
        path: edit.path.clone(),
        before: edit.before.as_deref().map(ids::digest),
        after: edit.after.as_deref().map(ids::digest),
        client: edit.client.map(String::from),
        mode: mode_of(&edit.path),
        created,
    })
}

/// Unix permission bits of a file.
pub fn mode_of(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(path).ok().map(|meta| meta.permissions().mode() & 0o7777)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Gives a file its permission bits back.
pub fn set_mode(path: &Path, mode: Option<u32>) -> Result<()> {
    #[cfg(unix)]
    if let Some(mode) = mode {
        use std::os::unix::fs::PermissionsExt;
        return fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|error| io_error("set the permissions of", path, &error));
    }
    let _ = (path, mode);
    Ok(())
}

/// A folder of its own for the next entry; creating it takes the number, so two commands never share one.
fn new_folder(folder: &Path) -> Result<(u64, PathBuf)> {
    create_private_dir(folder)?;
    // Numbers count on past entries that cannot be read.
    let names = fs::read_dir(folder).map_err(|error| io_error("read", folder, &error))?.flatten();
    let taken = names.filter_map(|item| item.file_name().to_string_lossy().parse::<u64>().ok());
    let mut id = taken.max().unwrap_or(0) + 1;
    loop {
        let claim = folder.join(id.to_string());
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&claim) {
            Ok(()) => return Ok((id, claim)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => id += 1,
            Err(error) => return Err(io_error("create", &claim, &error)),
        }
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = (|| {
        let mut file = private_options().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    })();
    written.map_err(|error| io_error("write", path, &error))
}

fn sync_dir(path: &Path) -> Result<()> {
    // Windows has no such call for folders.
    if cfg!(unix) {
        let synced = fs::File::open(path).and_then(|dir| dir.sync_all());
        return synced.map_err(|error| io_error("sync", path, &error));
    }
    Ok(())
}
