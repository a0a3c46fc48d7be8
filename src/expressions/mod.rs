//! `${{ … }}`: the small language in which workflows and schedules refer to values and decide.
//! Paths, literals, operators and a closed list of functions; no loops, no definitions, no side effects.
//! Rule: everything is bounded (4 KiB of source, depth 64, 100,000 steps, 1 MiB of text made), every error names the
//! bytes it is about, and an unknown name is an error, never an empty value.
//!
//! Grammar, loosest first: `c ? a : b`, `a ?? b`, `||`, `&&`, `== !=`, `< <= > >=`, `+ -`, `* / %`, `! -`, then
//! `a.name`, `a[i]`, `a['key']`, `f(a, b)`, `(a)`, `[a, b]` and literals (`'text'`, `"text"`, 12, 1.5, true, false,
//! null). A hyphen glued to a name belongs to it (`steps.create-account`), so a minus needs blanks around it.

mod evaluate;
mod functions;
mod lexer;
mod mask;
mod numbers;
mod parser;
mod template;

pub use evaluate::{Names, Scope};
pub use mask::{Masked, mask};
pub use parser::{Expression, Step};
pub use template::Template;

use std::ops::Range;

/// Longest expression, in bytes.
pub const MAX_SOURCE: usize = 4096;
/// Deepest nesting of an expression.
pub const MAX_DEPTH: usize = 64;
/// Steps of one evaluation.
const MAX_STEPS: usize = 100_000;
/// Bytes of text and lists that one evaluation may make.
const MAX_MADE: usize = 1 << 20;

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Lower-case fragment with the user's words in backticks.
    pub message: String,
    pub hint: Option<String>,
    /// Bytes of the text it is about.
    pub at: Range<usize>,
    /// A name or an index is not there: what `??` and `default` catch.
    pub missing: bool,
}

impl Fault {
    fn new(message: impl Into<String>, at: Range<usize>) -> Self {
        Self { message: message.into(), hint: None, at, missing: false }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn missing(mut self) -> Self {
        self.missing = true;
        self
    }

    /// The same fault in a text that the expression stands in.
    #[must_use]
    pub fn shifted(mut self, by: usize) -> Self {
        self.at = self.at.start + by..self.at.end + by;
        self
    }
}

#[cfg(test)]
mod tests;
