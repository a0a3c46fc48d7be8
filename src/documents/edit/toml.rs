//! Edits of TOML texts: a table of ours is a block of lines at the end, taken away by its byte range.
//! Where the file already holds the parent in another shape (inline, dotted), the TOML crate edits it.

use super::{line_end, split_bom};
use crate::documents::{Source, toml::document};
use crate::error::Result;
use serde_json::Value;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value as TomlValue};

/// Puts `value` at `path`; see [`super::set`]. A map becomes a table of its own.
pub fn set(file: &str, text: &str, path: &[&str], value: &Value) -> Result<String> {
    let text = &remove(file, text, path)?;
    let (bom, body) = split_bom(text);
    if value.is_object() && block_fits(file, body, path)? {
        let end = line_end(body);
        let gap = match body {
            "" => String::new(),
            _ if body.ends_with('\n') => end.into(),
            _ => format!("{end}{end}"),
        };
        return Ok(format!("{bom}{body}{gap}{}", block(path, value).replace('\n', end)));
    }
    let mut document = editable(file, body)?;
    let Some((last, parents)) = path.split_last() else { return Ok(text.clone()) };
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for key in parents {
        let item = table.entry(key).or_insert(Item::Table(Table::new()));
        table = item.as_table_like_mut().ok_or_else(|| {
            let source = Source::new(file, body);
            source.invalid(source.position(0), format!("`{key}` does not hold a table"))
        })?;
    }
    table.insert(last, Item::Value(to_toml(value)));
    Ok(format!("{bom}{document}"))
}

/// Takes the table or value at `path` away; see [`super::remove`].
pub fn remove(file: &str, text: &str, path: &[&str]) -> Result<String> {
    let (bom, body) = split_bom(text);
    let source = Source::new(file, body);
    let parsed = document(&source)?;
    let found = path.iter().try_fold(parsed.as_item(), |item, key| item.as_table_like()?.get(key));
    match found {
        None => Ok(text.into()),
        Some(Item::Table(table)) if !table.is_implicit() && !table.is_dotted() => {
            let Some(start) = table.span().map(|span| span.start) else {
                return by_crate(file, bom, body, path);
            };
            let stop = end_of(table).max(start);
            let stop = body[stop..].find('\n').map_or(body.len(), |newline| stop + newline + 1);
            Ok(format!("{bom}{}", without_lines(body, start, stop)))
        }
        Some(_) => by_crate(file, bom, body, path),
    }
}

/// The text without the lines of a block, and without the blank line that set it apart.
fn without_lines(text: &str, start: usize, stop: usize) -> String {
    let start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let head = &text[..start];
    let blank = ["\r\n", "\n"].iter().find_map(|end| {
        let shorter = head.strip_suffix(end)?;
        (shorter.is_empty() || shorter.ends_with('\n')).then_some(shorter)
    });
    format!("{}{}", blank.unwrap_or(head), &text[stop..])
}

fn by_crate(file: &str, bom: &str, body: &str, path: &[&str]) -> Result<String> {
    let mut document = editable(file, body)?;
    remove_in(document.as_table_mut(), path);
    Ok(format!("{bom}{document}"))
}

/// Removes and tells whether the table is empty now.
fn remove_in(table: &mut dyn TableLike, path: &[&str]) -> bool {
    match path {
        [] => {}
        [last] => {
            table.remove(last);
        }
        [first, rest @ ..] => {
            let empty = table
                .get_mut(first)
                .and_then(Item::as_table_like_mut)
                .is_some_and(|inner| remove_in(inner, rest));
            if empty {
                table.remove(first);
            }
        }
    }
    table.is_empty()
}

fn editable(file: &str, body: &str) -> Result<DocumentMut> {
    let source = Source::new(file, body);
    Ok(document(&source)?.into_mut())
}

/// Whether `[a.b.c]` can follow at the end: every parent is missing or written as a table with a header.
fn block_fits(file: &str, body: &str, path: &[&str]) -> Result<bool> {
    let source = Source::new(file, body);
    let parsed = document(&source)?;
    let mut item = parsed.as_item();
    for key in path {
        match item.as_table_like().and_then(|table| table.get(key)) {
            None => return Ok(true),
            Some(next @ Item::Table(table)) if !table.is_dotted() => item = next,
            Some(_) => return Ok(false),
        }
    }
    Ok(true)
}

/// End of the last thing in a table, tables below it included.
fn end_of(table: &Table) -> usize {
    let own = table.span().map_or(0, |span| span.end);
    table.iter().fold(own, |end, (_, item)| match item {
        Item::Table(inner) => end.max(end_of(inner)),
        Item::ArrayOfTables(tables) => tables.iter().fold(end, |end, inner| end.max(end_of(inner))),
        other => end.max(other.span().map_or(0, |span| span.end)),
    })
}

/// A table with its header: plain values first, then maps as tables of their own.
fn block(path: &[&str], value: &Value) -> String {
    let mut table = Table::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        let item = match value {
            Value::Object(inner) => {
                Item::Table(inner.iter().map(|(k, v)| (k.as_str(), to_toml(v))).collect())
            }
            other => Item::Value(to_toml(other)),
        };
        table.insert(key, item);
    }
    let mut document = DocumentMut::new();
    let mut parent = document.as_table_mut();
    let Some((last, parents)) = path.split_last() else { return String::new() };
    for key in parents {
        let mut implicit = Table::new();
        implicit.set_implicit(true);
        let item = parent.entry(key).or_insert(Item::Table(implicit));
        parent = item.as_table_mut().expect("a table was just put there");
    }
    parent.insert(last, Item::Table(table));
    document.to_string()
}

fn to_toml(value: &Value) -> TomlValue {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| number.as_f64().unwrap_or_default().into(), Into::into)
        }
        Value::String(text) => text.as_str().into(),
        // TOML has no null; none of our entries holds one.
        Value::Null => "".into(),
        Value::Array(items) => items.iter().map(to_toml).collect::<Array>().into(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (key.as_str(), to_toml(value))).collect::<InlineTable>().into()
        }
    }
}
