//! `umcp command run`: a call like any other, or with `--dry-run` what it would run.

use super::list::kind;
use crate::apps::model::{Action, Tool};
use crate::apps::{exec, request};
use crate::cli::app::known;
use crate::cli::context::Context;
use crate::cli::tool::call::{self, Call};
use crate::error::Result;
use crate::servers::formats::own::parse_time;
use crate::tools::arguments;
use crate::ui::{Output, Page};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

/// Run a command
///
/// Arguments are given as for `umcp call`. With `--dry-run` nothing is run: the program or the request is shown, as
/// it would be, with references to secrets left as they are.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp command run greet name=Ada --dry-run")]
pub struct Run {
    /// The command, as APP.COMMAND or by its own name
    #[arg(value_name = "COMMAND")]
    name: String,
    #[arg(value_name = "NAME=VALUE")]
    arguments: Vec<String>,
    /// Show what would be run, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Longest time the call may take, such as 30s
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    timeout: Option<u64>,
}

impl Run {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let found = known::command(ctx, &self.name)?;
        let path = format!("{}.{}", found.installed.name(), found.tool.name);
        if !self.dry_run {
            return Call::new(path, self.arguments, self.timeout).run(ctx);
        }
        let mut given = arguments::build(&self.arguments, &found.tool.input, &mut call::read)?;
        found.tool.fill_defaults(&mut given);
        arguments::check(&given, &found.tool.input)
            .map_err(|error| error.hint(format!("umcp command show {path}")))?;
        let definition = &found.definition;
        let mut shown = DryRun::new(&path, &found.tool);
        let as_written = |text: &str| Ok(text.to_string());
        match &found.tool.action {
            Action::Exec(command) => {
                shown.command = Some(exec::build(command, &given, &as_written, "docker")?);
            }
            Action::Http(http) => {
                let prepared = request::build(definition, http, &given, &as_written, "BOUNDARY")?;
                shown.body = prepared.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
                shown.request = Some(prepared);
            }
        }
        shown.arguments = given;
        ctx.ui.show(&shown)
    }
}

#[derive(Serialize)]
struct DryRun {
    name: String,
    kind: &'static str,
    arguments: Map<String, Value>,
    /// What runs before it.
    needs: Vec<String>,
    timeout_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<exec::Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<request::Prepared>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl DryRun {
    fn new(path: &str, tool: &Tool) -> Self {
        Self {
            name: path.into(),
            kind: kind(tool),
            arguments: Map::new(),
            needs: tool.needs.clone(),
            timeout_ms: tool.timeout_ms,
            command: None,
            request: None,
            body: None,
        }
    }
}

impl Output for DryRun {
    const KIND: &'static str = "command.dry-run/1";

    fn human(&self, page: &mut Page) {
        page.text("nothing was run; this would be:");
        if !self.needs.is_empty() {
            page.text(format!("after {}", self.needs.join(", ")));
        }
        if let Some(command) = &self.command {
            page.text(format!("program   {}", command.program));
            command.args.iter().for_each(|word| _ = page.text(format!("argument  {word}")));
            command.env.iter().for_each(|(name, value)| _ = page.text(format!("variable  {name}={value}")));
            command.cwd.iter().for_each(|cwd| _ = page.text(format!("in        {cwd}")));
            command.stdin.iter().for_each(|text| _ = page.text(format!("input     {text}")));
        }
        if let Some(request) = &self.request {
            page.bullet(format!("{} {}", request.method, request.url));
            request.headers.iter().for_each(|(name, value)| _ = page.bullet(format!("{name}: {value}")));
        }
        if let Some(body) = &self.body {
            page.text(body);
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}
