//! Lists that come in pages: where the next page of a service's answer is. Pure.
//! Rule: a next page is of the same service as the one before, since the same keys go to it.

use super::model::{Definition, Http, Scheme};
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use url::{Url, form_urlencoded};

/// Most pages that one call takes.
pub const MOST: u32 = 50;

/// How many pages a call takes, and how one leads to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pages {
    pub max: u32,
    pub by: By,
}

/// What leads to the next page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A `Link` header with `rel="next"`.
    Link,
    /// A JSON pointer to the next page's address.
    Address(String),
    /// A JSON pointer to a word that goes into a query parameter.
    Cursor { pointer: String, query: String },
    /// A query parameter that counts; without it, the request is for page `first`.
    Number { query: String, first: u32 },
}

/// The next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    pub url: String,
    /// As a client is told of it, without keys.
    pub shown: String,
}

/// One call's way through the pages.
pub struct Walk<'a> {
    pages: &'a Pages,
    /// The first request: what keys it had in its address, and where they may go.
    first: Url,
    keys: Vec<String>,
    seen: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    /// Begins at the address of the first page.
    pub fn new(pages: &'a Pages, definition: &Definition, http: &Http, url: &str) -> Result<Self> {
        let first: Url = url.parse().map_err(|error| {
            Error::new(&codes::ARGUMENTS_INVALID, "the request has no valid address").because(error)
        })?;
        let key = |name: &String| match definition.schemes.get(name) {
            Some(Scheme::Query { name, .. }) => Some(name.clone()),
            _ => None,
        };
        let keys = http.auth.iter().flatten().filter_map(key).collect();
        Ok(Self { pages, seen: [first.to_string()].into(), first, keys })
    }

    /// The page after the one at `url`, whose answer this was; `None` ends the list.
    pub fn next(&mut self, url: &str, link: Option<&str>, text: &str, items: usize) -> Option<Next> {
        let here = Url::parse(url).ok()?;
        let at = |pointer: &str| serde_json::from_str::<Value>(text).ok()?.pointer(pointer).cloned();
        let (next, shown) = match &self.pages.by {
            By::Link => self.address(&here, link?)?,
            By::Address(pointer) => self.address(&here, at(pointer)?.as_str()?)?,
            By::Cursor { pointer, query } => with(&here, query, &word(&at(pointer)?)?),
            // A service that counts does not say that a page was the last one, but there is nothing on the next.
            By::Number { .. } if items == 0 => return None,
            By::Number { query, first } => {
                let now = here.query_pairs().find(|(name, _)| name == query.as_str());
                let now = now.map_or(Some(*first), |(_, value)| value.parse().ok())?;
                with(&here, query, &now.checked_add(1)?.to_string())
            }
        };
        // A service that leads in a circle has no more to say.
        self.seen.insert(next.to_string()).then(|| Next { url: next.into(), shown })
    }

    /// An address the service gave, if it is of the same service, with the keys that stood in the first one.
    fn address(&self, here: &Url, given: &str) -> Option<(Url, String)> {
        let mut next =
            here.join(given).ok().filter(|next| !given.is_empty() && next.origin() == self.first.origin())?;
        for key in &self.keys {
            let has = next.query_pairs().any(|(name, _)| name == key.as_str());
            let value = self.first.query_pairs().find(|(name, _)| name == key.as_str());
            if let (false, Some((_, value))) = (has, value) {
                next = with(&next, key, &value).0;
            }
        }
        // What the service has put there may be a key, too.
        let shown = |(name, _): &(std::borrow::Cow<'_, str>, _)| !self.keys.iter().any(|key| *key == **name);
        let mut told = next.clone();
        told.set_query(None);
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(next.query_pairs().filter(|pair| shown(pair)))
            .finish();
        told.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        Some((next, told.into()))
    }
}

