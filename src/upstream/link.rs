//! One connection over a stream of lines: framing, request ids, order and back pressure.
//! It knows JSON-RPC and nothing of MCP's methods but the three that belong to calls: progress, log, cancel.
//! Long because all of it is about one table, that of the calls which wait.
//!
//! Rules: the waiting call is registered before its request is written; reading and writing are separate tasks,
//! and the reader never waits for anything; every wait has a deadline; what was not asked for is counted and dropped.

#[cfg(test)]
pub mod alone;
mod lines;
mod patience;
mod strays;

use super::message::{self, Answer, Envelope, code};
use crate::error::{Error, Result, codes};
use bytes::Bytes;
pub use lines::{MAX_LINE, read_lines, read_to_end, write_lines};
pub use patience::{Held, Over, Patience};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use strays::Strays;
use tokio::sync::{mpsc, oneshot, watch};

/// Deadline of a question a server asks the client (a person may have to answer).
pub const ASK_DEADLINE: Duration = Duration::from_secs(600);
/// A server that has missed a deadline and says nothing for so long in the middle of a message will not go on.
const STALL: Duration = Duration::from_secs(1);
/// Who made a call and hears what belongs to it. Methods return at once and keep the order of the wire.
pub trait Listener: Send + Sync {
    /// A progress or log notification of the call, with the server's own params.
    fn notify(&self, method: &str, params: &str);
    /// A question of the server to the client: sampling, elicitation, roots.
    fn ask(&self, ask: Ask);
    /// Calls of one session share a number.
    fn session(&self) -> u64;
}

/// A question of a server. Dropping it answers with an error.
#[derive(Debug)]
pub struct Ask {
    pub method: String,
    pub params: String,
    pub reply: oneshot::Sender<Answer>,
}

/// What arrives outside any call. The method returns at once.
pub trait Inbox: Send + Sync {
    fn notification(&self, method: &str, params: &str);
    /// A question while no call (or no single session's call) is running.
    fn ask(&self, ask: Ask);
    /// A question has come in the middle of calls and does not say of which.
    fn asks(&self, _method: &str) {}
}

/// A request on its way to a server.
pub struct Outgoing<'a> {
    /// From [`Link::next_id`]; also the progress token of the call.
    pub id: u64,
    pub method: &'a str,
    /// A JSON object as text.
    pub params: &'a str,
    pub listener: Option<Arc<dyn Listener>>,
    pub timeout: Duration,
    /// Value of the `Mcp-Name` header over HTTP.
    pub name: Option<&'a str>,
    /// Further headers over HTTP (`Mcp-Param-…`).
    pub headers: &'a [(String, String)],
}

struct Pending {
    done: oneshot::Sender<Result<Answer>>,
    listener: Option<Arc<dyn Listener>>,
    patience: Arc<Patience>,
}

/// Counters of a connection, for `server status`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Lines that were not protocol.
    pub noise: AtomicU64,
    /// Answers nobody waited for (any more).
    pub late: AtomicU64,
}

/// The connection. Pumps (`read_lines` and `write_lines`, or a transport's own) feed it and empty its queue.
pub struct Link {
    out: mpsc::UnboundedSender<Bytes>,
    pending: Mutex<HashMap<u64, Pending>>,
    next: AtomicU64,
    closed: watch::Sender<Option<Error>>,
    inbox: Arc<dyn Inbox>,
    /// How often something was read, and whether a message has begun and not ended.
    reads: AtomicU64,
    mid_line: AtomicBool,
    pub strays: Strays,
    pub counters: Counters,
}

impl Link {
    /// A link and the queue of messages (each with its line break) that its pump must write.
    pub fn new(inbox: Arc<dyn Inbox>) -> (Arc<Self>, mpsc::UnboundedReceiver<Bytes>) {
        let (out, queue) = mpsc::unbounded_channel();
        let link = Self {
            out,
            pending: Mutex::default(),
            next: AtomicU64::new(1),
            closed: watch::Sender::new(None),
            inbox,
            reads: AtomicU64::new(0),
            mid_line: AtomicBool::new(false),
            strays: Strays::default(),
            counters: Counters::default(),
        };
        (Arc::new(link), queue)
    }

