//! `umcp version`: what this program is and what it speaks.

use super::context::Context;
use crate::daemon::{lifecycle, wire};
use crate::error::Result;
use crate::store;
use crate::ui::{Output, Page};
use clap::Args;
use serde::Serialize;

/// Revisions of the Model Context Protocol that are spoken on both sides.
const REVISIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

/// Show version, protocol revisions and store format
#[derive(Debug, Args)]
pub struct Version {}

#[derive(Serialize)]
struct Shown {
    version: &'static str,
    target: String,
    build: &'static str,
    revisions: [&'static str; 5],
    store_format: u32,
    socket_protocol: u32,
    /// Version of the daemon, when one runs.
    daemon: Option<String>,
}

impl Version {
    pub fn run(self, ctx: &Context) -> Result<()> {
        ctx.ui.show(&Shown {
            version: wire::VERSION,
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            revisions: REVISIONS,
            store_format: store::FORMAT,
            socket_protocol: wire::PROTOCOL,
            daemon: lifecycle::running(&ctx.paths)?.map(|welcome| welcome.version),
        })
    }
}

impl Output for Shown {
    const KIND: &'static str = "version/1";

    fn human(&self, page: &mut Page) {
        page.text(format!("umcp {} ({}, {})", self.version, self.target, self.build));
        page.pairs([
            ("MCP", self.revisions.join(", ")),
            ("store format", self.store_format.to_string()),
            ("socket protocol", self.socket_protocol.to_string()),
            ("daemon", self.daemon.clone().unwrap_or_else(|| "not running".into())),
            ("telemetry", "none".into()),
        ]);
    }

    fn ids(&self) -> Vec<String> {
        vec![self.version.into()]
    }
}
