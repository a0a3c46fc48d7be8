//! `umcp events`: what happens in the daemon, line by line. Without `--follow` it is what was recorded last.

use super::context::{self, Context};
use super::server::test::time;
use super::tool::history::calls;
use crate::clock::Timestamp;
use crate::engine::live::{Event, Live};
use crate::error::{Result, codes};
use crate::usage;
use clap::{Args, ValueEnum};
use serde_json::json;

/// Show what happens, as it happens
///
/// Without `--follow` it shows the last calls that were recorded.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  umcp events\n  umcp events --follow --type call")]
pub struct Events {
    /// Go on with new events until Ctrl-C; starts the daemon if needed
    #[arg(long, short)]
    follow: bool,
    /// Only events of these types
    #[arg(long = "type", value_enum, value_name = "TYPE", value_delimiter = ',')]
    types: Vec<Type>,
    /// Show so many recorded calls
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, conflicts_with = "follow")]
    limit: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Type {
    Call,
    Server,
    Session,
    List,
    Run,
    Schedule,
    Log,
    Progress,
    Approval,
    Account,
    Alert,
}

impl Events {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let count = if self.follow { self.follow(ctx)? } else { self.recorded(ctx)? };
        ctx.ui.finish_stream(&json!({"ok": true, "events": count}));
        Ok(())
    }

    fn wants(&self, kind: Type) -> bool {
        self.types.is_empty() || self.types.contains(&kind)
    }

    fn recorded(&self, ctx: &Context) -> Result<u64> {
        if !self.wants(Type::Call) {
            ctx.ui.note("only calls are recorded; --follow shows every type");
            return Ok(0);
        }
        let request = usage::Request::History {
            server: None,
            tool: None,
            failed: false,
            since: None,
            limit: self.limit,
        };
        let entries = calls(ctx, request)?;
        if entries.is_empty() {
            ctx.ui.note("no calls yet");
        }
        for entry in entries.iter().rev() {
            let call = &entry.call;
            let event = Event::Call {
                at: entry.at,
                client: call.client.clone(),
                server: call.server.clone(),
                tool: call.tool.clone(),
                class: call.class.word().into(),
                duration_us: call.duration_us,
            };
            ctx.ui.line(&event, &line(&event));
        }
        Ok(entries.len() as u64)
    }

    fn follow(&self, ctx: &Context) -> Result<u64> {
        let mut client = ctx.start()?;
        let mut count = 0;
        let outcome = client.call(&Live::Follow.into(), &mut |event| {
            if self.wants(kind(&event)) {
                ctx.ui.line(&event, &line(&event));
                count += 1;
            }
        });
        match outcome {
            // Ctrl-C is how following ends.
            Err(error) if error.is(&codes::INTERRUPTED) => Ok(count),
            Err(_) if ctx.ui.closed() => Ok(count),
            Err(error) => Err(error),
            Ok(reply) => match reply {
                crate::engine::Reply::Live(crate::engine::LiveReply::Done) => Ok(count),
                crate::engine::Reply::Live(other) => context::unexpected(&other),
                other => crate::engine::unexpected(&other),
            },
        }
    }
}

fn kind(event: &Event) -> Type {
    match event {
        Event::Progress { .. } => Type::Progress,
        Event::Log { .. } => Type::Log,
        Event::Server { .. } => Type::Server,
        Event::Call { .. } => Type::Call,
        Event::Session { .. } => Type::Session,
        Event::ListChanged { .. } => Type::List,
        Event::Approval { .. } => Type::Approval,
        Event::Account { .. } => Type::Account,
        Event::Run { .. } => Type::Run,
        Event::Schedule { .. } => Type::Schedule,
        Event::Alert(_) => Type::Alert,
    }
}

fn line(event: &Event) -> String {
    let at = |at: &Timestamp| at.rfc3339();
    match event {
        Event::Progress { progress, total, message } => {
            let total = total.map_or(String::new(), |total| format!("/{total}"));
            format!("progress {progress}{total} {}", message.as_deref().unwrap_or_default()).trim_end().into()
        }
        Event::Log { level, message } => format!("log {level}: {message}"),
        Event::Server { at: when, server, state, detail } => {
            let detail = detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"));
            format!("{} server {server} is {}{detail}", at(when), state.word())
        }
        Event::Call { at: when, client, server, tool, class, duration_us } => {
            format!("{} call {server}.{tool} by {client}: {class} in {}", at(when), time(*duration_us))
        }
        Event::Session { at: when, client, opened } => {
            format!("{} client {client} {}", at(when), if *opened { "connected" } else { "left" })
        }
        Event::Approval { at: when, id, client, server, tool } => {
            format!("{} {client} waits to call {server}.{tool}: umcp approve {id}", at(when))
        }
        Event::Account { at: when, connection, state, detail } => {
            let detail = detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"));
            format!("{} connection {connection} {state}{detail}", at(when))
        }
        Event::Alert(turn) => format!("{} {}", at(&turn.at), turn.told()),
        Event::Run { at: when, run, event } => {
            format!("{} run {run} {}", at(when), super::workflow::line(event, *when))
        }
        Event::Schedule { at: when, schedule, run, status } => {
            format!("{} schedule {schedule} {run} {}", at(when), status.word())
        }
        Event::ListChanged { at: when, tools } => format!("{} list changed: {tools} tools", at(when)),
    }
}
