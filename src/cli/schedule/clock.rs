//! `schedule preview`, `next-run` and `calendar`: when things are due, and on which nights the clocks change. Reads
//! expressions and the store; starts nothing.

use super::super::context::Context;
use super::list::ahead;
use super::say::{View, coming};
use super::{item, items};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::schedules::model::Trigger;
use crate::schedules::timetable::{self, Change, Timetable, change_near, local};
use crate::ui::{Cell, Column, Output, Page, Table, text};
use clap::Args;
use serde::Serialize;

/// Explain a cron expression and show its coming runs; nothing is stored
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp schedule preview \"0 2 * * *\" --timezone America/New_York\n  umcp schedule preview \"0 9 * * 1-5\" --from 2027-03-12T00:00:00Z --count 10"
)]
pub struct Preview {
    /// Five fields, six with seconds in front, or @daily and the like
    #[arg(value_name = "EXPR")]
    expression: String,
    /// Zone whose clocks count, such as Europe/Berlin; otherwise this machine's
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Show runs after this instant; otherwise after now
    #[arg(long, value_name = "INSTANT")]
    from: Option<String>,
    /// Show so many runs
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
}

/// Show when a schedule runs next
#[derive(Debug, Args)]
pub struct NextRun {
    #[arg(value_name = "SCHEDULE")]
    name: String,
    /// Show so many runs
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
}

/// Show what runs in the coming days, in order
#[derive(Debug, Args)]
pub struct Calendar {
    /// So many days from now
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    /// Only schedules of this agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Show at most so many runs
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    limit: u32,
}

/// One coming run.
#[derive(Serialize)]
struct Coming {
    at: String,
    local: String,
    /// The clocks change that day or in the night before.
    clock_change: Option<String>,
    #[serde(skip)]
    due: Timestamp,
}

#[derive(Serialize)]
struct Previewed {
    expression: String,
    timezone: String,
    words: String,
    /// RFC 3339 in UTC.
    next: Vec<String>,
    runs: Vec<Coming>,
    #[serde(skip)]
    now: Timestamp,
}

/// RFC 3339 in UTC, without a fraction where there is none.
fn utc(at: Timestamp) -> String {
    at.rfc3339().replace(".000Z", "Z")
}

fn change(change: Change, zone: &jiff::tz::TimeZone) -> String {
    let by = text::duration_ms(u64::from(change.by.unsigned_abs()) * 1000);
    let way = if change.by > 0 { "forward" } else { "back" };
    let before = local(Timestamp(change.at.0 - 1_000_000), zone);
    let clock = |text: &str| text.split(' ').nth(2).unwrap_or_default().to_string();
    format!("clocks go {way} {by} after {} ({})", clock(&before), utc(change.at))
}

fn runs(dues: impl Iterator<Item = Timestamp>, zone: &jiff::tz::TimeZone) -> Vec<Coming> {
    let run = |due: Timestamp| Coming {
        at: utc(due),
        local: local(due, zone),
        clock_change: change_near(due, zone).map(|found| change(found, zone)),
        due,
    };
    dues.map(run).collect()
}

impl Preview {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let name = self.timezone.unwrap_or_else(timetable::own_zone);
        let zone = timetable::zone(&name)?;
        let words = timetable::cron(&self.expression)?.words();
        let table = Timetable::read(&Trigger::Cron(self.expression.clone()), &name)?;
        let now = ctx.clock.now();
        let from = match &self.from {
            Some(text) => timetable::instant(text, &zone)?,
            None => now,
        };
        let dues = std::iter::successors(table.next_after(from), |last| table.next_after(*last));
        let runs = runs(dues.take(self.count as usize), &zone);
        ctx.ui.show(&Previewed {
            expression: self.expression,
            timezone: name,
            words,
            next: runs.iter().map(|run| run.at.clone()).collect(),
            runs,
            now,
        })
    }
}

