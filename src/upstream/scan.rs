//! Walks JSON text without making values of it: what the relay needs of a message are its outermost members, as text.
//! A message passes here several times on its way, so this is where a relayed call would spend its time.
//! Rule: what is accepted here, serde_json accepts too and reads alike; the rest (escaped keys, deep nesting, broken
//! text) is left to it, and so are the words of its errors. Text that was checked before is not checked again: there only
//! the ends of strings are looked for. Long because its tests hold it to serde_json.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Deeper text is left to serde_json, which skips values without recursion.
const DEEPEST: u32 = 100;

/// More members than any message of the protocol has: each is compared with all before it, so they are left, too.
const FEW: usize = 64;

/// The members of one object: key, and value as JSON text. In the order of the text, each key once.
pub type Members<'a> = Vec<(Cow<'a, str>, &'a str)>;

/// The members of an object given as text. A key that stands twice counts with its last value.
pub fn members(text: &str) -> serde_json::Result<Members<'_>> {
    collect(text, false)
}

/// As [`members`], of text that was checked: a part of a message that was read, or JSON made here. In text that is no
/// JSON it finds something or nothing, and that may differ from what others find.
pub fn members_of_checked(text: &str) -> serde_json::Result<Members<'_>> {
    collect(text, true)
}

/// One member of an object of checked text; the last one where the key stands twice.
pub fn member_of_checked<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (mut found, mut count) = (None, 0);
    let look = |name, value| {
        if name == key {
            found = Some(value);
        }
        count += 1;
        (count <= FEW).then_some(())
    };
    if walk_as(text, true, look).is_some() {
        return found;
    }
    let members = collect(text, true).ok()?;
    members.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
}

fn collect(text: &str, checked: bool) -> serde_json::Result<Members<'_>> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Slow<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, &'a RawValue>);
    let mut found = Members::new();
    let keep = |key, value| {
        match found.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => found.push((Cow::Borrowed(key), value)),
        }
        (found.len() <= FEW).then_some(())
    };
    if walk_as(text, checked, keep).is_some() {
        return Ok(found);
    }
    let slow: Slow<'_> = serde_json::from_str(text)?;
    Ok(slow.0.into_iter().map(|(key, value)| (key, value.get())).collect())
}

/// Shows `visit` each member of an object given as text; `None` when the text is none, holds what is left to
/// serde_json, or `visit` wants no more.
pub fn walk<'a>(text: &'a str, visit: impl FnMut(&'a str, &'a str) -> Option<()>) -> Option<()> {
    walk_as(text, false, visit)
}

fn walk_as<'a>(
    text: &'a str,
    checked: bool,
    mut visit: impl FnMut(&'a str, &'a str) -> Option<()>,
) -> Option<()> {
    let mut scan = Scan { text, at: 0, checked };
    scan.space();
    scan.take(b'{')?;
    scan.space();
    if scan.take(b'}').is_none() {
        loop {
            let key = scan.key()?;
            let value = scan.value(0)?;
            visit(key, value)?;
            if !scan.goes_on(b'}')? {
                break;
            }
        }
    }
    scan.space();
    (scan.at == text.len()).then_some(())
}

/// What a JSON string says, when it says it without escapes.
pub fn plain(string: &str) -> Option<&str> {
    let inner = string.strip_prefix('"')?.strip_suffix('"')?;
    memchr::memchr(b'\\', inner.as_bytes()).is_none().then_some(inner)
}

/// Bytes that a string cannot hold as they are: quotes, backslashes, control characters. Measured with a text of 1 KiB
/// that has an escape every 18 bytes, as code has: one look-up a byte takes 0.6 us, eight bytes at once 0.95 us.
static SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < b' ' {
        special[byte as usize] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special
};

struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// The text is known to be JSON.
    checked: bool,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// Behind an item: whether another one follows.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        self.space();
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => {
                self.space();
                Some(true)
            }
            byte if byte == end => Some(false),
            _ => None,
        }
    }

    /// A key without escapes, and the colon behind it.
    fn key(&mut self) -> Option<&'a str> {
        let from = self.at;
        self.string()?;
        let key = plain(&self.text[from..self.at])?;
        self.space();
        self.take(b':')?;
        self.space();
        Some(key)
    }

    /// Any value, as its text.
    fn value(&mut self, depth: u32) -> Option<&'a str> {
        let from = self.at;
        match self.peek()? {
            b'"' => self.string()?,
            b'{' => self.object(depth)?,
            b'[' => self.list(depth)?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => self.number()?,
        }
        Some(&self.text[from..self.at])
    }

    fn object(&mut self, depth: u32) -> Option<()> {
        self.open(depth)?;
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            self.string()?;
            self.space();
            self.take(b':')?;
            self.space();
            self.value(depth + 1)?;
            if !self.goes_on(b'}')? {
                return Some(());
            }
        }
    }

    fn list(&mut self, depth: u32) -> Option<()> {
        self.open(depth)?;
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            self.value(depth + 1)?;
            if !self.goes_on(b']')? {
                return Some(());
            }
        }
    }

    fn open(&mut self, depth: u32) -> Option<()> {
        self.at += 1;
        self.space();
        (depth < DEEPEST).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text.as_bytes()[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        if self.checked {
            return self.end_of_string();
        }
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        loop {
            while bytes.get(at).is_some_and(|byte| !SPECIAL[*byte as usize]) {
                at += 1;
            }
            match *bytes.get(at)? {
                b'"' => break,
                b'\\' => match bytes.get(at + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                    b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => at += 6,
                    _ => return None,
                },
                _ => return None,
            }
        }
        self.at = at + 1;
        Some(())
    }

    /// Goes behind the next quote that no backslash escapes.
    fn end_of_string(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let from = self.at;
        loop {
            let quote = self.at + memchr::memchr(b'"', &bytes[self.at..])?;
            let backslashes = bytes[from..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
            self.at = quote + 1;
            if backslashes % 2 == 0 {
                return Some(());
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

    fn scanned(text: &str) -> Option<Vec<(&str, &str)>> {
        scanned_as(text, false)
    }

    fn scanned_as(text: &str, checked: bool) -> Option<Vec<(&str, &str)>> {
        let mut found = Vec::new();
        walk_as(text, checked, |key, value| {
            found.push((key, value));
            Some(())
        })?;
        Some(found)
    }

    #[test]
    fn members_are_found_as_they_were_written() {
        for (text, expected) in [
            (
                r#" { "a" : 1.50e+3 ,"b":"x\"}\u00e9" } "#,
                Some(vec![("a", "1.50e+3"), ("b", r#""x\"}\u00e9""#)]),
            ),
            (
                r#"{"a":{"a":[{},[] , -0]},"a":null}"#,
                Some(vec![("a", r#"{"a":[{},[] , -0]}"#), ("a", "null")]),
            ),
            ("{}", Some(vec![])),
            ("{ \n}", Some(vec![])),
            // Left to serde_json.
            (r#"{"\u0061":1}"#, None),
            // No JSON.
            (r#"{"a":01}"#, None),
            (r#"{"a":1.}"#, None),
            (r#"{"a":+1}"#, None),
            (r#"{"a":1,}"#, None),
            (r#"{"a" 1}"#, None),
            (r#"{"a":nul}"#, None),
            (r#"{"a":"\x"}"#, None),
            (r#"{"a":"\u12g4"}"#, None),
            ("{\"a\":\"\n\"}", None),
            ("{\"a\":1}\u{a0}", None),
            (r#"{"a":1}{}"#, None),
            (r#"["a"]"#, None),
            ("", None),
            ("{\"", None),
            ("{\"\\", None),
        ] {
            assert_eq!(scanned(text), expected, "{text}");
        }
    }

    #[test]
    fn the_last_of_equal_keys_counts_and_escapes_are_read() {
        let expected: Members<'_> = vec![(Cow::Borrowed("a"), "2"), (Cow::Borrowed("b"), "3")];
        assert_eq!(members(r#"{"a":1,"b":3,"a":2}"#).unwrap(), expected);
        assert_eq!(members(r#"{"\u0061":1,"b":3,"a":2}"#).unwrap(), expected);
        assert!(members("[1]").is_err());
    }

    #[test]
    fn many_members_take_no_longer_than_their_text() {
        let pieces: Vec<String> = (0..200_000).map(|number| format!("\"{number}\":0")).collect();
        let text = format!("{{{}}}", pieces.join(","));
        assert_eq!(members(&text).unwrap().len(), 200_000);
        assert_eq!(members_of_checked(&text).unwrap().len(), 200_000);
    }

    #[test]
    fn deep_text_is_left_to_serde_json() {
        let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(scanned(&nested(90)).is_some());
        assert!(scanned(&nested(110)).is_none() && members(&nested(110)).is_ok());
        assert_eq!(members(&nested(2000)).unwrap()[0].1.len(), 4001);
    }

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            any::<f64>().prop_map(|it| serde_json::Value::from(it).to_string()),
            any::<i64>().prop_map(|it| it.to_string()),
            any::<String>().prop_map(|it| serde_json::Value::from(it).to_string()),
            Just("true".into()),
            Just("null".into()),
            Just(r#""\ud800\/\b""#.into()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|it| format!("[{}]", it.join(" ,\t"))),
                prop::collection::vec(("[ab\\\\\"\n]{0,2}", inner), 0..4).prop_map(|it| {
                    let member =
                        |(key, value): (String, String)| format!("{}: {value}", serde_json::Value::from(key));
                    format!("{{ {}}}", it.into_iter().map(member).collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn both_readings_agree(text in json(), at in any::<prop::sample::Index>(), byte in r#"[{}\[\]",:\\0-9eE.u\x00a -]"#, edit in 0..3) {
            let mut text = format!("{{\"first\":1,\"v\":{text}}}");
            let at = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).nth(at.index(text.chars().count())).unwrap_or(0);
            match edit {
                0 => {}
                1 => text.insert_str(at, &byte),
                _ => text.truncate(at),
            }
            let slow: Result<BTreeMap<Cow<'_, str>, &RawValue>, _> = serde_json::from_str(&text);
            let blind = scanned_as(&text, true);
            if let Some(fast) = scanned(&text) {
                prop_assert_eq!(blind.as_ref(), Some(&fast));
                let fast: BTreeMap<Cow<'_, str>, &str> = fast.into_iter().map(|(key, value)| (key.into(), value)).collect();
                let slow: BTreeMap<Cow<'_, str>, &str> = slow.unwrap().into_iter().map(|(key, value)| (key, value.get())).collect();
                prop_assert_eq!(fast, slow);
            } else if edit == 0 {
                // Whole text without escapes in its outermost keys is not left to the slow way.
                prop_assert!(false, "{}", text);
            }
        }
    }
}
