//! Opening the byte stream to a server: name, TCP, proxy, TLS or a local socket. No HTTP messages but `CONNECT`.
//!
//! Rules: a refused connection is tried three times, which is safe since no byte of a request was sent;
//! TLS that fails never falls back to plain; an error says which of the steps failed.

use super::{proxy, socket};
use crate::error::{Error, Result, codes};
use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

/// TCP alone; the whole request has its own deadline.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Pauses before the second and third try of a refused connection, each stretched by up to a half.
const REFUSED_PAUSES: [Duration; 2] = [Duration::from_millis(60), Duration::from_millis(180)];
/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open stream to a server, whatever lies under it.
pub struct Wire {
    stream: Box<dyn Duplex>,
    /// A plain proxy is asked with whole addresses.
    proxied: bool,
}

impl Wire {
    pub fn new(stream: impl Duplex + 'static) -> Self {
        Self { stream: Box::new(stream), proxied: false }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

/// Opens streams for the pool of connections.
#[derive(Clone)]
pub struct Dial {
    /// Instead of the network.
    pub socket: Option<Arc<Path>>,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<Wire>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let socket = self.socket.clone();
        Box::pin(async move { open(&uri, socket.as_deref()).await.map(TokioIo::new) })
    }
}

/// Opens a stream to the server of `uri`; `https` and `wss` get TLS.
pub async fn open(uri: &Uri, socket: Option<&Path>) -> Result<Wire> {
    let mut pauses = REFUSED_PAUSES.iter();
    loop {
        let failure = match once(uri, socket).await {
            Ok(wire) => return Ok(wire),
            Err(failure) => failure,
        };
        match pauses.next() {
            Some(pause) if failure.refused => tokio::time::sleep(pause.mul_f64(1.0 + jitter() / 2.0)).await,
            _ => return Err(failure.error),
        }
    }
}

/// Between 0 and 1.
pub fn jitter() -> f64 {
    let random = u16::from_str_radix(&crate::ids::random_hex(2), 16).unwrap_or_default();
    f64::from(random) / f64::from(u16::MAX)
}

struct Failure {
    error: Error,
    refused: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, refused: false }
    }
}

async fn once(uri: &Uri, local: Option<&Path>) -> Result<Wire, Failure> {
    if let Some(path) = local {
        return socket::open(path).await.map_err(|error| {
            let refused = error.kind() == io::ErrorKind::ConnectionRefused;
            let message = format!("no connection to the socket `{}`", path.display());
            Failure { error: Error::new(&codes::UPSTREAM_CONNECT, message).because(error), refused }
        });
    }
    let secure = matches!(uri.scheme_str(), Some("https" | "wss"));
    let mut wire = match proxy::of(uri) {
        None => tcp(uri).await?,
        Some(proxy) => {
            let mut wire = to_proxy(&proxy).await?;
            if secure || uri.scheme_str() == Some("ws") {
                proxy::tunnel(&mut wire, uri, &proxy).await?;
            } else {
                wire.proxied = true;
            }
            wire
        }
    };
    if secure {
        wire = tls(wire, host_of(uri)).await?;
    }
    Ok(wire)
}

pub fn host_of(uri: &Uri) -> &str {
    uri.host().unwrap_or_default()
}

async fn tcp(uri: &Uri) -> Result<Wire, Failure> {
    static CONNECTOR: OnceLock<HttpConnector> = OnceLock::new();
    let mut connector = CONNECTOR
        .get_or_init(|| {
            let mut connector = HttpConnector::new();
            connector.enforce_http(false);
            // Small messages in two writes would wait for the peer's delayed acknowledgement.
            connector.set_nodelay(true);
            connector.set_connect_timeout(Some(CONNECT_DEADLINE));
            connector.set_keepalive(Some(Duration::from_secs(30)));
            connector
        })
        .clone();
    match connector.call(with_port(uri)).await {
        Ok(stream) => Ok(Wire::new(stream.into_inner())),
        Err(error) => Err(explain(host_of(uri), &error)),
    }
}

/// The connector knows the default ports of `http` and `https` only.
fn with_port(uri: &Uri) -> Uri {
    let port = match uri.scheme_str() {
        Some("wss") if uri.port().is_none() => 443,
        _ => return uri.clone(),
    };
    let address = format!("https://{}:{port}/", host_of(uri));
    address.parse().unwrap_or_else(|_| uri.clone())
}

fn explain(host: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    let kind = io_error(error).map(io::Error::kind);
    let refused = kind == Some(io::ErrorKind::ConnectionRefused);
    let message = if error.to_string().starts_with("dns error") {
        format!("the name `{host}` could not be resolved")
    } else {
        match kind {
            Some(io::ErrorKind::ConnectionRefused) => format!("`{host}` refused the connection"),
            Some(io::ErrorKind::TimedOut) => format!("`{host}` did not take the connection in time"),
            _ => format!("no connection to `{host}`"),
        }
    };
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    Failure { error: Error::new(&codes::UPSTREAM_CONNECT, message).because(root), refused }
}

fn io_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut error = Some(error);
    while let Some(this) = error {
        if let Some(found) = this.downcast_ref() {
            return Some(found);
        }
        error = this.source();
    }
    None
}

