//! Edits taken back out of files that their owners changed since, in each language.

use super::super::{Entry, beside, find, plan};
use super::*;

/// The text after umcp came and took the servers of those names out.
fn edited(client: &Client, before: &str, names: &[&str]) -> String {
    let entry = Entry::new("/bin/umcp", client);
    let text = plan::connect(client, "f", before, &entry).unwrap();
    beside::without(client, "f", &text, &names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

fn done(back: &[&str], other: &[&str]) -> Done {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Done { entry: Own::TakenOut, back: names(back), other: names(other) }
}

#[test]
fn a_client_that_rewrote_its_json_keeps_what_it_wrote() {
    let client = find("claude-code").unwrap();
    let before = r#"{"numStartups": 1, "mcpServers": {"git": {"command": "uvx", "args": ["g"]}, "web": {"type": "http", "url": "https://x"}}}"#;
    let after = edited(client, before, &["git", "web"]);
    let mut document: Value = serde_json::from_str(&after).unwrap();
    document["firstStartTime"] = "2026".into();
    document["mcpServers"]["umcp"]["env"] = json!({});
    document["mcpServers"]["mine"] = json!({"command": "m"});
    let now = serde_json::to_string_pretty(&document).unwrap();
    let reverted = revert(client, "f", before, &after, &now).unwrap();
    let text: Value = serde_json::from_str(&reverted.text).unwrap();
    assert_eq!(
        text,
        json!({"numStartups": 1, "firstStartTime": "2026", "mcpServers": {
            "mine": {"command": "m"}, "git": {"command": "uvx", "args": ["g"]},
            "web": {"type": "http", "url": "https://x"}}})
    );
    assert_eq!(reverted.done, done(&["git", "web"], &[]));
    // A second time there is nothing left to do.
    let again = revert(client, "f", before, &after, &reverted.text).unwrap();
    assert_eq!(again, Reverted { text: reverted.text, done: Done::default() });
}

#[test]
fn toml_and_yaml_keep_comments_and_other_keys() {
    for (id, before, change, expected) in [
        (
            "codex",
            "# mine\nmodel = \"x\"\n\n[mcp_servers.time]\ncommand = \"uvx\"\n",
            ("model = \"x\"", "model = \"y\" # newer"),
            json!({"model": "y", "mcp_servers": {"time": {"command": "uvx"}}}),
        ),
        (
            "goose",
            "# mine\nmodel: x\nextensions:\n  time:\n    type: stdio\n    cmd: uvx\n",
            ("model: x", "model: y # newer"),
            json!({"model": "y", "extensions": {"time": {"type": "stdio", "cmd": "uvx"}}}),
        ),
        (
            "continue",
            "# mine\nname: x\nmcpServers:\n  - name: time\n    command: uvx\n",
            ("name: x", "name: y # newer"),
            json!({"name": "y", "mcpServers": [{"name": "time", "command": "uvx"}]}),
        ),
    ] {
        let client = find(id).unwrap();
        let after = edited(client, before, &["time"]);
        let now = after.replacen(change.0, change.1, 1);
        assert_ne!(now, after, "{id}");
        let reverted = revert(client, "f", before, &after, &now).unwrap();
        let root = parse_as(client.format.unwrap(), "f", &reverted.text).unwrap();
        assert_eq!(root.to_json(), expected, "{id}: {}", reverted.text);
        assert!(reverted.text.contains("# mine") && reverted.text.contains("# newer"), "{}", reverted.text);
        assert_eq!(reverted.done, done(&["time"], &[]), "{id}");
    }
}

#[test]
fn each_side_of_a_change_counts() {
    let client = find("cursor").unwrap();
    let umcp = |command: &str| json!({"command": command, "args": ["serve", "--client", "cursor"]});
    let (old, new) = (umcp("/old/umcp"), umcp("/bin/umcp"));
    let file = |servers: Value| json!({"mcpServers": servers}).to_string();
    for (why, before, after, now, expected) in [
        (
            "an entry brought up to date",
            json!({"umcp": old}),
            json!({"umcp": new}),
            json!({"umcp": new, "a": {}}),
            Some(json!({"umcp": old, "a": {}})),
        ),
        (
            "umcp was taken out by hand",
            json!({"a": {}}),
            json!({"umcp": new}),
            json!({}),
            Some(json!({"a": {}})),
        ),
        (
            "an entry under another name",
            json!({}),
            json!({"umcp": new}),
            json!({"hub": new}),
            Some(json!({})),
        ),
        (
            "another server of the name",
            json!({"a": {}}),
            json!({"umcp": new}),
            json!({"umcp": new, "a": {"command": "b"}}),
            Some(json!({"a": {"command": "b"}})),
        ),
        (
            "a disconnect taken back",
            json!({"umcp": new}),
            json!({}),
            json!({"b": {}}),
            Some(json!({"b": {}, "umcp": new})),
        ),
        ("edited by hand", json!({}), json!({"umcp": new}), json!({"umcp": umcp("/my/umcp")}), None),
        ("connected again since", json!({"umcp": old}), json!({}), json!({"umcp": new}), None),
    ] {
        let reverted = revert(client, "f", &file(before), &file(after), &file(now));
        match expected {
            Some(expected) => {
                let text: Value = serde_json::from_str(&reverted.unwrap().text).unwrap();
                assert_eq!(text, json!({"mcpServers": expected}), "{why}");
            }
            None => assert!(reverted.unwrap_err().is(&codes::UNDO_CHANGED), "{why}"),
        }
    }
    assert!(revert(client, "f", "{}", &file(json!({"umcp": new})), "{\"mcpServers\": ").is_err());
}
