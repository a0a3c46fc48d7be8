//! `workflow publish-tool`.

use super::super::context::Context;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::ui::{Output, Page, State};
use crate::workflows::{self, Request};
use clap::Args;
use serde::Serialize;

/// Make workflows tools of the endpoint, or with --off take that back
///
/// Every stored workflow is a tool of the server `workflows` from the start, with its inputs as schema.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp workflow publish-tool onboarding --off\n  umcp workflow publish-tool onboarding"
)]
pub struct PublishTool {
    #[arg(value_name = "WORKFLOW", required = true)]
    names: Vec<String>,
    /// Take them off the list of tools; they still run by `umcp workflow execute`
    #[arg(long)]
    off: bool,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Published(Vec<One>);

#[derive(Serialize)]
struct One {
    name: String,
    tool: bool,
}

impl PublishTool {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match ctx.call(Request::Publish { names: self.names, tool: !self.off })? {
            Reply::Workflow(workflows::Reply::Definitions(rows)) => ctx.ui.show(&Published(
                rows.into_iter().map(|row| One { name: row.name, tool: !row.hidden }).collect(),
            )),
            other => engine::unexpected(&other),
        }
    }
}

impl Output for Published {
    const KIND: &'static str = "workflow.published/1";

    fn human(&self, page: &mut Page) {
        for one in &self.0 {
            let is = if one.tool { "is a tool" } else { "is no tool" };
            page.mark(State::Ok, format!("{} {is}", one.name));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|one| one.name.clone()).collect()
    }
}
