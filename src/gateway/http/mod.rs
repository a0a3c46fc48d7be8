//! MCP over streamable HTTP, both eras on one address: `/mcp` and `/mcp/p/PROFILE`.
//! This file listens and guards the door; one exchange stands in `exchange.rs`.

mod admit;
mod body;
mod checks;
mod entrance;
mod exchange;
mod issuers;
mod metadata;
mod metrics;
mod server;
mod sessions;
mod streams;
mod tls;

use super::Gateway;
use crate::engine::live::{Listening, Tls};
use crate::error::Result;
use crate::policy::address;
use crate::policy::network::{self, Network};
use admit::Entry;
use body::Body;
pub use entrance::Entrance;
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sessions::Sessions;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
pub use tls::Certificate;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A client may take this long for its headers, and for its part of a TLS handshake.
const HEADER_DEADLINE: Duration = Duration::from_secs(30);
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// One listener and what is asked of its clients.
pub struct Door {
    gateway: Arc<Gateway>,
    sessions: Sessions,
    listening: Listening,
    /// Proxies whose word on the client's address counts.
    trusted: Vec<Network>,
    /// Host and Origin may be foreign: the user opened the address to other machines, or no browser can come here.
    open: bool,
    body_limit: usize,
}

/// A listener that was opened.
pub struct Opened {
    /// As it was asked for, with the port that was found.
    pub listening: Listening,
    pub certificate: Option<Certificate>,
}

impl Opened {
    /// What there is to say of it now.
    pub fn shown(&self) -> Listening {
        let fingerprint = self.certificate.as_ref().map(Certificate::fingerprint);
        Listening { fingerprint, ..self.listening.clone() }
    }
}

impl Gateway {
    /// Listens for HTTP clients. An address that other machines can reach needs TLS, or `insecure` spelled out; a key
    /// is needed unless `no_key`, which is for loopback only.
    pub async fn listen(self: &Arc<Self>, listening: &Listening) -> Result<Opened> {
        let address = address::permitted(&listening.address, listening.is_private(), listening.no_key)?;
        let certificate = match &listening.tls {
            Some(tls) => Some(self.certificate(tls, listening, address.ip())?),
            None => None,
        };
        let acceptor = certificate.as_ref().map(Certificate::acceptor).transpose()?;
        let mut door = self.door(listening.clone(), !address.ip().is_loopback());
        door.trusted = listening.trusted.iter().map(|it| Network::parse(it)).collect::<Result<_>>()?;
        let listener =
            TcpListener::bind(address).await.map_err(|error| address::not_bound(address, error))?;
        let bound = listener.local_addr().map_or(address, |bound| bound);
        let listening = Listening { address: bound.to_string(), ..listening.clone() };
        door.listening = listening.clone();
        tokio::spawn(Arc::new(door).accept(listener, acceptor));
        Ok(Opened { listening, certificate })
    }

    fn certificate(&self, tls: &Tls, listening: &Listening, address: IpAddr) -> Result<Certificate> {
        let shared = &self.world().shared;
        let host = listening.public_url.as_deref().and_then(|url| url.parse::<hyper::Uri>().ok());
        let mut names: Vec<String> = host.iter().filter_map(|url| url.host().map(Into::into)).collect();
        names.extend((!address.is_unspecified()).then(|| address.to_string()));
        let year = shared.engine.now().rfc3339().get(..4).and_then(|year| year.parse().ok()).unwrap_or(2026);
        Certificate::open(tls, &shared.paths, year, &names)
    }

    /// Serves HTTP on a connection of the local socket, which belongs to the user alone: no key is asked.
    pub async fn serve_local_http(
        self: &Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) {
        let local = || Arc::new(self.door(Listening { no_key: true, ..Listening::default() }, true));
        let door = self.local_door.get_or_init(local).clone();
        door.connection(stream, None).await;
    }

    fn door(self: &Arc<Self>, listening: Listening, open: bool) -> Door {
        let body_limit =
            usize::try_from(self.world().shared.settings.gateway.body_limit).unwrap_or(usize::MAX);
        let (gateway, sessions) = (self.clone(), Sessions::default());
        Door { gateway, sessions, listening, trusted: Vec::new(), open, body_limit }
    }
}

