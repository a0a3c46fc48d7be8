//! `umcp connection`: accounts that signed in, and signing in itself.
//! Here stand the verbs and where each goes; every file beside this one holds a few related verbs.

mod browser;
mod change;
mod check;
pub mod create;
mod list;
mod provision;
pub mod secret;
mod view;

use super::context::Context;
use crate::engine::accounts::{AccountReply, AccountRequest};
use crate::engine::{self, Live, LiveReply, Reply};
use crate::error::Result;
use crate::integrations::{self, Connection, Request};
pub use check::Health;
use clap::{Args, Subcommand};
pub use view::warnings;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp connection create notion\n  umcp connection list\n  umcp connection use work --profile office"
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
    #[command(aliases = ["add", "new", "login"])]
    Create(Box<create::Create>),
    #[command(alias = "info")]
    Show(list::Show),
    #[command(alias = "test")]
    Validate(check::Validate),
    Refresh(change::Refresh),
    #[command(aliases = ["rm", "remove", "delete", "logout"])]
    Revoke(change::Revoke),
    Health(check::Health),
    #[command(alias = "default")]
    Use(change::Use),
    Provision(provision::Provision),
    Cleanup(change::Cleanup),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(list::List::default())) {
            Verb::List(verb) => verb.run(ctx),
            Verb::Create(verb) => verb.run(ctx),
            Verb::Show(verb) => verb.run(ctx),
            Verb::Validate(verb) => verb.run(ctx),
            Verb::Refresh(verb) => verb.run(ctx),
            Verb::Revoke(verb) => verb.run(ctx),
            Verb::Health(verb) => verb.run(ctx),
            Verb::Use(verb) => verb.run(ctx),
            Verb::Provision(verb) => verb.run(ctx),
            Verb::Cleanup(verb) => verb.run(ctx),
        }
    }
}

/// All connections, by name.
pub fn all(ctx: &Context) -> Result<Vec<Connection>> {
    match ctx.call(Request::Connections)? {
        Reply::Integration(integrations::Reply::Connections(rows)) => Ok(rows),
        other => engine::unexpected(&other),
    }
}

/// What the daemon says about an account.
pub fn ask(ctx: &Context, request: AccountRequest) -> Result<AccountReply> {
    match ctx.live(Live::Account(request))? {
        LiveReply::Account(reply) => Ok(reply),
        other => super::context::unexpected(&other),
    }
}

/// A reply of another kind than the request's: a bug of ours, said once here.
pub fn odd<T>(_: &AccountReply) -> Result<T> {
    Err(crate::error::Error::bug("an unexpected reply about an account"))
}
