//! `umcp secret export`: values out of the vault into one file, sealed under a passphrase or, on a clear word, plain.
//! Rule: plain values go to a terminal or into a file that only its owner can read, never into a pipe.

use super::super::context::Context;
use super::CliVault;
use crate::error::{Error, Result, codes};
use crate::paths::{io_error, write_atomic};
use crate::sealing::{Secret, bundle, program};
use crate::secrets::{self, dotenv};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Write secrets into a file, under a passphrase of its own
///
/// The file can be carried anywhere and is read back by `umcp secret import --from export FILE`. Accounts are not in it:
/// sign in anew. With `--plain` it is a file of NAME=VALUE lines that anybody who sees it can use.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  umcp secret export backup.json
  umcp secret export backup.json GITHUB_TOKEN TAVILY_KEY --passphrase-file pass.txt
  umcp secret export --plain .env --yes")]
pub struct Export {
    /// Where to write; without a file, `--plain` shows the values on the terminal
    #[arg(value_name = "FILE", required_unless_present = "plain")]
    file: Option<PathBuf>,
    /// Only these; else all but those umcp keeps for itself
    #[arg(value_name = "SECRET")]
    names: Vec<String>,
    /// Write the values as they are
    #[arg(long)]
    plain: bool,
    /// Take the vault's passphrase from this file, where --passphrase-file is for the file
    #[arg(long, value_name = "FILE")]
    vault_passphrase_file: Option<PathBuf>,
}

/// Where two passphrases come from: the vault's, and that of the file.
pub type Passphrases = (Option<PathBuf>, Option<PathBuf>);

impl Export {
    /// Whose passphrase `--passphrase-file` gives: without a sealed file there is the vault's only.
    pub fn passphrases(&self, given: Option<PathBuf>) -> Passphrases {
        let vault = self.vault_passphrase_file.clone();
        if self.plain { (vault.or(given), None) } else { (vault, given) }
    }

    /// `passphrase`: the file that holds the passphrase.
    pub fn run(self, ctx: &Context, vault: &CliVault<'_>, passphrase: Option<PathBuf>) -> Result<()> {
        let known: Vec<String> = super::all(ctx, false)?.into_iter().map(|secret| secret.name).collect();
        for name in &self.names {
            if !known.contains(name) {
                return Err(secrets::not_found(name, known.iter().map(String::as_str)));
            }
        }
        let names = if self.names.is_empty() { known } else { self.names.clone() };
        self.check_place(ctx)?;
        let passphrase = if self.plain { None } else { Some(new_passphrase(ctx, passphrase.as_deref())?) };
        let value = |name: &String| {
            let value = vault.get(name)?.ok_or_else(|| secrets::not_found(name, std::iter::empty()))?;
            Ok((name.clone(), value))
        };
        let pairs: Vec<(String, Secret)> = names.iter().map(value).collect::<Result<_>>()?;
        let document = match &passphrase {
            Some(passphrase) => Secret::new(bundle::lock(&pairs, passphrase)?),
            None => Secret::new(dotenv::write(&pairs)),
        };
        let Some(file) = &self.file else { return ctx.ui.raw(document.reveal()) };
        write(file, document.reveal())?;
        ctx.ui.show(&Exported { file: file.clone(), names, sealed: !self.plain })
    }

    /// Whether the values may go where they are to go.
    fn check_place(&self, ctx: &Context) -> Result<()> {
        if self.file.is_none() && (ctx.ui.is_json() || !std::io::stdout().is_terminal()) {
            let message = "plain values go to a terminal or into a file, and this is neither";
            return Err(Error::new(&codes::USAGE, message).hint("umcp secret export --plain FILE --yes"));
        }
        let question = match (&self.file, self.plain) {
            (Some(file), _) if file.exists() => format!("Write over {}?", file.display()),
            (Some(file), true) => format!("Write the values as they are into {}?", file.display()),
            (None, _) => "Show all values here?".into(),
            (Some(_), false) => return Ok(()),
        };
        match ctx.ui.confirm(&question, false, "--yes")? {
            true => Ok(()),
            false => Err(Error::new(&codes::NOT_CONFIRMED, "nothing was written")),
        }
    }
}

fn new_passphrase(ctx: &Context, file: Option<&Path>) -> Result<Secret> {
    let given = match file {
        Some(path) => program::file(path)?,
        None => {
            let flag = "--passphrase-file FILE";
            let first = Secret::new(ctx.ui.password("Passphrase for the file", flag)?);
            if Secret::new(ctx.ui.password("The same again", flag)?) != first {
                return Err(Error::new(&codes::VALUE_INVALID, "the two passphrases differ"));
            }
            first
        }
    };
    match given.is_empty() {
        true => Err(Error::new(&codes::VALUE_INVALID, "an empty passphrase protects nothing")),
        false => Ok(given),
    }
}

/// The passphrase a file was written with.
pub fn passphrase_of(ctx: &Context, file: Option<&Path>) -> Result<Secret> {
    match file {
        Some(path) => program::file(path),
        None => ctx.ui.password("Passphrase of the file", "--passphrase-file FILE").map(Secret::new),
    }
}

/// Only the owner may read it, whatever stood there before.
fn write(file: &Path, text: &str) -> Result<()> {
    if file.exists() {
        std::fs::remove_file(file).map_err(|error| io_error("replace", file, &error))?;
    }
    write_atomic(file, text.as_bytes())
}

#[derive(Serialize)]
struct Exported {
    file: PathBuf,
    names: Vec<String>,
    /// Under a passphrase.
    sealed: bool,
}

impl Output for Exported {
    const KIND: &'static str = "secret.export/1";

    fn human(&self, page: &mut Page) {
        let count = text::plural(self.names.len(), "secret");
        page.mark(State::Ok, format!("wrote {count} to {}", self.file.display()));
        match self.sealed {
            true => page.text(format!(
                "without its passphrase nobody reads it; umcp secret import --from export {}",
                self.file.display()
            )),
            false => page.text("whoever reads the file has the values; delete it once it is used"),
        };
    }

    fn ids(&self) -> Vec<String> {
        self.names.clone()
    }
}
