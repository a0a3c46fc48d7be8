//! The index and its ranking: BM25F with the saturated weight of a term in a document worked out when it is built.
//! It knows terms and numbers, not tools; what a word may stand for is decided in `query`.
//! The rule: a name typed in full comes first, and a prior may lift what fits but never find what does not.

use super::query::{self, Group};
use super::terms::Terms;
use super::words::{self, squash, stem};
use super::{Document, Field, Hit, synonyms};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How soon a further occurrence of a term stops to count.
const K1: f32 = 1.2;
/// How much of the score a prior of 1 adds.
const PRIOR: f32 = 0.25;
/// Added for a query that is the key of a document, or its name: more than any sum of terms.
const IS_KEY: f32 = 2_000.0;
const IS_NAME: f32 = 1_000.0;
const FIELDS: usize = 6;
/// What stands behind this in a query is not read, so that a pasted page costs no more than a sentence.
const MOST_CHARS: usize = 1_000;

/// Documents made ready for search; immutable, so that threads share it behind an `Arc`. It may be stored and read back
/// by the same program; whoever stores it has to see to it that nothing else is read as one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Index {
    terms: Terms,
    /// Where the postings of each term end.
    ends: Box<[u32]>,
    /// Documents per term, ascending.
    docs: Box<[u32]>,
    /// The part of the score that does not depend on the query, as a fraction of 65,535.
    impacts: Box<[u16]>,
    /// Place of each document when they are sorted by key.
    places: Box<[u32]>,
    /// Hashes of squashed keys and names, with the document and what its equality is worth.
    exact: Box<[(u64, u32, f32)]>,
}

