//! What the head of an HTTP response means for the request, and the coding of header values.
//! Decisions only: nothing here reads a body, waits or sends.

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::upstream::message::{Answer, Envelope, code};
use base64::Engine as _;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use std::time::Duration;

/// A server that asks for a longer pause is reported instead of waited for.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// As much of a body as stands in an error message.
const QUOTED: usize = 200;

/// What to do with a response.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// One JSON body.
    Json,
    /// An event stream.
    Events,
    /// Nothing follows.
    Accepted,
    /// Ask again after the pause.
    Pause(Duration),
    /// Not done; the body says why.
    Failed,
}

pub fn head(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Head {
    match status {
        StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Head::Accepted,
        StatusCode::TOO_MANY_REQUESTS => match pause(headers, now) {
            Some(pause) if pause <= LONGEST_PAUSE => Head::Pause(pause),
            _ => Head::Failed,
        },
        _ if !status.is_success() => Head::Failed,
        _ if has_type(headers, "text/event-stream") => Head::Events,
        // A server that names no type or a wrong one is read as JSON, and judged by what it sent.
        _ => Head::Json,
    }
}

fn has_type(headers: &HeaderMap, kind: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    value.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind.as_bytes()))
}

/// The pause a server asks for: seconds or a date.
fn pause(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    let date = Timestamp::from_millis(u64::try_from(date).ok()?);
    Some(Duration::from_millis(date.since_ms(now)))
}

/// The error a failed response stands for. `body` is its beginning.
pub fn failure(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Error {
    let error = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let wants = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
            let error =
                Error::new(&codes::UPSTREAM_SIGN_IN, format!("the server wants a sign-in ({status})"))
                    .hint("give the server's entry an `Authorization` header with a valid key");
            return match (wants, quoted(body)) {
                (Some(wants), _) => error.because(wants),
                (None, Some(text)) => error.because(text),
                (None, None) => error,
            };
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let message = match pause(headers, now) {
                Some(pause) => {
                    format!("the server asks to wait {} s before the next request", pause.as_secs())
                }
                None => "the server asks to slow down".into(),
            };
            Error::new(&codes::UPSTREAM_LIMITED, message)
        }
        _ if status.is_redirection() => {
            let place = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("elsewhere");
            Error::new(&codes::UPSTREAM_HTTP, format!("the server answered {status}: it moved to `{place}`"))
                .hint("put the new address into the server's entry; umcp does not follow a move on its own")
        }
        _ => Error::new(&codes::UPSTREAM_HTTP, format!("the server answered {status}")),
    };
    match quoted(body) {
        Some(text) => error.because(text),
        None => error,
    }
}

/// The beginning of a body in one line.
fn quoted(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let line = words.join(" ");
    let short: String = line.chars().take(QUOTED).collect();
    let dots = if short.len() < line.len() { "…" } else { "" };
    (!line.is_empty()).then(|| format!("{short}{dots}"))
}

/// A failed response whose body is a JSON-RPC error answers the request with it.
pub fn spoken_error(status: StatusCode, body: &[u8], id: u64) -> Option<Answer> {
    if !status.is_client_error()
        || matches!(status.as_u16(), 401 | 403 | 429)
        || body.trim_ascii_start().first() != Some(&b'{')
    {
        return None;
    }
    let envelope = Envelope::parse(body).ok()?;
    let mine = envelope.id.is_none_or(|raw| raw.get() == "null") || envelope.own_id() == Some(id);
    let error = envelope.error.filter(|error| mine && error.get().starts_with('{'))?;
    Some(Answer { ok: false, body: error.get().to_string().into() })
}

/// Whether a failed response to a request that named a session says that the session is gone.
/// The specification says 404; widely used servers say 400 and name the session in words.
pub fn session_is_gone(status: StatusCode, answer: Option<&Answer>) -> bool {
    match status {
        StatusCode::NOT_FOUND => answer.is_none_or(|answer| answer.code() != code::METHOD_NOT_FOUND),
        StatusCode::BAD_REQUEST => answer.is_some_and(|answer| {
            let message = answer.message().to_ascii_lowercase();
            answer.code() == code::SERVER
                && (message.contains("session") || message.contains("not initialized"))
        }),
        _ => false,
    }
}

