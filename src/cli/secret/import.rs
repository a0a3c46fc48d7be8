//! `umcp secret import`: many values at once, from a file of variables or a keyring.

use super::super::context::Context;
use super::{CliVault, export, set};
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use crate::sealing::{Secret, bundle, program};
use crate::secrets::{self, dotenv};
use crate::setup::doctor::vault::protection;
use crate::ui::{Output, Page, State, text};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The service under which universal-mcp keeps its keys in the keyring of the desktop.
const UNIVERSAL_MCP: &str = "universal_mcp";
/// Largest file that is read.
const MOST: u64 = 8 << 20;

/// Store the values of a file of NAME=VALUE lines, of an export, or of the keyring
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  umcp secret import --from env .env
  umcp secret import --from env
  umcp secret import --from export backup.json
  umcp secret import --from keyring TAVILY_API_KEY GITHUB_API_KEY")]
pub struct Import {
    /// `env`: a file, or umcp's own secrets.env if none is named; `export`: a file of `secret export`; `keyring`: entries of universal-mcp, by name
    #[arg(long, value_enum, default_value = "env")]
    from: From,
    #[arg(value_name = "FILE|NAME")]
    items: Vec<String>,
    /// Take the vault's passphrase from this file, where --passphrase-file is for the export
    #[arg(long, value_name = "FILE")]
    vault_passphrase_file: Option<PathBuf>,
    /// Replace secrets that are there already, rather than leaving them
    #[arg(long)]
    replace: bool,
    /// Show the names that would be stored
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum From {
    Env,
    Export,
    Keyring,
}

impl Import {
    /// Whose passphrase `--passphrase-file` gives: without an export there is the vault's only.
    pub fn passphrases(&self, given: Option<PathBuf>) -> export::Passphrases {
        let vault = self.vault_passphrase_file.clone();
        if self.from == From::Export { (vault, given) } else { (vault.or(given), None) }
    }

    /// `passphrase`: the file that holds the passphrase of an export.
    pub fn run(self, ctx: &Context, vault: &CliVault<'_>, passphrase: Option<PathBuf>) -> Result<()> {
        let (pairs, file) = match self.from {
            From::Env => {
                let (pairs, file) = self.of_file(ctx)?;
                (pairs, Some(file))
            }
            From::Export => (self.of_export(ctx, passphrase.as_deref())?, None),
            From::Keyring => (self.of_keyring()?, None),
        };
        let known = super::all(ctx, true)?;
        let mut report =
            Imported { dry_run: self.dry_run, stored: vec![], kept: vec![], empty: vec![], file };
        let mut put = Vec::new();
        for (name, value) in pairs {
            set::check(&name)?;
            if value.is_empty() {
                report.empty.push(name);
            } else if !self.replace && known.iter().any(|secret| secret.name == name) {
                report.kept.push(name);
            } else {
                report.stored.push(name.clone());
                put.push((name, value));
            }
        }
        if !self.dry_run {
            let first = vault.look()?.slots.is_empty();
            for (name, value) in put {
                vault.put(&name, &value, true)?;
            }
            if first && let Some(slot) = vault.look()?.slots.first() {
                ctx.ui.note(&protection(&slot.slot.guard, &vault.places));
            }
        }
        ctx.ui.show(&report)
    }

    fn of_file(&self, ctx: &Context) -> Result<(Vec<(String, Secret)>, PathBuf)> {
        let path = match self.items.as_slice() {
            [] => ctx.paths.secrets_file(),
            [path] => PathBuf::from(path),
            _ => return Err(Error::new(&codes::USAGE, "`--from env` takes one file")),
        };
        let text = read(&path)?;
        let found = dotenv::read(text.reveal());
        for line in &found.odd {
            ctx.ui.warn(&format!("{}: line {line} is no NAME=VALUE and was left out", path.display()));
        }
        Ok((found.pairs, path))
    }

    fn of_export(&self, ctx: &Context, passphrase: Option<&Path>) -> Result<Vec<(String, Secret)>> {
        let [path] = self.items.as_slice() else {
            return Err(Error::new(&codes::USAGE, "`--from export` takes one file"));
        };
        let path = Path::new(path);
        let text = read(path)?;
        if !bundle::is_one(text.reveal()) {
            let message = format!("`{}` is no export of secrets", path.display());
            return Err(Error::new(&codes::FILE_INVALID, message)
                .hint(format!("umcp secret import --from env {}", path.display())));
        }
        bundle::unlock(text.reveal(), &export::passphrase_of(ctx, passphrase)?)
    }

    fn of_keyring(&self) -> Result<Vec<(String, Secret)>> {
        if self.items.is_empty() {
            return Err(Error::new(&codes::USAGE, "a keyring does not tell its names; which ones?")
                .hint("umcp secret import --from keyring TAVILY_API_KEY"));
        }
        let value = |name: &String| {
            secrets::check_name(name)?;
            let words = look_up(name).map(|words| words.map(String::from).to_vec());
            let words = words.ok_or_else(|| {
                Error::new(&codes::SECRET_SOURCE, "umcp cannot read the keyring of this system")
                    .hint("umcp secret set NAME")
            })?;
            let value = program::run(&words, program::DEADLINE).map_err(|error| {
                Error { message: format!("the keyring has no `{name}` of {UNIVERSAL_MCP}"), ..error.clone() }
                    .because(error)
            })?;
            Ok((name.clone(), value))
        };
        self.items.iter().map(value).collect()
    }
}

/// The look-up of one entry; what is secret comes back on a pipe.
fn look_up(name: &str) -> Option<[&str; 6]> {
    if cfg!(target_os = "macos") {
        return Some(["security", "find-generic-password", "-ws", UNIVERSAL_MCP, "-a", name]);
    }
    let linux = ["secret-tool", "lookup", "service", UNIVERSAL_MCP, "username", name];
    cfg!(target_os = "linux").then_some(linux)
}

fn read(path: &Path) -> Result<Secret> {
    let meta = std::fs::metadata(path).map_err(|error| io_error("read", path, &error))?;
    if meta.len() > MOST {
        return Err(Error::new(&codes::FILE_TOO_LARGE, format!("`{}` is larger than 8 MiB", path.display())));
    }
    std::fs::read_to_string(path).map(Secret::new).map_err(|error| io_error("read", path, &error))
}

#[derive(Serialize)]
struct Imported {
    dry_run: bool,
    stored: Vec<String>,
    /// Left as they are, since a secret of that name is there.
    kept: Vec<String>,
    /// Without a value, so not stored.
    empty: Vec<String>,
    file: Option<PathBuf>,
}

impl Output for Imported {
    const KIND: &'static str = "secret.import/1";

    fn human(&self, page: &mut Page) {
        let verb = if self.dry_run { "would store" } else { "stored" };
        for name in &self.stored {
            page.mark(State::Ok, format!("{verb} {name}"));
        }
        for name in &self.kept {
            page.mark(State::Off, format!("{name} is there already; --replace takes the new value"));
        }
        for name in &self.empty {
            page.mark(State::Off, format!("{name} has no value"));
        }
        page.text(format!("{} {verb}", text::plural(self.stored.len(), "secret")));
        if let Some(file) = self.file.as_ref().filter(|_| !self.dry_run && !self.stored.is_empty()) {
            page.text(format!("{} still holds the plain values; delete it once all works", file.display()));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.stored.clone()
    }
}
