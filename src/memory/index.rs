//! The inverted index: for each namespace and term the memories that hold it, in blocks of a thousand numbers, written
//! in the transaction that writes the memory. Ranking is BM25; what else counts is decided in `recall`.
//!
//! Key: namespace, blank, term, blank, block in hex. None of them can hold a blank.

use super::model::Memory;
use super::space::{self, Namespace};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::search;
use crate::store::{Reader, Row, Table, Writer, tables};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

const TERMS: Table<Block> = Table::new(tables::MEMORY_TERMS);
/// Numbers in one block, as a power of two.
const BITS: u32 = 10;
/// Different terms of one memory that are filed.
const MOST_TERMS: usize = 4_000;
/// Words of a question that are looked up.
const MOST_ASKED: usize = 32;
/// Terms that stand in for one that nobody wrote.
const MOST_ENDINGS: usize = 12;
/// How much such a term counts.
const ENDING: f32 = 0.6;
const K1: f32 = 1.2;
const B: f32 = 0.5;

/// The memories of one block that hold a term.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Block {
    /// Number within the block, how often, and how many words the memory has; by number.
    entries: Vec<(u16, u8, u16)>,
}

impl Row for Block {
    const KIND: u8 = 101;
    const VERSION: u16 = 1;
}

/// A memory that holds words that were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    pub number: u32,
    /// How well it answers all words, from 0 to 1.
    pub similarity: f32,
    /// The terms it answers, in the order of the question.
    pub terms: Vec<String>,
}

fn prefix(namespace: &str, term: &str) -> String {
    format!("{namespace} {term} ")
}

fn key(namespace: &str, term: &str, number: u32) -> String {
    format!("{namespace} {term} {:06x}", number >> BITS)
}

/// The terms of a memory with how often each occurs.
fn counted(memory: &Memory) -> (BTreeMap<String, u8>, u16) {
    let (mut counts, mut words) = (BTreeMap::<String, u8>::new(), 0u16);
    for term in search::terms(&memory.searched()) {
        words = words.saturating_add(1);
        if counts.len() < MOST_TERMS || counts.contains_key(&term) {
            let count = counts.entry(term).or_default();
            *count = count.saturating_add(1);
        }
    }
    counts.insert(said(&memory.text), 1);
    if let Some(key) = &memory.key {
        counts.insert(named(key), 1);
    }
    (counts, words)
}

/// The term under which a key is filed; no word of a text looks like it.
fn named(key: &str) -> String {
    format!("={}", &ids::digest(key.as_bytes())[..24])
}

/// The term under which a whole text is filed.
fn said(text: &str) -> String {
    format!("#{}", &ids::digest(text.trim().as_bytes())[..24])
}

/// The numbers of the memories in a namespace that are found under `key`.
pub fn under_key(tx: &Reader, namespace: &str, key: &str) -> Result<Vec<u32>> {
    Ok(postings(tx, namespace, &named(key))?.into_iter().map(|(number, ..)| number).collect())
}

/// The numbers of the memories in a namespace that say exactly this.
pub fn saying(tx: &Reader, namespace: &str, text: &str) -> Result<Vec<u32>> {
    Ok(postings(tx, namespace, &said(text))?.into_iter().map(|(number, ..)| number).collect())
}

fn within(number: u32) -> u16 {
    (number & ((1 << BITS) - 1)) as u16
}

/// Files a memory, so that searches find it.
pub fn add(tx: &mut Writer, memory: &Memory) -> Result<()> {
    let (counts, words) = counted(memory);
    let place = within(memory.number);
    for (term, count) in counts {
        let key = key(&memory.namespace, &term, memory.number);
        let mut block = tx.get(&TERMS, &key).map_err(damaged)?.unwrap_or_default();
        match block.entries.binary_search_by_key(&place, |entry| entry.0) {
            Ok(at) => block.entries[at] = (place, count, words),
            Err(at) => block.entries.insert(at, (place, count, words)),
        }
        tx.put(&TERMS, &key, &block)?;
    }
    tally(tx, &memory.namespace, |namespace| {
        namespace.indexed = namespace.indexed.saturating_add(1);
        namespace.words = namespace.words.saturating_add(u64::from(words));
    })
}

/// Takes a memory out. One that is not filed changes nothing but the tally, so callers ask `Memory` first.
pub fn remove(tx: &mut Writer, memory: &Memory) -> Result<()> {
    let (counts, words) = counted(memory);
    let place = within(memory.number);
    for term in counts.keys() {
        let key = key(&memory.namespace, term, memory.number);
        // What is damaged is made anew by `reindex`; a memory can be forgotten all the same.
        let Ok(Some(mut block)) = tx.get(&TERMS, &key) else { continue };
        block.entries.retain(|entry| entry.0 != place);
        match block.entries.is_empty() {
            true => drop(tx.remove(&TERMS, &key)?),
            false => tx.put(&TERMS, &key, &block)?,
        }
    }
    tally(tx, &memory.namespace, |namespace| {
        namespace.indexed = namespace.indexed.saturating_sub(1);
        namespace.words = namespace.words.saturating_sub(u64::from(words));
    })
}

