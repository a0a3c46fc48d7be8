//! The verbs about running servers: start, stop, restart, status.
//! `status` and `stop` never start a daemon: without one nothing runs.

use super::super::context::{self, Context};
use super::transfer;
use crate::engine::live::{Live, LiveReply, ServerStatus, State as Running};
use crate::error::{Error, Result, codes};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::Args;
use serde::Serialize;
use std::path::Path;

/// Start servers now, or all in a file
///
/// Without a name every enabled server is started. A path adds the servers of that file and starts them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp server start\n  umcp server start time git\n  umcp server start .mcp.json"
)]
pub struct Start {
    /// Names of servers, or one file of servers
    #[arg(value_name = "SERVER|FILE")]
    names: Vec<String>,
}

impl Start {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let mut names = self.names;
        if let [only] = names.as_slice()
            && is_file(only)
        {
            names = transfer::take_file(ctx, Path::new(only), false)?;
            if names.is_empty() {
                return Err(Error::new(
                    &codes::SERVER_NOT_FOUND,
                    "the file holds no server that could be started",
                ));
            }
        }
        show(ctx, Live::Start { names })
    }
}

/// Whether a word means a file rather than a name.
pub fn is_file(word: &str) -> bool {
    let extension = Path::new(word).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    word.contains(['/', '\\']) || ["json", "jsonc", "yaml", "yml", "toml"].contains(&extension)
}

/// Stop servers; each starts again at its next call
#[derive(Debug, Args)]
pub struct Stop {
    /// Names of servers; none means all
    #[arg(value_name = "SERVER")]
    names: Vec<String>,
}

impl Stop {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match ctx.live_if_running(Live::StopServers { names: self.names })? {
            Some(reply) => show_reply(ctx, &reply),
            None => {
                ctx.ui.note("no daemon is running, so no server is");
                ctx.ui.show(&Statuses(Vec::new()))
            }
        }
    }
}

/// Stop and start servers
#[derive(Debug, Args)]
pub struct Restart {
    /// Names of servers; none means all that are enabled
    #[arg(value_name = "SERVER")]
    names: Vec<String>,
}

impl Restart {
    pub fn run(self, ctx: &Context) -> Result<()> {
        show(ctx, Live::Restart { names: self.names })
    }
}

/// Show what runs: process, memory, calls, errors
#[derive(Debug, Args)]
pub struct Status {
    /// Only these servers
    #[arg(value_name = "SERVER")]
    names: Vec<String>,
}

impl Status {
    pub fn run(self, ctx: &Context) -> Result<()> {
        for name in &self.names {
            super::super::known::one_server(ctx, name)?;
        }
        let Some(mut statuses) = statuses_if_running(ctx)? else {
            ctx.ui.note("no daemon is running, so no server is");
            return ctx.ui.show(&Statuses(Vec::new()));
        };
        let wanted = |status: &ServerStatus| {
            self.names.is_empty() || self.names.contains(&status.name) || self.names.contains(&status.id)
        };
        statuses.retain(wanted);
        ctx.ui.show(&Statuses(statuses))
    }
}

/// The state of every server, or `None` when no daemon runs.
pub fn statuses_if_running(ctx: &Context) -> Result<Option<Vec<ServerStatus>>> {
    match ctx.live_if_running(Live::Status)? {
        Some(LiveReply::Status(status)) => Ok(Some(status.servers)),
        Some(other) => context::unexpected(&other),
        None => Ok(None),
    }
}

fn show(ctx: &Context, live: Live) -> Result<()> {
    show_reply(ctx, &ctx.live(live)?)
}

fn show_reply(ctx: &Context, reply: &LiveReply) -> Result<()> {
    let statuses = match reply {
        LiveReply::Servers(statuses) => Statuses(statuses.clone()),
        LiveReply::Done => Statuses(Vec::new()),
        other => return context::unexpected(other),
    };
    let failed = |status: &&ServerStatus| status.state.is_failing();
    let count = statuses.0.iter().filter(failed).count();
    if count == 0 {
        return ctx.ui.show(&statuses);
    }
    let code = if count == statuses.0.len() { &codes::UPSTREAM_START } else { &codes::PARTIAL };
    let mut error = Error::new(code, format!("{} did not start", text::plural(count, "server")));
    for status in statuses.0.iter().filter(failed) {
        error = error.hint(format!("umcp server logs {}", status.name));
    }
    ctx.ui.show_failed(&statuses, &error)?;
    Err(error)
}

#[derive(Serialize)]
#[serde(transparent)]
pub struct Statuses(pub Vec<ServerStatus>);

impl Output for Statuses {
    const KIND: &'static str = "server.status/1";

    fn human(&self, page: &mut Page) {
        page.table(table(&self.0));
        for status in &self.0 {
            if let Some(error) = &status.last_error {
                page.mark(State::Fail, format!("{}: {error}", status.name));
            }
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|status| status.name.clone()).collect()
    }
}

/// Running servers in figures.
pub fn table(statuses: &[ServerStatus]) -> Table {
    let columns = [
        Column::new("name"),
        Column::new("state"),
        Column::new("pid").right().optional(2),
        Column::new("memory").right().optional(3),
        Column::new("cpu").right().optional(4),
        Column::new("tools").right().optional(5),
        Column::new("calls").right().optional(1),
        Column::new("failed").right().optional(6),
        Column::new("running").right().optional(7),
        Column::new("restarts").right().optional(8),
        Column::new("breaker").optional(9),
    ];
    let mut table = Table::new("no server is running", columns);
    let figure = |value: Option<String>| Cell::from(value.unwrap_or_else(|| "-".into()));
    for status in statuses {
        table.row([
            Cell::from(&status.name),
            state_cell(status.state),
            figure(status.pid.map(|pid| pid.to_string())),
            figure(status.memory.map(text::bytes)),
            figure(status.cpu_ms.map(text::duration_ms)),
            figure(status.tools.map(text::number)),
            text::number(status.calls).into(),
            text::number(status.failures).into(),
            text::number(status.in_flight).into(),
            text::number(status.restarts).into(),
            status.breaker.word().into(),
        ]);
    }
    table
}

pub fn state_cell(state: Running) -> Cell {
    let mark = match state {
        Running::Ready => State::Ok,
        Running::Idle | Running::Disabled => State::Off,
        Running::Starting => State::Busy,
        Running::Waiting => State::Warn,
        Running::NeedsSignIn | Running::NeedsSecret => State::Warn,
        Running::CrashLoop => State::Fail,
    };
    Cell::state(mark, state.word())
}
