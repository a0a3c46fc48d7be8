//! The stateful half of streamable HTTP: sessions, event streams with ids, the GET stream, resumption.
//! Rule: an unknown session is 404, a missing one 400; the answer to a POST travels on that POST's stream.

use crate::call::Era;
use crate::headers;
use crate::http::{self, Reply};
use crate::route::{self, LEGACY};
use crate::rpc;
use crate::session::Session;
use crate::wire::{self, Out, Source};
use crate::world::World;
use futures_util::stream::{self, Stream, StreamExt};
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, StatusCode};
use serde_json::Value;
use std::sync::Arc;

const SESSION: &str = "mcp-session-id";

type Refusal = (StatusCode, &'static str);

/// An event stream whose connection ended before its last event.
pub struct EventStream {
    id: String,
    sent: u64,
    source: Source,
}

pub async fn post(world: &Arc<World>, sent: &HeaderMap, message: Value) -> Reply {
    let initialize = message["method"] == "initialize";
    let session = match known(world, sent) {
        Ok(session) => session,
        Err(_) if initialize => Session::new(world.fresh("session")),
        Err((status, why)) => return http::plain(status, why),
    };
    if let Some(version) = headers::get(sent, "mcp-protocol-version")
        && !initialize
        && !LEGACY.contains(&version)
    {
        return http::plain(StatusCode::BAD_REQUEST, "unsupported MCP-Protocol-Version");
    }
    if !route::is_request(&message) {
        route::aside(world, &session, &message);
        return http::empty(StatusCode::ACCEPTED);
    }
    if let Err(error) = route::gate(world, &session, &message, false) {
        return http::json(StatusCode::BAD_REQUEST, &rpc::error_message(&message["id"], &error));
    }
    let (sink, source) = wire::channel();
    route::start(route::new_call(world, &session, Era::Legacy, message, &sink, false));
    drop(sink);
    if initialize {
        return opened(world, session, source).await;
    }
    let stream = EventStream { id: world.fresh("stream"), sent: 0, source };
    let priming = session.version() == LEGACY[0];
    http::stream_reply("text/event-stream", events(session, stream, priming))
}

pub fn get(world: &World, sent: &HeaderMap) -> Reply {
    let session = match known(world, sent) {
        Ok(session) => session,
        Err((status, why)) => return http::plain(status, why),
    };
    if let Some(last) = headers::get(sent, "last-event-id") {
        let id = last.split('/').next().unwrap_or_default();
        return match session.unpark(id) {
            Some(stream) => http::stream_reply("text/event-stream", events(session, stream, false)),
            None => http::plain(StatusCode::NOT_FOUND, "nothing waits behind that event"),
        };
    }
    let (sink, source) = wire::channel();
    session.set_general(sink);
    let stream = EventStream { id: world.fresh("stream"), sent: 0, source };
    http::stream_reply("text/event-stream", events(session, stream, false))
}

pub fn delete(world: &World, sent: &HeaderMap) -> Reply {
    match known(world, sent) {
        Ok(session) => {
            world.close_session(&session.id);
            http::empty(StatusCode::OK)
        }
        Err((status, why)) => http::plain(status, why),
    }
}

fn known(world: &World, sent: &HeaderMap) -> Result<Arc<Session>, Refusal> {
    let Some(id) = headers::get(sent, SESSION) else {
        return Err((StatusCode::BAD_REQUEST, "Mcp-Session-Id is missing"));
    };
    world.session(id).ok_or((StatusCode::NOT_FOUND, "session not found"))
}

/// The answer to `initialize`, with the id of the session if there is one now.
async fn opened(world: &World, session: Arc<Session>, mut source: Source) -> Reply {
    let Some(Out::Message(message)) = source.recv().await else {
        return http::empty(StatusCode::ACCEPTED);
    };
    let mut reply = http::json(StatusCode::OK, &message);
    if message.get("result").is_some() {
        let id = HeaderValue::from_str(&session.id).expect("session ids are ASCII words");
        reply.headers_mut().insert(SESSION, id);
        world.open_session(session);
    }
    reply
}

/// The stream's events; with `priming` an empty one first, so that the client can come back.
fn events(session: Arc<Session>, stream: EventStream, priming: bool) -> impl Stream<Item = Bytes> + Send {
    let head = format!("id: {}/0\nretry: 200\ndata: \n\n", stream.id);
    let head = stream::iter(priming.then(|| Bytes::from(head)));
    head.chain(stream::unfold(Some((session, stream)), |state| async {
        let (session, mut stream) = state?;
        let out = stream.source.recv().await?;
        if out == Out::CloseStream {
            session.park(stream.id.clone(), stream);
            return None;
        }
        stream.sent += 1;
        let id = format!("{}/{}", stream.id, stream.sent);
        let bytes = http::event(Some(&id), out).await;
        Some((bytes, Some((session, stream))))
    }))
}
