//! `umcp server remove`: says what goes with a server, and asks where it would be missed.

use super::super::connection;
use super::super::context::Context;
use super::super::tool::pins;
use super::change::change;
use crate::apps::{self, App};
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::glob;
use crate::integrations::Target;
use crate::servers::model::Transport;
use crate::servers::{self, Server};
use crate::setup::scan::plain_keys;
use crate::tools::{self, Preference};
use crate::ui::text::plural;
use clap::Args;
use std::collections::BTreeMap;

/// Remove servers, with what is stored about their tools
///
/// Where names hold `*`, or keys, accounts or an app go with a server for good, it asks first, or takes `--yes` for an
/// answer. On a terminal it also asks where an approval or the settings of its tools go.
#[derive(Debug, Args)]
pub struct Remove {
    #[arg(value_name = "SERVER", required = true)]
    names: Vec<String>,
}

/// What goes with servers, one line each.
#[derive(Default)]
struct Goes {
    /// Nothing brings it back.
    lost: Vec<String>,
    /// It is soon made again.
    made: Vec<String>,
}

impl Remove {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let goes = self.goes(ctx)?;
        let several = self.names.iter().any(|name| name.contains('*'));
        let missed = !goes.made.is_empty() && ctx.ui.can_ask();
        if several || missed || !goes.lost.is_empty() {
            goes.lost.iter().chain(&goes.made).for_each(|line| ctx.ui.note(line));
            let names = self.names.join(" ");
            let question = match several {
                true => format!("Remove every server that fits {names}?"),
                false => format!("Remove {names}, with all that?"),
            };
            if !ctx.ui.confirm(&question, false, "--yes")? {
                return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was removed"));
            }
        }
        change(ctx, "removed", servers::Request::Remove { names: self.names })
    }

    fn goes(&self, ctx: &Context) -> Result<Goes> {
        let servers = super::super::known::all_servers(ctx)?;
        let meant = |server: &&Server| {
            let fits = |name: &String| *name == server.id || glob::fits(name, &server.name);
            self.names.iter().any(fits)
        };
        let apps = apps(ctx)?;
        let (accounts, pins) = (connection::all(ctx)?, pins::read(ctx)?);
        let preferences = preferences(ctx)?;
        let mut goes = Goes::default();
        for server in servers.iter().filter(meant) {
            let Server { id, name, .. } = server;
            let keys = plain_keys(server);
            if !keys.is_empty() {
                goes.lost.push(format!("with {name} goes what stands only there: {}", keys.join(", ")));
            }
            let target = Target::Server(id.clone());
            for account in accounts.iter().filter(|account| account.target == target) {
                goes.lost.push(format!("with {name} goes the account {}, signed in to it", account.name));
            }
            let also = |other: &Server| other.id != *id && other.transport == server.transport;
            if let Transport::App { name: app } = &server.transport
                && !servers.iter().any(also)
            {
                let line = format!("with {name} goes its definition (umcp app show {name})");
                // What came from a file or an address can be had from there again.
                match apps.iter().any(|known| known.name == *app && known.origin.is_some()) {
                    true => goes.made.push(line),
                    false => goes.lost.push(line),
                }
            }
            if pins.get(id).is_some_and(|pins| pins.approved.is_some()) {
                goes.made.push(format!("with {name} goes your approval of it and of its tools"));
            }
            let set = preferences.get(id).map_or(0, BTreeMap::len);
            if set > 0 {
                goes.made.push(format!("with {name} goes what you set for {}", plural(set, "tool")));
            }
        }
        Ok(goes)
    }
}

fn apps(ctx: &Context) -> Result<Vec<App>> {
    match ctx.call(apps::Request::List)? {
        Reply::App(apps::Reply::Apps(apps)) => Ok(apps),
        other => engine::unexpected(&other),
    }
}

/// By server id, then tool.
fn preferences(ctx: &Context) -> Result<BTreeMap<String, BTreeMap<String, Preference>>> {
    match ctx.call(tools::Request::Preferences)? {
        Reply::Tool(tools::Reply::Preferences(preferences)) => Ok(preferences),
        other => engine::unexpected(&other),
    }
}
