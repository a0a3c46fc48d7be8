//! `umcp tool call` and `umcp call`: one call from the shell.
//! The arguments are typed and checked by the stored schema first, so that a mistake costs no start of a server.

use super::super::approve;
use super::super::context::{self, CLIENT, Context};
use super::super::known::Known;
use super::content::Called;
use crate::engine::live::{CallRequest, Event, Live, LiveReply};
use crate::engine::{Reply, Request};
use crate::error::{Error, Result, codes};
use crate::servers::formats::own::parse_time;
use crate::tools::arguments::{self, Origin};
use crate::ui::Progress;
use clap::Args;
use serde_json::Value;
use std::io::Read;
use std::path::PathBuf;

/// Call a tool
///
/// Arguments are NAME=TEXT (typed by the tool's schema), NAME:=JSON, NAME=@FILE, NAME=- for stdin, or one JSON
/// object. They are checked against the schema before anything is called.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp call time.get_current_time timezone=Europe/Berlin\n  umcp time.get_current_time timezone=UTC --json\n  echo '{\"timezone\":\"UTC\"}' | umcp call time.get_current_time -"
)]
pub struct Call {
    /// The tool, as SERVER.TOOL
    #[arg(value_name = "TOOL")]
    tool: String,
    #[arg(value_name = "NAME=VALUE")]
    arguments: Vec<String>,
    /// Longest time the call may take, such as 30s
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    timeout: Option<u64>,
    /// Call with the rules of this profile
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Call with this account of the server, where several signed in
    #[arg(long, value_name = "CONNECTION")]
    account: Option<String>,
    /// Save images, audio and other files of the result in this directory
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
}

impl Call {
    pub fn new(tool: String, arguments: Vec<String>, timeout: Option<u64>) -> Self {
        Self { tool, arguments, timeout, profile: None, account: None, save: None }
    }

    pub fn run(self, ctx: &Context) -> Result<()> {
        let (target, schema) = self.target(ctx)?;
        let arguments = arguments::build(&self.arguments, &schema, &mut read)?;
        arguments::check(&arguments, &schema)
            .map_err(|error| error.hint(format!("umcp tool show {target}")))?;
        for stranger in arguments::strangers(&arguments, &schema) {
            ctx.ui.warn(&format!("{stranger} (umcp tool show {target})"));
        }
        let request = CallRequest {
            target: target.clone(),
            arguments: Value::Object(arguments).to_string(),
            timeout_ms: self.timeout,
            client: CLIENT.into(),
            profile: self.profile,
            account: self.account,
            record: false,
        };
        let called = call(ctx, &target, request)?;
        let called = Called::new(called, self.save.as_deref())?;
        match called.error() {
            None => ctx.ui.show(&called),
            Some(error) => {
                ctx.ui.show_failed(&called, &error)?;
                Err(error)
            }
        }
    }

    /// The tool's full name and schema. A server that was never asked is asked now.
    fn target(&self, ctx: &Context) -> Result<(String, Value)> {
        let known = Known::read(ctx)?;
        let missing = match known.tool(&self.tool) {
            Ok(tool) => return Ok((tool.path(), tool.tool.facts().input_schema)),
            Err(missing) => missing,
        };
        let server = self.tool.split_once('.').map(|(server, _)| server);
        let unasked = server.filter(|server| known.never_listed().contains(server));
        let Some(server) = unasked else { return Err(missing) };
        refresh(ctx, server)?;
        let known = Known::read(ctx)?;
        let tool = known.tool(&self.tool)?;
        Ok((tool.path(), tool.tool.facts().input_schema))
    }
}

/// Asks a server for its tools.
pub fn refresh(ctx: &Context, server: &str) -> Result<()> {
    let bar = ctx.ui.progress(&format!("asking {server} for its tools"));
    let reply = ctx.live(Live::Refresh { names: vec![server.into()], bounded: false })?;
    drop(bar);
    match reply {
        LiveReply::Refreshed(servers) => {
            servers.into_iter().find_map(|refreshed| refreshed.error).map_or(Ok(()), Err)
        }
        other => context::unexpected(&other),
    }
}

/// One call, with what happens meanwhile shown.
pub fn call(ctx: &Context, target: &str, request: CallRequest) -> Result<crate::engine::live::Called> {
    // Only a call that takes its time gets a bar: its first event makes one.
    let mut bar: Option<Progress> = None;
    let mut unanswered = None;
    let mut on_event = |event: Event| match event {
        Event::Progress { progress, total, message } => {
            let bar = bar.get_or_insert_with(|| ctx.ui.progress(target));
            bar.set(whole(progress), total.map_or(0, whole));
            if let Some(message) = message {
                bar.message(&message);
            }
        }
        Event::Log { level, message } => ctx.ui.note(&format!("{level}: {message}")),
        Event::Approval { id, .. } => unanswered = approve::ask(ctx, id).err(),
        _ => {}
    };
    let reply = ctx.call_with_events(Request::Live(Live::Call(request)), &mut on_event);
    drop(bar);
    if let Some(error) = unanswered {
        return Err(error);
    }
    match reply? {
        Reply::Live(LiveReply::Called(called)) => Ok(called),
        other => crate::engine::unexpected(&other),
    }
}

/// Progress counts in any unit; a bar in thousandths keeps fractions.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bar needs no more")]
fn whole(progress: f64) -> u64 {
    (progress.max(0.0) * 1000.0) as u64
}

pub fn read(origin: Origin<'_>) -> Result<String> {
    match origin {
        Origin::File(path) => std::fs::read_to_string(path)
            .map_err(|error| crate::paths::io_error("read", path.as_ref(), &error)),
        Origin::Stdin => {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_to_string(&mut text);
            read.map_err(|error| Error::new(&codes::IO, "cannot read stdin").because(error))?;
            Ok(text)
        }
    }
}
