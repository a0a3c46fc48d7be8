//! What can be joined, what contradicts, what is old: plans over memories, and the carrying out of them. The plans are
//! pure. Rule: consolidation deletes nothing; the memory that loses is superseded by the one that stays.

use super::journal::Journal;
use super::model::{Memory, Who};
use super::vectors::Vector;
use super::{change, select};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::search;
use crate::store::Writer;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Rare terms of a memory by which its like are looked for.
const LOOKED_BY: usize = 8;
/// Memories that share such a term and are compared.
const MOST_COMPARED: usize = 200;
/// Up to so many memories with vectors each is compared with each.
const MOST_IN_PAIRS: usize = 2_000;
/// Words whose presence in only one of two texts turns its meaning round.
const TURNING: [&str; 14] = [
    "not", "no", "never", "without", "stop", "stopped", "isnt", "doesnt", "dont", "cannot", "cant", "longer",
    "wont", "neither",
];

/// Why one memory takes the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// They say the same.
    Similar,
    /// They say different things of the same; the newer holds.
    Contradicts,
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub why: Why,
    pub keeps: u32,
    pub supersedes: u32,
    pub similarity: f32,
    /// The beginnings of both texts.
    pub kept_text: String,
    pub superseded_text: String,
}

/// The steps for memories that count; `vectors` those of one model.
pub fn plan(memories: &[Memory], vectors: &HashMap<u32, Vector>, threshold: f32) -> Vec<Step> {
    let mut groups: BTreeMap<(&str, super::model::Kind, Option<&str>), Vec<&Memory>> = BTreeMap::new();
    for memory in memories {
        // What happened is no matter of opinion, and a key names one thing already.
        if memory.kind != super::model::Kind::Episodic && memory.key.is_none() {
            let session = if memory.kind.is_of_session() { memory.session.as_deref() } else { None };
            groups.entry((memory.namespace.as_str(), memory.kind, session)).or_default().push(memory);
        }
    }
    let mut gone = BTreeSet::new();
    let mut steps = Vec::new();
    for group in groups.values() {
        relations(group, &mut gone, &mut steps);
        texts(group, vectors, threshold, &mut gone, &mut steps);
    }
    steps
}

fn step(why: Why, one: &Memory, other: &Memory, similarity: f32) -> Step {
    // The newer one stays; of the same moment the later.
    let newer = (one.created, one.number) > (other.created, other.number);
    let (keeps, gone) = if newer { (one, other) } else { (other, one) };
    let text = |memory: &Memory| {
        let whole = if memory.text.is_empty() { memory.searched() } else { memory.text.clone() };
        super::answer::piece(&whole, 120)
    };
    Step {
        why,
        keeps: keeps.number,
        supersedes: gone.number,
        similarity,
        kept_text: text(keeps),
        superseded_text: text(gone),
    }
}

/// One triple each, of the same subject and relation: the newer object holds.
fn relations(group: &[&Memory], gone: &mut BTreeSet<u32>, steps: &mut Vec<Step>) {
    let mut newest: BTreeMap<(String, String), &Memory> = BTreeMap::new();
    let mut sorted: Vec<&&Memory> = group.iter().filter(|memory| memory.triples.len() == 1).collect();
    sorted.sort_by_key(|memory| (memory.created, memory.number));
    for memory in sorted.into_iter().rev() {
        let triple = &memory.triples[0];
        let about = (triple.subject.to_lowercase(), triple.relation.to_lowercase());
        let Some(newer) = newest.get(&about) else {
            newest.insert(about, memory);
            continue;
        };
        let same = newer.triples[0].object.eq_ignore_ascii_case(&triple.object);
        let why = if same { Why::Similar } else { Why::Contradicts };
        gone.insert(memory.number);
        steps.push(step(why, newer, memory, 1.0));
    }
}

