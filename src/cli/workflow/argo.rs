//! `workflow export --format argo`: what of the schedule that runs the workflow a cluster is told.

use super::super::context::Context;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::schedules::model::{Missed, Overlap, Schedule, Target, Trigger};
use crate::schedules::{self, Request};
use crate::workflows::{Definition, argo, read};
use clap::Args;

/// What only a cluster needs to know.
#[derive(Debug, Args)]
pub struct Cluster {
    /// For argo: when it runs; otherwise as the schedule of the workflow says
    #[arg(long, value_name = "EXPR")]
    cron: Option<String>,
    /// For argo: the zone of --cron
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// For argo: the image that has umcp
    #[arg(long, value_name = "IMAGE", default_value = "umcp:latest")]
    image: String,
}

impl Cluster {
    /// The manifest of the last of these workflows, which runs the others.
    pub fn manifest(&self, ctx: &Context, all: &[Definition]) -> Result<String> {
        let Some(definition) = all.last() else { return Err(Error::bug("no workflow to export")) };
        let name = definition.name.as_str();
        let schedule = schedule(ctx, name)?;
        let known = schedule.as_ref();
        let told = known.and_then(|known| match &known.trigger {
            Trigger::Cron(text) => Some(text.as_str()),
            _ => None,
        });
        let Some(cron) = self.cron.as_deref().or(told) else {
            let message = format!("no schedule says by a line of cron when `{name}` runs");
            return Err(Error::new(&codes::USAGE, message)
                .hint(format!("umcp workflow export {name} --format argo --cron \"0 2 * * *\"")));
        };
        schedules::timetable::cron(cron)?;
        let zone = self.timezone.as_deref().or(known.map(|it| it.zone.as_str())).unwrap_or("UTC");
        schedules::timetable::zone(zone)?;
        let workflow =
            read::read(&definition.file, &definition.text).map_err(|mut errors| errors.swap_remove(0))?;
        argo::manifest(&argo::Plan {
            documents: all,
            cron,
            zone,
            overlap: match known.map(|it| it.overlap).unwrap_or_default() {
                // A cluster keeps no queue.
                Overlap::Skip | Overlap::Queue => "Forbid",
                Overlap::Replace => "Replace",
                Overlap::Allow => "Allow",
            },
            missed_s: match known.map(|it| it.missed).unwrap_or_default() {
                Missed::Skip => 60,
                // At most the last one is made up for there.
                Missed::Once | Missed::All => 86_400,
            },
            timeout_s: workflow.timeout_ms.map(|ms| ms.div_ceil(1000)),
            inputs: known.map(|it| it.input.as_str()).filter(|it| !it.is_empty()).unwrap_or("{}"),
            image: &self.image,
            suspended: known.is_some_and(|it| !it.enabled || it.paused),
        })
    }
}

/// The first schedule that runs the workflow.
fn schedule(ctx: &Context, name: &str) -> Result<Option<Schedule>> {
    match ctx.call(Request::List { agent: None })? {
        Reply::Schedule(schedules::Reply::Items(all)) => {
            let runs_it = |it: &Schedule| matches!(&it.target, Target::Workflow(known) if known == name);
            Ok(all.into_iter().map(|item| item.schedule).find(runs_it))
        }
        other => engine::unexpected(&other),
    }
}
