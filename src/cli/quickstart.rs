//! `umcp quickstart`: the main job in a throw-away home, step by step, in front of the user's eyes.

use super::context::Context;
use super::machine::{program, variable};
use crate::error::{Error, Result, codes};
use crate::setup::quickstart::{self, Options, Outcome, Report, Step};
use crate::ui::{Output, Page, Progress, State, text};
use clap::Args;
use std::cell::RefCell;

/// Show what umcp does, with real calls, in a throw-away home
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp quickstart --offline")]
pub struct Quickstart {
    /// Fetch nothing from the network
    #[arg(long)]
    offline: bool,
}

impl Quickstart {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let program = program()?;
        quickstart::check(&program)?;
        let json = ctx.ui.is_json();
        let mut shown: Result<()> = Ok(());
        // What is being done, until it is drawn.
        let bar: RefCell<Option<Progress>> = RefCell::new(None);
        let mut on_begin = |label: &str| {
            // The old one goes before the new one comes.
            drop(bar.take());
            bar.replace(Some(ctx.ui.progress(label)));
        };
        let mut on_step = |step: &Step| {
            drop(bar.take());
            if !json && shown.is_ok() {
                let mut page = Page::default();
                draw(step, &mut page);
                shown = ctx.ui.raw(&page.render(ctx.ui.look()));
            }
        };
        let options = Options {
            program,
            path: variable("PATH").unwrap_or_default(),
            offline: self.offline,
            on_begin: &mut on_begin,
            on_step: &mut on_step,
        };
        let report = quickstart::run(options)?;
        shown?;
        if report.ok {
            return ctx.ui.show(&report);
        }
        let failed = report.steps.iter().filter(|step| step.outcome == Outcome::Failed).count();
        let steps = text::plural(failed, "step");
        let error = Error::new(&codes::FAILED, format!("{steps} of the tour failed")).hint("umcp doctor");
        ctx.ui.show_failed(&report, &error)?;
        Err(error)
    }
}

fn draw(step: &Step, page: &mut Page) {
    let state = match step.outcome {
        Outcome::Done => State::Ok,
        Outcome::Skipped => State::Off,
        Outcome::Failed => State::Fail,
    };
    page.mark(state, format!("{} ({})", step.title, text::duration_ms(step.duration_ms)));
    for part in &step.parts {
        if let Some(command) = &part.command {
            page.text(format!("  $ {command}"));
        }
        for line in &part.lines {
            page.text(format!("    {line}"));
        }
    }
    page.blank();
}

impl Output for Report {
    const KIND: &'static str = "quickstart/1";

    // The steps were shown as they ended.
    fn human(&self, page: &mut Page) {
        if self.ok {
            page.text("That was the whole of it: one endpoint, every server behind it, nothing left behind.");
        }
        page.heading("Next");
        for line in &self.next {
            page.text(format!("  {line}"));
        }
    }
}
