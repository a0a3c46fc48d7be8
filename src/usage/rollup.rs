//! Sums by minute, hour and day, written in the transaction that writes the records. Reading them is `query.rs`.
//! Long because writing, making anew, trimming and proving the sums rest on the same keys.
//! Rule: what the kept records of a time say and what its sums say is the same, to the last digit; `differences` proves it.

use super::log;
use super::record::{CALLS, Call, Cost};
use super::sealed::{self, Extent, Sealing};
use super::sums::{Dims, Sums};
use crate::clock::Timestamp;
use crate::error::{Result, codes};
use crate::ids;
use crate::store::{Position, Reader, Record, Row, Table, Writer, tables};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

const ROLLUPS: Table<Rollup> = Table::new(tables::ROLLUPS);
const STATE: Table<State> = Table::new(tables::ROLLUP_STATE);
const KEY: &str = "state";

/// What is told apart within one minute, hour or day at most; the rest is summed together.
const KINDS: u32 = 5_000;
/// More units than this are found by walking those there are: most of a long stretch are empty.
const MOST_ASKED: u64 = 2_000;
const MINUTE: u64 = 60_000_000;
const DAY: u64 = 1440 * MINUTE;

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Grain {
    Minute,
    Hour,
    Day,
}

impl Grain {
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// In microseconds.
    pub fn length(self) -> u64 {
        match self {
            Self::Minute => MINUTE,
            Self::Hour => 60 * MINUTE,
            Self::Day => DAY,
        }
    }

    /// How long its sums are kept, in microseconds.
    fn keeps(self) -> u64 {
        match self {
            Self::Minute => 3 * DAY,
            Self::Hour => 400 * DAY,
            Self::Day => 3660 * DAY,
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Minute => 'm',
            Self::Hour => 'h',
            Self::Day => 'd',
        }
    }

    /// The start of the unit a moment lies in.
    pub fn floor(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0 - at.0 % self.length())
    }

    /// Key of the total of the unit that begins at `start`; all its rows begin with it.
    pub(super) fn key(self, start: Timestamp) -> String {
        format!("{}{:012x}", self.letter(), start.0 / self.length())
    }
}

/// One row: the total of a unit, or the part of it that belongs to some dimensions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// Nothing for the total.
    pub dims: Option<Dims>,
    pub sums: Sums,
    /// How many parts the total has.
    pub kinds: u32,
}

impl Row for Rollup {
    const KIND: u8 = 80;
    const VERSION: u16 = 1;
}

/// From when on records and sums can be compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// Older records are gone.
    records_from: Timestamp,
    /// Older sums are gone, by grain.
    sums_from: [Timestamp; 3],
}

impl Row for State {
    const KIND: u8 = 81;
    const VERSION: u16 = 1;
}

/// Sums in memory, by unit and what is told apart.
type Cube = BTreeMap<(Grain, Timestamp), HashMap<Dims, Sums>>;

/// Adds to the minute; hours and days follow from the minutes.
fn gather(cube: &mut Cube, at: Timestamp, dims: Dims, sums: &Sums) {
    let unit = cube.entry((Grain::Minute, Grain::Minute.floor(at))).or_default();
    unit.entry(dims).or_default().add(sums);
}

/// Adds the minutes to their hours and days.
fn spread(minutes: Cube) -> Cube {
    let mut cube = Cube::new();
    for ((_, start), parts) in &minutes {
        for grain in [Grain::Hour, Grain::Day] {
            let unit = cube.entry((grain, grain.floor(*start))).or_default();
            for (dims, sums) in parts {
                match unit.get_mut(dims) {
                    Some(sum) => sum.add(sums),
                    None => drop(unit.insert(dims.clone(), sums.clone())),
                }
            }
        }
    }
    cube.extend(minutes);
    cube
}

/// Completes records that are about to be written, and adds them to the sums. For the store's writer thread.
pub fn fold(tx: &mut Writer, records: &mut [Record]) -> Result<()> {
    begin(tx)?;
    let completer = super::Completer::read(tx)?;
    let mut cube = Cube::new();
    for record in records {
        let mut call: Call = record.row()?;
        if completer.complete(record.at, &mut call) {
            record.replace(&call)?;
        }
        gather(&mut cube, record.at, Dims::of(&call), &Sums::of(&call));
    }
    put_all(tx, spread(cube))
}

/// Writes one record, completed, with its sums.
pub fn push(tx: &mut Writer, at: Timestamp, call: &mut Call) -> Result<()> {
    begin(tx)?;
    super::Completer::read(tx)?.complete(at, call);
    let mut cube = Cube::new();
    gather(&mut cube, at, Dims::of(call), &Sums::of(call));
    put_all(tx, spread(cube))?;
    tx.push(&CALLS, at, call).map(drop)
}

