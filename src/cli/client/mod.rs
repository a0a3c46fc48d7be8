//! `umcp client`: the editors, agents and assistants that use umcp, and their files.
//! Here stand the verbs and where each goes.

mod change;
mod list;
mod sessions;
mod show;
mod trial;

pub use change::twice;

use super::context::Context;
use crate::clients::{self, Client, Scope};
use crate::error::Result;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp client list\n  umcp client connect cursor --replace\n  umcp client test cursor"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

// Where a variant has no words of its own, its arguments bring the help.
#[derive(Debug, Subcommand)]
enum Verb {
    #[command(alias = "ls")]
    List(list::List),
    #[command(alias = "add")]
    Connect(change::Connect),
    #[command(aliases = ["remove", "rm"])]
    Disconnect(change::Disconnect),
    #[command(alias = "info")]
    Show(show::Show),
    Test(trial::Test),
    Sync(change::Sync),
    Sessions(sessions::Sessions),
}

/// Whose file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScopeWord {
    User,
    Project,
}

impl From<ScopeWord> for Scope {
    fn from(word: ScopeWord) -> Self {
        match word {
            ScopeWord::User => Self::User,
            ScopeWord::Project => Self::Project,
        }
    }
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(list::List::default())) {
            Verb::List(verb) => verb.run(ctx),
            Verb::Connect(verb) => verb.run(ctx),
            Verb::Disconnect(verb) => verb.run(ctx),
            Verb::Show(verb) => verb.run(ctx),
            Verb::Test(verb) => verb.run(ctx),
            Verb::Sync(verb) => verb.run(ctx),
            Verb::Sessions(verb) => verb.run(ctx),
        }
    }
}

/// The clients of those words, each once.
fn find(words: &[String]) -> Result<Vec<&'static Client>> {
    let mut found: Vec<&'static Client> = Vec::new();
    for word in words {
        let client = clients::find(word)?;
        if !found.contains(&client) {
            found.push(client);
        }
    }
    Ok(found)
}
