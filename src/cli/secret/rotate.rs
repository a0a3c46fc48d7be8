//! `umcp secret rotate`: another value for one secret, or another key for all of them.

use super::super::context::Context;
use super::value::Value;
use super::{CliVault, set};
use crate::engine::live::{Live, VaultKey};
use crate::error::{Error, Result, codes};
use crate::secrets;
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Give a secret a new value, or seal everything with a new key
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp secret rotate GITHUB_TOKEN\n  umcp secret rotate --key")]
pub struct Rotate {
    #[arg(value_name = "SECRET", required_unless_present = "key")]
    name: Option<String>,
    #[command(flatten)]
    value: Value,
    /// Seal every secret with a new key; a key file beside the store is replaced too
    #[arg(long, conflicts_with_all = ["name", "value_file"])]
    key: bool,
}

impl Rotate {
    pub fn run(self, ctx: &Context, vault: &CliVault<'_>) -> Result<()> {
        let Some(name) = &self.name else { return rekey(ctx, vault) };
        set::check(name)?;
        let known = super::all(ctx, true)?;
        if !known.iter().any(|secret| secret.name == *name) {
            return Err(secrets::not_found(name, known.iter().map(|secret| secret.name.as_str())));
        }
        let value = self.value.read(ctx, name)?;
        set::stored(ctx, "replaced", vault.put(name, &value, true)?)
    }
}

fn rekey(ctx: &Context, vault: &CliVault<'_>) -> Result<()> {
    if !ctx.ui.confirm("Seal every secret with a new key? Backups keep the old one.", false, "--yes")? {
        return Err(Error::new(&codes::NOT_CONFIRMED, "the key was kept"));
    }
    let (key, changed) = vault.rekey()?;
    // A daemon that holds the old key would ask for a passphrase it cannot be told.
    ctx.live_if_running(Live::Unlock { key: VaultKey::new(&key) })?;
    for path in &changed.idle {
        remove(path)?;
    }
    ctx.ui.show(&Rekeyed { secrets: changed.values, removed: changed.idle })
}

/// Removes a key file that opens nothing any more.
pub fn remove(path: &std::path::Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(crate::paths::io_error("remove", path, &error))
        }
        _ => Ok(()),
    }
}

#[derive(Serialize)]
struct Rekeyed {
    /// How many values were sealed anew.
    secrets: usize,
    /// Key files that are gone.
    removed: Vec<PathBuf>,
}

impl Output for Rekeyed {
    const KIND: &'static str = "secret.rekeyed/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("{} sealed with a new key", text::plural(self.secrets, "secret")));
        for path in &self.removed {
            page.text(format!("removed {}, which opens nothing any more", path.display()));
        }
    }
}
