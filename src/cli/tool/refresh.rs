//! `umcp tool refresh`: asks servers for their lists again.

use super::super::context::{self, Context};
use crate::engine::live::{Live, LiveReply, Refreshed};
use crate::error::{Error, Result, codes};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;

/// Ask servers for their tools again
#[derive(Debug, Args)]
pub struct Refresh {
    /// Only these servers; none means all that are enabled
    #[arg(value_name = "SERVER")]
    names: Vec<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Report(Vec<Refreshed>);

impl Refresh {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let bar = ctx.ui.progress("asking servers for their tools");
        let reply = ctx.live(Live::Refresh { names: self.names, bounded: false })?;
        drop(bar);
        let LiveReply::Refreshed(servers) = reply else { return context::unexpected(&reply) };
        let report = Report(servers);
        let failed = report.0.iter().filter(|server| server.error.is_some()).count();
        if failed == 0 {
            return ctx.ui.show(&report);
        }
        let message = format!("{} did not answer", text::plural(failed, "server"));
        let code = if failed == report.0.len() { &codes::UPSTREAM_START } else { &codes::PARTIAL };
        let error = Error::new(code, message);
        ctx.ui.show_failed(&report, &error)?;
        Err(error)
    }
}

impl Output for Report {
    const KIND: &'static str = "tool.refresh/1";

    fn human(&self, page: &mut Page) {
        for server in &self.0 {
            let count = usize::try_from(server.tools).unwrap_or(usize::MAX);
            match &server.error {
                None => page.mark(State::Ok, format!("{}: {}", server.server, text::plural(count, "tool"))),
                Some(error) => page.mark(State::Fail, format!("{}: {error}", server.server)),
            };
        }
        if self.0.is_empty() {
            page.text("no server is enabled");
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|server| server.server.clone()).collect()
    }
}
