//! Which entries answer a question, and in which order: words through `search`, lifted by what is known of an entry
//! beside its words. Everything a search needs stands in one [`Shelf`], so that it reads no entry but those it shows.

use super::model::{CATEGORIES, Entry, short};
use crate::search::{Document, Field, Index};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Of all entries what a search needs. Stored whole; made anew when entries change.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shelf {
    /// Which bundled list it was made with.
    pub stamp: u32,
    /// `SOURCE/NAME` of each entry, in order, with a line end behind each.
    keys: String,
    ends: Vec<u32>,
    /// What each deserves beside its words, in percent.
    priors: Vec<u8>,
    /// The categories of each, a bit for each one.
    categories: Vec<u32>,
    /// Whether umcp can run it.
    runs: Vec<bool>,
    index: Index,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Query {
    /// Empty lists everything, the most deserving first.
    pub words: String,
    pub categories: Vec<String>,
    pub source: Option<String>,
    /// Also what umcp cannot run.
    pub all: bool,
    pub limit: u32,
}

/// An entry that answers: its key, and how well.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit<'a> {
    pub key: &'a str,
    pub score: f32,
}

/// Percent for being in the bundled list, for being runnable, for each further source with the same server.
const BUNDLED: u32 = 35;
const RUNS: u32 = 10;
const SHARED: u32 = 15;
/// How far a rating of five stars lifts, and one of one star lowers, a prior.
const RATED: f32 = 0.5;
/// Hits that are looked at when some are filtered out afterwards.
const FILTERED: usize = 5_000;

impl Shelf {
    /// Puts entries on the shelf; keys come in ascending order, each once.
    pub fn build(stamp: u32, entries: &[(String, &Entry)]) -> Self {
        let subjects = subjects(entries);
        let texts: Vec<Texts> = entries.iter().map(|(_, entry)| Texts::of(entry)).collect();
        let fields: Vec<Vec<(Field, &str)>> =
            entries.iter().zip(&texts).map(|((_, entry), texts)| texts.fields(entry)).collect();
        let documents = entries.iter().zip(&fields);
        let index = Index::build(documents.map(|((_, entry), fields)| Document { key: &entry.name, fields }));
        let (mut keys, mut ends) = (String::new(), Vec::new());
        for (key, _) in entries {
            keys.push_str(key);
            ends.push(u32::try_from(keys.len()).unwrap_or(u32::MAX));
            keys.push('\n');
        }
        let prior = |(key, entry): &(String, &Entry)| {
            let shared = entry.way().and_then(|way| subjects.get(&way.subject())).copied().unwrap_or(1);
            prior(key, entry, shared)
        };
        Self {
            stamp,
            keys,
            ends,
            priors: entries.iter().map(prior).collect(),
            categories: entries.iter().map(|(_, entry)| mask(&entry.categories)).collect(),
            runs: entries.iter().map(|(_, entry)| entry.way().is_some()).collect(),
            index,
        }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All keys, one on each line.
    pub fn keys(&self) -> &str {
        &self.keys
    }

    /// The entries that answer, best first, and how many were looked at. `stars` are the user's ratings by key.
    pub fn search(&self, query: &Query, stars: &HashMap<String, u8>) -> Vec<Hit<'_>> {
        let wanted = mask(&query.categories);
        let nothing = !query.categories.is_empty() && wanted == 0;
        let source = query.source.as_ref().map(|source| format!("{source}/"));
        let fits = |doc: usize| {
            !nothing
                && (wanted == 0 || self.categories[doc] & wanted != 0)
                && (query.all || self.runs[doc])
                && source.as_ref().is_none_or(|source| self.key(doc).starts_with(source.as_str()))
        };
        let rated: HashMap<usize, f32> = stars
            .iter()
            .filter_map(|(key, stars)| Some((self.place(key)?, (f32::from(*stars) - 3.0) / 2.0 * RATED)))
            .collect();
        let prior = |doc: usize| {
            let own = f32::from(self.priors[doc]) / 100.0;
            (own + rated.get(&doc).copied().unwrap_or_default()).clamp(0.0, 1.0)
        };
        let limit = query.limit as usize;
        if query.words.trim().is_empty() {
            let mut all: Vec<(usize, f32)> =
                (0..self.len()).filter(|doc| fits(*doc)).map(|doc| (doc, prior(doc))).collect();
            all.sort_by(|one, other| {
                other.1.total_cmp(&one.1).then(short(self.key(one.0)).cmp(short(self.key(other.0))))
            });
            all.truncate(limit);
            return all.into_iter().map(|(doc, score)| Hit { key: self.key(doc), score }).collect();
        }
        let filters = wanted != 0 || nothing || source.is_some() || self.runs.contains(&false) && !query.all;
        let most = if filters { FILTERED.max(limit) } else { limit };
        let hits = self.index.search(&query.words, most, &prior).into_iter().filter(|hit| fits(hit.doc));
        hits.take(limit).map(|hit| Hit { key: self.key(hit.doc), score: hit.score }).collect()
    }

