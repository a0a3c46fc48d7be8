//! What a server is: one entry of the user's list, however it was written down before.
//! Pure data and its checks. How it is run is the business of `upstream`.

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::glob;
use crate::sandbox::Sandbox;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The built-in server whose tools are workflows, and its entry.
const WORKFLOWS: &str = "workflows";

/// One MCP server the user has configured.
///
/// Values of `env`, `headers`, `args` and URLs may hold `${VAR}`, `${VAR:-default}` and `secret://NAME`;
/// they are stored as written and resolved when the server is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Stable id (`srv_…`); survives a rename.
    pub id: String,
    /// What the user and the tool prefix call it.
    pub name: String,
    pub transport: Transport,
    pub env: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub cwd: Option<String>,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub sharing: Sharing,
    pub enabled: bool,
    /// Tools keep their own names, without the `server__` prefix.
    pub verbatim: bool,
    /// Which protocol era to speak; `Auto` probes and remembers.
    pub era: EraChoice,
    pub limits: Limits,
    pub tools: ToolFilter,
    /// Directories told to a server that asks for roots outside a call.
    pub roots: Vec<String>,
    /// Where the entry came from, such as `claude-code` or a file.
    pub origin: Option<String>,
    pub created: Timestamp,
    /// Counts changes; a running connection of an older revision is replaced.
    pub revision: u64,
    /// How its process is shut in. Stored last: rows from before it end here.
    #[serde(default)]
    pub sandbox: Sandbox,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// A child process that speaks on stdin and stdout.
    Stdio {
        command: String,
        args: Vec<String>,
    },
    /// Streamable HTTP; with `probe` the legacy SSE transport is tried when it does not answer.
    Http {
        url: String,
        probe: bool,
    },
    /// Legacy HTTP+SSE.
    Sse {
        url: String,
    },
    WebSocket {
        url: String,
    },
    /// Streamable HTTP over a Unix socket or named pipe; `path` is the socket, `uri` the request path.
    Socket {
        path: String,
        uri: String,
    },
    /// A server inside umcp: `time`, `fetch`, `files`, `kv`, `http`, `database`, `workflows`.
    Builtin {
        name: String,
    },
    /// An app: tools that umcp runs itself, defined by the row of that name.
    App {
        name: String,
    },
}

impl Transport {
    /// The word `umcp server list` shows.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Stdio { .. } => "stdio",
            Self::Http { .. } => "http",
            Self::Sse { .. } => "sse",
            Self::WebSocket { .. } => "websocket",
            Self::Socket { .. } => "socket",
            Self::Builtin { .. } => "builtin",
            Self::App { .. } => "app",
        }
    }

    /// The target in one line: the command line or the URL.
    pub fn target(&self) -> String {
        match self {
            Self::Stdio { command, args } => {
                let mut line = quote(command);
                for arg in args {
                    line.push(' ');
                    line.push_str(&quote(arg));
                }
                line
            }
            Self::Http { url, .. } | Self::Sse { url } | Self::WebSocket { url } => url.clone(),
            Self::Socket { path, uri } => format!("unix://{path}#{uri}"),
            Self::Builtin { name } => format!("builtin:{name}"),
            Self::App { name } => format!("app:{name}"),
        }
    }

    /// Reads a URL: `http(s)://`, `ws(s)://`, `unix:///path#/uri`, `pipe:///name#/uri`, `builtin:NAME`.
    pub fn from_url(url: &str) -> Result<Self> {
        let lower = url.to_ascii_lowercase();
        let starts = |prefix: &str| lower.starts_with(prefix);
        if names_no_host(url) {
            return Err(Error::new(&codes::VALUE_INVALID, format!("`{url}` names no host"))
                .hint("write it whole, such as https://example.com/mcp"));
        }
        if starts("http://") || starts("https://") {
            return Ok(Self::Http { url: url.into(), probe: true });
        }
        if starts("ws://") || starts("wss://") {
            return Ok(Self::WebSocket { url: url.into() });
        }
        if let Some(rest) = ["unix://", "pipe://"].iter().find_map(|prefix| url.strip_prefix(prefix)) {
            let (path, uri) = rest.split_once('#').unwrap_or((rest, "/mcp"));
            return Ok(Self::Socket { path: path.into(), uri: uri.into() });
        }
        if let Some(name) = url.strip_prefix("builtin:") {
            return Ok(Self::Builtin { name: name.into() });
        }
        if let Some(name) = url.strip_prefix("app:") {
            return Ok(Self::App { name: name.into() });
        }
        Err(Error::new(&codes::VALUE_INVALID, format!("`{url}` is not a URL umcp can connect to"))
            .hint("use http://, https://, ws://, wss://, unix:///path#/mcp or builtin:NAME"))
    }
}

/// Whether nothing stands where a URL has its host, or a local socket its path.
fn names_no_host(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    if matches!(scheme, "unix" | "pipe") {
        return rest.split('#').next().is_none_or(str::is_empty);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.is_empty() || host.starts_with(':')
}

/// A word as a shell would need it, for display only; nothing is ever run through a shell.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Who shares a running server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// One process or session for all clients.
    #[default]
    Shared,
    /// One process or session for each client session, for servers that keep state.
    PerClient,
}

/// Which protocol era to speak with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EraChoice {
    #[default]
    Auto,
    /// Revisions up to 2025-11-25: `initialize`, sessions, server-to-client requests.
    Legacy,
    /// 2026-07-28 and later: stateless, `server/discover`, input-required results.
    Modern,
}

