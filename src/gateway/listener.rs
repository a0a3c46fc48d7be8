//! What a server says during one call, on its way to the client that made the call: progress with the client's
//! own token, log messages it asked for, questions it can answer.

use super::outbox::Outbox;
use super::session::{Abilities, Peer, Session, severity};
use crate::tools::Era;
use crate::upstream::link::{Ask, Listener};
use crate::upstream::message::{self, Answer, code};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// The client's request that waits for the call's result now.
struct Request {
    /// Where the call's messages go: its own event stream, or the session's stream.
    sink: Arc<Outbox>,
    /// The client's progress token, raw JSON.
    token: Option<String>,
}

/// The listener of one call.
pub struct CallListener {
    session: Arc<Session>,
    era: Era,
    abilities: Abilities,
    request: Mutex<Request>,
    /// Least severe log level the client asked for with this call (modern era).
    level: Option<u8>,
    /// Where questions wait for a modern client, which is asked in the result.
    parking: Option<mpsc::UnboundedSender<Ask>>,
}

impl CallListener {
    pub fn new(
        session: Arc<Session>,
        peer: &Peer,
        sink: Arc<Outbox>,
        token: Option<String>,
        level: Option<&str>,
        parking: Option<mpsc::UnboundedSender<Ask>>,
    ) -> Self {
        Self {
            session,
            era: peer.era,
            abilities: peer.abilities,
            request: Mutex::new(Request { sink, token }),
            level: level.map(severity),
            parking,
        }
    }

    fn request(&self) -> MutexGuard<'_, Request> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call goes on under another request of the client, with a progress token of its own.
    pub fn redirect(&self, sink: Arc<Outbox>, token: Option<String>) {
        *self.request() = Request { sink, token };
    }

    /// The client's request is being answered while the call goes on: its progress token means nothing any more.
    pub fn hold(&self) {
        self.request().token = None;
    }

    fn sink(&self) -> Arc<Outbox> {
        self.request().sink.clone()
    }

    fn log(&self, method: &str, params: &str) {
        let wanted = match self.era {
            Era::Modern => self.level,
            Era::Legacy => Some(self.session.level().unwrap_or(0)),
        };
        let said: Value = serde_json::from_str(params).unwrap_or_default();
        let level = severity(said["level"].as_str().unwrap_or("info"));
        if wanted.is_some_and(|wanted| level >= wanted) {
            self.sink().notify(message::notification(method, params));
        }
    }
}

impl Listener for CallListener {
    fn notify(&self, method: &str, params: &str) {
        match method {
            "notifications/progress" => {
                let Some(token) = self.request().token.clone() else { return };
                let mut params: Value = serde_json::from_str(params).unwrap_or_default();
                params["progressToken"] = serde_json::from_str(&token).unwrap_or_default();
                self.sink().notify(message::notification(method, &params.to_string()));
            }
            "notifications/message" => self.log(method, params),
            // On the call's own stream, so that it comes before the result.
            "notifications/elicitation/complete" if self.era == Era::Legacy => {
                self.sink().notify(message::notification(method, params));
            }
            _ => {}
        }
    }

    fn ask(&self, ask: Ask) {
        match (self.era, &self.parking) {
            (Era::Legacy, _) => self.session.ask(&self.abilities, ask, &self.sink()),
            (Era::Modern, Some(parking)) if self.abilities.can(&ask.method, &ask.params) => {
                let _ = parking.send(ask);
            }
            (Era::Modern, _) => {
                let message = format!("the client cannot answer `{}`", ask.method);
                let _ = ask.reply.send(Answer::error(code::METHOD_NOT_FOUND, &message));
            }
        }
    }

    fn session(&self) -> u64 {
        self.session.id
    }
}
