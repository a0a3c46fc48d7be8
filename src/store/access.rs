//! What a noun sees of the store inside one transaction: rows in, rows out.
//! A `Writer` is a `Reader` that sees its own changes. Rule: no damaged row is ever returned.
//! Long because reading and writing rows and records are one surface.

use super::chain::{Head, Link};
use super::codec::{self, Envelope, Row};
use super::position::Position;
use super::tables::{Series, Table, TableName};
use super::view::{ALL, Ends, Source, View};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use std::ops::{Bound, Deref};

/// Anything with a name in the list of tables.
pub trait Named {
    fn name(&self) -> &'static str;
}

impl<R> Named for Table<R> {
    fn name(&self) -> &'static str {
        self.name
    }
}

impl<R> Named for Series<R> {
    fn name(&self) -> &'static str {
        self.name
    }
}

impl Named for TableName {
    fn name(&self) -> &'static str {
        self.name
    }
}

/// One consistent state of the store.
pub struct Reader {
    pub(super) place: String,
    pub(super) source: Source,
}

impl Reader {
    /// The row under `key`.
    pub fn get<R: Row>(&self, table: &Table<R>, key: &str) -> Result<Option<R>> {
        let key = key.as_bytes();
        self.view(table.name)?.get(key, |bytes| codec::decode(table.name, key, bytes))
    }

    /// Whether there is a row under `key`; it is not read.
    pub fn contains(&self, table: &impl Named, key: &str) -> Result<bool> {
        Ok(self.view(table.name())?.get(key.as_bytes(), |_| Ok(()))?.is_some())
    }

    /// All rows, in the order of their keys.
    pub fn all<R: Row>(&self, table: &Table<R>) -> Result<Vec<(String, R)>> {
        self.prefix(table, "")
    }

    /// All rows whose key begins with `prefix`, in the order of their keys.
    pub fn prefix<R: Row>(&self, table: &Table<R>, prefix: &str) -> Result<Vec<(String, R)>> {
        let mut rows = Vec::new();
        let ends = (Bound::Included(prefix.as_bytes()), Bound::Unbounded);
        self.view(table.name)?.walk(ends, false, |key, bytes| {
            if !key.starts_with(prefix.as_bytes()) {
                return Ok(false);
            }
            let row = codec::decode(table.name, key, bytes)?;
            let key = String::from_utf8(key.to_vec()).map_err(|_| codec::damaged(table.name, key))?;
            rows.push((key, row));
            Ok(true)
        })?;
        Ok(rows)
    }

    /// Shows `visit` the rows from key `from` to before key `until`, in the order of their keys, until it says `false`.
    pub fn between<R: Row>(
        &self,
        table: &Table<R>,
        from: &str,
        until: &str,
        mut visit: impl FnMut(&str, R) -> Result<bool>,
    ) -> Result<()> {
        if from >= until {
            return Ok(());
        }
        let ends = (Bound::Included(from.as_bytes()), Bound::Excluded(until.as_bytes()));
        self.view(table.name)?.walk(ends, false, |key, bytes| {
            let row = codec::decode(table.name, key, bytes)?;
            visit(std::str::from_utf8(key).map_err(|_| codec::damaged(table.name, key))?, row)
        })
    }

