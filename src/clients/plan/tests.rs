//! For every client: connect, see it, disconnect, and the file is what it was.

use super::super::{CLIENTS, Client, find};
use super::{connect, connected, disconnect, hollow, snippet};
use crate::clients::Entry;
use crate::documents::Format;

fn entry(client: &Client) -> Entry {
    let mut entry = Entry::new(r"C:\Program Files\umcp\umcp.exe", client);
    entry.env.insert("UMCP_HOME".into(), "/tmp/u".into());
    entry
}

/// Files as people keep them: other servers, comments, unknown keys, odd spacing.
fn fixtures(client: &Client) -> Vec<&'static str> {
    match client.id {
        "claude-code" => vec![
            "{\n  \"numStartups\": 12,\n  \"mcpServers\": {\n    \"fs\": { \"type\": \"stdio\", \"command\": \"npx\", \"args\": [] }\n  },\n  \"projects\": {\"/p\": {\"mcpServers\": {}}}\n}",
            "{\"numStartups\":12,\"projects\":{}}",
        ],
        "vscode" => vec![
            "// mine\n{\n\t\"inputs\": [],\n\t\"servers\": {\n\t\t// one\n\t\t\"a\": {\n\t\t\t\"command\": \"x\",\n\t\t},\n\t},\n}\n",
            "{\r\n    \"inputs\": [\r\n    ] // none\r\n}\r\n",
        ],
        "zed" => vec![
            "// Zed settings\n//\n{\n  \"theme\": \"One\", // dark\n  \"context_servers\": {\n    \"a\": {\"source\": \"custom\", \"command\": \"x\", \"args\": []}\n  },\n  // \"vim_mode\": true,\n}\n",
            "{\n  \"theme\": \"One\"\n  // last words\n}\n",
        ],
        "codex" => vec![
            "# my codex\nmodel = \"gpt\"   # fast\n\n[mcp_servers.a]\ncommand = \"x\"\nargs = [ \"1\", # one\n]\n\n[profiles.x]\nmodel = 'y'\n",
            "model = \"gpt\"\r\n",
        ],
        "goose" => vec![
            "GOOSE_MODEL: x # fast\nextensions:\n  developer:\n    enabled: true\n    type: builtin\n\n  # by hand\n  a:\n    cmd: x\n    args: [1,\n      2]\nGOOSE_MODE: auto\n",
            "# only models\nGOOSE_MODEL: x\n",
        ],
        "continue" => vec![
            "name: Local Config\nversion: 1.0.0\nschema: v1\nmcpServers:\n  - name: SQLite # db\n    command: npx\n    args:\n      - \"-y\"\n\nmodels: []\n",
            "name: a\nschema: v1\nmodels:\n- name: m\n",
        ],
        "opencode" => vec![
            "{\n  \"$schema\": \"https://opencode.ai/config.json\",\n  \"mcp\": {\n    \"a\": {\"type\": \"local\", \"command\": [\"x\"]},\n  }\n}\n",
            "{\"mcp\": {\"servers\": {\"a\": {\"type\": \"local\", \"command\": [\"x\"]}}}}",
        ],
        _ => vec![
            "{\n  \"mcpServers\": {\n    \"a\": {\n      \"command\": \"x\" // note\n    }\n  },\n  \"other\": [1, 2]\n}\n",
            "\u{feff}{\n  \"theme\": \"x\"\n}\n",
        ],
    }
}

fn with_files() -> impl Iterator<Item = &'static Client> {
    CLIENTS.iter().filter(|client| client.format.is_some())
}

#[test]
fn umcp_stands_in_a_file_once_for_each_profile() {
    let client = find("claude-code").unwrap();
    let text = r#"{"mcpServers": {
        "gateway": {"command": "/old/umcp", "args": ["serve"]},
        "time": {"command": "uvx"},
        "umcp": {"command": "/old/umcp", "args": ["serve", "--client", "claude-code"]},
        "work": {"command": "/old/umcp", "args": ["serve", "--profile", "work"]}}}"#;
    let once = connect(client, "f", text, &Entry::new("/new/umcp", client)).unwrap();
    let root: serde_json::Value = serde_json::from_str(&once).unwrap();
    let names: Vec<&String> = root["mcpServers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["time", "umcp", "work"], "{once}");
    let beside = crate::clients::beside::list(client, "f", &once).unwrap();
    assert_eq!(beside.iter().map(|other| other.name.as_str()).collect::<Vec<_>>(), ["time"]);
    let listed = find("continue").unwrap();
    let text = "mcpServers:\n  - name: umcp\n    command: umcp\n    args: [serve]\n  - name: other\n    command: umcp\n    args: [serve]\n";
    let once = connect(listed, "f", text, &Entry::new("/new/umcp", listed)).unwrap();
    assert!(!once.contains("other") && once.contains("/new/umcp"), "{once}");
}

