//! MCP over streamable HTTP, both eras on one address: `/mcp` and `/mcp/p/PROFILE`.
//! This file listens and guards the door; one exchange stands in `exchange.rs`.

mod body;
mod checks;
mod exchange;
mod sessions;
mod streams;

use super::Gateway;
use crate::error::Result;
use crate::policy::{self, Token, address};
use body::Body;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sessions::Sessions;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// A client may take this long for its headers.
const HEADER_DEADLINE: Duration = Duration::from_secs(30);

/// One listener and what is asked of its clients.
pub struct Door {
    gateway: Arc<Gateway>,
    sessions: Sessions,
    /// Clients need no key. Only on this machine, and only when spelled out.
    no_key: bool,
    /// Host and Origin may be foreign: the user opened the address to other machines, or no browser can come here.
    open: bool,
    body_limit: usize,
}

impl Gateway {
    /// Listens for HTTP clients; gives the address with its port. An address that other machines can reach needs
    /// `insecure`, since umcp has no TLS of its own yet; a key is needed unless `no_key`, which is for loopback only.
    pub async fn listen(self: &Arc<Self>, address: &str, insecure: bool, no_key: bool) -> Result<String> {
        let address = address::permitted(address, insecure, no_key)?;
        let loopback = address.ip().is_loopback();
        let listener =
            TcpListener::bind(address).await.map_err(|error| address::not_bound(address, error))?;
        let bound = listener.local_addr().map_or(address, |bound| bound);
        tokio::spawn(Arc::new(self.door(no_key, !loopback)).accept(listener));
        Ok(bound.to_string())
    }
}

impl Gateway {
    /// Serves HTTP on a connection of the local socket, which belongs to the user alone: no key is asked.
    pub async fn serve_local_http(
        self: &Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) {
        let door = self.local_door.get_or_init(|| Arc::new(self.door(true, true))).clone();
        door.connection(stream).await;
    }

    fn door(self: &Arc<Self>, no_key: bool, open: bool) -> Door {
        let body_limit =
            usize::try_from(self.world().shared.settings.gateway.body_limit).unwrap_or(usize::MAX);
        Door { gateway: self.clone(), sessions: Sessions::default(), no_key, open, body_limit }
    }
}

impl Door {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors: refuse new work for a moment, keep what is there.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            // Without it an event stream's second write waits 40 ms for an acknowledgement.
            let _ = stream.set_nodelay(true);
            let door = self.clone();
            tokio::spawn(door.connection(stream));
        }
    }

    /// Serves one connection until it ends.
    async fn connection(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = hyper::service::service_fn(move |request| {
            let door = self.clone();
            async move { Ok::<_, Infallible>(door.serve(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(hyper_util::rt::TokioTimer::new())
            .header_read_timeout(HEADER_DEADLINE)
            .serve_connection(TokioIo::new(stream), service);
        // A broken connection concerns nobody but its client.
        let _ = connection.await;
    }

    async fn serve(self: &Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        let profile = match path.strip_prefix("/mcp") {
            Some("" | "/") => None,
            Some(rest) => match rest.strip_prefix("/p/") {
                Some(name) if !name.is_empty() => Some(name.trim_end_matches('/').to_string()),
                _ => return plain(StatusCode::NOT_FOUND, "not found; the endpoint is /mcp"),
            },
            None => return plain(StatusCode::NOT_FOUND, "not found; the endpoint is /mcp"),
        };
        if !self.open && !checks::is_local(request.headers()) {
            return plain(StatusCode::FORBIDDEN, "Host or Origin is not this machine");
        }
        let token = match self.admit(request.headers()) {
            Ok(token) => token,
            Err(refusal) => return *refusal,
        };
        // A key that opens one profile opens no other.
        let profile = match token.and_then(|token| token.profile) {
            Some(own) if profile.as_ref().is_some_and(|asked| *asked != own) => {
                return plain(StatusCode::FORBIDDEN, "the key is for another profile");
            }
            Some(own) => Some(own),
            None => profile,
        };
        match *request.method() {
            Method::POST => self.post(request, profile).await,
            Method::GET => self.get(request.headers(), profile.as_deref()),
            Method::DELETE => self.delete(request.headers(), profile.as_deref()),
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "use POST, GET or DELETE"),
        }
    }

    fn admit(&self, headers: &hyper::HeaderMap) -> Result<Option<Token>, Box<Response<Body>>> {
        if self.no_key {
            return Ok(None);
        }
        let refuse = |why: &'static str| {
            let mut refusal = plain(StatusCode::UNAUTHORIZED, why);
            let challenge = hyper::header::HeaderValue::from_static("Bearer realm=\"umcp\"");
            refusal.headers_mut().insert(hyper::header::WWW_AUTHENTICATE, challenge);
            Box::new(refusal)
        };
        let key = checks::get(headers, "authorization").and_then(|value| value.strip_prefix("Bearer "));
        let Some(key) = key else { return Err(refuse("a key is needed: umcp token create NAME")) };
        let Ok(tokens) = self.gateway.tokens() else {
            return Err(Box::new(plain(StatusCode::SERVICE_UNAVAILABLE, "the keys cannot be read")));
        };
        let now = self.gateway.world().shared.engine.now();
        let known = policy::admit(&tokens, key.trim(), now).cloned();
        known.map(Some).ok_or_else(|| refuse("the key is not known, expired or revoked: umcp token list"))
    }
}

/// A short answer in words.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    response
}
