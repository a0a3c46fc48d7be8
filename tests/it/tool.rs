//! `umcp tool` and `umcp call` without a daemon: the stored catalogue, and arguments that are refused before a call.

use crate::support::daemon::{Daemon, UMCP, fixture_server, server, stdio};
use crate::support::sandbox::{NOW, Sandbox};
use insta::assert_snapshot;
use umcp::clock::{Clock, Timestamp};
use umcp::engine::{Engine, Reply, StoreRequest};
use umcp::servers::model::{EraChoice, Transport};
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
    engine.call(StoreRequest::Tool(Request::PutCatalogues(vec![(id, Box::new(catalogue(now)))]))).unwrap();
    for call in [call("read_file", Class::Ok, None), call("read_file", Class::Error, Some("UM0503"))] {
        engine.store().append(&CALLS, now, &call).unwrap();
    }
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
        cached: false,
        detail: umcp::usage::Detail::default(),
    }
}

#[test]
fn tools_are_listed_and_shown_from_the_store() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["tool", "list"]), @"
    exit: 0
    --- stdout ---
    TOOL             STATE  WHAT IT DOES
    files.read_file  shown  Read the complete contents of a file
    files.list       shown
    ");
    assert_snapshot!(sandbox.run(&["tool", "show", "files.read_file"]), @"
    exit: 0
    --- stdout ---
    files.read_file
    Read the complete contents of a file. Text only.

    ARGUMENT  TYPE      NEEDED  MEANING
    path      string    yes     Where it is
    head      integer   no      First lines only
    tags      string[]  no      Any

    umcp call files.read_file path=STRING
    ");
    assert_snapshot!(sandbox.run(&["server", "show", "files"]), @"
    exit: 0
    --- stdout ---
    files
    state      enabled
    transport  stdio
    target     files
    id         srv_[ID]

    server  files-server 3.0 (revision 2025-11-25)
    offers  2 tools, 0 prompts, 0 resources, 0 templates
    as of   2026-01-02T03:04:05.000Z
    - tool 3 has no name
    ");
    assert_snapshot!(sandbox.run(&["server", "inspect", "files"]), @"
    exit: 0
    --- stdout ---
    files
    server     files-server 3.0
    revision   2025-11-25
    abilities  tools

    tools (2)
    - read_file: Read the complete contents of a file. Text only.
    - list
    warn tool 3 has no name
    ");
}

#[test]
fn a_tool_that_is_not_there_is_told_with_what_was_meant() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["call", "files.raed_file"]), @"
    exit: 4
    --- stderr ---
    error: no tool named `files.raed_file` [UM0406]
    hint: did you mean `files.read_file`?
    ");
    assert_snapshot!(sandbox.run(&["call", "flies.read_file"]), @"
    exit: 4
    --- stderr ---
    error: no server named `flies` [UM0401]
    hint: did you mean `files`?
    ");
    assert_snapshot!(sandbox.run(&["tool", "show", "raed_file"]), @"
    exit: 4
    --- stderr ---
    error: no tool named `raed_file` [UM0406]
    hint: did you mean `files.read_file`?
    ");
    assert_snapshot!(sandbox.run(&["tool", "disable", "files.x*"]), @"
    exit: 4
    --- stderr ---
    error: no tool named `files.x*` [UM0406]
    hint: umcp tool search x*
    hint: umcp tool list
    ");
}

#[test]
fn arguments_are_checked_before_anything_is_called() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["call", "files.read_file"]), @"
    exit: 2
    --- stderr ---
    error: the arguments do not fit: `path` is a required property [UM0408]
    hint: umcp tool show files.read_file
    ");
    assert_snapshot!(sandbox.run(&["files.read_file", "path=a", "head=many"]), @"
    exit: 2
    --- stderr ---
    error: `head` does not fit: `many` is not of type `integer` [UM0408]
    hint: umcp tool show files.read_file
    ");
    assert_snapshot!(sandbox.run(&["--quiet", "files.read_file", "path=a", "tags:=[1]"]), @"
    exit: 2
    --- stderr ---
    error: `tags[0]` does not fit: 1 is not of type `string` [UM0408]
    hint: umcp tool show files.read_file
    ");
    assert_snapshot!(sandbox.run(&["call", "read_file", "pth=a"]), @"
    exit: 2
    --- stderr ---
    error: the arguments do not fit: Additional properties are not allowed (`pth` was unexpected) [UM0408]
    hint: also `path` is a required property
    hint: did you mean `path` instead of `pth`?
    hint: umcp tool show files.read_file
    ");
    assert_snapshot!(sandbox.run(&["call", "read_file", "path"]), @"
    exit: 2
    --- stderr ---
    error: `path` is not of the form NAME=VALUE [UM0408]
    hint: give NAME=TEXT, NAME:=JSON, NAME=@FILE, NAME=- for stdin, or one JSON object
    ");
    assert_snapshot!(sandbox.run(&["call", "read_file", "path=@none.txt"]), @"
    exit: 4
    --- stderr ---
    error: cannot read `none.txt` [UM0107]
    because: No such file or directory (os error 2)
    ");
    assert_snapshot!(sandbox.run(&["call", "read_file", "{\"path\": }"]), @"
    exit: 2
    --- stderr ---
    error: the argument is not a JSON object [UM0408]
    because: expected value at line 1 column 10
    ");
    assert_eq!(sandbox.json(&["files.read_file"])["error"]["code"], "UM0408");
}

#[test]
fn what_clients_see_is_changed() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["tool", "disable", "files.*"]), @"
    exit: 0
    --- stdout ---
    ok   disabled files.read_file
    ok   disabled files.list
    ");
    assert_snapshot!(sandbox.run(&["tool", "enable", "files.list"]), @"
    exit: 0
    --- stdout ---
    ok   enabled files.list
    ");
    assert_snapshot!(sandbox.run(&["tool", "alias", "files.list", "ls"]), @"
    exit: 0
    --- stdout ---
    ok   `ls` is now files.list
    ");
    assert_snapshot!(sandbox.run(&["tool", "show", "ls"]), @"
    exit: 0
    --- stdout ---
    files.list

    it takes no arguments

    clients see it as ls
    umcp call files.list
    ");
    assert_snapshot!(sandbox.run(&["tool", "list", "--disabled", "-q"]), @"
    exit: 0
    --- stdout ---
    files.read_file
    ");
    assert_snapshot!(sandbox.run(&["tool", "alias", "files.list", "umcp__x"]), @"
    exit: 3
    --- stderr ---
    error: `umcp__x` cannot be the name of a tool [UM0104]
    hint: use 1 to 50 letters, digits, `-` and `_`, not starting with `umcp__`
    ");
    assert_snapshot!(sandbox.run(&["tool", "alias", "files.list", "--remove"]), @"
    exit: 0
    --- stdout ---
    ok   no other name for files.list
    ");
    assert_snapshot!(sandbox.run(&["tool", "cache", "files.list", "--keep", "5m"]), @"
    exit: 0
    --- stdout ---
    ok   cached for 5m: files.list
    ");
    assert_snapshot!(sandbox.run(&["tool", "cache", "files.list"]), @"
    exit: 2
    --- stderr ---
    error: the following required arguments were not provided: --keep <TIME> [UM0003]
    hint: umcp tool cache --help
    ");
}

#[test]
fn definitions_are_judged_and_counted() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["tool", "lint"]), @"
    exit: 13
    --- stdout ---
    FAIL files.list: `dir` is required but not described (required-unknown)
    warn files.list: it has no description, so models have to guess (description-missing)
    2 tools checked, 2 findings
    --- stderr ---
    error: 1 error in definitions [UM0010]
    ");
    assert_snapshot!(sandbox.run(&["tool", "budget"]), @"
    exit: 0
    --- stdout ---
    SERVER  TOOLS  TOKENS  CALLS
    files       2     108      2

    these tools together: about 108 tokens
    never called in 30 days: 1 tool, 17 tokens
    --- stderr ---
    no daemon is running; with one the modes are compared (umcp gateway start --detach)
    ");
    assert_snapshot!(sandbox.run(&["tool", "budget", "--server", "files"]), @"
    exit: 0
    --- stdout ---
    TOOL             TOOLS  TOKENS  CALLS
    files.read_file      1      91      2
    files.list           1      17      0

    these tools together: about 108 tokens
    never called in 30 days: 1 tool, 17 tokens
    --- stderr ---
    no daemon is running; with one the modes are compared (umcp gateway start --detach)
    ");
}

#[test]
fn past_calls_are_shown() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["tool", "history"]), @"
    exit: 0
    --- stdout ---
    WHEN      CLIENT  TOOL             RESULT         TIME  TOKENS
    just now  cursor  files.read_file  error UM0503  12 ms     110
    just now  cursor  files.read_file  ok            12 ms     110
    ");
    assert_snapshot!(sandbox.run(&["tool", "history", "files.read_file", "--failed", "--json"]), @r#"
    exit: 0
    --- stdout ---
    {"ok":true,"kind":"tool.history/1","data":[{"at":"2026-01-02T03:04:05.000Z","tokens":110,"client":"cursor","door":"stdio","profile":null,"server":"files","tool":"read_file","duration_us":12300,"request_bytes":40,"result_bytes":400,"class":"error","error":"UM0503","cached":false,"detail":{"entity":"tool","session":0,"user":null,"agent":null,"workflow":null,"environment":null,"model":null,"tokens":null,"api_calls":null,"compute_us":null,"storage_bytes":0,"cost":null,"metrics":{},"metadata":null}}],"warnings":[]}
    "#);
    assert_snapshot!(sandbox.run(&["tool", "history", "other"]), @"
    exit: 0
    --- stdout ---
    no calls yet
    ");
    assert_snapshot!(sandbox.run(&["events"]), @"
    exit: 0
    --- stdout ---
    2026-01-02T03:04:05.000Z call files.read_file by cursor: ok in 12 ms
    2026-01-02T03:04:05.000Z call files.read_file by cursor: error in 12 ms
    ");
    assert_snapshot!(sandbox.run(&["events", "--json", "-n", "1"]), @r#"
    exit: 0
    --- stdout ---
    {"type":"call","at":1767323045000000,"client":"cursor","server":"files","tool":"read_file","class":"error","duration_us":12300}
    {"type":"result","ok":true,"events":1}
    "#);
}

#[test]
fn names_are_completed_from_the_index_alone() {
    let sandbox = stocked();
    assert_snapshot!(sandbox.run(&["__complete", "--", "call", "files."]), @"
    exit: 0
    --- stdout ---
    files.read_file	path head tags
    files.list
    ");
    assert_snapshot!(sandbox.run(&["__complete", "--", "call", "files.read_file", "path=x", ""]), @"
    exit: 0
    --- stdout ---
    head=
    tags=
    ");
    assert_snapshot!(sandbox.run(&["__complete", "--", "server", "show", ""]), @"
    exit: 0
    --- stdout ---
    files	enabled
    ");
}

#[test]
fn a_list_of_one_server_asks_that_one_alone() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    daemon.add(server("gone", stdio("/nonexistent/program", Vec::<String>::new())));
    let list = |arguments: &[&str]| {
        let mut command = std::process::Command::new(UMCP);
        command.args(["tool", "list", "--json"]).args(arguments).env("UMCP_HOME", daemon.folder());
        let output = command.output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for one in [&["--server", "fx"][..], &["fx"]] {
        let (listed, said) = list(one);
        assert!(listed.contains("\"fx.echo\"") && !listed.contains("gone"), "{listed}");
        assert!(!said.contains("gone"), "{said}");
    }
    let (listed, _) = list(&[]);
    assert!(listed.contains("gone did not answer"), "{listed}");
}
