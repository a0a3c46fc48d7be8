//! Files of `NAME=VALUE` lines. Rule: a line that cannot be read is told by its number, never by its text.

use crate::sealing::Secret;

/// What a file holds: pairs in order, and the numbers of lines that are none.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    pub pairs: Vec<(String, Secret)>,
    pub odd: Vec<usize>,
}

/// Reads a file. `#` starts a comment line, `export` is passed over, quotes are taken off; in double quotes `\n`, `\"`
/// and `\\` are read, and a quoted value may go over several lines. Of the same name the last counts.
pub fn read(text: &str) -> Pairs {
    let mut found = Pairs::default();
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let Some((name, value)) = pair.filter(|(name, _)| is_name(name)) else {
            found.odd.push(number + 1);
            continue;
        };
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let mut whole = value[1..].to_string();
                while end_of(&whole, quote).is_none() {
                    let Some((_, next)) = lines.next() else { break };
                    whole.push('\n');
                    whole.push_str(next);
                }
                end_of(&whole, quote).map(|end| unescape(&whole[..end], quote))
            }
            _ => Some(value.split(" #").next().unwrap_or_default().trim_end().to_string()),
        };
        match value {
            Some(value) => {
                found.pairs.retain(|(known, _)| known != name);
                found.pairs.push((name.to_string(), Secret::new(value)));
            }
            None => found.odd.push(number + 1),
        }
    }
    found
}

/// A file of these pairs, as [`read`] takes it.
pub fn write(pairs: &[(String, Secret)]) -> String {
    let line = |(name, value): &(String, Secret)| {
        let mut line = format!("{name}=\"");
        for c in value.reveal().chars() {
            match c {
                '\n' => line.push_str("\\n"),
                '\r' => line.push_str("\\r"),
                '"' | '\\' => line.extend(['\\', c]),
                c => line.push(c),
            }
        }
        line + "\"\n"
    };
    pairs.iter().map(line).collect()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
}

fn end_of(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str, quote: char) -> String {
    if quote == '\'' {
        return text.into();
    }
    let mut chars = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        match (c, c == '\\').1.then(|| chars.next()).flatten() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some(next @ ('"' | '\\' | '$')) => plain.push(next),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let values = ["plain", "a b # c", "line\nbreak\r\ttab", r#"q"u'o\n$HOME\"#, " edges "];
        let pairs: Vec<(String, Secret)> =
            values.iter().enumerate().map(|(at, text)| (format!("N{at}"), Secret::new(*text))).collect();
        assert_eq!(read(&write(&pairs)), Pairs { pairs, odd: vec![] });
    }

    #[test]
    fn lines_are_read_and_odd_ones_are_counted() {
        let text = "\u{feff}# c\nA=1\r\nexport B = \"x y\" \nC='a \\n b'\nD=\"a\\nb \\\"q\\\"\" # note\nE=plain # note\n\nbad\n=x\nA=2\nF=\nK=\"-----BEGIN\nmore\n-----END\"\nG=\"open\n";
        let found = read(text);
        let pairs: Vec<(&str, &str)> =
            found.pairs.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
        assert_eq!(
            pairs,
            [
                ("B", "x y"),
                ("C", "a \\n b"),
                ("D", "a\nb \"q\""),
                ("E", "plain"),
                ("A", "2"),
                ("F", ""),
                ("K", "-----BEGIN\nmore\n-----END"),
            ]
        );
        assert_eq!(found.odd, [8, 9, 15]);
    }
}
