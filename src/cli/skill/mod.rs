//! `umcp skill`: skills of agents, kept once for all of them. One file per group of verbs.

mod create;
mod execute;
mod fetch;
mod install;
mod list;
mod rate;
mod registry;
mod remove;
mod share;
mod sign;
mod sync;
mod test;
mod update;
mod validate;

use super::context::Context;
use crate::engine::{self, Reply as Answer};
use crate::error::Result;
use crate::setup::skills as files;
use crate::skills::bundle::Files;
use crate::skills::model::{Installed, Publisher, Registry, Skill};
use crate::skills::whole::{self, Whole};
use crate::skills::{self, Reply, Request};
use clap::{Args, Subcommand};
use std::path::Path;

/// Keep skills once for all agents, versioned and signed, and run them
///
/// A skill is a folder with a `SKILL.md` that tells an agent how to do something, and perhaps a `skill.yaml` with steps
/// that umcp runs itself. Installed skills are offered to every client of the endpoint; `umcp skill sync` links them
/// into the folders of clients that read skills from disk.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp skill create greet\n  umcp skill install ./greet\n  umcp skill execute greet --input who=Ada\n  umcp skill sync"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(alias = "ls")]
    List(list::List),
    Search(list::Search),
    #[command(alias = "show")]
    Info(list::Info),
    #[command(alias = "add")]
    Install(install::Install),
    #[command(aliases = ["remove", "rm", "delete"])]
    Uninstall(remove::Uninstall),
    #[command(alias = "upgrade")]
    Update(update::Update),
    Rollback(remove::Rollback),
    #[command(alias = "run")]
    Execute(execute::Execute),
    #[command(alias = "new")]
    Create(create::Create),
    Validate(validate::Validate),
    Test(test::Test),
    Export(share::Export),
    Import(install::Import),
    Sign(sign::Sign),
    Verify(sign::Verify),
    Trust(sign::Trust),
    Publish(share::Publish),
    /// Add and read registries of skills
    #[command(alias = "registries")]
    Registry(registry::Command),
    Rate(rate::Rate),
    Stats(rate::Stats),
    Sync(sync::Sync),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(list::List::default())) {
            Verb::List(verb) => verb.run(ctx),
            Verb::Search(verb) => verb.run(ctx),
            Verb::Info(verb) => verb.run(ctx),
            Verb::Install(verb) => verb.run(ctx),
            Verb::Uninstall(verb) => verb.run(ctx),
            Verb::Update(verb) => verb.run(ctx),
            Verb::Rollback(verb) => verb.run(ctx),
            Verb::Execute(verb) => verb.run(ctx),
            Verb::Create(verb) => verb.run(ctx),
            Verb::Validate(verb) => verb.run(ctx),
            Verb::Test(verb) => verb.run(ctx),
            Verb::Export(verb) => verb.run(ctx),
            Verb::Import(verb) => verb.run(ctx),
            Verb::Sign(verb) => verb.run(ctx),
            Verb::Verify(verb) => verb.run(ctx),
            Verb::Trust(verb) => verb.run(ctx),
            Verb::Publish(verb) => verb.run(ctx),
            Verb::Registry(verb) => verb.run(ctx),
            Verb::Rate(verb) => verb.run(ctx),
            Verb::Stats(verb) => verb.run(ctx),
            Verb::Sync(verb) => verb.run(ctx),
        }
    }
}

fn ask(ctx: &Context, request: Request) -> Result<Reply> {
    match ctx.call(request)? {
        Answer::Skill(reply) => Ok(reply),
        other => engine::unexpected(&other),
    }
}

fn unexpected<T>(reply: Reply) -> Result<T> {
    engine::unexpected(&Answer::Skill(reply))
}

fn all(ctx: &Context) -> Result<Vec<Skill>> {
    match ask(ctx, Request::List)? {
        Reply::Skills(skills) => Ok(skills),
        other => unexpected(other),
    }
}

fn find(ctx: &Context, name: &str) -> Result<Skill> {
    match ask(ctx, Request::Show { name: name.into() })? {
        Reply::Skill(skill) => Ok(*skill),
        other => unexpected(other),
    }
}

fn publishers(ctx: &Context) -> Result<Vec<Publisher>> {
    match ask(ctx, Request::Publishers)? {
        Reply::Publishers(publishers) => Ok(publishers),
        other => unexpected(other),
    }
}

fn registries(ctx: &Context) -> Result<Vec<Registry>> {
    match ask(ctx, Request::Registries)? {
        Reply::Registries(registries) => Ok(registries),
        other => unexpected(other),
    }
}

/// A version of an installed skill: that one, or the one in use.
fn version<'a>(skill: &'a Skill, version: Option<&str>) -> Result<&'a Installed> {
    match version {
        Some(version) => skills::known(skill, version),
        None => skill.current(),
    }
}

/// A word that means a path rather than a name: a folder that happens to lie here takes no installed skill's place.
fn is_path(word: &str) -> bool {
    word.contains(['/', '\\']) || word == "." || word == ".." || is_bundle(word)
}

/// A file that is a bundle by its name.
fn is_bundle(word: &str) -> bool {
    let word = word.to_lowercase();
    word.ends_with(".zip") || word.ends_with(".skill")
}

/// The files of a folder, a bundle or an installed skill, and what they say.
fn look(ctx: &Context, word: &str) -> Result<(Files, Whole)> {
    let files = content(ctx, word)?;
    let whole = whole::read(&files, word)?;
    Ok((files, whole))
}

fn content(ctx: &Context, word: &str) -> Result<Files> {
    if !is_path(word) {
        let skill = match find(ctx, word) {
            Ok(skill) => skill,
            // One that is being written, named from beside it.
            Err(_) if Path::new(word).join(whole::TEXT).is_file() => {
                return files::read_folder(Path::new(word));
            }
            Err(error) => return Err(error),
        };
        return files::intact(&ctx.paths, &skill.name, skill.current()?);
    }
    match is_bundle(word) {
        true => files::unpack(&files::read_bundle(Path::new(word))?),
        false => files::read_folder(Path::new(word)),
    }
}
