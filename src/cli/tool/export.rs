//! `umcp tool export`: the tools of a profile, under the names clients see, in the shapes of other interfaces.

use super::super::context::{self, CLIENT, Context};
use crate::engine::live::{Live, LiveReply};
use crate::error::{Error, Result};
use crate::tools::export::{self, Format};
use crate::ui::{Output, Page};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Value;

/// Write definitions for other programs
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp tool export --format openai > tools.json")]
pub struct Export {
    #[arg(long, value_enum, default_value = "mcp")]
    format: Shape,
    /// Only what this profile shows
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shape {
    Mcp,
    #[value(name = "openai")]
    OpenAi,
    Anthropic,
    Gemini,
    #[value(name = "langchain")]
    LangChain,
}

impl Export {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let format = match self.format {
            Shape::Mcp => Format::Mcp,
            Shape::OpenAi => Format::OpenAi,
            Shape::Anthropic => Format::Anthropic,
            Shape::Gemini => Format::Gemini,
            Shape::LangChain => Format::LangChain,
        };
        match ctx.live(Live::View { profile: self.profile, client: CLIENT.into(), mode: None })? {
            LiveReply::View(text) => {
                let tools: Vec<Value> = serde_json::from_str(&text)
                    .map_err(|error| Error::bug("a view is not a list of tools").because(error))?;
                ctx.ui.show(&Exported(export::write(format, &tools)))
            }
            other => context::unexpected(&other),
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Exported(Value);

impl Output for Exported {
    const KIND: &'static str = "tool.export/1";

    fn human(&self, page: &mut Page) {
        page.text(serde_json::to_string_pretty(&self.0).unwrap_or_default());
    }
}
