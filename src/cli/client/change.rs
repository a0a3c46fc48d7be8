//! The verbs that edit clients' files: connect, disconnect, sync; and how a change is told.

use super::{ScopeWord, find};
use crate::cli::context::Context;
use crate::cli::import::added;
use crate::cli::machine::machine;
use crate::clients::{CLIENTS, Client, Scope};
use crate::engine::Request;
use crate::environments;
use crate::error::{Error, Result, codes};
use crate::setup::connect::{self, Action, Ask, Change, Report};
use crate::ui::{Output, Page, State};
use clap::Args;

/// Put umcp into a client's file
///
/// The file is copied first; `umcp client disconnect` and `umcp undo` give it back, byte for byte where nobody changed
/// it since.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp client connect cursor --dry-run\n  umcp client connect claude-code codex --replace\n  umcp client connect vscode --scope project --profile work"
)]
pub struct Connect {
    #[arg(value_name = "CLIENT", required = true)]
    clients: Vec<String>,
    /// The user's file, or the one of the project in this directory
    #[arg(long, value_enum, default_value = "user")]
    scope: ScopeWord,
    /// What the client sees
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Move the client's other servers into umcp
    #[arg(long)]
    replace: bool,
    /// Show the difference and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Take umcp out of a client's file
///
/// When nobody else changed the file since, it becomes what it was before, byte for byte. In one that was changed,
/// umcp's entry goes, servers that umcp had moved are put back, and everything else stays.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp client disconnect cursor")]
pub struct Disconnect {
    #[arg(value_name = "CLIENT", required = true)]
    clients: Vec<String>,
    /// The user's file, or the one of the project in this directory
    #[arg(long, value_enum, default_value = "user")]
    scope: ScopeWord,
    /// Show the difference and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Bring umcp's entries in all clients up to date
///
/// Every client that uses umcp gets the path of this program; profiles and scopes stay.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp client sync --replace")]
pub struct Sync {
    /// Only these clients
    #[arg(value_name = "CLIENT")]
    clients: Vec<String>,
    /// Move servers that stand beside umcp into umcp
    #[arg(long)]
    replace: bool,
    /// Show the difference and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Connect {
    pub fn run(self, ctx: &Context) -> Result<()> {
        if let Some(name) = &self.profile {
            // A profile that does not exist would leave the client without tools.
            if name != environments::DEFAULT {
                ctx.call(Request::from(environments::Request::Show { name: name.clone() }))?;
            }
        }
        let ask = Ask {
            clients: with_file(find(&self.clients)?, ctx)?,
            scope: self.scope.into(),
            profile: self.profile.as_deref(),
            replace: self.replace,
            dry_run: self.dry_run,
            command: format!("umcp client connect {}", self.clients.join(" ")),
        };
        if ask.clients.is_empty() {
            return Ok(());
        }
        let report =
            connect::connect(&ask, &machine(ctx)?, ctx.clock.now(), &mut |request| ctx.call(request))?;
        ctx.ui.show(&report)
    }
}

impl Disconnect {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let ask = Ask {
            clients: find(&self.clients)?,
            scope: self.scope.into(),
            profile: None,
            replace: false,
            dry_run: self.dry_run,
            command: format!("umcp client disconnect {}", self.clients.join(" ")),
        };
        let report =
            connect::disconnect(&ask, &machine(ctx)?, ctx.clock.now(), &mut |request| ctx.call(request))?;
        ctx.ui.show(&report)
    }
}

impl Sync {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let clients = if self.clients.is_empty() { CLIENTS.iter().collect() } else { find(&self.clients)? };
        let ask = Ask {
            clients,
            scope: Scope::User,
            profile: None,
            replace: self.replace,
            dry_run: self.dry_run,
            command: "umcp client sync".into(),
        };
        let report = connect::sync(&ask, &machine(ctx)?, ctx.clock.now(), &mut |request| ctx.call(request))?;
        ctx.ui.show(&report)
    }
}

/// Clients without a file are told what to do instead; alone they are the whole answer.
fn with_file(clients: Vec<&'static Client>, ctx: &Context) -> Result<Vec<&'static Client>> {
    let (with, without): (Vec<&Client>, Vec<&Client>) =
        clients.into_iter().partition(|client| client.format.is_some());
    for client in without {
        let hint = format!("umcp config generate --client {}", client.id);
        if with.is_empty() {
            return Err(Error::new(
                &codes::USAGE,
                format!("{} keeps no file that umcp could edit", client.name),
            )
            .hint(hint));
        }
        ctx.ui.warn(&format!("{} keeps no file that umcp could edit; see `{hint}`", client.name));
    }
    Ok(with)
}

impl Output for Report {
    const KIND: &'static str = "client.changed/1";

    fn human(&self, page: &mut Page) {
        added(page, &self.added, self.dry_run);
        for change in &self.files {
            change.human(page, self.dry_run);
        }
        if self.files.is_empty() {
            page.text("no client uses umcp yet; `umcp client connect NAME` changes that");
        }
        if self.dry_run {
            page.text("nothing was changed (--dry-run)");
        }
        if let Some(id) = self.undo {
            page.text(format!("take it back: umcp undo {id}"));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.files.iter().map(|change| change.client.clone()).collect()
    }
}

/// What to say of a client that finds umcp in two of its files.
pub fn twice(client: &str, path: &str) -> String {
    format!(
        "{client} has umcp from {path} too and lists it twice; umcp client disconnect {client}, with --scope project for the \
         project's file, takes one out"
    )
}

impl Change {
    fn human(&self, page: &mut Page, dry_run: bool) {
        let (client, path) = (&self.client, self.path.display());
        if dry_run && !self.diff.is_empty() {
            page.text(&self.diff);
            return;
        }
        match self.action {
            Action::Connected => page.mark(State::Ok, format!("{client} uses umcp ({path})")),
            Action::Disconnected => {
                page.mark(State::Ok, format!("{client} does not use umcp any more ({path})"))
            }
            Action::Deleted => page.mark(State::Ok, format!("{client}: {path} was umcp's own and is gone")),
            Action::Unchanged => page.mark(State::Off, format!("{client}: {path} was so already")),
        };
        for other in &self.twice {
            page.mark(State::Warn, twice(client, &other.display().to_string()));
        }
        if !self.beside.is_empty() {
            let names = self.beside.join(", ");
            page.mark(
                State::Warn,
                format!("{client} still has servers beside umcp: {names} (--replace moves them)"),
            );
        }
        if let Some(after) = &self.after {
            page.text(format!("in {client}: {after}"));
        }
    }
}
