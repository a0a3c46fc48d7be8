//! The transport of 2024-11-05: GET /sse opens a stream that begins with an address, POST /messages talks to it.
//! Rule: every answer leaves on the stream; a POST is only acknowledged.

use crate::http::{self, Reply};
use crate::route;
use crate::rpc;
use crate::session::Session;
use crate::wire::{self, Out};
use crate::world::World;
use futures_util::stream::{self, StreamExt};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, StatusCode};
use serde_json::Value;
use std::sync::Arc;

pub async fn handle(world: Arc<World>, request: Request<Incoming>) -> Reply {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/sse") => open(&world),
        (&Method::POST, "/messages") => message(&world, request).await,
        (_, "/sse" | "/messages") => http::plain(StatusCode::METHOD_NOT_ALLOWED, "not with this method"),
        _ => http::plain(StatusCode::NOT_FOUND, "only /sse and /messages are here"),
    }
}

fn open(world: &World) -> Reply {
    let session = Session::new(world.fresh("session"));
    let (sink, source) = wire::channel();
    session.set_general(sink);
    let address = format!("event: endpoint\ndata: /messages?session={}\n\n", session.id);
    world.open_session(session);
    let events = stream::unfold(source, |mut source| async {
        let out = source.recv().await?;
        let ends = matches!(out, Out::CloseStream | Out::End);
        let bytes = if ends { Bytes::from_static(b": kept open\n\n") } else { http::event(None, out).await };
        Some((bytes, source))
    });
    http::stream_reply("text/event-stream", stream::iter([Bytes::from(address)]).chain(events))
}

async fn message(world: &Arc<World>, request: Request<Incoming>) -> Reply {
    let query = request.uri().query().unwrap_or_default();
    let id = query.split('&').find_map(|pair| pair.strip_prefix("session=")).unwrap_or_default();
    let Some((session, sink)) =
        world.session(id).and_then(|session| session.general().map(|sink| (session, sink)))
    else {
        return http::plain(StatusCode::NOT_FOUND, "session not found");
    };
    let message = match http::read_json(request.into_body()).await {
        Ok(message) => message,
        Err(error) => return http::json(StatusCode::BAD_REQUEST, &rpc::error_message(&Value::Null, &error)),
    };
    if let Some(reply) = http::refusal(world, &message).await {
        return reply;
    }
    route::receive(world, &session, message, &sink);
    http::empty(StatusCode::ACCEPTED)
}
