//! Pins: the definition of every tool as it was first seen or last accepted, so that a server that changes what a
//! tool says of itself is noticed. What follows from a change is decided by whoever makes lists.
//!
//! A server that was never approved is only watched: servers grow, and a question at each update is one that nobody
//! reads. Approving one says that exactly this was looked at; then a changed or added tool is held back.

use super::model::Catalogue;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::store::{Reader, Row, Table, Writer, tables};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Keyed by server id.
const PINS: Table<Pins> = Table::new(tables::PINS);
/// The parts of a definition that a model acts on.
const PARTS: [&str; 6] = ["name", "title", "description", "inputSchema", "outputSchema", "annotations"];

impl Row for Pins {
    const KIND: u8 = 42;
    const VERSION: u16 = 1;
}

/// The pins of one server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pins {
    /// When the user approved the server, and the fingerprint its entry had then.
    pub approved: Option<(Timestamp, String)>,
    /// Tool -> its definition, as the server sent it.
    pub tools: BTreeMap<String, String>,
}

/// Why a tool is not what was pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Its definition is another one.
    Changed,
    /// It was not there when the server was approved.
    New,
    /// The server's command, address or environment is another one than was approved.
    Moved,
}

impl Held {
    pub fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::New => "new",
            Self::Moved => "moved",
        }
    }
}

impl Pins {
    /// How a tool stands to its pin. `fingerprint` is that of the server's entry now.
    pub fn held(&self, tool: &str, json: &str, fingerprint: &str) -> Option<Held> {
        if self.approved.as_ref().is_some_and(|(_, approved)| approved != fingerprint) {
            return Some(Held::Moved);
        }
        match self.tools.get(tool) {
            Some(pinned) => (!is_same(pinned, json)).then_some(Held::Changed),
            None => self.approved.is_some().then_some(Held::New),
        }
    }
}

/// Whether two definitions say the same; the order of keys and what no model sees do not count.
pub fn is_same(a: &str, b: &str) -> bool {
    a == b || canonical(a) == canonical(b)
}

fn canonical(json: &str) -> Option<Vec<Value>> {
    let definition: Value = serde_json::from_str(json).ok()?;
    Some(PARTS.iter().map(|part| definition[*part].clone()).collect())
}

