//! What clients are shown, and how it changes under them: pages, changed lists, search mode, large results.

use crate::support::daemon::{Daemon, fixture_server};
use crate::support::mcp::{Era, Mcp, agreeable, everything};
use crate::support::wire::{Door, Wire};
use serde_json::json;
use std::time::{Duration, Instant};
use umcp::engine::Reply;
use umcp::engine::live::{Live, LiveReply};
use umcp::environments::{Mode, Profile};
use umcp::servers;
use umcp::servers::model::EraChoice;
use umcp::{tools, usage};

/// A client that uses a profile, over the local socket.
fn in_profile(daemon: &Daemon, profile: &str, era: Era) -> Mcp {
    let (wire, inbox) = Wire::socket(daemon, Some(profile));
    Mcp::over(wire, inbox, era, "raw", everything(), Box::new(agreeable))
}

#[test]
fn every_page_of_a_server_reaches_the_client_on_pages_of_our_own() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("many", EraChoice::Legacy, &["--tools", "4500", "--page-size", "700"]));
    for era in Era::BOTH {
        let mut mcp = Mcp::connect(&daemon, Door::Socket, era);
        let (tools, pages) = mcp.list("tools/list", "tools");
        let inert =
            tools.iter().filter(|tool| tool["name"].as_str().unwrap().starts_with("many__tool_")).count();
        assert_eq!((inert, pages), (4500, 3));
        assert_eq!(mcp.call("many__tool_4499", json!({})).result()["isError"], json!(null));
    }
}

#[test]
fn a_server_that_comes_or_goes_reaches_connected_clients() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("first", EraChoice::Legacy, &[]));
    let mut clients: Vec<_> = [
        (Door::Bridge, Era::Legacy),
        (Door::Http, Era::Legacy),
        (Door::Bridge, Era::Modern),
        (Door::Http, Era::Modern),
    ]
    .into_iter()
    .map(|(door, era)| (era, Mcp::connect(&daemon, door, era)))
    .collect();
    for (era, mcp) in &mut clients {
        assert!(!mcp.tools().contains(&"second__echo".to_string()));
        if *era == Era::Modern {
            mcp.start("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
            mcp.hear("notifications/subscriptions/acknowledged");
        }
    }
    daemon.add(fixture_server("second", EraChoice::Modern, &[]));
    for (_, mcp) in &mut clients {
        while !mcp.tools().contains(&"second__echo".to_string()) {
            mcp.hear("notifications/tools/list_changed");
        }
        assert_eq!(mcp.call("second__echo", json!({"text": "hello"})).text(), "hello");
    }
    daemon.ask(servers::Request::Remove { names: vec!["first".into()] });
    for (_, mcp) in &mut clients {
        while mcp.tools().contains(&"first__echo".to_string()) {
            mcp.hear("notifications/tools/list_changed");
        }
        assert_eq!(mcp.call("first__echo", json!({"text": "hello"})).error().0, -32602);
    }
}

#[test]
fn a_tool_added_by_a_server_reaches_connected_clients() {
    for server in [EraChoice::Legacy, EraChoice::Modern] {
        let daemon = Daemon::start();
        daemon.add(fixture_server("fx", server, &[]));
        let mut mcp = Mcp::connect(&daemon, Door::Bridge, Era::Legacy);
        assert!(!mcp.tools().contains(&"fx__fresh".to_string()));
        mcp.call("fx__add_tool", json!({"name": "fresh"})).text();
        mcp.hear("notifications/tools/list_changed");
        assert!(mcp.tools().contains(&"fx__fresh".to_string()));
    }
}

#[test]
fn search_mode_shows_few_tools_and_reaches_all() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &["--tools", "50"]));
    daemon.profile(Profile { name: "lean".into(), mode: Mode::Search, ..Profile::default() });
    for era in Era::BOTH {
        let mut mcp = in_profile(&daemon, "lean", era);
        assert_eq!(mcp.tools(), ["find_tools", "describe_tool", "call_tool", "read_result"]);
        let found = mcp.call("find_tools", json!({"query": "add two numbers"}));
        assert!(found.text().starts_with("- fx__add: Adds two numbers"), "{}", found.text());
        let described = mcp.call("describe_tool", json!({"name": "fx__add"}));
        let definition: serde_json::Value = serde_json::from_str(described.text()).unwrap();
        assert_eq!(definition["inputSchema"]["required"], json!(["a", "b"]));
        let sum = mcp.call("call_tool", json!({"name": "fx__add", "arguments": {"a": 2, "b": 3}}));
        assert_eq!(sum.result()["structuredContent"], json!({"sum": 5}));
        let asked = mcp.call("call_tool", json!({"name": "fx__ask", "arguments": {"message": "which?"}}));
        assert_eq!(asked.text(), "given");
        let missing = mcp.call("call_tool", json!({"name": "fx__ad", "arguments": {}}));
        assert_eq!(missing.result()["isError"], json!(true));
    }
}

