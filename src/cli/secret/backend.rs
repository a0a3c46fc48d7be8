//! `umcp secret backend`, `unlock` and `lock`: what opens the vault, and who has its key.

use super::super::context::Context;
use super::CliVault;
use super::rotate::remove;
use crate::engine::live::{Live, VaultKey};
use crate::error::{Error, Result, codes};
use crate::sealing::{DataKey, Guard, Secret, keyfile, program, slots};
use crate::setup::doctor::vault::protection;
use crate::ui::{Column, Output, Page, State, Table, text};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show what opens the vault
    #[command(alias = "ls")]
    List,
    /// Print a fresh key, for a program that keeps it
    NewKey,
    Set(Choose),
}

/// Choose what opens the vault; secrets are not touched
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  umcp secret backend set passphrase
  umcp secret backend set key-file --path /media/stick/umcp.key
  umcp secret backend set command -- secret-tool lookup app umcp")]
struct Choose {
    #[arg(value_enum, value_name = "KIND")]
    kind: Kind,
    /// Where the key file is, or shall be; beside the store if left out
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
    /// Take the new passphrase from this file instead of asking
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// A program and its arguments
    #[arg(last = true, value_name = "COMMAND", required_if_eq("kind", "command"))]
    words: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A random key in an owner-only file; asks nothing
    KeyFile,
    /// A passphrase, asked for once after each start of the daemon
    Passphrase,
    /// The key that a program prints, such as the look-up of a keyring
    Command,
}

/// Give the key of a locked vault to the daemon, until it ends
#[derive(Debug, Args)]
pub struct Unlock {}

/// Make the daemon drop the key; running servers keep what they have
#[derive(Debug, Args)]
pub struct Lock {}

impl Command {
    pub fn run(self, ctx: &Context, vault: &CliVault<'_>) -> Result<()> {
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => list(ctx, vault),
            Verb::NewKey => {
                ctx.ui.show(&NewKey { key: keyfile::line(&DataKey::generate()).trim_end().into() })
            }
            Verb::Set(chosen) => chosen.run(ctx, vault),
        }
    }
}

fn list(ctx: &Context, vault: &CliVault<'_>) -> Result<()> {
    let seen = vault.look()?;
    let slots = seen.slots.iter().map(|slot| {
        let place = match &slot.slot.guard {
            Guard::KeyFile { path } => Some(vault.places.file(path.as_deref()).display().to_string()),
            Guard::Passphrase { .. } => None,
            Guard::Command { words } => words.first().cloned(),
        };
        let ready = match &slot.slot.guard {
            Guard::KeyFile { .. } => {
                vault.wrapping(&slot.slot.guard).and_then(|key| slot.slot.open(&key)).is_ok()
            }
            // Neither is a question worth asking here, nor a program worth running.
            Guard::Passphrase { .. } | Guard::Command { .. } => true,
        };
        let (kind, since) = (slot.slot.guard.word(), slot.created.rfc3339());
        Slot { kind, place, ready, since, protects: protection(&slot.slot.guard, &vault.places) }
    });
    ctx.ui.show(&Slots { secrets: seen.secrets, slots: slots.collect() })
}

impl Choose {
    fn run(self, ctx: &Context, vault: &CliVault<'_>) -> Result<()> {
        // Whoever cannot open it now cannot change it either, and no key file is made on the way.
        if vault.look()?.secrets > 0 {
            vault.key()?;
        }
        let stray = |flag: &str, kind: &str| {
            Err(Error::new(&codes::USAGE, format!("`{flag}` belongs to `umcp secret backend set {kind}`")))
        };
        if self.path.is_some() && self.kind != Kind::KeyFile {
            return stray("--path", "key-file");
        }
        if self.new_passphrase_file.is_some() && self.kind != Kind::Passphrase {
            return stray("--new-passphrase-file", "passphrase");
        }
        if !self.words.is_empty() && self.kind != Kind::Command {
            return stray("--", "command");
        }
        let (guard, wrapping) = match self.kind {
            Kind::KeyFile => key_file(vault, self.path)?,
            Kind::Passphrase => {
                let passphrase = new_passphrase(ctx, self.new_passphrase_file.as_ref())?;
                let guard = Guard::passphrase();
                let Guard::Passphrase { salt, memory_kib, passes } = &guard else {
                    return Err(Error::bug("a passphrase guard is none"));
                };
                let key = slots::derive(&passphrase, salt, *memory_kib, *passes)?;
                (guard, key)
            }
            Kind::Command => {
                let guard = Guard::Command { words: self.words };
                let key = vault.wrapping(&guard)?;
                (guard, key)
            }
        };
        change(ctx, vault, guard, &wrapping)
    }
}

/// The key file of a path, made where there is none; one that the environment names is only read.
fn key_file(vault: &CliVault<'_>, path: Option<PathBuf>) -> Result<(Guard, DataKey)> {
    let absolute = |path: PathBuf| {
        std::path::absolute(&path).map_err(|error| crate::paths::io_error("find", &path, &error))
    };
    let path = path.map(absolute).transpose()?.map(|path| path.display().to_string());
    let key = match vault.places.named {
        Some(_) => vault.wrapping(&Guard::KeyFile { path: None })?,
        None => keyfile::create(&vault.places.file(path.as_deref()))?,
    };
    Ok((Guard::KeyFile { path }, key))
}

