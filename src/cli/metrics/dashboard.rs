//! `umcp metrics dashboard`: what goes on, on one screen. On a terminal it is drawn anew until Ctrl-C, elsewhere once.

use super::super::context::Context;
use super::super::interrupt;
use super::show::seconds;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::metrics::{Distribution, Snapshot, Value};
use crate::servers::formats::own::parse_time;
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use crate::usage::period::Window;
use crate::usage::query::{Filter, Query};
use crate::usage::{self, sums::Sums};
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// Servers on the screen; the busiest.
const SERVERS: usize = 12;
/// Looks whose calls the small chart shows.
const LOOKS: usize = 60;
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";

/// Show servers, calls, latency, cost, schedules and runs on one screen
#[derive(Debug, Args)]
pub struct Dashboard {
    /// Time between two looks
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "2s")]
    interval: u64,
    /// Print it once, on a terminal too
    #[arg(long)]
    once: bool,
}

impl Dashboard {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let mut past = Past::default();
        let first = Screen::look(ctx, &mut past)?;
        if self.once || ctx.ui.is_json() || ctx.ui.look().width.is_none() || first.at.is_none() {
            return ctx.ui.show(&first);
        }
        interrupt::watch();
        ctx.ui.raw(ENTER)?;
        let shown = self.redraw(ctx, &mut past);
        ctx.ui.raw(LEAVE)?;
        shown
    }

    fn redraw(&self, ctx: &Context, past: &mut Past) -> Result<()> {
        while !interrupt::happened() && !ctx.ui.closed() {
            let mut page = Page::default();
            let screen = Screen::look(ctx, past)?;
            if screen.at.is_none() {
                return Ok(());
            }
            screen.human(&mut page);
            page.blank().text("Ctrl-C leaves");
            // Each line is cleared behind its end, and the screen below the last one: nothing flickers.
            let lines = page.render(ctx.ui.look()).replace('\n', "\u{1b}[K\r\n");
            ctx.ui.raw(&format!("\u{1b}[H{lines}\u{1b}[J"))?;
            interrupt::wait(Duration::from_millis(self.interval.clamp(200, 3_600_000)));
        }
        Ok(())
    }
}

/// How many calls there were at each look.
#[derive(Default)]
struct Past {
    calls: Option<u64>,
    came: VecDeque<u64>,
}

#[derive(Debug, Default, Serialize, PartialEq)]
struct Screen {
    /// `None` when no daemon runs.
    at: Option<String>,
    up_seconds: u64,
    memory_bytes: u64,
    clients: u64,
    calls: u64,
    failed: u64,
    p50_seconds: Option<f64>,
    p95_seconds: Option<f64>,
    servers: Vec<Line>,
    more_servers: usize,
    runs_active: u64,
    runs: Vec<(String, u64)>,
    schedules: u64,
    schedule_runs: Vec<(String, u64)>,
    calls_today: u64,
    tokens_today: u64,
    cost_today: String,
    /// Calls between the last looks.
    #[serde(skip)]
    came: Vec<u64>,
    #[serde(skip)]
    ascii: bool,
}

#[derive(Debug, Default, Clone, Serialize, PartialEq)]
struct Line {
    server: String,
    state: &'static str,
    calls: u64,
    failed: u64,
    p50_seconds: Option<f64>,
    p95_seconds: Option<f64>,
    in_flight: u64,
    waiting: u64,
    restarts: u64,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts; saturates, and is shown only"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

impl Screen {
    fn look(ctx: &Context, past: &mut Past) -> Result<Self> {
        let snapshot = super::snapshot(ctx)?;
        let mut screen = snapshot.as_ref().map_or_else(Self::default, Self::of);
        if snapshot.is_some() {
            let came =
                past.calls.replace(screen.calls).map_or(0, |before| screen.calls.saturating_sub(before));
            past.came.push_back(came);
        }
        if past.came.len() > LOOKS {
            past.came.pop_front();
        }
        let today = today(ctx)?;
        screen.came = past.came.iter().copied().collect();
        screen.ascii = ctx.ui.look().ascii;
        (screen.calls_today, screen.tokens_today) = (today.records, today.tokens());
        screen.cost_today = today.cost.short();
        Ok(screen)
    }

