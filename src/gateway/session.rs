//! One client: what it declared, what it is waiting for, and how to reach it.
//! A stdio connection and a legacy HTTP session are sessions; a modern HTTP request gets one for itself.
//! Long because everything known of one client stands behind the same few locks.

use super::outbox::Outbox;
use super::peers::Known;
use crate::clock::Timestamp;
use crate::environments::Profile;
use crate::policy::pass::Pass;
use crate::tools::Era;
use crate::upstream::link::Ask;
use crate::upstream::message::{self, Answer, code};
use crate::usage::Door;
use futures_util::future::AbortHandle;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::oneshot;

/// What a client can be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    pub sampling: bool,
    pub elicitation_form: bool,
    pub elicitation_url: bool,
    pub roots: bool,
    pub tasks: bool,
}

impl Abilities {
    /// Reads `capabilities` of either era.
    pub fn of(capabilities: &Value) -> Self {
        let elicitation = &capabilities["elicitation"];
        Self {
            sampling: capabilities["sampling"].is_object(),
            // An empty object means forms, as it did before there were two modes.
            elicitation_form: elicitation.is_object()
                && (elicitation["form"].is_object() || elicitation["url"].is_null()),
            elicitation_url: elicitation["url"].is_object(),
            roots: capabilities["roots"].is_object(),
            tasks: capabilities["extensions"]["io.modelcontextprotocol/tasks"].is_object(),
        }
    }

    /// Whether the client can answer a question.
    pub fn can(&self, method: &str, params: &str) -> bool {
        match method {
            "sampling/createMessage" => self.sampling,
            "roots/list" => self.roots,
            "elicitation/create" => {
                let params: Value = serde_json::from_str(params).unwrap_or_default();
                if params["mode"] == "url" { self.elicitation_url } else { self.elicitation_form }
            }
            _ => false,
        }
    }

    pub fn any(&self) -> bool {
        self.sampling || self.elicitation_form || self.elicitation_url || self.roots
    }
}

/// What a client said of itself, in `initialize` or with a request.
#[derive(Debug, Clone)]
pub struct Peer {
    pub era: Era,
    pub abilities: Abilities,
    /// JSON text.
    pub capabilities: Arc<str>,
    /// JSON text of name and version.
    pub info: Arc<str>,
}

/// A modern client's open `subscriptions/listen`.
#[derive(Debug, Clone, Default)]
pub struct Listen {
    pub tools: bool,
    pub prompts: bool,
    pub resources: bool,
    pub uris: Vec<String>,
    /// Raw JSON of the request's id.
    pub id: String,
}

/// How a session came to be.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub door: Door,
    /// Name given on the command line or by the client's entry; empty when unknown.
    pub client: String,
    /// Name of the key an HTTP client came with.
    pub token: Option<Pass>,
    /// When that key is over by itself.
    pub until: Option<Timestamp>,
    pub profile: Option<String>,
    pub cwd: Option<String>,
}

/// Whose a task or a parked call is: as much as umcp itself knows of a client, whatever the client says. Over HTTP each
/// modern request is a session of its own, so the session cannot tell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    pub profile: String,
    pub client: String,
}

#[derive(Default)]
struct State {
    peer: Option<Peer>,
    initialized: bool,
    client: Arc<str>,
    profile: Arc<Profile>,
    level: Option<u8>,
    subscribed: HashSet<String>,
    listens: HashMap<String, (Listen, Arc<Outbox>)>,
    /// Tags of the tool, prompt and resource lists the client was last told of.
    seen: [u64; 3],
}

