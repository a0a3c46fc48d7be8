//! The built-in `fetch` server: one web page as readable text, in pages a model can take.
//! It looks only: GET, no cookies, no headers of the caller.

use super::Options;
use super::html;
use super::reply::{self, Effect, Output, World, object, tool};
use super::web::{self, Follow, Web};
use crate::error::Result;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, Response};
use rmcp::model::Tool;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

const DEFAULT_LENGTH: usize = 5_000;
const MAX_LENGTH: usize = 100_000;
/// Longer pages are cut here before anything is made of them.
const MAX_BODY: usize = 4 << 20;
const TIME: Duration = Duration::from_secs(30);
/// As much of an error page as is shown.
const EXCERPT: usize = 500;

/// The server.
pub struct Fetch {
    web: Web,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    url: String,
    max_length: Option<usize>,
    #[serde(default)]
    start_index: usize,
    #[serde(default)]
    raw: bool,
}

impl Fetch {
    pub fn new(options: &Options) -> Result<Self> {
        Ok(Self { web: Web::new(options, Follow::Anywhere)? })
    }

    pub fn tools() -> Vec<Tool> {
        let length = json!({"type": "integer", "minimum": 1, "maximum": MAX_LENGTH,
            "description": format!("Most characters to return, {DEFAULT_LENGTH} by default")});
        let start = json!({"type": "integer", "minimum": 0,
            "description": "Character to begin at, to go on where the last call ended"});
        vec![tool(
            "fetch",
            "Fetch a web page",
            "Fetches a URL and returns its text: HTML as readable text with its links, other text as it is.",
            Effect::Reads,
            World::Open,
            object(
                json!({
                    "url": {"type": "string", "description": "The http or https address"},
                    "max_length": length,
                    "start_index": start,
                    "raw": {"type": "boolean", "description": "Return HTML as it was sent"}
                }),
                &["url"],
            ),
            None,
        )]
    }

    pub async fn call(&self, arguments: Value) -> Result<Output> {
        let asked: Asked = reply::arguments(arguments)?;
        let length = asked.max_length.unwrap_or(DEFAULT_LENGTH).clamp(1, MAX_LENGTH);
        let accept = "text/html,application/xhtml+xml,text/*;q=0.9,application/json;q=0.9,*/*;q=0.5";
        let request = self.web.request(Method::GET, &asked.url)?.header(ACCEPT, accept).timeout(TIME);
        let response = self.web.send(request).await?;
        let status = response.status();
        let page = Page::read(response, asked.raw).await;
        if !status.is_success() {
            let page = page.unwrap_or_default();
            let excerpt: String = page.text.chars().take(EXCERPT).collect();
            let refusal = reply::refused(format!("`{}` answered {status}", asked.url));
            let refusal = if excerpt.trim().is_empty() { refusal } else { refusal.because(excerpt.trim()) };
            return Err(refusal.hint("check the address, or use the `http` server to send headers"));
        }
        Ok(Output::text(page?.part(asked.start_index, length)?))
    }
}

#[derive(Default)]
struct Page {
    url: String,
    title: Option<String>,
    text: String,
    cut: bool,
}

impl Page {
    async fn read(response: Response, raw: bool) -> Result<Self> {
        let url = response.url().clone();
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        let (body, cut) = web::read(response, MAX_BODY).await?;
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let text = web::decode(&body, &content_type);
        let is_html = kind.contains("html") || (kind.is_empty() && html::looks_like_html(&text));
        let is_text = kind.starts_with("text/")
            || ["json", "xml", "javascript", "yaml", "toml"].iter().any(|word| kind.contains(word));
        if !is_html && !is_text && (body.contains(&0) || std::str::from_utf8(&body).is_err()) {
            let message = format!("`{url}` is {} bytes of {kind}, which is no text", body.len());
            return Err(reply::refused(message).hint("only pages and other texts can be fetched"));
        }
        let (title, text) = match is_html && !raw {
            true => html::readable(&text, &url),
            false => (None, text),
        };
        Ok(Self { url: url.into(), title, text, cut })
    }

    /// Some of the text, and how to get the rest.
    fn part(&self, start: usize, length: usize) -> Result<String> {
        let total = self.text.chars().count();
        if start > 0 && start >= total {
            let message = format!("the page has {total} characters; there is nothing from {start} on");
            return Err(reply::invalid(message).hint("use a smaller `start_index`"));
        }
        let title = self.title.as_ref().map(|title| format!("Title: {title}\n")).unwrap_or_default();
        let text: String = self.text.chars().skip(start).take(length).collect();
        let end = total.min(start + length);
        let mut part = format!("URL: {}\n{title}\n{text}", self.url);
        if end < total {
            part.push_str(&format!(
                "\n\n[characters {start} to {end} of {total}; go on with start_index {end}]"
            ));
        } else if self.cut {
            part.push_str(&format!("\n\n[the page is longer; only its first {MAX_BODY} bytes were read]"));
        }
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_page_comes_in_parts() {
        let page =
            Page { url: "http://x/".into(), title: Some("T".into()), text: "äbcdef".into(), cut: false };
        assert_eq!(
            page.part(0, 4).unwrap(),
            "URL: http://x/\nTitle: T\n\näbcd\n\n[characters 0 to 4 of 6; go on with start_index 4]"
        );
        assert_eq!(page.part(4, 4).unwrap(), "URL: http://x/\nTitle: T\n\nef");
        assert_eq!(
            page.part(6, 4).unwrap_err().message,
            "the page has 6 characters; there is nothing from 6 on"
        );
        assert_eq!(Page::default().part(0, 4).unwrap(), "URL: \n\n");
    }
}
