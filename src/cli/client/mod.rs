//! `umcp client`: the editors, agents and assistants that use umcp, and their files.
//! Here stand the verbs and where each goes.

mod change;
mod list;
mod sessions;
mod show;
mod trial;

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

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the clients umcp knows, and which of them use it
    #[command(alias = "ls")]
    List(list::List),
    /// Put umcp into a client's file
    #[command(alias = "add")]
    Connect(change::Connect),
    /// Take umcp out of a client's file
    #[command(aliases = ["remove", "rm"])]
    Disconnect(change::Disconnect),
    /// Show a client's files and what to paste by hand
    #[command(alias = "info")]
    Show(show::Show),
    /// Start umcp as the client would, and time each step
    Test(trial::Test),
    /// Bring umcp's entries in all clients up to date
    Sync(change::Sync),
    /// List the clients that are connected now
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
