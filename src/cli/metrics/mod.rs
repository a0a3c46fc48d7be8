//! `umcp metrics`: what the daemon counts and measures. What a metric means stands in the noun `metrics`.

mod dashboard;
mod errors;
mod export;
mod show;

use super::context::{self, Context};
use crate::engine::live::{Live, LiveReply};
use crate::error::Result;
use crate::metrics::Snapshot;
use clap::{Args, Subcommand};
pub use show::seconds;

/// Show what the daemon counts: calls, latency, queues, runs
///
/// Metrics begin at zero when the daemon starts; `umcp usage` tells of longer times.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp metrics\n  umcp metrics show --metric response_time\n  umcp metrics export --format prometheus\n  umcp metrics errors --since 1d"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(aliases = ["list", "ls"])]
    Show(show::Show),
    Export(export::Export),
    Errors(errors::Errors),
    #[command(alias = "top")]
    Dashboard(dashboard::Dashboard),
    /// List alerts and how they stand, as `umcp alert list`
    Alerts(super::alert::List),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::Show(show::Show::default())) {
            Verb::Show(verb) => verb.run(ctx),
            Verb::Export(verb) => verb.run(ctx),
            Verb::Errors(verb) => verb.run(ctx),
            Verb::Dashboard(verb) => verb.run(ctx),
            Verb::Alerts(verb) => verb.run(ctx),
        }
    }
}

/// What is measured now; nothing when no daemon runs.
fn snapshot(ctx: &Context) -> Result<Option<Snapshot>> {
    match ctx.live_if_running(Live::Metrics)? {
        Some(LiveReply::Metrics(snapshot)) => Ok(Some(*snapshot)),
        Some(other) => context::unexpected(&other),
        None => {
            ctx.ui.note("no daemon is running, so nothing is measured; `umcp usage` tells what was recorded");
            Ok(None)
        }
    }
}
