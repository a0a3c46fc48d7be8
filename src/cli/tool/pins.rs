//! `umcp tool pins`, `diff` and `accept`: which definitions changed since they were first seen or accepted, how, and
//! that this is fine.

use super::super::context::Context;
use super::super::known::{Known, KnownTool};
use crate::documents::diff::diff;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::servers::Server;
use crate::tools::{self, Held, Pins, Request, pins};
use crate::ui::{Cell, Column, Output, Page, State, Table};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;

/// Show which definitions changed since they were first seen or accepted
///
/// The tools of a server you approved (`umcp server approve`) are held back when they change or are added; those of
/// others are only watched, unless the setting `policy.hold_changed_tools` says more.
#[derive(Debug, Args)]
pub struct List {
    /// Only tools of these servers
    #[arg(value_name = "SERVER")]
    servers: Vec<String>,
    /// Only tools that changed
    #[arg(long)]
    changed: bool,
}

/// Show how the definition of a tool changed
#[derive(Debug, Args)]
pub struct Diff {
    #[arg(value_name = "TOOL")]
    name: String,
}

/// Accept the definitions tools have now
#[derive(Debug, Args)]
pub struct Accept {
    /// Tools as SERVER.TOOL, or patterns with `*`
    #[arg(value_name = "TOOL", required = true)]
    names: Vec<String>,
}

/// The pins of all servers by id.
pub fn read(ctx: &Context) -> Result<BTreeMap<String, Pins>> {
    match ctx.call(Request::Pins)? {
        Reply::Tool(tools::Reply::Pins(pins)) => Ok(pins),
        other => engine::unexpected(&other),
    }
}

fn held(pins: Option<&Pins>, server: &Server, tool: &KnownTool<'_>) -> Option<Held> {
    pins?.held(&tool.tool.name, &tool.tool.json, &server.fingerprint())
}

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (known, pins) = (Known::read(ctx)?, read(ctx)?);
        let ids = self.servers.iter().map(|name| known.server(name).map(|server| server.id.as_str()));
        let ids = ids.collect::<Result<Vec<_>>>()?;
        let pin = |tool: KnownTool<'_>| {
            let pins = pins.get(&tool.server.id);
            Pin {
                tool: tool.path(),
                approved: pins.is_some_and(|pins| pins.approved.is_some()),
                state: held(pins, tool.server, &tool),
            }
        };
        let wanted = |it: &KnownTool<'_>| ids.is_empty() || ids.contains(&it.server.id.as_str());
        let all = known.tools().filter(wanted).map(pin);
        let pins = all.filter(|pin| !self.changed || pin.state.is_some()).collect();
        ctx.ui.show(&All { pins, changed: self.changed })
    }
}

impl Diff {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (known, pins) = (Known::read(ctx)?, read(ctx)?);
        let tool = known.tool(&self.name)?;
        let pins = pins.get(&tool.server.id);
        let before = pins.and_then(|pins| pins.tools.get(&tool.tool.name));
        let before = before.map_or_else(String::new, |json| pins::readable(json));
        let text = diff(&tool.path(), &before, &pins::readable(&tool.tool.json));
        let state = held(pins, tool.server, &tool);
        ctx.ui.show(&Difference { tool: tool.path(), state, diff: text })
    }
}

impl Accept {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (known, pins) = (Known::read(ctx)?, read(ctx)?);
        let chosen = known.select(&self.names)?;
        for tool in &chosen {
            if held(pins.get(&tool.server.id), tool.server, tool) == Some(Held::Moved) {
                let message =
                    format!("the command or address of `{}` has changed, not the tool", tool.server.name);
                return Err(Error::new(&codes::TOOL_HELD, message)
                    .hint(format!("umcp server approve {}", tool.server.name)));
            }
            ctx.call(Request::Accept { server: tool.server.id.clone(), tool: tool.tool.name.clone() })?;
        }
        ctx.ui.show(&Accepted { tools: chosen.iter().map(KnownTool::path).collect() })
    }
}

#[derive(Serialize)]
struct Pin {
    tool: String,
    /// Whether its server was approved.
    approved: bool,
    /// `changed`, `new` or `moved`; nothing when it is what was pinned.
    state: Option<Held>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All {
    pins: Vec<Pin>,
    #[serde(skip)]
    changed: bool,
}

impl Output for All {
    const KIND: &'static str = "tool.pins/1";

    fn human(&self, page: &mut Page) {
        let empty = if self.changed { "no definition changed" } else { "no tools known yet" };
        let mut table =
            Table::new(empty, [Column::new("tool"), Column::new("definition"), Column::new("server")]);
        for pin in &self.pins {
            let state = match pin.state {
                Some(held) => Cell::state(if pin.approved { State::Fail } else { State::Warn }, held.word()),
                None => Cell::state(State::Ok, "same"),
            };
            table.row([
                Cell::from(&pin.tool),
                state,
                if pin.approved { "approved" } else { "watched" }.into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.pins.iter().map(|pin| pin.tool.clone()).collect()
    }
}

#[derive(Serialize)]
struct Difference {
    tool: String,
    state: Option<Held>,
    /// Unified; empty when nothing that a model sees has changed.
    diff: String,
}

impl Output for Difference {
    const KIND: &'static str = "tool.diff/1";

    fn human(&self, page: &mut Page) {
        match (self.diff.as_str(), self.state) {
            (_, Some(Held::Moved)) => {
                page.mark(State::Warn, "the command or address of its server has changed")
            }
            ("", _) => page.mark(State::Ok, format!("{} is what was pinned", self.tool)),
            (diff, _) => page.text(diff),
        };
        if self.state.is_some_and(|held| held != Held::Moved) {
            page.text(format!("accept it: umcp tool accept {}", self.tool));
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Accepted {
    tools: Vec<String>,
}

impl Output for Accepted {
    const KIND: &'static str = "tool.accepted/1";

    fn human(&self, page: &mut Page) {
        for tool in &self.tools {
            page.mark(State::Ok, format!("accepted {tool}"));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.tools.clone()
    }
}
