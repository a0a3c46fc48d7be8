//! Orders to a run: cancel, pause, resume, approve, settle.

use super::super::context::{self, Context};
use super::runs::View;
use crate::engine::live::{Live, LiveReply, RunOrder};
use crate::error::Result;
use clap::Args;

/// Cancel a run; steps under way are stopped
#[derive(Debug, Args)]
pub struct Cancel {
    #[arg(value_name = "RUN")]
    run: String,
}

/// Start no more steps of a run until it is resumed
#[derive(Debug, Args)]
pub struct Pause {
    #[arg(value_name = "RUN")]
    run: String,
}

/// Go on with a paused run
#[derive(Debug, Args)]
pub struct Resume {
    #[arg(value_name = "RUN")]
    run: String,
}

/// Answer a step that waits for a person
#[derive(Debug, Args)]
pub struct Approve {
    #[arg(value_name = "RUN")]
    run: String,
    /// The step, where several wait
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Say no: the step fails
    #[arg(long)]
    deny: bool,
    /// A word that the step's result keeps
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
}

/// Decide about a step that was interrupted and may not be repeated by itself
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("decision").required(true).args(["done", "again"])))]
pub struct Settle {
    #[arg(value_name = "RUN")]
    run: String,
    /// The step, where several were interrupted
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// It was done; with its result as JSON, where later steps need it
    #[arg(long, value_name = "RESULT", num_args = 0..=1, default_missing_value = "null", require_equals = true)]
    done: Option<String>,
    /// It was not done: do it again
    #[arg(long)]
    again: bool,
}

impl Cancel {
    pub fn run(self, ctx: &Context) -> Result<()> {
        order(ctx, self.run, RunOrder::Cancel)
    }
}

impl Pause {
    pub fn run(self, ctx: &Context) -> Result<()> {
        order(ctx, self.run, RunOrder::Pause)
    }
}

impl Resume {
    pub fn run(self, ctx: &Context) -> Result<()> {
        order(ctx, self.run, RunOrder::Resume)
    }
}

impl Approve {
    pub fn run(self, ctx: &Context) -> Result<()> {
        order(ctx, self.run, RunOrder::Approve { step: self.step, yes: !self.deny, note: self.note })
    }
}

impl Settle {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let done = if self.again { None } else { self.done };
        order(ctx, self.run, RunOrder::Settle { step: self.step, done })
    }
}

fn order(ctx: &Context, run: String, order: RunOrder) -> Result<()> {
    match ctx.live(Live::OrderRun { run, order })? {
        LiveReply::Run(run) => ctx.ui.show(&View::new(*run, ctx.clock.now())),
        other => context::unexpected(&other),
    }
}
