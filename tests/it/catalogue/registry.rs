//! Registries: as they should be, older, broken in the middle, and hostile.

use crate::command::umcp;
use crate::support::daemon::Daemon;
use crate::support::stub::{Answer, Asked, Stub};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// An entry as the official registry answers it.
pub fn item(name: &str, updated: &str, status: &str) -> Value {
    let package = json!({"registryType": "npm", "identifier": format!("@acme/{}", name.replace(['/', '.'], "-")), "version": "1.0.0", "transport": {"type": "stdio"}});
    json!({
        "server": {"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json", "name": name,
                   "description": "A thing", "version": "1.0.0", "packages": [package]},
        "_meta": {"io.modelcontextprotocol.registry/official":
                  {"status": status, "publishedAt": "2025-12-01T00:00:00Z", "updatedAt": updated, "isLatest": true}},
    })
}

fn page(items: &[Value], next: Option<&str>) -> Answer {
    let mut metadata = json!({"count": items.len()});
    if let Some(next) = next {
        metadata["nextCursor"] = next.into();
    }
    Answer::json(json!({"servers": items, "metadata": metadata}))
}

fn registry(daemon: &Daemon, answer: impl Fn(&Asked) -> Answer + Send + 'static) -> Stub {
    let stub = Stub::start(answer);
    let added = umcp(daemon, &["catalog", "source", "add", &stub.address, "--name", "reg"]);
    assert_eq!(added["ok"], true, "{added}");
    stub
}

fn paths(stub: &Stub) -> Vec<String> {
    stub.take().into_iter().map(|asked| asked.path).collect()
}

#[test]
fn a_registry_is_read_page_by_page_and_then_only_its_changes() {
    let daemon = Daemon::start();
    let broken = AtomicUsize::new(0);
    let stub = registry(&daemon, move |asked| {
        if asked.path.contains("updated_since") {
            return page(
                &[
                    item("a.b/new", "2025-12-20T00:00:00Z", "active"),
                    item("a.b/one", "2025-12-21T00:00:00Z", "deleted"),
                ],
                None,
            );
        }
        match asked.path.contains("cursor=") {
            false => page(&[item("a.b/one", "2025-12-02T00:00:00Z", "active")], Some("a.b/one:1.0.0")),
            true if broken.fetch_add(1, Ordering::Relaxed) == 0 => Answer::status(503, "later"),
            true => page(&[item("a.b/two", "2025-12-03T00:00:00Z", "deprecated")], None),
        }
    });
    // The second page is not to be had: the first one is kept.
    let failed = umcp(&daemon, &["catalog", "refresh", "reg"]);
    assert_eq!(
        (&failed["error"]["name"], &failed["error"]["exit"]),
        (&json!("source_failed"), &json!(10)),
        "{failed}"
    );
    assert_eq!(paths(&stub).len(), 2);
    let done = umcp(&daemon, &["catalog", "refresh", "reg"]);
    assert_eq!(
        (&done["data"][0]["entries"], &done["data"][0]["resumed"]),
        (&json!(2), &json!(true)),
        "{done}"
    );
    assert_eq!(paths(&stub), ["/v0.1/servers?limit=100&version=latest&cursor=a.b%2Fone%3A1.0.0"]);
    let found = umcp(&daemon, &["catalog", "list", "--source", "reg"]);
    let names: Vec<_> =
        found["data"]["entries"].as_array().unwrap().iter().map(|entry| entry["name"].clone()).collect();
    assert_eq!(names, ["a.b/one", "a.b/two"], "{found}");
    let changes = umcp(&daemon, &["catalog", "refresh", "reg"]);
    assert_eq!(
        (&changes["data"][0]["entries"], &changes["data"][0]["removed"]),
        (&json!(2), &json!(1)),
        "{changes}"
    );
    assert_eq!(
        paths(&stub),
        ["/v0.1/servers?limit=100&version=latest&updated_since=2025-12-03T00%3A00%3A00Z"]
    );
    let gone = umcp(&daemon, &["catalog", "show", "a.b/one"]);
    assert_eq!(gone["error"]["exit"], 4, "{gone}");
    let installed = umcp(&daemon, &["catalog", "install", "a.b/new", "--yes"]);
    assert_eq!(installed["data"]["run"], "npm:@acme/a-b-new@1.0.0", "{installed}");
}

