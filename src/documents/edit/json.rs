//! Edits of JSON and JSONC texts by byte ranges of the syntax tree.

use super::{line_end, split_bom};
use crate::documents::{Source, json::tree};
use crate::error::Result;
use jsonc_parser::ast;
use serde_json::Value;

/// Puts `value` at `path`; see [`super::set`].
pub fn set(file: &str, text: &str, path: &[&str], value: &Value) -> Result<String> {
    let (bom, text) = split_bom(text);
    let source = Source::new(file, text);
    let end = line_end(text);
    let style = |indent: &str, unit: &str, value: &Value| {
        pretty(value, unit).replace('\n', &format!("{end}{indent}"))
    };
    let root = match tree(&source)? {
        Some(ast::Value::Object(object)) => object,
        Some(_) => return Err(source.invalid(source.position(0), "this file does not hold an object")),
        None => {
            let kept = text.trim_end();
            let gap = if kept.is_empty() { "" } else { end };
            return Ok(format!("{bom}{kept}{gap}{}{end}", style("", "  ", &nest(path, value))));
        }
    };
    let unit = unit(text, &root);
    let mut object = &root;
    for (depth, key) in path.iter().enumerate() {
        let Some(property) = object.get(key) else {
            return Ok(format!(
                "{bom}{}",
                insert(text, object, &unit, key, &nest(&path[depth + 1..], value))
            ));
        };
        match &property.value {
            ast::Value::Object(next) if depth + 1 < path.len() => object = next,
            _ if depth + 1 < path.len() => {
                let at = source.position(property.range.start);
                return Err(source.invalid(at, format!("`{key}` does not hold an object")));
            }
            old => {
                let (start, stop) = range(old);
                let new = style(indent_at(text, property.range.start), &unit, value);
                return Ok(format!("{bom}{}{new}{}", &text[..start], &text[stop..]));
            }
        }
    }
    Ok(format!("{bom}{text}"))
}

/// Takes the property at `path` away; see [`super::remove`].
pub fn remove(file: &str, text: &str, path: &[&str]) -> Result<String> {
    let (bom, mut text) = (split_bom(text).0, split_bom(text).1.to_string());
    for depth in (1..=path.len()).rev() {
        let next = {
            let source = Source::new(file, &text);
            let Some(ast::Value::Object(root)) = tree(&source)? else { break };
            let Some(parent) = find(&root, &path[..depth - 1]) else { break };
            let Some(index) = parent.properties.iter().position(|p| p.name.as_str() == path[depth - 1])
            else {
                break;
            };
            // Above the value itself only parents that are empty now go.
            if depth < path.len() && !hollow(&text, &parent.properties[index].value) {
                break;
            }
            cut(&text, parent, index)
        };
        text = next;
    }
    Ok(format!("{bom}{text}"))
}

/// `value` inside the objects that `path` names.
fn nest(path: &[&str], value: &Value) -> Value {
    path.iter().rev().fold(value.clone(), |inner, key| {
        Value::Object(std::iter::once(((*key).to_string(), inner)).collect())
    })
}

fn find<'t, 'a>(root: &'t ast::Object<'a>, path: &[&str]) -> Option<&'t ast::Object<'a>> {
    path.iter().try_fold(root, |object, key| match &object.get(key)?.value {
        ast::Value::Object(next) => Some(next),
        _ => None,
    })
}

fn range(value: &ast::Value<'_>) -> (usize, usize) {
    use jsonc_parser::common::Ranged;
    (value.range().start, value.range().end)
}

fn hollow(text: &str, value: &ast::Value<'_>) -> bool {
    let (start, end) = range(value);
    matches!(value, ast::Value::Object(object) if object.properties.is_empty())
        && text[start + 1..end - 1].trim().is_empty()
}

