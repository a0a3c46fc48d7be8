//! `umcp app list` and `umcp app search`.

use super::known::{self, Installed};
use crate::apps::file::{self, Loaded};
use crate::apps::shipped::SHIPPED;
use crate::cli::context::Context;
use crate::error::Result;
use crate::ui::{Cell, Column, Output, Page, State, Table};
use clap::Args;
use serde::Serialize;

/// An installed app in a list.
#[derive(Serialize)]
struct Row {
    name: String,
    /// `http`, `openapi`, `commands` or `server`.
    kind: &'static str,
    enabled: bool,
    /// `None` for an MCP server, which is asked by `umcp tool list`.
    tools: Option<usize>,
    integration: Option<String>,
    title: Option<String>,
    origin: Option<String>,
}

impl Row {
    fn new(installed: &Installed) -> Result<Self> {
        let app = installed.app.as_ref();
        Ok(Self {
            name: installed.name().into(),
            kind: installed.kind(),
            enabled: installed.server.enabled,
            tools: app.map(|app| app.definition().map(|definition| definition.tools.len())).transpose()?,
            integration: app.and_then(|app| app.integration.clone()),
            title: app.and_then(|app| app.title.clone()).or_else(|| installed.server.description.clone()),
            origin: app.map_or_else(|| installed.server.origin.clone(), |app| app.origin.clone()),
        })
    }
}

pub fn list(ctx: &Context) -> Result<()> {
    let rows = known::all(ctx)?.iter().map(Row::new).collect::<Result<_>>()?;
    ctx.ui.show(&Apps(rows))
}

#[derive(Serialize)]
#[serde(transparent)]
struct Apps(Vec<Row>);

impl Output for Apps {
    const KIND: &'static str = "app.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("app"),
            Column::new("state"),
            Column::new("kind").optional(2),
            Column::new("tools").right(),
            Column::new("account").optional(1),
            Column::new("title").wraps().optional(3),
        ];
        let mut table = Table::new("no apps yet; see what there is: umcp app search", columns);
        for row in &self.0 {
            let state = if row.enabled { (State::Ok, "enabled") } else { (State::Off, "disabled") };
            table.row([
                Cell::from(&row.name),
                Cell::state(state.0, state.1),
                row.kind.into(),
                row.tools.map(|tools| tools.to_string()).unwrap_or_default().into(),
                row.integration.clone().unwrap_or_default().into(),
                row.title.clone().unwrap_or_default().into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|row| row.name.clone()).collect()
    }
}

/// Find apps that can be installed
///
/// Every word has to occur in the name, the title, the description, the category or a tool. Without words it lists all.
#[derive(Debug, Args)]
pub struct Search {
    #[arg(value_name = "WORD")]
    words: Vec<String>,
}

impl Search {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let installed: Vec<String> = known::all(ctx)?.iter().map(|one| one.name().to_string()).collect();
        let words: Vec<String> = self.words.iter().map(|word| word.to_lowercase()).collect();
        let mut found = Vec::new();
        for (name, text) in SHIPPED {
            let loaded = file::load(&format!("{name}.yaml"), text)?;
            let all = haystack(&loaded);
            if words.iter().all(|word| all.contains(word)) {
                found.push(Found {
                    name: (*name).into(),
                    title: loaded.title,
                    description: loaded.description,
                    category: loaded.category,
                    integration: loaded.integration,
                    tools: loaded.definition.tools.iter().map(|tool| tool.name.clone()).collect(),
                    installed: installed.iter().any(|known| known == name),
                });
            }
        }
        ctx.ui.show(&Available(found))
    }
}

fn haystack(loaded: &Loaded) -> String {
    let parts = [&loaded.name, &loaded.title, &loaded.description, &loaded.category, &loaded.integration];
    let mut all: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    for tool in &loaded.definition.tools {
        all.extend([tool.name.as_str(), tool.description.as_str()]);
    }
    all.join(" ").to_lowercase()
}

/// An app that can be installed.
#[derive(Serialize)]
struct Found {
    name: String,
    title: Option<String>,
    description: Option<String>,
    category: Option<String>,
    integration: Option<String>,
    tools: Vec<String>,
    installed: bool,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Available(Vec<Found>);

impl Output for Available {
    const KIND: &'static str = "app.search/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("app"),
            Column::new("category").optional(1),
            Column::new("account").optional(2),
            Column::new("installed").optional(3),
            Column::new("description").wraps(),
        ];
        let mut table = Table::new("no app fits; make one: umcp app from-openapi", columns);
        for app in &self.0 {
            table.row([
                Cell::from(&app.name),
                app.category.clone().unwrap_or_default().into(),
                app.integration.clone().unwrap_or_default().into(),
                if app.installed { "yes" } else { "" }.into(),
                app.description.clone().unwrap_or_default().into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|app| app.name.clone()).collect()
    }
}
