//! The question a browser carries to the provider and the answer it brings back: PKCE, state, issuer, resource.
//! Pure: random values come in as arguments. Rule: nothing of a callback is used before its state and issuer fit.

use crate::error::{Error, Result, codes};
use base64::Engine as _;
use std::collections::BTreeMap;
use url::Url;

/// What a sign-in in a browser is made of.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    pub endpoint: &'a str,
    pub client_id: &'a str,
    pub redirect: &'a str,
    pub scopes: &'a [String],
    pub state: &'a str,
    pub verifier: &'a str,
    pub resource: Option<&'a str>,
    /// What the provider insists on beyond the standard.
    pub extra: &'a BTreeMap<String, String>,
}

impl Question<'_> {
    /// The address to open.
    pub fn url(&self) -> Result<String> {
        let mut url = Url::parse(self.endpoint).map_err(|error| {
            Error::new(&codes::SIGN_IN_UNSAFE, format!("`{}` is no address to sign in at", self.endpoint))
                .because(error)
        })?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("response_type", "code").append_pair("client_id", self.client_id);
            query.append_pair("redirect_uri", self.redirect).append_pair("state", self.state);
            query.append_pair("code_challenge", &challenge(self.verifier));
            query.append_pair("code_challenge_method", "S256");
            if !self.scopes.is_empty() {
                query.append_pair("scope", &self.scopes.join(" "));
            }
            if let Some(resource) = self.resource {
                query.append_pair("resource", resource);
            }
            // OpenID Connect gives a token to refresh with only to those who were asked for consent.
            let asks = self.scopes.iter().any(|scope| scope == "offline_access");
            if asks && !self.extra.contains_key("prompt") {
                query.append_pair("prompt", "consent");
            }
            query.extend_pairs(self.extra);
        }
        Ok(url.into())
    }
}

/// The S256 challenge of a verifier.
pub fn challenge(verifier: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
}

/// What a callback must be to count.
#[derive(Debug, Clone)]
pub struct Expected {
    pub state: String,
    pub issuer: Option<String>,
    /// The provider promised to name its issuer.
    pub issuer_promised: bool,
}

/// What a callback turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Callback {
    Code(String),
    /// The provider or the person said no.
    Denied(String),
    /// Not the answer to this question; another may follow.
    Stray,
    /// The answer comes from somebody else than was asked.
    Forged(String),
}

impl Expected {
    /// Reads the address a browser was sent back to.
    pub fn read(&self, url: &Url) -> Callback {
        let one = |name: &str| {
            let mut values =
                url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
            let first = values.next();
            // A parameter that stands twice is a trick.
            if values.next().is_some() { None } else { first }
        };
        if one("state").as_deref() != Some(self.state.as_str()) {
            return Callback::Stray;
        }
        let named = url.query_pairs().any(|(key, _)| key == "iss");
        match (one("iss"), &self.issuer) {
            (Some(named), Some(expected)) if named != *expected => {
                return Callback::Forged(format!("it names the issuer `{named}`, not `{expected}`"));
            }
            (None, _) if named => return Callback::Forged("it names two issuers".into()),
            (None, _) if self.issuer_promised => {
                return Callback::Forged("it names no issuer, though the provider promises to".into());
            }
            _ => {}
        }
        match (one("error"), one("code")) {
            (Some(error), _) => Callback::Denied(match one("error_description") {
                Some(words) => format!("{error}: {}", shown(&words)),
                None => shown(&error),
            }),
            (None, Some(code)) if !code.is_empty() => Callback::Code(code),
            _ => Callback::Stray,
        }
    }
}

/// Foreign words in an error: one line, not too long.
pub fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_of_the_rfc() {
        // RFC 7636, appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn the_question_carries_everything() {
        let question = Question {
            endpoint: "https://a.example/authorize?tenant=1",
            client_id: "c",
            redirect: "http://127.0.0.1:1/cb",
            scopes: &["a".into(), "offline_access".into()],
            state: "s",
            verifier: "v",
            resource: Some("https://m.example/mcp"),
            extra: &[("audience".to_string(), "x".to_string())].into(),
        };
        let url = Url::parse(&question.url().unwrap()).unwrap();
        let pairs: Vec<_> = url.query_pairs().map(|(key, value)| format!("{key}={value}")).collect();
        let challenge = format!("code_challenge={}", challenge("v"));
        assert_eq!(
            pairs,
            [
                "tenant=1",
                "response_type=code",
                "client_id=c",
                "redirect_uri=http://127.0.0.1:1/cb",
                "state=s",
                &challenge,
                "code_challenge_method=S256",
                "scope=a offline_access",
                "resource=https://m.example/mcp",
                "prompt=consent",
                "audience=x"
            ]
        );
    }

    #[test]
    fn only_the_right_callback_counts() {
        let promised =
            Expected { state: "s".into(), issuer: Some("https://i".into()), issuer_promised: true };
        let quiet = Expected { issuer_promised: false, ..promised.clone() };
        let unknown = Expected { issuer: None, ..quiet.clone() };
        let forged = |words: &str| Callback::Forged(words.into());
        let no_issuer = "it names no issuer, though the provider promises to";
        for (expected, query, outcome) in [
            (&promised, "code=c&state=s&iss=https://i", Callback::Code("c".into())),
            (&promised, "code=c&state=s", forged(no_issuer)),
            (
                &promised,
                "code=c&state=s&iss=https://i/",
                forged("it names the issuer `https://i/`, not `https://i`"),
            ),
            (&quiet, "code=c&state=s", Callback::Code("c".into())),
            (
                &quiet,
                "code=c&state=s&iss=https://evil",
                forged("it names the issuer `https://evil`, not `https://i`"),
            ),
            (&quiet, "code=c&state=s&iss=https://i&iss=https://i", forged("it names two issuers")),
            (&unknown, "code=c&state=s&iss=https://any", Callback::Code("c".into())),
            (&quiet, "code=c&state=other", Callback::Stray),
            (&quiet, "code=c", Callback::Stray),
            (&quiet, "code=c&state=s&state=s", Callback::Stray),
            (&quiet, "code=c&code=d&state=s", Callback::Stray),
            (&quiet, "state=s", Callback::Stray),
            (
                &quiet,
                "error=access_denied&error_description=no%0Away&state=s",
                Callback::Denied("access_denied: noway".into()),
            ),
            (&quiet, "error=access_denied&state=wrong", Callback::Stray),
        ] {
            let url = Url::parse(&format!("http://127.0.0.1:1/cb?{query}")).unwrap();
            assert_eq!(expected.read(&url), outcome, "{query}");
        }
    }
}
