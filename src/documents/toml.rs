//! TOML into a [`Node`]. The only file, with `edit/toml.rs`, that names the TOML crate.
//! Dates become texts; `inf` and `nan` are refused. The crate itself refuses duplicate keys.

use super::limits::{check_depth, without_bom};
use super::{Key, Node, Position, Source, Value};
use crate::error::Result;
use toml_edit::{Document, Item, Table, TableLike, Value as TomlValue};

/// Parses one document.
pub fn parse(source: &Source<'_>) -> Result<Node> {
    let document = document(source)?;
    let shift = source.text.len() - without_bom(source.text).len();
    Walk { source, shift }.table(document.as_table(), Position { line: 1, column: 1 }, 0)
}

/// The crate's document, with byte ranges into the text behind the byte order mark.
pub(super) fn document<'a>(source: &Source<'a>) -> Result<Document<&'a str>> {
    let text = without_bom(source.text);
    Document::parse(text).map_err(|error| {
        let shift = source.text.len() - text.len();
        let at = source.position(shift + error.span().map_or(0, |span| span.start));
        source.invalid(at, error.message().lines().next().unwrap_or("not valid TOML").to_string())
    })
}

struct Walk<'a> {
    source: &'a Source<'a>,
    shift: usize,
}

impl Walk<'_> {
    fn place(&self, span: Option<std::ops::Range<usize>>, otherwise: Position) -> Position {
        span.map_or(otherwise, |span| self.source.position(self.shift + span.start))
    }

    fn table(&self, table: &Table, at: Position, depth: usize) -> Result<Node> {
        check_depth(self.source, at, depth)?;
        let mut entries = Vec::with_capacity(table.len());
        for (name, item) in table.iter() {
            entries.push(self.entry(name, table, item, at, depth)?);
        }
        Ok(Node { value: Value::Map(entries), at })
    }

    fn entry(
        &self,
        name: &str,
        table: &dyn TableLike,
        item: &Item,
        at: Position,
        depth: usize,
    ) -> Result<(Key, Node)> {
        let at = self.place(table.key(name).and_then(toml_edit::Key::span), at);
        Ok((Key { name: name.into(), at }, self.item(item, at, depth + 1)?))
    }

    fn item(&self, item: &Item, at: Position, depth: usize) -> Result<Node> {
        let at = self.place(item.span(), at);
        match item {
            Item::None => Ok(Node { value: Value::Null, at }),
            Item::Value(value) => self.value(value, at, depth),
            Item::Table(table) => self.table(table, at, depth),
            Item::ArrayOfTables(tables) => {
                let items =
                    tables.iter().map(|table| self.table(table, self.place(table.span(), at), depth + 1));
                Ok(Node { value: Value::List(items.collect::<Result<_>>()?), at })
            }
        }
    }

    fn value(&self, value: &TomlValue, at: Position, depth: usize) -> Result<Node> {
        let at = self.place(value.span(), at);
        check_depth(self.source, at, depth)?;
        let written = || value.span().and_then(|span| without_bom(self.source.text).get(span)).unwrap_or("");
        let value = match value {
            TomlValue::String(text) => Value::Text(text.value().clone()),
            TomlValue::Integer(number) => Value::Number((*number.value()).into(), written().into()),
            TomlValue::Float(number) => Value::Number(
                serde_json::Number::from_f64(*number.value())
                    .ok_or_else(|| self.source.invalid(at, "a number must be finite"))?,
                written().into(),
            ),
            TomlValue::Boolean(value) => Value::Bool(*value.value()),
            TomlValue::Datetime(time) => Value::Text(time.value().to_string()),
            TomlValue::Array(items) => {
                Value::List(items.iter().map(|item| self.value(item, at, depth + 1)).collect::<Result<_>>()?)
            }
            TomlValue::InlineTable(table) => {
                let mut entries = Vec::with_capacity(table.len());
                for (name, value) in table.iter() {
                    let key = Key {
                        name: name.into(),
                        at: self.place(table.key(name).and_then(|key| key.span()), at),
                    };
                    let node = self.value(value, key.at, depth + 1)?;
                    entries.push((key, node));
                }
                Value::Map(entries)
            }
        };
        Ok(Node { value, at })
    }
}
