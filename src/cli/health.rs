//! `umcp health`: whether servers answer, and the breakers that keep a bad one from being asked.

use super::connection;
use super::context::{self, Context};
use super::known::all_servers;
use super::memory;
use super::server::run::statuses_if_running;
use super::server::test;
use crate::engine::live::{self, Live, LiveReply, ServerStatus};
use crate::error::{Error, Result, codes};
use crate::ui::{Cell, Column, Output, Page, Row, Rows, State, text};
use clap::{Args, Subcommand};
use serde::Serialize;

#[derive(Debug, Args)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Test every enabled server, or the ones named
    Check(Check),
    /// Show circuit breakers, or close them with --reset
    Breakers(Breakers),
    Connections(connection::Health),
    /// Look through the memories, their index and their vectors
    Memory,
}

#[derive(Debug, Default, Args)]
struct Check {
    #[arg(value_name = "SERVER")]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct Breakers {
    /// Only these servers
    #[arg(value_name = "SERVER")]
    names: Vec<String>,
    /// Close the breakers and forget crash loops
    #[arg(long)]
    reset: bool,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::Check(Check::default())) {
            Verb::Check(check) => check.run(ctx),
            Verb::Breakers(breakers) => breakers.run(ctx),
            Verb::Connections(connections) => connections.run(ctx),
            Verb::Memory => memory::health(ctx),
        }
    }
}

impl Check {
    fn run(self, ctx: &Context) -> Result<()> {
        let servers = all_servers(ctx)?;
        let names: Vec<String> = if self.names.is_empty() {
            servers.into_iter().filter(|server| server.enabled).map(|server| server.name).collect()
        } else {
            self.names
        };
        let mut checked = Vec::new();
        for name in names {
            let bar = ctx.ui.progress(&format!("testing {name}"));
            let report = test::report(ctx, &name);
            drop(bar);
            checked.push(Checked::new(name, report)?);
        }
        let failed = checked.iter().filter(|checked| !checked.ok).count();
        let all = AllChecked(checked);
        if failed == 0 {
            return ctx.ui.show(&all);
        }
        let message = format!("{} of {} failed", failed, text::plural(all.0.len(), "server"));
        let error = Error::new(&codes::DIFFERS, message).hint("umcp server test NAME shows each step");
        ctx.ui.show_failed(&all, &error)?;
        Err(error)
    }
}

#[derive(Serialize)]
struct Checked {
    server: String,
    ok: bool,
    duration_us: u64,
    tools: u64,
    warnings: usize,
    error: Option<Error>,
}

impl Checked {
    /// A server that fails is a finding; a name that is none, or a lost daemon, ends the check.
    fn new(server: String, report: Result<live::TestReport>) -> Result<Self> {
        match report {
            Ok(report) => Ok(Self {
                ok: report.ok,
                duration_us: report.phases.iter().map(|phase| phase.duration_us).sum(),
                tools: report.tools,
                warnings: report.warnings.len(),
                error: report.phases.into_iter().find_map(|phase| phase.error),
                server,
            }),
            Err(error) if error.code.code.starts_with("UM05") => {
                Ok(Self { server, ok: false, duration_us: 0, tools: 0, warnings: 0, error: Some(error) })
            }
            Err(error) => Err(error),
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct AllChecked(Vec<Checked>);

impl Output for AllChecked {
    const KIND: &'static str = "health.check/1";

    fn human(&self, page: &mut Page) {
        for checked in &self.0 {
            let tools = usize::try_from(checked.tools).unwrap_or(usize::MAX);
            match &checked.error {
                None if checked.ok => {
                    let words = format!(
                        "{}: {} in {}",
                        checked.server,
                        text::plural(tools, "tool"),
                        test::time(checked.duration_us)
                    );
                    let state = if checked.warnings == 0 { State::Ok } else { State::Warn };
                    page.mark(state, words)
                }
                None => page.mark(State::Fail, &checked.server),
                Some(error) => page.mark(State::Fail, format!("{}: {error}", checked.server)),
            };
        }
        if self.0.is_empty() {
            page.text("no server is enabled");
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().filter(|checked| !checked.ok).map(|checked| checked.server.clone()).collect()
    }
}

impl Breakers {
    fn run(self, ctx: &Context) -> Result<()> {
        if self.reset {
            match ctx.live_if_running(Live::ResetBreakers { names: self.names.clone() })? {
                Some(LiveReply::Done | LiveReply::Servers(_)) => {}
                Some(other) => return context::unexpected(&other),
                None => ctx.ui.note("no daemon is running, so every breaker is closed"),
            }
        }
        let statuses = statuses_if_running(ctx)?.unwrap_or_default().into_iter();
        let wanted = |status: &ServerStatus| self.names.is_empty() || self.names.contains(&status.name);
        ctx.ui.show(&Rows(statuses.filter(wanted).map(Breaker::from).collect()))
    }
}

#[derive(Serialize)]
struct Breaker {
    server: String,
    state: live::Breaker,
    failures: u64,
    retry_at: Option<String>,
    last_error: Option<String>,
}

impl From<ServerStatus> for Breaker {
    fn from(status: ServerStatus) -> Self {
        Self {
            server: status.name,
            state: status.breaker,
            failures: status.failures,
            retry_at: status.retry_at.map(|at| at.rfc3339()),
            last_error: status.last_error,
        }
    }
}

impl Row for Breaker {
    const KIND: &'static str = "health.breakers/1";
    const EMPTY: &'static str = "no server is running, so every breaker is closed";

    fn columns() -> Vec<Column> {
        vec![
            Column::new("server"),
            Column::new("breaker"),
            Column::new("failures").right(),
            Column::new("tried again").optional(1),
            Column::new("last error").wraps().optional(2),
        ]
    }

    fn cells(&self) -> Vec<Cell> {
        let state = match self.state {
            live::Breaker::Closed => State::Ok,
            live::Breaker::Open => State::Fail,
            live::Breaker::HalfOpen => State::Warn,
        };
        vec![
            Cell::from(&self.server),
            Cell::state(state, self.state.word()),
            text::number(self.failures).into(),
            self.retry_at.as_deref().unwrap_or("-").into(),
            self.last_error.as_deref().unwrap_or_default().into(),
        ]
    }

    fn id(&self) -> String {
        self.server.clone()
    }
}
