//! `umcp command add` and `umcp command remove`.

use super::show::load;
use crate::apps::App;
use crate::apps::file::{self, Loaded};
use crate::apps::model::{Definition, Kind, Tool};
use crate::apps::template::names;
use crate::cli::app::known::{self, Installed};
use crate::cli::context::Context;
use crate::documents::write_yaml;
use crate::error::{Error, Result, codes};
use crate::servers::model::tame_name;
use crate::servers::{self, Server};
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The app of commands that are added one by one.
const DEFAULT_APP: &str = "commands";

/// Add commands from a file, or one from the command line
///
/// A file becomes one app, named after it; MCPFier's files are taken as they are. A command written after `--` joins
/// the app `commands`; each {{name}} in it is an argument.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp command add -f tools.yaml\n  umcp command add -f mcpfier.yaml --name scripts\n  umcp command add disk --arg folder=. -- du -sh -- \"{{folder}}\""
)]
pub struct Add {
    /// The command to add, followed by `--` and what it runs
    #[arg(value_name = "NAME", required_unless_present = "file", conflicts_with = "file", requires = "line")]
    command: Option<String>,
    /// A file of commands; `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The app the commands belong to
    #[arg(long, value_name = "NAME", visible_alias = "app")]
    name: Option<String>,
    /// What the command is for
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    description: Option<String>,
    /// An argument, as NAME, NAME:TYPE or NAME:TYPE=DEFAULT; NAME? may be left out
    #[arg(long = "arg", value_name = "NAME:TYPE", conflicts_with = "file")]
    arguments: Vec<String>,
    /// Longest time the command may run, such as 30s
    #[arg(long, value_name = "TIME", conflicts_with = "file")]
    timeout: Option<String>,
    /// A variable for the programs that are run; values may hold ${VAR} and secret://NAME
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Where the commands run
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Write over what has the same name
    #[arg(long)]
    replace: bool,
    #[arg(value_name = "PROGRAM", last = true)]
    line: Vec<String>,
}

impl Add {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.file.clone() {
            Some(path) => self.add_file(ctx, &path),
            None => self.add_line(ctx),
        }
    }

    fn add_file(self, ctx: &Context, path: &Path) -> Result<()> {
        let loaded = load(path)?;
        loaded.notes.iter().for_each(|note| ctx.ui.warn(note));
        if loaded.server.is_some() {
            let message =
                format!("`{}` is the manifest of an MCP server, not a file of commands", path.display());
            return Err(Error::new(&codes::FILE_INVALID, message)
                .hint(format!("umcp app install {}", path.display())));
        }
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let stem = stem.filter(|stem| stem != "-").unwrap_or_else(|| DEFAULT_APP.into());
        let name = self.name.clone().or_else(|| loaded.name.clone()).unwrap_or_else(|| tame_name(&stem));
        let (mut server, is_old) = known::entry(ctx, &name, self.replace)?;
        if !is_old {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            server.cwd = Some(absolute(folder.unwrap_or(Path::new(".")))?);
        }
        let origin = (path.as_os_str() != "-").then(|| absolute(path)).transpose()?;
        let tools: Vec<String> = loaded.definition.tools.iter().map(|tool| tool.name.clone()).collect();
        let app = app(ctx, &name, loaded, origin)?;
        self.save(ctx, app, server, is_old, &tools)
    }

    fn add_line(self, ctx: &Context) -> Result<()> {
        let command = self.command.clone().unwrap_or_default();
        let text = write_yaml(&self.document(&command)?)?;
        let loaded = file::load("the command line", &text).map_err(|mut error| {
            error.span = None;
            error
        })?;
        let name = self.name.clone().unwrap_or_else(|| DEFAULT_APP.into());
        let existing = known::commands(ctx)?.into_iter().find(|one| one.name() == name);
        let (mut server, is_old) = known::entry(ctx, &name, existing.is_some())?;
        let mut app = match existing.and_then(|one| one.app) {
            Some(app) => app,
            None => {
                server.cwd = Some(absolute(Path::new("."))?);
                app(ctx, &name, Loaded::default(), None)?
            }
        };
        let mut definition = app.definition()?;
        if definition.tool(&command).is_some() && !self.replace {
            let message = format!("a command named `{name}.{command}` exists already");
            return Err(Error::new(&codes::APP_EXISTS, message).hint("write over it with --replace"));
        }
        definition.tools.retain(|tool| tool.name != command);
        definition.tools.extend(loaded.definition.tools);
        app.updated = ctx.clock.now();
        app.define(&definition)?;
        self.save(ctx, app, server, is_old, &[command])
    }

    /// The command as a file would hold it.
    fn document(&self, command: &str) -> Result<Value> {
        let mut arguments = Map::new();
        for word in &self.arguments {
            let (name, declared) = declared(word)?;
            arguments.insert(name, declared);
        }
        for name in self.line.iter().flat_map(|word| names(word)) {
            arguments.entry(name).or_insert_with(|| json!({"type": "string"}));
        }
        let mut entry = json!({"arguments": arguments, "exec": self.line});
        let optional = [("description", &self.description), ("timeout", &self.timeout)];
        for (field, value) in optional.into_iter().filter_map(|(field, value)| Some((field, value.as_ref()?)))
        {
            entry[field] = value.as_str().into();
        }
        if let Some(cwd) = &self.cwd {
            entry["cwd"] = absolute(cwd)?.into();
        }
        Ok(json!({"commands": {command: entry}}))
    }

    fn save(
        &self,
        ctx: &Context,
        app: App,
        mut server: Server,
        is_old: bool,
        tools: &[String],
    ) -> Result<()> {
        server.env.extend(crate::cli::server::pairs("--env", &self.env)?);
        if let (Some(cwd), Some(_)) = (&self.cwd, &self.file) {
            server.cwd = Some(absolute(cwd)?);
        }
        let definition = app.definition()?;
        known::allow_time(&mut server, &definition);
        let server = known::install(ctx, app, server, is_old)?;
        let commands = tools.iter().map(|tool| format!("{}.{tool}", server.name)).collect();
        ctx.ui.show(&Changed { verb: "added", commands })
    }
}

