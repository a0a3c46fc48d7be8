//! The built-in `kv` server: keys and values that live as long as the server runs, and are nowhere else.
//! Bounded in keys and in the size of each; every key is a resource too.

use super::reply::{self, Effect, Output, World, object, tool};
use crate::error::Result;
use rmcp::model::Tool;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

const MAX_KEYS: usize = 1_000;
const MAX_VALUE: usize = 64 << 10;
const MAX_KEY: usize = 256;
const SCHEME: &str = "kv://";

/// What a call changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub uri: String,
    /// A key came or went.
    pub list: bool,
}

/// The store.
#[derive(Default)]
pub struct Kv {
    values: Mutex<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    prefix: String,
}

impl Kv {
    pub fn tools() -> Vec<Tool> {
        let key = json!({"type": "string", "minLength": 1, "maxLength": MAX_KEY, "description": "The key"});
        let value = json!({"type": "string", "description": "Text of at most 64 KiB"});
        let keys = json!({"type": "array", "items": object(
            json!({"key": {"type": "string"}, "bytes": {"type": "integer"}}), &["key", "bytes"])});
        vec![
            tool(
                "kv_set",
                "Set a value",
                "Stores a text under a key, replacing what was there. Values are gone when the server stops.",
                Effect::Replaces,
                World::Closed,
                object(json!({"key": key, "value": value}), &["key", "value"]),
                Some(object(json!({"key": key, "created": {"type": "boolean"}}), &["key", "created"])),
            ),
            tool(
                "kv_get",
                "Get a value",
                "Returns the text stored under a key.",
                Effect::Reads,
                World::Closed,
                object(json!({"key": key}), &["key"]),
                Some(object(json!({"key": key, "value": value}), &["key", "value"])),
            ),
            tool(
                "kv_list",
                "List keys",
                "Lists the keys, with the size of their values, in alphabetical order.",
                Effect::Reads,
                World::Closed,
                object(
                    json!({"prefix": {"type": "string", "description": "Only keys that begin with this"}}),
                    &[],
                ),
                Some(object(json!({"keys": keys}), &["keys"])),
            ),
            tool(
                "kv_delete",
                "Delete a key",
                "Deletes a key and its value. A key that is not there is no error.",
                Effect::Replaces,
                World::Closed,
                object(json!({"key": key}), &["key"]),
                Some(object(json!({"key": key, "deleted": {"type": "boolean"}}), &["key", "deleted"])),
            ),
        ]
    }

    pub fn call(&self, tool: &str, arguments: Value) -> Result<(Output, Option<Change>)> {
        match tool {
            "kv_set" => self.set(reply::arguments(arguments)?),
            "kv_get" => {
                let One { key } = reply::arguments(arguments)?;
                let value = self.get(&key).ok_or_else(|| {
                    reply::refused(format!("there is no key `{key}`"))
                        .hint("`kv_list` shows the keys there are")
                })?;
                Ok((Output::data(value.clone(), json!({"key": key, "value": value})), None))
            }
            "kv_delete" => {
                let One { key } = reply::arguments(arguments)?;
                let deleted = self.values().remove(&key).is_some();
                let text =
                    if deleted { format!("deleted `{key}`") } else { format!("there was no key `{key}`") };
                let change = deleted.then(|| Change { uri: uri(&key), list: true });
                Ok((Output::data(text, json!({"key": key, "deleted": deleted})), change))
            }
            _ => {
                let List { prefix } = reply::arguments(arguments)?;
                let keys = self.list(&prefix);
                let lines: Vec<String> =
                    keys.iter().map(|(key, bytes)| format!("{key} ({bytes} bytes)")).collect();
                let text = if lines.is_empty() { "no keys".to_string() } else { lines.join("\n") };
                let keys: Vec<Value> =
                    keys.iter().map(|(key, bytes)| json!({"key": key, "bytes": bytes})).collect();
                Ok((Output::data(text, json!({"keys": keys})), None))
            }
        }
    }

