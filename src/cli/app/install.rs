//! `umcp app install`: a shipped manifest or one of the user's own, as an app or as a server.

use super::account;
use super::change::{assign, missing, told_plain};
use super::known;
use crate::apps::App;
use crate::apps::file::{self, Loaded, ServerSource};
use crate::apps::model::{Definition, Kind, Setting};
use crate::apps::shipped::{self, SHIPPED};
use crate::cli::context::Context;
use crate::documents::{near, read_file};
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::sealing::program::words;
use crate::servers::model::Transport;
use crate::servers::{self, Server, spec};
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;
use std::path::Path;

/// Install an app
///
/// By the name of a shipped app (`umcp app search`) or as a file. What follows `--` are arguments for an app that is an
/// MCP server.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp app install zenquotes\n  umcp app install github\n  umcp connection create github\n  umcp app install filesystem -- ~/notes"
)]
pub struct Install {
    #[arg(value_name = "APP|FILE")]
    app: String,
    /// Call it something else, for example for a second account
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Give a setting its value; values may hold ${VAR} and secret://NAME
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Let it reach private addresses
    #[arg(long)]
    allow_private: bool,
    /// Write over an app of the same name, and keep its settings
    #[arg(long)]
    replace: bool,
    #[arg(value_name = "ARGUMENT", last = true)]
    arguments: Vec<String>,
}

impl Install {
    /// An app that umcp brings along, under its own or another name.
    pub fn shipped(app: String, name: Option<String>, set: Vec<String>, arguments: Vec<String>) -> Self {
        Self { app, name, set, allow_private: false, replace: false, arguments }
    }

    pub fn run(self, ctx: &Context) -> Result<()> {
        let (loaded, origin) = manifest(&self.app)?;
        let name = self.name.clone().or_else(|| loaded.name.clone()).unwrap_or_else(|| {
            let stem = Path::new(&self.app).file_stem().map(|stem| stem.to_string_lossy().into_owned());
            servers::model::tame_name(&stem.unwrap_or_default())
        });
        let (mut server, is_old) = known::entry(ctx, &name, self.replace)?;
        server.description = loaded.description.clone().or(server.description);
        if self.allow_private {
            server.env.insert(super::change::ALLOW_PRIVATE.into(), "1".into());
        }
        let settings = loaded.definition.settings.clone();
        if let Some(source) = &loaded.server {
            let command = format!("umcp app install {}", self.app);
            let arguments = wanted_arguments(ctx, &name, &source.asks, &self.arguments, &command)?;
            serve(&mut server, source, &arguments)?;
            server.env.extend(crate::cli::server::pairs("--set", &self.set)?);
            server.origin = Some(origin_of(&origin));
            let request = servers::Request::Add { servers: vec![server], replace: is_old };
            let server = match ctx.call(request)? {
                Reply::Server(servers::Reply::Servers(mut servers)) if servers.len() == 1 => {
                    servers.remove(0)
                }
                other => return engine::unexpected(&other),
            };
            return ctx.ui.show(&Done::new(&server, 0, Vec::new()));
        }
        if !self.arguments.is_empty() {
            return Err(Error::new(
                &codes::USAGE,
                format!("`{name}` is no MCP server and takes no arguments"),
            )
            .hint(format!("umcp app show {}", self.app)));
        }
        assign(&mut server, &settings, &self.set)?;
        told_plain(ctx, &server, &settings, &self.set);
        let app = app(ctx, &name, loaded, origin)?;
        let definition = app.definition()?;
        account::consent(ctx, &app, &definition, &server)?;
        known::allow_time(&mut server, &definition);
        let integration = app.integration.clone();
        let server = known::install(ctx, app, server, is_old)?;
        ctx.ui.show(&Done::installed(ctx, &server, &definition, integration.as_deref())?)
    }
}

/// A manifest by name or file, and where it came from.
pub fn manifest(word: &str) -> Result<(Loaded, String)> {
    if let Some(text) = shipped::find(word) {
        return Ok((file::load(&format!("{word}.yaml"), text)?, format!("app:{word}")));
    }
    let path = Path::new(word);
    if !word.contains(['/', '\\', '.']) && !path.exists() {
        let error = Error::new(&codes::APP_NOT_FOUND, format!("no app named `{word}` is shipped"));
        return Err(match near(word, SHIPPED.iter().map(|(name, _)| *name)) {
            Some(meant) => error.hint(format!("did you mean `{meant}`?")),
            None => error.hint("umcp app search"),
        });
    }
    let text = read_file(path)?;
    let full = std::path::absolute(path).map_err(|error| crate::paths::io_error("find", path, &error))?;
    Ok((file::load(word, &text)?, full.to_string_lossy().into_owned()))
}

/// The app of a manifest.
pub fn app(ctx: &Context, name: &str, loaded: Loaded, origin: String) -> Result<App> {
    let now = ctx.clock.now();
    let mut app = App {
        name: name.into(),
        kind: Kind::Http,
        title: loaded.title,
        description: loaded.description,
        definition: String::new(),
        origin: Some(origin),
        integration: loaded.integration,
        created: now,
        updated: now,
    };
    app.define(&loaded.definition)?;
    Ok(app)
}

