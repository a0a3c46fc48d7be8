//! Prompts, resources and completion: lists, calls, subscriptions and records go by the same rules as those of tools.

use super::{client, put, rule};
use crate::support::daemon::{Daemon, fixture_server};
use crate::support::mcp::{Era, Mcp, everything};
use crate::support::wire::Door;
use serde_json::{Value, json};
use umcp::audit::{Event, Filter};
use umcp::policy::rules::model::Rule;
use umcp::policy::rules::{Document, Effect, Request};
use umcp::servers::model::EraChoice;

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn prompts(name: &str, effect: Effect, prompts: &[&str]) -> Rule {
    Rule { prompts: texts(prompts), ..rule(name, effect, &[]) }
}

fn resources(name: &str, effect: Effect, resources: &[&str]) -> Rule {
    Rule { resources: texts(resources), ..rule(name, effect, &[]) }
}

fn names(mcp: &mut Mcp, method: &str, key: &str, field: &str) -> Vec<String> {
    let (items, _) = mcp.list(method, key);
    items.iter().map(|item| item[field].as_str().unwrap().to_string()).collect()
}

fn read(mcp: &mut Mcp, uri: &str) -> Result<Value, String> {
    let answer = mcp.ask("resources/read", json!({"uri": uri}));
    match answer.message.get("error") {
        Some(error) => Err(error["message"].as_str().unwrap().into()),
        None => Ok(answer.result()["contents"][0].clone()),
    }
}

#[test]
fn what_is_denied_is_neither_listed_nor_given_nor_completed() {
    for (door, era, server) in [
        (Door::Bridge, Era::Legacy, EraChoice::Legacy),
        (Door::Bridge, Era::Modern, EraChoice::Modern),
        (Door::Http, Era::Modern, EraChoice::Legacy),
    ] {
        let daemon = Daemon::start();
        daemon.add(fixture_server("fx", server, &[]));
        let mut ann = client(&daemon, door, era, "ann", everything());
        let mut bob = client(&daemon, door, era, "bob", everything());
        let arguments = json!({"arg1": "a", "arg2": "b"});
        let complete = json!({"ref": {"type": "ref/prompt", "name": "fx__test_prompt_with_arguments"},
            "argument": {"name": "arg1", "value": "par"}});
        let (before, had) = (
            names(&mut ann, "prompts/list", "prompts", "name"),
            names(&mut ann, "resources/list", "resources", "uri"),
        );
        put(
            &daemon,
            vec![
                Rule {
                    clients: texts(&["ann"]),
                    reason: Some("not for ann".into()),
                    ..prompts("no-prompt", Effect::Deny, &["fx.test_prompt_with_arguments"])
                },
                Rule {
                    clients: texts(&["ann"]),
                    ..resources("no-static", Effect::Deny, &["test://static-*", "test://template/7/*"])
                },
            ],
        );
        let left = |all: &[String], gone: &str| -> Vec<String> {
            all.iter().filter(|name| !name.contains(gone)).cloned().collect()
        };
        assert_eq!(names(&mut ann, "prompts/list", "prompts", "name"), left(&before, "with_arguments"));
        assert_eq!(names(&mut ann, "resources/list", "resources", "uri"), left(&had, "static-"));
        assert_eq!(names(&mut bob, "prompts/list", "prompts", "name"), before);
        assert_eq!(names(&mut bob, "resources/list", "resources", "uri"), had);
        let refused =
            ann.ask("prompts/get", json!({"name": "fx__test_prompt_with_arguments", "arguments": arguments}));
        let expected = "the prompt `fx.test_prompt_with_arguments` is denied to `ann` by the rule `no-prompt`: not for ann";
        assert_eq!(refused.error().1, expected);
        assert_eq!(ann.ask("completion/complete", complete.clone()).error().1, expected);
        let given = bob.ask("completion/complete", complete);
        assert_eq!(given.result()["completion"]["values"], json!(["paris", "park", "party"]));
        let get = json!({"name": "fx__test_prompt_with_arguments", "arguments": arguments});
        let given = bob.ask("prompts/get", get);
        assert!(given.result()["messages"][0]["content"]["text"].as_str().unwrap().contains("arg1='a'"));
        // A URI is judged by what it means, and one of a template by its own text.
        for uri in [
            "test://static-text",
            "TEST://static-text",
            "test://static%2Dtext",
            "test://template/7/data",
            "test://template/8/../7/data",
            "test://template/%37/data",
        ] {
            let why = read(&mut ann, uri).unwrap_err();
            assert!(why.starts_with(&format!("the resource `fx.{uri}` is denied to `ann`")), "{why}");
        }
        assert!(read(&mut ann, "test://template/8/data").is_ok());
        assert!(read(&mut bob, "test://template/7/data").is_ok());
    }
}