fn tally(tx: &mut Writer, name: &str, change: impl FnOnce(&mut Namespace)) -> Result<()> {
    let Some(mut namespace) = space::get(tx, name)? else { return Ok(()) };
    change(&mut namespace);
    space::put(tx, namespace)
}

/// Throws the whole index away, damaged or not.
pub fn clear(tx: &mut Writer) -> Result<()> {
    tx.clear(&TERMS)?;
    for mut namespace in space::all(tx)? {
        (namespace.indexed, namespace.words) = (0, 0);
        space::put(tx, namespace)?;
    }
    Ok(())
}

/// Rows of the index, and those of them that are damaged.
pub fn look_over(tx: &Reader) -> Result<(u64, u64)> {
    let (mut rows, mut bad) = (0, 0);
    tx.scan(&TERMS, "", |_, block| {
        rows += 1;
        bad += u64::from(block.is_err());
        Ok(true)
    })?;
    Ok((rows, bad))
}

fn damaged(error: Error) -> Error {
    match error.is(&codes::STORE_DAMAGED) {
        true => Error::new(&codes::MEMORY_INDEX, "the index of the memories is damaged")
            .because(error)
            .hint("umcp memory reindex"),
        false => error,
    }
}

/// Where a term of the question occurs: the number of the memory, how often, and its length.
type Postings = Vec<(u32, u8, u16)>;

fn postings(tx: &Reader, namespace: &str, term: &str) -> Result<Postings> {
    let prefix = prefix(namespace, term);
    let mut found = Vec::new();
    tx.scan(&TERMS, &prefix, |key, block| {
        let number = u32::from_str_radix(&key[prefix.len()..], 16).unwrap_or_default() << BITS;
        found.extend(
            block.map_err(damaged)?.entries.into_iter().map(|(at, n, w)| (number | u32::from(at), n, w)),
        );
        Ok(true)
    })?;
    Ok(found)
}

/// The terms of a namespace that begin like one that it does not have.
fn endings(tx: &Reader, namespace: &str, term: &str) -> Result<Vec<String>> {
    let start = format!("{namespace} {term}");
    let mut found: Vec<String> = Vec::new();
    if term.chars().count() < 4 {
        return Ok(found);
    }
    tx.scan(&TERMS, &start, |key, _| {
        let term = key[namespace.len() + 1..].split(' ').next().unwrap_or_default();
        if found.last().is_none_or(|last| last != term) {
            found.push(term.to_string());
        }
        Ok(found.len() < MOST_ENDINGS)
    })?;
    Ok(found)
}

/// The memories of these namespaces that hold words of the question, best first.
///
/// # Errors
/// `MEMORY_INDEX` when a block of it is damaged.
pub fn matches(tx: &Reader, namespaces: &[Namespace], question: &str) -> Result<Vec<Match>> {
    let mut terms = search::terms(question);
    let mut seen = std::collections::HashSet::new();
    terms.retain(|term| seen.insert(term.clone()));
    terms.truncate(MOST_ASKED);
    let all: u64 = namespaces.iter().map(|namespace| u64::from(namespace.indexed)).sum();
    let words: u64 = namespaces.iter().map(|namespace| namespace.words).sum();
    let usual = (words as f32 / all.max(1) as f32).max(1.0);
    let mut scores: HashMap<u32, (f32, u32)> = HashMap::new();
    let mut possible = 0.0;
    for (place, term) in terms.iter().enumerate() {
        let mut answers: HashMap<u32, f32> = HashMap::new();
        for namespace in namespaces {
            let mut found = postings(tx, &namespace.name, term)?;
            let mut weight = 1.0;
            if found.is_empty() {
                weight = ENDING;
                for other in endings(tx, &namespace.name, term)? {
                    found.extend(postings(tx, &namespace.name, &other)?);
                }
            }
            for (number, count, length) in found {
                let worth = weight * saturated(f32::from(count), f32::from(length) / usual);
                let best = answers.entry(number).or_default();
                *best = best.max(worth);
            }
        }
        let rarity = rarity(all, answers.len() as u64);
        possible += rarity;
        for (number, worth) in answers {
            let score = scores.entry(number).or_default();
            score.0 += rarity * worth;
            score.1 |= 1 << place;
        }
    }
    Ok(ranked(scores, possible, &terms))
}

fn ranked(scores: HashMap<u32, (f32, u32)>, possible: f32, terms: &[String]) -> Vec<Match> {
    // A memory of the usual length that holds every word once answers in full.
    let full = possible * saturated(1.0, 1.0);
    let mut found: Vec<Match> = scores
        .into_iter()
        .map(|(number, (score, places))| Match {
            number,
            similarity: (score / full.max(f32::MIN_POSITIVE)).min(1.0),
            terms: (0..terms.len()).filter(|at| places >> at & 1 == 1).map(|at| terms[at].clone()).collect(),
        })
        .collect();
    found.sort_by(|one, other| {
        other.similarity.total_cmp(&one.similarity).then(other.number.cmp(&one.number))
    });
    found
}

fn saturated(count: f32, relative: f32) -> f32 {
    count / (count + K1 * (1.0 - B + B * relative))
}

fn rarity(all: u64, holding: u64) -> f32 {
    let (all, holding) = (all as f32, (holding as f32).min(all as f32));
    (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln()
}
