//! One open table, seen alike in a read and in a write transaction. Bytes only: rows are `access.rs`.
//! Every call of redb on table data goes through here, so that its errors and panics are caught in one place.

use super::failure::call;
use crate::error::{Error, Result};
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition};
use redb::{TableError, WriteTransaction};
use std::ops::Bound;

type Bytes = &'static [u8];

/// A transaction of either sort.
pub enum Source {
    Read(ReadTransaction),
    Write(Box<WriteTransaction>),
}

/// One table within a transaction.
pub struct View<'a> {
    place: &'a str,
    table: Inner<'a>,
}

enum Inner<'a> {
    Read(ReadOnlyTable<Bytes, Bytes>),
    Write(redb::Table<'a, Bytes, Bytes>),
    /// A store opened read-only may be from before the table was added.
    Absent,
}

/// Lower and upper end of a range of keys.
pub type Ends<'k> = (Bound<&'k [u8]>, Bound<&'k [u8]>);

/// All keys.
pub const ALL: Ends<'static> = (Bound::Unbounded, Bound::Unbounded);

impl<'a> View<'a> {
    pub fn open(place: &'a str, source: &'a Source, name: &'static str) -> Result<Self> {
        let definition = TableDefinition::<Bytes, Bytes>::new(name);
        let table = match source {
            Source::Read(tx) => call(place, || match tx.open_table(definition) {
                Ok(table) => Ok(Inner::Read(table)),
                Err(TableError::TableDoesNotExist(_)) => Ok(Inner::Absent),
                Err(error) => Err(error),
            })?,
            Source::Write(tx) => Inner::Write(call(place, || tx.open_table(definition))?),
        };
        Ok(Self { place, table })
    }

    /// The bytes under `key`, handed to `use_them` without a copy.
    pub fn get<T>(&self, key: &[u8], use_them: impl FnOnce(&[u8]) -> Result<T>) -> Result<Option<T>> {
        let found = call(self.place, || match &self.table {
            Inner::Read(table) => table.get(key),
            Inner::Write(table) => table.get(key),
            Inner::Absent => Ok(None),
        })?;
        let Some(value) = found else { return Ok(None) };
        use_them(bytes(self.place, &value)?).map(Some)
    }

    /// Walks a range, backwards on request, until `visit` says `false`.
    pub fn walk(
        &self,
        ends: Ends<'_>,
        backwards: bool,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool>,
    ) -> Result<()> {
        let mut range = match &self.table {
            Inner::Read(table) => call(self.place, || ReadableTable::range::<&[u8]>(table, ends))?,
            Inner::Write(table) => call(self.place, || table.range::<&[u8]>(ends))?,
            Inner::Absent => return Ok(()),
        };
        loop {
            let next =
                call(self.place, || if backwards { range.next_back() } else { range.next() }.transpose())?;
            match next {
                Some((key, value)) if visit(bytes(self.place, &key)?, bytes(self.place, &value)?)? => {}
                _ => return Ok(()),
            }
        }
    }

    pub fn len(&self) -> Result<u64> {
        call(self.place, || match &self.table {
            Inner::Read(table) => table.len(),
            Inner::Write(table) => table.len(),
            Inner::Absent => Ok(0),
        })
    }

    /// Puts `value` under `key`; `false` when exactly it stood there already.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        if self.get(key, |old| Ok(old == value))? == Some(true) {
            return Ok(false);
        }
        let place = self.place;
        let table = self.writable()?;
        call(place, || table.insert(key, value).map(drop))?;
        Ok(true)
    }

    /// Removes `key`; whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool> {
        let place = self.place;
        let table = self.writable()?;
        call(place, || table.remove(key).map(|old| old.is_some()))
    }

    /// Removes everything within `ends`; how many rows that were.
    pub fn remove_range(&mut self, ends: Ends<'_>) -> Result<u64> {
        let (place, before) = (self.place, self.len()?);
        let table = self.writable()?;
        call(place, || table.retain_in::<&[u8], _>(ends, |_, _| false))?;
        Ok(before - self.len()?)
    }

    fn writable(&mut self) -> Result<&mut redb::Table<'a, Bytes, Bytes>> {
        match &mut self.table {
            Inner::Write(table) => Ok(table),
            _ => Err(Error::bug("a read transaction was written to")),
        }
    }
}

/// The bytes of a found key or value; on a damaged page even looking at them may panic.
fn bytes<'g>(place: &str, guard: &'g redb::AccessGuard<'_, Bytes>) -> Result<&'g [u8]> {
    call(place, || Ok::<_, redb::StorageError>(guard.value()))
}