impl Index {
    /// Reads the documents once; they are numbered as they come.
    pub fn build<'a>(docs: impl IntoIterator<Item = Document<'a>>) -> Self {
        let mut draft = Draft::default();
        for doc in docs {
            draft.add(&doc);
        }
        draft.finish()
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is nothing to find.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes held beside the struct itself.
    pub fn heap_bytes(&self) -> usize {
        self.terms.heap_bytes()
            + 4 * (self.ends.len() + self.docs.len() + self.places.len())
            + 2 * self.impacts.len()
            + size_of_val(&*self.exact)
    }

    /// The best `limit` documents, best first; none without a matching word.
    ///
    /// `prior` tells how much a document deserves beside its words, such as its use, from 0 to 1 (others are clamped);
    /// it adds at most a quarter of the score and is asked only for documents that it could bring into the answer.
    pub fn search(&self, query: &str, limit: usize, prior: &dyn Fn(usize) -> f32) -> Vec<Hit> {
        let end = query.char_indices().nth(MOST_CHARS).map_or(query.len(), |(end, _)| end);
        let query = &query[..end];
        let groups = query::groups(query, &self.terms, &|term| self.postings(term).0.len() as u32);
        let mut scores = self.scores(&groups);
        let whole = squash(query);
        if !whole.is_empty() {
            self.is_exactly(hash(&whole)).for_each(|(doc, worth)| scores[doc as usize] += worth);
        }
        self.best(scores, limit, prior)
            .into_iter()
            .map(|(doc, score)| Hit { doc: doc as usize, score, matched: self.matched(doc, &groups) })
            .collect()
    }

    fn postings(&self, term: u32) -> (&[u32], &[u16]) {
        let term = term as usize;
        let start = if term == 0 { 0 } else { self.ends[term - 1] as usize };
        let range = start..self.ends[term] as usize;
        (&self.docs[range.clone()], &self.impacts[range])
    }

    /// Sum over the groups of the best variant of each, for every document.
    fn scores(&self, groups: &[Group]) -> Vec<f32> {
        let mut scores = vec![0.0f32; self.len()];
        let mut best = vec![0.0f32; self.len()];
        let mut touched = Vec::new();
        for group in groups {
            let worth = group.weight * self.rarity(group) / f32::from(u16::MAX);
            for (term, weight) in &group.variants {
                let (docs, impacts) = self.postings(*term);
                for (doc, impact) in docs.iter().zip(impacts) {
                    let best = &mut best[*doc as usize];
                    if *best == 0.0 {
                        touched.push(*doc);
                    }
                    *best = best.max(worth * weight * f32::from(*impact));
                }
            }
            for doc in touched.drain(..) {
                scores[doc as usize] += std::mem::take(&mut best[doc as usize]);
            }
        }
        scores
    }

    /// The inverse document frequency of the group as a whole: a rare synonym of a common word is not rare.
    fn rarity(&self, group: &Group) -> f32 {
        let all = self.len() as f32;
        let answering: f32 =
            group.variants.iter().map(|(term, weight)| weight * self.postings(*term).0.len() as f32).sum();
        let answering = answering.min(all);
        (1.0 + (all - answering + 0.5) / (answering + 0.5)).ln()
    }

    fn is_exactly(&self, whole: u64) -> impl Iterator<Item = (u32, f32)> {
        let first = self.exact.partition_point(|(hash, ..)| *hash < whole);
        let equal = self.exact[first..].iter().take_while(move |(hash, ..)| *hash == whole);
        equal.map(|(_, doc, worth)| (*doc, *worth))
    }

    fn best(&self, scores: Vec<f32>, limit: usize, prior: &dyn Fn(usize) -> f32) -> Vec<(u32, f32)> {
        let numbered = scores.into_iter().enumerate().filter(|(_, score)| *score > 0.0);
        let mut found: Vec<(u32, f32)> = numbered.map(|(doc, score)| (doc as u32, score)).collect();
        if limit == 0 || found.is_empty() {
            return Vec::new();
        }
        if found.len() > limit {
            let (_, last, _) =
                found.select_nth_unstable_by(limit - 1, |one, other| other.1.total_cmp(&one.1));
            let reachable = last.1 / (1.0 + PRIOR);
            found.retain(|(_, score)| *score >= reachable);
        }
        for (doc, score) in &mut found {
            let deserves = prior(*doc as usize);
            // Written so that a prior which is not a number counts nothing.
            *score *= 1.0 + if deserves > 0.0 { PRIOR * deserves.min(1.0) } else { 0.0 };
        }
        let place = |doc: u32| self.places[doc as usize];
        found
            .sort_unstable_by(|one, other| other.1.total_cmp(&one.1).then(place(one.0).cmp(&place(other.0))));
        found.truncate(limit);
        found
    }

    fn matched(&self, doc: u32, groups: &[Group]) -> Vec<String> {
        let answers = |group: &&Group| {
            !group.typed.is_empty()
                && group.variants.iter().any(|(term, _)| self.postings(*term).0.binary_search(&doc).is_ok())
        };
        groups.iter().filter(answers).map(|group| group.typed.clone()).collect()
    }
}

/// How much a field counts, and how much its length takes away (0 not at all, 1 in full).
fn weight(field: Field) -> (f32, f32) {
    match field {
        Field::Name => (7.0, 0.5),
        Field::Title => (2.5, 0.5),
        Field::Description => (0.8, 0.5),
        Field::Argument => (0.6, 0.5),
        Field::Server => (6.0, 0.3),
        Field::Tag => (1.5, 0.5),
    }
}

/// One term in one field of one document.
struct Occurrence {
    term: u32,
    doc: u32,
    field: Field,
}

#[derive(Default)]
struct Draft {
    numbers: HashMap<String, u32>,
    occurrences: Vec<Occurrence>,
    /// Words per field of each document; joined words do not count.
    lengths: Vec<[u16; FIELDS]>,
    keys: Vec<String>,
    exact: Vec<(u64, u32, f32)>,
}

impl Draft {
    fn add(&mut self, doc: &Document<'_>) {
        let number = self.lengths.len() as u32;
        self.lengths.push([0; FIELDS]);
        self.keys.push(doc.key.to_owned());
        self.exact.push((hash(&squash(doc.key)), number, IS_KEY));
        for (field, text) in doc.fields {
            if *field == Field::Name {
                self.exact.push((hash(&squash(text)), number, IS_NAME));
            }
            self.add_text(number, *field, text);
        }
    }

