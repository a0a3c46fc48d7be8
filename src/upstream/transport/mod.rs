//! Opening a connection to a server: one file for each transport, chosen by the entry, probed where the entry
//! leaves it open. What answered is remembered with the catalogue.

pub mod client;
mod dial;
pub mod events;
pub mod http;
pub(in crate::upstream) mod proxy;
mod reader;
#[cfg(test)]
#[cfg(unix)]
mod scripted;
pub mod socket;
pub mod sse;
pub mod stdio;
pub mod websocket;

use super::connection::{Agreement, Connection};
use super::era;
use super::link::Inbox;
use super::oauth::{Chosen, REFERENCE};
use super::process::Child;
use super::supervisor::Upstream;
use crate::error::{Error, Result, codes};
use crate::servers::model::{EraChoice, Transport};
use crate::tools::{Catalogue, Era};
use client::HttpTarget;
use http::HttpLink;
use std::path::PathBuf;
use std::sync::Arc;

/// A connection that has agreed.
pub struct Opened {
    pub connection: Connection,
    pub agreement: Agreement,
    pub child: Option<Child>,
    /// The transport that answered, when it is not the entry's.
    pub word: Option<&'static str>,
}

/// Connects and agrees, in the name of these accounts. `known` is the catalogue of an earlier connection, with the era and transport that worked.
/// No error shows a secret that the entry refers to.
pub async fn connect(
    upstream: &Arc<Upstream>,
    inbox: Arc<dyn Inbox>,
    known: Option<&Catalogue>,
    chosen: &Chosen,
) -> Result<Opened> {
    open(upstream, inbox, known, chosen).await.map_err(|error| upstream.shared().known.hide_in(error))
}

async fn open(
    upstream: &Arc<Upstream>,
    inbox: Arc<dyn Inbox>,
    known: Option<&Catalogue>,
    chosen: &Chosen,
) -> Result<Opened> {
    let remembered = known.map(|known| known.era);
    let timeout = upstream.bounds.start;
    let entry = &upstream.entry;
    match &entry.transport {
        Transport::Stdio { .. } => stdio::connect(upstream, inbox, remembered, chosen).await,
        Transport::Builtin { name } => {
            let connection = Connection::Stream(super::builtin::open(name, upstream, inbox).await?);
            agree(connection, entry.era, Some(Era::Legacy), upstream).await
        }
        Transport::App { name } => {
            let connection = Connection::Stream(super::app::open(name, upstream, inbox, chosen).await?);
            agree(connection, entry.era, Some(Era::Legacy), upstream).await
        }
        Transport::Sse { url } => over_sse(upstream, target(upstream, url, chosen).await?, inbox).await,
        Transport::Http { url, probe } => {
            let target = target(upstream, url, chosen).await?;
            if known.is_some_and(|known| known.transport.as_deref() == Some("sse")) {
                return over_sse(upstream, target, inbox).await;
            }
            let link = Connection::Http(HttpLink::new(target.clone(), inbox.clone()));
            match agree(link, entry.era, remembered, upstream).await {
                Err(error) if *probe && is_no_mcp(&error) => {
                    over_sse(upstream, target, inbox).await.map_err(|_| error)
                }
                other => other,
            }
        }
        Transport::WebSocket { url } => {
            let target = target(upstream, url, chosen).await?;
            let link = websocket::open(&target, inbox, timeout).await?;
            agree(Connection::Stream(link), entry.era, remembered, upstream).await
        }
        Transport::Socket { path, uri } => {
            let mut target = target(upstream, &format!("http://localhost{uri}"), chosen).await?;
            target.unix_socket = Some(PathBuf::from(upstream.shared().resolve(path, "the socket path")?));
            let link = Connection::Http(HttpLink::new(target, inbox));
            agree(link, entry.era, remembered, upstream).await
        }
    }
}

/// The answer of something that is there but does not speak streamable HTTP at this address.
fn is_no_mcp(error: &Error) -> bool {
    error.is(&codes::UPSTREAM_HTTP) || error.is(&codes::UPSTREAM_PROTOCOL)
}

async fn over_sse(upstream: &Arc<Upstream>, target: HttpTarget, inbox: Arc<dyn Inbox>) -> Result<Opened> {
    let link = sse::open(target, inbox, upstream.bounds.start).await?;
    let choice = upstream.entry.era;
    let mut opened = agree(Connection::Stream(link), choice, Some(Era::Legacy), upstream).await?;
    opened.word = Some("sse");
    Ok(opened)
}

async fn agree(
    connection: Connection,
    choice: EraChoice,
    remembered: Option<Era>,
    upstream: &Upstream,
) -> Result<Opened> {
    match era::handshake(&connection, choice, remembered, upstream.bounds.start).await {
        Ok(agreement) => Ok(Opened { connection, agreement, child: None, word: None }),
        Err(error) => {
            connection.close(error.clone());
            Err(error)
        }
    }
}

async fn target(upstream: &Arc<Upstream>, url: &str, chosen: &Chosen) -> Result<HttpTarget> {
    let (url, chosen) = (url.to_string(), chosen.clone());
    upstream.resolving(move |upstream| resolved(upstream, &url, &chosen)).await
}

fn resolved(upstream: &Upstream, url: &str, chosen: &Chosen) -> Result<HttpTarget> {
    let shared = upstream.shared();
    let header = |(name, value): (&String, &String)| {
        Ok((name.clone(), shared.resolve_value(value, &format!("header {name}"))?))
    };
    let reference = |(_, value): &(&String, &String)| value.starts_with(REFERENCE);
    let named = upstream.entry.headers.iter().find(reference);
    let account = match named {
        // The account adds the header itself, anew for each request.
        Some((_, value)) => Some(shared.accounts.referred(&value[REFERENCE.len()..], chosen)?),
        None => shared.accounts.of_server(upstream.account_id(), chosen)?,
    };
    let own = upstream.entry.headers.iter().filter(|pair| !reference(pair));
    Ok(HttpTarget {
        url: shared.resolve(url, "the URL")?,
        headers: own.map(header).collect::<Result<_>>()?,
        unix_socket: None,
        account,
    })
}
