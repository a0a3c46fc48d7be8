//! Alerts: made from expressions, found to hold by a daemon, told once, silenced, kept; and the lines of the roadmap about
//! metrics and health.

use crate::support::daemon::{Daemon, UMCP, fixture_server};
use crate::support::mcp::{Era, Mcp};
use crate::support::peers::say;
use crate::support::sandbox::Sandbox;
use crate::support::wire::Door;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use umcp::servers::model::EraChoice;

struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(daemon: &Daemon, arguments: &[&str]) -> Run {
    let output = Command::new(UMCP).args(arguments).env("UMCP_HOME", daemon.folder()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn data(daemon: &Daemon, arguments: &[&str]) -> Value {
    let done = run(daemon, &[arguments, &["--json"]].concat());
    assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
    serde_json::from_str::<Value>(&done.stdout).unwrap()["data"].take()
}

#[test]
fn an_alert_fires_once_is_told_and_outlives_the_daemon() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fix", EraChoice::Legacy, &[]));
    let create = ["alert", "create", "failing", "--when", "servers.fix.error_rate > 0.2 && failed >= 2"];
    assert_eq!(run(&daemon, &[&create[..], &["--severity", "critical"]].concat()).code, 0);
    run(&daemon, &["alert", "create", "later", "--when", "calls > 0", "--for", "1h"]);
    run(&daemon, &["alert", "create", "gone", "--when", "!servers.gone.up"]);
    let states = |daemon: &Daemon| {
        let list = data(daemon, &["alert", "list"]);
        let state = |alert: &Value| {
            format!("{} {}", alert["name"].as_str().unwrap(), alert["state"].as_str().unwrap())
        };
        list.as_array().unwrap().iter().map(state).collect::<Vec<_>>()
    };
    assert_eq!(states(&daemon), ["failing quiet", "gone unknown", "later quiet"]);
    let mut client = Mcp::connect(&daemon, Door::Bridge, Era::Legacy);
    client.call("fix__echo", json!({"text": "x"}));
    client.call("fix__fail", json!({}));
    client.call("fix__fail", json!({}));
    assert_eq!(states(&daemon), ["failing firing", "gone unknown", "later pending"]);
    assert_eq!(states(&daemon)[0], "failing firing");
    let history = data(&daemon, &["alert", "history"]);
    assert_eq!(history.as_array().unwrap().len(), 1, "{history}");
    assert_eq!((&history[0]["firing"], &history[0]["severity"]), (&json!(true), &json!("critical")));
    assert_eq!(history[0]["because"], "servers.fix.error_rate = 0.6667, failed = 2");
    let log = std::fs::read_to_string(daemon.paths.daemon_log()).unwrap();
    assert!(log.contains("alert failing (critical) fires: servers.fix.error_rate = 0.6667"), "{log}");
    assert_eq!(run(&daemon, &["alert", "silence", "failing", "--for", "2h"]).code, 0);
    assert_eq!(states(&daemon)[0], "failing silenced");
    run(&daemon, &["alert", "silence", "failing", "--off"]);
    drop(client);
    // Another daemon has counted nothing: it ceases, and that is history too.
    assert_eq!(run(&daemon, &["gateway", "stop"]).code, 0);
    assert_eq!(states(&daemon), ["failing firing", "gone not watched", "later not watched"]);
    daemon.restart();
    assert_eq!(states(&daemon)[2], "later quiet");
    let tested = data(&daemon, &["alert", "test", "calls == 0 && servers_failing == 0", "--window", "10m"]);
    assert_eq!(
        (&tested["holds"], &tested["because"]),
        (&json!(true), &json!("calls = 0, servers_failing = 0"))
    );
    assert_eq!(run(&daemon, &["alert", "delete", "failing", "later", "gone"]).code, 0);
    assert_eq!(data(&daemon, &["alert", "list"]), json!([]));
}

#[test]
fn mistakes_are_told() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["alert", "create", "a", "--when", "calls > 1"]).code, 0);
    for (arguments, code, part) in [
        (&["alert", "create", "a", "--when", "calls > 1"][..], 5, "exists already"),
        (&["alert", "create", "b", "--when", "error_rat > 1"], 3, "did you mean `error_rate`?"),
        (&["alert", "create", "b", "--when", "calls >"], 3, "UM1505"),
        (&["alert", "create", "b c", "--when", "calls > 1"], 3, "is no name"),
        (&["alert", "create", "b", "--when", "calls > 1", "--window", "2h"], 3, "an hour"),
        (&["alert", "create", "b", "--when", "calls > 1", "--severity", "loud"], 2, "critical"),
        (&["alert", "show", "z"], 4, "no alert named"),
        (&["alert", "delete", "z"], 4, "no alert named"),
        (&["alert", "silence", "z"], 4, "no alert named"),
        (&["alert", "test", "nonsense > 1"], 3, "nothing called `nonsense`"),
    ] {
        let output = sandbox.run(arguments);
        assert!(output.code == code && output.stderr.contains(part), "{arguments:?}: {output}");
    }
    // Without a daemon nothing is measured, and nothing is started to find that out.
    for arguments in [
        &["alert", "list"][..],
        &["alert", "show", "a"],
        &["alert", "history"],
        &["alert", "test", "a"],
        &["metrics"],
        &["metrics", "show", "--metric", "response_time"],
        &["metrics", "export"],
        &["metrics", "errors"],
        &["trace", "list"],
    ] {
        let output = sandbox.run(arguments);
        assert_eq!(output.code, 0, "{arguments:?}: {output}");
    }
    assert_eq!(sandbox.json(&["status"])["data"]["daemon"], Value::Null);
}

#[test]
fn every_line_of_the_roadmap_about_metrics_and_health_runs() {
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/seeds/universal-mcp-roadmap.md");
    let Ok(text) = std::fs::read_to_string(&seed) else {
        say!("skipped: no roadmap at {}", seed.display());
        return;
    };
    let wanted = |line: &&str| ["metrics", "health"].iter().any(|noun| line.starts_with(&format!("{noun} ")));
    let lines: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("universal-mcp ")).filter(wanted).collect();
    assert!(lines.len() >= 6, "{lines:?}");
    for line in lines {
        let sandbox = Sandbox::new();
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = sandbox.run(&words);
        assert_eq!(output.code, 0, "{line}: {output}");
        assert_eq!(sandbox.json(&words)["ok"], true, "{line}");
    }
}
