//! Proxies: which one the environment names for a server, and asking it for a tunnel.
//! Connections to it are opened in `dial.rs`. Only HTTP proxies are spoken to.

use super::dial::{Wire, host_of};
use crate::error::{Error, Result, codes};
use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use std::sync::OnceLock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An answer of a proxy to `CONNECT` that is longer is none.
const MAX_TUNNEL_HEAD: usize = 8 << 10;

/// The proxy the environment names for `uri`. Nothing on this machine is asked for through a proxy.
pub fn of(uri: &Uri) -> Option<Intercept> {
    static MATCHER: OnceLock<Matcher> = OnceLock::new();
    if is_loopback(host_of(uri)) {
        return None;
    }
    let matcher = MATCHER.get_or_init(Matcher::from_env);
    match uri.scheme_str() {
        Some("ws" | "wss") => {
            let scheme = if uri.scheme_str() == Some("ws") { "http" } else { "https" };
            let as_http =
                Uri::builder().scheme(scheme).authority(uri.authority()?.clone()).path_and_query("/");
            matcher.intercept(&as_http.build().ok()?)
        }
        _ => matcher.intercept(uri),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Asks the proxy for a tunnel to the server of `uri`.
pub async fn tunnel(wire: &mut Wire, uri: &Uri, proxy: &Intercept) -> Result<()> {
    let default = if uri.scheme_str() == Some("ws") { 80 } else { 443 };
    let target = format!("{}:{}", host_of(uri), uri.port_u16().unwrap_or(default));
    let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(key) = proxy.basic_auth() {
        head.extend_from_slice(b"Proxy-Authorization: ");
        head.extend_from_slice(key.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let failed = |reason: String| {
        let message = format!("the proxy `{}` gave no tunnel to `{target}`", host_of(proxy.uri()));
        Error::new(&codes::UPSTREAM_CONNECT, message).because(reason)
    };
    wire.write_all(&head).await.map_err(|error| failed(error.to_string()))?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the empty line belongs to the tunnel.
    while !answer.ends_with(b"\r\n\r\n") {
        let byte = wire.read_u8().await.map_err(|error| failed(error.to_string()))?;
        answer.push(byte);
        if answer.len() > MAX_TUNNEL_HEAD {
            return Err(failed("its answer is too long".into()));
        }
    }
    let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_string();
    let granted = line.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
    if granted { Ok(()) } else { Err(failed(line)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::link::alone::run;

    #[test]
    fn loopback_needs_no_proxy() {
        for (host, expected) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("10.0.0.1", false),
            ("localhost.example.com", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    #[test]
    fn a_proxy_grants_a_tunnel_or_does_not() {
        let matcher = Matcher::builder().https("http://me:key@127.0.0.1:1").build();
        let uri: Uri = "https://example.com/mcp".parse().unwrap();
        let proxy = matcher.intercept(&uri).unwrap();
        for (answer, granted) in [("200 OK", true), ("407 Proxy Authentication Required", false)] {
            run(async {
                let (ours, mut theirs) = tokio::io::duplex(4096);
                let mut wire = Wire::new(ours);
                theirs.write_all(format!("HTTP/1.1 {answer}\r\n\r\n!").as_bytes()).await.unwrap();
                let outcome = tunnel(&mut wire, &uri, &proxy).await;
                assert_eq!(outcome.is_ok(), granted, "{answer}");
                let mut asked = [0; 512];
                let read = theirs.read(&mut asked).await.unwrap();
                let asked = String::from_utf8_lossy(&asked[..read]).into_owned();
                assert!(asked.starts_with("CONNECT example.com:443 HTTP/1.1\r\n"), "{asked}");
                assert!(asked.contains("Proxy-Authorization: Basic bWU6a2V5\r\n"), "{asked}");
                assert_eq!(wire.read_u8().await.unwrap(), b'!', "the tunnel's own bytes are left");
            });
        }
    }
}