async fn to_proxy(proxy: &Intercept) -> Result<Wire, Failure> {
    let uri = proxy.uri();
    match uri.scheme_str() {
        Some("http") => tcp(uri).await,
        Some("https") => Ok(tls(tcp(uri).await?, host_of(uri)).await?),
        other => {
            let message = format!("umcp knows no proxies of the kind `{}`", other.unwrap_or_default());
            Err(Error::new(&codes::UPSTREAM_CONNECT, message)
                .hint("name the host in `NO_PROXY`, or set `HTTPS_PROXY` to an HTTP proxy")
                .into())
        }
    }
}

async fn tls(wire: Wire, host: &str) -> Result<Wire> {
    let failed = |reason: String| {
        Error::new(&codes::UPSTREAM_CONNECT, format!("TLS with `{host}` failed")).because(reason)
    };
    let name = host.trim_start_matches('[').trim_end_matches(']').to_string();
    let name = ServerName::try_from(name).map_err(|error| failed(error.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(tls_config()?);
    match connector.connect(name, wire).await {
        Ok(stream) => Ok(Wire::new(stream)),
        Err(error) => match rustls_error(&error).and_then(untrusted) {
            Some(why) => {
                Err(Error::new(&codes::UPSTREAM_CERTIFICATE, format!("the certificate of `{host}` {why}"))
                    .because(error)
                    .hint("umcp never goes on without a valid certificate; a company's own belongs to the system's roots"))
            }
            None => Err(failed(error.to_string())),
        },
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What is wrong with a certificate, in words.
fn untrusted(error: &rustls::Error) -> Option<&'static str> {
    use rustls::CertificateError;
    let rustls::Error::InvalidCertificate(why) = error else { return None };
    Some(match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet",
        CertificateError::UnknownIssuer => {
            "is self-signed or comes from an authority this machine does not trust"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name"
        }
        CertificateError::Revoked => "was revoked",
        _ => "is not valid",
    })
}

/// Settings of TLS with the system's roots; read at the first use, since that reads a hundred certificates.
fn tls_config() -> Result<Arc<rustls::ClientConfig>> {
    use rustls_platform_verifier::BuilderVerifierExt;
    static CONFIG: OnceLock<Result<Arc<rustls::ClientConfig>>> = OnceLock::new();
    let make = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok::<_, rustls::Error>(Arc::new(builder.with_platform_verifier()?.with_no_client_auth()))
    };
    let failed = |error: rustls::Error| {
        Error::new(&codes::UPSTREAM_CONNECT, "the system's certificates could not be read")
            .because(error)
            .hint("install the package `ca-certificates`, or name a file in `SSL_CERT_FILE`")
    };
    CONFIG.get_or_init(|| make().map_err(failed)).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::link::alone::run;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn a_refused_connection_says_so() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let uri: Uri = format!("http://127.0.0.1:{port}/mcp").parse().unwrap();
        let Err(error) = run(open(&uri, None)) else { panic!("connected to a closed port") };
        assert!(error.is(&codes::UPSTREAM_CONNECT));
        assert_eq!(error.message, "`127.0.0.1` refused the connection");
    }

    /// What a connection to a server with a self-signed certificate of these years says.
    async fn meet(from: i32, to: i32) -> Error {
        use rustls::pki_types::PrivateKeyDer;
        let key = rcgen::KeyPair::generate().unwrap();
        let mut wish = rcgen::CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        wish.not_before = rcgen::date_time_ymd(from, 1, 1);
        wish.not_after = rcgen::date_time_ymd(to, 1, 1);
        let certificate = wish.self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("https://{}/mcp", listener.local_addr().unwrap()).parse().unwrap();
        let serve = async {
            let (stream, _) = listener.accept().await.unwrap();
            tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.map(drop)
        };
        let (outcome, served) = tokio::join!(open(&uri, None), serve);
        assert!(served.is_err(), "the server heard nothing of the refusal");
        match outcome {
            Ok(_) => panic!("a certificate nobody trusts was taken"),
            Err(error) => error,
        }
    }

    #[test]
    fn a_bad_certificate_is_named_with_its_reason() {
        run(async {
            for (from, to, expected) in [
                (2001, 2002, "the certificate of `127.0.0.1` has expired"),
                (
                    2001,
                    2999,
                    "the certificate of `127.0.0.1` is self-signed or comes from an authority this machine does not trust",
                ),
                (2998, 2999, "the certificate of `127.0.0.1` is not valid yet"),
            ] {
                let error = meet(from, to).await;
                assert!(error.is(&codes::UPSTREAM_CERTIFICATE), "{error:?}");
                assert_eq!(error.message, expected);
            }
        });
    }

    #[test]
    fn a_name_nobody_knows_says_so() {
        let uri: Uri = "http://no-such-host.invalid/mcp".parse().unwrap();
        let Err(error) = run(open(&uri, None)) else { panic!("connected to a host that cannot be") };
        assert!(error.is(&codes::UPSTREAM_CONNECT));
        assert_eq!(error.message, "the name `no-such-host.invalid` could not be resolved");
    }

    #[test]
    fn a_server_without_tls_is_not_spoken_to_in_plain() {
        run(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let uri: Uri = format!("https://{}/mcp", listener.local_addr().unwrap()).parse().unwrap();
            let serve = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut first = [0; 1];
                stream.read_exact(&mut first).await.unwrap();
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
                first[0]
            };
            let (outcome, first) = tokio::join!(open(&uri, None), serve);
            let Err(error) = outcome else { panic!("TLS with a server that has none") };
            assert!(error.is(&codes::UPSTREAM_CONNECT) && error.message.starts_with("TLS with"), "{error}");
            assert_eq!(first, 22, "the first byte is a TLS handshake");
        });
    }
}
