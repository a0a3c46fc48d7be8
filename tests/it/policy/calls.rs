//! Rules hold for the lists and the calls of two real clients.

use super::{client, put, rule};
use crate::support::daemon::{Daemon, fixture_server};
use crate::support::mcp::{Era, Mcp, everything};
use crate::support::wire::Door;
use serde_json::json;
use umcp::error::codes;
use umcp::policy::rules::model::{Limit, Rule};
use umcp::policy::rules::{Document, Effect, Request};
use umcp::servers::model::EraChoice;

#[test]
fn one_tool_is_denied_to_one_client_and_says_why() {
    for (door, era) in [
        (Door::Bridge, Era::Legacy),
        (Door::Bridge, Era::Modern),
        (Door::Http, Era::Legacy),
        (Door::Http, Era::Modern),
    ] {
        let daemon = Daemon::start();
        daemon.add(fixture_server("fx", EraChoice::Auto, &[]));
        let mut ann = client(&daemon, door, era, "ann", everything());
        let mut bob = client(&daemon, door, era, "bob", everything());
        assert_eq!(ann.tools(), bob.tools());
        let before = ann.tools();
        put(
            &daemon,
            vec![Rule {
                clients: vec!["ann".into()],
                reason: Some("not for ann".into()),
                ..rule("no-echo", Effect::Deny, &["fx.echo"])
            }],
        );
        let after: Vec<String> = before.iter().filter(|name| *name != "fx__echo").cloned().collect();
        assert_eq!(ann.tools(), after, "{door:?} {era:?}");
        assert_eq!(bob.tools(), before);
        let refused = ann.call("fx__echo", json!({"text": "x"}));
        assert_eq!(refused.result()["isError"], true);
        assert_eq!(
            refused.text(),
            "`fx.echo` is denied to `ann` by the rule `no-echo`: not for ann\n\
             hint: the user can see why and change it: umcp policy explain fx.echo --client ann"
        );
        assert_eq!(bob.call("fx__echo", json!({"text": "x"})).text(), "x");
        // Back at once, for the same client.
        daemon.ask(Request::DeleteRules { names: vec!["no-echo".into()] });
        assert_eq!(ann.tools(), before);
        assert_eq!(ann.call("fx__echo", json!({"text": "y"})).text(), "y");
    }
}

#[test]
fn clients_are_told_that_their_list_changed() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    let mut ann = client(&daemon, Door::Bridge, Era::Legacy, "ann", everything());
    ann.tools();
    put(&daemon, vec![rule("no-echo", Effect::Deny, &["fx.echo"])]);
    ann.hear("notifications/tools/list_changed");
    // A change that does not compile changes nothing.
    let broken = Document { rules: vec![rule("a b", Effect::Deny, &[])], ..Document::default() };
    let broken = daemon.try_ask(Request::Put { document: Box::new(broken), replace: true });
    assert!(broken.unwrap_err().is(&codes::NAME_INVALID));
    assert!(!ann.tools().contains(&"fx__echo".to_string()));
}

#[test]
fn search_mode_finds_describes_and_calls_only_what_is_allowed() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    daemon.ask(umcp::environments::Request::Update {
        profile: umcp::environments::Profile {
            name: "default".into(),
            mode: umcp::environments::Mode::Search,
            ..Default::default()
        },
    });
    put(&daemon, vec![rule("no-echo", Effect::Deny, &["echo"])]);
    let mut ann = client(&daemon, Door::Bridge, Era::Legacy, "ann", everything());
    let found = ann.call("find_tools", json!({"query": "echo text", "limit": 50})).text().to_string();
    assert!(!found.contains("fx__echo:"), "{found}");
    assert!(ann.call("describe_tool", json!({"name": "fx__echo"})).text().contains("no tool named"));
    for name in ["fx__echo", "fx.echo"] {
        let refused = ann.call("call_tool", json!({"name": name, "arguments": {"text": "x"}}));
        assert!(refused.text().contains("by the rule `no-echo`"), "{}", refused.text());
    }
}

#[test]
fn arguments_limits_and_redaction_hold_at_the_call() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    let limit =
        Limit { calls: Some(3), per_seconds: Some(3600), argument_bytes: Some(100), ..Limit::default() };
    put(
        &daemon,
        vec![
            Rule {
                arguments: [("text".into(), "re:^secret".into())].into(),
                ..rule("no-secret", Effect::Deny, &["fx.echo"])
            },
            Rule { redact: vec!["emails".into()], ..rule("no-mail", Effect::Redact, &["fx.*"]) },
            Rule { limit: Some(limit), ..rule("few", Effect::Limit, &["fx.echo"]) },
        ],
    );
    let mut ann = client(&daemon, Door::Bridge, Era::Legacy, "ann", everything());
    let mut bob = client(&daemon, Door::Http, Era::Modern, "bob", everything());
    let echo = |mcp: &mut Mcp, text: &str| mcp.call("fx__echo", json!({"text": text})).text().to_string();
    assert!(echo(&mut ann, "secret plan").contains("`no-secret`"));
    assert!(echo(&mut ann, &"x".repeat(200)).contains("the arguments have 211 bytes"));
    assert_eq!(echo(&mut ann, "to ann@example.org"), "to [redacted]");
    assert_eq!(echo(&mut ann, "2"), "2");
    assert_eq!(echo(&mut ann, "3"), "3");
    let limited = echo(&mut ann, "4");
    assert!(
        limited.contains("called 3 times within 3600 s") && limited.contains("try again in"),
        "{limited}"
    );
    // Another client has its own count.
    assert_eq!(echo(&mut bob, "1"), "1");
}
