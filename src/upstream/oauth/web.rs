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
