//! `umcp trace`: the last calls and runs as traces, and new ones as they end. Names and shapes are shown, never a value.

use super::context::{self, Context};
use super::interrupt;
use crate::clock::Timestamp;
use crate::engine::live::{Live, LiveReply};
use crate::error::{Error, Result, codes};
use crate::metrics::spans::{Ask, Span, Told, What};
use crate::ui::{Cell, Column, Output, Page, Row, Rows, State, text};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How often new spans are asked for.
const PAUSE: Duration = Duration::from_millis(250);

/// Follow calls from the client through workflows to servers
///
/// The daemon keeps the last 4,000 spans in memory while it lives. Without a verb it lists them.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  umcp trace list --failed\n  umcp trace show 4bf92f35\n  umcp trace --follow"
)]
pub struct Command {
    #[command(flatten)]
    list: List,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(alias = "ls")]
    List(List),
    Show(Show),
}

/// List the last traces, newest first
#[derive(Debug, Args)]
struct List {
    /// Show calls as they end, until Ctrl-C; starts the daemon if needed
    #[arg(long, short)]
    follow: bool,
    /// Only of this server
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// Only of this client
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Only what failed
    #[arg(long)]
    failed: bool,
    /// Show at most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// Show every span of one trace
#[derive(Debug, Args)]
struct Show {
    /// The id of a trace or of a run, or its beginning
    #[arg(value_name = "ID")]
    id: String,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb {
            Some(Verb::Show(verb)) => verb.run(ctx),
            Some(Verb::List(list)) => list.run(ctx),
            None => self.list.run(ctx),
        }
    }
}

/// What the daemon keeps; nothing when none runs.
fn told(ctx: &Context, ask: Ask) -> Result<Option<Told>> {
    match ctx.live_if_running(Live::Traces(ask))? {
        Some(LiveReply::Traces(told)) => Ok(Some(told)),
        Some(other) => context::unexpected(&other),
        None => Ok(None),
    }
}

impl List {
    fn run(self, ctx: &Context) -> Result<()> {
        if self.follow {
            return self.follow(ctx);
        }
        let Some(told) = told(ctx, Ask::default())? else {
            ctx.ui.note(
                "no daemon is running, so nothing is traced; `umcp tool history` tells what was recorded",
            );
            return ctx.ui.show(&Rows(Vec::<Trace>::new()));
        };
        let mut traces = traces(told.spans);
        traces.retain(|trace| trace.spans.iter().any(|span| self.wants(span)));
        traces.truncate(self.limit);
        ctx.ui.show(&Rows(traces))
    }

    fn wants(&self, span: &Span) -> bool {
        let server = |server: &String| span.name.split(['.', ' ']).next() == Some(server);
        self.server.as_ref().is_none_or(server)
            && self.client.as_ref().is_none_or(|client| span.client == *client)
            && (!self.failed || span.is_failed())
    }

    fn follow(&self, ctx: &Context) -> Result<()> {
        // The connection that starts the daemon also keeps it alive while nobody else needs it.
        let _client = ctx.start()?;
        interrupt::watch();
        let mut last = told(ctx, Ask { after: Some(u64::MAX), of: None })?.map_or(0, |told| told.last);
        let mut count = 0;
        while !interrupt::happened() && !ctx.ui.closed() {
            let Some(told) = told(ctx, Ask { after: Some(last), of: None })? else { break };
            for span in told.spans.iter().filter(|span| self.wants(span)) {
                ctx.ui.line(&json!({"type": "span", "span": span}), &line(span));
                count += 1;
            }
            last = told.last;
            interrupt::wait(PAUSE);
        }
        ctx.ui.finish_stream(&json!({"ok": true, "spans": count}));
        Ok(())
    }
}

impl Show {
    fn run(self, ctx: &Context) -> Result<()> {
        let of = Some(self.id.to_ascii_lowercase());
        let spans = told(ctx, Ask { after: None, of })?.unwrap_or_default().spans;
        let mut traces = traces(spans);
        match traces.len() {
            1 => ctx.ui.show(&Shown(traces.remove(0))),
            0 => Err(Error::new(&codes::TRACE_NOT_FOUND, format!("no trace or run `{}` is kept", self.id))
                .hint("umcp trace list")),
            several => {
                let message = format!("{several} traces begin with `{}`", self.id);
                Err(Error::new(&codes::TRACE_NOT_FOUND, message).hint("give more of the id: umcp trace list"))
            }
        }
    }
}

