//! Apps: tools that umcp runs itself, spoken to through the same raw link as a child process, so that nothing above
//! knows the difference. The definitions come from the store; `server` speaks the protocol, `command` runs programs,
//! `http` sends requests, `pages` goes on with lists, `values` knows the settings, `sign` signs in the name of an account.
//!
//! A server lives in one task, which ends with its link, and every call and child with it.

mod command;
pub mod document;
mod http;
mod pages;
mod server;
mod sign;
mod values;

use super::link::{Inbox, Link};
use super::oauth::Chosen;
use super::supervisor::Upstream;
use crate::apps::{self, App};
use crate::engine::{Reply, StoreRequest, unexpected};
use crate::error::{Error, Result};
use crate::servers::references;
use server::Server;
use std::sync::Arc;

/// The key of `_meta` by which umcp itself asks for a service's answer as it was.
pub const RECORD: &str = "umcp/record";

/// Starts the server of an app. Closing the link ends it.
pub async fn open(
    name: &str,
    upstream: &Arc<Upstream>,
    inbox: Arc<dyn Inbox>,
    chosen: &Chosen,
) -> Result<Arc<Link>> {
    let (upstream, name, chosen) = (upstream.clone(), name.to_string(), chosen.clone());
    // Beside the runtime: a large document takes its time to be read, and a reference may be a command.
    let (shared, entry) = (upstream.shared().clone(), upstream.entry.clone());
    let made = shared.beside(&entry.id, references::may_wait(&entry), move || {
        let app = find(&upstream.shared().engine, &name)?;
        let definition = app.definition()?;
        let (link, queue) = Link::new(inbox);
        let server = Server::new(app, definition, upstream, link.clone(), chosen)?;
        Ok::<_, Error>((Arc::new(server), link, queue))
    });
    let (server, link, queue) = made.await?;
    tokio::spawn(server::run(server, queue));
    Ok(link)
}

fn find(engine: &crate::engine::Engine, name: &str) -> Result<App> {
    match engine.call(StoreRequest::App(apps::Request::Show { name: name.into() }))? {
        Reply::App(apps::Reply::App(app)) => Ok(*app),
        other => unexpected(&other),
    }
}
