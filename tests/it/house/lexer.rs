//! Rust source as words, signs and texts with their lines: enough to see modules, attributes and paths.
//! Not a parser: comments and the insides of strings are gone, so nothing written there is taken for code.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Word,
    /// One character, or `::`.
    Sign,
    /// A string without its quotes, escapes as written.
    Text,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    pub line: usize,
    /// Stands in an item that exists in tests only.
    pub test: bool,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }
}

/// All tokens of a source file, those of `#[cfg(test)]` items marked.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: source, line: 1, tokens: Vec::new() };
    while let Some(next) = lexer.rest.chars().next() {
        lexer.step(next);
    }
    mark_tests(&mut lexer.tokens);
    lexer.tokens
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self, next: char) {
        if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.skip(comment_length(self.rest));
        } else if let Some((open, close)) = raw_string(self.rest) {
            let body = &self.rest[open..];
            let end = body.find(&close).unwrap_or(body.len());
            self.text(open, end, close.len());
        } else if let Some(open) = ["\"", "b\"", "c\""].iter().find(|open| self.rest.starts_with(**open)) {
            let end = quoted_length(&self.rest[open.len()..], '"');
            self.text(open.len(), end, 1);
        } else if next == '\'' || self.rest.starts_with("b'") {
            self.quote(usize::from(next == 'b') + 1);
        } else if next.is_alphanumeric() || next == '_' {
            self.word();
        } else if self.rest.starts_with("::") {
            self.push(Kind::Sign, 2);
        } else if next.is_whitespace() {
            self.skip(next.len_utf8());
        } else {
            self.push(Kind::Sign, next.len_utf8());
        }
    }

    /// A character, or a lifetime, which has no closing quote.
    fn quote(&mut self, open: usize) {
        let body = &self.rest[open..];
        let mut letters = body.chars();
        let first = letters.next().unwrap_or_default();
        if first == '\\' || letters.next() == Some('\'') {
            self.skip(open + quoted_length(body, '\'') + 1);
        } else {
            self.skip(open);
        }
    }

    fn word(&mut self) {
        if self.rest.starts_with("r#") {
            self.skip(2);
        }
        let end = self.rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        self.push(Kind::Word, end.unwrap_or(self.rest.len()));
    }

    fn text(&mut self, open: usize, length: usize, close: usize) {
        let line = self.line;
        let text = self.rest[open..open + length].to_string();
        self.skip(open + length + close);
        self.tokens.push(Token { kind: Kind::Text, text, line, test: false });
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let text = self.rest[..length].to_string();
        self.tokens.push(Token { kind, text, line: self.line, test: false });
        self.rest = &self.rest[length..];
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

/// Bytes of a block comment, which may hold others.
fn comment_length(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Length of `r#"` or its like at the start of `text`, and what closes it.
fn raw_string(text: &str) -> Option<(usize, String)> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
    })?;
    let rest = &text[prefix.len()..];
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    Some((prefix.len() + hashes + 1, format!("\"{}", "#".repeat(hashes))))
}

/// Bytes up to the closing quote, escapes passed over.
fn quoted_length(body: &str, close: char) -> usize {
    let mut letters = body.char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == close {
            return at;
        }
    }
    body.len()
}

/// Marks every item under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            let end = item_end(tokens, at);
            for token in &mut tokens[at..end] {
                token.test = true;
            }
            at = end;
        } else {
            at += 1;
        }
    }
}

fn is_test_attribute(tokens: &[Token]) -> bool {
    [&["#", "[", "cfg", "(", "test"][..], &["#", "[", "cfg", "(", "all", "(", "test"][..]].iter().any(
        |start| tokens.len() >= start.len() && start.iter().zip(tokens).all(|(text, token)| token.is(text)),
    )
}

/// The index after the item whose first attribute stands at `at`.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() && tokens[at].is("#") {
        at = group_end(tokens, at + 1);
    }
    // A block ends every item but these, whose braces belong to the middle of them.
    let until_semicolon = tokens[at..]
        .iter()
        .take_while(|token| token.kind == Kind::Word)
        .any(|token| ["use", "static", "let", "type"].iter().any(|word| token.is(word)));
    while at < tokens.len() {
        let block = tokens[at].is("{");
        if tokens[at].is(";") || (block && !until_semicolon) {
            return group_end(tokens, at);
        }
        at = group_end(tokens, at);
    }
    at
}

/// The index after the token at `at`, or after the group that it opens.
fn group_end(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0;
    for (offset, token) in tokens[at.min(tokens.len())..].iter().enumerate() {
        depth += i32::from(["(", "[", "{"].iter().any(|open| token.is(open)));
        depth -= i32::from([")", "]", "}"].iter().any(|close| token.is(close)));
        if depth <= 0 {
            return at + offset + 1;
        }
    }
    tokens.len()
}

#[test]
fn comments_and_strings_are_no_code() {
    let source = r####"
        a /* b /* c */ d */ e // f
        "g \" h" r#"i " j"# b'k' 'l' '\'' '"' 'm: r#type
        n::o"####;
    let seen: Vec<(String, usize)> = tokens(source)
        .into_iter()
        .filter(|token| token.kind != Kind::Text)
        .map(|token| (token.text, token.line))
        .collect();
    let expected = [("a", 2), ("e", 2), ("m", 3), (":", 3), ("type", 3), ("n", 4), ("::", 4), ("o", 4)];
    assert_eq!(seen, expected.map(|(text, line)| (text.to_string(), line)));
}

#[test]
fn items_of_tests_are_marked_and_nothing_after_them() {
    let source =
        "#[cfg(test)] #[allow(x)] mod a { b {} } c; #[cfg(test)] mod d; e; #[cfg(test)] use f::{g}; h;
                  #[cfg(all(test, unix))] fn i() -> [u8; 2] { j } k; #[cfg(unix)] l;";
    let seen: Vec<String> = tokens(source)
        .into_iter()
        .filter(|token| !token.test && token.kind == Kind::Word)
        .map(|token| token.text)
        .collect();
    assert_eq!(seen, ["c", "e", "h", "k", "cfg", "unix", "l"]);
}
