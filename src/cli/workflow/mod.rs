//! `umcp workflow`: documents of steps, and the runs of them. One file per group of verbs.

mod argo;
mod check;
mod execute;
mod graph;
mod list;
mod order;
mod publish;
mod record;
mod runs;
mod say;
mod share;
mod store;
mod test;

use super::context::Context;
use super::server::is_file;
use crate::documents;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::workflows::{self, Definition, Request};
pub use check::look;
use clap::{Args, Subcommand};
pub use execute::{begin, from_file as inputs_from};
pub use runs::{Asking, asking};
pub use say::{line, row};
use std::path::Path;
pub use test::{Test, dry_run, imagine};

/// Write, run and watch workflows
///
/// A workflow is a YAML document whose steps are tools of your servers. A run is written down step by step: after a
/// crash it goes on where it was, and what was done is not done again.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp workflow validate onboarding.yaml\n  umcp workflow create onboarding.yaml\n  umcp workflow execute onboarding --input email=ada@example.org\n  umcp workflow runs"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(alias = "ls")]
    List(list::List),
    #[command(alias = "info")]
    Show(list::Show),
    #[command(alias = "add")]
    Create(store::Create),
    #[command(aliases = ["remove", "rm"])]
    Delete(store::Delete),
    Validate(check::Validate),
    Test(test::Test),
    Graph(graph::Graph),
    #[command(alias = "run")]
    Execute(execute::Execute),
    Runs(runs::Runs),
    Status(runs::Status),
    Logs(runs::Logs),
    Cancel(order::Cancel),
    Pause(order::Pause),
    Resume(order::Resume),
    Approve(order::Approve),
    Settle(order::Settle),
    PublishTool(publish::PublishTool),
    Export(share::Export),
    Import(share::Import),
    Record(record::Record),
    Template(share::Template),
    Retry(execute::Retry),
    Replay(execute::Replay),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(list::List {})) {
            Verb::List(verb) => verb.run(ctx),
            Verb::Show(verb) => verb.run(ctx),
            Verb::Create(verb) => verb.run(ctx),
            Verb::Delete(verb) => verb.run(ctx),
            Verb::Validate(verb) => verb.run(ctx),
            Verb::Test(verb) => verb.run(ctx),
            Verb::Graph(verb) => verb.run(ctx),
            Verb::Execute(verb) => verb.run(ctx),
            Verb::Runs(verb) => verb.run(ctx),
            Verb::Status(verb) => verb.run(ctx),
            Verb::Logs(verb) => verb.run(ctx),
            Verb::Cancel(verb) => verb.run(ctx),
            Verb::Pause(verb) => verb.run(ctx),
            Verb::Resume(verb) => verb.run(ctx),
            Verb::Approve(verb) => verb.run(ctx),
            Verb::Settle(verb) => verb.run(ctx),
            Verb::PublishTool(verb) => verb.run(ctx),
            Verb::Export(verb) => verb.run(ctx),
            Verb::Import(verb) => verb.run(ctx),
            Verb::Record(verb) => verb.run(ctx),
            Verb::Template(verb) => verb.run(ctx),
            Verb::Retry(verb) => verb.run(ctx),
            Verb::Replay(verb) => verb.run(ctx),
        }
    }
}

fn definitions(ctx: &Context) -> Result<Vec<Definition>> {
    match ctx.call(Request::List)? {
        Reply::Workflow(workflows::Reply::Definitions(definitions)) => Ok(definitions),
        other => engine::unexpected(&other),
    }
}

/// File name and text of a file, or of a stored workflow.
fn document(ctx: &Context, word: &str) -> Result<(String, String)> {
    if is_file(word) {
        return Ok((word.into(), documents::read_file(Path::new(word))?));
    }
    match ctx.call(Request::Show { name: word.into() })? {
        Reply::Workflow(workflows::Reply::Definition(definition)) => Ok((definition.file, definition.text)),
        other => engine::unexpected(&other),
    }
}
