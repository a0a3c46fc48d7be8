//! One file of every format, as its tool writes it, and what umcp makes of it.
//! Long because the fixtures stand here, beside what is expected of them.

use super::{Imported, Level, own, read};
use crate::clock::Timestamp;
use crate::error::codes;
use crate::servers::model::{EraChoice, Limits, Server, Sharing, ToolFilter, Transport};

fn import(path: &str, text: &str) -> Imported {
    let mut count = 0;
    let mut ids = || {
        count += 1;
        format!("srv_{count}")
    };
    read(path, text, &mut ids, Timestamp(7)).unwrap_or_else(|error| panic!("{path}: {error:?}"))
}

/// Servers as `name transport target`, then env, headers and limits where there are any.
fn lines(imported: &Imported) -> Vec<String> {
    let line = |server: &Server| {
        let mut line = format!("{} {} {}", server.name, server.transport.word(), server.transport.target());
        for (key, value) in &server.env {
            line.push_str(&format!(" {key}={value}"));
        }
        for (key, value) in &server.headers {
            line.push_str(&format!(" {key}: {value}"));
        }
        for (word, on) in [
            (format!(" cwd={}", server.cwd.as_deref().unwrap_or_default()), server.cwd.is_some()),
            (" off".into(), !server.enabled),
            (format!(" tags={}", server.tags.join(",")), !server.tags.is_empty()),
            (format!(" +{}", server.tools.include.join(",")), !server.tools.include.is_empty()),
            (format!(" -{}", server.tools.exclude.join(",")), !server.tools.exclude.is_empty()),
            (
                format!(" call={}", server.limits.call_timeout_ms.unwrap_or(0)),
                server.limits.call_timeout_ms.is_some(),
            ),
            (
                format!(" start={}", server.limits.start_timeout_ms.unwrap_or(0)),
                server.limits.start_timeout_ms.is_some(),
            ),
        ] {
            if on {
                line.push_str(&word);
            }
        }
        line
    };
    imported.servers.iter().map(line).collect()
}

/// Notes as `line level message`.
fn notes(imported: &Imported) -> Vec<String> {
    let line = |line: Option<u32>| line.map_or("-".into(), |line| line.to_string());
    imported
        .notes
        .iter()
        .map(|note| format!("{} {:?} {}", line(note.line), note.level, note.message))
        .collect()
}

fn check(path: &str, text: &str, format: &str, servers: &[&str], told: &[&str]) {
    let imported = import(path, text);
    assert_eq!(imported.format, format, "{path}");
    assert_eq!(lines(&imported), servers, "{path}");
    assert_eq!(notes(&imported), told, "{path}");
}

#[test]
fn claude_code() {
    check(
        ".mcp.json",
        r#"{ "mcpServers": {
  "fs": {"command": "npx", "args": ["-y", "fs", "${HOME}"], "env": {"A": "${B:-c}"}, "timeout": 5000, "alwaysLoad": true},
  "api": {"type": "http", "url": "https://x/mcp", "headers": {"Authorization": "Bearer ${T}"}},
  "old": {"type": "sse", "url": "https://x/sse"},
  "live": {"type": "ws", "url": "wss://x"},
  "umcp": {"command": "/usr/bin/umcp", "args": ["serve", "--client", "claude-code"]},
  "My Server!": {"command": "a"}, "my_server": {"command": "b"}, "nothing": {}, "wrong": 5
} }"#,
        "mcp.json",
        &[
            "fs stdio npx -y fs '${HOME}' A=${B:-c} call=5000",
            "api http https://x/mcp Authorization: Bearer ${T}",
            "old sse https://x/sse",
            "live websocket wss://x",
            "My_Server stdio a",
            "my_server-2 stdio b",
        ],
        &[
            "2 Ignored `alwaysLoad` of `fs`: umcp has no such field",
            "6 Skipped `umcp` is umcp itself",
            "7 Changed `My Server!` is called `My_Server` in umcp",
            "7 Changed `my_server` is called `my_server-2` in umcp",
            "7 Skipped `nothing` has neither a command nor a URL",
            "7 Skipped `wrong` is not a map of fields",
        ],
    );
    check(
        "/home/u/.claude.json",
        r#"{"numStartups": 3, "mcpServers": {"a": {"command": "x"}},
 "projects": {"/p": {"mcpServers": {"b": {"command": "y"}, "a": {"type": "http", "url": "http://z"}}}, "/q": {}}}"#,
        "claude-code",
        &["a stdio x", "b stdio y cwd=/p", "a-2 http http://z"],
        &["2 Changed `b` belongs to the project /p and runs there", "2 Changed `a` is called `a-2` in umcp"],
    );
}

