//! `umcp catalog install`: shows what an entry would run, asks, and makes it a server or an app.
//! Rule: nothing is added that was not shown first, and nothing of the entry refers to what is the user's.

use super::one;
use super::show::input_line;
use crate::catalogue::check;
use crate::catalogue::model::Input;
use crate::catalogue::{Listed, Way};
use crate::cli::app::install::{
    Install as InstallApp, manifest, transport as app_transport, wanted_arguments,
};
use crate::cli::context::Context;
use crate::cli::server::{missing_program, pairs};
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::servers::model::{Transport, check_name, tame_name};
use crate::servers::{self, Server, spec};
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;

/// Install an entry as a server or an app
///
/// Shows what would run and what it needs, and asks. Values may hold ${VAR} and secret://NAME. What follows `--` are
/// arguments for its program.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp catalog install playwright\n  umcp catalog install brave-search --env BRAVE_API_KEY=secret://BRAVE_API_KEY\n  umcp catalog install official/io.github.upstash/context7 --name docs --dry-run"
)]
pub struct Install {
    #[arg(value_name = "ENTRY")]
    entry: String,
    /// Only look in this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Call the server this
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Set a variable, or a setting of an app
    #[arg(long, value_name = "K=V")]
    env: Vec<String>,
    /// Send a header with every request to a remote server
    #[arg(long, value_name = "K=V")]
    header: Vec<String>,
    /// Show what would be installed, and install nothing
    #[arg(long)]
    dry_run: bool,
    #[arg(value_name = "ARGUMENT", last = true)]
    arguments: Vec<String>,
}

impl Install {
    pub fn run(mut self, ctx: &Context) -> Result<()> {
        let listed = one(ctx, &self.entry, self.source.clone())?;
        let Some(way) = listed.entry.way().cloned() else { return Err(not_runnable(&listed)) };
        let app = match &way {
            Way::App { name } => manifest(name)?.0.server,
            _ => None,
        };
        let asks = app.as_ref().map_or_else(|| way.asks().to_vec(), |source| source.asks.clone());
        if !self.dry_run {
            let command = format!("umcp catalog install {}", self.entry);
            self.arguments = wanted_arguments(ctx, &listed.entry.name, &asks, &self.arguments, &command)?;
        }
        let command = match (&way, &app) {
            (_, Some(source)) => app_transport(source, &self.arguments)?.target(),
            (Way::App { .. }, None) => way.spec(),
            _ => transport(&way, &self.arguments)?.target(),
        };
        let plan = self.plan(&listed, &way, command, asks)?;
        if self.dry_run {
            return ctx.ui.show(&plan);
        }
        plan.lines().iter().for_each(|line| ctx.ui.note(line));
        if !ctx.ui.confirm(&format!("Install {} as {}?", plan.entry, plan.name), false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was installed"));
        }
        if let Way::App { name } = way {
            return InstallApp::shipped(name, self.name, self.env, self.arguments).run(ctx);
        }
        let server = self.server(ctx, &listed, &way, &plan.name)?;
        let server = add(ctx, server)?;
        ctx.ui.show(&Installed { name: server.name, entry: plan.entry, run: plan.run, missing: plan.missing })
    }

    fn plan(&self, listed: &Listed, way: &Way, command: String, asks: Vec<String>) -> Result<Plan> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => name_of(listed, way),
        };
        check_name(&name)?;
        let given = |input: &&Input| {
            let words = if matches!(way, Way::Remote(_)) { &self.header } else { &self.env };
            words.iter().any(|word| word.split(['=', ':']).next() == Some(input.name.as_str()))
        };
        let missing = way.inputs().iter().filter(|input| input.required && input.value.is_none());
        let missing: Vec<String> =
            missing.filter(|input| !given(input)).map(|input| input.name.clone()).collect();
        Ok(Plan {
            entry: listed.key(),
            name,
            run: way.spec(),
            command,
            transport: way.transport(),
            version: version(way),
            deprecated: listed.entry.deprecated,
            asks,
            inputs: way.inputs().to_vec(),
            remote: matches!(way, Way::Remote(_)),
            missing,
        })
    }

    fn server(&self, ctx: &Context, listed: &Listed, way: &Way, name: &str) -> Result<Server> {
        let mut server = servers::fresh(name, transport(way, &self.arguments)?, ctx.clock.now());
        let fixed = way.inputs().iter().filter_map(|input| Some((input.name.clone(), input.value.clone()?)));
        let fixed: BTreeMap<String, String> = fixed.collect();
        match way {
            Way::Remote(_) => server.headers = fixed,
            _ => server.env = fixed,
        }
        server.env.extend(pairs("--env", &self.env)?);
        server.headers.extend(pairs("--header", &self.header)?);
        server.description = Some(listed.entry.description.clone()).filter(|text| !text.is_empty());
        server.origin = Some(format!("catalog:{}", listed.key()));
        Ok(server)
    }
}

/// Adds the server as `umcp server add` does. The one place where an installation becomes an entry: exact versions,
/// digests and the lock belong here.
fn add(ctx: &Context, server: Server) -> Result<Server> {
    let missing = missing_program(&server);
    match ctx.call(servers::Request::Add { servers: vec![server], replace: false })? {
        Reply::Server(servers::Reply::Servers(mut added)) if added.len() == 1 => {
            if let Some(line) = missing {
                ctx.ui.warn(&line);
            }
            Ok(added.remove(0))
        }
        other => engine::unexpected(&other),
    }
}