/// One client.
pub struct Session {
    pub id: u64,
    pub arrival: Arrival,
    pub since: Timestamp,
    /// Where messages outside any request go.
    pub outbox: Arc<Outbox>,
    pub calls: AtomicU64,
    /// See [`Session::identity`].
    identity: OnceLock<Arc<str>>,
    /// See [`Session::ends`]; the highest number is never.
    ends: AtomicU64,
    state: Mutex<State>,
    in_flight: Mutex<HashMap<String, AbortHandle>>,
    asks: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    next_ask: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn end_of(until: Option<Timestamp>) -> u64 {
    until.map_or(u64::MAX, |until| until.0)
}

impl Session {
    pub fn new(
        id: u64,
        arrival: Arrival,
        profile: Arc<Profile>,
        outbox: Arc<Outbox>,
        now: Timestamp,
    ) -> Arc<Self> {
        let client: Arc<str> = arrival.client.as_str().into();
        let state = State { client, profile, ..State::default() };
        let ends = AtomicU64::new(end_of(arrival.until));
        Arc::new(Self {
            id,
            arrival,
            since: now,
            outbox,
            calls: AtomicU64::new(0),
            identity: OnceLock::new(),
            ends,
            state: Mutex::new(state),
            in_flight: Mutex::default(),
            asks: Mutex::default(),
            next_ask: AtomicU64::new(1),
        })
    }

    /// Whose session this is, as far as umcp itself knows: what was granted to somebody is granted to no one else who
    /// takes the same name. A key counts by its id, a client by the name its entry gave it, any other by its connection;
    /// over HTTP without a key, where each request may be a session, by what it says.
    pub fn identity(&self) -> Arc<str> {
        let arrival = &self.arrival;
        let made = || match (&arrival.token, arrival.client.as_str()) {
            (Some(token), _) => format!("key named {token}").into(),
            (None, "") if arrival.door == Door::Http => format!("http {}", self.client()).into(),
            (None, "") => format!("session {}", self.id).into(),
            (None, given) => format!("client {given}").into(),
        };
        self.identity.get_or_init(made).clone()
    }

    /// The key this session came with, by its id.
    pub fn came_with(&self, key: &str) {
        let _ = self.identity.set(format!("key {key}").into());
    }

    /// When the latest of the passes this session was used with is over; `None` is never.
    pub fn ends(&self) -> Option<Timestamp> {
        Some(self.ends.load(Relaxed)).filter(|end| *end != u64::MAX).map(Timestamp)
    }

    /// The session is used with a pass that is good until then.
    pub fn used_until(&self, until: Option<Timestamp>) {
        self.ends.fetch_max(end_of(until), Relaxed);
    }

    /// The legacy peer of this session, once it has said hello.
    pub fn peer(&self) -> Option<Peer> {
        locked(&self.state).peer.clone()
    }

    pub fn greet(&self, peer: Peer, client: &str, profile: Arc<Profile>) {
        let mut state = locked(&self.state);
        state.peer = Some(peer);
        state.client = client.into();
        state.profile = profile;
    }

    /// Takes the name a modern client goes by, unless its entry gave it one.
    pub fn introduce(&self, known: &Known) {
        let Some(name) = &known.name else { return };
        let mut state = locked(&self.state);
        if state.client.is_empty() {
            state.client = name.clone();
            let Arrival { door, token, client, .. } = &self.arrival;
            if *door == Door::Http && token.is_none() && client.is_empty() {
                let _ = self.identity.set(known.identity.clone());
            }
        }
    }

    pub fn set_initialized(&self) {
        locked(&self.state).initialized = true;
    }

    pub fn client(&self) -> Arc<str> {
        locked(&self.state).client.clone()
    }

    pub fn owner(&self) -> Owner {
        Owner { profile: self.profile().name.clone(), client: self.arrival.client.clone() }
    }

    pub fn profile(&self) -> Arc<Profile> {
        locked(&self.state).profile.clone()
    }

    pub fn set_profile(&self, profile: Arc<Profile>) {
        locked(&self.state).profile = profile;
    }

    pub fn era(&self) -> Option<Era> {
        locked(&self.state).peer.as_ref().map(|peer| peer.era)
    }

    /// Sets the least severe level of log messages the client wants.
    pub fn set_level(&self, level: u8) {
        locked(&self.state).level = Some(level);
    }

    pub fn level(&self) -> Option<u8> {
        locked(&self.state).level
    }