    fn set(&self, Set { key, value }: Set) -> Result<(Output, Option<Change>)> {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(reply::invalid(format!(
                "a key has 1 to {MAX_KEY} bytes, this one has {}",
                key.len()
            )));
        }
        if value.len() > MAX_VALUE {
            let message = format!("the value has {} bytes; at most {MAX_VALUE} are kept", value.len());
            return Err(reply::refused(message).hint("split it over several keys, or write a file"));
        }
        let mut values = self.values();
        let created = !values.contains_key(&key);
        if created && values.len() >= MAX_KEYS {
            let message = format!("the store is full: it holds {MAX_KEYS} keys");
            return Err(reply::refused(message).hint("delete keys with `kv_delete`"));
        }
        values.insert(key.clone(), value);
        let change = Change { uri: uri(&key), list: created };
        let text = format!("{} `{key}`", if created { "created" } else { "replaced" });
        Ok((Output::data(text, json!({"key": key, "created": created})), Some(change)))
    }

    pub fn get(&self, key: &str) -> Option<String> {
        self.values().get(key).cloned()
    }

    /// Keys that begin with `prefix`, and the bytes of their values.
    pub fn list(&self, prefix: &str) -> Vec<(String, usize)> {
        let values = self.values();
        let matching = values.range(prefix.to_string()..).take_while(|(key, _)| key.starts_with(prefix));
        matching.map(|(key, value)| (key.clone(), value.len())).collect()
    }

    fn values(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The resource of a key: `kv://KEY`, with what an address cannot hold written as `%XX`.
pub fn uri(key: &str) -> String {
    let mut uri = String::from(SCHEME);
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// The key a resource stands for.
pub fn key_of(uri: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = uri.strip_prefix(SCHEME)?.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(kv: &Kv, tool: &str, arguments: Value) -> Result<(Value, Option<Change>), String> {
        let (output, change) = kv.call(tool, arguments).map_err(|error| error.to_string())?;
        Ok((output.data.unwrap(), change))
    }

    #[test]
    fn a_value_is_set_replaced_listed_and_deleted() {
        let kv = Kv::default();
        let change = |list| Some(Change { uri: "kv://a%20b".into(), list });
        for (tool, arguments, expected) in [
            (
                "kv_set",
                json!({"key": "a b", "value": "1"}),
                (json!({"key": "a b", "created": true}), change(true)),
            ),
            (
                "kv_set",
                json!({"key": "a b", "value": "22"}),
                (json!({"key": "a b", "created": false}), change(false)),
            ),
            ("kv_get", json!({"key": "a b"}), (json!({"key": "a b", "value": "22"}), None)),
            ("kv_list", json!({"prefix": "a"}), (json!({"keys": [{"key": "a b", "bytes": 2}]}), None)),
            ("kv_list", json!({"prefix": "b"}), (json!({"keys": []}), None)),
            ("kv_delete", json!({"key": "a b"}), (json!({"key": "a b", "deleted": true}), change(true))),
            ("kv_delete", json!({"key": "a b"}), (json!({"key": "a b", "deleted": false}), None)),
        ] {
            assert_eq!(call(&kv, tool, arguments).unwrap(), expected, "{tool}");
        }
        assert_eq!(call(&kv, "kv_get", json!({"key": "x"})).unwrap_err(), "there is no key `x`");
    }

    #[test]
    fn the_store_has_bounds() {
        let kv = Kv::default();
        let set =
            |key: &str, value: &str| call(&kv, "kv_set", json!({"key": key, "value": value})).map(|_| ());
        assert!(set("k", &"x".repeat(MAX_VALUE)).is_ok());
        assert!(set("k", &"x".repeat(MAX_VALUE + 1)).unwrap_err().contains("65537 bytes"));
        assert!(set("", "x").unwrap_err().contains("1 to 256"));
        for i in 1..MAX_KEYS {
            set(&i.to_string(), "x").unwrap();
        }
        assert!(set("one more", "x").unwrap_err().contains("full"));
        assert!(set("k", "replacing is no new key").is_ok());
    }

    #[test]
    fn a_key_and_its_address_are_the_same() {
        for (key, address) in [("a/b", "kv://a/b"), ("ä %", "kv://%C3%A4%20%25"), ("x?y#z", "kv://x%3Fy%23z")]
        {
            assert_eq!(uri(key), address);
            assert_eq!(key_of(address).as_deref(), Some(key));
        }
        for wrong in ["http://a", "kv://%", "kv://%zz", "kv://%ff"] {
            assert_eq!(key_of(wrong), None, "{wrong}");
        }
    }
}
