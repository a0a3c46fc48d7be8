//! `umcp catalog source`: where entries come from.

use super::{ask, reading, refresh, sources, unexpected};
use crate::catalogue::{Origin, Reply as Answer, Request, Source};
use crate::cli::context::Context;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::servers::spec::url_name;
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

#[derive(Debug, Args)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List sources
    #[command(alias = "ls")]
    List,
    Add(Add),
    /// Remove a source and its entries
    #[command(aliases = ["rm", "delete"])]
    Remove(Name),
    /// Search a source again
    Enable(Name),
    /// Keep a source, but neither search nor refresh it
    Disable(Name),
}

/// Add a source of entries
///
/// TARGET is a file or folder, the address of a document, a git repository (`github:OWNER/REPO`, or an address that ends
/// in .git), or a registry that speaks the API of the official one. What it holds may be umcp's own list, `server.json`,
/// or a Claude plugin marketplace.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp catalog source add ./team.yaml\n  umcp catalog source add github:acme/plugins --name acme\n  umcp catalog source add https://registry.example.com --name company"
)]
struct Add {
    #[arg(value_name = "TARGET")]
    target: String,
    /// Call it this instead of a name made from TARGET
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Take TARGET for this instead of finding out
    #[arg(long, value_name = "KIND", value_enum)]
    kind: Option<Kind>,
    /// The branch or tag of a git repository
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// It stands in a network of your own, such as a company's registry
    #[arg(long)]
    allow_private: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Kind {
    File,
    Url,
    Git,
    Registry,
}

#[derive(Debug, Args)]
struct Name {
    #[arg(value_name = "SOURCE")]
    name: String,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => ctx.ui.show(&Sources { now: ctx.clock.now(), sources: sources(ctx)? }),
            Verb::Add(add) => add.run(ctx),
            Verb::Remove(Name { name }) => {
                let question = format!("Remove the source {name} and its entries?");
                if !ctx.ui.confirm(&question, false, "--yes")? {
                    return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was removed"));
                }
                change(ctx, "removed", Request::RemoveSource { name })
            }
            Verb::Enable(Name { name }) => {
                change(ctx, "enabled", Request::EnableSource { name, enabled: true })
            }
            Verb::Disable(Name { name }) => {
                change(ctx, "disabled", Request::EnableSource { name, enabled: false })
            }
        }
    }
}

impl Add {
    fn run(self, ctx: &Context) -> Result<()> {
        let origin = origin(&self.target, self.kind, self.branch)?;
        let name = self.name.unwrap_or_else(|| name_of(&origin));
        let source = Source { private: self.allow_private, ..Source::new(name.clone(), origin) };
        let known = sources(ctx)?.iter().any(|known| known.name == name);
        // Read before it is added: a source that cannot be read is a slip. A registry is read when the user says so.
        let read = match &source.origin {
            Origin::Registry { .. } => None,
            _ if known => None,
            _ => Some(reading::read(ctx, &source)?),
        };
        ask(ctx, Request::AddSource { source: Box::new(source) })?;
        match read {
            Some(read) => {
                let outcome = refresh::keep(ctx, &name, read)?;
                ctx.ui.show(&Changed {
                    what: "added",
                    name,
                    entries: Some(outcome.entries),
                    refused: outcome.refused.len(),
                })
            }
            None => ctx.ui.show(&Changed { what: "added", name, entries: None, refused: 0 }),
        }
    }
}

/// What a target is.
fn origin(target: &str, kind: Option<Kind>, branch: Option<String>) -> Result<Origin> {
    let short = ["github", "gitlab"].iter().find_map(|host| {
        target.strip_prefix(&format!("{host}:")).map(|path| format!("https://{host}.com/{path}"))
    });
    let target = short.as_deref().unwrap_or(target).trim();
    let kind = kind.unwrap_or_else(|| guess(target, short.is_some() || branch.is_some()));
    if branch.is_some() && kind != Kind::Git {
        return Err(Error::new(&codes::USAGE, "only a git repository has branches").hint("--kind git"));
    }
    match kind {
        Kind::File => {
            let path = std::path::absolute(target)
                .map_err(|error| crate::paths::io_error("find", target.as_ref(), &error))?;
            Ok(Origin::File { path: path.to_string_lossy().into_owned() })
        }
        Kind::Git => Ok(Origin::Git { url: super::git::checked(target)?, branch }),
        Kind::Url => Ok(Origin::Url { url: reading::web_address(target)? }),
        Kind::Registry => Ok(Origin::Registry { url: reading::web_address(target)? }),
    }
}

