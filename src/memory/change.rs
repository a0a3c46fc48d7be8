//! Storing, changing and forgetting. A memory, what the index says of it and what is kept for `undo` are one commit.
//! Rule: only `forget` loses anything, and it loses all of it: the memory, what it had taken the place of, its words
//! in the index, its vector, and the copies kept for `undo`.

use super::journal::Journal;
use super::model::{self, Kind, Memory, New, Triple, Who};
use super::select::{self, Filter};
use super::space::{self, Namespace, Permission};
use super::{MEMORIES, index, journal, row_key, vectors};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Writer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Memories that one request may bring.
pub const MOST_AT_ONCE: usize = 1_000;

/// What became of a memory that was stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    pub memory: Memory,
    /// `false` when the agent had said the same before.
    pub new: bool,
    /// The ids it took the place of.
    pub replaced: Vec<u32>,
}

/// What is to be different; `None` stays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Update {
    pub text: Option<String>,
    pub key: Option<String>,
    pub kind: Option<Kind>,
    pub tags: Option<Vec<String>>,
    /// Fields to set, and with `None` to leave out.
    pub metadata: BTreeMap<String, Option<String>>,
    pub triples: Option<Vec<Triple>>,
    pub importance: Option<f32>,
    /// `Some(None)` lets it stay for ever.
    pub ttl_ms: Option<Option<u64>>,
}

/// Stores memories in the name of `who`.
pub fn store(tx: &mut Writer, new: Vec<New>, who: &Who, now: Timestamp) -> Result<Vec<Stored>> {
    if new.len() > MOST_AT_ONCE {
        let message = format!("{} memories at once; at most {MOST_AT_ONCE}", new.len());
        return Err(Error::new(&codes::MEMORY_TOO_LARGE, message));
    }
    let mut journal = Journal::new("store", who, now);
    let stored =
        new.into_iter().map(|new| store_one(tx, new, who, now, &mut journal)).collect::<Result<_>>()?;
    journal.save_if_changing(tx)?;
    Ok(stored)
}

/// Stores one; what it takes the place of is noted in `journal`.
pub fn store_one(
    tx: &mut Writer,
    mut new: New,
    who: &Who,
    now: Timestamp,
    journal: &mut Journal,
) -> Result<Stored> {
    // Only the owner speaks for others.
    let agent = new.agent.take().filter(|_| who.agent.is_none()).unwrap_or_else(|| who.label().into());
    if new.session.is_none() && new.kind.is_of_session() {
        new.session.clone_from(&who.session);
    }
    let mut head = space::head(tx)?;
    let number = head.last.checked_add(1).ok_or_else(|| Error::bug("four billion memories"))?;
    let namespace = space::writable(tx, who, &new.namespace, now)?;
    let memory = new.check(number, &agent, now)?;
    if let Some(same) = same(tx, &namespace, &memory, now)? {
        return Ok(Stored { memory: same, new: false, replaced: Vec::new() });
    }
    head.last = number;
    space::put_head(tx, head)?;
    let mut replaced = Vec::new();
    for old in rivals(tx, &memory, now)? {
        replaced.push(old.number);
        supersede(tx, old, number, now, journal)?;
    }
    journal.before(number, None);
    write(tx, &memory)?;
    Ok(Stored { memory, new: true, replaced })
}

/// What the same agent has said in the same words, as far as it still counts.
fn same(tx: &Reader, namespace: &Namespace, memory: &Memory, now: Timestamp) -> Result<Option<Memory>> {
    // What happened twice happened twice, and a key is there to be written again.
    if memory.kind == Kind::Episodic || memory.key.is_some() {
        return Ok(None);
    }
    for number in index::saying(tx, &namespace.name, &memory.text)? {
        let Some(old) = select::by_number(tx, Some(number))? else { continue };
        let is_same = old.is_current(now)
            && (&old.agent, old.kind, &old.session) == (&memory.agent, memory.kind, &memory.session)
            && (&old.text, &old.triples, &old.tags) == (&memory.text, &memory.triples, &memory.tags)
            && (&old.metadata, &old.key) == (&memory.metadata, &memory.key);
        if is_same {
            return Ok(Some(old));
        }
    }
    Ok(None)
}

/// The memories under the same key, whose place a new one takes.
fn rivals(tx: &Reader, memory: &Memory, now: Timestamp) -> Result<Vec<Memory>> {
    let Some(key) = &memory.key else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for number in index::under_key(tx, &memory.namespace, key)? {
        let old = select::by_number(tx, Some(number))?;
        found.extend(old.filter(|old| {
            old.number != memory.number
                && old.key.as_ref() == Some(key)
                && old.is_current(now)
                && (!memory.kind.is_of_session() && !old.kind.is_of_session()
                    || old.session == memory.session)
        }));
    }
    Ok(found)
}

/// Puts a memory in, and files it when it counts. One that stands there is taken out of the index first.
pub fn write(tx: &mut Writer, memory: &Memory) -> Result<()> {
    let key = row_key(memory.number);
    if let Some(old) = tx.get(&MEMORIES, &key)? {
        if old.superseded_by.is_none() {
            index::remove(tx, &old)?;
        }
        if old.searched() != memory.searched() {
            vectors::remove(tx, memory.number)?;
        }
    }
    tx.put(&MEMORIES, &key, memory)?;
    match memory.superseded_by {
        None => index::add(tx, memory),
        Some(_) => vectors::remove(tx, memory.number),
    }
}