fn change(ctx: &Context, vault: &CliVault<'_>, guard: Guard, wrapping: &DataKey) -> Result<()> {
    let question = "Only this will open the vault from now on, and a key file beside the store goes. Go on?";
    if !vault.look()?.slots.is_empty() && !ctx.ui.confirm(question, true, "--yes")? {
        return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was changed"));
    }
    let kind = guard.word();
    let protects = protection(&guard, &vault.places);
    let changed = vault.guard(guard, wrapping)?;
    for path in &changed.idle {
        remove(path)?;
    }
    // The data key is the same: a daemon that has it goes on, one that cannot find it any more is given it.
    if let Some(key) = vault.key()? {
        ctx.live_if_running(Live::Unlock { key: VaultKey::new(&key) })?;
    }
    ctx.ui.show(&Chosen { kind, protects, removed: changed.idle })
}

fn new_passphrase(ctx: &Context, file: Option<&PathBuf>) -> Result<Secret> {
    let passphrase = match file {
        Some(path) => program::file(path)?,
        None => {
            let flag = "--new-passphrase-file FILE";
            let first = Secret::new(ctx.ui.password("New passphrase of the vault", flag)?);
            if first != Secret::new(ctx.ui.password("The same once more", flag)?) {
                return Err(Error::new(
                    &codes::VALUE_INVALID,
                    "the two passphrases differ; nothing was changed",
                ));
            }
            first
        }
    };
    if passphrase.reveal().chars().count() < 8 {
        return Err(Error::new(
            &codes::VALUE_INVALID,
            "a passphrase has at least 8 characters; nothing was changed",
        ));
    }
    Ok(passphrase)
}

impl Unlock {
    pub fn run(self, ctx: &Context, vault: &CliVault<'_>) -> Result<()> {
        let seen = vault.look()?;
        let asks = |guard: &Guard| matches!(guard, Guard::Passphrase { .. });
        if !seen.slots.iter().any(|slot| asks(&slot.slot.guard)) {
            let what = match seen.slots.first() {
                Some(slot) => protection(&slot.slot.guard, &vault.places),
                None => "there is no vault yet; the first secret makes one".into(),
            };
            return ctx
                .ui
                .show(&Door { open: !seen.slots.is_empty(), what: format!("nothing to unlock: {what}") });
        }
        let key = vault.key()?.ok_or_else(|| Error::bug("a vault with slots has no key"))?;
        ctx.live(Live::Unlock { key: VaultKey::new(&key) })?;
        ctx.ui.show(&Door {
            open: true,
            what: "the daemon has the key until it ends, or `umcp secret lock`".into(),
        })
    }
}

impl Lock {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let what = match ctx.live_if_running(Live::Lock)? {
            Some(_) => "the daemon has dropped the key; a key file would be read again at the next use",
            None => "no daemon runs, so nobody holds the key",
        };
        ctx.ui.show(&Door { open: false, what: what.into() })
    }
}

#[derive(Serialize)]
struct Slot {
    /// `key-file`, `passphrase` or `command`.
    kind: &'static str,
    /// The file or the program.
    place: Option<String>,
    /// Whether it would open the vault now, as far as can be told without asking.
    ready: bool,
    since: String,
    protects: String,
}

#[derive(Serialize)]
struct Slots {
    /// All secrets, umcp's own too.
    secrets: u64,
    slots: Vec<Slot>,
}

impl Output for Slots {
    const KIND: &'static str = "secret.backend/1";

    fn human(&self, page: &mut Page) {
        let columns = [Column::new("opened by"), Column::new("state"), Column::new("place").wraps()];
        let mut table =
            Table::new("there is no vault yet; the first secret makes one, with a key file", columns);
        for slot in &self.slots {
            let state = if slot.ready { (State::Ok, "ready") } else { (State::Fail, "does not open it") };
            table.row([
                slot.kind.into(),
                crate::ui::Cell::state(state.0, state.1),
                slot.place.clone().unwrap_or_else(|| "asked for".into()).into(),
            ]);
        }
        page.table(table);
        if !self.slots.is_empty() {
            page.text(format!(
                "{} inside",
                text::plural(usize::try_from(self.secrets).unwrap_or(usize::MAX), "secret")
            ));
        }
        for slot in &self.slots {
            page.text(&slot.protects);
        }
    }

    fn ids(&self) -> Vec<String> {
        self.slots.iter().map(|slot| slot.kind.to_string()).collect()
    }
}

/// A key that opens nothing yet.
#[derive(Serialize)]
struct NewKey {
    key: String,
}

impl Output for NewKey {
    const KIND: &'static str = "secret.backend.new-key/1";

    fn human(&self, page: &mut Page) {
        page.text(&self.key);
    }

    fn exact(&self) -> Option<String> {
        Some(self.key.clone())
    }

    fn ids(&self) -> Vec<String> {
        vec![self.key.clone()]
    }
}

#[derive(Serialize)]
struct Chosen {
    kind: &'static str,
    protects: String,
    /// Key files that are gone.
    removed: Vec<PathBuf>,
}

impl Output for Chosen {
    const KIND: &'static str = "secret.backend.set/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, &self.protects);
        for path in &self.removed {
            page.text(format!("removed {}; only older backups of the store need it", path.display()));
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.kind.into()]
    }
}

#[derive(Serialize)]
struct Door {
    /// Whether the daemon can open secrets now.
    open: bool,
    #[serde(rename = "message")]
    what: String,
}

impl Output for Door {
    const KIND: &'static str = "secret.door/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, &self.what);
    }
}
