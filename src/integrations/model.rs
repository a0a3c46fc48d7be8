//! What an integration and a connection are: plain data and its checks, without a single secret.
//! An integration says how one signs in somewhere; a connection is one account that did. Tokens, keys and client
//! secrets lie in the vault under the names given here, never in these rows.

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How an account proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Oauth2,
    Oauth1,
    ApiKey,
    Basic,
    Bearer,
    None,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Oauth2 => "oauth2",
            Self::Oauth1 => "oauth1",
            Self::ApiKey => "api-key",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::None => "none",
        }
    }
}

/// How a client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// A public client: only its id.
    None,
    ClientSecretBasic,
    ClientSecretPost,
    /// A signed assertion; the secret is a PKCS#8 key in PEM.
    PrivateKeyJwt,
}

impl ClientAuth {
    /// As metadata documents name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost, Self::PrivateKeyJwt]
            .into_iter()
            .find(|auth| auth.word() == word)
    }
}

/// How the tokens of a connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// In a browser, with a code that comes back to this machine.
    #[default]
    Code,
    /// A code typed in on any device.
    Device,
    /// The client itself, without a person.
    ClientCredentials,
    /// A key or password that was handed over.
    Static,
}

/// Addresses of a provider. For a server that describes itself they are found at sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Endpoints {
    pub issuer: Option<String>,
    pub authorize: Option<String>,
    pub token: Option<String>,
    pub device: Option<String>,
    pub revoke: Option<String>,
    /// An address that answers 200 to a valid account.
    pub test: Option<String>,
    /// OAuth1: where a temporary token is asked for.
    pub temporary: Option<String>,
}

/// Where a key goes in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPlace {
    pub header: String,
    /// Stands before the key, such as `Bearer `.
    pub prefix: String,
}

impl Default for KeyPlace {
    fn default() -> Self {
        Self { header: "Authorization".into(), prefix: "Bearer ".into() }
    }
}

/// How one signs in somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integration {
    /// `int_…`
    pub id: String,
    pub name: String,
    pub kind: Kind,
    /// The preset it came from.
    pub provider: Option<String>,
    pub endpoints: Endpoints,
    pub client_id: Option<String>,
    /// An https address of a document that describes umcp as a client.
    pub client_metadata: Option<String>,
    pub client_auth: Option<ClientAuth>,
    /// Whether the vault holds a secret for it.
    pub has_secret: bool,
    pub scopes: Vec<String>,
    /// Parameters added to the authorization address.
    pub extra: BTreeMap<String, String>,
    pub key_place: KeyPlace,
    /// A port of the loopback listener, for providers that insist on the exact address.
    pub redirect_port: Option<u16>,
    pub created: Timestamp,
}

impl Integration {
    pub fn new(id: String, name: impl Into<String>, kind: Kind, now: Timestamp) -> Self {
        Self {
            id,
            name: name.into(),
            kind,
            provider: None,
            endpoints: Endpoints::default(),
            client_id: None,
            client_metadata: None,
            client_auth: None,
            has_secret: false,
            scopes: Vec::new(),
            extra: BTreeMap::new(),
            key_place: KeyPlace::default(),
            redirect_port: None,
            created: now,
        }
    }

    /// The name of its secret in the vault.
    pub fn secret_name(&self) -> String {
        format!("integration/{}", self.id)
    }

    /// What is missing before somebody can sign in; empty when nothing is.
    pub fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        let mut need = |there: bool, what| {
            if !there {
                missing.push(what);
            }
        };
        let endpoints = &self.endpoints;
        match self.kind {
            Kind::Oauth2 => {
                need(endpoints.token.is_some() || endpoints.issuer.is_some(), "--token-url or --issuer");
                need(self.client_id.is_some() || self.client_metadata.is_some(), "--client-id");
            }
            Kind::Oauth1 => {
                need(endpoints.temporary.is_some(), "--temporary-url");
                need(endpoints.authorize.is_some(), "--authorize-url");
                need(endpoints.token.is_some(), "--token-url");
                need(self.client_id.is_some(), "--client-id");
                need(self.has_secret, "--secret-stdin");
            }
            Kind::ApiKey | Kind::Basic | Kind::Bearer | Kind::None => {}
        }
        missing
    }

    /// Refuses what cannot work or would send secrets in the open.
    pub fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        let endpoints = &self.endpoints;
        let all = [
            &endpoints.issuer,
            &endpoints.authorize,
            &endpoints.token,
            &endpoints.device,
            &endpoints.revoke,
            &endpoints.test,
            &endpoints.temporary,
        ];
        for address in all.into_iter().flatten() {
            check_address(address)?;
        }
        self.client_metadata.as_deref().map_or(Ok(()), super::document::check)?;
        let header = &self.key_place.header;
        if header.is_empty() || !header.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(Error::new(&codes::VALUE_INVALID, format!("`{header}` is no name of a header")));
        }
        Ok(())
    }
}