/// Deadlines and bounds of one server; `None` takes the setting of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    pub start_timeout_ms: Option<u64>,
    pub call_timeout_ms: Option<u64>,
    /// Stop after this long without a call; 0 never stops it.
    pub idle_stop_ms: Option<u64>,
    /// Calls in flight at once.
    pub concurrency: Option<u32>,
    /// Calls waiting beyond those; more are refused as busy at once.
    pub queue: Option<u32>,
}

/// Which of a server's tools are shown. Patterns are exact names or hold `*`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ToolFilter {
    /// Empty means all.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
}

impl ToolFilter {
    pub fn shows(&self, tool: &str) -> bool {
        (self.include.is_empty() || self.include.iter().any(|pattern| glob::fits(pattern, tool)))
            && !self.exclude.iter().any(|pattern| glob::fits(pattern, tool))
    }
}

impl Server {
    /// A new entry with every default; the caller sets what it knows.
    pub fn new(id: String, name: impl Into<String>, transport: Transport, now: Timestamp) -> Self {
        Self {
            id,
            name: name.into(),
            transport,
            env: BTreeMap::new(),
            headers: BTreeMap::new(),
            cwd: None,
            description: None,
            tags: Vec::new(),
            sharing: Sharing::default(),
            enabled: true,
            verbatim: false,
            era: EraChoice::default(),
            limits: Limits::default(),
            tools: ToolFilter::default(),
            roots: Vec::new(),
            origin: None,
            created: now,
            revision: 1,
            sandbox: Sandbox::default(),
        }
    }

    /// The entry by which workflows are tools.
    pub fn of_workflows() -> Self {
        let transport = Transport::Builtin { name: WORKFLOWS.into() };
        let mut entry = Self::new(format!("srv_{WORKFLOWS}"), WORKFLOWS, transport, Timestamp::default());
        entry.description = Some("Your workflows, each a tool".into());
        // A run takes its time, and waits for little but other servers.
        entry.limits.call_timeout_ms = Some(3_600_000);
        entry.limits.concurrency = Some(64);
        entry
    }

    /// Whether its tools are the user's workflows.
    pub fn offers_workflows(&self) -> bool {
        matches!(&self.transport, Transport::Builtin { name } if name == WORKFLOWS)
    }

    /// Refuses an entry that cannot work.
    pub fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        self.sandbox.check()?;
        let invalid =
            |what: &str| Err(Error::new(&codes::SERVER_INVALID, format!("server `{}` {what}", self.name)));
        if self.sandbox != Sandbox::default() && !matches!(self.transport, Transport::Stdio { .. }) {
            return invalid("is no process of this machine, so it has no sandbox");
        }
        match &self.transport {
            Transport::Stdio { command, .. } if command.trim().is_empty() => invalid("has no command"),
            Transport::Http { url, .. } | Transport::Sse { url } | Transport::WebSocket { url }
                if url.trim().is_empty() =>
            {
                invalid("has no URL")
            }
            _ => Ok(()),
        }
    }
}

/// Refuses a name that cannot be a tool prefix, a file name and a word on the command line.
pub fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let refuse = |why: &str| {
        Err(Error::new(&codes::NAME_INVALID, format!("`{name}` cannot be the name of a server: {why}")))
    };
    if name.is_empty() || name.len() > 40 {
        return refuse("a name has 1 to 40 characters");
    }
    if !name.chars().all(good) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return refuse("use letters, digits, `-` and `_`, and start with a letter or digit");
    }
    if name.contains("__") || name.ends_with('_') {
        return refuse("`__` stands between server and tool, so a name may not hold it or end in `_`");
    }
    if name.eq_ignore_ascii_case("umcp") {
        return refuse("`umcp` is reserved for umcp's own tools");
    }
    Ok(())
}

/// The nearest valid name, for imports of entries such as `My Server!`.
pub fn tame_name(name: &str) -> String {
    let mut tame = String::new();
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        if c != '_' || !(tame.is_empty() || tame.ends_with('_')) {
            tame.push(c);
        }
    }
    tame.truncate(40);
    let tame = tame.trim_end_matches('_').trim_start_matches(['-', '_']).to_string();
    match tame.as_str() {
        "" => "server".into(),
        _ if tame.eq_ignore_ascii_case("umcp") => "umcp-server".into(),
        _ => tame,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_tamed() {
        for bad in ["", "a b", "__x", "a__b", "umcp", "x_", "-a", "ä"] {
            assert!(check_name(bad).is_err(), "{bad}");
            assert!(check_name(&tame_name(bad)).is_ok(), "{bad} -> {}", tame_name(bad));
        }
        assert_eq!(tame_name("My Server!"), "My_Server");
    }

    #[test]
    fn a_url_tells_its_transport() {
        for (url, word) in [
            ("https://x/mcp", "http"),
            ("wss://x", "websocket"),
            ("unix:///run/a.sock#/mcp", "socket"),
            ("builtin:time", "builtin"),
        ] {
            assert_eq!(Transport::from_url(url).unwrap().word(), word);
        }
        assert!(Transport::from_url("ftp://x").is_err());
        for url in
            ["https://", "http:///mcp", "https://:8080/mcp", "wss://user@/x", "unix://", "unix://#/mcp"]
        {
            let error = Transport::from_url(url).unwrap_err();
            assert_eq!(error.message, format!("`{url}` names no host"));
        }
        for url in ["https://[::1]:80/mcp", "http://${HOST}:8080/mcp", "https://user:key@example.com"] {
            assert!(Transport::from_url(url).is_ok(), "{url}");
        }
    }
}
