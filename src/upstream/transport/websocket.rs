//! A server over WebSocket: one message in one text frame, subprotocol `mcp`.
//! TLS, proxies and refused connections are those of `dial.rs`.
//!
//! Rule: reading never waits for writing; a peer that is silent although it was pinged is given up.

use super::client::{HttpTarget, header_map, parse, take_login};
use super::dial::{self, Wire};
use super::http::status;
use crate::clock::Clock;
use crate::error::{Error, Result, codes};
use crate::upstream::link::{Inbox, Link, MAX_LINE};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::Uri;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{Error as Failure, ProtocolError, SubProtocolError};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

const PING_EVERY: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(60);

type Socket = WebSocketStream<Wire>;

/// Opens the connection and starts the pumps.
pub async fn open(target: &HttpTarget, inbox: Arc<dyn Inbox>, timeout: Duration) -> Result<Arc<Link>> {
    let url = &target.url;
    let mut address = parse(url, &["ws", "wss"])?;
    let mut headers = header_map(&target.headers)?;
    if let Some(login) = take_login(&mut address) {
        headers.entry(AUTHORIZATION).or_insert(login);
    }
    address.set_fragment(None);
    let uri: Uri = address.as_str().parse().map_err(|error| {
        Error::new(&codes::SERVER_INVALID, format!("`{url}` is no address")).because(error)
    })?;
    let socket = tokio::time::timeout(timeout, connect_as(target, &address, &uri, headers)).await.map_err(
        |_| {
            let message =
                format!("the server did not open the connection within {} s", timeout.as_secs_f32());
            Error::new(&codes::UPSTREAM_TIMEOUT, message)
        },
    )??;
    let (link, queue) = Link::new(inbox);
    let (sink, stream) = socket.split();
    let life = Arc::new(Life { epoch: Instant::now(), heard: AtomicU64::new(0) });
    tokio::spawn(read(link.clone(), stream, life.clone()));
    tokio::spawn(write(link.clone(), queue, sink, life));
    Ok(link)
}

/// When the peer was last heard.
struct Life {
    epoch: Instant,
    heard: AtomicU64,
}

impl Life {
    fn heard_now(&self) {
        self.heard.store(self.epoch.elapsed().as_millis() as u64, Relaxed);
    }

    fn silent_for(&self) -> Duration {
        self.epoch.elapsed().saturating_sub(Duration::from_millis(self.heard.load(Relaxed)))
    }
}

/// In the name of the target's account, if it has one. The handshake alone carries its token; a server that refuses
/// it is asked once more with a new one.
async fn connect_as(
    target: &HttpTarget,
    address: &url::Url,
    uri: &Uri,
    mut headers: HeaderMap,
) -> Result<Socket> {
    let Some(account) = &target.account else { return connect(uri, headers).await };
    let used = account.authorize("GET", address, &mut headers).await?;
    match connect(uri, headers.clone()).await {
        Err(error) if error.is(&codes::UPSTREAM_SIGN_IN) && account.rejected(&used).await? => {
            account.authorize("GET", address, &mut headers).await?;
            connect(uri, headers).await
        }
        other => other,
    }
}

/// Asks for the subprotocol, and once more without it when the server knows none.
async fn connect(uri: &Uri, headers: HeaderMap) -> Result<Socket> {
    match handshake(uri, headers.clone(), true).await? {
        Ok(socket) => Ok(socket),
        Err(Failure::Protocol(ProtocolError::SecWebSocketSubProtocolError(
            SubProtocolError::NoSubProtocol,
        ))) => handshake(uri, headers, false).await?.map_err(refused),
        Err(failure) => Err(refused(failure)),
    }
}

