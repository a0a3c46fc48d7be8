//! Several clients on one server: nothing of one reaches another, and what must not be shared is not.

use crate::support::daemon::{Daemon, HttpFixture, fixture_server};
use crate::support::mcp::{Answer, Era, Mcp, agreeable, everything};
use crate::support::wire::Door;
use serde_json::{Value, json};
use std::sync::{Arc, Barrier};
use std::thread;
use umcp::engine::live::{Live, LiveReply};
use umcp::servers::Server;
use umcp::servers::model::{EraChoice, Limits, Sharing};

#[test]
fn a_hundred_clients_with_equal_ids_and_tokens_get_their_own_answers() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("slow", EraChoice::Legacy, &["--fault", "out-of-order=40"]));
    daemon.add(fixture_server("new", EraChoice::Modern, &["--fault", "out-of-order=40"]));
    Mcp::connect(&daemon, Door::Socket, Era::Legacy).tools();
    let together = Barrier::new(100);
    thread::scope(|scope| {
        for client in 0..100 {
            let (daemon, together) = (&daemon, &together);
            scope.spawn(move || {
                let door = if client % 5 == 0 { Door::Http } else { Door::Socket };
                let era = Era::BOTH[client % 2];
                let mut mcp = Mcp::connect(daemon, door, era);
                mcp.count_from(1000);
                together.wait();
                own_answers(&mut mcp, client);
            });
        }
    });
}

fn own_answers(mcp: &mut Mcp, client: usize) {
    for round in 0..5 {
        let server = ["slow", "new"][round % 2];
        let text = format!("client {client} round {round}");
        let params = json!({"name": format!("{server}__echo"), "arguments": {"text": text}});
        let echo = mcp.start("tools/call", params);
        let steps = client % 7 + 1;
        let arguments = json!({"steps": steps});
        let params = json!({"name": format!("{server}__progress"), "arguments": arguments, "_meta": {"progressToken": "t"}});
        let progress = mcp.start("tools/call", params);
        let second = mcp.wait(&progress);
        let first = mcp.wait(&echo);
        assert_eq!(first.text(), text);
        assert_eq!(second.text(), format!("{steps} steps done"));
        let heard = [second.heard("notifications/progress"), first.heard("notifications/progress")].concat();
        assert_eq!(heard.len(), steps, "client {client}: {heard:?}");
        assert!(heard.iter().all(|said| said["params"]["total"].as_f64() == Some(steps as f64)));
    }
}

/// A client that answers every question with its own name.
fn named(daemon: &Daemon, door: Door, era: Era, name: &str) -> Mcp {
    let own = name.to_string();
    let answers = move |method: &str, params: &Value| match method {
        "elicitation/create" => {
            // What is asked was meant for this client.
            assert_eq!(params["message"], own.as_str());
            Some(json!({"action": "accept", "content": {"answer": own}}))
        }
        _ => agreeable(method, params),
    };
    Mcp::new(daemon, door, era, name, everything(), Box::new(answers))
}

/// Four clients ask through one server at once, which has asked before; gives how many calls were refused. No answer
/// of another may come.
fn crossfire(server: Server) -> usize {
    let daemon = Daemon::start();
    daemon.add(server);
    let mut first = named(&daemon, Door::Bridge, Era::Legacy, "eve");
    first.tools();
    assert_eq!(first.call("fx__ask", json!({"message": "eve"})).text(), "eve");
    let clients = [
        ("ann", Era::Legacy, Door::Bridge),
        ("bob", Era::Modern, Door::Bridge),
        ("cyd", Era::Legacy, Door::Http),
        ("dee", Era::Modern, Door::Http),
    ];
    let ask = |(name, era, door): (&str, Era, Door)| {
        let mut mcp = named(&daemon, door, era, name);
        let calls = (0..10).map(|_| mcp.call("fx__ask", json!({"message": name})));
        let refused = |answer: &Answer| {
            let refused = answer.message["error"].is_object() || answer.result()["isError"] == true;
            assert!(refused || answer.text() == name, "{name} got {}", answer.message);
            refused
        };
        calls.filter(refused).count()
    };
    thread::scope(|scope| {
        let asking: Vec<_> = clients
            .into_iter()
            .map(|client| {
                scope.spawn({
                    let ask = &ask;
                    move || ask(client)
                })
            })
            .collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).sum()
    })
}

#[test]
fn questions_of_a_shared_server_never_reach_the_wrong_client() {
    // Over stdio a legacy server does not say for which call it asks: so its clients take turns.
    assert_eq!(crossfire(fixture_server("fx", EraChoice::Legacy, &["--delay-ms", "5"])), 0);
    assert_eq!(crossfire(fixture_server("fx", EraChoice::Modern, &["--delay-ms", "5"])), 0);
    // Over HTTP it asks on the stream of the call.
    let over_http = HttpFixture::start(EraChoice::Legacy);
    assert_eq!(crossfire(over_http.server("fx")), 0);
}

/// Calls that the only server works on.
fn in_flight(daemon: &Daemon) -> u64 {
    match daemon.live(Live::Status) {
        LiveReply::Status(status) => status.servers[0].in_flight,
        other => panic!("no status: {other:?}"),
    }
}

