//! `umcp metrics show`: all metrics in a line each, or the series of some.

use super::super::context::Context;
use crate::error::Result;
use crate::metrics::{Distribution, Family, Snapshot, Value, names};
use crate::ui::{Column, Output, Page, Table, text};
use clap::Args;
use serde::Serialize;

/// Show all metrics, or every series of some
#[derive(Debug, Default, Args)]
pub struct Show {
    /// A name, or a word such as response_time, calls, memory, restarts, queue, sessions, runs, store
    #[arg(long, short, value_name = "METRIC", value_delimiter = ',')]
    metric: Vec<String>,
    /// Only series of this server
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// Every series, as with --metric
    #[arg(long, conflicts_with = "metric")]
    all: bool,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Some(snapshot) = super::snapshot(ctx)? else {
            return ctx.ui.show(&Shown { at: None, metrics: Vec::new(), each: false });
        };
        let each = self.all || self.server.is_some() || !self.metric.is_empty();
        let mut families: Vec<Family> = Vec::new();
        for word in &self.metric {
            families.extend(names::select(&snapshot, word)?.into_iter().cloned());
        }
        let Snapshot { at, families: every } = snapshot;
        if self.metric.is_empty() {
            families = every;
        }
        if let Some(server) = &self.server {
            let of = |family: &mut Family| {
                family.samples.retain(|sample| sample.labels.get("server") == Some(server));
                !family.samples.is_empty()
            };
            families.retain_mut(of);
        }
        let metrics = families.into_iter().map(Metric::from).collect();
        ctx.ui.show(&Shown { at: Some(at.rfc3339()), metrics, each })
    }
}

/// A family with its total; histograms with what can be read off them.
#[derive(Serialize)]
struct Metric {
    #[serde(flatten)]
    family: Family,
    total: Total,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Total {
    Number(f64),
    Spread(Spread),
}

#[derive(Serialize)]
struct Spread {
    count: u64,
    mean: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

impl From<&Distribution> for Spread {
    fn from(all: &Distribution) -> Self {
        Self {
            count: all.count,
            mean: (all.count > 0).then(|| all.sum / all.count as f64),
            p50: all.quantile(0.5),
            p95: all.quantile(0.95),
            p99: all.quantile(0.99),
        }
    }
}

impl From<Family> for Metric {
    fn from(family: Family) -> Self {
        let total = match family.total() {
            Value::Number { value } => Total::Number(value),
            Value::Distribution(all) => Total::Spread(Spread::from(&all)),
        };
        Self { family, total }
    }
}

#[derive(Serialize)]
struct Shown {
    /// `None` when no daemon runs.
    at: Option<String>,
    metrics: Vec<Metric>,
    #[serde(skip)]
    each: bool,
}

impl Output for Shown {
    const KIND: &'static str = "metrics.show/1";

    fn human(&self, page: &mut Page) {
        if !self.each {
            let columns = [
                Column::new("metric"),
                Column::new("value").right(),
                Column::new("meaning").wraps().optional(1),
            ];
            let mut table = Table::new("nothing is measured", columns);
            for metric in self.metrics.iter().filter(|metric| !metric.family.samples.is_empty()) {
                let Family { name, help, .. } = &metric.family;
                table.row([name.clone(), metric.total.words(name), help.clone()]);
            }
            page.table(table);
            return;
        }
        for metric in &self.metrics {
            let Family { name, help, samples, .. } = &metric.family;
            page.heading(format!("{name}: {help}"));
            let columns = [Column::new("of"), Column::new("value").right()];
            let mut table = Table::new("nothing was counted yet", columns);
            for sample in samples {
                let labels = sample.labels.iter().map(|(key, value)| format!("{key}={value}"));
                let words = match &sample.value {
                    Value::Number { value } => figure(name, *value),
                    Value::Distribution(all) => Total::Spread(Spread::from(all)).words(name),
                };
                table.row([labels.collect::<Vec<_>>().join(" "), words]);
            }
            page.table(table);
            page.blank();
        }
        if self.metrics.is_empty() {
            page.text("nothing is measured");
        }
    }

    fn ids(&self) -> Vec<String> {
        self.metrics.iter().map(|metric| metric.family.name.clone()).collect()
    }
}

impl Total {
    fn words(&self, name: &str) -> String {
        match self {
            Self::Number(value) => figure(name, *value),
            Self::Spread(Spread { count: 0, .. }) => "none yet".into(),
            Self::Spread(Spread { count, p50, p95, p99, .. }) => {
                let time = |time: &Option<f64>| time.map_or_else(String::new, seconds);
                let count = text::number(*count);
                format!("{count}; p50 {}, p95 {}, p99 {}", time(p50), time(p95), time(p99))
            }
        }
    }
}

/// A number as its name says it: bytes, seconds, or a count.
fn figure(name: &str, value: f64) -> String {
    // Counts and sizes are whole and far below 2^53.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is shown only"
    )]
    let whole = value.max(0.0).round() as u64;
    match name {
        "process_start_time_seconds" => crate::clock::Timestamp::from_millis(whole * 1000).rfc3339(),
        _ if name.contains("bytes") => text::bytes(whole),
        _ if name.contains("seconds") => seconds(value),
        _ => text::number(whole),
    }
}

/// A time in the unit it is read best in.
pub fn seconds(time: f64) -> String {
    match time {
        time if time < 0.001 => format!("{:.0} µs", time * 1e6),
        time if time < 1.0 => format!("{:.1} ms", time * 1e3),
        time => format!("{time:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_of_their_name() {
        for (name, value, expected) in [
            ("umcp_calls_total", 1234.0, "1,234"),
            ("process_resident_memory_bytes", 2048.0, "2.0 KiB"),
            ("process_cpu_seconds_total", 0.25, "250.0 ms"),
            ("process_start_time_seconds", 1_763_717_400.0, "2025-11-21T09:30:00.000Z"),
            ("umcp_call_duration_seconds", 0.000_15, "150 µs"),
        ] {
            assert_eq!(figure(name, value), expected);
        }
    }
}
