//! What can be asked of the memories, and what comes back. Who asks and at what time are part of every request.

use super::answer::{Answer, Packed};
use super::change::{Stored, Update};
use super::consolidate::{Prune, Step};
use super::files::Command;
use super::journal::Change;
use super::model::{Memory, New, Who};
use super::patterns::Pattern;
use super::recall::{Found, Search};
use super::select::{Filter, Select};
use super::space::{Namespace, Permission};
use super::vectors::Made;
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// One request in the name of an agent or of the owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    pub who: Who,
    pub at: Timestamp,
    pub ask: Ask,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    Get {
        word: String,
        filter: Filter,
    },
    List(Select),
    Search(Search),
    Answer(Search),
    Context {
        search: Search,
        max_tokens: u64,
    },
    Namespaces,
    /// `check` reads every row of index and vectors too.
    Stats {
        check: bool,
    },
    Changes,
    /// Memories that have no vector of this model yet.
    Pending {
        model: String,
        after: u32,
        limit: u32,
    },
    Store(Vec<New>),
    /// As `Store`, and all of it can be taken back.
    Import(Vec<New>),
    Update {
        word: String,
        filter: Filter,
        update: Box<Update>,
    },
    /// These, or with none named all that fit the filter.
    Forget {
        words: Vec<String>,
        filter: Filter,
        dry_run: bool,
    },
    Consolidate {
        filter: Filter,
        threshold: f32,
        /// Whose vectors are compared, where there are any.
        model: Option<String>,
        dry_run: bool,
    },
    Patterns {
        filter: Filter,
        least: u64,
        /// Keep what is found as memories of this namespace.
        keep: Option<String>,
        dry_run: bool,
    },
    Prune {
        filter: Filter,
        prune: Prune,
        dry_run: bool,
    },
    SetNamespace {
        name: String,
        description: Option<String>,
        everybody: Option<Permission>,
        create: bool,
    },
    DeleteNamespace {
        name: String,
    },
    /// `None` takes the grant back.
    Grant {
        namespace: String,
        agent: String,
        permission: Option<Permission>,
    },
    /// Makes the index anew; `vectors` throws them away too, so that they are made again.
    Reindex {
        vectors: bool,
    },
    Undo {
        id: Option<u32>,
        force: bool,
    },
    PutVectors(Vec<Made>),
    /// Removes what has expired.
    Sweep,
    File {
        namespace: String,
        command: Command,
    },
}

impl Request {
    pub fn new(who: Who, at: Timestamp, ask: Ask) -> Self {
        Self { who, at, ask }
    }

    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        match &self.ask {
            Ask::Get { .. }
            | Ask::List(_)
            | Ask::Search(_)
            | Ask::Answer(_)
            | Ask::Context { .. }
            | Ask::Namespaces
            | Ask::Stats { .. }
            | Ask::Changes
            | Ask::Pending { .. } => false,
            Ask::Forget { dry_run, .. } | Ask::Consolidate { dry_run, .. } | Ask::Prune { dry_run, .. } => {
                !dry_run
            }
            Ask::Patterns { keep, dry_run, .. } => keep.is_some() && !dry_run,
            Ask::File { command, .. } => command.writes(),
            _ => true,
        }
    }

    /// Whether it may leave memories without a vector.
    pub fn brings_text(&self) -> bool {
        matches!(
            self.ask,
            Ask::Store(_)
                | Ask::Import(_)
                | Ask::Update { .. }
                | Ask::Consolidate { .. }
                | Ask::Patterns { .. }
                | Ask::Reindex { .. }
                | Ask::Undo { .. }
                | Ask::File { .. }
        ) && self.writes()
    }

    /// Whether it may change the names of namespaces enough to tell completion.
    pub fn renames(&self) -> bool {
        matches!(
            self.ask,
            Ask::Import(_) | Ask::SetNamespace { .. } | Ask::DeleteNamespace { .. } | Ask::Grant { .. }
        )
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Memory(Box<Memory>),
    /// A page of a list, and how many there are in all.
    Memories(Vec<Memory>, u64),
    Found(Found),
    Answer(Answer),
    Packed(Packed),
    Stored(Vec<Stored>),
    /// The numbers of what went, or would go.
    Gone(Vec<u32>),
    Steps(Vec<Step>, Option<u32>),
    /// What goes, and the change to take it back.
    Pruned(Vec<Memory>, Option<u32>),
    Patterns(Vec<Pattern>, Option<u32>),
    Namespaces(Vec<Namespace>),
    Namespace(Namespace),
    Stats(Box<Stats>),
    Changes(Vec<Change>),
    Change(Change),
    Count(u64),
    Text(String),
}

/// What there is, and in what state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Memories that count, by kind.
    pub kinds: Vec<(String, u64)>,
    pub namespaces: u64,
    pub agents: u64,
    pub current: u64,
    pub superseded: u64,
    /// Those whose time is over and that were not swept yet.
    pub expired: u64,
    pub damaged: u64,
    /// Bytes of text.
    pub bytes: u64,
    /// Memories the index says it holds.
    pub indexed: u64,
    pub index_rows: u64,
    pub index_damaged: u64,
    pub vectors: u64,
    pub vectors_damaged: u64,
    /// Vectors of no memory.
    pub orphans: u64,
    pub changes: u64,
    pub consolidated: Option<Timestamp>,
}

impl Stats {
    /// What is not as it should be, in words.
    pub fn troubles(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut say = |count: u64, words: &str| {
            if count > 0 {
                found.push(format!("{count} {words}"));
            }
        };
        say(self.damaged, "damaged memories");
        say(self.index_damaged, "damaged rows of the index");
        say(self.vectors_damaged, "damaged vectors");
        say(self.orphans, "vectors of no memory");
        say(
            self.indexed.abs_diff(self.current + self.expired),
            "memories more or less in the index than there are",
        );
        found
    }
}
