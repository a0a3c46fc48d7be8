//! One POST: a message in, an answer out. The answer is plain JSON unless something is to be said before it;
//! then it becomes an event stream. A modern client that hangs up cancels its request; a legacy one may come back for
//! the rest of its stream. Long because a request is one story from its headers to its last event.

use super::admit::{Entry, Guest};
use super::body::Body;
use super::sessions::HttpSession;
use super::streams::GENERAL;
use super::{Door, checks, plain};
use crate::calls::Params;
use crate::gateway::handler::Incoming as Request;
use crate::gateway::outbox::Outbox;
use crate::gateway::session::{Arrival, Session};
use crate::metrics::trace::{Mark, TRACEPARENT};
use crate::policy::scope::Scopes;
use crate::upstream::era::LEGACY;
use crate::upstream::message::{Answer, Envelope, code};
use crate::usage;
use bytes::{Bytes, BytesMut};
use futures_util::future::{AbortHandle, Abortable};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const JSON: &str = "application/json";
const SESSION: &str = "mcp-session-id";
/// The revision since which clients know an event that only tells them how to come back.
const PRIMED_SINCE: &str = "2025-11-25";
/// Such a client is given a stream when the answer takes longer than this, so that losing its connection costs it
/// nothing.
const SOON: Duration = Duration::from_secs(2);
/// Room that is made at once for what a client says it will send.
const GROWN_BY: u64 = 1 << 20;
/// An answered request's stream is kept for a client that lost its end.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// A message with the era and session it belongs to.
struct Message {
    session: Arc<Session>,
    method: String,
    /// Raw JSON, a part of the body; nothing when there are none.
    params: Option<Bytes>,
    modern: bool,
    /// Of a modern message: nobody else uses its session.
    own: bool,
    /// Where a legacy client may come back to for the answer.
    kept: Option<Arc<HttpSession>>,
    /// A legacy client that is told at once how to come back.
    primed: bool,
    /// What its header says of its trace.
    trace: Option<Mark>,
}

impl Message {
    fn new(session: Arc<Session>, body: &Bytes, envelope: &Envelope<'_>, modern: bool) -> Self {
        let method = envelope.method.as_deref().unwrap_or_default().to_string();
        let params = envelope.params.map(|params| body.slice_ref(params.get().as_bytes()));
        Self { session, method, params, modern, own: modern, kept: None, primed: false, trace: None }
    }
}

impl Door {
    pub(super) async fn post(
        self: &Arc<Self>,
        request: hyper::Request<Incoming>,
        guest: Guest,
        from: Option<IpAddr>,
    ) -> Response<Body> {
        let (head, body) = request.into_parts();
        let kind = checks::get(&head.headers, "content-type").unwrap_or_default();
        if !kind.get(..JSON.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(JSON)) {
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json");
        }
        let body = match whole(Limited::new(body, self.body_limit)).await {
            Ok(body) => body,
            Err(error) if error.is::<LengthLimitError>() => {
                return plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large");
            }
            Err(_) => return plain(StatusCode::BAD_REQUEST, "the request could not be read"),
        };
        let envelope = match Envelope::parse(&body) {
            Ok(envelope) => envelope,
            Err(error) => {
                let answer = Answer::error(code::PARSE, &format!("invalid JSON: {error}"));
                return json(StatusCode::BAD_REQUEST, answer.line("null"));
            }
        };
        let method = envelope.method.as_deref().unwrap_or_default();
        let needed = Scopes::needed(method, envelope.params_text());
        if !guest.scopes.contains(needed) {
            let entry = Entry { headers: &head.headers, path: head.uri.path(), from };
            return self.insufficient(&entry, needed);
        }
        let known = checks::get(&head.headers, SESSION);
        // A modern message says so; that era has no `initialize`.
        if method == "initialize" && known.is_none() && !is_modern(&head.headers, &envelope) {
            return self.open(&envelope, arrival(guest)).await;
        }
        if let Some(id) = known {
            let Some(known) = self.session(id, &guest) else {
                return plain(StatusCode::NOT_FOUND, "the session is not known (any more)");
            };
            let version = checks::get(&head.headers, "mcp-protocol-version");
            if version.is_some_and(|version| !LEGACY.contains(&version)) && method != "initialize" {
                return plain(StatusCode::BAD_REQUEST, "MCP-Protocol-Version is not that of the session");
            }
            let mut message = Message::new(known.session.clone(), &body, &envelope, false);
            let streams =
                checks::get(&head.headers, "accept").is_some_and(|it| it.contains("text/event-stream"));
            // Clients of former revisions choke on an event without a message.
            message.primed = streams && version.is_some_and(|version| version >= PRIMED_SINCE);
            message.kept = Some(known);
            message.trace = trace_of(&head.headers);
            return self.take(message, &envelope).await;
        }
        if !is_modern(&head.headers, &envelope) {
            return plain(StatusCode::BAD_REQUEST, "Mcp-Session-Id is missing");
        }
        self.modern(&head.headers, &body, &envelope, arrival(guest)).await
    }

