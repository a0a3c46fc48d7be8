//! Traces: the context that a client says reaches the server below umcp's own span, and a workflow's run and steps belong
//! to the call that began it.

use crate::support::daemon::{Daemon, UMCP, fixture_server};
use crate::support::mcp::{Era, Mcp};
use crate::support::wire::Door;
use serde_json::{Value, json};
use std::process::Command;
use umcp::engine::live::{Live, LiveReply};
use umcp::metrics::spans::{Ask, Told, What};
use umcp::servers::model::EraChoice;
use umcp::workflows::{Definition, Request};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn daemon() -> Daemon {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fix", EraChoice::Legacy, &[]));
    daemon
}

fn told(daemon: &Daemon, of: &str) -> Told {
    match daemon.live(Live::Traces(Ask { after: None, of: Some(of.into()) })) {
        LiveReply::Traces(told) => told,
        other => panic!("{other:?}"),
    }
}

fn run(daemon: &Daemon, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(UMCP).args(arguments).env("UMCP_HOME", daemon.folder()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_trace_that_the_client_said_reaches_the_server_in_both_eras() {
    for era in Era::BOTH {
        let daemon = daemon();
        let mut client = Mcp::connect(&daemon, Door::Bridge, era);
        let said = format!("00-{TRACE}-{CALLER}-01");
        let call = json!({"name": "fix__meta", "arguments": {}, "_meta": {"traceparent": said, "tracestate": "a=b"}});
        let answer = client.ask("tools/call", call);
        let meta: Value = serde_json::from_str(answer.text()).unwrap();
        let spans = told(&daemon, TRACE).spans;
        assert_eq!(spans.len(), 1, "{spans:?}");
        let span = &spans[0];
        assert_eq!(meta["traceparent"], format!("00-{TRACE}-{}-01", span.span));
        assert_eq!(meta["tracestate"], "a=b");
        assert_eq!(
            (span.parent.as_deref(), span.name.as_str(), span.result.as_str()),
            (Some(CALLER), "fix.meta", "ok")
        );
        assert!(span.server_us.unwrap() <= span.duration_us, "{span:?}");
        // Who said nothing gets a trace here, and the server hears nothing of it.
        let meta: Value = serde_json::from_str(client.call("fix__meta", json!({})).text()).unwrap();
        assert!(meta.get("traceparent").is_none(), "{meta}");
    }
}

#[test]
fn a_workflow_and_its_steps_belong_to_the_call_that_began_it() {
    let daemon = daemon();
    let text = "name: twice\nsteps:\n  - {id: a, tool: fix.meta}\n  - {id: b, workflow: once}\n";
    let once = "name: once\nsteps:\n  - {id: c, tool: fix.echo, inputs: {text: secret-words}}\n";
    for (name, text) in [("once", once), ("twice", text)] {
        let definition = Definition { name: name.into(), text: text.into(), ..Default::default() };
        daemon.ask(Request::Put { definition: Box::new(definition), replace: true });
    }
    let mut client = Mcp::connect(&daemon, Door::Bridge, Era::Legacy);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !client.tools().iter().any(|tool| tool == "workflows__twice") {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_ne!(client.call("workflows__twice", json!({})).result()["isError"], true);
    let all = match daemon.live(Live::Traces(Ask::default())) {
        LiveReply::Traces(told) => told.spans,
        other => panic!("{other:?}"),
    };
    let call = all.iter().find(|span| span.name == "workflows.twice").unwrap();
    let spans = told(&daemon, &call.trace).spans;
    let of =
        |name: &str, what: What| spans.iter().find(|span| span.name == name && span.what == what).unwrap();
    let (twice, once) = (of("twice", What::Run), of("once", What::Run));
    let (first, second) = (of("fix.meta", What::Call), of("fix.echo", What::Call));
    assert_eq!(twice.parent.as_ref(), Some(&call.span));
    assert_eq!((&first.parent, &once.parent), (&Some(twice.span.clone()), &Some(twice.span.clone())));
    assert_eq!((&second.parent, &second.run), (&Some(once.span.clone()), &once.run));
    assert_eq!(told(&daemon, once.run.as_ref().unwrap()).spans.len(), spans.len());
    let (code, shown, _) = run(&daemon, &["trace", "show", &call.trace[..12]]);
    assert_eq!(code, 0, "{shown}");
    for part in ["workflows.twice: ok", "  run twice: completed", "    fix.meta: ok", "      fix.echo: ok"] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    // What was said stays with those who said it.
    assert!(!serde_json::to_string(&spans).unwrap().contains("secret-words"));
    let (_, listed, _) = run(&daemon, &["trace", "list", "--server", "fix", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert!(listed["data"].as_array().unwrap().iter().any(|trace| trace["trace"] == call.trace), "{listed}");
    let (code, _, error) = run(&daemon, &["trace", "show", "ffff"]);
    assert!(code == 4 && error.contains("UM1502"), "{error}");
}
