//! `umcp profile`: named sets of servers and tools, and who gets which.

use super::context::{self, Context};
use super::known::all_servers;
use crate::clients::CLIENTS;
use crate::engine::live::{Live, LiveReply};
use crate::engine::{self, Reply};
use crate::environments::{self, DEFAULT, Mode, Profile, Request, There};
use crate::error::Result;
use crate::ui::{Cell, Column, Output, Page, State, Table};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp profile create work --tag work --mode search\n  umcp profile use work --client cursor"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List profiles
    #[command(alias = "ls")]
    List,
    /// Create a profile
    #[command(aliases = ["new", "add"])]
    Create(Change),
    /// Show a profile
    #[command(alias = "info")]
    Show(Name),
    /// Change a profile; what is not given stays
    #[command(alias = "edit")]
    Update(Change),
    Use(Use),
    /// Delete profiles
    #[command(aliases = ["rm", "remove"])]
    Delete(Names),
}

/// What `delete` says it did; `default` cannot go and is said to be reset.
const DELETED: &str = "deleted";

#[derive(Debug, Args)]
struct Name {
    #[arg(value_name = "PROFILE")]
    name: String,
}

#[derive(Debug, Args)]
struct Names {
    #[arg(value_name = "PROFILE", required = true)]
    names: Vec<String>,
}

/// What a profile holds. A list that is given replaces the list that was; an empty word empties it.
#[derive(Debug, Args)]
struct Change {
    #[arg(value_name = "PROFILE")]
    name: String,
    /// Show these servers; patterns may hold `*`
    #[arg(long, value_name = "SERVER", value_delimiter = ',')]
    server: Option<Vec<String>>,
    /// Show servers with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    tag: Option<Vec<String>>,
    /// Show only these tools, as SERVER.TOOL patterns
    #[arg(long, value_name = "TOOL", value_delimiter = ',')]
    include: Option<Vec<String>>,
    /// Hide these tools, as SERVER.TOOL patterns
    #[arg(long, value_name = "TOOL", value_delimiter = ',')]
    exclude: Option<Vec<String>>,
    /// How tools are shown
    #[arg(long, value_enum)]
    mode: Option<ModeWord>,
    /// Clients that get this profile unless they ask for another
    #[arg(long, value_name = "CLIENT", value_delimiter = ',')]
    client: Option<Vec<String>>,
    /// Directories below which a client gets this profile
    #[arg(long = "below", value_name = "DIR", value_delimiter = ',')]
    directories: Option<Vec<String>>,
    /// Store results above so many bytes and give a head and a handle; 0 never does
    #[arg(long, value_name = "BYTES")]
    result_limit: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeWord {
    /// Every tool with its whole definition
    Full,
    /// Tools that find, describe and call all others, and read what was too large to show
    Search,
    /// The tools used most, and those of search for the rest
    Hybrid,
}

/// Give clients, or everything below a directory, this profile
///
/// Without `--client` and `--below` it is the directory you are in.
#[derive(Debug, Args)]
struct Use {
    #[arg(value_name = "PROFILE")]
    name: String,
    /// This client
    #[arg(long, value_name = "CLIENT")]
    client: Vec<String>,
    /// Clients started below this directory
    #[arg(long = "below", value_name = "DIR")]
    directories: Vec<String>,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => ctx.ui.show(&Profiles(all(ctx)?)),
            Verb::Show(Name { name }) => ctx.ui.show(&Shown(find(ctx, &name)?)),
            Verb::Create(change) => {
                let new = Profile { name: change.name.clone(), ..Profile::default() };
                let profile = change.apply(new)?;
                warn(ctx, &profile)?;
                save(ctx, "created", Request::Create { profile })
            }
            Verb::Update(change) => {
                let profile = change.name.clone();
                let profile = change.apply(find(ctx, &profile)?)?;
                warn(ctx, &profile)?;
                save(ctx, "changed", Request::Update { profile })
            }
            Verb::Use(verb) => verb.run(ctx),
            Verb::Delete(Names { names }) => save(ctx, DELETED, Request::Delete { names }),
        }
    }
}

