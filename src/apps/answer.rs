//! What a client gets of what a tool did: results as the protocol has them, made of a service's answer or a program's
//! output. A failure is a result the model can read, with a next step. Pure; who asks the service is `upstream`.

use super::model::{Http, Tool};
use crate::error::Error;
use base64::Engine as _;
use serde_json::{Value, json};

/// A file in an answer may have so many bytes.
pub const MAX_FILE: usize = 2 << 20;
/// The key of a result's `_meta` that holds the service's answer as it was.
pub const ANSWER: &str = "umcp/answer";
/// So much of a failure's words is shown.
const MAX_WORDS: usize = 8 << 10;

/// What a call gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub content: Vec<Value>,
    pub is_error: bool,
    /// The service's answer as it was, where it was asked for.
    pub recorded: Option<Value>,
}

impl Outcome {
    pub fn text(text: impl Into<String>) -> Self {
        Self { content: vec![block(text)], is_error: false, recorded: None }
    }

    pub fn failed(text: impl Into<String>) -> Self {
        Self { content: vec![block(text)], is_error: true, recorded: None }
    }

    /// Adds a remark after the content.
    #[must_use]
    pub fn noted(mut self, note: Option<String>) -> Self {
        self.content.extend(note.map(block));
        self
    }

    /// The words of the first text.
    pub fn words(&self) -> &str {
        self.content.first().and_then(|block| block["text"].as_str()).unwrap_or_default()
    }

    /// `CallToolResult` as JSON text.
    pub fn json(&self) -> String {
        let mut result = json!({"content": self.content});
        if self.is_error {
            result["isError"] = true.into();
        }
        if let Some(recorded) = &self.recorded {
            result["_meta"] = json!({ANSWER: recorded});
        }
        result.to_string()
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        let hints = error.hints.iter().map(|hint| format!("\nhint: {hint}"));
        Self::failed(format!("{error}{}", hints.collect::<String>()))
    }
}

pub fn block(text: impl Into<String>) -> Value {
    json!({"type": "text", "text": text.into()})
}

/// An answer of a service, read.
pub struct Received<'a> {
    pub status: u16,
    /// The status as people read it, such as `404 Not Found`.
    pub phrase: &'a str,
    /// In lower case.
    pub content_type: &'a str,
    /// Where it came from, without what is secret.
    pub url: &'a str,
    pub body: &'a [u8],
    /// The body as text.
    pub text: String,
    /// There was more of the body.
    pub cut: bool,
    /// Address of the next page.
    pub next: Option<String>,
}

/// What a client gets of an answer.
pub fn of(received: Received<'_>, tool: &Tool, http: &Http) -> Outcome {
    let good = (200..300).contains(&received.status);
    if http.graphql
        && let Some(outcome) = of_graphql(&received, tool, http)
    {
        return outcome;
    }
    if !good {
        return failed(tool, &received);
    }
    if is_file(received.content_type) {
        return file(received.body, received.content_type, received.url, received.cut);
    }
    let Received { text, cut, next, .. } = received;
    let text = if cut { text } else { trimmed(text, http.result.as_deref()) };
    let text = if text.trim().is_empty() { received.phrase.to_string() } else { text };
    let cut = cut.then(|| format!("[the answer is longer; only its first {} bytes are shown]", tool.limit));
    let next = next.map(|next| format!("[there is more: the next page is at {next}]"));
    Outcome::text(text).noted(cut).noted(next)
}

/// GraphQL says in its answer what went wrong, whatever the status. `None`: it is no answer of GraphQL.
fn of_graphql(received: &Received<'_>, tool: &Tool, http: &Http) -> Option<Outcome> {
    let value: Value = serde_json::from_str(&received.text).ok()?;
    let fields = value.as_object()?;
    let data = fields.get("data").filter(|data| !data.is_null());
    let errors = fields.get("errors").and_then(Value::as_array);
    if data.is_none() && errors.is_none() {
        return None;
    }
    let words: Vec<String> = errors.into_iter().flatten().map(said).collect();
    let Some(data) = data else {
        return Some(Outcome::failed(format!("`{}` failed: {}", tool.name, words.join("; "))));
    };
    let text = trimmed(data.to_string(), http.result.as_deref());
    let partly = (!words.is_empty()).then(|| format!("[parts are missing: {}]", words.join("; ")));
    Some(Outcome::text(text).noted(partly))
}

/// An error of GraphQL, with the place in the answer it is about.
fn said(error: &Value) -> String {
    let message = error["message"].as_str().unwrap_or("an error without words");
    let part = |part: &Value| part.as_str().map_or_else(|| part.to_string(), String::from);
    let path: Vec<String> = error["path"].as_array().into_iter().flatten().map(part).collect();
    if path.is_empty() { message.to_string() } else { format!("{message} (at {})", path.join(".")) }
}

fn failed(tool: &Tool, received: &Received<'_>) -> Outcome {
    let mut outcome =
        Outcome::failed(format!("`{}` failed: the service answered {}", tool.name, received.phrase));
    let words: String = received.text.chars().take(MAX_WORDS).collect();
    if !words.trim().is_empty() {
        outcome.content.push(block(words));
    }
    if matches!(received.status, 401 | 403) {
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

/// Whether an answer of this type is kept as a file.
pub fn is_file(content_type: &str) -> bool {
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
    Outcome { content: vec![content], is_error: false, recorded: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::file::load;

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
    fn files_are_known() {
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
    }

    #[test]
    fn graphql_says_itself_what_went_wrong() {
        let file = "name: g\ngraphql: {url: 'https://x/graphql', documents: ['query Me { a { b } }']}";
        let definition = load("g.yaml", file).unwrap().definition;
        let tool = definition.tool("Me").unwrap();
        let told = |status: u16, body: Value| {
            let text = body.to_string();
            let received = Received {
                status,
                phrase: "x",
                content_type: "application/json",
                url: "https://x/",
                body: text.as_bytes(),
                text: text.clone(),
                cut: false,
                next: None,
            };
            let outcome = of(received, tool, tool.http().unwrap());
            let texts = outcome.content.iter().filter_map(|block| block["text"].as_str());
            (texts.collect::<Vec<_>>().join("|"), outcome.is_error)
        };
        let error = json!({"message": "no b", "path": ["a", 0, "b"]});
        for (status, body, expected, is_error) in [
            (200, json!({"data": {"a": {"b": 1}}}), r#"{"a":{"b":1}}"#, false),
            (
                200,
                json!({"data": {"a": null}, "errors": [error]}),
                r#"{"a":null}|[parts are missing: no b (at a.0.b)]"#,
                false,
            ),
            (200, json!({"data": null, "errors": [error]}), "`Me` failed: no b (at a.0.b)", true),
            (400, json!({"errors": [{"message": "syntax"}]}), "`Me` failed: syntax", true),
            (200, json!({"other": 1}), r#"{"other":1}"#, false),
        ] {
            assert_eq!(told(status, body.clone()), (expected.to_string(), is_error), "{body}");
        }
    }
}