/// A damaged row counts as none: records are not given up for the sums of others, and `differences` tells of it.
fn readable<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(error) if error.is(&codes::STORE_DAMAGED) => Ok(None),
        found => found,
    }
}

/// A store from before there were sums gets those of the records it holds.
fn begin(tx: &mut Writer) -> Result<()> {
    if readable(tx.get(&STATE, KEY))?.is_none() {
        rebuild(tx)?;
    }
    Ok(())
}

/// Makes all sums anew that the kept records reach; how many rows.
pub fn rebuild(tx: &mut Writer) -> Result<u64> {
    sealed::find_anew(tx)?;
    let state = readable(tx.get(&STATE, KEY))?.unwrap_or_default();
    let cube = of_records(tx, state)?;
    for (grain, from) in Grain::ALL.into_iter().zip(state.comparable()) {
        let end = grain.key(Timestamp(u64::MAX));
        tx.remove_between(&ROLLUPS, &grain.key(from), &format!("{end}~"))?;
    }
    let rows = cube.values().map(|parts| parts.len() as u64 + 1).sum();
    put_all(tx, cube)?;
    tx.put(&STATE, KEY, &state)?;
    Ok(rows)
}

impl State {
    /// From when on each grain has all its records and all its sums.
    fn comparable(self) -> [Timestamp; 3] {
        let mut from = self.sums_from;
        for (from, grain) in from.iter_mut().zip(Grain::ALL) {
            let whole = match self.records_from.0 {
                0 => Timestamp(0),
                _ => Timestamp(grain.floor(self.records_from).0.saturating_add(grain.length())),
            };
            *from = whole.max(*from);
        }
        from
    }
}

/// The sums of all kept records, of the units that are wholly kept.
fn of_records(tx: &Reader, state: State) -> Result<Cube> {
    let from = state.comparable();
    let mut cube = Cube::new();
    log::each(tx, Timestamp(0), Timestamp(u64::MAX), |position, call| {
        gather(&mut cube, position.at, Dims::of(&call), &Sums::of(&call));
        Ok(true)
    })?;
    let mut cube = spread(cube);
    cube.retain(|(grain, start), _| *start >= from[*grain as usize]);
    Ok(cube)
}

fn put_all(tx: &mut Writer, cube: Cube) -> Result<()> {
    for ((grain, start), parts) in cube {
        let total_key = grain.key(start);
        let blank = || Rollup { dims: None, sums: Sums::default(), kinds: 0 };
        let mut total = readable(tx.get(&ROLLUPS, &total_key))?.unwrap_or_else(blank);
        let mut parts: Vec<_> = parts.into_iter().collect();
        parts.sort_by(|left, right| left.0.cmp(&right.0));
        for (dims, sums) in parts {
            total.sums.add(&sums);
            put_part(tx, &total_key, &mut total.kinds, dims, &sums)?;
        }
        tx.put(&ROLLUPS, &total_key, &total)?;
    }
    Ok(())
}

fn put_part(tx: &mut Writer, unit: &str, kinds: &mut u32, mut dims: Dims, sums: &Sums) -> Result<()> {
    let mut key = part_key(unit, &dims);
    let mut found = readable(tx.get(&ROLLUPS, &key))?;
    if found.is_none() && *kinds >= KINDS {
        dims = Dims::rest();
        key = part_key(unit, &dims);
        found = readable(tx.get(&ROLLUPS, &key))?;
    }
    let mut row = found.unwrap_or_else(|| {
        *kinds += 1;
        Rollup { dims: Some(dims), sums: Sums::default(), kinds: 0 }
    });
    row.sums.add(sums);
    tx.put(&ROLLUPS, &key, &row)
}

fn part_key(unit: &str, dims: &Dims) -> String {
    let Dims { entity, server, tool, client, agent, user, environment, model, workflow } = dims;
    let mut digest = Vec::with_capacity(128);
    digest.push(*entity as u8);
    for text in [server, tool, client, agent, user, environment, model, workflow] {
        digest.extend_from_slice(&(text.len() as u32).to_le_bytes());
        digest.extend_from_slice(text.as_bytes());
    }
    format!("{unit}/{}", ids::hex(&ids::sha256(&[&digest])[..12]))
}

/// Seals records of days that are over; sums that do not exist yet are made first.
pub fn seal(tx: &mut Writer, now: Timestamp, after: Option<Position>) -> Result<Sealing> {
    begin(tx)?;
    sealed::seal(tx, now, after)
}

