//! Questions of servers: how long a person may take, and what an answer opens.
//! That questions reach the right client is in `sharing.rs`, every kind of question in `cells.rs`.

use crate::support::daemon::{Daemon, HttpFixture, fixture_server};
use crate::support::mcp::{Era, Mcp, agreeable, everything};
use crate::support::wire::{Door, Wire};
use serde_json::{Value, json};
use std::thread;
use std::time::Duration;
use umcp::engine::live::{Breaker, Live, LiveReply};
use umcp::environments::Profile;
use umcp::servers::Server;
use umcp::servers::model::{EraChoice, Limits};

/// A person who takes longer than a call may.
fn slowly(method: &str, params: &Value) -> Option<Value> {
    thread::sleep(Duration::from_millis(1800));
    agreeable(method, params)
}

#[test]
fn a_person_may_take_longer_than_a_call() {
    let over_http = HttpFixture::start(EraChoice::Legacy);
    for server in [fixture_server("fx", EraChoice::Legacy, &[]), over_http.server("fx")] {
        let daemon = Daemon::start();
        let limits = Limits { call_timeout_ms: Some(800), ..Limits::default() };
        daemon.add(Server { limits, ..server });
        for (door, era) in [(Door::Bridge, Era::Legacy), (Door::Http, Era::Modern)] {
            let mut mcp = Mcp::new(&daemon, door, era, "slow", everything(), Box::new(slowly));
            mcp.tools();
            assert_eq!(mcp.call("fx__ask", json!({"message": "which?"})).text(), "given", "{era:?}");
            let late = mcp.call("fx__sleep", json!({"ms": 2000}));
            let words = late.text();
            assert!(words.contains("did not answer") && late.result()["isError"] == true, "{words}");
        }
        let LiveReply::Status(status) = daemon.live(Live::Status) else { panic!("no status") };
        let server = &status.servers[0];
        assert_eq!((server.breaker, server.failures), (Breaker::Closed, 2), "only what the server missed");
    }
}

/// A modern client of a profile that can have tasks and answers nothing by itself.
fn in_profile(daemon: &Daemon, profile: &str) -> Mcp {
    let (wire, inbox) = Wire::socket(daemon, Some(profile));
    let mut capabilities = everything();
    capabilities["extensions"] = json!({"io.modelcontextprotocol/tasks": {}});
    Mcp::over(wire, inbox, Era::Modern, "raw", capabilities, Box::new(agreeable))
}

fn two_profiles(daemon: &Daemon) {
    for name in ["work", "home"] {
        daemon.profile(Profile { name: name.into(), ..Profile::default() });
    }
}

#[test]
fn a_task_of_one_profile_is_unknown_to_another() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Modern, &[]));
    two_profiles(&daemon);
    let (mut work, mut home) = (in_profile(&daemon, "work"), in_profile(&daemon, "home"));
    work.tools();
    let made = work.call("fx__failing_job", json!({}));
    assert_eq!(made.result()["resultType"], "task", "{}", made.message);
    let id = made.result()["taskId"].clone();
    assert_eq!(work.ask("tasks/get", json!({"taskId": id})).result()["taskId"], id);
    for method in ["tasks/get", "tasks/cancel"] {
        let (code, words) = {
            let answer = home.ask(method, json!({"taskId": id}));
            (answer.error().0, answer.error().1.to_string())
        };
        assert_eq!((code, words), (-32602, format!("unknown task: {}", id.as_str().unwrap())), "{method}");
    }
    in_profile(&daemon, "work").ask("tasks/cancel", json!({"taskId": id})).result();
}

#[test]
fn a_request_state_opens_its_own_call_alone() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    two_profiles(&daemon);
    let (mut work, mut home) = (in_profile(&daemon, "work"), in_profile(&daemon, "home"));
    work.tools();
    let params = |message: &str| json!({"name": "fx__ask", "arguments": {"message": message}});
    let id = work.start("tools/call", params("a secret?"));
    let asked = work.wait(&id);
    let questions = asked.result()["inputRequests"].as_object().unwrap();
    let answers = questions
        .keys()
        .map(|key| (key.clone(), json!({"action": "accept", "content": {"answer": "given"}})));
    let answers: serde_json::Map<_, _> = answers.collect();
    let repeated = |message: &str| {
        let mut params = params(message);
        params["requestState"] = asked.result()["requestState"].clone();
        params["inputResponses"] = answers.clone().into();
        params
    };
    let refused = |mcp: &mut Mcp, message: &str| {
        let id = mcp.start("tools/call", repeated(message));
        mcp.wait(&id).error().1.to_string()
    };
    assert!(refused(&mut home, "a secret?").contains("of another request"));
    assert!(refused(&mut work, "something else?").contains("of another request"));
    let id = work.start("tools/call", repeated("a secret?"));
    assert_eq!(work.wait(&id).text(), "given");
    assert!(refused(&mut work, "a secret?").contains("unknown"));
}
