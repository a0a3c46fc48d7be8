//! Event streams over HTTP: what a legacy client gets that lost one and comes back, and what it is told for that.
//! What streams carry is in `cells.rs`.

use crate::support::daemon::{Daemon, fixture_server};
use crate::support::http::{self, Exchange, Head};
use serde_json::{Value, json};
use umcp::servers::model::EraChoice;

/// A client with nothing between it and the wire.
struct Client {
    address: String,
    revision: &'static str,
    session: String,
}

impl Client {
    fn greet(daemon: &Daemon, revision: &'static str) -> Self {
        let mut client = Self { address: daemon.listen(), revision, session: String::new() };
        let params = json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}});
        let (head, _) = client.post("initialize", params);
        client.session = head.get("mcp-session-id").unwrap().into();
        client
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        match self.session.as_str() {
            "" => Vec::new(),
            session => {
                vec![("Mcp-Session-Id", session.into()), ("MCP-Protocol-Version", self.revision.into())]
            }
        }
    }

    /// A request with the id 1.
    fn post(&self, method: &str, params: Value) -> (Head, Exchange) {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let (mut exchange, _) = http::send(&self.address, "POST", "/mcp", &self.headers(), &body);
        (exchange.head().unwrap(), exchange)
    }

    fn call(&self, tool: &str, arguments: Value) -> (Head, Exchange) {
        self.post("tools/call", json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": 7}}))
    }

    /// Opens a stream again after an event.
    fn resume(&self, event: &str) -> (Head, Exchange) {
        let mut headers = self.headers();
        headers.push(("Last-Event-ID", event.into()));
        let (mut exchange, _) = http::send(&self.address, "GET", "/mcp", &headers, "");
        (exchange.head().unwrap(), exchange)
    }
}

fn daemon() -> Daemon {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    daemon
}

#[test]
fn a_lost_stream_is_read_on_to_the_answer() {
    let daemon = daemon();
    let client = Client::greet(&daemon, "2025-11-25");
    let (head, exchange) = client.call("fx__progress", json!({"steps": 60, "ms": 20}));
    let mut events = exchange.events(&head);
    let (first, nothing) = events.next().unwrap();
    assert_eq!(nothing, "", "an event without a message tells how to come back");
    let mut heard: Vec<(String, String)> = events.by_ref().take(5).collect();
    drop(events);
    let last = heard.last().unwrap().0.clone();
    let (head, exchange) = client.resume(&last);
    heard.extend(exchange.events(&head));
    let ids: Vec<_> = heard.iter().map(|(id, _)| id.clone()).collect();
    let stream = first.strip_suffix("-0").unwrap();
    assert_eq!(ids, (1..=61).map(|number| format!("{stream}-{number}")).collect::<Vec<_>>());
    let messages: Vec<Value> = heard.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect();
    let steps = messages.iter().filter_map(|message| message["params"]["progress"].as_f64());
    assert_eq!(steps.map(|step| step as u64).collect::<Vec<_>>(), (1..=60).collect::<Vec<_>>());
    assert_eq!(messages[60]["result"]["content"][0]["text"], "60 steps done");
    // Even after its end, for a client that lost just that.
    let (head, exchange) = client.resume(&ids[59]);
    assert_eq!(exchange.events(&head).collect::<Vec<_>>(), heard[60..]);
    assert_eq!(client.resume("999-1").0.status, 400);
}

#[test]
fn a_silent_call_can_be_come_back_to() {
    let daemon = daemon();
    let client = Client::greet(&daemon, "2025-11-25");
    let (head, exchange) = client.call("fx__sleep", json!({"ms": 3500}));
    let (id, nothing) = exchange.events(&head).next().unwrap();
    assert_eq!(nothing, "");
    let (head, exchange) = client.resume(&id);
    let (_, answer) = exchange.events(&head).next().unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["id"] == 1 && answer["result"]["content"].is_array(), "{answer}");
    // A client of before is answered as it expects.
    let old = Client::greet(&daemon, "2025-06-18");
    let (head, _) = old.call("fx__sleep", json!({"ms": 2500}));
    assert_eq!(head.get("content-type"), Some("application/json"));
    let (head, exchange) = old.call("fx__progress", json!({"steps": 1}));
    let (id, said) = exchange.events(&head).next().unwrap();
    assert!(id.ends_with("-1") && said.contains("notifications/progress"), "{id} {said}");
}
