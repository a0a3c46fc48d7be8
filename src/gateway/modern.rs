//! A modern client in front of a legacy server. The server asks in the middle of a call; the client is asked in
//! the call's result instead, and repeats the call with the answers. Meanwhile the call is parked here.
//!
//! `requestState` is input from outside: it names a parked call by an unguessable key and is sealed with an HMAC
//! over the key, what was called with which arguments, and for whom, so that it opens nothing else. It opens once, and
//! neither after the call's end nor when it has expired.

use super::Gateway;
use super::listener::CallListener;
use super::session::Owner;
use crate::calls::{Params, Reply};
use crate::error::Result;
use crate::upstream::link::{Ask, Listener};
use crate::upstream::message::{Answer, quote};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A parked call is given up after this long.
const PATIENCE: Duration = Duration::from_secs(600);
/// Parked calls at once; more give up the oldest.
const MOST: usize = 1000;

/// What a state is sealed with: a request that goes on, and whose it is.
#[derive(Clone)]
pub struct Seal {
    /// Method and name.
    pub what: String,
    pub owner: Owner,
    /// Raw JSON of the parameters.
    pub params: Arc<str>,
}

impl Seal {
    /// The words to sign. Parameters that differ from step to step are left out.
    fn words(&self, key: &str) -> String {
        const STEPS: [&str; 3] = ["requestState", "inputResponses", "_meta"];
        let arguments = Params::parse(&self.params).map(|params| params.digest(&STEPS)).unwrap_or_default();
        let Owner { profile, client } = &self.owner;
        [key, &self.what, profile, client, &arguments].map(quote).join("\n")
    }
}

/// A call that is waiting for answers of the client.
pub struct Waiting {
    pub outcome: JoinHandle<Result<Reply>>,
    pub asks: mpsc::UnboundedReceiver<Ask>,
    pub listener: Arc<CallListener>,
    /// Open questions by the key they were given.
    open: BTreeMap<String, Ask>,
    asked: usize,
    /// So that a state opens only the same request again.
    seal: Seal,
    until: Instant,
    gateway: Weak<Gateway>,
}

impl Waiting {
    pub fn new(
        outcome: JoinHandle<Result<Reply>>,
        asks: mpsc::UnboundedReceiver<Ask>,
        listener: Arc<CallListener>,
        seal: Seal,
        gateway: Weak<Gateway>,
    ) -> Self {
        let until = Instant::now() + PATIENCE;
        Self { outcome, asks, listener, open: BTreeMap::new(), asked: 0, seal, until, gateway }
    }

    /// One more question for the client.
    pub fn put(&mut self, ask: Ask) {
        self.asked += 1;
        self.open.insert(format!("ask-{}", self.asked), ask);
    }

    /// Every question that is still open: key, method, params.
    pub fn questions(&self) -> Vec<(String, String, String)> {
        let question = |(key, ask): (&String, &Ask)| (key.clone(), ask.method.clone(), ask.params.clone());
        self.open.iter().map(question).collect()
    }

    /// Hands the client's answers to the server.
    pub fn answer(&mut self, responses: &str) {
        let responses: BTreeMap<String, Box<RawValue>> = serde_json::from_str(responses).unwrap_or_default();
        for (key, response) in responses {
            if let Some(ask) = self.open.remove(&key) {
                let _ = ask.reply.send(Answer::result(response.get().to_string()));
            }
        }
        // The server waits for these no longer.
        self.open.retain(|_, ask| !ask.reply.is_closed());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.outcome.abort();
        // What was started for the request that began the call has outlived it, and ends now.
        if let Some(gateway) = self.gateway.upgrade()
            && gateway.hub.get(self.listener.session()).is_none()
        {
            gateway.world().leave(self.listener.session());
        }
    }
}

/// All parked calls.
pub struct Parked {
    calls: Mutex<HashMap<String, Waiting>>,
    key: hmac::Key,
}

impl Default for Parked {
    fn default() -> Self {
        let key = crate::ids::random_hex(32);
        Self { calls: Mutex::default(), key: hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()) }
    }
}

