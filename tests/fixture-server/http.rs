//! Streamable HTTP: listening, the entrance checks, and the stateless (modern) half.
//! Sessions stand in legacy_http.rs, the two-endpoint transport in sse.rs.
//! Rule: an answer that comes first leaves as JSON with its status; anything else opens an event stream.

use crate::args::Eras;
use crate::faults::{self, Fault};
use crate::route::{self, LEGACY};
use crate::rpc::{self, RpcError};
use crate::session::Session;
use crate::wire::{self, Out, Source};
use crate::world::World;
use crate::{conformance, headers, legacy_http, sse};
use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;
pub type Reply = Response<Body>;

#[derive(Clone, Copy)]
pub enum Kind {
    Streamable,
    TwoEndpoints,
}

/// Listens on 127.0.0.1 and prints the port as the first line.
pub async fn serve_tcp(world: Arc<World>, port: u16, kind: Kind) -> std::io::Result<()> {
    let listener = listen_tcp(port).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        // Without this an event stream waits for the client's delayed acknowledgement.
        stream.set_nodelay(true)?;
        tokio::spawn(connection(Arc::clone(&world), stream, kind));
    }
}

pub async fn listen_tcp(port: u16) -> std::io::Result<tokio::net::TcpListener> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let port = listener.local_addr()?.port();
    announce(&port.to_string())?;
    Ok(listener)
}

#[cfg(unix)]
pub async fn serve_unix(world: Arc<World>, path: &std::path::Path) -> std::io::Result<()> {
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let listener = tokio::net::UnixListener::bind(path)?;
    announce("ready")?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(Arc::clone(&world), stream, Kind::Streamable));
    }
}

fn announce(line: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

/// A connection that can end in a reset instead of a farewell.
trait Breakable: AsyncRead + AsyncWrite + Unpin + Send {
    fn reset_on_close(&self) {}
}

impl Breakable for tokio::net::TcpStream {
    fn reset_on_close(&self) {
        // Without it the break is a plain end of stream, which clients notice as well.
        let _ = self.set_zero_linger();
    }
}

#[cfg(unix)]
impl Breakable for tokio::net::UnixStream {}

async fn connection(world: Arc<World>, stream: impl Breakable, kind: Kind) {
    let service = service_fn(|request| {
        let world = Arc::clone(&world);
        Box::pin(async move { Ok::<_, Infallible>(entrance(world, request, kind).await) })
    });
    let mut connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let outcome = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let stream = connection.into_parts().io.into_inner();
    // Only a body that broke off on demand is our error; a client that breaks off is its own business.
    if outcome.is_err_and(|error| error.is_user()) {
        stream.reset_on_close();
    }
}

async fn entrance(world: Arc<World>, request: Request<Incoming>, kind: Kind) -> Reply {
    if !headers::is_local(request.headers()) {
        return plain(StatusCode::FORBIDDEN, "foreign Host or Origin");
    }
    match kind {
        Kind::TwoEndpoints => sse::handle(world, request).await,
        Kind::Streamable if request.uri().path() != "/mcp" => {
            plain(StatusCode::NOT_FOUND, "only /mcp is here")
        }
        Kind::Streamable => match *request.method() {
            Method::POST => post(world, request).await,
            Method::GET if world.options.era != Eras::Modern => legacy_http::get(&world, request.headers()),
            Method::DELETE if world.options.era != Eras::Modern => {
                legacy_http::delete(&world, request.headers())
            }
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "POST only"),
        },
    }
}

async fn post(world: Arc<World>, request: Request<Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let message = match read_json(body).await {
        Ok(message) => message,
        Err(error) => return json(StatusCode::BAD_REQUEST, &rpc::error_message(&Value::Null, &error)),
    };
    if let Some(reply) = refusal(&world, &message).await {
        return reply;
    }
    let faults = world.faults.of_request(&message);
    let reply = if is_modern(&world, &parts.headers, &message) {
        modern(&world, &parts.headers, message).await
    } else {
        legacy_http::post(&world, &parts.headers, message).await
    };
    impaired(reply, &faults)
}