#[test]
fn a_default_that_denies_closes_what_no_rule_allows() {
    let daemon = Daemon::start();
    for name in ["fx", "other"] {
        daemon.add(fixture_server(name, EraChoice::Legacy, &[]));
    }
    let mut ann = client(&daemon, Door::Bridge, Era::Legacy, "ann", everything());
    ann.tools();
    let rules = vec![
        prompts("p", Effect::Allow, &["fx.test_simple_prompt"]),
        Rule { servers: texts(&["fx"]), ..resources("r", Effect::Allow, &["test://template/1/*"]) },
    ];
    let document = Document { default: Some(Effect::Deny), rules, ..Document::default() };
    daemon.ask(Request::Put { document: Box::new(document), replace: true });
    let own =
        |names: Vec<String>| names.into_iter().filter(|name| !name.starts_with("umcp__")).collect::<Vec<_>>();
    let tools = own(ann.tools());
    assert_eq!(tools, [""; 0]);
    assert_eq!(names(&mut ann, "prompts/list", "prompts", "name"), ["fx__test_simple_prompt"]);
    assert_eq!(names(&mut ann, "resources/list", "resources", "uri"), [""; 0]);
    assert!(
        ann.ask("prompts/get", json!({"name": "fx__test_simple_prompt"})).result()["messages"].is_array()
    );
    assert!(read(&mut ann, "test://template/1/data").is_ok());
    for uri in ["test://template/2/data", "test://static-text"] {
        let why = read(&mut ann, uri).unwrap_err();
        assert_eq!(why, format!("the resource `fx.{uri}` is denied to `ann` by the policy's default"));
    }
    // Of the other server nothing is left, not even its name.
    let servers = ann.call("umcp__server_list", json!({}));
    assert!(servers.text().contains("- fx ") && !servers.text().contains("- other"), "{}", servers.text());
}

#[test]
fn rules_that_ask_redact_and_limit_hold_for_them_too() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    put(
        &daemon,
        vec![
            prompts("ask", Effect::Ask, &["test_simple_prompt"]),
            Rule { redact: texts(&["content"]), ..rule("veil", Effect::Redact, &["fx.*"]) },
            Rule {
                arguments: [("arg1".to_string(), "re:^secret".to_string())].into(),
                ..prompts("no-secret", Effect::Deny, &["*arguments"])
            },
        ],
    );
    let mut ann = client(&daemon, Door::Bridge, Era::Modern, "ann", everything());
    let answer = ann.ask("prompts/get", json!({"name": "fx__test_simple_prompt"}));
    let asked = answer.heard("elicitation/create");
    assert_eq!(asked.len(), 1);
    let message = asked[0]["params"]["message"].as_str().unwrap();
    assert!(message.starts_with("umcp: may `ann` use the prompt fx.test_simple_prompt?"), "{message}");
    answer.result();
    let text = read(&mut ann, "test://static-text").unwrap()["text"].clone();
    assert_eq!(text, "This is the [redacted] of the static text resource.");
    let get = |text: &str| json!({"name": "fx__test_prompt_with_arguments", "arguments": {"arg1": text, "arg2": ""}});
    assert!(ann.ask("prompts/get", get("secret plan")).error().1.contains("by the rule `no-secret`"));
    let given = ann.ask("prompts/get", get("my content"));
    let text = given.result()["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(text.contains("arg1='my [redacted]'"), "{text}");
}

#[test]
fn a_subscription_goes_by_the_policy_as_it_is() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    let mut ann = client(&daemon, Door::Bridge, Era::Legacy, "ann", everything());
    let watched = json!({"uri": "test://watched-resource"});
    ann.ask("resources/subscribe", watched.clone()).result();
    const UPDATED: &str = "notifications/resources/updated";
    // What came before the answer, and what comes before the answer of a later request.
    let updates = |mcp: &mut Mcp| {
        let answer = mcp.call("fx__update_resource", watched.clone());
        answer.result();
        answer.heard(UPDATED).len() + mcp.call("fx__echo", json!({"text": "x"})).heard(UPDATED).len()
    };
    assert_eq!(updates(&mut ann), 1);
    let watched_rule = || resources("no-watch", Effect::Deny, &["test://watched*"]);
    put(&daemon, vec![watched_rule()]);
    ann.ask("resources/subscribe", watched.clone()).error();
    assert_eq!(updates(&mut ann), 0);
    put(&daemon, vec![]);
    assert_eq!(updates(&mut ann), 1);
    put(&daemon, vec![watched_rule()]);
    ann.ask("resources/unsubscribe", watched).result();
}

