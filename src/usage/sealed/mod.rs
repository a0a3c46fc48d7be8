//! Days that are over, sealed: their records stand in blocks of columns, a tenth of the size and read without reading
//! what is not asked for. Which numbers and texts a block holds is `columns`, questions to them are `scan`.
//! Rule: in the transaction that writes a block the records in it go, so that each record is in one place at any time.

pub mod columns;
mod pack;
pub mod scan;

use super::record::{CALLS, Call};
use super::rollup::Grain;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Position, Reader, Row, Table, Writer, tables};
use columns::{Parts, Records};
use serde::{Deserialize, Serialize};

const PARTS: Table<Part> = Table::new(tables::SEALED);
const DAYS: Table<Day> = Table::new(tables::SEALED_DAYS);

/// Records of one block.
const BLOCK: usize = 8192;
/// Records that are sealed in one transaction, so that others need not wait for long.
const PIECE: usize = 4 * BLOCK;
/// The letters of a block's parts: names, figures, and the rest.
const LETTERS: [char; 3] = ['n', 'f', 'r'];

/// Part of a block.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    rows: u32,
    bytes: Packed,
}

impl Row for Part {
    const KIND: u8 = 83;
    const VERSION: u16 = 1;
}

/// Bytes that are copied as a whole rather than one by one.
#[derive(Debug, Clone)]
struct Packed(Vec<u8>);

impl Serialize for Packed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Packed;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> std::result::Result<Packed, E> {
                Ok(Packed(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// The blocks of a day, in the order of their first records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    pub blocks: Vec<Head>,
}

impl Row for Day {
    const KIND: u8 = 84;
    const VERSION: u16 = 1;
}

impl Day {
    pub fn rows(&self) -> u64 {
        self.blocks.iter().map(|head| u64::from(head.rows)).sum()
    }
}

/// One block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub first: Position,
    pub last: Position,
    pub rows: u32,
    pub bytes: u32,
}

impl Head {
    fn key(&self, letter: char) -> String {
        format!("{}{letter}", hex(self.first))
    }

    /// What is said of a block that cannot be read.
    fn damaged(&self) -> Error {
        let (from, until) = (self.first.at.rfc3339(), self.last.at.rfc3339());
        let message = format!("the block of {} calls from {from} until {until} is damaged", self.rows);
        Error::new(&codes::STORE_DAMAGED, message).hint("umcp doctor")
    }
}

fn hex(position: Position) -> String {
    format!("{:016x}{:08x}", position.at.0, position.sequence)
}

fn day_key(start: Timestamp) -> String {
    format!("{:08x}", start.0 / Grain::Day.length())
}

/// What one step of sealing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealing {
    pub records: u64,
    pub bytes: u64,
    /// Where the next step begins; nothing when all is sealed.
    pub next: Option<Position>,
}

/// The sealed days from the day of `from` to before `until`, with their starts.
pub fn days(tx: &Reader, from: Timestamp, until: Timestamp) -> Result<Vec<(Timestamp, Day)>> {
    let mut days = Vec::new();
    let end = Timestamp(until.0.saturating_add(Grain::Day.length() - 1));
    tx.between(&DAYS, &day_key(from), &day_key(end), |key, day| {
        let number = u64::from_str_radix(key, 16).unwrap_or_default();
        days.push((Timestamp(number * Grain::Day.length()), day));
        Ok(true)
    })?;
    Ok(days)
}

/// The blocks with records from `from` to before `until`, in order.
pub fn heads(tx: &Reader, from: Timestamp, until: Timestamp) -> Result<Vec<Head>> {
    let days = days(tx, from, until)?;
    let blocks = days.into_iter().flat_map(|(_, day)| day.blocks);
    Ok(blocks.filter(|head| head.last.at >= from && head.first.at < until).collect())
}

fn part(tx: &Reader, head: &Head, letter: char) -> Result<Vec<u8>> {
    let damaged = |error: Error| {
        if error.is(&codes::STORE_DAMAGED) { head.damaged().because(error) } else { error }
    };
    let part = tx.get(&PARTS, &head.key(letter)).map_err(damaged)?;
    let part = part.filter(|part| part.rows == head.rows).ok_or_else(|| head.damaged())?;
    Ok(part.bytes.0)
}