    /// A session of this guest: what a key may do is not what another one may.
    fn session(&self, id: &str, guest: &Guest) -> Option<Arc<HttpSession>> {
        let known = self.sessions.get(id, guest.profile.as_deref());
        let is_theirs = |session: &Session| session.arrival.token == guest.pass;
        // One that was let go is known to its client by its name alone.
        let lives = |session: &Session| self.gateway.hub.get(session.id).is_some();
        let known = known.filter(|known| is_theirs(&known.session) && lives(&known.session))?;
        known.session.used_until(guest.until);
        Some(known)
    }

    /// `initialize`: a new legacy session.
    async fn open(self: &Arc<Self>, envelope: &Envelope<'_>, arrival: Arrival) -> Response<Body> {
        let (outbox, queue) = Outbox::new();
        let session = match self.gateway.arrive(arrival, outbox.clone()) {
            Ok(session) => session,
            Err(error) => {
                let answer = Answer::error(code::INVALID_PARAMS, &error.to_string());
                return json(StatusCode::NOT_FOUND, answer.line(envelope.id.map_or("null", |id| id.get())));
            }
        };
        let id = envelope.id.map_or("null", |id| id.get());
        // The client may hang up before it has its answer, and with it the name of the session.
        let mut leaving = Leaving { door: self.clone(), session: Some(session.clone()) };
        let incoming = Request {
            session: session.clone(),
            id,
            method: "initialize",
            params: envelope.params_text(),
            sink: outbox,
            trace: None,
        };
        let answer = self.gateway.handle(incoming).await;
        if !answer.ok {
            return json(StatusCode::OK, answer.line(id));
        }
        leaving.session = None;
        let session = HttpSession::new(session, queue);
        let mut response = json(StatusCode::OK, answer.line(id));
        if let Ok(value) = HeaderValue::from_str(&session.id) {
            response.headers_mut().insert(SESSION, value);
        }
        if let Some(gone) = self.sessions.insert(session) {
            self.gateway.leave(&gone.session);
        }
        if self.sessions.wants_sweeping() {
            let door = self.clone();
            tokio::spawn(async move {
                door.sessions.sweep(|session| door.gateway.leave(&session.session)).await;
            });
        }
        response
    }

    /// A modern message: checked against its headers, with a session of its own.
    async fn modern(
        self: &Arc<Self>,
        headers: &HeaderMap,
        body: &Bytes,
        envelope: &Envelope<'_>,
        arrival: Arrival,
    ) -> Response<Body> {
        let (Some(id), Some(method)) = (envelope.id, envelope.method.as_deref()) else {
            return empty(StatusCode::ACCEPTED);
        };
        if method == "initialize" {
            let answer = Answer::error(code::METHOD_NOT_FOUND, "method not found: initialize");
            return json(StatusCode::NOT_FOUND, answer.line(id.get()));
        }
        let session = match self.gateway.visit(arrival, method == "subscriptions/listen") {
            Ok(session) => session,
            Err(error) => {
                let answer = Answer::error(code::INVALID_PARAMS, &error.to_string());
                return json(StatusCode::NOT_FOUND, answer.line(id.get()));
            }
        };
        let checked = Params::parse_checked(envelope.params_text())
            .map_err(|error| Answer::error(code::INVALID_PARAMS, &error.to_string()))
            .and_then(|params| {
                let said = |key| params.meta().raw(key).unwrap_or("{}");
                session.introduce(&self.gateway.peers.modern(
                    said("io.modelcontextprotocol/clientCapabilities"),
                    said("io.modelcontextprotocol/clientInfo"),
                ));
                let view = self.gateway.view_of(&session);
                let tool = (method == "tools/call").then(|| params.text("name")).flatten();
                let tool = tool.and_then(|name| view.tool(&name));
                let versioned = params.meta().text("io.modelcontextprotocol/protocolVersion").is_some();
                // Without its keys the request is refused in the words that name them.
                if versioned { checks::mirror(headers, method, &params, tool) } else { Ok(()) }
            });
        if let Err(answer) = checked {
            return json(StatusCode::BAD_REQUEST, answer.line(id.get()));
        }
        let mut message = Message::new(session, body, envelope, true);
        message.trace = trace_of(headers);
        self.take(message, envelope).await
    }

