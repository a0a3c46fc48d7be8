//! Which tool wrote a file, and where in it the servers stand.
//! Rule: the shape of the content decides first, the name of the file only between look-alikes.

use super::{Candidate, Dialect, Level, Note, own};
use crate::documents::{Key, Node};

/// A recognised file.
pub struct Found<'a> {
    pub dialect: Dialect,
    pub candidates: Vec<Candidate<'a>>,
    pub notes: Vec<Note>,
}

impl<'a> Found<'a> {
    fn new(name: &'static str, candidates: Vec<Candidate<'a>>) -> Self {
        let dialect = Dialect { name, seconds: matches!(name, "goose" | "massgen" | "cline") };
        Self { dialect, candidates, notes: Vec::new() }
    }

    fn noted(mut self, notes: Vec<Note>) -> Self {
        self.notes.extend(notes);
        self
    }
}

/// Recognises the format; `None` when the file holds no servers in any of them.
pub fn detect<'a>(path: &'a str, toml: bool, root: &'a Node) -> Option<Found<'a>> {
    servers_key(path, root)
        .or_else(|| mcp_servers_key(path, root))
        .or_else(|| snake_key(toml, root))
        .or_else(|| client_keys(root))
        .or_else(|| notes_only(root))
        .or_else(|| bare(path, root))
}

/// `servers:` of umcp and of VS Code.
fn servers_key<'a>(path: &str, root: &'a Node) -> Option<Found<'a>> {
    let servers = root.get("servers").filter(|node| node.is_map() || node.is_null())?;
    let typed = servers.entries().iter().any(|(_, node)| node.get("type").is_some());
    let code = path.ends_with("mcp.json") || typed || root.get("inputs").is_some();
    if code && root.get("umcp").is_none() {
        let known = ["servers", "inputs"];
        return Some(Found::new("vscode", entries(servers)).noted(unread(root, &known)));
    }
    Some(Found::new(own::FORMAT, entries(servers)))
}

/// `mcpServers` of most tools.
fn mcp_servers_key<'a>(path: &'a str, root: &'a Node) -> Option<Found<'a>> {
    let projects = root.get("projects").map(Node::entries).unwrap_or_default();
    let in_project = |node: &Node| node.get("mcpServers").is_some();
    let servers = match root.get("mcpServers") {
        Some(node) => node,
        None => return projects.iter().any(|(_, node)| in_project(node)).then(|| claude(root, projects)),
    };
    if servers.is_list() {
        return Some(Found::new("continue", items(servers)));
    }
    if !projects.is_empty() {
        return Some(claude(root, projects));
    }
    let has = |key: &str| servers.entries().iter().any(|(_, node)| node.get(key).is_some());
    let upper =
        |node: &Node| node.get("type").and_then(Node::as_str).is_some_and(|word| word == word.to_uppercase());
    let named = |part: &str| path.replace('\\', "/").to_lowercase().contains(part);
    let name = match () {
        () if has("httpUrl") || named(".gemini/") || named("gemini-extension") => "gemini",
        () if has("serverUrl") || named("windsurf") || named("codeium") => "windsurf",
        () if has("baseUrl") || root.get("imports").is_some() || named("mcporter") => "mcporter",
        () if root.get("users").is_some()
            || root.get("groups").is_some()
            || named("mcp_settings.json") && !named("cline") =>
        {
            "mcphub"
        }
        () if named("cline") => "cline",
        () if servers.entries().iter().any(|(_, node)| upper(node)) => "metatool",
        () if has("tags") || named("1mcp") => "1mcp",
        () if named("claude_desktop_config") => "claude-desktop",
        () if named(".cursor/") => "cursor",
        () => "mcp.json",
    };
    let notes = match name {
        "mcphub" => unread(root, &["mcpServers"]),
        "mcporter" => root
            .get("imports")
            .filter(|imports| !imports.items().is_empty())
            .map(|imports| {
                let message = "`imports` names other tools' files; import those files themselves";
                vec![Note { line: Some(imports.at.line), level: Level::Ignored, message: message.into() }]
            })
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    Some(Found::new(name, entries(servers)).noted(notes))
}

/// `~/.claude.json`: servers of the user and of each project.
fn claude<'a>(root: &'a Node, projects: &'a [(Key, Node)]) -> Found<'a> {
    let mut candidates = root.get("mcpServers").map(entries).unwrap_or_default();
    for (project, node) in projects {
        for mut candidate in node.get("mcpServers").map(entries).unwrap_or_default() {
            candidate.project = Some(&project.name);
            candidates.push(candidate);
        }
    }
    Found::new("claude-code", candidates)
}

/// `mcp_servers` of Codex (a map in TOML) and MassGen (a map or list in YAML, also per agent).
fn snake_key(toml: bool, root: &Node) -> Option<Found<'_>> {
    if toml {
        return root.get("mcp_servers").map(|servers| Found::new("codex", entries(servers)));
    }
    let agents = root.get("agents").map(Node::items).unwrap_or_default();
    let backends =
        agents.iter().chain(root.get("agent")).flat_map(|agent| [Some(agent), agent.get("backend")]);
    let places =
        [Some(root), root.get("backend"), root.get("orchestrator")].into_iter().chain(backends).flatten();
    let lists: Vec<_> = places.filter_map(|place| place.get("mcp_servers")).collect();
    if lists.is_empty() {
        return None;
    }
    let candidates =
        lists.into_iter().flat_map(|node| if node.is_list() { items(node) } else { entries(node) }).collect();
    Some(Found::new("massgen", candidates))
}

