//! A memory: what is kept, of which kind, where it came from, how long it holds. Values and the rules they keep;
//! nothing here reads or writes. Every text that comes in passes `New::check`, so that nothing unbounded is stored.
//! Long because the checks of all parts of a memory stand beside the parts.

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::Row;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest text of a memory, in bytes.
pub const MAX_TEXT: usize = 64 << 10;
const MAX_TAGS: usize = 32;
const MAX_TRIPLES: usize = 64;
const MAX_METADATA: usize = 64;
/// Longest key, tag, agent or name of a field, in bytes.
const MAX_WORD: usize = 200;
/// Longest value of a field of metadata, as JSON text.
const MAX_VALUE: usize = 4 << 10;
/// Longest time a memory may be told to live: a hundred years.
const MAX_TTL_MS: u64 = 100 * 365 * 86_400_000;
/// Clocks differ; a memory from further ahead is a mistake.
const AHEAD_MS: u64 = 86_400_000;
/// What a memory counts whose importance nobody told.
pub const USUAL: f32 = 0.5;

/// The namespace of memories that were given none.
pub const DEFAULT: &str = "default";

impl Row for Memory {
    const KIND: u8 = 100;
    const VERSION: u16 = 1;
}

/// What sort of thing is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// For one session, and not for long.
    ShortTerm,
    /// Knowledge that stays.
    #[default]
    LongTerm,
    /// Something that happened or was said.
    Episodic,
    /// Concepts and how they are related.
    Semantic,
    /// What a task under way needs.
    Working,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::ShortTerm, Self::LongTerm, Self::Episodic, Self::Semantic, Self::Working];

    pub fn word(self) -> &'static str {
        match self {
            Self::ShortTerm => "short-term",
            Self::LongTerm => "long-term",
            Self::Episodic => "episodic",
            Self::Semantic => "semantic",
            Self::Working => "working",
        }
    }

    /// Whether it belongs to the session it was made in.
    pub fn is_of_session(self) -> bool {
        matches!(self, Self::ShortTerm | Self::Working)
    }

    /// How long one lives that was given no time, in milliseconds.
    fn usual_ttl_ms(self) -> Option<u64> {
        match self {
            Self::ShortTerm => Some(86_400_000),
            Self::Working => Some(7 * 86_400_000),
            Self::LongTerm | Self::Episodic | Self::Semantic => None,
        }
    }
}

/// One relation: `Ada`, `works at`, `Acme`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Triple {
    pub subject: String,
    pub relation: String,
    pub object: String,
}

impl Triple {
    pub fn sentence(&self) -> String {
        format!("{} {} {}", self.subject, self.relation, self.object)
    }
}

/// One memory as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    pub number: u32,
    pub namespace: String,
    pub kind: Kind,
    /// A name to find it by; a new memory under it takes the place of the old one.
    pub key: Option<String>,
    pub text: String,
    pub triples: Vec<Triple>,
    pub tags: Vec<String>,
    /// Values as JSON text.
    pub metadata: BTreeMap<String, String>,
    /// From 0 to 1.
    pub importance: f32,
    pub agent: String,
    pub session: Option<String>,
    pub tool: Option<String>,
    /// When it was or happened; what searches and recency go by.
    pub created: Timestamp,
    pub updated: Timestamp,
    pub expires: Option<Timestamp>,
    /// The memory that took its place; it stays readable, and is not found any more.
    pub superseded_by: Option<u32>,
}

impl Memory {
    pub fn id(&self) -> String {
        id(self.number)
    }

    /// Whether it counts at this moment.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.superseded_by.is_none() && !self.is_expired(now)
    }

    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Everything of it that words are looked for in.
    pub fn searched(&self) -> String {
        let mut text = self.text.clone();
        let more = self.key.iter().cloned().chain(self.tags.iter().cloned());
        for piece in more.chain(self.triples.iter().map(Triple::sentence)) {
            text.push('\n');
            text.push_str(&piece);
        }
        text
    }
}

/// The id of a memory: `m` and its number.
pub fn id(number: u32) -> String {
    format!("m{number}")
}

/// The number of an id.
pub fn number(id: &str) -> Option<u32> {
    let digits = id.strip_prefix('m')?;
    (digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty()).then(|| digits.parse().ok())?
}

/// A memory on its way in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct New {
    pub namespace: String,
    pub kind: Kind,
    pub key: Option<String>,
    pub text: String,
    #[serde(default)]
    pub triples: Vec<Triple>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    pub importance: Option<f32>,
    pub session: Option<String>,
    pub tool: Option<String>,
    /// Of another time than now.
    pub at: Option<Timestamp>,
    pub ttl_ms: Option<u64>,
    /// Given by the owner, or told by an export.
    pub agent: Option<String>,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(&codes::VALUE_INVALID, message)
}

