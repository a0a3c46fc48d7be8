//! The token endpoint: one request for each grant, and what its answers mean. It keeps nothing and decides nothing
//! about connections. Rule: a token is only taken when it can stand in a header and is a bearer token.

use super::authorize::shown;
use super::client::Client;
use super::web::{Answer, Net};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Deserializer};

/// Longer tokens are none.
const MAX_TOKEN: usize = 16 << 10;

/// Where tokens are asked for, and by whom.
#[derive(Clone)]
pub struct Desk {
    pub net: Net,
    pub endpoint: String,
    pub issuer: Option<String>,
    pub client: Client,
    pub resource: Option<String>,
}

/// Tokens as they came.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Tokens {
    pub access_token: String,
    #[serde(default)]
    pub token_type: Option<String>,
    #[serde(default)]
    pub refresh_token: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    pub expires_in: Option<u64>,
    #[serde(default)]
    pub scope: Option<String>,
}

/// Some providers write the number as text.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| match value {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64),
    }))
}

/// Why there are no tokens.
#[derive(Debug)]
pub enum Refusal {
    /// The provider's own word, such as `invalid_grant`.
    Said { error: String, words: String },
    /// It could not be asked, or what it said makes no sense.
    Broken(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Said { error, words } => {
                let message = format!("the provider refused: `{error}`");
                let error = Error::new(&codes::SIGN_IN_FAILED, message);
                if words.is_empty() { error } else { error.because(words) }
            }
            Refusal::Broken(error) => error,
        }
    }
}

impl Desk {
    pub async fn code(
        &self,
        code: &str,
        redirect: &str,
        verifier: &str,
        now: Timestamp,
    ) -> Result<Tokens, Refusal> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        self.ask(&fields, now).await
    }

    pub async fn refresh(&self, token: &str, now: Timestamp) -> Result<Tokens, Refusal> {
        self.ask(&[("grant_type", "refresh_token"), ("refresh_token", token)], now).await
    }

    pub async fn client_credentials(&self, scopes: &[String], now: Timestamp) -> Result<Tokens, Refusal> {
        let scope = scopes.join(" ");
        let mut fields = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            fields.push(("scope", &scope));
        }
        self.ask(&fields, now).await
    }

    pub async fn device(&self, device_code: &str, now: Timestamp) -> Result<Tokens, Refusal> {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        self.ask(&[("grant_type", grant), ("device_code", device_code)], now).await
    }

    async fn ask(&self, fields: &[(&str, &str)], now: Timestamp) -> Result<Tokens, Refusal> {
        let answer = self.send(&self.endpoint, fields, now).await?;
        read(&answer)
    }

    /// A form with the client's proof.
    pub async fn send(&self, endpoint: &str, fields: &[(&str, &str)], now: Timestamp) -> Result<Answer> {
        let audience = self.issuer.as_deref().unwrap_or(&self.endpoint);
        let proof = self.client.proof(audience, now)?;
        let mut form = fields.to_vec();
        form.extend(proof.fields.iter().map(|(name, value)| (*name, value.as_str())));
        form.extend(self.resource.iter().map(|resource| ("resource", resource.as_str())));
        self.net.form(endpoint, proof.headers, &form).await
    }

    /// Takes a token back (RFC 7009). An unknown token counts as taken back.
    pub async fn revoke(&self, endpoint: &str, token: &str, hint: &str, now: Timestamp) -> Result<()> {
        let desk = Self { resource: None, ..self.clone() };
        let answer = desk.send(endpoint, &[("token", token), ("token_type_hint", hint)], now).await?;
        match answer.is_success() {
            true => Ok(()),
            false => Err(refused(&answer).into()),
        }
    }
}

#[derive(Deserialize)]
struct Said {
    error: Option<serde_json::Value>,
    error_description: Option<String>,
}

/// What an answer of the token endpoint means.
pub fn read(answer: &Answer) -> Result<Tokens, Refusal> {
    // Some providers say 200 and mean an error.
    let said: Option<Said> = answer.json().ok();
    if !answer.is_success() || said.as_ref().is_some_and(|said| said.error.is_some()) {
        return Err(refused(answer));
    }
    let broken = |why: &str| {
        Refusal::Broken(
            Error::new(&codes::SIGN_IN_FAILED, "the provider's answer holds no token that can be used")
                .because(why),
        )
    };
    let tokens: Tokens = answer.json().map_err(|_| broken("it is not the JSON of a token"))?;
    let bearer = tokens.token_type.as_deref().unwrap_or("bearer");
    // Slack names the kind of its account instead.
    if !["bearer", "bot", "user"].iter().any(|kind| bearer.eq_ignore_ascii_case(kind)) {
        return Err(broken(&format!("it is of the type `{}`", shown(bearer))));
    }
    for token in std::iter::once(&tokens.access_token).chain(&tokens.refresh_token) {
        let sound = token.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        if token.is_empty() || token.len() > MAX_TOKEN || !sound {
            return Err(broken("it holds characters no token has, or too many"));
        }
    }
    Ok(tokens)
}

fn refused(answer: &Answer) -> Refusal {
    let said: Option<Said> = answer.json().ok();
    let error = said.as_ref().and_then(|said| said.error.as_ref()).and_then(|error| error.as_str());
    match error {
        Some(error) => Refusal::Said {
            error: shown(error),
            words: said
                .as_ref()
                .and_then(|said| said.error_description.as_deref())
                .map(shown)
                .unwrap_or_default(),
        },
        None => Refusal::Broken(Error::new(
            &codes::SIGN_IN_FAILED,
            format!("the provider answered {}", answer.status),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderMap;

    fn outcome(status: u16, body: &str) -> String {
        let answer = Answer { status, headers: HeaderMap::new(), body: body.into() };
        match read(&answer) {
            Ok(tokens) => format!(
                "{} {:?} {:?} {:?}",
                tokens.access_token, tokens.refresh_token, tokens.expires_in, tokens.scope
            ),
            Err(refusal) => Error::from(refusal).to_string(),
        }
    }

    #[test]
    fn answers_are_taken_or_refused() {
        for (status, body, expected) in [
            (
                200,
                r#"{"access_token":"a","token_type":"Bearer","refresh_token":"r","expires_in":60,"scope":"x y"}"#,
                r#"a Some("r") Some(60) Some("x y")"#,
            ),
            (200, r#"{"access_token":"a","expires_in":"3600"}"#, "a None Some(3600) None"),
            (200, r#"{"access_token":"a","expires_in":null,"token_type":"bot"}"#, "a None None None"),
            (200, r#"{"access_token":"a","expires_in":-5}"#, "a None None None"),
            (
                400,
                r#"{"error":"invalid_grant","error_description":"gone\u0007"}"#,
                "the provider refused: `invalid_grant`: gone",
            ),
            (200, r#"{"error":"bad_verification_code"}"#, "the provider refused: `bad_verification_code`"),
            (502, "<html>", "the provider answered 502"),
            (
                200,
                r#"{"access_token":"a\nb"}"#,
                "the provider's answer holds no token that can be used: it holds characters no token has, or too many",
            ),
            (
                200,
                r#"{"access_token":"a","token_type":"DPoP"}"#,
                "the provider's answer holds no token that can be used: it is of the type `DPoP`",
            ),
            (
                200,
                "access_token=a",
                "the provider's answer holds no token that can be used: it is not the JSON of a token",
            ),
        ] {
            assert_eq!(outcome(status, body), expected, "{body}");
        }
        let long = format!(r#"{{"access_token":"{}"}}"#, "a".repeat(MAX_TOKEN + 1));
        assert!(outcome(200, &long).ends_with("or too many"));
    }
}
