//! What is measured as names with values, for expressions: how things stand now, and what was counted within a window.
//! Rule: every name has a value, also where nothing happened yet.

use super::{Distribution, Snapshot, Value};
use crate::clock::Timestamp;
use serde_json::{Map, json};
use std::collections::BTreeMap;

/// Servers told apart.
const SERVERS: usize = 100;

/// The part of a snapshot that windows are reckoned from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    pub at: Timestamp,
    all: Counts,
    servers: BTreeMap<String, Server>,
    restarts: f64,
    waiting: f64,
    sessions: f64,
    approvals: f64,
    runs_active: f64,
    runs_failed: f64,
    schedule_runs_failed: f64,
    store_queue: f64,
    store_dropped: f64,
    memory: f64,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Counts {
    calls: f64,
    failed: f64,
    refused: f64,
    latency: Distribution,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Server {
    counts: Counts,
    /// It has an entry; else it is umcp itself, or gone.
    known: bool,
    up: bool,
    failing: bool,
    breaker_open: bool,
    in_flight: f64,
    waiting: f64,
    restarts: f64,
}

impl Facts {
    /// Of a moment before anything was counted.
    pub fn nothing(at: Timestamp) -> Self {
        Self { at, ..Self::default() }
    }

    pub fn of(snapshot: &Snapshot) -> Self {
        let mut facts = Self { at: snapshot.at, ..Self::default() };
        for family in &snapshot.families {
            for sample in &family.samples {
                let label = |key: &str| sample.labels.get(key).map_or("", String::as_str);
                match &sample.value {
                    Value::Number { value } => facts.take(&family.name, &label, *value),
                    Value::Distribution(spread) if family.name == "umcp_call_duration_seconds" => {
                        facts.all.latency.add(spread);
                        facts.server(label("server")).counts.latency = spread.clone();
                    }
                    Value::Distribution(_) => {}
                }
            }
        }
        while facts.servers.len() > SERVERS {
            facts.servers.pop_last();
        }
        facts
    }

    fn server(&mut self, name: &str) -> &mut Server {
        self.servers.entry(name.into()).or_default()
    }

    fn take<'a>(&mut self, name: &str, label: &dyn Fn(&str) -> &'a str, value: f64) {
        let is = value > 0.0;
        match name {
            "umcp_calls_total" => {
                let result = label("result");
                self.all.count(result, value);
                self.server(label("server")).counts.count(result, value);
            }
            "umcp_server_up" => {
                let server = self.server(label("server"));
                (server.known, server.up) = (true, is);
            }
            "umcp_server_failing" => self.server(label("server")).failing = is,
            "umcp_server_breaker_open" => self.server(label("server")).breaker_open = is,
            "umcp_server_calls_in_flight" => self.server(label("server")).in_flight = value,
            "umcp_server_calls_waiting" => {
                self.waiting += value;
                self.server(label("server")).waiting = value;
            }
            "umcp_server_restarts_total" => {
                self.restarts += value;
                self.server(label("server")).restarts = value;
            }
            "umcp_sessions" => self.sessions += value,
            "umcp_approvals_waiting" => self.approvals = value,
            "umcp_runs_active" => self.runs_active = value,
            "umcp_runs_total" if label("status") == "failed" => self.runs_failed += value,
            "umcp_schedule_runs_total" if matches!(label("status"), "failed" | "interrupted" | "missed") => {
                self.schedule_runs_failed += value;
            }
            "umcp_store_queue" => self.store_queue = value,
            "umcp_store_dropped_total" => self.store_dropped = value,
            "process_resident_memory_bytes" => self.memory = value,
            _ => {}
        }
    }

    /// Names with values, counted since `before`.
    pub fn names(&self, before: &Self) -> Map<String, serde_json::Value> {
        let minutes = (self.at.0.saturating_sub(before.at.0) as f64 / 60e6).max(1.0 / 60.0);
        let mut names = self.all.names(&before.all);
        let per_minute = (self.all.calls - before.all.calls).max(0.0) / minutes;
        names.insert("calls_per_minute".into(), round(per_minute));
        let quiet = Server::default();
        let servers: Map<_, _> = self
            .servers
            .iter()
            .map(|(name, server)| {
                (name.clone(), server.names(before.servers.get(name).unwrap_or(&quiet)).into())
            })
            .collect();
        let count = |is: fn(&Server) -> bool| {
            self.servers.values().filter(|server| server.known && is(server)).count()
        };
        let since = |now: f64, before: f64| round((now - before).max(0.0));
        let more = json!({
            "servers": servers,
            "servers_down": count(|server| !server.up),
            "servers_failing": count(|server| server.failing),
            "restarts": since(self.restarts, before.restarts),
            "waiting": round(self.waiting),
            "sessions": round(self.sessions),
            "approvals_waiting": round(self.approvals),
            "runs_active": round(self.runs_active),
            "runs_failed": since(self.runs_failed, before.runs_failed),
            "schedule_runs_failed": since(self.schedule_runs_failed, before.schedule_runs_failed),
            "store_queue": round(self.store_queue),
            "store_dropped": since(self.store_dropped, before.store_dropped),
            "memory_mb": round(self.memory / 1_048_576.0),
        });
        if let serde_json::Value::Object(more) = more {
            names.extend(more);
        }
        names
    }
}

