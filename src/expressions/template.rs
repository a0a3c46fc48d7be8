//! Texts with `${{ … }}` inside. One expression alone keeps the type of its value; among other text it becomes text.
//! `$${{` stands for `${{` itself.

use super::functions::plain;
use super::{Expression, Fault, MAX_MADE, Scope};
use serde_json::Value;
use std::ops::Range;

/// A text cut at its expressions.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    Text(String),
    /// With the bytes of the text between `${{` and `}}`.
    Expression(Expression, Range<usize>),
}

impl Template {
    /// Cuts a text and parses its expressions.
    ///
    /// # Errors
    /// The first [`Fault`], with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut from = 0;
        while let Some(open) = text[from..].find("${{").map(|at| from + at) {
            if text[..open].ends_with('$') && open > from {
                literal.push_str(&text[from..open - 1]);
                literal.push_str("${{");
                from = open + 3;
                continue;
            }
            literal.push_str(&text[from..open]);
            let inner = inside(text, open)?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            let expression =
                Expression::parse(&text[inner.clone()]).map_err(|fault| fault.shifted(inner.start))?;
            from = inner.end + 2;
            parts.push(Part::Expression(expression, inner));
        }
        literal.push_str(&text[from..]);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// Whether there is no expression in it.
    pub fn is_constant(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// The expression it is, when it is nothing else.
    pub fn alone(&self) -> Option<(&Expression, &Range<usize>)> {
        match &self.parts[..] {
            [Part::Expression(expression, at)] => Some((expression, at)),
            _ => None,
        }
    }

    /// Its text, when there is no expression in it.
    pub fn text(&self) -> Option<String> {
        let texts = self.parts.iter().map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Expression(..) => None,
        });
        texts.collect()
    }

    /// The expressions with their places.
    pub fn expressions(&self) -> impl Iterator<Item = (&Expression, &Range<usize>)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expression(expression, at) => Some((expression, at)),
            Part::Text(_) => None,
        })
    }

    /// Its value: of any type for one expression alone, a text otherwise.
    ///
    /// # Errors
    /// [`Fault`] with its place in the text.
    pub fn render(&self, scope: &Scope<'_>) -> Result<Value, Fault> {
        if let [Part::Expression(expression, at)] = &self.parts[..] {
            return expression.evaluate(scope).map_err(|fault| fault.shifted(at.start));
        }
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Expression(expression, at) => {
                    let value = expression.evaluate(scope).map_err(|fault| fault.shifted(at.start))?;
                    text.push_str(&plain(&value));
                    if text.len() > 4 * MAX_MADE {
                        return Err(Fault::new("the text becomes larger than 4 MiB", at.clone()));
                    }
                }
            }
        }
        Ok(text.into())
    }
}

/// The bytes between the `${{` at `open` and its `}}`, which is not looked for inside quotes.
pub(super) fn inside(text: &str, open: usize) -> Result<Range<usize>, Fault> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut at = open + 3;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'\'' | b'"')) => quote = Some(byte),
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Ok(open + 3..at),
            _ => {}
        }
        at += 1;
    }
    let end = text[open..].find('\n').map_or(text.len(), |line| open + line);
    let fault = Fault::new("this `${{` has no closing `}}`", open..end);
    Err(match quote {
        Some(_) => fault.hint("a text inside it has no closing quote"),
        None => fault.hint("to write `${{` itself, double the dollar sign: `$${{`"),
    })
}
