//! `umcp command`: programs, scripts and requests as tools, run for real.

use crate::support::daemon::{Daemon, UMCP};
use crate::support::sandbox::Sandbox;
use crate::support::stub::{Answer, Stub};
use insta::assert_snapshot;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs the program for the home of a daemon, with `--json`.
pub fn umcp(daemon: &Daemon, arguments: &[&str]) -> Value {
    let output = Command::new(UMCP)
        .args(arguments)
        .arg("--json")
        .env("UMCP_HOME", daemon.folder())
        .current_dir(daemon.folder())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text:?}"))
}

/// The texts of a call's result, joined, and whether it is an error.
pub fn told(document: &Value) -> (String, bool) {
    let data = if document["data"].is_null() { &document["error"] } else { &document["data"] };
    let result = if data["result"].is_null() { data } else { &data["result"] };
    let texts = result["content"].as_array().unwrap_or_else(|| panic!("no result: {document}")).iter();
    let text = texts.filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n");
    (text, result["isError"] == true)
}

#[test]
fn a_command_lives() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["command"]), @"
    exit: 0
    --- stdout ---
    no commands yet; umcp command template shows how one looks
    ");
    assert_snapshot!(
        sandbox.run(&["command", "add", "greet", "--description", "Says hello", "--arg", "times:integer=1", "--",
            "echo", "Hello {{name}}", "{{times}}"]), @"
    exit: 0
    --- stdout ---
    ok   added commands.greet
    ");
    assert_snapshot!(sandbox.run(&["command", "list"]), @"
    exit: 0
    --- stdout ---
    COMMAND         KIND  ARGUMENTS    DESCRIPTION
    commands.greet  exec  times? name  Says hello
    ");
    assert_snapshot!(sandbox.run(&["command", "show", "greet"]), @r#"
    exit: 0
    --- stdout ---
    commands.greet
    Says hello
    kind     exec
    runs in  [DIR]/home
    timeout  1 min
    output   at most 1.0 MiB

    arguments
    - times (integer, may be left out)
    - name (string)

    runs
    exec:
      run:
        argv:
        - echo
        - Hello {{name}}
        - "{{times}}"
    "#);
    assert_snapshot!(sandbox.run(&["command", "run", "greet", "name=$(id); rm -rf /", "--dry-run"]), @"
    exit: 0
    --- stdout ---
    nothing was run; this would be:
    program   echo
    argument  Hello $(id); rm -rf /
    argument  1
    ");
    assert_snapshot!(sandbox.run(&["command", "run", "greet", "--dry-run"]), @"
    exit: 2
    --- stderr ---
    error: the arguments do not fit: `name` is a required property [UM0408]
    hint: umcp command show commands.greet
    ");
    assert_snapshot!(sandbox.run(&["command", "add", "greet", "--", "true"]), @"
    exit: 5
    --- stderr ---
    error: a command named `commands.greet` exists already [UM0443]
    hint: write over it with --replace
    ");
    assert_snapshot!(sandbox.run(&["command", "run", "gret"]), @"
    exit: 4
    --- stderr ---
    error: no command named `gret` [UM0442]
    hint: did you mean `greet`?
    ");
    assert_snapshot!(sandbox.run(&["command", "remove", "greet", "--no-input"]), @"
    exit: 11
    --- stderr ---
    error: nobody can be asked `Remove greet?`: `--no-input` was given [UM0004]
    hint: answer with `--yes`
    ");
    assert_snapshot!(sandbox.run(&["command", "remove", "greet", "--yes"]), @"
    exit: 0
    --- stdout ---
    ok   removed commands.greet
    ");
    assert_snapshot!(sandbox.run(&["server", "list", "--quiet"]), @"exit: 0");
}

#[test]
fn a_wrong_file_is_refused_with_its_place() {
    let sandbox = Sandbox::new();
    sandbox
        .file("tools.yaml", "commands:\n  hello:\n    arguments: {who: string}\n    script: echo {{who}}\n");
    assert_snapshot!(sandbox.run(&["command", "validate", "tools.yaml"]), @r#"
    exit: 3
    --- stderr ---
    error: `{{who}}` in a script would be read as shell text [UM0101]
     --> tools.yaml:4:13
      |
    4 |     script: echo {{who}}
      |             ^
    hint: use "$ARG_WHO" instead, with its quotes
    "#);
    assert_eq!(sandbox.run(&["command", "add", "-f", "tools.yaml"]).code, 3);
    sandbox.file(
        "tools.yaml",
        "commands:\n  hello:\n    arguments: {who: string}\n    script: echo \"$ARG_WHO\"\n",
    );
    assert_snapshot!(sandbox.run(&["command", "validate", "tools.yaml"]), @"
    exit: 0
    --- stdout ---
    ok   tools.yaml is valid: 1 command
    - hello (script)
    ");
    assert_snapshot!(sandbox.run(&["command", "add", "-f", "tools.yaml"]), @"
    exit: 0
    --- stdout ---
    ok   added tools.hello
    ");
    assert_snapshot!(sandbox.run(&["command", "add", "-f", "tools.yaml"]), @"
    exit: 5
    --- stderr ---
    error: an app named `tools` exists already [UM0443]
    hint: give another name with --name
    hint: or write over it with --replace
    ");
    assert_eq!(sandbox.run(&["command", "add", "-f", "tools.yaml", "--replace"]).code, 0);
    assert_eq!(sandbox.run(&["command", "validate", "none.yaml"]).code, 4);
}

const TOOLS: &str = r#"
commands:
  say:
    arguments: {words: string, loud: {type: boolean, default: false}}
    exec: [printf, "%s|%s", "{{words}}", {if: loud, then: ["!"]}]
  script:
    arguments: {words: string}
    script: printf '%s' "$ARG_WORDS"
  fails:
    script: echo out; echo err >&2; exit 3
  fine:
    script: echo out; exit 3
    exit-codes: [3]
  slow:
    script: echo begun; sleep 30 & sleep 30
    timeout: 300ms
  much:
    script: yes | head -c 50000
    limit: 1k
  flood:
    script: exec yes
    limit: 1k
  steps:
    script: for i in 1 2 3; do echo "step $i"; sleep 0.15; done
  input: {arguments: {text: string}, exec: [cat], stdin: "<{{text}}>"}
  where: {exec: [pwd]}
  variables: {script: 'echo "$GIVEN/$OWN/$SECRET_OF_DAEMON"', env: {OWN: "${GIVEN}!"}}
  first: {script: 'echo 1 >> order'}
  second: {script: 'echo 2 >> order', needs: [first]}
  third: {script: 'cat order', needs: [second, first]}
  broken: {exec: ["true"], needs: [fails]}
  elsewhere: {exec: ["true"], when: {os: [plan9]}}
  absent: {exec: [umcp-no-such-program]}
"#;

#[test]
fn commands_run_as_they_are_written() {
    let daemon = Daemon::start();
    std::fs::create_dir(daemon.folder().join("work")).unwrap();
    std::fs::write(daemon.folder().join("work/tools.yaml"), TOOLS).unwrap();
    let added = umcp(&daemon, &["command", "add", "-f", "work/tools.yaml", "--env", "GIVEN=g"]);
    assert_eq!(added["data"]["commands"][0], "tools.say", "{added}");
    let run = |words: &[&str]| told(&umcp(&daemon, &[&["command", "run"], words].concat()));
    let text = |text: &str| (text.to_string(), false);
    for hostile in ["$(touch pwned)", "a b", "; ls", "`id`", "'\"\\", "${HOME}", "{{loud}}", "\n"] {
        let argument = format!("words={hostile}");
        assert_eq!(run(&["say", &argument]), text(&format!("{hostile}|")));
        assert_eq!(run(&["script", &argument]), text(hostile), "{hostile}");
    }
    assert_eq!(run(&["say", "words=a", "loud=true"]), text("a|!"));
    let (refused, is_error) = run(&["say", "words=--help"]);
    assert!(is_error && refused.contains("may not begin with `-`"), "{refused}");
    let (failed, is_error) = run(&["fails"]);
    assert!(is_error && failed.starts_with("`fails` failed: exit code 3\nout\n\nstderr:\nerr"), "{failed}");
    assert_eq!(run(&["fine"]), text("out\n"));
    assert_eq!(run(&["input", "text=x"]), text("<x>"));
    assert!(run(&["where"]).0.trim_end().ends_with("/work"));
    assert_eq!(run(&["variables"]), text("g/g!/\n"));
    assert_eq!(run(&["third"]), text("1\n2\n"));
    let (broken, is_error) = run(&["broken"]);
    assert!(is_error && broken.contains("`fails`, which runs first, failed"), "{broken}");
    assert!(run(&["elsewhere"]).0.contains("it is for plan9"));
    assert!(run(&["absent"]).0.contains("`umcp-no-such-program` was not found on PATH"));
}

#[test]
fn time_and_output_are_bounded() {
    let daemon = Daemon::start();
    std::fs::write(daemon.folder().join("tools.yaml"), TOOLS).unwrap();
    umcp(&daemon, &["command", "add", "-f", "tools.yaml", "--env", "GIVEN=g"]);
    let run = |name: &str| told(&umcp(&daemon, &["command", "run", name]));
    let begun = Instant::now();
    let (slow, is_error) = run("slow");
    assert!(is_error && slow.contains("did not end within 0.3 s") && slow.contains("begun"), "{slow}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let deadline = Instant::now() + Duration::from_secs(10);
    while !daemon.children().is_empty() {
        assert!(Instant::now() < deadline, "a child is left: {:?}", daemon.children());
        std::thread::yield_now();
    }
    let (much, is_error) = run("much");
    assert!(!is_error && much.contains("only the first 1024 of 50000 bytes"), "{much}");
    let (flood, is_error) = run("flood");
    assert!(is_error && flood.contains("`flood` was stopped: it wrote"), "{flood}");
}

#[test]
fn output_streams_as_progress() {
    use umcp::engine::live::{CallRequest, Event, Live, LiveReply};
    let daemon = Daemon::start();
    std::fs::write(daemon.folder().join("tools.yaml"), TOOLS).unwrap();
    umcp(&daemon, &["command", "add", "-f", "tools.yaml"]);
    let mut client = umcp::daemon::client::Client::connect(&daemon.paths, "test").unwrap().unwrap();
    let mut lines = Vec::new();
    let request = CallRequest {
        target: "tools.steps".into(),
        arguments: "{}".into(),
        timeout_ms: None,
        client: "test".into(),
        profile: None,
        account: None,
        record: false,
    };
    let reply = client.call(&Live::Call(request).into(), &mut |event| {
        if let Event::Progress { message: Some(message), .. } = event {
            lines.push(message);
        }
    });
    assert!(matches!(reply, Ok(umcp::engine::Reply::Live(LiveReply::Called(_)))), "{reply:?}");
    assert_eq!(lines, ["step 1", "step 2", "step 3"]);
}

#[test]
fn a_file_of_mcpfier_runs_unchanged() {
    let stub = Stub::start(|asked| match asked.path.as_str() {
        "/flaky" if asked.header("x-token") == Some("k") => Answer::status(503, "later"),
        "/hook" => Answer::json(r#"{ "ok": true }"#),
        _ => Answer::status(404, "nothing here"),
    });
    let daemon = Daemon::start();
    let file = format!(
        r#"
commands:
  - name: echo-test
    script: echo
    args: ["Hello", "$HOME {{{{x}}}}"]
    description: "Simple echo"
    timeout: "10s"
  - name: both
    script: sh
    args: ["-c", "echo out; echo err >&2"]
  - name: hook
    webhook: {{url: "{0}/hook", method: POST, body: '{{"a": 1}}', body_format: json, auth: {{type: bearer, token: t}}}}
  - name: flaky
    timeout: 5s
    webhook:
      url: "{0}/flaky"
      auth: {{type: api_key, key: k, header: X-Token}}
      retry: {{max_retries: 2, backoff: fixed, delay: 1ms}}
  - name: boxed
    script: python
    args: ["-V"]
    container: "python:3-slim"
    env: {{TOKEN: hush}}
analytics: {{enabled: true}}
"#,
        stub.address
    );
    std::fs::write(daemon.folder().join("mcpfier.yaml"), file).unwrap();
    let added =
        umcp(&daemon, &["command", "add", "-f", "mcpfier.yaml", "--env", "UMCP_ALLOW_PRIVATE=127.0.0.1"]);
    assert!(added["warnings"][0].as_str().unwrap().contains("`analytics`"), "{added}");
    let run = |name: &str| told(&umcp(&daemon, &["command", "run", name]));
    assert_eq!(run("echo-test"), ("Hello $HOME {{x}}\n".into(), false));
    let (both, _) = run("both");
    assert!(both.contains("out\n") && both.contains("err\n"), "{both}");
    assert_eq!(run("hook"), (r#"{"ok":true}"#.into(), false));
    let hook = stub.take().remove(0);
    assert_eq!((hook.method.as_str(), hook.body.as_str()), ("POST", r#"{"a": 1}"#));
    assert_eq!(hook.header("authorization"), Some("Bearer t"));
    assert_eq!(hook.header("content-type"), Some("application/json"));
    let (flaky, is_error) = run("flaky");
    assert!(is_error && flaky.contains("503") && flaky.contains("later"), "{flaky}");
    assert_eq!(stub.take().len(), 3, "one attempt and two more");
    if std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .all(|dir| !dir.join("docker").is_file() && !dir.join("podman").is_file())
    {
        let (boxed, is_error) = run("boxed");
        assert!(is_error && boxed.contains("neither docker nor podman is on PATH"), "{boxed}");
    }
}

#[test]
fn a_private_address_needs_a_word() {
    let stub = Stub::start(|_| Answer::json("{}"));
    let daemon = Daemon::start();
    let file = format!("commands:\n  ask: {{http: {{url: '{}/'}}}}\n", stub.address);
    std::fs::write(daemon.folder().join("tools.yaml"), file).unwrap();
    umcp(&daemon, &["command", "add", "-f", "tools.yaml"]);
    let (refused, is_error) = told(&umcp(&daemon, &["command", "run", "ask"]));
    assert!(is_error && refused.contains("private, local or reserved address"), "{refused}");
    assert_eq!(stub.take(), []);
}
