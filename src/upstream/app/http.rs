//! Sends the request of an HTTP tool and reads the answer. What is sent is decided in `apps::request`; where it may
//! go, in the built-in servers' `web`. An answer with an error status is a failed call, with the answer's words.

use super::result::{Outcome, block};
use crate::apps::model::{Http, Tool};
use crate::apps::request::Prepared;
use crate::error::{Error, Result, codes};
use crate::upstream::builtin::web::{self, Web};
use base64::Engine as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// A file in an answer may have so many bytes.
const MAX_FILE: usize = 2 << 20;
/// So much of a failure's words is shown.
const MAX_WORDS: usize = 8 << 10;
/// A server may ask for no longer pause than this.
const MAX_PAUSE: Duration = Duration::from_secs(60);

pub async fn send(web: &Web, tool: &Tool, http: &Http, prepared: &Prepared) -> Result<Outcome> {
    let headers = header_map(prepared)?;
    let deadline = Duration::from_millis(tool.timeout_ms);
    let exchange = async {
        let response = exchange(web, http, prepared, &headers, deadline).await?;
        answer(response, tool, http).await
    };
    match tokio::time::timeout(deadline, exchange).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let seconds = deadline.as_secs_f64();
            Err(Error::new(&codes::TIMED_OUT, format!("`{}` had no answer within {seconds} s", tool.name)))
        }
    }
}

/// Sends, again after a pause where the tool's `retry` says so.
async fn exchange(
    web: &Web,
    http: &Http,
    prepared: &Prepared,
    headers: &HeaderMap,
    deadline: Duration,
) -> Result<Response> {
    let method: Method = prepared.method.parse().map_err(|_| Error::bug("a method nobody checked"))?;
    let mut attempt = 0;
    loop {
        let mut request =
            web.request(method.clone(), &prepared.url)?.headers(headers.clone()).timeout(deadline);
        if let Some(body) = &prepared.body {
            request = request.body(body.clone());
        }
        let outcome = web.send(request).await;
        let Some(retry) = http.retry.as_ref().filter(|retry| attempt < retry.max) else { return outcome };
        let asked = match &outcome {
            Ok(response) if !retry.status.contains(&response.status().as_u16()) => return outcome,
            Ok(response) => retry_after(response.headers()),
            Err(_) => None,
        };
        let pause = asked.unwrap_or_else(|| Duration::from_millis(retry.pause_ms(attempt)));
        tokio::time::sleep(pause.min(MAX_PAUSE)).await;
        attempt += 1;
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn header_map(prepared: &Prepared) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in &prepared.headers {
        let pair = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value.trim()).ok());
        let (name, value) = pair.ok_or_else(|| {
            Error::new(
                &codes::ARGUMENTS_INVALID,
                format!("the header `{name}` cannot be sent with this value"),
            )
        })?;
        map.append(name, value);
    }
    Ok(map)
}

async fn answer(response: Response, tool: &Tool, http: &Http) -> Result<Outcome> {
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(String::from);
    let content_type = header(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let next = header(LINK).as_deref().and_then(next_page);
    let url = web::bare(response.url()).to_string();
    let limit = usize::try_from(tool.limit).unwrap_or(usize::MAX);
    let is_file = is_file(&content_type);
    let (body, cut) = web::read(response, if is_file { MAX_FILE } else { limit }).await?;
    if !status.is_success() {
        return Ok(failed(tool, status, &web::decode(&body, &content_type)));
    }
    if is_file {
        return Ok(file(&body, &content_type, &url, cut));
    }
    let text = web::decode(&body, &content_type);
    let text = if cut { text } else { trimmed(text, http.result.as_deref()) };
    let text = if text.trim().is_empty() { format!("{status}") } else { text };
    let cut = cut.then(|| format!("[the answer is longer; only its first {limit} bytes are shown]"));
    let next = next.map(|next| format!("[there is more: the next page is at {next}]"));
    Ok(Outcome::text(text).noted(cut).noted(next))
}

fn failed(tool: &Tool, status: StatusCode, text: &str) -> Outcome {
    let mut outcome = Outcome::failed(format!("`{}` failed: the service answered {status}", tool.name));
    let words: String = text.chars().take(MAX_WORDS).collect();
    if !words.trim().is_empty() {
        outcome.content.push(block(words));
    }
    if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        outcome.content.push(block("[the service wants another sign-in, or the account may not do this]"));
    }
    outcome
}

/// JSON without its white space and only the part that is the result; anything else as it is.
fn trimmed(text: String, pointer: Option<&str>) -> String {
    let Ok(value) = serde_json::from_str::<Value>(&text) else { return text };
    match pointer.map(|pointer| value.pointer(pointer)) {
        None => value.to_string(),
        Some(Some(part)) => part.as_str().map_or_else(|| part.to_string(), String::from),
        Some(None) => value.to_string(),
    }
}

fn is_file(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let is_text = kind.starts_with("text/")
        || ["json", "xml", "yaml", "javascript", "x-www-form-urlencoded"]
            .iter()
            .any(|word| kind.contains(word));
    !kind.is_empty() && !is_text
}

fn file(body: &[u8], content_type: &str, url: &str, cut: bool) -> Outcome {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if cut {
        let text = format!("the answer is a file of the type {kind}, larger than {} MiB", MAX_FILE >> 20);
        return Outcome::failed(text);
    }
    let data = base64::engine::general_purpose::STANDARD.encode(body);
    let content = match kind.split('/').next() {
        Some(word @ ("image" | "audio")) => json!({"type": word, "data": data, "mimeType": kind}),
        _ => json!({"type": "resource", "resource": {"uri": url, "mimeType": kind, "blob": data}}),
    };
    Outcome { content: vec![content], is_error: false }
}

/// The address of the next page in a `Link` header.
fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (address, parameters) = part.split_once(';')?;
        let is_next = parameters.split(';').any(|one| one.trim().replace('"', "") == "rel=next");
        is_next.then(|| address.trim().trim_start_matches('<').trim_end_matches('>').to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_down_to_what_counts() {
        let text = r#"{ "data": { "items": [1, 2], "name": "x" } }"#.to_string();
        assert_eq!(trimmed(text.clone(), None), r#"{"data":{"items":[1,2],"name":"x"}}"#);
        assert_eq!(trimmed(text.clone(), Some("/data/items")), "[1,2]");
        assert_eq!(trimmed(text.clone(), Some("/data/name")), "x");
        assert_eq!(trimmed(text, Some("/none")), r#"{"data":{"items":[1,2],"name":"x"}}"#);
        assert_eq!(trimmed("no json".into(), Some("/a")), "no json");
    }

    #[test]
    fn files_and_next_pages_are_known() {
        for (kind, file) in [
            ("application/json; charset=utf-8", false),
            ("application/problem+json", false),
            ("text/html", false),
            ("", false),
            ("image/png", true),
            ("application/octet-stream", true),
        ] {
            assert_eq!(is_file(kind), file, "{kind}");
        }
        let link = r#"<https://x/?page=1>; rel="prev", <https://x/?page=3>; rel="next""#;
        assert_eq!(next_page(link).as_deref(), Some("https://x/?page=3"));
        assert_eq!(next_page("<https://x>; rel=last"), None);
    }
}
