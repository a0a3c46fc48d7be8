//! A document whose expressions are hidden from YAML behind placeholders of the same length: every line, column and
//! byte offset still holds, and `[${{ a }}]` or `${{ a ? 1 : 2 }}` need no quotes. Not a YAML reader.

use super::template::{Part, Template, inside};
use super::{Expression, Fault};

/// A masked document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    pub text: String,
    /// What every placeholder begins with; empty when there is none.
    mark: String,
    hidden: Vec<Hidden>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hidden {
    placeholder: String,
    original: String,
    /// Where it stands in the document.
    at: usize,
}

/// Hides the expressions of a document. What does not close on its line, or is too short for a placeholder, stays.
pub fn mask(document: &str) -> Masked {
    let letters = "QZJVWKYGBHDFNPRSTLMCXAEIOU";
    let mark =
        letters.chars().map(|letter| format!("X{letter}")).find(|mark| !document.contains(mark.as_str()));
    let Some(mark) = mark else {
        return Masked { text: document.into(), mark: String::new(), hidden: Vec::new() };
    };
    let mut text = String::with_capacity(document.len());
    let mut hidden: Vec<Hidden> = Vec::new();
    let mut from = 0;
    while let Some(open) = document[from..].find("${{").map(|at| from + at) {
        text.push_str(&document[from..open]);
        let line = document[open..].find('\n').map_or(document.len(), |end| open + end);
        let end = inside(&document[..line], open).map_or(open + 3, |inner| inner.end + 2);
        let original = &document[open..end];
        let word = format!("{mark}{:x}", hidden.len());
        match original.len().checked_sub(word.len() + 1) {
            Some(padding) if end > open + 3 => {
                let placeholder = format!("{word}{}x", "z".repeat(padding));
                text.push_str(&placeholder);
                hidden.push(Hidden { placeholder, original: original.into(), at: open });
            }
            _ => text.push_str(original),
        }
        from = end;
    }
    text.push_str(&document[from..]);
    Masked { text, mark, hidden }
}

impl Masked {
    /// A text of the masked document with its expressions put back.
    pub fn unmask(&self, text: &str) -> String {
        let mut whole = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, hidden, after)) = self.next(rest) {
            whole.push_str(before);
            whole.push_str(&hidden.original);
            rest = after;
        }
        whole.push_str(rest);
        whole
    }

    /// A text of the masked document as a template whose places are bytes of the document. `fallback` stands for
    /// what was not masked.
    ///
    /// # Errors
    /// The first [`Fault`] of its expressions.
    pub fn template(&self, text: &str, fallback: usize) -> Result<Template, Fault> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        let mut literal = String::new();
        while let Some((before, hidden, after)) = self.next(rest) {
            rest = after;
            if let Some(before) = before.strip_suffix('$') {
                // `$${{`: the text itself, not looked at again.
                literal.push_str(before);
                unmasked(&mut parts, &mut literal, fallback)?;
                parts.push(Part::Text(hidden.original.clone()));
                continue;
            }
            literal.push_str(before);
            unmasked(&mut parts, &mut literal, fallback)?;
            let inner = hidden.at + 3..hidden.at + hidden.original.len() - 2;
            let source = &hidden.original[3..hidden.original.len() - 2];
            let expression = Expression::parse(source).map_err(|fault| fault.shifted(inner.start))?;
            parts.push(Part::Expression(expression, inner));
        }
        literal.push_str(rest);
        unmasked(&mut parts, &mut literal, fallback)?;
        if parts.is_empty() {
            parts.push(Part::Text(String::new()));
        }
        Ok(Template { parts })
    }

    /// What stands before the first placeholder of a text, what it hides, and what stands behind it.
    fn next<'a, 't>(&'a self, text: &'t str) -> Option<(&'t str, &'a Hidden, &'t str)> {
        if self.mark.is_empty() {
            return None;
        }
        let mut from = 0;
        while let Some(at) = text[from..].find(&self.mark).map(|at| from + at) {
            let digits = &text[at + self.mark.len()..];
            let length = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
            let hidden =
                usize::from_str_radix(&digits[..length], 16).ok().and_then(|place| self.hidden.get(place));
            if let Some(hidden) = hidden.filter(|hidden| text[at..].starts_with(&hidden.placeholder)) {
                return Some((&text[..at], hidden, &text[at + hidden.placeholder.len()..]));
            }
            from = at + self.mark.len();
        }
        None
    }
}

/// Text that was not masked may still hold expressions: ones that were too short, or that span lines.
fn unmasked(parts: &mut Vec<Part>, literal: &mut String, fallback: usize) -> Result<(), Fault> {
    if literal.is_empty() {
        return Ok(());
    }
    let text = std::mem::take(literal);
    if !text.contains("${{") {
        parts.push(Part::Text(text));
        return Ok(());
    }
    let at = |_| fallback..fallback;
    let template = Template::parse(&text).map_err(|fault| Fault { at: at(fault.at.start), ..fault })?;
    parts.extend(template.parts.into_iter().map(|part| match part {
        Part::Expression(expression, place) => Part::Expression(expression, at(place.start)),
        text => text,
    }));
    Ok(())
}
