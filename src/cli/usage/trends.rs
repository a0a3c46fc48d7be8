//! `umcp usage trends`: how a measure goes up and down over time.

use super::super::context::Context;
use super::figures::{Figures, Measure, bar};
use super::scope::{Scope, step};
use crate::error::Result;
use crate::ui::{Column, Output, Page, Table, text};
use crate::usage::period::{Step, show};
use crate::usage::query::Point;
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

/// Show how usage goes up and down over time
#[derive(Debug, Args)]
pub struct Trends {
    /// One line for each minute, hour, day, week or month
    #[arg(long, value_name = "STEP", value_parser = step)]
    by: Option<Step>,
    /// What the bars show: calls, tokens, cost, time or failed
    #[arg(long, short, value_name = "MEASURE", value_parser = Measure::parse, value_delimiter = ',', alias = "metrics", default_value = "calls")]
    metric: Vec<Measure>,
    #[command(flatten)]
    scope: Scope,
}

impl Trends {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (window, zone) = (self.scope.window(ctx, "30d")?, TimeZone::system());
        let step = self.by.unwrap_or_else(|| Step::fitting(window));
        let points = self.scope.points(ctx, step.edges(window, &zone)?, &[])?;
        let line = |point: Point| Line {
            time: point.from.rfc3339(),
            shown: show(point.from, step, &zone),
            figures: Figures::from(&point.total()),
            sums: point.total(),
        };
        let points: Vec<Line> = points.into_iter().map(line).collect();
        ctx.ui.show(&Shown { points, metric: self.metric, ascii: ctx.ui.look().ascii })
    }
}

#[derive(Serialize)]
struct Shown {
    points: Vec<Line>,
    #[serde(skip)]
    metric: Vec<Measure>,
    #[serde(skip)]
    ascii: bool,
}

#[derive(Serialize)]
struct Line {
    time: String,
    #[serde(flatten)]
    figures: Figures,
    #[serde(skip)]
    shown: String,
    #[serde(skip)]
    sums: crate::usage::sums::Sums,
}

impl Output for Shown {
    const KIND: &'static str = "usage.trends/1";

    fn human(&self, page: &mut Page) {
        for measure in &self.metric {
            let values: Vec<u64> = self.points.iter().map(|point| measure.of(&point.sums)).collect();
            let largest = values.iter().copied().max().unwrap_or(0);
            page.heading(format!("{}  {}", measure.word(), text::sparkline(&values, self.ascii)));
            let columns = [Column::new("time"), Column::new(measure.word()).right(), Column::new("")];
            let mut table = Table::new("no calls in that time", columns);
            for (point, value) in self.points.iter().zip(&values) {
                let drawn = bar(*value, largest, 40, self.ascii);
                table.row([point.shown.clone(), measure.show(&point.sums), drawn]);
            }
            page.table(table);
        }
    }
}
