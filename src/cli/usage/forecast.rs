//! `umcp usage forecast`: what a period will have used when it ends, and when quotas will be used up at this pace.

use super::super::context::Context;
use super::scope::Scope;
use crate::clock::Timestamp;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::ui::{Cell, Column, Output, Page, Table, text};
use crate::usage;
use crate::usage::forecast::{self, Forecast};
use crate::usage::money::Pico;
use crate::usage::period::{Step, Window};
use crate::usage::query::Query;
use crate::usage::quota::{self, Per};
use crate::usage::sums::Sums;
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

/// Tell what a period will have used when it ends
///
/// It goes on as the last two weeks went; days before the first use do not count.
#[derive(Debug, Args)]
pub struct Forecasted {
    /// The period: day, week or month
    #[arg(long, value_name = "PERIOD", value_parser = per, default_value = "month")]
    per: Per,
    #[command(flatten)]
    scope: Scope,
}

fn per(word: &str) -> Result<Per, String> {
    Per::parse(word)
        .filter(|per| matches!(per, Per::Day | Per::Week | Per::Month))
        .ok_or_else(|| "it is one of day, week, month".into())
}

#[derive(Serialize)]
struct Shown {
    from: String,
    until: String,
    /// Whole days that were looked at.
    days: usize,
    calls: Forecast,
    tokens: Forecast,
    cost_pico_usd: Forecast,
    quotas: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    quota: String,
    /// When it is used up at this pace; nothing when it lasts for its period.
    used_up_at: Option<String>,
    until: Option<String>,
}

/// What of sums is told in advance.
const FIGURES: [fn(&Sums) -> u128; 3] = [
    |sums| sums.api_calls.into(),
    |sums| sums.tokens().into(),
    |sums| u128::try_from(sums.cost.0).unwrap_or(0),
];

impl Forecasted {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (now, zone) = (ctx.clock.now(), TimeZone::system());
        let (from, until) = self.per.around(now, &zone);
        let window = Window { from, until: Window::now(now) };
        let so_far = self.scope.sums(ctx, window, &[])?.total();
        let edges = last_days(now, &zone)?;
        let days: Vec<Sums> =
            self.scope.points(ctx, edges.clone(), &[])?.iter().map(|point| point.total()).collect();
        let of = |figure: fn(&Sums) -> u128| {
            let days: Vec<u128> = days.iter().map(figure).collect();
            forecast::forecast(figure(&so_far), &days, until.since_ms(now))
        };
        let [calls, tokens, cost_pico_usd] = FIGURES.map(of);
        ctx.ui.show(&Shown {
            from: from.rfc3339(),
            until: until.rfc3339(),
            days: days.len(),
            calls,
            tokens,
            cost_pico_usd,
            quotas: quotas(ctx, now, &edges)?,
        })
    }
}

/// The edges of the last whole days.
fn last_days(now: Timestamp, zone: &TimeZone) -> Result<Vec<Timestamp>> {
    let (today, _) = Step::Day.around(now, zone);
    let long = (forecast::DAYS as u64 + 1) * 86_400_000_000;
    let window = Window { from: Timestamp(today.0.saturating_sub(long)), until: today };
    let mut edges = Step::Day.edges(window, zone)?;
    let first = edges.len().saturating_sub(forecast::DAYS + 1);
    Ok(edges.split_off(first))
}

fn quotas(ctx: &Context, now: Timestamp, edges: &[Timestamp]) -> Result<Vec<Line>> {
    let standings = match ctx.call(usage::Request::Quota(quota::Request::List { now }))? {
        Reply::Usage(usage::Reply::Quotas(standings)) => standings,
        other => return engine::unexpected(&other),
    };
    let mut lines = Vec::new();
    for standing in standings {
        let query = Query { edges: edges.to_vec(), group_by: Vec::new(), filter: standing.quota.filter() };
        let points = match ctx.call(usage::Request::Query(query))? {
            Reply::Usage(usage::Reply::Points(points)) => points,
            other => return engine::unexpected(&other),
        };
        let days: Vec<Sums> = points.iter().map(|point| point.total()).collect();
        let (used, limit) = (standing.used, standing.quota.limit);
        let pico = |amount: Pico| u128::try_from(amount.0).unwrap_or(0);
        let bounds = [
            limit.calls.map(|limit| (u128::from(used.calls), u128::from(limit))),
            limit.tokens.map(|limit| (u128::from(used.tokens), u128::from(limit))),
            limit.cost.map(|limit| (pico(used.cost), pico(limit))),
        ];
        let reached = bounds.into_iter().zip(FIGURES).filter_map(|(bound, figure)| {
            let (used, limit) = bound?;
            forecast::reached_ms(used, limit, &days.iter().map(figure).collect::<Vec<_>>())
        });
        let at = reached.min().map(|ms| now.plus_ms(ms)).filter(|at| *at < standing.until);
        lines.push(Line {
            quota: standing.quota.name,
            used_up_at: at.map(Timestamp::rfc3339),
            until: (standing.until.0 < u64::MAX).then(|| standing.until.rfc3339()),
        });
    }
    Ok(lines)
}

fn money(amount: u128) -> String {
    Pico(i128::try_from(amount).unwrap_or(i128::MAX)).short()
}

fn count(amount: u128) -> String {
    text::number(u64::try_from(amount).unwrap_or(u64::MAX))
}

impl Output for Shown {
    const KIND: &'static str = "usage.forecast/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new(""),
            Column::new("so far").right(),
            Column::new("expected").right(),
            Column::new("at least").right(),
            Column::new("at most").right(),
        ];
        let mut table = Table::new("", columns);
        let rows = [
            ("calls", &self.calls, count as fn(u128) -> String),
            ("tokens", &self.tokens, count),
            ("cost", &self.cost_pico_usd, money),
        ];
        for (name, Forecast { so_far, expected, least, most }, show) in rows {
            let figure = |amount: &u128| Cell::from(show(*amount));
            table.row([Cell::from(name), figure(so_far), figure(expected), figure(least), figure(most)]);
        }
        page.table(table);
        page.text(format!(
            "until {}, as the {} before today went",
            self.until,
            text::plural(self.days, "day")
        ));
        for line in &self.quotas {
            match &line.used_up_at {
                Some(at) => page.bullet(format!("the quota {} is used up at {at}", line.quota)),
                None => page.bullet(format!("the quota {} lasts", line.quota)),
            };
        }
    }
}
