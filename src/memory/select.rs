//! Which memories are meant: filters by kind, tag, metadata, agent, session and time, an order and a number.
//! Pure but for the walk over the rows. Rule: what an agent may not read is not there for it.

use super::model::{Kind, Memory, Who};
use super::space::{self, Namespace};
use super::{MEMORIES, index, model};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::Reader;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What a memory has to be like. Empty lists ask for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    pub namespace: Option<String>,
    pub kinds: Vec<Kind>,
    /// All of them.
    pub tags: Vec<String>,
    /// Each of these fields with this value, as JSON text or as the text of a string.
    pub metadata: Vec<(String, String)>,
    /// Any of them.
    pub agents: Vec<String>,
    pub exclude_agents: Vec<String>,
    pub session: Option<String>,
    pub key: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// A part of a triple: its subject, relation or object.
    pub about: Option<String>,
    /// Those too that were superseded or have expired.
    pub past: bool,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The newest.
    #[default]
    Timestamp,
    Oldest,
    Importance,
    Updated,
}

/// A list of memories that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Select {
    pub filter: Filter,
    pub order: Order,
    pub limit: u32,
    pub offset: u32,
}

impl Filter {
    /// Whether a memory is one of those that are meant.
    pub fn fits(&self, memory: &Memory, who: &Who, now: Timestamp) -> bool {
        let value = |name: &String| memory.metadata.get(name).map(String::as_str);
        let equal = |wanted: &str, value: &str| {
            value == wanted || serde_json::from_str::<String>(value).is_ok_and(|text| text == wanted)
        };
        let is_about = |word: &String| {
            memory.triples.iter().any(|triple| {
                [&triple.subject, &triple.relation, &triple.object]
                    .iter()
                    .any(|part| part.eq_ignore_ascii_case(word))
            })
        };
        (self.past || memory.is_current(now))
            && self.namespace.as_ref().is_none_or(|name| *name == memory.namespace)
            && (self.kinds.is_empty() || self.kinds.contains(&memory.kind))
            && self.tags.iter().all(|tag| memory.tags.contains(tag))
            && self
                .metadata
                .iter()
                .all(|(name, wanted)| value(name).is_some_and(|value| equal(wanted, value)))
            && (self.agents.is_empty() || self.agents.contains(&memory.agent))
            && !self.exclude_agents.contains(&memory.agent)
            && self.key.as_ref().is_none_or(|key| memory.key.as_ref() == Some(key))
            && self.since.is_none_or(|since| memory.created >= since)
            && self.until.is_none_or(|until| memory.created < until)
            && self.about.as_ref().is_none_or(is_about)
            && self.of_session(memory, who)
    }

    /// What belongs to a session is seen by those who name it, and by the owner.
    fn of_session(&self, memory: &Memory, who: &Who) -> bool {
        match &self.session {
            Some(session) => memory.session.as_ref() == Some(session),
            None => {
                who.agent.is_none()
                    || !memory.kind.is_of_session()
                    || memory.session.is_none()
                    || memory.session == who.session
            }
        }
    }
}

/// All memories that fit, in the order of their numbers.
pub fn fitting(tx: &Reader, filter: &Filter, who: &Who, now: Timestamp) -> Result<Vec<Memory>> {
    let spaces = space::readable(tx, who, filter.namespace.as_deref())?;
    let open: HashMap<&str, &Namespace> = spaces.iter().map(|space| (space.name.as_str(), space)).collect();
    let mut found = Vec::new();
    tx.scan(&MEMORIES, "", |_, memory| {
        let memory = memory?;
        if open.contains_key(memory.namespace.as_str()) && filter.fits(&memory, who, now) {
            found.push(memory);
        }
        Ok(true)
    })?;
    Ok(found)
}

/// The memories of a list, and how many there are in all.
pub fn select(tx: &Reader, select: &Select, who: &Who, now: Timestamp) -> Result<(Vec<Memory>, u64)> {
    let mut found = fitting(tx, &select.filter, who, now)?;
    sort(&mut found, select.order);
    let all = found.len() as u64;
    let page = found.into_iter().skip(select.offset as usize).take(select.limit as usize);
    Ok((page.collect(), all))
}

pub fn sort(memories: &mut [Memory], order: Order) {
    memories.sort_by(|one, other| {
        let newest = || (other.created, other.number).cmp(&(one.created, one.number));
        match order {
            Order::Timestamp => newest(),
            Order::Oldest => newest().reverse(),
            Order::Updated => other.updated.cmp(&one.updated).then_with(newest),
            Order::Importance => other.importance.total_cmp(&one.importance).then_with(newest),
        }
    });
}

/// One memory by its id or its key, which may stand in several namespaces; the newest that fits counts.
///
/// # Errors
/// `MEMORY_NOT_FOUND`, also for what `who` may not read.
pub fn one(tx: &Reader, word: &str, filter: &Filter, who: &Who, now: Timestamp) -> Result<Memory> {
    let missing =
        || Error::new(&codes::MEMORY_NOT_FOUND, format!("no memory `{word}`")).hint("umcp memory list");
    if let Some(memory) = by_number(tx, model::number(word))? {
        let open = space::get(tx, &memory.namespace)?
            .is_some_and(|space| space.permission(who) >= space::Permission::Read);
        if open && filter.namespace.as_ref().is_none_or(|name| *name == memory.namespace) {
            return Ok(memory);
        }
    }
    let mut found = Vec::new();
    for space in space::readable(tx, who, filter.namespace.as_deref())? {
        for number in index::under_key(tx, &space.name, word)? {
            found.extend(by_number(tx, Some(number))?.filter(|memory| filter.fits(memory, who, now)));
        }
    }
    sort(&mut found, Order::Timestamp);
    found.into_iter().next().ok_or_else(missing)
}

/// A memory by its number, of whatever namespace.
pub fn by_number(tx: &Reader, number: Option<u32>) -> Result<Option<Memory>> {
    number.map_or(Ok(None), |number| tx.get(&MEMORIES, &super::row_key(number)))
}
