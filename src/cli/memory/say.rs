//! How memories are shown: as JSON documents, in tables and in full.

use crate::clock::Timestamp;
use crate::memory::answer::piece;
use crate::memory::model::{Memory, Triple};
use crate::memory::recall::{By, Hit};
use crate::memory::transfer;
use crate::ui::{Cell, Column, Output, Page, Table, text};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A memory as the documents of `--json` have it.
pub struct Shown(pub Memory, pub Timestamp);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        transfer::document(&self.0).serialize(serializer)
    }
}

impl Output for Shown {
    const KIND: &'static str = "memory.show/1";

    fn human(&self, page: &mut Page) {
        let Self(memory, now) = self;
        page.heading(format!("{} {}", memory.id(), memory.key.as_deref().unwrap_or_default()).trim());
        let mut pairs = vec![
            ("namespace", memory.namespace.clone()),
            ("kind", memory.kind.word().into()),
            ("by", from(memory)),
            ("when", format!("{}, {}", memory.created.rfc3339(), text::ago(*now, memory.created))),
            ("importance", format!("{:.2}", memory.importance)),
        ];
        pairs.extend((!memory.tags.is_empty()).then(|| ("tags", memory.tags.join(", "))));
        let fields = || memory.metadata.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.extend(
            (!memory.metadata.is_empty()).then(|| ("metadata", fields().collect::<Vec<_>>().join(" "))),
        );
        pairs.extend(memory.expires.map(|expires| ("expires", expires.rfc3339())));
        pairs.extend(memory.superseded_by.map(|by| ("superseded by", crate::memory::model::id(by))));
        page.pairs(pairs);
        for triple in &memory.triples {
            page.bullet(triple.sentence());
        }
        page.text(&memory.text);
    }

    fn exact(&self) -> Option<String> {
        None
    }

    fn ids(&self) -> Vec<String> {
        vec![self.0.id()]
    }
}

/// The agent, with session and tool where they are known.
fn from(memory: &Memory) -> String {
    let session = memory.session.iter().map(|session| format!(" in session {session}"));
    let tool = memory.tool.iter().map(|tool| format!(" through {tool}"));
    format!("{}{}", memory.agent, session.chain(tool).collect::<String>())
}

/// What a row of a table says of a memory.
pub fn brief(memory: &Memory) -> String {
    let triples: Vec<String> = memory.triples.iter().map(Triple::sentence).collect();
    let text = if memory.text.trim().is_empty() { triples.join("; ") } else { memory.text.clone() };
    match &memory.key {
        Some(key) => format!("{key}: {}", piece(&text, 200)),
        None => piece(&text, 200),
    }
}

/// A page of a list.
#[derive(Serialize)]
pub struct Listed {
    pub memories: Vec<Shown>,
    /// How many there are beyond this page.
    pub all: u64,
    #[serde(skip)]
    pub now: Timestamp,
}

impl Output for Listed {
    const KIND: &'static str = "memory.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("id"),
            Column::new("kind").optional(1),
            Column::new("namespace").optional(2),
            Column::new("agent").optional(2),
            Column::new("when").optional(1),
            Column::new("memory").wraps(),
        ];
        let mut table = Table::new("no memories; keep one: umcp memory store TEXT", columns);
        for Shown(memory, _) in &self.memories {
            table.row([
                Cell::from(memory.id()),
                memory.kind.word().into(),
                Cell::from(&memory.namespace),
                Cell::from(&memory.agent),
                text::ago(self.now, memory.created).into(),
                brief(memory).into(),
            ]);
        }
        page.table(table);
        let shown = self.memories.len() as u64;
        if self.all > shown && shown > 0 {
            page.text(format!("{shown} of {}; --limit and --offset show others", text::number(self.all)));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.memories.iter().map(|shown| shown.0.id()).collect()
    }
}

/// A hit with its reasons.
pub struct Ranked(pub Hit);

impl Serialize for Ranked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let round = |value: f32| (f64::from(value) * 1000.0).round() / 1000.0;
        let mut document = transfer::document(&self.0.memory);
        document["score"] = round(self.0.score).into();
        document["similarity"] = round(self.0.similarity).into();
        document["recency"] = round(self.0.recency).into();
        document["found_by"] = match self.0.by {
            By::Name => "name",
            By::Meaning => "meaning",
            By::Words => "words",
        }
        .into();
        document["words"] = self.0.words.clone().into();
        document.serialize(serializer)
    }
}

/// Why a hit stands where it does, in a few words.
pub fn why(hit: &Hit) -> String {
    let words = hit.words.join(" ");
    match hit.by {
        By::Name => format!("holds {words}"),
        By::Meaning => "meaning".into(),
        By::Words => format!("words {words}"),
    }
}

/// A document and how it is told in words that stand ready.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Told<const VERB: usize> {
    pub data: Value,
    #[serde(skip)]
    pub lines: Vec<(crate::ui::State, String)>,
    #[serde(skip)]
    pub ids: Vec<String>,
}

/// The kinds of the documents above, by number.
const KINDS: [&str; 6] = [
    "memory.changed/1",
    "memory.forgotten/1",
    "memory.namespace/1",
    "memory.reindexed/1",
    "memory.undone/1",
    "memory.imported/1",
];

impl<const VERB: usize> Output for Told<VERB> {
    const KIND: &'static str = KINDS[VERB];

    fn human(&self, page: &mut Page) {
        for (state, line) in &self.lines {
            page.mark(*state, line);
        }
    }

    fn ids(&self) -> Vec<String> {
        self.ids.clone()
    }
}

pub type Changed = Told<0>;
pub type Forgotten = Told<1>;
pub type Spaces = Told<2>;
pub type Reindexed = Told<3>;
pub type Undone = Told<4>;
pub type Imported = Told<5>;
