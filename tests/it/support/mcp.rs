//! A raw MCP client in plain std: JSON in, JSON out, both eras, over a bridge, the socket or HTTP.
//! Not here: any SDK. Rule: it believes nothing; what came before an answer is kept in its order.

use super::daemon::Daemon;
use super::wire::{Door, Wire};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// The longest wait for any message.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rounds of `input_required` before a call counts as endless.
const ROUNDS: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    Legacy,
    Modern,
}

impl Era {
    pub const BOTH: [Self; 2] = [Self::Legacy, Self::Modern];

    pub fn revision(self) -> &'static str {
        match self {
            Self::Legacy => "2025-11-25",
            Self::Modern => "2026-07-28",
        }
    }
}

/// How the client answers a server's question: method and params to a result; `None` declines with an error.
pub type Answers = Box<dyn Fn(&str, &Value) -> Option<Value> + Send>;

pub struct Mcp {
    era: Era,
    wire: Wire,
    inbox: Receiver<Value>,
    capabilities: Value,
    name: String,
    answers: Answers,
    next: u64,
    /// Answers to requests nobody has waited for yet.
    early: HashMap<String, Value>,
    /// Notifications and questions since the last answer was taken, in order.
    heard: Vec<Value>,
    /// What `initialize` or `server/discover` gave.
    pub greeting: Value,
}

/// The answer to one request, with what came before it.
#[derive(Debug)]
pub struct Answer {
    pub message: Value,
    pub heard: Vec<Value>,
}

impl Answer {
    pub fn result(&self) -> &Value {
        assert!(self.message.get("error").is_none(), "an error came: {}", self.message);
        &self.message["result"]
    }

    pub fn error(&self) -> (i64, &str) {
        let error = &self.message["error"];
        (
            error["code"].as_i64().unwrap_or_else(|| panic!("no error: {}", self.message)),
            error["message"].as_str().unwrap(),
        )
    }

    /// The text of the first content block.
    pub fn text(&self) -> &str {
        let result = self.result();
        result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}"))
    }

    /// Messages of one method that came before the answer.
    pub fn heard(&self, method: &str) -> Vec<&Value> {
        self.heard.iter().filter(|message| message["method"] == method).collect()
    }
}

pub fn everything() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {"listChanged": true}})
}

/// What a test's client answers to each kind of question.
pub fn agreeable(method: &str, params: &Value) -> Option<Value> {
    match method {
        "elicitation/create" if params["mode"] == "url" => Some(json!({"action": "accept"})),
        "elicitation/create" => {
            Some(json!({"action": "accept", "content": filled(&params["requestedSchema"])}))
        }
        "sampling/createMessage" => {
            let content = json!({"type": "text", "text": "sampled"});
            Some(json!({"role": "assistant", "content": content, "model": "none", "stopReason": "endTurn"}))
        }
        "roots/list" => Some(json!({"roots": [{"uri": "file:///the/root", "name": "root"}]})),
        "ping" => Some(json!({})),
        _ => None,
    }
}

