//! Several accounts of one service, and which of them a call is made with; against stubs that say who asked.
//! Long because every kind of server carries an account in its own way: an app, HTTP, WebSocket, a child's variable.

use crate::support::daemon::{Daemon, UMCP, server, stdio};
use crate::support::mcp::{Era, Mcp, agreeable, everything};
use crate::support::stub::{Answer, Asked, Stub};
use crate::support::wire::Door;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{Message, accept_hdr};
use umcp::servers::model::{EraChoice, Transport};

fn run_in(daemon: &Daemon, folder: &Path, arguments: &[&str], key: &str) -> Output {
    let mut command = Command::new(UMCP);
    command.args(arguments).env("UMCP_HOME", daemon.folder()).env("KEY", key);
    command.current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn run(daemon: &Daemon, arguments: &[&str], key: &str) -> (i32, String) {
    let output = run_in(daemon, daemon.folder(), arguments, key);
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), told.trim().to_string())
}

fn good(daemon: &Daemon, arguments: &[&str], key: &str) -> String {
    let output = run_in(daemon, daemon.folder(), arguments, key);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

/// A service that says by which key it was asked, and refuses one.
fn service() -> Stub {
    Stub::start(|asked| match asked.header("authorization").unwrap_or("nobody") {
        "Bearer stale" => Answer::status(401, "expired"),
        who => Answer::json(json!({"login": who, "apikey": asked.header("apikey")})),
    })
}

#[test]
fn a_key_is_all_an_app_needs_and_the_account_is_chosen() {
    let (daemon, stub) = (Daemon::start(), service());
    let address = format!("GITHUB_API={}", stub.address);
    let installed = good(&daemon, &["app", "install", "github", "--allow-private", "--set", &address], "");
    assert!(installed.contains("umcp connection create github"), "{installed}");
    let (code, told) = run(&daemon, &["connection", "create", "github"], "");
    assert_eq!(code, 11, "{told}");
    assert!(told.contains("--key-env") && told.contains("--client-id ID"), "{told}");
    let (code, told) = run(&daemon, &["call", "github.get_user"], "");
    assert_eq!(code, 6, "{told}");

    let who = |arguments: &[&str]| {
        let told = good(&daemon, &[&["call", "github.get_user"], arguments].concat(), "");
        serde_json::from_str::<Value>(&told).unwrap()["login"].as_str().unwrap().to_string()
    };
    good(&daemon, &["connection", "create", "github", "--name", "home", "--key-env", "KEY"], "h0me");
    assert_eq!(who(&[]), "Bearer h0me");
    good(&daemon, &["connection", "create", "github", "--name", "work", "--key-env", "KEY"], "w0rk");
    assert_eq!(who(&[]), "Bearer h0me");
    assert_eq!(who(&["--account", "work"]), "Bearer w0rk");
    let (code, told) = run(&daemon, &["call", "github.get_user", "--account", "nobody"], "");
    assert_eq!((code, told.contains("has no account named `nobody`")), (4, true), "{told}");

    // By profile, for the shell and for a client.
    good(&daemon, &["profile", "create", "office"], "");
    good(&daemon, &["connection", "use", "work", "--profile", "office"], "");
    assert_eq!((who(&["--profile", "office"]), who(&[])), ("Bearer w0rk".into(), "Bearer h0me".into()));
    good(&daemon, &["profile", "use", "office", "--client", "cursor"], "");
    for (client, expected) in [("cursor", "w0rk"), ("other", "h0me")] {
        let mut mcp = Mcp::new(&daemon, Door::Bridge, Era::Legacy, client, everything(), Box::new(agreeable));
        let call = mcp.start("tools/call", json!({"name": "github__get_user", "arguments": {}}));
        let answer = mcp.wait(&call).text().to_string();
        assert!(answer.contains(&format!("Bearer {expected}")), "{client}: {answer}");
    }
    // By directory, the nearest one.
    let folder = daemon.folder().join("src/client");
    std::fs::create_dir_all(&folder).unwrap();
    let above = folder.parent().unwrap().to_str().unwrap();
    good(&daemon, &["connection", "use", "work", "--directory", above], "");
    let told = run_in(&daemon, &folder, &["call", "github.get_user"], "").stdout;
    assert!(String::from_utf8_lossy(&told).contains("w0rk"), "{told:?}");
    // By default, and it counts at once.
    good(&daemon, &["connection", "use", "work"], "");
    assert_eq!(who(&[]), "Bearer w0rk");

    // A key the service takes no more; a new one heals it; one given to the app goes before them all.
    let again = ["connection", "create", "github", "--name", "work", "--key-env", "KEY"];
    good(&daemon, &again, "stale");
    let (code, told) = run(&daemon, &["call", "github.get_user"], "");
    assert_eq!((code, told.contains("umcp connection create work")), (6, true), "{told}");
    good(&daemon, &again, "fresh");
    assert_eq!(who(&[]), "Bearer fresh");
    good(&daemon, &["app", "configure", "github", "GITHUB_TOKEN=own"], "");
    assert_eq!(who(&[]), "Bearer own");
}

#[test]
fn a_key_stands_where_the_app_puts_it() {
    let (daemon, stub) = (Daemon::start(), service());
    for (app, service, setting, tool, argument, expected) in [
        ("discord", "discord", "DISCORD_API", "list_guilds", None, json!({"login": "Bot k", "apikey": null})),
        (
            "tavily",
            "tavily",
            "TAVILY_API",
            "search",
            Some("query=x"),
            json!({"login": "Bearer k", "apikey": null}),
        ),
        (
            "supabase",
            "supabase",
            "SUPABASE_URL",
            "select_rows",
            Some("table=t"),
            json!({"login": "Bearer k", "apikey": "k"}),
        ),
    ] {
        let address = format!("{setting}={}", stub.address);
        good(&daemon, &["app", "install", app, "--allow-private", "--set", &address], "");
        good(&daemon, &["connection", "create", service, "--key-env", "KEY"], "k");
        let target = format!("{app}.{tool}");
        let told = good(&daemon, &[&["call", &target], argument.as_slice()].concat(), "");
        assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), expected, "{app}");
    }
}

