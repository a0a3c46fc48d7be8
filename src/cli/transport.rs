//! `umcp transport`: the same servers as `umcp server`, seen from the wire.

use super::context::Context;
use super::known::all_servers;
use super::server::run::{state_cell, statuses_if_running};
use super::server::test::Test;
use crate::engine::live::ServerStatus;
use crate::error::Result;
use crate::ui::{Cell, Column, Row, Rows, text};
use clap::{Args, Subcommand};
use serde::Serialize;

#[derive(Debug, Args)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the transports and how many servers use each
    #[command(alias = "ls")]
    List,
    /// Show era, revision and connection of each server
    Status,
    /// Connect to a server anew and time each step
    Test(Test),
    /// Show calls, failures and noise of each connection
    Metrics,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => {
                let servers = all_servers(ctx)?;
                let count =
                    |word: &str| servers.iter().filter(|server| server.transport.word() == word).count();
                let kind = |&(name, about): &(&'static str, &'static str)| Kind {
                    name,
                    about,
                    servers: count(name),
                };
                ctx.ui.show(&Rows(KINDS.iter().map(kind).collect()))
            }
            Verb::Status => ctx.ui.show(&Rows(statuses(ctx)?.into_iter().map(Connection).collect())),
            Verb::Test(test) => test.run(ctx),
            Verb::Metrics => ctx.ui.show(&Rows(statuses(ctx)?.into_iter().map(Metric::from).collect())),
        }
    }
}

fn statuses(ctx: &Context) -> Result<Vec<ServerStatus>> {
    let statuses = statuses_if_running(ctx)?;
    if statuses.is_none() {
        ctx.ui.note("no daemon is running, so nothing is connected");
    }
    Ok(statuses.unwrap_or_default())
}

/// Every transport by the word of [`Transport::word`].
const KINDS: [(&str, &str); 6] = [
    ("stdio", "a process that speaks on stdin and stdout"),
    ("http", "streamable HTTP, and HTTP with events where the server is older"),
    ("sse", "HTTP with events, the transport of 2024-11-05"),
    ("websocket", "ws:// and wss://"),
    ("socket", "a Unix socket or a named pipe"),
    ("builtin", "inside umcp"),
];

#[derive(Serialize)]
struct Kind {
    name: &'static str,
    about: &'static str,
    servers: usize,
}

impl Row for Kind {
    const KIND: &'static str = "transport.list/1";
    const EMPTY: &'static str = "";

    fn columns() -> Vec<Column> {
        vec![Column::new("transport"), Column::new("servers").right(), Column::new("what it is").wraps()]
    }

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::from(self.name), self.servers.to_string().into(), self.about.into()]
    }

    fn id(&self) -> String {
        self.name.into()
    }
}

/// A server as its connection is told.
#[derive(Serialize)]
#[serde(transparent)]
struct Connection(ServerStatus);

impl Row for Connection {
    const KIND: &'static str = "transport.status/1";
    const EMPTY: &'static str = "nothing is connected";

    fn columns() -> Vec<Column> {
        vec![
            Column::new("server"),
            Column::new("transport"),
            Column::new("state"),
            Column::new("revision"),
            Column::new("since").optional(1),
        ]
    }

    fn cells(&self) -> Vec<Cell> {
        let status = &self.0;
        vec![
            Cell::from(&status.name),
            (&status.transport).into(),
            state_cell(status.state),
            status.revision.as_deref().unwrap_or("-").into(),
            status.since.map_or("-".into(), |since| since.rfc3339()).into(),
        ]
    }

    fn id(&self) -> String {
        self.0.name.clone()
    }
}

#[derive(Serialize)]
struct Metric {
    server: String,
    transport: String,
    calls: u64,
    failures: u64,
    in_flight: u64,
    waiting: u64,
    restarts: u64,
    /// Lines that were not protocol.
    noise: u64,
    /// Answers nobody waited for any more.
    late: u64,
}

impl From<ServerStatus> for Metric {
    fn from(status: ServerStatus) -> Self {
        Self {
            server: status.name,
            transport: status.transport,
            calls: status.calls,
            failures: status.failures,
            in_flight: status.in_flight,
            waiting: status.waiting,
            restarts: status.restarts,
            noise: status.noise,
            late: status.late,
        }
    }
}

impl Row for Metric {
    const KIND: &'static str = "transport.metrics/1";
    const EMPTY: &'static str = "nothing is connected";

    fn columns() -> Vec<Column> {
        vec![
            Column::new("server"),
            Column::new("calls").right(),
            Column::new("failed").right(),
            Column::new("running").right(),
            Column::new("waiting").right().optional(1),
            Column::new("restarts").right().optional(2),
            Column::new("noise").right().optional(3),
            Column::new("late").right().optional(4),
        ]
    }

    fn cells(&self) -> Vec<Cell> {
        let Self { calls, failures, in_flight, waiting, restarts, noise, late, .. } = *self;
        let figures = [calls, failures, in_flight, waiting, restarts, noise, late];
        let cells = figures.iter().map(|figure| Cell::from(text::number(*figure)));
        std::iter::once(Cell::from(&self.server)).chain(cells).collect()
    }

    fn id(&self) -> String {
        self.server.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::model::Transport;

    #[test]
    fn every_transport_is_listed() {
        let urls = ["http://x", "ws://x", "unix:///x", "builtin:x"];
        for transport in urls.iter().map(|url| Transport::from_url(url).unwrap()) {
            assert!(KINDS.iter().any(|(word, _)| *word == transport.word()));
        }
    }
}