/// The items of an answer that is a list, or whose result is one.
pub fn items(text: &str, pointer: Option<&str>) -> Option<Vec<Value>> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    let list = match pointer {
        Some(pointer) => value.pointer_mut(pointer)?,
        None => &mut value,
    };
    match list.take() {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// A cursor as text; services write "no more" in several ways.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(word) if !word.is_empty() => Some(word.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The address with one query parameter set, the others left as they are written; and that parameter.
fn with(url: &Url, name: &str, value: &str) -> (Url, String) {
    let own = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    let is_other =
        |part: &&str| form_urlencoded::parse(part.as_bytes()).next().is_some_and(|(known, _)| known != name);
    let others: Vec<&str> = url.query().unwrap_or_default().split('&').filter(is_other).collect();
    let mut next = url.clone();
    next.set_query(Some(&others.into_iter().chain([own.as_str()]).collect::<Vec<_>>().join("&")));
    (next, own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(by: By, url: &str, link: Option<&str>, text: &str) -> Option<(String, String)> {
        let definition = Definition {
            schemes: [("key".into(), Scheme::Query { name: "k".into(), value: "${K}".into() })].into(),
            ..Definition::default()
        };
        let http = Http { auth: vec![vec!["key".into()]], ..Http::default() };
        let pages = Pages { max: 3, by };
        let mut walk = Walk::new(&pages, &definition, &http, url).unwrap();
        let items = items(text, None).map_or(0, |items| items.len());
        let found = walk.next(url, link, text, items)?;
        assert_eq!(walk.next(url, link, text, items), None, "never twice");
        Some((found.url, found.shown))
    }

    #[test]
    fn an_address_is_of_the_same_service() {
        let page = "https://x.example/v1/pets?page=1&k=s3";
        for (link, expected) in [
            ("?page=2", Some(("https://x.example/v1/pets?page=2&k=s3", "https://x.example/v1/pets?page=2"))),
            ("/p?k=own", Some(("https://x.example/p?k=own", "https://x.example/p"))),
            ("https://x.example:443/p", Some(("https://x.example/p?k=s3", "https://x.example/p"))),
            ("https://evil.example/p", None),
            ("http://x.example/p", None),
            ("https://x.example:8443/p", None),
            ("//evil.example/p", None),
            (page, None),
            ("", None),
        ] {
            let expected = expected.map(|(url, shown)| (url.to_string(), shown.to_string()));
            assert_eq!(next(By::Link, page, Some(link), "[]"), expected, "{link}");
            let text = serde_json::json!({"links": {"next": link}}).to_string();
            assert_eq!(next(By::Address("/links/next".into()), page, None, &text), expected, "{link}");
        }
        assert_eq!(next(By::Link, page, None, "[]"), None);
    }

    #[test]
    fn a_cursor_and_a_number_go_into_the_query() {
        let cursor = || By::Cursor { pointer: "/next".into(), query: "after".into() };
        let page = "https://x.example/p?a=1%202&after=z&k=s3";
        for (text, expected) in [
            (r#"{"next": "a&b"}"#, Some(("https://x.example/p?a=1%202&k=s3&after=a%26b", "after=a%26b"))),
            (r#"{"next": 7}"#, Some(("https://x.example/p?a=1%202&k=s3&after=7", "after=7"))),
            (r#"{"next": ""}"#, None),
            (r#"{"next": null}"#, None),
            (r#"{"next": false}"#, None),
            ("{}", None),
            ("no", None),
        ] {
            let expected = expected.map(|(url, shown)| (url.to_string(), shown.to_string()));
            assert_eq!(next(cursor(), page, None, text), expected, "{text}");
        }
        let number = || By::Number { query: "page".into(), first: 0 };
        for (url, text, expected) in [
            ("https://x.example/p", "[1]", Some("https://x.example/p?page=1")),
            ("https://x.example/p?page=6&b=2", "[1]", Some("https://x.example/p?b=2&page=7")),
            ("https://x.example/p?page=6", "[]", None),
            ("https://x.example/p?page=4294967295", "[1]", None),
            ("https://x.example/p?page=last", "[1]", None),
        ] {
            assert_eq!(next(number(), url, None, text).map(|it| it.0).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn the_items_of_a_list_are_found() {
        for (text, pointer, expected) in [
            ("[1, 2]", None, Some(2)),
            (r#"{"data": {"items": [1]}}"#, Some("/data/items"), Some(1)),
            (r#"{"data": {"items": [1]}}"#, None, None),
            (r#"{"data": 1}"#, Some("/items"), None),
            ("no", None, None),
        ] {
            assert_eq!(items(text, pointer).map(|items| items.len()), expected, "{text}");
        }
    }
}
