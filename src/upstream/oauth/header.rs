//! What an account adds to a request: a token, a login, a signature. Pure.

use super::account::Now;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::integrations::model::Kind;
use crate::integrations::oauth1;
use base64::Engine as _;
use hyper::header::HeaderName;

/// What the account adds to a request.
pub(super) fn header(
    now: &Now,
    consumer_secret: &str,
    (method, url): (&str, &url::Url),
    time: Timestamp,
) -> Result<(HeaderName, Option<String>)> {
    let (row, held) = (&now.row, &now.held);
    let name = HeaderName::try_from(&row.key_place.header)
        .map_err(|_| Error::new(&codes::VALUE_INVALID, "the account's header has no valid name"))?;
    let value = match row.kind {
        Kind::None => None,
        Kind::Basic => {
            let login = format!("{}:{}", held.username.as_deref().unwrap_or_default(), held.access);
            Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login)))
        }
        Kind::Oauth1 => {
            let signer = oauth1::Signer {
                consumer: row.client_id.as_deref().unwrap_or_default(),
                consumer_secret,
                token: Some((&held.access, held.token_secret.as_deref().unwrap_or_default())),
            };
            let nonce = crate::ids::random_hex(16);
            let stamp = oauth1::Stamp { seconds: time.millis() / 1000, nonce: &nonce };
            Some(oauth1::header(signer, oauth1::Method::HmacSha1, method, url, &[], &[], stamp))
        }
        Kind::ApiKey | Kind::Bearer | Kind::Oauth2 => {
            Some(format!("{}{}", row.key_place.prefix, held.access))
        }
    };
    Ok((name, value))
}
