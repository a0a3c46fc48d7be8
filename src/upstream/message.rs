//! Envelopes of JSON-RPC messages: read and written here, payloads untouched.
//! Nothing in this file knows a method; the relay passes `params` and `result` as the text they came in.

use super::scan;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::Write as _;

/// JSON-RPC error codes used here; the last three are MCP's own (2026-07-28).
pub mod code {
    pub const PARSE: i64 = -32700;
    pub const INVALID_REQUEST: i64 = -32600;
    pub const METHOD_NOT_FOUND: i64 = -32601;
    pub const INVALID_PARAMS: i64 = -32602;
    pub const INTERNAL: i64 = -32603;
    /// An upstream or umcp itself could not do it.
    pub const SERVER: i64 = -32000;
    /// Resource not found, as revisions up to 2025-11-25 have it.
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    pub const HEADER_MISMATCH: i64 = -32020;
    pub const MISSING_CAPABILITY: i64 = -32021;
    pub const UNSUPPORTED_VERSION: i64 = -32022;
}

/// One JSON value as its text, which was checked.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    pub fn get(self) -> &'a str {
        self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self(raw.get()))
    }
}

/// The envelope of one message, borrowed from its text.
#[derive(Debug, Default, Deserialize)]
pub struct Envelope<'a> {
    /// As it was written: a number or a string with its quotes.
    #[serde(borrow, default)]
    pub id: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub params: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub result: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub error: Option<Raw<'a>>,
}

impl<'a> Envelope<'a> {
    pub fn parse(text: &'a [u8]) -> serde_json::Result<Self> {
        std::str::from_utf8(text)
            .ok()
            .and_then(Self::scanned)
            .map_or_else(|| serde_json::from_slice(text), Ok)
    }

    /// As `parse`; `None` for what is unusual or broken.
    fn scanned(text: &'a str) -> Option<Self> {
        let (mut envelope, mut seen) = (Self::default(), [false; 5]);
        scan::walk(text, |key, value| {
            let raw = (value != "null").then_some(Raw(value));
            let known = match key {
                "id" => 0,
                "method" => 1,
                "params" => 2,
                "result" => 3,
                "error" => 4,
                _ => return Some(()),
            };
            match known {
                0 => envelope.id = raw,
                1 => envelope.method = Some(scan::plain(value)?.into()),
                2 => envelope.params = raw,
                3 => envelope.result = raw,
                _ => envelope.error = raw,
            }
            // Said twice, it is refused, in the words of serde_json.
            (!std::mem::replace(&mut seen[known], true)).then_some(())
        })?;
        Some(envelope)
    }

    /// The id as the number umcp gave it, when this answers a request of ours.
    pub fn own_id(&self) -> Option<u64> {
        self.id?.get().parse().ok()
    }

    pub fn params_text(&self) -> &'a str {
        self.params.map_or("{}", Raw::get)
    }
}

/// An answer: the raw JSON of `result` (`ok`) or of `error`.
#[derive(Debug, Clone)]
pub struct Answer {
    pub ok: bool,
    pub body: Bytes,
}

impl Answer {
    pub fn result(body: impl Into<Bytes>) -> Self {
        Self { ok: true, body: body.into() }
    }

    pub fn error(code: i64, message: &str) -> Self {
        let body = serde_json::json!({"code": code, "message": message}).to_string();
        Self { ok: false, body: body.into() }
    }

    pub fn error_with(code: i64, message: &str, data: serde_json::Value) -> Self {
        let body = serde_json::json!({"code": code, "message": message, "data": data}).to_string();
        Self { ok: false, body: body.into() }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("null")
    }

    /// The body as JSON; `null` when it is none, which a relayed answer cannot be.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The message of an error answer.
    pub fn message(&self) -> String {
        self.json().get("message").and_then(|message| message.as_str()).unwrap_or("unknown error").to_string()
    }

    /// Code of an error answer.
    pub fn code(&self) -> i64 {
        self.json().get("code").and_then(serde_json::Value::as_i64).unwrap_or(0)
    }