fn too_large(message: impl Into<String>) -> Error {
    Error::new(&codes::MEMORY_TOO_LARGE, message)
        .hint("split it over several memories, or keep a file and its path")
}

/// Refuses what is empty, too long or holds control characters.
pub fn check_word(what: &str, word: &str) -> Result<()> {
    if word.trim().is_empty() || word.len() > MAX_WORD || word.chars().any(char::is_control) {
        let shown: String = word.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(invalid(format!("`{shown}` cannot be a {what}: 1 to {MAX_WORD} bytes on one line")));
    }
    Ok(())
}

/// Refuses what could not be a namespace.
pub fn check_namespace(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let fits = (1..=64).contains(&name.len())
        && name.chars().all(good)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    match fits {
        true => Ok(()),
        false => Err(Error::new(&codes::NAME_INVALID, format!("`{name}` cannot be a namespace"))
            .hint("use letters, digits, `-`, `_`, `.` and `/`, 64 at most")),
    }
}

/// Refuses texts that are too long or no text.
pub fn check_text(text: &str) -> Result<()> {
    if text.len() > MAX_TEXT {
        return Err(too_large(format!(
            "the text has {} bytes; a memory holds at most {MAX_TEXT}",
            text.len()
        )));
    }
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Some(c) => {
            Err(invalid(format!("the text holds the control character U+{:04X}, so it is no text", c as u32)))
        }
        None => Ok(()),
    }
}

/// Refuses an importance outside 0 to 1.
pub fn check_importance(importance: f32) -> Result<()> {
    match (0.0..=1.0).contains(&importance) {
        true => Ok(()),
        false => Err(invalid(format!("the importance {importance} is outside 0 to 1"))),
    }
}

/// When something of this moment ends that lives so long.
pub fn expiry(now: Timestamp, ttl_ms: u64) -> Result<Timestamp> {
    match ttl_ms {
        0 => Err(invalid("a memory that lives 0 ms would never be there")),
        ttl if ttl > MAX_TTL_MS => {
            Err(invalid("a memory lives a hundred years at most; without a time it stays"))
        }
        ttl => Ok(now.plus_ms(ttl)),
    }
}

/// Refuses metadata that is too much or whose values are no JSON.
pub fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<()> {
    if metadata.len() > MAX_METADATA {
        return Err(too_large(format!("{} fields of metadata; at most {MAX_METADATA}", metadata.len())));
    }
    for (name, value) in metadata {
        check_word("field of metadata", name)?;
        if value.len() > MAX_VALUE {
            return Err(too_large(format!(
                "the field `{name}` has {} bytes; at most {MAX_VALUE}",
                value.len()
            )));
        }
        if serde_json::from_str::<serde::de::IgnoredAny>(value).is_err() {
            return Err(invalid(format!("the field `{name}` is no JSON")));
        }
    }
    Ok(())
}

/// Refuses tags and triples that are too many or too long.
pub fn check_lists(tags: &[String], triples: &[Triple]) -> Result<()> {
    if tags.len() > MAX_TAGS || triples.len() > MAX_TRIPLES {
        let (tags, triples) = (tags.len(), triples.len());
        return Err(too_large(format!(
            "{tags} tags and {triples} triples; at most {MAX_TAGS} and {MAX_TRIPLES}"
        )));
    }
    tags.iter().try_for_each(|tag| check_word("tag", tag))?;
    triples
        .iter()
        .flat_map(|triple| [&triple.subject, &triple.relation, &triple.object])
        .try_for_each(|word| check_word("part of a triple", word))
}

