//! `umcp usage insights` and `anomalies`: what stands out, and days unlike those before.

use super::super::context::Context;
use super::super::known::Known;
use super::figures::{Measure, named};
use super::scope::{Scope, dimension};
use crate::error::Result;
use crate::ui::{Column, Output, Page, Table};
use crate::usage::insight::{Anomaly, Insight, anomalies, of_server, of_sums};
use crate::usage::period::{Step, show};
use crate::usage::sums::{Dimension, Sums};
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeMap;

/// Show what fails, is slow, fills the context, costs most or is not used
#[derive(Debug, Args)]
pub struct Insights {
    #[command(flatten)]
    scope: Scope,
}

#[derive(Serialize)]
struct Shown {
    insights: Vec<Insight>,
}

impl Insights {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let window = self.scope.window(ctx, "30d")?;
        let by = |dimension| -> Result<Vec<(String, Sums)>> {
            let groups = self.scope.sums(ctx, window, &[dimension])?.groups;
            Ok(groups.into_iter().map(|group| (group.key.concat(), group.sums)).collect())
        };
        let mut insights = of_sums(&by(Dimension::Entity)?);
        let calls: BTreeMap<String, Sums> = by(Dimension::Server)?.into_iter().collect();
        let mut tokens: BTreeMap<String, u64> = BTreeMap::new();
        for it in Known::ask(ctx, &|_| true)?.tools().filter(|it| it.enabled()) {
            *tokens.entry(it.server.name.clone()).or_default() += it.tool.tokens();
        }
        let records = |server: &String| calls.get(server).map_or(0, |sums| sums.records);
        let unused = tokens.iter().filter_map(|(server, tokens)| of_server(server, *tokens, records(server)));
        insights.extend(unused);
        insights.sort_by_key(|insight| insight.topic);
        ctx.ui.show(&Shown { insights })
    }
}

impl Output for Shown {
    const KIND: &'static str = "usage.insights/1";

    fn human(&self, page: &mut Page) {
        if self.insights.is_empty() {
            page.text("nothing stands out");
        }
        for insight in &self.insights {
            let entity = if insight.entity.is_empty() { "" } else { &format!("{}: ", insight.entity) };
            page.bullet(format!("{entity}{}", insight.says));
            page.text(format!("    {}", insight.advice));
        }
    }
}

/// Show days unlike those before
#[derive(Debug, Args)]
pub struct Anomalies {
    /// What is compared: calls, tokens, cost, time or failed
    #[arg(long, short, value_name = "MEASURE", value_parser = Measure::parse, default_value = "calls")]
    metric: Measure,
    /// Each of these by itself, as for `breakdown`; without it everything together
    #[arg(long, short, value_name = "DIMENSION", value_parser = dimension)]
    group_by: Option<Dimension>,
    #[command(flatten)]
    scope: Scope,
}

#[derive(Serialize)]
struct Found {
    anomalies: Vec<Line>,
    /// Days that were compared.
    days: usize,
}

#[derive(Serialize)]
struct Line {
    day: String,
    name: String,
    #[serde(flatten)]
    anomaly: Anomaly,
    #[serde(skip)]
    shown: [String; 2],
}

impl Anomalies {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (window, zone) = (self.scope.window(ctx, "30d")?, TimeZone::system());
        let dimensions: Vec<Dimension> = self.group_by.into_iter().collect();
        let points = self.scope.points(ctx, Step::Day.edges(window, &zone)?, &dimensions)?;
        let mut series: BTreeMap<String, Vec<Sums>> = BTreeMap::new();
        for (day, point) in points.iter().enumerate() {
            for group in &point.groups {
                let days = series.entry(group.key.concat()).or_default();
                days.resize(points.len(), Sums::default());
                days[day] = group.sums.clone();
            }
        }
        let mut lines = Vec::new();
        for (name, days) in &series {
            let values: Vec<u64> = days.iter().map(|sums| self.metric.of(sums)).collect();
            // What was not there yet is no day with nothing.
            let first = values.iter().position(|value| *value > 0).unwrap_or(0);
            for anomaly in anomalies(&values[first..]) {
                let index = first + anomaly.index;
                let usual = values[first..index].iter().position(|value| *value == anomaly.usual);
                let usual =
                    usual.map_or_else(|| anomaly.usual.to_string(), |at| self.metric.show(&days[first + at]));
                let shown = [self.metric.show(&days[index]), usual];
                let day = show(points[index].from, Step::Day, &zone);
                lines.push(Line { day, name: name.clone(), anomaly, shown });
            }
        }
        lines.sort_by(|left, right| (&right.day, &left.name).cmp(&(&left.day, &right.name)));
        ctx.ui.show(&Found { anomalies: lines, days: points.len() })
    }
}

impl Output for Found {
    const KIND: &'static str = "usage.anomalies/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("day"),
            Column::new("of").optional(1),
            Column::new("value").right(),
            Column::new("usual").right(),
        ];
        let mut table = Table::new("no day is unlike those before", columns);
        for line in &self.anomalies {
            let [value, usual] = line.shown.clone();
            let name = if line.name.is_empty() { "everything" } else { named(&line.name) };
            table.row([line.day.clone(), name.into(), value, usual]);
        }
        page.table(table);
    }
}