#[test]
fn a_client_waits_while_another_may_be_asked_and_not_for_ever() {
    let daemon = Daemon::start();
    let limits = Limits { call_timeout_ms: Some(2500), ..Limits::default() };
    daemon.add(Server { limits, ..fixture_server("fx", EraChoice::Legacy, &[]) });
    let mut ann = named(&daemon, Door::Bridge, Era::Legacy, "ann");
    let mut bob = named(&daemon, Door::Http, Era::Legacy, "bob");
    let long = |mcp: &mut Mcp, ms: u64| {
        mcp.start("tools/call", json!({"name": "fx__sleep", "arguments": {"ms": ms}}))
    };
    ann.tools();
    // Roots are no reason to wait.
    ann.call("fx__roots", json!({})).text();
    let together = [long(&mut ann, 1500), long(&mut bob, 1500)];
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while in_flight(&daemon) < 2 {
        assert!(std::time::Instant::now() < deadline, "they wait for each other");
    }
    assert_eq!(ann.wait(&together[0]).result()["isError"], json!(null));
    assert_eq!(bob.wait(&together[1]).result()["isError"], json!(null));
    assert_eq!(ann.call("fx__ask", json!({"message": "ann"})).text(), "ann");
    let at_work = long(&mut ann, 1300);
    let late = long(&mut bob, 1300);
    assert_eq!(bob.wait(&late).result()["isError"], json!(null), "it waited, and then had a time of its own");
    assert_eq!(ann.wait(&at_work).result()["isError"], json!(null));
    // Ann takes her time for an answer: bob is not left hanging.
    let told = Arc::new(Barrier::new(2));
    let asked = told.clone();
    let answers = move |method: &str, params: &Value| {
        asked.wait();
        asked.wait();
        agreeable(method, params)
    };
    let mut slow = Mcp::new(&daemon, Door::Bridge, Era::Legacy, "ann", everything(), Box::new(answers));
    let slow = thread::spawn(move || slow.call("fx__ask", json!({"message": "?"})).text().to_string());
    told.wait();
    let busy = bob.call("fx__echo", json!({"text": "x"}));
    assert!(busy.text().contains("busy with another client"), "{}", busy.text());
    told.wait();
    assert_eq!(slow.join().unwrap(), "given");
    assert_eq!(bob.call("fx__echo", json!({"text": "x"})).text(), "x");
}

#[test]
fn a_server_that_is_not_shared_runs_once_for_each_client() {
    let daemon = Daemon::start();
    daemon.add(Server { sharing: Sharing::PerClient, ..fixture_server("own", EraChoice::Legacy, &[]) });
    daemon.add(fixture_server("one", EraChoice::Legacy, &[]));
    let mut ann = named(&daemon, Door::Bridge, Era::Legacy, "ann");
    let mut bob = named(&daemon, Door::Http, Era::Legacy, "bob");
    let pid = |mcp: &mut Mcp, tool: &str| mcp.call(tool, json!({})).text().to_string();
    assert_eq!(pid(&mut ann, "one__pid"), pid(&mut bob, "one__pid"));
    let (of_ann, of_bob) = (pid(&mut ann, "own__pid"), pid(&mut bob, "own__pid"));
    assert_ne!(of_ann, of_bob);
    assert_eq!(pid(&mut ann, "own__pid"), of_ann, "the same process for the same client");
    let who: Value = serde_json::from_str(ann.call("own__whoami", json!({})).text()).unwrap();
    assert!(who["capabilities"]["elicitation"].is_object(), "{who}");
    assert_eq!(ann.call("own__ask", json!({"message": "ann"})).text(), "ann");
    assert_eq!(bob.call("own__ask", json!({"message": "bob"})).text(), "bob");
    let running = |pid: &str| daemon.children().contains(&pid.parse().unwrap());
    if cfg!(target_os = "linux") {
        assert!(running(&of_ann) && running(&of_bob));
        drop(ann);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while running(&of_ann) {
            assert!(std::time::Instant::now() < deadline, "the process outlived its client");
            thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(running(&of_bob));
    }
}

#[test]
fn equal_calls_all_reach_the_server() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Modern, &[]));
    let mut counts = Vec::new();
    for (door, era) in [(Door::Bridge, Era::Legacy), (Door::Http, Era::Modern)] {
        let mut mcp = Mcp::connect(&daemon, door, era);
        for _ in 0..20 {
            counts.push(mcp.call("fx__counter", json!({})).text().parse::<u32>().unwrap());
        }
    }
    assert_eq!(counts, (1..=40).collect::<Vec<_>>());
}

#[test]
fn a_subscription_goes_to_the_clients_own_instance() {
    const URI: &str = "test://watched-resource";
    for era in [EraChoice::Legacy, EraChoice::Modern] {
        let daemon = Daemon::start();
        daemon.add(Server { sharing: Sharing::PerClient, ..fixture_server("own", era, &[]) });
        let mut ann = named(&daemon, Door::Bridge, Era::Legacy, "ann");
        let mut bob = named(&daemon, Door::Http, Era::Legacy, "bob");
        for mcp in [&mut ann, &mut bob] {
            mcp.tools();
            mcp.ask("resources/subscribe", json!({"uri": URI})).result();
            // A modern server is told beside the calls, so the first change may come too early for it.
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
            while mcp.call("own__update_resource", json!({"uri": URI})).heard(UPDATED).is_empty() {
                assert!(std::time::Instant::now() < deadline, "no word of the change from a {era:?} server");
            }
        }
        let heard = ann.call("own__echo", json!({"text": "x"})).heard;
        assert!(heard.iter().all(|said| said["method"] != UPDATED), "what changed for another: {heard:?}");
    }
}

const UPDATED: &str = "notifications/resources/updated";
