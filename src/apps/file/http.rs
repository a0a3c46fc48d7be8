//! The `http` kind of a command: fields as a file writes them, and the request they describe.

use super::check;
use crate::apps::model::{Backoff, Body, Definition, Field, Http, Retry, Scheme, Style};
use crate::apps::pages::{self, By, Pages};
use crate::apps::template;
use crate::documents::{Node, Source};
use crate::error::Result;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The name of the scheme every command of a file is signed with.
pub const SHARED: &str = "default";
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// What frames the message, which is the client's own business.
const OWN_HEADERS: [&str; 7] =
    ["host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "cookie"];

/// What all requests of a file have in common.
pub struct Shared<'a> {
    pub headers: &'a Map<String, Value>,
    pub signed: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpFile {
    method: Option<String>,
    url: String,
    #[serde(default)]
    query: Map<String, Value>,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    cookies: Map<String, Value>,
    json: Option<Value>,
    form: Option<Map<String, Value>>,
    multipart: Option<Map<String, Value>>,
    body: Option<String>,
    #[serde(rename = "content-type", alias = "content_type")]
    content_type: Option<String>,
    auth: Option<Auth>,
    retry: Option<RetryFile>,
    result: Option<String>,
    pages: Option<PagesFile>,
}

/// How many pages of a list a call takes: as `Link` says, unless one of the others is given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PagesFile {
    max: u32,
    /// JSON pointer to the address of the next page.
    next: Option<String>,
    /// JSON pointer to a word for `query`.
    cursor: Option<String>,
    query: Option<String>,
    /// Query parameter that counts pages.
    page: Option<String>,
    first: Option<u32>,
}

/// How a request is signed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Auth {
    Bearer(String),
    Basic(Login),
    Header(Pair),
    Query(Pair),
    Cookie(Pair),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    user: String,
    #[serde(default)]
    password: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetryFile {
    max: u32,
    delay: String,
    backoff: Backoff,
    status: Vec<u16>,
}

impl Default for RetryFile {
    fn default() -> Self {
        Self { max: 3, delay: "1s".into(), backoff: Backoff::default(), status: vec![429, 502, 503, 504] }
    }
}

impl Auth {
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Bearer(token) => {
                Scheme::Header { name: "Authorization".into(), value: format!("Bearer {}", embed(&token)) }
            }
            Self::Basic(login) => Scheme::Basic { user: login.user, password: login.password },
            Self::Header(pair) => Scheme::Header { name: pair.name, value: pair.value },
            Self::Query(pair) => Scheme::Query { name: pair.name, value: pair.value },
            Self::Cookie(pair) => Scheme::Cookie { name: pair.name, value: pair.value },
        }
    }
}

/// A reference to a secret as part of a longer text.
fn embed(text: &str) -> String {
    match text.starts_with("secret://") {
        true => format!("${{{text}}}"),
        false => text.into(),
    }
}

impl HttpFile {
    pub fn request(
        self,
        source: &Source<'_>,
        command: &Node,
        name: &str,
        shared: &Shared<'_>,
        definition: &mut Definition,
    ) -> Result<Http> {
        let at = |field: &str| command.at_path(&["http", field]).unwrap_or(command);
        let method = self.method.as_deref().unwrap_or(if self.has_body() { "POST" } else { "GET" });
        let method = method.to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            let error = source.invalid(at("method").at, format!("`{method}` is no method umcp sends"));
            return Err(error.hint(format!("use one of {}", METHODS.join(", "))));
        }
        check_url(source, at("url"), &self.url, definition.base.is_some())?;
        let retry = match &self.retry {
            None => None,
            Some(retry) => Some(retry.read(source, at("retry"))?),
        };
        if self.result.as_ref().is_some_and(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            let error = source.invalid(at("result").at, "`result` is a JSON pointer and begins with `/`");
            return Err(error.hint("result: /data/items"));
        }
        let pages = match self.pages {
            None => None,
            Some(pages) => Some(pages.read(source, at("pages"), &method)?),
        };
        for (key, _) in at("headers").entries() {
            check_header(source, key)?;
        }
        let mut headers = fields(shared.headers.clone());
        headers.retain(|field| !self.headers.keys().any(|own| own.eq_ignore_ascii_case(&field.name)));
        headers.extend(fields(self.headers));
        let auth = match self.auth {
            Some(auth) => {
                definition.schemes.insert(name.into(), auth.scheme());
                vec![vec![name.to_string()]]
            }
            None if shared.signed => vec![vec![SHARED.to_string()]],
            None => Vec::new(),
        };
        let bodies = ["json", "form", "multipart", "body"];
        let given: Vec<&&str> =
            bodies.iter().filter(|body| command.at_path(&["http", body]).is_some()).collect();
        if let [_, second, ..] = given.as_slice() {
            return Err(source
                .invalid(at(second).at, "a request has one body")
                .hint(format!("give one of {}", bodies.join(", "))));
        }
        let text = |text: String| Body::Text {
            text,
            content_type: self.content_type.clone().unwrap_or_else(|| "text/plain".into()),
        };
        let body = (self.json.map(Body::Json))
            .or_else(|| self.form.map(|form| Body::Form(fields(form))))
            .or_else(|| self.multipart.map(|parts| Body::Multipart(fields(parts))))
            .or_else(|| self.body.map(text));
        Ok(Http {
            method,
            url: self.url,
            query: fields(self.query),
            headers,
            cookies: fields(self.cookies),
            body,
            auth,
            retry,
            graphql: false,
            result: self.result.filter(|pointer| !pointer.is_empty()),
            pages,
        })
    }

    fn has_body(&self) -> bool {
        self.json.is_some() || self.form.is_some() || self.multipart.is_some() || self.body.is_some()
    }
}

