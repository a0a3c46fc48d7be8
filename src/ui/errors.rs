//! The text of an error for people: what failed, where in the file, why, and what to do next.
//! It does not print; `Ui` writes the text to stderr.
//! Rule: the words are the error's own; only the frame around them is made here.

use dialoguer::console::measure_text_width;

use super::terminal::{Look, Paint};
use super::text::{one_line, sanitise};
use crate::error::{Error, Span};

/// Characters of a long source line shown on either side of the caret.
const AROUND: usize = 60;

/// The error as lines, each with its newline.
pub(super) fn text(error: &Error, look: Look) -> String {
    let mut text = format!("{} {}", look.paint("error:", Paint::Red), sanitise(&error.message).trim_end());
    text.push_str(&look.paint(&format!(" [{}]", error.code.code), Paint::Dim));
    text.push('\n');
    if let Some(span) = &error.span {
        text.push_str(&source_line(span, look));
    }
    if let Some(source) = &error.source {
        text.push_str(&labelled("because:", sanitise(source).trim(), Paint::Bold, look));
    }
    for hint in &error.hints {
        text.push_str(&labelled("hint:", sanitise(hint).trim(), Paint::Cyan, look));
    }
    text
}

/// A label and its text; further lines stand below the first.
pub(super) fn labelled(label: &str, text: &str, paint: Paint, look: Look) -> String {
    let indent = format!("\n{}", " ".repeat(label.len() + 1));
    format!("{} {}\n", look.paint(label, paint), text.replace('\n', &indent))
}

/// File, line and column, and the line itself with a caret under the column.
fn source_line(span: &Span, look: Look) -> String {
    let number = span.line.to_string();
    let margin = " ".repeat(number.len());
    let dim = |text: &str| look.paint(text, Paint::Dim);
    let place = format!("{}:{}:{}", one_line(&span.file), span.line, span.column);
    let mut text = format!("{margin}{} {place}\n", dim("-->"));
    if span.text.trim().is_empty() {
        return text;
    }
    let (line, before) = excerpt(&span.text, span.column);
    let caret = format!("{}{}", " ".repeat(before), look.paint("^", Paint::Red));
    text.push_str(&format!("{margin} {}\n", dim("|")));
    text.push_str(&format!("{} {line}\n", dim(&format!("{number} |"))));
    text.push_str(&format!("{margin} {} {caret}\n", dim("|")));
    text
}

/// The part of a line around a column (from 1), and the width of what stands before the column.
fn excerpt(line: &str, column: u32) -> (String, usize) {
    let chars: Vec<char> = line.trim_end().chars().map(|c| if c == '\t' { ' ' } else { c }).collect();
    let at = usize::try_from(column.max(1) - 1).unwrap_or(usize::MAX).min(chars.len());
    let start = at.saturating_sub(AROUND);
    let end = chars.len().min(at + AROUND);
    let piece = |from: usize, to: usize| {
        let text: String = chars[from..to].iter().collect();
        sanitise(&text).into_owned()
    };
    let lead = if start > 0 { "... " } else { "" };
    let tail = if end < chars.len() { " ..." } else { "" };
    let before = format!("{lead}{}", piece(start, at));
    let width = measure_text_width(&before);
    (format!("{before}{}{tail}", piece(at, end)), width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::codes;

    fn span(line: u32, column: u32, text: &str) -> Span {
        Span { file: "servers.yaml".into(), line, column, text: text.into() }
    }

    #[test]
    fn an_error_says_what_and_what_next() {
        let error = Error::new(&codes::SERVER_NOT_FOUND, "no server named `gti`")
            .because("first\nsecond")
            .hint("did you mean `git`?")
            .hint("umcp server list");
        let expected = "\
error: no server named `gti` [UM0401]
because: first
         second
hint: did you mean `git`?
hint: umcp server list
";
        assert_eq!(text(&error, Look::PLAIN), expected);
    }

    #[test]
    fn a_caret_stands_under_the_column() {
        let error = Error::new(&codes::FILE_INVALID, "expected a list").at(span(12, 7, "\targs: 5"));
        let expected = "\
error: expected a list [UM0101]
  --> servers.yaml:12:7
   |
12 |  args: 5
   |       ^
";
        assert_eq!(text(&error, Look::PLAIN), expected);
    }

    #[test]
    fn carets_survive_odd_lines() {
        let cases = [
            ("日本: x", 5, "日本: x", 6),
            ("abc", 4, "abc", 3),
            ("abc", 99, "abc", 3),
            ("abc", 0, "abc", 0),
            ("\u{1b}[1mabc", 5, "abc", 0),
            ("\u{7}abc", 2, "\\u{7}abc", 5),
        ];
        for (line, column, expected, before) in cases {
            assert_eq!(excerpt(line, column), (expected.to_string(), before), "{line:?}");
        }
        let (line, before) = excerpt(&"x".repeat(1000), 500);
        assert_eq!((line.len(), before), (AROUND * 2 + 8, AROUND + 4));
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let error = Error::new(&codes::FILE_INVALID, "bad \u{1b}[31mthing").at(span(1, 2, "a: b")).hint("x");
        let colored = text(&error, Look { color: true, ..Look::PLAIN });
        assert!(colored.starts_with("\u{1b}["), "{colored:?}");
        assert_eq!(sanitise(&colored), text(&error, Look::PLAIN));
    }
}