impl New {
    /// The memory it becomes, made by `agent` at `now`; everything is checked here.
    ///
    /// # Errors
    /// `VALUE_INVALID`, `NAME_INVALID` and `MEMORY_TOO_LARGE`, in words about the value.
    pub fn check(self, number: u32, agent: &str, now: Timestamp) -> Result<Memory> {
        check_namespace(&self.namespace)?;
        check_text(&self.text)?;
        check_lists(&self.tags, &self.triples)?;
        check_metadata(&self.metadata)?;
        if self.text.trim().is_empty() && self.triples.is_empty() {
            return Err(invalid("there is nothing to remember: the text is empty"));
        }
        for (what, word) in [("key", &self.key), ("session", &self.session), ("tool", &self.tool)] {
            word.as_deref().map_or(Ok(()), |word| check_word(what, word))?;
        }
        check_word("name of an agent", agent)?;
        if self.kind == Kind::ShortTerm && self.session.is_none() {
            return Err(invalid("a short-term memory belongs to a session").hint("--session NAME"));
        }
        let importance = self.importance.unwrap_or(USUAL);
        check_importance(importance)?;
        let created = self.at.unwrap_or(now);
        if created.since_ms(now) > AHEAD_MS {
            return Err(invalid(format!("the memory is of {}, which is yet to come", created.rfc3339())));
        }
        let ttl = self.ttl_ms.or(self.kind.usual_ttl_ms());
        let mut tags = self.tags;
        tags.sort();
        tags.dedup();
        Ok(Memory {
            number,
            namespace: self.namespace,
            kind: self.kind,
            key: self.key,
            text: self.text,
            triples: self.triples,
            tags,
            metadata: self.metadata,
            importance,
            agent: agent.into(),
            session: self.session,
            tool: self.tool,
            created,
            updated: now,
            expires: ttl.map(|ttl| expiry(now, ttl)).transpose()?,
            superseded_by: None,
        })
    }
}

/// Who asks. `None` is the owner at the command line, who may do everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Who {
    pub agent: Option<String>,
    pub session: Option<String>,
}

/// The name under which the owner's own memories stand.
pub const OWNER: &str = "user";

impl Who {
    pub fn label(&self) -> &str {
        self.agent.as_deref().unwrap_or(OWNER)
    }

    /// The namespace that is this agent's alone: `agent/NAME`, with `-` for what a name cannot hold.
    pub fn own_namespace(&self) -> String {
        let good = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
        format!("agent/{}", self.label().chars().map(good).take(50).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn new() -> New {
        New { namespace: DEFAULT.into(), text: "x".into(), ..New::default() }
    }

    #[test]
    fn an_id_is_a_number_and_back() {
        for (text, expected) in
            [("m1", Some(1)), ("m", None), ("m+1", None), ("1", None), ("m4294967296", None)]
        {
            assert_eq!(number(text), expected, "{text}");
        }
        assert_eq!(number(&id(77)), Some(77));
    }

    #[test]
    fn what_cannot_be_remembered_is_refused_in_words() {
        let cases: Vec<(New, &str)> = vec![
            (New { text: " ".into(), ..new() }, "there is nothing to remember"),
            (New { text: "x".repeat(1 << 20), ..new() }, "the text has 1048576 bytes"),
            (New { text: "a\0b".into(), ..new() }, "control character U+0000"),
            (New { namespace: "../x".into(), ..new() }, "`../x` cannot be a namespace"),
            (New { namespace: "a b".into(), ..new() }, "cannot be a namespace"),
            (New { importance: Some(f32::NAN), ..new() }, "the importance NaN is outside"),
            (New { importance: Some(1.5), ..new() }, "the importance 1.5 is outside"),
            (New { ttl_ms: Some(0), ..new() }, "lives 0 ms"),
            (New { ttl_ms: Some(u64::MAX), ..new() }, "a hundred years at most"),
            (New { at: Some(NOW.plus_ms(2 * AHEAD_MS)), ..new() }, "which is yet to come"),
            (New { kind: Kind::ShortTerm, ..new() }, "belongs to a session"),
            (New { key: Some("a\nb".into()), ..new() }, "cannot be a key"),
            (New { tags: vec!["t".into(); 33], ..new() }, "33 tags and 0 triples"),
            (New { tags: vec!["x".repeat(201)], ..new() }, "cannot be a tag"),
            (New { metadata: [("a".into(), "{".into())].into(), ..new() }, "the field `a` is no JSON"),
            (
                New { metadata: [("a".into(), format!("\"{}\"", "x".repeat(5000)))].into(), ..new() },
                "at most 4096",
            ),
        ];
        for (case, words) in cases {
            let error = case.check(1, "a", NOW).unwrap_err().to_string();
            assert!(error.contains(words), "{error} / {words}");
        }
        assert!(new().check(1, "", NOW).is_err());
    }

    #[test]
    fn a_kind_has_its_usual_life() {
        let expires = |kind, ttl_ms| {
            let new = New { kind, session: Some("s".into()), ttl_ms, ..new() };
            new.check(1, "a", NOW).unwrap().expires.map(|expires| expires.since_ms(NOW))
        };
        assert_eq!(expires(Kind::ShortTerm, None), Some(86_400_000));
        assert_eq!(expires(Kind::LongTerm, None), None);
        assert_eq!(expires(Kind::LongTerm, Some(5)), Some(5));
        assert_eq!(Who { agent: Some("a b/c".into()), session: None }.own_namespace(), "agent/a-b-c");
    }
}