#[test]
fn vscode_cursor_and_windsurf() {
    check(
        ".vscode/mcp.json",
        "{\n// comment\n\"inputs\": [{\"id\": \"key\", \"type\": \"promptString\", \"password\": true}],\n\"servers\": {\n\
         \"a\": {\"type\": \"stdio\", \"command\": \"x\", \"env\": {\"K\": \"${input:key}\"}, \"envFile\": \".env\",\n\
         \"cwd\": \"${workspaceFolder}\"},\n\"s\": {\"type\": \"http\", \"url\": \"unix:///run/s.sock#/sub\"},\n}}",
        "vscode",
        &["a stdio x K=secret://key cwd=${workspaceFolder}", "s socket unix:///run/s.sock#/sub"],
        &[
            "5 Changed `a` needs the secret `key`; it is now secret://key",
            "5 Ignored `envFile` of `a`: the file was not read; add its variables to the server",
            "6 Ignored `a` uses `workspaceFolder`, which only vscode fills in",
        ],
    );
    check(
        "/home/u/.cursor/mcp.json",
        r#"{"mcpServers": {"a": {"url": "https://x", "headers": {"K": "${env:TOKEN}"}}}}"#,
        "cursor",
        &["a http https://x K: ${TOKEN}"],
        &[],
    );
    check(
        "mcp_config.json",
        r#"{"mcpServers": {"a": {"serverUrl": "https://x/sse", "disabled": true, "disabledTools": ["t"]}}}"#,
        "windsurf",
        &["a http https://x/sse off -t"],
        &[],
    );
    check(
        "settings.json",
        r#"{"editor.fontSize": 1, "mcp": {"servers": {"a": {"command": "x", "args": []}}, "inputs": []}}"#,
        "vscode",
        &["a stdio x"],
        &[],
    );
}

#[test]
fn gemini_and_codex() {
    check(
        "/home/u/.gemini/settings.json",
        r#"{"theme": "x", "mcpServers": {
"a": {"url": "https://x/sse", "trust": true},
"b": {"httpUrl": "https://x/mcp", "timeout": 1500, "includeTools": ["r"], "excludeTools": ["w"]}}}"#,
        "gemini",
        &["a http https://x/sse", "b http https://x/mcp +r -w call=1500"],
        &["2 Ignored `trust` of `a`: approval stays with the client"],
    );
    check(
        "config.toml",
        "model = 'm'\n[mcp_servers.a]\ncommand = 'x'\nargs = ['1']\nenv_vars = ['P']\nstartup_timeout_sec = 2.5\n\
         tool_timeout_sec = 60\nenabled_tools = ['t']\nrequired = true\n[mcp_servers.a.env]\nK = 'v'\n\
         [mcp_servers.b]\nurl = 'https://x'\nbearer_token_env_var = 'TOK'\nenabled = false\n\
         env_http_headers = { \"X-A\" = 'XA' }\nhttp_headers = { \"X-B\" = 'b' }\n",
        "codex",
        &[
            "a stdio x 1 K=v P=${P} +t call=60000 start=2500",
            "b http https://x Authorization: Bearer ${TOK} X-A: ${XA} X-B: b off",
        ],
        &["9 Ignored `required` of `a`: umcp has no such field"],
    );
}

#[test]
fn a_url_is_probed_unless_its_kind_is_sure() {
    let imported = import(
        "/home/u/.gemini/settings.json",
        r#"{"mcpServers": {"a": {"url": "https://x"}, "b": {"httpUrl": "https://x"}, "c": {"url": "https://x", "type": "sse"},
            "d": {"url": "https://x", "type": "streamable-http"}, "e": {"url": "${URL}"}, "f": {"url": "x"}}}"#,
    );
    let http = |url: &str, probe| Transport::Http { url: url.into(), probe };
    let expected = [
        http("https://x", true),
        http("https://x", false),
        Transport::Sse { url: "https://x".into() },
        http("https://x", false),
        http("${URL}", true),
    ];
    let transports: Vec<_> = imported.servers.into_iter().map(|server| server.transport).collect();
    assert_eq!(transports, expected);
    assert_eq!(imported.notes[0].message, "`f` has a URL umcp cannot connect to");
}