    fn add_text(&mut self, doc: u32, field: Field, text: &str) {
        let words = words::split(text);
        for word in &words {
            // A name may consist of stop words; elsewhere they are noise.
            if field == Field::Name || !words::is_stop(&word.text) {
                self.add_term(doc, field, stem(&word.text));
                let length = &mut self.lengths[doc as usize][field as usize];
                *length = length.saturating_add(u16::from(word.joins == 0));
            }
        }
        let plain: Vec<&str> =
            words.iter().filter(|word| word.joins == 0).map(|word| word.text.as_str()).collect();
        for at in 0..plain.len() {
            if let Some((term, _)) = synonyms::phrase(plain[at..].iter().copied()) {
                self.add_term(doc, field, term.to_owned());
            }
        }
    }

    fn add_term(&mut self, doc: u32, field: Field, term: String) {
        let next = self.numbers.len() as u32;
        let term = *self.numbers.entry(term).or_insert(next);
        self.occurrences.push(Occurrence { term, doc, field });
    }

    fn finish(mut self) -> Index {
        let mut sorted: Vec<(&str, u32)> =
            self.numbers.iter().map(|(term, number)| (term.as_str(), *number)).collect();
        sorted.sort_unstable();
        let mut renumbered = vec![0u32; sorted.len()];
        sorted.iter().zip(0u32..).for_each(|((_, old), new)| renumbered[*old as usize] = new);
        let terms = Terms::new(sorted.iter().map(|(term, _)| *term));
        let mut occurrences = std::mem::take(&mut self.occurrences);
        occurrences.iter_mut().for_each(|occurrence| occurrence.term = renumbered[occurrence.term as usize]);
        occurrences.sort_unstable_by_key(|occurrence| (occurrence.term, occurrence.doc));

        let average = averages(&self.lengths);
        let mut ends = vec![0u32; renumbered.len()];
        let (mut docs, mut impacts) = (Vec::new(), Vec::new());
        for same in occurrences.chunk_by(|one, other| (one.term, one.doc) == (other.term, other.doc)) {
            let lengths = &self.lengths[same[0].doc as usize];
            let sum: f32 = same.iter().map(|occurrence| worth(occurrence.field, lengths, &average)).sum();
            docs.push(same[0].doc);
            // Never 0, which would mean that the term is not there.
            impacts.push(((sum / (K1 + sum) * f32::from(u16::MAX)) as u16).max(1));
            ends[same[0].term as usize] = docs.len() as u32;
        }
        self.exact.sort_unstable_by_key(|(hash, doc, _)| (*hash, *doc));
        Index {
            terms,
            ends: ends.into(),
            docs: docs.into(),
            impacts: impacts.into(),
            places: places(&self.keys).into(),
            exact: self.exact.into(),
        }
    }
}

fn worth(field: Field, lengths: &[u16; FIELDS], average: &[f32; FIELDS]) -> f32 {
    let (weight, slope) = weight(field);
    let relative = f32::from(lengths[field as usize]) / average[field as usize].max(1.0);
    weight / (1.0 - slope + slope * relative)
}

/// The usual length of each field, over the documents that have it.
fn averages(lengths: &[[u16; FIELDS]]) -> [f32; FIELDS] {
    std::array::from_fn(|field| {
        let present = lengths.iter().map(|lengths| lengths[field]).filter(|length| *length > 0);
        let (sum, count) =
            present.fold((0.0f32, 0.0f32), |(sum, count), length| (sum + f32::from(length), count + 1.0));
        sum / count.max(1.0)
    })
}

fn places(keys: &[String]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    order.sort_by_key(|doc| (&keys[*doc as usize], *doc));
    let mut places = vec![0; keys.len()];
    order.into_iter().zip(0u32..).for_each(|(doc, place)| places[doc as usize] = place);
    places
}