/// Keys that only one client uses.
fn client_keys(root: &Node) -> Option<Found<'_>> {
    if let Some(servers) = root.get("context_servers") {
        return Some(Found::new("zed", entries(servers)));
    }
    let reached = |node: &Node| ["type", "cmd", "uri"].iter().any(|key| node.get(key).is_some());
    if let Some(extensions) =
        root.get("extensions").filter(|node| node.entries().iter().any(|pair| reached(&pair.1)))
    {
        return Some(Found::new("goose", entries(extensions)));
    }
    let mcp = root.get("mcp")?;
    let inner = mcp.get("servers").filter(|servers| servers.is_map() && servers.get("command").is_none());
    let servers = inner.unwrap_or(mcp);
    let open = |node: &Node| {
        matches!(node.get("type").and_then(Node::as_str), Some("local" | "remote"))
            || node.get("command").is_some_and(Node::is_list)
    };
    let opencode = inner.is_none() || servers.entries().iter().any(|(_, node)| open(node));
    Some(Found::new(if opencode { "opencode" } else { "vscode" }, entries(servers)))
}

/// Files that hold things umcp has other words for: told, not imported.
fn notes_only(root: &Node) -> Option<Found<'_>> {
    let told = |name: &'static str, list: &str, words: &dyn Fn(&Node, &str) -> String| {
        let node = root.get(list).filter(|node| node.is_list())?;
        let notes = node.items().iter().map(|item| {
            let name = item.get("name").and_then(Node::as_str).unwrap_or("unnamed");
            Note { line: Some(item.at.line), level: Level::Skipped, message: words(item, name) }
        });
        Some(Found::new(name, Vec::new()).noted(notes.collect()).noted(unread(root, &[list])))
    };
    told("universal-mcp", "apps", &|item, name| {
        let sign_in = item.get("integration").is_some_and(|node| !node.is_null());
        let more = if sign_in { ", with a key of its service" } else { "" };
        format!("`{name}` is an app{more}; see `umcp app search {name}`")
    })
    .or_else(|| {
        told("mcpfier", "commands", &|item, name| match item.get("webhook") {
            Some(_) => format!("`{name}` calls a webhook; take it over with `umcp command add -f`"),
            None => format!("`{name}` runs a script; take it over with `umcp command add -f`"),
        })
    })
}

/// A map of entries without a key above it (mcpm), or one entry alone.
fn bare<'a>(path: &'a str, root: &'a Node) -> Option<Found<'a>> {
    let entry = |node: &Node| {
        ["command", "url", "httpUrl", "serverUrl"]
            .iter()
            .any(|key| node.get(key).is_some_and(|value| !value.is_map()))
    };
    if entry(root) {
        let stem = path.rsplit(['/', '\\']).next().unwrap_or(path).split('.').find(|part| !part.is_empty());
        let name = root.get("name").and_then(Node::as_str).or(stem).unwrap_or("server");
        let candidate = Candidate { name: name.into(), line: root.at.line, node: root, project: None };
        return Some(Found::new("entry", vec![candidate]));
    }
    let all = root.entries();
    (!all.is_empty() && all.iter().all(|(_, node)| entry(node))).then(|| Found::new("mcpm", entries(root)))
}

fn entries(servers: &Node) -> Vec<Candidate<'_>> {
    let pairs = servers.entries().iter();
    pairs
        .map(|(key, node)| Candidate { name: key.name.clone(), line: key.at.line, node, project: None })
        .collect()
}

fn items(servers: &Node) -> Vec<Candidate<'_>> {
    let nodes = servers.items().iter().enumerate();
    nodes
        .map(|(index, node)| {
            let name =
                node.get("name").and_then(Node::scalar).unwrap_or_else(|| format!("server-{}", index + 1));
            Candidate { name, line: node.at.line, node, project: None }
        })
        .collect()
}

/// A note for each key at the top that umcp has no use for.
fn unread(root: &Node, known: &[&str]) -> Vec<Note> {
    let others = root
        .entries()
        .iter()
        .filter(|(key, _)| !known.contains(&key.name.as_str()) && !key.name.starts_with('$'));
    others
        .map(|(key, _)| Note {
            line: Some(key.at.line),
            level: Level::Ignored,
            message: format!("`{}` is a setting of the other tool", key.name),
        })
        .collect()
}
