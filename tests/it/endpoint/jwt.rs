//! Tokens that others sign: a real issuer, and one that is silent, slow to tell its keys, or asked too often.

use super::{ask, bearer, exchange, key};
use crate::support::daemon::{Daemon, fixture_server};
use crate::support::peers::{self, Beside};
use crate::support::stub::{Answer, Stub};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use umcp::clock::{Clock, Timestamp};
use umcp::engine::live::Listening;
use umcp::policy::Request;
use umcp::policy::issuer::Issuer;
use umcp::policy::rules::model::{Document, Role, Rule};
use umcp::policy::rules::{self, Effect};
use umcp::policy::scope::Scopes;
use umcp::servers::model::EraChoice;

const AUDIENCE: &str = "https://mcp.example.com/mcp";

fn daemon() -> (Daemon, String) {
    let daemon = Daemon::start_with(&[("UMCP_GATEWAY__AUTHORIZATION", "jwt")]);
    let address = daemon.listen_as(Listening::default()).address;
    (daemon, address)
}

fn trust(daemon: &Daemon, issuer: &str, jwks: String, change: impl FnOnce(&mut Issuer)) {
    let mut issuer = Issuer {
        name: "corp".into(),
        issuer: issuer.into(),
        audience: AUDIENCE.into(),
        jwks,
        profile: None,
        scopes: Scopes::NONE,
        roles: Some("realm.roles".into()),
        created: Timestamp(0),
    };
    change(&mut issuer);
    daemon.ask(Request::AddIssuer { issuer: Box::new(issuer) });
}

/// An issuer of our own making.
struct Signer(Ed25519KeyPair, &'static str);

impl Signer {
    fn new(id: &'static str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap(), id)
    }

    fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.1, "x": URL_SAFE_NO_PAD.encode(self.0.public_key())})
    }

    fn token(&self, issuer: &str, more: Value) -> String {
        let now = Clock::from_env().now().millis() / 1000;
        let mut claims =
            json!({"iss": issuer, "aud": AUDIENCE, "sub": "alice", "exp": now + 300, "scope": "tools:read"});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", text(&json!({"alg": "EdDSA", "kid": self.1})), text(&claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.0.sign(signed.as_bytes())))
    }
}

/// Keys at an address, which may change.
fn jwks(first: Value) -> (Stub, Arc<Mutex<Value>>) {
    let keys = Arc::new(Mutex::new(json!({"keys": [first]})));
    let told = keys.clone();
    (Stub::start(move |_| Answer::json(told.lock().unwrap().clone())), keys)
}

#[test]
fn tokens_of_a_real_issuer_open_what_they_say_in_each_algorithm() {
    let (Some(node), Some(room)) = (peers::find("node"), peers::room("oidc-provider")) else { return };
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/issuer.mjs");
    let mut command = Command::new(node);
    command.arg(script).arg(room).arg(AUDIENCE).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _provider = Beside::new(child);
    let told: Value = serde_json::from_str(&line).unwrap();
    let issuer = told["issuer"].as_str().unwrap();
    let (daemon, address) = daemon();
    daemon.add(fixture_server("fix", EraChoice::Modern, &[]));
    trust(&daemon, issuer, format!("{issuer}/jwks"), |_| {});
    // Only operators may see the echo.
    let rule = |name: &str, effect, roles: &[&str]| Rule {
        name: name.into(),
        effect,
        roles: roles.iter().map(ToString::to_string).collect(),
        tools: vec!["fix.*".into()],
        ..Rule::default()
    };
    let document = Document {
        default: Some(Effect::Deny),
        roles: [("operator".to_string(), Role::default())].into(),
        rules: vec![rule("operators", Effect::Allow, &["operator"])],
        ..Document::default()
    };
    daemon.ask(rules::Request::Put { document: Box::new(document), replace: true });
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let token = bearer(told["tokens"][algorithm].as_str().unwrap());
        let (head, answer) = ask(&address, "tools/list", json!({}), std::slice::from_ref(&token));
        assert_eq!(head.status, 200, "{algorithm}: {answer}");
        assert!(answer.to_string().contains("fix__echo"), "the role of the token counts: {answer}");
        let call = json!({"name": "fix__echo", "arguments": {"text": "x"}});
        let (head, _) = ask(&address, "tools/call", call, &[token]);
        assert_eq!(head.status, 403, "{algorithm}: the scope tools:call was not asked for");
    }
    let plain = key(&daemon, "plain", |_| {});
    let (_, answer) = ask(&address, "tools/list", json!({}), &[bearer(&plain)]);
    assert!(!answer.to_string().contains("fix__echo"), "{answer}");
}

