//! `memory update`, `forget` and `undo`.

use super::super::context::Context;
use super::say::{Changed, Forgotten, Undone};
use super::{KindWord, Where, ask, pair_of, triple_of, ttl, unexpected};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::memory::journal::Change;
use crate::memory::model::{Who, id};
use crate::memory::{Ask, Reply, change, transfer};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::Args;
use serde::Serialize;
use serde_json::json;

/// Change a memory; what is not named stays
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp memory update m12 --importance 0.9 --tag client_x --forever")]
pub struct Update {
    /// Its id or its key
    #[arg(value_name = "MEMORY")]
    memory: String,
    /// What it says from now on
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// The name to get it by
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// What sort of memory it is
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<KindWord>,
    /// Its tags, in the place of those it has; an empty word removes them
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    tag: Option<Vec<String>>,
    /// A field of its metadata; FIELD= removes it
    #[arg(long, value_name = "FIELD=VALUE")]
    meta: Vec<String>,
    /// Its relations, in the place of those it has
    #[arg(long, value_name = "SUBJECT|RELATION|OBJECT")]
    triple: Option<Vec<String>>,
    /// How much it counts, from 0 to 1
    #[arg(long, value_name = "0..1")]
    importance: Option<f32>,
    /// Forget it after this time from now
    #[arg(long, value_name = "TIME", value_parser = ttl)]
    ttl: Option<u64>,
    /// Keep it for ever
    #[arg(long, conflicts_with = "ttl")]
    forever: bool,
    /// Of this namespace, where a key stands in several
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Change it as this agent, with what it may do
    #[arg(long = "as", value_name = "AGENT")]
    as_agent: Option<String>,
}

impl Update {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let field = |pair: &String| match pair.strip_suffix('=') {
            Some(name) => Ok((name.to_string(), None)),
            None => pair_of(pair).map(|(name, value)| (name, Some(value))),
        };
        let triples = self.triple.map(|all| all.iter().map(|text| triple_of(text)).collect::<Result<_>>());
        let update = change::Update {
            text: self.text,
            key: self.key,
            kind: self.kind.map(KindWord::kind),
            tags: self.tag.map(|tags| tags.into_iter().filter(|tag| !tag.is_empty()).collect()),
            metadata: self.meta.iter().map(field).collect::<Result<_>>()?,
            triples: triples.transpose()?,
            importance: self.importance,
            ttl_ms: self.ttl.map(Some).or(self.forever.then_some(None)),
        };
        if update == change::Update::default() {
            return Err(Error::new(&codes::USAGE, "what is to be different?")
                .hint(format!("umcp memory update {} --text \"…\"", self.memory)));
        }
        let filter = crate::memory::select::Filter { namespace: self.namespace, ..Default::default() };
        let who = Who { agent: self.as_agent, session: None };
        match ask(ctx, who, Ask::Update { word: self.memory, filter, update: Box::new(update) })? {
            Reply::Memory(memory) => ctx.ui.show(&Changed {
                data: transfer::document(&memory),
                lines: vec![(State::Ok, format!("changed {}", memory.id()))],
                ids: vec![memory.id()],
            }),
            other => unexpected(&other),
        }
    }
}

/// Delete memories for good, with their earlier versions
///
/// Those named by id or key, or all that are like the flags say.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp memory forget m12 user_preference\n  umcp memory forget --agent agent_b --until 90d --dry-run"
)]
pub struct Forget {
    #[arg(value_name = "MEMORY")]
    memories: Vec<String>,
    /// Only tell which
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    like: Where,
}