    /// Notes a subscription; false when it was there already.
    pub fn subscribe(&self, uri: &str) -> bool {
        locked(&self.state).subscribed.insert(uri.into())
    }

    pub fn unsubscribe(&self, uri: &str) -> bool {
        locked(&self.state).subscribed.remove(uri)
    }

    pub fn listen(&self, listen: Listen, outbox: Arc<Outbox>) {
        locked(&self.state).listens.insert(listen.id.clone(), (listen, outbox));
    }

    pub fn unlisten(&self, id: &str) -> Option<Listen> {
        locked(&self.state).listens.remove(id).map(|(listen, _)| listen)
    }

    /// Ends all waiting; gives every URI waited for, once for each time it was asked. A listen request that is
    /// dropped later finds nothing left to end.
    pub fn stop_waiting(&self) -> Vec<String> {
        let (subscribed, listens) = {
            let mut state = locked(&self.state);
            (std::mem::take(&mut state.subscribed), std::mem::take(&mut state.listens))
        };
        subscribed.into_iter().chain(listens.into_values().flat_map(|(listen, _)| listen.uris)).collect()
    }

    /// Remembers a running request, so that it can be cancelled.
    pub fn started(&self, id: &str, handle: AbortHandle) {
        locked(&self.in_flight).insert(id.into(), handle);
    }

    pub fn finished(&self, id: &str) {
        locked(&self.in_flight).remove(id);
    }

    pub fn in_flight(&self) -> usize {
        locked(&self.in_flight).len()
    }

    /// Cancels one request (raw JSON id); its call is cancelled at the server too.
    pub fn cancel(&self, id: &str) {
        if let Some(handle) = locked(&self.in_flight).remove(id) {
            handle.abort();
        }
    }

    /// Cancels everything: the client has gone.
    pub fn close(&self) {
        for (_, handle) in std::mem::take(&mut *locked(&self.in_flight)) {
            handle.abort();
        }
        locked(&self.asks).clear();
    }

    /// Puts a server's question to the client, on the stream of the request it belongs to.
    pub fn ask(&self, abilities: &Abilities, ask: Ask, sink: &Outbox) {
        if !abilities.can(&ask.method, &ask.params) {
            let message = format!("the client cannot answer `{}`", ask.method);
            let _ = ask.reply.send(Answer::error(code::METHOD_NOT_FOUND, &message));
            return;
        }
        let number = self.next_ask.fetch_add(1, Relaxed);
        let mut asks = locked(&self.asks);
        // Questions whose server waits no longer: its call has ended.
        asks.retain(|_, reply| !reply.is_closed());
        asks.insert(number, ask.reply);
        drop(asks);
        sink.send(message::request(format_args!("\"umcp-{number}\""), &ask.method, &ask.params));
    }

    /// Takes the client's answer to a question (raw JSON id).
    pub fn answered(&self, id: &str, answer: Answer) {
        let number = id.trim_matches('"').strip_prefix("umcp-").and_then(|number| number.parse().ok());
        if let Some(reply) = number.and_then(|number: u64| locked(&self.asks).remove(&number)) {
            let _ = reply.send(answer);
        }
    }

    /// Tells the client which lists changed, once for each change of their tags.
    pub fn lists_changed(&self, tags: [u64; 3]) {
        const METHODS: [&str; 3] = [
            "notifications/tools/list_changed",
            "notifications/prompts/list_changed",
            "notifications/resources/list_changed",
        ];
        let mut state = locked(&self.state);
        let seen = std::mem::replace(&mut state.seen, tags);
        for (i, method) in METHODS.iter().enumerate().filter(|(i, _)| seen[*i] != tags[*i] && seen[*i] != 0) {
            if state.initialized {
                self.outbox.notify(message::notification(method, "{}"));
            }
            let wanted = |listen: &Listen| [listen.tools, listen.prompts, listen.resources][i];
            for (listen, outbox) in state.listens.values().filter(|(listen, _)| wanted(listen)) {
                outbox.notify(message::notification(method, &with_subscription("{}", &listen.id)));
            }
        }
    }

