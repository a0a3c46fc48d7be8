//! A GraphQL document, as far as its operations' names and variables go. Selections have to close, no more: whether
//! their fields exist is the server's to say.
//! Long because the language is small but has strings, numbers, lists and objects of its own.

use serde_json::{Map, Value, json};

/// One operation.
#[derive(Debug, PartialEq)]
pub struct Operation {
    pub name: String,
    pub reads: bool,
    /// The comment above it.
    pub description: Option<String>,
    pub variables: Vec<Variable>,
}

#[derive(Debug, PartialEq)]
pub struct Variable {
    pub name: String,
    pub kind: Kind,
    pub default: Option<Value>,
}

/// A type as a document writes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Named(String, bool),
    List(Box<Kind>, bool),
}

impl Kind {
    pub fn needed(&self) -> bool {
        matches!(self, Self::Named(_, true) | Self::List(_, true))
    }

    /// Types that a document does not define (inputs, enums, scalars of the server's own) stay open.
    pub fn schema(&self) -> Value {
        match self {
            Self::List(inner, _) => json!({"type": "array", "items": inner.schema()}),
            Self::Named(name, _) => match name.as_str() {
                "Int" => json!({"type": "integer"}),
                "Float" => json!({"type": "number"}),
                "Boolean" => json!({"type": "boolean"}),
                "String" => json!({"type": "string"}),
                "ID" => json!({"type": ["string", "integer"]}),
                other => json!({"description": format!("GraphQL type {other}")}),
            },
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Number(String),
    Text(String),
    Mark(char),
    Comment(String),
}

/// Reads a document into the operations it names; fragments are passed over.
pub fn operations(text: &str) -> Result<Vec<Operation>, String> {
    let tokens = tokens(text)?;
    let mut at = Reader { tokens: &tokens, at: 0 };
    let mut found = Vec::new();
    let mut comment = Vec::new();
    while let Some(token) = at.next() {
        match token {
            Token::Comment(text) => comment.push(text.clone()),
            Token::Name(word) if word == "query" || word == "mutation" => {
                let reads = word == "query";
                found.push(at.operation(reads, std::mem::take(&mut comment))?);
            }
            Token::Name(word) if word == "fragment" => {
                comment.clear();
                at.skip_to_body()?;
            }
            Token::Name(word) if word == "subscription" => {
                return Err("subscriptions have no end, so they are no tools".into());
            }
            Token::Mark('{') => return Err("an operation needs a name: query NAME { … }".into()),
            other => return Err(format!("expected an operation, found {}", words(other))),
        }
    }
    if found.is_empty() { Err("the document holds no operation".into()) } else { Ok(found) }
}

fn words(token: &Token) -> String {
    match token {
        Token::Name(text) | Token::Number(text) => format!("`{text}`"),
        Token::Text(_) => "a text".into(),
        Token::Mark(mark) => format!("`{mark}`"),
        Token::Comment(_) => "a comment".into(),
    }
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        self.at += 1;
        self.tokens.get(self.at - 1)
    }

    /// The next token that is no comment.
    fn word(&mut self) -> Option<&'a Token> {
        loop {
            match self.next() {
                Some(Token::Comment(_)) => {}
                other => return other,
            }
        }
    }

