//! Search: which memories answer a question, in which order, and why. Words and meaning are routed, not mixed: a
//! memory that holds a rare word or a name of the question comes first, the rest by meaning where vectors are there,
//! else by words. What the order says can be told: each hit carries its reasons.

use super::model::{Memory, Who};
use super::select::{self, Filter};
use super::vectors::{self, Vector};
use super::{index, space};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::search;
use crate::store::Reader;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Hits of one search.
pub const MOST_HITS: usize = 1_000;
/// What stands behind this in a question is not read.
const MOST_QUESTION: usize = 4_000;
/// A memory is half as recent after so many days.
const HALF_LIFE_DAYS: f32 = 30.0;
const DAY_MS: f32 = 86_400_000.0;
/// What importance and recency can add to the similarity of a hit, as shares of it.
const IMPORTANCE: f32 = 0.2;
const RECENCY: f32 = 0.1;
/// Below this two texts have nothing to do with each other.
const UNRELATED: f32 = 0.2;
/// A word that no more of the memories hold is rare.
const RARE: u64 = 3;

/// A search.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Search {
    pub question: String,
    pub filter: Filter,
    pub top_k: u32,
    /// From 0 to 1.
    pub min_similarity: f32,
    /// The question as a vector, with the model that made it.
    pub vector: Option<(String, Vector)>,
}

/// How a memory was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// It holds a rare word or a name of the question.
    Name,
    Meaning,
    Words,
}

/// A memory that was found, and why it stands where it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    pub memory: Memory,
    /// What the order goes by.
    pub score: f32,
    /// From 0 to 1: the cosine of the meanings, or the share of the question's words, by their rarity.
    pub similarity: f32,
    pub recency: f32,
    pub by: By,
    /// The words of the question it holds, as they are filed.
    pub words: Vec<String>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Found {
    pub hits: Vec<Hit>,
    /// Memories that meaning could not be asked of yet; they were looked through by words alone.
    pub without_vector: u64,
    /// Whether meaning was asked at all.
    pub by_meaning: bool,
}

/// How recent something is, from 1 down to 0; what is of the future is of now.
pub fn recency(now: Timestamp, then: Timestamp) -> f32 {
    0.5f32.powf(now.since_ms(then) as f32 / DAY_MS / HALF_LIFE_DAYS)
}

fn score(similarity: f32, importance: f32, recency: f32) -> f32 {
    similarity * (1.0 + IMPORTANCE * importance + RECENCY * recency) / (1.0 + IMPORTANCE + RECENCY)
}

/// The memories that answer best.
///
/// # Errors
/// `MEMORY_INDEX`; `NAMESPACE_NOT_FOUND` and `MEMORY_DENIED` for a namespace that is named.
pub fn search(tx: &Reader, search: &Search, who: &Who, now: Timestamp) -> Result<Found> {
    let spaces = space::readable(tx, who, search.filter.namespace.as_deref())?;
    let question = cut(&search.question);
    let matches = index::matches(tx, &spaces, question)?;
    let names = telling(question, &matches);
    let mut words: HashMap<u32, index::Match> =
        matches.into_iter().map(|found| (found.number, found)).collect();
    let mut cosines: HashMap<u32, f32> = HashMap::new();
    if let Some((model, vector)) = &search.vector {
        vectors::each(tx, model, |number, kept| {
            cosines.insert(number, vector.dot(kept).clamp(0.0, 1.0));
        })?;
    }
    let mut order: Vec<(By, f32, u32)> = candidates(&words, &cosines, &names);
    order.sort_by(|one, other| (one.0 as u8).cmp(&(other.0 as u8)).then(other.1.total_cmp(&one.1)));
    let allowed: BTreeSet<&str> = spaces.iter().map(|space| space.name.as_str()).collect();
    let wanted = (search.top_k as usize).min(MOST_HITS);
    let mut found = Found { by_meaning: !cosines.is_empty(), ..Found::default() };
    let mut worst = 0.0;
    for (by, similarity, number) in order {
        // Importance and recency move a hit by less than this; what stands further down cannot come in.
        let hopeless = found.hits.len() >= wanted && by != By::Name && score(similarity, 1.0, 1.0) < worst;
        if hopeless || similarity < search.min_similarity || wanted == 0 {
            continue;
        }
        let Some(memory) = select::by_number(tx, Some(number))? else { continue };
        if !allowed.contains(memory.namespace.as_str()) || !search.filter.fits(&memory, who, now) {
            continue;
        }
        let recency = recency(now, memory.created);
        let score = score(similarity, memory.importance, recency);
        let words = words.remove(&number).map(|found| found.terms).unwrap_or_default();
        found.hits.push(Hit { score, similarity, recency, by, words, memory });
        if found.hits.len() >= wanted {
            sort(&mut found.hits);
            found.hits.truncate(wanted);
            worst = found.hits.last().map_or(0.0, |hit| hit.score);
        }
    }
    sort(&mut found.hits);
    found.hits.truncate(wanted);
    if found.by_meaning {
        let all: u64 = spaces.iter().map(|space| u64::from(space.indexed)).sum();
        found.without_vector = all.saturating_sub(cosines.len() as u64);
    }
    Ok(found)
}