/// The text with a property added as the last of `object`.
fn insert(text: &str, object: &ast::Object<'_>, unit: &str, key: &str, value: &Value) -> String {
    let end = line_end(text);
    let close = object.range.end - 1;
    let inside = &text[object.range.start + 1..close];
    let at = object.range.start + 1 + inside.trim_end().len();
    let tail = &text[at..close];
    // The closing brace stands behind the last property on its line: then so does the new one.
    let single = !object.properties.is_empty() && !tail.contains('\n');
    let outer = indent_at(text, object.range.start);
    let inner = object
        .properties
        .iter()
        .find_map(|property| own_line_indent(text, property.range.start))
        .map_or_else(|| format!("{outer}{unit}"), ToString::to_string);
    let (comma_at, trailing) = match object.properties.last() {
        Some(last) => (Some(last.range.end), comma_after(text, last.range.end, close).is_some()),
        None => (None, false),
    };
    let mut result = String::with_capacity(text.len() + 256);
    match comma_at {
        Some(comma) if !trailing => {
            result.push_str(&text[..comma]);
            result.push(',');
            result.push_str(&text[comma..at]);
        }
        _ => result.push_str(&text[..at]),
    }
    let key = Value::from(key);
    if single {
        result.push_str(&format!(" {key}: {value}"));
    } else {
        let value = pretty(value, unit).replace('\n', &format!("{end}{inner}"));
        result.push_str(&format!("{end}{inner}{key}: {value}"));
    }
    if trailing {
        result.push(',');
    }
    if single || tail.contains('\n') {
        result.push_str(tail);
    } else {
        result.push_str(end);
        result.push_str(outer);
    }
    result.push_str(&text[close..]);
    result
}

/// The text without one property of `parent`.
fn cut(text: &str, parent: &ast::Object<'_>, index: usize) -> String {
    let close = parent.range.end - 1;
    let property = &parent.properties[index];
    let before = &text[..property.range.start];
    let own_comma = comma_after(text, property.range.end, close);
    let end = own_comma.map_or(property.range.end, |comma| comma + 1);
    let mut start = before.trim_end().len();
    let mut tail = &text[end..];
    if before[start..].contains('\n') && !tail.lines().next().unwrap_or_default().trim().is_empty() {
        // Something follows on the line: it takes the place, so that no comment above swallows it.
        start = before.len();
        tail = tail.trim_start_matches([' ', '\t']);
    }
    let mut head = text[..start].to_string();
    if own_comma.is_none() && index > 0 {
        // It was the last one without a comma behind it: then the one before loses its comma.
        let previous = parent.properties[index - 1].range.end;
        if let Some(comma) = comma_after(text, previous, property.range.start) {
            head.remove(comma);
        }
    }
    let closing = tail.trim_start();
    if start == parent.range.start + 1 && closing.starts_with('}') {
        return format!("{head}{closing}");
    }
    format!("{head}{tail}")
}

/// Where the comma between `from` and `to` stands, past white space and comments.
fn comma_after(text: &str, from: usize, to: usize) -> Option<usize> {
    let mut at = from;
    while at < to {
        let rest = &text[at..to];
        if let Some(comment) = rest.strip_prefix("//") {
            at += 2 + comment.find('\n').unwrap_or(comment.len());
        } else if let Some(comment) = rest.strip_prefix("/*") {
            at += comment.find("*/").map_or(rest.len(), |end| end + 4);
        } else if rest.starts_with(',') {
            return Some(at);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

/// White space at the beginning of the line that holds `at`.
fn indent_at(text: &str, at: usize) -> &str {
    let line = &text[text[..at].rfind('\n').map_or(0, |newline| newline + 1)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The same, when nothing else stands before `at` on its line.
fn own_line_indent(text: &str, at: usize) -> Option<&str> {
    let indent = indent_at(text, at);
    let start = text[..at].rfind('\n')? + 1;
    (start + indent.len() == at).then_some(indent)
}

/// One step of indentation, as the file has it.
fn unit(text: &str, root: &ast::Object<'_>) -> String {
    root.properties
        .iter()
        .find_map(|property| own_line_indent(text, property.range.start))
        .filter(|indent| !indent.is_empty())
        .map_or_else(|| "  ".into(), ToString::to_string)
}

fn pretty(value: &Value, unit: &str) -> String {
    use serde::Serialize;
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(unit.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value.serialize(&mut serializer).expect("a JSON value is always written to memory");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}