#[test]
fn they_leave_records_that_hold_no_values() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    put(&daemon, vec![prompts("no-prompt", Effect::Deny, &["test_prompt_with_image"])]);
    let mut ann = client(&daemon, Door::Bridge, Era::Legacy, "ann", everything());
    let canary = "canary-4711";
    let get =
        json!({"name": "fx__test_prompt_with_arguments", "arguments": {"arg1": canary, "arg2": canary}});
    ann.ask("prompts/get", get).result();
    ann.ask("prompts/get", json!({"name": "fx__test_prompt_with_image"})).error();
    read(&mut ann, "test://static-text").unwrap();
    read(&mut ann, &format!("test://template/{canary}/data")).unwrap();
    let complete = json!({"ref": {"type": "ref/prompt", "name": "fx__test_prompt_with_arguments"},
        "argument": {"name": "arg1", "value": canary}});
    ann.ask("completion/complete", complete).result();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let told = loop {
        let filter = Filter { kind: Some("call".into()), ..Filter::default() };
        let request = umcp::audit::Request::List { filter, limit: 1000 };
        let umcp::engine::Reply::Audit(umcp::audit::Reply::Entries(entries)) = daemon.ask(request) else {
            panic!()
        };
        assert!(entries.iter().all(|entry| !entry.body.contains(canary)));
        if entries.len() >= 5 {
            let told = entries.iter().rev().map(|entry| match entry.record().unwrap().event {
                Event::Call(it) => {
                    format!("{} {}.{} {} {}", it.kind, it.server, it.tool, it.decision, it.arguments)
                }
                other => panic!("{other:?}"),
            });
            break told.collect::<Vec<_>>();
        }
        assert!(std::time::Instant::now() < deadline, "{} records", entries.len());
    };
    let expected = [
        r#"prompt fx.test_prompt_with_arguments allow {"arg1":"text 11","arg2":"text 11"}"#,
        "prompt fx.test_prompt_with_image refused {}",
        r#"resource fx.test://static-text allow {"uri":"text 18"}"#,
        r#"resource fx.test://template/{id}/data allow {"uri":"text 32"}"#,
        r#"completion fx.test_prompt_with_arguments allow {"arg1":"text 11"}"#,
    ];
    assert_eq!(told, expected);
    // Usage is that of tools.
    let umcp::engine::Reply::Usage(umcp::usage::Reply::History(history)) =
        daemon.ask(umcp::usage::Request::History {
            server: None,
            tool: None,
            failed: false,
            since: None,
            limit: 10,
        })
    else {
        panic!()
    };
    assert!(history.is_empty());
}

#[test]
fn a_slip_of_the_pen_is_told_where_a_decision_is_explained() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    client(&daemon, Door::Bridge, Era::Legacy, "ann", everything()).tools();
    let explain = |words: &[&str]| {
        let mut command = std::process::Command::new(crate::support::daemon::UMCP);
        command.args(["policy", "explain"]).args(words).env("UMCP_HOME", daemon.folder());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    for (words, meant) in [
        (&["fx.ecko"][..], Some("did you mean `fx.echo`?")),
        (&["fx.echo"], None),
        (&["fx.test_simple_promt", "--kind", "prompt"], Some("did you mean `fx.test_simple_prompt`?")),
        (&["fx.test_simple_prompt", "--kind", "prompt"], None),
        (&["--prompt", "fx.test_simple_promt", "name=x"], Some("did you mean `fx.test_simple_prompt`?")),
        (&["--prompt", "fx.test_simple_prompt"], None),
        (&["--resource", "fx.test://static-txt"], Some("did you mean `fx.test://static-text`?")),
        (&["fx.test://static-txt", "--kind", "resource"], Some("did you mean `fx.test://static-text`?")),
    ] {
        let told = explain(words);
        let line = told.lines().find(|line| line.starts_with("did you mean"));
        assert_eq!(line, meant, "{told}");
    }
}