#[test]
fn zed_goose_cline_and_continue() {
    check(
        "settings.json",
        "{ // zed\n\"theme\": \"x\", \"context_servers\": {\n\"a\": {\"source\": \"custom\", \"command\": \"x\", \"args\": [\"1\"], \"env\": {}},\n\
         \"b\": {\"command\": {\"path\": \"y\", \"args\": [\"2\"], \"env\": {\"K\": \"v\"}}, \"settings\": {}},\n\
         \"c\": {\"source\": \"extension\", \"settings\": {}},},}",
        "zed",
        &["a stdio x 1", "b stdio y 2 K=v"],
        &[
            "4 Ignored `settings` of `b`: umcp has no such field",
            "5 Ignored `settings` of `c`: umcp has no such field",
            "5 Skipped `c` has neither a command nor a URL",
        ],
    );
    check(
        "config.yaml",
        "GOOSE_MODEL: x\nextensions:\n  developer:\n    type: builtin\n    enabled: true\n  a:\n    type: stdio\n    name: a\n\
         \x20   cmd: uvx\n    args: [x]\n    envs: {PORT: 0808}\n    env_keys: [KEY]\n    timeout: 300\n    enabled: false\n  b:\n    type: streamable_http\n    uri: https://x\n",
        "goose",
        &["a stdio uvx x KEY=${KEY} PORT=0808 off call=300000", "b http https://x"],
        &["3 Skipped `developer` is of type `builtin`, which only goose has"],
    );
    check(
        "/x/cline_mcp_settings.json",
        r#"{"mcpServers": {"a": {"type": "streamableHttp", "url": "https://x", "timeout": 60, "autoApprove": [], "disabled": false}}}"#,
        "cline",
        &["a http https://x call=60000"],
        &["1 Ignored `autoApprove` of `a`: approval stays with the client"],
    );
    check(
        "/x/.continue/config.yaml",
        "name: mine\nmcpServers:\n  - name: SQLite\n    command: npx\n    args: [a]\n    env:\n      K: ${{ secrets.KEY }}\n  - name: r\n    type: streamable-http\n    url: https://x\n    requestOptions:\n      headers: {A: b}\n",
        "continue",
        &["SQLite stdio npx a K=secret://KEY", "r http https://x A: b"],
        &["7 Changed `SQLite` needs the secret `KEY`; it is now secret://KEY"],
    );
}

#[test]
fn opencode_massgen_and_the_managers() {
    check(
        "opencode.json",
        r#"{"$schema": "x", "mcp": {"a": {"type": "local", "command": ["npx", "-y", "z"], "environment": {"K": "{env:K}"}, "enabled": false},
"b": {"type": "remote", "url": "https://x", "headers": {"A": "b"}}}}"#,
        "opencode",
        &["a stdio npx -y z K=${K} off", "b http https://x A: b"],
        &[],
    );
    check(
        "opencode.json",
        r#"{"mcp": {"servers": {"a": {"type": "local", "command": ["x"]}}}}"#,
        "opencode",
        &["a stdio x"],
        &[],
    );
    let agents = "agents:\n  - id: one\n    backend:\n      type: claude\n      mcp_servers: &m\n        - name: w\n          type: stdio\n\
                  \x20         command: \"npx\"\n          args: [w]\n          env: {K: '${K}'}\n          security: {level: strict}\n          exclude_tools: [t]\n\
                  \x20 - id: two\n    backend:\n      mcp_servers: *m\n  - id: three\n    backend:\n      mcp_servers:\n        h: {type: streamable-http, url: 'https://x', timeout: 2}\n";
    check(
        "agents.yaml",
        agents,
        "massgen",
        &["w stdio npx w K=${K} -t", "h http https://x call=2000"],
        &[
            "11 Ignored `security` of `w`: the other tool's sandbox rules were not taken over; umcp's own hold (umcp doctor --only sandbox)",
            "15 Skipped `w` stands in this file twice",
        ],
    );
    check(
        "servers.json",
        r#"{"a": {"name": "a", "command": "x", "args": [], "env": {}, "profile_tags": ["p"]}, "b": {"name": "b", "url": "https://x", "headers": {}}}"#,
        "mcpm",
        &["a stdio x tags=p", "b http https://x"],
        &[],
    );
    check(
        "mcporter.jsonc",
        r#"{"mcpServers": {"a": {"baseUrl": "https://x", "bearerTokenEnv": "T", "allowedTools": ["t"], "lifecycle": "keep-alive"},
"b": {"command": "npx -y z", "env": {"K": "$env:K"}}}, "imports": ["cursor"]}"#,
        "mcporter",
        &["a http https://x Authorization: Bearer ${T} +t", "b stdio npx -y z K=${K}"],
        &[
            "2 Ignored `imports` names other tools' files; import those files themselves",
            "1 Ignored `lifecycle` of `a`: umcp has no such field",
            "2 Changed `b` has its arguments in `command`; they were split at the spaces",
        ],
    );
    check(
        "mcp.json",
        r#"{"mcpServers": {"a": {"command": "x", "tags": ["t"], "disabled": true}}}"#,
        "1mcp",
        &["a stdio x off tags=t"],
        &[],
    );
    check(
        "mcp_settings.json",
        r#"{"mcpServers": {"a": {"command": "x"}, "b": {"type": "openapi", "openapi": {"url": "https://x"}}},
"users": [{"username": "admin", "password": "hash"}]}"#,
        "mcphub",
        &["a stdio x"],
        &[
            "2 Ignored `users` is a setting of the other tool",
            "1 Ignored `openapi` of `b`: umcp has no such field",
            "1 Skipped `b` is of type `openapi`, which only mcphub has",
        ],
    );
    check(
        "metatool.json",
        r#"{"mcpServers": {"a": {"type": "STDIO", "command": "x"}, "b": {"type": "STREAMABLE_HTTP", "url": "https://x", "bearerToken": "t"}, "c": {"type": "SSE", "url": "https://y"}}}"#,
        "metatool",
        &["a stdio x", "b http https://x Authorization: Bearer t", "c sse https://y"],
        &[],
    );
}

