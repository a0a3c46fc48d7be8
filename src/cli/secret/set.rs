//! `umcp secret set`: a value into the vault, which the first one makes.

use super::super::context::Context;
use super::value::Value;
use super::{CliVault, used_by};
use crate::error::{Error, Result, codes};
use crate::secrets::{self, Info};
use crate::setup::doctor::vault::protection;
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;

/// Store a value, asked for without showing it
///
/// The first one makes the vault: a random key seals every value, and an owner-only key file beside the store opens it,
/// so that no question is asked. `umcp secret backend set passphrase` protects it better.
#[derive(Debug, Args)]
pub struct Set {
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    value: Value,
}

impl Set {
    pub fn run(self, ctx: &Context, vault: &CliVault<'_>) -> Result<()> {
        let name = &self.name;
        check(name)?;
        let known = super::all(ctx, true)?.iter().any(|secret| secret.name == *name);
        let value = self.value.read(ctx, name)?;
        if known && !ctx.ui.confirm(&format!("Replace the value of {name}?"), false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, format!("the value of `{name}` was kept")));
        }
        let first = vault.look()?.slots.is_empty();
        let info = vault.put(name, &value, known)?;
        if first && let Some(slot) = vault.look()?.slots.first() {
            ctx.ui.note(&protection(&slot.slot.guard, &vault.places));
        }
        stored(ctx, "stored", info)
    }
}

/// Names that umcp keeps for itself are not set by hand.
pub fn check(name: &str) -> Result<()> {
    secrets::check_name(name)?;
    if secrets::is_internal(name) {
        let message = format!("names like `{name}` belong to umcp itself");
        return Err(Error::new(&codes::NAME_INVALID, message)
            .hint(format!("a name must not begin with {}", secrets::INTERNAL.join(", "))));
    }
    Ok(())
}

/// Shows a secret that has a new value.
pub fn stored(ctx: &Context, verb: &'static str, info: Info) -> Result<()> {
    let used_by = used_by(&super::servers(ctx)?, &info.name);
    ctx.ui.show(&Stored {
        name: info.name,
        created: info.created.rfc3339(),
        changed: info.changed.rfc3339(),
        used_by,
        verb,
    })
}

#[derive(Serialize)]
struct Stored {
    name: String,
    created: String,
    changed: String,
    /// Servers that refer to it; those that run start anew at their next use.
    used_by: Vec<String>,
    #[serde(skip)]
    verb: &'static str,
}

impl Output for Stored {
    const KIND: &'static str = "secret.stored/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("{} {}", self.verb, self.name));
        if self.used_by.is_empty() {
            page.text(format!("use it as secret://{}", self.name));
        } else {
            page.text(format!("{} will start with it at the next use", self.used_by.join(", ")));
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}
