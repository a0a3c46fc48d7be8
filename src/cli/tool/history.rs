//! `umcp tool history`: the records of past calls. `events` shows the same lines.

use super::super::context::Context;
use super::super::server::test::time;
use crate::clock::Timestamp;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::servers::formats::own::parse_time;
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use crate::usage::{self, Class, Entry};
use clap::Args;
use serde::Serialize;

/// Show past calls
#[derive(Debug, Args)]
pub struct History {
    /// Only calls of this tool (SERVER.TOOL) or of all tools of a server (SERVER)
    #[arg(value_name = "TOOL")]
    tool: Option<String>,
    /// Only calls that failed
    #[arg(long)]
    failed: bool,
    /// Only calls of the last so much time, such as 2h
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<u64>,
    /// Show at most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

impl History {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (server, tool) = match self.tool.as_deref().map(|word| word.split_once('.').unwrap_or((word, "")))
        {
            Some((server, "")) => (Some(server.to_string()), None),
            Some((server, tool)) => (Some(server.to_string()), Some(tool.to_string())),
            None => (None, None),
        };
        let now = ctx.clock.now();
        let since = self.since.map(|time| Timestamp::from_millis(now.millis().saturating_sub(time)));
        let request = usage::Request::History { server, tool, failed: self.failed, since, limit: self.limit };
        let calls = calls(ctx, request)?;
        ctx.ui.show(&Calls { now, calls: calls.into_iter().map(Past::from).collect() })
    }
}

pub fn calls(ctx: &Context, request: usage::Request) -> Result<Vec<Entry>> {
    match ctx.call(request)? {
        Reply::Usage(usage::Reply::History(calls)) => Ok(calls),
        other => engine::unexpected(&other),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Calls {
    calls: Vec<Past>,
    #[serde(skip)]
    now: Timestamp,
}

/// A past call with its time in words.
#[derive(Serialize)]
struct Past {
    at: String,
    tokens: u64,
    #[serde(flatten)]
    call: usage::Call,
    #[serde(skip)]
    time: Timestamp,
}

impl From<Entry> for Past {
    fn from(entry: Entry) -> Self {
        Self { at: entry.at.rfc3339(), time: entry.at, tokens: entry.call.tokens(), call: entry.call }
    }
}

impl Output for Calls {
    const KIND: &'static str = "tool.history/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("when"),
            Column::new("client").optional(2),
            Column::new("tool"),
            Column::new("result"),
            Column::new("time").right().optional(1),
            Column::new("tokens").right().optional(3),
        ];
        let mut table = Table::new("no calls yet", columns);
        for past in &self.calls {
            let call = &past.call;
            let result = call.outcome();
            let state = if call.class == Class::Ok { State::Ok } else { State::Fail };
            table.row([
                Cell::from(text::ago(self.now, past.time)),
                (&call.client).into(),
                call.path().into(),
                Cell::state(state, &result),
                time(call.duration_us).into(),
                text::number(past.tokens).into(),
            ]);
        }
        page.table(table);
    }
}
