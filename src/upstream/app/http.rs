//! Sends the request of an HTTP tool and reads the answer. What is sent is decided in `apps::request`; where it may
//! go, in the built-in servers' `web`. An answer with an error status is a failed call, with the answer's words.

use crate::apps::answer::{self, Outcome, Received};
use crate::apps::model::{Http, Tool};
use crate::apps::pages;
use crate::apps::request::Prepared;
use crate::apps::trial::Recorded;
use crate::error::{Error, Result, codes};
use crate::upstream::builtin::web::{self, Web};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK, RETRY_AFTER};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::time::Duration;

/// A server may ask for no longer pause than this.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Sends, again after a pause where the tool's `retry` says so.
pub async fn exchange(web: &Web, http: &Http, prepared: &Prepared, deadline: Duration) -> Result<Response> {
    let headers = header_map(prepared)?;
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

/// An answer, and what is needed to go on with the list it may begin.
pub struct Page {
    pub outcome: Outcome,
    /// `None`: it is no list, or not a whole one.
    pub items: Option<Vec<Value>>,
    /// Where it came from, and what it says of the next one.
    pub url: String,
    pub link: Option<String>,
    pub text: String,
}

/// What a client gets of an answer.
pub async fn answer(response: Response, tool: &Tool, http: &Http, record: bool) -> Result<Page> {
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(String::from);
    let content_type = header(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let next = header(LINK).as_deref().and_then(next_page);
    let (url, whole) = (web::bare(response.url()).to_string(), response.url().to_string());
    let follows = http.pages.is_some() && !record && status.is_success();
    let limit = match answer::is_file(&content_type) {
        true => answer::MAX_FILE,
        false => usize::try_from(tool.limit).unwrap_or(usize::MAX),
    };
    let (body, cut) = web::read(response, limit).await?;
    let recorded = record.then(|| json!(Recorded::of(status.as_u16(), &content_type, &body)));
    let text = web::decode(&body, &content_type);
    let items = (follows && !cut).then(|| pages::items(&text, http.result.as_deref())).flatten();
    let (link, list) = (next.clone(), if items.is_some() { text.clone() } else { String::new() });
    let received = Received {
        status: status.as_u16(),
        phrase: &status.to_string(),
        content_type: &content_type,
        url: &url,
        text,
        body: &body,
        cut,
        next,
    };
    let outcome = Outcome { recorded, ..answer::of(received, tool, http) };
    Ok(Page { outcome, items, url: whole, link, text: list })
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
    fn a_next_page_is_known() {
        let link = r#"<https://x/?page=1>; rel="prev", <https://x/?page=3>; rel="next""#;
        assert_eq!(next_page(link).as_deref(), Some("https://x/?page=3"));
        assert_eq!(next_page("<https://x>; rel=last"), None);
    }
}