    /// The first row, in the order of the keys, that `hit` wants. Those behind it are not read.
    pub fn find<R: Row>(&self, table: &Table<R>, hit: impl Fn(&R) -> bool) -> Result<Option<R>> {
        let mut found = None;
        self.view(table.name)?.walk(ALL, false, |key, bytes| {
            let row = codec::decode(table.name, key, bytes)?;
            if hit(&row) {
                found = Some(row);
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// Shows `visit` the rows whose key begins with `prefix`, in the order of their keys, until it says `false`. A
    /// damaged row comes as the error that names it, so that the rest can still be used.
    pub fn scan<R: Row>(
        &self,
        table: &Table<R>,
        prefix: &str,
        mut visit: impl FnMut(&str, Result<R>) -> Result<bool>,
    ) -> Result<()> {
        let ends = (Bound::Included(prefix.as_bytes()), Bound::Unbounded);
        self.view(table.name)?.walk(ends, false, |key, bytes| {
            if !key.starts_with(prefix.as_bytes()) {
                return Ok(false);
            }
            let row = codec::decode(table.name, key, bytes);
            visit(std::str::from_utf8(key).map_err(|_| codec::damaged(table.name, key))?, row)
        })
    }

    /// How many rows a table or series has.
    pub fn count(&self, table: &impl Named) -> Result<u64> {
        self.view(table.name())?.len()
    }

    /// The record at exactly `position`.
    pub fn at<R: Row>(&self, series: &Series<R>, position: Position) -> Result<Option<R>> {
        let key = position.key();
        self.view(series.name)?.get(&key, |bytes| codec::decode(series.name, &key, bytes))
    }

    /// At most `limit` records, newest first: none older than `since`, all older than `before`.
    pub fn last<R: Row>(
        &self,
        series: &Series<R>,
        limit: usize,
        since: Option<Timestamp>,
        before: Option<Position>,
    ) -> Result<Vec<(Position, R)>> {
        let mut rows = Vec::new();
        if limit == 0 {
            return Ok(rows);
        }
        let (low, high) = (since.map(|at| Position::start(at).key()), before.map(Position::key));
        self.walk(series, low, high, true, |position, row| {
            rows.push((position, row));
            Ok(rows.len() < limit)
        })?;
        Ok(rows)
    }

    /// All records from `from` to before `until`, oldest first.
    pub fn range<R: Row>(
        &self,
        series: &Series<R>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Position, R)>> {
        let mut rows = Vec::new();
        self.each(series, from, until, |position, row| {
            rows.push((position, row));
            Ok(true)
        })?;
        Ok(rows)
    }

    /// Shows `visit` the records from `from` to before `until`, oldest first, until it says `false`.
    pub fn each<R: Row>(
        &self,
        series: &Series<R>,
        from: Timestamp,
        until: Timestamp,
        visit: impl FnMut(Position, R) -> Result<bool>,
    ) -> Result<()> {
        let (low, high) = (Position::start(from).key(), Position::start(until).key());
        self.walk(series, Some(low), Some(high), false, visit)
    }

    /// Shows `visit` the records after a position and before `until`, oldest first, until it says `false`. A damaged one
    /// comes as the error that names it, so that the rest can still be used.
    pub fn scan_after<R: Row>(
        &self,
        series: &Series<R>,
        after: Option<Position>,
        until: Timestamp,
        mut visit: impl FnMut(Position, Result<R>) -> Result<bool>,
    ) -> Result<()> {
        let (low, high) = (after.map(Position::key), Position::start(until).key());
        if low.is_some_and(|low| low >= high) {
            return Ok(());
        }
        let low = low.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key[..]));
        self.view(series.name)?.walk((low, Bound::Excluded(&high[..])), false, |key, bytes| {
            visit(Position::from_key(series.name, key)?, codec::decode(series.name, key, bytes))
        })
    }

    fn walk<R: Row>(
        &self,
        series: &Series<R>,
        low: Option<[u8; 12]>,
        high: Option<[u8; 12]>,
        backwards: bool,
        mut visit: impl FnMut(Position, R) -> Result<bool>,
    ) -> Result<()> {
        let name = series.name;
        if low.is_some() && high.is_some() && low >= high {
            return Ok(());
        }
        self.view(name)?.walk(ends(&low, &high), backwards, |key, bytes| {
            visit(Position::from_key(name, key)?, codec::decode(name, key, bytes)?)
        })
    }

    pub(super) fn view(&self, name: &'static str) -> Result<View<'_>> {
        View::open(&self.place, &self.source, name)
    }
}

fn ends<'k>(low: &'k Option<[u8; 12]>, high: &'k Option<[u8; 12]>) -> Ends<'k> {
    (
        low.as_ref().map_or(Bound::Unbounded, |key| Bound::Included(&key[..])),
        high.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key[..])),
    )
}

/// A record on its way into a series.
#[derive(Debug)]
pub struct Record {
    pub table: &'static str,
    pub at: Timestamp,
    pub kind: u8,
    pub version: u16,
    pub payload: Vec<u8>,
    /// The body of a link, which is made when it is committed; there is no payload yet.
    pub body: Option<String>,
}

impl Record {
    pub fn link(series: &Series<Link>, at: Timestamp, body: String) -> Self {
        let (kind, version) = (Link::KIND, Link::VERSION);
        Self { table: series.name, at, kind, version, payload: Vec::new(), body: Some(body) }
    }

    pub fn new<R: Row>(series: &Series<R>, at: Timestamp, row: &R) -> Result<Self> {
        let payload = codec::payload(row)?;
        Ok(Self { table: series.name, at, kind: R::KIND, version: R::VERSION, payload, body: None })
    }

