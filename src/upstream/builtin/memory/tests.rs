//! The memory tools as their callers see them: who is told from whom, what is refused, what is bounded.

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::store::Store;

fn server() -> Arc<Memory> {
    let clock = Clock::Fixed(Timestamp::from_millis(1_800_000_000_000));
    let engine = Some(Engine::new(Store::memory(), clock));
    Arc::new(Memory::new(&Options { engine, ..Options::default() }))
}

fn call(server: &Arc<Memory>, agent: &str, tool: &str, arguments: Value) -> Result<Output> {
    let caller = json!({"agent": agent, "session": 1, "owner": agent == "owner"});
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(server.clone().call(tool.into(), arguments, Some(caller)))
}

fn data(server: &Arc<Memory>, agent: &str, tool: &str, arguments: Value) -> Value {
    call(server, agent, tool, arguments).unwrap().data.unwrap()
}

#[test]
fn one_agent_stores_and_another_finds_with_provenance() {
    let server = server();
    let text = "Client X prefers weekly status updates";
    let metadata = json!({"type": "preference"});
    let new = json!({"namespace": "team", "text": text, "tags": ["client_x"], "metadata": metadata, "agent": "mallory"});
    // The name an agent gives itself counts nothing.
    assert_eq!(data(&server, "a", "store", new.clone()), json!({"stored": [{"id": "m1", "new": true}]}));
    assert_eq!(data(&server, "a", "store", new), json!({"stored": [{"id": "m1", "new": false}]}));
    let query = json!({"query": "status updates for Client X", "filter": {"exclude_agents": ["b"]}});
    let found = data(&server, "b", "search", query.clone());
    let hit = &found["memories"][0];
    assert_eq!((&hit["id"], &hit["agent"], &hit["text"]), (&json!("m1"), &json!("a"), &json!(text)));
    assert!(hit["similarity"].as_f64().unwrap() > 0.5 && hit["found_by"] == "words", "{hit}");
    let own = json!({"query": "status updates", "filter": {"exclude_agents": ["a"]}});
    assert_eq!(data(&server, "b", "search", own)["memories"], json!([]));
    let asked = call(&server, "b", "ask", json!({"question": "How does Client X like updates?"})).unwrap();
    assert_eq!(asked.text, format!("{text} [m1, a, 2027-01-15]"));
    let packed = data(&server, "b", "context", json!({"task": "write to Client X", "max_tokens": 40}));
    assert_eq!(packed["context"], format!("Known:\n- {text} [m1]\n"));
    data(&server, "a", "forget", json!({"ids": ["m1"]}));
    assert_eq!(data(&server, "b", "search", query)["memories"], json!([]));
}

#[test]
fn what_is_an_agents_own_is_nobody_elses_until_granted() {
    let server = server();
    data(&server, "a", "store", json!({"namespace": "agent/a", "text": "a secret plan", "key": "plan"}));
    let get = || json!({"id": "plan", "namespace": "agent/a"});
    assert!(call(&server, "b", "get", get()).unwrap_err().message.contains("may not read"));
    assert!(call(&server, "b", "get", json!({"id": "m1"})).unwrap_err().message.contains("no memory `m1`"));
    assert_eq!(data(&server, "b", "search", json!({"query": "secret plan"}))["memories"], json!([]));
    let grant = json!({"agent": "b", "namespace": "agent/a"});
    assert!(call(&server, "b", "grant", grant.clone()).unwrap_err().message.contains("only the owner"));
    data(&server, "a", "grant", grant.clone());
    assert_eq!(data(&server, "b", "get", get())["text"], "a secret plan");
    let write = json!({"namespace": "agent/a", "text": "mine now"});
    assert!(call(&server, "b", "store", write).unwrap_err().message.contains("may not write"));
    assert!(
        call(&server, "b", "forget", json!({"ids": ["m1"]})).unwrap_err().message.contains("may not write")
    );
    data(&server, "a", "revoke", grant);
    assert!(call(&server, "b", "get", get()).is_err());
    assert_eq!(data(&server, "owner", "get", get())["agent"], "a");
}

