//! `umcp audit`: what happened is recorded without values, survives a kill, and shows when it was touched.

use crate::support::daemon::{Daemon, UMCP, fixture_server};
use crate::support::mcp::{Era, Mcp, everything};
use crate::support::sandbox::Sandbox;
use crate::support::wire::Door;
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::process::Command;
use umcp::audit::{AUDIT, Event, Filter, Reply, Request, Verdict};
use umcp::clock::Timestamp;
use umcp::engine;
use umcp::policy::rules::model::Rule;
use umcp::policy::rules::{self, Document, Effect};
use umcp::servers::model::EraChoice;
use umcp::store::Store;

fn ask(daemon: &Daemon, request: Request) -> Reply {
    match daemon.ask(request) {
        engine::Reply::Audit(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn verify(daemon: &Daemon) -> Verdict {
    match ask(daemon, Request::Verify { expect: None }) {
        Reply::Verdict(verdict) => verdict,
        other => panic!("{other:?}"),
    }
}

/// Records of calls, oldest first, once there are so many.
fn calls(daemon: &Daemon, count: usize) -> Vec<umcp::audit::Call> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let filter = Filter { kind: Some("call".into()), ..Filter::default() };
        let Reply::Entries(entries) = ask(daemon, Request::List { filter, limit: 1000 }) else { panic!() };
        if entries.len() >= count {
            let call = |entry: &umcp::audit::Entry| match entry.record().unwrap().event {
                Event::Call(call) => *call,
                other => panic!("{other:?}"),
            };
            return entries.iter().rev().map(call).collect();
        }
        assert!(std::time::Instant::now() < deadline, "{} of {count} records", entries.len());
    }
}

#[test]
fn calls_leave_their_decision_and_the_shape_of_their_arguments() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    let deny = Rule {
        name: "no-pid".into(),
        effect: Effect::Deny,
        tools: vec!["fx.pid".into()],
        clients: vec!["ann".into()],
        ..Rule::default()
    };
    let ask_first =
        Rule { name: "ask".into(), effect: Effect::Ask, tools: vec!["fx.counter".into()], ..Rule::default() };
    let document = Document { rules: vec![deny, ask_first], ..Document::default() };
    daemon.ask(rules::Request::Put { document: Box::new(document), replace: false });
    let mut ann = Mcp::new(
        &daemon,
        Door::Bridge,
        Era::Legacy,
        "ann",
        everything(),
        Box::new(crate::support::mcp::agreeable),
    );
    ann.call("fx__echo", json!({"text": "canary-4711"}));
    ann.call("fx__pid", json!({}));
    ann.call("fx__counter", json!({}));
    let calls = calls(&daemon, 3);
    let told: Vec<_> = calls
        .iter()
        .map(|call| {
            let rule = call.rule.as_deref().unwrap_or("-");
            format!(
                "{} {} {} {rule} {} {}",
                call.client, call.tool, call.decision, call.outcome, call.arguments
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"ann echo allow - ok {"text":"text 11"}"#,
            "ann pid refused no-pid error {}",
            "ann counter approved by client ask ok {}",
        ]
    );
    let Reply::Entries(all) = ask(&daemon, Request::Page { after: None, since: None, limit: 1000 }) else {
        panic!()
    };
    let bodies: Vec<&str> = all.iter().map(|entry| entry.body.as_str()).collect();
    assert!(!bodies.iter().any(|body| body.contains("canary-4711")), "{bodies:?}");
    for expected in [
        r#""what":"server add","names":["fx"]"#,
        r#""what":"policy set","names":["no-pid","ask"]"#,
        r#""type":"approval""#,
    ] {
        assert!(bodies.iter().any(|body| body.contains(expected)), "{expected}: {bodies:?}");
    }
    assert_eq!(verify(&daemon).faults, []);
}

#[cfg(unix)]
#[test]
fn a_killed_daemon_leaves_a_chain_that_holds_and_goes_on() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    for round in 1..=3 {
        let mut mcp = Mcp::connect(&daemon, Door::Socket, Era::Legacy);
        for number in 0..40 {
            mcp.call("fx__echo", json!({"text": number.to_string()}));
        }
        let before = verify(&daemon);
        assert_eq!(before.faults, [], "round {round}");
        // In the middle of calls, with records on their way.
        let running: Vec<_> =
            (0..20).map(|_| mcp.start("tools/call", json!({"name": "fx__pid", "arguments": {}}))).collect();
        mcp.wait(&running[0]);
        let pid = umcp_pid(&daemon);
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        drop(mcp);
        daemon.restart();
        let after = verify(&daemon);
        assert_eq!(after.faults, [], "round {round}");
        assert!(after.last >= before.last, "{before:?} {after:?}");
    }
    let verdict = verify(&daemon);
    assert_eq!(Some(verdict.records), verdict.last, "no number is missing");
}

