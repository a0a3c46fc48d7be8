//! Registration of clients, tokens for codes and refresh tokens, and their end. Clients are public: what they know
//! (a verifier, a refresh token) is all that proves them.

use super::desk::{Redeemed, Wish};
use super::{Door, Fields, body, error, form, redirect};
use crate::clock::Timestamp;
use crate::gateway::http::body::Body;
use crate::gateway::http::metadata::document;
use crate::gateway::http::plain;
use crate::ids;
use crate::policy::grant::{Grant, Pair, Registered, Reply, Request as GrantRequest};
use crate::policy::hash;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

const ACCESS_MS: u64 = 3_600_000;
const REFRESH_MS: u64 = 30 * 86_400_000;
/// How access tokens begin, so that they are told from keys.
pub const ACCESS: &str = "umcp_at_";
const REFRESH: &str = "umcp_rt_";

/// Fresh tokens for a client, which are not stored, and what is stored of them.
struct Fresh {
    access: String,
    refresh: String,
    pair: Pair,
}

impl Fresh {
    fn new(now: Timestamp) -> Self {
        let [access, refresh] = [ACCESS, REFRESH].map(|begin| format!("{begin}{}", ids::random_hex(32)));
        let pair = Pair {
            access: hash(&access),
            access_until: now.plus_ms(ACCESS_MS),
            refresh: hash(&refresh),
            refresh_until: now.plus_ms(REFRESH_MS),
        };
        Self { access, refresh, pair }
    }

    fn answer(&self, grant: &Grant) -> Response<Body> {
        document(&json!({
            "access_token": self.access,
            "token_type": "Bearer",
            "expires_in": ACCESS_MS / 1000,
            "refresh_token": self.refresh,
            "scope": grant.scopes.to_string(),
        }))
    }
}

/// What a client says of itself; the rest of it matters nothing here.
#[derive(Deserialize)]
struct Metadata {
    redirect_uris: Vec<String>,
    #[serde(default)]
    client_name: String,
}

