//! The verbs that switch schedules on and off, hold them, let them go, delete them and run them by hand.

use super::super::context::{self, Context};
use super::history::{Rows, went_wrong};
use super::item;
use super::say::Row;
use crate::engine::live::{Live, LiveReply};
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::schedules::model::Firing;
use crate::schedules::{self, Request, Whom};
use crate::settings::Settings;
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;

/// Names that something was done with.
#[derive(Serialize)]
struct Done {
    done: &'static str,
    schedules: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    whom: Option<String>,
}

impl Output for Done {
    const KIND: &'static str = "schedule.changed/1";

    fn human(&self, page: &mut Page) {
        if let Some(whom) = &self.whom {
            let count = text::plural(self.schedules.len(), "schedule");
            page.mark(State::Ok, format!("{} {whom}: {count}", self.done));
            return;
        }
        for name in &self.schedules {
            page.mark(State::Ok, format!("{} {name}", self.done));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.schedules.clone()
    }
}

fn names(ctx: &Context, request: Request) -> Result<Vec<String>> {
    match ctx.call(request)? {
        Reply::Schedule(schedules::Reply::Names(names)) => Ok(names),
        other => engine::unexpected(&other),
    }
}

/// Has a daemon running where one is needed, and says what keeps it.
pub fn keep_time(ctx: &Context) -> Result<()> {
    if Settings::load(&ctx.paths)?.schedules.keep_daemon {
        ctx.start()?;
        ctx.ui.note("runs happen while the daemon does: umcp gateway install starts it at every login");
    } else {
        ctx.ui.note("schedules.keep_daemon is off: have umcp schedule tick run by a cron of yours");
    }
    Ok(())
}

/// Switch schedules on
#[derive(Debug, Args)]
pub struct Enable {
    #[arg(value_name = "SCHEDULE", required = true)]
    names: Vec<String>,
    /// Do not start the daemon; nothing runs until one does
    #[arg(long)]
    no_start: bool,
}

/// Switch schedules off; a run that is under way goes on
#[derive(Debug, Args)]
pub struct Disable {
    #[arg(value_name = "SCHEDULE", required = true)]
    names: Vec<String>,
}

impl Enable {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let request = Request::Enable { names: self.names, enabled: true, at: ctx.clock.now() };
        let schedules = names(ctx, request)?;
        ctx.ui.show(&Done { done: "enabled", schedules, whom: None })?;
        if self.no_start { Ok(()) } else { keep_time(ctx) }
    }
}

impl Disable {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let request = Request::Enable { names: self.names, enabled: false, at: ctx.clock.now() };
        let schedules = names(ctx, request)?;
        ctx.ui.show(&Done { done: "disabled", schedules, whom: None })
    }
}

/// Delete schedules with their history
#[derive(Debug, Args)]
pub struct Delete {
    #[arg(value_name = "SCHEDULE", required = true)]
    names: Vec<String>,
}

impl Delete {
    pub fn run(self, ctx: &Context) -> Result<()> {
        for name in &self.names {
            item(ctx, name)?;
        }
        let question = format!("delete {} with their history?", self.names.join(", "));
        if !ctx.ui.confirm(&question, false, "--yes")? {
            return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was deleted"));
        }
        let schedules = names(ctx, Request::Delete { names: self.names })?;
        ctx.ui.show(&Done { done: "deleted", schedules, whom: None })
    }
}

/// Hold schedules until they are resumed: some, all of an agent, or all
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp schedule pause daily-backup\n  umcp schedule pause --agent mailbot\n  umcp schedule pause --all"
)]
pub struct Pause {
    #[command(flatten)]
    whom: Which,
}

/// Let held schedules go on; what was due meanwhile is not made up for
#[derive(Debug, Args)]
pub struct Resume {
    #[command(flatten)]
    whom: Which,
    /// Do not start the daemon; nothing runs until one does
    #[arg(long)]
    no_start: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    #[arg(value_name = "SCHEDULE")]
    names: Vec<String>,
    /// All schedules of this agent, also those to come
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Every schedule, also those to come
    #[arg(long)]
    all: bool,
}

impl Which {
    fn hold(self, ctx: &Context, paused: bool) -> Result<()> {
        let (whom, word) = match (self.agent, self.all) {
            (Some(agent), _) => (Whom::Agent(agent.clone()), Some(format!("agent {agent}"))),
            (None, true) => (Whom::All, Some("all".into())),
            (None, false) => (Whom::Schedules(self.names), None),
        };
        let done = if paused { "paused" } else { "resumed" };
        let schedules = names(ctx, Request::Pause { whom, paused, at: ctx.clock.now() })?;
        ctx.ui.show(&Done { done, schedules, whom: word })
    }
}

impl Pause {
    pub fn run(self, ctx: &Context) -> Result<()> {
        self.whom.hold(ctx, true)
    }
}

impl Resume {
    pub fn run(self, ctx: &Context) -> Result<()> {
        self.whom.hold(ctx, false)?;
        if self.no_start { Ok(()) } else { keep_time(ctx) }
    }
}

/// Run a schedule now, whatever it says of time, pause and condition
#[derive(Debug, Args)]
pub struct Run {
    #[arg(value_name = "SCHEDULE")]
    name: String,
    /// Only begin the run and print its id
    #[arg(long, short)]
    detach: bool,
}

/// Cancel the runs of a schedule that are under way
#[derive(Debug, Args)]
pub struct Stop {
    #[arg(value_name = "SCHEDULE")]
    name: String,
}

/// Run what is due now and wait for it: for a cron of your own
///
/// Where nothing keeps the daemon (schedules.keep_daemon is off), a line in your own crontab that runs this every
/// minute is enough; what was missed between two ticks is dealt with as --missed says.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  * * * * * umcp schedule tick --quiet")]
pub struct Tick {
    /// Do not wait for the runs
    #[arg(long)]
    no_wait: bool,
}

fn firings(ctx: &Context, live: Live) -> Result<Vec<Firing>> {
    match ctx.live(live)? {
        LiveReply::Firings(firings) => Ok(firings),
        other => context::unexpected(&other),
    }
}

fn show(ctx: &Context, firings: &[Firing]) -> Result<Vec<Row>> {
    let rows = Rows { rows: firings.iter().map(Row::new).collect(), now: ctx.clock.now() };
    ctx.ui.show(&rows)?;
    Ok(rows.rows)
}

impl Run {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let ran = firings(ctx, Live::RunSchedule { name: self.name, wait: !self.detach })?;
        let rows = Rows { rows: ran.iter().map(Row::new).collect(), now: ctx.clock.now() };
        match went_wrong(&rows.rows) {
            None => ctx.ui.show(&rows),
            Some(error) => {
                ctx.ui.show_failed(&rows, &error)?;
                Err(error)
            }
        }
    }
}

impl Stop {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let stopped = firings(ctx, Live::StopSchedule { name: self.name })?;
        show(ctx, &stopped).map(drop)
    }
}

impl Tick {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let ticked = firings(ctx, Live::TickSchedules { wait: !self.no_wait })?;
        show(ctx, &ticked).map(drop)
    }
}
