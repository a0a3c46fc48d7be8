//! What the store knows of apps: each with the server entry that offers it. Read once per command.

use crate::apps::model::{Definition, Kind, Tool};
use crate::apps::{self, App};
use crate::cli::context::Context;
use crate::cli::known::all_servers;
use crate::documents::near;
use crate::engine::names_index::is_app;
use crate::engine::{self, Install, Reply};
use crate::error::{Error, Result, codes};
use crate::servers::model::Transport;
use crate::servers::{self, Server};

/// An app that is installed.
pub struct Installed {
    pub server: Server,
    /// `None` for an MCP server that a manifest named.
    pub app: Option<App>,
}

impl Installed {
    pub fn name(&self) -> &str {
        &self.server.name
    }

    pub fn kind(&self) -> &'static str {
        self.app.as_ref().map_or("server", |app| app.kind.word())
    }

    pub fn definition(&self) -> Result<Definition> {
        self.app.as_ref().map_or_else(|| Ok(Definition::default()), App::definition)
    }
}

/// All apps, by name.
pub fn all(ctx: &Context) -> Result<Vec<Installed>> {
    let mut apps = match ctx.call(apps::Request::List)? {
        Reply::App(apps::Reply::Apps(apps)) => apps,
        other => return engine::unexpected(&other),
    };
    let of = |server: Server| {
        let app = match &server.transport {
            Transport::App { name } => apps.iter_mut().find(|app| app.name == *name).map(|app| app.clone()),
            _ => None,
        };
        Installed { server, app }
    };
    Ok(all_servers(ctx)?.into_iter().filter(is_app).map(of).collect())
}

/// One app by its name.
pub fn find(ctx: &Context, name: &str) -> Result<Installed> {
    let mut all = all(ctx)?;
    match all.iter().position(|app| app.name() == name) {
        Some(at) => Ok(all.swap_remove(at)),
        None => Err(apps::not_found(name, all.iter().map(Installed::name))),
    }
}

/// The app of a name, if one is installed.
pub fn installed(ctx: &Context, name: &str) -> Result<Option<Installed>> {
    Ok(all(ctx)?.into_iter().find(|app| app.name() == name))
}

/// Writes an app and its server entry.
pub fn install(ctx: &Context, mut app: App, server: Server, replace: bool) -> Result<Server> {
    // A renamed entry still offers its app under the name it was installed with.
    if let Transport::App { name } = &server.transport {
        app.name.clone_from(name);
    }
    match ctx.call(Install { app, server, replace })? {
        Reply::Server(servers::Reply::Servers(mut servers)) if servers.len() == 1 => Ok(servers.remove(0)),
        other => engine::unexpected(&other),
    }
}

/// The entry for an app: the one that is there, with its values kept, or a new one.
pub fn entry(ctx: &Context, name: &str, replace: bool) -> Result<(Server, bool)> {
    servers::model::check_name(name)?;
    match all_servers(ctx)?.into_iter().find(|server| server.name == name) {
        Some(server) if is_app(&server) && replace => Ok((server, true)),
        Some(server) => {
            let what = if is_app(&server) { "an app" } else { "a server" };
            let error = Error::new(&codes::APP_EXISTS, format!("{what} named `{name}` exists already"));
            let error = error.hint("give another name with --name");
            Err(if is_app(&server) { error.hint("or write over it with --replace") } else { error })
        }
        None => Ok((servers::fresh(name, Transport::App { name: name.into() }, ctx.clock.now()), false)),
    }
}

/// Lets calls take as long as the slowest tool may.
pub fn allow_time(server: &mut Server, definition: &Definition) {
    const MARGIN_MS: u64 = 5_000;
    let longest = definition.tools.iter().map(|tool| tool.timeout_ms).max().unwrap_or_default();
    server.limits.call_timeout_ms = Some(longest + MARGIN_MS);
}

/// A command among all apps of commands, by `app.command` or by its own name where only one has it.
pub struct Command {
    pub installed: Installed,
    pub definition: Definition,
    pub tool: Tool,
}

pub fn command(ctx: &Context, word: &str) -> Result<Command> {
    let mut found = Vec::new();
    let mut known = Vec::new();
    for installed in commands(ctx)? {
        let definition = installed.definition()?;
        for tool in definition.tools.clone() {
            let path = format!("{}.{}", installed.name(), tool.name);
            if path == word || tool.name == word {
                found.push((installed.server.clone(), installed.app.clone(), definition.clone(), tool, path));
            } else {
                known.push(path);
            }
        }
    }
    if found.len() > 1 {
        let error = Error::new(&codes::COMMAND_NOT_FOUND, format!("several apps have a command `{word}`"));
        return Err(found.iter().fold(error, |error, (.., path)| error.hint(format!("say `{path}`"))));
    }
    match found.pop() {
        Some((server, app, definition, tool, _)) => {
            Ok(Command { installed: Installed { server, app }, definition, tool })
        }
        None => {
            let error = Error::new(&codes::COMMAND_NOT_FOUND, format!("no command named `{word}`"));
            let ends = known.iter().filter_map(|path| path.split_once('.').map(|(_, name)| name));
            let meant = near(word, known.iter().map(String::as_str)).or_else(|| near(word, ends));
            Err(match meant {
                Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                None => error.hint("umcp command list"),
            })
        }
    }
}

/// The apps that were made of files of commands.
pub fn commands(ctx: &Context) -> Result<Vec<Installed>> {
    let is_commands = |one: &Installed| one.app.as_ref().is_some_and(|app| app.kind == Kind::Commands);
    Ok(all(ctx)?.into_iter().filter(is_commands).collect())
}
