//! Signing in at a provider that still speaks OAuth 1 (RFC 5849): a temporary token, a verifier, a token.
//! The signing itself stands in `integrations/oauth1.rs`.

use super::Accounts;
use super::account::Held;
use super::authorize::shown;
use super::flow::{LIFE, Pasted};
use super::loopback::Loopback;
use super::plan::Aim;
use super::web::{Answer, Net};
use crate::engine::accounts::{SignIn, Step};
use crate::error::{Error, Result, codes};
use crate::integrations::model::{Connection, Grant, Kind};
use crate::integrations::oauth1::{Method, Signer, Stamp, header};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

/// A token with its secret.
struct Pair {
    token: String,
    secret: String,
}

/// Who asks, for both requests.
struct Consumer {
    id: String,
    secret: String,
    net: Net,
}

impl Accounts {
    pub(super) async fn begin_oauth1(self: &Arc<Self>, aim: Aim, wish: SignIn) -> Result<Step> {
        let mut row = self.draft(&aim, &wish, Kind::Oauth1)?;
        let Aim::Integration(integration) = aim else { return Err(Error::bug("a server has no OAuth 1")) };
        let missing = integration.missing();
        if !missing.is_empty() {
            let message = format!("integration `{}` lacks {}", integration.name, missing.join(" and "));
            return Err(Error::new(&codes::INTEGRATION_INCOMPLETE, message)
                .hint(format!("umcp integration configure {} {} …", integration.name, missing[0])));
        }
        let endpoints = integration.endpoints.clone();
        let consumer = Consumer {
            id: integration.client_id.clone().unwrap_or_default(),
            secret: self.ground.keep.get(&integration.secret_name())?.unwrap_or_default(),
            net: Net::anywhere(),
        };
        let loopback = Loopback::open(wish.redirect_port.or(integration.redirect_port), true).await?;
        let redirect = loopback.redirect();
        let seconds = self.ground.engine.now().millis() / 1000;
        let place = endpoints.temporary.as_deref().unwrap_or_default();
        let temporary = consumer.ask(place, None, ("oauth_callback", &redirect), seconds).await?;
        let authorize = endpoints.authorize.as_deref().unwrap_or_default();
        let url =
            Url::parse_with_params(authorize, [("oauth_token", &temporary.token)]).map_err(|error| {
                Error::new(&codes::VALUE_INVALID, format!("`{authorize}` is no address")).because(error)
            })?;
        row.grant = Grant::Code;
        row.client_id = Some(consumer.id.clone());
        row.endpoints = endpoints;
        row.key_place = integration.key_place.clone();
        row.scopes.clone_from(&integration.scopes);
        let accounts = self.clone();
        let id = self.pend(|pasted| async move {
            let verifier = wait(&loopback, &temporary.token, pasted).await?;
            drop(loopback);
            accounts.trade(row, &consumer, &temporary, &verifier).await
        })?;
        Ok(Step::Browse { id, url: url.into(), redirect })
    }

    async fn trade(
        &self,
        mut row: Connection,
        consumer: &Consumer,
        temporary: &Pair,
        verifier: &str,
    ) -> Result<Connection> {
        let now = self.ground.engine.now();
        let place = row.endpoints.token.clone().unwrap_or_default();
        let seconds = now.millis() / 1000;
        let pair = consumer.ask(&place, Some(temporary), ("oauth_verifier", verifier), seconds).await?;
        row.obtained = now;
        row.expires = None;
        row.last_error = None;
        let held = Held { access: pair.token, token_secret: Some(pair.secret), ..Held::default() };
        self.admit(row, held).await
    }
}

impl Consumer {
    async fn ask(&self, place: &str, pair: Option<&Pair>, own: (&str, &str), seconds: u64) -> Result<Pair> {
        let url = Url::parse(place).map_err(|error| {
            Error::new(&codes::VALUE_INVALID, format!("`{place}` is no address")).because(error)
        })?;
        let nonce = crate::ids::random_hex(16);
        let signer = Signer {
            consumer: &self.id,
            consumer_secret: &self.secret,
            token: pair.map(|pair| (pair.token.as_str(), pair.secret.as_str())),
        };
        let stamp = Stamp { seconds, nonce: &nonce };
        let value = header(signer, Method::HmacSha1, "POST", &url, &[], &[own], stamp);
        let mut value =
            HeaderValue::try_from(value).map_err(|_| Error::bug("a signature is not a header value"))?;
        value.set_sensitive(true);
        let headers: HeaderMap = [(AUTHORIZATION, value)].into_iter().collect();
        read(&self.net.form(place, headers, &[]).await?)
    }
}

fn read(answer: &Answer) -> Result<Pair> {
    let failed = |why: String| Error::new(&codes::SIGN_IN_FAILED, "the provider gave no token").because(why);
    if !answer.is_success() {
        return Err(failed(format!("{}: {}", answer.status, shown(&String::from_utf8_lossy(&answer.body)))));
    }
    let one = |name: &str| {
        let mut pairs = url::form_urlencoded::parse(&answer.body);
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .filter(|value| !value.is_empty())
    };
    match (one("oauth_token"), one("oauth_token_secret")) {
        (Some(token), Some(secret)) => Ok(Pair { token, secret }),
        _ => Err(failed("its answer is not the form of a token".into())),
    }
}

/// Waits for the verifier that belongs to this temporary token.
async fn wait(loopback: &Loopback, token: &str, mut pasted: mpsc::Receiver<Pasted>) -> Result<String> {
    let end = Instant::now() + LIFE;
    loop {
        let (url, told) = tokio::select! {
            url = loopback.next() => (url, None),
            Some((url, told)) = pasted.recv() => (url, Some(told)),
            () = tokio::time::sleep_until(end) => {
                return Err(Error::new(&codes::TIMED_OUT, "nobody came back from the browser"));
            }
        };
        let one =
            |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let denied = one("denied").is_some_and(|denied| denied == token);
        let verifier = one("oauth_verifier").filter(|_| one("oauth_token").as_deref() == Some(token));
        if let Some(told) = told {
            let stray = || Error::new(&codes::VALUE_INVALID, "that address does not belong to this sign-in");
            let _ = told.send(if verifier.is_some() || denied { Ok(()) } else { Err(stray()) });
        }
        match verifier {
            Some(verifier) => return Ok(verifier),
            None if denied => return Err(Error::new(&codes::SIGN_IN_FAILED, "the sign-in was refused")),
            None => {}
        }
    }
}