/// FNV-1a: the same on every machine and in every release.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::super::{Document, Field};
    use super::{Index, MOST_CHARS};

    const TOOLS: &[(&str, &str, &str, &str)] = &[
        ("github__create_issue", "create_issue", "Open a new issue in a repository.", "github"),
        ("github__list_issues", "list_issues", "All issues of a repository.", "github"),
        ("github__list_pull_requests", "list_pull_requests", "Pull requests of a repository.", "github"),
        ("tracker__create_issue", "create_issue", "File a bug.", "tracker"),
        ("notes__search", "search", "Full text search over notes.", "notes"),
        ("sky__forecast", "forecast", "Temperature and rain of the next days.", "sky"),
    ];

    fn index() -> Index {
        let fields: Vec<[(Field, &str); 3]> = TOOLS
            .iter()
            .map(|(_, name, text, server)| {
                [(Field::Name, *name), (Field::Description, *text), (Field::Server, *server)]
            })
            .collect();
        Index::build(TOOLS.iter().zip(&fields).map(|((key, ..), fields)| Document { key, fields }))
    }

    fn keys(query: &str, limit: usize, prior: &dyn Fn(usize) -> f32) -> Vec<&'static str> {
        index().search(query, limit, prior).into_iter().map(|hit| TOOLS[hit.doc].0).collect()
    }

    #[test]
    fn the_fitting_tool_comes_first() {
        for (query, expected) in [
            ("github create issue", "github__create_issue"),
            ("file a bug in tracker", "tracker__create_issue"),
            ("git hub pull request list", "github__list_pull_requests"),
            ("show me every PR", "github__list_pull_requests"),
            ("weather", "sky__forecast"),
            ("wheather", "sky__forecast"),
            ("temprature", "sky__forecast"),
            ("find a note", "notes__search"),
            ("github__list_issues", "github__list_issues"),
            ("GitHub.listIssues", "github__list_issues"),
        ] {
            assert_eq!(keys(query, 1, &|_| 0.0), [expected], "{query}");
        }
    }

    #[test]
    fn an_exact_name_beats_any_prior() {
        let others = |doc: usize| if doc == 4 { 0.0 } else { f32::INFINITY };
        assert_eq!(keys("search", 1, &others), ["notes__search"]);
        assert_eq!(
            keys("tracker__create_issue", 1, &|doc| if doc == 3 { -7.0 } else { 1.0 }),
            ["tracker__create_issue"]
        );
    }

    #[test]
    fn a_prior_decides_between_equals_and_finds_nothing_by_itself() {
        assert_eq!(keys("issue", 1, &|doc| if doc == 3 { 1.0 } else { 0.0 }), ["tracker__create_issue"]);
        assert_eq!(keys("issue", 1, &|doc| if doc == 1 { 1.0 } else { 0.0 }), ["github__list_issues"]);
        assert_eq!(keys("quasar", 5, &|_| 1.0), [] as [&str; 0]);
        assert_eq!(index().search("forecast", 5, &|_| f32::NAN), index().search("forecast", 5, &|_| 0.0));
    }

    #[test]
    fn the_words_that_hit_are_told() {
        let hits = index().search("please create a Bug in the tracker quickly", 1, &|_| 0.0);
        assert_eq!((hits[0].doc, hits[0].matched.join(" ")), (3, "create bug tracker".to_owned()));
    }

    #[test]
    fn equal_documents_stand_in_the_order_of_their_keys() {
        let fields = [(Field::Name, "ping")];
        let index = Index::build(["c", "a", "b"].map(|key| Document { key, fields: &fields }));
        let found: Vec<usize> = index.search("ping", 9, &|_| 0.0).into_iter().map(|hit| hit.doc).collect();
        assert_eq!(found, [1, 2, 0]);
        assert_eq!(index.len(), 3);
    }

    #[test]
    fn nothing_asked_or_nothing_there_is_an_empty_answer() {
        assert_eq!(index().search("", 5, &|_| 1.0), []);
        assert_eq!(index().search("issue", 0, &|_| 1.0), []);
        assert_eq!(index().search("  ?!  ", 5, &|_| 1.0), []);
        assert_eq!(index().search(&("ö".repeat(MOST_CHARS) + " issue"), 5, &|_| 1.0), []);
        assert_eq!(index().search(&("ö".repeat(MOST_CHARS - 6) + " issue"), 5, &|_| 1.0).len(), 3);
        let empty = Index::build([]);
        assert_eq!((empty.search("issue", 5, &|_| 1.0), empty.is_empty()), (vec![], true));
    }
}
