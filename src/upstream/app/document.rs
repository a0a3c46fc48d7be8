//! Fetches an API's document for the command line, which has no client of its own. The rule for addresses is that of
//! the built-in servers; what the answer means is decided by whoever asked.

use crate::error::{Error, Result, codes};
use crate::upstream::builtin::Options;
use crate::upstream::builtin::web::{self, Follow, Web};
use std::path::Path;
use std::time::Duration;

/// Largest document, in bytes: with its quotes escaped it has to fit into one line of the local socket.
const MAX_BYTES: usize = 12 << 20;
const DEADLINE: Duration = Duration::from_secs(60);
const DOWNLOAD_DEADLINE: Duration = Duration::from_secs(10 * 60);

/// Fetches a file, whole or not at all; addresses of this machine only when spelled out.
pub async fn download(url: &str, to: &Path, limit: u64, allow_loopback: bool) -> Result<()> {
    let mut options = Options::default();
    if allow_loopback {
        options.env.insert("UMCP_ALLOW_PRIVATE".into(), "127.0.0.1,::1".into());
    }
    let web = Web::new(&options, Follow::Anywhere)?;
    let response = web.send(web.request(reqwest::Method::GET, url)?.timeout(DOWNLOAD_DEADLINE)).await?;
    let status = response.status();
    if !status.is_success() {
        return Err(Error::new(&codes::UPSTREAM_HTTP, format!("`{url}` answered {status}")));
    }
    let (body, cut) = web::read(response, usize::try_from(limit).unwrap_or(usize::MAX)).await?;
    if cut {
        let message = format!("`{url}` is larger than {} MiB", limit >> 20);
        return Err(Error::new(&codes::FILE_TOO_LARGE, message));
    }
    let to = to.to_path_buf();
    let written = tokio::task::spawn_blocking(move || crate::paths::write_atomic(&to, &body)).await;
    written.map_err(|error| Error::bug("a file was not written to its end").because(error))?
}

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