impl Change {
    fn apply(self, mut profile: Profile) -> Result<Profile> {
        let set = |list: &mut Vec<String>, given: Option<Vec<String>>| {
            if let Some(given) = given {
                *list = given.into_iter().filter(|word| !word.is_empty()).collect();
            }
        };
        set(&mut profile.servers, self.server);
        set(&mut profile.tags, self.tag);
        set(&mut profile.include, self.include);
        set(&mut profile.exclude, self.exclude);
        set(&mut profile.clients, self.client);
        if let Some(directories) = self.directories {
            profile.directories = directories
                .iter()
                .filter(|dir| !dir.is_empty())
                .map(|dir| absolute(dir))
                .collect::<Result<_>>()?;
        }
        if let Some(mode) = self.mode {
            profile.mode = match mode {
                ModeWord::Full => Mode::Full,
                ModeWord::Search => Mode::Search,
                ModeWord::Hybrid => Mode::Hybrid,
            };
        }
        profile.result_limit = self.result_limit.or(profile.result_limit);
        Ok(profile)
    }
}

impl Use {
    fn run(self, ctx: &Context) -> Result<()> {
        let mut profile = find(ctx, &self.name)?;
        let mut directories = self.directories.iter().map(|dir| absolute(dir)).collect::<Result<Vec<_>>>()?;
        if directories.is_empty() && self.client.is_empty() {
            directories.push(absolute(".")?);
        }
        // A client or directory has one profile: it leaves the one it had.
        for mut other in all(ctx)?.into_iter().filter(|other| other.name != profile.name) {
            let before = (other.clients.len(), other.directories.len());
            other.clients.retain(|client| !self.client.contains(client));
            other.directories.retain(|directory| !directories.contains(directory));
            if before != (other.clients.len(), other.directories.len()) {
                ctx.call(Request::Update { profile: other })?;
            }
        }
        let add = |list: &mut Vec<String>, new: Vec<String>| {
            new.into_iter().for_each(|word| {
                if !list.contains(&word) {
                    list.push(word)
                }
            });
        };
        let mut bound: Vec<String> = self.client.iter().map(|client| format!("for {client}")).collect();
        bound.extend(directories.iter().map(|directory| format!("for clients started below {directory}")));
        let verb = "in use:";
        warn(ctx, &Profile { clients: self.client.clone(), ..Profile::default() })?;
        add(&mut profile.clients, self.client);
        add(&mut profile.directories, directories);
        let profiles = changed(ctx, Request::Update { profile })?;
        ctx.ui.show(&Changed { profiles, verb, bound })
    }
}

/// Says which words lead to nothing as things are: a server may still be added, a client may still come.
fn warn(ctx: &Context, profile: &Profile) -> Result<()> {
    let servers = all_servers(ctx)?;
    let sessions = match ctx.live_if_running(Live::Sessions)? {
        Some(LiveReply::Sessions(sessions)) => sessions,
        Some(other) => return context::unexpected(&other),
        None => Vec::new(),
    };
    let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
    let tags: Vec<&str> = servers.iter().flat_map(|server| &server.tags).map(String::as_str).collect();
    let connected = sessions.iter().map(|session| session.client.as_str());
    let clients: Vec<&str> = CLIENTS.iter().map(|client| client.id).chain(connected).collect();
    let there = There { servers: &names, tags: &tags, clients: &clients };
    for line in environments::unmatched(profile, &there) {
        ctx.ui.warn(&line);
    }
    Ok(())
}

fn absolute(path: &str) -> Result<String> {
    let path = std::path::Path::new(path);
    let full = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    full.map(|full| full.to_string_lossy().into_owned())
        .map_err(|error| crate::paths::io_error("find", path, &error))
}

