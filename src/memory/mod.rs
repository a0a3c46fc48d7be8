//! The noun `memory`: what agents remember, across sessions and across agents, found by words and by meaning.
//! It makes no vectors and knows no server: vectors come in as arguments, agents as names. Rule: an agent sees only
//! what it may read, every change is one commit with its index, and only `forget` loses anything.

pub mod answer;
pub mod change;
pub mod consolidate;
pub mod files;
mod index;
pub mod journal;
pub mod model;
pub mod patterns;
pub mod recall;
mod request;
pub mod select;
pub mod space;
pub mod transfer;
pub mod vectors;

#[cfg(test)]
mod tests;

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Table, Writer, tables};
use journal::Journal;
use model::{Kind, Memory, New, Who};
pub use request::{Ask, Reply, Request, Stats};
use select::{Filter, Order, Select};
use space::Permission;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const MEMORIES: Table<Memory> = Table::new(tables::MEMORIES);
/// Important memories that a context may hold beside those that answer.
const MOST_IMPORTANT: u32 = 50;
/// What counts as important there.
const IMPORTANT: f32 = 0.8;
/// Hits that a context is packed from.
const PACKED_FROM: u32 = 200;

fn row_key(number: u32) -> String {
    format!("{number:08x}")
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    let (who, now) = (&request.who, request.at);
    match &request.ask {
        Ask::Get { word, filter } => {
            select::one(tx, word, filter, who, now).map(|it| Reply::Memory(Box::new(it)))
        }
        Ask::List(list) => select::select(tx, list, who, now).map(|(page, all)| Reply::Memories(page, all)),
        Ask::Search(search) => recall::search(tx, search, who, now).map(Reply::Found),
        Ask::Answer(search) => {
            recall::search(tx, search, who, now).map(|found| Reply::Answer(answer::ask(found.hits)))
        }
        Ask::Context { search, max_tokens } => context(tx, search, *max_tokens, who, now),
        Ask::Namespaces => Ok(Reply::Namespaces(space::readable(tx, who, None)?)),
        Ask::Stats { check } => stats(tx, *check, who, now).map(|stats| Reply::Stats(Box::new(stats))),
        Ask::Changes => Ok(Reply::Changes(
            journal::changes(tx)?
                .into_iter()
                .filter(|change| who.agent.is_none() || change.agent == who.label())
                .collect(),
        )),
        Ask::Pending { model, after, limit } => {
            let found = vectors::pending(tx, model, *after, *limit as usize, now)?;
            let all = found.len() as u64;
            Ok(Reply::Memories(found, all))
        }
        Ask::Forget { words, filter, .. } => {
            let gone = chosen(tx, words, filter, who, now)?;
            Ok(Reply::Gone(gone.iter().map(|memory| memory.number).collect()))
        }
        Ask::Consolidate { filter, threshold, model, .. } => {
            Ok(Reply::Steps(plan(tx, filter, *threshold, model.as_deref(), who, now)?, None))
        }
        Ask::Patterns { filter, least, .. } => {
            Ok(Reply::Patterns(patterns::patterns(&select::fitting(tx, filter, who, now)?, *least), None))
        }
        Ask::Prune { filter, prune, .. } => Ok(Reply::Pruned(prunable(tx, filter, *prune, who, now)?, None)),
        Ask::File { namespace, command } => files::view(tx, namespace, command, who, now).map(Reply::Text),
        _ => Err(Error::bug("a write was handed to `memory::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    let Request { who, at: now, ask } = request;
    match ask {
        Ask::Store(new) => change::store(tx, new, &who, now).map(Reply::Stored),
        Ask::Import(new) => import(tx, new, &who, now).map(Reply::Stored),
        Ask::Update { word, filter, update } => change::update(tx, &word, &filter, *update, &who, now)
            .map(|memory| Reply::Memory(Box::new(memory))),
        Ask::Forget { words, filter, .. } => {
            let gone = chosen(tx, &words, &filter, &who, now)?;
            change::forget(tx, gone, &who).map(Reply::Gone)
        }
        Ask::Consolidate { filter, threshold, model, .. } => {
            let steps = plan(tx, &filter, threshold, model.as_deref(), &who, now)?;
            let mut journal = Journal::new("consolidate", &who, now);
            consolidate::carry_out(tx, &steps, now, &mut journal)?;
            let id = journal.save(tx)?;
            let mut head = space::head(tx)?;
            head.consolidated = Some(now);
            space::put_head(tx, head)?;
            Ok(Reply::Steps(steps, id))
        }
        Ask::Patterns { filter, least, keep, .. } => keep_patterns(tx, &filter, least, keep, &who, now),
        Ask::Prune { filter, prune, .. } => {
            let gone = prunable(tx, &filter, prune, &who, now)?;
            let id = consolidate::remove(tx, &gone, &who, now)?;
            Ok(Reply::Pruned(gone, id))
        }
        Ask::SetNamespace { name, description, everybody, create } => {
            owner_only(&who)?;
            space::set(tx, &name, description, everybody, create, now).map(Reply::Namespace)
        }
        Ask::DeleteNamespace { name } => {
            owner_only(&who)?;
            space::find(tx, &name)?;
            let filter = Filter { namespace: Some(name.clone()), past: true, ..Filter::default() };
            let gone = select::fitting(tx, &filter, &who, now)?;
            let gone = change::forget(tx, gone, &who)?;
            space::remove(tx, &name)?;
            Ok(Reply::Gone(gone))
        }
        Ask::Grant { namespace, agent, permission } => {
            may_grant(tx, &namespace, &who)?;
            space::grant(tx, &namespace, &agent, permission, now).map(Reply::Namespace)
        }
        Ask::Reindex { vectors } => {
            owner_only(&who)?;
            reindex(tx, vectors, now).map(Reply::Count)
        }
        Ask::Undo { id, force } => {
            owner_only(&who)?;
            journal::undo(tx, id, force, now).map(Reply::Change)
        }
        Ask::PutVectors(made) => {
            owner_only(&who)?;
            vectors::put(tx, made).map(Reply::Count)
        }
        Ask::Sweep => {
            owner_only(&who)?;
            change::sweep(tx, now).map(Reply::Count)
        }
        Ask::File { namespace, command } => {
            files::perform(tx, &namespace, command, &who, now).map(Reply::Text)
        }
        _ => Err(Error::bug("a read was handed to `memory::write`")),
    }
}

fn owner_only(who: &Who) -> Result<()> {
    match &who.agent {
        None => Ok(()),
        Some(agent) => {
            Err(Error::new(&codes::MEMORY_DENIED, format!("only the owner may do that, not `{agent}`")))
        }
    }
}

/// An agent may share what is its own.
fn may_grant(tx: &Reader, name: &str, who: &Who) -> Result<()> {
    let owns =
        who.agent.is_some() && space::get(tx, name)?.is_some_and(|namespace| namespace.owner == who.agent);
    if owns { Ok(()) } else { owner_only(who) }
}

fn context(tx: &Reader, search: &recall::Search, most: u64, who: &Who, now: Timestamp) -> Result<Reply> {
    let wide = recall::Search { top_k: PACKED_FROM, ..search.clone() };
    let hits = recall::search(tx, &wide, who, now)?.hits;
    let list =
        Select { filter: search.filter.clone(), order: Order::Importance, limit: MOST_IMPORTANT, offset: 0 };
    let (mut important, _) = select::select(tx, &list, who, now)?;
    important.retain(|memory| memory.importance >= IMPORTANT || memory.kind == Kind::Working);
    Ok(Reply::Packed(answer::context(&hits, &important, most)))
}

/// The memories that are named, else all that fit a filter that says something.
fn chosen(tx: &Reader, words: &[String], filter: &Filter, who: &Who, now: Timestamp) -> Result<Vec<Memory>> {
    if words.is_empty() {
        if (Filter { past: false, ..filter.clone() }) == Filter::default() {
            return Err(Error::new(&codes::USAGE, "which memories? Name them, or say what they are like")
                .hint("umcp memory forget m12")
                .hint("umcp memory forget --tag old"));
        }
        return select::fitting(tx, &Filter { past: true, ..filter.clone() }, who, now);
    }
    words.iter().map(|word| change::writable(tx, word, filter, who, now)).collect()
}

/// Memories of the filter in namespaces that `who` may write to.
fn writable(tx: &Reader, filter: &Filter, who: &Who, now: Timestamp) -> Result<Vec<Memory>> {
    let spaces = space::readable(tx, who, filter.namespace.as_deref())?;
    let open: BTreeSet<String> = spaces
        .into_iter()
        .filter(|space| space.permission(who) >= Permission::Write)
        .map(|space| space.name)
        .collect();
    let mut found = select::fitting(tx, filter, who, now)?;
    found.retain(|memory| open.contains(&memory.namespace));
    Ok(found)
}

fn plan(
    tx: &Reader,
    filter: &Filter,
    threshold: f32,
    model: Option<&str>,
    who: &Who,
    now: Timestamp,
) -> Result<Vec<consolidate::Step>> {
    if !(0.3..=1.0).contains(&threshold) {
        let message = format!("the threshold {threshold} is outside 0.3 to 1");
        return Err(Error::new(&codes::VALUE_INVALID, message).hint("0.9 joins what is nearly the same"));
    }
    let memories = writable(tx, &Filter { past: false, ..filter.clone() }, who, now)?;
    let mut kept = HashMap::new();
    if let Some(model) = model {
        vectors::each(tx, model, |number, vector| drop(kept.insert(number, vector.clone())))?;
    }
    Ok(consolidate::plan(&memories, &kept, threshold))
}

fn prunable(
    tx: &Reader,
    filter: &Filter,
    prune: consolidate::Prune,
    who: &Who,
    now: Timestamp,
) -> Result<Vec<Memory>> {
    model::check_importance(prune.importance_threshold)?;
    let all = writable(tx, &Filter { past: true, ..filter.clone() }, who, now)?;
    Ok(consolidate::pruned(all, prune, now))
}

fn import(tx: &mut Writer, new: Vec<New>, who: &Who, now: Timestamp) -> Result<Vec<change::Stored>> {
    if new.len() > change::MOST_AT_ONCE {
        return Err(Error::new(&codes::MEMORY_TOO_LARGE, format!("{} memories at once", new.len())));
    }
    let mut journal = Journal::new("import", who, now);
    let stored = new
        .into_iter()
        .map(|new| change::store_one(tx, new, who, now, &mut journal))
        .collect::<Result<_>>()?;
    journal.save(tx)?;
    Ok(stored)
}

/// Finds patterns and keeps each as a memory, under a key of its own, so that the next time replaces it.
fn keep_patterns(
    tx: &mut Writer,
    filter: &Filter,
    least: u64,
    keep: Option<String>,
    who: &Who,
    now: Timestamp,
) -> Result<Reply> {
    let namespace = keep.unwrap_or_else(|| model::DEFAULT.into());
    let mut looked_at = select::fitting(tx, filter, who, now)?;
    // A pattern of patterns says nothing.
    looked_at.retain(|memory| !memory.tags.iter().any(|tag| tag == "pattern"));
    let found = patterns::patterns(&looked_at, least);
    let mut journal = Journal::new("patterns", who, now);
    for pattern in &found {
        let ids: Vec<String> = pattern.examples.iter().map(|number| model::id(*number)).collect();
        let mut key = format!("pattern {} {}", pattern.what, pattern.value);
        key.truncate(key.floor_char_boundary(200));
        let new = New {
            namespace: namespace.clone(),
            key: Some(key),
            text: format!(
                "{} {} in {} memories, such as {}",
                pattern.what,
                pattern.value,
                pattern.count,
                ids.join(", ")
            ),
            tags: vec!["pattern".into()],
            metadata: BTreeMap::from([
                ("type".into(), "\"pattern\"".into()),
                ("count".into(), pattern.count.to_string()),
                ("confidence".into(), format!("{:.2}", pattern.share)),
            ]),
            ..New::default()
        };
        change::store_one(tx, new, who, now, &mut journal)?;
    }
    let id = journal.save(tx)?;
    Ok(Reply::Patterns(found, id))
}

/// Makes the index anew from the memories; how many it holds. Damaged memories stay where they are.
fn reindex(tx: &mut Writer, all_vectors: bool, now: Timestamp) -> Result<u64> {
    index::clear(tx)?;
    if all_vectors {
        vectors::clear(tx)?;
    }
    let mut whole = Vec::new();
    let mut last = 0;
    tx.scan(&MEMORIES, "", |key, memory: Result<Memory>| {
        last = last.max(u32::from_str_radix(key, 16).unwrap_or_default());
        whole.extend(memory.ok());
        Ok(true)
    })?;
    let mut head = space::head(tx)?;
    head.last = head.last.max(last);
    space::put_head(tx, head)?;
    let mut count = 0;
    for memory in &whole {
        if space::get(tx, &memory.namespace)?.is_none() {
            space::set(tx, &memory.namespace, None, None, true, now)?;
        }
        if memory.superseded_by.is_none() {
            index::add(tx, memory)?;
            count += 1;
        }
    }
    vectors::tidy(tx)?;
    Ok(count)
}

fn stats(tx: &Reader, check: bool, who: &Who, now: Timestamp) -> Result<Stats> {
    let spaces = space::readable(tx, who, None)?;
    let names: BTreeSet<&str> = spaces.iter().map(|space| space.name.as_str()).collect();
    let mut kinds: BTreeMap<Kind, u64> = BTreeMap::new();
    let mut agents = BTreeSet::new();
    let mut stats = Stats { namespaces: names.len() as u64, ..Stats::default() };
    tx.scan(&MEMORIES, "", |_, memory: Result<Memory>| {
        let Ok(memory) = memory else {
            stats.damaged += 1;
            return Ok(true);
        };
        if !names.contains(memory.namespace.as_str()) {
            return Ok(true);
        }
        stats.bytes += memory.text.len() as u64;
        match (memory.superseded_by, memory.is_expired(now)) {
            (Some(_), _) => stats.superseded += 1,
            (None, true) => stats.expired += 1,
            (None, false) => {
                stats.current += 1;
                *kinds.entry(memory.kind).or_default() += 1;
            }
        }
        agents.insert(memory.agent);
        Ok(true)
    })?;
    stats.agents = agents.len() as u64;
    stats.kinds = kinds.into_iter().map(|(kind, count)| (kind.word().to_string(), count)).collect();
    stats.indexed = spaces.iter().map(|space| u64::from(space.indexed)).sum();
    if check && who.agent.is_none() {
        (stats.index_rows, stats.index_damaged) = index::look_over(tx)?;
        (stats.vectors, stats.vectors_damaged, stats.orphans) = vectors::look_over(tx)?;
    }
    stats.changes = journal::changes(tx)?.len() as u64;
    stats.consolidated = space::head(tx)?.consolidated;
    Ok(stats)
}

/// Whether any memory has a vector.
pub fn has_vectors(tx: &Reader) -> Result<bool> {
    vectors::any(tx)
}

/// Names of namespaces, for completion.
pub fn names(tx: &Reader) -> Result<Vec<String>> {
    Ok(space::all(tx)?.into_iter().map(|space| space.name).collect())
}
