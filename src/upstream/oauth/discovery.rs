//! Finding out who lets one into an MCP server: protected-resource metadata (RFC 9728), then the authorization
//! server's own (RFC 8414, OpenID Connect). Checks and candidates are pure; only `discover` asks.
//! Rule: a document counts only for the address it was asked from: resource and issuer must be the ones expected.

use super::challenge::Challenge;
use super::web::Net;
use crate::error::{Error, Result, codes};
use crate::integrations::model::check_address;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use url::Url;

/// What a server says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct ResourceMetadata {
    pub resource: String,
    #[serde(default)]
    pub authorization_servers: Vec<String>,
    pub scopes_supported: Option<Vec<String>>,
}

/// What an authorization server says about itself, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Issuer {
    #[serde(default)]
    pub issuer: String,
    pub authorization_endpoint: Option<String>,
    #[serde(default)]
    pub token_endpoint: String,
    pub registration_endpoint: Option<String>,
    pub revocation_endpoint: Option<String>,
    pub device_authorization_endpoint: Option<String>,
    pub scopes_supported: Option<Vec<String>>,
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    pub code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    pub client_id_metadata_document_supported: bool,
}

/// Everything found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub issuer: Issuer,
    /// The resource tokens are asked for.
    pub resource: String,
    pub scopes: Option<Vec<String>>,
}

/// Asks from the server's challenge on, or from the well-known places.
pub async fn discover(net: &Net, server: &Url, challenge: &Challenge) -> Result<Found> {
    let resource = resource_metadata(net, server, challenge).await?;
    let Some(resource) = resource else {
        // Servers of 2025-03-26 are their own authorization server.
        let origin = server.origin().ascii_serialization();
        let issuer = match issuer_metadata(net, &origin).await? {
            Some(issuer) => issuer,
            None => fixed_places(&origin),
        };
        return Ok(Found { issuer, resource: canonical(server), scopes: None });
    };
    let Some(address) = resource.authorization_servers.first() else {
        let message = format!("`{server}` names no authorization server");
        return Err(Error::new(&codes::SIGN_IN_FAILED, message));
    };
    check_address(address).map_err(|error| unsafe_because("its authorization server", &error))?;
    let issuer = issuer_metadata(net, address).await?.ok_or_else(|| {
        Error::new(
            &codes::SIGN_IN_FAILED,
            format!("the authorization server `{address}` describes itself nowhere"),
        )
    })?;
    Ok(Found { issuer, resource: resource.resource, scopes: resource.scopes_supported })
}

async fn resource_metadata(
    net: &Net,
    server: &Url,
    challenge: &Challenge,
) -> Result<Option<ResourceMetadata>> {
    let named = challenge.resource_metadata.iter().cloned();
    for place in named.chain(resource_places(server)) {
        let Some(document) = document::<ResourceMetadata>(net, &place).await? else { continue };
        if !covers(&document.resource, server) {
            let message = format!("`{place}` speaks for `{}`, not for `{server}`", document.resource);
            return Err(Error::new(&codes::SIGN_IN_UNSAFE, message));
        }
        return Ok(Some(document));
    }
    Ok(None)
}

