//! MCP in WebSocket text frames, one message per frame, one conversation per connection.
//! Rule: only clients that ask for the subprotocol `mcp` are let in.

use crate::rpc::{self, RpcError};
use crate::session::Session;
use crate::wire::{self, Out};
use crate::world::World;
use crate::{headers, http, route};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

const PROTOCOL: &str = "sec-websocket-protocol";

pub async fn serve(world: Arc<World>, port: u16) -> std::io::Result<()> {
    let listener = http::listen_tcp(port).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(Arc::clone(&world), stream));
    }
}

async fn connection(world: Arc<World>, stream: TcpStream) {
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, admit).await else { return };
    let session = Session::new(world.fresh("session"));
    let (sink, mut source) = wire::channel();
    session.set_general(sink.clone());
    world.open_session(Arc::clone(&session));
    let mut stalled = false;
    loop {
        tokio::select! {
            Some(out) = source.recv() => {
                stalled |= out == Out::Stall;
                if let Some(frame) = frame(out)
                    && !stalled
                    && socket.send(frame).await.is_err()
                {
                    break;
                }
            }
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                    Ok(message) => route::receive(&world, &session, message, &sink),
                    Err(error) => {
                        let error = RpcError::new(rpc::PARSE_ERROR, error.to_string());
                        let _ = sink.send(Out::Message(rpc::error_message(&Value::Null, &error)));
                    }
                },
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    world.close_session(&session.id);
}

fn frame(out: Out) -> Option<Message> {
    match out {
        Out::Message(message) => Some(Message::text(message.to_string())),
        // Bytes that are no text travel as a binary frame, which is a fault too.
        Out::Raw(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) => Message::text(text),
            Err(error) => Message::binary(error.into_bytes()),
        }),
        Out::Stall | Out::OpenStream | Out::CloseStream | Out::End => None,
    }
}

#[allow(clippy::result_large_err, reason = "the signature belongs to the WebSocket library")]
fn admit(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = headers::get(request.headers(), PROTOCOL).unwrap_or_default();
    let speaks = offered.split(',').any(|word| word.trim() == "mcp");
    if !speaks || !headers::is_local(request.headers()) {
        let mut refusal = ErrorResponse::new(Some("subprotocol mcp and a local Host are needed".to_owned()));
        *refusal.status_mut() = hyper::StatusCode::FORBIDDEN;
        return Err(refusal);
    }
    response.headers_mut().insert(PROTOCOL, hyper::header::HeaderValue::from_static("mcp"));
    Ok(response)
}