    async fn take(self: &Arc<Self>, message: Message, envelope: &Envelope<'_>) -> Response<Body> {
        match (&envelope.method, envelope.id) {
            (Some(_), Some(id)) => self.request(message, id.get()).await,
            (Some(method), None) => {
                self.gateway.notified_by_client(&message.session, method, envelope.params_text());
                empty(StatusCode::ACCEPTED)
            }
            (None, Some(id)) => {
                let body = envelope.result.or(envelope.error).map_or("null", |raw| raw.get());
                let body = Bytes::copy_from_slice(body.as_bytes());
                message.session.answered(id.get(), Answer { ok: envelope.result.is_some(), body });
                empty(StatusCode::ACCEPTED)
            }
            (None, None) => plain(StatusCode::BAD_REQUEST, "neither a request nor an answer"),
        }
    }

    /// Answers as JSON if the answer is the first thing to say and comes soon, else as an event stream.
    async fn request(self: &Arc<Self>, message: Message, id: &str) -> Response<Body> {
        let (sink, mut queue) = Outbox::new();
        let (modern, kept, primed) = (message.modern, message.kept.clone(), message.primed);
        let (abort, registration) = AbortHandle::new_pair();
        // Nobody can name the request of a visit; it ends with its connection.
        if !message.own || self.gateway.hub.get(message.session.id).is_some() {
            message.session.started(id, abort);
        }
        let id = id.to_string();
        let future = answer(self.clone(), message, id.clone(), sink.clone());
        let mut future = Box::pin(Abortable::new(future, registration));
        let mut ended = false;
        let first = tokio::select! {
            biased;
            answer = &mut future => {
                let answer = answer.unwrap_or_else(|_| cancelled());
                let Some(first) = queue.try_recv() else {
                    return json(status_of(&answer, modern), answer.line(&id));
                };
                sink.send(answer.line(&id));
                sink.end();
                ended = true;
                Some(first)
            }
            first = queue.recv() => first,
            () = tokio::time::sleep(SOON), if primed => None,
        };
        let Some(session) = kept else {
            if !ended {
                tokio::spawn(conclude(future, sink, id));
            }
            return stream(first.map_or(Body::Full(None), |first| Body::events(first, queue)));
        };
        let (number, events) = session.streams.open(queue);
        let reader = events.read(None).begin(first);
        let weak = Arc::downgrade(&session);
        tokio::spawn(async move {
            if !ended {
                finish(future, &sink, &id).await;
                sink.end();
            }
            tokio::time::sleep(KEPT_FOR).await;
            if let Some(session) = weak.upgrade() {
                session.streams.forget(number);
            }
        });
        stream(Body::kept(session, if primed { reader.primed() } else { reader }))
    }

    /// The general stream of a session, or any stream of it from where the client lost it.
    pub(super) fn get(&self, headers: &HeaderMap, guest: &Guest) -> Response<Body> {
        let known = checks::get(headers, SESSION).and_then(|id| self.session(id, guest));
        let Some(session) = known else {
            return match headers.contains_key(SESSION) {
                true => plain(StatusCode::NOT_FOUND, "the session is not known (any more)"),
                false => plain(StatusCode::METHOD_NOT_ALLOWED, "Mcp-Session-Id is missing"),
            };
        };
        if let Some(id) = checks::get(headers, "last-event-id") {
            return match session.streams.of_event(id) {
                Some((events, after)) => stream(Body::kept(session, events.read(Some(after)))),
                None => plain(StatusCode::BAD_REQUEST, "the stream of that event is not kept (any more)"),
            };
        }
        match session.streams.get(GENERAL).filter(|general| !general.is_attached()) {
            Some(general) => stream(Body::kept(session, general.read(None))),
            None => plain(StatusCode::CONFLICT, "the session has a stream already"),
        }
    }