/// A server remembers that a manifest named it, which makes it an app.
fn origin_of(origin: &str) -> String {
    if origin.starts_with("app:") { origin.into() } else { format!("app:{origin}") }
}

/// The arguments of something that wants some: those given, else what the user says now. `command` is what to type where
/// nobody can be asked.
///
/// # Errors
/// `USAGE` with the whole command.
pub fn wanted_arguments(
    ctx: &Context,
    name: &str,
    asks: &[String],
    given: &[String],
    command: &str,
) -> Result<Vec<String>> {
    let (true, [hint, ..]) = (given.is_empty(), asks) else { return Ok(given.to_vec()) };
    if ctx.ui.can_ask() {
        let answer = ctx.ui.input(&format!("{hint} for {name}"), None, &format!("-- {hint}"))?;
        return words(&answer).filter(|words| !words.is_empty()).ok_or_else(|| {
            Error::new(&codes::VALUE_INVALID, format!("`{answer}` is empty, or a quote in it is open"))
        });
    }
    let message = format!("`{name}` wants arguments that only you can say: {hint}");
    Err(Error::new(&codes::USAGE, message).hint(format!("{command} -- {hint}")))
}

/// What is started or connected to for a manifest that names an MCP server.
pub fn transport(source: &ServerSource, arguments: &[String]) -> Result<Transport> {
    let locate = |text: &str| std::path::absolute(text).ok().filter(|path| path.is_file());
    let mut transport = spec::read(&source.run, locate)?.transport;
    if let Transport::Stdio { args, .. } = &mut transport {
        args.extend(source.args.iter().chain(arguments).cloned());
    }
    Ok(transport)
}

fn serve(server: &mut Server, source: &ServerSource, arguments: &[String]) -> Result<()> {
    server.transport = transport(source, arguments)?;
    if !arguments.is_empty() && !matches!(server.transport, Transport::Stdio { .. }) {
        server.roots = arguments.to_vec();
    }
    server.env.extend(source.env.clone());
    if arguments.is_empty() {
        server.roots.clone_from(&source.roots);
    }
    server.tools.include.clone_from(&source.tools);
    Ok(())
}

/// What was installed.
#[derive(Serialize)]
pub struct Done {
    name: String,
    /// Of an app of ours; an MCP server is asked later.
    tools: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<Skipped>,
    /// Settings without a value.
    missing: Vec<Setting>,
    /// The service that nobody has signed in to yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_in: Option<String>,
}

/// An operation that became no tool.
#[derive(Serialize)]
pub struct Skipped {
    pub operation: String,
    pub reason: String,
}

impl Done {
    pub fn new(server: &Server, tools: usize, missing: Vec<Setting>) -> Self {
        Self { name: server.name.clone(), tools, skipped: Vec::new(), missing, sign_in: None }
    }

    /// An app of ours. Where an account signs, its keys are not missing.
    pub fn installed(
        ctx: &Context,
        server: &Server,
        definition: &Definition,
        integration: Option<&str>,
    ) -> Result<Self> {
        let mut missing: Vec<Setting> = missing(server, &definition.settings).into_iter().cloned().collect();
        let by_hand = account::by_hand(definition, server);
        let sign_in = match integration.filter(|_| !by_hand) {
            Some(service) => {
                missing.retain(|setting| !setting.secret);
                (!account::exists(ctx, service)?).then(|| service.to_string())
            }
            None => None,
        };
        Ok(Self { sign_in, ..Self::new(server, definition.tools.len(), missing) })
    }

    pub fn without(mut self, skipped: Vec<Skipped>) -> Self {
        self.skipped = skipped;
        self
    }
}

impl Output for Done {
    const KIND: &'static str = "app.installed/1";

    fn human(&self, page: &mut Page) {
        let count = match self.tools {
            0 => String::new(),
            count => format!(" with {}", crate::ui::text::plural(count, "tool")),
        };
        page.mark(State::Ok, format!("installed {}{count}", self.name));
        const SHOWN: usize = 5;
        for skipped in self.skipped.iter().take(SHOWN) {
            page.mark(State::Warn, format!("left out {}: {}", skipped.operation, skipped.reason));
        }
        if self.skipped.len() > SHOWN {
            page.text(format!("and {} more; --json lists all", self.skipped.len() - SHOWN));
        }
        for setting in &self.missing {
            let about = setting.description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            page.mark(State::Warn, format!("`{}` has no value yet{about}", setting.name));
            let value = if setting.secret { format!("secret://{}", setting.name) } else { "VALUE".into() };
            page.text(format!("umcp app configure {} {}={value}", self.name, setting.name));
        }
        if let Some(service) = &self.sign_in {
            page.mark(State::Warn, format!("nobody has signed in to {service} yet"));
            page.text(format!("umcp connection create {service}"));
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}
