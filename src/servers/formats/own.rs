//! umcp's own file of servers: `servers:` with one map per server, in YAML or JSON, read strictly.
//! `umcp server export` writes it and `umcp server edit` opens it.

use super::shut;
use crate::clock::milliseconds;
use crate::documents::{Node, Source, node, write_yaml};
use crate::error::{Error, Result, codes};
use crate::sandbox::Sandbox;
use crate::servers::model::{EraChoice, Limits, Server, Sharing, ToolFilter, Transport};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What [`super::Imported::format`] says about files of this kind.
pub const FORMAT: &str = "umcp";

/// One server as it stands in a file. Every field but `command` or `url` may be left out.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Command>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<Word>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    sharing: Sharing,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    verbatim: bool,
    #[serde(skip_serializing_if = "is_default")]
    protocol: EraChoice,
    #[serde(skip_serializing_if = "is_default")]
    timeouts: Timeouts,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<u32>,
    #[serde(skip_serializing_if = "is_default")]
    tools: Tools,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roots: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    sandbox: shut::Entry,
}

/// The program alone, or the whole command line as a list.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a program or a list of words")]
enum Command {
    Program(String),
    Line(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Stdio,
    #[serde(alias = "streamable-http")]
    Http,
    Sse,
    #[serde(alias = "ws")]
    Websocket,
    Socket,
    Builtin,
}

/// Times such as `30s`, `500ms`, `2m`, `1h`; a bare number counts seconds.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Timeouts {
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    /// After this long without a call the server is stopped; `0` never stops it.
    #[serde(skip_serializing_if = "Option::is_none", alias = "idle_stop")]
    idle_stop: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tools {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Writes servers as YAML that [`super::read`] reads back to the same entries.
pub fn write(servers: &[Server]) -> Result<String> {
    let mut entries = serde_json::Map::new();
    for server in servers {
        let entry =
            serde_json::to_value(Entry::from(server)).map_err(|error| Error::bug(error.to_string()))?;
        entries.insert(server.name.clone(), entry);
    }
    write_yaml(&serde_json::json!({ "umcp": 1, "servers": entries }))
}

/// Reads one entry into `server`, which brings name, id and time.
pub(super) fn read_entry(source: &Source<'_>, entry_node: &Node, mut server: Server) -> Result<Server> {
    let entry: Entry = node::into_typed(source, entry_node)?;
    let place = |error: Error, key: &str| {
        let at = entry_node.get(key).map_or(entry_node.at, |node| node.at);
        Error { span: Some(Box::new(source.span(at))), ..error }
    };
    let time = |key: &str, text: &Option<String>| -> Result<Option<u64>> {
        let millis = text.as_deref().map(parse_time).transpose();
        millis.map_err(|error| {
            let at = entry_node.at_path(&["timeouts", key]).map_or(entry_node.at, |node| node.at);
            error.at(source.span(at))
        })
    };
    server.limits = Limits {
        start_timeout_ms: time("start", &entry.timeouts.start)?,
        call_timeout_ms: time("call", &entry.timeouts.call)?,
        idle_stop_ms: time("idle-stop", &entry.timeouts.idle_stop)?,
        concurrency: entry.concurrency,
        queue: entry.queue,
    };
    server.transport = transport(&server.name, entry.command, entry.args, entry.url, entry.transport)
        .map_err(|error| place(error, "url"))?;
    server.description = entry.description;
    server.env = entry.env;
    server.headers = entry.headers;
    server.cwd = entry.cwd;
    server.tags = entry.tags;
    server.sharing = entry.sharing;
    server.enabled = entry.enabled.unwrap_or(true);
    server.verbatim = entry.verbatim;
    server.era = entry.protocol;
    server.tools = ToolFilter { include: entry.tools.include, exclude: entry.tools.exclude };
    server.roots = entry.roots;
    server.sandbox = Sandbox::try_from(entry.sandbox).map_err(|error| place(error, "sandbox"))?;
    Ok(server)
}

fn transport(
    name: &str,
    command: Option<Command>,
    args: Vec<String>,
    url: Option<String>,
    word: Option<Word>,
) -> Result<Transport> {
    let invalid = |what: &str| Err(Error::new(&codes::SERVER_INVALID, format!("server `{name}` {what}")));
    let command = command.map(|command| match command {
        Command::Program(program) => (program, args.clone()),
        Command::Line(words) => {
            let mut words = words.into_iter();
            (words.next().unwrap_or_default(), words.chain(args.clone()).collect())
        }
    });
    match (command, url, word) {
        (Some(_), Some(_), _) => invalid("has both `command` and `url`"),
        (None, None, _) => invalid("needs a `command` or a `url`"),
        (Some((command, args)), None, None | Some(Word::Stdio)) => Ok(Transport::Stdio { command, args }),
        (Some(_), None, Some(_)) => invalid("has a `command`, so its transport is `stdio`"),
        (None, Some(_), Some(Word::Stdio)) => invalid("has a `url`, so its transport is not `stdio`"),
        (None, Some(url), Some(Word::Sse)) => Ok(Transport::Sse { url }),
        (None, Some(url), Some(Word::Http)) => Ok(Transport::Http { url, probe: false }),
        (None, Some(url), Some(Word::Websocket)) => Ok(Transport::WebSocket { url }),
        (None, Some(url), None) if url.starts_with("${") || url.starts_with("secret://") => {
            Ok(Transport::Http { url, probe: true })
        }
        (None, Some(url), None | Some(Word::Socket | Word::Builtin)) => Transport::from_url(&url),
    }
}

impl From<&Server> for Entry {
    fn from(server: &Server) -> Self {
        let (mut command, mut arguments, mut url, mut word) = (None, Vec::new(), None, None);
        match &server.transport {
            Transport::Stdio { command: program, args } => {
                command = Some(Command::Program(program.clone()));
                arguments.clone_from(args);
            }
            other => {
                url = Some(other.target());
                word = match other {
                    Transport::Http { probe: false, .. } => Some(Word::Http),
                    Transport::Sse { .. } => Some(Word::Sse),
                    Transport::WebSocket { .. } => Some(Word::Websocket),
                    _ => None,
                };
            }
        }
        let limits = &server.limits;
        Self {
            description: server.description.clone(),
            command,
            args: arguments,
            url,
            transport: word,
            env: server.env.clone(),
            headers: server.headers.clone(),
            cwd: server.cwd.clone(),
            tags: server.tags.clone(),
            sharing: server.sharing,
            enabled: (!server.enabled).then_some(false),
            verbatim: server.verbatim,
            protocol: server.era,
            timeouts: Timeouts {
                start: limits.start_timeout_ms.map(write_time),
                call: limits.call_timeout_ms.map(write_time),
                idle_stop: limits.idle_stop_ms.map(write_time),
            },
            concurrency: limits.concurrency,
            queue: limits.queue,
            tools: Tools { include: server.tools.include.clone(), exclude: server.tools.exclude.clone() },
            roots: server.roots.clone(),
            sandbox: shut::Entry::from(&server.sandbox),
        }
    }
}

const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Milliseconds of a time such as `30s`; a bare number counts seconds.
pub fn parse_time(text: &str) -> Result<u64> {
    milliseconds(text).ok_or_else(|| {
        Error::new(&codes::VALUE_INVALID, format!("`{text}` is not a time"))
            .hint("write 30s, 500ms, 2m or 1h")
    })
}

/// A time in the largest unit that says it whole, as `parse_time` reads it.
pub fn write_time(millis: u64) -> String {
    let fits = |unit: &&(&str, u64)| millis.is_multiple_of(unit.1);
    match UNITS.iter().find(fits) {
        Some((name, unit)) if millis > 0 => format!("{}{name}", millis / unit),
        _ => format!("{}s", millis / 1000),
    }
}