/// Hands `use_them` the records of a block.
///
/// # Errors
/// `STORE_DAMAGED` with the time of the block when it is not what was written.
pub fn open<T>(
    tx: &Reader,
    head: &Head,
    use_them: impl FnOnce(&Records<'_>) -> Option<Result<T>>,
) -> Result<T> {
    let [names, figures, rest] = LETTERS.map(|letter| part(tx, head, letter));
    let parts = Parts { names: names?, figures: figures?, rest: rest? };
    let records = Records::read(&parts, head.rows as usize);
    records.and_then(|records| use_them(&records)).unwrap_or_else(|| Err(head.damaged()))
}

fn put(tx: &mut Writer, records: &[(Position, Call)]) -> Result<Option<Head>> {
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(None) };
    let Parts { names, figures, rest } = columns::write(records);
    let size = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let bytes = size(names.len() + figures.len() + rest.len());
    let head = Head { first: first.0, last: last.0, rows: size(records.len()), bytes };
    for (letter, bytes) in LETTERS.into_iter().zip([names, figures, rest]) {
        tx.put(&PARTS, &head.key(letter), &Part { rows: head.rows, bytes: Packed(bytes) })?;
    }
    Ok(Some(head))
}

fn remove(tx: &mut Writer, head: &Head) -> Result<()> {
    for letter in LETTERS {
        tx.remove(&PARTS, &head.key(letter))?;
    }
    Ok(())
}

/// Seals records of one day that is over, at most a piece of it. A damaged record stays where it is.
pub fn seal(tx: &mut Writer, now: Timestamp, after: Option<Position>) -> Result<Sealing> {
    let (mut records, mut last) = (Vec::new(), None);
    let mut end = Grain::Day.floor(now);
    tx.scan_after(&CALLS, after, end, |position, call| {
        if records.is_empty() {
            end = Timestamp(Grain::Day.floor(position.at).0.saturating_add(Grain::Day.length()));
        }
        if position.at >= end || records.len() >= PIECE {
            return Ok(false);
        }
        last = Some(position);
        records.extend(call.ok().map(|call| (position, call)));
        Ok(true)
    })?;
    let Some((first, _)) = records.first() else { return Ok(Sealing { next: last, ..Sealing::default() }) };
    let start = Grain::Day.floor(first.at);
    let mut day = tx.get(&DAYS, &day_key(start))?.unwrap_or_default();
    let behind = day.blocks.partition_point(|head| head.first <= *first);
    if let Some(next) = day.blocks.get(behind) {
        let fits = records.partition_point(|record| record.0 < next.first);
        last = last.map(|last| if fits < records.len() { records[fits - 1].0 } else { last });
        records.truncate(fits);
    }
    for (position, _) in &records {
        tx.take(&CALLS, *position)?;
    }
    let count = records.len() as u64;
    let before = behind.checked_sub(1).map(|before| day.blocks[before]);
    let grown = |head: &Head| head.last >= records[0].0 || head.rows as usize + records.len() <= BLOCK;
    let place = match before.filter(grown) {
        Some(head) => {
            records.extend(open(tx, &head, |records| records.all().map(Ok))?);
            remove(tx, &head)?;
            day.blocks.remove(behind - 1);
            behind - 1
        }
        None => behind,
    };
    in_order(&mut records);
    let mut heads = Vec::new();
    for block in records.chunks(BLOCK) {
        heads.extend(put(tx, block)?);
    }
    let bytes = heads.iter().map(|head| u64::from(head.bytes)).sum();
    day.blocks.splice(place..place, heads);
    tx.put(&DAYS, &day_key(start), &day)?;
    Ok(Sealing { records: count, bytes, next: last })
}

/// Sorts records, and tells those apart that came to stand in one place.
fn in_order(records: &mut [(Position, Call)]) {
    records.sort_by_key(|record| record.0);
    for at in 1..records.len() {
        let before = records[at - 1].0;
        if records[at].0 <= before {
            records[at].0 = Position { sequence: before.sequence.saturating_add(1), ..before };
        }
    }
}

/// Seals everything of closed days, as one step after the other within one transaction. For tests and small stores.
#[cfg(test)]
fn seal_all(tx: &mut Writer, now: Timestamp) -> Result<u64> {
    let (mut sealed, mut after) = (0, None);
    loop {
        let step = seal(tx, now, after)?;
        sealed += step.records;
        after = step.next;
        if after.is_none() {
            return Ok(sealed);
        }
    }
}

/// How many records and bytes are sealed, in how many days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    pub records: u64,
    pub bytes: u64,
    pub blocks: u64,
    pub days: u64,
}