#[test]
fn apps_and_commands_are_told_not_imported() {
    check(
        "config.json",
        "{ // local\n\"name\": \"n\",\n\"apps\": [\n{\"name\": \"github\", \"integration\": {\"name\": \"g\", \"type\": \"api_key\"}},\n{\"name\": \"calc\"}\n], \"store\": {}}",
        "universal-mcp",
        &[],
        &[
            "4 Skipped `github` is an app, with a key of its service; see `umcp app search github`",
            "5 Skipped `calc` is an app; see `umcp app search calc`",
            "2 Ignored `name` is a setting of the other tool",
            "6 Ignored `store` is a setting of the other tool",
        ],
    );
    check(
        "config.yaml",
        "commands:\n  - name: echo\n    script: echo\n  - name: hook\n    webhook: {url: 'https://x'}\nserver: {http: {port: 1}}\n",
        "mcpfier",
        &[],
        &[
            "2 Skipped `echo` runs a script; take it over with `umcp command add -f`",
            "4 Skipped `hook` calls a webhook; take it over with `umcp command add -f`",
            "6 Ignored `server` is a setting of the other tool",
        ],
    );
}

#[test]
fn one_entry_alone_takes_its_name_from_the_file() {
    check("/x/time.yaml", "command: uvx\nargs: [t]\n", "entry", &["time stdio uvx t"], &[]);
    for (path, text) in [("a.yaml", "x: 1\n"), ("a.json", ""), ("a.toml", "[servers_of_mine]\n")] {
        let error = read(path, text, &mut || String::new(), Timestamp(0)).unwrap_err();
        assert!(error.is(&codes::FORMAT_UNKNOWN), "{path}: {error:?}");
    }
}

#[test]
fn our_own_file_is_read_strictly() {
    check(
        "umcp.yaml",
        "servers:\n  a:\n    command: [npx, -y, x]\n    args: [z]\n    timeouts: {start: 30s, call: 5, idle-stop: 2m}\n    tools: {include: ['r*']}\n  b:\n    url: https://x\n    transport: http\n    enabled: false\n  t:\n    url: builtin:time\n",
        "umcp",
        &["a stdio npx -y x z +r* call=5000 start=30000", "b http https://x off", "t builtin builtin:time"],
        &[],
    );
    for (text, code, line, hint) in [
        ("servers:\n  a:\n    comand: x\n", &codes::FIELD_UNKNOWN, 3, "did you mean `command`?"),
        ("servers:\n  a:\n    command: x\n    url: y\n", &codes::SERVER_INVALID, 4, ""),
        ("servers:\n  a:\n    command: x\n    timeouts:\n      call: 5y\n", &codes::VALUE_INVALID, 5, "30s"),
        ("servers:\n  a:\n    command: x\n    sharing: alone\n", &codes::FILE_INVALID, 4, ""),
    ] {
        let error = read("a.yaml", text, &mut || String::new(), Timestamp(0)).unwrap_err();
        assert!(error.is(code), "{error:?}");
        assert_eq!(error.span.as_deref().map(|span| span.line), Some(line), "{error:?}");
        assert!(error.hints.iter().any(|text| text.contains(hint)) || hint.is_empty(), "{error:?}");
    }
}

