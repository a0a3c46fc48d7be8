//! Results of an app's tools as the protocol has them. A failure is a result the model can read, with a next step.

use crate::error::Error;
use serde_json::{Value, json};

/// What a call gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub content: Vec<Value>,
    pub is_error: bool,
}

impl Outcome {
    pub fn text(text: impl Into<String>) -> Self {
        Self { content: vec![block(text)], is_error: false }
    }

    pub fn failed(text: impl Into<String>) -> Self {
        Self { content: vec![block(text)], is_error: true }
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
        match self.is_error {
            false => json!({"content": self.content}).to_string(),
            true => json!({"content": self.content, "isError": true}).to_string(),
        }
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