impl Door {
    async fn accept(self: Arc<Self>, listener: TcpListener, acceptor: Option<TlsAcceptor>) {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                // Out of descriptors: refuse new work for a moment, keep what is there.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            // Without it an event stream's second write waits 40 ms for an acknowledgement.
            let _ = stream.set_nodelay(true);
            let (door, peer) = (self.clone(), Some(peer.ip()));
            match acceptor.clone() {
                None => drop(tokio::spawn(door.connection(stream, peer))),
                Some(acceptor) => drop(tokio::spawn(door.encrypted(stream, acceptor, peer))),
            }
        }
    }

    async fn encrypted(self: Arc<Self>, stream: TcpStream, acceptor: TlsAcceptor, peer: Option<IpAddr>) {
        let handshake = tokio::time::timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream));
        // Whoever speaks no TLS, or does not trust us, goes again.
        if let Ok(Ok(stream)) = handshake.await {
            self.connection(stream, peer).await;
        }
    }

    /// Serves one connection until it ends.
    async fn connection(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Option<IpAddr>,
    ) {
        let service = hyper::service::service_fn(move |request| {
            let door = self.clone();
            async move { Ok::<_, Infallible>(door.serve(request, peer).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(hyper_util::rt::TokioTimer::new())
            .header_read_timeout(HEADER_DEADLINE)
            .serve_connection(TokioIo::new(stream), service);
        // A broken connection concerns nobody but its client.
        let _ = connection.await;
    }

    async fn serve(self: &Arc<Self>, request: Request<Incoming>, peer: Option<IpAddr>) -> Response<Body> {
        let from = peer.map(|peer| self.client_address(peer, request.headers()));
        if let Err(wait) = self.gateway.entrance.count_address(from) {
            return admit::too_many(wait);
        }
        // Who stands before us may have looked at the other one.
        if request.headers().get_all("host").iter().count() > 1 {
            return plain(StatusCode::BAD_REQUEST, "more than one Host header");
        }
        let public = |public: &String| checks::is_of(request.headers(), public);
        let known = self.open || checks::is_local(request.headers());
        let foreign = !known && !self.listening.public_url.as_ref().is_some_and(public);
        let request = match foreign {
            true => request,
            false => match self.authorize(request, from).await {
                Ok(response) => return response,
                Err(request) => request,
            },
        };
        let entry = Entry { headers: request.headers(), path: request.uri().path(), from };
        if entry.path == metrics::PLACE && !foreign {
            return self.metrics(request.method(), &entry).await;
        }
        let Some(profile) = profile_of(entry.path) else {
            let described = if foreign { None } else { self.describe(request.method(), &entry) };
            let missing = || plain(StatusCode::NOT_FOUND, "not found; the endpoint is /mcp");
            return described.unwrap_or_else(missing);
        };
        if foreign {
            return plain(StatusCode::FORBIDDEN, "Host or Origin is not this machine");
        }
        match self.admit(&entry, profile.map(Into::into)).await {
            Ok(guest) => match *request.method() {
                Method::POST => self.post(request, guest, from).await,
                Method::GET => self.get(request.headers(), &guest),
                Method::DELETE => self.delete(request.headers(), &guest),
                _ => plain(StatusCode::METHOD_NOT_ALLOWED, "use POST, GET or DELETE"),
            },
            Err(refusal) => *refusal,
        }
    }

    fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.trusted.is_empty() {
            return peer;
        }
        let forwarded = headers.get_all("x-forwarded-for").iter().map(|it| it.to_str().unwrap_or_default());
        network::client(peer, &self.trusted, forwarded)
    }
}

/// The profile an address of the endpoint names, if any; `None` when it is no address of the endpoint.
#[expect(clippy::option_option, reason = "no address of ours, the endpoint, one profile of it")]
fn profile_of(path: &str) -> Option<Option<&str>> {
    match path.strip_prefix("/mcp")? {
        "" | "/" => Some(None),
        rest => rest
            .strip_prefix("/p/")
            .map(|name| name.trim_end_matches('/'))
            .filter(|name| !name.is_empty())
            .map(Some),
    }
}

/// A short answer in words.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    response
}