#[test]
fn a_large_result_is_read_page_by_page() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    daemon.profile(Profile { name: "small".into(), result_limit: Some(20_000), ..Profile::default() });
    for era in Era::BOTH {
        let mut mcp = in_profile(&daemon, "small", era);
        let whole = mcp.call("fx__big", json!({"bytes": 1000}));
        assert_eq!(whole.text().len(), 1000);
        let short = mcp.call("fx__big", json!({"bytes": 100_000}));
        let size = short.result().to_string().len();
        assert!(size < 25_000, "{size} bytes");
        let at = short.text().find("res-").unwrap_or_else(|| panic!("no handle in {}", short.text()));
        let handle = short.text()[at..].split('`').next().unwrap();
        let mut count = 0;
        for page in 1.. {
            let answer = mcp.call("read_result", json!({"handle": handle, "page": page}));
            let text = answer.text();
            count += text.matches('x').count();
            let (_, mark) = text.rsplit_once("[page ").unwrap();
            let (_, pages) = mark.trim_end_matches(']').split_once(" of ").unwrap();
            if pages.parse::<u64>().unwrap() == page {
                break;
            }
        }
        assert_eq!(count, 100_000);
    }
}

#[test]
fn instructions_and_capabilities_of_servers_are_merged() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("one", EraChoice::Legacy, &[]));
    daemon.add(fixture_server("two", EraChoice::Modern, &[]));
    daemon.live(Live::Refresh { names: Vec::new(), bounded: false });
    for era in Era::BOTH {
        let mcp = Mcp::connect(&daemon, Door::Socket, era);
        let capabilities = &mcp.greeting["capabilities"];
        assert_eq!(capabilities["tools"], json!({"listChanged": true}));
        assert_eq!(capabilities["resources"], json!({"listChanged": true, "subscribe": true}));
        assert!(capabilities["completions"].is_object(), "{capabilities}");
    }
}

#[test]
fn a_server_that_dies_or_changes_is_started_again_for_those_who_wait_for_its_news() {
    const URI: &str = "test://watched-resource";
    for server in [EraChoice::Legacy, EraChoice::Modern] {
        let daemon = Daemon::start();
        daemon.add(fixture_server("fx", server, &[]));
        let mut mcp = Mcp::connect(&daemon, Door::Bridge, Era::Legacy);
        mcp.tools();
        mcp.ask("resources/subscribe", json!({"uri": URI})).result();
        let mut pid = pid_other_than(&daemon, None);
        mcp.call("fx__fault", json!({"name": "exit-mid-call"})).result();
        pid = pid_other_than(&daemon, Some(pid));
        daemon.add(fixture_server("fx", server, &["--delay-ms", "1"]));
        pid_other_than(&daemon, Some(pid));
        // It runs, and nobody has called it: from a moment on it tells of changes again.
        let deadline = Instant::now() + Duration::from_secs(10);
        while mcp.call("fx__update_resource", json!({"uri": URI})).heard(UPDATED).is_empty() {
            assert!(Instant::now() < deadline, "no word of the change");
        }
    }
}

const UPDATED: &str = "notifications/resources/updated";

/// Waits until the only server runs as another process.
fn pid_other_than(daemon: &Daemon, old: Option<u32>) -> u32 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let LiveReply::Status(status) = daemon.live(Live::Status) else { panic!("no status") };
        if let Some(pid) = status.servers[0].pid.filter(|pid| Some(*pid) != old) {
            return pid;
        }
        assert!(Instant::now() < deadline, "not started again: {:?}", status.servers[0]);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_ending_daemon_answers_those_who_listen() {
    for door in [Door::Socket, Door::Http] {
        let daemon = Daemon::start();
        let mut mcp = Mcp::connect(&daemon, door, Era::Modern);
        let id = mcp.start("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
        mcp.hear("notifications/subscriptions/acknowledged");
        daemon.live(Live::Stop);
        let last = mcp.wait(&id);
        let meta = json!({"io.modelcontextprotocol/subscriptionId": id});
        assert_eq!(last.result(), &json!({"resultType": "complete", "_meta": meta}));
    }
}

/// Past calls of one server, newest first, once there are so many.
fn history(daemon: &Daemon, count: usize) -> Vec<usage::Call> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let request = usage::Request::History {
            server: Some("fx".into()),
            tool: None,
            failed: false,
            since: None,
            limit: 100,
        };
        let Reply::Usage(usage::Reply::History(entries)) = daemon.ask(request) else { panic!("no history") };
        if entries.len() >= count {
            return entries.into_iter().map(|entry| entry.call).collect();
        }
        assert!(Instant::now() < deadline, "{} of {count} calls are recorded", entries.len());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_hybrid_profile_lists_what_is_used_and_a_cached_call_is_use_too() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    daemon.profile(Profile { name: "mixed".into(), mode: Mode::Hybrid, ..Profile::default() });
    let mut mcp = Mcp::connect(&daemon, Door::Socket, Era::Legacy);
    mcp.tools();
    let cache =
        tools::Request::Cache { server: "srv_fx".into(), tool: "counter".into(), ttl_ms: Some(60_000) };
    daemon.ask(cache);
    let counts: Vec<_> = (0..3).map(|_| mcp.call("fx__counter", json!({})).text().to_string()).collect();
    assert_eq!(counts, ["1", "1", "1"]);
    let calls = history(&daemon, 3);
    let marks: Vec<_> = calls.iter().map(|call| (call.class, call.cached)).collect();
    assert_eq!(marks, [(usage::Class::Ok, true), (usage::Class::Ok, true), (usage::Class::Ok, false)]);
    let listed = in_profile(&daemon, "mixed", Era::Legacy).tools();
    assert_eq!(listed, ["fx__counter", "find_tools", "describe_tool", "call_tool", "read_result"]);
}
