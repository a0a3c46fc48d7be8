//! Reads a file of commands or the manifest of an app into a [`Definition`]. Files of MCPFier are known by their list
//! of commands (ours is a map) and read by `mcpfier`. It looks at no disk and no network.
//! Rule: a mistake is found here, with its line, and not at the first call.

mod check;
mod command;
mod graphql;
mod http;
mod mcpfier;
mod schema;
pub mod units;

use super::model::{Definition, Setting};
use crate::documents::{self, Node, Source, node::into_typed};
use crate::error::Result;
use command::Command;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A file, understood.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    pub name: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub category: Option<String>,
    pub integration: Option<String>,
    /// The app is an MCP server.
    pub server: Option<ServerSource>,
    pub definition: Definition,
    /// What was read and has no meaning here, such as settings of another tool.
    pub notes: Vec<String>,
}

/// An MCP server, in the words of `umcp server add`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSource {
    /// `npm:PACKAGE`, `pypi:PACKAGE`, `builtin:NAME`, an address or a program.
    pub run: String,
    pub args: Vec<String>,
    /// Arguments that only the user can say, such as `FOLDER`.
    pub asks: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub roots: Vec<String>,
    /// Only these tools are shown.
    pub tools: Vec<String>,
}

/// Everything at the top but the commands themselves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(rename = "umcp")]
    _version: Option<Value>,
    name: Option<String>,
    title: Option<String>,
    description: Option<String>,
    category: Option<String>,
    #[serde(rename = "homepage")]
    _homepage: Option<String>,
    integration: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    instructions: Option<String>,
    base: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    auth: Option<http::Auth>,
    #[serde(default)]
    settings: Vec<Setting>,
    server: Option<ServerSource>,
    graphql: Option<graphql::GraphQl>,
    #[serde(rename = "commands", alias = "tools")]
    _commands: Option<Value>,
}

/// Reads a file.
///
/// Errors: `FILE_INVALID` and `FIELD_UNKNOWN` with the place.
pub fn load(path: &str, text: &str) -> Result<Loaded> {
    let root = documents::parse(path, text)?;
    let source = Source::new(path, text);
    if root.get("commands").is_some_and(Node::is_list) {
        return mcpfier::load(&source, &root);
    }
    let head: Head = into_typed(&source, &root)?;
    let commands = root.get("commands").or_else(|| root.get("tools"));
    let mut definition = Definition {
        base: head.base,
        settings: head.settings,
        instructions: head.instructions,
        scopes: head.scopes,
        ..Definition::default()
    };
    let shared = http::Shared { headers: &head.headers, signed: head.auth.is_some() };
    if let Some(auth) = head.auth {
        definition.schemes.insert(http::SHARED.into(), auth.scheme());
    }
    match commands {
        Some(commands) if !commands.is_map() => {
            let message = format!("expected a map of commands, found {}", commands.word());
            return Err(source.invalid(commands.at, message));
        }
        Some(commands) => {
            for (key, node) in commands.entries() {
                check::name(&source, key)?;
                let command: Command = into_typed(&source, node)?;
                let tool = command.tool(&source, key, node, &shared, &mut definition)?;
                definition.tools.push(tool);
            }
            check::needs(&source, commands, &definition)?;
        }
        None if head.server.is_none() && head.graphql.is_none() => {
            let error = source.invalid(root.at, format!("`{path}` holds no commands"));
            return Err(error.hint("umcp command template"));
        }
        None => {}
    }
    if let Some(graphql) = head.graphql {
        let node = root.get("graphql").unwrap_or(&root);
        graphql.tools(&source, node, &shared, &mut definition)?;
    }
    Ok(Loaded {
        name: head.name,
        title: head.title,
        description: head.description,
        category: head.category,
        integration: head.integration,
        server: head.server,
        definition,
        notes: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
