//! Takes matches of patterns out of a result, and bounds what arguments carry. Pure, over JSON text.
//! Rule: only texts change; keys, numbers and the shape of a result stay, so that clients still read it.

use super::compile::Compiled;
use crate::error::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::sync::Arc;

/// What stands where something was taken out.
const MARK: &str = "[redacted]";

/// What is left of a message that says it is JSON and cannot be read as such: a result and an error in one.
const UNREADABLE: &str = r#"{"code":-32603,"message":"the answer could not be read, so that nothing could be taken out of it","content":[{"type":"text","text":"the answer could not be read, so that nothing could be taken out of it"}],"isError":true}"#;

/// The result without the matches; `None` when there are none. A text that is no JSON is treated as one text; an object
/// that cannot be read (`1e999`, half a surrogate pair, deep nesting) is held back, since a client may be able to.
pub fn redact(body: &str, rules: &[Arc<Compiled>]) -> Option<String> {
    let patterns = || rules.iter().flat_map(|it| &it.redact);
    let Ok(mut value) = serde_json::from_str::<Value>(body) else {
        if body.trim_start().starts_with('{') {
            return Some(UNREADABLE.into());
        }
        let mut text = body.to_string();
        return clean(&mut text, &mut patterns()).then_some(text);
    };
    let mut changed = false;
    // The server's own note to itself: it alone reads it, and needs it as it was.
    let state = value.get_mut("requestState").map(Value::take);
    each_text(&mut value, &mut |text| changed |= clean(text, &mut patterns()));
    if let Some(state) = state {
        value["requestState"] = state;
    }
    changed.then(|| value.to_string())
}

/// A text that is none of JSON without the matches; `None` when there are none.
pub fn redact_text(text: &str, rules: &[Arc<Compiled>]) -> Option<String> {
    let mut text = text.to_string();
    clean(&mut text, &mut rules.iter().flat_map(|it| &it.redact)).then_some(text)
}

/// The error without the matches: it may quote what a server said.
pub fn redact_error(mut error: Error, rules: &[Arc<Compiled>]) -> Error {
    let texts = [&mut error.message].into_iter().chain(&mut error.hints).chain(&mut error.source);
    for text in texts {
        clean(text, &mut rules.iter().flat_map(|it| &it.redact));
    }
    error
}

/// Text that travels as base64, without the matches; `None` when there are none or it is no text.
fn clean_blob(blob: &str, visit: &mut dyn FnMut(&mut String)) -> Option<String> {
    let mut text = String::from_utf8(STANDARD.decode(blob).ok()?).ok()?;
    let before = text.clone();
    visit(&mut text);
    (text != before).then(|| STANDARD.encode(text))
}

fn clean(text: &mut String, patterns: &mut dyn Iterator<Item = &regex::Regex>) -> bool {
    let mut changed = false;
    for pattern in patterns {
        if pattern.is_match(text) {
            *text = pattern.replace_all(text, regex::NoExpand(MARK)).into_owned();
            changed = true;
        }
    }
    changed
}

fn each_text(value: &mut Value, visit: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, visit)),
        Value::Object(map) => {
            for (key, item) in map {
                match item {
                    Value::String(blob) if key == "blob" => {
                        if let Some(cleaned) = clean_blob(blob, visit) {
                            *blob = cleaned;
                        }
                    }
                    item => each_text(item, visit),
                }
            }
        }
        _ => {}
    }
}

/// How deep lists and objects stand inside each other in a JSON text.
pub fn depth(json: &str) -> u32 {
    let (mut deepest, mut now, mut quoted, mut escaped) = (0u32, 0u32, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::super::compile::compile;
    use super::super::model::{Effect, Rule};
    use super::*;

    #[test]
    fn matches_go_and_the_rest_stays() {
        let patterns = vec!["emails".into(), r"\d{4}-\d{4}".into()];
        let rule = Rule { name: "r".into(), effect: Effect::Redact, redact: patterns, ..Rule::default() };
        let rule = Arc::new(compile(&rule).unwrap());
        for (body, expected) in [
            (
                r#"{"content":[{"type":"text","text":"to ann@example.org: 1234-5678"}],"n":12345678}"#,
                Some(r#"{"content":[{"type":"text","text":"to [redacted]: [redacted]"}],"n":12345678}"#),
            ),
            (
                r#"{"structuredContent":{"a@b.example":"a@b.example"}}"#,
                Some(r#"{"structuredContent":{"a@b.example":"[redacted]"}}"#),
            ),
            (r#"{"content":[]}"#, None),
            // A text that travels as base64, and bytes that are no text.
            (
                r#"{"contents":[{"blob":"YW5uQGV4YW1wbGUub3Jn"},{"blob":"/9j/4AAQ"}]}"#,
                Some(r#"{"contents":[{"blob":"W3JlZGFjdGVkXQ=="},{"blob":"/9j/4AAQ"}]}"#),
            ),
            (r#"{"requestState":"1234-5678"}"#, None),
            ("not JSON, a@b.example", Some("not JSON, [redacted]")),
            (r#"{"a":"a\u0040b.example","b":1e999}"#, Some(UNREADABLE)),
            (r#"{"a":"a\u0040b.example","b":"\ud800"}"#, Some(UNREADABLE)),
        ] {
            assert_eq!(redact(body, std::slice::from_ref(&rule)).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn an_error_says_nothing_that_is_redacted() {
        let rule = Rule {
            name: "r".into(),
            effect: Effect::Redact,
            redact: vec!["emails".into()],
            ..Rule::default()
        };
        let rules = [Arc::new(compile(&rule).unwrap())];
        let error = Error::new(&crate::error::codes::UPSTREAM_ERROR, "no mail of a@b.example")
            .because("a@b.example is locked")
            .hint("ask c@d.example");
        let error = redact_error(error, &rules);
        assert_eq!(error.message, "no mail of [redacted]");
        assert_eq!(
            (error.hints, error.source),
            (vec!["ask [redacted]".into()], Some("[redacted] is locked".into()))
        );
    }

    #[test]
    fn depth_counts_what_is_open_at_once() {
        for (json, expected) in
            [("1", 0), ("{}", 1), (r#"{"a":[{"b":"[[["}]}"#, 3), (r#"["\"[",[]]"#, 2), ("[[],[],[]]", 2)]
        {
            assert_eq!(depth(json), expected, "{json}");
        }
    }
}
