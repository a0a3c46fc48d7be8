//! HTTP to servers: where one is, the pool of connections all share, and bodies read up to a bound.
//! It knows neither MCP nor eras. What failed before the first byte was sent is told apart from what failed after.

use super::dial::Dial;
use super::proxy;
use crate::error::{Error, Result, codes};
use crate::upstream::link::MAX_LINE;
use crate::upstream::oauth::{Account, Challenge};
use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Node and uvicorn end an idle connection after 5 s; a request sent at that moment would be lost.
const PLAIN_IDLE: Duration = Duration::from_secs(4);
/// What ends TLS in front of remote servers waits a minute and longer, and a new handshake is dear.
const TLS_IDLE: Duration = Duration::from_secs(30);
/// As many as may be in flight to one server by default.
const MAX_IDLE: usize = 128;

type Pool = Client<Dial, Full<Bytes>>;

/// Where a server that speaks HTTP is.
#[derive(Clone, Default)]
pub struct HttpTarget {
    /// `http` or `https`. With a socket the host is only a name.
    pub url: String,
    /// Sent with every request, with all references resolved.
    pub headers: Vec<(String, String)>,
    /// A Unix socket or named pipe to speak HTTP over.
    pub unix_socket: Option<PathBuf>,
    /// Proves itself in every request.
    pub account: Option<Arc<Account>>,
}

/// A checked target, with the pool that leads there.
#[derive(Clone)]
pub struct Address {
    pub url: url::Url,
    pub uri: Uri,
    pub headers: HeaderMap,
    pool: Pool,
    account: Option<Arc<Account>>,
}

impl Address {
    pub fn new(target: &HttpTarget) -> Result<Self> {
        let mut url = parse(&target.url, &["http", "https"])?;
        let mut headers = header_map(&target.headers)?;
        if let Some(value) = take_login(&mut url) {
            headers.entry(AUTHORIZATION).or_insert(value);
        }
        let uri = uri_of(&url)?;
        let plain = uri.scheme_str() == Some("http");
        let pool = match &target.unix_socket {
            Some(path) => pool(Dial { socket: Some(path.as_path().into()) }, PLAIN_IDLE),
            None => shared_pool(plain),
        };
        if plain && target.unix_socket.is_none() {
            // A tunnel is asked for with the key; without one the key goes with each request.
            if let Some(key) = proxy::of(&uri).and_then(|proxy| proxy.basic_auth().cloned()) {
                headers.insert(PROXY_AUTHORIZATION, key);
            }
        }
        Ok(Self { url, uri, headers, pool, account: target.account.clone() })
    }

    /// Sends a request and returns when the head of the response is there.
    pub async fn send(&self, method: Method, headers: HeaderMap, body: Bytes) -> Result<Response<Incoming>> {
        match &self.account {
            None => self.send_as_is(method, headers, body).await,
            Some(account) => self.send_as(account, method, headers, body).await,
        }
    }

    /// In the name of an account. A server that refuses its token has done nothing yet: the request goes out once
    /// more with a new one.
    async fn send_as(
        &self,
        account: &Arc<Account>,
        method: Method,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let used = account.authorize(method.as_str(), &self.url, &mut headers).await?;
        let response = self.send_as_is(method.clone(), headers.clone(), body.clone()).await?;
        let challenge = Challenge::of(response.headers());
        match response.status() {
            StatusCode::UNAUTHORIZED if account.rejected(&used).await? => {
                account.authorize(method.as_str(), &self.url, &mut headers).await?;
                self.send_as_is(method, headers, body).await
            }
            StatusCode::FORBIDDEN => {
                if let Some(challenge) = challenge.filter(Challenge::wants_more) {
                    account.wants_more(&challenge).await;
                }
                Ok(response)
            }
            _ => Ok(response),
        }
    }

    async fn send_as_is(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        self.pool.request(request).await.map_err(|error| explain(&error))
    }

    /// The same server at another path.
    pub fn at(&self, url: url::Url) -> Result<Self> {
        let uri = uri_of(&url)?;
        Ok(Self { url, uri, ..self.clone() })
    }
}

/// Parses the address of a server.
pub fn parse(text: &str, schemes: &[&str]) -> Result<url::Url> {
    let invalid = |reason: &str| {
        Error::new(&codes::SERVER_INVALID, format!("`{text}` is not an address umcp can connect to"))
            .because(reason)
    };
    let url = url::Url::parse(text.trim()).map_err(|error| invalid(&error.to_string()))?;
    if !schemes.contains(&url.scheme()) {
        return Err(invalid(&format!("it does not start with {}", schemes.join(":// or "))));
    }
    match url.has_host() {
        true => Ok(url),
        false => Err(invalid("it names no host")),
    }
}