#[cfg(unix)]
fn umcp_pid(daemon: &Daemon) -> String {
    match daemon.live(umcp::engine::live::Live::Status) {
        umcp::engine::live::LiveReply::Status(status) => status.pid.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_trail_is_listed_verified_exported_and_purged() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["audit"]), @"
    exit: 0
    --- stdout ---
    no records yet
    ");
    assert_snapshot!(sandbox.run(&["audit", "verify"]), @"
    exit: 0
    --- stdout ---
    ok   0 records: each follows the one before
    ");
    for name in ["one", "two"] {
        sandbox.run(&["server", "add", name, "--", "true"]);
    }
    sandbox.run(&["token", "create", "ci"]);
    assert_snapshot!(sandbox.run(&["audit", "list"]), @"
    exit: 0
    --- stdout ---
    NO  WHEN      WHO  WHAT          OUTCOME
     3  just now  you  token create  ci
     2  just now  you  server add    two
     1  just now  you  server add    one
    ");
    assert_snapshot!(sandbox.run(&["audit", "show", "9"]), @"
    exit: 4
    --- stderr ---
    error: the audit trail has no record 9 [UM0707]
    hint: umcp audit list
    ");
    assert_snapshot!(sandbox.run(&["audit", "report"]), @"
    exit: 0
    --- stdout ---
    since 2025-12-26T03:04:05.000Z: 0 calls, 0 refused, 0 approved, 0 failed; 3 changes

    CHANGE        TIMES
    server add        2
    token create      1
    ");
    let document = sandbox.json(&["audit", "verify"]);
    let head = document["data"]["head"].as_str().unwrap().to_string();
    assert_eq!(document["data"]["records"], 3);
    assert!(sandbox.run(&["audit", "verify", "--head", &head]).code == 0);
    assert_snapshot!(sandbox.run(&["audit", "verify", "--head", "0", "--quiet", "--json=records"]), @r#"
    exit: 13
    --- stdout ---
    {"ok":false,"kind":"audit.verify/1","data":{"records":3},"error":{"code":"UM0708","name":"audit_broken","message":"the chain does not hold the hash that was expected","hints":[],"retryable":false,"exit":13},"warnings":[]}
    --- stderr ---
    error: the chain does not hold the hash that was expected [UM0708]
    "#);
    // The export can be checked without umcp.
    let lines = sandbox.run(&["audit", "export"]).stdout;
    let mut previous = "0".repeat(64);
    for (at, line) in lines.lines().enumerate() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (entry["number"].as_u64(), entry["previous"].as_str()),
            (Some(at as u64 + 1), Some(previous.as_str()))
        );
        let bytes: Vec<u8> =
            (0..32).map(|i| u8::from_str_radix(&previous[2 * i..2 * i + 2], 16).unwrap()).collect();
        let number = (at as u64 + 1).to_be_bytes();
        let hash = umcp::ids::sha256(&[&number, &bytes, entry["body"].as_str().unwrap().as_bytes()]);
        previous = umcp::ids::hex(&hash);
        assert_eq!(entry["hash"], previous.as_str());
    }
    assert_eq!(previous, head);
    assert_snapshot!(sandbox.run(&["audit", "purge"]), @"
    exit: 2
    --- stderr ---
    error: the following required arguments were not provided: <--older-than <TIME>|--keep <N>> [UM0003]
    hint: umcp audit purge --help
    ");
    assert_snapshot!(sandbox.run(&["audit", "purge", "--keep", "1"]), @"
    exit: 11
    --- stderr ---
    error: nobody can be asked `Remove all but the newest 1 record from the audit trail for good?`: there is no terminal [UM0004]
    hint: answer with `--yes`
    ");
    assert_snapshot!(sandbox.run(&["audit", "purge", "--keep", "1", "--yes"]), @"
    exit: 0
    --- stdout ---
    ok   2 records removed
    ");
    assert_snapshot!(sandbox.run(&["audit", "list", "--json=number,record"]), @r#"
    exit: 0
    --- stdout ---
    {"ok":true,"kind":"audit.list/1","data":[{"number":4,"record":{"at":1767323045000000,"type":"purge","through":2,"hash":"01dde225b65662e188a02e575568122d121cbd0dfcfa991575d17d3ee295256e","records":2}},{"number":3,"record":{"at":1767323045000000,"type":"change","what":"token create","names":["ci"]}}],"warnings":[]}
    "#);
    assert_eq!(sandbox.json(&["audit", "verify"])["data"]["first"], 3);
}

#[test]
fn a_flipped_byte_is_named_by_its_record() {
    let sandbox = Sandbox::new();
    for name in ["one", "two", "three"] {
        sandbox.run(&["server", "add", name, "--", "true"]);
    }
    let path = sandbox.home().parent().unwrap().join("umcp");
    let path = umcp::paths::Paths::in_folder(&path, path.clone()).store();
    // Somebody who knows the format changes a record and makes its envelope fit again.
    let store = Store::open(&path, Timestamp(0)).unwrap();
    let mut links = store.read(|tx| tx.range(&AUDIT, Timestamp(0), Timestamp(u64::MAX))).unwrap();
    links[1].1.body = links[1].1.body.replace("two", "twp");
    store
        .write(|tx| {
            tx.trim_to(&AUDIT, 0)?;
            links.iter().try_for_each(|(position, link)| tx.push(&AUDIT, position.at, link).map(drop))
        })
        .unwrap();
    store.close().unwrap();
    assert_snapshot!(sandbox.run(&["audit", "verify", "--quiet"]), @"
    exit: 13
    --- stdout ---
    e0e70007cc803051169951f48739fcdeaf00245169b03822f747a2e2214db379
    --- stderr ---
    error: record 2: it is not what was written [UM0708]
    ");
    // Somebody who does not flips a byte in the file.
    let mut bytes = std::fs::read(&path).unwrap();
    let text = br#""names":["three"]"#;
    let places: Vec<usize> =
        (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 10] ^= 1;
    }
    std::fs::write(&path, bytes).unwrap();
    let verdict = Command::new(UMCP)
        .args(["audit", "verify", "--json"])
        .env("UMCP_HOME", sandbox.home().parent().unwrap().join("umcp"))
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&verdict.stdout).unwrap();
    let faults = document["data"]["faults"].as_array().unwrap();
    assert!(faults.iter().any(|fault| fault["number"] == 3), "{document}");
    assert_eq!(verdict.status.code(), Some(13));
}
