//! `umcp client test`: umcp's entry started the way the client starts it.

use crate::cli::context::Context;
use crate::cli::machine::machine;
use crate::clients;
use crate::error::{Error, Result};
use crate::servers::formats::own::parse_time;
use crate::setup::clientfiles;
use crate::setup::trial::{self, Trial};
use crate::ui::{Output, Page, State, text};
use clap::Args;
use std::time::Duration;

/// Start umcp as the client would, and time each step
///
/// The entry of the client's file is used, or the one `connect` would write; apps of the desktop get the short PATH
/// and few variables that no shell has filled.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp client test claude-desktop")]
pub struct Test {
    #[arg(value_name = "CLIENT")]
    client: String,
    /// Longest time of each step
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "30s")]
    timeout: u64,
}

impl Test {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let client = clients::find(&self.client)?;
        let machine = machine(ctx)?;
        let state = clientfiles::look(client, &machine, ctx.clock.now());
        let entry = state.files.into_iter().find_map(|file| file.entry);
        if entry.is_none() {
            ctx.ui.note(&format!(
                "{} does not use umcp yet; this tries what `connect` would write",
                client.name
            ));
        }
        let entry = entry.unwrap_or_else(|| clientfiles::entry(client, &machine, None));
        let trial = trial::run(client, &entry, &machine, Duration::from_millis(self.timeout));
        match trial.error.clone() {
            None => ctx.ui.show(&trial),
            Some(error) => {
                ctx.ui.show_failed(&trial, &error)?;
                Err(Error { hints: error.hints, ..error })
            }
        }
    }
}

impl Output for Trial {
    const KIND: &'static str = "client.test/1";

    fn human(&self, page: &mut Page) {
        page.text(format!("$ {} {}", self.command, self.args.join(" ")));
        if let Some(path) = &self.desktop_path {
            page.text(format!("PATH as the app sees it: {path}"));
        }
        for phase in &self.phases {
            let state = if phase.ok { State::Ok } else { State::Fail };
            page.mark(state, format!("{} in {}", phase.name, text::duration_ms(phase.duration_us / 1000)));
        }
        if let (true, Some(server)) = (self.ok, &self.server) {
            let revision = self.revision.as_deref().unwrap_or("?");
            page.text(format!("{server}, protocol {revision}: {}", text::plural(self.tools, "tool")));
        }
    }
}
