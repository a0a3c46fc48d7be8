//! `workflow record`: the calls just made, as a workflow.

use super::super::context::Context;
use super::super::known::Known;
use super::super::tool::history::calls;
use super::share::Exported;
use super::store::keep;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::paths::write_atomic;
use crate::servers::formats::own::parse_time;
use crate::usage::{self, Class, Door};
use crate::workflows::record::{Made, document};
use clap::Args;
use std::path::PathBuf;

/// Most calls that become steps.
const MOST: u32 = 200;

/// Make a workflow of the calls just made
///
/// Each call that succeeded becomes a step. The history keeps no arguments, so what a tool needs becomes an input of
/// the workflow; calls of workflows and schedules are left out.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp workflow record --last 20m my-morning")]
pub struct Record {
    /// What the workflow is called
    #[arg(value_name = "NAME")]
    name: String,
    /// The calls of the last so much time
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = parse_time)]
    last: u64,
    /// Only calls of this client
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Write it to this file instead of storing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Put it in the place of one that is stored
    #[arg(long)]
    replace: bool,
}

impl Record {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let since = Timestamp::from_millis(ctx.clock.now().millis().saturating_sub(self.last));
        let request = usage::Request::History {
            server: None,
            tool: None,
            failed: false,
            since: Some(since),
            limit: MOST,
        };
        let mut past = calls(ctx, request)?;
        past.reverse();
        let known = Known::read(ctx)?;
        let mut made = Vec::new();
        for entry in past {
            let call = entry.call;
            let asked = matches!(call.door, Door::Stdio | Door::Http | Door::Cli) && call.class == Class::Ok;
            if !asked || call.server.is_empty() || self.client.as_ref().is_some_and(|it| *it != call.client) {
                continue;
            }
            let target = call.path();
            match known.tool(&target) {
                Ok(tool) => made.push(Made { target, schema: tool.tool.facts().input_schema.clone() }),
                Err(_) => ctx.ui.warn(&format!("{target} is gone and was left out")),
            }
        }
        if made.is_empty() {
            return Err(Error::new(&codes::FAILED, "no call to make a step of in that time")
                .hint("umcp tool history")
                .hint(format!("umcp workflow record --last 2h {}", self.name)));
        }
        let text = document(&self.name, &made);
        match &self.output {
            Some(file) => {
                super::check::demand(ctx, &file.display().to_string(), &text)?;
                write_atomic(file, text.as_bytes())?;
                ctx.ui.show(&Exported { file: file.display().to_string(), workflows: vec![self.name] })
            }
            None => ctx.ui.show(&keep(ctx, format!("{}.yaml", self.name), text, self.replace)?),
        }
    }
}
