//! A workflow document, YAML or JSON, to the model. Everything that is wrong is found at once, each with its place and
//! the nearest word that would have been right. What the words mean together is checked in `check`.

pub(super) mod inputs;
pub mod own;
pub(super) mod steps;

use super::model::{CONCURRENCY, Formula, Shape, Workflow};
pub use crate::clock::milliseconds as duration;
use crate::documents::{self, Key, Node, Position, Source, Value as Held};
use crate::error::{Error, codes};
use crate::expressions::{Expression, Fault, Masked, mask};
use serde_json::Value;

/// Most steps of one workflow, nested ones included.
pub const MAX_STEPS: usize = 10_000;
/// Deepest nesting of steps.
pub const MAX_NESTING: usize = 16;

/// Reads a document. `file` names it in errors.
///
/// # Errors
/// Every mistake that was found, each with its place.
pub fn read(file: &str, text: &str) -> Result<Workflow, Vec<Error>> {
    let masked = mask(text);
    let node = documents::parse(file, &masked.text).map_err(|error| vec![restore(error, text)])?;
    let mut reader =
        Reader { source: Source::new(file, text), masked: &masked, errors: Vec::new(), steps: 0 };
    let workflow = reader.workflow(&node);
    let mut errors = reader.errors;
    errors.sort_by_key(|error| error.span.as_ref().map(|span| (span.line, span.column)));
    if errors.is_empty() { Ok(workflow) } else { Err(errors) }
}

/// An error of the YAML reader shows the line as the user wrote it.
fn restore(mut error: Error, text: &str) -> Error {
    if let Some(span) = &mut error.span
        && let Some(line) = text.lines().nth(span.line.saturating_sub(1) as usize)
    {
        span.text = line.chars().take(200).collect();
    }
    error
}

pub(super) struct Reader<'a> {
    source: Source<'a>,
    masked: &'a Masked,
    errors: Vec<Error>,
    steps: usize,
}

pub(super) const TOP: [&str; 12] = [
    "name",
    "version",
    "description",
    "inputs",
    "steps",
    "outputs",
    "templates",
    "finally",
    "timeout",
    "max_concurrency",
    "tags",
    "$schema",
];

