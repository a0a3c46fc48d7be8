//! `schedule stats`: how runs went, from the rows of the history that are kept.

use super::super::context::Context;
use super::history::{moment, rows};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::schedules::Filter;
use crate::schedules::stats::{Stats, stats};
use crate::ui::{Cell, Column, Output, Page, Table, text};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;

/// Show how runs went: success, durations, delays, reasons of failures
#[derive(Debug, Args)]
pub struct Show {
    /// Only of this schedule
    #[arg(value_name = "SCHEDULE")]
    name: Option<String>,
    /// Only of schedules of this agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only what was due from then on: a date, or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    all: Stats,
    by_schedule: BTreeMap<String, Stats>,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let filter = Filter {
            schedule: self.name,
            agent: self.agent,
            since: self.since,
            limit: u32::MAX,
            ..Filter::default()
        };
        let rows = rows(ctx, filter)?;
        let mut each: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for row in &rows {
            each.entry(row.schedule.clone()).or_default().push(row);
        }
        let by_schedule = each.into_iter().map(|(name, rows)| (name, stats(rows))).collect();
        ctx.ui.show(&Shown { all: stats(&rows), by_schedule })
    }
}

fn time(ms: Option<u64>) -> Cell {
    ms.map_or_else(String::new, text::duration_ms).into()
}

impl Output for Shown {
    const KIND: &'static str = "schedule.stats/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("schedule"),
            Column::new("runs").right(),
            Column::new("success").right(),
            Column::new("failed").right().optional(1),
            Column::new("not run").right().optional(2),
            Column::new("median").right(),
            Column::new("95%").right().optional(1),
            Column::new("delay").right().optional(3),
        ];
        let mut table = Table::new("nothing was due yet", columns);
        for (name, stats) in &self.by_schedule {
            table.row([
                Cell::from(name),
                text::number(stats.runs).into(),
                stats.success_percent.map_or_else(String::new, |percent| format!("{percent} %")).into(),
                text::number(stats.failed).into(),
                text::number(stats.not_run.values().sum()).into(),
                time(stats.median_ms),
                time(stats.p95_ms),
                time(stats.median_delay_ms),
            ]);
        }
        page.table(table);
        for reason in &self.all.failures {
            page.bullet(format!("{} times {}: {}", reason.count, reason.code, reason.message));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.by_schedule.keys().cloned().collect()
    }
}
