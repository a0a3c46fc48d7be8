//! The oldest HTTP transport: one event stream from the server, and an address it names for posting to it.
//! The stream feeds a [`Link`]; streamable HTTP has a link of its own in `http.rs`.
//!
//! Rules: the address must be of the server's own origin; the end of the stream closes the link; a request
//! whose post was refused is answered at once.

use super::client::{self, Address, HttpTarget};
use super::events::Events;
use super::http::status::{self, Head};
use super::reader::Reader;
use crate::clock::Clock;
use crate::error::{Error, Result, codes};
use crate::upstream::link::{Inbox, Link};
use crate::upstream::message::{Answer, Envelope, code};
use bytes::Bytes;
use hyper::Method;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Deadline of one post.
const POST_DEADLINE: Duration = Duration::from_secs(30);
/// Later messages wait that long for the server to take a notification.
const IN_ORDER: Duration = Duration::from_secs(1);
/// As much of a response to a post is read.
const MAX_RESPONSE: usize = 256 << 10;

/// Opens the stream, learns the address and starts the pumps.
pub async fn open(target: HttpTarget, inbox: Arc<dyn Inbox>, timeout: Duration) -> Result<Arc<Link>> {
    let address = Address::new(&target)?;
    let (reader, post) = tokio::time::timeout(timeout, connect(&address)).await.map_err(|_| {
        let message = format!("the server named no address to post to within {} s", timeout.as_secs_f32());
        Error::new(&codes::UPSTREAM_TIMEOUT, message)
    })??;
    let (link, queue) = Link::new(inbox);
    tokio::spawn(read(link.clone(), reader));
    tokio::spawn(write(link.clone(), queue, post));
    Ok(link)
}

async fn connect(address: &Address) -> Result<(Reader, Address)> {
    let mut headers = address.headers.clone();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let response = address.send(Method::GET, headers, Bytes::new()).await?;
    let (parts, body) = response.into_parts();
    let now = Clock::System.now();
    match status::head(parts.status, &parts.headers, now) {
        Head::Events => {}
        Head::Json | Head::Accepted => {
            return Err(Error::new(
                &codes::UPSTREAM_PROTOCOL,
                "the server answered with something else than an event stream",
            ));
        }
        Head::Pause(_) | Head::Failed => {
            let body = client::read_head(body, MAX_RESPONSE).await;
            return Err(status::failure(parts.status, &parts.headers, &body, now));
        }
    }
    let mut reader = Reader::new(body, Events::default());
    while let Some(event) = reader.next().await? {
        if &event.name[..] == b"endpoint" {
            let post = endpoint(&address.url, &String::from_utf8_lossy(&event.data))?;
            let mut post = address.at(post)?;
            post.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return Ok((reader, post));
        }
    }
    Err(Error::new(
        &codes::UPSTREAM_PROTOCOL,
        "the server ended the event stream before it named an address to post to",
    ))
}

/// The address to post to. Another origin would be sent the user's headers, so it is refused.
fn endpoint(own: &url::Url, named: &str) -> Result<url::Url> {
    let url = own.join(named.trim()).map_err(|error| {
        Error::new(&codes::UPSTREAM_PROTOCOL, format!("the server named `{named}` to post to")).because(error)
    })?;
    if url.origin() != own.origin() {
        let message = format!(
            "the server named `{named}` to post to, which is not on `{}`",
            own.origin().ascii_serialization()
        );
        return Err(Error::new(&codes::UPSTREAM_PROTOCOL, message));
    }
    Ok(url)
}

async fn read(link: Arc<Link>, mut reader: Reader) {
    loop {
        let message = tokio::select! {
            message = reader.message() => message,
            _ = link.closed() => return,
        };
        match message {
            Ok(Some(message)) => link.receive(&message),
            Ok(None) => {
                return link.close(Error::new(&codes::UPSTREAM_DIED, "the server ended the event stream"));
            }
            Err(error) => return link.close(error),
        }
    }
}

/// Posts the queue. Requests travel side by side, since some servers hold the response until the answer;
/// what follows a notification waits for it.
async fn write(link: Arc<Link>, mut queue: mpsc::UnboundedReceiver<Bytes>, post: Address) {
    let post = Arc::new(post);
    loop {
        let line = tokio::select! {
            line = queue.recv() => line,
            _ = link.closed() => return,
        };
        let Some(line) = line else { return };
        let is_notification = Envelope::parse(&line).is_ok_and(|envelope| envelope.id.is_none());
        let sent = tokio::spawn(send(link.clone(), post.clone(), line));
        if is_notification {
            let _ = tokio::time::timeout(IN_ORDER, sent).await;
        }
    }
}

async fn send(link: Arc<Link>, post: Arc<Address>, line: Bytes) {
    let exchange = tokio::time::timeout(POST_DEADLINE, exchange(&post, line.clone()));
    let outcome = tokio::select! {
        outcome = exchange => outcome,
        _ = link.closed() => return,
    };
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.is(&codes::UPSTREAM_LIMITED) || error.is(&codes::UPSTREAM_HTTP) => {
            refuse(&link, &line, &error);
        }
        Ok(Err(error)) => link.close(error),
        Err(_) => {
            refuse(&link, &line, &Error::new(&codes::UPSTREAM_TIMEOUT, "the server did not take the request"))
        }
    }
}

