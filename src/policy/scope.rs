//! Scopes: which parts of the protocol a key opens. Which tool may be called is not theirs to say but the policy's.
//! Rule: what no scope is named for needs none; a key without a word about scopes opens everything.

use crate::documents::near;
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Word, what it opens.
const WORDS: &[(&str, &str)] = &[
    ("tools:read", "see tools"),
    ("tools:call", "call tools and follow their tasks"),
    ("resources", "see, read and follow resources"),
    ("prompts", "see and use prompts"),
    ("metrics", "read what umcp counts"),
];

/// A set of scopes. Its text is the words in a fixed order, with spaces between, as OAuth writes them.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Scopes(u8);

impl Scopes {
    pub const NONE: Self = Self(0);
    /// The whole protocol. What umcp tells of itself is beside it.
    pub const ALL: Self = Self(0b1111);
    pub const METRICS: Self = Self(16);
    const READ: Self = Self(1);
    const CALL: Self = Self(2);
    const RESOURCES: Self = Self(4);
    const PROMPTS: Self = Self(8);

    /// The scope a method needs. Lists of a subscription come in its parameters.
    pub fn needed(method: &str, params: &str) -> Self {
        match method {
            "tools/list" => Self::READ,
            "tools/call" => Self::CALL,
            "subscriptions/listen" => {
                let params: serde_json::Value = serde_json::from_str(params).unwrap_or_default();
                let wanted = params.pointer("/notifications/resourceSubscriptions");
                if wanted.is_some() || params.is_null() { Self::RESOURCES } else { Self::NONE }
            }
            "completion/complete" => {
                let params: serde_json::Value = serde_json::from_str(params).unwrap_or_default();
                let kind = params.pointer("/ref/type").and_then(serde_json::Value::as_str);
                if kind == Some("ref/prompt") { Self::PROMPTS } else { Self::RESOURCES }
            }
            _ => match method.split_once('/') {
                Some(("tasks", _)) => Self::CALL,
                Some(("resources", _)) => Self::RESOURCES,
                Some(("prompts", _)) => Self::PROMPTS,
                _ => Self::NONE,
            },
        }
    }

    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn words(self) -> impl Iterator<Item = &'static str> {
        WORDS.iter().enumerate().filter(move |(place, _)| self.0 & (1 << place) != 0).map(|(_, it)| it.0)
    }

    /// Each scope with what it opens, in words.
    pub fn explained(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        WORDS.iter().enumerate().filter(move |(place, _)| self.0 & (1 << place) != 0).map(|(_, it)| *it)
    }

    /// The scopes among some words; the rest belongs to somebody else, such as `openid`.
    pub fn known_in<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let place = |word: &str| WORDS.iter().position(|(known, _)| *known == word);
        Self(words.into_iter().filter_map(place).fold(0, |set, place| set | 1 << place))
    }

    /// Reads words, each of which has to be a scope.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        words.into_iter().try_fold(Self::NONE, |set, word| {
            let one = Self::known_in([word]);
            if one.is_empty() {
                let error = Error::new(&codes::VALUE_INVALID, format!("`{word}` is no scope"));
                return Err(match near(word, WORDS.iter().map(|it| it.0)) {
                    Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                    None => error.hint(format!("scopes are {}", Self(0b1_1111))),
                });
            }
            Ok(Self(set.0 | one.0))
        })
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Self {
        scopes.words().map(Into::into).collect()
    }
}

impl TryFrom<Vec<String>> for Scopes {
    type Error = Error;

    fn try_from(words: Vec<String>) -> Result<Self> {
        Self::parse(words.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_needs_its_scope() {
        for (method, params, expected) in [
            ("initialize", "{}", ""),
            ("ping", "{}", ""),
            ("server/discover", "{}", ""),
            ("tools/list", "{}", "tools:read"),
            ("tools/call", "{}", "tools:call"),
            ("tasks/get", "{}", "tools:call"),
            ("resources/templates/list", "{}", "resources"),
            ("resources/read", "{}", "resources"),
            ("prompts/get", "{}", "prompts"),
            ("completion/complete", r#"{"ref":{"type":"ref/prompt"}}"#, "prompts"),
            ("completion/complete", r#"{"ref":{"type":"ref/resource"}}"#, "resources"),
            ("subscriptions/listen", r#"{"notifications":{"toolsListChanged":true}}"#, ""),
            ("subscriptions/listen", r#"{"notifications":{"resourceSubscriptions":["x"]}}"#, "resources"),
            (
                "subscriptions/listen",
                r#"{"notifications":{"\u0072esourceSubscriptions":["x"]}}"#,
                "resources",
            ),
            ("subscriptions/listen", "{\"deep\":1e999}", "resources"),
            ("completion/complete", r#"{"ref":{"type":"ref\/resource"}}"#, "resources"),
            ("tools", "{}", ""),
        ] {
            assert_eq!(Scopes::needed(method, params).to_string(), expected, "{method}");
        }
    }

    #[test]
    fn words_are_read_and_written() {
        let some = Scopes::parse(["prompts", "tools:read"]).unwrap();
        assert_eq!(some.to_string(), "tools:read prompts");
        assert!(Scopes::ALL.contains(some) && !some.contains(Scopes::ALL));
        assert_eq!(Scopes::parse(["tool:read"]).unwrap_err().hints, ["did you mean `tools:read`?"]);
        assert_eq!(Scopes::known_in("openid tools:call x".split(' ')), Scopes::CALL);
        assert_eq!(Scopes::parse(["metrics"]).unwrap(), Scopes::METRICS);
        assert!(!Scopes::ALL.contains(Scopes::METRICS));
        let json = serde_json::to_string(&some).unwrap();
        assert_eq!(json, r#"["tools:read","prompts"]"#);
        assert_eq!(serde_json::from_str::<Scopes>(&json).unwrap(), some);
        let bytes = postcard::to_stdvec(&some).unwrap();
        assert_eq!(postcard::from_bytes::<Scopes>(&bytes).unwrap(), some);
    }
}
