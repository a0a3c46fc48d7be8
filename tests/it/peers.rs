//! Real servers behind the gateway and real clients in front of it, each installed by `.ci/install-peers`.
//! A peer that is not installed skips its test by name.

use crate::support::daemon::{Daemon, UMCP, fixture_server, server, stdio};
use crate::support::mcp::{Era, Mcp};
use crate::support::peers::{self, Beside, say};
use crate::support::wire::Door;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use umcp::servers::model::{EraChoice, Transport};

const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway in front of one real server, and a legacy and a modern client of it.
fn in_front_of(name: &str, transport: Transport, check: impl Fn(&mut Mcp)) {
    let daemon = Daemon::start();
    daemon.add(server(name, transport));
    for (door, era) in [(Door::Bridge, Era::Legacy), (Door::Http, Era::Modern)] {
        let mut mcp = Mcp::connect(&daemon, door, era);
        check(&mut mcp);
        let all = mcp.tools();
        let theirs = all.iter().filter(|tool| tool.starts_with(&format!("{name}__"))).count();
        say!("{name}: {theirs} tools, called by a {era:?} client");
    }
}

#[test]
fn server_everything() {
    let Some(program) = peers::find("mcp-server-everything") else { return };
    in_front_of("everything", stdio(program, ["stdio"]), |mcp| {
        assert_eq!(mcp.call("everything__echo", json!({"message": "hi"})).text(), "Echo: hi");
        let sum = mcp.call("everything__get-sum", json!({"a": 2, "b": 3}));
        assert!(sum.text().contains('5'), "{}", sum.text());
        let params = json!({"name": "everything__trigger-long-running-operation",
            "arguments": {"duration": 0.2, "steps": 4}, "_meta": {"progressToken": "p"}});
        let long = mcp.ask("tools/call", params);
        assert!(!long.heard("notifications/progress").is_empty(), "{:?}", long.message);
        assert!(!mcp.list("prompts/list", "prompts").0.is_empty());
        let (resources, _) = mcp.list("resources/list", "resources");
        let read = mcp.ask("resources/read", json!({"uri": resources[0]["uri"]}));
        assert_eq!(read.result()["contents"][0]["uri"], resources[0]["uri"]);
    });
}

#[test]
fn server_filesystem() {
    let Some(program) = peers::find("mcp-server-filesystem") else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    std::fs::write(folder.join("note.txt"), "written by the test").unwrap();
    in_front_of("files", stdio(program, [folder.to_str().unwrap()]), |mcp| {
        let read = mcp.call("files__read_text_file", json!({"path": folder.join("note.txt")}));
        assert_eq!(read.text(), "written by the test");
        let outside = mcp.call("files__read_text_file", json!({"path": "/etc/passwd"}));
        assert_eq!(outside.result()["isError"], true);
    });
}

#[test]
fn server_memory() {
    let Some(program) = peers::find("mcp-server-memory") else { return };
    in_front_of("memory", stdio(program, [""; 0]), |mcp| {
        let entity = json!({"name": "umcp", "entityType": "program", "observations": ["relays"]});
        mcp.call("memory__create_entities", json!({"entities": [entity]})).result();
        let found = mcp.call("memory__search_nodes", json!({"query": "umcp"}));
        assert!(found.text().contains("relays"), "{}", found.text());
        mcp.call("memory__delete_entities", json!({"entityNames": ["umcp"]})).result();
    });
}

#[test]
fn server_time() {
    let Some(program) = peers::find("mcp-server-time") else { return };
    in_front_of("time", stdio(program, ["--local-timezone", "UTC"]), |mcp| {
        let now = mcp.call("time__get_current_time", json!({"timezone": "Europe/Berlin"}));
        assert!(now.text().contains("Europe/Berlin"), "{}", now.text());
    });
}

#[test]
fn server_git() {
    let Some(program) = peers::find("mcp-server-git") else { return };
    let folder = tempfile::tempdir().unwrap();
    let git = Command::new("git").args(["init", "-q"]).arg(folder.path()).status();
    if !git.is_ok_and(|status| status.success()) {
        say!("skipped: git is not installed");
        return;
    }
    std::fs::write(folder.path().join("new.txt"), "new").unwrap();
    let path = folder.path().to_str().unwrap();
    in_front_of("git", stdio(program, ["--repository", path]), |mcp| {
        let status = mcp.call("git__git_status", json!({"repo_path": path}));
        assert!(status.text().contains("new.txt"), "{}", status.text());
    });
}

#[test]
fn server_fetch() {
    let Some(program) = peers::find("mcp-server-fetch") else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/page", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer_page(stream);
        }
    });
    in_front_of("fetch", stdio(program, ["--ignore-robots-txt", "--allow-private-ips"]), |mcp| {
        let page = mcp.call("fetch__fetch", json!({"url": url}));
        assert!(page.text().contains("a page of the test"), "{}", page.text());
    });
}

