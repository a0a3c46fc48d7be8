//! `umcp catalog search` and `umcp catalog list`: the same list, by words or by what is known beside them.

use super::{ask, unexpected};
use crate::catalogue::model::CATEGORIES;
use crate::catalogue::{Found, Query, Reply as Answer, Request, Way};
use crate::cli::context::Context;
use crate::error::Result;
use crate::ui::{Cell, Column, Output, Page, Table, text};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Serialize;

/// Stars of a rating, as people see them.
pub fn stars(stars: Option<u8>) -> String {
    "*".repeat(stars.unwrap_or_default().into())
}

/// Find servers and apps by words
///
/// Searches names, titles, descriptions and categories of all enabled sources, without the network. What fits best comes
/// first; your ratings and how many sources know a server count too.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp catalog search query a postgres database --category database")]
pub struct Search {
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    filter: Filter,
}

/// List servers and apps, the most deserving first
#[derive(Debug, Default, Args)]
#[command(after_help = "Example:\n  umcp catalog list --category database")]
pub struct List {
    #[command(flatten)]
    filter: Filter,
}

#[derive(Debug, Args)]
struct Filter {
    /// Only of this category; several mean any of them
    #[arg(long, value_name = "CATEGORY", value_parser = PossibleValuesParser::new(CATEGORIES))]
    category: Vec<String>,
    /// Only of this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Also what umcp cannot run
    #[arg(long)]
    all: bool,
    /// How many to show
    #[arg(long, value_name = "N", default_value_t = LIMIT, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

const LIMIT: u32 = 20;

impl Default for Filter {
    fn default() -> Self {
        Self { category: Vec::new(), source: None, all: false, limit: LIMIT }
    }
}

impl Search {
    pub fn run(self, ctx: &Context) -> Result<()> {
        self.filter.run(ctx, self.words.join(" "))
    }
}

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        self.filter.run(ctx, String::new())
    }
}

impl Filter {
    fn run(self, ctx: &Context, words: String) -> Result<()> {
        let Self { category: categories, source, all, limit } = self;
        let query = Query { words, categories, source, all, limit };
        let found = match ask(ctx, Request::Search(query))? {
            Answer::Found(found) => found,
            other => return unexpected(&other),
        };
        ctx.ui.show(&Shown::new(&found))?;
        if found.untidy {
            // Kept for the next search; that it could not be kept is no error of this one.
            let _ = ask(ctx, Request::Tidy);
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Shown {
    of: u64,
    entries: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    source: String,
    title: Option<String>,
    description: String,
    /// As `umcp server add` takes it, where it takes it.
    run: Option<String>,
    transport: Option<&'static str>,
    categories: Vec<String>,
    version: Option<String>,
    deprecated: bool,
    stars: Option<u8>,
    also: Vec<String>,
}

impl Shown {
    fn new(found: &Found) -> Self {
        let row = |listed: &crate::catalogue::Listed| {
            let entry = &listed.entry;
            Row {
                name: entry.name.clone(),
                source: listed.source.clone(),
                title: entry.title.clone(),
                description: entry.description.clone(),
                run: entry.way().map(Way::spec),
                transport: entry.way().map(Way::transport),
                categories: entry.categories.clone(),
                version: entry.version.clone(),
                deprecated: entry.deprecated,
                stars: listed.stars,
                also: listed.also.clone(),
            }
        };
        Self { of: found.of, entries: found.entries.iter().map(row).collect() }
    }
}

impl Output for Shown {
    const KIND: &'static str = "catalog.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("name"),
            Column::new("source").optional(3),
            Column::new("runs").optional(2),
            Column::new("stars").optional(4),
            Column::new("categories").optional(5),
            Column::new("description").wraps().optional(1),
        ];
        let mut table = Table::new("nothing fits; read more sources: umcp catalog refresh", columns);
        for row in &self.entries {
            let about = if row.deprecated {
                format!("(deprecated) {}", row.description)
            } else {
                row.description.clone()
            };
            table.row([
                Cell::from(&row.name),
                row.source.as_str().into(),
                row.run.clone().unwrap_or_else(|| "nothing umcp can run".into()).into(),
                stars(row.stars).into(),
                row.categories.join(", ").into(),
                about.into(),
            ]);
        }
        page.table(table);
        if !self.entries.is_empty() {
            page.text(format!(
                "{} of {}; more of one: umcp catalog show NAME",
                self.entries.len(),
                text::plural(usize::try_from(self.of).unwrap_or(usize::MAX), "entry")
            ));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.entries.iter().map(|row| format!("{}/{}", row.source, row.name)).collect()
    }
}
