//! `memory consolidate`, `patterns` and `prune`: each tells what it did or would do, and how to take it back.

use super::super::context::Context;
use super::say::brief;
use super::{Where, ask, unexpected};
use crate::error::Result;
use crate::memory::consolidate::{self, Why};
use crate::memory::model::id;
use crate::memory::{Ask, Reply, patterns};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Value;

/// Join memories that say the same; of contradicting ones the newer holds
///
/// Nothing is deleted: the one that loses is superseded, is found no more, and comes back with umcp memory undo.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp memory consolidate --dry-run\n  umcp memory consolidate --agent agent_456 --strategy merge_similar --similarity-threshold 0.9"
)]
pub struct Consolidate {
    /// How
    #[arg(long, value_enum, default_value = "merge-similar")]
    strategy: Strategy,
    /// How alike two memories have to be, from 0.3 to 1
    #[arg(long, value_name = "0.3..1", default_value_t = 0.9)]
    similarity_threshold: f32,
    /// Only tell what would happen
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    like: Where,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Strategy {
    /// Join what says the same, supersede what contradicts
    #[value(alias = "merge_similar")]
    MergeSimilar,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Keeps {
    /// Everything young, and what is old and important
    #[value(alias = "keep_important")]
    KeepImportant,
}

/// Tell what recurs in memories: fields, tags, relations, words that stand together
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  umcp memory patterns --filter type=user_interaction --min-frequency 5 --keep"
)]
pub struct Patterns {
    /// In at least so many memories
    #[arg(long, value_name = "N", default_value_t = 5)]
    min_frequency: u64,
    /// Keep what is found, as memories with the tag `pattern`
    #[arg(long)]
    keep: bool,
    /// With --keep: only tell
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    like: Where,
}

/// Remove what is old and not important, and what has expired
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  umcp memory prune --strategy keep_important --max-age-days 90 --importance-threshold 0.7 --dry-run"
)]
pub struct Prune {
    /// What stays
    #[arg(long, value_enum, default_value = "keep-important")]
    strategy: Keeps,
    /// Nothing younger goes
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    max_age_days: u32,
    /// Nothing that counts as much or more goes
    #[arg(long, value_name = "0..1", default_value_t = 0.7)]
    importance_threshold: f32,
    /// Only tell which
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    like: Where,
}

/// What happened or would happen.
#[derive(Serialize)]
struct Steps {
    steps: Vec<Value>,
    /// What `undo` takes.
    change: Option<u32>,
    dry_run: bool,
    #[serde(skip)]
    lines: Vec<String>,
}

impl Consolidate {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Self { strategy: Strategy::MergeSimilar, similarity_threshold: threshold, dry_run, like } = self;
        let filter = like.filter(ctx.clock.now())?;
        let request = Ask::Consolidate { filter, threshold, model: None, dry_run };
        match ask(ctx, like.who(), request)? {
            Reply::Steps(steps, change) => ctx.ui.show(&Steps {
                lines: steps.iter().map(line).collect(),
                steps: steps.iter().map(step).collect(),
                change,
                dry_run,
            }),
            other => unexpected(&other),
        }
    }
}

fn step(step: &consolidate::Step) -> Value {
    serde_json::json!({
        "why": step.why, "keeps": id(step.keeps), "supersedes": id(step.supersedes),
        "similarity": (f64::from(step.similarity) * 1000.0).round() / 1000.0,
        "kept": step.kept_text, "superseded": step.superseded_text,
    })
}

fn line(step: &consolidate::Step) -> String {
    let word = match step.why {
        Why::Similar => "says the same as",
        Why::Contradicts => "contradicts",
    };
    let (keeps, gone) = (id(step.keeps), id(step.supersedes));
    format!("{keeps} {word} {gone}: {} / {}", step.kept_text, step.superseded_text)
}

/// How a change is taken back, or that there was none.
fn ending(page: &mut Page, change: Option<u32>, dry_run: bool) {
    match change {
        Some(change) => page.text(format!("umcp memory undo {change} takes it back")),
        None if dry_run => page.text("nothing was changed (--dry-run)"),
        None => page,
    };
}

impl Output for Steps {
    const KIND: &'static str = "memory.consolidated/1";

    fn human(&self, page: &mut Page) {
        if self.lines.is_empty() {
            page.text("no two memories say the same or contradict each other");
            return;
        }
        for line in &self.lines {
            page.mark(State::Ok, line);
        }
        ending(page, self.change, self.dry_run);
    }
}

#[derive(Serialize)]
struct Recurring {
    patterns: Vec<patterns::Pattern>,
    change: Option<u32>,
    dry_run: bool,
}

impl Patterns {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Self { min_frequency: least, keep, dry_run, like } = self;
        let filter = like.filter(ctx.clock.now())?;
        let namespace = like.namespace.clone().unwrap_or_else(|| crate::memory::model::DEFAULT.into());
        let request = Ask::Patterns { filter, least, keep: keep.then_some(namespace), dry_run };
        match ask(ctx, like.who(), request)? {
            Reply::Patterns(patterns, change) => {
                ctx.ui.show(&Recurring { patterns, change, dry_run: dry_run && keep })
            }
            other => unexpected(&other),
        }
    }
}

impl Output for Recurring {
    const KIND: &'static str = "memory.patterns/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("pattern"),
            Column::new("value").wraps(),
            Column::new("times").right(),
            Column::new("share").right().optional(1),
            Column::new("such as").optional(2),
        ];
        let mut table = Table::new("nothing recurs so often; try a smaller --min-frequency", columns);
        for pattern in &self.patterns {
            let examples: Vec<String> = pattern.examples.iter().map(|number| id(*number)).collect();
            table.row([
                Cell::from(&pattern.what),
                Cell::from(&pattern.value),
                text::number(pattern.count).into(),
                format!("{:.0} %", pattern.share * 100.0).into(),
                examples.join(", ").into(),
            ]);
        }
        page.table(table);
        ending(page, self.change, self.dry_run);
    }
}

#[derive(Serialize)]
struct Pruned {
    pruned: Vec<String>,
    change: Option<u32>,
    dry_run: bool,
    #[serde(skip)]
    lines: Vec<String>,
}

impl Prune {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Self { strategy: Keeps::KeepImportant, max_age_days, importance_threshold, dry_run, like } = self;
        let filter = like.filter(ctx.clock.now())?;
        let prune = consolidate::Prune { max_age_days, importance_threshold, superseded: true };
        match ask(ctx, like.who(), Ask::Prune { filter, prune, dry_run })? {
            Reply::Pruned(gone, change) => ctx.ui.show(&Pruned {
                lines: gone.iter().map(|memory| format!("{} {}", memory.id(), brief(memory))).collect(),
                pruned: gone.iter().map(|memory| memory.id()).collect(),
                change,
                dry_run,
            }),
            other => unexpected(&other),
        }
    }
}

impl Output for Pruned {
    const KIND: &'static str = "memory.pruned/1";

    fn human(&self, page: &mut Page) {
        if self.lines.is_empty() {
            page.text("nothing is old and unimportant");
            return;
        }
        for line in &self.lines {
            page.mark(State::Ok, line);
        }
        ending(page, self.change, self.dry_run);
    }

    fn ids(&self) -> Vec<String> {
        self.pruned.clone()
    }
}
