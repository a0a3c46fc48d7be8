//! `umcp tool search` and `umcp find`: tools by what they do.

use super::super::context::{self, Context};
use super::super::known::Known;
use super::list::first_sentence;
use crate::engine::live::{Found, Live, LiveReply};
use crate::error::Result;
use crate::ui::{Cell, Column, Output, Page, Table};
use clap::Args;
use serde::Serialize;

/// Search tools by meaning
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp find current time in a city")]
pub struct Search {
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,
    /// Show at most so many
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: u32,
    /// Search only what this profile shows
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

#[derive(Serialize)]
struct Hit {
    /// `server.tool`, as it is called.
    name: String,
    /// As clients see it.
    exposed: String,
    description: String,
    score: f32,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Hits(Vec<Hit>);

impl Search {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let live = Live::Search { query: self.words.join(" "), limit: self.limit, profile: self.profile };
        let bar = asked_first(ctx)?.map(|label| ctx.ui.progress(&label));
        let reply = ctx.live(live)?;
        drop(bar);
        match reply {
            LiveReply::Search(found) => ctx.ui.show(&Hits(found.into_iter().map(Hit::from).collect())),
            other => context::unexpected(&other),
        }
    }
}

/// What the search waits for: servers that were never asked what they offer are asked first.
fn asked_first(ctx: &Context) -> Result<Option<String>> {
    let known = Known::read(ctx)?;
    let names = known.never_listed();
    Ok((!names.is_empty()).then(|| format!("asking {} for their tools", names.join(", "))))
}

impl From<Found> for Hit {
    fn from(found: Found) -> Self {
        Self {
            name: format!("{}.{}", found.server, found.tool),
            exposed: found.name,
            description: found.description,
            score: found.score,
        }
    }
}

impl Output for Hits {
    const KIND: &'static str = "tool.search/1";

    fn human(&self, page: &mut Page) {
        let mut table =
            Table::new("no tool fits", [Column::new("tool"), Column::new("what it does").wraps()]);
        for hit in &self.0 {
            table.row([Cell::from(&hit.name), first_sentence(&hit.description).into()]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|hit| hit.name.clone()).collect()
    }
}
