//! One legacy conversation: what the client said of itself, what we asked it, what it asked us.
//! A modern request gets a session of its own that is thrown away (stdio keeps one, for cancels).
//! Rule: an answer that fits no question is dropped.

use crate::legacy_http::EventStream;
use crate::wire::{Out, Sink};
use crate::world::locked;
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, oneshot};

/// Messages kept for a client that has not opened its stream yet.
const BACKLOG: usize = 256;

#[derive(Default)]
pub struct Session {
    pub id: String,
    state: Mutex<State>,
    pending: Mutex<HashMap<String, oneshot::Sender<Value>>>,
    running: Mutex<HashMap<String, Running>>,
    general: Mutex<General>,
    parked: Mutex<HashMap<String, EventStream>>,
}

struct Running {
    cancelled: Arc<Notify>,
    /// Listen streams never end by themselves, so nobody waits for them.
    ends: bool,
}

#[derive(Default)]
struct State {
    initialized: bool,
    version: String,
    client_info: Value,
    capabilities: Value,
    level: Option<String>,
    subscriptions: HashSet<String>,
    roots_changes: u64,
}

#[derive(Default)]
struct General {
    sink: Option<Sink>,
    backlog: VecDeque<Value>,
}

impl Session {
    pub fn new(id: String) -> Arc<Self> {
        Arc::new(Self { id, ..Self::default() })
    }

    pub fn begin(&self, version: &str, params: &Value) {
        let mut state = locked(&self.state);
        state.version = version.to_owned();
        state.client_info = params["clientInfo"].clone();
        state.capabilities = params["capabilities"].clone();
    }

    pub fn set_initialized(&self) {
        locked(&self.state).initialized = true;
    }

    pub fn is_initialized(&self) -> bool {
        locked(&self.state).initialized
    }

    pub fn version(&self) -> String {
        locked(&self.state).version.clone()
    }

    pub fn client_info(&self) -> Value {
        locked(&self.state).client_info.clone()
    }

    pub fn capabilities(&self) -> Value {
        locked(&self.state).capabilities.clone()
    }

    pub fn set_level(&self, level: &str) {
        locked(&self.state).level = Some(level.to_owned());
    }

    pub fn level(&self) -> Option<String> {
        locked(&self.state).level.clone()
    }

    pub fn subscribe(&self, uri: &str) {
        locked(&self.state).subscriptions.insert(uri.to_owned());
    }

    pub fn unsubscribe(&self, uri: &str) {
        locked(&self.state).subscriptions.remove(uri);
    }

    pub fn is_subscribed(&self, uri: &str) -> bool {
        locked(&self.state).subscriptions.contains(uri)
    }

    pub fn note_roots_change(&self) {
        locked(&self.state).roots_changes += 1;
    }

    pub fn roots_changes(&self) -> u64 {
        locked(&self.state).roots_changes
    }

    /// Where messages go that belong to no request; what had to wait goes first.
    pub fn set_general(&self, sink: Sink) {
        let mut general = locked(&self.general);
        for message in general.backlog.drain(..) {
            // A stream that closed at once loses what was sent to it, as over the network.
            let _ = sink.send(Out::Message(message));
        }
        general.sink = Some(sink);
    }

    pub fn general(&self) -> Option<Sink> {
        locked(&self.general).sink.clone()
    }

    /// Keeps the rest of a stream until the client comes back for it.
    pub fn park(&self, id: String, stream: EventStream) {
        locked(&self.parked).insert(id, stream);
    }

    pub fn unpark(&self, id: &str) -> Option<EventStream> {
        locked(&self.parked).remove(id)
    }

    pub fn send_general(&self, message: Value) {
        let mut general = locked(&self.general);
        if let Some(sink) = &general.sink
            && sink.send(Out::Message(message.clone())).is_ok()
        {
            return;
        }
        if general.backlog.len() == BACKLOG {
            general.backlog.pop_front();
        }
        general.backlog.push_back(message);
    }

    /// Registers a question; the answer arrives on the channel.
    pub fn expect_answer(&self, id: &str) -> oneshot::Receiver<Value> {
        let (sender, receiver) = oneshot::channel();
        locked(&self.pending).insert(id.to_owned(), sender);
        receiver
    }

    pub fn take_answer(&self, message: &Value) {
        let Some(id) = message["id"].as_str() else { return };
        if let Some(sender) = locked(&self.pending).remove(id) {
            // The asker may have been cancelled meanwhile.
            let _ = sender.send(message.clone());
        }
    }

    pub fn start_running(&self, id: &Value, ends: bool) -> Arc<Notify> {
        let cancelled = Arc::new(Notify::new());
        locked(&self.running).insert(id.to_string(), Running { cancelled: Arc::clone(&cancelled), ends });
        cancelled
    }

    pub fn is_busy(&self) -> bool {
        locked(&self.running).values().any(|running| running.ends)
    }

    pub fn stop_running(&self, id: &Value) {
        locked(&self.running).remove(&id.to_string());
    }

    /// Cancels the request with that id; false when none is running.
    pub fn cancel(&self, id: &Value) -> bool {
        let cancelled =
            locked(&self.running).get(&id.to_string()).map(|running| Arc::clone(&running.cancelled));
        cancelled.inspect(|cancelled| cancelled.notify_one()).is_some()
    }
}
