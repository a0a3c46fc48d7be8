//! Signing in for real: umcp as users run it, an authorization server and an MCP server that lets in whom it knows
//! (`support/provider.mjs`), and a browser that is none.
//! Long because every test stands on the same stage: provider, server, daemon and browser.

mod apps;
mod document;

use crate::support::daemon::{Daemon, UMCP, server, stdio};
use crate::support::http;
use crate::support::mcp::{Era, Mcp, agreeable, everything};
use crate::support::peers::{self, Beside};
use crate::support::wire::Door;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use umcp::engine::live::{CallRequest, Live, LiveReply};
use umcp::engine::{Reply, Request};
use umcp::error::{Result, codes};
use umcp::integrations::{self, Connection, model::Standing};
use umcp::servers::model::Transport;

/// The provider and the server behind it.
struct Stage {
    _provider: Beside,
    node: PathBuf,
    issuer: String,
    resource: String,
    control: String,
    me: String,
    key: String,
    daemon: Daemon,
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/provider.mjs")
}

impl Stage {
    /// `None`: the peers are not installed.
    fn set() -> Option<Self> {
        let (node, room) = (peers::find("node")?, peers::room("oidc-provider")?);
        let mut command = Command::new(&node);
        command.arg(script()).arg("serve").arg(room).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| told[name].as_str().unwrap().to_string();
        let stage = Self {
            _provider: Beside::new(child),
            node,
            issuer: text("issuer"),
            resource: text("resource"),
            control: text("control"),
            me: text("me"),
            key: text("key"),
            daemon: Daemon::start(),
        };
        stage.daemon.add(server("private", Transport::Http { url: stage.resource.clone(), probe: false }));
        Some(stage)
    }

    /// Tells the provider something, and gives what it has counted.
    fn control(&self, change: Value) -> Value {
        let address = self.control.trim_start_matches("http://");
        let (host, path) = address.split_once('/').unwrap();
        let (mut exchange, _) = http::send(host, "POST", &format!("/{path}"), &[], &change.to_string());
        let head = exchange.head().unwrap();
        let mut counted = Value::Null;
        exchange.messages(&head, |message| counted = message);
        counted
    }

    fn count(&self, what: &str) -> u64 {
        self.control(json!({}))[what].as_u64().unwrap()
    }

