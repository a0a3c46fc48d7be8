//! JSON with comments and trailing commas into a [`Node`]. The only file, with `edit/json.rs`, that names
//! the JSONC crate. Rule: no other leniency; duplicate keys and non-finite numbers are refused.

use super::limits::{check_depth, without_bom};
use super::{Key, Node, Position, Source, Value};
use crate::error::Result;
use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::collections::BTreeSet;

/// Parses one document; a file without a value is an empty map.
pub fn parse(source: &Source<'_>) -> Result<Node> {
    let shift = source.text.len() - without_bom(source.text).len();
    match tree(source)? {
        Some(value) => node(source, shift, &value, 0),
        None => Ok(Node { value: Value::Map(Vec::new()), at: Position { line: 1, column: 1 } }),
    }
}

/// The syntax tree, with byte ranges into the text behind the byte order mark.
pub(super) fn tree<'a>(source: &Source<'a>) -> Result<Option<ast::Value<'a>>> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let text = without_bom(source.text);
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options).map_err(|error| {
        let shift = source.text.len() - text.len();
        let at = source.position(shift + error.range().start);
        let message = error.kind().to_string();
        let mut chars = message.trim_end_matches('.').chars();
        let message: String =
            chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect());
        source.invalid(at, message)
    })?;
    Ok(parsed.value)
}

fn node(source: &Source<'_>, shift: usize, value: &ast::Value<'_>, depth: usize) -> Result<Node> {
    let place = |start: usize| source.position(shift + start);
    let at = place(value.range().start);
    check_depth(source, at, depth)?;
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
        ast::Value::NumberLit(literal) => {
            let number = serde_json::from_str(literal.value).map_err(|_| {
                source.invalid(at, format!("`{}` is not a number umcp can hold", literal.value))
            })?;
            Value::Number(number, literal.value.into())
        }
        ast::Value::StringLit(literal) => Value::Text(literal.value.to_string()),
        ast::Value::Array(array) => Value::List(
            array.elements.iter().map(|item| node(source, shift, item, depth + 1)).collect::<Result<_>>()?,
        ),
        ast::Value::Object(object) => {
            let mut seen = BTreeSet::new();
            let mut entries = Vec::with_capacity(object.properties.len());
            for property in &object.properties {
                let key = Key { name: property.name.as_str().into(), at: place(property.name.range().start) };
                if !seen.insert(property.name.as_str()) {
                    return Err(source.invalid(key.at, format!("the key `{}` stands here twice", key.name)));
                }
                entries.push((key, node(source, shift, &property.value, depth + 1)?));
            }
            Value::Map(entries)
        }
    };
    Ok(Node { value, at })
}
