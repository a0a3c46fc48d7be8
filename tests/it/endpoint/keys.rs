//! Keys: what they open, what a refusal says, and what stands of it in the audit trail.

use super::{ask, bearer, exchange, key};
use crate::support::daemon::{Daemon, fixture_server};
use serde_json::json;
use umcp::audit;
use umcp::clock::Timestamp;
use umcp::engine::Reply;
use umcp::engine::live::Listening;
use umcp::policy::scope::Scopes;
use umcp::policy::{self, Request};
use umcp::servers::model::EraChoice;

#[test]
fn a_key_opens_its_scopes_and_a_refusal_names_the_one_that_lacks() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fix", EraChoice::Modern, &[]));
    let address = daemon.listen_as(Listening::default()).address;
    let all = ["tools:read", "tools:call", "resources", "prompts"];
    for scope in all {
        let key =
            key(&daemon, &scope.replace(":", "-"), |token| token.scopes = Scopes::parse([scope]).unwrap());
        for (method, params, needed) in [
            ("tools/list", json!({}), "tools:read"),
            ("tools/call", json!({"name": "fix__echo", "arguments": {"text": "x"}}), "tools:call"),
            ("resources/list", json!({}), "resources"),
            ("prompts/list", json!({}), "prompts"),
            ("server/discover", json!({}), scope),
        ] {
            let (head, answer) = ask(&address, method, params, &[bearer(&key)]);
            if needed == scope {
                assert_eq!(head.status, 200, "{scope} {method}: {answer}");
                assert!(answer["result"].is_object(), "{scope} {method}: {answer}");
            } else {
                let challenge =
                    format!(r#"Bearer realm="umcp", error="insufficient_scope", scope="{needed}""#);
                assert_eq!((head.status, head.get("www-authenticate")), (403, Some(&*challenge)), "{method}");
            }
        }
    }
}

#[test]
fn a_key_is_refused_without_being_written_down() {
    let daemon = Daemon::start();
    let address = daemon.listen_as(Listening::default()).address;
    let good = key(&daemon, "good", |_| {});
    let ended = key(&daemon, "ended", |token| token.expires = Some(Timestamp(1)));
    let none = r#"Bearer realm="umcp", scope="tools:read tools:call resources prompts""#;
    let invalid =
        r#"Bearer realm="umcp", error="invalid_token", scope="tools:read tools:call resources prompts""#;
    for (headers, status, challenge) in [
        (vec![], 401, Some(none)),
        (vec![("Authorization", format!("Basic {good}"))], 401, Some(none)),
        (vec![bearer("umcp_hunter2")], 401, Some(invalid)),
        (vec![bearer(&ended)], 401, Some(invalid)),
        (vec![bearer(&good), bearer(&good)], 400, None),
        (vec![bearer(&good), ("Host", "evil.example".into())], 400, None),
        (vec![bearer(&good), ("Origin", "https://evil.example".into())], 403, None),
        (vec![bearer(&good)], 200, None),
    ] {
        let (head, answer) = ask(&address, "tools/list", json!({}), &headers);
        assert_eq!(head.status, status, "{headers:?}: {answer}");
        assert_eq!(head.get("www-authenticate"), challenge, "{headers:?}");
    }
    let (head, _) = exchange(&address, "GET", &format!("/mcp?access_token={good}"), &[], "");
    assert_eq!(head.status, 401, "a key in the address is no key");
    let entries = match daemon.ask(audit::Request::List { filter: audit::Filter::default(), limit: 100 }) {
        Reply::Audit(audit::Reply::Entries(entries)) => entries,
        other => panic!("{other:?}"),
    };
    let refused: Vec<_> = entries.iter().filter(|entry| entry.body.contains(r#""type":"refused""#)).collect();
    assert_eq!(refused.len(), 1, "the same refusal is recorded once a minute: {refused:?}");
    assert!(
        refused[0]
            .body
            .contains(r#""address":"127.0.0.1","reason":"the key is not known, expired or revoked""#)
    );
    assert!(
        entries.iter().all(|entry| ![&good, &ended, "hunter2"].iter().any(|key| entry.body.contains(*key)))
    );
}

#[test]
fn a_rotated_key_has_a_grace_and_a_revoked_one_has_none() {
    let daemon = Daemon::start();
    let address = daemon.listen_as(Listening::default()).address;
    let old = key(&daemon, "ci", |_| {});
    let status = |key: &str| ask(&address, "tools/list", json!({}), &[bearer(key)]).0.status;
    let rotate = |grace: Option<u64>| {
        let (key, now) = (policy::fresh_key(), umcp::clock::Clock::from_env().now());
        let (name, hash, grace) = ("ci".into(), policy::hash(&key), grace.map(|time| now.plus_ms(time)));
        daemon.ask(Request::Rotate { name, hash, at: now, grace, expires: None });
        key
    };
    let second = rotate(Some(3_600_000));
    assert_eq!((status(&old), status(&second)), (200, 200));
    let third = rotate(None);
    assert_eq!((status(&old), status(&second), status(&third)), (401, 401, 200));
    daemon.ask(Request::Revoke { name: "ci".into(), at: Timestamp(1) });
    assert_eq!(status(&third), 401);
}

#[test]
fn a_session_belongs_to_its_key_and_ends_with_it() {
    let daemon = Daemon::start();
    let address = daemon.listen_as(Listening::default()).address;
    let (mine, other) = (key(&daemon, "mine", |_| {}), key(&daemon, "other", |_| {}));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
    }});
    let (head, _) = exchange(&address, "POST", "/mcp", &[bearer(&mine)], &body.to_string());
    let session = ("Mcp-Session-Id", head.get("mcp-session-id").unwrap().to_string());
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}).to_string();
    for (method, body) in [("POST", ping.as_str()), ("GET", ""), ("DELETE", "")] {
        let (head, _) = exchange(&address, method, "/mcp", &[bearer(&other), session.clone()], body);
        assert_eq!(head.status, 404, "{method}");
    }
    let (head, _) = exchange(&address, "POST", "/mcp", &[bearer(&mine), session.clone()], &ping);
    assert_eq!(head.status, 200);
    let (mut stream, _) =
        crate::support::http::send(&address, "GET", "/mcp", &[bearer(&mine), session.clone()], "");
    let head = stream.head().unwrap();
    daemon.ask(Request::Revoke { name: "mine".into(), at: Timestamp(1) });
    assert_eq!(stream.events(&head).count(), 0, "the open stream ends");
    let (head, _) = exchange(&address, "POST", "/mcp", &[bearer(&mine), session], &ping);
    assert_eq!(head.status, 401);
}
