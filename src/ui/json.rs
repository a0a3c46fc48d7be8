//! The JSON forms of results, failures and streamed events, as text.
//! It does not print and does not decide between JSON and text; `Ui` does.
//! Rule: one document per command, the same envelope everywhere, nothing in it can steer a terminal.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::sanitise::is_hazard;
use crate::error::{Error, ErrorBody, Result};

/// The envelope of a result. `error` is there when the command shows data and fails all the same.
#[derive(Serialize)]
pub(super) struct Envelope<'a, T: Serialize> {
    pub ok: bool,
    pub kind: &'static str,
    pub data: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    pub warnings: &'a [String],
}

/// The document of a command that failed without data.
pub(super) fn failure(error: &Error, warnings: &[String]) -> Value {
    let mut document = json!({"ok": false, "kind": "error/1", "error": error});
    if !warnings.is_empty() {
        document["warnings"] = json!(warnings);
    }
    document
}

/// The last line of a stream: the fields of `result` behind a type, or its value as `data`.
pub(super) fn stream_end(result: Value, warnings: &[String]) -> Value {
    let mut line = Map::from_iter([("type".to_string(), json!("result"))]);
    match result {
        Value::Object(fields) => line.extend(fields.into_iter().filter(|(name, _)| name != "type")),
        Value::Null => {}
        other => {
            line.insert("data".into(), other);
        }
    }
    if !warnings.is_empty() {
        line.insert("warnings".into(), json!(warnings));
    }
    Value::Object(line)
}

/// The last line of a stream that failed.
pub(super) fn stream_failure(error: &Error, warnings: &[String]) -> Value {
    stream_end(json!({"ok": false, "error": error}), warnings)
}

/// Keeps only `fields` of an object, or of each item of an array; a field that is not there is null.
///
/// Returns the data and the fields that no item has.
pub(super) fn project(data: &Value, fields: &[String]) -> (Value, Vec<String>) {
    let items = match data {
        Value::Array(items) => items.as_slice(),
        object @ Value::Object(_) => std::slice::from_ref(object),
        _ => return (data.clone(), Vec::new()),
    };
    let pointer = |field: &str| format!("/{}", field.replace('~', "~0").replace('/', "~1").replace('.', "/"));
    let pick = |item: &Value| {
        let mut kept = Map::new();
        for field in fields {
            let value = item.pointer(&pointer(field)).cloned().unwrap_or(Value::Null);
            insert(&mut kept, field, value);
        }
        Value::Object(kept)
    };
    let missing = |field: &&String| items.iter().all(|item| item.pointer(&pointer(field)).is_none());
    let missing =
        if items.is_empty() { Vec::new() } else { fields.iter().filter(missing).cloned().collect() };
    let projected = match data {
        Value::Array(items) => items.iter().map(pick).collect(),
        object => pick(object),
    };
    (projected, missing)
}

/// Puts a value at a dotted path, making the objects between.
fn insert(into: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        into.insert(path.into(), value);
        return;
    };
    let inner = into.entry(first).or_insert_with(|| json!({}));
    match inner {
        // The whole object was asked for as well.
        Value::Object(inner) if inner.contains_key(rest) => {}
        Value::Object(inner) => insert(inner, rest, value),
        other if other.is_null() => {
            *other = json!({});
            insert(other.as_object_mut().expect("it was just made an object"), rest, value);
        }
        _ => {}
    }
}

/// The JSON text of a value; characters that could steer a terminal are written as escapes.
pub(super) fn text(value: &impl Serialize, pretty: bool) -> Result<String> {
    let plain = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    let plain = plain.map_err(|error| Error::bug("a result could not be written as JSON").because(error))?;
    if !plain.chars().any(is_hazard) {
        return Ok(plain);
    }
    // Outside of strings JSON has no such characters, so that each of them may become an escape.
    let mut safe = String::with_capacity(plain.len() + 16);
    let mut units = [0; 2];
    for c in plain.chars() {
        if is_hazard(c) {
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    Ok(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::codes;

    fn fields(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_envelope_holds_the_data() {
        let data = json!([{"name": "github"}]);
        let envelope =
            Envelope { ok: true, kind: "server.list/1", data: &data, error: None, warnings: &["old".into()] };
        let expected = r#"{"ok":true,"kind":"server.list/1","data":[{"name":"github"}],"warnings":["old"]}"#;
        assert_eq!(text(&envelope, false).unwrap(), expected);
    }

    #[test]
    fn failures_have_one_shape_in_documents_and_streams() {
        let error = Error::new(&codes::SERVER_NOT_FOUND, "no server named `gti`").hint("umcp server list");
        let body = json!({"code": "UM0401", "name": "server_not_found", "message": "no server named `gti`",
            "hints": ["umcp server list"], "retryable": false, "exit": 4});
        assert_eq!(failure(&error, &[]), json!({"ok": false, "kind": "error/1", "error": body}));
        assert_eq!(stream_failure(&error, &[]), json!({"type": "result", "ok": false, "error": body}));
    }

    #[test]
    fn a_stream_ends_with_a_result() {
        let cases = [
            (json!({"ok": true, "lines": 3}), r#"{"type":"result","ok":true,"lines":3}"#),
            (json!({"type": "other"}), r#"{"type":"result"}"#),
            (json!([1]), r#"{"type":"result","data":[1]}"#),
            (Value::Null, r#"{"type":"result"}"#),
        ];
        for (result, expected) in cases {
            assert_eq!(stream_end(result, &[]).to_string(), expected);
        }
    }

    #[test]
    fn fields_are_picked_from_objects_and_items() {
        let list = json!([{"name": "a", "run": {"state": "up", "pid": 1}, "x/y": 1}, {"name": "b"}]);
        let cases = [
            (json!({"name": "a", "state": "up"}), vec!["name"], json!({"name": "a"}), vec![]),
            (list.clone(), vec!["name"], json!([{"name": "a"}, {"name": "b"}]), vec![]),
            (
                list.clone(),
                vec!["run.state", "run.pid"],
                json!([{"run": {"state": "up", "pid": 1}}, {"run": {"state": null, "pid": null}}]),
                vec![],
            ),
            (
                list.clone(),
                vec!["run", "run.pid"],
                json!([{"run": {"state": "up", "pid": 1}}, {"run": {"pid": null}}]),
                vec![],
            ),
            (list.clone(), vec!["x/y"], json!([{"x/y": 1}, {"x/y": null}]), vec![]),
            (list, vec!["nme"], json!([{"nme": null}, {"nme": null}]), vec!["nme"]),
            (json!([]), vec!["name"], json!([]), vec![]),
            (json!("word"), vec!["name"], json!("word"), vec![]),
        ];
        for (data, names, expected, missing) in cases {
            assert_eq!(project(&data, &fields(&names)), (expected, fields(&missing)), "{names:?}");
        }
    }

    #[test]
    fn json_cannot_steer_a_terminal_and_means_the_same() {
        let value = json!({"text": "a\u{9b}31m \u{202e} \u{e0041} \u{7f} ü 日本 \u{1b}"});
        for pretty in [false, true] {
            let text = text(&value, pretty).unwrap();
            assert!(!text.chars().any(is_hazard), "{text}");
            assert!(text.contains("ü 日本"), "{text}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }
}
