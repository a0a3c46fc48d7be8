//! The clients umcp knows, one row each.

use super::model::{Client, Shape};
use crate::documents::{Format, near};
use crate::error::{Error, Result, codes};

const BASE: Client = Client {
    id: "",
    name: "",
    aliases: &[],
    format: Some(Format::Json),
    key: "mcpServers",
    shape: Shape::Plain,
    after: None,
};

/// All clients, in the order in which lists show them.
pub const CLIENTS: &[Client] = &[
    Client {
        id: "claude-code",
        name: "Claude Code",
        aliases: &["claude"],
        shape: Shape::Typed,
        after: Some("start a new session"),
        ..BASE
    },
    Client { id: "claude-desktop", name: "Claude Desktop", after: Some("quit and reopen the app"), ..BASE },
    Client { id: "cursor", name: "Cursor", ..BASE },
    Client {
        id: "vscode",
        name: "VS Code",
        aliases: &["code", "vs-code", "copilot"],
        key: "servers",
        shape: Shape::Typed,
        after: Some("start the server from the file or the MCP view once, to trust it"),
        ..BASE
    },
    Client {
        id: "codex",
        name: "Codex",
        format: Some(Format::Toml),
        key: "mcp_servers",
        after: Some("start a new session"),
        ..BASE
    },
    Client {
        id: "gemini",
        name: "Gemini CLI",
        aliases: &["gemini-cli"],
        after: Some("start a new session"),
        ..BASE
    },
    Client { id: "windsurf", name: "Windsurf", after: Some("refresh the MCP servers in Cascade"), ..BASE },
    Client { id: "zed", name: "Zed", key: "context_servers", shape: Shape::Sourced, ..BASE },
    Client {
        id: "goose",
        name: "Goose",
        format: Some(Format::Yaml),
        key: "extensions",
        shape: Shape::Goose,
        after: Some("start a new session"),
        ..BASE
    },
    Client { id: "cline", name: "Cline", ..BASE },
    Client {
        id: "continue",
        name: "Continue",
        format: Some(Format::Yaml),
        shape: Shape::Listed,
        after: Some("reload the configuration in Continue"),
        ..BASE
    },
    Client {
        id: "opencode",
        name: "OpenCode",
        aliases: &["open-code"],
        key: "mcp",
        shape: Shape::OpenCode,
        after: Some("start a new session"),
        ..BASE
    },
    Client { id: "chatgpt", name: "ChatGPT", format: None, key: "", shape: Shape::Instructions, ..BASE },
];

/// The client of that id, name or alias.
pub fn find(word: &str) -> Result<&'static Client> {
    let plain = |text: &str| text.to_lowercase().replace([' ', '_'], "-");
    let wanted = plain(word);
    let is = |client: &&Client| {
        client.id == wanted || plain(client.name) == wanted || client.aliases.contains(&wanted.as_str())
    };
    CLIENTS.iter().find(is).ok_or_else(|| {
        let error = Error::new(&codes::CLIENT_NOT_FOUND, format!("umcp knows no client `{word}`"));
        match near(word, CLIENTS.iter().map(|client| client.id)) {
            Some(meant) => error.hint(format!("did you mean `{meant}`?")),
            None => error.hint("umcp client list"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_found_by_any_of_their_names() {
        for (word, id) in [("claude", "claude-code"), ("VS Code", "vscode"), ("GEMINI_CLI", "gemini")] {
            assert_eq!(find(word).unwrap().id, id);
        }
        let error = find("windsruf").unwrap_err();
        assert_eq!(error.hints, ["did you mean `windsurf`?"]);
        assert_eq!(find("emacs").unwrap_err().hints, ["umcp client list"]);
    }
}