#[test]
fn a_false_token_is_refused_with_where_a_good_one_is_had() {
    let (daemon, address) = daemon();
    let signer = Signer::new("a");
    let (stub, _) = jwks(signer.jwk());
    let issuer = "https://id.example.com";
    trust(&daemon, issuer, stub.address.clone(), |it| it.profile = Some("default".into()));
    let good = signer.token(issuer, json!({}));
    let now = Clock::from_env().now().millis() / 1000;
    let stranger = Signer::new("a").token(issuer, json!({}));
    let unsigned =
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), good.split('.').nth(1).unwrap());
    let metadata = format!("http://{address}/.well-known/oauth-protected-resource/mcp");
    for (token, status) in [
        (good.clone(), 200),
        (signer.token(issuer, json!({"aud": "https://other.example.com"})), 401),
        (signer.token(issuer, json!({"exp": now - 3600})), 401),
        (signer.token(issuer, json!({"nbf": now + 3600})), 401),
        (signer.token("https://evil.example.com", json!({})), 401),
        (signer.token(issuer, json!({"scope": "openid"})), 403),
        (stranger, 401),
        (unsigned, 401),
    ] {
        let (head, answer) = ask(&address, "tools/list", json!({}), &[bearer(&token)]);
        assert_eq!(head.status, status, "{answer}");
        let challenge = head.get("www-authenticate").unwrap_or_default();
        assert_eq!(
            challenge.contains(&format!(r#"resource_metadata="{metadata}""#)),
            status != 200,
            "{challenge}"
        );
    }
    let (head, answer) = exchange(&address, "GET", "/.well-known/oauth-protected-resource/mcp", &[], "");
    assert_eq!((head.status, head.get("cache-control")), (200, Some("no-store")));
    let expected = json!({
        "resource": format!("http://{address}/mcp"), "resource_name": "umcp", "authorization_servers": [issuer],
        "scopes_supported": ["tools:read", "tools:call", "resources", "prompts"], "bearer_methods_supported": ["header"],
    });
    assert_eq!(answer, expected);
    // Another Host is told nothing that would then come from us.
    let two = exchange(&address, "GET", "/.well-known/oauth-protected-resource/mcp/p/work", &[], "").1;
    assert_eq!(two["resource"], format!("http://{address}/mcp/p/work"));
    let (head, _) = exchange(&address, "GET", "/.well-known/oauth-protected-resource/etc/passwd", &[], "");
    assert_eq!(head.status, 404);
    // A session ends with the trust in its issuer.
    daemon.ask(Request::RemoveIssuer { name: "corp".into() });
    assert_eq!(ask(&address, "tools/list", json!({}), &[bearer(&good)]).0.status, 401);
}

fn greeting(address: &str, token: &str) -> (&'static str, String) {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
    }});
    let (head, _) = exchange(address, "POST", "/mcp", &[bearer(token)], &body.to_string());
    ("Mcp-Session-Id", head.get("mcp-session-id").unwrap().to_string())
}

#[test]
fn a_stream_ends_with_the_token_it_was_opened_with_unless_a_newer_one_came() {
    let (daemon, address) = daemon();
    let signer = Signer::new("a");
    let (stub, _) = jwks(signer.jwk());
    let issuer = "https://id.example.com";
    trust(&daemon, issuer, stub.address.clone(), |_| {});
    let now = Clock::from_env().now().millis() / 1000;
    // Clocks may differ by a minute, so this one is taken for two seconds more.
    let brief = signer.token(issuer, json!({"exp": now - 58}));
    let (lost, kept) = (greeting(&address, &brief), greeting(&address, &brief));
    let (mut stream, _) =
        crate::support::http::send(&address, "GET", "/mcp", &[bearer(&brief), lost.clone()], "");
    let newer = bearer(&signer.token(issuer, json!({})));
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}).to_string();
    let status = |session: &(&'static str, String)| {
        exchange(&address, "POST", "/mcp", &[newer.clone(), session.clone()], &ping).0.status
    };
    assert_eq!(status(&kept), 200);
    let head = stream.head().unwrap();
    assert_eq!((head.status, stream.events(&head).count()), (200, 0), "the open stream ends");
    assert_eq!((status(&lost), status(&kept)), (404, 200));
}