/// Keeps the newest `keep` records of those since `since`, and the sums that are not too old; how many records went.
/// Of a block all records go or none.
pub fn trim(tx: &mut Writer, keep: u64, since: Timestamp, now: Timestamp) -> Result<u64> {
    begin(tx)?;
    let held = sealed::extent(tx)?.records;
    let excess = (held + tx.count(&CALLS)?).saturating_sub(keep);
    let mut removed = sealed::trim(tx, excess, since)?;
    if removed == held {
        removed += tx.trim_before(&CALLS, since)? + tx.trim_to(&CALLS, keep)?;
    }
    let mut state = tx.get(&STATE, KEY)?.unwrap_or_default();
    if removed > 0 {
        let sealed = sealed::heads(tx, Timestamp(0), now)?.first().map(|head| head.first.at);
        let mut open = None;
        tx.each(&CALLS, Timestamp(0), Timestamp(u64::MAX), |position, _| {
            open = Some(position.at);
            Ok(false)
        })?;
        let oldest = [sealed, open].into_iter().flatten().min();
        state.records_from = state.records_from.max(oldest.unwrap_or(now));
    }
    for grain in Grain::ALL {
        let before = grain.floor(Timestamp(now.0.saturating_sub(grain.keeps())));
        let from = &mut state.sums_from[grain as usize];
        if before > *from {
            tx.remove_between(&ROLLUPS, &grain.key(Timestamp(0)), &grain.key(before))?;
            *from = before;
        }
    }
    tx.put(&STATE, KEY, &state)?;
    Ok(removed)
}

/// Shows `visit` the sums of the units of a grain from `from` to before `until`: their totals, or their parts.
pub(super) fn visit(
    tx: &Reader,
    (grain, from, until): (Grain, Timestamp, Timestamp),
    parts: bool,
    visit: &mut dyn FnMut(Timestamp, &Dims, &Sums),
) -> Result<()> {
    let units = until.0.saturating_sub(from.0) / grain.length();
    if parts || units > MOST_ASKED {
        let mut start = from;
        return tx.between(&ROLLUPS, &grain.key(from), &grain.key(until), |key, row| {
            match &row.dims {
                Some(dims) if parts => visit(start, dims, &row.sums),
                Some(_) => {}
                None => {
                    start = start_of(grain, key).unwrap_or(start);
                    if !parts {
                        visit(start, &Dims::default(), &row.sums);
                    }
                }
            }
            Ok(true)
        });
    }
    let mut start = from;
    while start < until {
        if let Some(total) = tx.get(&ROLLUPS, &grain.key(start))? {
            visit(start, &Dims::default(), &total.sums);
        }
        start = Timestamp(start.0.saturating_add(grain.length()));
    }
    Ok(())
}

fn start_of(grain: Grain, key: &str) -> Option<Timestamp> {
    u64::from_str_radix(key.get(1..13)?, 16).ok().map(|number| Timestamp(number * grain.length()))
}

/// From when on there are sums, by grain; nothing in a store from before there were any.
pub(super) fn kept(tx: &Reader) -> Result<Option<[Timestamp; 3]>> {
    Ok(tx.get(&STATE, KEY)?.map(|state| state.sums_from))
}

/// When the first sums begin.
pub(super) fn first(tx: &Reader) -> Result<Option<Timestamp>> {
    let mut found = None;
    tx.between(&ROLLUPS, "d", "e", |key, _| {
        found = start_of(Grain::Day, key);
        Ok(false)
    })?;
    Ok(found)
}

/// A unit whose sums are not those of its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub unit: Grain,
    pub start: Timestamp,
    /// By the sums, and by the records.
    pub summed: u64,
    pub recorded: u64,
}

/// What a comparison of records and sums found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    pub records: u64,
    /// Those of them that are sealed.
    #[serde(default)]
    pub sealed: Extent,
    /// Minutes, hours and days compared.
    pub units: u64,
    pub differences: Vec<Difference>,
}

