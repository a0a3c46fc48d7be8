//! What the store knows of servers and their tools, read once per command: entries, catalogues, preferences.
//! It finds tools by the words people use and says what was meant when there is none.

use super::context::Context;
use crate::documents::near;
use crate::engine::live::{Live, LiveReply, ServerStatus};
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::glob;
use crate::servers::{self, Server};
use crate::tools::{self, Catalogue, Preference, Tool};
use std::collections::BTreeMap;

pub struct Known {
    pub servers: Vec<Server>,
    catalogues: BTreeMap<String, Catalogue>,
    preferences: BTreeMap<String, BTreeMap<String, Preference>>,
}

/// One tool and what belongs to it.
#[derive(Clone, Copy)]
pub struct KnownTool<'a> {
    pub server: &'a Server,
    pub tool: &'a Tool,
    pub preference: Option<&'a Preference>,
}

impl KnownTool<'_> {
    /// `server.tool`, as it is typed.
    pub fn path(&self) -> String {
        format!("{}.{}", self.server.name, self.tool.name)
    }

    /// Whether clients can see it.
    pub fn enabled(&self) -> bool {
        self.server.enabled && !self.preference.is_some_and(|preference| preference.disabled)
    }
}

impl Known {
    pub fn read(ctx: &Context) -> Result<Self> {
        let servers = all_servers(ctx)?;
        let catalogues = match ctx.call(tools::Request::Catalogues)? {
            Reply::Tool(tools::Reply::Catalogues(catalogues)) => catalogues,
            other => return engine::unexpected(&other),
        };
        let preferences = match ctx.call(tools::Request::Preferences)? {
            Reply::Tool(tools::Reply::Preferences(preferences)) => preferences,
            other => return engine::unexpected(&other),
        };
        Ok(Self { servers, catalogues, preferences })
    }

    /// As `read`, after asking those servers that were never asked and are wanted. One that does not answer costs a warning, and
    /// the wait for it once: one the daemon has seen fail or dawdle is asked again by `umcp tool refresh` alone.
    pub fn ask(ctx: &Context, wanted: &dyn Fn(&Server) -> bool) -> Result<Self> {
        let known = Self::read(ctx)?;
        let unlisted = known.unlisted().filter(|server| wanted(server));
        let mut names: Vec<String> = unlisted.map(|server| server.name.clone()).collect();
        if names.is_empty() {
            return Ok(known);
        }
        for status in statuses(ctx)? {
            let Some(why) = why_not_ask(&status) else { continue };
            let Some(at) = names.iter().position(|name| *name == status.name) else { continue };
            let name = names.remove(at);
            ctx.ui.warn(&format!("{name} did not answer before: {why} (umcp tool refresh {name})"));
        }
        if names.is_empty() {
            return Ok(known);
        }
        let bar = ctx.ui.progress(&format!("asking {} for their tools", names.join(", ")));
        let reply = ctx.live(Live::Refresh { names, bounded: true })?;
        drop(bar);
        let LiveReply::Refreshed(servers) = reply else { return super::context::unexpected(&reply) };
        for (server, error) in servers.into_iter().filter_map(|it| Some((it.server, it.error?))) {
            ctx.ui.warn(&format!("{server} did not answer: {error} (umcp server test {server})"));
        }
        Self::read(ctx)
    }

    pub fn catalogue(&self, server: &Server) -> Option<&Catalogue> {
        self.catalogues.get(&server.id)
    }

    pub fn server(&self, name: &str) -> Result<&Server> {
        let found = self.servers.iter().find(|server| server.name == name || server.id == name);
        found.ok_or_else(|| servers::not_found(name, &self.servers))
    }

