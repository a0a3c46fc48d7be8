//! One request over HTTP, from its headers to its answer, whatever form the answer comes in.
//! It keeps nothing between requests.

use super::status::{self, Head};
use super::{Agreed, HttpLink, SESSION, stream};
use crate::clock::Clock;
use crate::error::{Error, Result, codes};
use crate::tools::Era;
use crate::upstream::link::Outgoing;
use crate::upstream::message::{self, Answer, Envelope};
use crate::upstream::transport::client;
use crate::upstream::transport::dial::jitter;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::http::response::Parts;
use hyper::{Method, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// As much of a failed response is read.
const MAX_FAILURE: usize = 256 << 10;
/// Added to the pause a server asks for, so that those who wait do not come back all at once.
const PAUSE_SPREAD: Duration = Duration::from_millis(250);

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Sends the request of `call` and gives its answer.
pub(super) async fn run(link: &Arc<HttpLink>, agreed: &Agreed, call: &Outgoing<'_>) -> Result<Answer> {
    let address = link.address.as_ref().map_err(Clone::clone)?;
    let deadline = Instant::now() + call.timeout;
    if !*link.ready.borrow() {
        let _ = link.ready.subscribe().wait_for(|ready| *ready).await;
    }
    let body = Bytes::from(message::request(call.id, call.method, call.params));
    let mut paused = false;
    loop {
        let response = address.send(Method::POST, headers(agreed, call)?, body.clone()).await?;
        if call.method == "initialize"
            && let Some(session) = response.headers().get(SESSION)
        {
            link.in_session(session.clone());
        }
        match status::head(response.status(), response.headers(), Clock::System.now()) {
            Head::Json => return json(call, response).await,
            Head::Events => return stream::answer(link, agreed, call, response.into_body()).await,
            Head::Accepted => {
                let message = format!("the server took `{}` and gave no answer", call.method);
                return Err(Error::new(&codes::UPSTREAM_PROTOCOL, message));
            }
            Head::Pause(pause) if !paused && Instant::now() + pause + PAUSE_SPREAD < deadline => {
                paused = true;
                client::read_head(response.into_body(), MAX_FAILURE).await;
                tokio::time::sleep(pause + PAUSE_SPREAD.mul_f64(jitter())).await;
            }
            Head::Pause(_) | Head::Failed => return failed(link, agreed, call.id, response).await,
        }
    }
}

fn headers(agreed: &Agreed, call: &Outgoing<'_>) -> Result<HeaderMap> {
    let mut headers = agreed.headers.clone();
    if agreed.era == Era::Modern {
        headers.insert(METHOD, status::coded(call.method)?);
        if let Some(name) = call.name {
            headers.insert(NAME, status::coded(name)?);
        }
    }
    for (name, value) in call.headers {
        let key = HeaderName::try_from(name)
            .map_err(|_| Error::new(&codes::UPSTREAM_PROTOCOL, format!("`{name}` is no name of a header")))?;
        headers.insert(key, status::coded(value)?);
    }
    Ok(headers)
}

async fn json(call: &Outgoing<'_>, response: Response<Incoming>) -> Result<Answer> {
    let (parts, body) = response.into_parts();
    let body = client::read_all(body, length(&parts.headers)).await?;
    let found = match body.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice::<Vec<Envelope<'_>>>(&body)
            .map(|batch| batch.iter().filter(|one| mine(one, call.id)).find_map(|one| answer_of(&body, one))),
        _ => Envelope::parse(&body).map(|one| answer_of(&body, &one).filter(|_| mine(&one, call.id))),
    };
    match found {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(no_answer(&parts, call.method)),
        Err(error) => Err(no_answer(&parts, call.method).because(error)),
    }
}

fn length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// An error before the server could read the id answers with none.
fn mine(envelope: &Envelope<'_>, id: u64) -> bool {
    let no_id = envelope.id.is_none_or(|raw| raw.get() == "null");
    envelope.own_id() == Some(id) || (no_id && envelope.error.is_some())
}

/// The payload of an answer, cut out of the text it came in.
pub(super) fn answer_of(text: &Bytes, envelope: &Envelope<'_>) -> Option<Answer> {
    let body = envelope.result.or(envelope.error)?;
    Some(Answer { ok: envelope.result.is_some(), body: text.slice_ref(body.get().as_bytes()) })
}

fn no_answer(parts: &Parts, method: &str) -> Error {
    let kind =
        parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("no content type");
    let message = format!("the server's response to `{method}` ({kind}) is no answer to it");
    Error::new(&codes::UPSTREAM_PROTOCOL, message)
}

async fn failed(link: &HttpLink, agreed: &Agreed, id: u64, response: Response<Incoming>) -> Result<Answer> {
    let (parts, body) = response.into_parts();
    let body = client::read_head(body, MAX_FAILURE).await;
    let spoken = status::spoken_error(parts.status, &body, id);
    let failure = status::failure(parts.status, &parts.headers, &body, Clock::System.now());
    if agreed.session.is_some() && status::session_is_gone(parts.status, spoken.as_ref()) {
        return Err(session_gone(link, failure));
    }
    spoken.ok_or(failure)
}

/// The server forgot the session, such as after a restart: only a new handshake helps.
pub(super) fn session_gone(link: &HttpLink, failure: Error) -> Error {
    let error = Error::new(&codes::UPSTREAM_HTTP, "the server no longer knows the session").because(failure);
    link.end(error.clone());
    error
}

/// Posts a notification or an answer to a server's question.
pub(super) async fn post(link: &Arc<HttpLink>, body: Bytes) -> Result<()> {
    let address = link.address.as_ref().map_err(Clone::clone)?;
    let agreed = link.agreed_now();
    let response = address.send(Method::POST, agreed.headers.clone(), body).await?;
    if response.status().is_success() {
        client::read_head(response.into_body(), MAX_FAILURE).await;
        return Ok(());
    }
    failed(link, &agreed, 0, response).await.map(drop)
}

/// The request headers of a stream that is only listened to.
pub(super) fn listening(agreed: &Agreed, last_id: Option<&str>) -> HeaderMap {
    let mut headers = agreed.headers.clone();
    headers.remove(CONTENT_TYPE);
    headers.insert(hyper::header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    if let Some(id) = last_id.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert(HeaderName::from_static("last-event-id"), id);
    }
    headers
}

/// The id of the call a progress notification belongs to.
pub(super) fn progress_token(params: &str) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Token {
        #[serde(rename = "progressToken")]
        token: u64,
    }
    serde_json::from_str::<Token>(params).ok().map(|token| token.token)
}
