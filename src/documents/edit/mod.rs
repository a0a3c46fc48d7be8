//! Edits of other programs' files that leave everything else as it was, byte for byte: comments, order,
//! indentation, line ends, unknown keys. They work on the text, guided by a parse, and check their own result.
//! Rule: `remove` takes back exactly what `set` put in; emptied parents go too.

pub mod json;
pub mod toml;
pub mod yaml;

use super::{Format, limits, parse_as};
use crate::error::{Error, Result};
use serde_json::Value;

/// Puts a value at a path of keys, creating missing parents; the same value there already: the text as it was.
/// `file` is for messages only.
pub fn set(format: Format, file: &str, text: &str, path: &[&str], value: &Value) -> Result<String> {
    let before = parse_as(format, file, text)?.to_json();
    if at(&before, path) == Some(value) {
        return Ok(text.into());
    }
    let edited = match format {
        Format::Json => json::set(file, text, path, value)?,
        Format::Toml => toml::set(file, text, path, value)?,
        Format::Yaml => yaml::set(file, text, path, value)?,
    };
    let after = parse_as(format, file, &edited).map_err(|_| unsafe_edit(file, text))?.to_json();
    if at(&after, path) == Some(value) && rest(before, path) == rest(after, path) {
        return Ok(edited);
    }
    Err(unsafe_edit(file, text))
}

/// Takes the value at a path of keys away, and parents that hold nothing else. No such value: the text as it was.
pub fn remove(format: Format, file: &str, text: &str, path: &[&str]) -> Result<String> {
    let before = parse_as(format, file, text)?.to_json();
    if at(&before, path).is_none() {
        return Ok(text.into());
    }
    let edited = match format {
        Format::Json => json::remove(file, text, path)?,
        Format::Toml => toml::remove(file, text, path)?,
        Format::Yaml => yaml::remove(file, text, path)?,
    };
    let after = parse_as(format, file, &edited).map_err(|_| unsafe_edit(file, text))?.to_json();
    if at(&after, path).is_none() && rest(before, path) == rest(after, path) {
        return Ok(edited);
    }
    Err(unsafe_edit(file, text))
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// Everything but the value at a path and the parents that hold nothing else.
fn rest(mut value: Value, path: &[&str]) -> Value {
    if let ([key, below @ ..], Some(map)) = (path, value.as_object_mut())
        && let Some(inner) = map.remove(*key)
        && !below.is_empty()
    {
        let inner = rest(inner, below);
        let empty = inner.is_null()
            || inner.as_object().is_some_and(serde_json::Map::is_empty)
            || inner.as_array().is_some_and(Vec::is_empty);
        if !empty {
            map.insert((*key).into(), inner);
        }
    }
    value
}

/// The result of an edit was not what it should be: the file is written in a way the editor does not master.
fn unsafe_edit(file: &str, text: &str) -> Error {
    let source = super::Source::new(file, text);
    source
        .invalid(source.position(0), format!("umcp cannot edit `{file}` safely, so it was left as it is"))
        .hint("make the change by hand")
}

/// The line end a text uses.
fn line_end(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// The byte order mark, if there is one, and the rest.
fn split_bom(text: &str) -> (&str, &str) {
    let rest = limits::without_bom(text);
    text.split_at(text.len() - rest.len())
}

#[cfg(test)]
mod tests;