    /// The row as it was put in.
    pub fn row<R: Row>(&self) -> Result<R> {
        postcard::from_bytes(&self.payload)
            .map_err(|error| Error::bug("a record that was just written cannot be read").because(error))
    }

    /// Puts another row in its place.
    pub fn replace<R: Row>(&mut self, row: &R) -> Result<()> {
        self.payload = codec::payload(row)?;
        Ok(())
    }
}

/// What is done with records of one series before they are written, in the same transaction: it may complete them, and
/// write what they add up to. A commit that fails is tried again, and so is this.
pub struct Fold {
    pub(super) table: &'static str,
    pub(super) run: FoldRun,
}

/// The records of one commit, in the order of time.
pub type FoldRun = fn(&mut Writer, &mut [Record]) -> Result<()>;

impl Fold {
    pub fn new<R>(series: &Series<R>, run: FoldRun) -> Self {
        Self { table: series.name, run }
    }
}

/// Records on their way into the store, made by its writer thread.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) records: Vec<Record>,
    /// Those that could not be encoded, which is a bug of their type.
    pub(super) lost: u64,
}

impl Batch {
    pub fn push<R: Row>(&mut self, series: &Series<R>, at: Timestamp, row: &R) {
        match Record::new(series, at, row) {
            Ok(record) => self.records.push(record),
            Err(_) => self.lost += 1,
        }
    }

    /// Adds a record of a chain, which is linked when it is committed.
    pub fn link(&mut self, series: &Series<Link>, at: Timestamp, body: String) {
        self.records.push(Record::link(series, at, body));
    }
}

/// One write transaction. Reads through it see its own changes.
pub struct Writer {
    pub(super) reader: Reader,
    pub(super) changed: bool,
}

impl Deref for Writer {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Writer {
    /// Puts `row` under `key`, over whatever stood there.
    pub fn put<R: Row>(&mut self, table: &Table<R>, key: &str, row: &R) -> Result<()> {
        let bytes = codec::encode(key.as_bytes(), row)?;
        self.changed |= self.reader.view(table.name)?.insert(key.as_bytes(), &bytes)?;
        Ok(())
    }

    /// Removes the row under `key`, damaged or not; whether there was one.
    pub fn remove<R: Row>(&mut self, table: &Table<R>, key: &str) -> Result<bool> {
        let removed = self.reader.view(table.name)?.remove(key.as_bytes())?;
        self.changed |= removed;
        Ok(removed)
    }

    /// Removes all rows of a table, damaged or not; how many.
    pub fn clear<R: Row>(&mut self, table: &Table<R>) -> Result<u64> {
        let removed = self.reader.view(table.name)?.remove_range(ALL)?;
        self.changed |= removed > 0;
        Ok(removed)
    }

    /// Removes the rows from key `from` to before key `until`, damaged or not; how many.
    pub fn remove_between<R: Row>(&mut self, table: &Table<R>, from: &str, until: &str) -> Result<u64> {
        if from >= until {
            return Ok(0);
        }
        let ends = (Bound::Included(from.as_bytes()), Bound::Excluded(until.as_bytes()));
        let removed = self.reader.view(table.name)?.remove_range(ends)?;
        self.changed |= removed > 0;
        Ok(removed)
    }

    /// Adds a record at `at`, after all others of the same microsecond.
    pub fn push<R: Row>(&mut self, series: &Series<R>, at: Timestamp, row: &R) -> Result<Position> {
        let record = Record::new(series, at, row)?;
        let mut view = self.reader.view(series.name)?;
        let position = insert_record(&mut view, &record)?;
        self.changed = true;
        Ok(position)
    }

    /// Puts another record in the place of one.
    pub fn replace<R: Row>(&mut self, series: &Series<R>, position: Position, row: &R) -> Result<()> {
        let bytes = codec::encode(&position.key(), row)?;
        self.changed |= self.reader.view(series.name)?.insert(&position.key(), &bytes)?;
        Ok(())
    }

    /// Removes the record at exactly `position`; whether there was one.
    pub fn take<R: Row>(&mut self, series: &Series<R>, position: Position) -> Result<bool> {
        let removed = self.reader.view(series.name)?.remove(&position.key())?;
        self.changed |= removed;
        Ok(removed)
    }