fn line(span: &Span) -> String {
    let error = span.error.as_ref().map_or(String::new(), |code| format!(" {code}"));
    let parts = [
        span.started.rfc3339(),
        span.trace[..8].into(),
        span.client.clone(),
        span.name.clone(),
        format!("{}{error}", span.result),
        time(span.duration_us),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

fn time(us: u64) -> String {
    super::metrics::seconds(us as f64 / 1e6)
}

/// Spans with the same id.
#[derive(Debug, Serialize)]
struct Trace {
    trace: String,
    started: Timestamp,
    duration_us: u64,
    /// What it began with, as far as it is kept.
    name: String,
    client: String,
    result: String,
    error: Option<String>,
    spans: Vec<Span>,
    /// How deep each span stands below the first.
    #[serde(skip)]
    depths: Vec<usize>,
}

/// Spans gathered into traces, newest first; those of one trace in the order of the tree.
fn traces(spans: Vec<Span>) -> Vec<Trace> {
    let mut order: Vec<String> = Vec::new();
    let mut by_trace: HashMap<String, Vec<Span>> = HashMap::new();
    for span in spans {
        let group = by_trace.entry(span.trace.clone()).or_default();
        if group.is_empty() {
            order.push(span.trace.clone());
        }
        group.push(span);
    }
    let mut traces: Vec<Trace> =
        order.into_iter().filter_map(|id| by_trace.remove(&id)).filter_map(one).collect();
    traces.sort_by_key(|trace| std::cmp::Reverse(trace.started));
    traces
}

fn one(mut spans: Vec<Span>) -> Option<Trace> {
    // A parent begins before, or at, the moment its children do.
    spans.sort_by_key(|span| (span.started, std::cmp::Reverse(span.duration_us)));
    let known: HashSet<String> = spans.iter().map(|span| span.span.clone()).collect();
    let (mut sorted, mut depths) = (Vec::with_capacity(spans.len()), Vec::with_capacity(spans.len()));
    let is_root = |span: &Span| span.parent.as_ref().is_none_or(|parent| !known.contains(parent));
    let mut left: Vec<Option<Span>> = spans.into_iter().map(Some).collect();
    let mut stack: Vec<(usize, usize)> = Vec::new();
    let roots = left.iter().enumerate().filter(|(_, span)| span.as_ref().is_some_and(is_root));
    stack.extend(roots.map(|(place, _)| (place, 0)).collect::<Vec<_>>().into_iter().rev());
    while let Some((place, depth)) = stack.pop() {
        let Some(span) = left[place].take() else { continue };
        let below =
            |other: &Option<Span>| other.as_ref().is_some_and(|it| it.parent.as_ref() == Some(&span.span));
        let children =
            left.iter().enumerate().filter(|(_, other)| below(other)).map(|(place, _)| (place, depth + 1));
        stack.extend(children.collect::<Vec<_>>().into_iter().rev());
        sorted.push(span);
        depths.push(depth);
    }
    // Spans that name each other as parents belong to no tree, and are shown all the same.
    for span in left.into_iter().flatten() {
        sorted.push(span);
        depths.push(0);
    }
    let first = sorted.first()?;
    let end = sorted.iter().map(|span| span.started.0.saturating_add(span.duration_us)).max().unwrap_or(0);
    Some(Trace {
        trace: first.trace.clone(),
        started: first.started,
        duration_us: end.saturating_sub(first.started.0),
        name: first.name.clone(),
        client: first.client.clone(),
        result: first.result.clone(),
        error: sorted.iter().find_map(|span| span.error.clone()),
        spans: sorted,
        depths,
    })
}

impl Row for Trace {
    const KIND: &'static str = "trace.list/1";
    const EMPTY: &'static str = "nothing was traced yet";

    fn columns() -> Vec<Column> {
        vec![
            Column::new("trace"),
            Column::new("started").optional(2),
            Column::new("what").wraps(),
            Column::new("client").optional(1),
            Column::new("result"),
            Column::new("spans").right(),
            Column::new("time").right(),
        ]
    }

    fn cells(&self) -> Vec<Cell> {
        let state = if self.spans[0].is_failed() { State::Fail } else { State::Ok };
        vec![
            Cell::from(&self.trace[..16]),
            Cell::from(self.started.rfc3339()),
            Cell::from(&self.name),
            Cell::from(&self.client),
            Cell::state(state, &self.result),
            text::number(self.spans.len() as u64).into(),
            time(self.duration_us).into(),
        ]
    }

    fn id(&self) -> String {
        self.trace.clone()
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(Trace);

impl Output for Shown {
    const KIND: &'static str = "trace.show/1";

    fn human(&self, page: &mut Page) {
        let trace = &self.0;
        page.heading(format!("trace {}", trace.trace));
        page.pairs([("started", trace.started.rfc3339()), ("time", time(trace.duration_us))]);
        page.blank();
        for (span, depth) in trace.spans.iter().zip(&trace.depths) {
            let what = if span.what == What::Run { "run " } else { "" };
            let after = time(span.started.0.saturating_sub(trace.started.0));
            let server = span.server_us.map_or(String::new(), |us| format!(" (server {})", time(us)));
            let error = span.error.as_ref().map_or(String::new(), |code| format!(" {code}"));
            let took = time(span.duration_us);
            let indent = "  ".repeat(*depth);
            page.text(format!(
                "{indent}{what}{}: {}{error}, +{after}, {took}{server}",
                span.name, span.result
            ));
            if let Some(shape) = span.arguments.as_ref().filter(|shape| shape.get() != "{}") {
                page.text(format!("{indent}  arguments {}", shape.get()));
            }
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.spans.iter().map(|span| span.span.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::trace::Mark;

    #[test]
    fn spans_become_trees() {
        let root = Mark::root();
        let (a, b) = (root.below(), root.below());
        let span = |mark: &Mark, name: &str, at: u64, us: u64| Span {
            name: name.into(),
            started: Timestamp(at),
            duration_us: us,
            result: "ok".into(),
            ..Span::of(mark)
        };
        let other = Mark::root();
        let all = traces(vec![
            span(&b.below(), "b1", 60, 5),
            span(&a, "a", 20, 10),
            span(&b, "b", 50, 30),
            span(&root, "root", 10, 100),
            span(&other, "other", 200, 1),
        ]);
        let names: Vec<Vec<&str>> =
            all.iter().map(|trace| trace.spans.iter().map(|span| span.name.as_str()).collect()).collect();
        assert_eq!(names, [vec!["other"], vec!["root", "a", "b", "b1"]]);
        assert_eq!((all[1].depths.clone(), all[1].duration_us), (vec![0, 1, 1, 2], 100));
        // Two that are each other's parent, and one whose parent is gone.
        let (mut x, mut y) = (span(&a, "x", 1, 1), span(&b, "y", 2, 1));
        (x.parent, y.parent) = (Some(y.span.clone()), Some(x.span.clone()));
        let circle = traces(vec![x, y]);
        assert_eq!((circle.len(), circle[0].spans.len()), (1, 2));
    }
}