/// Two accounts of a service that takes any key; `b` belongs to the profile `office`.
fn two_accounts(daemon: &Daemon) {
    good(daemon, &["integration", "create", "svc", "--type", "bearer"], "");
    good(daemon, &["connection", "create", "svc", "--name", "a", "--key-env", "KEY"], "key-a");
    good(daemon, &["connection", "create", "svc", "--name", "b", "--key-env", "KEY"], "key-b");
    good(daemon, &["profile", "create", "office"], "");
    good(daemon, &["connection", "use", "b", "--profile", "office"], "");
}

fn told_by(daemon: &Daemon, tool: &str) -> [String; 3] {
    let call = |more: &[&str]| good(daemon, &[&["call", tool], more].concat(), "");
    [call(&[]), call(&["--profile", "office"]), call(&["--account", "b"])]
}

/// What a small MCP server answers; `said` is the text of every call.
fn answered(message: &Value, said: &str) -> Option<Value> {
    let result = match message["method"].as_str()? {
        "initialize" => {
            let info = json!({"name": "small", "version": "1"});
            json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info})
        }
        "tools/list" => json!({"tools": [{"name": "who", "inputSchema": {"type": "object"}}]}),
        "tools/call" => json!({"content": [{"type": "text", "text": said}]}),
        _ => json!({}),
    };
    Some(json!({"jsonrpc": "2.0", "id": message.get("id")?, "result": result}))
}

#[test]
fn a_server_over_http_is_asked_in_the_name_of_the_chosen_account() {
    let stub = Stub::start(|asked: &Asked| {
        let message: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        match answered(&message, asked.header("authorization").unwrap_or("nobody")) {
            Some(answer) => Answer::json(answer),
            None => Answer::status(202, ""),
        }
    });
    let daemon = Daemon::start();
    two_accounts(&daemon);
    let url = format!("{}/mcp", stub.address);
    let mut entry = server("web", Transport::Http { url, probe: false });
    entry.era = EraChoice::Legacy;
    entry.headers.insert("Authorization".into(), "connection://svc".into());
    daemon.add(entry);
    assert_eq!(told_by(&daemon, "web.who"), ["Bearer key-a", "Bearer key-b", "Bearer key-b"]);
}

#[test]
fn a_child_runs_once_for_each_account() {
    const SCRIPT: &str = r#"
while IFS= read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case $line in
    *'"initialize"'*) r='{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}' ;;
    *'"tools/list"'*) r='{"tools":[{"name":"who","inputSchema":{"type":"object"}}]}' ;;
    *'"tools/call"'*) r='{"content":[{"type":"text","text":"'"$$ $TOKEN"'"}]}' ;;
    *) continue ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$r"
done
"#;
    let daemon = Daemon::start();
    two_accounts(&daemon);
    let mut entry = server("child", stdio("/bin/sh", ["-c".to_string(), SCRIPT.into()]));
    entry.era = EraChoice::Legacy;
    entry.env.insert("TOKEN".into(), "connection://svc".into());
    daemon.add(entry);
    let told = told_by(&daemon, "child.who");
    let said: Vec<(&str, &str)> = told.iter().map(|line| line.split_once(' ').unwrap()).collect();
    assert_eq!([said[0].1, said[1].1, said[2].1], ["key-a", "key-b", "key-b"]);
    assert_ne!(said[0].0, said[1].0, "one process for each account");
    assert_eq!(said[1].0, said[2].0, "and one only");
}

#[test]
fn a_websocket_is_opened_in_the_name_of_the_chosen_account() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut who = String::new();
                #[expect(clippy::result_large_err, reason = "the library's own signature")]
                let greet = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
                    let value = request.headers().get("authorization").and_then(|value| value.to_str().ok());
                    who = value.unwrap_or("nobody").into();
                    response.headers_mut().insert("sec-websocket-protocol", "mcp".parse().unwrap());
                    Ok(response)
                };
                let Ok(mut socket) = accept_hdr(stream, greet) else { return };
                while let Ok(message) = socket.read() {
                    let Ok(text) = message.to_text() else { continue };
                    let asked: Value = serde_json::from_str(text).unwrap_or_default();
                    if let Some(answer) = answered(&asked, &who) {
                        let _ = socket.send(Message::text(answer.to_string()));
                    }
                }
            });
        }
    });
    let daemon = Daemon::start();
    two_accounts(&daemon);
    let mut entry = server("socket", Transport::WebSocket { url: format!("ws://{address}/mcp") });
    entry.era = EraChoice::Legacy;
    entry.headers.insert("Authorization".into(), "connection://svc".into());
    daemon.add(entry);
    assert_eq!(told_by(&daemon, "socket.who"), ["Bearer key-a", "Bearer key-b", "Bearer key-b"]);
}