impl Parked {
    fn calls(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Parks a call and gives its sealed state.
    pub fn park(&self, waiting: Waiting, now: Instant) -> String {
        let key = crate::ids::random_hex(16);
        let tag = hmac::sign(&self.key, waiting.seal.words(&key).as_bytes());
        let mut calls = self.calls();
        calls.retain(|_, waiting| waiting.until > now);
        if calls.len() >= MOST {
            let oldest = calls.iter().min_by_key(|(_, waiting)| waiting.until).map(|(key, _)| key.clone());
            oldest.and_then(|key| calls.remove(&key));
        }
        calls.insert(key.clone(), waiting);
        format!("umcp.{key}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    /// Takes the call a state belongs to; `None` for a state that is forged, expired or of another request.
    pub fn take(&self, state: &str, seal: &Seal, now: Instant) -> Option<Waiting> {
        let (key, tag) = state.strip_prefix("umcp.")?.split_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.key, seal.words(key).as_bytes(), &tag).ok()?;
        self.calls().remove(key).filter(|waiting| waiting.until > now)
    }

    /// Whether a call of this session is parked.
    pub fn holds(&self, session: u64) -> bool {
        self.calls().values().any(|waiting| waiting.listener.session() == session)
    }

    /// Whether a state has the form of ours; others belong to the server.
    pub fn is_ours(state: &str) -> bool {
        state.starts_with("umcp.")
    }
}

/// The result that asks the client.
pub fn input_required(asks: &[(String, String, String)], state: &str) -> Answer {
    let request = |(key, method, params): &(String, String, String)| {
        format!(r#"{}:{{"method":{},"params":{params}}}"#, quote(key), quote(method))
    };
    let requests: Vec<String> = asks.iter().map(request).collect();
    Answer::result(format!(
        r#"{{"resultType":"input_required","inputRequests":{{{}}},"requestState":{}}}"#,
        requests.join(","),
        quote(state)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::outbox::Outbox;
    use super::super::session::{Abilities, Arrival, Peer, Session};
    use super::*;
    use crate::clock::Timestamp;
    use crate::environments::Profile;
    use crate::tools::Era;
    use crate::usage::Door;

    fn seal(what: &str, profile: &str, params: &str) -> Seal {
        let owner = Owner { profile: profile.into(), client: String::new() };
        Seal { what: what.into(), owner, params: params.into() }
    }

    fn waiting(seal: &Seal) -> Waiting {
        let (_, asks) = mpsc::unbounded_channel();
        let (outbox, _) = Outbox::new();
        let arrival = Arrival {
            door: Door::Stdio,
            client: String::new(),
            token: None,
            until: None,
            profile: None,
            cwd: None,
        };
        let session = Session::new(1, arrival, Arc::new(Profile::default()), outbox.clone(), Timestamp(0));
        let peer = Peer {
            era: Era::Modern,
            abilities: Abilities::default(),
            capabilities: "{}".into(),
            info: "{}".into(),
        };
        let listener = CallListener::new(session, &peer, outbox, None, None, None);
        Waiting::new(
            tokio::spawn(std::future::pending()),
            asks,
            Arc::new(listener),
            seal.clone(),
            Weak::new(),
        )
    }

    #[test]
    fn what_was_not_answered_stays_open_while_the_server_waits() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut waiting = waiting(&seal("call a", "p", "{}"));
            let mut answers = Vec::new();
            for method in ["one", "two", "three"] {
                let (reply, answer) = tokio::sync::oneshot::channel();
                waiting.put(Ask { method: method.into(), params: "{}".into(), reply });
                answers.push(answer);
            }
            drop(answers.pop());
            waiting.answer(r#"{"ask-1":{"action":"accept"},"ask-9":{}}"#);
            let open = vec![("ask-2".to_string(), "two".to_string(), "{}".to_string())];
            assert_eq!(waiting.questions(), open);
            assert_eq!(answers[0].try_recv().unwrap().text(), r#"{"action":"accept"}"#);
        });
    }

    #[test]
    fn a_state_opens_its_own_request_once() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let parked = Parked::default();
            let now = Instant::now();
            let own = seal("call a", "p", r#"{"arguments":{"x":1}}"#);
            let state = parked.park(waiting(&own), now);
            assert!(Parked::is_ours(&state));
            for other in [
                seal("call b", "p", &own.params),
                seal("call a", "q", &own.params),
                seal("call a", "p", r#"{"arguments":{"x":2}}"#),
            ] {
                assert!(parked.take(&state, &other, now).is_none());
            }
            let mut forged = state.clone();
            forged.pop();
            assert!(parked.take(&forged, &own, now).is_none());
            assert!(Parked::default().take(&state, &own, now).is_none());
            assert!(parked.holds(1) && !parked.holds(2));
            let again =
                seal("call a", "p", r#"{"arguments":{"x":1},"requestState":"s","inputResponses":{}}"#);
            assert!(parked.take(&state, &again, now).is_some());
            assert!(!parked.holds(1));
            assert!(parked.take(&state, &again, now).is_none());
            let late = parked.park(waiting(&own), now);
            assert!(parked.take(&late, &own, now + PATIENCE + Duration::from_secs(1)).is_none());
        });
    }
}
