//! `workflow list` and `workflow show`.

use super::super::context::Context;
use super::{check, definitions, document};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use crate::workflows::model::{Step, Workflow};
use crate::workflows::{Definition, read, start};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

/// List stored workflows
#[derive(Debug, Args)]
pub struct List {}

#[derive(Serialize)]
#[serde(transparent)]
struct All {
    workflows: Vec<View>,
    #[serde(skip)]
    now: Timestamp,
}

#[derive(Serialize)]
struct View {
    name: String,
    version: String,
    description: String,
    steps: u64,
    file: String,
    updated: String,
    /// Whether it is a tool of the endpoint.
    tool: bool,
    #[serde(skip)]
    at: Timestamp,
}

impl From<Definition> for View {
    fn from(row: Definition) -> Self {
        Self {
            name: row.name,
            version: row.version,
            description: row.description,
            steps: row.steps,
            file: row.file,
            updated: row.updated.rfc3339(),
            tool: !row.hidden,
            at: row.updated,
        }
    }
}

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let workflows = definitions(ctx)?.into_iter().map(View::from).collect();
        ctx.ui.show(&All { workflows, now: ctx.clock.now() })
    }
}

impl Output for All {
    const KIND: &'static str = "workflow.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("name"),
            Column::new("version").optional(2),
            Column::new("steps").right(),
            Column::new("updated").optional(1),
            Column::new("description").optional(3).wraps(),
        ];
        let mut table = Table::new("no workflows yet; store one: umcp workflow create FILE", columns);
        for row in &self.workflows {
            table.row([
                Cell::from(&row.name),
                Cell::from(&row.version),
                row.steps.to_string().into(),
                text::ago(self.now, row.at).into(),
                Cell::from(&row.description),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.workflows.iter().map(|row| row.name.clone()).collect()
    }
}

/// Show a workflow: its inputs and steps, or its document
#[derive(Debug, Args)]
pub struct Show {
    #[arg(value_name = "WORKFLOW|FILE")]
    name: String,
    /// Print the document as it was written
    #[arg(long)]
    text: bool,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    version: String,
    description: String,
    inputs: Value,
    steps: Vec<Line>,
    outputs: Vec<String>,
    text: String,
}

/// One step and how deep it stands.
#[derive(Serialize)]
struct Line {
    id: String,
    kind: &'static str,
    target: String,
    depth: usize,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (file, text) = document(ctx, &self.name)?;
        if self.text {
            return ctx.ui.raw(&text);
        }
        let workflow = match read::read(&file, &text) {
            Ok(workflow) => workflow,
            Err(_) => check::demand(ctx, &file, &text)?,
        };
        ctx.ui.show(&shown(&workflow, text))
    }
}

fn shown(workflow: &Workflow, text: String) -> Shown {
    let mut steps = Vec::new();
    lines(&workflow.steps, 0, &mut steps);
    lines(&workflow.finally, 0, &mut steps);
    Shown {
        name: workflow.name.clone(),
        version: workflow.version.clone(),
        description: workflow.description.clone(),
        inputs: start::schema(workflow),
        steps,
        outputs: workflow.outputs.iter().map(|(name, _)| name.clone()).collect(),
        text,
    }
}

fn lines(steps: &[Step], depth: usize, into: &mut Vec<Line>) {
    for step in steps {
        into.push(Line { id: step.id.clone(), kind: step.action.word(), target: target(step), depth });
        for (_, steps) in step.action.blocks() {
            lines(steps, depth + 1, into);
        }
        lines(&step.fallback, depth + 1, into);
    }
}

/// What a step calls, where it calls something.
pub fn target(step: &Step) -> String {
    use crate::workflows::model::Action;
    match &step.action {
        Action::Call { target, .. } => target.clone(),
        Action::Run { name, .. } => name.clone(),
        _ => String::new(),
    }
}

impl Output for Shown {
    const KIND: &'static str = "workflow/1";

    fn human(&self, page: &mut Page) {
        page.heading(format!("{} {}", self.name, self.version));
        if !self.description.is_empty() {
            page.text(&self.description);
        }
        let properties = self.inputs["properties"].as_object();
        for (name, schema) in properties.into_iter().flatten() {
            let required =
                self.inputs["required"].as_array().is_some_and(|list| list.iter().any(|it| it == name));
            let kind = schema["type"].as_str().unwrap_or("any");
            let mark = if required { "" } else { ", optional" };
            page.bullet(format!("input {name}: {kind}{mark}"));
        }
        for line in &self.steps {
            let target = if line.target.is_empty() {
                line.kind.to_string()
            } else {
                format!("{} {}", line.kind, line.target)
            };
            page.text(format!("{}{}  {target}", "  ".repeat(line.depth + 1), line.id));
        }
        if !self.outputs.is_empty() {
            page.mark(State::Ok, format!("outputs {}", self.outputs.join(", ")));
        }
    }
}
