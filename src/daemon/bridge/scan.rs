//! Finds `id` and `method` of each JSON-RPC line in a stream of chunks, without parsing and without holding
//! the line. Not a JSON validator: of a malformed line it finds what it can and starts afresh at the next.
//! Rule: one look at each byte outside the two values, whatever the length of the line.

/// Longest line whose text is kept for the caller.
const KEEP: usize = 64 << 10;
/// Longest id that is told; a longer one is not followed.
const ID_LIMIT: usize = 1024;

/// What a line holds at its top level. Ids are raw JSON: `7`, `"a"`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub id: Option<Vec<u8>>,
    pub method: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    #[default]
    Key,
    Colon,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Take {
    #[default]
    Nothing,
    Key,
    Id,
    Method,
}

/// State between chunks.
#[derive(Debug, Default)]
pub struct Scanner {
    depth: u32,
    /// Depth at which the keys of a message stand: 1, or 2 in a batch.
    base: u32,
    string: bool,
    escaped: bool,
    at: At,
    take: Take,
    key: Vec<u8>,
    message: Message,
    batch: Vec<Message>,
    /// Start of a line that an earlier chunk did not finish.
    kept: Vec<u8>,
    too_long: bool,
}

impl Scanner {
    /// Looks at a chunk and calls back for every message of every line that ends in it, with the line's text
    /// (without its end) unless that is longer than 64 KiB.
    pub fn feed(&mut self, chunk: &[u8], on_message: &mut dyn FnMut(Message, Option<&[u8]>)) {
        let (mut at, mut start) = (0, 0);
        while at < chunk.len() {
            at += self.skip(&chunk[at..]);
            let Some(&byte) = chunk.get(at) else { break };
            at += 1;
            if byte == b'\n' {
                self.end_line(&chunk[start..at - 1], on_message);
                start = at;
            } else if self.string {
                self.in_string(byte);
            } else {
                self.outside(byte);
            }
        }
        self.keep(&chunk[start..]);
    }

    /// Whether the last chunk ended within a line.
    pub fn mid_line(&self) -> bool {
        self.too_long || !self.kept.is_empty()
    }