/// Texts that are alike; the newest of those that are alike stays.
fn texts(
    group: &[&Memory],
    vectors: &HashMap<u32, Vector>,
    threshold: f32,
    gone: &mut BTreeSet<u32>,
    steps: &mut Vec<Step>,
) {
    let mut sorted: Vec<&Memory> =
        group.iter().copied().filter(|memory| !memory.text.trim().is_empty()).collect();
    sorted.sort_by_key(|memory| std::cmp::Reverse((memory.created, memory.number)));
    let terms: Vec<BTreeSet<String>> =
        sorted.iter().map(|memory| search::terms(&memory.text).into_iter().collect()).collect();
    let mut holding: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, terms) in terms.iter().enumerate() {
        terms.iter().for_each(|term| holding.entry(term).or_default().push(at));
    }
    for (at, memory) in sorted.iter().enumerate() {
        if gone.contains(&memory.number) {
            continue;
        }
        for other in near(at, &terms, &holding, sorted.len(), !vectors.is_empty()) {
            let older = sorted[other];
            if other <= at || gone.contains(&older.number) {
                continue;
            }
            let by_words = alike(&terms[at], &terms[other]);
            let cosine = vectors.get(&memory.number).zip(vectors.get(&older.number)).map(|(a, b)| a.dot(b));
            let similarity = cosine.unwrap_or(0.0).max(by_words);
            if similarity < threshold {
                continue;
            }
            let why = if contradict(&memory.text, &older.text) { Why::Contradicts } else { Why::Similar };
            gone.insert(older.number);
            steps.push(step(why, memory, older, similarity));
        }
    }
}

/// Places of memories worth a comparison: all where meaning is known and they are few, else those that share a rare term.
fn near(
    at: usize,
    terms: &[BTreeSet<String>],
    holding: &HashMap<&str, Vec<usize>>,
    all: usize,
    by_meaning: bool,
) -> BTreeSet<usize> {
    if by_meaning && all <= MOST_IN_PAIRS {
        return (at + 1..all).collect();
    }
    let mut rare: Vec<&Vec<usize>> = terms[at].iter().filter_map(|term| holding.get(term.as_str())).collect();
    rare.sort_by_key(|places| places.len());
    rare.into_iter().take(LOOKED_BY).flat_map(|places| places.iter().take(MOST_COMPARED).copied()).collect()
}

/// The share of terms that two texts have in common.
fn alike(one: &BTreeSet<String>, other: &BTreeSet<String>) -> f32 {
    let common = one.intersection(other).count() as f32;
    match one.len().max(other.len()) {
        0 => 0.0,
        most => common / most as f32,
    }
}

/// Whether like texts differ in a number or in a word that turns the meaning round.
pub fn contradict(one: &str, other: &str) -> bool {
    let words = |text: &str| -> BTreeSet<String> {
        text.to_lowercase()
            .replace(['\'', '\u{2019}'], "")
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| TURNING.contains(word) || word.chars().any(|c| c.is_ascii_digit()))
            .map(Into::into)
            .collect()
    };
    words(one) != words(other)
}

/// Carries out a plan: what stays takes over tags, metadata and importance of what says the same.
pub fn carry_out(tx: &mut Writer, steps: &[Step], now: Timestamp, journal: &mut Journal) -> Result<()> {
    for step in steps {
        let kept = select::by_number(tx, Some(step.keeps))?;
        let lost = select::by_number(tx, Some(step.supersedes))?;
        let (Some(mut kept), Some(lost)) = (kept, lost) else { continue };
        if step.why == Why::Similar {
            journal.before(kept.number, Some(&kept));
            kept.tags.extend(lost.tags.iter().cloned());
            kept.tags.sort();
            kept.tags.dedup();
            kept.tags.truncate(32);
            for (name, value) in &lost.metadata {
                kept.metadata.entry(name.clone()).or_insert_with(|| value.clone());
            }
            kept.importance = kept.importance.max(lost.importance);
            kept.updated = now;
            change::write(tx, &kept)?;
        }
        change::supersede(tx, lost, step.keeps, now, journal)?;
    }
    Ok(())
}

/// What is to go: everything older than `max_age_days` that counts less than `threshold`, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prune {
    pub max_age_days: u32,
    pub importance_threshold: f32,
    /// What was superseded goes at that age however important it was.
    pub superseded: bool,
}

