//! One request while it is being answered: who asked, in which era, and how to reach that client meanwhile.
//! It knows no tool. Rule: a tool asks for input the same way in both eras; this file makes the difference.

use crate::faults::Fault;
use crate::rpc::{self, Halt, RpcError};
use crate::session::Session;
use crate::wire::{Out, Sink};
use crate::world::World;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
pub const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";
const META_LEVEL: &str = "io.modelcontextprotocol/logLevel";
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    Legacy,
    Modern,
}

#[derive(Clone)]
pub struct Call {
    pub world: Arc<World>,
    pub session: Arc<Session>,
    pub era: Era,
    pub id: Value,
    pub method: String,
    pub params: Value,
    pub sink: Sink,
    pub faults: Vec<Fault>,
    /// The client cancels by closing the stream (modern HTTP).
    pub ends_with_stream: bool,
}

/// A question to the client.
pub struct Ask {
    pub key: &'static str,
    pub method: &'static str,
    pub params: Value,
}

impl Call {
    pub fn meta(&self) -> &Value {
        &self.params["_meta"]
    }

    pub fn argument(&self, name: &str) -> &Value {
        &self.params["arguments"][name]
    }

    /// A text argument, empty when it is absent.
    pub fn text(&self, name: &str) -> String {
        self.argument(name).as_str().unwrap_or_default().to_owned()
    }

    pub fn number(&self, name: &str, default: u64) -> u64 {
        self.argument(name).as_f64().map_or(default, |number| number as u64)
    }

    pub fn capabilities(&self) -> Value {
        match self.era {
            Era::Legacy => self.session.capabilities(),
            Era::Modern => self.meta()[META_CAPABILITIES].clone(),
        }
    }

    pub fn client_info(&self) -> Value {
        match self.era {
            Era::Legacy => self.session.client_info(),
            Era::Modern => self.meta()[META_CLIENT].clone(),
        }
    }

    /// Sends a notification on the stream of this request.
    pub fn notify(&self, method: &str, params: Value) {
        // The client may be gone; the call finds out on its own.
        let _ = self.sink.send(Out::Message(rpc::notification(method, params)));
    }

    /// Reports progress if the client gave a token.
    pub fn progress(&self, progress: u64, total: u64) {
        let token = &self.meta()["progressToken"];
        if !token.is_null() {
            let message = format!("step {progress} of {total}");
            self.notify(
                "notifications/progress",
                json!({"progressToken": token, "progress": progress, "total": total, "message": message}),
            );
        }
    }

    /// Logs if the client wants that level: the session's in the legacy era, the request's in the modern one.
    pub fn log(&self, level: &str, data: &str) {
        let wanted = match self.era {
            Era::Legacy => Some(self.session.level().unwrap_or_else(|| "debug".to_owned())),
            Era::Modern => self.meta()[META_LEVEL].as_str().map(str::to_owned),
        };
        if wanted.is_some_and(|wanted| rank(level) >= rank(&wanted)) {
            self.notify("notifications/message", json!({"level": level, "logger": "fixture", "data": data}));
        }
    }

    /// An error unless the client declared the capability.
    pub fn require(&self, capability: &str) -> Result<(), Halt> {
        if self.capabilities().get(capability).is_some() {
            return Ok(());
        }
        Err(self.lacks(capability, json!({capability: {}})))
    }

    /// The error for a missing capability in the words of the era.
    pub fn lacks(&self, name: &str, required: Value) -> Halt {
        let code = match self.era {
            Era::Legacy => rpc::INVALID_REQUEST,
            Era::Modern => rpc::MISSING_CAPABILITY,
        };
        let error = RpcError::new(code, format!("the client did not declare `{name}`"));
        error.with_data(json!({"requiredCapabilities": required})).into()
    }

    /// What came back in `requestState`; an error when somebody changed it.
    pub fn carried(&self) -> Result<Option<Value>, Halt> {
        if self.era == Era::Legacy {
            return Ok(None);
        }
        match &self.params["requestState"] {
            Value::Null => Ok(None),
            state => state
                .as_str()
                .and_then(|text| self.world.seal.open(&self.purpose(), text, now_s()))
                .map(Some)
                .ok_or_else(|| rpc::invalid_params("requestState failed its integrity check").into()),
        }
    }

    /// Gets the answers: over the back channel (legacy), or from the repeated request (modern).
    ///
    /// With `state` a modern client must bring back a `requestState` too.
    pub async fn ask(&self, asks: &[Ask], state: Option<Value>) -> Result<Map<String, Value>, Halt> {
        for ask in asks {
            self.require(ask.method.split('/').next().unwrap_or_default())?;
        }
        match self.era {
            Era::Modern => self.ask_by_return(asks, state),
            Era::Legacy => {
                let mut answers = Map::new();
                for ask in asks {
                    answers.insert(ask.key.to_owned(), self.ask_now(ask).await?);
                }
                Ok(answers)
            }
        }
    }

    fn ask_by_return(&self, asks: &[Ask], state: Option<Value>) -> Result<Map<String, Value>, Halt> {
        let carried = self.carried()?;
        let given = &self.params["inputResponses"];
        let mut answers = Map::new();
        let mut requests = Map::new();
        for ask in asks {
            match &given[ask.key] {
                answer if is_answer_to(ask.method, answer) => {
                    answers.insert(ask.key.to_owned(), answer.clone());
                }
                _ => {
                    let request = json!({"method": ask.method, "params": ask.params});
                    requests.insert(ask.key.to_owned(), request);
                }
            }
        }
        if requests.is_empty() && (state.is_none() || carried.is_some()) {
            return Ok(answers);
        }
        if requests.is_empty() {
            requests.extend(
                asks.iter()
                    .map(|ask| (ask.key.to_owned(), json!({"method": ask.method, "params": ask.params}))),
            );
        }
        let state = state.map(|data| self.world.seal.close(&self.purpose(), &data, now_s()));
        Err(Halt::Input { requests, state })
    }

    async fn ask_now(&self, ask: &Ask) -> Result<Value, Halt> {
        let id = self.world.fresh("server");
        let answer = self.session.expect_answer(&id);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": ask.method, "params": ask.params});
        let _ = self.sink.send(Out::Message(request));
        let failed = |why: String| Halt::from(RpcError::new(rpc::INTERNAL_ERROR, why));
        let message = tokio::time::timeout(ANSWER_TIMEOUT, answer)
            .await
            .map_err(|_| failed(format!("no answer to {} in time", ask.method)))?
            .map_err(|_| failed(format!("the question {} was dropped", ask.method)))?;
        match message.get("result") {
            Some(result) => Ok(result.clone()),
            None => Err(failed(format!("the client refused {}: {}", ask.method, message["error"]))),
        }
    }

    fn purpose(&self) -> String {
        format!("{} {}", self.method, self.params["name"].as_str().unwrap_or_default())
    }
}

/// Seconds since 1970.
pub fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn rank(level: &str) -> usize {
    LEVELS.iter().position(|known| *known == level).unwrap_or(0)
}

/// Whether a value has the shape of an answer to that request.
fn is_answer_to(method: &str, answer: &Value) -> bool {
    match method {
        "elicitation/create" => answer["action"].is_string(),
        "sampling/createMessage" => answer["role"].is_string() && !answer["content"].is_null(),
        _ => answer["roots"].is_array(),
    }
}
