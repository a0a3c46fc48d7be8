//! The verbs that change how clients see and get a tool: enable, disable, alias, cache.

use super::super::context::Context;
use super::super::known::{Known, KnownTool};
use crate::error::Result;
use crate::servers::formats::own::{parse_time, write_time};
use crate::tools::Request;
use crate::ui::{Output, Page, State};
use clap::Args;
use serde::Serialize;

/// Show tools to clients again
#[derive(Debug, Args)]
pub struct Enable {
    /// Tools as SERVER.TOOL, or patterns with `*`
    #[arg(value_name = "TOOL", required = true)]
    names: Vec<String>,
}

impl Enable {
    pub fn run(self, ctx: &Context) -> Result<()> {
        enable(ctx, &self.names, true)
    }
}

/// Hide tools from clients
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp tool disable 'files.write_*'")]
pub struct Disable {
    /// Tools as SERVER.TOOL, or patterns with `*`
    #[arg(value_name = "TOOL", required = true)]
    names: Vec<String>,
}

impl Disable {
    pub fn run(self, ctx: &Context) -> Result<()> {
        enable(ctx, &self.names, false)
    }
}

/// Give a tool another name in clients
#[derive(Debug, Args)]
pub struct Alias {
    #[arg(value_name = "TOOL")]
    tool: String,
    /// The name that clients see
    #[arg(value_name = "NAME", required_unless_present = "remove")]
    name: Option<String>,
    /// Take the other name away
    #[arg(long, conflicts_with = "name")]
    remove: bool,
}

impl Alias {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let done = self.name.as_ref().map_or("no other name for".into(), |name| format!("`{name}` is now"));
        let request = |known: &KnownTool<'_>| Request::Alias {
            server: known.server.id.clone(),
            tool: known.tool.name.clone(),
            alias: self.name.clone(),
        };
        each(ctx, std::slice::from_ref(&self.tool), &done, request)
    }
}

/// Answer equal calls of a tool from a cache, or stop doing so
///
/// Off unless you say so: every call reaches its server.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp tool cache fetch.fetch --keep 5m")]
pub struct Cache {
    /// Tools as SERVER.TOOL, or patterns with `*`
    #[arg(value_name = "TOOL", required = true)]
    names: Vec<String>,
    /// How long an answer may be used again, such as 30s
    #[arg(long, value_name = "TIME", value_parser = parse_time, required_unless_present = "off")]
    keep: Option<u64>,
    /// Let every call reach the server again
    #[arg(long, conflicts_with = "keep")]
    off: bool,
}

impl Cache {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let done =
            self.keep.map_or("no cache for".into(), |keep| format!("cached for {}:", write_time(keep)));
        let request = |known: &KnownTool<'_>| Request::Cache {
            server: known.server.id.clone(),
            tool: known.tool.name.clone(),
            ttl_ms: self.keep,
        };
        each(ctx, &self.names, &done, request)
    }
}

fn enable(ctx: &Context, names: &[String], enabled: bool) -> Result<()> {
    let request = |known: &KnownTool<'_>| Request::Enable {
        server: known.server.id.clone(),
        tool: known.tool.name.clone(),
        enabled,
    };
    each(ctx, names, if enabled { "enabled" } else { "disabled" }, request)
}

fn each(
    ctx: &Context,
    names: &[String],
    done: &str,
    request: impl Fn(&KnownTool<'_>) -> Request,
) -> Result<()> {
    let known = Known::read(ctx)?;
    let chosen = known.select(names)?;
    for tool in &chosen {
        ctx.call(request(tool))?;
    }
    ctx.ui.show(&Changed { tools: chosen.iter().map(KnownTool::path).collect(), done: done.into() })
}

#[derive(Serialize)]
#[serde(transparent)]
struct Changed {
    tools: Vec<String>,
    #[serde(skip)]
    done: String,
}

impl Output for Changed {
    const KIND: &'static str = "tool.changed/1";

    fn human(&self, page: &mut Page) {
        for tool in &self.tools {
            page.mark(State::Ok, format!("{} {tool}", self.done));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.tools.clone()
    }
}
