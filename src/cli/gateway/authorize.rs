//! `umcp gateway authorize`: the one-time code with which the owner allows a remote client at the consent page.

use super::super::context::{self, Context};
use crate::engine::live::{Live, LiveReply};
use crate::environments;
use crate::error::Result;
use crate::policy::scope::Scopes;
use crate::ui::{Output, Page};
use clap::Args;
use serde::Serialize;

/// Make a one-time code that allows a remote client
///
/// A connector that knows only the endpoint's address sends you to a page of umcp, which asks for this code. The code is good for
/// one client, for ten minutes; a new one ends the one before. `umcp token list` shows what was granted, `umcp token revoke` ends it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp gateway authorize --profile work --scope tools:read,tools:call")]
pub struct Authorize {
    /// The only profile the client may reach
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// What it may have of what it asks for; all of it by default
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scope: Vec<String>,
}

impl Authorize {
    pub fn run(self, ctx: &Context) -> Result<()> {
        if let Some(profile) = &self.profile {
            ctx.call(environments::Request::Show { name: profile.clone() })?;
        }
        let scopes = match self.scope.is_empty() {
            true => Scopes::ALL,
            false => Scopes::parse(self.scope.iter().map(|word| word.trim()))?,
        };
        match ctx.live(Live::Invite { profile: self.profile, scopes })? {
            LiveReply::Invited { code, until } => ctx.ui.show(&Invited { code, until: until.rfc3339() }),
            other => context::unexpected(&other),
        }
    }
}

#[derive(Serialize)]
struct Invited {
    code: String,
    until: String,
}

impl Output for Invited {
    const KIND: &'static str = "gateway.authorize/1";

    fn human(&self, page: &mut Page) {
        page.text(&self.code);
        page.text(format!(
            "type it at the page that the client opened; good for one client, until {}",
            self.until
        ));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.code.clone()]
    }
}