pub async fn read_json(body: Incoming) -> Result<Value, RpcError> {
    let failed = |why: String| RpcError::new(rpc::PARSE_ERROR, why);
    let bytes = body.collect().await.map_err(|error| failed(error.to_string()))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))
}

/// The faults that keep a request from being looked at.
pub async fn refusal(world: &World, message: &Value) -> Option<Reply> {
    let faults = world.faults.of_request(message);
    if world.faults.get("never-initialize").is_some() || faults::find(&faults, "http-silence").is_some() {
        std::future::pending::<()>().await;
    }
    if let Some(fault) = faults::find(&faults, "http-429") {
        let mut reply = plain(StatusCode::TOO_MANY_REQUESTS, "slow down");
        reply.headers_mut().insert("retry-after", fault.number(2).into());
        return Some(reply);
    }
    if let Some(fault) = faults::find(&faults, "http-500") {
        let number = world.tossed.fetch_add(1, Ordering::Relaxed);
        if is_struck(number, fault.number(50)) {
            return Some(plain(StatusCode::INTERNAL_SERVER_ERROR, "out of order"));
        }
    }
    let lost = faults::find(&faults, "http-lost-session").is_some();
    lost.then(|| plain(StatusCode::NOT_FOUND, "session not found"))
}

/// Whether the request with that number (from 0) fails when `percent` of them shall, evenly spread.
fn is_struck(number: u64, percent: u64) -> bool {
    (number + 1) * percent / 100 > number * percent / 100
}

fn is_modern(world: &World, sent: &HeaderMap, message: &Value) -> bool {
    match world.options.era {
        Eras::Legacy => false,
        Eras::Modern => true,
        Eras::Both => {
            looks_modern(sent)
                || message["method"] == "server/discover"
                || message["params"]["_meta"].get(crate::call::META_VERSION).is_some()
        }
    }
}

/// The version in the header decides; without one, a header that only the modern era has.
fn looks_modern(sent: &HeaderMap) -> bool {
    match headers::get(sent, "mcp-protocol-version") {
        Some(version) => !LEGACY.contains(&version),
        None => sent.contains_key("mcp-method"),
    }
}

async fn modern(world: &Arc<World>, sent: &HeaderMap, message: Value) -> Reply {
    if !route::is_request(&message) {
        return empty(StatusCode::ACCEPTED);
    }
    let session = Session::new("modern".to_owned());
    let checked = route::gate(world, &session, &message, true).and_then(|era| {
        headers::check(sent, &message, &conformance::catalog())?;
        route::check_version(&message)?;
        Ok(era)
    });
    match checked {
        Err(error) => json(StatusCode::BAD_REQUEST, &rpc::error_message(&message["id"], &error)),
        Ok(era) => {
            let (sink, source) = wire::channel();
            route::start(route::new_call(world, &session, era, message, &sink, true));
            drop(sink);
            first_decides(source).await
        }
    }
}

/// Answers as JSON if the first thing to send is the answer, else as an event stream.
async fn first_decides(mut source: Source) -> Reply {
    match source.recv().await {
        None => empty(StatusCode::ACCEPTED),
        Some(Out::Message(message)) if rpc::is_answer(&message) => json(status_of(&message), &message),
        Some(Out::Raw(bytes)) => stream_reply("application/json", raw_stream(bytes, source)),
        Some(first) => stream_reply("text/event-stream", events(first, source)),
    }
}

