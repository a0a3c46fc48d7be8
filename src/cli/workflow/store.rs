//! `workflow create` and `workflow delete`.

use super::super::context::Context;
use super::check;
use crate::documents;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::ui::{Output, Page, State, text};
use crate::workflows::{self, Definition, Request};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Store a workflow from a file, under the name it gives itself
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp workflow create onboarding.yaml")]
pub struct Create {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Put it in the place of the one that is stored
    #[arg(long)]
    replace: bool,
}

#[derive(Serialize)]
pub struct Stored {
    name: String,
    version: String,
    steps: u64,
    revision: u64,
}

impl Create {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let file = self.file.display().to_string();
        let text = documents::read_file(&self.file)?;
        ctx.ui.show(&keep(ctx, file, text, self.replace)?)
    }
}

/// Checks a document and stores it.
pub fn keep(ctx: &Context, file: String, text: String, replace: bool) -> Result<Stored> {
    let workflow = check::demand(ctx, &file, &text)?;
    let definition = Definition {
        steps: check::count(&workflow) as u64,
        name: workflow.name,
        version: workflow.version,
        description: workflow.description,
        text,
        file,
        updated: ctx.clock.now(),
        ..Definition::default()
    };
    match ctx.call(Request::Put { definition: Box::new(definition), replace })? {
        Reply::Workflow(workflows::Reply::Definition(row)) => {
            Ok(Stored { name: row.name, version: row.version, steps: row.steps, revision: row.revision })
        }
        other => engine::unexpected(&other),
    }
}

impl Stored {
    pub fn mark(&self, page: &mut Page) {
        let steps = text::plural(usize::try_from(self.steps).unwrap_or(usize::MAX), "step");
        page.mark(State::Ok, format!("stored {} {} ({steps})", self.name, self.version));
    }
}

impl Output for Stored {
    const KIND: &'static str = "workflow.stored/1";

    fn human(&self, page: &mut Page) {
        self.mark(page);
        page.text(format!("run it: umcp workflow execute {}", self.name));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

/// Delete workflows; their runs stay
#[derive(Debug, Args)]
pub struct Delete {
    #[arg(value_name = "WORKFLOW", required = true)]
    names: Vec<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Deleted(Vec<String>);

impl Delete {
    pub fn run(self, ctx: &Context) -> Result<()> {
        for name in &self.names {
            ctx.call(Request::Show { name: name.clone() })?;
        }
        if !ctx.ui.confirm(&format!("delete {}?", self.names.join(", ")), false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was deleted"));
        }
        match ctx.call(Request::Delete { names: self.names })? {
            Reply::Workflow(workflows::Reply::Definitions(rows)) => {
                ctx.ui.show(&Deleted(rows.into_iter().map(|row| row.name).collect()))
            }
            other => engine::unexpected(&other),
        }
    }
}

impl Output for Deleted {
    const KIND: &'static str = "workflow.deleted/1";

    fn human(&self, page: &mut Page) {
        for name in &self.0 {
            page.mark(State::Ok, format!("deleted {name}"));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.clone()
    }
}
