//! `umcp schedule`: what runs when, and what became of it. One file per group of verbs.

mod change;
mod clock;
mod edit;
mod history;
mod list;
mod say;
mod stats;

use super::context::Context;
use super::gateway;
use crate::engine::{self, Reply};
use crate::error::Result;
use crate::schedules::{self, Item, Request};
use crate::ui::text;
use clap::{Args, Subcommand};

/// Run workflows, tools and commands by the clock
///
/// The daemon keeps the time and stays while a schedule is on. `umcp gateway install` starts it at every login, so that
/// nothing is missed; what was missed all the same is made up for as --missed says.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp schedule create daily-backup --workflow backup --cron \"0 2 * * *\" --timezone America/New_York\n  umcp schedule preview \"0 9 * * mon-fri\" --timezone Europe/Berlin\n  umcp schedule next-run daily-backup\n  umcp schedule history daily-backup"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(alias = "ls")]
    List(list::List),
    #[command(alias = "info")]
    Show(list::Show),
    #[command(alias = "add")]
    Create(Box<edit::Create>),
    #[command(alias = "edit")]
    Update(Box<edit::Update>),
    Enable(change::Enable),
    Disable(change::Disable),
    #[command(aliases = ["remove", "rm"])]
    Delete(change::Delete),
    Pause(change::Pause),
    Resume(change::Resume),
    Run(change::Run),
    Stop(change::Stop),
    #[command(alias = "runs")]
    History(history::History),
    #[command(alias = "log")]
    Logs(history::Logs),
    #[command(alias = "next")]
    NextRun(clock::NextRun),
    Calendar(clock::Calendar),
    Preview(clock::Preview),
    Stats(stats::Show),
    Tick(change::Tick),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(list::List { agent: None })) {
            Verb::List(verb) => verb.run(ctx),
            Verb::Show(verb) => verb.run(ctx),
            Verb::Create(verb) => verb.run(ctx),
            Verb::Update(verb) => verb.run(ctx),
            Verb::Enable(verb) => verb.run(ctx),
            Verb::Disable(verb) => verb.run(ctx),
            Verb::Delete(verb) => verb.run(ctx),
            Verb::Pause(verb) => verb.run(ctx),
            Verb::Resume(verb) => verb.run(ctx),
            Verb::Run(verb) => verb.run(ctx),
            Verb::Stop(verb) => verb.run(ctx),
            Verb::History(verb) => verb.run(ctx),
            Verb::Logs(verb) => verb.run(ctx),
            Verb::NextRun(verb) => verb.run(ctx),
            Verb::Calendar(verb) => verb.run(ctx),
            Verb::Preview(verb) => verb.run(ctx),
            Verb::Stats(verb) => verb.run(ctx),
            Verb::Tick(verb) => verb.run(ctx),
        }
    }
}

/// All schedules, or those of an agent.
pub fn items(ctx: &Context, agent: Option<String>) -> Result<Vec<Item>> {
    match ctx.call(Request::List { agent })? {
        Reply::Schedule(schedules::Reply::Items(items)) => Ok(items),
        other => engine::unexpected(&other),
    }
}

/// What to say of schedules that are on while no daemon keeps their time; nothing while one does.
pub fn unattended(ctx: &Context, items: &[Item]) -> Option<String> {
    let now = ctx.clock.now();
    let next: Vec<_> = items.iter().filter_map(|item| say::coming(item).next()).collect();
    // A daemon that cannot be asked runs all the same.
    if next.is_empty() || !matches!(gateway::status(ctx), Ok(None)) {
        return None;
    }
    let (all, due) = (text::plural(next.len(), "schedule"), next.iter().filter(|due| **due <= now).count());
    let overdue = if due > 0 { format!(", {due} of them due by now") } else { String::new() };
    Some(format!("no daemon keeps the time of {all}{overdue}: {START}"))
}

/// What starts one.
pub const START: &str = "umcp gateway start --detach";

fn item(ctx: &Context, name: &str) -> Result<Item> {
    match ctx.call(Request::Show { name: name.into() })? {
        Reply::Schedule(schedules::Reply::Item(item)) => Ok(*item),
        other => engine::unexpected(&other),
    }
}