/// All profiles; `default` is always among them.
fn all(ctx: &Context) -> Result<Vec<Profile>> {
    let mut profiles = match ctx.call(Request::List)? {
        Reply::Profile(environments::Reply::Profiles(profiles)) => profiles,
        other => return engine::unexpected(&other),
    };
    if !profiles.iter().any(|profile| profile.name == DEFAULT) {
        profiles.insert(0, Profile { name: DEFAULT.into(), ..Profile::default() });
    }
    Ok(profiles)
}

fn find(ctx: &Context, name: &str) -> Result<Profile> {
    match ctx.call(Request::Show { name: name.into() })? {
        Reply::Profile(environments::Reply::Profile(profile)) => Ok(*profile),
        other => engine::unexpected(&other),
    }
}

fn save(ctx: &Context, verb: &'static str, request: Request) -> Result<()> {
    let profiles = changed(ctx, request)?;
    ctx.ui.show(&Changed { profiles, verb, bound: Vec::new() })
}

fn changed(ctx: &Context, request: Request) -> Result<Vec<Profile>> {
    match ctx.call(request)? {
        Reply::Profile(environments::Reply::Profile(profile)) => Ok(vec![*profile]),
        Reply::Profile(environments::Reply::Profiles(profiles)) => Ok(profiles),
        other => engine::unexpected(&other),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Profiles(Vec<Profile>);

impl Output for Profiles {
    const KIND: &'static str = "profile.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("profile"),
            Column::new("mode"),
            Column::new("servers").wraps(),
            Column::new("clients").wraps().optional(2),
            Column::new("below").wraps().optional(1),
        ];
        let mut table = Table::new("no profiles", columns);
        for profile in &self.0 {
            let mut chosen = profile.servers.clone();
            chosen.extend(profile.tags.iter().map(|tag| format!("tag {tag}")));
            let chosen = if chosen.is_empty() { "all".to_string() } else { chosen.join(", ") };
            table.row([
                Cell::from(&profile.name),
                profile.mode.word().into(),
                chosen.into(),
                profile.clients.join(", ").into(),
                profile.directories.join(", ").into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|profile| profile.name.clone()).collect()
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(Profile);

impl Output for Shown {
    const KIND: &'static str = "profile.show/1";

    fn human(&self, page: &mut Page) {
        let profile = &self.0;
        let or_all = |list: &[String]| if list.is_empty() { "all".to_string() } else { list.join(", ") };
        let mut pairs =
            vec![("mode", profile.mode.word().to_string()), ("servers", or_all(&profile.servers))];
        let optional = [
            ("tags", profile.tags.join(", ")),
            ("only tools", profile.include.join(", ")),
            ("without tools", profile.exclude.join(", ")),
            ("clients", profile.clients.join(", ")),
            ("below", profile.directories.join("\n")),
            ("result limit", profile.result_limit.map(|limit| format!("{limit} bytes")).unwrap_or_default()),
        ];
        pairs.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
        page.heading(&profile.name).pairs(pairs);
    }

    fn ids(&self) -> Vec<String> {
        vec![self.0.name.clone()]
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Changed {
    profiles: Vec<Profile>,
    #[serde(skip)]
    verb: &'static str,
    /// Whom `use` gave it to.
    #[serde(skip)]
    bound: Vec<String>,
}

impl Output for Changed {
    const KIND: &'static str = "profile.changed/1";

    fn human(&self, page: &mut Page) {
        for profile in &self.profiles {
            let name = &profile.name;
            if self.verb == DELETED && name == DEFAULT {
                page.mark(
                    State::Ok,
                    format!("reset {name}: it is there always, and shows every server again"),
                );
            } else {
                page.mark(State::Ok, format!("{} {name} ({} mode)", self.verb, profile.mode.word()));
            }
        }
        for bound in &self.bound {
            page.text(format!("     {bound}"));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.profiles.iter().map(|profile| profile.name.clone()).collect()
    }
}
