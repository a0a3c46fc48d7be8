//! `umcp tool list`: every known tool, from the stored catalogues. Only servers never asked before are started.

use super::super::context::Context;
use super::super::known::{Known, KnownTool, is_one_of};
use crate::error::Result;
use crate::servers::Server;
use crate::ui::{Cell, Column, Output, Page, State, Table};
use clap::Args;
use serde::Serialize;

/// List the tools of all servers
#[derive(Debug, Default, Args)]
pub struct List {
    /// Only tools of this server
    #[arg(value_name = "SERVER", conflicts_with = "server")]
    name: Option<String>,
    /// Only tools of this server
    #[arg(long, short, value_name = "SERVER")]
    server: Option<String>,
    /// Only tools of servers with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only tools that are hidden from clients
    #[arg(long)]
    disabled: bool,
}

#[derive(Serialize)]
struct Item {
    /// `server.tool`, as it is called.
    name: String,
    server: String,
    tool: String,
    title: Option<String>,
    description: Option<String>,
    arguments: Vec<String>,
    required: Vec<String>,
    enabled: bool,
    alias: Option<String>,
    tokens: u64,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Items(Vec<Item>);

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let names: Vec<String> = self.server.or(self.name).into_iter().collect();
        let tagged = |server: &Server| self.tag.as_ref().is_none_or(|tag| server.tags.contains(tag));
        let known = Known::ask(ctx, &|server| is_one_of(server, &names) && tagged(server))?;
        let server = names.first().map(|name| known.server(name)).transpose()?;
        let wanted = |it: &KnownTool<'_>| {
            server.is_none_or(|server| it.server.id == server.id)
                && tagged(it.server)
                && !(self.disabled && it.enabled())
        };
        let items = known.tools().filter(wanted).map(Item::from).collect();
        ctx.ui.show(&Items(items))
    }
}

impl From<KnownTool<'_>> for Item {
    fn from(known: KnownTool<'_>) -> Self {
        let facts = known.tool.facts();
        let owned = |names: Vec<&str>| names.into_iter().map(String::from).collect();
        Self {
            name: known.path(),
            server: known.server.name.clone(),
            tool: known.tool.name.clone(),
            arguments: owned(facts.arguments()),
            required: owned(facts.required()),
            enabled: known.enabled(),
            alias: known.preference.and_then(|preference| preference.alias.clone()),
            tokens: known.tool.tokens(),
            title: facts.title,
            description: facts.description,
        }
    }
}

impl Output for Items {
    const KIND: &'static str = "tool.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("tool"),
            Column::new("state").optional(2),
            Column::new("what it does").wraps().optional(1),
        ];
        let mut table = Table::new("no tools are known; add a server: umcp server add builtin:time", columns);
        for item in &self.0 {
            let state = if item.enabled {
                Cell::state(State::Ok, "shown")
            } else {
                Cell::state(State::Off, "hidden")
            };
            let about = item.description.as_deref().or(item.title.as_deref()).unwrap_or_default();
            table.row([Cell::from(&item.name), state, first_sentence(about).into()]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|item| item.name.clone()).collect()
    }
}

/// The first sentence of a description, or its first line.
pub fn first_sentence(text: &str) -> &str {
    let line = text.trim().lines().next().unwrap_or_default();
    let end = line.find(". ").map_or(line.len(), |at| at + 1);
    line[..end].trim_end_matches('.')
}