/// `name`, `name?`, `name:type`, `name:type=default`.
fn declared(word: &str) -> Result<(String, Value)> {
    let (head, default) = word.split_once('=').map_or((word, None), |(head, text)| (head, Some(text)));
    let (name, kind) = head.split_once(':').unwrap_or((head, "string"));
    let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
    let (kind, optional) = kind.strip_suffix('?').map_or((kind, optional), |kind| (kind, true));
    if name.is_empty() {
        return Err(Error::new(&codes::USAGE, format!("`{word}` names no argument")).hint("--arg NAME:TYPE"));
    }
    let mut declared = json!({"type": kind, "required": !optional && default.is_none()});
    if let Some(text) = default {
        let typed = if kind == "string" { None } else { serde_json::from_str(text).ok() };
        declared["default"] = typed.unwrap_or_else(|| text.into());
    }
    Ok((name.into(), declared))
}

fn app(ctx: &Context, name: &str, loaded: Loaded, origin: Option<String>) -> Result<App> {
    let now = ctx.clock.now();
    let mut app = App {
        name: name.into(),
        kind: Kind::Commands,
        title: loaded.title,
        description: loaded.description,
        definition: String::new(),
        origin,
        integration: loaded.integration,
        created: now,
        updated: now,
    };
    app.define(&loaded.definition)?;
    Ok(app)
}

fn absolute(path: &Path) -> Result<String> {
    let full = std::path::absolute(path).map_err(|error| crate::paths::io_error("find", path, &error))?;
    Ok(full.to_string_lossy().into_owned())
}

/// Remove commands; an app that has none left goes too
#[derive(Debug, Args)]
pub struct Remove {
    #[arg(value_name = "COMMAND", required = true)]
    names: Vec<String>,
}

impl Remove {
    pub fn run(self, ctx: &Context) -> Result<()> {
        // All of them are looked up first, so that a mistyped one leaves the others in place.
        let found = self.names.iter().map(|name| known::command(ctx, name)).collect::<Result<Vec<_>>>()?;
        let question = format!("Remove {}?", self.names.join(", "));
        if !ctx.ui.confirm(&question, false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was removed"));
        }
        let mut apps: Vec<(known::Installed, Definition)> = Vec::new();
        for one in found {
            if !apps.iter().any(|(installed, _)| installed.name() == one.installed.name()) {
                apps.push((one.installed, one.definition));
            }
        }
        let mut removed = Vec::new();
        for (installed, definition) in &mut apps {
            let gone = |name: &str| {
                let path = format!("{}.{name}", installed.server.name);
                self.names.iter().any(|given| *given == path || given == name)
            };
            let (out, left) = definition.tools.drain(..).partition(|tool| gone(&tool.name));
            definition.tools = left;
            still_needed(&out, definition)?;
            removed.extend(out.iter().map(|tool| format!("{}.{}", installed.server.name, tool.name)));
        }
        for (installed, definition) in apps {
            let Installed { server, app: Some(mut app) } = installed else { continue };
            if definition.tools.is_empty() {
                ctx.call(servers::Request::Remove { names: vec![server.name] })?;
                continue;
            }
            app.updated = ctx.clock.now();
            app.define(&definition)?;
            known::install(ctx, app, server, true)?;
        }
        ctx.ui.show(&Changed { verb: "removed", commands: removed })
    }
}

/// Refuses to take away what another command runs first.
fn still_needed(out: &[Tool], left: &Definition) -> Result<()> {
    let needed = |tool: &Tool| left.tools.iter().find(|other| other.needs.contains(&tool.name));
    match out.iter().find_map(|tool| Some((tool, needed(tool)?))) {
        None => Ok(()),
        Some((tool, other)) => {
            let message = format!("`{}` needs `{}` to run first", other.name, tool.name);
            Err(Error::new(&codes::APP_EXISTS, message).hint(format!("umcp command remove {}", other.name)))
        }
    }
}

#[derive(Serialize)]
struct Changed {
    #[serde(skip)]
    verb: &'static str,
    commands: Vec<String>,
}

impl Output for Changed {
    const KIND: &'static str = "command.changed/1";

    fn human(&self, page: &mut Page) {
        for command in &self.commands {
            page.mark(State::Ok, format!("{} {command}", self.verb));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.commands.clone()
    }
}
