//! The user is asked: through the client in either era, or by `umcp approve`; what is not answered is refused.

use super::{client, put, rule};
use crate::support::daemon::{Daemon, UMCP, fixture_server};
use crate::support::mcp::{Era, Mcp, agreeable, everything};
use crate::support::wire::Door;
use serde_json::{Value, json};
use std::thread;
use umcp::engine::live::{Approvals, CallRequest, Live, LiveReply};
use umcp::error::codes;
use umcp::policy::rules::model::Rule;
use umcp::policy::rules::{Document, Effect, Request};
use umcp::servers::model::EraChoice;

#[test]
fn a_client_that_can_be_asked_is_asked_in_its_era() {
    for era in Era::BOTH {
        for server in [EraChoice::Legacy, EraChoice::Modern] {
            let daemon = Daemon::start();
            daemon.add(fixture_server("fx", server, &[]));
            put(
                &daemon,
                vec![Rule {
                    reason: Some("why not".into()),
                    ..rule("ask", Effect::Ask, &["fx.echo", "fx.ask"])
                }],
            );
            let decide = |decision: &'static str| {
                move |method: &str, params: &Value| match params["requestedSchema"]["properties"]["decision"]
                {
                    Value::Null => agreeable(method, params),
                    _ => Some(json!({"action": "accept", "content": {"decision": decision}})),
                }
            };
            let mut yes =
                Mcp::new(&daemon, Door::Bridge, era, "yes", everything(), Box::new(decide("allow once")));
            let answer = yes.call("fx__echo", json!({"text": "x"}));
            assert_eq!(answer.text(), "x", "{era:?} {server:?}");
            let asked = answer.heard("elicitation/create");
            assert_eq!(asked.len(), 1);
            let message = asked[0]["params"]["message"].as_str().unwrap();
            let expected =
                "umcp: may `yes` call fx.echo? (the rule `ask` asks: why not)\narguments: {\"text\":\"x\"}";
            assert_eq!(message, expected);
            assert_eq!(yes.call("fx__echo", json!({"text": "x"})).heard("elicitation/create").len(), 1);
            // The server's own questions follow, without the user being asked for the same call again.
            let answer = yes.call("fx__ask", json!({"message": "m"}));
            assert_eq!(answer.heard("elicitation/create").len(), 2, "{era:?} {server:?}");
            let mut no = Mcp::new(&daemon, Door::Bridge, era, "no", everything(), Box::new(decide("deny")));
            let refused = no.call("fx__echo", json!({"text": "x"}));
            assert_eq!(refused.text(), "the user did not approve `fx.echo` for `no`");
            let for_a_while = decide("allow for 10 minutes");
            let mut while_ =
                Mcp::new(&daemon, Door::Bridge, era, "while", everything(), Box::new(for_a_while));
            assert_eq!(while_.call("fx__echo", json!({"text": "x"})).heard("elicitation/create").len(), 1);
            assert_eq!(while_.call("fx__echo", json!({"text": "y"})).heard("elicitation/create").len(), 0);
        }
    }
}

/// What waits, once something does.
fn waiting(daemon: &Daemon) -> Approvals {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        match daemon.live(Live::Approvals) {
            LiveReply::Approvals(approvals) if !approvals.waiting.is_empty() => return approvals,
            LiveReply::Approvals(_) => assert!(std::time::Instant::now() < deadline, "nothing waits"),
            other => panic!("{other:?}"),
        }
        thread::yield_now();
    }
}

