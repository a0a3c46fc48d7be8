//! `umcp secret list` and `get`: names with what uses them, and one value where it is asked for.

use super::super::context::Context;
use super::{CliVault, used_by};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::secrets;
use crate::ui::{Column, Output, Page, Table, text};
use clap::Args;
use serde::Serialize;

/// List the names of secrets and what uses them; never their values
#[derive(Debug, Default, Args)]
#[command(alias = "ls")]
pub struct List {
    /// Also what umcp keeps for itself, such as the tokens of connections
    #[arg(long)]
    all: bool,
}

/// Print one value, after a question or with --reveal
#[derive(Debug, Args)]
pub struct Get {
    #[arg(value_name = "SECRET")]
    name: String,
    /// Print it without asking
    #[arg(long)]
    reveal: bool,
}

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let servers = super::servers(ctx)?;
        let view = |secret: secrets::Info| View {
            used_by: used_by(&servers, &secret.name),
            created: secret.created.rfc3339(),
            changed: secret.changed.rfc3339(),
            internal: secrets::is_internal(&secret.name),
            name: secret.name,
            at: secret.changed,
        };
        let secrets = super::all(ctx, self.all)?.into_iter().map(view).collect();
        ctx.ui.show(&Secrets { now: ctx.clock.now(), secrets })
    }
}

impl Get {
    pub fn run(self, ctx: &Context, vault: &CliVault<'_>) -> Result<()> {
        let name = self.name;
        let known = super::all(ctx, true)?;
        if !known.iter().any(|secret| secret.name == name) {
            return Err(secrets::not_found(&name, known.iter().map(|secret| secret.name.as_str())));
        }
        if !self.reveal && !ctx.ui.confirm(&format!("Show the value of {name} here?"), false, "--reveal")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, format!("the value of `{name}` was not shown")));
        }
        let value = vault.get(&name)?;
        let value = value.ok_or_else(|| secrets::not_found(&name, std::iter::empty()))?;
        ctx.ui.show(&Value { name, value: value.reveal().into() })
    }
}

#[derive(Serialize)]
struct View {
    name: String,
    created: String,
    changed: String,
    /// Servers that refer to it.
    used_by: Vec<String>,
    /// Kept by umcp for itself.
    internal: bool,
    #[serde(skip)]
    at: Timestamp,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Secrets {
    secrets: Vec<View>,
    #[serde(skip)]
    now: Timestamp,
}

impl Output for Secrets {
    const KIND: &'static str = "secret.list/1";

    fn human(&self, page: &mut Page) {
        let columns =
            [Column::new("secret"), Column::new("used by").wraps(), Column::new("changed").optional(1)];
        let mut table = Table::new("no secrets yet; store one: umcp secret set NAME", columns);
        for secret in &self.secrets {
            table.row([
                secret.name.as_str().into(),
                super::names(&secret.used_by),
                text::ago(self.now, secret.at).into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.secrets.iter().map(|secret| secret.name.clone()).collect()
    }
}

/// The one place where a value is shown.
#[derive(Serialize)]
struct Value {
    name: String,
    value: String,
}

impl Output for Value {
    const KIND: &'static str = "secret.value/1";

    fn human(&self, page: &mut Page) {
        page.text(&self.value);
    }

    fn exact(&self) -> Option<String> {
        Some(self.value.clone())
    }

    fn ids(&self) -> Vec<String> {
        vec![self.value.clone()]
    }
}