impl Forget {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let filter = self.like.filter(ctx.clock.now())?;
        let words = self.memories;
        let request = |dry_run| Ask::Forget { words: words.clone(), filter: filter.clone(), dry_run };
        let named = gone(ctx, self.like.who(), request(true))?;
        let all: Vec<String> = named.iter().map(|number| id(*number)).collect();
        if self.dry_run || all.is_empty() {
            return show(ctx, all, true);
        }
        let question = match all.len() {
            1..=5 => format!("forget {} for good?", all.join(", ")),
            count => format!("forget {count} memories for good?"),
        };
        if !ctx.ui.confirm(&question, false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was forgotten"));
        }
        let gone = gone(ctx, self.like.who(), request(false))?;
        show(ctx, gone.into_iter().map(id).collect(), false)
    }
}

fn gone(ctx: &Context, who: Who, request: Ask) -> Result<Vec<u32>> {
    match ask(ctx, who, request)? {
        Reply::Gone(gone) => Ok(gone),
        other => unexpected(&other),
    }
}

fn show(ctx: &Context, ids: Vec<String>, dry_run: bool) -> Result<()> {
    let word = if dry_run { "would forget" } else { "forgot" };
    let lines = match ids.is_empty() {
        true => vec![(State::Off, "no memory is like that".to_string())],
        false => ids.iter().map(|id| (State::Ok, format!("{word} {id}"))).collect(),
    };
    ctx.ui.show(&Forgotten { data: json!({"forgotten": ids, "dry_run": dry_run}), lines, ids })
}

/// Take back a change of memories, such as consolidate or import
///
/// What was forgotten does not come back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp memory undo --list\n  umcp memory undo 7")]
pub struct Undo {
    /// The change to take back; the newest that stands if left out
    #[arg(value_name = "CHANGE", conflicts_with = "list")]
    change: Option<u32>,
    /// Show what can be taken back
    #[arg(long)]
    list: bool,
    /// Also where the memories were changed again since
    #[arg(long, conflicts_with = "list")]
    force: bool,
}

#[derive(Serialize)]
struct Changes {
    changes: Vec<View>,
    #[serde(skip)]
    now: Timestamp,
}

#[derive(Serialize)]
struct View {
    id: u32,
    what: String,
    agent: String,
    at: String,
    memories: u32,
    undone: Option<String>,
    #[serde(skip)]
    when: Timestamp,
}

impl View {
    fn new(change: Change) -> Self {
        let Change { id, what, agent, at, memories, undone } = change;
        let undone = undone.map(Timestamp::rfc3339);
        Self { id, what, agent, at: at.rfc3339(), memories, undone, when: at }
    }
}

impl Undo {
    pub fn run(self, ctx: &Context) -> Result<()> {
        if self.list {
            return match ask(ctx, Who::default(), Ask::Changes)? {
                Reply::Changes(all) => {
                    let changes = all.into_iter().map(View::new).collect();
                    ctx.ui.show(&Changes { changes, now: ctx.clock.now() })
                }
                other => unexpected(&other),
            };
        }
        match ask(ctx, Who::default(), Ask::Undo { id: self.change, force: self.force })? {
            Reply::Change(change) => {
                let count = text::plural(change.memories as usize, "memory");
                let line = format!("took back change {}: {} of {count}", change.id, change.what);
                let ids = vec![change.id.to_string()];
                ctx.ui.show(&Undone { data: json!(View::new(change)), lines: vec![(State::Ok, line)], ids })
            }
            other => unexpected(&other),
        }
    }
}

impl Output for Changes {
    const KIND: &'static str = "memory.changes/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("change").right(),
            Column::new("what"),
            Column::new("memories").right(),
            Column::new("by").optional(1),
            Column::new("when"),
            Column::new("state"),
        ];
        let mut table = Table::new("there is nothing to take back", columns);
        for change in &self.changes {
            table.row([
                Cell::from(change.id.to_string()),
                Cell::from(&change.what),
                change.memories.to_string().into(),
                Cell::from(&change.agent),
                text::ago(self.now, change.when).into(),
                match change.undone {
                    Some(_) => Cell::state(State::Off, "taken back"),
                    None => Cell::state(State::Ok, "stands"),
                },
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.changes.iter().map(|change| change.id.to_string()).collect()
    }
}