async fn handshake(uri: &Uri, headers: HeaderMap, named: bool) -> Result<Result<Socket, Failure>> {
    let wire = dial::open(uri, None).await?;
    let request = uri.clone().into_client_request();
    let mut request =
        request.map_err(|error| Error::new(&codes::SERVER_INVALID, "no WebSocket address").because(error))?;
    for (name, value) in headers {
        if let Some(name) = name {
            request.headers_mut().insert(name, value);
        }
    }
    if named {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("mcp"));
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .write_buffer_size(16 << 10)
        .max_message_size(Some(MAX_LINE))
        .max_frame_size(Some(MAX_LINE));
    Ok(client_async_with_config(request, wire, Some(config)).await.map(|(socket, _)| socket))
}

fn refused(failure: Failure) -> Error {
    match failure {
        Failure::Http(response) => {
            let body = response.body().as_deref().unwrap_or_default();
            status::failure(response.status(), response.headers(), body, Clock::System.now())
        }
        other => {
            Error::new(&codes::UPSTREAM_CONNECT, "the server did not switch to WebSocket").because(other)
        }
    }
}

async fn read(link: Arc<Link>, mut stream: SplitStream<Socket>, life: Arc<Life>) {
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            _ = link.closed() => return,
        };
        life.heard_now();
        match message {
            Some(Ok(Message::Text(text))) => link.receive(&Bytes::from(text)),
            Some(Ok(Message::Binary(bytes))) => link.receive(&bytes),
            Some(Ok(Message::Close(_))) | None => {
                return link.close(Error::new(&codes::UPSTREAM_DIED, "the server ended the connection"));
            }
            Some(Ok(_)) => {}
            Some(Err(Failure::Capacity(_))) => {
                return link
                    .close(Error::new(&codes::UPSTREAM_TOO_LARGE, "the server sent a message above 16 MiB"));
            }
            Some(Err(failure)) => {
                return link
                    .close(Error::new(&codes::UPSTREAM_DIED, "the connection broke").because(failure));
            }
        }
    }
}

async fn write(
    link: Arc<Link>,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    mut sink: SplitSink<Socket, Message>,
    life: Arc<Life>,
) {
    let mut ping = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let first = tokio::select! {
            line = queue.recv() => match line {
                Some(line) => text(&line),
                None => return,
            },
            _ = ping.tick() => {
                if life.silent_for() >= SILENCE {
                    let message = format!("the server gave no sign of life for {} s", SILENCE.as_secs());
                    return link.close(Error::new(&codes::UPSTREAM_DIED, message));
                }
                Some(Message::Ping(Bytes::new()))
            },
            _ = link.closed() => break,
        };
        // A peer that takes nothing must not keep the task from hearing that the link was closed.
        let outcome = tokio::select! {
            outcome = send(&mut sink, first, &mut queue) => outcome,
            () = stalled(&life) => {
                return link.close(Error::new(&codes::UPSTREAM_DIED, "the server stopped reading"));
            }
            _ = link.closed() => break,
        };
        if let Err(failure) = outcome {
            return link.close(Error::new(&codes::UPSTREAM_DIED, "the connection broke").because(failure));
        }
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), sink.close()).await;
}

/// Ends when a write has hung and nothing was heard for too long.
async fn stalled(life: &Life) {
    loop {
        tokio::time::sleep(SILENCE).await;
        if life.silent_for() >= SILENCE {
            return;
        }
    }
}

/// Sends a message and what else waits, with one flush.
async fn send(
    sink: &mut SplitSink<Socket, Message>,
    first: Option<Message>,
    queue: &mut mpsc::UnboundedReceiver<Bytes>,
) -> Result<(), Failure> {
    let mut next = first;
    while let Some(message) = next.take() {
        sink.feed(message).await?;
        next = queue.try_recv().ok().and_then(|line| text(&line));
    }
    sink.flush().await
}

