//! Edits of YAML texts, line by line: an entry under a mapping (or list) at the top of the file.
//! Not a general YAML editor: a path has two keys, and the parent must be written in block style.

use super::{line_end, rest, split_bom, unsafe_edit};
use crate::documents::{Node, Source, Value as NodeValue, limits, write_yaml, yaml};
use crate::error::Result;
use serde_json::Value;

/// Puts `value` at `path` (two keys); see [`super::set`].
pub fn set(file: &str, text: &str, path: &[&str], value: &Value) -> Result<String> {
    let [parent, key] = path else { return Err(unsupported(file, text)) };
    let text = remove(file, text, path)?;
    let entry = serde_json::json!({ *key: value });
    put(file, &text, parent, &write_yaml(&entry)?)
}

/// Takes the entry at `path` (two keys) away; see [`super::remove`].
pub fn remove(file: &str, text: &str, path: &[&str]) -> Result<String> {
    let [parent, key] = path else { return Err(unsupported(file, text)) };
    let root = yaml::parse(&Source::new(file, text))?;
    let Some(index) =
        root.get(parent).and_then(|node| node.entries().iter().position(|(name, _)| name.name == *key))
    else {
        return Ok(text.into());
    };
    take(file, text, parent, index)
}

/// Puts an item into the list under the top-level key `parent`, in place of one with the same `name`.
pub fn set_item(file: &str, text: &str, parent: &str, item: &Value) -> Result<String> {
    let name = item["name"].as_str().unwrap_or_default();
    let (before, old) = others(file, text, parent, name)?;
    if old.as_ref() == Some(item) {
        return Ok(text.into());
    }
    let without = remove_item(file, text, parent, name)?;
    let edited = put(file, &without, parent, &write_yaml(&[item])?)?;
    match others(file, &edited, parent, name) {
        Ok((after, Some(new))) if after == before && new == *item => Ok(edited),
        _ => Err(unsafe_edit(file, text)),
    }
}

/// Takes the item called `name` out of the list under the top-level key `parent`.
pub fn remove_item(file: &str, text: &str, parent: &str, name: &str) -> Result<String> {
    let root = yaml::parse(&Source::new(file, text))?;
    let called = |item: &Node| item.get("name").and_then(Node::as_str) == Some(name);
    let Some(index) = root.get(parent).and_then(|node| node.items().iter().position(called)) else {
        return Ok(text.into());
    };
    let (before, _) = others(file, text, parent, name)?;
    let edited = take(file, text, parent, index)?;
    match others(file, &edited, parent, name) {
        Ok((after, None)) if after == before => Ok(edited),
        _ => Err(unsafe_edit(file, text)),
    }
}

/// The document without the item called `name`, and that item.
fn others(file: &str, text: &str, parent: &str, name: &str) -> Result<(Value, Option<Value>)> {
    let mut root = yaml::parse(&Source::new(file, text))?.to_json();
    let mut found = None;
    if let Some(items) = root.get_mut(parent).and_then(Value::as_array_mut) {
        let index = items.iter().position(|item| item["name"] == name);
        found = index.map(|index| items.remove(index));
    }
    Ok((rest(root, &[parent, ""]), found))
}

fn unsupported(file: &str, text: &str) -> crate::error::Error {
    let source = Source::new(file, text);
    source.invalid(source.position(0), "umcp edits YAML only below one key at the top")
}

/// Adds the lines of `block` at the end of what `parent` holds.
fn put(file: &str, text: &str, parent: &str, block: &str) -> Result<String> {
    let (bom, body) = split_bom(text);
    let source = Source::new(file, body);
    let root = yaml::parse(&source)?;
    if !root.is_map() {
        return Err(unsupported(file, text));
    }
    let end = line_end(body);
    let lines = Lines::of(body);
    let Some((key, node)) = root.entries().iter().find(|(key, _)| key.name == parent) else {
        if !root.entries().is_empty() && root.entries()[0].0.at.column != 1 {
            return Err(unsupported(file, text));
        }
        let gap = if body.is_empty() || body.ends_with('\n') { "" } else { end };
        let at = lines.document_end(&root);
        let (head, tail) = body.split_at(at);
        return Ok(format!("{bom}{head}{gap}{parent}:{end}{}{tail}", indented(block, "  ", end)));
    };
    let line = key.at.line as usize - 1;
    let children = columns(&lines, node);
    let fits = match &node.value {
        NodeValue::Null => true,
        NodeValue::List(items) => items.is_empty() || block.starts_with('-'),
        NodeValue::Map(entries) => entries.is_empty() || !block.starts_with('-'),
        _ => false,
    };
    if !fits {
        return Err(
            source.invalid(key.at, format!("`{parent}` holds {}, so umcp cannot add to it", node.word()))
        );
    }
    if let Some(first) = children.first() {
        if first.0 == line {
            let at = node.at;
            return Err(source
                .invalid(at, format!("`{parent}` is written on one line; umcp edits only the block style")));
        }
        let at = lines.block_end(line, lines.limit(&root, line), first.1);
        let head = &body[..at];
        let gap = if head.ends_with('\n') { "" } else { end };
        return Ok(format!("{bom}{head}{gap}{}{}", indented(block, &" ".repeat(first.1), end), &body[at..]));
    }
    let filled = fill(lines.get(line), &indented(block, "  ", end), end);
    let (start, stop) = (lines.offset(line), lines.offset(line + 1));
    Ok(format!("{bom}{}{filled}{}", &body[..start], &body[stop..]))
}

