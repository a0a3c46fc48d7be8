//! `umcp catalog publish`: one of the user's servers as an entry that others can install.
//! Rule: no value of a variable or header leaves this machine, and no argument that looks like a key.

use crate::catalogue::list::Read;
use crate::catalogue::{Entry, Way, marketplace, registry};
use crate::cli::context::Context;
use crate::cli::known::one_server;
use crate::documents::large::read_large;
use crate::error::{Error, Result, codes};
use crate::paths::{io_error, write_atomic};
use crate::secrets::find;
use crate::servers::Server;
use crate::servers::model::Transport;
use crate::ui::{Output, Page, State};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Write a server as an entry that others can install
///
/// The entry has the registry's format (server.json). It holds the names of variables and headers, never their values.
/// FILE is a catalogue in JSON, made or added to; a folder, such as a git repository, gets a file for each server.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp catalog publish notes --as com.example/notes --version 1.0.0\n  umcp catalog publish notes --as com.example/notes --version 1.0.0 --to team.json"
)]
pub struct Publish {
    #[arg(value_name = "SERVER")]
    server: String,
    /// The entry's name, such as com.example/notes or io.github.USER/notes
    #[arg(long = "as", value_name = "NAME")]
    name: String,
    /// The version, if the server's package is not pinned to one
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Else the description of the server
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Where its source is
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// Write it there instead of to stdout
    #[arg(long, value_name = "FILE|FOLDER")]
    to: Option<PathBuf>,
    /// The format on stdout
    #[arg(long, value_enum, default_value = "server.json", conflicts_with = "to")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    #[value(name = "server.json")]
    ServerJson,
}

impl Publish {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let server = one_server(ctx, &self.server)?;
        let Format::ServerJson = self.format;
        let document = registry::write(&self.entry(&server)?)?;
        if let Some(to) =
            self.to.as_ref().filter(|to| !to.is_dir() && to.extension().is_none_or(|end| end != "json"))
        {
            let message = format!("`{}` is neither a folder nor a file that ends in .json", to.display());
            return Err(Error::new(&codes::VALUE_INVALID, message).hint("--to catalogue.json"));
        }
        let Some(to) = &self.to else { return ctx.ui.show(&Published { to: None, server: document }) };
        let path = match to.is_dir() {
            true => to.join("servers").join(format!("{}.server.json", self.name.replace('/', "_"))),
            false => to.clone(),
        };
        let text = match to.is_dir() {
            true => document.clone(),
            false => added(&path, &document)?,
        };
        if path.exists() && to.is_dir() {
            let question = format!("Write over {}?", path.display());
            if !ctx.ui.confirm(&question, false, "--yes")? {
                return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was written"));
            }
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| io_error("create", folder, &error))?;
        }
        write_atomic(&path, (pretty(&text)? + "\n").as_bytes())?;
        ctx.ui.show(&Published { to: Some(path), server: document })
    }

    fn entry(&self, server: &Server) -> Result<Entry> {
        let way = way(server)?;
        let pinned = match &way {
            Way::Npm(package) | Way::Pypi(package) => package.version.clone(),
            _ => None,
        };
        let Some(version) = self.version.clone().or(pinned) else {
            return Err(Error::new(&codes::USAGE, "an entry needs a version").hint("--version 1.0.0"));
        };
        let version = crate::catalogue::check::version(&version).ok_or_else(|| {
            Error::new(&codes::VALUE_INVALID, format!("`{version}` is no exact version"))
                .hint("--version 1.0.0")
        })?;
        let Some(description) = self.description.clone().or_else(|| server.description.clone()) else {
            return Err(Error::new(&codes::USAGE, "an entry says what it is for").hint("--description TEXT"));
        };
        let name = crate::catalogue::check::name(&self.name).ok_or_else(|| {
            Error::new(&codes::VALUE_INVALID, format!("`{}` is no name for an entry", self.name))
                .hint("--as com.example/notes")
        })?;
        Ok(Entry {
            name,
            title: self.title.clone(),
            description,
            version: Some(version),
            repository: self.repository.clone(),
            ways: vec![way],
            ..Entry::default()
        })
    }
}

