//! `umcp client list`: every client umcp knows, whether it is here, and whether it uses umcp.

use crate::cli::context::Context;
use crate::cli::machine::machine;
use crate::clients::CLIENTS;
use crate::error::Result;
use crate::setup::clientfiles::{self, ClientState, FileState};
use crate::ui::{Cell, Column, Output, Page, State, Table};
use clap::Args;
use serde::Serialize;

/// List the clients umcp knows, and which of them use it
#[derive(Debug, Default, Args)]
pub struct List {
    /// Only clients that are on this machine
    #[arg(long)]
    installed: bool,
}

#[derive(Serialize)]
struct Item {
    id: &'static str,
    name: &'static str,
    installed: bool,
    connected: bool,
    files: Vec<FileState>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Items(Vec<Item>);

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let machine = machine(ctx)?;
        let now = ctx.clock.now();
        let states = CLIENTS.iter().map(|client| clientfiles::look(client, &machine, now));
        let wanted = |state: &ClientState| state.installed || !self.installed;
        ctx.ui.show(&Items(states.filter(wanted).map(Item::from).collect()))
    }
}

impl From<ClientState> for Item {
    fn from(state: ClientState) -> Self {
        Self {
            id: state.client.id,
            name: state.client.name,
            installed: state.installed,
            connected: state.connected(),
            files: state.files.into_iter().filter(|file| file.exists).collect(),
        }
    }
}

impl Item {
    fn state(&self) -> Cell {
        match () {
            () if self.files.iter().any(|file| file.error.is_some()) => {
                Cell::state(State::Fail, "broken file")
            }
            () if self.connected => Cell::state(State::Ok, "uses umcp"),
            () if self.installed => Cell::state(State::Warn, "not connected"),
            () => Cell::state(State::Off, "not here"),
        }
    }
}

impl Output for Items {
    const KIND: &'static str = "client.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("client"),
            Column::new("name").optional(2),
            Column::new("state"),
            Column::new("beside umcp").right().optional(1),
            Column::new("files").wraps().optional(3),
        ];
        let mut table = Table::new("no client that umcp knows is on this machine", columns);
        for item in &self.0 {
            let beside: usize = item.files.iter().map(|file| file.beside.len()).sum();
            let files: Vec<String> = item.files.iter().map(|file| file.path.display().to_string()).collect();
            let beside = if beside == 0 { String::new() } else { beside.to_string() };
            table.row([
                item.id.into(),
                item.name.into(),
                item.state(),
                beside.into(),
                files.join(", ").into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|item| item.id.into()).collect()
    }
}
