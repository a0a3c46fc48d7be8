//! The one loader of files that people write: YAML, JSON, JSONC and TOML, with limits and positions.
//! It knows no noun; a noun describes its file with serde or walks the [`Node`] tree.
//! Rule: whatever is refused is refused with file, line, column and the line itself.

pub mod diff;
pub mod edit;
mod json;
pub mod large;
pub mod limits;
mod near;
pub mod node;
mod read;
mod toml;
mod yaml;

use crate::error::{Error, Result, Span, codes};
use serde::de::DeserializeOwned;
use std::cell::Cell;

pub use limits::read_file;
pub use near::near;
pub use node::{Key, Node, Position, Value};
pub use yaml::write as write_yaml;

/// The languages the loader reads. JSON always takes comments and trailing commas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Json,
    Toml,
}

impl Format {
    /// The format by the extension of `path`, else by the look of `text`.
    pub fn of(path: &str, text: &str) -> Self {
        let extension =
            path.rsplit(['/', '\\']).next().and_then(|name| name.rsplit_once('.')).map(|pair| pair.1);
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json" | "jsonc" | "json5") => Self::Json,
            Some("toml") => Self::Toml,
            _ => Self::sniff(text),
        }
    }

    fn sniff(text: &str) -> Self {
        let text = limits::without_bom(text);
        let line = text
            .lines()
            .map(str::trim)
            .find(|line| !(line.is_empty() || line.starts_with('#')))
            .unwrap_or_default();
        let table = |line: &str| {
            line.starts_with('[')
                && line.trim_end_matches(']').len() < line.len()
                && !line.contains(['{', ',', ':'])
        };
        let assigns = |line: &str| {
            line.split_once('=').is_some_and(|(key, _)| {
                let key = key.trim();
                !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.\"'".contains(c))
            })
        };
        if line.starts_with('{') || line.starts_with("//") || line.starts_with("/*") {
            Self::Json
        } else if table(line) || assigns(line) {
            Self::Toml
        } else if line.starts_with('[') {
            Self::Json
        } else {
            Self::Yaml
        }
    }
}

/// Reads a document into `T`. Unknown fields are refused where `T` denies them, with the nearest known name.
pub fn load<T: DeserializeOwned>(path: &str, text: &str) -> Result<T> {
    let node = parse(path, text)?;
    node::into_typed(&Source::new(path, text), &node)
}

/// Reads a document into a tree that knows where each value stands. An empty file is an empty map.
pub fn parse(path: &str, text: &str) -> Result<Node> {
    parse_as(Format::of(path, text), path, text)
}

/// The same for a known format.
pub fn parse_as(format: Format, path: &str, text: &str) -> Result<Node> {
    limits::check(path, text)?;
    let source = Source::new(path, text);
    match format {
        Format::Yaml => yaml::parse(&source),
        Format::Json => json::parse(&source),
        Format::Toml => toml::parse(&source),
    }
}

/// Reads a document into plain JSON, for callers that need no positions.
pub fn parse_value(path: &str, text: &str) -> Result<serde_json::Value> {
    parse(path, text).map(|node| node.to_json())
}

/// A text and the name of its file, to build errors that show the place.
#[derive(Debug)]
pub struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
    /// Offset of each line's first byte.
    starts: Vec<usize>,
    /// The last place asked for (line, offset, column): asking in order stays linear on one very long line.
    last: Cell<(usize, usize, usize)>,
}

impl<'a> Source<'a> {
    pub fn new(file: &'a str, text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { file, text, starts: std::iter::once(0).chain(ends).collect(), last: Cell::default() }
    }

    /// The place as errors show it; a very long line is cut.
    pub fn span(&self, at: Position) -> Span {
        let line = self.text.lines().nth(at.line.saturating_sub(1) as usize).unwrap_or_default();
        let text = limits::without_bom(line).chars().take(200).collect();
        Span { file: self.file.into(), line: at.line, column: at.column, text }
    }

    /// An error of the kind "this file is not what it should be", at a place.
    pub fn invalid(&self, at: Position, message: impl Into<String>) -> Error {
        Error::new(&codes::FILE_INVALID, message).at(self.span(at))
    }

    /// Line and column of a byte offset into the text.
    pub fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let (last_line, last_offset, last_column) = self.last.get();
        let (from, column) = if last_line == line && last_offset <= offset {
            (last_offset, last_column)
        } else {
            (self.starts[line - 1], 0)
        };
        let passed = limits::without_bom(self.text.get(from..offset).unwrap_or_default());
        let column = column + passed.chars().count();
        self.last.set((line, offset, column));
        Position { line: limits::small(line), column: limits::small(column + 1) }
    }
}

#[cfg(test)]
mod tests;
