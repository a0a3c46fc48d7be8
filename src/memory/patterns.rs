//! What recurs in memories: values of metadata, tags, relations, pairs of words that stand together. Counting only,
//! pure; a pattern names the memories it was seen in.

use super::model::Memory;
use crate::search;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Patterns that are told.
const MOST: usize = 100;
/// Examples of each.
const EXAMPLES: usize = 5;
/// Terms of one memory that are paired.
const MOST_TERMS: usize = 40;

/// Something that recurs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// `metadata`, `tag`, `relation` or `words`.
    pub what: String,
    pub value: String,
    pub count: u64,
    /// The share of the memories that were looked at.
    pub share: f32,
    pub examples: Vec<u32>,
}

/// What occurs in at least `least` of the memories, most frequent first.
pub fn patterns(memories: &[Memory], least: u64) -> Vec<Pattern> {
    let mut seen: BTreeMap<(&'static str, String), (u64, Vec<u32>)> = BTreeMap::new();
    for memory in memories {
        for found in of(memory) {
            let (count, examples) = seen.entry(found).or_default();
            *count += 1;
            if examples.len() < EXAMPLES {
                examples.push(memory.number);
            }
        }
        // Pairs of words are many; those that cannot recur often enough are dropped as they pile up.
        if seen.len() > 500_000 {
            seen.retain(|(what, _), (count, _)| *what != "words" || *count > 1);
        }
    }
    let all = memories.len().max(1) as f32;
    let mut found: Vec<Pattern> = seen
        .into_iter()
        .filter(|(_, (count, _))| *count >= least.max(1))
        .map(|((what, value), (count, examples))| Pattern {
            what: what.into(),
            value,
            count,
            share: count as f32 / all,
            examples,
        })
        .collect();
    found.sort_by(|one, other| {
        other.count.cmp(&one.count).then_with(|| (&one.what, &one.value).cmp(&(&other.what, &other.value)))
    });
    found.truncate(MOST);
    found
}

fn of(memory: &Memory) -> BTreeSet<(&'static str, String)> {
    let mut found = BTreeSet::new();
    for (name, value) in &memory.metadata {
        if value.len() <= 80 {
            found.insert(("metadata", format!("{name}={}", plain(value))));
        }
    }
    found.extend(memory.tags.iter().map(|tag| ("tag", tag.clone())));
    found.extend(
        memory.triples.iter().map(|triple| ("relation", format!("{} {}", triple.subject, triple.relation))),
    );
    let terms: BTreeSet<String> = search::terms(&memory.text)
        .into_iter()
        .filter(|term| term.chars().count() > 2)
        .take(MOST_TERMS)
        .collect();
    let terms: Vec<String> = terms.into_iter().collect();
    for (at, one) in terms.iter().enumerate() {
        found.extend(terms[at + 1..].iter().map(|other| ("words", format!("{one} {other}"))));
    }
    found
}

/// The text of a JSON string, or other JSON as it is.
pub fn plain(value: &str) -> String {
    serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::model::{DEFAULT, New};
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn what_recurs_is_counted_with_examples() {
        let memory = |number: u32, text: &str, tag: &str| {
            let metadata = [("type".to_string(), "\"meeting\"".to_string())].into();
            let tags = vec![tag.to_string()];
            let new = New { namespace: DEFAULT.into(), text: text.into(), tags, metadata, ..New::default() };
            new.check(number, "a", Timestamp(1)).unwrap()
        };
        let memories = [
            memory(1, "meeting in the morning", "a"),
            memory(2, "a morning meeting", "a"),
            memory(3, "lunch meeting", "b"),
        ];
        let shown: Vec<(String, String, u64, Vec<u32>)> = patterns(&memories, 2)
            .into_iter()
            .map(|found| (found.what, found.value, found.count, found.examples))
            .collect();
        let expected = [
            ("metadata", "type=meeting", 3, vec![1, 2, 3]),
            ("tag", "a", 2, vec![1, 2]),
            ("words", "meet morn", 2, vec![1, 2]),
        ];
        assert_eq!(shown, expected.map(|(what, value, n, of)| (what.to_string(), value.to_string(), n, of)));
        assert_eq!(patterns(&[], 1), []);
    }
}
