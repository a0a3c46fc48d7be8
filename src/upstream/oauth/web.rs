//! HTTP to providers: bounded answers, no redirect to another origin, TLS unless it is this machine.
//! It knows no OAuth. Rule: an address that a remote party named is reached only where that party could be itself:
//! a public server leads to no private address.

use crate::error::{Error, Result, codes};
use crate::integrations::model::check_address;
use crate::upstream::builtin::web::{Follow, Reach, Web, is_public, read};
use crate::upstream::transport::proxy;
use reqwest::header::{ACCEPT, HeaderMap};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Documents and tokens are small; what is longer is not one.
const MAX_BODY: usize = 256 << 10;
/// One exchange with a provider.
const DEADLINE: Duration = Duration::from_secs(20);

/// What came back.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// The two clients: for documents that may move within their origin, and for requests that carry secrets.
struct Clients {
    reading: Web,
    sending: Web,
}

impl Clients {
    fn new(reach: &Reach) -> Self {
        Self {
            reading: Web::reaching(reach.clone(), Follow::SameHost),
            sending: Web::reaching(reach.clone(), Follow::Nowhere),
        }
    }
}

/// A way to a provider. Cheap to clone.
#[derive(Clone)]
pub struct Net(Arc<Clients>);

impl Net {
    /// For addresses the user wrote down, and all that a server in the user's own network names.
    pub fn anywhere() -> Self {
        Self(Arc::new(Clients::new(&Reach::Everything)))
    }

    /// For what the server at this address names: a public one leads to public addresses only. Behind a proxy it
    /// is the proxy that connects, and what may be reached is its business.
    pub async fn for_server(address: &str) -> Self {
        let proxied = address.parse().is_ok_and(|uri| proxy::of(&uri).is_some());
        let private = match url::Url::parse(address) {
            Ok(url) => is_private(&url).await,
            Err(_) => false,
        };
        match proxied || private {
            true => Self::anywhere(),
            false => Self(Arc::new(Clients::new(&Reach::Public))),
        }
    }

    pub async fn get(&self, url: &str, headers: HeaderMap) -> Result<Answer> {
        let web = &self.0.reading;
        let request = web.request(reqwest::Method::GET, checked(url)?).map_err(unreached)?;
        finish(web, request.headers(headers)).await
    }

    /// A form, with the answer expected in JSON.
    pub async fn form(&self, url: &str, headers: HeaderMap, form: &[(&str, &str)]) -> Result<Answer> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.post(url, headers, "application/x-www-form-urlencoded", body.into_bytes()).await
    }

    pub async fn post(&self, url: &str, headers: HeaderMap, kind: &str, body: Vec<u8>) -> Result<Answer> {
        let web = &self.0.sending;
        let request = web.request(reqwest::Method::POST, checked(url)?).map_err(unreached)?;
        finish(web, request.headers(headers).header(reqwest::header::CONTENT_TYPE, kind).body(body)).await
    }
}

/// Whether a host is in the user's own network: what it names may be there too.
async fn is_private(url: &url::Url) -> bool {
    let port = url.port_or_known_default().unwrap_or(443);
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match tokio::time::timeout(DEADLINE, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(mut found)) => found.any(|address| !is_public(address.ip())),
        _ => false,
    }
}

fn checked(url: &str) -> Result<&str> {
    check_address(url).map_err(|error| {
        Error::new(&codes::SIGN_IN_UNSAFE, format!("`{url}` was not asked"))
            .because(error.source.unwrap_or(error.message))
    })?;
    Ok(url)
}

/// The hints of the built-in servers, which share the client, speak of their own entries.
fn unreached(error: Error) -> Error {
    Error { code: &codes::UPSTREAM_CONNECT, hints: Vec::new(), ..error }
}

async fn finish(web: &Web, request: reqwest::RequestBuilder) -> Result<Answer> {
    let exchange = async {
        // Some providers answer a form with a form unless JSON is asked for.
        let response = web.send(request.header(ACCEPT, "application/json")).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let (body, cut) = read(response, MAX_BODY).await?;
        if cut {
            let message = format!("the provider's answer is longer than {} KiB", MAX_BODY >> 10);
            return Err(Error::new(&codes::SIGN_IN_UNSAFE, message));
        }
        Ok(Answer { status, headers, body })
    };
    match tokio::time::timeout(DEADLINE, exchange).await {
        Ok(Err(error)) if !error.is(&codes::SIGN_IN_UNSAFE) => Err(unreached(error)),
        Ok(outcome) => outcome,
        Err(_) => {
            let message = format!("the provider did not answer within {} s", DEADLINE.as_secs());
            Err(Error::new(&codes::UPSTREAM_TIMEOUT, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    /// Answers every request with the same bytes, and gives the address.
    async fn stub(answer: Vec<u8>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    let _ = stream.read(&mut head).await;
                    let _ = stream.write_all(&answer).await;
                });
            }
        });
        address
    }

    #[test]
    fn what_a_public_server_names_is_no_private_address() {
        run(async {
            let public = Net(Arc::new(Clients::new(&Reach::Public)));
            for address in [
                "http://127.0.0.1:9/x",
                "https://10.0.0.1/x",
                "https://169.254.169.254/x",
                "https://[::1]/x",
                "http://localhost:9/x",
            ] {
                let error = public.get(address, HeaderMap::new()).await.err().unwrap();
                assert!(error.is(&codes::UPSTREAM_CONNECT) && error.hints.is_empty(), "{address}: {error:?}");
                assert!(error.to_string().contains("private, local or reserved"), "{address}: {error}");
            }
            assert!(is_private(&url::Url::parse("http://127.0.0.1:1/").unwrap()).await);
            assert!(!is_private(&url::Url::parse("https://no-such-host.invalid/").unwrap()).await);
        });
    }

    #[test]
    fn secrets_go_neither_in_the_open_nor_round_a_corner() {
        run(async {
            let net = Net::anywhere();
            for address in ["http://example.com/token", "https://me@example.com/token", "file:///etc/passwd"]
            {
                let error = net.form(address, HeaderMap::new(), &[("a", "b")]).await.err().unwrap();
                assert!(error.is(&codes::SIGN_IN_UNSAFE), "{address}: {error:?}");
            }
            let elsewhere = stub(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen".to_vec()).await;
            let moved = format!("HTTP/1.1 307 Moved\r\nLocation: {elsewhere}/x\r\nContent-Length: 0\r\n\r\n");
            let here = stub(moved.into_bytes()).await;
            let sent =
                net.form(&format!("{here}/token"), HeaderMap::new(), &[("secret", "s")]).await.unwrap();
            assert_eq!((sent.status, sent.body.len()), (307, 0));
            let read = net.get(&format!("{here}/document"), HeaderMap::new()).await.unwrap();
            assert_eq!(read.status, 307, "another origin was followed to");
        });
    }

    #[test]
    fn an_endless_answer_is_cut_off() {
        run(async {
            let mut long =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1).into_bytes();
            long.resize(long.len() + MAX_BODY + 1, b' ');
            let address = stub(long).await;
            let error = Net::anywhere().get(&address, HeaderMap::new()).await.err().unwrap();
            assert!(error.is(&codes::SIGN_IN_UNSAFE), "{error:?}");
        });
    }
}