    fn of(snapshot: &Snapshot) -> Self {
        let number = |name: &str| match snapshot.find(name).map(crate::metrics::Family::total) {
            Some(Value::Number { value }) => value,
            _ => 0.0,
        };
        let words = |name: &str| -> Vec<(String, u64)> {
            let samples = snapshot.find(name).map_or(&[][..], |family| &family.samples);
            let pair = |sample: &crate::metrics::Sample| match &sample.value {
                Value::Number { value } => Some((sample.labels.get("status")?.clone(), whole(*value))),
                Value::Distribution(_) => None,
            };
            samples.iter().filter_map(pair).collect()
        };
        let mut servers = lines(snapshot);
        servers.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| a.server.cmp(&b.server)));
        let latency = match snapshot.find("umcp_call_duration_seconds").map(crate::metrics::Family::total) {
            Some(Value::Distribution(all)) => all,
            _ => Distribution::default(),
        };
        let more_servers = servers.len().saturating_sub(SERVERS);
        let (calls, failed) =
            servers.iter().fold((0, 0), |(calls, failed), line| (calls + line.calls, failed + line.failed));
        servers.truncate(SERVERS);
        Self {
            at: Some(snapshot.at.rfc3339()),
            up_seconds: whole(snapshot.at.0 as f64 / 1e6 - number("process_start_time_seconds")),
            memory_bytes: whole(number("process_resident_memory_bytes")),
            clients: whole(number("umcp_sessions")),
            calls,
            failed,
            p50_seconds: latency.quantile(0.5),
            p95_seconds: latency.quantile(0.95),
            servers,
            more_servers,
            runs_active: whole(number("umcp_runs_active")),
            runs: words("umcp_runs_total"),
            schedules: whole(number("umcp_schedules")),
            schedule_runs: words("umcp_schedule_runs_total"),
            ..Self::default()
        }
    }
}

/// A line for each server that has an entry or was called.
fn lines(snapshot: &Snapshot) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for family in &snapshot.families {
        for sample in &family.samples {
            let Some(server) = sample.labels.get("server") else { continue };
            let place = lines.iter().position(|line| line.server == *server).unwrap_or_else(|| {
                lines.push(Line { server: server.clone(), state: "-", ..Line::default() });
                lines.len() - 1
            });
            let line = &mut lines[place];
            let value = match &sample.value {
                Value::Number { value } => *value,
                Value::Distribution(all) => {
                    (line.p50_seconds, line.p95_seconds) = (all.quantile(0.5), all.quantile(0.95));
                    continue;
                }
            };
            match family.name.as_str() {
                "umcp_server_up" if line.state == "-" => line.state = if value > 0.0 { "up" } else { "idle" },
                "umcp_server_failing" | "umcp_server_breaker_open" if value > 0.0 => line.state = "failing",
                "umcp_server_calls_in_flight" => line.in_flight = whole(value),
                "umcp_server_calls_waiting" => line.waiting = whole(value),
                "umcp_server_restarts_total" => line.restarts = whole(value),
                "umcp_calls_total" => match sample.labels.get("result").map(String::as_str) {
                    Some("ok" | "cancelled") => line.calls += whole(value),
                    Some("refused") | None => {}
                    Some(_) => {
                        line.calls += whole(value);
                        line.failed += whole(value);
                    }
                },
                _ => {}
            }
        }
    }
    lines
}

fn today(ctx: &Context) -> Result<Sums> {
    let window = Window::parse("today", ctx.clock.now(), &TimeZone::system())?;
    let query =
        Query { edges: vec![window.from, window.until], group_by: Vec::new(), filter: Filter::default() };
    match ctx.call(usage::Request::Query(query))? {
        Reply::Usage(usage::Reply::Points(points)) => {
            Ok(points.first().map(usage::query::Point::total).unwrap_or_default())
        }
        other => engine::unexpected(&other),
    }
}

impl Output for Screen {
    const KIND: &'static str = "metrics.dashboard/1";