/// Values for a schema: its defaults, else something of the right type.
pub fn filled(schema: &Value) -> Value {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let value = |property: &Value| match (property.get("default"), property["type"].as_str()) {
        (Some(default), _) => default.clone(),
        (None, Some("boolean")) => true.into(),
        (None, Some("integer" | "number")) => 7.into(),
        (None, Some("array")) => json!([]),
        (None, Some("object")) => json!({}),
        _ => match property["enum"].as_array().or(property["oneOf"].as_array()) {
            Some(choices) => choices[0].get("const").unwrap_or(&choices[0]).clone(),
            None => "given".into(),
        },
    };
    properties
        .iter()
        .map(|(name, property)| (name.clone(), value(property)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

impl Mcp {
    /// A client that can do everything and agrees to everything, greeted.
    pub fn connect(daemon: &Daemon, door: Door, era: Era) -> Self {
        Self::new(daemon, door, era, "raw", everything(), Box::new(agreeable))
    }

    pub fn new(
        daemon: &Daemon,
        door: Door,
        era: Era,
        name: &str,
        capabilities: Value,
        answers: Answers,
    ) -> Self {
        let (wire, inbox) = match door {
            Door::Bridge => Wire::bridge(daemon.serve()),
            Door::Socket => Wire::socket(daemon, None),
            Door::Http => Wire::http(&daemon.listen(), "/mcp", era),
        };
        Self::over(wire, inbox, era, name, capabilities, answers)
    }

    pub fn over(
        wire: Wire,
        inbox: Receiver<Value>,
        era: Era,
        name: &str,
        capabilities: Value,
        answers: Answers,
    ) -> Self {
        let (early, heard) = (HashMap::new(), Vec::new());
        let mut mcp = Self {
            era,
            wire,
            inbox,
            capabilities,
            name: name.into(),
            answers,
            next: 0,
            early,
            heard,
            greeting: Value::Null,
        };
        mcp.greet();
        mcp
    }

    fn greet(&mut self) {
        if self.era == Era::Modern {
            self.greeting = self.ask("server/discover", json!({})).result().clone();
            return;
        }
        let params = json!({"protocolVersion": self.era.revision(), "capabilities": self.capabilities,
            "clientInfo": {"name": self.name, "version": "1"}});
        self.greeting = self.ask("initialize", params).result().clone();
        self.tell("notifications/initialized", json!({}));
        if let Wire::Http(http) = &mut self.wire {
            http.follow();
        }
    }

    /// Starts counting ids at `next`.
    pub fn count_from(&mut self, next: u64) {
        self.next = next;
    }

    pub fn tell(&mut self, method: &str, params: Value) {
        self.wire.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request and gives its id.
    pub fn start(&mut self, method: &str, mut params: Value) -> Value {
        self.next += 1;
        let id = Value::from(self.next);
        if self.era == Era::Modern {
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = self.era.revision().into();
            meta["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
            meta["io.modelcontextprotocol/clientInfo"] = json!({"name": self.name, "version": "1"});
        }
        self.wire.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// Cancels a request the way its era and door ask for.
    pub fn cancel(&mut self, id: &Value) {
        if !self.wire.hang_up(id) {
            self.tell("notifications/cancelled", json!({"requestId": id, "reason": "a test"}));
        }
    }

    /// Calls a tool with arguments that no JSON value could hold.
    pub fn call_raw(&mut self, tool: &str, arguments: &str) -> Answer {
        self.next += 1;
        let id = Value::from(self.next);
        self.wire.send_line(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        ));
        self.wait(&id)
    }

    /// Waits for the answer to a request, answering the server's questions meanwhile.
    pub fn wait(&mut self, id: &Value) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(message) = self.early.remove(&id.to_string()) {
                return Answer { message, heard: std::mem::take(&mut self.heard) };
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(self.take(left), "no answer to request {id}; heard {:?}", self.heard);
        }
    }

    /// Sends a request and leads it to its end, through every round of questions.
    pub fn ask(&mut self, method: &str, params: Value) -> Answer {
        let mut heard = Vec::new();
        let mut sent = params.clone();
        for _ in 0..ROUNDS {
            let id = self.start(method, sent.clone());
            let mut answer = self.wait(&id);
            heard.append(&mut answer.heard);
            let result = &answer.message["result"];
            let typed = self.era == Era::Legacy || result.is_null() || result["resultType"].is_string();
            assert!(typed, "a modern result without its type: {result}");
            if result["resultType"] != "input_required" {
                return Answer { message: answer.message, heard };
            }
            sent = params.clone();
            if let Some(state) = result.get("requestState") {
                sent["requestState"] = state.clone();
            }
            let requests = result["inputRequests"].as_object().cloned().unwrap_or_default();
            let mut responses = serde_json::Map::new();
            for (key, request) in requests {
                let reply = (self.answers)(request["method"].as_str().unwrap(), &request["params"]);
                heard.push(request);
                responses.insert(key, reply.unwrap());
            }
            sent["inputResponses"] = responses.into();
        }
        panic!("`{method}` asked for input again and again");
    }

    pub fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Every item of a list, page by page, and the number of pages.
    pub fn list(&mut self, method: &str, key: &str) -> (Vec<Value>, usize) {
        let (mut items, mut pages, mut params) = (Vec::new(), 0, json!({}));
        loop {
            let answer = self.ask(method, params);
            let result = answer.result();
            items.extend(result[key].as_array().unwrap().iter().cloned());
            pages += 1;
            match result.get("nextCursor") {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return (items, pages),
            }
        }
    }

    pub fn tools(&mut self) -> Vec<String> {
        let (tools, _) = self.list("tools/list", "tools");
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_string()).collect()
    }

    /// Waits for a notification of one method; gives it.
    pub fn hear(&mut self, method: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.heard.iter().position(|message| message["method"] == method) {
                return self.heard.remove(at);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(self.take(left), "no {method}; heard {:?}", self.heard);
        }
    }

    /// Takes one message off the wire; false when none came in time.
    fn take(&mut self, patience: Duration) -> bool {
        let Ok(message) = self.inbox.recv_timeout(patience) else { return false };
        match (message.get("method").and_then(Value::as_str), message.get("id")) {
            (Some(method), Some(id)) => {
                let reply = match (self.answers)(method, &message["params"]) {
                    Some(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
                    None => {
                        json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "declined"}})
                    }
                };
                self.heard.push(message);
                self.wire.send(&reply);
            }
            (Some(_), None) => self.heard.push(message),
            (None, Some(id)) => drop(self.early.insert(id.to_string(), message)),
            (None, None) => panic!("neither a request nor an answer: {message}"),
        }
        true
    }
}
