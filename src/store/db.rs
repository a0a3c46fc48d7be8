//! The database handle: how it is shared, healed after a failed write and closed.
//! It knows neither tables nor rows. Rule: what `write` returned as done is on the disk.

use super::access::{Reader, Writer};
use super::failure::{call, from_io};
use super::staged::Staged;
use super::view::Source;
use crate::error::{Error, Result, codes};
use redb::{Database, Durability, ReadOnlyDatabase, ReadableDatabase};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A database and what lies under it.
pub struct Live {
    /// Always there until the drop.
    database: Option<Handle>,
    /// The bytes below redb; none for a store in memory.
    below: Option<Staged>,
}

impl Live {
    pub fn new(database: Handle, below: Option<Staged>) -> Self {
        Self { database: Some(database), below }
    }

    pub fn below(&self) -> Option<&Staged> {
        self.below.as_ref()
    }

    /// Lets writes through to the file.
    pub fn release(&self, place: &str) -> Result<()> {
        let released = self.below.as_ref().map_or(Ok(()), Staged::release);
        released.map_err(|error| from_io(place, &error))
    }

    pub fn handle(&self) -> &Handle {
        self.database.as_ref().expect("a handle is taken only by the drop")
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let database = self.database.take();
        // Closing writes; over damaged pages that may panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

pub enum Handle {
    ReadWrite(Database),
    ReadOnly(ReadOnlyDatabase),
}

/// Opens the database anew after a failed write.
type Opener = Box<dyn Fn() -> Result<Live> + Send + Sync>;

/// The handle all users of one store share.
pub struct Core {
    pub place: String,
    /// Commits since the store was opened, and the microseconds they took together.
    commits: AtomicU64,
    commit_us: AtomicU64,
    slot: Mutex<Slot>,
    opener: Option<Opener>,
    writable: bool,
}

thread_local! {
    /// The store this thread is writing to, or zero.
    static WRITING: Cell<usize> = const { Cell::new(0) };
}

/// Puts back what stood in `WRITING`, also when a writer panics.
struct Mark(usize);

impl Mark {
    fn set(store: usize) -> Self {
        Self(WRITING.replace(store))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        WRITING.set(self.0);
    }
}

struct Slot {
    live: Option<Arc<Live>>,
    /// A write failed half-way: redb refuses to go on until the file is opened anew.
    failed: bool,
    closed: bool,
}

impl Core {
    pub fn new(place: String, live: Live, opener: Option<Opener>) -> Self {
        let writable = matches!(live.handle(), Handle::ReadWrite(_));
        let slot = Slot { live: Some(Arc::new(live)), failed: false, closed: false };
        let (commits, commit_us) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { place, commits, commit_us, slot: Mutex::new(slot), opener, writable }
    }

    pub fn read<T>(&self, action: impl FnOnce(&Reader) -> Result<T>) -> Result<T> {
        let live = self.live()?;
        action(&reader(&self.place, &live)?)
    }

    pub fn write<T>(&self, action: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        self.refuse_if_writing()?;
        self.refuse_if_read_only()?;
        let live = self.live()?;
        let Handle::ReadWrite(database) = live.handle() else {
            return Err(Error::bug("a store changed from writing to reading"));
        };
        let _mark = Mark::set(self.mark());
        // A damaged record the caller met says nothing against the handle.
        let mut by_caller = false;
        // Only now: a store that is opened and never written to costs no sync.
        let began = Instant::now();
        let mut changed = false;
        let outcome = live.release(&self.place).and_then(|()| {
            write(&self.place, database, |tx| {
                let done = action(tx).inspect_err(|error| by_caller = error.is(&codes::STORE_DAMAGED));
                changed = tx.changed;
                done
            })
        });
        if changed && outcome.is_ok() {
            self.commits.fetch_add(1, Relaxed);
            let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.commit_us.fetch_add(took, Relaxed);
        }
        if !by_caller && outcome.as_ref().is_err_and(needs_reopening) {
            self.slot().failed = true;
        }
        outcome
    }

    /// Commits since the store was opened, and the microseconds they took together.
    pub fn commits(&self) -> (u64, u64) {
        (self.commits.load(Relaxed), self.commit_us.load(Relaxed))
    }

    /// A second write on the same thread would wait for the first for ever.
    pub fn refuse_if_writing(&self) -> Result<()> {
        if WRITING.get() == self.mark() {
            return Err(Error::bug(format!("the store `{}` is being written by its own writer", self.place)));
        }
        Ok(())
    }

    pub fn refuse_if_read_only(&self) -> Result<()> {
        if self.writable {
            return Ok(());
        }
        Err(Error::bug(format!("the store `{}` is open for reading only", self.place)))
    }

    /// Stands for this store in `WRITING`.
    fn mark(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The shared handle; a store whose last write failed is opened anew first.
    pub fn live(&self) -> Result<Arc<Live>> {
        let mut slot = self.slot();
        if slot.closed {
            return Err(Error::new(&codes::STORE_IO, format!("the store `{}` is closed", self.place)));
        }
        if let Some(opener) = self.opener.as_ref().filter(|_| slot.failed)
            && slot.live.as_ref().is_none_or(|live| Arc::strong_count(live) == 1)
        {
            // Handles are given out under this lock only, so nobody else can hold one now.
            slot.live = None;
            slot.live = Some(Arc::new(opener()?));
            slot.failed = false;
        }
        slot.live.clone().ok_or_else(|| Error::bug("an open store has no handle"))
    }

    /// Lets go of the file once the last running transaction ends.
    pub fn close(&self) {
        let mut slot = self.slot();
        slot.closed = true;
        slot.live = None;
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // Every change of the slot is a single assignment; a panic cannot leave half of one.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn needs_reopening(error: &Error) -> bool {
    [&codes::STORE_FULL, &codes::STORE_IO, &codes::STORE_DAMAGED].into_iter().any(|code| error.is(code))
}

/// Begins a read of the latest state.
pub fn reader(place: &str, live: &Live) -> Result<Reader> {
    let tx = call(place, || match live.handle() {
        Handle::ReadWrite(database) => database.begin_read(),
        Handle::ReadOnly(database) => database.begin_read(),
    })?;
    Ok(Reader { place: place.into(), source: Source::Read(tx) })
}

/// One durable commit, or none when `action` failed or changed nothing.
pub fn write<T>(
    place: &str,
    database: &Database,
    action: impl FnOnce(&mut Writer) -> Result<T>,
) -> Result<T> {
    let mut tx = call(place, || database.begin_write())?;
    call(place, || tx.set_durability(Durability::Immediate))?;
    // Costs a second sync, and makes the next start after a kill a matter of milliseconds at any size.
    tx.set_quick_repair(true);
    let reader = Reader { place: place.into(), source: Source::Write(Box::new(tx)) };
    let mut writer = Writer { reader, changed: false };
    let outcome = catch_unwind(AssertUnwindSafe(|| action(&mut writer)));
    let commit = writer.changed && matches!(outcome, Ok(Ok(_)));
    let Source::Write(tx) = writer.reader.source else {
        return Err(Error::bug("a write transaction turned into a read"));
    };
    let ended = if commit { call(place, || tx.commit()) } else { call(place, || tx.abort()) };
    match outcome {
        Ok(Ok(value)) => ended.map(|()| value),
        Ok(Err(error)) => Err(error),
        // A bug of the caller, not damage: it goes on, over a closed transaction.
        Err(panic) => resume_unwind(panic),
    }
}
