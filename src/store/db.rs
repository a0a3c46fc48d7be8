//! The database handle: how it is opened, shared, healed after a failed write and closed.
//! It knows tables only as a list and rows not at all. Rule: until a store has proved to be ours, of a known
//! format and whole enough to open, not a byte of its file is written (see `staged.rs`).

use super::access::{Reader, Writer};
use super::failure::{call, damaged, from_io};
use super::migrate::{self, Format, Step};
use super::staged::Staged;
use super::tables;
use super::view::Source;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Database, Durability, ReadOnlyDatabase, ReadableDatabase, StorageBackend, TableHandle};
use std::fs::OpenOptions;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Page cache of redb. Small: the daemon idles, and hot pages are few.
const CACHE: usize = 8 << 20;

/// The tables, the format and the steps towards it; tests bring their own.
pub struct Plan {
    pub format: u32,
    pub steps: &'static [Step],
    pub now: Timestamp,
}

/// A database and what lies under it.
pub struct Live {
    /// Always there until the drop.
    database: Option<Handle>,
    /// The bytes below redb; none for a store in memory.
    pub below: Option<Arc<dyn StorageBackend>>,
}

impl Live {
    pub fn new(database: Handle, below: Option<Arc<dyn StorageBackend>>) -> Self {
        Self { database: Some(database), below }
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
    slot: Mutex<Slot>,
    opener: Option<Opener>,
}

struct Slot {
    live: Option<Arc<Live>>,
    /// A write failed half-way: redb refuses to go on until the file is opened anew.
    failed: bool,
    closed: bool,
}

impl Core {
    pub fn new(place: String, live: Live, opener: Option<Opener>) -> Self {
        let slot = Slot { live: Some(Arc::new(live)), failed: false, closed: false };
        Self { place, slot: Mutex::new(slot), opener }
    }

    pub fn read<T>(&self, action: impl FnOnce(&Reader) -> Result<T>) -> Result<T> {
        let live = self.live()?;
        action(&reader(&self.place, &live)?)
    }

    pub fn write<T>(&self, action: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        let live = self.live()?;
        let Handle::ReadWrite(database) = live.handle() else {
            return Err(Error::bug(format!("the store `{}` is open for reading only", self.place)));
        };
        // A damaged record the caller met says nothing against the handle.
        let mut by_caller = false;
        let outcome = write(&self.place, database, |tx| {
            action(tx).inspect_err(|error| by_caller = error.is(&codes::STORE_DAMAGED))
        });
        if !by_caller && outcome.as_ref().is_err_and(needs_reopening) {
            self.slot().failed = true;
        }
        outcome
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

/// Opens an existing file exclusively. `STORE_LOCKED` at once when another process has it.
pub fn open_file(path: &Path, plan: &Plan) -> Result<Live> {
    let place = path.display().to_string();
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(|error| from_io(&place, &error))?;
    let below = Arc::new(call(&place, || FileBackend::new(file))?);
    open_backend(&place, below, plan, |below, format| super::backup::before_migration(path, below, format))
}

/// Opens what `below` holds. `keep` is shown an older store before it is migrated.
pub fn open_backend(
    place: &str,
    below: Arc<dyn StorageBackend>,
    plan: &Plan,
    keep: impl FnOnce(&dyn StorageBackend, u32) -> Result<()>,
) -> Result<Live> {
    let staged = Staged::new(Arc::clone(&below));
    let database = call(place, || builder().create_with_backend(staged.clone()))?;
    let live = Live::new(Handle::ReadWrite(database), Some(below));
    admit(place, &live, plan, &staged, keep)?;
    Ok(live)
}

fn admit(
    place: &str,
    live: &Live,
    plan: &Plan,
    staged: &Staged,
    keep: impl FnOnce(&dyn StorageBackend, u32) -> Result<()>,
) -> Result<()> {
    let (found, complete) = look(place, live)?;
    migrate::accept(place, &found, plan.format)?;
    let (Handle::ReadWrite(database), Some(below)) = (live.handle(), &live.below) else {
        return Err(Error::bug("a store to be written was opened for reading"));
    };
    if found.format < plan.format {
        keep(below.as_ref(), found.format)?;
    }
    staged.release().map_err(|error| from_io(place, &error))?;
    if found.format < plan.format {
        write(place, database, |writer| {
            create_tables(writer)?;
            migrate::run(writer, &found, plan.format, plan.steps)
        })?;
    } else if !complete {
        write(place, database, create_tables)?;
    }
    Ok(())
}

/// The store's format row, and whether every table of the list exists.
pub fn look(place: &str, live: &Live) -> Result<(Format, bool)> {
    let reader = reader(place, live)?;
    let found = migrate::read(&reader)?.ok_or_else(|| damaged(place, "it holds no data of umcp"))?;
    let Source::Read(tx) = &reader.source else {
        return Err(Error::bug("a read transaction turned into a write"));
    };
    let names: Vec<_> = call(place, || {
        Ok::<_, redb::StorageError>(tx.list_tables()?.map(|table| table.name().to_owned()).collect())
    })?;
    Ok((found, tables::ALL.iter().all(|table| names.iter().any(|name| name == table.name))))
}

fn create_tables(writer: &mut Writer) -> Result<()> {
    for table in tables::ALL {
        writer.view(table.name)?;
    }
    writer.changed = true;
    Ok(())
}

/// Makes a new store in the empty `below`.
pub fn create(place: &str, below: impl StorageBackend, format: &Format) -> Result<Database> {
    let database = call(place, || builder().create_with_backend(below))?;
    write(place, &database, |writer| {
        create_tables(writer)?;
        migrate::write(writer, format)
    })?;
    Ok(database)
}

/// A store that lives as long as the process.
pub fn memory() -> Result<Live> {
    let format = migrate::fresh(migrate::FORMAT, "sto_memory".into(), Timestamp(0));
    let database = create("memory", InMemoryBackend::new(), &format)?;
    Ok(Live::new(Handle::ReadWrite(database), None))
}

pub fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder
}
