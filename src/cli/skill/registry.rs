//! `skill registry`: where skills are offered. A folder, a git repository or an address with an `index.json`; a folder
//! or repository without one is looked through for skills, such as those of Claude plugins.

use super::fetch::offers;
use super::{ask, registries, unexpected};
use crate::cli::catalog::git::checked;
use crate::cli::catalog::reading::web_address;
use crate::cli::context::Context;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use crate::skills::model::{Place, Registry};
use crate::skills::{Reply, Request, is_name};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::collections::BTreeSet;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp skill registry add team /srv/skills\n  umcp skill registry add community github:acme/skills\n  umcp skill registry refresh"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List registries
    #[command(alias = "ls")]
    List,
    Add(Add),
    /// Remove registries; installed skills stay
    #[command(aliases = ["rm", "delete"])]
    Remove(Names),
    Refresh(Refresh),
}

/// Add a registry, and read it
///
/// TARGET is a folder, a git repository (`github:OWNER/REPO`, or an address that ends in .git), or the address of a
/// folder with an `index.json`.
#[derive(Debug, Args)]
struct Add {
    /// What to call it; skills are installed as NAME/SKILL
    #[arg(value_name = "NAME")]
    name: String,
    #[arg(value_name = "TARGET")]
    target: String,
    /// The branch or tag of a git repository
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// It stands in a network of your own, such as a company's
    #[arg(long)]
    allow_private: bool,
}

#[derive(Debug, Args)]
struct Names {
    #[arg(value_name = "REGISTRY", required = true)]
    names: Vec<String>,
}

/// Read registries again
#[derive(Debug, Args)]
struct Refresh {
    /// All, if none is named
    #[arg(value_name = "REGISTRY")]
    names: Vec<String>,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => show(ctx, "", registries(ctx)?),
            Verb::Add(add) => add.run(ctx),
            Verb::Remove(Names { names }) => {
                let known = registries(ctx)?;
                if let Some(name) = names.iter().find(|name| known.iter().all(|it| it.name != **name)) {
                    return Err(not_found(name));
                }
                if !ctx.ui.confirm(&format!("Remove {}?", names.join(", ")), false, "--yes")? {
                    return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was removed"));
                }
                let mut gone = Vec::new();
                for name in names {
                    gone.extend(rows(ask(ctx, Request::RemoveRegistry { name })?)?);
                }
                show(ctx, "removed", gone)
            }
            Verb::Refresh(refresh) => refresh.run(ctx),
        }
    }
}

fn not_found(name: &str) -> Error {
    Error::new(&codes::REGISTRY_NOT_FOUND, format!("no registry named `{name}`"))
        .hint("umcp skill registry list")
}

fn rows(reply: Reply) -> Result<Vec<Registry>> {
    match reply {
        Reply::Registries(rows) => Ok(rows),
        other => unexpected(other),
    }
}

impl Add {
    fn run(self, ctx: &Context) -> Result<()> {
        if !is_name(&self.name) {
            let message = format!("`{}` is no name of a registry", self.name);
            return Err(Error::new(&codes::NAME_INVALID, message)
                .hint("lower-case letters, digits and single hyphens, such as team"));
        }
        let place = place(&self.target, self.branch, self.allow_private)?;
        // Read before it is added: one that cannot be read is a slip.
        let (offers, remarks) = offers(ctx, &place)?;
        let read = Some(ctx.clock.now());
        let registry = Registry { name: self.name, place, read, offers, remarks };
        let added = rows(ask(ctx, Request::AddRegistry { registry: Box::new(registry) })?)?;
        show(ctx, "added", added)
    }
}

fn place(target: &str, branch: Option<String>, private: bool) -> Result<Place> {
    let short = ["github", "gitlab"].iter().find_map(|host| {
        target.strip_prefix(&format!("{host}:")).map(|path| format!("https://{host}.com/{path}"))
    });
    let url = short.clone().unwrap_or_else(|| target.into());
    let git = short.is_some() || branch.is_some() || url.ends_with(".git") || url.starts_with("ssh://");
    if git {
        return Ok(Place::Git { url: checked(&url)?, branch });
    }
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok(Place::Http { url: web_address(&url)?, private });
    }
    let path = std::path::absolute(target).map_err(|error| io_error("find", target.as_ref(), &error))?;
    match path.is_dir() {
        true => Ok(Place::Folder { path: path.to_string_lossy().into_owned() }),
        false => Err(Error::new(&codes::FILE_NOT_FOUND, format!("there is no folder `{target}`"))),
    }
}

impl Refresh {
    fn run(self, ctx: &Context) -> Result<()> {
        let known = registries(ctx)?;
        if let Some(name) = self.names.iter().find(|name| known.iter().all(|it| it.name != **name)) {
            return Err(not_found(name));
        }
        let (mut read, mut failed, mut first) = (Vec::new(), 0, None);
        for registry in known.iter().filter(|it| self.names.is_empty() || self.names.contains(&it.name)) {
            match offers(ctx, &registry.place) {
                Ok((offers, remarks)) => {
                    let (name, at) = (registry.name.clone(), ctx.clock.now());
                    read.extend(rows(ask(ctx, Request::Offers { name, offers, remarks, at })?)?);
                }
                Err(error) => {
                    failed += 1;
                    ctx.ui.warn(&format!("{}: {error}", registry.name));
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            None => show(ctx, "read", read),
            Some(error) if read.is_empty() => Err(error),
            Some(_) => {
                show(ctx, "read", read)?;
                Err(Error::new(
                    &codes::PARTIAL,
                    format!("{failed} could not be read; their old offers are kept"),
                ))
            }
        }
    }
}

#[derive(Serialize)]
struct View {
    name: String,
    kind: &'static str,
    target: String,
    skills: usize,
    versions: usize,
    read: Option<String>,
    remarks: Vec<String>,
    #[serde(skip)]
    at: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All {
    #[serde(skip)]
    verb: &'static str,
    #[serde(skip)]
    now: Timestamp,
    registries: Vec<View>,
}

fn show(ctx: &Context, verb: &'static str, rows: Vec<Registry>) -> Result<()> {
    let view = |row: Registry| View {
        kind: row.place.word(),
        target: row.place.target().into(),
        skills: row.offers.iter().map(|it| &it.name).collect::<BTreeSet<_>>().len(),
        versions: row.offers.len(),
        read: row.read.map(Timestamp::rfc3339),
        remarks: row.remarks,
        at: row.read,
        name: row.name,
    };
    ctx.ui.show(&All { verb, now: ctx.clock.now(), registries: rows.into_iter().map(view).collect() })
}

impl Output for All {
    const KIND: &'static str = "skill.registry/1";

    fn human(&self, page: &mut Page) {
        if !self.verb.is_empty() {
            for it in &self.registries {
                page.mark(
                    State::Ok,
                    format!("{} {}: {}", self.verb, it.name, text::plural(it.skills, "skill")),
                );
                for remark in it.remarks.iter().take(20) {
                    page.mark(State::Warn, remark);
                }
            }
            return;
        }
        let columns = [
            Column::new("name"),
            Column::new("kind"),
            Column::new("skills").right(),
            Column::new("read").optional(1),
            Column::new("target").optional(2).wraps(),
        ];
        let mut table = Table::new("no registries; add one: umcp skill registry add NAME TARGET", columns);
        for it in &self.registries {
            table.row([
                Cell::from(&it.name),
                it.kind.into(),
                it.skills.to_string().into(),
                it.at.map_or(String::new(), |at| text::ago(self.now, at)).into(),
                Cell::from(&it.target),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.registries.iter().map(|it| it.name.clone()).collect()
    }
}
