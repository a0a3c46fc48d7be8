//! What the whole process shares: options, faults, counters, added tools, connections, listeners, tasks.
//! Rule: locks are held for one statement and never across an await.

use crate::args::Options;
use crate::faults::Faults;
use crate::listen::Listener;
use crate::seal::Seal;
use crate::session::Session;
use crate::tasks::Task;
use crate::wire::Sink;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

pub struct World {
    pub options: Options,
    pub faults: Faults,
    pub seal: Seal,
    /// Calls of the tool `counter`.
    pub counter: AtomicU64,
    /// Cancels seen for requests that were still running.
    pub cancelled: AtomicU64,
    /// Requests that could have met `http-500`.
    pub tossed: AtomicU64,
    added_tools: Mutex<BTreeMap<String, Value>>,
    added_prompts: Mutex<Vec<Value>>,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    listeners: Mutex<Vec<Listener>>,
    tasks: Mutex<HashMap<String, Arc<Task>>>,
    next_id: AtomicU64,
}

impl World {
    pub fn new(options: Options) -> Self {
        Self {
            faults: Faults::new(&options),
            options,
            seal: Seal::new(),
            counter: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            tossed: AtomicU64::new(0),
            added_tools: Mutex::default(),
            added_prompts: Mutex::default(),
            sessions: Mutex::default(),
            listeners: Mutex::default(),
            tasks: Mutex::default(),
            next_id: AtomicU64::new(1),
        }
    }

    /// A word nobody else in this process has.
    pub fn fresh(&self, prefix: &str) -> String {
        format!("{prefix}-{}", self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    pub fn server_info(&self) -> Value {
        json!({"name": self.options.name, "title": "Fixture server", "version": "1.0.0"})
    }

    pub fn add_tool(&self, name: &str) {
        self.describe_tool(name, "");
    }

    /// Adds a tool, or gives one that was added another description.
    pub fn describe_tool(&self, name: &str, description: &str) {
        let description =
            if description.is_empty() { "A tool that was added at run time" } else { description };
        let tool = crate::tools::inert(name, description);
        locked(&self.added_tools).insert(name.to_owned(), tool);
        self.list_changed("tools");
    }

    /// Adds the tool, or takes it away when it is there: whoever compares lists sees a change each time.
    pub fn toggle_tool(&self, name: &str) {
        if locked(&self.added_tools).remove(name).is_some() {
            return self.list_changed("tools");
        }
        self.add_tool(name);
    }

    pub fn added_tools(&self) -> Vec<Value> {
        locked(&self.added_tools).values().cloned().collect()
    }

    pub fn add_prompt(&self, name: &str) {
        let prompt = json!({"name": name, "description": "A prompt that was added at run time"});
        let mut prompts = locked(&self.added_prompts);
        if !prompts.iter().any(|known| known["name"] == name) {
            prompts.push(prompt);
        }
        drop(prompts);
        self.list_changed("prompts");
    }

    pub fn added_prompts(&self) -> Vec<Value> {
        locked(&self.added_prompts).clone()
    }

    pub fn open_session(&self, session: Arc<Session>) {
        locked(&self.sessions).insert(session.id.clone(), session);
    }

    pub fn session(&self, id: &str) -> Option<Arc<Session>> {
        locked(&self.sessions).get(id).cloned()
    }

    pub fn close_session(&self, id: &str) -> bool {
        locked(&self.sessions).remove(id).is_some()
    }

    pub fn listen(&self, listener: Listener) {
        locked(&self.listeners).push(listener);
    }

    pub fn stop_listening(&self, id: &Value, sink: &Sink) {
        locked(&self.listeners).retain(|listener| !(listener.id == *id && listener.sink.same_channel(sink)));
    }

    pub fn keep_task(&self, task: Arc<Task>) {
        locked(&self.tasks).insert(task.id.clone(), task);
    }

    pub fn task(&self, id: &str) -> Option<Arc<Task>> {
        locked(&self.tasks).get(id).cloned()
    }

    /// Tells every session and every listener that asked: the list of `kind` (tools, prompts, resources) changed.
    pub fn list_changed(&self, kind: &str) {
        let method = format!("notifications/{kind}/list_changed");
        self.tell(&method, json!({}), |_| true, |listener| listener.wants_list(kind));
    }

    pub fn resource_updated(&self, uri: &str) {
        self.tell(
            "notifications/resources/updated",
            json!({"uri": uri}),
            |session| session.is_subscribed(uri),
            |listener| listener.wants_resource(uri),
        );
    }

    /// Tells the listeners that asked for a task, in the words of `tasks/get`.
    pub fn task_changed(&self, task: &Value) {
        let id = task["taskId"].as_str().unwrap_or_default().to_owned();
        self.tell("notifications/tasks", task.clone(), |_| false, |listener| listener.wants_task(&id));
    }

    fn tell(
        &self,
        method: &str,
        params: Value,
        session_wants: impl Fn(&Session) -> bool,
        listener_wants: impl Fn(&Listener) -> bool,
    ) {
        for session in locked(&self.sessions).values() {
            if session.is_initialized() && session_wants(session) {
                session.send_general(crate::rpc::notification(method, params.clone()));
            }
        }
        let mut listeners = locked(&self.listeners);
        listeners.retain(|listener| !listener.sink.is_closed());
        for listener in listeners.iter().filter(|listener| listener_wants(listener)) {
            listener.send(method, params.clone());
        }
    }
}

/// Takes a lock; a panic elsewhere does not make the data unusable for a test.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