/// The metadata of an issuer, from the first of its well-known places that has any.
pub async fn issuer_metadata(net: &Net, issuer: &str) -> Result<Option<Issuer>> {
    let address = Url::parse(issuer).map_err(|error| {
        Error::new(&codes::SIGN_IN_UNSAFE, format!("`{issuer}` is no address of an issuer")).because(error)
    })?;
    for place in issuer_places(&address) {
        if let Some(found) = document::<Issuer>(net, &place).await? {
            check(&found, issuer)?;
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn document<T: serde::de::DeserializeOwned>(net: &Net, place: &str) -> Result<Option<T>> {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("mcp-protocol-version"), HeaderValue::from_static("2025-11-25"));
    let answer = net.get(place, headers).await?;
    // Some servers answer every unknown path with a page.
    if !answer.is_success() {
        return Ok(None);
    }
    Ok(answer.json().ok())
}

/// Where a server's description may lie: at its path, then at its root.
fn resource_places(server: &Url) -> Vec<String> {
    let (origin, path) = (server.origin().ascii_serialization(), server.path().trim_end_matches('/'));
    let root = format!("{origin}/.well-known/oauth-protected-resource");
    if path.is_empty() { vec![root] } else { vec![format!("{root}{path}"), root] }
}

/// Where an issuer's description may lie.
fn issuer_places(issuer: &Url) -> Vec<String> {
    let (origin, path) = (issuer.origin().ascii_serialization(), issuer.path().trim_end_matches('/'));
    let mut places = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        places.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    places
}

/// Servers of 2025-03-26 without any description have their endpoints in fixed places.
fn fixed_places(origin: &str) -> Issuer {
    Issuer {
        issuer: origin.into(),
        authorization_endpoint: Some(format!("{origin}/authorize")),
        token_endpoint: format!("{origin}/token"),
        registration_endpoint: Some(format!("{origin}/register")),
        code_challenge_methods_supported: Some(vec!["S256".into()]),
        ..Issuer::default()
    }
}

/// A description must be the issuer's own, and name nothing that would be spoken to in the open.
fn check(found: &Issuer, expected: &str) -> Result<()> {
    if found.issuer.trim_end_matches('/') != expected.trim_end_matches('/') {
        let message = format!("the description of `{expected}` says it is that of `{}`", found.issuer);
        return Err(Error::new(&codes::SIGN_IN_UNSAFE, message));
    }
    let optional = [
        &found.authorization_endpoint,
        &found.registration_endpoint,
        &found.revocation_endpoint,
        &found.device_authorization_endpoint,
    ];
    let named = optional.into_iter().flatten().chain([&found.token_endpoint]);
    for address in named {
        check_address(address).map_err(|error| unsafe_because(&format!("`{expected}`"), &error))?;
    }
    Ok(())
}

fn unsafe_because(who: &str, error: &Error) -> Error {
    Error::new(&codes::SIGN_IN_UNSAFE, format!("{who} names an address that is not safe")).because(error)
}

/// Whether a resource is the server: the same origin, and the server's path at or below its own.
fn covers(resource: &str, server: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else { return false };
    let (own, path) = (resource.path().trim_end_matches('/'), server.path());
    let below = path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    resource.origin() == server.origin() && resource.origin().is_tuple() && below
}

/// A server's address as resource (RFC 8707): without fragment, and without the slash of a bare host.
pub fn canonical(server: &Url) -> String {
    let mut url = server.clone();
    url.set_fragment(None);
    let text = url.to_string();
    match url.path() {
        "/" if url.query().is_none() => text.trim_end_matches('/').into(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_looked_for_in_order() {
        let url = |text| Url::parse(text).unwrap();
        assert_eq!(
            resource_places(&url("https://a.example/x/mcp")),
            [
                "https://a.example/.well-known/oauth-protected-resource/x/mcp",
                "https://a.example/.well-known/oauth-protected-resource"
            ]
        );
        assert_eq!(resource_places(&url("https://a.example/")).len(), 1);
        assert_eq!(
            issuer_places(&url("https://a.example/t1")),
            [
                "https://a.example/.well-known/oauth-authorization-server/t1",
                "https://a.example/.well-known/openid-configuration/t1",
                "https://a.example/t1/.well-known/openid-configuration"
            ]
        );
        assert_eq!(issuer_places(&url("https://a.example")).len(), 2);
    }

    #[test]
    fn a_resource_covers_what_is_below_it() {
        for (resource, server, expected) in [
            ("https://a.example/mcp", "https://a.example/mcp", true),
            ("https://a.example", "https://a.example/mcp", true),
            ("https://a.example/mcp/", "https://a.example/mcp", true),
            ("https://a.example/mc", "https://a.example/mcp", false),
            ("https://a.example/mcp", "https://a.example/", false),
            ("https://b.example/mcp", "https://a.example/mcp", false),
            ("http://a.example/mcp", "https://a.example/mcp", false),
            ("https://a.example:8443/mcp", "https://a.example/mcp", false),
            ("urn:x", "https://a.example/mcp", false),
        ] {
            assert_eq!(covers(resource, &Url::parse(server).unwrap()), expected, "{resource} {server}");
        }
    }

    #[test]
    fn a_description_of_somebody_else_is_refused() {
        let good = Issuer {
            issuer: "https://a.example".into(),
            token_endpoint: "https://a.example/t".into(),
            ..Issuer::default()
        };
        assert!(check(&good, "https://a.example").is_ok() && check(&good, "https://a.example/").is_ok());
        for (found, expected) in [
            (good.clone(), "https://b.example"),
            (good.clone(), "https://a.example/tenant"),
            (Issuer { issuer: String::new(), ..good.clone() }, "https://a.example"),
            (Issuer { token_endpoint: "http://a.example/t".into(), ..good.clone() }, "https://a.example"),
            (Issuer { token_endpoint: String::new(), ..good.clone() }, "https://a.example"),
            (Issuer { revocation_endpoint: Some("file:///x".into()), ..good.clone() }, "https://a.example"),
        ] {
            assert!(check(&found, expected).unwrap_err().is(&codes::SIGN_IN_UNSAFE), "{found:?}");
        }
    }

    #[test]
    fn a_resource_is_written_one_way() {
        for (address, expected) in [
            ("https://A.example:443/", "https://a.example"),
            ("https://a.example/mcp#x", "https://a.example/mcp"),
            ("https://a.example/mcp/", "https://a.example/mcp/"),
            ("https://a.example/?q=1", "https://a.example/?q=1"),
        ] {
            assert_eq!(canonical(&Url::parse(address).unwrap()), expected);
        }
    }
}
