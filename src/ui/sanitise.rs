//! Makes text from servers, files and the network safe to show in a terminal.
//! Not an escaper for exact output: what goes through [`sanitise`] is for eyes, not for machines.
//! Rule: whole escape sequences disappear, every other invisible or steering character is spelled out.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns the text without escape sequences, with other dangerous characters written as `\u{…}`.
///
/// Newlines and tabs stay; `\r\n` becomes a newline. Letters that join or vary what stands beside them
/// (emoji, Persian, Devanagari) stay too.
pub fn sanitise(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hazard) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '\u{1b}'
            && let Some(length) = escape_length(rest)
        {
            rest = &rest[length..];
            continue;
        }
        if c == '\r' && rest[1..].starts_with('\n') {
            // The newline follows in the next turn.
        } else if is_hazard(c) {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
        } else {
            safe.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(safe)
}

/// Sanitised text on a single line: every run of white space becomes one space.
pub fn one_line(text: &str) -> String {
    sanitise(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a terminal or a reader could be misled by this character.
pub(super) fn is_hazard(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        // Controls, including the one-byte forms of escape sequences (C1).
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        // Invisible: soft hyphen, joiners without effect, fillers, invisible operators, byte order mark.
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}' => true,
        '\u{2060}'..='\u{2064}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' => true,
        // Direction marks, embeddings, overrides and isolates.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => true,
        // Line breaks only some programs see, and annotation marks.
        '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' => true,
        // Tags and the supplementary variation selectors carry hidden text.
        '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// Length in bytes of the complete escape sequence at the start of `text`, if there is one.
fn escape_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.get(1)? {
        // CSI: parameters and intermediates, then one final byte.
        b'[' => {
            let end = bytes[2..].iter().position(|byte| !(0x20..=0x3f).contains(byte))? + 2;
            (0x40..=0x7e).contains(&bytes[end]).then_some(end + 1)
        }
        // OSC, DCS, SOS, PM, APC: a string up to BEL or ESC \.
        b']' | b'P' | b'X' | b'^' | b'_' => {
            let bell = text.find('\u{7}').map(|at| at + 1);
            let terminator = text.find("\u{1b}\\").map(|at| at + 2);
            bell.into_iter().chain(terminator).min()
        }
        // Two or more bytes: intermediates, then one final byte.
        0x20..=0x2f => {
            let end = bytes[1..].iter().position(|byte| !(0x20..=0x2f).contains(byte))? + 1;
            (0x30..=0x7e).contains(&bytes[end]).then_some(end + 1)
        }
        0x30..=0x7e => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangerous_text_becomes_visible_or_disappears() {
        let cases = [
            ("plain text\n\twith a tab", "plain text\n\twith a tab"),
            ("Grüße, 日本, 👩\u{200d}💻 ❤\u{fe0f}", "Grüße, 日本, 👩\u{200d}💻 ❤\u{fe0f}"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[38;2;1;2;3mcolour\u{1b}[K", "colour"),
            ("a\u{1b}]0;title\u{7}b", "ab"),
            ("a\u{1b}]8;;https://x\u{1b}\\link\u{1b}]8;;\u{1b}\\b", "alinkb"),
            ("a\u{1b}(0b\u{1b}cc", "abc"),
            // Without its end a sequence would swallow the rest, so it is spelled out instead.
            ("a\u{1b}]0;title", "a\\u{1b}]0;title"),
            ("a\u{1b}[31", "a\\u{1b}[31"),
            ("a\u{1b}[3é", "a\\u{1b}[3é"),
            ("end\u{1b}", "end\\u{1b}"),
            ("\u{9b}31mC1", "\\u{9b}31mC1"),
            ("bell\u{7} null\0 del\u{7f}", "bell\\u{7} null\\u{0} del\\u{7f}"),
            ("over\rwrite", "over\\u{d}write"),
            ("windows\r\nline", "windows\nline"),
            ("\u{202e}evil\u{2066}", "\\u{202e}evil\\u{2066}"),
            ("gi\u{200b}thub", "gi\\u{200b}thub"),
            ("hi\u{e0041}\u{e0042}", "hi\\u{e0041}\\u{e0042}"),
        ];
        for (text, expected) in cases {
            assert_eq!(sanitise(text), expected, "{text:?}");
        }
    }

    #[test]
    fn nothing_dangerous_is_ever_left() {
        let every = ('\0'..=char::MAX).collect::<String>();
        assert!(!sanitise(&every).chars().any(is_hazard));
        assert_eq!(sanitise(&sanitise(&every)), sanitise(&every));
    }

    #[test]
    fn one_line_is_one_line() {
        assert_eq!(one_line("  a\n\n b\tc\r\n"), "a b c");
    }
}