    pub fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Relaxed)
    }

    /// Sends a request and waits for its answer. Dropping the future cancels the request at the server.
    pub async fn request(self: &Arc<Self>, outgoing: Outgoing<'_>) -> Result<Answer> {
        let (done, answer) = oneshot::channel();
        let id = outgoing.id;
        if let Some(error) = self.closed.borrow().as_ref() {
            return Err(error.clone());
        }
        let patience = Patience::new(outgoing.timeout);
        let pending = Pending { done, listener: outgoing.listener, patience: patience.clone() };
        self.pending().insert(id, pending);
        let mut guard = InFlight { link: self, id, cancel: outgoing.method != "initialize" };
        self.send(message::request(id, outgoing.method, outgoing.params).into());
        let outcome = patience.wait_for(pin!(answer)).await;
        if let Ok(Ok(answer)) = outcome {
            guard.cancel = false;
            return answer;
        }
        drop(guard);
        match outcome {
            Ok(_) => Err(self.reason()),
            Err(over) => {
                self.suspect();
                Err(timed_out(outgoing.method, outgoing.timeout, &over))
            }
        }
    }

    /// After a missed deadline: closes the link when it is stuck within a message, since nothing can follow that.
    fn suspect(self: &Arc<Self>) {
        if !self.mid_line.load(Relaxed) {
            return;
        }
        let (link, reads) = (self.clone(), self.reads.load(Relaxed));
        tokio::spawn(async move {
            tokio::time::sleep(STALL).await;
            if link.mid_line.load(Relaxed) && link.reads.load(Relaxed) == reads {
                link.close(Error::new(
                    &codes::UPSTREAM_PROTOCOL,
                    "the server stopped in the middle of a message",
                ));
            }
        });
    }

    pub fn notify(&self, method: &str, params: &str) {
        self.send(message::notification(method, params).into());
    }

    /// Queues a message; one for a closed link is dropped, since its waiter was told already.
    fn send(&self, line: Bytes) {
        let _ = self.out.send(line);
    }

    /// Calls waiting for an answer.
    pub fn in_flight(&self) -> usize {
        self.pending().len()
    }

    /// Fails one call that waits, for a server within umcp that cannot say it in the protocol's words.
    pub fn refuse(&self, id: u64, error: Error) {
        let pending = self.pending().remove(&id);
        if let Some(pending) = pending {
            let _ = pending.done.send(Err(error));
        }
    }

    /// Ends the link: every waiting call gets `error`.
    pub fn close(&self, error: Error) {
        self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            if first {
                *closed = Some(error.clone());
            }
            first
        });
        let waiting = std::mem::take(&mut *self.pending());
        for (_, pending) in waiting {
            let _ = pending.done.send(Err(error.clone()));
        }
    }

    /// Waits until the link is closed and tells why.
    pub async fn closed(&self) -> Error {
        let mut closed = self.closed.subscribe();
        let _ = closed.wait_for(Option::is_some).await;
        self.reason()
    }

    pub fn is_closed(&self) -> bool {
        self.closed.borrow().is_some()
    }

    fn reason(&self) -> Error {
        let closed = self.closed.borrow().clone();
        closed.unwrap_or_else(|| Error::new(&codes::UPSTREAM_DIED, "the connection to the server ended"))
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<u64, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one message (or a batch) from the wire.
    pub fn receive(self: &Arc<Self>, line: &Bytes) {
        let text = line.trim_ascii();
        match text.first() {
            None => {}
            Some(b'{') => match Envelope::parse(text) {
                Ok(envelope) => self.dispatch(line, &envelope),
                Err(error) => self.broken(text, &error),
            },
            Some(b'[') => match serde_json::from_slice::<Vec<Envelope<'_>>>(text) {
                Ok(batch) => batch.iter().for_each(|envelope| self.dispatch(line, envelope)),
                Err(error) => self.broken(text, &error),
            },
            Some(_) => {
                self.counters.noise.fetch_add(1, Relaxed);
                self.strays.add(text);
            }
        }
    }

    fn dispatch(self: &Arc<Self>, line: &Bytes, envelope: &Envelope<'_>) {
        match (&envelope.method, envelope.id) {
            (None, Some(_)) => self.answered(line, envelope),
            (Some(method), None) => self.notified(method, envelope.params_text()),
            (Some(method), Some(id)) => self.asked(method, id.get(), envelope.params_text()),
            (None, None) => _ = self.counters.noise.fetch_add(1, Relaxed),
        }
    }

    fn answered(&self, line: &Bytes, envelope: &Envelope<'_>) {
        let body = envelope.result.or(envelope.error);
        let pending = envelope.own_id().and_then(|id| self.pending().remove(&id));
        let (Some(pending), Some(body)) = (pending, body) else {
            self.counters.late.fetch_add(1, Relaxed);
            return;
        };
        let body = line.slice_ref(body.get().as_bytes());
        let _ = pending.done.send(Ok(Answer { ok: envelope.result.is_some(), body }));
    }

    fn notified(&self, method: &str, params: &str) {
        match method {
            "notifications/progress" => {
                let token = progress_token(params);
                let listener = token.and_then(|id| self.pending().get(&id)?.listener.clone());
                match listener {
                    Some(listener) => listener.notify(method, params),
                    None => _ = self.counters.late.fetch_add(1, Relaxed),
                }
            }
            "notifications/message" | "notifications/elicitation/complete" => {
                let listeners = self.listeners();
                if listeners.is_empty() {
                    self.inbox.notification(method, params);
                }
                listeners.iter().for_each(|listener| listener.notify(method, params));
            }
            _ => self.inbox.notification(method, params),
        }
    }

    /// One listener for each session with a call in flight.
    fn listeners(&self) -> Vec<Arc<dyn Listener>> {
        newest_of_each(self.pending().iter().map(|(id, pending)| (*id, &pending.listener)))
    }

    /// Stops the clock of every call of a session: any of them may be the one that waits for the answer.
    fn hold(&self, session: u64) -> Vec<Held> {
        let of_session = |listener: &Arc<dyn Listener>| listener.session() == session;
        let pending = self.pending();
        let calls = pending.values().filter(|call| call.listener.as_ref().is_some_and(of_session));
        calls.map(|call| call.patience.hold()).collect()
    }

    /// A question carries no hint which call it belongs to. With calls of one session in flight it is that
    /// session's; with several it must not reach the wrong one, so the inbox refuses it, and sees to it that
    /// the next one finds one session only.
    fn asked(self: &Arc<Self>, method: &str, id: &str, params: &str) {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { method: method.into(), params: params.into(), reply };
        let listeners = if method == "ping" { Vec::new() } else { self.listeners() };
        let listener = match listeners.as_slice() {
            [listener] => Some(listener),
            _ => None,
        };
        if !listeners.is_empty() {
            self.inbox.asks(method);
        }
        let held = listener.map(|listener| self.hold(listener.session())).unwrap_or_default();
        let (link, id) = (self.clone(), id.to_string());
        tokio::spawn(async move {
            let answer = tokio::select! {
                answer = answer_to(answer, held) => answer,
                _ = link.closed() => return,
            };
            let mut line = answer.line(&id);
            line.push(b'\n');
            link.send(line.into());
        });
        match listener {
            Some(listener) => listener.ask(ask),
            None => self.inbox.ask(ask),
        }
    }

    /// A line that should be JSON and is not: the call it would have answered fails at once, if it tells.
    fn broken(&self, text: &[u8], error: &serde_json::Error) {
        self.counters.noise.fetch_add(1, Relaxed);
        self.strays.add(text);
        let error =
            Error::new(&codes::UPSTREAM_PROTOCOL, "the server sent an invalid message").because(error);
        self.fail(text, error);
    }

    fn fail(&self, text: &[u8], error: Error) {
        if let Some(pending) = message::id_of_broken(text).and_then(|id| self.pending().remove(&id)) {
            let _ = pending.done.send(Err(error));
        }
    }
}