/// Whom a connection is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// One MCP server, by id.
    Server(String),
    /// An integration, by id.
    Integration(String),
}

/// Whether a connection can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    Ready,
    /// The provider takes the tokens no more; only a new sign-in helps.
    NeedsSignIn,
    Revoked,
}

/// One account that signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// `con_…`
    pub id: String,
    pub name: String,
    pub target: Target,
    /// Whose account it is, as the user calls them.
    pub user: Option<String>,
    /// Used where nothing else is chosen.
    pub chosen: bool,
    /// Profiles and directories that use this account.
    pub profiles: Vec<String>,
    pub directories: Vec<String>,
    pub kind: Kind,
    pub grant: Grant,
    pub standing: Standing,
    /// As they were when it signed in.
    pub endpoints: Endpoints,
    pub client_id: Option<String>,
    pub client_auth: ClientAuth,
    /// The resource the tokens are for, as RFC 8707 says.
    pub resource: Option<String>,
    pub key_place: KeyPlace,
    pub scopes: Vec<String>,
    /// Scopes a server asked for since; the next sign-in asks for them too.
    pub wanted: Vec<String>,
    /// How often `wanted` has led to a new sign-in.
    pub stepped_up: u32,
    pub obtained: Timestamp,
    pub expires: Option<Timestamp>,
    pub refreshable: bool,
    pub last_used: Option<Timestamp>,
    pub refreshes: u64,
    pub failures: u64,
    pub last_error: Option<String>,
    pub created: Timestamp,
}

impl Connection {
    /// The name of its tokens in the vault.
    pub fn secret_name(&self) -> String {
        secret_name(&self.id)
    }
}

/// The name under which the vault holds the tokens of a connection.
pub fn secret_name(id: &str) -> String {
    format!("connection/{id}")
}

/// Refuses names that could not be a word on the command line or in `connection://NAME`.
pub fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    let fits = (1..=64).contains(&name.len())
        && name.chars().all(good)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    match fits {
        true => Ok(()),
        false => Err(Error::new(
            &codes::VALUE_INVALID,
            format!("`{name}` cannot be a name here: use letters, digits, `-`, `_`, `.` and `@`, 64 at most"),
        )),
    }
}

/// Secrets go over TLS or stay on this machine.
pub fn check_address(address: &str) -> Result<()> {
    let invalid = |why: &str| {
        Err(Error::new(&codes::VALUE_INVALID, format!("`{address}` cannot be an address of a provider"))
            .because(why))
    };
    let Some((scheme, rest)) = address.split_once("://") else { return invalid("it is no URL") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return invalid("it is no URL");
    }
    if authority.contains('@') {
        return invalid("it holds a login");
    }
    match scheme {
        "https" => Ok(()),
        "http" if is_loopback(authority) => Ok(()),
        "http" => invalid("it must start with https://"),
        _ => invalid("it must start with https://"),
    }
}

/// Whether a host with or without a port is this machine.
pub fn is_loopback(authority: &str) -> bool {
    if let Some(inner) = authority.strip_prefix('[') {
        return inner.split(']').next() == Some("::1");
    }
    let host = authority.split(':').next().unwrap_or_default();
    host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_secrets_private() {
        for (address, good) in [
            ("https://example.com/token", true),
            ("http://127.0.0.1:9/token", true),
            ("http://localhost/token", true),
            ("http://[::1]:80/", true),
            ("http://example.com/token", false),
            ("http://localhost.example.com/", false),
            ("http://127.0.0.1.example.com/", false),
            ("https://me:pw@example.com/", false),
            ("http://localhost@example.com/", false),
            ("ftp://example.com", false),
            ("example.com", false),
            ("https://", false),
            ("https://a b/", false),
        ] {
            assert_eq!(check_address(address).is_ok(), good, "{address}");
        }
    }

    #[test]
    fn an_integration_says_what_it_lacks() {
        let mut integration = Integration::new("int_1".into(), "x", Kind::Oauth2, Timestamp(0));
        assert_eq!(integration.missing(), ["--token-url or --issuer", "--client-id"]);
        integration.endpoints.issuer = Some("https://x".into());
        integration.client_id = Some("c".into());
        assert!(integration.missing().is_empty() && integration.check().is_ok());
        integration.key_place.header = "a b".into();
        assert!(integration.check().is_err());
    }
}