#[test]
fn a_client_that_cannot_be_asked_waits_for_the_user() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    put(&daemon, vec![rule("ask", Effect::Ask, &["fx.echo"])]);
    let approve = |allow: bool, for_ms: Option<u64>| {
        let waiting = waiting(&daemon).waiting;
        assert_eq!(waiting.len(), 1);
        let it = &waiting[0];
        assert_eq!((it.tool.as_str(), it.rule.as_deref()), ("echo", Some("ask")));
        assert_eq!(it.arguments, r#"{"text":"x"}"#);
        daemon.live(Live::Approve { id: it.id, allow, for_ms });
    };
    for (door, era) in [(Door::Bridge, Era::Legacy), (Door::Http, Era::Modern)] {
        let mut mcp = client(&daemon, door, era, "mute", json!({}));
        let mut call = |answer: Option<(bool, Option<u64>)>| {
            let id = mcp.start("tools/call", json!({"name": "fx__echo", "arguments": {"text": "x"}}));
            if let Some((allow, for_ms)) = answer {
                approve(allow, for_ms);
            }
            mcp.wait(&id).text().to_string()
        };
        assert_eq!(call(Some((true, None))), "x");
        assert_eq!(call(Some((false, None))), "the user did not approve `fx.echo` for `mute`");
        assert_eq!(call(Some((true, Some(60_000)))), "x");
        assert_eq!(call(None), "x", "granted for a while");
        daemon.live(Live::Forget { client: Some("mute".into()) });
        assert_eq!(call(Some((true, None))), "x", "what was granted is taken back");
    }
    // A call that is given up leaves nothing behind.
    let mut mcp = client(&daemon, Door::Bridge, Era::Legacy, "gone", json!({}));
    let id = mcp.start("tools/call", json!({"name": "fx__echo", "arguments": {"text": "x"}}));
    waiting(&daemon);
    mcp.cancel(&id);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while let LiveReply::Approvals(approvals) = daemon.live(Live::Approvals)
        && !approvals.waiting.is_empty()
    {
        assert!(std::time::Instant::now() < deadline, "the question outlived its call");
    }
    let missing = daemon.try_ask(Live::Approve { id: 999, allow: true, for_ms: None });
    assert!(missing.unwrap_err().is(&codes::APPROVAL_NOT_FOUND));
}

#[test]
fn a_grant_is_inherited_by_nobody() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    put(&daemon, vec![rule("ask", Effect::Ask, &["fx.echo"])]);
    let connect = || {
        let for_a_while = |method: &str, params: &Value| match params["requestedSchema"]["properties"]["decision"]
        {
            Value::Null => agreeable(method, params),
            _ => Some(json!({"action": "accept", "content": {"decision": "allow for 10 minutes"}})),
        };
        Mcp::new(&daemon, Door::Bridge, Era::Legacy, "ann", everything(), Box::new(for_a_while))
    };
    let asked = |mcp: &mut Mcp| {
        let answer = mcp.call("fx__echo", json!({"text": "x"}));
        assert_eq!(answer.text(), "x");
        answer.heard("elicitation/create").len()
    };
    let mut ann = connect();
    assert_eq!([asked(&mut ann), asked(&mut ann)], [1, 0]);
    assert_eq!(asked(&mut connect()), 1, "another client under the same name");
    // The same entry runs something else now.
    let server = fixture_server("fx", EraChoice::Legacy, &[]);
    let env = [("OTHER".to_string(), "1".to_string())].into();
    daemon.add(umcp::servers::Server { env, ..server.clone() });
    assert_eq!([asked(&mut ann), asked(&mut ann)], [1, 0]);
    // Another server takes its name.
    daemon.ask(umcp::servers::Request::Remove { names: vec!["fx".into()] });
    let env = [("OTHER".to_string(), "1".to_string())].into();
    daemon.add(umcp::servers::Server { id: umcp::ids::fresh("srv"), env, ..server });
    assert_eq!(asked(&mut ann), 1);
}

#[test]
fn an_id_means_one_question_even_after_a_new_start() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    put(&daemon, vec![rule("ask", Effect::Ask, &["fx.echo"])]);
    let mut ids = Vec::new();
    for _ in 0..2 {
        for _ in 0..2 {
            let mut mcp = client(&daemon, Door::Bridge, Era::Legacy, "mute", json!({}));
            let call = mcp.start("tools/call", json!({"name": "fx__echo", "arguments": {"text": "x"}}));
            let id = waiting(&daemon).waiting[0].id;
            daemon.live(Live::Approve { id, allow: true, for_ms: None });
            mcp.wait(&call).result();
            ids.push(id);
        }
        daemon.restart();
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert!(ids.iter().all(|id| *id >= 1_000_000), "{ids:?}");
}

#[test]
fn a_wait_that_is_given_up_leaves_its_record() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    put(&daemon, vec![rule("ask", Effect::Ask, &["fx.echo"])]);
    let mut mcp = client(&daemon, Door::Bridge, Era::Legacy, "gone", json!({}));
    let id = mcp.start("tools/call", json!({"name": "fx__echo", "arguments": {"text": "x"}}));
    waiting(&daemon);
    mcp.cancel(&id);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let call = loop {
        let filter = umcp::audit::Filter { kind: Some("call".into()), ..Default::default() };
        let umcp::engine::Reply::Audit(umcp::audit::Reply::Entries(entries)) =
            daemon.ask(umcp::audit::Request::List { filter, limit: 10 })
        else {
            panic!()
        };
        if let Some(entry) = entries.first() {
            break entry.record().unwrap().event;
        }
        assert!(std::time::Instant::now() < deadline, "no record");
    };
    let umcp::audit::Event::Call(call) = call else { panic!("{call:?}") };
    assert_eq!(
        (call.client.as_str(), call.tool.as_str(), call.decision.as_str(), call.outcome.as_str()),
        ("gone", "echo", "unanswered", "cancelled")
    );
}