impl Counts {
    fn count(&mut self, result: &str, value: f64) {
        match result {
            "refused" => {
                self.refused += value;
                return;
            }
            "ok" | "cancelled" => {}
            _ => self.failed += value,
        }
        self.calls += value;
    }

    fn names(&self, before: &Self) -> Map<String, serde_json::Value> {
        let since = |now: f64, before: f64| (now - before).max(0.0);
        let (calls, failed) = (since(self.calls, before.calls), since(self.failed, before.failed));
        let spread = self.latency.since(&before.latency);
        let ms = |seconds: Option<f64>| round(seconds.unwrap_or(0.0) * 1000.0);
        let mean = (spread.count > 0).then(|| spread.sum / spread.count as f64);
        [
            ("calls", round(calls)),
            ("failed", round(failed)),
            ("refused", round(since(self.refused, before.refused))),
            ("error_rate", round(if calls > 0.0 { failed / calls } else { 0.0 })),
            ("mean_ms", ms(mean)),
            ("p50_ms", ms(spread.quantile(0.5))),
            ("p95_ms", ms(spread.quantile(0.95))),
            ("p99_ms", ms(spread.quantile(0.99))),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect()
    }
}

impl Server {
    fn names(&self, before: &Self) -> Map<String, serde_json::Value> {
        let mut names = self.counts.names(&before.counts);
        let more = [
            ("up", self.up.into()),
            ("failing", self.failing.into()),
            ("breaker_open", self.breaker_open.into()),
            ("in_flight", round(self.in_flight)),
            ("waiting", round(self.waiting)),
            ("restarts", round((self.restarts - before.restarts).max(0.0))),
        ];
        names.extend(more.map(|(name, value)| (name.to_string(), value)));
        names
    }
}

impl Distribution {
    /// What came after another one of the same series.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let was = |place: usize| before.buckets.get(place).map_or(0, |(_, count)| *count);
        let bucket =
            |(place, (bound, count)): (usize, &(f64, u64))| (*bound, count.saturating_sub(was(place)));
        Self {
            count: self.count.saturating_sub(before.count),
            sum: (self.sum - before.sum).max(0.0),
            buckets: self.buckets.iter().enumerate().map(bucket).collect(),
        }
    }
}

/// A number to four digits behind the point; whole ones as such.
fn round(value: f64) -> serde_json::Value {
    let rounded = (value * 10_000.0).round() / 10_000.0;
    if rounded.fract() == 0.0 && rounded.abs() < 9e15 {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within what an i64 holds")]
        let whole = rounded as i64;
        return whole.into();
    }
    json!(rounded)
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::meters::{Ended, Meters};
    use super::*;

    fn facts(meters: &Meters, at: u64, up: f64) -> Facts {
        let mut all = Snapshot { at: Timestamp(at), families: Vec::new() };
        meters.calls(&mut all);
        all.family("umcp_server_up", Kind::Gauge, "").put(&[("server", "git")], up);
        all.family("umcp_runs_total", Kind::Counter, "").put(&[("status", "failed")], at as f64 / 1e6);
        Facts::of(&all)
    }

    #[test]
    fn a_window_counts_what_came_within_it() {
        let meters = Meters::default();
        let call = |result, duration_us| {
            meters.called(&Ended {
                server: "git",
                tool: "log",
                client: "c",
                result,
                duration_us,
                request_bytes: 1,
                result_bytes: 1,
                cached: false,
            });
        };
        (0..10).for_each(|_| call("ok", 150));
        let before = facts(&meters, 60_000_000, 1.0);
        (0..3).for_each(|_| call("ok", 150_000));
        call("timed out", 150_000);
        call("refused", 0);
        let now = facts(&meters, 180_000_000, 0.0);
        let names = now.names(&before);
        let of = |name: &str| names[name].clone();
        assert_eq!((of("calls"), of("failed"), of("refused")), (json!(4), json!(1), json!(1)));
        assert_eq!((of("error_rate"), of("calls_per_minute")), (json!(0.25), json!(2)));
        assert!(of("p50_ms").as_f64().unwrap() > 100.0, "{}", of("p50_ms"));
        assert_eq!((of("servers_down"), of("runs_failed")), (json!(1), json!(120)));
        let git = &names["servers"]["git"];
        assert_eq!((&git["up"], &git["error_rate"]), (&json!(false), &json!(0.25)));
        // From the start on.
        assert_eq!(now.names(&Facts::default())["calls"], 14);
        assert_eq!(Facts::default().names(&now)["p95_ms"], 0);
    }
}
