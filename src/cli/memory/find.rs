//! `memory search`, `ask` and `context`.

use super::super::context;
use super::say::{Ranked, brief, why};
use super::{Where, unexpected};
use crate::error::{Error, Result, codes};
use crate::memory::{self, Reply, answer, model, recall};
use crate::ui::{Cell, Column, Output, Page, Table};
use clap::Args;
use serde::Serialize;

/// Find memories, best first, with the reasons
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp memory search \"What languages does the user like?\" --top-k 5 --min-similarity 0.3\n  umcp memory search \"client x\" --namespace team_knowledge --exclude-agent agent_b"
)]
pub struct Search {
    #[arg(value_name = "QUESTION", required = true)]
    question: Vec<String>,
    /// How many
    #[arg(long, short = 'k', value_name = "N", default_value_t = 10)]
    top_k: u32,
    /// Leave out what is less alike, from 0 to 1
    #[arg(long, value_name = "0..1", default_value_t = 0.0)]
    min_similarity: f32,
    #[command(flatten)]
    like: Where,
}

/// Answer a question with the memories that tell
///
/// Without a model: the answer quotes memories, each with its id, its agent and its day.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  umcp memory ask \"What do I know about the user's meeting preferences?\""
)]
pub struct Ask {
    #[arg(value_name = "QUESTION", required = true)]
    question: Vec<String>,
    #[command(flatten)]
    like: Where,
}

/// Pack what is remembered for a task into a number of tokens
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp memory context schedule_meeting --max-tokens 1000")]
pub struct Context {
    /// What is about to be done
    #[arg(value_name = "TASK", required = true)]
    task: Vec<String>,
    /// At most so many tokens, by a careful estimate
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_tokens: u64,
    #[command(flatten)]
    like: Where,
}

fn search(
    ctx: &context::Context,
    words: &[String],
    like: &Where,
    top_k: u32,
    min_similarity: f32,
) -> Result<recall::Search> {
    if !(0.0..=1.0).contains(&min_similarity) {
        return Err(Error::new(&codes::USAGE, format!("the similarity {min_similarity} is outside 0 to 1")));
    }
    let filter = like.filter(ctx.clock.now())?;
    Ok(recall::Search { question: words.join(" "), filter, top_k, min_similarity, vector: None })
}

#[derive(Serialize)]
struct Found {
    memories: Vec<Ranked>,
    by_meaning: bool,
    without_vector: u64,
}

impl Search {
    pub fn run(self, ctx: &context::Context) -> Result<()> {
        let search = search(ctx, &self.question, &self.like, self.top_k, self.min_similarity)?;
        match super::ask(ctx, self.like.who(), memory::Ask::Search(search))? {
            Reply::Found(found) => ctx.ui.show(&Found {
                memories: found.hits.into_iter().map(Ranked).collect(),
                by_meaning: found.by_meaning,
                without_vector: found.without_vector,
            }),
            other => unexpected(&other),
        }
    }
}

impl Output for Found {
    const KIND: &'static str = "memory.search/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("id"),
            Column::new("alike").right(),
            Column::new("why").optional(1),
            Column::new("agent").optional(2),
            Column::new("memory").wraps(),
        ];
        let mut table = Table::new("nothing was found", columns);
        for Ranked(hit) in &self.memories {
            table.row([
                Cell::from(hit.memory.id()),
                format!("{:.2}", hit.similarity).into(),
                why(hit).into(),
                Cell::from(&hit.memory.agent),
                brief(&hit.memory).into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.memories.iter().map(|hit| hit.0.memory.id()).collect()
    }
}

#[derive(Serialize)]
struct Answer {
    answer: String,
    sources: Vec<Ranked>,
}

impl Ask {
    pub fn run(self, ctx: &context::Context) -> Result<()> {
        let search = search(ctx, &self.question, &self.like, 10, 0.0)?;
        match super::ask(ctx, self.like.who(), memory::Ask::Answer(search))? {
            Reply::Answer(answer::Answer { text, sources }) => {
                ctx.ui.show(&Answer { answer: text, sources: sources.into_iter().map(Ranked).collect() })
            }
            other => unexpected(&other),
        }
    }
}

impl Output for Answer {
    const KIND: &'static str = "memory.answer/1";

    fn human(&self, page: &mut Page) {
        page.text(if self.answer.is_empty() { "nothing is known about that" } else { &self.answer });
    }

    fn ids(&self) -> Vec<String> {
        self.sources.iter().map(|hit| hit.0.memory.id()).collect()
    }
}

#[derive(Serialize)]
struct Packed {
    context: String,
    tokens: u64,
    memories: Vec<String>,
    left_out: u64,
}

impl Context {
    pub fn run(self, ctx: &context::Context) -> Result<()> {
        // A task is often a name: its parts are words too.
        let search = search(ctx, &self.task, &self.like, 10, 0.0)?;
        let asked = memory::Ask::Context { search, max_tokens: self.max_tokens };
        match super::ask(ctx, self.like.who(), asked)? {
            Reply::Packed(packed) => ctx.ui.show(&Packed {
                context: packed.text,
                tokens: packed.tokens,
                memories: packed.memories.into_iter().map(model::id).collect(),
                left_out: packed.left_out,
            }),
            other => unexpected(&other),
        }
    }
}

impl Output for Packed {
    const KIND: &'static str = "memory.context/1";

    fn human(&self, page: &mut Page) {
        page.text(if self.context.is_empty() {
            "nothing is remembered for that"
        } else {
            self.context.trim_end()
        });
    }

    fn ids(&self) -> Vec<String> {
        self.memories.clone()
    }
}
