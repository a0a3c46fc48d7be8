//! `schedule list` and `schedule show`.

use super::super::context::Context;
use super::say::{Row, View, shade, told};
use super::{item, items, unattended};
use crate::clock::Timestamp;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::schedules::{self, Filter, Request};
use crate::servers::formats::own::write_time;
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::Args;
use serde::Serialize;

/// List schedules with their next and last runs
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this agent
    #[arg(long, value_name = "AGENT")]
    pub agent: Option<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All {
    schedules: Vec<View>,
    #[serde(skip)]
    now: Timestamp,
}

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let items = items(ctx, self.agent)?;
        if let Some(line) = unattended(ctx, &items) {
            ctx.ui.warn(&line);
        }
        let schedules = items.into_iter().map(View::new).collect();
        ctx.ui.show(&All { schedules, now: ctx.clock.now() })
    }
}

fn state(view: &View) -> Cell {
    let state = match view.state {
        "on" if view.running > 0 => State::Busy,
        "on" => State::Ok,
        "paused" => State::Warn,
        _ => State::Off,
    };
    Cell::state(state, if view.running > 0 { "running" } else { view.state })
}

/// How far ahead an instant lies.
pub fn ahead(now: Timestamp, then: Timestamp) -> String {
    match then.since_ms(now) {
        0 => "now".into(),
        left => format!("in {}", text::duration_ms(left)),
    }
}

impl Output for All {
    const KIND: &'static str = "schedule.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("name"),
            Column::new("state"),
            Column::new("next"),
            Column::new("when").optional(1).wraps(),
            Column::new("runs").optional(2),
            Column::new("last").optional(1),
            Column::new("agent").optional(3),
        ];
        let mut table = Table::new(
            "no schedules yet; make one: umcp schedule create NAME --workflow W --cron EXPR",
            columns,
        );
        for view in &self.schedules {
            table.row([
                Cell::from(&view.name),
                state(view),
                view.due.map_or_else(String::new, |due| ahead(self.now, due)).into(),
                format!("{} {}", view.words, view.timezone).into(),
                format!("{} {}", view.target, view.name_of_target).into(),
                Cell::from(view.last.as_deref().unwrap_or_default()),
                Cell::from(view.agent.as_deref().unwrap_or_default()),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.schedules.iter().map(|view| view.name.clone()).collect()
    }
}

/// Show a schedule: when it runs, how, and its latest runs
#[derive(Debug, Args)]
pub struct Show {
    #[arg(value_name = "SCHEDULE")]
    name: String,
}

#[derive(Serialize)]
pub struct Shown {
    #[serde(flatten)]
    pub schedule: View,
    pub latest: Vec<Row>,
    #[serde(skip)]
    pub now: Timestamp,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let schedule = View::new(item(ctx, &self.name)?);
        let filter = Filter { schedule: Some(self.name), limit: 5, ..Filter::default() };
        let latest = match ctx.call(Request::History(filter))? {
            Reply::Schedule(schedules::Reply::Firings(rows)) => rows.iter().map(Row::new).collect(),
            other => return engine::unexpected(&other),
        };
        ctx.ui.show(&Shown { schedule, latest, now: ctx.clock.now() })
    }
}

impl Output for Shown {
    const KIND: &'static str = "schedule.show/1";

    fn human(&self, page: &mut Page) {
        let view = &self.schedule;
        let held = view.paused_by.map_or_else(String::new, |by| format!(" ({by})"));
        page.heading(format!("{} is {}{held}", view.name, view.state));
        let mut pairs = vec![
            ("when", format!("{}, {}", view.words, view.timezone)),
            ("runs", format!("{} {}", view.target, view.name_of_target)),
        ];
        pairs.extend(view.cron.clone().map(|cron| ("cron", cron)));
        if let (Some(next), Some(due)) = (&view.next_local, view.due) {
            pairs.push(("next", format!("{next}, {}", ahead(self.now, due))));
        }
        pairs.push(("missed", format!("{:?}", view.missed).to_lowercase()));
        pairs.push(("overlap", format!("{:?}", view.overlap).to_lowercase()));
        pairs.extend(view.when.clone().map(|when| ("only when", when)));
        pairs.extend((view.jitter_ms > 0).then(|| ("jitter", write_time(view.jitter_ms))));
        pairs.extend(view.deadline_ms.map(|ms| ("deadline", write_time(ms))));
        let retries = || format!("{}, the first after {}", view.retries, write_time(view.retry_after_ms));
        pairs.extend((view.retries > 0).then(|| ("retries", retries())));
        pairs.extend(view.agent.clone().map(|agent| ("agent", agent)));
        if view.input.as_object().is_some_and(|input| !input.is_empty()) {
            pairs.push(("input", view.input.to_string()));
        }
        page.pairs(pairs);
        page.table(table(&self.latest, self.now, "it has not run yet"));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.schedule.name.clone()]
    }
}

/// Rows of the history.
pub fn table(rows: &[Row], now: Timestamp, empty: &str) -> Table {
    let columns = [
        Column::new("run"),
        Column::new("schedule").optional(2),
        Column::new("state"),
        Column::new("due"),
        Column::new("took").right().optional(1),
        Column::new("attempts").right().optional(3),
        Column::new("result").optional(1).wraps(),
    ];
    let mut table = Table::new(empty, columns);
    for row in rows {
        table.row([
            Cell::from(&row.id),
            Cell::from(&row.schedule),
            Cell::state(shade(row.status), row.status.word()),
            text::ago(now, row.at).into(),
            row.duration_ms.map_or_else(String::new, text::duration_ms).into(),
            if row.attempts > 0 { row.attempts.to_string() } else { String::new() }.into(),
            told(row).into(),
        ]);
    }
    table
}
