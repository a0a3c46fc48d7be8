//! `umcp server` without a daemon: the list, and files of servers.

use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn a_server_is_added_shown_changed_and_removed() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["server", "add", "builtin:time", "--tag", "work"]), @"");
    assert_snapshot!(sandbox.run(&["server", "list"]), @"");
    assert_snapshot!(sandbox.run(&["server", "show", "time"]), @"");
    assert_snapshot!(sandbox.run(&["server", "rename", "time", "clock"]), @"");
    assert_snapshot!(sandbox.run(&["server", "disable", "clock"]), @"");
    assert_snapshot!(sandbox.run(&["server", "list", "--tag", "work"]), @"");
    assert_snapshot!(sandbox.run(&["server", "remove", "clock"]), @"");
    assert_snapshot!(sandbox.run(&["server", "ls"]), @"");
}

#[test]
fn specs_tell_name_and_command() {
    let sandbox = Sandbox::new();
    sandbox.file("tools/weather.py", "");
    for spec in [
        "npm:@modelcontextprotocol/server-everything",
        "pypi:mcp-server-git",
        "https://mcp.example.com/mcp",
        "tools/weather.py",
    ] {
        assert_eq!(sandbox.run(&["server", "add", spec]).code, 0, "{spec}");
    }
    assert_eq!(sandbox.run(&["server", "add", "notes", "--", "node", "notes.js", "--port", "1"]).code, 0);
    assert_eq!(
        sandbox
            .run(&["server", "add", "feed", "--url", "https://example.com/sse", "--transport", "sse"])
            .code,
        0
    );
    assert_snapshot!(sandbox.run(&["server", "list"]), @"");
}

#[test]
fn a_spec_that_says_too_little_is_refused() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["server", "add"]), @"");
    assert_snapshot!(sandbox.run(&["server", "add", "git"]), @"");
    assert_snapshot!(sandbox.run(&["server", "add", "time"]), @"");
    assert_snapshot!(sandbox.run(&["server", "add", "./none.py"]), @"");
    assert_snapshot!(sandbox.run(&["server", "add", "ftp://example.com"]), @"");
    assert_snapshot!(sandbox.run(&["server", "add", "builtin:time", "--env", "novalue"]), @"");
    assert_snapshot!(sandbox.run(&["server", "add", "builtin:time", "--name", "a b"]), @"");
}

#[test]
fn a_name_is_taken_once() {
    let sandbox = Sandbox::new();
    sandbox.run(&["server", "add", "builtin:time"]);
    assert_snapshot!(sandbox.run(&["server", "add", "builtin:time"]), @"");
    assert_eq!(sandbox.run(&["server", "add", "builtin:kv", "--name", "time", "--replace"]).code, 0);
    assert_snapshot!(sandbox.run(&["server", "show", "tiem"]), @"");
}

#[test]
fn plain_values_are_never_printed() {
    let sandbox = Sandbox::new();
    sandbox.run(&[
        "server",
        "add",
        "a",
        "--env",
        "KEY=hunter2",
        "--env",
        "REF=${REF}",
        "--",
        "prog",
        "--token",
        "hunter3",
    ]);
    sandbox.run(&[
        "server",
        "add",
        "b",
        "--url",
        "https://u:hunter4@example.com/mcp?api_key=hunter5",
        "--header",
        "X-Key: hunter6",
    ]);
    let commands: [&[&str]; 6] = [
        &["server", "list"],
        &["server", "list", "--json"],
        &["server", "show", "a"],
        &["server", "show", "a", "--json"],
        &["server", "show", "b", "--json"],
        &["server", "disable", "*", "--json"],
    ];
    for arguments in commands {
        let output = sandbox.run(arguments);
        assert!(!output.to_string().contains("hunter"), "{arguments:?}: {output}");
    }
    assert_snapshot!(sandbox.run(&["server", "show", "a"]), @"");
}

#[test]
fn an_export_is_imported_elsewhere() {
    let sandbox = Sandbox::new();
    sandbox.run(&["server", "add", "a", "--env", "KEY=hunter2", "--tag", "x", "--", "prog", "one two"]);
    assert_snapshot!(sandbox.run(&["server", "export"]), @"");
    assert_snapshot!(sandbox.run(&["server", "export", "--output", "all.yaml", "--with-values"]), @"");
    sandbox.run(&["server", "remove", "a"]);
    assert_snapshot!(sandbox.run(&["server", "import", "all.yaml"]), @"");
    assert_snapshot!(sandbox.run(&["server", "import", "all.yaml"]), @"");
    assert_snapshot!(sandbox.run(&["server", "export", "nobody"]), @"");
}

#[test]
fn a_client_file_is_imported_with_notes() {
    let sandbox = Sandbox::new();
    sandbox.file(
        ".mcp.json",
        r#"{"mcpServers": {
  "git": {"command": "uvx", "args": ["mcp-server-git"], "env": {"TOKEN": "${input:token}"}},
  "My Files": {"command": "npx", "args": ["-y", "files"]},
  "umcp": {"command": "umcp", "args": ["serve"]}
}}"#,
    );
    assert_snapshot!(sandbox.run(&["server", "import", ".mcp.json"]), @"");
    assert_snapshot!(sandbox.run(&["server", "import", "none.json"]), @"");
    sandbox.file("bad.yaml", "umcp: 1\nservers:\n  a:\n    comand: x\n");
    assert_snapshot!(sandbox.run(&["server", "import", "bad.yaml"]), @"");
}

#[test]
fn fields_are_edited() {
    let sandbox = Sandbox::new();
    sandbox.run(&["server", "add", "a", "--cwd", "/srv", "--", "prog"]);
    assert_snapshot!(sandbox.run(&["server", "edit", "a", "--set", "tags=x,y", "--set", "timeouts.call=2m", "--unset", "cwd"]), @"");
    assert_snapshot!(sandbox.run(&["server", "export", "a"]), @"");
    assert_snapshot!(sandbox.run(&["server", "edit", "a", "--set", "descripton=x"]), @"");
    assert_snapshot!(sandbox.run(&["server", "edit", "a", "--set", "timeouts.call=soon"]), @"");
    assert_snapshot!(sandbox.run(&["server", "edit", "a"]), @"");
}

#[test]
fn a_pattern_asks_before_it_removes() {
    let sandbox = Sandbox::new();
    sandbox.run(&["server", "add", "builtin:time"]);
    sandbox.run(&["server", "add", "builtin:kv"]);
    assert_snapshot!(sandbox.run(&["server", "remove", "*"]), @"");
    assert_snapshot!(sandbox.run(&["server", "remove", "*", "--yes"]), @"");
}
