//! The verbs that change entries by name: rename, enable, disable; and how a change is told.

use super::super::context::Context;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::servers::view::ServerView;
use crate::servers::{self, Server};
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;

/// Servers that were changed, and what was done to them.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Changed {
    servers: Vec<ServerView>,
    #[serde(skip)]
    verb: &'static str,
    #[serde(skip)]
    next: Option<String>,
}

impl Changed {
    pub fn new(verb: &'static str, servers: &[Server]) -> Self {
        Self { verb, servers: servers.iter().map(ServerView::from).collect(), next: None }
    }

    /// Adds what to do next, for people.
    pub fn then(mut self, next: Option<String>) -> Self {
        self.next = next;
        self
    }
}

impl Output for Changed {
    const KIND: &'static str = "server.changed/1";

    fn human(&self, page: &mut Page) {
        for server in &self.servers {
            page.mark(
                State::Ok,
                format!("{} {} ({}: {})", self.verb, server.name, server.transport, server.target),
            );
        }
        if self.servers.is_empty() {
            page.text("no server was changed");
        }
        if let Some(next) = &self.next {
            page.text(next);
        }
    }

    fn ids(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.name.clone()).collect()
    }
}

/// Rename a server and keep its history
#[derive(Debug, Args)]
pub struct Rename {
    #[arg(value_name = "SERVER")]
    from: String,
    #[arg(value_name = "NAME")]
    to: String,
}

impl Rename {
    pub fn run(self, ctx: &Context) -> Result<()> {
        change(ctx, "renamed to", servers::Request::Rename { from: self.from, to: self.to })
    }
}

/// Offer servers to clients again
#[derive(Debug, Args)]
pub struct Enable {
    /// Names, or patterns with `*`
    #[arg(value_name = "SERVER", required = true)]
    names: Vec<String>,
}

impl Enable {
    pub fn run(self, ctx: &Context) -> Result<()> {
        change(ctx, "enabled", servers::Request::Enable { names: self.names, enabled: true })
    }
}

/// Keep servers in the list but offer them to nobody
#[derive(Debug, Args)]
pub struct Disable {
    /// Names, or patterns with `*`
    #[arg(value_name = "SERVER", required = true)]
    names: Vec<String>,
}

impl Disable {
    pub fn run(self, ctx: &Context) -> Result<()> {
        change(ctx, "disabled", servers::Request::Enable { names: self.names, enabled: false })
    }
}

pub fn change(ctx: &Context, verb: &'static str, request: servers::Request) -> Result<()> {
    match ctx.call(request)? {
        Reply::Server(servers::Reply::Servers(servers)) => ctx.ui.show(&Changed::new(verb, &servers)),
        Reply::Server(servers::Reply::Server(server)) => {
            ctx.ui.show(&Changed::new(verb, std::slice::from_ref(&*server)))
        }
        other => engine::unexpected(&other),
    }
}
