//! `umcp tool` and `umcp call` without a daemon: the stored catalogue, and arguments that are refused before a call.

use crate::support::sandbox::{NOW, Sandbox};
use insta::assert_snapshot;
use umcp::clock::{Clock, Timestamp};
use umcp::engine::{Engine, Reply, StoreRequest};
use umcp::servers::model::Transport;
use umcp::store::Store;
use umcp::tools::{Catalogue, Era, Request, Tool};
use umcp::usage::{CALLS, Call, Class, Door};
use umcp::{paths, servers};

/// A home with one server whose tools and calls are already stored.
fn stocked() -> Sandbox {
    let sandbox = Sandbox::new();
    let places = paths::Paths::in_folder(&sandbox.home().parent().unwrap().join("umcp"), sandbox.home());
    places.create().unwrap();
    let now = Timestamp::parse(NOW).unwrap();
    let store = Store::open(&places.store(), now).unwrap();
    let engine = Engine::new(store, Clock::Fixed(now)).with_names_index(places.names_index());
    let entry = servers::fresh("files", Transport::Stdio { command: "files".into(), args: vec![] }, now);
    let id = entry.id.clone();
    let added =
        engine.call(StoreRequest::Server(servers::Request::Add { servers: vec![entry], replace: false }));
    assert!(matches!(added.unwrap(), Reply::Server(_)));
    engine
        .call(StoreRequest::Tool(Request::PutCatalogue { server: id, catalogue: Box::new(catalogue(now)) }))
        .unwrap();
    engine.append(&CALLS, now, &call("read_file", Class::Ok, None));
    engine.append(&CALLS, now, &call("read_file", Class::Error, Some("UM0503")));
    engine.store().flush().unwrap();
    engine.store().clone().close().unwrap();
    sandbox
}

fn catalogue(now: Timestamp) -> Catalogue {
    let tool = |name: &str, json: serde_json::Value| Tool { name: name.into(), json: json.to_string() };
    let read = serde_json::json!({"name": "read_file", "description": "Read the complete contents of a file. Text only.",
        "inputSchema": {"type": "object", "required": ["path"], "additionalProperties": false, "properties": {
            "path": {"type": "string", "description": "Where it is"},
            "head": {"type": "integer", "description": "First lines only"},
            "tags": {"type": "array", "items": {"type": "string"}, "description": "Any"}}}});
    let list = serde_json::json!({"name": "list", "inputSchema": {"type": "object", "required": ["dir"]}});
    Catalogue {
        era: Era::Legacy,
        revision: "2025-11-25".into(),
        transport: None,
        server_info: r#"{"name": "files-server", "version": "3.0"}"#.into(),
        capabilities: r#"{"tools": {}}"#.into(),
        instructions: None,
        tools: vec![tool("read_file", read), tool("list", list)],
        prompts: vec![],
        resources: vec![],
        templates: vec![],
        warnings: vec!["tool 3 has no name".into()],
        fetched: now,
        entry_revision: 1,
    }
}

fn call(tool: &str, class: Class, error: Option<&str>) -> Call {
    Call {
        client: "cursor".into(),
        door: Door::Stdio,
        profile: None,
        server: "files".into(),
        tool: tool.into(),
        duration_us: 12_300,
        request_bytes: 40,
        result_bytes: 400,
        class,
        error: error.map(String::from),
    }
}

#[test]
fn tools_are_listed_and_shown_from_the_store() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["tool", "list"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "show", "files.read_file"]), @"");
    assert_snapshot!(sandbox.run(&["server", "show", "files"]), @"");
    assert_snapshot!(sandbox.run(&["server", "inspect", "files"]), @"");
}

#[test]
fn a_tool_that_is_not_there_is_told_with_what_was_meant() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["call", "files.raed_file"]), @"");
    assert_snapshot!(sandbox.run(&["call", "flies.read_file"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "show", "raed_file"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "disable", "files.x*"]), @"");
}

#[test]
fn arguments_are_checked_before_anything_is_called() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["call", "files.read_file"]), @"");
    assert_snapshot!(sandbox.run(&["files.read_file", "path=a", "head=many"]), @"");
    assert_snapshot!(sandbox.run(&["--quiet", "files.read_file", "path=a", "tags:=[1]"]), @"");
    assert_snapshot!(sandbox.run(&["call", "read_file", "pth=a"]), @"");
    assert_snapshot!(sandbox.run(&["call", "read_file", "path"]), @"");
    assert_snapshot!(sandbox.run(&["call", "read_file", "path=@none.txt"]), @"");
    assert_snapshot!(sandbox.run(&["call", "read_file", "{\"path\": }"]), @"");
    assert_eq!(sandbox.json(&["files.read_file"])["error"]["code"], "UM0408");
}

#[test]
fn what_clients_see_is_changed() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["tool", "disable", "files.*"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "enable", "files.list"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "alias", "files.list", "ls"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "show", "ls"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "list", "--disabled", "-q"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "alias", "files.list", "umcp__x"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "alias", "files.list", "--remove"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "cache", "files.list", "--keep", "5m"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "cache", "files.list"]), @"");
}

#[test]
fn definitions_are_judged_and_counted() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["tool", "lint"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "budget"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "budget", "--server", "files"]), @"");
}

#[test]
fn past_calls_are_shown() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["tool", "history"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "history", "files.read_file", "--failed", "--json"]), @"");
    assert_snapshot!(sandbox.run(&["tool", "history", "other"]), @"");
    assert_snapshot!(sandbox.run(&["events"]), @"");
    assert_snapshot!(sandbox.run(&["events", "--json", "-n", "1"]), @"");
}

#[test]
fn names_are_completed_from_the_index_alone() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["__complete", "--", "call", "files."]), @"");
    assert_snapshot!(sandbox.run(&["__complete", "--", "server", "show", ""]), @"");
}
