//! Patterns of values: globs, and regular expressions that take linear time.
//! They know no rule. Rule: no pattern a user or a server writes can cost more than its length times the text's.

use crate::glob;
use regex::{Regex, RegexBuilder};

/// Bytes a compiled regular expression may take.
const REGEX_LIMIT: usize = 1 << 20;

/// A pattern of a value.
#[derive(Debug, Clone)]
pub enum Pattern {
    Glob(String),
    Regex(Regex),
}

impl Pattern {
    /// Reads a glob, or a regular expression behind `re:`. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix("re:") {
            Some(expression) => regex(expression).map(Self::Regex),
            None => Ok(Self::Glob(text.into())),
        }
    }

    pub fn fits(&self, text: &str) -> bool {
        match self {
            Self::Glob(pattern) => glob::fits(pattern, text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Compiles a regular expression within bounds.
pub fn regex(expression: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(expression).size_limit(REGEX_LIMIT).dfa_size_limit(REGEX_LIMIT).build();
    built.map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim();
        last.strip_prefix("error: ").unwrap_or(last).to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regular_expression_is_compiled_within_bounds() {
        assert!(Pattern::parse("re:^a+$").unwrap().fits("aaa"));
        assert!(Pattern::parse("re:(").unwrap_err().contains("unclosed group"));
        assert!(regex("(a{1000}){1000}").is_err());
        let evil = regex("(a+)+$").unwrap();
        assert!(!evil.is_match(&format!("{}b", "a".repeat(50_000))));
    }
}
