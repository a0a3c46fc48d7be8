//! The one embedded database: typed tables over redb, durable commits, a queue for high-rate records.
//! It knows no noun: rows and their meaning live above. Rules: a commit that returned survives a power cut;
//! a damaged record is an error that names table and key, never data; a newer store is never touched.

pub mod codec;
pub mod tables;

mod access;
mod backup;
mod chain;
mod check;
mod db;
mod failure;
mod lock;
mod migrate;
mod opening;
mod position;
mod staged;
mod view;
mod writer;

#[cfg(test)]
mod faults;

pub use access::{Batch, Fold, Named, Reader, Record, Writer};
pub use chain::{Hash, Link};
pub use check::{Damage, Report, Stats, TableStats};
pub use codec::Row;
pub use failure::panic_is_contained;
pub use migrate::FORMAT;
pub use position::Position;
pub use tables::{Series, Table, TableName};

use crate::clock::Timestamp;
use crate::error::Result;
use db::Core;
use opening::Plan;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub use writer::Lost;
use writer::{Appender, Queued};

/// An open store; clones share it. The file is closed when the last clone is gone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    // Before `core`: the thread writes its last records while the database is open.
    appender: Appender,
    core: Arc<Core>,
    /// Says who has the file open; removed with the store.
    holder: Option<lock::Holder>,
    path: Option<PathBuf>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.0.core.place).finish()
    }
}

/// What became of an attempt to open a store for reading.
#[derive(Debug)]
pub enum ReadOnly {
    Open(Store),
    /// Another process writes to it: ask that process, or wait.
    Locked,
    /// It was not closed cleanly or is of an older format: open it read-write once.
    NeedsRepair,
    /// There is no store yet.
    Missing,
}

impl Store {
    /// Opens the store for this process alone, creates it when missing, and migrates an older one after a
    /// backup copy. Waits up to 250 ms for another process.
    ///
    /// # Errors
    /// `STORE_LOCKED` names the holder; `STORE_NEWER` and `STORE_DAMAGED` leave the file untouched;
    /// `STORE_FULL`, `STORE_IO`.
    pub fn open(path: &Path, now: Timestamp) -> Result<Self> {
        let live = lock::open(path, &Plan { format: FORMAT, steps: migrate::STEPS, now })?;
        let holder = lock::Holder::announce(path);
        let again = path.to_path_buf();
        let opener = move || lock::reopen(&again, &Plan { format: FORMAT, steps: migrate::STEPS, now });
        let core = Core::new(path.display().to_string(), live, Some(Box::new(opener)));
        Ok(Self::over(core, Some(holder), Some(path.to_path_buf())))
    }

    /// Opens the store for reading beside other readers; writes nothing.
    ///
    /// # Errors
    /// `STORE_NEWER`, `STORE_DAMAGED`, `STORE_IO`. What a caller can act on is no error but a [`ReadOnly`].
    pub fn open_read_only(path: &Path) -> Result<ReadOnly> {
        lock::open_read_only(path)
    }

    /// A store without a file, for tests.
    ///
    /// # Panics
    /// Never in practice: memory has no disk to fail.
    pub fn memory() -> Self {
        let live = opening::memory().expect("a store in memory can be created");
        Self::over(Core::new("memory".into(), live, None), None, None)
    }

    fn over(core: Core, holder: Option<lock::Holder>, path: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner { appender: Appender::new(), core: Arc::new(core), holder, path }))
    }

    /// Runs `action` over one consistent state.
    pub fn read<T>(&self, action: impl FnOnce(&Reader) -> Result<T>) -> Result<T> {
        self.0.core.read(action)
    }

    /// Runs `action` and makes all it changed durable in one commit. When it fails, nothing is changed;
    /// when it changes nothing, nothing is committed. One `write` within another is an error, not a deadlock.
    pub fn write<T>(&self, action: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        self.0.core.write(action)
    }

    /// Queues a record for the writer thread and returns at once; durable some milliseconds later.
    /// `false` when 65,536 records were waiting already and this one was dropped.
    ///
    /// # Errors
    /// Only a bug of the row type or a machine without threads; never the disk.
    pub fn append<R: Row>(&self, series: &Series<R>, at: Timestamp, row: &R) -> Result<bool> {
        self.0.core.refuse_if_read_only()?;
        self.0.appender.push(&self.0.core, Queued::Ready(Record::new(series, at, row)?))
    }

    /// Queues a record of a chain; it is linked when it is committed. As `append` in everything else.
    ///
    /// # Errors
    /// A machine without threads; never the disk.
    pub fn append_link(&self, series: &Series<Link>, at: Timestamp, body: String) -> Result<bool> {
        self.0.core.refuse_if_read_only()?;
        self.0.appender.push(&self.0.core, Queued::Ready(Record::link(series, at, body)))
    }

    /// Queues records that the writer thread makes itself, from what `make` holds. As `append` in everything else;
    /// all of them count as one in the queue, and are committed together. `chained`: the time of the record of a chain
    /// among them.
    ///
    /// # Errors
    /// A machine without threads; never the disk.
    pub fn append_later(
        &self,
        chained: Option<Timestamp>,
        make: impl FnOnce(&mut Batch) + Send + 'static,
    ) -> Result<bool> {
        self.0.core.refuse_if_read_only()?;
        self.0.appender.push(&self.0.core, Queued::Later(chained, Box::new(make)))
    }

    /// Sets who makes the record that tells a chain of records it lost; once.
    pub fn tell_losses(&self, teller: impl Fn(&mut Batch, Lost) + Send + Sync + 'static) {
        self.0.appender.tell_losses(Box::new(teller));
    }

    /// Sets what is done with the records of a series in the transaction that writes them; once, before the first one.
    pub fn fold(&self, fold: Fold) {
        self.0.appender.fold(fold);
    }

    /// Waits until everything appended so far is durable.
    ///
    /// # Errors
    /// That of the commit that failed; the records stay queued and are tried again.
    pub fn flush(&self) -> Result<()> {
        self.0.core.refuse_if_writing()?;
        self.0.appender.flush()
    }

    /// Appended records that were lost: the queue was full, or closing could not write them.
    pub fn dropped(&self) -> u64 {
        self.0.appender.dropped()
    }

    /// Appended records that wait for the writer thread.
    pub fn waiting(&self) -> usize {
        self.0.appender.waiting()
    }

    /// Commits since the store was opened, and the microseconds they took together.
    pub fn commits(&self) -> (u64, u64) {
        self.0.core.commits()
    }

    /// Writes what is queued and closes the file for all clones.
    ///
    /// # Errors
    /// When queued records could not be written.
    pub fn close(self) -> Result<()> {
        let stopped = self.0.appender.stop();
        self.0.core.close();
        if let Some(holder) = &self.0.holder {
            holder.withdraw();
        }
        stopped
    }

    /// Copies one consistent state into a new compact file at `to`, while others go on reading and writing.
    ///
    /// # Errors
    /// `STORE_DAMAGED` when a record fails its checksum: a backup holds no damage. `BACKUP_EXISTS`.
    pub fn backup(&self, to: &Path) -> Result<()> {
        backup::copy(&self.0.core, to)
    }

    /// Reads every record and verifies every page. Changes nothing; writers wait meanwhile.
    pub fn check(&self) -> Result<Report> {
        check::check(&self.0.core)
    }

    /// Sizes and row counts.
    pub fn stats(&self) -> Result<Stats> {
        check::stats(&self.0.core, self.0.path.as_deref())
    }
}