#[test]
fn disconnect_restores_every_file_byte_for_byte() {
    for client in with_files() {
        for text in fixtures(client) {
            assert_eq!(connected(client, "f", text).unwrap(), None, "{}", client.id);
            let with = connect(client, "f", text, &entry(client)).unwrap();
            assert_eq!(connected(client, "f", &with).unwrap(), Some(entry(client)), "{}\n{with}", client.id);
            assert_eq!(connect(client, "f", &with, &entry(client)).unwrap(), with, "{}", client.id);
            assert_eq!(disconnect(client, "f", &with, None).unwrap(), text, "{}\n{with}", client.id);
            assert_eq!(disconnect(client, "f", text, None).unwrap(), text, "{}", client.id);
            assert!(!hollow(client, text), "{}", client.id);
        }
    }
}

#[test]
fn a_file_umcp_created_is_hollow_again() {
    for client in with_files() {
        let with = connect(client, "f", "", &entry(client)).unwrap();
        assert_eq!(connected(client, "f", &with).unwrap(), Some(entry(client)), "{with}");
        assert!(!hollow(client, &with));
        let without = disconnect(client, "f", &with, None).unwrap();
        assert!(hollow(client, &without), "{}: {without:?}", client.id);
        assert_eq!(connected(client, "f", &without).unwrap(), None);
        assert_eq!(disconnect(client, "f", &with, Some("")).unwrap(), "");
    }
}

#[test]
fn the_original_comes_back_even_where_it_held_an_empty_parent() {
    for (id, text) in [
        ("cursor", "{ \"mcpServers\": { } }"),
        ("cursor", "{\n  \"mcpServers\": {}\n}\n"),
        ("codex", "a = 1"),
        ("codex", "[mcp_servers]\n"),
        ("goose", "extensions: {} # none\na: 1"),
        ("continue", "name: a\nmcpServers: []\n"),
        ("zed", "{ }"),
    ] {
        let client = find(id).unwrap();
        let with = connect(client, "f", text, &entry(client)).unwrap();
        assert_eq!(disconnect(client, "f", &with, Some(text)).unwrap(), text, "{with}");
        // Somebody added something meanwhile: then only our entry goes.
        let changed = match client.format {
            Some(Format::Json) => with.replacen('{', "{\"new\": 1, ", 1),
            Some(Format::Toml) => format!("new = 1\n{with}"),
            _ => format!("new: 1\n{with}"),
        };
        let without = disconnect(client, "f", &changed, Some(text)).unwrap();
        assert!(without.contains("new"), "{without}");
        assert_eq!(connected(client, "f", &without).unwrap(), None);
    }
}

#[test]
fn an_entry_of_ours_keeps_its_name_and_other_keys() {
    let client = find("claude-code").unwrap();
    let text = "{\"mcpServers\": {\"gateway\": {\"command\": \"/old/umcp\", \"args\": [\"serve\"], \"alwaysLoad\": true}}}";
    let with = connect(client, "f", text, &Entry::new("/new/umcp", client)).unwrap();
    let value: serde_json::Value = serde_json::from_str(&with).unwrap();
    assert_eq!(
        value["mcpServers"],
        serde_json::json!({"gateway": {"command": "/new/umcp", "args": ["serve", "--client", "claude-code"],
            "alwaysLoad": true, "type": "stdio"}})
    );
    assert_eq!(disconnect(client, "f", &with, None).unwrap(), "{}");
}

#[test]
fn a_broken_file_is_refused_with_its_place() {
    for client in with_files() {
        let text = if client.format == Some(Format::Toml) { "a = \n" } else { "{\"a\": [\n" };
        let error = connect(client, "/x/f", text, &entry(client)).unwrap_err();
        assert_eq!(error.span.as_deref().map(|span| span.file.as_str()), Some("/x/f"), "{}", client.id);
    }
    assert!(connect(find("cursor").unwrap(), "f", "{\"mcpServers\": []}", &entry(&CLIENTS[0])).is_err());
}

#[test]
fn snippets_read_as_the_client_would_write_them() {
    let shown = |id: &str| {
        let client = find(id).unwrap();
        snippet(client, &Entry::new("umcp", client)).unwrap()
    };
    assert_eq!(
        shown("vscode"),
        "{\n  \"servers\": {\n    \"umcp\": {\n      \"type\": \"stdio\",\n      \"command\": \"umcp\",\n      \"args\": [\n        \
         \"serve\",\n        \"--client\",\n        \"vscode\"\n      ]\n    }\n  }\n}\n"
    );
    assert_eq!(
        shown("codex"),
        "[mcp_servers.umcp]\ncommand = \"umcp\"\nargs = [\"serve\", \"--client\", \"codex\"]\n"
    );
    assert_eq!(
        shown("continue"),
        "mcpServers:\n- name: umcp\n  command: umcp\n  args:\n  - serve\n  - --client\n  - continue\n"
    );
    assert!(shown("goose").contains("    cmd: umcp\n"));
    assert!(!shown("opencode").contains("\"environment\"") && shown("opencode").contains("\"local\""));
    assert!(shown("chatgpt").contains("https://YOUR-HOST/mcp"));
    for client in with_files() {
        let text = snippet(client, &entry(client)).unwrap();
        assert_eq!(connected(client, "f", &text).unwrap(), Some(entry(client)), "{text}");
    }
}