impl Reader<'_> {
    fn workflow(&mut self, node: &Node) -> Workflow {
        self.only(node, &TOP, "a workflow");
        let name = self.word(node, "name").unwrap_or_default();
        if node.get("name").is_none() {
            self.wrong(node.at, "a workflow needs a `name`").hint_last("name: my-workflow");
        } else if !is_name(&name) {
            let at = node.get("name").map_or(node.at, |name| name.at);
            self.wrong(at, format!("`{name}` is no name")).hint_last(
                "names have letters, digits, `-` and `_`, begin with a letter or digit and have at most 64 characters",
            );
        }
        let steps = match node.get("steps") {
            Some(steps) => self.block(steps, 0),
            None => {
                self.wrong(node.at, "a workflow needs `steps`")
                    .hint_last("steps: a list, each with an `id` and a `tool`");
                Vec::new()
            }
        };
        Workflow {
            version: self.word(node, "version").unwrap_or_else(|| "1.0.0".into()),
            description: self.word(node, "description").unwrap_or_default(),
            inputs: node.get("inputs").map(|inputs| self.inputs(inputs)).unwrap_or_default(),
            templates: self.shapes(node, "templates"),
            finally: node.get("finally").map(|steps| self.block(steps, 0)).unwrap_or_default(),
            outputs: self.shapes(node, "outputs"),
            timeout_ms: self.time(node, "timeout"),
            max_concurrency: self.count(node, "max_concurrency", 1, 256).unwrap_or(CONCURRENCY),
            name,
            steps,
        }
    }

    /// Named shapes under a key.
    fn shapes(&mut self, node: &Node, key: &str) -> Vec<(String, Shape)> {
        let Some(node) = node.get(key) else { return Vec::new() };
        if !node.is_map() {
            self.wrong(node.at, format!("`{key}` is a map of names, not {}", node.word()));
        }
        node.entries()
            .iter()
            .map(|(name, value)| (self.masked.unmask(&name.name), self.shape(value)))
            .collect()
    }

    /// Refuses keys that nothing reads.
    fn only(&mut self, node: &Node, known: &[&str], what: &str) {
        if !node.is_map() {
            self.wrong(node.at, format!("{what} is a map of keys, not {}", node.word()));
            return;
        }
        for (key, _) in node.entries() {
            if !known.contains(&key.name.as_str()) {
                self.unknown(key, known, what);
            }
        }
    }

    fn unknown(&mut self, key: &Key, known: &[&str], what: &str) {
        let name = self.masked.unmask(&key.name);
        let error = Error::new(&codes::FIELD_UNKNOWN, format!("{what} has no key `{name}`"))
            .at(self.source.span(key.at));
        self.errors.push(match documents::near(&name, known.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("known are {}", known.join(", "))),
        });
    }

    fn wrong(&mut self, at: Position, message: impl Into<String>) -> &mut Self {
        let error = self.source.invalid(at, message);
        self.errors.push(error);
        self
    }

    fn hint_last(&mut self, hint: impl Into<String>) {
        if let Some(error) = self.errors.pop() {
            self.errors.push(error.hint(hint));
        }
    }

    fn fault(&mut self, at: Position, fault: Fault) {
        // A place of zero: the expression was not masked, only its value's place is known.
        let at = if fault.at.start > 0 { self.source.position(fault.at.start) } else { at };
        self.wrong(at, fault.message);
        if let Some(hint) = fault.hint {
            self.hint_last(hint);
        }
    }

    /// A text without expressions.
    fn word(&mut self, node: &Node, key: &str) -> Option<String> {
        let value = node.get(key)?;
        let Some(text) = value.scalar() else {
            self.wrong(value.at, format!("`{key}` is a text, not {}", value.word()));
            return None;
        };
        let text = self.masked.unmask(&text);
        if text.contains("${{") {
            self.wrong(value.at, format!("`{key}` is fixed and takes no expression"));
        }
        Some(text)
    }

    fn flag(&mut self, node: &Node, key: &str) -> Option<bool> {
        let value = node.get(key)?;
        if value.as_bool().is_none() {
            self.wrong(value.at, format!("`{key}` is true or false, not {}", value.word()));
        }
        value.as_bool()
    }

    fn count(&mut self, node: &Node, key: &str, least: usize, most: usize) -> Option<usize> {
        let value = node.get(key)?;
        let number = match &value.value {
            Held::Number(number, _) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.wrong(value.at, format!("`{key}` is a whole number from {least} to {most}"));
        }
        number
    }

    fn time(&mut self, node: &Node, key: &str) -> Option<u64> {
        let value = node.get(key)?;
        let ms = value.scalar().as_deref().and_then(duration);
        if ms.is_none() {
            self.wrong(
                value.at,
                format!("`{key}` is a time such as `30s`, `5m`, `2h` or a number of seconds"),
            );
        }
        ms
    }

    /// A value with expressions.
    fn shape(&mut self, node: &Node) -> Shape {
        match &node.value {
            Held::Text(text) => match self.masked.template(text, 0) {
                Ok(template) if template.is_constant() => Shape::Constant(Value::String(constant(&template))),
                Ok(template) => Shape::Text(template),
                Err(fault) => {
                    self.fault(node.at, fault);
                    Shape::Constant(Value::Null)
                }
            },
            Held::List(items) => {
                let shapes: Vec<Shape> = items.iter().map(|item| self.shape(item)).collect();
                folded(shapes)
            }
            Held::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| (self.masked.unmask(&key.name), self.shape(value)))
                    .collect();
                Shape::Map(entries)
            }
            _ => Shape::Constant(node.to_json()),
        }
    }

    /// One expression, with or without `${{ }}`; a constant counts too.
    fn formula(&mut self, node: &Node, key: &str) -> Option<Formula> {
        if let Held::Bool(_) | Held::Number(..) | Held::List(_) = &node.value {
            let source = node.to_json().to_string();
            let expression = Expression::parse(&source);
            return match expression {
                Ok(expression) => Some(Formula { expression, at: 0..0 }),
                Err(fault) => {
                    self.fault(node.at, Fault { at: 0..0, ..fault });
                    None
                }
            };
        }
        let Some(text) = node.as_str() else {
            self.wrong(node.at, format!("`{key}` is an expression, not {}", node.word()));
            return None;
        };
        let bare = !self.masked.unmask(text).contains("${{");
        if bare {
            return match Expression::parse(text) {
                Ok(expression) => Some(Formula { expression, at: 0..0 }),
                Err(fault) => {
                    self.fault(node.at, Fault { at: 0..0, ..fault });
                    None
                }
            };
        }
        match self.masked.template(text, 0) {
            Ok(template) => match template.alone() {
                Some((expression, at)) => Some(Formula { expression: expression.clone(), at: at.clone() }),
                None => {
                    self.wrong(node.at, format!("`{key}` is one expression, with nothing around it"));
                    None
                }
            },
            Err(fault) => {
                self.fault(node.at, fault);
                None
            }
        }
    }
}

fn constant(template: &crate::expressions::Template) -> String {
    template.text().unwrap_or_default()
}

/// A list of constants is a constant.
fn folded(shapes: Vec<Shape>) -> Shape {
    if shapes.iter().all(|shape| matches!(shape, Shape::Constant(_))) {
        let values = shapes.into_iter().map(|shape| match shape {
            Shape::Constant(value) => value,
            _ => Value::Null,
        });
        return Shape::Constant(values.collect());
    }
    Shape::List(shapes)
}

/// Names of workflows, steps and inputs.
pub fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