    /// The whole message for the request `id` (raw JSON), without a line break.
    pub fn line(&self, id: &str) -> Vec<u8> {
        let key: &[u8] = if self.ok { b",\"result\":" } else { b",\"error\":" };
        let mut line = Vec::with_capacity(self.body.len() + id.len() + 40);
        line.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        line.extend_from_slice(id.as_bytes());
        line.extend_from_slice(key);
        push_flat(&mut line, &self.body);
        line.push(b'}');
        line
    }
}

/// A request of ours, with its line break. `id` as raw JSON.
pub fn request(id: impl std::fmt::Display, method: &str, params: &str) -> Vec<u8> {
    let mut line = String::with_capacity(params.len() + method.len() + 64);
    let _ = write!(line, r#"{{"jsonrpc":"2.0","id":{id},"method":"#);
    push_quoted(&mut line, method);
    line.push_str(r#","params":"#);
    let mut line = line.into_bytes();
    push_flat(&mut line, params.as_bytes());
    line.extend_from_slice(b"}\n");
    line
}

/// A notification, with its line break.
pub fn notification(method: &str, params: &str) -> Vec<u8> {
    let mut line = Vec::with_capacity(params.len() + method.len() + 48);
    line.extend_from_slice(format!(r#"{{"jsonrpc":"2.0","method":{},"params":"#, quote(method)).as_bytes());
    push_flat(&mut line, params.as_bytes());
    line.extend_from_slice(b"}\n");
    line
}

/// Appends JSON text as part of one line. Whoever wrote it may have put line breaks between its tokens (inside its
/// strings they are escaped); left in, they would end the message, and what follows would pass for another one.
fn push_flat(line: &mut Vec<u8>, text: &[u8]) {
    let from = line.len();
    line.extend_from_slice(text);
    if memchr::memchr2(b'\n', b'\r', text).is_some() {
        let breaks = line[from..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r'));
        breaks.for_each(|byte| *byte = b' ');
    }
}

/// Adds `"key":value,` at the front of a JSON object given as text. `fields` ends without a comma.
pub fn prepend(object: &[u8], fields: &str) -> Vec<u8> {
    let mut joined = Vec::with_capacity(object.len() + fields.len() + 2);
    joined.push(b'{');
    joined.extend_from_slice(fields.as_bytes());
    let rest = object.trim_ascii_start().get(1..).unwrap_or(b"}");
    if !rest.trim_ascii_start().starts_with(b"}") {
        joined.push(b',');
    }
    joined.extend_from_slice(rest);
    joined
}

/// A member of a JSON object given as text, as JSON text: its own, not one of a value within it. The text was checked,
/// as the body of an answer is.
pub fn member<'a>(object: &'a [u8], key: &str) -> Option<&'a str> {
    // Nearly always it is not there, which is found without parsing; unless a key is written with escapes.
    if memchr::memmem::find(object, key.as_bytes()).is_none() {
        memchr::memmem::find(object, b"\\u00")?;
    }
    scan::member_of_checked(std::str::from_utf8(object).ok()?, key)
}

/// A JSON string with its quotes.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    push_quoted(&mut quoted, text);
    quoted
}

/// Appends a JSON string with its quotes.
pub fn push_quoted(out: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(&serde_json::Value::from(text).to_string());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

/// Finds the message's own `"id":NUMBER` in text that is not valid JSON, to say which call it would have answered.
/// An id within its result is that of something else.
pub fn id_of_broken(text: &[u8]) -> Option<u64> {
    let head = &text[..text.len().min(512)];
    let (mut depth, mut string, mut escaped) = (0, false, false);
    for (at, byte) in head.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' if !string && depth == 1 && head[at..].starts_with(b"\"id\":") => {
                let rest = head[at + 5..].trim_ascii_start();
                let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                return std::str::from_utf8(&rest[..length]).ok()?.parse().ok();
            }
            b'"' => string = !string,
            b'{' | b'[' if !string => depth += 1,
            b'}' | b']' if !string => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_keeps_its_payload_as_text() {
        let line = br#"{"jsonrpc":"2.0","id":"a\"b","method":"tools/call","params":{"x": 1.50}}"#;
        let envelope = Envelope::parse(line).unwrap();
        assert_eq!(envelope.id.unwrap().get(), r#""a\"b""#);
        assert_eq!(envelope.params_text(), r#"{"x": 1.50}"#);
        assert_eq!(Answer::result(r#"{"a":1}"#).line("7"), br#"{"jsonrpc":"2.0","id":7,"result":{"a":1}}"#);
    }

    #[test]
    fn what_is_unusual_is_read_as_serde_json_reads_it() {
        let read = |text: &str| {
            let it = Envelope::parse(text.as_bytes()).map_err(|error| error.to_string())?;
            Ok::<_, String>((it.id.map(Raw::get).map(String::from), it.method.map(String::from)))
        };
        for (text, expected) in [
            (r#"{"id":null,"method":"a\u0062"}"#, Ok((None, Some("ab".into())))),
            (r#"{"\u0069d":1}"#, Ok((Some("1".into()), None))),
            (r#"{"id":1,"method":null}"#, Ok((Some("1".into()), None))),
            (r#"{"id":1,"id":2}"#, Err("duplicate field `id` at line 1 column 12".into())),
            (
                r#"{"method":7}"#,
                Err("invalid type: integer `7`, expected a string at line 1 column 11".into()),
            ),
            (r#"{"id":1"#, Err("EOF while parsing an object at line 1 column 7".into())),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_string_is_quoted_as_serde_json_does() {
        for text in ["", "a", "a\"b", "a\\b", "a\nb", "\u{1}", "\u{7f}é\u{2028}"] {
            assert_eq!(quote(text), serde_json::Value::from(text).to_string());
        }
    }

    #[test]
    fn a_message_is_one_line_whatever_its_parts_hold() {
        let params = "{\"a\":\r\n{\"method\":\"x\"}\n}";
        let flat = r#"{"a":  {"method":"x"} }"#;
        let expected = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{flat}}}\n");
        assert_eq!(request(1, "m", params), expected.as_bytes());
        let expected = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{flat}}}");
        assert_eq!(Answer::result(params).line("1"), expected.as_bytes());
        let forged = "m\"}\n{\"id\":1,\"result\":{}";
        let line = notification(forged, params);
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(Envelope::parse(&line).unwrap().method.as_deref(), Some(forged));
    }

    #[test]
    fn fields_are_put_in_front() {
        assert_eq!(prepend(b"{}", r#""a":1"#), br#"{"a":1}"#);
        assert_eq!(prepend(b" { \"b\":2}", r#""a":1"#), br#"{"a":1, "b":2}"#);
    }

    #[test]
    fn a_member_is_that_of_the_object_itself() {
        for (object, expected) in [
            (r#"{"a":1,"isError": true }"#, Some("true")),
            (r#"{"isError":false,"b":{"isError":true}}"#, Some("false")),
            (r#"{"structuredContent":{"isError":true},"content":[]}"#, None),
            (r#"{"content":[{"text":"\"isError\":true"}]}"#, None),
            (r#"["isError"]"#, None),
            (r#"{"\u0069sError":true}"#, Some("true")),
        ] {
            assert_eq!(member(object.as_bytes(), "isError"), expected, "{object}");
        }
    }

    #[test]
    fn a_broken_line_may_still_tell_its_id() {
        assert_eq!(id_of_broken(br#"{"jsonrpc":"2.0","id": 42,"result":{"#), Some(42));
        assert_eq!(id_of_broken(b"hello"), None);
        assert_eq!(id_of_broken(br#"{"result":{"id":7,"a":"}"},"id":42,"#), Some(42));
        assert_eq!(id_of_broken(br#"{"result":{"id":7,"a":[1"#), None);
        assert_eq!(id_of_broken(br#"{"result":"\"id\":7"#), None);
    }
}
