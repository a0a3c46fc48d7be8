//! `umcp client sessions`: who is connected to the endpoint now.

use crate::cli::context::{self, Context};
use crate::clock::Timestamp;
use crate::engine::live::{Live, LiveReply, Session};
use crate::error::Result;
use crate::ui::{Column, Output, Page, Table, text};
use clap::Args;
use serde::Serialize;

/// List the clients that are connected now
#[derive(Debug, Args)]
pub struct Sessions {}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown {
    sessions: Vec<Session>,
    #[serde(skip)]
    now: Timestamp,
}

impl Sessions {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let sessions = match ctx.live_if_running(Live::Sessions)? {
            Some(LiveReply::Sessions(sessions)) => sessions,
            Some(other) => return context::unexpected(&other),
            None => Vec::new(),
        };
        ctx.ui.show(&Shown { sessions, now: ctx.clock.now() })
    }
}

impl Output for Shown {
    const KIND: &'static str = "client.sessions/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("client"),
            Column::new("version").optional(2),
            Column::new("profile").optional(1),
            Column::new("since"),
            Column::new("calls").right(),
            Column::new("running").right(),
        ];
        let mut table = Table::new("no client is connected", columns);
        for session in &self.sessions {
            table.row([
                session.client.clone(),
                session.version.clone().unwrap_or_default(),
                session.profile.clone(),
                text::ago(self.now, session.since),
                text::number(session.calls),
                text::number(session.in_flight),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.sessions.iter().map(|session| session.id.to_string()).collect()
    }
}
