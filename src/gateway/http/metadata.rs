//! What the endpoint says of itself to whoever has no token yet (RFC 9728).
//! Rule: it names an address only where that is certain: the public one, or the one on this machine that was asked for.

use super::admit::Entry;
use super::body::Body;
use super::{Door, checks, plain};
use crate::policy::scope::Scopes;
use crate::settings::Authorization;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};

const PLACE: &str = "/.well-known/oauth-protected-resource";

impl Door {
    /// Scheme and host under which a client finds us; nothing where only the client says so.
    pub(super) fn origin(&self, entry: &Entry<'_>) -> Option<String> {
        if let Some(public) = &self.listening.public_url {
            return Some(public.clone());
        }
        let host = checks::get(entry.headers, "host").filter(|host| checks::names_this_machine(host))?;
        Some(format!("{}://{host}", self.listening.scheme()))
    }

    /// Where the description of the endpoint that was asked for lies.
    pub(super) fn metadata_url(&self, entry: &Entry<'_>) -> Option<String> {
        if self.gateway.world().shared.settings.gateway.authorization == Authorization::Tokens {
            return None;
        }
        Some(format!("{}{PLACE}{}", self.origin(entry)?, entry.path))
    }

    /// The answer to a request for the description; `None` when it is for something else.
    pub(super) fn describe(&self, method: &Method, entry: &Entry<'_>) -> Option<Response<Body>> {
        let resource = match entry.path.strip_prefix(PLACE)? {
            "" | "/" => "/mcp",
            path => path,
        };
        super::profile_of(resource)?;
        let servers = self.authorization_servers(entry);
        let (Some(origin), false) = (self.origin(entry), servers.is_empty()) else {
            return Some(plain(StatusCode::NOT_FOUND, "not found; keys alone are taken here"));
        };
        if method != Method::GET {
            return Some(plain(StatusCode::METHOD_NOT_ALLOWED, "use GET"));
        }
        Some(document(&json!({
            "resource": format!("{origin}{resource}"),
            "resource_name": "umcp",
            "authorization_servers": servers,
            "scopes_supported": Scopes::ALL.words().collect::<Vec<_>>(),
            "bearer_methods_supported": ["header"],
        })))
    }

    fn authorization_servers(&self, entry: &Entry<'_>) -> Vec<String> {
        let shared = &self.gateway.world().shared;
        match shared.settings.gateway.authorization {
            Authorization::Tokens => Vec::new(),
            Authorization::Server => self.origin(entry).into_iter().collect(),
            Authorization::Jwt => {
                let trusted = self.gateway.entrance.issuers.trusted(&shared.engine).unwrap_or_default();
                trusted.iter().map(|it| it.issuer.clone()).collect()
            }
        }
    }
}

/// A document for everybody, not to be kept: it changes with the settings.
pub fn document(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::full(value.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
