//! Event streams over HTTP: the one a request is answered on, and the common one of a legacy session.
//! Of what they carry only answers are looked for here; the rest goes to the link in the order of the wire.
//!
//! Rule: a stream that ends before the answer is asked for again (with the id of its last event), never the call.

use super::exchange::{listening, session_gone};
use super::status::{self, Head};
use super::{Agreed, HttpLink};
use crate::clock::Clock;
use crate::error::{Error, Result, codes};
use crate::tools::Era;
use crate::upstream::link::Outgoing;
use crate::upstream::message::Answer;
use crate::upstream::transport::client::{self, Address};
use crate::upstream::transport::dial::jitter;
use crate::upstream::transport::events::Events;
use crate::upstream::transport::reader::Reader;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// Pause before a stream is opened again when the server names none.
const RETRY: Duration = Duration::from_secs(1);
/// A server that says "at once" is not asked more often than this.
const LEAST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause between two tries to open the common stream.
const MOST_PAUSE: Duration = Duration::from_secs(30);
/// Failures to resume in a row before a call is given up.
const MAX_MISSES: u32 = 3;

/// Reads the stream a request is answered on until the answer.
pub(super) async fn answer(
    link: &Arc<HttpLink>,
    agreed: &Agreed,
    call: &Outgoing<'_>,
    body: Incoming,
) -> Result<Answer> {
    let mut reader = Reader::new(body, Events::default());
    loop {
        let ended = loop {
            match reader.message().await {
                Ok(Some(message)) => {
                    if let Some(answer) = link.receive(&message, Some(call))? {
                        reader.finish();
                        return Ok(answer);
                    }
                }
                Ok(None) => break lost(),
                Err(error) if error.is(&codes::UPSTREAM_DIED) => break error,
                Err(error) => return Err(error),
            }
        };
        if agreed.era == Era::Modern || reader.events.last_id.is_none() {
            return Err(ended);
        }
        reader = resume(link, agreed, reader.into_events(), ended).await?;
    }
}

fn lost() -> Error {
    let message = "the server ended the stream before the answer; the call may have run and is not repeated";
    Error::new(&codes::UPSTREAM_DIED, message)
}

/// Opens the stream of a call again where it broke off.
async fn resume(link: &HttpLink, agreed: &Agreed, events: Events, ended: Error) -> Result<Reader> {
    let address = link.address.as_ref().map_err(Clone::clone)?;
    let mut ended = ended;
    for misses in 0..MAX_MISSES {
        tokio::time::sleep(events.retry.unwrap_or(RETRY).max(LEAST_PAUSE) * (misses + 1)).await;
        match open(address, agreed, events.last_id.as_deref()).await {
            Ok(Opened::Events(body)) => return Ok(Reader::new(body, events)),
            Ok(Opened::Never(failure)) => return Err(ended.because(failure)),
            Ok(Opened::SessionGone(failure)) => return Err(ended.because(failure)),
            Err(error) => ended = ended.because(error),
        }
    }
    Err(ended)
}

enum Opened {
    Events(Incoming),
    /// The server has no such stream.
    Never(Error),
    SessionGone(Error),
}

async fn open(address: &Address, agreed: &Agreed, last_id: Option<&str>) -> Result<Opened> {
    let response = address.send(Method::GET, listening(agreed, last_id), Bytes::new()).await?;
    let now = Clock::System.now();
    match status::head(response.status(), response.headers(), now) {
        Head::Events => return Ok(Opened::Events(response.into_body())),
        Head::Json | Head::Accepted => return Ok(Opened::Never(lost())),
        Head::Pause(_) | Head::Failed => {}
    }
    let (parts, body) = Response::into_parts(response);
    let body = client::read_head(body, 4 << 10).await;
    let spoken = status::spoken_error(parts.status, &body, 0);
    let failure = status::failure(parts.status, &parts.headers, &body, now);
    let passing = parts.status.is_server_error() && parts.status != StatusCode::NOT_IMPLEMENTED;
    if passing || parts.status == StatusCode::TOO_MANY_REQUESTS {
        return Err(failure);
    }
    let gone = agreed.session.is_some() && status::session_is_gone(parts.status, spoken.as_ref());
    Ok(if gone { Opened::SessionGone(failure) } else { Opened::Never(failure) })
}

/// Listens to the common stream of a legacy session, again and again, until the server says it has none.
pub(super) async fn listen(link: &Arc<HttpLink>) {
    let Ok(address) = &link.address else { return };
    let mut events = Events::default();
    let mut failures = 0;
    loop {
        match open(address, &link.agreed_now(), events.last_id.as_deref()).await {
            Ok(Opened::Events(body)) => {
                let mut reader = Reader::new(body, events);
                while let Ok(Some(message)) = reader.message().await {
                    failures = 0;
                    // Nobody waits for an answer here, so there is none and no failure either.
                    let _ = link.receive(&message, None);
                }
                events = reader.into_events();
            }
            // Not found may mean the stream of that id, so it is tried from the start.
            Ok(Opened::Never(_) | Opened::SessionGone(_)) if events.last_id.is_some() => {
                events.last_id = None
            }
            Ok(Opened::Never(_)) => return,
            Ok(Opened::SessionGone(failure)) => {
                session_gone(link, failure);
                return;
            }
            Err(_) => {}
        }
        tokio::time::sleep(backoff(events.retry, failures, jitter())).await;
        failures += 1;
    }
}

/// The pause after the given number of failures in a row; `random` between 0 and 1 spreads it.
fn backoff(retry: Option<Duration>, failures: u32, random: f64) -> Duration {
    let pause = retry.unwrap_or(RETRY).max(LEAST_PAUSE);
    let doubled = pause.saturating_mul(1 << failures.min(10)).min(MOST_PAUSE.max(pause));
    doubled.mul_f64(1.0 + random / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_respect_the_server() {
        let ms = Duration::from_millis;
        for (retry, failures, expected) in [
            (None, 0, ms(1000)),
            (None, 3, ms(8000)),
            (None, 99, ms(30_000)),
            (Some(ms(0)), 0, ms(20)),
            (Some(ms(60_000)), 5, ms(60_000)),
        ] {
            assert_eq!(backoff(retry, failures, 0.0), expected);
        }
        assert_eq!(backoff(None, 0, 1.0), ms(1250));
    }
}
