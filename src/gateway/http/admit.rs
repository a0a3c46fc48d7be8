//! Who may come in, and as whom: the key of a request, what it opens, and the words of a refusal (RFC 6750).
//! Rule: one `Authorization` header, in the header alone; a refusal says what is missing, never what was sent.

use super::body::Body;
use super::issuers::Refused;
use super::server;
use super::{Door, checks, plain};
use crate::clock::Timestamp;
use crate::policy::pass::Pass;
use crate::policy::scope::Scopes;
use crate::policy::{self, jwt};
use crate::settings::Authorization;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Response, StatusCode};
use std::net::IpAddr;
use std::time::Duration;

/// Who sends a request, as far as its key says.
#[derive(Clone)]
pub struct Guest {
    /// What it came with; `None` where no key is asked for.
    pub pass: Option<Pass>,
    /// What the client is called whatever it says of itself; empty where it may say.
    pub client: String,
    /// The profile: that of the address, or the only one the key opens.
    pub profile: Option<String>,
    pub scopes: Scopes,
    /// When that is over by itself.
    pub until: Option<Timestamp>,
}

/// Where a request came in.
pub struct Entry<'a> {
    pub headers: &'a HeaderMap,
    /// Path that was asked for.
    pub path: &'a str,
    /// The client's address; `None` on the local socket.
    pub from: Option<IpAddr>,
}

/// A refusal, boxed since it is large and rare.
pub type Refusal = Box<Response<Body>>;

impl Door {
    /// The guest a request's key or token stands for. `profile`: the one in the address.
    pub(super) async fn admit(&self, entry: &Entry<'_>, profile: Option<String>) -> Result<Guest, Refusal> {
        if self.listening.no_key {
            return Ok(Guest {
                pass: None,
                client: String::new(),
                profile,
                scopes: Scopes::ALL,
                until: None,
            });
        }
        let key = match bearer(entry.headers) {
            Ok(Some(key)) => key,
            Ok(None) => {
                return Err(self.unauthorized(entry, None, "a key is needed: umcp token create NAME"));
            }
            Err(why) => return Err(Box::new(plain(StatusCode::BAD_REQUEST, why))),
        };
        let (guest, own) = match self.gateway.world().shared.settings.gateway.authorization {
            Authorization::Jwt if jwt::looks_like(key) => self.signed(entry, key).await?,
            Authorization::Server if key.starts_with(server::ACCESS) => self.granted(entry, key)?,
            _ => self.known(entry, key)?,
        };
        let name = guest.pass.as_ref().map(Pass::name);
        let counted = name.map_or(Ok(()), |name| self.gateway.entrance.count_client(name));
        counted.map_err(|wait| Box::new(too_many(wait)))?;
        // What opens one profile opens no other.
        let profile = match own {
            Some(own) if profile.as_ref().is_some_and(|asked| *asked != own) => {
                let engine = &self.gateway.world().shared.engine;
                self.gateway.entrance.record(engine, entry.from, "the key is for another profile");
                return Err(Box::new(plain(StatusCode::FORBIDDEN, "the key is for another profile")));
            }
            own => own.or(profile),
        };
        Ok(Guest { profile, ..guest })
    }

    /// The guest of a key of ours, and the profile it is for.
    fn known(&self, entry: &Entry<'_>, key: &str) -> Result<(Guest, Option<String>), Refusal> {
        let engine = &self.gateway.world().shared.engine;
        let Ok(tokens) = self.gateway.entrance.tokens(engine) else {
            return Err(Box::new(plain(StatusCode::SERVICE_UNAVAILABLE, "the keys cannot be read")));
        };
        let Some(token) = policy::admit(&tokens, key, engine.now()) else {
            let why = "the key is not known, expired or revoked: umcp token list";
            return Err(self.unauthorized(entry, Some("the key is not known, expired or revoked"), why));
        };
        let (pass, client) = (Some(token.name.as_str().into()), String::new());
        let (scopes, until) = (token.scopes, token.expires);
        Ok((Guest { pass, client, profile: None, scopes, until }, token.profile.clone()))
    }

    /// The guest of a grant of ours, and the profile the owner gave it.
    fn granted(&self, entry: &Entry<'_>, key: &str) -> Result<(Guest, Option<String>), Refusal> {
        let engine = &self.gateway.world().shared.engine;
        let Ok(grants) = self.gateway.entrance.grants(engine) else {
            return Err(Box::new(plain(StatusCode::SERVICE_UNAVAILABLE, "the grants cannot be read")));
        };
        let (digest, now) = (policy::hash(key), engine.now());
        let Some(grant) = grants.iter().find(|it| it.opens(&digest, now)) else {
            let why = "the token is not known, expired or revoked";
            return Err(self.unauthorized(entry, Some(why), why));
        };
        if !server::is_for(grant, self.origin(entry).as_deref(), entry.path) {
            let why = "the token is for another address";
            return Err(self.unauthorized(entry, Some(why), why));
        }
        let client = format!("grant:{}", grant.name);
        let pass = Some(client.as_str().into());
        // The address is the one the owner allowed, whose profile the grant may narrow but not leave.
        // Its client renews the token within the grant, which is what ends.
        let (scopes, until) = (grant.scopes, Some(grant.refresh_until));
        Ok((Guest { pass, client, profile: None, scopes, until }, grant.profile.clone()))
    }

