//! `umcp app`: tools of services, made of manifests and OpenAPI documents. What a manifest means is in `apps::file`,
//! what a document means in `apps::openapi`.

mod account;
mod change;
mod document;
pub mod install;
pub mod known;
mod list;
mod show;
mod update;

pub use install::manifest;

use super::context::Context;
use crate::error::Result;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp app search papers\n  umcp app install zenquotes\n  umcp app install github --set GITHUB_TOKEN=secret://GITHUB_TOKEN\n  umcp app from-openapi https://petstore3.swagger.io/api/v3/openapi.json --name petstore --filter tag=pet"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List installed apps
    #[command(alias = "ls")]
    List,
    Search(list::Search),
    #[command(alias = "info")]
    Show(show::Show),
    #[command(alias = "add")]
    Install(install::Install),
    #[command(name = "from-openapi")]
    FromOpenApi(document::FromOpenApi),
    Configure(change::Configure),
    Update(update::Update),
    Enable(change::Enable),
    Disable(change::Disable),
    #[command(aliases = ["remove", "rm", "delete"])]
    Uninstall(change::Uninstall),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => list::list(ctx),
            Verb::Search(verb) => verb.run(ctx),
            Verb::Show(verb) => verb.run(ctx),
            Verb::Install(verb) => verb.run(ctx),
            Verb::FromOpenApi(verb) => verb.run(ctx),
            Verb::Configure(verb) => verb.run(ctx),
            Verb::Update(verb) => verb.run(ctx),
            Verb::Enable(verb) => verb.run(ctx),
            Verb::Disable(verb) => verb.run(ctx),
            Verb::Uninstall(verb) => verb.run(ctx),
        }
    }
}
