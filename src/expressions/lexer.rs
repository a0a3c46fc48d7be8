//! Text to tokens with their places. Knows no precedence.

use super::{Fault, MAX_SOURCE};
use std::ops::Range;

/// The smallest unit with a meaning.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Name(String),
    Text(String),
    Integer(i64),
    Float(f64),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub kind: Kind,
    pub at: Range<usize>,
}

/// Longest first, so that `<=` is not read as `<`.
const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "??", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "=",
];

/// All tokens; the last is [`Kind::End`].
pub fn tokens(source: &str) -> Result<Vec<Token>, Fault> {
    if source.len() > MAX_SOURCE {
        let message = format!("an expression has at most {MAX_SOURCE} bytes, this one has {}", source.len());
        return Err(Fault::new(message, 0..source.len()).hint("compute it in a `set` step, piece by piece"));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = source[at..].chars().next() {
        if first.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (kind, end) = match first {
            'a'..='z' | 'A'..='Z' | '_' => name(source, at),
            '0'..='9' => number(source, at)?,
            '\'' | '"' => text(source, at, first)?,
            _ => sign(source, at, first)?,
        };
        tokens.push(Token { kind, at: at..end });
        at = end;
    }
    tokens.push(Token { kind: Kind::End, at: source.len()..source.len() });
    Ok(tokens)
}

/// A hyphen belongs to the name when a letter or digit follows it.
fn name(source: &str, start: usize) -> (Kind, usize) {
    let bytes = source.as_bytes();
    let word = |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let mut end = start;
    while word(end) || bytes[end..].first() == Some(&b'-') && word(end + 1) {
        end += 1;
    }
    (Kind::Name(source[start..end].into()), end)
}

fn number(source: &str, start: usize) -> Result<(Kind, usize), Fault> {
    let bytes = source.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut end = digits(start);
    let mut float = false;
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        float = true;
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            float = true;
            end = digits(end + 1 + sign);
        }
    }
    let word = &source[start..end];
    let fault = || Fault::new(format!("the number `{word}` is too large"), start..end);
    if bytes.get(end).is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_') {
        return Err(Fault::new(format!("`{}` is no number", &source[start..=end]), start..end + 1)
            .hint("a name that begins with a digit is reached as `parent['1st']`"));
    }
    if float {
        let value = word.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(fault)?;
        return Ok((Kind::Float(value), end));
    }
    Ok((Kind::Integer(word.parse().map_err(|_| fault())?), end))
}

fn text(source: &str, start: usize, quote: char) -> Result<(Kind, usize), Fault> {
    let mut value = String::new();
    let mut chars = source[start + 1..].char_indices();
    while let Some((offset, next)) = chars.next() {
        let at = start + 1 + offset;
        if next == quote {
            return Ok((Kind::Text(value), at + 1));
        }
        if next != '\\' {
            value.push(next);
            continue;
        }
        let Some((_, escaped)) = chars.next() else { break };
        value.push(match escaped {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '\\' | '\'' | '"' | '/' => escaped,
            other => {
                return Err(Fault::new(format!("`\\{other}` is no escape"), at..at + 1 + other.len_utf8())
                    .hint("known are \\n, \\t, \\r, \\\\, \\' and \\\""));
            }
        });
    }
    Err(Fault::new(format!("the text that begins here has no closing {quote}"), start..source.len()))
}

fn sign(source: &str, at: usize, first: char) -> Result<(Kind, usize), Fault> {
    let found = SIGNS.iter().find(|sign| source[at..].starts_with(**sign));
    match found {
        Some(&"=") => Err(Fault::new("`=` assigns nothing here", at..at + 1).hint("to compare, write `==`")),
        Some(sign) => Ok((Kind::Sign(sign), at + sign.len())),
        None => {
            let fault = Fault::new(format!("`{first}` has no meaning here"), at..at + first.len_utf8());
            Err(match first {
                '&' => fault.hint("both conditions: `a && b`"),
                '|' => fault
                    .hint("one of two conditions: `a || b`; there are no filters, but functions: `upper(a)`"),
                '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => {
                    fault.hint("text stands between straight quotes")
                }
                _ => fault,
            })
        }
    }
}