    /// The guest of a signed token, and the profile its issuer is trusted for.
    async fn signed(&self, entry: &Entry<'_>, token: &str) -> Result<(Guest, Option<String>), Refusal> {
        let engine = &self.gateway.world().shared.engine;
        let good = match self.gateway.entrance.issuers.admit(engine, token).await {
            Ok(good) => good,
            Err(Refused::Fault(fault)) => {
                return Err(self.unauthorized(entry, Some(fault.words()), fault.words()));
            }
            Err(Refused::Keys) => {
                let why = "the keys of the token's issuer cannot be had";
                return Err(Box::new(plain(StatusCode::SERVICE_UNAVAILABLE, why)));
            }
        };
        let (issuer, claims) = (&good.issuer, &good.claims);
        let said = Scopes::known_in(claims.scopes.iter().map(String::as_str));
        let client = format!("{}:{}", issuer.name, claims.subject);
        let pass = Some(Pass::new(client.as_str(), claims.roles.clone()));
        let scopes = if said.is_empty() { issuer.scopes } else { said };
        let until = Some(claims.ends());
        Ok((Guest { pass, client, profile: None, scopes, until }, issuer.profile.clone()))
    }

    /// `reason`: what the audit trail says of it; nothing where no key was sent, which is how clients begin.
    fn unauthorized(&self, entry: &Entry<'_>, reason: Option<&'static str>, why: &'static str) -> Refusal {
        let engine = &self.gateway.world().shared.engine;
        if let Some(reason) = reason {
            self.gateway.entrance.record(engine, entry.from, reason);
        }
        let mut refusal = plain(StatusCode::UNAUTHORIZED, why);
        self.challenge(&mut refusal, entry, reason.map(|_| "invalid_token"), Scopes::ALL);
        Box::new(refusal)
    }

    /// The answer to a request whose key does not open what it asks for.
    pub(super) fn insufficient(&self, entry: &Entry<'_>, needed: Scopes) -> Response<Body> {
        let engine = &self.gateway.world().shared.engine;
        self.gateway.entrance.record(engine, entry.from, "the scope of the key is not enough");
        let mut refusal = plain(StatusCode::FORBIDDEN, "the key lacks the scope for that");
        self.challenge(&mut refusal, entry, Some("insufficient_scope"), needed);
        refusal
    }

    fn challenge(
        &self,
        refusal: &mut Response<Body>,
        entry: &Entry<'_>,
        error: Option<&'static str>,
        scopes: Scopes,
    ) {
        let mut text = String::from("Bearer realm=\"umcp\"");
        if let Some(error) = error {
            text.push_str(&format!(", error=\"{error}\""));
        }
        text.push_str(&format!(", scope=\"{scopes}\""));
        if let Some(url) = self.metadata_url(entry) {
            text.push_str(&format!(", resource_metadata=\"{url}\""));
        }
        if let Ok(value) = HeaderValue::from_str(&text) {
            refusal.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
    }
}

/// The bearer token of a request; the error is why it cannot be read.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    if headers.get_all(AUTHORIZATION).iter().count() > 1 {
        return Err("more than one Authorization header");
    }
    let Some(value) = checks::get(headers, "authorization") else { return Ok(None) };
    let Some((scheme, key)) = value.split_once(' ') else { return Ok(None) };
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| key.trim()).filter(|key| !key.is_empty()))
}

/// The answer to somebody who comes too often.
pub fn too_many(wait: Duration) -> Response<Body> {
    let mut refusal = plain(StatusCode::TOO_MANY_REQUESTS, "too many requests; try again later");
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_in_one_header() {
        for (values, expected) in [
            (&["Bearer k"][..], Ok(Some("k"))),
            (&["bearer   k "], Ok(Some("k"))),
            (&["Basic k"], Ok(None)),
            (&["Bearer "], Ok(None)),
            (&["Bearer"], Ok(None)),
            (&[], Ok(None)),
            (&["Bearer a", "Bearer b"], Err("more than one Authorization header")),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(bearer(&headers), expected, "{values:?}");
        }
    }

    #[test]
    fn whoever_has_to_wait_is_told_whole_seconds() {
        for (millis, expected) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2")] {
            assert_eq!(too_many(Duration::from_millis(millis)).headers()[RETRY_AFTER], expected);
        }
    }
}
