//! `umcp integration`: how one signs in somewhere. Accounts are the business of `umcp connection`.

mod edit;
mod list;

use super::context::Context;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::integrations::{self, Integration, Request};
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp integration providers\n  umcp integration create github --client-id ID\n  umcp integration create weather --type api-key --key-header X-Api-Key"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

// The help of each verb stands on its arguments.
#[derive(Debug, Subcommand)]
enum Verb {
    #[command(alias = "ls")]
    List(list::List),
    #[command(aliases = ["add", "new"])]
    Create(Box<edit::Create>),
    #[command(alias = "edit")]
    Configure(Box<edit::Configure>),
    #[command(alias = "info")]
    Show(list::Show),
    Test(list::Test),
    #[command(aliases = ["rm", "remove"])]
    Delete(edit::Delete),
    Providers(list::Providers),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(list::List::default())) {
            Verb::List(verb) => verb.run(ctx),
            Verb::Create(verb) => verb.run(ctx),
            Verb::Configure(verb) => verb.run(ctx),
            Verb::Show(verb) => verb.run(ctx),
            Verb::Test(verb) => verb.run(ctx),
            Verb::Delete(verb) => verb.run(ctx),
            Verb::Providers(verb) => verb.run(ctx),
        }
    }
}

fn one(ctx: &Context, request: Request) -> Result<Integration> {
    match ctx.call(request)? {
        Reply::Integration(integrations::Reply::Integration(integration)) => Ok(*integration),
        other => engine::unexpected(&other),
    }
}
