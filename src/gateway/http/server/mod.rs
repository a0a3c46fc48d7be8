//! umcp's own authorization server, for remote connectors that bring no key: registration, consent, codes, tokens (RFC 6749,
//! 7009, 7591, 7636, 8414, 8707, 9207). Public clients with PKCE alone; the owner proves himself by a one-time code.
//! Rule: before client and redirect address are known to be right, nobody is sent anywhere.

mod consent;
mod desk;
mod page;
mod redirect;
mod token;

use super::admit::{Entry, too_many};
use super::body::Body;
use super::metadata::document;
use super::{Door, plain};
use crate::engine::{Reply, StoreRequest, unexpected};
use crate::error::Result;
use crate::policy::grant::{Grant, Reply as GrantReply, Request as GrantRequest};
use crate::policy::rate::{Buckets, Rate};
use crate::policy::scope::Scopes;
use crate::policy::{self, network};
use crate::settings::Authorization;
use desk::Desk;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
pub use token::ACCESS;

const DESCRIPTION: &str = "/.well-known/oauth-authorization-server";
/// The longest form or registration.
const MOST_BYTES: usize = 16 << 10;
/// Requests of one address, and of all, within a minute.
const EACH: Rate = Rate { count: 60, per: Duration::from_secs(60) };
const ALL: Rate = Rate { count: 600, per: Duration::from_secs(60) };

/// What all listeners share of it.
pub struct Server {
    desk: Mutex<Desk>,
    counts: Mutex<(Buckets<IpAddr>, Buckets<()>)>,
}

impl Default for Server {
    fn default() -> Self {
        let counts = Mutex::new((Buckets::new(2000), Buckets::new(2)));
        Self { desk: Mutex::default(), counts }
    }
}

/// Fields of a query or a form; a name that comes twice is a mistake.
type Fields = BTreeMap<String, String>;

impl Server {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A one-time code for the owner, with its end.
    pub fn invite(
        &self,
        profile: Option<String>,
        scopes: Scopes,
        now: crate::clock::Timestamp,
    ) -> (String, crate::clock::Timestamp) {
        self.desk().invite(profile, scopes, now)
    }

    fn count(&self, from: Option<IpAddr>) -> std::result::Result<(), Duration> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (each, all) = &mut *counts;
        let now = Instant::now();
        from.map_or(Ok(()), |from| each.take(network::counted(from), EACH, now))?;
        all.take((), ALL, now)
    }
}

impl Door {
    /// Whether umcp itself gives out tokens here.
    pub(super) fn serves_grants(&self) -> bool {
        self.gateway.world().shared.settings.gateway.authorization == Authorization::Server
    }

    /// Answers what belongs to the authorization server; gives back what does not.
    pub(super) async fn authorize(
        &self,
        request: Request<Incoming>,
        from: Option<IpAddr>,
    ) -> std::result::Result<Response<Body>, Request<Incoming>> {
        let path = request.uri().path();
        let is_ours = path == DESCRIPTION || path.starts_with("/oauth/");
        if !is_ours || !self.serves_grants() {
            return Err(request);
        }
        let path = path.to_string();
        let entry = Entry { headers: request.headers(), path: &path, from };
        let Some(issuer) = self.origin(&entry) else { return Err(request) };
        if let Err(wait) = self.gateway.entrance.server.count(from) {
            return Ok(too_many(wait));
        }
        Ok(match (request.method(), path.as_str()) {
            (&Method::GET, DESCRIPTION) => describe(&issuer),
            (&Method::GET, "/oauth/authorize") => self.ask_for_consent(request.uri().query(), &issuer).await,
            (&Method::POST, "/oauth/authorize") => self.decide(request, &issuer).await,
            (&Method::POST, "/oauth/token") => self.give_tokens(request).await,
            (&Method::POST, "/oauth/revoke") => self.revoke(request).await,
            (&Method::POST, "/oauth/register") => self.register(request).await,
            _ => plain(StatusCode::NOT_FOUND, "not found"),
        })
    }

    /// Reads or changes clients and grants, beside the runtime's one thread.
    async fn grants(&self, request: GrantRequest) -> Result<GrantReply> {
        let engine = self.gateway.world().shared.engine.clone();
        let request = StoreRequest::Token(policy::Request::Grant(request));
        let answered = tokio::task::spawn_blocking(move || engine.call(request)).await;
        match answered.map_err(|error| crate::error::Error::bug("a grant was not read").because(error))?? {
            Reply::Token(policy::Reply::Grant(reply)) => Ok(reply),
            other => unexpected(&other),
        }
    }

    /// Whether an address is one of ours, as clients write it; gives the path of the endpoint.
    fn is_resource(&self, issuer: &str, resource: &str) -> bool {
        resource
            .strip_prefix(issuer)
            .is_some_and(|path| super::profile_of(path).is_some() && !path.ends_with('/'))
    }
}

/// Whether a grant's access token opens the address that was asked for.
pub fn is_for(grant: &Grant, origin: Option<&str>, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    origin.is_some_and(|origin| grant.resource.strip_prefix(origin) == Some(path))
}

fn describe(issuer: &str) -> Response<Body> {
    document(&json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "registration_endpoint": format!("{issuer}/oauth/register"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": Scopes::ALL.words().collect::<Vec<_>>(),
        "authorization_response_iss_parameter_supported": true,
    }))
}

/// Fields of a coded text; `None` when one comes twice.
fn fields(text: &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    for (name, value) in url::form_urlencoded::parse(text) {
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return None;
        }
    }
    Some(fields)
}

/// The body of a request of that kind; nothing when it is another kind or too long.
async fn body(request: Request<Incoming>, kind: &str) -> Option<Vec<u8>> {
    let sent = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let sent = sent.split(';').next().unwrap_or_default().trim();
    if !sent.eq_ignore_ascii_case(kind) {
        return None;
    }
    let body = Limited::new(request.into_body(), MOST_BYTES).collect().await.ok()?;
    Some(body.to_bytes().to_vec())
}

async fn form(request: Request<Incoming>) -> Option<Fields> {
    fields(&body(request, "application/x-www-form-urlencoded").await?)
}

/// An error as OAuth has it.
fn error(word: &str, why: &str) -> Response<Body> {
    let mut response = document(&json!({"error": word, "error_description": why}));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