    /// Forgets an unfinished line.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Bytes that change nothing: the inside of strings nobody wants, and plain bytes of nested values.
    fn skip(&self, rest: &[u8]) -> usize {
        if self.string && self.take == Take::Nothing && !self.escaped {
            return plain(rest);
        }
        if !self.string && self.base > 0 && self.depth > self.base {
            let ends = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b'\n');
            return rest.iter().position(ends).unwrap_or(rest.len());
        }
        0
    }

    fn in_string(&mut self, byte: u8) {
        let ends = byte == b'"' && !self.escaped;
        self.escaped = byte == b'\\' && !self.escaped;
        match self.take {
            Take::Id => self.push_id(byte),
            Take::Method if !ends => self.message.method.get_or_insert_default().push(byte),
            // Longer than any key of interest: enough to know that it is none.
            Take::Key if !ends && self.key.len() < 8 => self.key.push(byte),
            _ => {}
        }
        if ends {
            self.string = false;
            if self.take == Take::Key {
                self.at = At::Colon;
            }
            self.take = Take::Nothing;
        }
    }

    fn outside(&mut self, byte: u8) {
        let top = self.depth == self.base && self.base > 0;
        match byte {
            b'"' => {
                self.string = true;
                self.take = match (top, self.at) {
                    (true, At::Key) => Take::Key,
                    (true, At::Value) => self.wanted(),
                    _ => Take::Nothing,
                };
                match self.take {
                    Take::Key => self.key.clear(),
                    Take::Id => self.push_id(byte),
                    _ => {}
                }
            }
            b'{' | b'[' => self.open(byte),
            b'}' | b']' => {
                if top && byte == b'}' {
                    self.batch.push(std::mem::take(&mut self.message));
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if top && self.at == At::Colon => self.at = At::Value,
            b',' if top => self.at = At::Key,
            b' ' | b'\t' | b'\r' => {}
            _ if top && self.at == At::Value && self.wanted() == Take::Id => self.push_id(byte),
            _ => {}
        }
    }

    fn open(&mut self, byte: u8) {
        self.depth += 1;
        if self.base == 0 {
            self.base = if byte == b'[' { 2 } else { 1 };
        }
        if self.depth == self.base {
            self.at = At::Key;
        }
    }

    fn wanted(&self) -> Take {
        match self.key.as_slice() {
            b"id" => Take::Id,
            b"method" => Take::Method,
            _ => Take::Nothing,
        }
    }

    fn push_id(&mut self, byte: u8) {
        let id = self.message.id.get_or_insert_default();
        if id.len() <= ID_LIMIT {
            id.push(byte);
        }
    }

    fn end_line(&mut self, tail: &[u8], on_message: &mut dyn FnMut(Message, Option<&[u8]>)) {
        let mut kept = std::mem::take(&mut self.kept);
        let text = match (self.too_long, kept.is_empty()) {
            (true, _) => None,
            (false, true) => Some(tail),
            (false, false) => {
                kept.extend_from_slice(tail);
                Some(kept.as_slice())
            }
        };
        let text = text.filter(|text| text.len() <= KEEP);
        for mut message in std::mem::take(&mut self.batch) {
            message.id = message.id.filter(|id| id.len() <= ID_LIMIT && id != b"null");
            on_message(message, text);
        }
        self.reset();
    }

    fn keep(&mut self, unfinished: &[u8]) {
        if self.too_long || self.kept.len() + unfinished.len() > KEEP {
            self.too_long = true;
            self.kept = Vec::new();
        } else {
            self.kept.extend_from_slice(unfinished);
        }
    }
}

/// Number of leading bytes that are neither a quote, a backslash nor a newline.
fn plain(bytes: &[u8]) -> usize {
    memchr::memchr3(b'"', b'\\', b'\n', bytes).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{ProptestConfig, any, proptest};

    /// All messages, as `method id`, whichever way the text is cut into chunks.
    fn scan(text: &str, size: usize) -> Vec<String> {
        let (mut scanner, mut seen) = (Scanner::default(), Vec::new());
        let word = |bytes: Option<Vec<u8>>| bytes.map_or("-".into(), |b| String::from_utf8(b).unwrap());
        for chunk in text.as_bytes().chunks(size) {
            scanner.feed(chunk, &mut |message, text| {
                assert!(text.is_none_or(|text| !text.contains(&b'\n')));
                seen.push(format!("{} {}", word(message.method), word(message.id)));
            });
        }
        seen
    }

    #[test]
    fn id_and_method_are_found_at_the_top_level_only() {
        let cases = [
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"id":9,"method":"x"}}"#,
                "tools/call 1",
            ),
            (
                r#"{"method":"ping","params":{"a":["{\"id\":5}",{"id":2}]},"jsonrpc":"2.0","id":"a\"b"}"#,
                r#"ping "a\"b""#,
            ),
            (r#"{ "id" : 12 , "result" : { "method" : "no" } }"#, "- 12"),
            (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "notifications/initialized -"),
            (r#"{"id":null,"error":{"code":-32700,"message":"id"}}"#, "- -"),
            (r#"{"id":-1.5e3,"result":"\\"}"#, "- -1.5e3"),
            (r#"{"x":"id","ids":4,"identity":3,"methods":"m","id":7}"#, "- 7"),
        ];
        for (line, expected) in cases {
            for size in [1, 2, 3, 7, 8, 9, 64, 1000] {
                assert_eq!(scan(&format!("{line}\r\n"), size), [expected], "{line} by {size}");
            }
        }
    }

    #[test]
    fn lines_batches_and_rubbish_do_not_disturb_each_other() {
        let text = "\nbanner {\"id\":\n[{\"id\":1,\"method\":\"a\"},{\"id\":\"2\",\"method\":\"b\"}]\n\
                    {\"id\":3,\"result\":{}}\n{\"id\":4,\"unfinished\":\"";
        for size in [1, 5, 1000] {
            assert_eq!(scan(text, size), ["a 1", "b \"2\"", "- 3"], "by {size}");
        }
    }

    #[test]
    fn the_text_of_a_long_line_is_not_held() {
        let mut scanner = Scanner::default();
        let mut texts = Vec::new();
        let long = format!("{{\"result\":\"{}\",\"id\":1}}\n{{\"id\":2}}\n", "x".repeat(100 << 10));
        for chunk in long.as_bytes().chunks(4096) {
            scanner.feed(chunk, &mut |message, text| {
                texts.push((message.id.unwrap(), text.map(<[u8]>::to_vec)))
            });
            assert!(scanner.kept.len() <= KEEP);
        }
        assert_eq!(texts, [(b"1".to_vec(), None), (b"2".to_vec(), Some(b"{\"id\":2}".to_vec()))]);
        assert!(!scanner.mid_line());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_agrees_with_a_real_parser(id in any::<String>(), noise in any::<String>(), size in 1_usize..40) {
            let line = serde_json::json!({"params": {"a": [noise, {"id": 0}]}, "id": id, "method": "m", noise.as_str(): noise});
            let expected = serde_json::to_string(&line["id"]).unwrap();
            if expected.len() <= ID_LIMIT && noise != "id" && noise != "method" {
                assert_eq!(scan(&format!("{line}\n"), size), [format!("m {expected}")]);
            }
        }
    }
}
