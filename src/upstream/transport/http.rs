//! Streamable HTTP: a connection to a server where each request is an exchange of its own.
//! This file keeps what the exchanges share: ids, calls in flight, what was agreed, the end. How a request
//! travels stands in `http/exchange.rs`, event streams in `http/stream.rs`, what a status means in `http/status.rs`.
//!
//! Rules: a request is never sent twice once bytes of it may have left; every wait ends with the request's
//! deadline or with the link; a session the server lost closes the link, and a new one is made with a new link.

mod exchange;
pub(super) mod status;
mod stream;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use super::client::{Address, HttpTarget};
use crate::error::{Error, Result, codes};
use crate::tools::Era;
use crate::upstream::link::{
    Ask, Counters, Held, Inbox, Listener, Outgoing, Patience, answer_to, newest_of_each, timed_out,
};
use crate::upstream::message::{self, Answer, Envelope};
use bytes::Bytes;
use hyper::Method;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Deadline of a notification, or of an answer to a server's question.
const POST_DEADLINE: Duration = Duration::from_secs(30);
/// Deadline of ending the session at the server.
const DELETE_DEADLINE: Duration = Duration::from_secs(2);

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// What goes with every request until something else is agreed.
struct Agreed {
    era: Era,
    session: Option<HeaderValue>,
    headers: HeaderMap,
}

/// A request that waits for its answer.
struct Pending {
    listener: Option<Arc<dyn Listener>>,
    patience: Arc<Patience>,
}

/// A connection to a server over streamable HTTP.
pub struct HttpLink {
    /// An address that cannot work fails each request.
    address: Result<Address>,
    agreed: RwLock<Arc<Agreed>>,
    /// False while the server has yet to take `notifications/initialized`; requests wait for that.
    ready: watch::Sender<bool>,
    pending: Mutex<HashMap<u64, Pending>>,
    next: AtomicU64,
    closed: watch::Sender<Option<Error>>,
    inbox: Arc<dyn Inbox>,
    pub counters: Counters,
}

impl HttpLink {
    /// Connects to nothing yet; the first request does.
    pub fn new(target: HttpTarget, inbox: Arc<dyn Inbox>) -> Arc<Self> {
        let address = Address::new(&target);
        let agreed = Agreed { era: Era::Legacy, session: None, headers: base_headers(&address) };
        Arc::new(Self {
            address,
            agreed: RwLock::new(Arc::new(agreed)),
            ready: watch::Sender::new(true),
            pending: Mutex::default(),
            next: AtomicU64::new(1),
            closed: watch::Sender::new(None),
            inbox,
            counters: Counters::default(),
        })
    }

