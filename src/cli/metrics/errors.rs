//! `umcp metrics errors`: failed calls grouped by their cause, from the records of calls. Needs no daemon.

use super::super::context::Context;
use super::super::logs::parse_stretch;
use crate::clock::Timestamp;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::ui::{Cell, Column, Row, Rows, text};
use crate::usage::query::Filter;
use crate::usage::sums::Dimension;
use crate::usage::{self, Class, Entry, Records};
use clap::Args;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Records that are asked for at once.
const PAGE: u32 = 2_000;
/// Names of tools and clients that a group shows.
const NAMED: usize = 20;

/// Group failed calls by their cause
///
/// A cause is the server, how the call ended, and the code `umcp explain` knows.
#[derive(Debug, Args)]
pub struct Errors {
    /// Of this stretch of time, such as 1h or 7d
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = parse_stretch)]
    since: u64,
    /// Only of this server
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
}

/// Failed calls with the same cause.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
struct Cause {
    server: String,
    result: &'static str,
    /// `umcp explain CODE` says more; empty where the tool itself said that it failed.
    code: String,
    calls: u64,
    tools: BTreeSet<String>,
    clients: BTreeSet<String>,
    first: String,
    last: String,
}

impl Errors {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let until = ctx.clock.now();
        let from = Timestamp(until.0.saturating_sub(self.since.saturating_mul(1000)));
        let filter =
            Filter { fits: self.server.map(|server| (Dimension::Server, server)).into_iter().collect() };
        let mut causes = Causes::default();
        let mut after = None;
        loop {
            let (filter, until) = (filter.clone(), Timestamp(until.0 + 1));
            let request = usage::Request::Records { from, until, after, filter, limit: PAGE };
            let Records { entries, next } = match ctx.call(request)? {
                Reply::Usage(usage::Reply::Records(records)) => records,
                other => return engine::unexpected(&other),
            };
            entries.iter().for_each(|entry| causes.add(entry));
            after = next;
            if after.is_none() {
                return ctx.ui.show(&Rows(causes.sorted()));
            }
        }
    }
}

/// Causes by server, result and code.
#[derive(Default)]
struct Causes(BTreeMap<(String, &'static str, String), Cause>);

impl Causes {
    fn add(&mut self, entry: &Entry) {
        let call = &entry.call;
        if call.class == Class::Ok {
            return;
        }
        let (result, code) = (call.class.word(), call.error.clone().unwrap_or_default());
        let cause = self.0.entry((call.server.clone(), result, code.clone())).or_default();
        let at = entry.at.rfc3339();
        if cause.calls == 0 {
            *cause =
                Cause { server: call.server.clone(), result, code, first: at.clone(), ..Cause::default() };
        }
        cause.calls += 1;
        cause.last = at;
        for (names, name) in [(&mut cause.tools, &call.tool), (&mut cause.clients, &call.client)] {
            if names.len() < NAMED {
                names.insert(name.clone());
            }
        }
    }

    /// The most frequent first.
    fn sorted(self) -> Vec<Cause> {
        let mut all: Vec<Cause> = self.0.into_values().collect();
        all.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| b.last.cmp(&a.last)));
        all
    }
}

impl Row for Cause {
    const KIND: &'static str = "metrics.errors/1";
    const EMPTY: &'static str = "no call failed in that time";

    fn columns() -> Vec<Column> {
        vec![
            Column::new("calls").right(),
            Column::new("server"),
            Column::new("result"),
            Column::new("code"),
            Column::new("tools").wraps(),
            Column::new("clients").wraps().optional(2),
            Column::new("first").optional(3),
            Column::new("last").optional(1),
        ]
    }

    fn cells(&self) -> Vec<Cell> {
        let list = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        vec![
            text::number(self.calls).into(),
            (&self.server).into(),
            self.result.into(),
            (&self.code).into(),
            list(&self.tools).into(),
            list(&self.clients).into(),
            (&self.first).into(),
            (&self.last).into(),
        ]
    }

    fn id(&self) -> String {
        format!("{} {}", self.server, if self.code.is_empty() { self.result } else { &self.code })
    }
}