fn cut(question: &str) -> &str {
    let end = question.char_indices().nth(MOST_QUESTION).map_or(question.len(), |(end, _)| end);
    &question[..end]
}

/// The terms of a question that say by themselves what is meant: names, and words that few memories hold.
fn telling(question: &str, matches: &[index::Match]) -> BTreeSet<String> {
    let mut holding: BTreeMap<&str, u64> = BTreeMap::new();
    for term in matches.iter().flat_map(|found| &found.terms) {
        *holding.entry(term).or_default() += 1;
    }
    let names: BTreeSet<String> = search::identifiers(question).into_iter().collect();
    let rare = |term: &str| holding.get(term).is_some_and(|count| *count <= RARE);
    names.into_iter().filter(|term| holding.contains_key(term.as_str()) && rare(term)).collect()
}

/// Every memory that could be an answer, with the way it is found and how alike it is.
fn candidates(
    words: &HashMap<u32, index::Match>,
    cosines: &HashMap<u32, f32>,
    names: &BTreeSet<String>,
) -> Vec<(By, f32, u32)> {
    let mut order = Vec::with_capacity(words.len() + cosines.len());
    for (number, found) in words {
        let named = found.terms.iter().any(|term| names.contains(term));
        match cosines.get(number) {
            _ if named => order.push((By::Name, found.similarity.max(UNRELATED), *number)),
            // By meaning, below.
            Some(cosine) if *cosine >= UNRELATED => {}
            // It holds a word and means something else.
            Some(_) => order.push((By::Words, found.similarity.min(UNRELATED), *number)),
            None => order.push((By::Words, found.similarity, *number)),
        }
    }
    let by_name: BTreeSet<u32> =
        order.iter().filter(|(by, ..)| *by == By::Name).map(|(_, _, number)| *number).collect();
    for (number, cosine) in cosines {
        if *cosine >= UNRELATED && !by_name.contains(number) {
            order.push((By::Meaning, *cosine, *number));
        }
    }
    order
}

/// Names first, then by score; the newer of equals.
fn sort(hits: &mut [Hit]) {
    hits.sort_by(|one, other| {
        (other.by == By::Name)
            .cmp(&(one.by == By::Name))
            .then(other.score.total_cmp(&one.score))
            .then(other.memory.number.cmp(&one.memory.number))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_the_future_is_of_now_and_age_halves() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        assert_eq!(recency(now, now.plus_ms(1_000_000)), 1.0);
        let month = Timestamp(now.0 - 30 * 86_400_000_000);
        assert!((recency(now, month) - 0.5).abs() < 1e-4);
        assert!(recency(now, Timestamp(0)) < 1e-6);
        assert!((score(1.0, 1.0, 1.0) - 1.0).abs() < 1e-6);
    }
}
