//! What a call came to, as a step's outcome. Pure.

use crate::error::{Error, Kind};
use crate::workflows::journal::{Failure, Json, Outcome};
use serde_json::Value;

/// Largest result of a step that a journal keeps.
const MAX_RESULT: usize = 1 << 20;

/// The result of a tool: its structured content, else its text as JSON where it is an object or a list, else its text.
pub fn of_result(text: &str) -> Outcome {
    let result: Value = serde_json::from_str(text).unwrap_or_default();
    let words = words(&result);
    if result["isError"].as_bool() == Some(true) {
        let message = if words.is_empty() { "the tool reported an error".into() } else { words };
        return Outcome::Failed(Failure::new("tool_error", "UM0513", shortened(&message)));
    }
    if text.len() > MAX_RESULT {
        let message = format!("the result has {} bytes; a step keeps at most {MAX_RESULT}", text.len());
        return Outcome::Failed(Failure::new("invalid", "UM1003", message));
    }
    Outcome::Done(Json(match &result["structuredContent"] {
        Value::Null => value_of(&result, words),
        structured => structured.clone(),
    }))
}

fn value_of(result: &Value, words: String) -> Value {
    let items = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.iter().any(|item| item["type"] != "text") {
        return result["content"].clone();
    }
    match serde_json::from_str::<Value>(&words) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
        _ => words.into(),
    }
}

fn words(result: &Value) -> String {
    let items = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<&str> = items.iter().filter_map(|item| item["text"].as_str()).collect();
    texts.join("\n")
}

/// An error of the call itself.
pub fn failure(error: &Error) -> Failure {
    let class = match error.kind() {
        Kind::TimedOut => "timeout",
        Kind::Network => "network",
        Kind::Unavailable => "unavailable",
        Kind::Refused | Kind::Credential => "refused",
        Kind::Usage | Kind::Invalid | Kind::NotFound => "invalid",
        Kind::Interrupted => "cancelled",
        Kind::Upstream => "tool_error",
        _ => "failed",
    };
    Failure::new(class, error.code.code, shortened(&error.message))
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(2000) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn results_become_values() {
        let text = |text: &str| json!({"content": [{"type": "text", "text": text}]});
        let cases = [
            (json!({"content": [], "structuredContent": {"a": 1}}), json!({"a": 1})),
            (text("{\"id\": 7}"), json!({"id": 7})),
            (text("[1]"), json!([1])),
            (text("12"), json!("12")),
            (text("hello"), json!("hello")),
            (json!({"content": [{"type": "image", "data": "x"}]}), json!([{"type": "image", "data": "x"}])),
            (json!({"content": []}), json!("")),
        ];
        for (result, expected) in cases {
            assert_eq!(of_result(&result.to_string()), Outcome::Done(Json(expected)));
        }
        let failed = json!({"isError": true, "content": [{"type": "text", "text": "no"}]});
        assert_eq!(
            of_result(&failed.to_string()),
            Outcome::Failed(Failure::new("tool_error", "UM0513", "no"))
        );
    }
}