fn table(runs: &[Coming], now: Timestamp) -> Table {
    let columns = [
        Column::new("local time"),
        Column::new("utc").optional(1),
        Column::new("when").optional(2),
        Column::new("note").wraps(),
    ];
    let mut table = Table::new("no run is to come", columns);
    for run in runs {
        table.row([
            Cell::from(&run.local),
            Cell::from(&run.at),
            ahead(now, run.due).into(),
            Cell::from(run.clock_change.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

impl Output for Previewed {
    const KIND: &'static str = "schedule.preview/1";

    fn human(&self, page: &mut Page) {
        page.text(format!("{}, {}", self.words, self.timezone));
        page.table(table(&self.runs, self.now));
    }

    fn ids(&self) -> Vec<String> {
        self.next.clone()
    }
}

#[derive(Serialize)]
struct Next {
    name: String,
    state: &'static str,
    words: String,
    timezone: String,
    next: Vec<String>,
    runs: Vec<Coming>,
    #[serde(skip)]
    now: Timestamp,
}

impl NextRun {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let item = item(ctx, &self.name)?;
        let zone = timetable::zone(&item.schedule.zone)?;
        let runs = runs(coming(&item).take(self.count as usize), &zone);
        let view = View::new(item);
        ctx.ui.show(&Next {
            name: view.name,
            state: view.state,
            words: view.words,
            timezone: view.timezone,
            next: runs.iter().map(|run| run.at.clone()).collect(),
            runs,
            now: ctx.clock.now(),
        })
    }
}

impl Output for Next {
    const KIND: &'static str = "schedule.next-run/1";

    fn human(&self, page: &mut Page) {
        if self.runs.is_empty() {
            page.text(format!("{} is {}: no run is to come", self.name, self.state));
            return;
        }
        page.text(format!("{}, {}", self.words, self.timezone));
        page.table(table(&self.runs, self.now));
    }

    fn ids(&self) -> Vec<String> {
        self.next.clone()
    }
}

#[derive(Serialize)]
struct Entry {
    at: String,
    local: String,
    schedule: String,
    agent: Option<String>,
    target: String,
    #[serde(skip)]
    due: Timestamp,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Entries {
    entries: Vec<Entry>,
    #[serde(skip)]
    now: Timestamp,
}

impl Calendar {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let now = ctx.clock.now();
        let until = now.plus_ms(u64::from(self.days) * 86_400_000);
        let limit = self.limit as usize;
        let zone = jiff::tz::TimeZone::system();
        let mut entries = Vec::new();
        for item in items(ctx, self.agent)? {
            // More of one schedule than are shown of all need not be reckoned.
            for due in coming(&item).take_while(|due| *due <= until).take(limit) {
                entries.push(Entry {
                    at: utc(due),
                    local: local(due, &zone),
                    schedule: item.schedule.name.clone(),
                    agent: item.schedule.agent.clone(),
                    target: format!("{} {}", item.schedule.target.kind(), item.schedule.target.name()),
                    due,
                });
            }
        }
        entries.sort_by(|one, other| (one.due, &one.schedule).cmp(&(other.due, &other.schedule)));
        if entries.len() > limit {
            ctx.ui.note(&format!("there are more; --limit shows more than {limit}"));
            entries.truncate(limit);
        }
        ctx.ui.show(&Entries { entries, now })
    }
}

impl Output for Entries {
    const KIND: &'static str = "schedule.calendar/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("local time"),
            Column::new("when").optional(1),
            Column::new("schedule"),
            Column::new("runs").optional(2),
            Column::new("agent").optional(3),
        ];
        let mut table = Table::new("nothing is due in these days", columns);
        for entry in &self.entries {
            table.row([
                Cell::from(&entry.local),
                ahead(self.now, entry.due).into(),
                Cell::from(&entry.schedule),
                Cell::from(&entry.target),
                Cell::from(entry.agent.as_deref().unwrap_or_default()),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.schedule.clone()).collect()
    }
}
