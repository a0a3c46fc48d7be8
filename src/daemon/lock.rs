//! The two locks of the daemon's life: `daemon.lock`, held by the living daemon, and `start.lock`, held by
//! whoever is starting one. The kernel drops them with their process, so there is nothing stale to clean;
//! the files stay. Rule: the pid inside is for messages only and decides nothing.

use crate::error::{Error, Result, codes};
use crate::paths::{Paths, io_error, private_options};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a daemon waits for its lock. Those who only look at the lock hold it for microseconds.
const LOOKERS_GONE: Duration = Duration::from_millis(200);

/// Pause between two tries at a lock.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// Held by the daemon from before it opens the store until its end. Drop it last.
#[derive(Debug)]
pub struct Guard {
    _lock: Held,
}

/// A file locked by us. Unlocks by word, because closing is not enough while a child between fork and exec
/// still has a copy of the descriptor.
#[derive(Debug)]
pub(super) struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl Guard {
    /// Makes this process the daemon. `None`: there is one already.
    pub fn take(paths: &Paths) -> Result<Option<Self>> {
        let path = paths.daemon_lock();
        let deadline = Instant::now() + LOOKERS_GONE;
        let mut lock = loop {
            match try_lock(&path)? {
                Some(lock) => break lock,
                None if Instant::now() >= deadline => return Ok(None),
                None => std::thread::sleep(PAUSE),
            }
        };
        let file = &mut lock.0;
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{} {}", std::process::id(), super::wire::VERSION));
        written.map_err(|error| io_error("write", &path, &error))?;
        Ok(Some(Self { _lock: lock }))
    }
}

/// Whether a daemon lives, ready or not.
pub fn is_held(paths: &Paths) -> Result<bool> {
    let path = paths.daemon_lock();
    match File::open(&path) {
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => {
                drop(Held(file));
                Ok(false)
            }
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(io_error("lock", &path, &error)),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("open", &path, &error)),
    }
}

/// Process id of the living daemon, where it can be read.
pub fn holder(paths: &Paths) -> Option<u32> {
    if !is_held(paths).ok()? {
        return None;
    }
    let mut text = String::new();
    File::open(paths.daemon_lock()).ok()?.read_to_string(&mut text).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Waits until no daemon lives.
pub(super) fn wait_free(paths: &Paths, deadline: Instant) -> Result<()> {
    while is_held(paths)? {
        if Instant::now() >= deadline {
            let pid = holder(paths).map_or_else(String::new, |pid| format!(" (pid {pid})"));
            return Err(Error::new(&codes::DAEMON_UNAVAILABLE, format!("the daemon{pid} does not end"))
                .hint("umcp gateway logs"));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Tries once, making the file when it is not there. `None`: somebody else holds it.
pub(super) fn try_lock(path: &Path) -> Result<Option<Held>> {
    let opened = private_options().read(true).write(true).create(true).truncate(false).open(path);
    let file = opened.map_err(|error| io_error("open", path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Held(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(io_error("lock", path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_guard_at_a_time_and_the_file_names_its_holder() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(home.path(), home.path().into());
        assert!(!is_held(&paths).unwrap());
        paths.create().unwrap();
        let guard = Guard::take(&paths).unwrap();
        assert!(guard.is_some() && is_held(&paths).unwrap());
        assert_eq!(holder(&paths), Some(std::process::id()));
        assert!(Guard::take(&paths).unwrap().is_none());
        drop(guard);
        assert_eq!((is_held(&paths).unwrap(), holder(&paths)), (false, None));
        assert!(Guard::take(&paths).unwrap().is_some());
    }
}