    fn human(&self, page: &mut Page) {
        let n = text::number;
        match &self.at {
            Some(_) => page.mark(
                State::Ok,
                format!(
                    "daemon up {}, {}, {} clients",
                    text::duration_ms(self.up_seconds * 1000),
                    text::bytes(self.memory_bytes),
                    n(self.clients)
                ),
            ),
            None => page.mark(State::Off, "no daemon is running"),
        };
        let time = |time: &Option<f64>| time.map_or_else(|| "-".into(), seconds);
        let counted = |words: &[(String, u64)]| {
            words.iter().map(|(word, count)| format!(", {} {word}", n(*count))).collect::<String>()
        };
        let chart = text::sparkline(&self.came, self.ascii);
        page.pairs([
            ("calls", format!("{}, {} failed  {chart}", n(self.calls), n(self.failed))),
            ("latency", format!("p50 {}, p95 {}", time(&self.p50_seconds), time(&self.p95_seconds))),
            (
                "today",
                format!(
                    "{} calls, {} tokens, {}",
                    n(self.calls_today),
                    n(self.tokens_today),
                    self.cost_today
                ),
            ),
            ("runs", format!("{} active{}", n(self.runs_active), counted(&self.runs))),
            ("schedules", format!("{} planned{}", n(self.schedules), counted(&self.schedule_runs))),
        ]);
        page.blank();
        let columns = [
            Column::new("server"),
            Column::new("state"),
            Column::new("calls").right(),
            Column::new("failed").right(),
            Column::new("p50").right(),
            Column::new("p95").right(),
            Column::new("in flight").right().optional(1),
            Column::new("waiting").right().optional(1),
            Column::new("restarts").right().optional(2),
        ];
        let mut table = Table::new("no servers", columns);
        for line in &self.servers {
            let state = match line.state {
                "up" => State::Ok,
                "failing" => State::Fail,
                _ => State::Off,
            };
            let figures = [
                n(line.calls),
                n(line.failed),
                time(&line.p50_seconds),
                time(&line.p95_seconds),
                n(line.in_flight),
                n(line.waiting),
                n(line.restarts),
            ];
            let first = [Cell::from(&line.server), Cell::state(state, line.state)];
            table.row(first.into_iter().chain(figures.map(Cell::from)));
        }
        page.table(table);
        if self.more_servers > 0 {
            page.text(format!("and {} more: umcp server status", n(self.more_servers as u64)));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.servers.iter().map(|line| line.server.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Kind;
    use crate::metrics::meters::{Ended, Meters};
    use crate::ui::Look;

    #[test]
    fn the_screen_shows_what_is_measured() {
        let meters = Meters::default();
        for (server, result) in [("git", "ok"), ("git", "error"), ("", "ok"), ("git", "refused")] {
            meters.called(&Ended {
                server,
                tool: "t",
                client: "c",
                result,
                duration_us: 150,
                request_bytes: 1,
                result_bytes: 1,
                cached: false,
            });
        }
        let mut all = Snapshot::default();
        meters.calls(&mut all);
        all.family("umcp_server_up", Kind::Gauge, "")
            .put(&[("server", "git")], 1.0)
            .put(&[("server", "time")], 0.0);
        all.family("umcp_server_failing", Kind::Gauge, "").put(&[("server", "time")], 1.0);
        all.family("umcp_runs_total", Kind::Counter, "").put(&[("status", "failed")], 2.0);
        let mut page = Page::default();
        let screen = Screen { came: vec![0, 4], ascii: true, cost_today: "$0".into(), ..Screen::of(&all) };
        screen.human(&mut page);
        let text = page.render(Look::PLAIN);
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        let text: String = lines.map(|line| line + "\n").collect();
        for part in [
            "calls 3, 1 failed _#\n",
            "latency p50 150 µs, p95 195 µs\n",
            "runs 0 active, 2 failed\n",
            "git up 2 1 150 µs 195 µs 0 0 0\numcp - 1 0 150 µs 195 µs 0 0 0\ntime failing 0 0 - - 0 0 0\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