/// The server as a way, with the values of its variables left to whoever installs it.
fn way(server: &Server) -> Result<Way> {
    let asked = |names: Vec<&String>| -> Value {
        names
            .into_iter()
            .map(|name| (name.clone(), format!("${{{name}}}").into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let env = asked(server.env.keys().collect());
    let headers = asked(server.headers.keys().collect());
    let entry = match &server.transport {
        Transport::Stdio { command, args } => {
            if let Some(word) = args.iter().find(|word| holds_key(word)) {
                let shown = find::masked(word);
                return Err(Error::new(
                    &codes::VALUE_INVALID,
                    format!("the argument `{shown}` looks like a key"),
                )
                .hint(format!(
                    "umcp secret scan, or give it as a variable: umcp server edit {}",
                    server.name
                )));
            }
            json!({"command": command, "args": args, "env": env})
        }
        Transport::Http { url, .. } => json!({"type": "http", "url": url, "headers": headers}),
        Transport::Sse { url } => json!({"type": "sse", "url": url, "headers": headers}),
        other => {
            return Err(Error::new(
                &codes::VALUE_INVALID,
                format!("a server over `{}` exists only on this machine", other.word()),
            ));
        }
    };
    let mut read = Read::default();
    marketplace::servers(&json!({"entry": entry}), "", &Entry::default(), &mut read);
    match read.entries.pop().and_then(|mut entry| entry.ways.pop()) {
        Some(Way::Other { reason, .. }) | Some(Way::Command { command: reason, .. }) => {
            let error = Error::new(&codes::VALUE_INVALID, format!("`{}` cannot be published", server.name));
            Err(error.because(format!("it is neither a package nor a public address ({reason})")))
        }
        Some(way) => Ok(way),
        None => Err(Error::bug("a server became no entry")),
    }
}

/// Whether a word, or the value behind its `=`, looks like a key.
fn holds_key(word: &str) -> bool {
    let (name, value) = word.split_once('=').unwrap_or(("", word));
    find::why(name.trim_start_matches('-'), value).is_some()
}

/// A catalogue file with the entry in it, in the place of one of the same name.
fn added(path: &Path, document: &Value) -> Result<Value> {
    let mut whole = match path.exists() {
        true => crate::documents::large::parse_large(&path.display().to_string(), &read_large(path)?)?,
        false => json!({"servers": []}),
    };
    let Some(servers) = whole["servers"].as_array_mut() else {
        return Err(Error::new(
            &codes::SOURCE_INVALID,
            format!("`{}` is no catalogue in JSON", path.display()),
        )
        .hint("name a new file, or a folder"));
    };
    servers.retain(|item| item.get("server").unwrap_or(item)["name"] != document["name"]);
    servers.push(json!({"server": document}));
    Ok(whole)
}

fn pretty(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Error::bug("a document could not be written as JSON").because(error))
}

#[derive(Serialize)]
struct Published {
    to: Option<PathBuf>,
    server: Value,
}

impl Output for Published {
    const KIND: &'static str = "catalog.published/1";

    fn human(&self, page: &mut Page) {
        match &self.to {
            Some(path) => page.mark(
                State::Ok,
                format!("wrote {} to {}", self.server["name"].as_str().unwrap_or_default(), path.display()),
            ),
            None => page.text(pretty(&self.server).unwrap_or_default()),
        };
    }

    fn exact(&self) -> Option<String> {
        self.to.is_none().then(|| pretty(&self.server).unwrap_or_default() + "\n")
    }

    fn ids(&self) -> Vec<String> {
        vec![self.server["name"].as_str().unwrap_or_default().into()]
    }
}