async fn exchange(post: &Address, line: Bytes) -> Result<()> {
    let headers: HeaderMap = post.headers.clone();
    let response = post.send(Method::POST, headers, line).await?;
    let (parts, body) = response.into_parts();
    let body = client::read_head(body, MAX_RESPONSE).await;
    if parts.status.is_success() {
        return Ok(());
    }
    let failure = status::failure(parts.status, &parts.headers, &body, Clock::System.now());
    if parts.status == hyper::StatusCode::NOT_FOUND {
        let message = "the server no longer knows the session";
        return Err(Error::new(&codes::UPSTREAM_DIED, message).because(failure));
    }
    Err(failure)
}

/// Answers a request that the server did not take.
fn refuse(link: &Arc<Link>, line: &[u8], error: &Error) {
    let request = Envelope::parse(line).ok().filter(|envelope| envelope.method.is_some());
    if let Some(id) = request.and_then(|envelope| envelope.own_id()) {
        link.receive(&Answer::error(code::SERVER, &error.to_string()).line(&id.to_string()).into());
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::upstream::link::alone::{Nobody, call, run};
    use crate::upstream::transport::scripted::{Seen, Server, Step, end, event, events, response};

    async fn connect_to(
        script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static,
    ) -> (Server, Result<Arc<Link>>) {
        let server = Server::start(script).await;
        let headers = vec![("X-Key".to_string(), "k".to_string())];
        let target = HttpTarget { url: server.url.clone(), headers, ..HttpTarget::default() };
        let link = open(target, Arc::new(Nobody), Duration::from_secs(5)).await;
        (server, link)
    }

    #[test]
    fn addresses_to_post_to_stay_on_the_server() {
        let own = url::Url::parse("http://localhost:8000/a/sse").unwrap();
        for (named, expected) in [
            ("/messages?s=1", Some("http://localhost:8000/messages?s=1")),
            ("messages/?s=1", Some("http://localhost:8000/a/messages/?s=1")),
            ("?s=1", Some("http://localhost:8000/a/sse?s=1")),
            ("http://localhost:8000/m", Some("http://localhost:8000/m")),
            ("http://localhost:8001/m", None),
            ("https://localhost:8000/m", None),
            ("//evil.example/m", None),
        ] {
            let url = endpoint(&own, named).ok().map(|url| url.to_string());
            assert_eq!(url.as_deref(), expected, "{named}");
        }
    }

    #[test]
    fn messages_are_posted_and_answered_on_the_stream() {
        run(async {
            let (server, link) = connect_to(|seen| match seen.method.as_str() {
                "GET" => vec![
                    events(),
                    event("event: endpoint\ndata: /messages?s=1"),
                    Step::Await("tools/call"),
                    event("event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"n\":1}}"),
                    Step::Await("notifications/x"),
                    end(),
                ],
                _ => response("202 Accepted", "", "Accepted"),
            })
            .await;
            let link = link.unwrap();
            assert_eq!(call(&link).await.unwrap().text(), r#"{"n":1}"#);
            link.notify("notifications/x", "{}");
            assert!(link.closed().await.is(&codes::UPSTREAM_DIED));
            let post = server.until("tools/call").await;
            assert_eq!((post.path.as_str(), post.header("x-key")), ("/messages?s=1", Some("k")));
        });
    }

    #[test]
    fn a_refused_post_answers_its_request_and_a_lost_session_ends_the_link() {
        run(async {
            for (status, closes) in [("500 Internal Server Error", false), ("404 Not Found", true)] {
                let (_server, link) = connect_to(move |seen| match seen.method.as_str() {
                    "GET" => vec![events(), event("event: endpoint\ndata: /m"), Step::Hold],
                    _ => response(status, "", "broken"),
                })
                .await;
                let link = link.unwrap();
                match call(&link).await {
                    Ok(answer) => assert!(!closes && answer.message().contains("500"), "{}", answer.text()),
                    Err(error) => assert!(closes && error.is(&codes::UPSTREAM_DIED), "{error}"),
                }
                assert_eq!(link.is_closed(), closes);
            }
        });
    }

    #[test]
    fn what_is_no_event_stream_is_refused() {
        run(async {
            for (status, code) in [
                ("200 OK", &codes::UPSTREAM_PROTOCOL),
                ("401 Unauthorized", &codes::UPSTREAM_SIGN_IN),
                ("405 Method Not Allowed", &codes::UPSTREAM_HTTP),
            ] {
                let (_server, link) = connect_to(move |_| response(status, "", "")).await;
                assert!(link.err().unwrap().is(code), "{status}");
            }
            let (_server, link) = connect_to(|_| vec![events(), end()]).await;
            assert!(link.err().unwrap().is(&codes::UPSTREAM_PROTOCOL));
        });
    }
}
