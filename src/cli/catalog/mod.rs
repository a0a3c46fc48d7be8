//! `umcp catalog`: find servers and apps and install them. What an entry may be is decided in `catalogue`; here its
//! sources are read and its words become a server.

pub mod git;
mod install;
mod publish;
mod rate;
pub mod reading;
mod refresh;
mod search;
mod show;
mod source;

use super::context::Context;
use crate::catalogue::{self, Listed, Reply as Answer, Request, Source};
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp catalog search browser\n  umcp catalog install playwright\n  umcp catalog refresh official\n  umcp catalog source add https://example.com/team/catalogue.yaml --name team"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(alias = "find")]
    Search(search::Search),
    #[command(alias = "ls")]
    List(search::List),
    #[command(alias = "info")]
    Show(show::Show),
    #[command(alias = "add")]
    Install(install::Install),
    #[command(alias = "update")]
    Refresh(refresh::Refresh),
    /// Choose where entries come from
    #[command(alias = "sources")]
    Source(source::Command),
    Publish(publish::Publish),
    Rate(rate::Rate),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or_else(|| Verb::List(search::List::default())) {
            Verb::Search(verb) => verb.run(ctx),
            Verb::List(verb) => verb.run(ctx),
            Verb::Show(verb) => verb.run(ctx),
            Verb::Install(verb) => verb.run(ctx),
            Verb::Refresh(verb) => verb.run(ctx),
            Verb::Source(command) => command.run(ctx),
            Verb::Publish(verb) => verb.run(ctx),
            Verb::Rate(verb) => verb.run(ctx),
        }
    }
}

/// Asks the noun.
fn ask(ctx: &Context, request: Request) -> Result<Answer> {
    match ctx.call(request)? {
        Reply::Catalogue(answer) => Ok(answer),
        other => engine::unexpected(&other),
    }
}

/// An answer of another kind than the request's: a bug of ours, said once here.
fn unexpected<T>(answer: &Answer) -> Result<T> {
    Err(Error::bug(format!("an unexpected reply: {answer:?}").chars().take(200).collect::<String>()))
}

fn sources(ctx: &Context) -> Result<Vec<Source>> {
    match ask(ctx, Request::Sources)? {
        Answer::Sources(sources) => Ok(sources),
        other => unexpected(&other),
    }
}

/// The one entry a name means. Entries of several sources that offer the very same thing are one.
fn one(ctx: &Context, name: &str, source: Option<String>) -> Result<Listed> {
    let mut found = match ask(ctx, Request::Named { name: name.into(), source })? {
        Answer::Entries(found) => found,
        other => return unexpected(&other),
    };
    let first = found.remove(0);
    if found.iter().all(|other| other.entry.ways == first.entry.ways) {
        return Ok(first);
    }
    let mut error =
        Error::new(&codes::ENTRY_AMBIGUOUS, format!("`{name}` could be {} entries", found.len() + 1));
    for listed in std::iter::once(&first).chain(&found).take(10) {
        let what = listed.entry.way().map_or_else(|| "nothing umcp runs".into(), catalogue::Way::spec);
        error = error.hint(format!("say `{}` for {}", listed.key(), catalogue::check::shown(&what)));
    }
    Err(error)
}
