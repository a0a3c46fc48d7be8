//! `umcp secret`: keys and passwords in the encrypted vault. Values come from a hidden prompt, a file or standard
//! input; never from the command line, where every program of this machine can read them, and never from a variable.

mod backend;
mod change;
mod export;
mod import;
mod list;
mod rotate;
mod scan;
mod set;
mod value;

use super::context::Context;
use crate::clock::Timestamp;
use crate::engine::vault::{Ask, Places, Vault};
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::sealing::{Secret, program};
use crate::secrets;
use crate::servers::{self, references};
use crate::ui::Cell;
use clap::{Args, Subcommand};
pub use scan::tell_plain;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  umcp secret set GITHUB_TOKEN
  op read op://work/github/token | umcp secret set GITHUB_TOKEN -
  umcp server add gh --url https://example.com/mcp --header 'Authorization=Bearer secret://GITHUB_TOKEN'")]
pub struct Command {
    /// Take the passphrase from this file instead of asking: the vault's, or that of the file of `export` and `import`
    #[arg(long, alias = "file-passphrase", global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::List),
    Set(set::Set),
    Get(list::Get),
    Delete(change::Delete),
    Rename(change::Rename),
    Rotate(rotate::Rotate),
    Scan(scan::Scan),
    Import(import::Import),
    Export(export::Export),
    /// Show and choose what opens the vault
    Backend(backend::Command),
    Unlock(backend::Unlock),
    Lock(backend::Lock),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let verb = self.verb.unwrap_or(Verb::List(list::List::default()));
        let (of_vault, of_file) = match &verb {
            Verb::Export(command) => command.passphrases(self.passphrase_file),
            Verb::Import(command) => command.passphrases(self.passphrase_file),
            _ => (self.passphrase_file, None),
        };
        let asker = Asker { ctx, passphrase_file: of_vault };
        let vault = Vault::new(asker, Places::from_env(&ctx.paths));
        match verb {
            Verb::List(command) => command.run(ctx),
            Verb::Set(command) => command.run(ctx, &vault),
            Verb::Get(command) => command.run(ctx, &vault),
            Verb::Delete(command) => command.run(ctx),
            Verb::Rename(command) => command.run(ctx, &vault),
            Verb::Rotate(command) => command.run(ctx, &vault),
            Verb::Scan(command) => command.run(ctx, &vault),
            Verb::Import(command) => command.run(ctx, &vault, of_file),
            Verb::Export(command) => command.run(ctx, &vault, of_file),
            Verb::Backend(command) => command.run(ctx, &vault),
            Verb::Unlock(command) => command.run(ctx, &vault),
            Verb::Lock(command) => command.run(ctx),
        }
    }
}

/// The vault of the command line: sealed values go to the daemon or the store, the key stays in this process.
type CliVault<'a> = Vault<Asker<'a>>;

struct Asker<'a> {
    ctx: &'a Context,
    passphrase_file: Option<PathBuf>,
}

impl Ask for Asker<'_> {
    fn ask(&self, request: secrets::Request) -> Result<secrets::Reply> {
        match self.ctx.call(request)? {
            Reply::Secret(reply) => Ok(reply),
            other => engine::unexpected(&other),
        }
    }

    fn now(&self) -> Timestamp {
        self.ctx.clock.now()
    }

    fn passphrase(&self) -> Option<Result<Secret>> {
        Some(match &self.passphrase_file {
            Some(path) => program::file(path),
            None => {
                let answer = self.ctx.ui.password("Passphrase of the vault", "--passphrase-file FILE");
                answer.map(Secret::new)
            }
        })
    }
}

/// Stores a value for another command, over one that is there.
pub fn keep(ctx: &Context, name: &str, value: &Secret) -> Result<()> {
    set::check(name)?;
    let vault = Vault::new(Asker { ctx, passphrase_file: None }, Places::from_env(&ctx.paths));
    let known = all(ctx, true)?.iter().any(|secret| secret.name == name);
    vault.put(name, value, known).map(drop)
}

/// All secrets, with umcp's own only when asked for.
fn all(ctx: &Context, own: bool) -> Result<Vec<secrets::Info>> {
    match ctx.call(secrets::Request::List)? {
        Reply::Secret(secrets::Reply::List(mut all)) => {
            all.retain(|secret| own || !secrets::is_internal(&secret.name));
            Ok(all)
        }
        other => engine::unexpected(&other),
    }
}

/// Names of the servers that refer to a secret.
fn used_by(servers: &[servers::Server], name: &str) -> Vec<String> {
    let uses = |server: &&servers::Server| references::secrets(server).iter().any(|used| used == name);
    servers.iter().filter(uses).map(|server| server.name.clone()).collect()
}

fn servers(ctx: &Context) -> Result<Vec<servers::Server>> {
    crate::setup::servers(&mut |request| ctx.call(request))
}

fn names(names: &[String]) -> Cell {
    if names.is_empty() { "–".into() } else { names.join(", ").into() }
}
