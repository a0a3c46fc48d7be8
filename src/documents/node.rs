//! The tree every format is parsed into: values with the place where each one stands.
//! Not a serialiser; `read.rs` lets serde read typed values out of it.

use super::{Source, read};
use crate::error::{Error, Result, codes};
use serde::de::DeserializeOwned;

/// A place in a file. Both count from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub value: Value,
    pub at: Position,
}

/// The key of an entry and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub name: String,
    pub at: Position,
}

/// What a node holds. A number keeps the digits it was written with, for texts such as `0123`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number, String),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; keys are unique.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// The entries of a map; of anything else, none.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; of anything else, none.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name.name == key).map(|(_, node)| node)
    }

    /// The value at a path of keys.
    pub fn at_path(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match &self.value {
            Value::Number(number, _) => number.as_f64(),
            _ => None,
        }
    }

    /// A text, number or truth value as text, as it was written.
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(_, written) => Some(written.clone()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    pub fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    pub fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }

    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The same as plain JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number, _) => number.clone().into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect()
            }
        }
    }

    /// What the value is, in the words of an error.
    pub fn word(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(..) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Reads a typed value out of a node; errors show the place in `source`.
pub fn into_typed<T: DeserializeOwned>(source: &Source<'_>, node: &Node) -> Result<T> {
    T::deserialize(read::Reader(node)).map_err(|problem| {
        let at = source.span(problem.at.unwrap_or(node.at));
        match problem.unknown {
            None => Error::new(&codes::FILE_INVALID, problem.message).at(at),
            Some((field, known)) => {
                let error = Error::new(&codes::FIELD_UNKNOWN, format!("unknown field `{field}`")).at(at);
                match super::near(&field, known.iter().copied()) {
                    Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                    None if known.is_empty() => error.hint("no fields are known here"),
                    None => error.hint(format!("known here: {}", known.join(", "))),
                }
            }
        }
    })
}
