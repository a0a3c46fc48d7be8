//! Memories as lines of JSON, to carry them elsewhere and back, and as Markdown to read. Pure.
//! A line has what `store` takes and where the memory came from; ids are not carried, since numbers are given anew.

use super::model::{Memory, New, Triple};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Longest line that is read.
const LONGEST_LINE: usize = 1 << 20;

/// A memory as JSON, as the command line shows it too.
pub fn document(memory: &Memory) -> Value {
    let metadata: Map<String, Value> = memory
        .metadata
        .iter()
        .map(|(name, value)| (name.clone(), serde_json::from_str(value).unwrap_or(Value::Null)))
        .collect();
    let triples: Vec<[&str; 3]> =
        memory.triples.iter().map(|it| [it.subject.as_str(), &it.relation, &it.object]).collect();
    json!({
        "id": memory.id(), "namespace": memory.namespace, "kind": memory.kind, "key": memory.key,
        "text": memory.text, "triples": triples, "tags": memory.tags, "metadata": metadata,
        "importance": (f64::from(memory.importance) * 1000.0).round() / 1000.0,
        "agent": memory.agent, "session": memory.session, "tool": memory.tool,
        "created": memory.created.rfc3339(), "updated": memory.updated.rfc3339(),
        "expires": memory.expires.map(Timestamp::rfc3339),
        "superseded_by": memory.superseded_by.map(super::model::id),
    })
}

/// All memories as Markdown, by namespace.
pub fn markdown(memories: &[Memory]) -> String {
    let mut spaces: BTreeMap<&str, Vec<&Memory>> = BTreeMap::new();
    memories.iter().for_each(|memory| spaces.entry(&memory.namespace).or_default().push(memory));
    let mut text = String::new();
    for (name, memories) in spaces {
        text.push_str(&format!("# {name}\n\n"));
        for memory in memories {
            let key = memory.key.as_ref().map(|key| format!(" {key}")).unwrap_or_default();
            let from =
                format!("{}, {}, {}", memory.kind.word(), memory.agent, &memory.created.rfc3339()[..10]);
            text.push_str(&format!("## {}{key}\n\n{from}", memory.id()));
            memory.tags.iter().for_each(|tag| text.push_str(&format!(" #{tag}")));
            text.push_str("\n\n");
            memory.triples.iter().for_each(|triple| text.push_str(&format!("- {}\n", triple.sentence())));
            text.push_str(&format!("{}\n\n", memory.text.trim_end()));
        }
    }
    text
}

/// Reads lines of JSON; what has expired by now is left out.
///
/// # Errors
/// `FILE_INVALID` with the number of the line.
pub fn read(file: &str, text: &str, now: Timestamp) -> Result<Vec<New>> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: String| {
            Error::new(&codes::FILE_INVALID, format!("{file}:{}: {why}", at + 1))
                .hint("each line is one memory as JSON, such as {\"text\": \"…\"}")
        };
        if line.len() > LONGEST_LINE {
            return Err(wrong(format!("the line has {} bytes; at most {LONGEST_LINE}", line.len())));
        }
        let value: Value = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        found.extend(memory(&value, now).map_err(wrong)?);
    }
    Ok(found)
}

/// One memory of JSON; `None` when its time is over.
pub fn memory(value: &Value, now: Timestamp) -> std::result::Result<Option<New>, String> {
    let fields = value.as_object().ok_or("a memory is an object")?;
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{name}` is no text")),
    };
    let time = |name: &str| match text(name)? {
        None => Ok(None),
        Some(text) => Timestamp::parse(&text).map(Some).ok_or_else(|| format!("`{name}` is no time: {text}")),
    };
    let expires = time("expires")?;
    if expires.is_some_and(|expires| expires <= now)
        || fields.get("superseded_by").is_some_and(Value::is_string)
    {
        return Ok(None);
    }
    let kind = match fields.get("kind") {
        None | Some(Value::Null) => super::model::Kind::default(),
        Some(kind) => serde_json::from_value(kind.clone()).map_err(|_| format!("there is no kind {kind}"))?,
    };
    let importance = match fields.get("importance") {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_f64().ok_or("`importance` is no number")? as f32),
    };
    let tags = match fields.get("tags") {
        None | Some(Value::Null) => Vec::new(),
        Some(tags) => serde_json::from_value(tags.clone()).map_err(|_| "`tags` is no list of texts")?,
    };
    Ok(Some(New {
        namespace: text("namespace")?.unwrap_or_else(|| super::model::DEFAULT.into()),
        kind,
        key: text("key")?,
        text: text("text")?.or(text("content")?).unwrap_or_default(),
        triples: triples(fields.get("triples"))?,
        tags,
        metadata: metadata(fields.get("metadata"))?,
        importance,
        session: text("session")?,
        tool: text("tool")?,
        at: time("created")?,
        ttl_ms: expires.map(|expires| expires.since_ms(now)),
        agent: text("agent")?,
    }))
}

/// Metadata as values of JSON text.
pub fn metadata(value: Option<&Value>) -> std::result::Result<BTreeMap<String, String>, String> {
    match value {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(fields)) => {
            Ok(fields.iter().map(|(name, value)| (name.clone(), value.to_string())).collect())
        }
        Some(_) => Err("`metadata` is no object".into()),
    }
}

/// Triples as lists of three texts.
pub fn triples(value: Option<&Value>) -> std::result::Result<Vec<Triple>, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let lists: Vec<[String; 3]> = serde_json::from_value(value.clone())
        .map_err(|_| "a triple is a list of three texts: subject, relation, object")?;
    Ok(lists.into_iter().map(|[subject, relation, object]| Triple { subject, relation, object }).collect())
}
