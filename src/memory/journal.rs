//! What `umcp memory undo` takes back: for each change the memories as they were before it. The newest changes are
//! kept, for a month. Rule: what was forgotten is in no copy.

use super::change;
use super::model::{Memory, Who};
use super::select;
use super::space;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::store::{Reader, Row, Table, Writer, tables};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const CHANGES: Table<Entry> = Table::new(tables::MEMORY_CHANGES);
/// Changes that are kept.
const KEEP: usize = 50;
const KEEP_MS: u64 = 30 * 86_400_000;

/// A change that can be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub id: u32,
    /// The verb that made it.
    pub what: String,
    pub agent: String,
    pub at: Timestamp,
    pub memories: u32,
    pub undone: Option<Timestamp>,
}

/// A memory before a change, and a mark of what it was after it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Image {
    number: u32,
    before: Option<Memory>,
    after: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Entry {
    Change(Change),
    Image(Box<Image>),
}

impl Row for Entry {
    const KIND: u8 = 104;
    const VERSION: u16 = 1;
}

/// A change under way.
pub struct Journal {
    what: &'static str,
    agent: String,
    now: Timestamp,
    before: BTreeMap<u32, Option<Memory>>,
}

impl Journal {
    pub fn new(what: &'static str, who: &Who, now: Timestamp) -> Self {
        Self { what, agent: who.label().into(), now, before: BTreeMap::new() }
    }

    /// Notes a memory as it is before it is touched; the first note counts.
    pub fn before(&mut self, number: u32, memory: Option<&Memory>) {
        self.before.entry(number).or_insert_with(|| memory.cloned());
    }

    /// Keeps the change if it touched what was there; only new memories need no undo but `forget`.
    pub fn save_if_changing(self, tx: &mut Writer) -> Result<Option<u32>> {
        match self.before.values().any(Option::is_some) {
            true => self.save(tx),
            false => Ok(None),
        }
    }

    /// Keeps the change; its id.
    pub fn save(self, tx: &mut Writer) -> Result<Option<u32>> {
        if self.before.is_empty() {
            return Ok(None);
        }
        let mut head = space::head(tx)?;
        head.last_change += 1;
        let id = head.last_change;
        space::put_head(tx, head)?;
        let memories = self.before.len() as u32;
        let change =
            Change { id, what: self.what.into(), agent: self.agent, at: self.now, memories, undone: None };
        tx.put(&CHANGES, &key(id), &Entry::Change(change))?;
        for (number, before) in self.before {
            let after = mark(select::by_number(tx, Some(number))?.as_ref());
            let image = Image { number, before, after };
            tx.put(&CHANGES, &format!("{}/{number:08x}", key(id)), &Entry::Image(Box::new(image)))?;
        }
        trim(tx, self.now)?;
        Ok(Some(id))
    }
}

fn key(id: u32) -> String {
    format!("{id:08x}")
}

/// What tells whether a memory was changed.
fn mark(memory: Option<&Memory>) -> Option<String> {
    memory.map(|memory| {
        ids::digest(serde_json::to_string(memory).unwrap_or_default().as_bytes())[..16].to_string()
    })
}

/// All changes that are kept, newest first.
pub fn changes(tx: &Reader) -> Result<Vec<Change>> {
    let mut found = Vec::new();
    tx.scan(&CHANGES, "", |_, entry| {
        if let Entry::Change(change) = entry? {
            found.push(change);
        }
        Ok(true)
    })?;
    found.reverse();
    Ok(found)
}

fn trim(tx: &mut Writer, now: Timestamp) -> Result<()> {
    let old = |(at, change): (usize, Change)| {
        (at >= KEEP || now.since_ms(change.at) > KEEP_MS).then_some(change.id)
    };
    let gone: Vec<u32> = changes(tx)?.into_iter().enumerate().filter_map(old).collect();
    for id in gone {
        for (entry, _) in tx.prefix(&CHANGES, &key(id))? {
            tx.remove(&CHANGES, &entry)?;
        }
    }
    Ok(())
}

/// Takes the copies of these memories out of every change.
pub fn scrub(tx: &mut Writer, numbers: &[u32]) -> Result<()> {
    let mut gone = Vec::new();
    tx.scan(&CHANGES, "", |key, entry| {
        // A damaged copy may hold anything.
        let held = match &entry {
            Ok(Entry::Image(image)) => numbers.contains(&image.number),
            Ok(Entry::Change(_)) => false,
            Err(_) => true,
        };
        gone.extend(held.then(|| key.to_string()));
        Ok(true)
    })?;
    for key in gone {
        tx.remove(&CHANGES, &key)?;
    }
    Ok(())
}

/// Takes back a change, the newest that stands if `id` is `None`; what it was.
///
/// # Errors
/// `UNDO_NOTHING`; `MEMORY_CHANGED` when a memory is not as the change left it, unless `force`.
pub fn undo(tx: &mut Writer, id: Option<u32>, force: bool, now: Timestamp) -> Result<Change> {
    let nothing = |words: String| Error::new(&codes::UNDO_NOTHING, words).hint("umcp memory undo --list");
    let all = changes(tx)?;
    let found = match id {
        Some(id) => all.into_iter().find(|change| change.id == id),
        None => all.into_iter().find(|change| change.undone.is_none()),
    };
    let Some(mut change) = found else {
        return Err(nothing(
            id.map_or("there is nothing to take back".into(), |id| format!("there is no change {id}")),
        ));
    };
    if change.undone.is_some() {
        return Err(nothing(format!("change {} was taken back already", change.id)));
    }
    let mut images = Vec::new();
    for (_, entry) in tx.prefix(&CHANGES, &format!("{}/", key(change.id)))? {
        if let Entry::Image(image) = entry {
            images.push(*image);
        }
    }
    for image in &images {
        let present = select::by_number(tx, Some(image.number))?;
        if !force && mark(present.as_ref()) != image.after {
            let message =
                format!("{} was changed after change {}", super::model::id(image.number), change.id);
            return Err(Error::new(&codes::MEMORY_CHANGED, message)
                .hint("umcp memory undo --list    # a later change may have to go first")
                .hint(format!("umcp memory undo {} --force", change.id)));
        }
    }
    for image in images {
        let present = select::by_number(tx, Some(image.number))?;
        match (image.before, present) {
            (Some(before), _) => change::write(tx, &before)?,
            (None, Some(present)) => change::erase(tx, &present)?,
            (None, None) => {}
        }
    }
    change.undone = Some(now);
    tx.put(&CHANGES, &key(change.id), &Entry::Change(change.clone()))?;
    Ok(change)
}
