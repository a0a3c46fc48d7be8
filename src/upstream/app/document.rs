//! Fetches an API's document for the command line, which has no client of its own. The rule for addresses is that of
//! the built-in servers; what the answer means is decided by whoever asked.

use crate::error::{Error, Result, codes};
use crate::upstream::builtin::Options;
use crate::upstream::builtin::web::{self, Follow, Web};
use std::time::Duration;

/// Largest document, in bytes: with its quotes escaped it has to fit into one line of the local socket.
const MAX_BYTES: usize = 12 << 20;
const DEADLINE: Duration = Duration::from_secs(60);

/// The text at an address; private addresses only when spelled out.
pub async fn fetch(url: &str, allow_private: bool) -> Result<String> {
    let mut options = Options::default();
    if allow_private {
        options.env.insert("UMCP_ALLOW_PRIVATE".into(), "1".into());
    }
    let web = Web::new(&options, Follow::Anywhere)?;
    let asked = async { web.send(web.request(reqwest::Method::GET, url)?.timeout(DEADLINE)).await };
    let response = asked.await.map_err(|error| match allow_private {
        true => error,
        false => error.hint("or allow private addresses for this app with --allow-private"),
    })?;
    let status = response.status();
    if !status.is_success() {
        return Err(Error::new(&codes::UPSTREAM_HTTP, format!("`{url}` answered {status}")));
    }
    let (body, cut) = web::read(response, MAX_BYTES).await?;
    if cut {
        let message = format!("`{url}` is larger than {} MiB", MAX_BYTES >> 20);
        return Err(Error::new(&codes::FILE_TOO_LARGE, message));
    }
    String::from_utf8(body).map_err(|error| {
        Error::new(&codes::FILE_INVALID, format!("`{url}` is not UTF-8 text")).because(error)
    })
}
