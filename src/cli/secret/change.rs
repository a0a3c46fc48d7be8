//! `umcp secret delete` and `rename`.

use super::super::context::Context;
use super::{CliVault, used_by};
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::secrets::{self, Request};
use crate::servers::{self, references};
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;

/// Delete secrets for good
#[derive(Debug, Args)]
#[command(aliases = ["rm", "remove"])]
pub struct Delete {
    #[arg(value_name = "SECRET", required = true)]
    names: Vec<String>,
}

/// Give a secret another name, in the servers that use it too
#[derive(Debug, Args)]
#[command(alias = "mv")]
pub struct Rename {
    #[arg(value_name = "SECRET")]
    from: String,
    #[arg(value_name = "NAME")]
    to: String,
}

impl Delete {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let known = super::all(ctx, true)?;
        for name in &self.names {
            if !known.iter().any(|secret| secret.name == *name) {
                return Err(secrets::not_found(name, known.iter().map(|secret| secret.name.as_str())));
            }
        }
        let servers = super::servers(ctx)?;
        let mut users: Vec<String> = self.names.iter().flat_map(|name| used_by(&servers, name)).collect();
        users.sort();
        users.dedup();
        let uses = match users.is_empty() {
            true => String::new(),
            false => format!(" {} will not start without it.", users.join(", ")),
        };
        if !ctx.ui.confirm(&format!("Delete {} for good?{uses}", self.names.join(", ")), false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was deleted"));
        }
        match ctx.call(Request::Delete { names: self.names })? {
            Reply::Secret(secrets::Reply::Deleted(gone)) => {
                let secrets = gone.into_iter().map(|secret| Changed { name: secret.name }).collect();
                ctx.ui.show(&All { secrets, verb: "deleted", used_by: users })
            }
            other => engine::unexpected(&other),
        }
    }
}

impl Rename {
    pub fn run(self, ctx: &Context, vault: &CliVault<'_>) -> Result<()> {
        let Self { from, to } = self;
        super::set::check(&to)?;
        let known = super::all(ctx, true)?;
        let value = vault.get(&from)?;
        let value = value
            .ok_or_else(|| secrets::not_found(&from, known.iter().map(|secret| secret.name.as_str())))?;
        let value = vault.seal(&to, &value)?;
        let servers = super::servers(ctx)?;
        let used_by = used_by(&servers, &from);
        ctx.call(Request::Rename { from: from.clone(), to: to.clone(), value, at: ctx.clock.now() })?;
        for mut server in servers {
            if references::rename(&mut server, &from, &to) {
                ctx.call(servers::Request::Update { server: Box::new(server) })?;
            }
        }
        ctx.ui.show(&All { secrets: vec![Changed { name: to }], verb: "renamed to", used_by })
    }
}

#[derive(Serialize)]
struct Changed {
    name: String,
}

#[derive(Serialize)]
struct All {
    secrets: Vec<Changed>,
    /// Servers that refer to it: by its new name, where there is one.
    used_by: Vec<String>,
    #[serde(skip)]
    verb: &'static str,
}

impl Output for All {
    const KIND: &'static str = "secret.changed/1";

    fn human(&self, page: &mut Page) {
        for secret in &self.secrets {
            page.mark(State::Ok, format!("{} {}", self.verb, secret.name));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.secrets.iter().map(|secret| secret.name.clone()).collect()
    }
}