    fn umcp(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(UMCP);
        command.args(arguments).env("UMCP_HOME", self.daemon.folder()).env_remove("DISPLAY");
        command.env_remove("WAYLAND_DISPLAY").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.umcp(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"))
    }

    /// Runs with something on standard input.
    fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.umcp(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Signs in as a person would; gives where the browser was sent back to, after going there if `follow`.
    fn browse(&self, url: &str, follow: bool) -> String {
        let mut command = Command::new(&self.node);
        command.arg(script()).args(["browse", url]).args(follow.then_some("follow"));
        let output = peers::run(&mut command, Duration::from_secs(20));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text.trim().into()
    }

    /// Begins a sign-in, and gives the child that waits with the address it shows.
    fn begin(&self, arguments: &[&str]) -> (Child, String) {
        let mut command = self.umcp(&[arguments, &["--no-browser"]].concat());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        let url = loop {
            let mut line = String::new();
            if stderr.read_line(&mut line).unwrap() == 0 {
                panic!("no address was shown: {seen}");
            }
            if line.starts_with("http") {
                break line.trim().to_string();
            }
            if let Some((_, rest)) = line.split_once("open ").filter(|_| line.contains("type in the code")) {
                let url = rest.split(' ').next().unwrap();
                break format!("{url}?user_code={}", line.trim().rsplit(' ').next().unwrap());
            }
            seen.push_str(&line);
        };
        child.stderr = Some(stderr.into_inner());
        (child, url)
    }

    /// The whole way in a browser.
    fn login(&self, arguments: &[&str]) -> Output {
        let (child, url) = self.begin(arguments);
        self.browse(&url, true);
        child.wait_with_output().unwrap()
    }

    fn call(&self) -> Result<String> {
        let call = CallRequest {
            target: "private.whoami".into(),
            arguments: "{}".into(),
            timeout_ms: Some(20_000),
            client: "test".into(),
            profile: None,
            account: None,
            record: false,
        };
        match self.daemon.try_ask(Live::Call(call))? {
            Reply::Live(LiveReply::Called(called)) => {
                let result: Value = serde_json::from_str(&called.result).unwrap();
                Ok(result["content"][0]["text"].as_str().unwrap_or_default().into())
            }
            other => panic!("{other:?}"),
        }
    }

    fn connection(&self, name: &str) -> Connection {
        let request = integrations::Request::Connection { name: name.into() };
        match self.daemon.ask(Request::from(request)) {
            Reply::Integration(integrations::Reply::Connection(row)) => *row,
            other => panic!("{other:?}"),
        }
    }

    /// No token stands in any file of the home in plain.
    fn assert_nothing_leaks(&self, secrets: &[&str]) {
        let mut folders = vec![self.daemon.folder().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else if entry.file_type().unwrap().is_file() {
                    let mut bytes = Vec::new();
                    std::fs::File::open(entry.path()).unwrap().read_to_end(&mut bytes).unwrap();
                    for secret in secrets {
                        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                        assert!(!found, "a secret stands in {:?}", entry.path());
                    }
                }
            }
        }
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_server_is_signed_in_to_and_called() {
    let Some(stage) = Stage::set() else { return };
    // Before: the error names the command, and the state the reason.
    let refused = stage.call().unwrap_err();
    assert!(refused.is(&codes::UPSTREAM_SIGN_IN), "{refused:?}");
    assert_eq!(refused.hints[0], "umcp server login private");
    assert_eq!(refused.kind().exit(), 6);
    let status = text(&stage.run(&["server", "status"]));
    assert!(status.contains("needs sign-in"), "{status}");

    let output = stage.login(&["server", "login", "private"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("signed in: private for server private"), "{}", text(&output));
    assert_eq!(stage.call().unwrap(), "someone");
    let row = stage.connection("private");
    assert_eq!(row.standing, Standing::Ready);
    assert_eq!((row.endpoints.issuer.as_deref(), row.refreshable), (Some(stage.issuer.as_str()), true));
    assert_eq!(row.resource.as_deref(), Some(stage.resource.as_str()));
    assert!(row.scopes.contains(&"mcp:read".to_string()), "{:?}", row.scopes);

    let shown = stage.json(&["connection", "show", "private"]);
    assert_eq!(shown["data"]["state"], "ready");
    let listed = stage.json(&["connection", "list"]);
    assert_eq!(listed["data"][0]["target"], "server private");
    assert_eq!(stage.json(&["connection", "validate", "private"])["ok"], true);

    // Taken back at the provider, forgotten here; the server wants a sign-in again.
    let unconfirmed = stage.run(&["connection", "revoke", "private"]);
    assert!(!unconfirmed.status.success() && stage.count("revoked") == 0, "{}", text(&unconfirmed));
    let revoked = stage.json(&["connection", "revoke", "private", "--yes"]);
    assert_eq!(revoked["data"][0]["at_provider"], true, "{revoked}");
    assert!(stage.count("revoked") >= 1);
    assert!(stage.call().unwrap_err().is(&codes::UPSTREAM_SIGN_IN));

    // What is held for a server goes with it.
    assert!(stage.login(&["server", "login", "private"]).status.success());
    assert!(stage.run(&["server", "remove", "private", "--yes"]).status.success());
    assert_eq!(stage.json(&["connection", "list"])["data"], json!([]));
}

#[test]
fn the_address_can_be_pasted() {
    let Some(stage) = Stage::set() else { return };
    let (mut child, url) = stage.begin(&["connection", "create", "private", "--paste", "--user", "ann"]);
    let back = stage.browse(&url, false);
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{back}").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(stage.connection("private").user.as_deref(), Some("ann"));
    // An address of another sign-in is refused.
    let (mut child, _) = stage.begin(&["connection", "create", "private", "--paste"]);
    writeln!(child.stdin.take().unwrap(), "{back}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("does not belong to this sign-in"), "{}", text(&output));
    assert_eq!(stage.call().unwrap(), "someone");
}

#[test]
fn twenty_calls_at_expiry_make_one_refresh() {
    let Some(stage) = Stage::set() else { return };
    assert!(stage.login(&["server", "login", "private"]).status.success());
    assert_eq!(stage.call().unwrap(), "someone");
    for round in 1..=3 {
        // The server forgets every token, as at their end; 20 calls are refused at once.
        stage.control(json!({"forget": true}));
        let mut mcp =
            Mcp::new(&stage.daemon, Door::Bridge, Era::Legacy, "many", everything(), Box::new(agreeable));
        let call = json!({"name": "private__whoami", "arguments": {}});
        let calls: Vec<Value> = (0..20).map(|_| mcp.start("tools/call", call.clone())).collect();
        for call in calls {
            assert_eq!(mcp.wait(&call).text(), "someone");
        }
        // Rotated each time: a second use of one token would have ended them all at the provider.
        assert_eq!((stage.count("refresh"), stage.count("refused")), (round, 0));
    }
    assert_eq!(stage.connection("private").refreshes, 3);
    assert_eq!(stage.json(&["connection", "refresh", "private"])["data"]["refreshes"], 4);
}

#[test]
fn a_refused_refresh_needs_a_sign_in_and_makes_no_storm() {
    let Some(stage) = Stage::set() else { return };
    assert!(stage.login(&["server", "login", "private"]).status.success());
    assert_eq!(stage.call().unwrap(), "someone");
    stage.control(json!({"end": true}));
    let error = stage.call().unwrap_err();
    assert!(error.is(&codes::SIGN_IN_NEEDED), "{error:?}");
    assert!(error.hints.iter().any(|hint| hint == "umcp connection create private"), "{error:?}");
    let after_first = stage.control(json!({}));
    assert_eq!(after_first["refused"], 1);
    for _ in 0..20 {
        assert!(stage.call().unwrap_err().is(&codes::SIGN_IN_NEEDED));
    }
    let after_all = stage.control(json!({}));
    assert_eq!(
        (&after_all["refused"], &after_all["denied"]),
        (&after_first["refused"], &after_first["denied"])
    );
    assert_eq!(stage.connection("private").standing, Standing::NeedsSignIn);
    let status = text(&stage.run(&["status"]));
    assert!(
        status.contains("connection private: needs sign-in (umcp connection create private)"),
        "{status}"
    );
    let health = stage.run(&["connection", "health"]);
    assert_eq!(health.status.code(), Some(13), "{}", text(&health));
    // Signing in again heals it, with the same connection.
    let id = stage.connection("private").id;
    assert!(stage.login(&["connection", "create", "private"]).status.success());
    assert_eq!(stage.call().unwrap(), "someone");
    assert_eq!(stage.connection("private").id, id);
}

#[test]
fn more_rights_are_asked_for_at_the_next_sign_in() {
    let Some(stage) = Stage::set() else { return };
    assert!(stage.login(&["server", "login", "private"]).status.success());
    stage.control(json!({"needed": "mcp:write"}));
    let refused = stage.call().unwrap_err();
    assert!(refused.is(&codes::UPSTREAM_SIGN_IN), "{refused:?}");
    assert_eq!(refused.hints[0], "umcp server login private");
    let deadline = Instant::now() + Duration::from_secs(5);
    while stage.connection("private").wanted != ["mcp:write"] {
        assert!(Instant::now() < deadline, "{:?}", stage.connection("private").wanted);
        std::thread::yield_now();
    }
    assert!(stage.login(&["server", "login", "private"]).status.success());
    assert_eq!(stage.call().unwrap(), "someone");
    let row = stage.connection("private");
    assert!(row.scopes.contains(&"mcp:write".into()) && row.wanted.is_empty(), "{row:?}");
    assert_eq!(row.stepped_up, 1);
}

#[test]
fn other_flows_and_a_known_client() {
    let Some(stage) = Stage::set() else { return };
    // A client that was registered before, with a secret.
    let output = {
        let mut command = stage.umcp(&[
            "server",
            "login",
            "private",
            "--client-id",
            "known",
            "--client-secret-env",
            "SECRET",
            "--no-browser",
        ]);
        command.env("SECRET", "known-secret");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("http") {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "no address was shown");
        }
        stage.browse(line.trim(), true);
        child.wait_with_output().unwrap()
    };
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!((stage.call().unwrap().as_str(), stage.count("registered")), ("someone", 0));
    stage.control(json!({"forget": true}));
    assert_eq!((stage.call().unwrap().as_str(), stage.count("refresh")), ("someone", 1));

    // An integration by its issuer: another device, the client itself with a secret, and with a key.
    let create = |name: &str, client: &str, more: &[&str]| {
        let base = [
            "integration",
            "create",
            name,
            "--type",
            "oauth2",
            "--issuer",
            &stage.issuer,
            "--client-id",
            client,
            "--test-url",
            &stage.me,
        ];
        let output = stage.run(&[&base[..], more].concat());
        assert!(output.status.success(), "{}", text(&output));
    };
    create("tv", "tv", &["--client-auth", "none", "--scope", "mcp:read"]);
    let (child, url) = stage.begin(&["connection", "create", "tv", "--flow", "device"]);
    stage.browse(&url, false);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(stage.json(&["connection", "validate", "tv"])["data"]["ok"], true);

    // By reference: a header of another entry, renewed like any other; and a variable of a child, at its start.
    let mut named = server("named", Transport::Http { url: stage.resource.clone(), probe: false });
    named.headers.insert("Authorization".into(), "connection://tv".into());
    stage.daemon.add(named);
    for _ in 0..2 {
        let output = stage.run(&["call", "named.whoami"]);
        assert!(output.status.success() && text(&output).contains("someone"), "{}", text(&output));
        stage.control(json!({"forget": true}));
    }
    let file = stage.daemon.folder().join("given");
    let script = format!("printf %s \"$TOKEN\" > '{}'; exit 1", file.display());
    let mut child = server("child", stdio("/bin/sh", ["-c".to_string(), script]));
    child.env.insert("TOKEN".into(), "connection://tv".into());
    stage.daemon.add(child);
    assert!(!stage.run(&["server", "start", "child"]).status.success());
    let given = std::fs::read_to_string(&file).unwrap();
    assert!(given.len() > 20 && !given.contains("connection"), "the child was given {} bytes", given.len());
    std::fs::remove_file(file).unwrap();

    create("machine", "machine", &[]);
    let set = stage.run_with_input(
        &["integration", "configure", "machine", "--client-secret-stdin"],
        "machine-secret\n",
    );
    assert!(set.status.success(), "{}", text(&set));
    let output = stage.run(&["connection", "create", "machine", "--flow", "client-credentials"]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(stage.json(&["connection", "validate", "machine"])["data"]["ok"], true);
    // Its token is had anew when the provider takes it no more.
    stage.control(json!({"forget": true}));
    assert_eq!(stage.json(&["connection", "validate", "machine"])["data"]["ok"], true);
    assert_eq!(stage.count("client_credentials"), 2);

    create("signer", "signer", &["--client-auth", "private_key_jwt"]);
    let set =
        stage.run_with_input(&["integration", "configure", "signer", "--client-secret-stdin"], &stage.key);
    assert!(set.status.success(), "{}", text(&set));
    let output = stage.run(&["connection", "create", "signer", "--flow", "client-credentials"]);
    assert!(output.status.success(), "{}", text(&output));

    // In use, so not deleted; and no secret lies anywhere in plain.
    assert_eq!(stage.run(&["integration", "delete", "tv", "--yes"]).status.code(), Some(5));
    let body = stage.key.lines().nth(1).unwrap();
    stage.assert_nothing_leaks(&["machine-secret", "known-secret", body, &given]);
}

const FASTMCP: &str = r#"
import sys
from fastmcp import FastMCP
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from mcp.server.auth.settings import ClientRegistrationOptions
port = int(sys.argv[1])
auth = InMemoryOAuthProvider(
    base_url=f"http://127.0.0.1:{port}",
    client_registration_options=ClientRegistrationOptions(enabled=True),
)
mcp = FastMCP("guarded", auth=auth)

@mcp.tool
def add(a: int, b: int) -> int:
    return a + b

mcp.run(transport="http", host="127.0.0.1", port=port, show_banner=False)
"#;

#[test]
fn a_fastmcp_server_with_oauth() {
    let Some(python) = peers::find("fastmcp-python") else { return };
    let (daemon, port) = (Daemon::start(), peers::free_port());
    let script = daemon.folder().join("guarded.py");
    std::fs::write(&script, FASTMCP).unwrap();
    let mut command = Command::new(python);
    let _server =
        Beside::start(command.arg(&script).arg(port.to_string()).stdout(Stdio::null()).stderr(Stdio::null()));
    peers::wait_for(port, Duration::from_secs(60));
    let url = format!("http://127.0.0.1:{port}/mcp");
    daemon.add(server("guarded", Transport::Http { url, probe: false }));
    let call = || {
        let live = Live::Call(CallRequest {
            target: "guarded.add".into(),
            arguments: r#"{"a":2,"b":3}"#.into(),
            timeout_ms: Some(20_000),
            client: "test".into(),
            profile: None,
            account: None,
            record: false,
        });
        daemon.try_ask(live)
    };
    assert!(call().unwrap_err().is(&codes::UPSTREAM_SIGN_IN));
    let mut child = Command::new(UMCP)
        .args(["server", "login", "guarded", "--paste"])
        .env("UMCP_HOME", daemon.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("http") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "no address was shown");
    }
    // The provider asks nobody: it sends the browser straight back.
    let rest = line.trim().strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let (mut exchange, _) = http::send(host, "GET", &format!("/{path}"), &[], "");
    let back = exchange.head().unwrap().get("location").unwrap().to_string();
    writeln!(child.stdin.take().unwrap(), "{back}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    match call().unwrap() {
        Reply::Live(LiveReply::Called(called)) => assert!(called.result.contains('5'), "{}", called.result),
        other => panic!("{other:?}"),
    }
}
