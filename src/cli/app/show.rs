//! `umcp app show`: an app that is installed, or one that could be.

use super::change::{Stand, settings_on, stands};
use super::{install, known};
use crate::apps::model::{Action, Definition, Hints};
use crate::apps::shipped;
use crate::cli::context::Context;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::servers::{self, model::Transport};
use crate::ui::{Output, Page};
use clap::Args;
use serde::Serialize;

/// Show an app: its settings and its tools
#[derive(Debug, Args)]
pub struct Show {
    #[arg(value_name = "APP")]
    name: String,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let missing = match known::find(ctx, &self.name) {
            Ok(installed) => {
                let definition = installed.definition()?;
                let app = installed.app.as_ref();
                return ctx.ui.show(&Shown {
                    name: self.name,
                    installed: true,
                    kind: installed.kind(),
                    title: app.and_then(|app| app.title.clone()),
                    description: app
                        .and_then(|app| app.description.clone())
                        .or_else(|| installed.server.description.clone()),
                    integration: app.and_then(|app| app.integration.clone()),
                    origin: app
                        .and_then(|app| app.origin.clone())
                        .or_else(|| installed.server.origin.clone()),
                    target: app.is_none().then(|| installed.server.transport.target()),
                    settings: stands(&installed.server, &definition.settings),
                    base: definition.base.clone(),
                    tools: tools(&definition),
                });
            }
            Err(missing) => missing,
        };
        if shipped::find(&self.name).is_none() {
            return Err(missing);
        }
        let (loaded, origin) = install::manifest(&self.name)?;
        let server =
            servers::fresh(&self.name, Transport::App { name: self.name.clone() }, Timestamp::default());
        ctx.ui.show(&Shown {
            name: self.name,
            installed: false,
            kind: if loaded.server.is_some() { "server" } else { "http" },
            title: loaded.title,
            description: loaded.description,
            integration: loaded.integration,
            origin: Some(origin),
            target: loaded.server.map(|server| server.run),
            settings: stands(&server, &loaded.definition.settings),
            base: loaded.definition.base.clone(),
            tools: tools(&loaded.definition),
        })
    }
}

fn tools(definition: &Definition) -> Vec<ToolView> {
    let view = |tool: &crate::apps::model::Tool| ToolView {
        name: tool.name.clone(),
        description: tool.description.clone(),
        request: match &tool.action {
            Action::Http(http) => Some(format!("{} {}", http.method, http.url)),
            Action::Exec(_) => None,
        },
        hints: tool.hints,
    };
    definition.tools.iter().map(view).collect()
}

#[derive(Serialize)]
struct ToolView {
    name: String,
    description: String,
    request: Option<String>,
    hints: Hints,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    installed: bool,
    kind: &'static str,
    title: Option<String>,
    description: Option<String>,
    integration: Option<String>,
    origin: Option<String>,
    /// What an MCP server is started with.
    target: Option<String>,
    base: Option<String>,
    settings: Vec<Stand>,
    tools: Vec<ToolView>,
}

impl Output for Shown {
    const KIND: &'static str = "app.show/1";

    fn human(&self, page: &mut Page) {
        page.heading(self.title.as_ref().unwrap_or(&self.name));
        if let Some(description) = &self.description {
            page.text(description);
        }
        let pairs = [
            ("kind", Some(self.kind.to_string())),
            ("address", self.base.clone()),
            ("runs", self.target.clone()),
            ("account", self.integration.clone()),
            ("from", self.origin.clone()),
        ];
        page.pairs(pairs.into_iter().filter_map(|(name, value)| Some((name, value?))));
        if !self.settings.is_empty() {
            page.blank().heading("settings");
            settings_on(page, &self.settings);
        }
        if !self.tools.is_empty() {
            page.blank().heading("tools");
        }
        for tool in &self.tools {
            let first = tool.description.lines().next().unwrap_or_default();
            page.bullet(format!("{}: {first}", tool.name));
        }
        if !self.installed {
            page.blank().text(format!("not installed: umcp app install {}", self.name));
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}
