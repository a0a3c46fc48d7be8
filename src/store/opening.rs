//! From bytes to a database: what is ours, which format it has, what is created and what is refused.
//! Waiting for another process is `lock.rs`. Rule: until a store has proved to be ours, of a known format and
//! whole enough to open, not a byte of its file is written (see `staged.rs`).

use super::access::Writer;
use super::db::{Handle, Live, reader, write};
use super::failure::{call, damaged, from_io};
use super::migrate::{self, Format, Step};
use super::staged::Staged;
use super::tables;
use super::view::Source;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Database, StorageBackend, TableHandle};
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

/// Page cache of redb. Small: the daemon idles, and hot pages are few.
const CACHE: usize = 8 << 20;

/// The tables, the format and the steps towards it; tests bring their own.
pub struct Plan {
    pub format: u32,
    pub steps: &'static [Step],
    pub now: Timestamp,
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
    let staged = Staged::new(below);
    let database = call(place, || builder().create_with_backend(staged.clone()))?;
    let live = Live::new(Handle::ReadWrite(database), Some(staged));
    admit(place, &live, plan, keep)?;
    Ok(live)
}

fn admit(
    place: &str,
    live: &Live,
    plan: &Plan,
    keep: impl FnOnce(&dyn StorageBackend, u32) -> Result<()>,
) -> Result<()> {
    let (found, complete) = look(place, live)?;
    migrate::accept(place, &found, plan.format)?;
    let (Handle::ReadWrite(database), Some(staged)) = (live.handle(), live.below()) else {
        return Err(Error::bug("a store to be written was opened for reading"));
    };
    if found.format == plan.format && complete {
        return if staged.is_mark_only() { Ok(()) } else { live.release(place) };
    }
    if found.format < plan.format {
        keep(staged.inner(), found.format)?;
    }
    live.release(place)?;
    write(place, database, |writer| {
        create_tables(writer)?;
        if found.format < plan.format {
            migrate::run(writer, &found, plan.format, plan.steps)?;
        }
        Ok(())
    })
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