/// How the server will be reached; packages the very way `umcp server add` takes them.
fn transport(way: &Way, arguments: &[String]) -> Result<Transport> {
    let (mut transport, own) = match way {
        Way::Npm(package) | Way::Pypi(package) => {
            (spec::read(&way.spec(), |_| None)?.transport, &package.args)
        }
        Way::Command { command, args, .. } => {
            (Transport::Stdio { command: command.clone(), args: Vec::new() }, args)
        }
        Way::Remote(remote) if remote.sse => (Transport::Sse { url: remote.url.clone() }, &Vec::new()),
        Way::Remote(remote) => (Transport::from_url(&remote.url)?, &Vec::new()),
        Way::App { .. } | Way::Other { .. } => {
            return Err(Error::bug("an entry that is no server was made one"));
        }
    };
    match &mut transport {
        Transport::Stdio { args, .. } => args.extend(own.iter().chain(arguments).cloned()),
        _ if !arguments.is_empty() => {
            return Err(Error::new(&codes::USAGE, "a remote server takes no arguments")
                .hint("umcp catalog install --help"));
        }
        _ => {}
    }
    Ok(transport)
}

/// The last part of the entry's name, or that of its package where it says nothing.
fn name_of(listed: &Listed, way: &Way) -> String {
    let short = listed.entry.short();
    let tame = tame_name(short);
    let says_nothing =
        ["mcp", "server", "mcp-server", "mcp_server"].contains(&tame.to_ascii_lowercase().as_str());
    match way {
        Way::App { name } => name.clone(),
        Way::Npm(_) | Way::Pypi(_) | Way::Remote(_) if says_nothing => {
            spec::read(&way.spec(), |_| None).map_or(tame, |guess| guess.name)
        }
        _ => tame.trim_end_matches('_').replace("__", "_"),
    }
}

fn version(way: &Way) -> Option<String> {
    match way {
        Way::Npm(package) | Way::Pypi(package) => package.version.clone(),
        _ => None,
    }
}

fn not_runnable(listed: &Listed) -> Error {
    let error =
        Error::new(&codes::ENTRY_NOT_RUNNABLE, format!("`{}` offers nothing that umcp runs", listed.key()));
    let reasons = listed.entry.ways.iter().filter_map(|way| match way {
        Way::Other { what, reason } => Some(format!("{what}: {reason}")),
        _ => None,
    });
    let reasons: Vec<String> = reasons.collect();
    let error = if reasons.is_empty() { error } else { error.because(reasons.join("; ")) };
    match listed.entry.repository.as_ref().or(listed.entry.homepage.as_ref()) {
        Some(page) => error.hint(format!("see {}", check::shown(page))),
        None => error.hint(format!("umcp catalog show {}", listed.key())),
    }
}

/// What would be installed.
#[derive(Serialize)]
struct Plan {
    entry: String,
    name: String,
    run: String,
    /// The command line or address.
    command: String,
    transport: &'static str,
    version: Option<String>,
    deprecated: bool,
    asks: Vec<String>,
    inputs: Vec<Input>,
    #[serde(skip)]
    remote: bool,
    missing: Vec<String>,
}

impl Plan {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("entry    {}", self.entry), format!("name     {}", self.name)];
        let what = if self.remote { "address" } else { "runs" };
        lines.push(format!("{what:<8} {}", self.command));
        match (&self.version, self.transport) {
            (Some(version), _) => lines.push(format!("version  {version}")),
            (None, "stdio") => lines.push("version  the newest at each start".into()),
            (None, _) => {}
        }
        lines.extend(self.asks.iter().map(|hint| format!("wants    the argument {hint}")));
        lines.extend(self.inputs.iter().map(|input| format!("takes    {}", input_line(input))));
        if self.deprecated {
            lines.push("its source advises against it".into());
        }
        lines
    }
}

impl Output for Plan {
    const KIND: &'static str = "catalog.install.dry-run/1";

    fn human(&self, page: &mut Page) {
        page.text("nothing was installed; this would be");
        self.lines().iter().for_each(|line| _ = page.text(line));
        missing_on(page, &self.missing);
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

fn missing_on(page: &mut Page, missing: &[String]) {
    for name in missing {
        page.mark(State::Warn, format!("`{name}` has no value yet"));
    }
}

#[derive(Serialize)]
struct Installed {
    name: String,
    entry: String,
    run: String,
    /// Variables or headers it needs and does not have.
    missing: Vec<String>,
}

impl Output for Installed {
    const KIND: &'static str = "catalog.installed/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("installed {} ({})", self.name, self.run));
        missing_on(page, &self.missing);
        let field =
            if self.run.starts_with("https:") || self.run.starts_with("http:") { "headers" } else { "env" };
        for name in &self.missing {
            page.text(format!("umcp server edit {} --set {field}.{name}=secret://{name}", self.name));
        }
        if self.missing.is_empty() {
            page.text(format!("try it: umcp server test {}", self.name));
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}
