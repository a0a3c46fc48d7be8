//! `umcp status`: one screen of what is there and what runs. Starts nothing.

use super::connection;
use super::context::Context;
use super::gateway;
use super::known::Known;
use super::schedule;
use super::server::run;
use super::tool::history::calls;
use crate::clock::Timestamp;
use crate::engine::live;
use crate::error::Result;
use crate::ui::{Output, Page, State, text};
use crate::usage::{self, Entry};
use clap::Args;
use serde::Serialize;

/// Show the daemon, its clients and servers on one screen
#[derive(Debug, Args)]
pub struct Status {}

#[derive(Serialize)]
struct Screen {
    /// `None` when no daemon runs.
    daemon: Option<Box<live::Status>>,
    servers: usize,
    enabled: usize,
    tools: usize,
    /// Enabled servers that were never asked what they offer.
    not_asked: Vec<String>,
    /// Accounts somebody should look after.
    accounts: Vec<String>,
    /// Schedules whose time nobody keeps, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedules: Option<String>,
    recent: Vec<Entry>,
    #[serde(skip)]
    now: Timestamp,
}

impl Status {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let daemon = gateway::status(ctx)?;
        let known = Known::read(ctx)?;
        let recent =
            usage::Request::History { server: None, tool: None, failed: false, since: None, limit: 5 };
        ctx.ui.show(&Screen {
            daemon,
            servers: known.servers.len(),
            enabled: known.servers.iter().filter(|server| server.enabled).count(),
            tools: known.tools().filter(|tool| tool.enabled()).count(),
            not_asked: known.never_listed().into_iter().map(String::from).collect(),
            accounts: connection::warnings(&connection::all(ctx)?, ctx.clock.now()),
            schedules: schedule::unattended(ctx, &schedule::items(ctx, None)?),
            recent: calls(ctx, recent)?,
            now: ctx.clock.now(),
        })
    }
}

impl Output for Screen {
    const KIND: &'static str = "status/1";

    fn human(&self, page: &mut Page) {
        match &self.daemon {
            Some(daemon) => {
                let sessions = text::plural(usize::try_from(daemon.sessions).unwrap_or(usize::MAX), "client");
                let since = text::ago(self.now, daemon.started);
                page.mark(
                    State::Ok,
                    format!("daemon {} started {since} (pid {}), {sessions}", daemon.version, daemon.pid),
                );
                for address in &daemon.http {
                    page.mark(State::Ok, format!("listening on {address}"));
                }
            }
            None => {
                page.mark(State::Off, "daemon not running; it starts when a client or a call needs it");
            }
        }
        let disabled = self.servers - self.enabled;
        let hidden = if disabled > 0 { format!(" ({disabled} disabled)") } else { String::new() };
        page.text(format!(
            "{}{hidden}, {}",
            text::plural(self.servers, "server"),
            text::plural(self.tools, "tool")
        ));
        if self.servers == 0 {
            page.text("add one: umcp server add builtin:time");
        }
        if !self.not_asked.is_empty() {
            page.mark(
                State::Warn,
                format!("not asked yet: {} (umcp tool refresh)", self.not_asked.join(", ")),
            );
        }
        for warning in self.accounts.iter().chain(&self.schedules) {
            page.mark(State::Warn, warning);
        }
        if let Some(daemon) = self.daemon.as_ref().filter(|daemon| !daemon.servers.is_empty()) {
            page.blank().table(run::table(&daemon.servers));
        }
        if !self.recent.is_empty() {
            page.blank().heading("last calls");
        }
        for entry in &self.recent {
            let call = &entry.call;
            let when = text::ago(self.now, entry.at);
            page.bullet(format!("{} by {}: {} ({when})", call.path(), call.client, call.outcome()));
        }
    }
}