impl PagesFile {
    fn read(self, source: &Source<'_>, node: &Node, method: &str) -> Result<Pages> {
        let refuse = |why: String, hint: &str| Err(source.invalid(node.at, why).hint(hint));
        if method != "GET" || !(1..=pages::MOST).contains(&self.max) {
            let why = format!("`pages` is for a GET request, with a `max` of 1 to {}", pages::MOST);
            return refuse(why, "pages: {max: 5}");
        }
        let by = match (self.next, self.cursor, self.query, self.page, self.first) {
            (None, None, None, None, None) => By::Link,
            (Some(pointer), None, None, None, None) => By::Address(pointer),
            (None, Some(pointer), Some(query), None, None) => By::Cursor { pointer, query },
            (None, None, None, Some(query), first) => By::Number { query, first: first.unwrap_or(1) },
            _ => {
                let why = "`pages` has either `next`, or `cursor` and `query`, or `page`, or none of them";
                return refuse(why.into(), "pages: {max: 5, cursor: /next_cursor, query: cursor}");
            }
        };
        match &by {
            By::Address(pointer) | By::Cursor { pointer, .. } if !pointer.starts_with('/') => {
                refuse(format!("`{pointer}` is no JSON pointer"), "pages: {max: 5, next: /links/next}")
            }
            _ => Ok(Pages { max: self.max, by }),
        }
    }
}

impl RetryFile {
    fn read(&self, source: &Source<'_>, node: &Node) -> Result<Retry> {
        let delay_ms = super::units::millis(&self.delay)
            .ok_or_else(|| source.invalid(node.at, format!("`{}` is no time to wait", self.delay)))?;
        Ok(Retry { max: self.max.min(10), delay_ms, backoff: self.backoff, status: self.status.clone() })
    }
}

/// An address whose host no argument can change.
pub fn check_url(source: &Source<'_>, node: &Node, url: &str, has_base: bool) -> Result<()> {
    let first = template::names(url).next().and_then(|_| url.find("{{"));
    let fixed = &url[..first.unwrap_or(url.len())];
    if url.starts_with('/') {
        if has_base {
            return Ok(());
        }
        let error = source.invalid(node.at, format!("`{url}` is only a path"));
        return Err(error.hint("write the whole address, or give the file a `base`"));
    }
    let begins =
        |scheme: &str| fixed.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme));
    if !(begins("https://") || begins("http://") || fixed.starts_with("${")) {
        let error = source.invalid(node.at, format!("`{url}` is no address"));
        return Err(error.hint("write it whole, with https://"));
    }
    let rest = fixed.split_once("://").map_or(fixed, |(_, rest)| rest);
    if first.is_some() && !rest.contains(['/', '?', '#']) {
        let error = source.invalid(node.at, "an argument may not be part of the host");
        return Err(error.hint("write the host out, or take it from a setting: https://${HOST}/path"));
    }
    Ok(())
}

fn check_header(source: &Source<'_>, key: &crate::documents::Key) -> Result<()> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if key.name.is_empty() || !key.name.chars().all(token) {
        return Err(source.invalid(key.at, format!("`{}` cannot be the name of a header", key.name)));
    }
    if OWN_HEADERS.contains(&key.name.to_ascii_lowercase().as_str()) {
        let error = source.invalid(key.at, format!("the header `{}` cannot be set", key.name));
        return Err(error.hint("leave it out; for cookies there is `cookies`"));
    }
    Ok(())
}

/// Fields of a map. Lists are repeated; a file is written as `file: "{{argument}}"` in a map of its own.
pub fn fields(map: Map<String, Value>) -> Vec<Field> {
    let field = |(name, value): (String, Value)| match value {
        Value::Object(mut inner) if inner.len() == 1 && inner.contains_key("file") => {
            let value = inner.remove("file").unwrap_or_default();
            Field { name, value, style: Style::File }
        }
        value => Field { name, value, style: Style::Repeat },
    };
    map.into_iter().map(field).collect()
}

/// The name of a tool that clients take, out of any text.
pub fn tool_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        if c != '_' || !name.ends_with('_') {
            name.push(c);
        }
    }
    name.truncate(64);
    let name = name.trim_matches('_');
    if check::is_tool_name(name) { name.into() } else { "tool".into() }
}
