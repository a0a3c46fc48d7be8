//! Reading `WWW-Authenticate`: what a server that answers 401 or 403 says about how to be let in.
//! Pure. Whatever is malformed is left out; nothing here is believed, only read.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// The parts of a `Bearer` challenge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Challenge {
    pub resource_metadata: Option<String>,
    pub scope: Option<String>,
    pub error: Option<String>,
}

impl Challenge {
    /// The first `Bearer` challenge of a response.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        headers.get_all(WWW_AUTHENTICATE).iter().find_map(|value| Self::parse(value.to_str().ok()?))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let at = lower.match_indices("bearer").map(|(at, _)| at).find(|at| {
            let before = lower[..*at].chars().next_back();
            let after = lower[at + 6..].chars().next();
            before.is_none_or(|c| c == ' ' || c == ',') && after.is_none_or(|c| c == ' ')
        })?;
        let mut challenge = Self::default();
        let mut rest = &text[at + 6..];
        while let Some((name, value, tail)) = parameter(rest) {
            let place = match name.to_ascii_lowercase().as_str() {
                "resource_metadata" => &mut challenge.resource_metadata,
                "scope" => &mut challenge.scope,
                "error" => &mut challenge.error,
                _ => &mut None,
            };
            place.get_or_insert(value);
            rest = tail;
        }
        Some(challenge)
    }

    pub fn wants_more(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }

    pub fn scopes(&self) -> Vec<String> {
        self.scope.iter().flat_map(|scope| scope.split_whitespace()).map(Into::into).collect()
    }
}

/// One `name=value` or `name="value"`, and what follows it.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start_matches([' ', ',', '\t']);
    let (name, rest) = text.split_once('=')?;
    let name = name.trim_end();
    // Another scheme begins.
    if name.is_empty() || name.contains([' ', '"', ',']) {
        return None;
    }
    let rest = rest.trim_start();
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', ' ']).unwrap_or(rest.len());
        return Some((name, rest[..end].into(), &rest[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((name, value, &quoted[at + 1..])),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let challenge = |metadata: Option<&str>, scope: Option<&str>, error: Option<&str>| {
            Some(Challenge {
                resource_metadata: metadata.map(Into::into),
                scope: scope.map(Into::into),
                error: error.map(Into::into),
            })
        };
        for (text, expected) in [
            ("Bearer", challenge(None, None, None)),
            (r#"Bearer resource_metadata="https://x/y""#, challenge(Some("https://x/y"), None, None)),
            (
                r#"bearer realm="a \"b\", c", error=insufficient_scope , scope="a b", resource_metadata="m""#,
                challenge(Some("m"), Some("a b"), Some("insufficient_scope")),
            ),
            (r#"Basic realm="x", Bearer scope="s""#, challenge(None, Some("s"), None)),
            (r#"Bearer scope="a", scope="b""#, challenge(None, Some("a"), None)),
            (r#"Bearer scope="a", Digest nonce="x""#, challenge(None, Some("a"), None)),
            (r#"Bearer scope="unfinished"#, challenge(None, None, None)),
            ("Basic realm=\"bearers\"", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(text), expected, "{text}");
        }
    }
}
