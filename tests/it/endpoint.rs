//! The HTTP endpoint as a protected resource, seen by clients: keys and what they open, bounds, certificates.

mod jwt;
mod keys;
mod limits;
mod metrics;
mod server;
mod tls;

use crate::support::daemon::Daemon;
use crate::support::http::{Head, send};
use serde_json::{Value, json};
use umcp::clock::Timestamp;
use umcp::policy::scope::Scopes;
use umcp::policy::{self, Request, Token};

/// A key that is known to the daemon.
fn key(daemon: &Daemon, name: &str, change: impl FnOnce(&mut Token)) -> String {
    let key = policy::fresh_key();
    let mut token = Token {
        id: format!("tok_{name}"),
        name: name.into(),
        hash: policy::hash(&key),
        profile: None,
        created: Timestamp(0),
        expires: None,
        revoked: None,
        scopes: Scopes::ALL,
        previous: None,
    };
    change(&mut token);
    daemon.ask(Request::Create { token });
    key
}

fn bearer(key: &str) -> (&'static str, String) {
    ("Authorization", format!("Bearer {key}"))
}

/// One modern request, with its answer.
fn ask(address: &str, method: &str, params: Value, headers: &[(&str, String)]) -> (Head, Value) {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mut all =
        vec![("MCP-Protocol-Version", "2026-07-28".to_string()), ("Mcp-Method", method.to_string())];
    if let Some(name) = params["name"].as_str().or(params["uri"].as_str()) {
        all.push(("Mcp-Name", name.to_string()));
    }
    all.extend(headers.iter().cloned());
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    exchange(address, "POST", "/mcp", &all, &body)
}

/// One HTTP exchange. What is no JSON comes as a text.
fn exchange(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: &str,
) -> (Head, Value) {
    let (mut exchange, _) = send(address, method, path, headers, body);
    let head = exchange.head().unwrap();
    let mut answer = Value::Null;
    let text = exchange.messages(&head, |message| answer = message);
    if answer.is_null() {
        answer = Value::String(text);
    }
    (head, answer)
}