    fn peek(&mut self) -> Option<&'a Token> {
        while matches!(self.tokens.get(self.at), Some(Token::Comment(_))) {
            self.at += 1;
        }
        self.tokens.get(self.at)
    }

    fn expect(&mut self, mark: char) -> Result<(), String> {
        match self.word() {
            Some(Token::Mark(found)) if *found == mark => Ok(()),
            other => Err(format!("expected `{mark}`, found {}", other.map_or("the end".into(), words))),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.word() {
            Some(Token::Name(name)) => Ok(name.clone()),
            other => Err(format!("expected a name, found {}", other.map_or("the end".into(), words))),
        }
    }

    fn operation(&mut self, reads: bool, comment: Vec<String>) -> Result<Operation, String> {
        let name = match self.peek() {
            Some(Token::Name(_)) => self.name()?,
            _ => return Err("an operation needs a name: query NAME { … }".into()),
        };
        let mut variables = Vec::new();
        if self.peek() == Some(&Token::Mark('(')) {
            self.word();
            while self.peek() != Some(&Token::Mark(')')) {
                variables.push(self.variable()?);
            }
            self.word();
        }
        self.skip_to_body()?;
        let description = Some(comment.join(" ")).filter(|text| !text.is_empty());
        Ok(Operation { name, reads, description, variables })
    }

    fn variable(&mut self) -> Result<Variable, String> {
        self.expect('$')?;
        let name = self.name()?;
        self.expect(':')?;
        let kind = self.kind(0)?;
        let mut default = None;
        if self.peek() == Some(&Token::Mark('=')) {
            self.word();
            default = Some(self.value(0)?);
        }
        while self.peek() == Some(&Token::Mark('@')) {
            self.word();
            self.name()?;
            if self.peek() == Some(&Token::Mark('(')) {
                self.balanced('(', ')')?;
            }
        }
        Ok(Variable { name, kind, default })
    }

    fn kind(&mut self, depth: u8) -> Result<Kind, String> {
        if depth > 16 {
            return Err("a type is nested too deeply".into());
        }
        let inner = match self.peek() {
            Some(Token::Mark('[')) => {
                self.word();
                let inner = self.kind(depth + 1)?;
                self.expect(']')?;
                Err(inner)
            }
            _ => Ok(self.name()?),
        };
        let needed = self.peek() == Some(&Token::Mark('!'));
        if needed {
            self.word();
        }
        Ok(match inner {
            Ok(name) => Kind::Named(name, needed),
            Err(inner) => Kind::List(Box::new(inner), needed),
        })
    }

    fn value(&mut self, depth: u8) -> Result<Value, String> {
        if depth > 16 {
            return Err("a default is nested too deeply".into());
        }
        match self.word() {
            Some(Token::Number(text)) => {
                serde_json::from_str(text).map_err(|_| format!("`{text}` is no number"))
            }
            Some(Token::Text(text)) => Ok(text.as_str().into()),
            Some(Token::Name(word)) => Ok(match word.as_str() {
                "true" => true.into(),
                "false" => false.into(),
                "null" => Value::Null,
                other => other.into(),
            }),
            Some(Token::Mark('[')) => {
                let mut items = Vec::new();
                while self.peek() != Some(&Token::Mark(']')) {
                    items.push(self.value(depth + 1)?);
                }
                self.word();
                Ok(items.into())
            }
            Some(Token::Mark('{')) => {
                let mut fields = Map::new();
                while self.peek() != Some(&Token::Mark('}')) {
                    let name = self.name()?;
                    self.expect(':')?;
                    fields.insert(name, self.value(depth + 1)?);
                }
                self.word();
                Ok(fields.into())
            }
            other => Err(format!("expected a value, found {}", other.map_or("the end".into(), words))),
        }
    }

    /// To the end of the body that follows: selections are the server's to check, but they have to close.
    fn skip_to_body(&mut self) -> Result<(), String> {
        while !matches!(self.peek(), Some(Token::Mark('{')) | None) {
            match self.peek() {
                Some(Token::Mark('(')) => self.balanced('(', ')')?,
                _ => _ = self.word(),
            }
        }
        self.balanced('{', '}')
    }

    fn balanced(&mut self, open: char, close: char) -> Result<(), String> {
        self.expect(open)?;
        let mut depth = 1;
        while depth > 0 {
            match self.word() {
                Some(Token::Mark(mark)) if *mark == open => depth += 1,
                Some(Token::Mark(mark)) if *mark == close => depth -= 1,
                Some(_) => {}
                None => return Err(format!("a `{open}` is never closed")),
            }
        }
        Ok(())
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            ' ' | '\t' | '\r' | '\n' | ',' | '\u{feff}' => c.len_utf8(),
            '#' => {
                let end = rest.find('\n').unwrap_or(rest.len());
                tokens.push(Token::Comment(rest[1..end].trim().to_string()));
                end
            }
            '"' => {
                let (text, length) = quoted(rest)?;
                tokens.push(Token::Text(text));
                length
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                tokens.push(Token::Name(rest[..end].into()));
                end
            }
            '0'..='9' | '-' => {
                let of = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
                let end = rest.find(|c: char| !of(c)).unwrap_or(rest.len());
                tokens.push(Token::Number(rest[..end].into()));
                end
            }
            '.' if rest.starts_with("...") => {
                tokens.push(Token::Mark('.'));
                3
            }
            '!' | '$' | '&' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '|' | '}' => {
                tokens.push(Token::Mark(c));
                1
            }
            other => return Err(format!("`{other}` has no place in a GraphQL document")),
        };
        rest = &rest[length..];
    }
    Ok(tokens)
}