/// The line of an empty parent (`parent:`, `parent: {}`, `parent: []`, perhaps with a comment) with a block below.
fn fill(line: &str, block: &str, end: &str) -> String {
    let (head, rest) = line.split_at(line.find(':').map_or(line.len(), |colon| colon + 1));
    let rest = rest.trim_end_matches(['\r', '\n']);
    let comment = rest.find('#').map_or(String::new(), |at| format!(" {}", &rest[at..]));
    format!("{head}{comment}{end}{block}")
}

/// Takes the lines of one child of `parent` away; with the last child the parent goes too.
fn take(file: &str, text: &str, parent: &str, index: usize) -> Result<String> {
    let (bom, body) = split_bom(text);
    let source = Source::new(file, body);
    let root = yaml::parse(&source)?;
    let lines = Lines::of(body);
    let Some((key, node)) = root.entries().iter().find(|(key, _)| key.name == parent) else {
        return Ok(text.into());
    };
    let children = columns(&lines, node);
    let (line, column) = children[index];
    let parent_line = key.at.line as usize - 1;
    if line == parent_line || children.iter().filter(|child| child.0 == line).count() > 1 {
        let message = format!("`{parent}` is written on one line; umcp edits only the block style");
        return Err(source.invalid(node.at, message));
    }
    let whole = children.len() == 1;
    let stop = match children.get(index + 1) {
        // Comments above the next child belong to it.
        Some(next) => lines.without_comments_above(next.0, line),
        None => lines.block_end(line, lines.limit(&root, parent_line), column + 1),
    };
    let start = lines.starts[if whole { parent_line } else { line }];
    // Comments of the user's between parent and child are not ours to take.
    if whole && lines.between(parent_line, line).contains('#') {
        let empty = format!("{parent}: {{}}{}", line_end(body));
        let kept = lines.between(parent_line, line);
        return Ok(format!("{bom}{}{empty}{kept}{}", &body[..start], &body[stop..]));
    }
    Ok(format!("{bom}{}{}", &body[..start], &body[stop..]))
}

/// Line index and indentation of each child. A list's item begins at its dash.
fn columns(lines: &Lines<'_>, node: &Node) -> Vec<(usize, usize)> {
    match &node.value {
        NodeValue::Map(entries) => {
            entries.iter().map(|(key, _)| (key.at.line as usize - 1, key.at.column as usize - 1)).collect()
        }
        NodeValue::List(items) => items
            .iter()
            .map(|item| {
                let below = item.at.line as usize - 1;
                let dashed = |line: &usize| lines.get(*line).trim_start().starts_with('-');
                let line = (0..=below).rev().find(dashed).unwrap_or(below);
                (line, Lines::indent(lines.get(line)))
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn indented(block: &str, indent: &str, end: &str) -> String {
    block.lines().map(|line| format!("{indent}{line}{end}")).collect()
}

/// The lines of a text by index.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1).filter(|at| *at < text.len());
        Self { text: limits::without_bom(text), starts: std::iter::once(0).chain(ends).collect() }
    }

    fn get(&self, line: usize) -> &'a str {
        let stop = self.starts.get(line + 1).copied().unwrap_or(self.text.len());
        &self.text[self.starts[line]..stop]
    }

    fn offset(&self, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or(self.text.len())
    }

    fn between(&self, above: usize, below: usize) -> &'a str {
        &self.text[self.offset(above + 1)..self.offset(below)]
    }

    fn indent(line: &str) -> usize {
        line.len() - line.trim_start_matches(' ').len()
    }

    /// Offset behind the last line between `line` and `limit` that is neither blank nor a comment indented by
    /// less than `indent`: those belong to what follows.
    fn block_end(&self, line: usize, limit: usize, indent: usize) -> usize {
        let own = |index: &usize| {
            let text = self.get(*index);
            let comment = text.trim_start().starts_with('#') && Self::indent(text) < indent;
            !(text.trim().is_empty() || comment)
        };
        self.offset((line + 1..limit).rev().find(own).unwrap_or(line) + 1)
    }

    /// The line of the entry at the top that follows the one at `line`, or where the document ends.
    fn limit(&self, root: &Node, line: usize) -> usize {
        let next =
            root.entries().iter().map(|(key, _)| key.at.line as usize - 1).filter(|at| *at > line).min();
        let marker = || (line + 1..self.starts.len()).find(|at| self.get(*at).trim_end() == "...");
        next.or_else(marker).unwrap_or(self.starts.len())
    }

    /// Offset of the first of the comment and blank lines directly above `line`, not above `floor`.
    fn without_comments_above(&self, line: usize, floor: usize) -> usize {
        let mut at = line;
        while at > floor + 1 && matches!(self.get(at - 1).trim_start().bytes().next(), None | Some(b'#')) {
            at -= 1;
        }
        self.offset(at)
    }

    /// Where new top-level lines go: before a `...` that ends the document, else at the end.
    fn document_end(&self, root: &Node) -> usize {
        let opened =
            (0..self.starts.len()).filter(|line| self.get(*line).starts_with("---")).map(|line| line + 1);
        let last =
            root.entries().iter().map(|(key, _)| key.at.line as usize).chain(opened).max().unwrap_or(0);
        let end = (last..self.starts.len()).find(|line| self.get(*line).trim_end() == "...");
        end.map_or(self.text.len(), |line| self.starts[line])
    }
}
