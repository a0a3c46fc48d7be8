//! A connection as it is shown: everything but its tokens.

use super::super::context::Context;
use crate::clock::Timestamp;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::integrations::life::{self, Health};
use crate::integrations::model::Grant;
use crate::integrations::{self, Connection, Integration, Request, Target};
use crate::servers::Server;
use crate::ui::State;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct View {
    pub id: String,
    pub name: String,
    /// `server NAME` or `integration NAME`.
    pub target: String,
    pub user: Option<String>,
    pub state: &'static str,
    pub default: bool,
    pub profiles: Vec<String>,
    pub directories: Vec<String>,
    pub kind: &'static str,
    pub flow: Grant,
    pub issuer: Option<String>,
    pub scopes: Vec<String>,
    pub wanted_scopes: Vec<String>,
    pub expires: Option<String>,
    pub renews_itself: bool,
    pub last_used: Option<String>,
    pub signed_in: String,
    pub refreshes: u64,
    pub last_error: Option<String>,
    pub oddities: Vec<String>,
    #[serde(skip)]
    pub health: Health,
    #[serde(skip)]
    pub ends: Option<Timestamp>,
    #[serde(skip)]
    pub used: Option<Timestamp>,
}

/// Names of what connections are for.
pub struct Targets {
    servers: Vec<Server>,
    integrations: Vec<Integration>,
}

impl Targets {
    pub fn load(ctx: &Context) -> Result<Self> {
        let integrations = match ctx.call(Request::Integrations)? {
            Reply::Integration(integrations::Reply::Integrations(all)) => all,
            other => return engine::unexpected(&other),
        };
        Ok(Self { servers: super::super::known::all_servers(ctx)?, integrations })
    }

    fn name(&self, target: &Target) -> String {
        match target {
            Target::Server(id) => {
                let found = self.servers.iter().find(|server| server.id == *id);
                format!("server {}", found.map_or(id.as_str(), |server| server.name.as_str()))
            }
            Target::Integration(id) => {
                let found = self.integrations.iter().find(|one| one.id == *id);
                format!("integration {}", found.map_or(id.as_str(), |one| one.name.as_str()))
            }
        }
    }
}

impl View {
    pub fn new(row: &Connection, targets: &Targets, now: Timestamp) -> Self {
        let health = life::health(row, now);
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            target: targets.name(&row.target),
            user: row.user.clone(),
            state: health.word(),
            default: row.chosen,
            profiles: row.profiles.clone(),
            directories: row.directories.clone(),
            kind: row.kind.word(),
            flow: row.grant,
            issuer: row.endpoints.issuer.clone(),
            scopes: row.scopes.clone(),
            wanted_scopes: row.wanted.clone(),
            expires: row.expires.map(Timestamp::rfc3339),
            renews_itself: row.refreshable,
            last_used: row.last_used.map(Timestamp::rfc3339),
            signed_in: row.obtained.rfc3339(),
            refreshes: row.refreshes,
            last_error: row.last_error.clone(),
            oddities: life::oddities(row, now),
            health,
            ends: row.expires,
            used: row.last_used,
        }
    }

    pub fn mark(&self) -> State {
        match self.health {
            Health::Ready | Health::Renewable => State::Ok,
            Health::Expiring => State::Warn,
            Health::Expired | Health::NeedsSignIn => State::Fail,
            Health::Revoked => State::Off,
        }
    }
}

/// What `status` says of accounts somebody should look after, each with the command that helps.
pub fn warnings(rows: &[Connection], now: Timestamp) -> Vec<String> {
    let warned = rows.iter().filter(|row| life::health(row, now).is_warning());
    warned
        .map(|row| {
            let state = life::health(row, now).word();
            format!("connection {}: {state} (umcp connection create {})", row.name, row.name)
        })
        .collect()
}
