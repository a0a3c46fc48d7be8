//! `umcp command list`.

use crate::apps::model::{Action, Run, Tool};
use crate::cli::app::known;
use crate::cli::context::Context;
use crate::error::Result;
use crate::ui::{Cell, Column, Output, Page, Table};
use clap::Args;
use serde::Serialize;

#[derive(Debug, Default, Args)]
pub struct List {
    /// Only the commands of this app
    #[arg(value_name = "APP")]
    app: Option<String>,
}

/// One command in a list.
#[derive(Serialize)]
pub struct Row {
    pub name: String,
    /// `exec`, `script`, `container` or `http`.
    pub kind: &'static str,
    pub arguments: Vec<String>,
    pub description: String,
}

impl Row {
    pub fn new(app: &str, tool: &Tool) -> Self {
        let required = tool.input["required"].as_array();
        let needed = |name: &String| required.is_some_and(|all| all.iter().any(|one| one == name.as_str()));
        let names = tool.input["properties"].as_object().into_iter().flat_map(|properties| properties.keys());
        Self {
            name: format!("{app}.{}", tool.name),
            kind: kind(tool),
            arguments: names
                .map(|name| if needed(name) { name.clone() } else { format!("{name}?") })
                .collect(),
            description: tool.description.clone(),
        }
    }
}

/// What running a command does.
pub fn kind(tool: &Tool) -> &'static str {
    match &tool.action {
        Action::Http(_) => "http",
        Action::Exec(exec) if exec.container.is_some() => "container",
        Action::Exec(exec) => match exec.run {
            Run::Script { .. } => "script",
            Run::Argv(_) | Run::Verbatim(_) => "exec",
        },
    }
}

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let apps = match &self.app {
            Some(name) => vec![known::find(ctx, name)?],
            None => known::commands(ctx)?,
        };
        let mut rows = Vec::new();
        for app in apps {
            rows.extend(app.definition()?.tools.iter().map(|tool| Row::new(app.name(), tool)));
        }
        ctx.ui.show(&Commands(rows))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Commands(Vec<Row>);

impl Output for Commands {
    const KIND: &'static str = "command.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("command"),
            Column::new("kind").optional(2),
            Column::new("arguments").wraps().optional(1),
            Column::new("description").wraps(),
        ];
        let mut table = Table::new("no commands yet; umcp command template shows how one looks", columns);
        for row in &self.0 {
            let first = row.description.lines().next().unwrap_or_default();
            table.row([
                Cell::from(&row.name),
                row.kind.into(),
                row.arguments.join(" ").into(),
                first.to_string().into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|row| row.name.clone()).collect()
    }
}