/// SHA-256 over what of a definition a model sees, in hex; equal for definitions that say the same.
pub fn digest(json: &str) -> String {
    let parts = canonical(json).map(|parts| parts.iter().map(sorted).collect::<Vec<_>>());
    crate::ids::digest(parts.map_or(json.into(), |parts| Value::from(parts).to_string()).as_bytes())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// A definition as a diff shows it: only the parts that count, one line for each value, hidden characters spelled out.
pub fn readable(json: &str) -> String {
    let Ok(Value::Object(mut definition)) = serde_json::from_str::<Value>(json) else { return json.into() };
    definition.retain(|key, _| PARTS.contains(&key.as_str()));
    let mut parts: Vec<(String, Value)> = definition.into_iter().collect();
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    let parts: serde_json::Map<String, Value> = parts.into_iter().collect();
    let text = serde_json::to_string_pretty(&parts).unwrap_or_default();
    let spell =
        |c: char| if super::lint::is_hidden(c) { format!("\\u{{{:x}}}", u32::from(c)) } else { c.into() };
    text.chars().map(spell).collect::<String>() + "\n"
}

/// All pins by server id.
pub fn all(tx: &Reader) -> Result<BTreeMap<String, Pins>> {
    Ok(tx.all(&PINS)?.into_iter().collect())
}

/// Pins what a server offers for the first time. Of an approved server nothing is pinned by itself.
pub fn notice(tx: &mut Writer, server: &str, catalogue: &Catalogue) -> Result<()> {
    let mut pins = tx.get(&PINS, server)?.unwrap_or_default();
    if pins.approved.is_some() {
        return Ok(());
    }
    let before = pins.tools.len();
    for tool in &catalogue.tools {
        if !pins.tools.contains_key(&tool.name) {
            pins.tools.insert(tool.name.clone(), tool.json.clone());
        }
    }
    if pins.tools.len() == before { Ok(()) } else { tx.put(&PINS, server, &pins) }
}

/// Approves a server as it is: its entry, and everything it offers now.
pub fn approve(
    tx: &mut Writer,
    server: &str,
    catalogue: Option<&Catalogue>,
    fingerprint: String,
    at: Timestamp,
) -> Result<()> {
    let tools = catalogue.into_iter().flat_map(|catalogue| &catalogue.tools);
    let tools = tools.map(|tool| (tool.name.clone(), tool.json.clone())).collect();
    tx.put(&PINS, server, &Pins { approved: Some((at, fingerprint)), tools })
}

/// Puts other definitions in the place of all; without any, the next listing is pinned as it comes. An approval given
/// before holds for what is put here, and goes where nothing can be put.
pub fn renew(
    tx: &mut Writer,
    server: &str,
    tools: Option<&BTreeMap<String, String>>,
    fingerprint: String,
    at: Timestamp,
) -> Result<()> {
    let approved = tx.get(&PINS, server)?.is_some_and(|pins| pins.approved.is_some());
    let Some(tools) = tools else { return forget(tx, server) };
    tx.put(&PINS, server, &Pins { approved: approved.then_some((at, fingerprint)), tools: tools.clone() })
}

/// Takes the approval of a server back; its tools are watched again.
pub fn disapprove(tx: &mut Writer, server: &str) -> Result<()> {
    let pins = tx.get(&PINS, server)?.unwrap_or_default();
    tx.put(&PINS, server, &Pins { approved: None, ..pins })
}

/// Accepts the definition a tool has now; one that is gone loses its pin.
pub fn accept(tx: &mut Writer, server: &str, tool: &str, catalogue: Option<&Catalogue>) -> Result<()> {
    let mut pins = tx.get(&PINS, server)?.unwrap_or_default();
    let now = catalogue.and_then(|catalogue| catalogue.tools.iter().find(|it| it.name == tool));
    match now {
        Some(now) => drop(pins.tools.insert(tool.into(), now.json.clone())),
        None => drop(pins.tools.remove(tool)),
    }
    tx.put(&PINS, server, &pins)
}

/// Forgets the pins of a server that is gone.
pub fn forget(tx: &mut Writer, server: &str) -> Result<()> {
    tx.remove(&PINS, server).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_sees_counts_and_nothing_else() {
        let a = r#"{"name":"t","description":"d","inputSchema":{"type":"object","x":1}}"#;
        for (b, expected) in [
            (a, true),
            (r#"{"inputSchema":{"x":1,"type":"object"},"description":"d","name":"t","_meta":{"a":1}}"#, true),
            (r#"{"name":"t","description":"d ","inputSchema":{"type":"object","x":1}}"#, false),
            (r#"{"name":"t","description":"d","inputSchema":{"type":"object","x":2}}"#, false),
            (
                r#"{"name":"t","description":"d","inputSchema":{"type":"object","x":1},"annotations":{"readOnlyHint":true}}"#,
                false,
            ),
        ] {
            assert_eq!(is_same(a, b), expected, "{b}");
            assert_eq!(digest(a) == digest(b), expected, "{b}");
        }
        assert_eq!(readable("{\"name\":\"t\u{200b}\",\"_meta\":1}"), "{\n  \"name\": \"t\\u{200b}\"\n}\n");
    }

    #[test]
    fn a_watched_server_may_grow_and_an_approved_one_may_not() {
        let pinned = [("t".to_string(), r#"{"name":"t"}"#.to_string())];
        let watched = Pins { approved: None, tools: pinned.into() };
        let approved = Pins { approved: Some((Timestamp(1), "f".into())), ..watched.clone() };
        for (pins, tool, json, fingerprint, expected) in [
            (&watched, "t", r#"{"name":"t"}"#, "g", None),
            (&watched, "u", "{}", "g", None),
            (&watched, "t", r#"{"name":"t","title":"x"}"#, "g", Some(Held::Changed)),
            (&approved, "t", r#"{"name":"t"}"#, "f", None),
            (&approved, "u", "{}", "f", Some(Held::New)),
            (&approved, "t", r#"{"name":"t"}"#, "g", Some(Held::Moved)),
        ] {
            assert_eq!(pins.held(tool, json, fingerprint), expected, "{tool} {json} {fingerprint}");
        }
    }
}
