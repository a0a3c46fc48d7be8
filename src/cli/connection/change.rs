//! The verbs that change accounts: refresh, revoke, use, cleanup.

use super::super::context::Context;
use super::view::{Targets, View};
use super::{all, ask, odd};
use crate::engine::accounts::{AccountReply, AccountRequest, Revoked};
use crate::engine::{self, Reply};
use crate::environments;
use crate::error::{Error, Result, codes};
use crate::integrations::life::{self, Health};
use crate::integrations::{self, Connection, Request};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Get a new token now
#[derive(Debug, Args)]
pub struct Refresh {
    #[arg(value_name = "CONNECTION")]
    name: String,
}

impl Refresh {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match ask(ctx, AccountRequest::Refresh { name: self.name })? {
            AccountReply::Connection(row) => changed(ctx, "refreshed", &row),
            other => odd(&other),
        }
    }
}

/// Choose the account that is used where several fit
///
/// Without a profile or directory it becomes the default of its server or integration.
#[derive(Debug, Args)]
pub struct Use {
    #[arg(value_name = "CONNECTION")]
    name: String,
    /// Only for this profile
    #[arg(long, value_name = "PROFILE")]
    profile: Vec<String>,
    /// Only below this directory
    #[arg(long, value_name = "DIR")]
    directory: Vec<PathBuf>,
}

impl Use {
    pub fn run(self, ctx: &Context) -> Result<()> {
        for profile in self.profile.iter().filter(|profile| *profile != environments::DEFAULT) {
            ctx.call(environments::Request::Show { name: profile.clone() })?;
        }
        let absolute = |directory: PathBuf| {
            std::path::absolute(&directory)
                .map(|path| path.to_string_lossy().into_owned())
                .map_err(|error| crate::paths::io_error("find", &directory, &error))
        };
        let directories = self.directory.into_iter().map(absolute).collect::<Result<_>>()?;
        match ctx.call(Request::Use { name: self.name, profiles: self.profile, directories })? {
            Reply::Integration(integrations::Reply::Connection(row)) => changed(ctx, "using", &row),
            other => engine::unexpected(&other),
        }
    }
}

fn changed(ctx: &Context, verb: &'static str, row: &Connection) -> Result<()> {
    let view = View::new(row, &Targets::load(ctx)?, ctx.clock.now());
    ctx.ui.show(&Changed { view, verb })
}

#[derive(Serialize)]
#[serde(transparent)]
struct Changed {
    view: View,
    #[serde(skip)]
    verb: &'static str,
}

impl Output for Changed {
    const KIND: &'static str = "connection.changed/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("{} {} for {}", self.verb, self.view.name, self.view.target));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.view.name.clone()]
    }
}

/// Take tokens back at the provider and forget the accounts
#[derive(Debug, Args)]
pub struct Revoke {
    #[arg(value_name = "CONNECTION", required = true)]
    names: Vec<String>,
    /// Forget them here without asking the provider
    #[arg(long)]
    local: bool,
}

impl Revoke {
    pub fn run(self, ctx: &Context) -> Result<()> {
        if !ctx.ui.confirm(&format!("Revoke {}?", self.names.join(", ")), false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was revoked"));
        }
        revoke(ctx, self.names, self.local)
    }
}

fn revoke(ctx: &Context, names: Vec<String>, local: bool) -> Result<()> {
    match ask(ctx, AccountRequest::Revoke { names, local })? {
        AccountReply::Revoked(revoked) => ctx.ui.show(&Gone(revoked)),
        other => odd(&other),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Gone(Vec<Revoked>);

impl Output for Gone {
    const KIND: &'static str = "connection.revoked/1";

    fn human(&self, page: &mut Page) {
        for gone in &self.0 {
            match &gone.detail {
                None => page.mark(State::Ok, format!("revoked {}", gone.name)),
                Some(why) => page
                    .mark(State::Warn, format!("forgot {}; not revoked at the provider: {why}", gone.name)),
            };
        }
        if self.0.is_empty() {
            page.text("nothing to clean up");
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|gone| gone.name.clone()).collect()
    }
}

/// Revoke and forget accounts that are of no use any more
///
/// Those are the ones whose token has ended for good, and with `--stale` those nobody has used for so many days.
#[derive(Debug, Args)]
pub struct Cleanup {
    /// Also those nobody has used for so many days
    #[arg(long, value_name = "DAYS")]
    stale: Option<u64>,
}

impl Cleanup {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let now = ctx.clock.now();
        let useless = |row: &Connection| {
            let dead =
                matches!(life::health(row, now), Health::Expired | Health::NeedsSignIn | Health::Revoked);
            dead || self.stale.is_some_and(|days| life::is_stale(row, days, now))
        };
        let names: Vec<String> = all(ctx)?.into_iter().filter(useless).map(|row| row.name).collect();
        if names.is_empty() {
            return ctx.ui.show(&Gone(Vec::new()));
        }
        let question = format!("Revoke {} ({})?", text::plural(names.len(), "account"), names.join(", "));
        if !ctx.ui.confirm(&question, false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was revoked"));
        }
        revoke(ctx, names, false)
    }
}
