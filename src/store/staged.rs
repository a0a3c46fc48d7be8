//! A storage backend that holds back every write until it is told to let them through.
//! Opening a database writes to it; staged, a store that turns out damaged or newer was never touched.
//! It is no cache: once released it only forwards.

use redb::{BackendError, StorageBackend};
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by the database that uses it and the store that releases it.
#[derive(Debug, Clone)]
pub struct Staged {
    inner: Arc<dyn StorageBackend>,
    /// Locks are left to whoever holds the file already.
    locking: bool,
    pending: Arc<Mutex<Option<Pending>>>,
}

#[derive(Debug, Default)]
struct Pending {
    steps: Vec<Step>,
    /// Length as the database sees it, once it changed it.
    len: Option<u64>,
}

#[derive(Debug)]
enum Step {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

impl Staged {
    pub fn new(inner: Arc<dyn StorageBackend>) -> Self {
        Self { inner, locking: true, pending: Arc::new(Mutex::new(Some(Pending::default()))) }
    }

    /// A second look at a file this process has locked: takes no lock, and is never released.
    pub fn observer(&self) -> Self {
        Self { locking: false, ..Self::new(Arc::clone(&self.inner)) }
    }

    /// The bytes as they are on the disk.
    pub fn inner(&self) -> &dyn StorageBackend {
        self.inner.as_ref()
    }

    /// Repeats everything held back, in its order and with its syncs; from now on nothing is.
    /// After an error all of it is still held back.
    pub fn release(&self) -> io::Result<()> {
        let mut pending = self.pending();
        for step in pending.iter().flat_map(|pending| &pending.steps) {
            match step {
                Step::Write(offset, data) => self.inner.write(*offset, data)?,
                Step::SetLen(len) => self.inner.set_len(*len)?,
                Step::Sync => self.inner.sync_data()?,
            }
        }
        *pending = None;
        Ok(())
    }

    /// Whether all that is held back is the mark "in use" at the head of a cleanly closed file.
    /// After an unclean end redb writes more, and that repair is not to be put off.
    pub fn is_mark_only(&self) -> bool {
        let pending = self.pending();
        let steps = pending.iter().flat_map(|pending| &pending.steps);
        let mut changes = steps.filter(|step| !matches!(step, Step::Sync));
        matches!((changes.next(), changes.next()), (None | Some(Step::Write(0, _)), None))
    }

    fn pending(&self) -> MutexGuard<'_, Option<Pending>> {
        // A list of steps is whole whenever the lock is free.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies the part of `data`, standing at `at`, that falls into `out`, which stands at `offset`.
fn overlay(out: &mut [u8], offset: u64, at: u64, data: &[u8]) {
    let from = at.max(offset);
    let until = (at + data.len() as u64).min(offset + out.len() as u64);
    if from < until {
        let length = (until - from) as usize;
        let (target, source) = ((from - offset) as usize, (from - at) as usize);
        out[target..target + length].copy_from_slice(&data[source..source + length]);
    }
}

impl StorageBackend for Staged {
    fn len(&self) -> io::Result<u64> {
        match &*self.pending() {
            Some(Pending { len: Some(len), .. }) => Ok(*len),
            _ => self.inner.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let pending = self.pending();
        let Some(pending) = pending.as_ref().filter(|pending| !pending.steps.is_empty()) else {
            drop(pending);
            return self.inner.read(offset, out);
        };
        let mut end = self.inner.len()?;
        if offset + out.len() as u64 > pending.len.unwrap_or(end) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.fill(0);
        let there = end.saturating_sub(offset).min(out.len() as u64) as usize;
        self.inner.read(offset, &mut out[..there])?;
        for step in &pending.steps {
            match step {
                Step::Write(at, data) => overlay(out, offset, *at, data),
                Step::SetLen(len) => {
                    if *len < end {
                        let keep = len.saturating_sub(offset).min(out.len() as u64) as usize;
                        out[keep..].fill(0);
                    }
                    end = *len;
                }
                Step::Sync => {}
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut pending = self.pending();
        match pending.as_mut() {
            Some(pending) => {
                pending.len = Some(len);
                pending.steps.push(Step::SetLen(len));
                Ok(())
            }
            None => self.inner.set_len(len),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut pending = self.pending();
        match pending.as_mut() {
            Some(pending) => {
                pending.steps.push(Step::Sync);
                Ok(())
            }
            None => {
                drop(pending);
                self.inner.sync_data()
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut pending = self.pending();
        match pending.as_mut() {
            Some(pending) => {
                pending.steps.push(Step::Write(offset, data.to_vec()));
                Ok(())
            }
            None => {
                drop(pending);
                self.inner.write(offset, data)
            }
        }
    }

    fn close(&self) -> io::Result<()> {
        if self.locking { self.inner.close() } else { Ok(()) }
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        if self.locking { self.inner.try_lock_range(start, end) } else { Ok(true) }
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        if self.locking { self.inner.try_lock_shared_range(start, end) } else { Ok(true) }
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if self.locking { self.inner.lock_range(start, end) } else { Ok(()) }
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if self.locking { self.inner.lock_shared_range(start, end) } else { Ok(()) }
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if self.locking { self.inner.unlock_range(start, end) } else { Ok(()) }
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        if self.locking { self.inner.query_lock_range(start, end) } else { Ok(false) }
    }
}