/// A value as the header of the modern era: as it is, or in Base64 between marks when it cannot be.
pub fn coded(value: &str) -> Result<HeaderValue> {
    let marked = value.starts_with("=?base64?") && value.ends_with("?=");
    let bare = value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && value.trim() == value && !marked;
    let header = if bare {
        HeaderValue::from_str(value)
    } else {
        HeaderValue::try_from(format!(
            "=?base64?{}?=",
            base64::engine::general_purpose::STANDARD.encode(value)
        ))
    };
    header.map_err(|_| Error::bug("Base64 is not a header value"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn heads_are_told_apart() {
        let now = Timestamp::parse("2026-11-21T10:00:00Z").unwrap();
        for (status, header, expected) in [
            (200, (CONTENT_TYPE, "application/json"), Head::Json),
            (200, (CONTENT_TYPE, "Text/Event-Stream; charset=utf-8"), Head::Events),
            (200, (CONTENT_TYPE, "text/plain"), Head::Json),
            (202, (CONTENT_TYPE, "application/json"), Head::Accepted),
            (307, (LOCATION, "/x"), Head::Failed),
            (404, (CONTENT_TYPE, "application/json"), Head::Failed),
            (429, (RETRY_AFTER, "2"), Head::Pause(Duration::from_secs(2))),
            (429, (RETRY_AFTER, "Sat, 21 Nov 2026 10:00:04 GMT"), Head::Pause(Duration::from_secs(4))),
            (429, (RETRY_AFTER, "6"), Head::Failed),
            (429, (RETRY_AFTER, "soon"), Head::Failed),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                head(status, &headers(std::slice::from_ref(&header)), now),
                expected,
                "{status} {header:?}"
            );
        }
    }

    #[test]
    fn failures_have_their_codes() {
        for (status, header, body, code, text) in [
            (
                401,
                (WWW_AUTHENTICATE, "Bearer"),
                "",
                &codes::UPSTREAM_SIGN_IN,
                "wants a sign-in (401 Unauthorized): Bearer",
            ),
            (403, (CONTENT_TYPE, "x"), "no", &codes::UPSTREAM_SIGN_IN, "wants a sign-in (403 Forbidden): no"),
            (
                429,
                (RETRY_AFTER, "60"),
                "",
                &codes::UPSTREAM_LIMITED,
                "asks to wait 60 s before the next request",
            ),
            (
                307,
                (LOCATION, "/new"),
                "",
                &codes::UPSTREAM_HTTP,
                "answered 307 Temporary Redirect: it moved to `/new`",
            ),
            (
                500,
                (CONTENT_TYPE, "x"),
                "a\n\u{1b}[31m b",
                &codes::UPSTREAM_HTTP,
                "Internal Server Error: a [31m b",
            ),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = failure(status, &headers(&[header]), body.as_bytes(), Timestamp::from_millis(0));
            assert!(error.is(code) && error.to_string().ends_with(text), "{error}");
        }
    }

    #[test]
    fn errors_and_lost_sessions_are_recognised() {
        let no_session = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session"},"id":null}"#;
        let invalid = r#"{"jsonrpc":"2.0","error":{"code":-32602,"message":"x"},"id":7}"#;
        let unknown = r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"x"},"id":7}"#;
        for (status, body, spoken, gone) in [
            (400, no_session, true, true),
            (400, invalid, true, false),
            (404, invalid, true, true),
            (404, unknown, true, false),
            (404, "Not Found", false, true),
            (400, r#"{"error":"text"}"#, false, false),
            (400, &invalid.replace('7', "8"), false, false),
            (500, invalid, false, false),
            (401, invalid, false, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = spoken_error(status, body.as_bytes(), 7);
            assert_eq!(
                (answer.is_some(), session_is_gone(status, answer.as_ref())),
                (spoken, gone),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn values_travel_bare_or_coded() {
        for (value, expected) in [
            ("echo", "echo"),
            ("two words", "two words"),
            ("", ""),
            (" x", "=?base64?IHg=?="),
            ("größe", "=?base64?Z3LDtsOfZQ==?="),
            ("a\nb", "=?base64?YQpi?="),
            ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
        ] {
            assert_eq!(coded(value).unwrap().to_str().unwrap(), expected);
        }
    }
}