#[test]
fn an_older_registry_and_a_forgotten_cursor_are_coped_with() {
    let daemon = Daemon::start();
    let fails = AtomicUsize::new(0);
    let stub = registry(&daemon, move |asked| match asked.path.as_str() {
        path if path.starts_with("/v0.1/") => Answer::status(404, "no"),
        path if path.contains("cursor=") => match fails.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::status(500, "later"),
            1 => Answer::status(400, "no such cursor"),
            _ => page(&[item("a.b/two", "2025-12-03T00:00:00Z", "active")], None),
        },
        _ => page(&[item("a.b/one", "2025-12-02T00:00:00Z", "active")], Some("x")),
    });
    assert_eq!(umcp(&daemon, &["catalog", "refresh", "reg"])["ok"], false);
    stub.take();
    let done = umcp(&daemon, &["catalog", "refresh", "reg"]);
    assert_eq!(done["data"][0]["entries"], 2, "{done}");
    let base = "servers?limit=100&version=latest";
    let cursor = format!("{base}&cursor=x");
    let asked = ["v0.1", "v0", "v0", "v0"].iter().zip([&cursor, &cursor, base, &cursor]);
    assert_eq!(paths(&stub), asked.map(|(version, rest)| format!("/{version}/{rest}")).collect::<Vec<_>>());
}

#[test]
fn a_hostile_registry_ends_and_costs_nothing_but_itself() {
    let daemon = Daemon::start();
    let turn = AtomicUsize::new(0);
    let mode = std::sync::Arc::new(AtomicUsize::new(0));
    let now = mode.clone();
    let stub = registry(&daemon, move |asked| {
        let count = turn.fetch_add(1, Ordering::Relaxed);
        match now.load(Ordering::Relaxed) {
            0 => page(&[item("a.b/one", "2025-12-02T00:00:00Z", "active")], Some("again")),
            1 => page(&[], Some(&count.to_string())),
            2 => Answer { body: vec![b' '; (4 << 20) + 1], ..Answer::json("") },
            3 => Answer { body: vec![b' '; (12 << 20) + 1], ..Answer::json("") },
            4 => Answer::json("{\"servers\": \"many\"}"),
            5 => Answer { body: b"\xff\xfe".to_vec(), ..Answer::json("") },
            6 => Answer {
                status: 302,
                headers: vec![("Location", "file:///etc/passwd".into())],
                body: Vec::new(),
            },
            _ if asked.path.contains("cursor") => page(&[], None),
            _ => page(
                &[
                    json!({"server": {"name": "a.b/\u{202e}evil", "description": "x"}}),
                    json!({"server": {"name": 5}}),
                    json!({"server": {"name": "a.b/odd", "description": "\u{1b}]0;owned\u{7}Odd \u{202e}text", "version": "1",
                            "packages": [{"registryType": "npm", "identifier": "x", "environmentVariables": [{"name": "LD_PRELOAD", "value": "/x.so"}]}],
                            "remotes": [{"type": "sse", "url": "https://127.0.0.1/"}]}}),
                ],
                None,
            ),
        }
    });
    let full = ["catalog", "refresh", "reg", "--full"];
    for (way, name, says) in [
        (0, "source_invalid", "leads in a circle"),
        (1, "source_invalid", "empty pages without end"),
        (2, "source_invalid", "larger than 4 MiB"),
        (3, "source_failed", ""),
        (4, "source_invalid", "it has no list `servers`"),
        (5, "source_failed", ""),
        (6, "source_failed", ""),
    ] {
        mode.store(way, Ordering::Relaxed);
        let told = umcp(&daemon, &full);
        assert_eq!(told["error"]["name"], name, "{way}: {told}");
        assert!(told["error"]["message"].as_str().unwrap().contains(says), "{way}: {told}");
        assert!(stub.take().len() < 10, "{way}");
    }
    // What came before is kept.
    assert_eq!(umcp(&daemon, &["catalog", "show", "a.b/one"])["ok"], true);
    mode.store(7, Ordering::Relaxed);
    let read = umcp(&daemon, &full);
    assert_eq!(
        (&read["data"][0]["entries"], read["data"][0]["refused"].as_array().unwrap().len()),
        (&json!(1), 2),
        "{read}"
    );
    let shown = umcp(&daemon, &["catalog", "show", "a.b/odd"]);
    assert_eq!(shown["data"]["entry"]["description"], "]0;ownedOdd text", "{shown}");
    let refused = umcp(&daemon, &["catalog", "install", "a.b/odd", "--yes"]);
    assert_eq!(
        (&refused["error"]["name"], &refused["error"]["exit"]),
        (&json!("entry_not_runnable"), &json!(7)),
        "{refused}"
    );
    assert!(umcp(&daemon, &["server", "list"])["data"].as_array().unwrap().is_empty());
}