    /// Adds many records at once, sorted by table and time first.
    pub(super) fn push_all(&mut self, records: &mut [Record], fold: Option<&Fold>) -> Result<()> {
        records.sort_by_key(|record| (record.table, record.at));
        for group in records.chunk_by_mut(|left, right| left.table == right.table) {
            if group[0].body.is_some() {
                self.link_all(group)?;
                continue;
            }
            if let Some(fold) = fold.filter(|fold| fold.table == group[0].table) {
                (fold.run)(self, group)?;
            }
            let mut view = self.reader.view(group[0].table)?;
            let mut newest = newest(&view, group[0].table)?;
            for record in &*group {
                newest = Some(insert_after(&mut view, record, newest)?);
            }
            self.changed = true;
        }
        Ok(())
    }

    /// Links records of one chain. A commit that fails and is tried again links them anew.
    fn link_all(&mut self, group: &[Record]) -> Result<()> {
        let series = Series::<Link>::named(group[0].table);
        let mut head = Head::read(self, &series)?;
        let mut view = self.reader.view(group[0].table)?;
        let mut newest = newest(&view, group[0].table)?;
        for record in group {
            let (at, link) = head.next(record.at, record.body.clone().unwrap_or_default());
            newest = Some(insert_after(&mut view, &Record::new(&series, at, link)?, newest)?);
        }
        self.changed = true;
        Ok(())
    }

    /// Removes all records older than `before`; how many.
    pub fn trim_before<R: Row>(&mut self, series: &Series<R>, before: Timestamp) -> Result<u64> {
        let key = Position::start(before).key();
        self.trim(series, &key)
    }

    /// Keeps only the `newest` records; how many were removed.
    pub fn trim_to<R: Row>(&mut self, series: &Series<R>, newest: u64) -> Result<u64> {
        let mut excess = self.count(series)?.saturating_sub(newest);
        if excess == 0 {
            return Ok(0);
        }
        if newest == 0 {
            let removed = self.reader.view(series.name)?.remove_range(ALL)?;
            self.changed |= removed > 0;
            return Ok(removed);
        }
        let mut first_kept = Vec::new();
        self.view(series.name)?.walk(ALL, false, |key, _| {
            if excess == 0 {
                first_kept = key.to_vec();
                return Ok(false);
            }
            excess -= 1;
            Ok(true)
        })?;
        self.trim(series, &first_kept)
    }

    fn trim<R>(&mut self, series: &Series<R>, before: &[u8]) -> Result<u64> {
        let removed =
            self.reader.view(series.name)?.remove_range((Bound::Unbounded, Bound::Excluded(before)))?;
        self.changed |= removed > 0;
        Ok(removed)
    }
}

/// Where the newest record of a series stands.
fn newest(view: &View<'_>, table: &'static str) -> Result<Option<Position>> {
    let mut newest = None;
    view.walk(ALL, true, |key, _| {
        // Behind a damaged key every place is looked at.
        let last = Position { at: Timestamp(u64::MAX), sequence: u32::MAX };
        newest = Some(Position::from_key(table, key).unwrap_or(last));
        Ok(false)
    })?;
    Ok(newest)
}

/// Inserts one record and gives the newest of the series. Nearly all records are newer than all others, and need
/// nothing looked up.
fn insert_after(view: &mut View<'_>, record: &Record, newest: Option<Position>) -> Result<Position> {
    if newest.is_some_and(|newest| record.at <= newest.at) {
        let position = insert_record(view, record)?;
        return Ok(newest.map_or(position, |newest| newest.max(position)));
    }
    let position = Position::start(record.at);
    insert_at(view, record, position)?;
    Ok(position)
}

fn insert_record(view: &mut View<'_>, record: &Record) -> Result<Position> {
    let first = Position::start(record.at);
    let (low, high) = (first.key(), Position { sequence: u32::MAX, ..first }.key());
    let mut last = None;
    view.walk((Bound::Included(&low), Bound::Included(&high)), true, |key, _| {
        last = Some(Position::from_key(record.table, key)?);
        Ok(false)
    })?;
    let sequence = last.map_or(Some(0), |last| last.sequence.checked_add(1));
    let sequence = sequence.ok_or_else(|| Error::bug("four billion records within one microsecond"))?;
    let position = Position { at: record.at, sequence };
    insert_at(view, record, position)?;
    Ok(position)
}

fn insert_at(view: &mut View<'_>, record: &Record, position: Position) -> Result<()> {
    let envelope = Envelope { kind: record.kind, version: record.version, payload: &record.payload };
    view.insert(&position.key(), &codec::seal(&position.key(), envelope)).map(|_| ())
}
