//! The shape of arguments: keys, types and sizes, never a value. Reads JSON text without keeping any of it.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::fmt;

/// Larger arguments are told by their size alone.
const LARGEST: usize = 64 << 10;
/// Keys and items that are told of one object or list.
const MOST: usize = 32;
/// Characters of a key.
const KEY: usize = 64;
/// Levels that are told.
const DEEPEST: usize = 6;

/// What is left of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Null,
    Bool,
    Number,
    /// Bytes.
    Text(usize),
    /// Items, and the shapes of the first ones.
    List(usize, Vec<Shape>),
    /// Keys, and the first ones with their shapes.
    Object(usize, Vec<(String, Shape)>),
}

/// The shape of arguments as JSON text.
pub fn shape(arguments: &str) -> String {
    let parsed =
        (arguments.len() <= LARGEST).then(|| serde_json::from_str::<Shape>(arguments).ok()).flatten();
    let bytes = || format!("\"{} bytes\"", arguments.len());
    parsed.and_then(|shape| serde_json::to_string(&Level(&shape, 0)).ok()).unwrap_or_else(bytes)
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Bool)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::Text(text.len()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut first = Vec::new();
        while first.len() < MOST {
            match items.next_element()? {
                Some(item) => first.push(item),
                None => return Ok(Shape::List(first.len(), first)),
            }
        }
        let mut count = first.len();
        while items.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Shape::List(count, first))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut first = Vec::new();
        while first.len() < MOST {
            match entries.next_entry::<String, Shape>()? {
                Some((key, shape)) => first.push((key.chars().take(KEY).collect(), shape)),
                None => return Ok(Shape::Object(first.len(), first)),
            }
        }
        let mut count = first.len();
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Shape::Object(count, first))
    }
}

/// A shape at its depth.
struct Level<'a>(&'a Shape, usize);

impl Serialize for Level<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(shape, depth) = *self;
        match shape {
            Shape::Null => serializer.serialize_str("null"),
            Shape::Bool => serializer.serialize_str("bool"),
            Shape::Number => serializer.serialize_str("number"),
            Shape::Text(bytes) => serializer.collect_str(&format_args!("text {bytes}")),
            Shape::List(count, _) if depth >= DEEPEST => {
                serializer.collect_str(&format_args!("list {count}"))
            }
            Shape::Object(count, _) if depth >= DEEPEST => {
                serializer.collect_str(&format_args!("object {count}"))
            }
            Shape::List(count, first) => {
                let mut items = serializer.serialize_seq(None)?;
                for item in first {
                    items.serialize_element(&Level(item, depth + 1))?;
                }
                if *count > first.len() {
                    items.serialize_element(&format!("{} more", count - first.len()))?;
                }
                items.end()
            }
            Shape::Object(count, first) => {
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in first {
                    map.serialize_entry(key, &Level(value, depth + 1))?;
                }
                if *count > first.len() {
                    map.serialize_entry("…", &format!("{} more", count - first.len()))?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_types_and_sizes_are_told_and_no_value() {
        let long = format!("[{}]", vec!["1"; 40].join(","));
        let deep = format!("{}{}", "[".repeat(9), "]".repeat(9));
        for (arguments, expected) in [
            (
                r#"{"path":"/etc/passwd","deep":{"n":1.5,"b":true,"x":null},"list":["a",{"k":"secret"}]}"#,
                r#"{"path":"text 11","deep":{"n":"number","b":"bool","x":"null"},"list":["text 1",{"k":"text 6"}]}"#,
            ),
            ("{}", "{}"),
            ("nonsense", "\"8 bytes\""),
            (&format!(r#"{{"a":"{}"}}"#, "x".repeat(70_000)), "\"70008 bytes\""),
            (&deep, r#"[[[[[["list 1"]]]]]]"#),
        ] {
            assert_eq!(shape(arguments), expected, "{arguments}");
        }
        assert!(shape(&long).ends_with(r#""number","8 more"]"#));
    }
}