/// Adds up the kept records again and compares. A store from before there were sums has none to compare.
pub fn differences(tx: &Reader) -> Result<Checked> {
    let Some(state) = tx.get(&STATE, KEY)? else { return Ok(Checked::default()) };
    let mut cube = of_records(tx, state)?;
    let sealed = sealed::extent(tx)?;
    let mut checked = Checked { records: tx.count(&CALLS)? + sealed.records, sealed, ..Checked::default() };
    for (grain, from) in Grain::ALL.into_iter().zip(state.comparable()) {
        let mut units: BTreeMap<Timestamp, (Option<Rollup>, HashMap<Dims, Sums>)> = BTreeMap::new();
        let end = format!("{}~", grain.key(Timestamp(u64::MAX)));
        tx.between(&ROLLUPS, &grain.key(from), &end, |key, row: Rollup| {
            let unit = units.entry(start_of(grain, key).unwrap_or_default()).or_default();
            match &row.dims {
                None => unit.0 = Some(row),
                Some(dims) => drop(unit.1.insert(dims.clone(), row.sums)),
            }
            Ok(true)
        })?;
        let recorded: Vec<Timestamp> = cube.keys().filter(|key| key.0 == grain).map(|key| key.1).collect();
        for start in recorded {
            units.entry(start).or_default();
        }
        for (start, (total, parts)) in units {
            checked.units += 1;
            let expected = cube.remove(&(grain, start)).unwrap_or_default();
            let (mut sum, mut of_parts) = (Sums::default(), Sums::default());
            expected.values().for_each(|sums| sum.add(sums));
            parts.values().for_each(|sums| of_parts.add(sums));
            // Which parts stand for themselves in a full unit depends on who came first.
            let full = total.as_ref().is_some_and(|total| total.kinds >= KINDS);
            let total = total.map(|total| total.sums).unwrap_or_default();
            if total != sum || of_parts != sum || (!full && parts != expected) {
                let (summed, recorded) = (total.records, sum.records);
                checked.differences.push(Difference { unit: grain, start, summed, recorded });
            }
        }
    }
    Ok(checked)
}

/// The total of one unit.
pub(super) fn total(tx: &Reader, grain: Grain, start: Timestamp) -> Result<Option<Rollup>> {
    tx.get(&ROLLUPS, &grain.key(start))
}

impl Rollup {
    /// Whether some parts of the total were summed together.
    pub(super) fn is_full(&self) -> bool {
        self.kinds >= KINDS
    }
}

/// How much costs changed, and how many records have one now that had none, by unit and what is told apart.
type Moves = BTreeMap<(Grain, Timestamp, Dims), (i128, i64)>;

/// Reckons the costs of records anew, and puts the differences into the sums; how many records changed. Costs that were
/// reported stay.
pub fn recalculate(tx: &mut Writer, from: Timestamp, until: Timestamp) -> Result<u64> {
    begin(tx)?;
    let book = super::price::current(tx)?;
    let (mut changed, mut moves) = (0, Moves::new());
    let mut reckon = |position: Position, call: &mut Call| {
        let old = call.detail.cost;
        if old.is_some_and(|cost| cost.version.is_none()) {
            return false;
        }
        call.detail.cost = book.as_ref().and_then(|book| book.cost(position.at, call));
        if call.detail.cost == old {
            return false;
        }
        changed += 1;
        let pico = |cost: Option<Cost>| cost.map_or(0, |cost| cost.pico.0);
        let priced = i64::from(call.detail.cost.is_some()) - i64::from(old.is_some());
        for grain in Grain::ALL {
            let sums = moves.entry((grain, grain.floor(position.at), Dims::of(call))).or_default();
            sums.0 += pico(call.detail.cost) - pico(old);
            sums.1 += priced;
        }
        true
    };
    for (position, mut call) in tx.range(&CALLS, from, until)? {
        if reckon(position, &mut call) {
            tx.replace(&CALLS, position, &call)?;
        }
    }
    sealed::change(tx, from, until, |position, call| Ok(reckon(position, call)))?;
    for ((grain, start, dims), (pico, priced)) in moves {
        move_sums(tx, &grain.key(start), &dims, pico, priced)?;
    }
    Ok(changed)
}

/// Puts the change of costs into the sums of a unit.
fn move_sums(tx: &mut Writer, unit: &str, dims: &Dims, pico: i128, priced: i64) -> Result<()> {
    let Some(mut total) = tx.get(&ROLLUPS, unit)? else { return Ok(()) };
    let correct = |sums: &mut Sums| {
        sums.cost.0 += pico;
        sums.priced = sums.priced.saturating_add_signed(priced);
    };
    let own = part_key(unit, dims);
    let key = if tx.get(&ROLLUPS, &own)?.is_some() { own } else { part_key(unit, &Dims::rest()) };
    if let Some(mut part) = tx.get(&ROLLUPS, &key)? {
        correct(&mut part.sums);
        tx.put(&ROLLUPS, &key, &part)?;
    }
    correct(&mut total.sums);
    tx.put(&ROLLUPS, unit, &total)
}
