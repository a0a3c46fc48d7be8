//! `umcp generate` and `umcp test`: what is scaffolded passes as it is, differences are told with an exit code, and a
//! recorded call holds no secret.

use crate::support::daemon::{Daemon, UMCP};
use crate::support::peers;
use crate::support::sandbox::Sandbox;
use crate::support::stub::{Answer, Stub};
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::process::{Command, Output, Stdio};

#[test]
fn what_is_generated_passes_its_tests() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["generate", "app", "shop"]), @"
    exit: 0
    --- stdout ---
    ok   wrote shop.yaml
    ok   wrote shop.test.yaml
    umcp test app shop.yaml
    umcp app install shop.yaml
    ");
    assert_snapshot!(sandbox.run(&["test", "app", "shop.yaml"]), @"
    exit: 0
    --- stdout ---
    ok   tools
    ok   get_thing
    ok   add_thing
    ok   get_thing
    ");
    assert_eq!(sandbox.run(&["command", "validate", "shop.yaml"]).code, 0);
    assert_eq!(sandbox.run(&["generate", "tool", "greeter", "--dir", "made"]).code, 0);
    assert_eq!(sandbox.run(&["test", "app", "made/greeter.yaml"]).code, 0);
    assert_eq!(sandbox.run(&["command", "validate", "made/greeter.yaml"]).code, 0);
    assert_eq!(sandbox.run(&["generate", "integration", "shop-login"]).code, 0);
    let again = sandbox.run(&["generate", "app", "shop"]);
    assert_snapshot!(again, @"
    exit: 5
    --- stderr ---
    error: `shop.yaml` is there already [UM0108]
    hint: give another name, or another --dir
    ");
    // Installed, it is tested by its name; a shipped one as well.
    assert_eq!(sandbox.run(&["app", "install", "shop.yaml"]).code, 0);
    assert_eq!(sandbox.run(&["test", "app", "shop"]).code, 0);
    sandbox.file("weather.test.yaml", "tools: [forecast]");
    assert_eq!(sandbox.run(&["test", "app", "weather"]).code, 0);
}

#[test]
fn differences_are_told_and_end_with_13() {
    let sandbox = Sandbox::new();
    sandbox.run(&["generate", "app", "shop"]);
    let file = sandbox.home().join("shop.test.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    sandbox.file(
        "shop.test.yaml",
        &text.replace("title: A thing}}}", "title: Another}}}").replace("get_thing, ", "gone, "),
    );
    assert_snapshot!(sandbox.run(&["test", "app", "shop.yaml"]), @r#"
    exit: 13
    --- stdout ---
    FAIL tools
    - there is no tool `gone`
    FAIL get_thing
    - the result is `{"id":7,"title":"Another"}`, expected `{"id":7,"title":"A thing"}`
    ok   add_thing
    ok   get_thing
    --- stderr ---
    error: 2 differences found [UM0010]
    "#);
    let document = sandbox.json(&["test", "app", "shop.yaml"]);
    assert_eq!(document["data"]["tried"][0]["differences"], json!(["there is no tool `gone`"]));
    sandbox.file("shop.test.yaml", "calls: [{tool: x, expect: 1}]");
    let unknown = sandbox.run(&["test", "app", "shop.yaml"]);
    assert_eq!(unknown.code, 3, "{unknown}");
    assert_eq!(sandbox.run(&["test", "app", "shop.yaml", "--tests", "none.yaml"]).code, 4);
    sandbox.run(&["integration", "create", "svc", "--type", "bearer"]);
    assert_eq!(sandbox.run(&["test", "integration", "svc"]).code, 0);
    sandbox.file("svc.test.yaml", "integration: {kind: oauth2}");
    let differs = sandbox.run(&["test", "integration", "svc"]);
    assert_eq!(differs.code, 13);
    assert!(differs.stdout.contains(r#"kind is `"bearer"`, expected `"oauth2"`"#), "{differs}");
}

fn run(daemon: &Daemon, arguments: &[&str]) -> Output {
    let mut command = Command::new(UMCP);
    command.args(arguments).env("UMCP_HOME", daemon.folder()).env("KEY", "s3cret-key-0001");
    command.current_dir(daemon.folder()).stdin(Stdio::null()).output().unwrap()
}

fn good(daemon: &Daemon, arguments: &[&str]) {
    let output = run(daemon, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

#[test]
fn a_recorded_call_is_tried_again_without_the_service_and_holds_no_secret() {
    let daemon = Daemon::start();
    let stub = Stub::start(|asked| {
        let key = asked.header("authorization").unwrap_or_default().to_string();
        Answer::json(json!({"login": "ann", "seen": key, "access_token": "abcdefgh"}))
    });
    let address = format!("GITHUB_API={}", stub.address);
    good(&daemon, &["app", "install", "github", "--allow-private", "--set", &address]);
    good(&daemon, &["connection", "create", "github", "--key-env", "KEY"]);
    good(&daemon, &["test", "app", "github", "--record", "get_user"]);
    let file = daemon.folder().join("github.test.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("login") && text.contains("ann") && text.contains("REMOVED"), "{text}");
    assert!(!text.contains("s3cret-key-0001") && !text.contains("abcdefgh"), "{text}");
    assert_eq!(stub.take().len(), 1);
    good(&daemon, &["test", "app", "github"]);
    assert_eq!(stub.take(), [], "a test sends nothing");
    std::fs::write(&file, text.replacen("login: ann", "login: bob", 1)).unwrap();
    assert_eq!(run(&daemon, &["test", "app", "github"]).status.code(), Some(13));
}

/// A generated server, started by the real thing and tested.
fn generated(language: &str, start: &dyn Fn(&Daemon) -> Vec<String>) {
    let daemon = Daemon::start();
    good(&daemon, &["generate", "server", "hello", "--language", language]);
    let words = start(&daemon);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    good(&daemon, &[&["server", "add", "hello", "--"], words.as_slice()].concat());
    let tests = ["test", "server", "hello", "--tests", "hello/hello.test.yaml"];
    good(&daemon, &tests);
    good(&daemon, &[&tests[..], &["--record", "greet", "name=Bob"]].concat());
    let text = std::fs::read_to_string(daemon.folder().join("hello/hello.test.yaml")).unwrap();
    assert!(text.contains("Hello Bob!"), "{text}");
    good(&daemon, &tests);
    std::fs::write(daemon.folder().join("hello/hello.test.yaml"), text.replace("Hello Bob!", "Bye")).unwrap();
    let output = run(&daemon, &[&tests[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(13));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["name"], "differs", "{document}");
}

#[test]
fn a_generated_python_server_starts_and_passes() {
    let Some(python) = peers::find("python-sdk") else { return };
    generated("python", &|_| vec![python.display().to_string(), "hello/server.py".into()]);
}

#[cfg(unix)]
#[test]
fn a_generated_typescript_server_starts_and_passes() {
    let (Some(node), Some(room)) = (peers::find("node"), peers::room("typescript-v1")) else { return };
    generated("typescript", &|daemon| {
        let modules = daemon.folder().join("hello/node_modules");
        std::os::unix::fs::symlink(room.join("node_modules"), modules).unwrap();
        vec![node.display().to_string(), "hello/server.ts".into()]
    });
}
