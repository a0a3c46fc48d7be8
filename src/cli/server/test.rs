//! `umcp server test`: a connection of its own, timed step by step. Also what `health` and `transport` show.

use super::super::context::{self, Context};
use crate::engine::live::{Live, LiveReply, TestReport};
use crate::error::{Error, Result, codes};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use serde::Serialize;

/// Connect anew, time each step and list everything
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp server test time")]
pub struct Test {
    #[arg(value_name = "SERVER")]
    pub name: String,
}

impl Test {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let report = report(ctx, &self.name)?;
        if report.ok {
            return ctx.ui.show(&Tested(report));
        }
        let error = failure(&report);
        ctx.ui.show_failed(&Tested(report), &error)?;
        Err(error)
    }
}

pub fn report(ctx: &Context, name: &str) -> Result<TestReport> {
    match ctx.live(Live::Test { name: name.into() })? {
        LiveReply::Test(report) => Ok(*report),
        other => context::unexpected(&other),
    }
}

/// The error of the first phase that failed.
fn failure(report: &TestReport) -> Error {
    let cause = report.phases.iter().find_map(|phase| phase.error.clone());
    let error = cause.unwrap_or_else(|| {
        Error::new(&codes::UPSTREAM_PROTOCOL, format!("`{}` failed its test", report.server))
    });
    error.hint(format!("umcp server logs {}", report.server))
}

#[derive(Serialize)]
#[serde(transparent)]
struct Tested(TestReport);

impl Output for Tested {
    const KIND: &'static str = "server.test/1";

    fn human(&self, page: &mut Page) {
        let report = &self.0;
        for phase in &report.phases {
            let time = time(phase.duration_us);
            match &phase.error {
                None => page.mark(State::Ok, format!("{} ({time})", phase.name)),
                Some(error) => page.mark(State::Fail, format!("{} ({time}): {error}", phase.name)),
            };
        }
        for warning in &report.warnings {
            page.mark(State::Warn, warning);
        }
        if report.ok {
            let offers = [
                text::plural(count(report.tools), "tool"),
                text::plural(count(report.prompts), "prompt"),
                text::plural(count(report.resources), "resource"),
            ];
            let who = report.server_info.as_deref().map(super::show::server_words).unwrap_or_default();
            let who = if who.is_empty() { report.server.clone() } else { who };
            let revision = report.revision.as_deref().unwrap_or("an unknown revision");
            page.text(format!("{who} speaks {revision} and offers {}", offers.join(", ")));
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.0.server.clone()]
    }
}

/// Microseconds for people.
pub fn time(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} us"),
        1000..10_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        _ => text::duration_ms(micros / 1000),
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