    pub fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Relaxed)
    }

    /// Sends a request and waits for its answer. Dropping the future cancels the request at the server.
    pub async fn request(self: &Arc<Self>, outgoing: Outgoing<'_>) -> Result<Answer> {
        let mut closed = self.closed.subscribe();
        if closed.borrow().is_some() {
            return Err(self.reason());
        }
        let agreed = self.agreed_now();
        let patience = Patience::new(outgoing.timeout);
        let pending = Pending { listener: outgoing.listener.clone(), patience: patience.clone() };
        self.pending().insert(outgoing.id, pending);
        // The modern era cancels by closing the stream, which dropping the exchange does.
        let cancel = agreed.era == Era::Legacy && outgoing.method != "initialize";
        let mut guard = InFlight { link: self, id: outgoing.id, cancel };
        let exchange = pin!(exchange::run(self, &agreed, &outgoing));
        let outcome = tokio::select! {
            biased;
            outcome = patience.wait_for(exchange) => outcome,
            _ = closed.wait_for(Option::is_some) => Ok(Err(self.reason())),
        };
        match outcome {
            Ok(answer) => {
                guard.cancel = false;
                answer
            }
            Err(over) => Err(timed_out(outgoing.method, outgoing.timeout, &over)),
        }
    }

    pub fn notify(self: &Arc<Self>, method: &str, params: &str) {
        let body = message::notification(method, params);
        if method != "notifications/initialized" {
            self.post_apart(body);
            return;
        }
        // Some servers refuse requests that overtake this one.
        self.ready.send_replace(false);
        let link = self.clone();
        self.apart(async move {
            link.post(body).await;
            link.ready.send_replace(true);
            tokio::select! {
                _ = link.closed() => {}
                () = stream::listen(&link) => {}
            }
        });
    }

    /// Tells what requests say of themselves from now on. An empty revision starts a handshake anew.
    pub fn agreed(&self, era: Era, revision: &str) {
        let session = match era {
            Era::Legacy if !revision.is_empty() => self.agreed_now().session.clone(),
            _ => None,
        };
        let mut headers = base_headers(&self.address);
        if let Ok(revision) = HeaderValue::from_str(revision)
            && !revision.is_empty()
        {
            headers.insert(VERSION, revision);
        }
        self.set_agreed(Agreed { era, session: None, headers }, session);
    }

    fn set_agreed(&self, mut agreed: Agreed, session: Option<HeaderValue>) {
        if let Some(session) = &session {
            agreed.headers.insert(SESSION, session.clone());
        }
        agreed.session = session;
        *self.agreed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(agreed);
    }

    fn agreed_now(&self) -> Arc<Agreed> {
        self.agreed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server gave the session a name.
    fn in_session(&self, session: HeaderValue) {
        let now = self.agreed_now();
        let agreed = Agreed { era: now.era, session: None, headers: now.headers.clone() };
        self.set_agreed(agreed, Some(session));
    }

    /// Ends the link: every waiting request gets `error`, and the server is told that the session is over.
    pub fn close(self: &Arc<Self>, error: Error) {
        if !self.end(error) {
            return;
        }
        let agreed = self.agreed_now();
        let (Ok(address), true) = (self.address.clone(), agreed.session.is_some()) else { return };
        self.apart(async move {
            let delete = address.send(Method::DELETE, agreed.headers.clone(), Bytes::new());
            let _ = tokio::time::timeout(DELETE_DEADLINE, delete).await;
        });
    }

    /// As `close`, without a word to the server. False when it was closed before.
    fn end(&self, error: Error) -> bool {
        self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            if first {
                *closed = Some(error);
            }
            first
        })
    }

    pub fn is_closed(&self) -> bool {
        self.closed.borrow().is_some()
    }

    /// Waits until the link is closed and tells why.
    pub async fn closed(&self) -> Error {
        let mut closed = self.closed.subscribe();
        let _ = closed.wait_for(Option::is_some).await;
        self.reason()
    }

    fn reason(&self) -> Error {
        let closed = self.closed.borrow().clone();
        closed.unwrap_or_else(|| Error::new(&codes::UPSTREAM_DIED, "the connection to the server ended"))
    }

    /// Requests waiting for an answer.
    pub fn in_flight(&self) -> usize {
        self.pending().len()
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<u64, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs something that nobody waits for; it has a deadline of its own or ends with the link.
    fn apart(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(task);
        }
    }

    fn post_apart(self: &Arc<Self>, body: Vec<u8>) {
        let link = self.clone();
        self.apart(async move { link.post(body).await });
    }

    /// Posts a message that is no request. A failure shows at the next request.
    async fn post(self: &Arc<Self>, body: Vec<u8>) {
        let _ = tokio::time::timeout(POST_DEADLINE, exchange::post(self, body.into())).await;
    }

    /// Takes one message (or a batch) from a stream, which is that of `call` or the common one.
    /// Gives the answer if it is the one of `call`.
    fn receive(self: &Arc<Self>, line: &Bytes, call: Option<&Outgoing<'_>>) -> Result<Option<Answer>> {
        let text = line.trim_ascii();
        let parsed = match text.first() {
            Some(b'[') => serde_json::from_slice::<Vec<Envelope<'_>>>(text),
            Some(_) => Envelope::parse(text).map(|envelope| vec![envelope]),
            None => return Ok(None),
        };
        let envelopes = match parsed {
            Ok(envelopes) => envelopes,
            Err(error) => {
                self.counters.noise.fetch_add(1, Relaxed);
                let mine =
                    call.is_some_and(|call| message::id_of_broken(text).is_none_or(|id| id == call.id));
                let failed = Error::new(&codes::UPSTREAM_PROTOCOL, "the server sent an invalid message");
                return if mine { Err(failed.because(error)) } else { Ok(None) };
            }
        };
        let mut answer = None;
        for envelope in &envelopes {
            match (&envelope.method, envelope.id) {
                (None, Some(_)) if call.is_some_and(|call| envelope.own_id() == Some(call.id)) => {
                    answer = exchange::answer_of(line, envelope).or(answer);
                }
                (None, Some(_)) => _ = self.counters.late.fetch_add(1, Relaxed),
                (Some(method), None) => self.notified(method, envelope.params_text(), call),
                (Some(method), Some(id)) => self.asked(method, id.get(), envelope.params_text(), call),
                (None, None) => _ = self.counters.noise.fetch_add(1, Relaxed),
            }
        }
        Ok(answer)
    }

    fn notified(&self, method: &str, params: &str, call: Option<&Outgoing<'_>>) {
        match method {
            "notifications/progress" => {
                let listener =
                    exchange::progress_token(params).and_then(|id| self.pending().get(&id)?.listener.clone());
                match listener {
                    Some(listener) => listener.notify(method, params),
                    None => _ = self.counters.late.fetch_add(1, Relaxed),
                }
            }
            "notifications/message" | "notifications/elicitation/complete" => {
                let listeners = self.concerned(call);
                if listeners.is_empty() {
                    self.inbox.notification(method, params);
                }
                listeners.iter().for_each(|listener| listener.notify(method, params));
            }
            _ => self.inbox.notification(method, params),
        }
    }

    /// Who hears a message without address: on the stream of a call its listener, on the common stream
    /// one listener for each session with a call in flight.
    fn concerned(&self, call: Option<&Outgoing<'_>>) -> Vec<Arc<dyn Listener>> {
        if let Some(call) = call {
            return call.listener.iter().cloned().collect();
        }
        newest_of_each(self.pending().iter().map(|(id, pending)| (*id, &pending.listener)))
    }

    /// Stops the clock of the call that asked; on the common stream that of every call of the session.
    fn hold(&self, session: u64, call: Option<&Outgoing<'_>>) -> Vec<Held> {
        let of_session = |listener: &Arc<dyn Listener>| listener.session() == session;
        let pending = self.pending();
        let waits = |id: &u64, waiting: &Pending| match call {
            Some(call) => *id == call.id,
            None => waiting.listener.as_ref().is_some_and(of_session),
        };
        let waiting = pending.iter().filter(|(id, waiting)| waits(id, waiting));
        waiting.map(|(_, waiting)| waiting.patience.hold()).collect()
    }

    /// On the common stream a question tells no call: with several sessions at work it must not reach the
    /// wrong one, so the inbox refuses it, and sees to it that the next one finds one session only.
    fn asked(self: &Arc<Self>, method: &str, id: &str, params: &str, call: Option<&Outgoing<'_>>) {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { method: method.into(), params: params.into(), reply };
        let concerned = if method == "ping" { Vec::new() } else { self.concerned(call) };
        let listener = match concerned.as_slice() {
            [listener] => Some(listener),
            _ => None,
        };
        if call.is_none() && !concerned.is_empty() {
            self.inbox.asks(method);
        }
        let held = listener.map(|listener| self.hold(listener.session(), call)).unwrap_or_default();
        let (link, id) = (self.clone(), id.to_string());
        self.apart(async move {
            let answer = tokio::select! {
                answer = answer_to(answer, held) => answer,
                _ = link.closed() => return,
            };
            link.post(answer.line(&id)).await;
        });
        match listener {
            Some(listener) => listener.ask(ask),
            None => self.inbox.ask(ask),
        }
    }
}

/// The user's headers and those of every request. A header of the user may replace none of the protocol's.
fn base_headers(address: &Result<Address>) -> HeaderMap {
    let mut headers = address.as_ref().map(|address| address.headers.clone()).unwrap_or_default();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

/// Takes the request out of those in flight, and cancels it at the server when it was not answered.
struct InFlight<'a> {
    link: &'a Arc<HttpLink>,
    id: u64,
    cancel: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.link.pending().remove(&self.id);
        if self.cancel {
            self.link.notify("notifications/cancelled", &format!(r#"{{"requestId":{}}}"#, self.id));
        }
    }
}
