//! `umcp client show`: one client's files, what stands in them, and what to paste by hand.

use crate::cli::context::Context;
use crate::cli::machine::machine;
use crate::clients::{self, plan};
use crate::error::Result;
use crate::setup::clientfiles::{self, FileState};
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;

/// Show a client's files and what to paste by hand
#[derive(Debug, Args)]
pub struct Show {
    #[arg(value_name = "CLIENT")]
    client: String,
}

#[derive(Serialize)]
struct Shown {
    id: &'static str,
    name: &'static str,
    installed: bool,
    connected: bool,
    files: Vec<FileState>,
    /// What `umcp client connect` writes, as a file of its own.
    snippet: String,
    after: Option<&'static str>,
}

impl Show {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let client = clients::find(&self.client)?;
        let machine = machine(ctx)?;
        let state = clientfiles::look(client, &machine, ctx.clock.now());
        ctx.ui.show(&Shown {
            id: client.id,
            name: client.name,
            installed: state.installed,
            connected: state.connected(),
            files: state.files,
            snippet: plan::snippet(client, &clientfiles::entry(client, &machine, None))?,
            after: client.after,
        })
    }
}

impl Output for Shown {
    const KIND: &'static str = "client.show/1";

    fn human(&self, page: &mut Page) {
        page.heading(self.name);
        for file in &self.files {
            let path = file.path.display();
            match (&file.error, &file.entry) {
                (Some(error), _) => page.mark(State::Fail, format!("{path}: {error}")),
                (None, Some(entry)) => {
                    page.mark(State::Ok, format!("{path} starts {} {}", entry.command, entry.args.join(" ")))
                }
                (None, None) if file.exists => page.mark(State::Warn, format!("{path} does not start umcp")),
                (None, None) => page.mark(State::Off, format!("{path} is not there")),
            };
            if !file.beside.is_empty() {
                page.mark(State::Warn, format!("beside umcp: {}", file.beside.join(", ")));
            }
        }
        if let Some(after) = self.after {
            page.text(format!("after a change: {after}"));
        }
        page.blank().text(&self.snippet);
    }

    fn ids(&self) -> Vec<String> {
        vec![self.id.into()]
    }
}
