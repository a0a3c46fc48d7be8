//! `umcp server` without a daemon: the list, and files of servers.

use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn a_server_is_added_shown_changed_and_removed() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["server", "add", "builtin:time", "--tag", "work"]), @"
    exit: 0
    --- stdout ---
    ok   added time (builtin: builtin:time)
    try it: umcp server test time
    ");
    assert_snapshot!(sandbox.run(&["server", "list"]), @"
    exit: 0
    --- stdout ---
    NAME  STATE    TRANSPORT  TOOLS  TARGET
    time  enabled  builtin        ?  builtin:time
    --- stderr ---
    no daemon is running; servers start when a client or a call needs them
    ");
    assert_snapshot!(sandbox.run(&["server", "show", "time"]), @"
    exit: 0
    --- stdout ---
    time
    state      enabled
    transport  builtin
    target     builtin:time
    tags       work
    id         srv_[ID]

    it was never asked what it offers: umcp tool refresh time
    ");
    assert_snapshot!(sandbox.run(&["server", "rename", "time", "clock"]), @"
    exit: 0
    --- stdout ---
    ok   renamed to clock (builtin: builtin:time)
    ");
    assert_snapshot!(sandbox.run(&["server", "disable", "clock"]), @"
    exit: 0
    --- stdout ---
    ok   disabled clock (builtin: builtin:time)
    ");
    assert_snapshot!(sandbox.run(&["server", "list", "--tag", "work"]), @"
    exit: 0
    --- stdout ---
    NAME   STATE     TRANSPORT  TOOLS  TARGET
    clock  disabled  builtin        ?  builtin:time
    --- stderr ---
    no daemon is running; servers start when a client or a call needs them
    ");
    assert_snapshot!(sandbox.run(&["server", "remove", "clock"]), @"
    exit: 0
    --- stdout ---
    ok   removed clock (builtin: builtin:time)
    ");
    assert_snapshot!(sandbox.run(&["server", "ls"]), @"
    exit: 0
    --- stdout ---
    no servers yet; add one: umcp server add builtin:time
    ");
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
    assert_snapshot!(sandbox.run(&["server", "list"]), @"
    exit: 0
    --- stdout ---
    NAME        STATE    TRANSPORT  TOOLS  TARGET
    everything  enabled  stdio          ?  npx -y @modelcontextprotocol/server-everything
    example     enabled  http           ?  https://mcp.example.com/mcp
    feed        enabled  sse            ?  https://example.com/sse
    git         enabled  stdio          ?  uvx mcp-server-git
    notes       enabled  stdio          ?  node notes.js --port 1
    weather     enabled  stdio          ?  python3 [DIR]/home/tools/weather.py
    --- stderr ---
    no daemon is running; servers start when a client or a call needs them
    ");
}

#[test]
fn a_spec_that_says_too_little_is_refused() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["server", "add"]), @"
    exit: 2
    --- stderr ---
    error: nothing to add was named [UM0003]
    hint: umcp server add npm:@modelcontextprotocol/server-everything
    hint: umcp server add --help
    ");
    assert_snapshot!(sandbox.run(&["server", "add", "git"]), @"
    exit: 3
    --- stderr ---
    error: `git` could be many things [UM0104]
    hint: umcp server add npm:git
    hint: umcp server add pypi:git
    hint: umcp server add git -- COMMAND ARGUMENT...
    ");
    assert_snapshot!(sandbox.run(&["server", "add", "time"]), @"
    exit: 3
    --- stderr ---
    error: `time` could be many things [UM0104]
    hint: umcp server add builtin:time
    ");
    assert_snapshot!(sandbox.run(&["server", "add", "./none.py"]), @"
    exit: 4
    --- stderr ---
    error: there is no file `./none.py` [UM0107]
    ");
    assert_snapshot!(sandbox.run(&["server", "add", "ftp://example.com"]), @"
    exit: 3
    --- stderr ---
    error: `ftp://example.com` is not a URL umcp can connect to [UM0104]
    hint: use http://, https://, ws://, wss://, unix:///path#/mcp or builtin:NAME
    ");
    assert_snapshot!(sandbox.run(&["server", "add", "builtin:time", "--env", "novalue"]), @"
    exit: 2
    --- stderr ---
    error: `novalue` is not of the form NAME=VALUE [UM0003]
    hint: --env NAME=VALUE
    ");
    assert_snapshot!(sandbox.run(&["server", "add", "builtin:time", "--name", "a b"]), @"
    exit: 3
    --- stderr ---
    error: `a b` cannot be the name of a server: use letters, digits, `-` and `_`, and start with a letter or digit [UM0405]
    ");
}

#[test]
fn a_name_is_taken_once() {
    let sandbox = Sandbox::new();
    sandbox.run(&["server", "add", "builtin:time"]);
    assert_snapshot!(sandbox.run(&["server", "add", "builtin:time"]), @"
    exit: 5
    --- stderr ---
    error: a server named `time` exists already [UM0402]
    hint: umcp server edit time
    hint: give another name with --name, or --replace
    ");
    assert_eq!(sandbox.run(&["server", "add", "builtin:kv", "--name", "time", "--replace"]).code, 0);
    assert_snapshot!(sandbox.run(&["server", "show", "tiem"]), @"
    exit: 4
    --- stderr ---
    error: no server named `tiem` [UM0401]
    hint: did you mean `time`?
    ");
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
    assert_snapshot!(sandbox.run(&["server", "show", "a"]), @"
    exit: 0
    --- stdout ---
    a
    state      disabled
    transport  stdio
    target     prog --token (hidden)
    env        KEY=(hidden)
               REF=${REF}
    id         srv_[ID]

    it was never asked what it offers: umcp tool refresh a
    ");
}

#[test]
fn an_export_is_imported_elsewhere() {
    let sandbox = Sandbox::new();
    sandbox.run(&["server", "add", "a", "--env", "KEY=hunter2", "--tag", "x", "--", "prog", "one two"]);
    assert_snapshot!(sandbox.run(&["server", "export"]), @"
    exit: 0
    --- stdout ---
    umcp: 1
    servers:
      a:
        command: prog
        args:
        - one two
        env:
          KEY: ${KEY}
        tags:
        - x
    --- stderr ---
    plain values were left out; set KEY where the file is used
    ");
    assert_snapshot!(sandbox.run(&["server", "export", "--output", "all.yaml", "--with-values"]), @"
    exit: 0
    --- stdout ---
    ok   wrote 1 server to all.yaml
    ");
    sandbox.run(&["server", "remove", "a"]);
    assert_snapshot!(sandbox.run(&["server", "import", "all.yaml"]), @"
    exit: 0
    --- stdout ---
    ok   added a (stdio: prog 'one two')
    1 server added from all.yaml (umcp); none was started
    ");
    assert_snapshot!(sandbox.run(&["server", "import", "all.yaml"]), @"
    exit: 0
    --- stdout ---
    off  kept a, which was there already (--replace takes the new one)
    0 servers added from all.yaml (umcp); none was started
    ");
    assert_snapshot!(sandbox.run(&["server", "export", "nobody"]), @"
    exit: 4
    --- stderr ---
    error: no server named `nobody` [UM0401]
    hint: umcp server list
    ");
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
    assert_snapshot!(sandbox.run(&["server", "import", ".mcp.json"]), @"
    exit: 0
    --- stdout ---
    ok   added git (stdio: uvx mcp-server-git)
    ok   added My_Files (stdio: npx -y files)
    warn line 2: changed: `git` needs the secret `token`; it is now secret://token
    warn line 3: changed: `My Files` is called `My_Files` in umcp
    warn line 4: skipped: `umcp` is umcp itself
    2 servers added from .mcp.json (mcp.json); none was started
    ");
    assert_snapshot!(sandbox.run(&["server", "import", "none.json"]), @"
    exit: 4
    --- stderr ---
    error: there is no file `none.json` [UM0107]
    ");
    sandbox.file("bad.yaml", "umcp: 1\nservers:\n  a:\n    comand: x\n");
    assert_snapshot!(sandbox.run(&["server", "import", "bad.yaml"]), @"
    exit: 3
    --- stderr ---
    error: unknown field `comand` [UM0103]
     --> bad.yaml:4:5
      |
    4 |     comand: x
      |     ^
    hint: did you mean `command`?
    ");
}

#[test]
fn fields_are_edited() {
    let sandbox = Sandbox::new();
    sandbox.run(&["server", "add", "a", "--cwd", "/srv", "--", "prog"]);
    assert_snapshot!(sandbox.run(&["server", "edit", "a", "--set", "tags=x,y", "--set", "timeouts.call=2m", "--unset", "cwd"]), @"
    exit: 0
    --- stdout ---
    ok   changed a (stdio: prog)
    ");
    assert_snapshot!(sandbox.run(&["server", "export", "a"]), @r#"
    exit: 0
    --- stdout ---
    umcp: 1
    servers:
      a:
        command: prog
        tags:
        - x
        - "y"
        timeouts:
          call: 2m
    "#);
    assert_snapshot!(sandbox.run(&["server", "edit", "a", "--set", "descripton=x"]), @"
    exit: 3
    --- stderr ---
    error: unknown field `descripton` [UM0103]
      --> edited.yaml:10:5
       |
    10 |     descripton: x
       |     ^
    hint: did you mean `description`?
    ");
    assert_snapshot!(sandbox.run(&["server", "edit", "a", "--set", "timeouts.call=soon"]), @"
    exit: 3
    --- stderr ---
    error: `soon` is not a time [UM0104]
     --> edited.yaml:9:13
      |
    9 |       call: soon
      |             ^
    hint: write 30s, 500ms, 2m or 1h
    ");
    assert_snapshot!(sandbox.run(&["server", "edit", "a"]), @"
    exit: 11
    --- stderr ---
    error: editing `a` needs an editor, and there is no terminal [UM0004]
    hint: umcp server edit a --set FIELD=VALUE
    ");
}

#[test]
fn what_goes_for_good_with_a_server_is_told_and_asked() {
    let sandbox = Sandbox::new();
    assert_eq!(
        sandbox.run(&["server", "add", "gh", "--env", "TOKEN=hunter2hunter2", "--", "tool"]).stderr,
        "warning: `tool` is not found on PATH\nplain keys in gh (env TOKEN); into the vault with them: umcp secret scan --move\n"
    );
    assert_snapshot!(sandbox.run(&["server", "remove", "gh"]), @"
    exit: 11
    --- stderr ---
    with gh goes what stands only there: env TOKEN
    error: nobody can be asked `Remove gh, with all that?`: there is no terminal [UM0004]
    hint: answer with `--yes`
    ");
    assert_eq!(sandbox.run(&["server", "remove", "gh", "--yes"]).code, 0);
    sandbox.run(&["server", "add", "safe", "--env", "TOKEN=secret://TOKEN", "--", "tool"]);
    assert_snapshot!(sandbox.run(&["server", "remove", "safe"]), @"
    exit: 0
    --- stdout ---
    ok   removed safe (stdio: tool)
    ");
}

#[test]
fn a_pattern_asks_before_it_removes() {
    let sandbox = Sandbox::new();
    sandbox.run(&["server", "add", "builtin:time"]);
    sandbox.run(&["server", "add", "builtin:kv"]);
    assert_snapshot!(sandbox.run(&["server", "remove", "*"]), @"
    exit: 11
    --- stderr ---
    error: nobody can be asked `Remove every server that fits *?`: there is no terminal [UM0004]
    hint: answer with `--yes`
    ");
    assert_snapshot!(sandbox.run(&["server", "remove", "*", "--yes"]), @"
    exit: 0
    --- stdout ---
    ok   removed kv (builtin: builtin:kv)
    ok   removed time (builtin: builtin:time)
    ");
}