pub fn extent(tx: &Reader) -> Result<Extent> {
    let mut extent = Extent::default();
    for (_, day) in tx.all(&DAYS)? {
        extent.days += 1;
        extent.records += day.rows();
        extent.blocks += day.blocks.len() as u64;
        extent.bytes += day.blocks.iter().map(|head| u64::from(head.bytes)).sum::<u64>();
    }
    Ok(extent)
}

/// Removes the oldest blocks while all of their records are `excess`, and those that ended before `before`; how many
/// records that were. A damaged block goes like any other.
pub fn trim(tx: &mut Writer, excess: u64, before: Timestamp) -> Result<u64> {
    let mut removed = 0;
    for (key, mut day) in tx.all(&DAYS)? {
        let goes =
            |removed: u64, head: &Head| removed + u64::from(head.rows) <= excess || head.last.at < before;
        let mut left = day.blocks.as_slice();
        while let Some((head, rest)) = left.split_first().filter(|(head, _)| goes(removed, head)) {
            removed += u64::from(head.rows);
            remove(tx, head)?;
            left = rest;
        }
        if left.is_empty() {
            tx.remove(&DAYS, &key)?;
            continue;
        }
        if left.len() < day.blocks.len() {
            day.blocks = left.to_vec();
            tx.put(&DAYS, &key, &day)?;
        }
        break;
    }
    Ok(removed)
}

/// Shows `change` every sealed record from `from` to before `until`, and writes the blocks anew in which it changed one.
pub fn change(
    tx: &mut Writer,
    from: Timestamp,
    until: Timestamp,
    mut change: impl FnMut(Position, &mut Call) -> Result<bool>,
) -> Result<()> {
    for (start, mut day) in days(tx, from, until)? {
        let mut any = false;
        for head in &mut day.blocks {
            if head.last.at < from || head.first.at >= until {
                continue;
            }
            let mut records = open(tx, head, |records| records.all().map(Ok))?;
            let mut changed = false;
            for (position, call) in &mut records {
                if position.at >= from && position.at < until {
                    changed |= change(*position, call)?;
                }
            }
            if changed {
                // The first record stays the first: the parts are written over.
                *head = put(tx, &records)?.unwrap_or(*head);
                any = true;
            }
        }
        if any {
            tx.put(&DAYS, &day_key(start), &day)?;
        }
    }
    Ok(())
}

/// Writes down anew where the blocks of a day stand that cannot be found, from the blocks themselves.
pub fn find_anew(tx: &mut Writer) -> Result<()> {
    let mut damaged = Vec::new();
    tx.scan(&DAYS, "", |key, day| {
        if day.is_err() {
            damaged.push(key.to_string());
        }
        Ok(true)
    })?;
    for key in damaged {
        let number = u64::from_str_radix(&key, 16).unwrap_or_default();
        let start = Timestamp(number * Grain::Day.length());
        let ends = [start, Timestamp(start.0 + Grain::Day.length())].map(|at| hex(Position::start(at)));
        let mut parts: Vec<(Head, [Vec<u8>; 3])> = Vec::new();
        tx.between(&PARTS, &ends[0], &ends[1], |key, part: Part| {
            let which = key.chars().last().and_then(|letter| LETTERS.iter().position(|it| *it == letter));
            let first = Position {
                at: Timestamp(u64::from_str_radix(key.get(..16).unwrap_or_default(), 16).unwrap_or_default()),
                sequence: u32::from_str_radix(key.get(16..24).unwrap_or_default(), 16).unwrap_or_default(),
            };
            if parts.last().is_none_or(|(head, _)| head.first != first) {
                let head = Head { first, last: first, rows: part.rows, bytes: 0 };
                parts.push((head, Default::default()));
            }
            if let (Some((head, bytes)), Some(which)) = (parts.last_mut(), which) {
                head.bytes += u32::try_from(part.bytes.0.len()).unwrap_or(u32::MAX);
                bytes[which] = part.bytes.0;
            }
            Ok(true)
        })?;
        let mut day = Day::default();
        for (mut head, [names, figures, rest]) in parts {
            let parts = Parts { names, figures, rest };
            let records = Records::read(&parts, head.rows as usize).ok_or_else(|| head.damaged())?;
            head.last = records.position(records.count().saturating_sub(1));
            day.blocks.push(head);
        }
        tx.put(&DAYS, &key, &day)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
