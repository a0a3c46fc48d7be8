//! `umcp server`: the user's list of servers, and what runs of it.
//! Here stand the verbs and where each goes; every file beside this one holds a few related verbs.

mod add;
mod approve;
pub use add::{missing_program, pairs};
mod change;
mod remove;
pub use change::change;
mod edit;
mod inspect;
mod list;
pub mod run;
pub use run::is_file;
mod show;
pub mod test;
mod top;
mod transfer;

use super::connection::create::Login;
use super::context::Context;
use super::logs;
use crate::error::Result;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp server add npm:@modelcontextprotocol/server-everything\n  umcp server add builtin:time\n  umcp server list"
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
    #[command(aliases = ["new", "create", "install"])]
    Add(Box<add::Add>),
    #[command(alias = "info")]
    Show(show::Show),
    #[command(alias = "update")]
    Edit(edit::Edit),
    #[command(alias = "mv")]
    Rename(change::Rename),
    #[command(aliases = ["rm", "delete", "uninstall"])]
    Remove(remove::Remove),
    Enable(change::Enable),
    Disable(change::Disable),
    Approve(approve::Approve),
    Login(Box<Login>),
    Start(run::Start),
    Stop(run::Stop),
    Restart(run::Restart),
    Status(run::Status),
    #[command(alias = "log")]
    Logs(logs::ServerLogs),
    #[command(alias = "validate")]
    Test(test::Test),
    Inspect(inspect::Inspect),
    Top(top::Top),
    Import(transfer::Import),
    Export(transfer::Export),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(list::List::default())) {
            Verb::List(verb) => verb.run(ctx),
            Verb::Add(verb) => verb.run(ctx),
            Verb::Show(verb) => verb.run(ctx),
            Verb::Edit(verb) => verb.run(ctx),
            Verb::Rename(verb) => verb.run(ctx),
            Verb::Remove(verb) => verb.run(ctx),
            Verb::Enable(verb) => verb.run(ctx),
            Verb::Disable(verb) => verb.run(ctx),
            Verb::Approve(verb) => verb.run(ctx),
            Verb::Login(verb) => verb.run(ctx),
            Verb::Start(verb) => verb.run(ctx),
            Verb::Stop(verb) => verb.run(ctx),
            Verb::Restart(verb) => verb.run(ctx),
            Verb::Status(verb) => verb.run(ctx),
            Verb::Logs(verb) => verb.run(ctx),
            Verb::Test(verb) => verb.run(ctx),
            Verb::Inspect(verb) => verb.run(ctx),
            Verb::Top(verb) => verb.run(ctx),
            Verb::Import(verb) => verb.run(ctx),
            Verb::Export(verb) => verb.run(ctx),
        }
    }
}
