//! What is redacted stays out of everything a client hears, and what is denied out of what an earlier call left.

use super::{client, put, rule};
use crate::support::daemon::{Daemon, fixture_server};
use crate::support::mcp::{Era, Mcp, everything};
use crate::support::wire::Door;
use serde_json::{Value, json};
use umcp::policy::rules::Effect;
use umcp::policy::rules::model::Rule;
use umcp::servers::model::EraChoice;

fn veil() -> Rule {
    Rule { redact: vec!["emails".into()], ..rule("veil", Effect::Redact, &["fx.*"]) }
}

const MAIL: &str = "ann@example.org";

#[test]
fn logs_questions_and_failures_pass_without_what_is_redacted() {
    for (door, era) in [(Door::Bridge, Era::Legacy), (Door::Http, Era::Legacy), (Door::Bridge, Era::Modern)] {
        let daemon = Daemon::start();
        daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
        put(&daemon, vec![veil()]);
        let mut ann = client(&daemon, door, era, "ann", everything());
        let meta = json!({"io.modelcontextprotocol/logLevel": "debug"});
        let params = json!({"name": "fx__log", "arguments": {"message": MAIL}, "_meta": meta});
        let logged = ann.ask("tools/call", params);
        let said = logged.heard("notifications/message");
        assert_eq!(said.len(), 1, "{door:?} {era:?}");
        assert_eq!(said[0]["params"]["data"], "[redacted]");
        let asked = ann.call("fx__ask", json!({"message": format!("is it {MAIL}?")}));
        let questions = asked.heard("elicitation/create");
        assert_eq!(questions.len(), 1);
        assert_eq!(questions[0]["params"]["message"], "is it [redacted]?");
        let failed = ann.call("fx__fail", json!({"message": MAIL}));
        assert_eq!(failed.result()["content"][0]["text"], "[redacted]");
    }
}

#[test]
fn what_a_server_says_outside_a_call_is_redacted_too() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    put(&daemon, vec![veil()]);
    let mut ann = client(&daemon, Door::Bridge, Era::Legacy, "ann", everything());
    let mut bob = client(&daemon, Door::Bridge, Era::Legacy, "bob", everything());
    bob.ask("resources/subscribe", json!({"uri": "test://watched-resource"})).result();
    put(&daemon, vec![Rule { redact: vec!["watched".into()], ..rule("veil", Effect::Redact, &["fx.*"]) }]);
    ann.call("fx__update_resource", json!({"uri": "test://watched-resource"})).result();
    let heard = bob.hear("notifications/resources/updated");
    assert_eq!(heard["params"]["uri"], "test://[redacted]-resource");
}

/// The handle of a stored result, and its first page.
fn stored(mcp: &mut Mcp, text: &str) -> String {
    let short = mcp.call("fx__echo", json!({"text": text}));
    short.text().split('`').nth(1).unwrap_or_else(|| panic!("{}", short.text())).to_string()
}

fn read(mcp: &mut Mcp, handle: &str) -> String {
    mcp.call("read_result", json!({"handle": handle})).text().to_string()
}

#[test]
fn a_stored_result_is_read_by_whoever_called_as_long_as_it_may_call() {
    let daemon = Daemon::start_with(&[("UMCP_GATEWAY__RESULT_LIMIT", "1000")]);
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    let mut ann = client(&daemon, Door::Bridge, Era::Legacy, "ann", everything());
    let handle = stored(&mut ann, &format!("{MAIL} {}", "x".repeat(2000)));
    assert!(read(&mut ann, &handle).starts_with(MAIL));
    // A rule of today holds for the result of yesterday.
    put(&daemon, vec![veil()]);
    assert!(read(&mut ann, &handle).starts_with("[redacted] x"));
    let no_x = Rule {
        arguments: [("text".to_string(), "re:xxx".to_string())].into(),
        ..rule("no-x", Effect::Deny, &["fx.echo"])
    };
    put(&daemon, vec![no_x]);
    assert!(read(&mut ann, &handle).contains("by the rule `no-x`"));
    put(&daemon, vec![rule("no-echo", Effect::Deny, &["fx.echo"])]);
    assert!(read(&mut ann, &handle).contains("by the rule `no-echo`"));
    let history = ann.call("umcp__tool_history", json!({}));
    assert!(!history.text().contains("fx.echo"), "{}", history.text());
    put(&daemon, vec![]);
    assert!(read(&mut ann, &handle).starts_with(MAIL));
    let history = ann.call("umcp__tool_history", json!({}));
    assert!(history.text().contains("fx.echo"), "{}", history.text());
    // Another profile is another owner.
    daemon.profile(umcp::environments::Profile { name: "work".into(), ..Default::default() });
    let (wire, inbox) = crate::support::wire::Wire::socket(&daemon, Some("work"));
    let agreeable = Box::new(crate::support::mcp::agreeable);
    let mut other = Mcp::over(wire, inbox, Era::Legacy, "ann", everything(), agreeable);
    assert!(read(&mut other, &handle).starts_with("no stored result"));
}

/// A modern client that can have tasks.
fn with_tasks(daemon: &Daemon) -> Mcp {
    let mut capabilities = everything();
    capabilities["extensions"] = json!({"io.modelcontextprotocol/tasks": {}});
    client(daemon, Door::Bridge, Era::Modern, "ann", capabilities)
}

/// What a task has come to.
fn outcome(mcp: &mut Mcp, id: &Value) -> Value {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let answer = mcp.ask("tasks/get", json!({"taskId": id}));
        if answer.message.get("error").is_some() || answer.result()["status"] != "working" {
            return answer.message;
        }
        assert!(std::time::Instant::now() < deadline, "{}", answer.message);
    }
}

#[test]
fn the_result_of_a_task_goes_by_the_rules_of_its_tool() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Modern, &[]));
    put(&daemon, vec![veil()]);
    let mut ann = with_tasks(&daemon);
    let compute = json!({"seconds": 0.05, "label": MAIL});
    let made = ann.call("fx__slow_compute", compute.clone());
    let id = made.result()["taskId"].clone();
    let done = outcome(&mut ann, &id);
    assert_eq!(done["result"]["result"]["content"][0]["text"], "computed [redacted] for 0.05 s");
    // By the arguments of the call that made it, and by the tool as a whole.
    let by_label = Rule {
        arguments: [("label".to_string(), "ann*".to_string())].into(),
        ..rule("no-ann", Effect::Deny, &["fx.slow_compute"])
    };
    put(&daemon, vec![by_label]);
    let denied = outcome(&mut ann, &id);
    assert!(denied["error"]["message"].as_str().unwrap().contains("by the rule `no-ann`"), "{denied}");
    put(&daemon, vec![rule("no-compute", Effect::Deny, &["fx.slow_compute"])]);
    let unknown = outcome(&mut ann, &id);
    assert!(unknown["error"]["message"].as_str().unwrap().starts_with("unknown task"), "{unknown}");
}

#[test]
fn a_task_that_was_asked_for_first_is_found_again() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Modern, &[]));
    put(&daemon, vec![rule("ask", Effect::Ask, &["fx.slow_compute"])]);
    let mut ann = with_tasks(&daemon);
    let made = ann.call("fx__slow_compute", json!({"seconds": 0.05, "label": "x"}));
    assert_eq!(made.heard("elicitation/create").len(), 1);
    let id = made.result()["taskId"].clone();
    let done = outcome(&mut ann, &id);
    assert_eq!(done["result"]["result"]["content"][0]["text"], "computed x for 0.05 s", "{done}");
}
