//! `umcp server import` and `export`: entries to and from files. Nothing is started here.

use super::super::context::Context;
use super::super::known::all_servers;
use crate::documents;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::glob;
use crate::servers::formats::{self, Imported, Level, Note};
use crate::servers::view::{ServerView, without_values};
use crate::servers::{self, Server};
use crate::ui::{Output, Page, State, text};
use crate::{ids, paths};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Add the servers of another program's file; starts nothing
///
/// Reads umcp's own YAML and JSON and, unchanged, the files of the clients in `umcp client list` and of other MCP
/// managers. What cannot be taken over is told line by line.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp server import .mcp.json")]
pub struct Import {
    file: PathBuf,
    /// Put imported servers in the place of those with the same name
    #[arg(long)]
    replace: bool,
}

#[derive(Serialize)]
struct Report {
    file: String,
    format: &'static str,
    added: Vec<ServerView>,
    /// Left alone, since a server of that name is there already.
    kept: Vec<String>,
    notes: Vec<Note>,
}

impl Import {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let imported = read_file(ctx, &self.file)?;
        let (added, kept) = add_new(ctx, imported.servers, self.replace)?;
        ctx.ui.show(&Report {
            file: self.file.display().to_string(),
            format: imported.format,
            added: added.iter().map(ServerView::from).collect(),
            kept,
            notes: imported.notes,
        })
    }
}

/// Adds the servers of a file that are not there yet and names all of the file.
pub fn take_file(ctx: &Context, file: &Path, replace: bool) -> Result<Vec<String>> {
    let imported = read_file(ctx, file)?;
    for note in &imported.notes {
        ctx.ui.note(&note_line(note));
    }
    let names = imported.servers.iter().map(|server| server.name.clone()).collect();
    add_new(ctx, imported.servers, replace)?;
    Ok(names)
}

fn read_file(ctx: &Context, file: &Path) -> Result<Imported> {
    let text = documents::read_file(file)?;
    formats::read(&file.display().to_string(), &text, &mut || ids::fresh("srv"), ctx.clock.now())
}

/// Adds servers; those whose name is taken are left out and named, unless they replace.
fn add_new(ctx: &Context, servers: Vec<Server>, replace: bool) -> Result<(Vec<Server>, Vec<String>)> {
    let known = all_servers(ctx)?;
    let is_taken = |server: &Server| !replace && known.iter().any(|known| known.name == server.name);
    let (kept, new): (Vec<Server>, Vec<Server>) = servers.into_iter().partition(is_taken);
    let kept = kept.into_iter().map(|server| server.name).collect();
    if new.is_empty() {
        return Ok((new, kept));
    }
    match ctx.call(servers::Request::Add { servers: new, replace })? {
        Reply::Server(servers::Reply::Servers(added)) => Ok((added, kept)),
        other => engine::unexpected(&other),
    }
}

fn note_line(note: &Note) -> String {
    let level = match note.level {
        Level::Skipped => "skipped",
        Level::Ignored => "ignored",
        Level::Changed => "changed",
    };
    match note.line {
        Some(line) => format!("line {line}: {level}: {}", note.message),
        None => format!("{level}: {}", note.message),
    }
}

impl Output for Report {
    const KIND: &'static str = "server.import/1";

    fn human(&self, page: &mut Page) {
        for server in &self.added {
            page.mark(State::Ok, format!("added {} ({}: {})", server.name, server.transport, server.target));
        }
        for name in &self.kept {
            page.mark(
                State::Off,
                format!("kept {name}, which was there already (--replace takes the new one)"),
            );
        }
        for note in &self.notes {
            page.mark(State::Warn, note_line(note));
        }
        let count = text::plural(self.added.len(), "server");
        page.text(format!("{count} added from {} ({}); none was started", self.file, self.format));
    }

    fn ids(&self) -> Vec<String> {
        self.added.iter().map(|server| server.name.clone()).collect()
    }
}

/// Write servers as a file for others
///
/// Plain values of variables and headers are replaced by references such as `${KEY}`, so that the file can be shared.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp server export > servers.yaml")]
pub struct Export {
    /// Names, or patterns with `*`; none means all
    #[arg(value_name = "SERVER")]
    names: Vec<String>,
    #[arg(long, value_enum, default_value = "yaml")]
    format: Form,
    /// Write to this file, readable by you alone
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep plain values, secrets included; only into a file
    #[arg(long, requires = "output")]
    with_values: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// umcp's own form
    Yaml,
    /// umcp's own form
    Json,
}

#[derive(Serialize)]
struct Exported {
    servers: Vec<String>,
    /// The file that was written, or else its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Variables that whoever reads the file must set.
    variables: Vec<String>,
}

impl Export {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let chosen = choose(all_servers(ctx)?, &self.names)?;
        let mut variables = Vec::new();
        let written: Vec<Server> = if self.with_values {
            chosen
        } else {
            let strip = |server: &Server| {
                let (copy, names) = without_values(server);
                variables.extend(names);
                copy
            };
            chosen.iter().map(strip).collect()
        };
        let text = write(&written, self.format)?;
        variables.sort();
        variables.dedup();
        if !variables.is_empty() {
            ctx.ui.note(&format!(
                "plain values were left out; set {} where the file is used",
                variables.join(", ")
            ));
        }
        let file =
            self.output.map(|path| paths::write_atomic(&path, text.as_bytes()).map(|()| path)).transpose()?;
        ctx.ui.show(&Exported {
            servers: written.iter().map(|server| server.name.clone()).collect(),
            text: file.is_none().then_some(text),
            file: file.map(|path| path.display().to_string()),
            variables,
        })
    }
}

fn choose(servers: Vec<Server>, names: &[String]) -> Result<Vec<Server>> {
    let fits = |name: &String, server: &Server| {
        server.name == *name || server.id == *name || glob::fits(name, &server.name)
    };
    if let Some(missing) = names.iter().find(|name| !servers.iter().any(|server| fits(name, server))) {
        return Err(servers::not_found(missing, &servers));
    }
    Ok(servers
        .into_iter()
        .filter(|server| names.is_empty() || names.iter().any(|name| fits(name, server)))
        .collect())
}

fn write(servers: &[Server], form: Form) -> Result<String> {
    let yaml = formats::own::write(servers)?;
    match form {
        Form::Yaml => Ok(yaml),
        Form::Json => {
            let value = documents::parse_value("export.yaml", &yaml)?;
            let text = serde_json::to_string_pretty(&value);
            text.map(|text| text + "\n")
                .map_err(|error| Error::new(&codes::BUG, "an export cannot be written").because(error))
        }
    }
}

impl Output for Exported {
    const KIND: &'static str = "server.export/1";

    fn human(&self, page: &mut Page) {
        match (&self.text, &self.file) {
            (Some(text), _) => page.text(text),
            (None, file) => {
                let count = text::plural(self.servers.len(), "server");
                page.mark(State::Ok, format!("wrote {count} to {}", file.as_deref().unwrap_or_default()))
            }
        };
    }

    fn ids(&self) -> Vec<String> {
        self.servers.clone()
    }
}