#[test]
fn a_call_without_anybody_to_ask_fails_at_once() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    put(&daemon, vec![rule("look", Effect::Ask, &["fx.echo"])]);
    let mut command = std::process::Command::new(UMCP);
    command.args(["--no-input", "call", "fx.echo", "text=x", "--json"]).env("UMCP_HOME", daemon.folder());
    let began = std::time::Instant::now();
    let output = command.output().unwrap();
    // Nobody waits for the two minutes a question stays open.
    assert!(began.elapsed() < std::time::Duration::from_secs(60));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(11), "{document}");
    let error = &document["error"];
    assert_eq!(
        error["message"],
        "`fx.echo` needs your approval by the rule `look`, and `--no-input` was given"
    );
    assert_eq!(error["hints"][0], "leave `--no-input` out, and answer here or with `umcp approve`");
    assert_eq!(error["hints"][1], "umcp policy explain fx.echo --client cli");
    let LiveReply::Approvals(left) = daemon.live(Live::Approvals) else { panic!() };
    assert_eq!(left.waiting, []);
}

#[test]
fn a_rule_that_came_while_the_user_was_asked_counts() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    put(&daemon, vec![rule("ask", Effect::Ask, &["fx.echo"])]);
    let mut mcp = client(&daemon, Door::Bridge, Era::Legacy, "mute", json!({}));
    let id = mcp.start("tools/call", json!({"name": "fx__echo", "arguments": {"text": "x"}}));
    let asked = waiting(&daemon).waiting[0].id;
    put(&daemon, vec![rule("never", Effect::Deny, &["fx.echo"])]);
    daemon.live(Live::Approve { id: asked, allow: true, for_ms: None });
    let refused = mcp.wait(&id);
    assert!(
        refused.text().starts_with("`fx.echo` is denied to `mute` by the rule `never`"),
        "{}",
        refused.text()
    );
}

#[test]
fn nobody_answers_and_the_call_is_refused() {
    let daemon = Daemon::start_with(&[("UMCP_POLICY__ASK_TIMEOUT_MS", "200")]);
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    put(&daemon, vec![rule("ask", Effect::Ask, &["fx.echo"])]);
    let mut mcp = client(&daemon, Door::Bridge, Era::Legacy, "mute", json!({}));
    let refused = mcp.call("fx__echo", json!({"text": "x"}));
    assert!(refused.text().starts_with("nobody approved `fx.echo` for `mute` in time"), "{}", refused.text());
    let call = CallRequest {
        target: "fx.echo".into(),
        arguments: r#"{"text":"x"}"#.into(),
        timeout_ms: None,
        client: "cli".into(),
        profile: None,
        account: None,
        record: false,
    };
    assert!(daemon.try_ask(Live::Call(call)).unwrap_err().is(&codes::NOT_APPROVED));
}

#[test]
fn a_flow_of_untrusted_and_private_things_is_asked_for_before_it_leaves() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    let tools = |tool: &str| vec![tool.to_string()];
    let document = Document {
        labels: [
            ("untrusted".to_string(), tools("fx.counter")),
            ("private".to_string(), tools("fx.pid")),
            ("sends".to_string(), tools("fx.echo")),
        ]
        .into(),
        rules: umcp::policy::rules::presets::find("flow").unwrap().rules,
        ..Document::default()
    };
    daemon.ask(Request::Put { document: Box::new(document), replace: true });
    let mut ann = client(&daemon, Door::Bridge, Era::Legacy, "ann", everything());
    let asked = |mcp: &mut Mcp, tool: &str| {
        let arguments = if tool == "fx__echo" { json!({"text": "x"}) } else { json!({}) };
        mcp.call(tool, arguments).heard("elicitation/create").len()
    };
    assert_eq!(asked(&mut ann, "fx__echo"), 0);
    assert_eq!(asked(&mut ann, "fx__counter"), 0);
    assert_eq!(asked(&mut ann, "fx__echo"), 0);
    assert_eq!(asked(&mut ann, "fx__pid"), 0);
    assert_eq!(asked(&mut ann, "fx__echo"), 1);
    let mut bob = client(&daemon, Door::Bridge, Era::Modern, "bob", everything());
    assert_eq!(asked(&mut bob, "fx__echo"), 0, "another client has read nothing");
    daemon.live(Live::Forget { client: None });
    assert_eq!(asked(&mut ann, "fx__echo"), 0);
}