impl Door {
    pub(super) async fn register(&self, request: Request<Incoming>) -> Response<Body> {
        let sent = body(request, "application/json").await;
        let Some(sent) = sent.and_then(|text| serde_json::from_slice::<Metadata>(&text).ok()) else {
            return error("invalid_client_metadata", "send JSON with redirect_uris");
        };
        let redirects = sent.redirect_uris;
        if redirects.is_empty() || redirects.len() > 10 || !redirects.iter().all(|it| redirect::is_fit(it)) {
            let why = "give up to 10 redirect_uris with https, of this machine, or of a program's own scheme";
            return error("invalid_redirect_uri", why);
        }
        let fits = |c: &char| c.is_alphanumeric() || " -_.()".contains(*c);
        let name: String = sent.client_name.trim().chars().filter(fits).take(60).collect();
        let client = Registered {
            id: ids::random_hex(16),
            name: if name.trim().is_empty() { "unnamed".into() } else { name },
            redirects,
            created: self.gateway.world().shared.engine.now(),
        };
        let Ok(Reply::Client(Some(client))) = self.grants(GrantRequest::Register { client }).await else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "no client can be registered now");
        };
        let mut response = document(&json!({
            "client_id": client.id,
            "client_id_issued_at": client.created.millis() / 1000,
            "client_name": client.name,
            "redirect_uris": client.redirects,
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
        }));
        *response.status_mut() = StatusCode::CREATED;
        response
    }

    pub(super) async fn give_tokens(&self, request: Request<Incoming>) -> Response<Body> {
        let Some(sent) = form(request).await else {
            return error("invalid_request", "send a form in which nothing comes twice");
        };
        match sent.get("grant_type").map(String::as_str) {
            Some("authorization_code") => self.of_code(&sent).await,
            Some("refresh_token") => self.of_refresh(&sent).await,
            _ => error("unsupported_grant_type", "authorization_code and refresh_token are taken"),
        }
    }

    async fn of_code(&self, sent: &Fields) -> Response<Body> {
        let text = |name: &str| sent.get(name).map(String::as_str).unwrap_or_default();
        let now = self.gateway.world().shared.engine.now();
        let redeemed = self.gateway.entrance.server.desk().redeem(text("code"), now);
        let wish = match redeemed {
            Redeemed::Wish(wish) => wish,
            Redeemed::Again | Redeemed::Unknown => {
                // Two have the code: what came of it is worth nothing any more. A code that was used before a restart is
                // known by its grant alone.
                let _ = self.grants(GrantRequest::End { code: hash(text("code")), at: now }).await;
                return error("invalid_grant", "the code is not known, was used before, or has ended");
            }
        };
        if let Err(why) = proves(&wish, sent) {
            return error("invalid_grant", why);
        }
        let fresh = Fresh::new(now);
        let id = ids::random_hex(8);
        let Pair { access, access_until, refresh, refresh_until } = fresh.pair.clone();
        let grant = Grant {
            name: format!("{}-{}", wish.name.replace(' ', "-"), &id[..6]),
            id,
            client: wish.client,
            scopes: wish.scopes,
            resource: wish.resource,
            profile: wish.profile,
            created: now,
            code: hash(text("code")),
            access,
            access_until,
            refresh,
            refresh_until,
            spent: Vec::new(),
            revoked: None,
        };
        match self.grants(GrantRequest::Issue { grant: Box::new(grant) }).await {
            Ok(Reply::Grant(grant)) => fresh.answer(&grant),
            _ => plain(StatusCode::SERVICE_UNAVAILABLE, "no token can be given now"),
        }
    }

    async fn of_refresh(&self, sent: &Fields) -> Response<Body> {
        let text = |name: &str| sent.get(name).map(String::as_str).unwrap_or_default();
        let at = self.gateway.world().shared.engine.now();
        let fresh = Fresh::new(at);
        let (refresh, client) = (hash(text("refresh_token")), text("client_id").to_string());
        let request = GrantRequest::Refresh { refresh, client, pair: fresh.pair.clone(), at };
        match self.grants(request).await {
            Ok(Reply::Grant(grant)) => fresh.answer(&grant),
            Ok(_) => error("invalid_grant", "the refresh token is not known, has ended, or was used before"),
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "no token can be given now"),
        }
    }

    /// Ends a grant by any of its tokens, also one that was exchanged for a newer one; one that is not known is no error
    /// (RFC 7009, 2.2), one of another client than that which says to ask is (2.1).
    pub(super) async fn revoke(&self, request: Request<Incoming>) -> Response<Body> {
        let Some(sent) = form(request).await else {
            return error("invalid_request", "send a form in which nothing comes twice");
        };
        let at = self.gateway.world().shared.engine.now();
        let Some(token) = sent.get("token").map(|token| hash(token)) else {
            return error("invalid_request", "`token` is missing");
        };
        let client = sent.get("client_id").cloned();
        match self.grants(GrantRequest::Revoke { token, client, at }).await {
            Ok(Reply::Foreign) => error("invalid_grant", "the token is another client's"),
            Ok(_) => document(&json!({})),
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "nothing can be revoked now"),
        }
    }
}

/// Whether who comes with a code is who asked for it.
fn proves(wish: &Wish, sent: &Fields) -> Result<(), &'static str> {
    let text = |name: &str| sent.get(name).map(String::as_str).unwrap_or_default();
    if text("client_id") != wish.client {
        return Err("the code is another client's");
    }
    if text("redirect_uri") != wish.redirect {
        return Err("redirect_uri is not the one of the request");
    }
    if sent.get("resource").is_some_and(|it| it.trim_end_matches('/') != wish.resource) {
        return Err("resource is not the one of the request");
    }
    let verifier = text("code_verifier");
    let challenge = URL_SAFE_NO_PAD.encode(ids::sha256(&[verifier.as_bytes()]));
    match (43..=128).contains(&verifier.len()) && challenge == wish.challenge {
        true => Ok(()),
        false => Err("code_verifier is not that of the request"),
    }
}
