//! `skill rate` and `stats`: what the user thinks of skills, and how their runs went.

use super::list::ratings;
use super::{all, ask, find};
use crate::cli::context::Context;
use crate::engine::{self, Reply as Answer};
use crate::error::{Error, Result, codes};
use crate::skills::Request;
use crate::skills::model::Rating;
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use crate::workflows::journal::Status;
use crate::workflows::{self, Run};
use clap::Args;
use serde::Serialize;

/// Runs that are looked at.
const MOST_RUNS: u32 = 100_000;

/// Say what you think of a skill
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp skill rate greet 5 --comment \"does what it says\"\n  umcp skill rate greet --clear"
)]
pub struct Rate {
    #[arg(value_name = "SKILL")]
    name: String,
    /// From 1 to 5
    #[arg(value_name = "STARS", value_parser = clap::value_parser!(u8).range(1..=5), required_unless_present = "clear")]
    stars: Option<u8>,
    #[arg(long, value_name = "TEXT", default_value = "")]
    comment: String,
    /// Take the rating back
    #[arg(long, conflicts_with_all = ["stars", "comment"])]
    clear: bool,
}

#[derive(Serialize)]
struct Rated {
    skill: String,
    stars: Option<u8>,
    comment: String,
}

impl Rate {
    pub fn run(self, ctx: &Context) -> Result<()> {
        if self.comment.chars().count() > 1000 {
            return Err(Error::new(&codes::VALUE_INVALID, "a comment has at most 1,000 characters"));
        }
        let at = ctx.clock.now();
        let rating = self.stars.map(|stars| Rating { stars, comment: self.comment.clone(), at });
        ask(ctx, Request::Rate { name: self.name.clone(), rating })?;
        ctx.ui.show(&Rated { skill: self.name, stars: self.stars, comment: self.comment })
    }
}

impl Output for Rated {
    const KIND: &'static str = "skill.rated/1";

    fn human(&self, page: &mut Page) {
        match self.stars {
            Some(stars) => page.mark(State::Ok, format!("rated {} {stars}/5", self.skill)),
            None => page.mark(State::Ok, format!("took back the rating of {}", self.skill)),
        };
    }
}

/// Show how often skills ran and how that went, as far as runs are kept
#[derive(Debug, Args)]
pub struct Stats {
    /// All, if none is named
    #[arg(value_name = "SKILL")]
    name: Option<String>,
}

#[derive(Serialize)]
struct Numbers {
    skill: String,
    version: String,
    runs: usize,
    completed: usize,
    failed: usize,
    under_way: usize,
    /// Of completed runs.
    median_ms: Option<u64>,
    last: Option<String>,
    stars: Option<u8>,
    #[serde(skip)]
    ago: Option<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All(Vec<Numbers>);

impl Stats {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let chosen = match &self.name {
            Some(name) => vec![find(ctx, name)?],
            None => all(ctx)?,
        };
        let ratings = ratings(ctx)?;
        let now = ctx.clock.now();
        let numbers = chosen.into_iter().map(|skill| {
            let runs = runs(ctx, &skill.name)?;
            let of = |status: Status| runs.iter().filter(|run| run.status == status).count();
            let took = |run: &Run| Some(run.ended?.millis().saturating_sub(run.started.millis()));
            let mut times: Vec<u64> =
                runs.iter().filter(|run| run.status == Status::Completed).filter_map(took).collect();
            times.sort_unstable();
            let last = runs.iter().map(|run| run.started).max();
            Ok(Numbers {
                runs: runs.len(),
                completed: of(Status::Completed),
                failed: of(Status::Failed),
                under_way: runs.iter().filter(|run| !run.status.is_over()).count(),
                median_ms: times.get(times.len() / 2).copied(),
                last: last.map(crate::clock::Timestamp::rfc3339),
                stars: ratings.get(&skill.name).map(|it| it.stars),
                ago: last.map(|last| text::ago(now, last)),
                version: skill.current,
                skill: skill.name,
            })
        });
        ctx.ui.show(&All(numbers.collect::<Result<_>>()?))
    }
}

/// The runs of a skill; a workflow may have the same name.
fn runs(ctx: &Context, name: &str) -> Result<Vec<Run>> {
    let request = workflows::Request::Runs { workflow: Some(name.into()), status: None, limit: MOST_RUNS };
    match ctx.call(request)? {
        Answer::Workflow(workflows::Reply::Runs(runs)) => {
            let by = format!("skill:{name}");
            Ok(runs.into_iter().filter(|run| run.by == by).collect())
        }
        other => engine::unexpected(&other),
    }
}

impl Output for All {
    const KIND: &'static str = "skill.stats/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("skill"),
            Column::new("version").optional(2),
            Column::new("runs").right(),
            Column::new("completed").right(),
            Column::new("failed").right(),
            Column::new("median").right(),
            Column::new("last").optional(1),
            Column::new("stars").right().optional(3),
        ];
        let mut table = Table::new("no skills yet; make one: umcp skill create NAME", columns);
        for it in &self.0 {
            table.row([
                Cell::from(&it.skill),
                (&it.version).into(),
                it.runs.to_string().into(),
                it.completed.to_string().into(),
                it.failed.to_string().into(),
                it.median_ms.map(text::duration_ms).unwrap_or_default().into(),
                it.ago.clone().unwrap_or_default().into(),
                it.stars.map(|stars| stars.to_string()).unwrap_or_default().into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|it| it.skill.clone()).collect()
    }
}