#[test]
fn trust_that_ends_while_keys_are_fetched_opens_nothing() {
    let (daemon, address) = daemon();
    let signer = Signer::new("a");
    let (asked, is_asked) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new((asked, may_go_on));
    let keys = json!({"keys": [signer.jwk()]});
    let stub = Stub::start(move |_| {
        let gate = gate.lock().unwrap();
        gate.0.send(()).unwrap();
        gate.1.recv().unwrap();
        Answer::json(keys.clone())
    });
    let issuer = "https://id.example.com";
    trust(&daemon, issuer, stub.address.clone(), |_| {});
    let token = bearer(&signer.token(issuer, json!({})));
    let asking = std::thread::spawn({
        let (address, token) = (address.clone(), token.clone());
        move || ask(&address, "tools/list", json!({}), &[token]).0.status
    });
    is_asked.recv().unwrap();
    daemon.ask(Request::RemoveIssuer { name: "corp".into() });
    go_on.send(()).unwrap();
    assert_eq!(asking.join().unwrap(), 401);
    assert_eq!(ask(&address, "tools/list", json!({}), &[token]).0.status, 401, "nor is it remembered");
}

#[test]
fn an_issuer_is_asked_once_whatever_strangers_send() {
    let (daemon, address) = daemon();
    let (signer, next) = (Signer::new("a"), Signer::new("b"));
    let (stub, keys) = jwks(signer.jwk());
    let issuer = "https://id.example.com";
    trust(&daemon, issuer, stub.address.clone(), |_| {});
    let status = |token: &str| ask(&address, "tools/list", json!({}), &[bearer(token)]).0.status;
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let (address, token) = (address.clone(), signer.token(issuer, json!({})));
            std::thread::spawn(move || ask(&address, "tools/list", json!({}), &[bearer(&token)]).0.status)
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 200));
    assert_eq!(stub.take().len(), 1, "16 at once made one question");
    for number in 0..20 {
        let stranger = Signer::new(Box::leak(format!("kid-{number}").into_boxed_str()));
        assert_eq!(status(&stranger.token(issuer, json!({}))), 401);
    }
    assert_eq!(stub.take().len(), 0, "names of keys that nobody knows make no further question at once");
    *keys.lock().unwrap() = json!({"keys": [next.jwk()]});
    assert_eq!(status(&signer.token(issuer, json!({"sub": "bob"}))), 200, "what is known stays in use");
}

#[test]
fn keys_that_cannot_be_had_are_our_fault_and_not_the_token_s() {
    let (daemon, address) = daemon();
    let signer = Signer::new("a");
    let issuer = "https://id.example.com";
    let token = signer.token(issuer, json!({}));
    let huge = Stub::start(|_| Answer::json(format!(r#"{{"keys":[{}0]}}"#, "0,".repeat(200_000))));
    let odd = Stub::start(|_| Answer::json(json!({"keys": [{"kty": "oct", "k": "AAAA"}]})));
    let failing = Stub::start(|_| Answer::status(500, "no"));
    let file = daemon.folder().join("jwks.json");
    for jwks in
        [huge.address.clone(), odd.address.clone(), failing.address.clone(), file.display().to_string()]
    {
        trust(&daemon, issuer, jwks.clone(), |_| {});
        let (head, answer) = ask(&address, "tools/list", json!({}), &[bearer(&token)]);
        assert_eq!(head.status, 503, "{jwks}: {answer}");
    }
    std::fs::write(&file, json!({"keys": [signer.jwk()]}).to_string()).unwrap();
    trust(&daemon, issuer, file.display().to_string(), |_| {});
    assert_eq!(ask(&address, "tools/list", json!({}), &[bearer(&token)]).0.status, 200);
}

#[test]
fn without_the_setting_keys_alone_count() {
    let daemon = Daemon::start();
    let address = daemon.listen_as(Listening::default()).address;
    let signer = Signer::new("a");
    let (stub, _) = jwks(signer.jwk());
    trust(&daemon, "https://id.example.com", stub.address.clone(), |_| {});
    let token = signer.token("https://id.example.com", json!({}));
    let (head, _) = ask(&address, "tools/list", json!({}), &[bearer(&token)]);
    assert_eq!(head.status, 401);
    assert!(!head.get("www-authenticate").unwrap().contains("resource_metadata"));
    let (head, _) = exchange(&address, "GET", "/.well-known/oauth-protected-resource", &[], "");
    assert_eq!(head.status, 404);
    assert!(stub.take().is_empty());
}