fn status_of(message: &Value) -> StatusCode {
    match message["error"]["code"].as_i64() {
        Some(rpc::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(rpc::HEADER_MISMATCH | rpc::MISSING_CAPABILITY | rpc::UNSUPPORTED_VERSION) => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::OK,
    }
}

fn events(first: Out, source: Source) -> impl Stream<Item = Bytes> + Send {
    let rest = stream::unfold(source, |mut source| async { source.recv().await.map(|out| (out, source)) });
    stream::iter([first]).chain(rest).then(|out| async { event(None, out).await })
}

/// One piece of an event stream; a stall never comes back.
pub async fn event(id: Option<&str>, out: Out) -> Bytes {
    match out {
        Out::Message(message) => {
            let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
            format!("{id}event: message\ndata: {message}\n\n").into()
        }
        Out::Raw(bytes) => [b"event: message\ndata: ".as_slice(), &bytes, b"\n\n"].concat().into(),
        Out::Stall => std::future::pending().await,
        Out::OpenStream | Out::CloseStream | Out::End => ": open\n\n".into(),
    }
}

fn raw_stream(first: Vec<u8>, source: Source) -> impl Stream<Item = Bytes> + Send {
    let rest = stream::unfold(source, |mut source| async { source.recv().await.map(|out| (out, source)) });
    stream::iter([Out::Raw(first)]).chain(rest).then(|out| async {
        match out {
            Out::Message(message) => message.to_string().into(),
            Out::Raw(bytes) => bytes.into(),
            Out::Stall => std::future::pending().await,
            Out::OpenStream | Out::CloseStream | Out::End => Bytes::new(),
        }
    })
}

/// The reply as the network faults let it through.
fn impaired(reply: Reply, faults: &[Fault]) -> Reply {
    if faults::find(faults, "http-reset").is_some() {
        let half = Ok(Frame::data(Bytes::from_static(b"event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\"")));
        let pieces = stream::iter([half]).chain(stream::once(async {
            // The half event has to leave before the connection breaks.
            tokio::time::sleep(Duration::from_millis(20)).await;
            Err(std::io::Error::other("reset on demand"))
        }));
        let mut broken = Response::new(StreamBody::new(pieces).boxed_unsync());
        broken
            .headers_mut()
            .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/event-stream"));
        return broken;
    }
    match faults::find(faults, "http-drip") {
        Some(fault) => {
            let wait = Duration::from_millis(fault.number(1000));
            reply.map(|body| StreamBody::new(drips(body, wait)).boxed_unsync())
        }
        None => reply,
    }
}

fn drips(body: Body, wait: Duration) -> impl Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send {
    body.into_data_stream().flat_map(|piece| stream::iter(piece.unwrap_or_default().to_vec())).then(
        move |byte| async move {
            tokio::time::sleep(wait).await;
            Ok(Frame::data(Bytes::copy_from_slice(&[byte])))
        },
    )
}

pub fn stream_reply(kind: &'static str, pieces: impl Stream<Item = Bytes> + Send + 'static) -> Reply {
    let body = StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))).boxed_unsync();
    let mut reply = Response::new(body);
    reply.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    reply.headers_mut().insert("cache-control", hyper::header::HeaderValue::from_static("no-cache"));
    reply
}

pub fn json(status: StatusCode, message: &Value) -> Reply {
    full(status, "application/json", message.to_string())
}

pub fn plain(status: StatusCode, text: &str) -> Reply {
    full(status, "text/plain", text.to_owned())
}

pub fn empty(status: StatusCode) -> Reply {
    full(status, "text/plain", String::new())
}

fn full(status: StatusCode, kind: &'static str, text: String) -> Reply {
    let body = Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    reply
}

#[cfg(test)]
mod tests {
    use super::is_struck;

    #[test]
    fn failures_are_spread_evenly() {
        let struck = |percent: u64| (0..100).filter(|number| is_struck(*number, percent)).count();
        assert_eq!([struck(0), struck(50), struck(30), struck(100)], [0, 50, 30, 100]);
        assert_eq!([0, 1, 2, 3].map(|number| is_struck(number, 50)), [false, true, false, true]);
    }
}