    /// All tools, by server and in the order of each server.
    pub fn tools(&self) -> impl Iterator<Item = KnownTool<'_>> {
        self.servers.iter().flat_map(|server| {
            let tools =
                self.catalogue(server).map(|catalogue| catalogue.tools.as_slice()).unwrap_or_default();
            let preferences = self.preferences.get(&server.id);
            tools.iter().map(move |tool| KnownTool {
                server,
                tool,
                preference: preferences.and_then(|preferences| preferences.get(&tool.name)),
            })
        })
    }

    /// Names of the enabled servers that were never asked what they offer.
    pub fn never_listed(&self) -> Vec<&str> {
        self.unlisted().map(|server| server.name.as_str()).collect()
    }

    fn unlisted(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(|server| server.enabled && self.catalogue(server).is_none())
    }

    /// One tool by `server.tool`, `server__tool`, its alias, or its own name when only one server has it.
    pub fn tool(&self, word: &str) -> Result<KnownTool<'_>> {
        let by_path = |known: &KnownTool<'_>| {
            let split = word.split_once('.').or_else(|| word.split_once("__"));
            split.is_some_and(|(server, tool)| {
                (known.server.name == server || known.server.id == server) && known.tool.name == tool
            })
        };
        if let Some(known) = self.tools().find(by_path) {
            return Ok(known);
        }
        let by_alias = |known: &KnownTool<'_>| {
            known.preference.is_some_and(|preference| preference.alias.as_deref() == Some(word))
        };
        if let Some(known) = self.tools().find(by_alias) {
            return Ok(known);
        }
        let same: Vec<KnownTool<'_>> = self.tools().filter(|known| known.tool.name == word).collect();
        match same.as_slice() {
            [only] => Ok(*only),
            [] => Err(self.no_tool(word)),
            several => {
                let error =
                    Error::new(&codes::TOOL_NOT_FOUND, format!("several servers have a tool `{word}`"));
                Err(several.iter().fold(error, |error, known| error.hint(format!("say `{}`", known.path()))))
            }
        }
    }

    /// Tools by names and patterns such as `github.*`; each must find something.
    pub fn select(&self, words: &[String]) -> Result<Vec<KnownTool<'_>>> {
        let mut chosen: Vec<KnownTool<'_>> = Vec::new();
        for word in words {
            let found: Vec<KnownTool<'_>> = if word.contains('*') {
                self.tools().filter(|known| glob::fits(word, &known.path())).collect()
            } else {
                vec![self.tool(word)?]
            };
            if found.is_empty() {
                return Err(self.no_tool(word));
            }
            for known in found {
                if !chosen.iter().any(|other| other.path() == known.path()) {
                    chosen.push(known);
                }
            }
        }
        Ok(chosen)
    }

    /// "No tool named …", with the nearest name and the reason why there may be none.
    fn no_tool(&self, word: &str) -> Error {
        let error = Error::new(&codes::TOOL_NOT_FOUND, format!("no tool named `{word}`"));
        let (server, tool) = word.split_once('.').unwrap_or(("", word));
        if !server.is_empty() {
            match self.server(server) {
                Err(missing) => return missing,
                Ok(server) if self.catalogue(server).is_none() => {
                    return error.hint(format!("umcp tool refresh {}", server.name));
                }
                Ok(_) => {}
            }
        }
        let paths: Vec<String> = self.tools().map(|known| known.path()).collect();
        let own = |path: &&String| path.starts_with(&format!("{server}."));
        let here = paths.iter().filter(own).filter_map(|path| path.split_once('.').map(|(_, tool)| tool));
        if let Some(nearest) = near(tool, here) {
            return error.hint(format!("did you mean `{server}.{nearest}`?"));
        }
        let anywhere = paths.iter().filter_map(|path| path.split_once('.').map(|(_, tool)| tool));
        let nearest = near(tool, anywhere)
            .and_then(|tool| paths.iter().find(|path| path.ends_with(&format!(".{tool}"))));
        match nearest {
            Some(path) => error.hint(format!("did you mean `{path}`?")),
            None => error.hint(format!("umcp tool search {tool}")).hint("umcp tool list"),
        }
    }
}

/// How the servers stand, where a daemon runs.
fn statuses(ctx: &Context) -> Result<Vec<ServerStatus>> {
    match ctx.live_if_running(Live::Status)? {
        Some(LiveReply::Status(status)) => Ok(status.servers),
        Some(other) => super::context::unexpected(&other),
        None => Ok(Vec::new()),
    }
}

/// Why asking a server that was never listed would only cost time.
fn why_not_ask(status: &ServerStatus) -> Option<String> {
    status.last_error.clone().or_else(|| status.state.is_failing().then(|| status.state.word().into()))
}

/// Whether a server goes by one of these words; by none of them, every server is meant.
pub fn is_one_of(server: &Server, words: &[String]) -> bool {
    words.is_empty() || words.iter().any(|word| server.name == *word || server.id == *word)
}

pub fn all_servers(ctx: &Context) -> Result<Vec<Server>> {
    match ctx.call(servers::Request::List { tag: None })? {
        Reply::Server(servers::Reply::Servers(servers)) => Ok(servers),
        other => engine::unexpected(&other),
    }
}

pub fn one_server(ctx: &Context, name: &str) -> Result<Server> {
    match ctx.call(servers::Request::Show { name: name.into() })? {
        Reply::Server(servers::Reply::Server(server)) => Ok(*server),
        other => engine::unexpected(&other),
    }
}
