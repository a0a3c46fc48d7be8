//! Takes matches of patterns out of a result, and bounds what arguments carry. Pure, over JSON text.
//! Rule: only texts change; keys, numbers and the shape of a result stay, so that clients still read it.

use super::compile::Compiled;
use serde_json::Value;
use std::sync::Arc;

/// What stands where something was taken out.
const MARK: &str = "[redacted]";

/// The result without the matches; `None` when there are none. A text that is no JSON is treated as one text.
pub fn redact(body: &str, rules: &[&Arc<Compiled>]) -> Option<String> {
    let patterns = || rules.iter().flat_map(|it| &it.redact);
    let Ok(mut value) = serde_json::from_str::<Value>(body) else {
        let mut text = body.to_string();
        return clean(&mut text, &mut patterns()).then_some(text);
    };
    let mut changed = false;
    each_text(&mut value, &mut |text| changed |= clean(text, &mut patterns()));
    changed.then(|| value.to_string())
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
        Value::Object(map) => map.values_mut().for_each(|item| each_text(item, visit)),
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
            ("not JSON, a@b.example", Some("not JSON, [redacted]")),
        ] {
            assert_eq!(redact(body, &[&rule]).as_deref(), expected, "{body}");
        }
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
