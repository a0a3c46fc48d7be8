//! `umcp policy`: what each client may do. Verbs here; what a rule means stands in the noun.

mod change;
mod explain;
mod show;

use super::context::Context;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::policy::rules::{self, Document, Request};
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp policy set no-push --effect deny --tool 'git.push*' --client cursor\n  umcp policy preset ask-destructive\n  umcp policy explain git.push --client cursor\n  umcp policy set -f policy.yaml"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

// The help of each verb stands on its arguments.
#[derive(Debug, Subcommand)]
enum Verb {
    #[command(alias = "ls")]
    List(show::List),
    #[command(alias = "info")]
    Show(show::Show),
    #[command(aliases = ["add", "create", "edit"])]
    Set(Box<change::Set>),
    #[command(aliases = ["rm", "remove"])]
    Delete(change::Delete),
    Default(change::Default),
    Role(change::Role),
    Label(change::Label),
    Preset(change::Preset),
    Test(explain::Test),
    #[command(alias = "why")]
    Explain(explain::Explain),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(show::List {})) {
            Verb::List(verb) => verb.run(ctx),
            Verb::Show(verb) => verb.run(ctx),
            Verb::Set(verb) => verb.run(ctx),
            Verb::Delete(verb) => verb.run(ctx),
            Verb::Default(verb) => verb.run(ctx),
            Verb::Role(verb) => verb.run(ctx),
            Verb::Label(verb) => verb.run(ctx),
            Verb::Preset(verb) => verb.run(ctx),
            Verb::Test(verb) => verb.run(ctx),
            Verb::Explain(verb) => verb.run(ctx),
        }
    }
}

/// The policy after a request.
fn ask(ctx: &Context, request: Request) -> Result<Document> {
    match ctx.call(request)? {
        Reply::Policy(rules::Reply::Policy(document)) => Ok(*document),
        other => engine::unexpected(&other),
    }
}