    fn key(&self, doc: usize) -> &str {
        let start = if doc == 0 { 0 } else { self.ends[doc - 1] as usize + 1 };
        &self.keys[start..self.ends[doc] as usize]
    }

    fn place(&self, key: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle) < key { low = middle + 1 } else { high = middle }
        }
        (low < self.len() && self.key(low) == key).then_some(low)
    }
}

/// The words of an entry that are no field of it.
struct Texts {
    publisher: String,
}

impl Texts {
    fn of(entry: &Entry) -> Self {
        Self { publisher: publisher(&entry.name).to_string() }
    }

    fn fields<'a>(&'a self, entry: &'a Entry) -> Vec<(Field, &'a str)> {
        let mut fields = vec![(Field::Name, entry.short()), (Field::Description, entry.description.as_str())];
        fields.extend(entry.title.as_deref().map(|title| (Field::Title, title)));
        fields.extend(entry.categories.iter().map(|category| (Field::Tag, category.as_str())));
        if !self.publisher.is_empty() {
            fields.push((Field::Tag, self.publisher.as_str()));
        }
        fields
    }
}

/// Who stands behind a name in reverse order: `upstash` of `io.github.upstash/context7`.
fn publisher(name: &str) -> &str {
    let before = name.split_once('/').map(|(before, _)| before.trim_start_matches('@')).unwrap_or_default();
    before.rsplit('.').next().unwrap_or_default()
}

/// How many sources have the same server.
fn subjects(entries: &[(String, &Entry)]) -> HashMap<String, u32> {
    let mut seen: HashMap<String, (u32, &str)> = HashMap::new();
    for (key, entry) in entries {
        let source = key.split('/').next().unwrap_or_default();
        let Some(way) = entry.way() else { continue };
        let (count, last) = seen.entry(way.subject()).or_insert((0, ""));
        // Keys are in order, so a source comes in one piece: what it lists twice counts once.
        if *last != source {
            *count += 1;
            *last = source;
        }
    }
    seen.into_iter().map(|(subject, (count, _))| (subject, count)).collect()
}

fn prior(key: &str, entry: &Entry, shared: u32) -> u8 {
    if entry.deprecated {
        return 0;
    }
    let bundled = if key.starts_with("bundled/") { BUNDLED } else { 0 };
    let runs = if entry.way().is_some() { RUNS } else { 0 };
    let popular = u32::from(entry.popularity.unwrap_or_default()) * 3 / 10;
    let all = bundled + runs + popular + SHARED * (shared.saturating_sub(1)).min(2);
    u8::try_from(all.min(100)).unwrap_or(100)
}

