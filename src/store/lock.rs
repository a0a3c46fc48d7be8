//! Getting hold of the store's file: creation, waiting for another process, and saying who has it.
//! The lock itself is redb's; the `.holder` file beside the store only serves the error message.

use super::db::{Core, Handle, Live};
use super::failure::{call, from_io};
use super::opening::{self, Plan};
use super::{ReadOnly, Store, migrate};
use crate::error::{Error, Result, codes};
use crate::{ids, paths};
use redb::DatabaseError;
use redb::backends::FileBackend;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Attempts and the pause between them: 250 ms together.
const ATTEMPTS: u32 = 26;
const PAUSE: Duration = Duration::from_millis(10);

/// Opens `path` read-write, creating it when missing.
pub fn open(path: &Path, plan: &Plan) -> Result<Live> {
    if !path.exists() {
        create(path, plan)?;
    }
    reopen(path, plan)
}

/// Opens the existing `path` read-write, waiting for another process.
pub fn reopen(path: &Path, plan: &Plan) -> Result<Live> {
    let mut attempt = 1;
    loop {
        match opening::open_file(path, plan) {
            Err(error) if error.is(&codes::STORE_LOCKED) && attempt < ATTEMPTS => {
                attempt += 1;
                std::thread::sleep(PAUSE);
            }
            Err(error) if error.is(&codes::STORE_LOCKED) => return Err(name_holder(path, error)),
            other => return other,
        }
    }
}

pub fn open_read_only(path: &Path) -> Result<ReadOnly> {
    let place = path.display().to_string();
    let opened = call(&place, || match opening::builder().open_read_only(path) {
        Ok(database) => Ok(Ok(database)),
        Err(DatabaseError::DatabaseAlreadyOpen) => Ok(Err(ReadOnly::Locked)),
        Err(DatabaseError::RepairAborted) => Ok(Err(ReadOnly::NeedsRepair)),
        Err(DatabaseError::Storage(redb::StorageError::Io(error)))
            if error.kind() == io::ErrorKind::NotFound =>
        {
            Ok(Err(ReadOnly::Missing))
        }
        Err(error) => Err(error),
    })?;
    let database = match opened {
        Ok(database) => database,
        Err(outcome) => return Ok(outcome),
    };
    let live = Live::new(Handle::ReadOnly(database), None);
    let (found, _) = opening::look(&place, &live)?;
    migrate::accept(&place, &found, migrate::FORMAT)?;
    if found.format < migrate::FORMAT {
        return Ok(ReadOnly::NeedsRepair);
    }
    Ok(ReadOnly::Open(Store::over(Core::new(place, live, None), None, Some(path.to_path_buf()))))
}

/// Builds the new store aside and links it into place, so that a half-made one never bears the name.
fn create(path: &Path, plan: &Plan) -> Result<()> {
    let place = path.display().to_string();
    let folder = path.parent().unwrap_or(Path::new("."));
    paths::create_private_dir(folder)?;
    let aside = path.with_extension(ids::fresh("new"));
    let made = make(&place, &aside, plan).and_then(|()| {
        match fs::hard_link(&aside, path) {
            // Another process was quicker; its store is as good.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // A file system without hard links.
            Err(_) if !path.exists() => fs::rename(&aside, path),
            other => other,
        }
        .and_then(|()| sync_folder(folder))
        .map_err(|error| from_io(&place, &error))
    });
    let _ = fs::remove_file(&aside);
    made
}

fn make(place: &str, aside: &Path, plan: &Plan) -> Result<()> {
    let file = paths::private_options().read(true).write(true).create_new(true).open(aside);
    let file = file.map_err(|error| from_io(place, &error))?;
    let below = call(place, || FileBackend::new(file))?;
    let format = migrate::fresh(plan.format, ids::fresh("sto"), plan.now);
    opening::create(place, below, &format).map(drop)
}

/// Makes a new name in `folder` durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// The note beside the store that says which process has it open.
pub struct Holder(PathBuf);

impl Holder {
    /// Writes the note; a failure costs only the name in another's message.
    pub fn announce(store: &Path) -> Self {
        let path = note(store);
        let written = paths::private_options().write(true).create(true).truncate(true).open(&path);
        if let Ok(mut file) = written {
            use io::Write;
            let _ = write!(file, "{}", std::process::id());
        }
        Self(path)
    }

    pub fn withdraw(&self) {
        if read_note(&self.0) == Some(std::process::id()) {
            let _ = fs::remove_file(&self.0);
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.withdraw();
    }
}

fn note(store: &Path) -> PathBuf {
    store.with_extension("holder")
}

fn read_note(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn name_holder(path: &Path, error: Error) -> Error {
    let error = error.hint("umcp gateway status");
    match read_note(&note(path)).filter(|process| may_live(*process)) {
        Some(process) => {
            let message = format!("process {process} has the store `{}` open", path.display());
            Error { message, ..error }
        }
        None => error,
    }
}

/// A killed process leaves its note behind; where that can be seen cheaply, its number is not repeated.
fn may_live(process: u32) -> bool {
    !cfg!(target_os = "linux") || Path::new("/proc").join(process.to_string()).exists()
}
