//! `umcp tool`: what the servers offer, and calling it.
//! Here stand the verbs and where each goes; every file beside this one holds a few related verbs.

mod budget;
pub mod call;
mod change;
mod content;
mod export;
pub mod history;
pub mod lint;
mod list;
pub mod pins;
mod refresh;
pub mod search;
mod show;

use super::context::Context;
use crate::error::Result;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp tool list\n  umcp tool show time.get_current_time\n  umcp call time.get_current_time timezone=Europe/Berlin"
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
    #[command(alias = "info")]
    Show(show::Show),
    #[command(aliases = ["run", "execute"])]
    Call(call::Call),
    #[command(alias = "find")]
    Search(search::Search),
    Enable(change::Enable),
    Disable(change::Disable),
    Alias(change::Alias),
    Cache(change::Cache),
    Refresh(refresh::Refresh),
    Lint(lint::Lint),
    Pins(pins::List),
    Diff(pins::Diff),
    Accept(pins::Accept),
    Budget(budget::Budget),
    History(history::History),
    Export(export::Export),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(list::List::default())) {
            Verb::List(verb) => verb.run(ctx),
            Verb::Show(verb) => verb.run(ctx),
            Verb::Call(verb) => verb.run(ctx),
            Verb::Search(verb) => verb.run(ctx),
            Verb::Enable(verb) => verb.run(ctx),
            Verb::Disable(verb) => verb.run(ctx),
            Verb::Alias(verb) => verb.run(ctx),
            Verb::Cache(verb) => verb.run(ctx),
            Verb::Refresh(verb) => verb.run(ctx),
            Verb::Lint(verb) => verb.run(ctx),
            Verb::Pins(verb) => verb.run(ctx),
            Verb::Diff(verb) => verb.run(ctx),
            Verb::Accept(verb) => verb.run(ctx),
            Verb::Budget(verb) => verb.run(ctx),
            Verb::History(verb) => verb.run(ctx),
            Verb::Export(verb) => verb.run(ctx),
        }
    }
}