/// Name and password written into an address, as the header that carries them.
pub fn take_login(url: &mut url::Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| {
        let pair = format!("x={}", text.replace('+', "%2B"));
        url::form_urlencoded::parse(pair.as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let login = format!("{}:{}", decode(url.username()), decode(url.password().unwrap_or_default()));
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login));
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The user's headers, checked; values stand in no error.
pub fn header_map(pairs: &[(String, String)]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(pairs.len() + 8);
    for (name, value) in pairs {
        let invalid =
            |what| Error::new(&codes::SERVER_INVALID, format!("the {what} of header `{name}` is invalid"));
        let key = HeaderName::try_from(name).map_err(|_| invalid("name"))?;
        let mut value = HeaderValue::try_from(value.trim()).map_err(|_| invalid("value"))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

fn uri_of(url: &url::Url) -> Result<Uri> {
    let text = url.as_str().split('#').next().unwrap_or_default();
    text.parse().map_err(|error| {
        Error::new(&codes::SERVER_INVALID, format!("`{url}` is not an address umcp can connect to"))
            .because(error)
    })
}

fn shared_pool(plain: bool) -> Pool {
    static PLAIN: OnceLock<Pool> = OnceLock::new();
    static TLS: OnceLock<Pool> = OnceLock::new();
    let (cell, idle) = if plain { (&PLAIN, PLAIN_IDLE) } else { (&TLS, TLS_IDLE) };
    cell.get_or_init(|| pool(Dial { socket: None }, idle)).clone()
}

fn pool(dial: Dial, idle: Duration) -> Pool {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle)
        .pool_max_idle_per_host(MAX_IDLE)
        .build(dial)
}

/// An error of our own from the connecting side, or a connection that broke under the request.
fn explain(error: &ClientError) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(this) = source {
        if let Some(own) = this.downcast_ref::<Error>() {
            return own.clone();
        }
        source = this.source();
    }
    broken(error)
}

/// The typed error of an exchange that broke after something may have been sent.
pub fn broken(error: &(dyn std::error::Error + 'static)) -> Error {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let message =
        "the connection broke before the answer was there; the call may have run and is not repeated";
    Error::new(&codes::UPSTREAM_DIED, message).because(root)
}

/// Reads a whole body of at most 16 MiB.
pub async fn read_all(mut body: Incoming, expected: Option<usize>) -> Result<Bytes> {
    let too_large = || Error::new(&codes::UPSTREAM_TOO_LARGE, "the server sent an answer above 16 MiB");
    if expected.is_some_and(|length| length > MAX_LINE) {
        return Err(too_large());
    }
    let Some(first) = next_piece(&mut body).await? else { return Ok(Bytes::new()) };
    if expected == Some(first.len()) {
        // Leaves the connection ready for the next request.
        next_piece(&mut body).await?;
        return Ok(first);
    }
    let mut all = BytesMut::with_capacity(expected.unwrap_or(0).max(first.len() * 2));
    all.extend_from_slice(&first);
    while let Some(piece) = next_piece(&mut body).await? {
        if all.len() + piece.len() > MAX_LINE {
            return Err(too_large());
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// The next piece of a body, `None` at its end.
pub async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(broken(&error)),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The beginning of a body, for an error message. Cuts off quietly whatever is too long or breaks.
pub async fn read_head(mut body: Incoming, limit: usize) -> Bytes {
    let mut head = BytesMut::new();
    while let Ok(Some(piece)) = next_piece(&mut body).await {
        head.extend_from_slice(&piece[..piece.len().min(limit - head.len())]);
        if head.len() >= limit {
            break;
        }
    }
    head.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_checked() {
        for (url, header, expected) in [
            ("http://localhost:80/mcp", ("X-Key", "1"), Ok("http://localhost/mcp")),
            ("https://me:a%40b@example.com/mcp?x=1#y", ("X", "1"), Ok("https://example.com/mcp?x=1")),
            ("ftp://localhost/", ("X", "1"), Err("`ftp://localhost/` is not an address umcp can connect to")),
            ("localhost/mcp", ("X", "1"), Err("`localhost/mcp` is not an address umcp can connect to")),
            ("http://localhost", ("bad name", "1"), Err("the name of header `bad name` is invalid")),
            ("http://localhost", ("X", "secret\nvalue"), Err("the value of header `X` is invalid")),
        ] {
            let headers = vec![(header.0.to_string(), header.1.to_string())];
            let target = HttpTarget { url: url.into(), headers, ..HttpTarget::default() };
            match (Address::new(&target), expected) {
                (Ok(address), Ok(uri)) => assert_eq!(address.uri.to_string(), uri),
                (Err(error), Err(message)) => assert_eq!(error.message, message),
                (outcome, _) => panic!("{url}: {:?}", outcome.map(|address| address.uri)),
            }
        }
    }

    #[test]
    fn a_login_in_the_address_becomes_a_header() {
        let mut url = parse("https://me:a%40b+c@example.com/", &["https"]).unwrap();
        assert_eq!(take_login(&mut url).unwrap().to_str().unwrap(), "Basic bWU6YUBiK2M=");
        assert_eq!(url.as_str(), "https://example.com/");
        assert_eq!(take_login(&mut url), None);
    }
}