    pub(super) fn delete(&self, headers: &HeaderMap, guest: &Guest) -> Response<Body> {
        match checks::get(headers, SESSION).and_then(|id| self.session(id, guest)) {
            Some(session) => {
                self.sessions.remove(&session.id);
                self.gateway.leave(&session.session);
                empty(StatusCode::OK)
            }
            None => plain(StatusCode::NOT_FOUND, "the session is not known (any more)"),
        }
    }
}

fn arrival(guest: Guest) -> Arrival {
    let Guest { pass: token, client, profile, until, .. } = guest;
    Arrival { door: usage::Door::Http, client, token, until, profile, cwd: None }
}

/// All of a body. Nearly always it is the one piece it arrived in, which is taken as it is.
async fn whole(mut body: Limited<Incoming>) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else { continue };
        if joined.is_empty() && first.is_empty() {
            first = piece;
            continue;
        }
        if joined.is_empty() {
            let rest = body.size_hint().lower().min(GROWN_BY);
            joined.reserve(first.len() + piece.len() + rest as usize);
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&piece);
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

/// Runs one request to its answer.
async fn answer(door: Arc<Door>, message: Message, id: String, sink: Arc<Outbox>) -> Answer {
    let Message { session, method, params, own, trace, .. } = message;
    let _leaving = own.then(|| Leaving { door: door.clone(), session: Some(session.clone()) });
    let _running = Running { session: &session, id: &id };
    let params = params.as_deref().and_then(|params| std::str::from_utf8(params).ok()).unwrap_or("{}");
    let incoming = Request { session: session.clone(), id: &id, method: &method, params, sink, trace };
    door.gateway.handle(incoming).await
}

/// A request in flight of its session, however it ends.
struct Running<'a> {
    session: &'a Session,
    id: &'a str,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.session.finished(self.id);
    }
}

/// A session that ends with the request it came with, however that ends: that of a modern request, and a legacy
/// one whose client has not got its name yet.
struct Leaving {
    door: Arc<Door>,
    session: Option<Arc<Session>>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.door.gateway.end_visit(&session);
        }
    }
}

type Answering = Result<Answer, futures_util::future::Aborted>;

/// Puts the answer at the end of the request's event stream. Ends, and with it the request, when the client hangs up
/// or has stopped reading.
async fn conclude(future: impl Future<Output = Answering>, sink: Arc<Outbox>, id: String) {
    tokio::select! {
        biased;
        () = finish(future, &sink, &id) => {}
        () = sink.hung_up() => {}
    }
    sink.end();
}

/// The same for a client that may come back: only one that leaves too much unread ends its request.
async fn finish(future: impl Future<Output = Answering>, sink: &Outbox, id: &str) {
    tokio::select! {
        biased;
        answer = future => sink.send(answer.unwrap_or_else(|_| cancelled()).line(id)),
        () = sink.stuck() => {}
    }
}

fn cancelled() -> Answer {
    Answer::error(code::SERVER, "the request was cancelled")
}

/// A message is modern by its header, or by what only modern messages carry.
fn is_modern(headers: &HeaderMap, envelope: &Envelope<'_>) -> bool {
    match checks::get(headers, "mcp-protocol-version") {
        Some(version) => !LEGACY.contains(&version),
        None => {
            headers.contains_key("mcp-method")
                || envelope.params_text().contains("io.modelcontextprotocol/protocolVersion")
                || envelope.method.as_deref() == Some("server/discover")
        }
    }
}

/// What the headers of a request say of the trace it belongs to.
fn trace_of(headers: &HeaderMap) -> Option<Mark> {
    checks::get(headers, TRACEPARENT).and_then(Mark::parse)
}

/// In the modern era some errors of the protocol are errors of HTTP too.
fn status_of(answer: &Answer, modern: bool) -> StatusCode {
    if answer.ok || !modern {
        return StatusCode::OK;
    }
    match answer.code() {
        code::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        code::HEADER_MISMATCH | code::MISSING_CAPABILITY | code::UNSUPPORTED_VERSION => {
            StatusCode::BAD_REQUEST
        }
        code::INVALID_PARAMS if answer.message().contains("_meta") => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

fn json(status: StatusCode, line: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::full(line));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

fn stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert("cache-control", HeaderValue::from_static("no-cache"));
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Full(None));
    *response.status_mut() = status;
    response
}
