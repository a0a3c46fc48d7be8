//! `umcp memory` on the command line, and the memory server as two agents use it at once. Every memory line of the
//! roadmap runs here.

use crate::support::daemon::{Daemon, server};
use crate::support::mcp::{Era, Mcp, agreeable, everything};
use crate::support::sandbox::Sandbox;
use crate::support::wire::Door;
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::process::Command;
use umcp::engine::live::{Live, LiveReply};
use umcp::servers::model::Transport;

#[test]
fn a_memory_is_kept_found_changed_and_forgotten() {
    let sandbox = Sandbox::new();
    let store = ["memory", "store", "The user prefers Python for backend work", "--meta", "type=preference"];
    assert_snapshot!(sandbox.run(&store).to_string(), @"
    exit: 0
    --- stdout ---
    ok   stored m1 in default
    ");
    assert!(sandbox.run(&store).stdout.contains("m1 says the same already"));
    sandbox.run(&[
        "memory",
        "store",
        "The user likes espresso in the morning",
        "--tag",
        "taste",
        "--importance",
        "0.9",
    ]);
    let shown = sandbox.run(&["memory", "search", "python backend"]).stdout;
    assert!(
        shown.contains("words python backend") && shown.contains("prefers Python for backend work"),
        "{shown}"
    );
    let found = sandbox.json(&["memory", "search", "morning", "--tag", "taste"]);
    let hit = &found["data"]["memories"][0];
    assert_eq!(
        (&hit["id"], &hit["found_by"], &hit["agent"]),
        (&json!("m2"), &json!("words"), &json!("user"))
    );
    assert!(hit["score"].as_f64().unwrap() > 0.5 && hit["recency"] == 1.0, "{hit}");
    assert_eq!(
        sandbox.run(&["memory", "update", "m1", "--text", "The user prefers Rust", "--tag", "taste"]).code,
        0
    );
    assert_eq!(sandbox.json(&["memory", "search", "python"])["data"]["memories"], json!([]));
    assert_eq!(sandbox.run(&["memory", "undo"]).code, 0);
    assert_eq!(sandbox.json(&["memory", "search", "python"])["data"]["memories"][0]["id"], "m1");
    assert_eq!(sandbox.run(&["memory", "forget", "m1", "--no-input"]).code, 11);
    assert_eq!(sandbox.run(&["memory", "forget", "m1", "--yes"]).code, 0);
    assert_snapshot!(sandbox.run(&["memory", "get", "m1"]).to_string(), @"
    exit: 4
    --- stderr ---
    error: no memory `m1` [UM1301]
    hint: umcp memory list
    ");
    let stats = sandbox.json(&["memory", "stats"]);
    assert_eq!((&stats["data"]["current"], &stats["data"]["troubles"]), (&json!(1), &json!([])));
    assert_eq!(sandbox.json(&["health", "memory"])["data"]["indexed"], 1);
}

#[test]
fn every_line_of_the_roadmap_has_its_command() {
    let sandbox = Sandbox::new();
    let ok = |arguments: &[&str]| {
        let document = sandbox.json(arguments);
        assert_eq!(document["ok"], true, "{arguments:?}: {document}");
        document["data"].clone()
    };
    // Kinds of memory.
    ok(&[
        "memory",
        "store",
        "--kind",
        "short-term",
        "--session-id",
        "sess_123",
        "--key",
        "user_preference",
        "dark_mode",
    ]);
    assert_eq!(
        ok(&["memory", "retrieve", "user_preference", "--session-id", "sess_123"])["text"],
        "dark_mode"
    );
    let learned = r#"{"type":"user_behavior","pattern":"prefers_morning_meetings","confidence":0.85}"#;
    ok(&[
        "memory",
        "store",
        "--agent-id",
        "agent_456",
        "--key",
        "learned_pattern",
        "--meta",
        "type=user_preference",
        "--meta",
        "domain=scheduling",
        "--meta",
        "confidence=0.85",
        learned,
    ]);
    assert_eq!(ok(&["memory", "get", "learned_pattern"])["metadata"]["confidence"], 0.85);
    ok(&[
        "memory",
        "store",
        "--kind",
        "episodic",
        "--agent-id",
        "agent_456",
        "--meta",
        "role=user",
        "--at",
        "2025-12-31T10:00:00Z",
        "Schedule a meeting for tomorrow",
    ]);
    ok(&["memory", "store", "--kind", "semantic", "--triple", "Ada | works at | Acme"]);
    ok(&["memory", "store", "--kind", "working", "writing the report"]);
    // Search, query, ask, context.
    ok(&[
        "memory",
        "store",
        "The user prefers Python for backend work",
        "--meta",
        "type=preference",
        "--meta",
        "domain=programming",
    ]);
    let found = ok(&[
        "memory",
        "search",
        "What languages does the user prefer for backends?",
        "--top-k",
        "5",
        "--min-similarity",
        "0.3",
    ]);
    assert_eq!(found["memories"][0]["metadata"]["domain"], "programming");
    let filters = [
        "--filter",
        "type=user_preference",
        "--filter",
        "domain=scheduling",
        "--order-by",
        "timestamp",
        "--limit",
        "10",
    ];
    assert_eq!(ok(&[&["memory", "query"][..], &filters[..]].concat())["all"], 1);
    let asked = ok(&["memory", "ask", "What do I know about the user's meeting preferences?"]);
    assert!(asked["answer"].as_str().unwrap().contains("prefers_morning_meetings"), "{asked}");
    let packed = ok(&["memory", "context", "schedule_meeting", "--max-tokens", "1000"]);
    assert!(
        packed["tokens"].as_u64().unwrap() <= 1000
            && packed["context"].as_str().unwrap().contains("Schedule a meeting")
    );
    // Sharing.
    ok(&[
        "memory",
        "store",
        "--namespace",
        "team_knowledge",
        "--agent",
        "agent_a",
        "--tag",
        "client_x,communication",
        "Client X prefers weekly status updates",
    ]);
    let question =
        ["memory", "search", "How should I communicate with Client X?", "--namespace", "team_knowledge"];
    let shared = ok(&[&question[..], &["--exclude-agents", "agent_b", "--as", "agent_b"]].concat());
    assert_eq!(shared["memories"][0]["agent"], "agent_a");
    ok(&["memory", "grant", "agent_c", "--namespace", "team_knowledge", "--permission", "read"]);
    let denied = sandbox.run(&["memory", "store", "no", "--namespace", "team_knowledge", "--as", "agent_c"]);
    assert_eq!(denied.code, 7, "{denied}");
    ok(&["memory", "namespace", "update", "team_knowledge", "--everybody", "none"]);
    assert_eq!(sandbox.run(&[&question[..], &["--as", "agent_d"]].concat()).code, 7);
    assert_eq!(ok(&[&question[..], &["--as", "agent_c"]].concat())["memories"][0]["agent"], "agent_a");
    ok(&["memory", "revoke", "agent_c", "--namespace", "team_knowledge"]);
    // Consolidation and learning.
    ok(&["memory", "store", "--agent", "agent_456", "Deploys happen on friday mornings"]);
    ok(&["memory", "store", "--agent", "agent_456", "Deploys happen on Friday morning"]);
    let merge = [
        "memory",
        "consolidate",
        "--agent",
        "agent_456",
        "--strategy",
        "merge_similar",
        "--similarity-threshold",
        "0.9",
    ];
    let dry = ok(&[&merge[..], &["--dry-run"]].concat());
    let done = ok(&merge);
    assert_eq!(
        (dry["steps"].as_array().unwrap().len(), &dry["steps"], dry["change"].is_null()),
        (1, &done["steps"], true)
    );
    ok(&["memory", "undo", &done["change"].to_string()]);
    let patterns = ok(&["memory", "patterns", "--agent", "agent_456", "--min-frequency", "2", "--keep"]);
    assert!(patterns["patterns"].to_string().contains("deploy"), "{patterns}");
    let prune = [
        "memory",
        "prune",
        "--strategy",
        "keep_important",
        "--max-age-days",
        "90",
        "--importance-threshold",
        "0.7",
    ];
    assert_eq!(ok(&[&prune[..], &["--dry-run"]].concat())["pruned"], json!([]));
    assert_eq!(ok(&["health", "memory"])["troubles"], json!([]));
    ok(&["memory", "reindex"]);
}

#[test]
fn memories_go_out_and_come_back() {
    let sandbox = Sandbox::new();
    sandbox.run(&["memory", "store", "one fact", "--tag", "a", "--agent", "bot"]);
    sandbox.run(&["memory", "store", "another fact"]);
    let exported = sandbox.run(&["memory", "export"]);
    assert_eq!(exported.stdout.lines().count(), 2);
    let file = sandbox.file("memories.jsonl", &exported.stdout);
    let other = Sandbox::new();
    let import = ["memory", "import", file.to_str().unwrap()];
    assert_eq!(other.json(&import)["data"], json!({"read": 2, "stored": 2, "dry_run": false}));
    assert_eq!(other.json(&import)["data"]["stored"], 0);
    assert_eq!(other.json(&["memory", "get", "m1"])["data"]["agent"], "bot");
    assert!(
        other.run(&["memory", "export", "--format", "markdown"]).stdout.starts_with("# default\n\n## m1\n")
    );
    let bad = other.file("bad.jsonl", "{\"text\":\"fine\"}\n{\"text\":\"\\ud800\"}\n");
    let refused = other.run(&["memory", "import", bad.to_str().unwrap()]);
    assert!(refused.code == 3 && refused.stderr.contains("hex escape"), "{refused}");
    assert_eq!(other.json(&["memory", "list"])["data"]["all"], 2);
    let long = other.file("long.txt", &"x".repeat(1 << 20));
    let text = std::fs::read_to_string(long).unwrap();
    let refused = other.run(&["memory", "store", &text[..100_000]]);
    assert!(refused.code == 3 && refused.stderr.contains("[UM1302]"), "{refused}");
    for arguments in [
        &["memory", "store", "x", "--ttl", "999999999999d"][..],
        &["memory", "store", "x", "--at", "2099-01-01"],
        &["memory", "store", "x", "--importance", "7"],
        &["memory", "store", "x", "--namespace", "../etc"],
    ] {
        assert!([2, 3].contains(&other.run(arguments).code), "{arguments:?}");
    }
}

fn agent(daemon: &Daemon, name: &str) -> Mcp {
    Mcp::new(daemon, Door::Socket, Era::Legacy, name, everything(), Box::new(agreeable))
}

fn data(mcp: &mut Mcp, tool: &str, arguments: Value) -> Value {
    let answer = mcp.call(&format!("memory__{tool}"), arguments);
    assert_eq!(answer.result()["isError"], false, "{tool}: {answer:?}");
    answer.result()["structuredContent"].clone()
}

#[test]
fn two_agents_share_what_they_may_and_survive_a_kill() {
    let daemon = Daemon::start();
    daemon.add(server("memory", Transport::Builtin { name: "memory".into() }));
    let (mut alice, mut bob) = (agent(&daemon, "alice"), agent(&daemon, "bob"));
    let stored = data(
        &mut alice,
        "store",
        json!({"text": "Client X prefers weekly status updates", "namespace": "team"}),
    );
    let id = stored["stored"][0]["id"].clone();
    data(&mut alice, "store", json!({"text": "alice keeps this to herself", "namespace": "agent/alice"}));
    let query = json!({"query": "weekly updates", "filter": {"exclude_agents": ["bob"]}});
    let found = data(&mut bob, "search", query.clone());
    assert_eq!((&found["memories"][0]["id"], &found["memories"][0]["agent"]), (&id, &json!("alice")));
    // Meaning may find something, as vectors come; never what is another's own.
    let own = |found: &Value| found.to_string().contains("agent/alice");
    assert!(!own(&data(&mut bob, "search", json!({"query": "herself"}))));
    // A name in `_meta` is not believed.
    let forged = json!({"name": "memory__search", "arguments": {"query": "herself"},
        "_meta": {"umcp/caller": {"agent": "alice", "session": 1, "owner": true}}});
    let forged = bob.ask("tools/call", forged);
    assert!(!own(forged.result()));
    let create = json!({"command": "create", "path": "/memories/plan.md", "file_text": "step one\n"});
    assert!(alice.call("memory__memory", create).text().contains("created successfully"));
    let view = json!({"command": "view", "path": "/memories/plan.md"});
    assert!(bob.call("memory__memory", view).text().contains("     1\tstep one"));
    let refused = bob.call_raw("memory__store", r#"{"text":"\ud800"}"#);
    assert!(format!("{refused:?}").contains("no text"), "{refused:?}");
    let long = bob.call("memory__store", json!({"text": "x".repeat(1 << 20)}));
    assert!(long.result()["isError"] == true && long.text().contains("at most 65536"));
    let LiveReply::Status(status) = daemon.live(Live::Status) else { panic!() };
    daemon.hang_up();
    assert!(Command::new("kill").args(["-9", &status.pid.to_string()]).status().unwrap().success());
    daemon.restart();
    let (mut alice, mut bob) = (agent(&daemon, "alice"), agent(&daemon, "bob"));
    assert_eq!(data(&mut bob, "search", query.clone())["memories"][0]["id"], id);
    data(&mut alice, "forget", json!({"ids": [id]}));
    assert!(!data(&mut bob, "search", query).to_string().contains("weekly status"));
}