fn mask(categories: &[String]) -> u32 {
    let bit =
        |category: &String| CATEGORIES.iter().position(|known| known == category).map_or(0, |at| 1 << at);
    categories.iter().map(bit).fold(0, |all, bit| all | bit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::model::{Package, Way};

    fn entry(name: &str, description: &str, package: &str, category: &str) -> Entry {
        Entry {
            name: name.into(),
            description: description.into(),
            categories: vec![category.into()],
            ways: vec![Way::Npm(Package { name: package.into(), ..Package::default() })],
            ..Entry::default()
        }
    }

    fn shelf() -> Shelf {
        let mut none = entry("broken", "Drive a browser", "x", "browser");
        none.ways.clear();
        let mut old = entry("io.github.old/playwright-mcp", "Drive a browser", "old", "browser");
        old.deprecated = true;
        let all = [
            ("bundled/playwright", entry("playwright", "Drive a browser by its pages", "@p/mcp", "browser")),
            ("bundled/postgres", entry("postgres", "Query a database", "pg", "database")),
            ("official/broken", none),
            ("official/io.github.old/playwright-mcp", old),
            (
                "official/io.github.upstash/context7",
                entry("io.github.upstash/context7", "Docs of libraries", "c7", "development"),
            ),
            ("team/browser-a", entry("browser-a", "Drive a browser", "a", "browser")),
            ("team/browser-b", entry("browser-b", "Drive a browser", "b", "browser")),
        ];
        let all: Vec<(String, &Entry)> = all.iter().map(|(key, entry)| ((*key).to_string(), entry)).collect();
        Shelf::build(1, &all)
    }

    fn found(query: &Query, stars: &[(&str, u8)]) -> Vec<String> {
        let stars = stars.iter().map(|(key, stars)| ((*key).to_string(), *stars)).collect();
        shelf().search(query, &stars).into_iter().map(|hit| hit.key.to_string()).collect()
    }

    fn words(words: &str) -> Query {
        Query { words: words.into(), limit: 10, ..Query::default() }
    }

    #[test]
    fn names_beginnings_and_meanings_are_found() {
        for (query, first) in [
            ("playwright", "bundled/playwright"),
            ("playw", "bundled/playwright"),
            ("context7", "official/io.github.upstash/context7"),
            ("upstash", "official/io.github.upstash/context7"),
            ("io.github.upstash/context7", "official/io.github.upstash/context7"),
            ("playwrigth", "bundled/playwright"),
            ("query databases", "bundled/postgres"),
        ] {
            assert_eq!(found(&words(query), &[]).first().map(String::as_str), Some(first), "{query}");
        }
        assert_eq!(found(&words("quasar"), &[]), [] as [&str; 0]);
    }

    #[test]
    fn filters_and_ratings_count() {
        let browser = Query { categories: vec!["browser".into()], ..words("") };
        let all = found(&browser, &[]);
        assert_eq!(all[0], "bundled/playwright");
        assert_eq!(all.last().map(String::as_str), Some("official/io.github.old/playwright-mcp"));
        assert!(!all.contains(&"official/broken".to_string()));
        assert!(found(&Query { all: true, ..browser.clone() }, &[]).contains(&"official/broken".to_string()));
        assert_eq!(
            found(&Query { source: Some("team".into()), ..browser.clone() }, &[]),
            ["team/browser-a", "team/browser-b"]
        );
        assert_eq!(
            found(&Query { source: Some("team".into()), ..browser }, &[("team/browser-b", 5)])[0],
            "team/browser-b"
        );
        assert_eq!(
            found(
                &Query { source: Some("team".into()), ..words("drive browser") },
                &[("team/browser-a", 1), ("team/browser-b", 4)]
            )[0],
            "team/browser-b"
        );
        assert_eq!(
            found(&Query { categories: vec!["nonsense".into()], ..words("browser") }, &[]),
            [] as [&str; 0]
        );
    }

    #[test]
    fn a_server_that_several_sources_have_comes_first() {
        let one = entry("one", "A thing", "same", "web");
        let two = entry("two", "A thing", "same", "web");
        let alone = entry("alone", "A thing", "other", "web");
        let all =
            vec![("a/alone".to_string(), &alone), ("b/one".to_string(), &one), ("c/two".to_string(), &two)];
        let shelf = Shelf::build(1, &all);
        assert_eq!(shelf.search(&words("thing"), &HashMap::new())[0].key, "b/one");
        assert_eq!(shelf.keys(), "a/alone\nb/one\nc/two\n");
    }

    #[test]
    fn a_shelf_is_stored_and_read_back() {
        let bytes = postcard::to_stdvec(&shelf()).unwrap();
        let back: Shelf = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(
            back.search(&words("browser"), &HashMap::new()),
            shelf().search(&words("browser"), &HashMap::new())
        );
    }
}