/// A text at the start of `rest`, and how long it is as written.
fn quoted(rest: &str) -> Result<(String, usize), String> {
    if let Some(inner) = rest.strip_prefix("\"\"\"") {
        let end = inner.find("\"\"\"").ok_or("a text is never closed")?;
        return Ok((inner[..end].to_string(), end + 6));
    }
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                let text = serde_json::from_str(&rest[..=at]).map_err(|error| error.to_string())?;
                return Ok((text, at + 1));
            }
            '\n' => break,
            _ => {}
        }
    }
    Err("a text is never closed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_with_their_variables() {
        let text = r#"
            # The account
            # that asks
            query Me { viewer { login } }
            fragment F on User { name(first: 1) }
            mutation Add($id: ID!, $tags: [String!]! = ["a", "b"], $n: Int = -2 @x(a: 1), $in: NewThing, $o: Opts = {a: RED, b: [1.5, null]}) {
              add(id: $id, tags: $tags) { ...F }
            }
        "#;
        let found = operations(text).unwrap();
        assert_eq!((found[0].name.as_str(), found[0].reads), ("Me", true));
        assert_eq!(found[0].description.as_deref(), Some("The account that asks"));
        let add = &found[1];
        assert!(!add.reads && add.description.is_none());
        let variables: Vec<(&str, bool, Value, Option<Value>)> = add
            .variables
            .iter()
            .map(|one| (one.name.as_str(), one.kind.needed(), one.kind.schema(), one.default.clone()))
            .collect();
        assert_eq!(
            variables,
            [
                ("id", true, json!({"type": ["string", "integer"]}), None),
                (
                    "tags",
                    true,
                    json!({"type": "array", "items": {"type": "string"}}),
                    Some(json!(["a", "b"]))
                ),
                ("n", false, json!({"type": "integer"}), Some(json!(-2))),
                ("in", false, json!({"description": "GraphQL type NewThing"}), None),
                (
                    "o",
                    false,
                    json!({"description": "GraphQL type Opts"}),
                    Some(json!({"a": "RED", "b": [1.5, null]}))
                ),
            ]
        );
    }

    #[test]
    fn what_is_no_document_is_told() {
        for (text, expected) in [
            ("", "the document holds no operation"),
            ("{ viewer { login } }", "an operation needs a name: query NAME { … }"),
            ("query { viewer }", "an operation needs a name: query NAME { … }"),
            ("query Me { viewer", "a `{` is never closed"),
            ("query Me($id) { a }", "expected `:`, found `)`"),
            ("query Me($id: [ID) { a }", "expected `]`, found `)`"),
            ("query Me { a(b: \"c) }", "a text is never closed"),
            ("subscription S { a }", "subscriptions have no end, so they are no tools"),
            ("query Me { a } ;", "`;` has no place in a GraphQL document"),
        ] {
            assert_eq!(operations(text).unwrap_err(), expected, "{text}");
        }
        let deep = format!("query Q($a: {}Int{}) {{ a }}", "[".repeat(50), "]".repeat(50));
        assert_eq!(operations(&deep).unwrap_err(), "a type is nested too deeply");
    }
}