/// Takes a memory away with its words and its vector.
pub fn erase(tx: &mut Writer, memory: &Memory) -> Result<()> {
    if memory.superseded_by.is_none() {
        index::remove(tx, memory)?;
    }
    vectors::remove(tx, memory.number)?;
    tx.remove(&MEMORIES, &row_key(memory.number)).map(drop)
}

/// Marks `old` as replaced by the memory `by`.
pub fn supersede(tx: &mut Writer, old: Memory, by: u32, now: Timestamp, journal: &mut Journal) -> Result<()> {
    journal.before(old.number, Some(&old));
    let expires = old.expires;
    write(tx, &Memory { superseded_by: Some(by), updated: now, expires, ..old })
}

/// A memory that `who` may write to.
pub fn writable(tx: &Reader, word: &str, filter: &Filter, who: &Who, now: Timestamp) -> Result<Memory> {
    let memory = select::one(tx, word, filter, who, now)?;
    let namespace = space::find(tx, &memory.namespace)?;
    space::demand(&namespace, who, Permission::Write)?;
    Ok(memory)
}

/// Changes one memory.
pub fn update(
    tx: &mut Writer,
    word: &str,
    filter: &Filter,
    update: Update,
    who: &Who,
    now: Timestamp,
) -> Result<Memory> {
    let old = writable(tx, word, filter, who, now)?;
    let mut journal = Journal::new("update", who, now);
    journal.before(old.number, Some(&old));
    let memory = changed(old, update, now)?;
    if let Some(rival) = rivals(tx, &memory, now)?.first() {
        let (key, id) = (memory.key.as_deref().unwrap_or_default(), rival.id());
        return Err(Error::new(&codes::MEMORY_EXISTS, format!("the key `{key}` is that of {id}"))
            .hint(format!("umcp memory update {id}")));
    }
    write(tx, &memory)?;
    journal.save_if_changing(tx)?;
    Ok(memory)
}

fn changed(mut memory: Memory, update: Update, now: Timestamp) -> Result<Memory> {
    if let Some(text) = update.text {
        model::check_text(&text)?;
        memory.text = text;
    }
    if let Some(key) = update.key {
        model::check_word("key", &key)?;
        memory.key = Some(key);
    }
    memory.kind = update.kind.unwrap_or(memory.kind);
    if let Some(mut tags) = update.tags {
        tags.sort();
        tags.dedup();
        memory.tags = tags;
    }
    for (name, value) in update.metadata {
        match value {
            Some(value) => drop(memory.metadata.insert(name, value)),
            None => drop(memory.metadata.remove(&name)),
        }
    }
    memory.triples = update.triples.unwrap_or(memory.triples);
    memory.importance = update.importance.unwrap_or(memory.importance);
    if let Some(ttl) = update.ttl_ms {
        memory.expires = ttl.map(|ttl| model::expiry(now, ttl)).transpose()?;
    }
    model::check_lists(&memory.tags, &memory.triples)?;
    model::check_metadata(&memory.metadata)?;
    model::check_importance(memory.importance)?;
    if memory.text.trim().is_empty() && memory.triples.is_empty() {
        return Err(Error::new(
            &codes::VALUE_INVALID,
            "there is nothing left to remember: the text is empty",
        )
        .hint(format!("umcp memory forget {}", memory.id())));
    }
    memory.updated = now;
    Ok(memory)
}

/// Forgets memories with all they had taken the place of; the numbers of all that went.
pub fn forget(tx: &mut Writer, gone: Vec<Memory>, who: &Who) -> Result<Vec<u32>> {
    for memory in &gone {
        space::demand(&space::find(tx, &memory.namespace)?, who, Permission::Write)?;
    }
    let mut numbers: Vec<u32> = gone.iter().map(|memory| memory.number).collect();
    let mut all = gone;
    loop {
        // What was replaced by something that was replaced goes too.
        let mut more = Vec::new();
        tx.scan(&MEMORIES, "", |_, memory: Result<Memory>| {
            let older = memory.ok().filter(|old| {
                old.superseded_by.is_some_and(|by| numbers.contains(&by)) && !numbers.contains(&old.number)
            });
            more.extend(older);
            Ok(true)
        })?;
        numbers.extend(more.iter().map(|memory| memory.number));
        let done = more.is_empty();
        all.extend(more);
        if done {
            break;
        }
    }
    for memory in &all {
        erase(tx, memory)?;
    }
    journal::scrub(tx, &numbers)?;
    Ok(numbers)
}

/// Removes what has expired; how many.
pub fn sweep(tx: &mut Writer, now: Timestamp) -> Result<u64> {
    let mut gone = Vec::new();
    tx.scan(&MEMORIES, "", |_, memory: Result<Memory>| {
        gone.extend(memory.ok().filter(|memory| memory.is_expired(now)));
        Ok(gone.len() < MOST_AT_ONCE)
    })?;
    for memory in &gone {
        erase(tx, memory)?;
    }
    Ok(gone.len() as u64)
}
