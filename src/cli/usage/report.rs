//! `umcp usage report`: one document about a stretch of time, to read or to hand on. How it looks is `paper` and `pdf`.

use super::super::context::Context;
use super::figures::{Figures, named};
use super::paper::{Bar, Block, Paper, Way, table};
use super::scope::{Scope, shown};
use crate::error::Result;
use crate::ui::{Output, Page, text};
use crate::usage::period::{Step, Window, show};
use crate::usage::query::Group;
use crate::usage::sums::{Dimension, Sums};
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

/// Rows of each part.
const ROWS: usize = 20;
const PARTS: [Dimension; 6] = [
    Dimension::Server,
    Dimension::Entity,
    Dimension::Client,
    Dimension::User,
    Dimension::Model,
    Dimension::Workflow,
];

/// Write a report about a stretch of time
#[derive(Debug, Args)]
pub struct Report {
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    scope: Scope,
}

#[derive(Serialize)]
struct Document {
    from: String,
    until: String,
    total: Figures,
    course: Vec<Moment>,
    parts: Vec<Part>,
    #[serde(skip)]
    sums: Sums,
    #[serde(skip)]
    window: Window,
}

#[derive(Serialize)]
struct Moment {
    time: String,
    #[serde(flatten)]
    figures: Figures,
    #[serde(skip)]
    sums: Sums,
}

#[derive(Serialize)]
struct Part {
    by: &'static str,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    #[serde(flatten)]
    figures: Figures,
    #[serde(skip)]
    sums: Sums,
}

impl Report {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let window = self.scope.window(ctx, "month")?;
        let document = self.document(ctx, window)?;
        self.way.send(ctx, &document, &document.paper())
    }

    fn document(&self, ctx: &Context, window: Window) -> Result<Document> {
        let zone = TimeZone::system();
        let total = self.scope.sums(ctx, window, &[])?.total();
        let mut course = Vec::new();
        if window.from.0 > 0 {
            let step = Step::fitting(window);
            for point in self.scope.points(ctx, step.edges(window, &zone)?, &[])? {
                let sums = point.total();
                course.push(Moment { time: show(point.from, step, &zone), figures: (&sums).into(), sums });
            }
        }
        let mut parts = Vec::new();
        for dimension in PARTS {
            let mut groups = self.scope.sums(ctx, window, &[dimension])?.groups;
            groups.sort_by_key(|group| std::cmp::Reverse((group.sums.cost, group.sums.records)));
            let row = |Group { key, sums }| Row {
                name: named(&key.concat()).into(),
                figures: (&sums).into(),
                sums,
            };
            let rows: Vec<Row> = groups.into_iter().take(ROWS).map(row).collect();
            if rows.iter().any(|row| row.name != "(none)") {
                parts.push(Part { by: dimension.word(), rows });
            }
        }
        let (from, until) = (window.from.rfc3339(), window.until.rfc3339());
        Ok(Document { from, until, total: (&total).into(), course, parts, sums: total, window })
    }
}

impl Document {
    fn paper(&self) -> Paper {
        let mut blocks = vec![table("in all", std::iter::once((String::new(), &self.sums)))];
        blocks.push(self.chart("calls", |sums| sums.records, |sums| text::number(sums.records)));
        if self.sums.cost.0 > 0 {
            let pico = |sums: &Sums| u64::try_from(sums.cost.0.max(0)).unwrap_or(u64::MAX);
            blocks.push(self.chart("cost", pico, |sums| sums.cost.short()));
        }
        for part in &self.parts {
            blocks.push(table(part.by, part.rows.iter().map(|row| (row.name.clone(), &row.sums))));
        }
        if !self.course.is_empty() {
            let rows = self.course.iter().map(|moment| (moment.time.clone(), &moment.sums));
            blocks.push(table("time", rows));
        }
        Paper { title: "Usage".into(), head: vec![shown(self.window)], blocks, note: NOTE.into() }
    }

    fn chart(&self, title: &str, value: impl Fn(&Sums) -> u64, show: impl Fn(&Sums) -> String) -> Block {
        let bar = |moment: &Moment| Bar {
            label: moment.time.clone(),
            value: value(&moment.sums),
            shown: show(&moment.sums),
        };
        Block::Chart { title: title.into(), bars: self.course.iter().map(bar).collect() }
    }
}

const NOTE: &str =
    "Tokens that nobody counted are estimated at four bytes each. Costs follow the price book.";

impl Output for Document {
    const KIND: &'static str = "usage.report/1";

    fn human(&self, page: &mut Page) {
        page.text(self.paper().markdown());
    }
}
