//! Figures over rows of the history: how often it went well, how long it took, what went wrong. Pure.

use super::model::{Cause, Firing, Status};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stats {
    pub runs: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Instants that nothing was run for, by why.
    pub not_run: BTreeMap<&'static str, u64>,
    /// Of the runs that completed or failed.
    pub success_percent: Option<f64>,
    pub average_ms: Option<u64>,
    pub median_ms: Option<u64>,
    pub p95_ms: Option<u64>,
    pub longest_ms: Option<u64>,
    /// Between the due instant and the beginning, of runs that were on time or late.
    pub median_delay_ms: Option<u64>,
    pub retried: u64,
    pub caught_up: u64,
    /// The most frequent reasons of failures.
    pub failures: Vec<Reason>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    pub code: String,
    pub message: String,
    pub count: u64,
}

/// Counts rows.
pub fn stats<'a>(rows: impl IntoIterator<Item = &'a Firing>) -> Stats {
    let mut stats = Stats::default();
    let (mut took, mut delays) = (Vec::new(), Vec::new());
    let mut reasons: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in rows {
        match row.status {
            Status::Completed => stats.completed += 1,
            Status::Failed | Status::Interrupted => stats.failed += 1,
            Status::Cancelled => stats.cancelled += 1,
            Status::Running | Status::Queued => {}
            other => *stats.not_run.entry(other.word()).or_default() += row.count,
        }
        stats.runs += u64::from(row.status.ran() || row.status == Status::Running);
        stats.retried += u64::from(row.attempts > 1);
        stats.caught_up += u64::from(row.cause == Cause::CaughtUp && row.began.is_some());
        took.extend(row.took_ms());
        if let (Some(began), Cause::OnTime | Cause::Late) = (row.began, row.cause) {
            delays.push(began.since_ms(row.due));
        }
        if let (Some(failure), true) = (&row.failure, row.went_wrong()) {
            let first = failure.message.lines().next().unwrap_or_default();
            *reasons.entry((failure.code.clone(), first.chars().take(120).collect())).or_default() += 1;
        }
    }
    let judged = stats.completed + stats.failed;
    stats.success_percent =
        (judged > 0).then(|| (1000.0 * stats.completed as f64 / judged as f64).round() / 10.0);
    took.sort_unstable();
    delays.sort_unstable();
    stats.average_ms = (!took.is_empty()).then(|| took.iter().sum::<u64>() / took.len() as u64);
    (stats.median_ms, stats.p95_ms) = (quantile(&took, 50), quantile(&took, 95));
    stats.longest_ms = took.last().copied();
    stats.median_delay_ms = quantile(&delays, 50);
    let reason = |((code, message), count)| Reason { code, message, count };
    stats.failures = reasons.into_iter().map(reason).collect();
    stats.failures.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    stats.failures.truncate(5);
    stats
}

/// The value that so many of a hundred do not exceed.
fn quantile(sorted: &[u64], percent: usize) -> Option<u64> {
    sorted.get((sorted.len() * percent).div_ceil(100).max(1) - 1).copied()
}
