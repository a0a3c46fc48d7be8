//! Who umcp is to a provider: a client registered before, one described by a document, or one registered now
//! (RFC 7591); and how it proves itself at the token endpoint. It keeps nothing.

use super::assertion;
use super::authorize::shown;
use super::discovery::Issuer;
use super::web::Net;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::integrations::model::ClientAuth;
use crate::integrations::oauth1::encode;
use base64::Engine as _;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::json;

/// As what umcp speaks to a provider. Its Debug shows no secret.
#[derive(Clone)]
pub struct Client {
    pub id: String,
    pub auth: ClientAuth,
    pub secret: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client {{ {}, {} }}", self.id, self.auth.word())
    }
}

/// What a request to the token endpoint needs besides its own fields.
pub struct Proof {
    pub headers: HeaderMap,
    pub fields: Vec<(&'static str, String)>,
}

impl Client {
    /// The proof for one request; `audience` is whom an assertion is for.
    pub fn proof(&self, audience: &str, now: Timestamp) -> Result<Proof> {
        let mut proof = Proof { headers: HeaderMap::new(), fields: Vec::new() };
        let secret = || {
            self.secret.as_deref().ok_or_else(|| {
                Error::new(
                    &codes::SIGN_IN_FAILED,
                    format!("the client `{}` has no secret in the vault", self.id),
                )
            })
        };
        match self.auth {
            ClientAuth::None => proof.fields.push(("client_id", self.id.clone())),
            ClientAuth::ClientSecretPost => {
                proof.fields.push(("client_id", self.id.clone()));
                proof.fields.push(("client_secret", secret()?.into()));
            }
            ClientAuth::ClientSecretBasic => {
                let login = format!("{}:{}", encode(&self.id), encode(secret()?));
                let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login));
                let mut value =
                    HeaderValue::try_from(value).map_err(|_| Error::bug("Base64 is not a header value"))?;
                value.set_sensitive(true);
                proof.headers.insert(AUTHORIZATION, value);
                // Servers made with the Python SDK look for it in the form all the same.
                proof.fields.push(("client_id", self.id.clone()));
            }
            ClientAuth::PrivateKeyJwt => {
                proof.fields.push(("client_id", self.id.clone()));
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                proof.fields.push(("client_assertion_type", kind.into()));
                let id = crate::ids::random_hex(16);
                let signed = assertion::sign(secret()?, &self.id, audience, &id, now)?;
                proof.fields.push(("client_assertion", signed));
            }
        }
        Ok(proof)
    }
}

/// The way a client with or without a secret should prove itself, of those the provider takes.
pub fn choose_auth(offered: Option<&[String]>, has_secret: bool) -> ClientAuth {
    if !has_secret {
        return ClientAuth::None;
    }
    let takes = |auth: ClientAuth| offered.is_none_or(|all| all.iter().any(|word| word == auth.word()));
    // Basic is what a provider takes that says nothing.
    if takes(ClientAuth::ClientSecretBasic) || !takes(ClientAuth::ClientSecretPost) {
        ClientAuth::ClientSecretBasic
    } else {
        ClientAuth::ClientSecretPost
    }
}

#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<String>,
    token_endpoint_auth_method: Option<String>,
}

/// Registers umcp with a provider that lets anybody.
pub async fn register(
    net: &Net,
    issuer: &Issuer,
    redirect: &str,
    scopes: &[String],
    grants: &[&str],
) -> Result<Client> {
    let Some(endpoint) = &issuer.registration_endpoint else { return Err(unregistered(&issuer.issuer)) };
    let offered = issuer.token_endpoint_auth_methods_supported.as_deref();
    let open = offered.is_none_or(|all| all.iter().any(|word| word == "none"));
    let method = if open { ClientAuth::None } else { choose_auth(offered, true) };
    let mut wish = json!({
        "client_name": "umcp",
        "redirect_uris": [redirect],
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": method.word(),
        "application_type": "native",
    });
    if !scopes.is_empty() {
        wish["scope"] = scopes.join(" ").into();
    }
    let answer =
        net.post(endpoint, HeaderMap::new(), "application/json", wish.to_string().into_bytes()).await?;
    let failed = |why: String| {
        Error::new(&codes::SIGN_IN_FAILED, format!("`{}` did not register umcp as a client", issuer.issuer))
            .because(why)
            .hint("register one at the provider and give it with --client-id")
    };
    if !answer.is_success() {
        let words = shown(&String::from_utf8_lossy(&answer.body));
        return Err(failed(format!("{}: {words}", answer.status)));
    }
    let registered: Registered = answer.json().map_err(|error| failed(error.to_string()))?;
    let secret = registered.client_secret.filter(|secret| !secret.is_empty());
    let named = registered.token_endpoint_auth_method.as_deref().and_then(ClientAuth::parse);
    let auth = match named {
        // Some hand out a secret all the same; the way they name counts.
        Some(ClientAuth::PrivateKeyJwt) | None => choose_auth(offered, secret.is_some()),
        Some(auth) => auth,
    };
    Ok(Client { id: registered.client_id, auth, secret })
}

/// Nobody knows umcp there, and there is no way to change that from here.
pub fn unregistered(issuer: &str) -> Error {
    Error::new(&codes::SIGN_IN_FAILED, format!("`{issuer}` registers no clients by itself"))
        .hint("register one at the provider and give it with --client-id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_prove_oneself_fits_the_provider() {
        let words = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (offered, has_secret, expected) in [
            (None, true, ClientAuth::ClientSecretBasic),
            (None, false, ClientAuth::None),
            (Some(words(&["client_secret_post"])), true, ClientAuth::ClientSecretPost),
            (
                Some(words(&["client_secret_post", "client_secret_basic"])),
                true,
                ClientAuth::ClientSecretBasic,
            ),
            (Some(words(&["private_key_jwt"])), true, ClientAuth::ClientSecretBasic),
            (Some(words(&["client_secret_basic"])), false, ClientAuth::None),
        ] {
            assert_eq!(choose_auth(offered.as_deref(), has_secret), expected, "{offered:?}");
        }
    }

    #[test]
    fn a_login_is_encoded_before_it_is_coded() {
        // RFC 6749, section 2.3.1.
        let client =
            Client { id: "a:b".into(), auth: ClientAuth::ClientSecretBasic, secret: Some("p%q".into()) };
        let proof = client.proof("https://i", Timestamp(0)).unwrap();
        let value = proof.headers[AUTHORIZATION].to_str().unwrap();
        assert_eq!(
            value,
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("a%3Ab:p%25q"))
        );
        assert_eq!(proof.fields, [("client_id", "a:b".to_string())]);
        assert!(!format!("{client:?}").contains("p%q"));
    }
}
