//! `umcp user`: whom calls are accounted to. Verbs here; what a user means stands in the noun `usage`.

use super::context::Context;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::ui::{Cell, Column, Output, Page, Table};
use crate::usage;
use crate::usage::user::{Request, User};
use clap::{Args, Subcommand};
use serde::Serialize;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp user create ann --key ann-laptop --client cursor\n  umcp usage costs --user ann\n  umcp usage invoice --user ann --period month --format pdf --output ann.pdf"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

// The help of each verb stands on its arguments.
#[derive(Debug, Subcommand)]
enum Verb {
    #[command(aliases = ["ls", "show"])]
    List(List),
    #[command(aliases = ["add", "set", "edit"])]
    Create(Create),
    #[command(aliases = ["rm", "remove"])]
    Delete(Delete),
}

/// List users and what is accounted to them
#[derive(Debug, Args)]
struct List {}

/// Create a user
///
/// Calls that come with one of the keys, or from one of the clients without any key, are accounted to the user, from
/// then on. A key that no user has is a user of its own name.
#[derive(Debug, Args)]
struct Create {
    #[arg(value_name = "NAME")]
    name: String,
    /// Calls with this key are the user's; several times, patterns take *
    #[arg(long = "key", value_name = "TOKEN")]
    keys: Vec<String>,
    /// Calls of this client without a key are the user's; several times
    #[arg(long = "client", value_name = "CLIENT")]
    clients: Vec<String>,
    /// A whole name, an address or a cost centre, for invoices
    #[arg(long, value_name = "TEXT")]
    about: Option<String>,
    /// Write over a user of that name
    #[arg(long)]
    replace: bool,
}

/// Delete users
///
/// What was recorded stays accounted to them.
#[derive(Debug, Args)]
struct Delete {
    #[arg(value_name = "USER", required = true)]
    names: Vec<String>,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let request = match self.verb.unwrap_or(Verb::List(List {})) {
            Verb::List(_) => Request::List,
            Verb::Create(Create { name, keys, clients, about, replace }) => {
                Request::Put { user: User { name, about, keys, clients }, replace }
            }
            Verb::Delete(Delete { names }) => Request::Delete { names },
        };
        ctx.ui.show(&Shown { users: ask(ctx, request)? })
    }
}

pub fn ask(ctx: &Context, request: Request) -> Result<Vec<User>> {
    match ctx.call(usage::Request::User(request))? {
        Reply::Usage(usage::Reply::Users(users)) => Ok(users),
        other => engine::unexpected(&other),
    }
}

#[derive(Serialize)]
struct Shown {
    users: Vec<User>,
}

impl Output for Shown {
    const KIND: &'static str = "user.list/1";

    fn human(&self, page: &mut Page) {
        let columns =
            [Column::new("user"), Column::new("keys"), Column::new("clients"), Column::new("about")];
        let mut table = Table::new("no users; calls with a key are accounted to its name", columns);
        for user in &self.users {
            table.row([
                Cell::from(&user.name),
                user.keys.join(", ").into(),
                user.clients.join(", ").into(),
                user.about.clone().unwrap_or_default().into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.users.iter().map(|user| user.name.clone()).collect()
    }
}
