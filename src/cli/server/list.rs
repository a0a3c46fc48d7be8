//! `umcp server list`: every entry, with its state when a daemon runs.

use super::super::context::Context;
use super::super::known::Known;
use super::run::{self, state_cell};
use crate::engine::live::{ServerStatus, State as Running};
use crate::error::Result;
use crate::servers::view::safe_target;
use crate::ui::{Cell, Column, Output, Page, State, Table};
use clap::Args;
use serde::Serialize;

/// List servers with their state
#[derive(Debug, Default, Args)]
pub struct List {
    /// Only servers with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only servers in this state, such as ready, idle or disabled
    #[arg(long, value_name = "STATE")]
    status: Option<String>,
}

#[derive(Serialize)]
struct Item {
    name: String,
    id: String,
    enabled: bool,
    /// `None` when no daemon runs.
    state: Option<Running>,
    transport: &'static str,
    target: String,
    /// `None` when the server was never asked.
    tools: Option<u64>,
    tags: Vec<String>,
    last_error: Option<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Items(Vec<Item>);

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let running = run::statuses_if_running(ctx)?;
        let known = Known::read(ctx)?;
        if running.is_none() && !known.servers.is_empty() {
            ctx.ui.note("no daemon is running; servers start when a client or a call needs them");
        }
        let status = |id: &str| running.iter().flatten().find(|status: &&ServerStatus| status.id == id);
        let items = known.servers.iter().map(|server| {
            let status = status(&server.id);
            Item {
                name: server.name.clone(),
                id: server.id.clone(),
                enabled: server.enabled,
                state: status.map(|status| status.state),
                transport: server.transport.word(),
                target: safe_target(&server.transport.target()),
                tools: known.catalogue(server).map(|catalogue| catalogue.tools.len() as u64),
                tags: server.tags.clone(),
                last_error: status.and_then(|status| status.last_error.clone()),
            }
        });
        let wanted = |item: &Item| {
            self.tag.as_ref().is_none_or(|tag| item.tags.contains(tag))
                && self
                    .status
                    .as_ref()
                    .is_none_or(|status| item.word().replace(' ', "-") == status.replace(' ', "-"))
        };
        ctx.ui.show(&Items(items.filter(wanted).collect()))
    }
}

impl Item {
    fn word(&self) -> &'static str {
        match self.state {
            Some(state) => state.word(),
            None if self.enabled => "enabled",
            None => "disabled",
        }
    }
}

impl Output for Items {
    const KIND: &'static str = "server.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("name"),
            Column::new("state"),
            Column::new("transport").optional(3),
            Column::new("tools").right().optional(2),
            Column::new("target").wraps().optional(1),
        ];
        let mut table = Table::new("no servers yet; add one: umcp server add builtin:time", columns);
        for item in &self.0 {
            let state = match item.state {
                Some(state) => state_cell(state),
                None => Cell::state(if item.enabled { State::Ok } else { State::Off }, item.word()),
            };
            let tools = item.tools.map_or("?".to_string(), |count| count.to_string());
            table.row([
                Cell::from(&item.name),
                state,
                item.transport.into(),
                tools.into(),
                (&item.target).into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|item| item.name.clone()).collect()
    }
}
