//! Apps: tools that umcp runs itself, spoken to through the same raw link as a child process, so that nothing above
//! knows the difference. The definitions come from the store; `server` speaks the protocol, `command` runs programs,
//! `http` sends requests, `values` knows the settings.
//!
//! A server lives in one task, which ends with its link, and every call and child with it.

mod command;
pub mod document;
mod http;
mod result;
mod server;
mod values;

use super::link::{Inbox, Link};
use super::supervisor::Upstream;
use crate::apps::{self, App};
use crate::engine::{Reply, StoreRequest, unexpected};
use crate::error::{Error, Result};
use server::Server;
use std::sync::Arc;

/// Starts the server of an app. Closing the link ends it.
pub async fn open(name: &str, upstream: &Arc<Upstream>, inbox: Arc<dyn Inbox>) -> Result<Arc<Link>> {
    let (upstream, name) = (upstream.clone(), name.to_string());
    // Beside the runtime: a large document takes its time to be read, and a reference may be a command.
    let made = tokio::task::spawn_blocking(move || {
        let app = find(&upstream.shared().engine, &name)?;
        let definition = app.definition()?;
        let (link, queue) = Link::new(inbox);
        let server = Server::new(app, definition, upstream, link.clone())?;
        Ok::<_, Error>((Arc::new(server), link, queue))
    });
    let made = made.await.map_err(|error| Error::bug("an app was not read").because(error))?;
    let (server, link, queue) = made?;
    tokio::spawn(server::run(server, queue));
    Ok(link)
}

fn find(engine: &crate::engine::Engine, name: &str) -> Result<App> {
    match engine.call(StoreRequest::App(apps::Request::Show { name: name.into() }))? {
        Reply::App(apps::Reply::App(app)) => Ok(*app),
        other => unexpected(&other),
    }
}