fn answer_page(mut stream: std::net::TcpStream) {
    use std::io::{Read, Write};
    let mut request = [0; 4096];
    let _ = stream.read(&mut request);
    let page = "a page of the test";
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{page}",
        page.len()
    );
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients").join(name)
}

/// A fastmcp server over the network; `path` is where it answers.
fn fastmcp(kind: &str, path: &str, transport: impl Fn(String) -> Transport) {
    let Some(python) = peers::find("fastmcp-python") else { return };
    let port = peers::free_port();
    let mut command = Command::new(python);
    command.arg(script("fastmcp_server.py")).arg(kind).arg(port.to_string());
    let _beside = Beside::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    peers::wait_for(port, PATIENCE);
    in_front_of("real", transport(format!("http://127.0.0.1:{port}{path}")), |mcp| {
        assert_eq!(mcp.call("real__double", json!({"number": 21})).text(), "42");
        let params =
            json!({"name": "real__steps", "arguments": {"count": 5}, "_meta": {"progressToken": "p"}});
        let steps = mcp.ask("tools/call", params);
        assert_eq!(steps.text(), "5 steps");
        assert_eq!(steps.heard("notifications/progress").len(), 5);
        let read = mcp.ask("resources/read", json!({"uri": "real://greeting"}));
        assert_eq!(read.result()["contents"][0]["text"], "hello from a resource");
    });
}

#[test]
fn fastmcp_over_streamable_http() {
    fastmcp("http", "/mcp", |url| Transport::Http { url, probe: true });
}

#[test]
fn fastmcp_over_sse_named_or_found() {
    fastmcp("sse", "/sse", |url| Transport::Sse { url });
    fastmcp("sse", "/sse", |url| Transport::Http { url, probe: true });
}

/// What every SDK must have seen, beside progress.
fn expected(revision: &str) -> Value {
    json!({
        "revision": revision, "listed": true, "echo": "grüße", "sum": 3, "failed": true,
        "asked": "given", "sampled": "LLM response: sampled", "roots": true,
        "resource": "This is the content of the static text resource.",
        "prompt": "Prompt with arguments: arg1='x', arg2='y'", "completed": ["paris", "park", "party"],
        "unknown": -32602, "cancelled": 1,
    })
}

/// Runs an SDK's client through both doors, in front of a legacy and a modern server.
fn sdk(name: &str, mode: &str, revision: &str, start: impl Fn() -> Command) {
    for era in [EraChoice::Legacy, EraChoice::Modern] {
        let daemon = Daemon::start();
        daemon.add(fixture_server("fx", era, &[]));
        let url = format!("http://{}/mcp", daemon.listen());
        for (door, target) in [("stdio", UMCP), ("http", url.as_str())] {
            let mut command = start();
            command.args([mode, door, target]).env("UMCP_HOME", daemon.folder());
            let output = peers::run(&mut command, PATIENCE);
            let (out, err) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{name} {mode} {door}, {era:?} server: {out}\n{err}");
            let mut said: Value = serde_json::from_str(out.trim()).unwrap_or_else(|_| panic!("{out}\n{err}"));
            let progress = said.as_object_mut().and_then(|said| said.remove("progress")).unwrap();
            check_progress(name, &serde_json::from_value::<Vec<u64>>(progress).unwrap());
            assert_eq!(said, expected(revision), "{name} {mode} {door}, {era:?} server\n{err}");
            say!("{name} {mode} over {door}, {era:?} server: all of it, speaking {revision}");
        }
    }
}

/// All five steps in order. The TypeScript SDKs drop what arrives in one read with the answer, also without a gateway:
/// they forget the callback at the answer and run it only afterwards. For them the beginning must be right.
fn check_progress(name: &str, steps: &[u64]) {
    let whole = [1, 2, 3, 4, 5];
    match name.starts_with("TypeScript") {
        true => assert!(!steps.is_empty() && whole.starts_with(steps), "{name}: {steps:?}"),
        false => assert_eq!(steps, whole, "{name}"),
    }
}

fn python(mode: &str, revision: &str) {
    let Some(python) = peers::find("python-sdk") else { return };
    sdk("Python SDK", mode, revision, || {
        let mut command = Command::new(&python);
        command.arg(script("sdk.py"));
        command
    });
}

#[test]
fn python_sdk_legacy() {
    python("legacy", "2025-11-25");
}

#[test]
fn python_sdk_modern() {
    python("auto", "2026-07-28");
}

fn typescript(generation: &str, mode: &str, revision: &str) {
    let (Some(node), Some(room)) = (peers::find("node"), peers::room(&format!("typescript-{generation}")))
    else {
        return;
    };
    sdk(&format!("TypeScript SDK {generation}"), mode, revision, || {
        let mut command = Command::new(&node);
        command.arg(script("sdk.mjs")).arg(generation).arg(room.join("node_modules"));
        command
    });
}