/// The memories that a pruning takes.
pub fn pruned(memories: Vec<Memory>, prune: Prune, now: Timestamp) -> Vec<Memory> {
    let age = u64::from(prune.max_age_days) * 86_400_000;
    let goes = |memory: &Memory| {
        let old = now.since_ms(memory.created.max(memory.updated)) > age;
        let past = memory.superseded_by.is_some() && prune.superseded;
        old && (past || memory.importance < prune.importance_threshold) || memory.is_expired(now)
    };
    memories.into_iter().filter(goes).collect()
}

/// Removes memories so that `undo` can bring them back.
pub fn remove(tx: &mut Writer, gone: &[Memory], who: &Who, now: Timestamp) -> Result<Option<u32>> {
    let mut journal = Journal::new("prune", who, now);
    for memory in gone {
        journal.before(memory.number, Some(memory));
        change::erase(tx, memory)?;
    }
    journal.save(tx)
}

#[cfg(test)]
mod tests {
    use super::super::model::{DEFAULT, New, Triple};
    use super::*;

    fn memory(number: u32, text: &str) -> Memory {
        let new = New { namespace: DEFAULT.into(), text: text.into(), ..New::default() };
        let now = Timestamp::from_millis(1_800_000_000_000 + u64::from(number));
        new.check(number, "a", now).unwrap()
    }

    fn triple(number: u32, words: [&str; 3]) -> Memory {
        let [subject, relation, object] = words.map(String::from);
        Memory {
            text: String::new(),
            triples: vec![Triple { subject, relation, object }],
            ..memory(number, "x")
        }
    }

    #[test]
    fn the_same_is_joined_and_the_newer_of_two_that_contradict_holds() {
        let memories = [
            memory(1, "The user prefers Python for backend work"),
            memory(2, "The user prefers Python for the backend work."),
            memory(3, "The weekly sync is at 9 in room 4"),
            memory(4, "The weekly sync is at 10 in room 4"),
            memory(5, "The deploy script works"),
            memory(6, "The deploy script no longer works"),
            memory(7, "Something else altogether"),
            triple(8, ["Ada", "works at", "Acme"]),
            triple(9, ["ada", "works at", "Initech"]),
        ];
        let shown: Vec<(Why, u32, u32)> = plan(&memories, &HashMap::new(), 0.6)
            .into_iter()
            .map(|step| (step.why, step.keeps, step.supersedes))
            .collect();
        let expected = [
            (Why::Contradicts, 9, 8),
            (Why::Contradicts, 6, 5),
            (Why::Contradicts, 4, 3),
            (Why::Similar, 2, 1),
        ];
        assert_eq!(shown, expected);
        assert_eq!(plan(&memories[..2], &HashMap::new(), 1.0).len(), 1, "the same words in full");
        assert_eq!(plan(&memories[..7], &HashMap::new(), 1.01), []);
    }

    #[test]
    fn meaning_joins_what_words_do_not() {
        let memories = [memory(1, "Ada enjoys tea"), memory(2, "She is fond of a hot brew")];
        let vector = Vector { scale: 0.1, values: vec![6, 8] };
        let vectors: HashMap<u32, Vector> = [(1, vector.clone()), (2, vector)].into();
        assert_eq!(plan(&memories, &vectors, 0.9).len(), 1);
        assert_eq!(plan(&memories, &HashMap::new(), 0.9).len(), 0);
    }

    #[test]
    fn pruning_keeps_what_is_young_or_important() {
        let now = Timestamp::from_millis(1_800_000_000_000 + 100 * 86_400_000);
        let young = Memory { created: now, updated: now, importance: 0.0, ..memory(1, "a") };
        let important = Memory { importance: 0.9, ..memory(2, "b") };
        let dull = memory(3, "c");
        let expired = Memory { expires: Some(now), ..young.clone() };
        let prune = Prune { max_age_days: 90, importance_threshold: 0.7, superseded: true };
        let past = Memory { superseded_by: Some(3), importance: 1.0, ..memory(5, "d") };
        let all = vec![young, important, dull, Memory { number: 4, ..expired }, past];
        let gone: Vec<u32> = pruned(all, prune, now).iter().map(|memory| memory.number).collect();
        assert_eq!(gone, [3, 4, 5]);
    }
}