#[test]
fn the_directory_has_six_verbs_and_no_way_out() {
    let server = server();
    let run = |arguments: Value| call(&server, "a", "memory", arguments).map(|output| output.text);
    let ok = |arguments: Value| run(arguments).unwrap();
    let words = |arguments: Value| run(arguments).unwrap_err().to_string();
    let path = "/memories/notes/a.md";
    assert_eq!(
        ok(json!({"command": "create", "path": path, "file_text": "one\ntwo\n"})),
        format!("File created successfully at: {path}")
    );
    assert!(words(json!({"command": "create", "path": path, "file_text": "x"})).contains("exists already"));
    assert_eq!(
        ok(json!({"command": "view", "path": path})),
        format!("Here's the content of {path} with line numbers:\n     1\tone\n     2\ttwo\n     3\t\n")
    );
    ok(json!({"command": "str_replace", "path": path, "old_str": "two", "new_str": "2"}));
    ok(json!({"command": "insert", "path": path, "insert_line": 0, "insert_text": "zero\n"}));
    let shown = ok(json!({"command": "view", "path": path, "view_range": [1, 3]}));
    assert!(shown.ends_with("     1\tzero\n     2\tone\n     3\t2\n"), "{shown}");
    data(&server, "a", "store", json!({"text": "a fact"}));
    let listed = ok(json!({"command": "view", "path": "/memories"}));
    assert!(
        listed.contains("/memories/notes/a.md\n") && listed.contains("/memories/long-term/m2.md\n"),
        "{listed}"
    );
    assert!(ok(json!({"command": "view", "path": "/memories/long-term/m2.md"})).contains("a fact"));
    ok(json!({"command": "rename", "old_path": "/memories/notes", "new_path": "/memories/old"}));
    assert!(words(json!({"command": "view", "path": path})).contains("does not exist"));
    for (path, why) in [
        ("/etc/passwd", "is not below /memories"),
        ("/memoriesx", "is not below"),
        ("/memories/../x", "no plain name"),
        ("/memories/%2e%2e/x", "no plain name"),
        ("/memories/a\\b", "no plain name"),
        ("/memories/a\nb", "no plain name"),
    ] {
        assert!(words(json!({"command": "create", "path": path, "file_text": "x"})).contains(why), "{path}");
    }
    let replace =
        json!({"command": "str_replace", "path": "/memories/old/a.md", "old_str": "e", "new_str": ""});
    assert!(words(replace).contains("stands in lines 1, 2"));
    ok(json!({"command": "delete", "path": "/memories/old"}));
    assert!(words(json!({"command": "delete", "path": "/memories"})).contains("cannot be deleted"));
    assert!(words(json!({"command": "format", "path": "/memories"})).contains("do not fit the tool"));
    assert_eq!(data(&server, "a", "search", json!({"query": "zero one"}))["memories"], json!([]));
}

#[test]
fn nonsense_is_refused_in_words() {
    let server = server();
    for (tool, arguments, words) in [
        ("store", json!({"text": "x".repeat(1 << 20)}), "a memory holds at most 65536"),
        ("store", json!({"text": 7}), "`text` is no text"),
        ("store", json!({"text": "x", "kind": "odd"}), "there is no kind"),
        ("store", json!({"text": "x", "ttl_seconds": u64::MAX}), "a hundred years"),
        ("store", json!({"text": "x", "ttl_seconds": -1}), "whole number"),
        ("store", json!({"text": "x", "created": "2031-01-01T00:00:00Z"}), "yet to come"),
        ("store", json!({"text": "x", "importance": 1e30}), "outside 0 to 1"),
        ("store", json!({"text": "x", "namespace": "agent/b"}), "may not write"),
        ("store", json!({"text": "a\u{1}"}), "control character"),
        ("import", json!({"memories": 1}), "`memories` is a list"),
        ("search", json!({"query": " "}), "the question is empty"),
        ("search", json!({"query": "x", "filter": {"since": "monday"}}), "`monday` is no time"),
        ("search", json!({"query": "x", "filter": {"namespace": "none"}}), "no namespace named `none`"),
        ("get", json!({"id": "m9"}), "no memory `m9`"),
        ("forget", json!({"ids": []}), "names what is to be forgotten"),
        ("consolidate", json!({"similarity_threshold": 0}), "outside 0.3 to 1"),
        ("get", json!({"id": "m1", "odd": 1}), "do not fit the tool"),
    ] {
        let error = call(&server, "a", tool, arguments).unwrap_err().to_string();
        assert!(error.contains(words), "{tool}: {error} / {words}");
    }
    assert!(call(&server, "a", "search", json!({"query": "wörd ".repeat(100_000)})).is_ok());
    // Nobody is nobody: not the owner.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let stranger = runtime.block_on(server.clone().call(
        "import".into(),
        json!({"memories": [{"text": "x", "namespace": "agent/a"}]}),
        None,
    ));
    assert!(stranger.unwrap_err().message.contains("`unknown` may not write"));
}