    /// Remembers the lists the client starts from.
    pub fn saw(&self, tags: [u64; 3]) {
        locked(&self.state).seen = tags;
    }

    /// Whether the client wants to hear of changes of a resource.
    pub fn waits_for(&self, uri: &str) -> bool {
        let state = locked(&self.state);
        let listed = |(listen, _): &(Listen, Arc<Outbox>)| listen.uris.iter().any(|one| one == uri);
        state.subscribed.contains(uri) || state.listens.values().any(listed)
    }

    /// Passes on that a resource changed, to whoever waits for it.
    pub fn resource_updated(&self, uri: &str, params: &str) {
        let state = locked(&self.state);
        if state.subscribed.contains(uri) {
            self.outbox.notify(message::notification("notifications/resources/updated", params));
        }
        for (listen, outbox) in
            state.listens.values().filter(|(listen, _)| listen.uris.iter().any(|one| one == uri))
        {
            let params = with_subscription(params, &listen.id);
            outbox.notify(message::notification("notifications/resources/updated", &params));
        }
    }

    /// Passes on a notification that is for everybody.
    pub fn broadcast(&self, method: &str, params: &str) {
        let state = locked(&self.state);
        if state.initialized {
            self.outbox.notify(message::notification(method, params));
        }
        for (listen, outbox) in state.listens.values() {
            outbox.notify(message::notification(method, &with_subscription(params, &listen.id)));
        }
    }
}

/// Sets the subscription id in `_meta` of a notification's params.
pub fn with_subscription(params: &str, id: &str) -> String {
    let mut params: Value = serde_json::from_str(params).unwrap_or_default();
    if !params.is_object() {
        params = Value::Object(serde_json::Map::new());
    }
    params["_meta"]["io.modelcontextprotocol/subscriptionId"] = serde_json::from_str(id).unwrap_or_default();
    params.to_string()
}

/// Severity of a log level: 0 is `debug`, 7 is `emergency`. Unknown words count as `info`.
pub fn severity(level: &str) -> u8 {
    const LEVELS: [&str; 8] =
        ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
    LEVELS.iter().position(|known| *known == level).map_or(1, |at| at as u8)
}

/// The word of a severity.
pub fn level_word(severity: u8) -> &'static str {
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
        [usize::from(severity.min(7))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn abilities_are_read_in_every_form() {
        let form = Abilities::of(&json!({"elicitation": {}}));
        assert!(form.elicitation_form && !form.elicitation_url);
        let url = Abilities::of(&json!({"elicitation": {"url": {}}, "roots": {}}));
        assert!(!url.elicitation_form && url.elicitation_url && url.roots);
        assert!(url.can("elicitation/create", r#"{"mode":"url"}"#));
        assert!(!url.can("elicitation/create", "{}"));
        assert!(!url.can("anything/else", "{}"));
    }

    #[test]
    fn waiting_ends_once() {
        let (outbox, _queue) = Outbox::new();
        let arrival = Arrival {
            door: Door::Stdio,
            client: String::new(),
            token: None,
            until: None,
            profile: None,
            cwd: None,
        };
        let session = Session::new(1, arrival, Arc::default(), outbox.clone(), Timestamp(0));
        assert!(session.subscribe("a") && !session.subscribe("a"));
        let listen = Listen { uris: vec!["a".into(), "b".into()], id: "7".into(), ..Listen::default() };
        session.listen(listen, outbox);
        assert_eq!(session.stop_waiting(), ["a", "a", "b"]);
        assert!(session.unlisten("7").is_none() && session.stop_waiting().is_empty());
    }

    #[test]
    fn a_subscription_id_joins_what_is_there() {
        assert_eq!(
            with_subscription(r#"{"uri":"a","_meta":{"x":1}}"#, "\"l1\""),
            r#"{"uri":"a","_meta":{"x":1,"io.modelcontextprotocol/subscriptionId":"l1"}}"#
        );
    }
}
