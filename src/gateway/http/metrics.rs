//! `/metrics`: what the daemon counts, for Prometheus. Behind the same doors as the endpoint.
//! Rule: it tells of all servers, so a key for one profile does not open it, and one that somebody else signed or that
//! has scopes must have the scope `metrics` among them.

use super::admit::{Entry, Guest};
use super::body::Body;
use super::{Door, plain};
use crate::metrics::text;
use crate::policy::scope::Scopes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};

/// The path.
pub const PLACE: &str = "/metrics";

impl Door {
    pub(super) async fn metrics(&self, method: &Method, entry: &Entry<'_>) -> Response<Body> {
        let guest = match self.admit(entry, None).await {
            Ok(guest) => guest,
            Err(refusal) => return *refusal,
        };
        if *method != Method::GET {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "use GET");
        }
        if !may_read(&guest) {
            return self.insufficient(entry, Scopes::METRICS);
        }
        if guest.profile.is_some() {
            return plain(StatusCode::FORBIDDEN, "the key is for one profile; metrics tell of all");
        }
        let Some(snapshot) = self.gateway.measure() else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "nothing is measured yet");
        };
        let mut response = Response::new(Body::full(text::prometheus(&snapshot)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(text::CONTENT_TYPE));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// A key of the owner that opens everything opens this too.
fn may_read(guest: &Guest) -> bool {
    let owners = guest.pass.as_ref().is_none_or(|pass| !pass.name().contains(':'));
    guest.scopes.contains(Scopes::METRICS) || (owners && guest.scopes.contains(Scopes::ALL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_read_is_told_by_scope() {
        let guest = |name: Option<&str>, scopes: Scopes| Guest {
            pass: name.map(Into::into),
            client: String::new(),
            profile: None,
            scopes,
            until: None,
        };
        let read = Scopes::parse(["tools:read"]).unwrap();
        for (name, scopes, expected) in [
            (None, Scopes::ALL, true),
            (Some("laptop"), Scopes::ALL, true),
            (Some("laptop"), read, false),
            (Some("prometheus"), Scopes::METRICS, true),
            (Some("corp:ann"), Scopes::ALL, false),
            (Some("corp:scraper"), Scopes::METRICS, true),
        ] {
            assert_eq!(may_read(&guest(name, scopes)), expected, "{name:?} {scopes}");
        }
    }
}