/// Takes the call out of the waiting list, and cancels it at the server when it was not answered.
struct InFlight<'a> {
    link: &'a Link,
    id: u64,
    cancel: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if self.link.pending().remove(&self.id).is_some() && self.cancel {
            self.link.notify("notifications/cancelled", &format!(r#"{{"requestId":{}}}"#, self.id));
        }
    }
}

/// Of each session with a call in flight the listener of its newest call. Takes the calls by id.
pub fn newest_of_each<'a>(
    calls: impl Iterator<Item = (u64, &'a Option<Arc<dyn Listener>>)>,
) -> Vec<Arc<dyn Listener>> {
    let mut newest: Vec<(u64, u64, &Arc<dyn Listener>)> = Vec::new();
    for (id, listener) in calls {
        let Some(listener) = listener else { continue };
        match newest.iter_mut().find(|(session, ..)| *session == listener.session()) {
            Some(entry) if entry.1 < id => *entry = (entry.0, id, listener),
            Some(_) => {}
            None => newest.push((listener.session(), id, listener)),
        }
    }
    newest.into_iter().map(|(.., listener)| listener.clone()).collect()
}

/// The client's answer to a question; that there is none is an answer too. The calls that wait for it are held.
pub async fn answer_to(answer: oneshot::Receiver<Answer>, held: Vec<Held>) -> Answer {
    let answer = tokio::time::timeout(ASK_DEADLINE, answer).await;
    drop(held);
    match answer {
        Ok(Ok(answer)) => answer,
        _ => Answer::error(code::METHOD_NOT_FOUND, "the client cannot answer this request"),
    }
}

/// The typed error of a request that was not answered in time. It is no failure of a server whose question the
/// client has not answered.
pub fn timed_out(method: &str, timeout: Duration, over: &Over) -> Error {
    let seconds = timeout.as_secs_f32();
    if over.asking {
        let message = format!("`{method}` ended: the server's question was not answered in time");
        return Error::new(&codes::TIMED_OUT, message);
    }
    Error::new(&codes::UPSTREAM_TIMEOUT, format!("the server did not answer `{method}` within {seconds} s"))
}

fn progress_token(params: &str) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Token {
        #[serde(rename = "progressToken")]
        token: u64,
    }
    serde_json::from_str::<Token>(params).ok().map(|token| token.token)
}

#[cfg(test)]
mod tests;
