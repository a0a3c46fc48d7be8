//! `schedule history` and `schedule logs`: what became of due instants. Reads the store.

use super::super::context::Context;
use super::super::workflow;
use super::list::table;
use super::say::{Row, shade};
use crate::clock::Timestamp;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::schedules::model::{Firing, Status, Target};
use crate::schedules::timetable::instant;
use crate::schedules::{self, Filter, Request};
use crate::ui::{Output, Page, text};
use crate::workflows;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

/// Show what became of each due instant, newest first
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp schedule history daily-backup --limit 10\n  umcp schedule history --status failed --since 2027-01-01"
)]
pub struct History {
    /// Only of this schedule
    #[arg(value_name = "SCHEDULE")]
    name: Option<String>,
    /// Show at most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: u32,
    #[command(flatten)]
    filter: Which,
}

/// Which rows of the history.
#[derive(Debug, Args)]
pub struct Which {
    /// Only in this state: completed, failed, running, queued, cancelled, interrupted, overlapped, paused, declined, missed
    #[arg(long, value_name = "STATE", value_parser = status)]
    status: Option<Status>,
    /// Only of schedules of this agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only what was due from then on: a date, or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only what was due up to then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Only where all these words stand in the inputs, the result, the error or the log
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
}

fn status(word: &str) -> Result<Status, String> {
    serde_json::from_value(Value::from(word)).map_err(|_| "it is one of the states of the help".into())
}

/// A date stands for its beginning on this machine's clocks.
pub fn moment(word: &str) -> Result<Timestamp, String> {
    let zone = jiff::tz::TimeZone::system();
    let midnight = format!("{word} 00:00");
    instant(word, &zone).or_else(|_| instant(&midnight, &zone)).map_err(|error| error.to_string())
}

impl Which {
    pub fn filter(self, schedule: Option<String>, limit: u32) -> Filter {
        let words = self.search.as_deref().unwrap_or_default().split_whitespace();
        Filter {
            words: words.map(Into::into).collect(),
            schedule,
            agent: self.agent,
            since: self.since,
            until: self.until,
            status: self.status,
            limit,
        }
    }
}

/// Rows of the history.
pub fn rows(ctx: &Context, filter: Filter) -> Result<Vec<Firing>> {
    match ctx.call(Request::History(filter))? {
        Reply::Schedule(schedules::Reply::Firings(rows)) => Ok(rows),
        other => engine::unexpected(&other),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
pub struct Rows {
    pub rows: Vec<Row>,
    #[serde(skip)]
    pub now: Timestamp,
}

impl History {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let rows = rows(ctx, self.filter.filter(self.name, self.limit))?;
        ctx.ui.show(&Rows { rows: rows.iter().map(Row::new).collect(), now: ctx.clock.now() })
    }
}

impl Output for Rows {
    const KIND: &'static str = "schedule.history/1";

    fn human(&self, page: &mut Page) {
        page.table(table(&self.rows, self.now, "nothing was due yet"));
    }

    fn ids(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.id.clone()).collect()
    }
}

/// Show the log of a run with its result; without --run, of the latest
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp schedule logs daily-backup --run run_5f2c0a91d3e4b786\n  umcp schedule logs --search \"disk full\""
)]
pub struct Logs {
    #[arg(value_name = "SCHEDULE")]
    name: Option<String>,
    /// Only this run
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Show the logs of at most so many runs
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1)]
    limit: u32,
    #[command(flatten)]
    filter: Which,
}

#[derive(Serialize)]
struct Log {
    #[serde(flatten)]
    row: Row,
    lines: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    at: String,
    text: String,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Told(Vec<Log>);

impl Logs {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let found = match self.run {
            Some(id) => match ctx.call(Request::Run { schedule: self.name, id })? {
                Reply::Schedule(schedules::Reply::Firing(firing)) => vec![*firing],
                other => return engine::unexpected(&other),
            },
            None => {
                let searches = self.filter.search.is_some();
                let limit = if searches { self.limit.max(20) } else { self.limit };
                rows(ctx, self.filter.filter(self.name, limit))?
            }
        };
        let logs = found.iter().map(|firing| log(ctx, firing)).collect::<Result<_>>()?;
        ctx.ui.show(&Told(logs))
    }
}

/// The lines of a run, with those of the workflow's run between them.
fn log(ctx: &Context, firing: &Firing) -> Result<Log> {
    let mut lines: Vec<(Timestamp, String)> =
        firing.lines.iter().map(|line| (line.at, line.text.clone())).collect();
    if let (Target::Workflow(_), Some(run)) = (&firing.target, &firing.run) {
        lines.extend(of_workflow(ctx, run)?);
        lines.sort_by_key(|(at, _)| *at);
    }
    let lines = lines.into_iter().map(|(at, text)| Entry { at: at.rfc3339(), text }).collect();
    Ok(Log { row: Row::new(firing), lines })
}

fn of_workflow(ctx: &Context, run: &str) -> Result<Vec<(Timestamp, String)>> {
    let journal = match ctx.call(workflows::Request::Run { id: run.into() }) {
        Ok(Reply::Workflow(workflows::Reply::Run { journal, .. })) => journal,
        Ok(other) => return engine::unexpected(&other),
        // Runs of workflows are kept by a count of their own.
        Err(error) if error.is(&codes::RUN_NOT_FOUND) => Vec::new(),
        Err(error) => return Err(error),
    };
    let lines = journal.into_iter().flat_map(|entry| {
        let at = entry.at;
        entry.events.into_iter().map(move |event| (at, workflow::line(&event, at)))
    });
    Ok(lines.collect())
}

impl Output for Told {
    const KIND: &'static str = "schedule.logs/1";

    fn human(&self, page: &mut Page) {
        if self.0.is_empty() {
            page.text("nothing was due yet, or nothing fits");
        }
        for log in &self.0 {
            let row = &log.row;
            let took =
                row.duration_ms.map_or_else(String::new, |ms| format!(" in {}", text::duration_ms(ms)));
            let status = row.status.word();
            page.mark(
                shade(row.status),
                format!("{} {} {status}{took}, due {}", row.schedule, row.id, row.due),
            );
            if let Some(run) = &row.workflow_run {
                page.text(format!("run of the workflow: {run}"));
            }
            log.lines.iter().for_each(|line| _ = page.text(format!("{} {}", line.at, line.text)));
            match &row.result {
                Value::Null => {}
                Value::String(text) if text.is_empty() => {}
                Value::String(text) => _ = page.text(text),
                value => _ = page.text(serde_json::to_string_pretty(value).unwrap_or_default()),
            }
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|log| log.row.id.clone()).collect()
    }
}

/// The error of a command that waited for runs which went wrong.
pub fn went_wrong(rows: &[Row]) -> Option<Error> {
    let bad = rows
        .iter()
        .find(|row| matches!(row.status, Status::Failed | Status::Interrupted | Status::Cancelled))?;
    let reason = bad.error.as_ref().map_or_else(String::new, |error| format!(": {}", error.message));
    let message = format!("the run `{}` of `{}` is {}{reason}", bad.id, bad.schedule, bad.status.word());
    let code = if bad.status == Status::Cancelled { &codes::CANCELLED } else { &codes::RUN_FAILED };
    Some(Error::new(code, message).hint(format!("umcp schedule logs {} --run {}", bad.schedule, bad.id)))
}
