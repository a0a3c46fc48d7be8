//! YAML into a [`Node`] and out of plain values. The only file that names the YAML crate.
//! Rule: no tags, no duplicate keys, no second document, and bounded work for aliases and nesting.

use super::limits::{MAX_BYTES, MAX_DEPTH, check_depth, small, without_bom};
use super::{Key, Node, Position, Source, Value};
use crate::error::{Error, Result, codes};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::granit_parser::{Event, Parser};
use serde_yaml::{DuplicateKeyPolicy, NonFiniteFloatPolicy, Options, Spanned};
use std::fmt;

/// Parses one document.
pub fn parse(source: &Source<'_>) -> Result<Node> {
    let text = without_bom(source.text);
    let raw: Option<Raw> = serde_yaml::from_str_with_options(text, options()).map_err(|error| {
        let at = error.location().map_or(Position { line: 1, column: 1 }, position);
        let message = error.without_snippet().to_string();
        source.invalid(at, fragment(&message))
    })?;
    scan(source, text)?;
    match raw {
        Some(raw) => node(source, text, raw, 0).map(|node| match node.value {
            Value::Null => empty(),
            _ => node,
        }),
        None => Ok(empty()),
    }
}

/// Writes a value as YAML.
pub fn write<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_yaml::to_string(value).map_err(|error| Error::new(&codes::BUG, error.to_string()))
}

/// Parses a large document without positions. Tags have no effect: a value is what its text says.
pub fn parse_large(source: &Source<'_>) -> Result<serde_json::Value> {
    let options = serde_yaml::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
        budget: serde_yaml::budget! {
            max_depth: 128,
            flow_nesting_limit: 128,
            max_documents: 1,
            max_nodes: 5_000_000,
            max_events: 15_000_000,
            max_aliases: 10_000,
            max_anchors: 10_000,
            max_merge_keys: 10_000,
            max_total_scalar_bytes: 2 * super::large::MAX_LARGE,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 500_000,
        },
    };
    serde_yaml::from_str_with_options(source.text, options).map_err(|error| {
        let at = error.location().map_or(Position { line: 1, column: 1 }, position);
        source.invalid(at, fragment(&error.without_snippet().to_string()))
    })
}

fn empty() -> Node {
    Node { value: Value::Map(Vec::new()), at: Position { line: 1, column: 1 } }
}

fn options() -> Options {
    serde_yaml::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        // `yes` and `on` are words, as YAML 1.2 has it; only `true` and `false` are truth values.
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
        budget: serde_yaml::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_documents: 1,
            max_nodes: 100_000,
            max_events: 300_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
            max_total_scalar_bytes: 2 * MAX_BYTES,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 50_000,
        },
    }
}

/// Refuses what the reader lets pass: tags, which would let a file choose types, and anything behind the document.
fn scan(source: &Source<'_>, text: &str) -> Result<()> {
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let place = |line: usize, column: usize| Position { line: small(line), column: small(column + 1) };
        let (event, span) = event.map_err(|error| {
            source.invalid(place(error.marker().line(), error.marker().col()), fragment(&error.to_string()))
        })?;
        documents += usize::from(matches!(event, Event::DocumentStart(..)));
        let tagged = match &event {
            Event::Scalar(_, _, _, tag) => tag.is_some(),
            Event::SequenceStart(_, _, tag) | Event::MappingStart(_, _, tag) => tag.is_some(),
            _ => false,
        };
        let at = place(span.start.line(), span.start.col());
        if tagged {
            return Err(source.invalid(at, "YAML tags such as `!!str` are not allowed"));
        }
        if documents > 1 {
            return Err(source.invalid(at, "a file may hold only one YAML document"));
        }
    }
    Ok(())
}

fn position(location: serde_yaml::Location) -> Position {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    Position { line: number(location.line()), column: number(location.column()) }
}

/// The parser's message as one of ours: lower case, one line, no full stop, no position of its own.
fn fragment(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim_end_matches('.');
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let line = line.split_once(" at line ").map_or(line, |(head, _)| head).trim_end_matches([' ', ':', ',']);
    let mut chars = line.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn node(source: &Source<'_>, text: &str, raw: Raw, depth: usize) -> Result<Node> {
    let Spanned { value, referenced, defined } = raw.0;
    let at = position(referenced);
    check_depth(source, at, depth)?;
    let written = || {
        let span = defined.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let length = usize::try_from(span.byte_len()?).ok()?;
        text.get(start..start.checked_add(length)?)
    };
    let value = match value {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => Value::Bool(value),
        Scalar::Number(number) => {
            let text = written().map_or_else(|| number.to_string(), |text| text.trim().to_string());
            Value::Number(number, text)
        }
        Scalar::Text(text) => Value::Text(text),
        Scalar::List(items) => Value::List(
            items.into_iter().map(|item| node(source, text, item, depth + 1)).collect::<Result<_>>()?,
        ),
        Scalar::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let name = Key { name: key.value, at: position(key.referenced) };
                    Ok((name, node(source, text, value, depth + 1)?))
                })
                .collect::<Result<_>>()?,
        ),
    };
    Ok(Node { value, at })
}

/// A value as the YAML crate reports it.
struct Raw(Spanned<Scalar>);

enum Scalar {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_none<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
        let number = serde_json::Number::from_f64(value);
        number.map(Scalar::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Scalar::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Scalar, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Scalar::Map(map))
    }
}
