//! `umcp usage record`: what an agent or a script used by itself, one report or many.

use super::super::context::Context;
use crate::clock::Timestamp;
use crate::documents::read_file;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::ui::{Output, Page, text};
use crate::usage::money::Pico;
use crate::usage::report::Report;
use crate::usage::{self, Entity};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Report what was used beside umcp's own calls
///
/// Tokens and costs that are not given stay unknown; a price book reckons the cost where it can.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp usage record skill:sentiment --tokens-in 1125 --tokens-out 375 --calls 3 --duration 450 --user user_123\n  umcp usage record github.create_issue --cost 0.0225\n  umcp usage record --file reports.jsonl"
)]
pub struct Record {
    /// SERVER.TOOL, or TYPE:NAME with tool, app, skill, workflow, schedule or server
    #[arg(value_name = "ENTITY", required_unless_present = "file")]
    entity: Option<String>,
    /// One report for each line, as JSON objects with the fields of a report
    #[arg(long, value_name = "FILE", conflicts_with = "entity")]
    file: Option<PathBuf>,
    /// Tokens that the model read
    #[arg(long, value_name = "N", alias = "input-tokens")]
    tokens_in: Option<u64>,
    /// Tokens that the model wrote
    #[arg(long, value_name = "N", alias = "output-tokens")]
    tokens_out: Option<u64>,
    /// Calls of a service
    #[arg(long, value_name = "N", alias = "api-calls")]
    calls: Option<u64>,
    /// How long it took, in milliseconds
    #[arg(long, value_name = "MS", alias = "duration-ms", default_value_t = 0.0)]
    duration: f64,
    /// Bytes that are stored by it
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    storage: u64,
    /// What it cost in dollars, where that is known
    #[arg(long, value_name = "DOLLARS", alias = "cost-usd")]
    cost: Option<String>,
    /// Whom it is accounted to
    #[arg(long, value_name = "USER", alias = "user-id")]
    user: Option<String>,
    #[arg(long, value_name = "AGENT", help = "Which agent used it")]
    agent: Option<String>,
    #[arg(long, value_name = "CLIENT", help = "Which client used it")]
    client: Option<String>,
    #[arg(long, value_name = "MODEL", help = "Which model used it")]
    model: Option<String>,
    #[arg(long, value_name = "NAME", help = "In which environment")]
    environment: Option<String>,
    #[arg(long, value_name = "WORKFLOW", help = "In which workflow")]
    workflow: Option<String>,
    /// It failed
    #[arg(long)]
    failed: bool,
    /// When it was, RFC 3339; now if left out
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Anything else that was counted, in whole numbers
    #[arg(long, value_name = "NAME=N", value_parser = metric)]
    metric: Vec<(String, i64)>,
    /// Anything else worth keeping, as a JSON object
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
}

fn metric(word: &str) -> Result<(String, i64), String> {
    let (name, number) = word.split_once('=').ok_or("write NAME=N")?;
    let number = number.parse().map_err(|_| format!("`{number}` is no whole number"))?;
    Ok((name.into(), number))
}

impl Record {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let now = ctx.clock.now();
        let reports = match &self.file {
            Some(path) => {
                let text = read_file(path)?;
                let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
                lines.map(|(number, line)| parsed(path, number, line)).collect::<Result<_>>()?
            }
            None => vec![self.report()?],
        };
        match ctx.call(usage::Request::Record { reports, now })? {
            Reply::Usage(usage::Reply::Recorded(entries)) => {
                let line = |entry: usage::Entry| Line {
                    at: entry.at.rfc3339(),
                    entity: entry.call.path(),
                    tokens: entry.call.tokens(),
                    cost_usd: entry.call.detail.cost.map(|cost| cost.pico.dollars()),
                    price_version: entry.call.detail.cost.and_then(|cost| cost.version),
                    cost: entry.call.detail.cost.map(|cost| cost.pico),
                };
                ctx.ui.show(&Recorded { records: entries.into_iter().map(line).collect() })
            }
            other => engine::unexpected(&other),
        }
    }

    fn report(self) -> Result<Report> {
        let entity = self.entity.unwrap_or_default();
        let (entity_type, entity) = match entity.split_once(':') {
            Some((word, name)) => {
                let found = Entity::parse(word).ok_or_else(|| {
                    Error::new(&codes::VALUE_INVALID, format!("`{word}` is no type of what is used"))
                        .hint("write tool, app, skill, workflow, schedule or server before the colon")
                })?;
                (found, name.to_string())
            }
            None => (Entity::Tool, entity),
        };
        if !(0.0..=1e13).contains(&self.duration) {
            return Err(Error::new(&codes::VALUE_INVALID, format!("`{}` is no duration", self.duration)));
        }
        let moment = |text: String| {
            Timestamp::parse(&text).ok_or_else(|| {
                Error::new(&codes::VALUE_INVALID, format!("`{text}` is no time"))
                    .hint("write 2026-01-31T12:00:00Z")
            })
        };
        Ok(Report {
            at: self.at.map(moment).transpose()?,
            entity_type,
            entity,
            client: self.client,
            agent: self.agent,
            user: self.user,
            environment: self.environment,
            model: self.model,
            workflow: self.workflow,
            input_tokens: self.tokens_in,
            output_tokens: self.tokens_out,
            api_calls: self.calls,
            duration_us: (self.duration * 1000.0).round() as u64,
            storage_bytes: self.storage,
            failed: self.failed,
            cost: self.cost.map(|text| Pico::parse(&text)).transpose()?,
            metrics: self.metric.into_iter().collect(),
            metadata: self.metadata,
            ..Report::default()
        })
    }
}

fn parsed(path: &std::path::Path, number: usize, line: &str) -> Result<Report> {
    serde_json::from_str(line).map_err(|error| {
        let place = format!("line {} of `{}` is no report", number + 1, path.display());
        Error::new(&codes::FILE_INVALID, place).because(error)
    })
}

#[derive(Serialize)]
struct Recorded {
    records: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    at: String,
    entity: String,
    tokens: u64,
    cost_usd: Option<f64>,
    price_version: Option<u32>,
    #[serde(skip)]
    cost: Option<Pico>,
}

impl Output for Recorded {
    const KIND: &'static str = "usage.record/1";

    fn human(&self, page: &mut Page) {
        match self.records.as_slice() {
            [line] => {
                let cost = line.cost.map_or_else(|| "without a price".into(), |cost| format!("${cost}"));
                let tokens = text::number(line.tokens);
                page.text(format!("recorded {}: {tokens} tokens, {cost}", line.entity));
            }
            lines => {
                let cost: Pico = lines.iter().filter_map(|line| line.cost).sum();
                page.text(format!("recorded {}, ${cost}", text::plural(lines.len(), "report")));
            }
        }
    }
}