/// A line of the queue as a frame, without its line break. Lines of ours are text.
fn text(line: &Bytes) -> Option<Message> {
    let line = line.slice(..line.trim_ascii_end().len());
    Utf8Bytes::try_from(line).ok().map(Message::Text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::link::alone::{Nobody, call, run};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

    async fn listen() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/mcp", listener.local_addr().unwrap());
        (listener, url)
    }

    async fn connect_to(url: &str) -> Result<Arc<Link>> {
        let headers = vec![("X-Key".into(), "k".into())];
        let target = HttpTarget { url: url.into(), headers, ..HttpTarget::default() };
        open(&target, Arc::new(Nobody), Duration::from_secs(5)).await
    }

    /// Accepts a connection, taking the subprotocol or not.
    async fn accept(listener: &TcpListener, named: bool) -> WebSocketStream<tokio::net::TcpStream> {
        let (stream, _) = listener.accept().await.unwrap();
        #[allow(clippy::result_large_err, reason = "the shape of the callback is the library's")]
        let check = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            assert_eq!(request.headers()["x-key"], "k");
            if named {
                response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("mcp"));
            }
            Ok(response)
        };
        tokio_tungstenite::accept_hdr_async(stream, check).await.unwrap()
    }

    #[test]
    fn messages_go_both_ways_until_the_server_leaves() {
        run(async {
            for named in [true, false] {
                let (listener, url) = listen().await;
                let serve = async {
                    if !named {
                        drop(accept(&listener, false).await);
                    }
                    let mut socket = accept(&listener, named).await;
                    let asked = socket.next().await.unwrap().unwrap();
                    assert_eq!(
                        asked.to_text().unwrap(),
                        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#
                    );
                    socket.send(Message::text(r#"{"jsonrpc":"2.0","id":1,"result":{"n":1}}"#)).await.unwrap();
                    socket.close(None).await.unwrap();
                };
                let client = async {
                    let link = connect_to(&url).await.unwrap();
                    assert_eq!(call(&link).await.unwrap().text(), r#"{"n":1}"#);
                    assert!(link.closed().await.is(&codes::UPSTREAM_DIED));
                };
                tokio::join!(client, serve);
            }
        });
    }

    #[test]
    fn a_message_that_is_too_large_ends_the_link() {
        run(async {
            let (listener, url) = listen().await;
            let serve = async {
                let mut socket = accept(&listener, true).await;
                let _ = socket.send(Message::text("x".repeat(MAX_LINE + 1))).await;
            };
            let client = async { connect_to(&url).await.unwrap().closed().await };
            let (error, ()) = tokio::join!(client, serve);
            assert!(error.is(&codes::UPSTREAM_TOO_LARGE), "{error}");
        });
    }

    #[test]
    fn closing_says_goodbye() {
        run(async {
            let (listener, url) = listen().await;
            let serve = async {
                let mut socket = accept(&listener, true).await;
                matches!(socket.next().await, Some(Ok(Message::Close(_))))
            };
            let client = async {
                let link = connect_to(&url).await.unwrap();
                link.close(Error::new(&codes::CANCELLED, "stopped"));
            };
            let ((), closed) = tokio::join!(client, serve);
            assert!(closed);
        });
    }

    #[test]
    fn a_refused_switch_is_a_typed_error() {
        run(async {
            for (answer, code) in [
                ("401 Unauthorized", &codes::UPSTREAM_SIGN_IN),
                ("404 Not Found", &codes::UPSTREAM_HTTP),
                ("200 OK", &codes::UPSTREAM_HTTP),
            ] {
                let (listener, url) = listen().await;
                let serve = async {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut asked = [0; 1024];
                    let _ = stream.read(&mut asked).await.unwrap();
                    let head = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
                    stream.write_all(head.as_bytes()).await.unwrap();
                };
                let (outcome, ()) = tokio::join!(connect_to(&url), serve);
                let error = outcome.err().unwrap();
                assert!(error.is(code), "{answer}: {error}");
            }
            assert!(connect_to("http://localhost/").await.err().unwrap().is(&codes::SERVER_INVALID));
        });
    }
}
