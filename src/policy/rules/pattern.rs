//! Patterns of names and values: globs, and regular expressions that take linear time.
//! They know no rule. Rule: no pattern a user or a server writes can cost more than its length times the text's.

use regex::{Regex, RegexBuilder};

/// Bytes a compiled regular expression may take.
const REGEX_LIMIT: usize = 1 << 20;

/// Whether a text fits a glob: `*` stands for any text, `?` for one character.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, t));
                p += 1;
            }
            Some(b'?') if text[t] < 0x80 || text[t] >= 0xC0 => {
                p += 1;
                t += 1;
                // The rest of one character.
                while text.get(t).is_some_and(|byte| (0x80..0xC0).contains(byte)) {
                    t += 1;
                }
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((star, at)) => {
                    back = Some((star, at + 1));
                    (p, t) = (star + 1, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Whether one of the patterns fits; none means that everything does.
pub fn any(patterns: &[String], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| glob(pattern, text))
}

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
            Self::Glob(pattern) => glob(pattern, text),
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
    fn globs_fit_or_do_not() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("git.*", "git.push", true),
            ("git.*", "gitx.push", false),
            ("*.delete_*", "files.delete_all", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-cd", false),
            ("?", "ä", true),
            ("?b", "äb", true),
            ("??", "ä", false),
            ("/etc/*", "/etc/passwd", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_glob_of_many_stars_takes_no_time() {
        let started = std::time::Instant::now();
        assert!(!glob(&"*a".repeat(40), &"a".repeat(39)));
        assert!(!glob(&format!("{}b", "a*".repeat(30)), &"a".repeat(5000)));
        assert!(started.elapsed().as_millis() < 1000);
    }

    #[test]
    fn a_regular_expression_is_compiled_within_bounds() {
        assert!(Pattern::parse("re:^a+$").unwrap().fits("aaa"));
        assert!(Pattern::parse("re:(").unwrap_err().contains("unclosed group"));
        assert!(regex("(a{1000}){1000}").is_err());
        let evil = regex("(a+)+$").unwrap();
        assert!(!evil.is_match(&format!("{}b", "a".repeat(50_000))));
    }
}