fn guess(target: &str, git: bool) -> Kind {
    let web = target.starts_with("https://") || target.starts_with("http://");
    let path = target.split(['?', '#']).next().unwrap_or(target);
    let ends = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end));
    let of_forge = ["https://github.com/", "https://gitlab.com/"].iter().any(|forge| {
        target.strip_prefix(forge).is_some_and(|rest| rest.trim_end_matches('/').split('/').count() == 2)
    });
    let over_ssh = target.starts_with("ssh://") || target.starts_with("git@");
    if git || over_ssh || of_forge || ends(&[".git"]) && (web || target.starts_with("file://")) {
        Kind::Git
    } else if web && ends(&[".json", ".yaml", ".yml"]) {
        Kind::Url
    } else if web {
        Kind::Registry
    } else {
        Kind::File
    }
}

/// A name for a source nobody named.
fn name_of(origin: &Origin) -> String {
    let place = origin.place().trim_end_matches('/').trim_end_matches(".git");
    let word = match origin {
        Origin::Registry { .. } => url_name(place),
        _ => {
            let last = place.rsplit(['/', ':', '\\']).next().unwrap_or(place);
            last.split('.').next().unwrap_or(last).to_string()
        }
    };
    let tame: String = word
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' })
        .take(40)
        .collect();
    let tame = tame.trim_matches('-').to_string();
    if tame.is_empty() { "source".into() } else { tame }
}

fn change(ctx: &Context, what: &'static str, request: Request) -> Result<()> {
    match ask(ctx, request)? {
        Answer::Source(source) => {
            ctx.ui.show(&Changed { what, name: source.name, entries: Some(source.entries), refused: 0 })
        }
        other => unexpected(&other),
    }
}

#[derive(Serialize)]
struct Changed {
    what: &'static str,
    name: String,
    /// `None`: it has not been read yet.
    entries: Option<u64>,
    refused: usize,
}

impl Output for Changed {
    const KIND: &'static str = "catalog.source.changed/1";

    fn human(&self, page: &mut Page) {
        match self.entries {
            Some(entries) => {
                let count = text::plural(usize::try_from(entries).unwrap_or(usize::MAX), "entry");
                page.mark(State::Ok, format!("{} {} with {count}", self.what, self.name));
            }
            None => {
                page.mark(State::Ok, format!("{} {}", self.what, self.name));
                page.text(format!("read it: umcp catalog refresh {}", self.name));
            }
        }
        if self.refused > 0 {
            page.mark(
                State::Warn,
                format!("{} could not be taken", text::plural(self.refused, "more entry")),
            );
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Sources {
    sources: Vec<Source>,
    #[serde(skip)]
    now: Timestamp,
}

impl Output for Sources {
    const KIND: &'static str = "catalog.source.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("source"),
            Column::new("state"),
            Column::new("kind").optional(2),
            Column::new("entries").right(),
            Column::new("read"),
            Column::new("place").optional(1),
        ];
        let mut table = Table::new("no sources", columns);
        for source in &self.sources {
            let state = if source.enabled { (State::Ok, "enabled") } else { (State::Off, "disabled") };
            let read = match (source.refreshed, &source.origin) {
                _ if source.pending.is_some() => "in part".into(),
                (Some(at), _) => text::ago(self.now, at),
                (None, Origin::Bundled) => String::new(),
                (None, _) => "never".into(),
            };
            table.row([
                Cell::from(&source.name),
                Cell::state(state.0, state.1),
                source.origin.word().into(),
                text::number(source.entries).into(),
                read.into(),
                source.origin.place().into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.sources.iter().map(|source| source.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_tells_what_it_is() {
        for (target, word, name) in [
            ("https://registry.example.com", "registry", "example"),
            ("http://127.0.0.1:8080/", "registry", "server"),
            ("https://example.com/team/list.yaml", "url", "list"),
            ("https://example.com/c.json?x=1", "url", "c"),
            ("github:acme/Plugins", "git", "plugins"),
            ("https://github.com/acme/plugins", "git", "plugins"),
            ("https://git.example.com/x/y.git", "git", "y"),
            ("git@example.com:team/list.git", "git", "list"),
            ("./team.yaml", "file", "team"),
        ] {
            let origin = origin(target, None, None).unwrap();
            assert_eq!((origin.word(), name_of(&origin).as_str()), (word, name), "{target}");
        }
    }

    #[test]
    fn a_target_that_would_do_more_is_refused() {
        for target in
            ["http://example.com", "https://user:key@example.com", "ftp://example.com/x.json", "https://"]
        {
            assert!(origin(target, Some(Kind::Registry), None).is_err(), "{target}");
        }
        for target in [
            "ext::sh -c evil",
            "--upload-pack=evil",
            "http://example.com/x.git",
            "git@-oProxy:x",
            "ssh://-x/y",
        ] {
            assert!(origin(target, Some(Kind::Git), None).is_err(), "{target}");
        }
    }
}