#[test]
fn what_is_exported_is_imported_again() {
    let mut full = Server::new(
        "srv_1".into(),
        "full",
        Transport::Stdio {
            command: "npx".into(),
            args: vec!["-y".into(), "8080".into(), "yes".into(), String::new()],
        },
        Timestamp(7),
    );
    for (key, value) in [
        ("NUMBER", "0123"),
        ("TRUE", "true"),
        ("NULL", "null"),
        ("TEXT", "a: b # c\n- d \"e\" 'f'\n"),
        ("VAR", "${X:-y}"),
        ("STAR", "*x"),
        ("DATE", "2026-01-01"),
        ("FLOAT", "1e3"),
    ] {
        full.env.insert(key.into(), value.into());
    }
    full.headers.insert("X-A".into(), "secret://a".into());
    full.cwd = Some("/p q".into());
    full.description = Some("what: it does".into());
    full.tags = vec!["a".into()];
    full.sharing = Sharing::PerClient;
    full.enabled = false;
    full.verbatim = true;
    full.era = EraChoice::Legacy;
    full.limits = Limits {
        start_timeout_ms: Some(1500),
        call_timeout_ms: Some(60_000),
        idle_stop_ms: Some(0),
        concurrency: Some(4),
        queue: Some(10),
    };
    full.tools = ToolFilter { include: vec!["r*".into()], exclude: vec!["*x".into()] };
    full.roots = vec!["/p".into()];
    let remote = [
        Transport::Http { url: "https://x".into(), probe: true },
        Transport::Http { url: "https://x".into(), probe: false },
        Transport::Sse { url: "${URL}/sse".into() },
        Transport::WebSocket { url: "wss://x".into() },
        Transport::Socket { path: "/run/a".into(), uri: "/mcp".into() },
        Transport::Builtin { name: "time".into() },
    ];
    let remote = remote.into_iter().enumerate();
    let mut servers = vec![full];
    servers.extend(remote.map(|(n, transport)| {
        Server::new(format!("srv_{}", n + 2), format!("s{n}"), transport, Timestamp(7))
    }));
    for server in &mut servers {
        server.origin = Some(own::FORMAT.into());
    }
    let text = own::write(&servers).unwrap();
    let again = import("export.yaml", &text);
    assert_eq!(again.servers, servers, "{text}");
    assert_eq!(again.notes, []);
}

#[test]
fn notes_hold_no_values() {
    let text = r#"{"mcpServers": {"a": {"command": "x", "env": {"K": "hunter2 ${weird:x} ${input:i}"}, "oauth": {"clientSecret": "hunter2"}, "odd": "hunter2"}}}"#;
    let imported = import("x.json", text);
    assert_eq!(imported.notes.iter().filter(|note| note.level != Level::Skipped).count(), 4);
    assert!(!notes(&imported).concat().contains("hunter2"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_survives_export(values in proptest::collection::vec("[ -~äß€\\n\\t\u{1b}]{0,12}|\\PC{0,6}|[0-9.eE+x_:-]{1,6}|[a-z]{1,5}|~|null|=|<<", 0..6)) {
        let command = "x".to_string();
        let mut server = Server::new("srv_1".into(), "a", Transport::Stdio { command, args: values.clone() }, Timestamp(7));
        server.env = values.iter().enumerate().map(|(n, value)| (format!("K{n}"), value.clone())).collect();
        server.headers = values.iter().map(|value| (value.clone(), "x".into())).collect();
        server.description = values.first().cloned();
        server.origin = Some(own::FORMAT.into());
        let text = own::write(std::slice::from_ref(&server)).unwrap();
        assert_eq!(import("a.yaml", &text).servers, [server], "{text}");
    }
}