#[test]
fn typescript_v1() {
    typescript("v1", "legacy", "2025-11-25");
}

#[test]
fn typescript_v2_legacy() {
    typescript("v2", "legacy", "2025-11-25");
}

#[test]
fn typescript_v2_modern() {
    typescript("v2", "auto", "2026-07-28");
}

#[test]
fn inspector() {
    let Some(program) = peers::find("mcp-inspector") else { return };
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    let url = format!("http://{}/mcp", daemon.listen());
    for target in [vec![url.as_str(), "--transport", "http"], vec![UMCP, "serve"]] {
        let ask = |words: &[&str]| {
            let mut command = Command::new(&program);
            command.arg("--cli").args(&target).args(["--method"]).args(words);
            let home = daemon.folder().to_str().unwrap();
            command.args(["-e", &format!("UMCP_HOME={home}")]).env("HOME", home).env("UMCP_HOME", home);
            let output = peers::run(&mut command, PATIENCE);
            let (out, err) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{words:?}: {out}\n{err}");
            serde_json::from_str::<Value>(&out).unwrap_or_else(|_| panic!("{words:?}: {out}\n{err}"))
        };
        let listed = ask(&["tools/list"]);
        let tools = listed["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
        assert!(tools.iter().any(|tool| tool["name"] == "fx__echo"));
        let called = ask(&["tools/call", "--tool-name", "fx__echo", "--tool-arg", "text=hello"]);
        assert_eq!(called["content"][0]["text"], "hello");
        say!("inspector --cli {}: {} tools listed, one called", target[0], tools.len());
    }
}

/// A home whose client was connected by `umcp client connect`, without anything of this machine in it. Its daemon
/// ends with it.
struct Connected(tempfile::TempDir);

impl Connected {
    fn new(client: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.umcp(&["server", "add", "builtin:time"]);
        home.umcp(&["client", "connect", client, "--yes"]);
        home
    }

    fn umcp(&self, words: &[&str]) -> String {
        self.run(Path::new(UMCP), words)
    }

    /// What a program says in this home. The client itself must not look for updates or tell of its use.
    fn run(&self, program: &Path, words: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(words).current_dir(self.0.path()).env_clear().env("HOME", self.0.path());
        command.env("PATH", "/usr/bin:/bin").env("NO_COLOR", "1");
        command.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1").env("DISABLE_AUTOUPDATER", "1");
        let output = peers::run(&mut command, PATIENCE);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{} {words:?}: {out}\n{err}", program.display());
        out.into_owned()
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut stop = Command::new(UMCP);
        stop.args(["gateway", "stop"]).env_clear().env("HOME", self.0.path());
        let _ = peers::run(&mut stop, PATIENCE);
    }
}

#[test]
fn claude_code_connects_to_the_entry_written_for_it() {
    let Some(claude) = peers::find("claude") else { return };
    let home = Connected::new("claude-code");
    let listed = home.run(&claude, &["mcp", "list"]);
    let line = listed.lines().find(|line| line.starts_with("umcp:")).unwrap_or_else(|| panic!("{listed}"));
    assert!(line.contains("serve --client claude-code") && line.ends_with("Connected"), "{listed}");
    // It was our daemon that answered: the client said hello there.
    let log = home.umcp(&["logs"]);
    assert!(log.contains("claude-code"), "{log}");
    home.umcp(&["client", "disconnect", "claude-code", "--yes"]);
    assert!(!home.run(&claude, &["mcp", "list"]).contains("umcp:"));
    say!("claude mcp list: {line}");
}

#[test]
fn codex_reads_the_entry_written_for_it() {
    let Some(codex) = peers::find("codex") else { return };
    let home = Connected::new("codex");
    let listed: Value = serde_json::from_str(&home.run(&codex, &["mcp", "list", "--json"])).unwrap();
    let entry = &listed[0];
    assert_eq!((&entry["name"], &entry["enabled"]), (&json!("umcp"), &json!(true)), "{listed}");
    let transport = &entry["transport"];
    assert_eq!(transport["type"], "stdio");
    assert_eq!(transport["args"], json!(["serve", "--client", "codex"]));
    // It only lists what it read; whether that starts is seen by running it as it would.
    let command = PathBuf::from(transport["command"].as_str().unwrap());
    assert_eq!(command.canonicalize().unwrap(), Path::new(UMCP).canonicalize().unwrap());
    home.umcp(&["client", "test", "codex"]);
    home.umcp(&["client", "disconnect", "codex", "--yes"]);
    assert_eq!(home.run(&codex, &["mcp", "list", "--json"]).trim(), "[]");
    say!("codex mcp list: umcp, enabled");
}
