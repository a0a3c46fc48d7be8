//! `umcp alert`: rules over what is measured. Verbs here; what a rule means stands in the noun `alerts`.

use super::context::{self, Context};
use crate::alerts::rule::{NAMES, Verdict};
use crate::alerts::{Alert, Reply, Request, Severity, Standing, Turn};
use crate::clock::Timestamp;
use crate::engine::live::{Live, LiveReply};
use crate::engine::{self, Reply as EngineReply};
use crate::error::{Error, Result};
use crate::servers::formats::own::parse_time;
use crate::ui::{Cell, Column, Output, Page, Row, Rows, State, text};
use clap::{Args, Subcommand};
use serde::Serialize;

/// Be told when calls fail, servers are down or something takes too long
///
/// The daemon looks at the alerts every 15 seconds while it runs. An alert that begins to fire or ceases is an event
/// (`umcp events --follow --type alert`), stands in its history and in the daemon's log.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp alert create failing --when 'error_rate > 0.2 && calls > 5' --for 1m --severity critical\n  umcp alert create git-down --when '!servers.git.up'\n  umcp alert test 'p95_ms > 500' --window 15m\n  umcp alert silence failing --for 2h"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(alias = "ls")]
    List(List),
    #[command(aliases = ["add", "set"])]
    Create(Create),
    Show(Show),
    #[command(aliases = ["rm", "remove"])]
    Delete(Delete),
    #[command(alias = "mute")]
    Silence(Silence),
    History(History),
    Test(Test),
}

/// List alerts and how they stand
#[derive(Debug, Default, Args)]
pub struct List {
    /// Only those that fire
    #[arg(long)]
    firing: bool,
}

/// Make an alert
#[derive(Debug, Args)]
struct Create {
    #[arg(value_name = "NAME")]
    name: String,
    /// When it holds, such as 'error_rate > 0.2'
    #[arg(long, value_name = "EXPRESSION", visible_alias = "expression")]
    when: String,
    /// How long it has to hold before it fires
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time, default_value = "0s")]
    wait: u64,
    /// What is counted is counted within this time, an hour at most
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "5m")]
    window: u64,
    /// info, warning or critical
    #[arg(long, value_name = "SEVERITY", value_parser = Severity::parse, default_value = "warning")]
    severity: Severity,
    /// What it means, and what to do
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// In the place of one of that name
    #[arg(long)]
    replace: bool,
}

/// Show one alert with its values
#[derive(Debug, Args)]
struct Show {
    #[arg(value_name = "ALERT")]
    name: String,
}

/// Delete alerts; their history stays
#[derive(Debug, Args)]
struct Delete {
    #[arg(value_name = "ALERT", required = true)]
    names: Vec<String>,
}

/// Do not tell of alerts for a while
#[derive(Debug, Args)]
struct Silence {
    #[arg(value_name = "ALERT", required = true)]
    names: Vec<String>,
    /// How long
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time, default_value = "1h")]
    time: u64,
    /// Tell of them again
    #[arg(long, conflicts_with = "time")]
    off: bool,
}

/// Show which alerts fired and ceased, newest first
#[derive(Debug, Args)]
struct History {
    #[arg(value_name = "ALERT")]
    name: Option<String>,
    /// Show at most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// Say whether an expression, or that of an alert, holds now
///
/// Nothing is written, and nobody is told. Without a daemon only mistakes are found.
#[derive(Debug, Args)]
struct Test {
    /// An alert, or an expression
    #[arg(value_name = "ALERT|EXPRESSION")]
    what: String,
    /// What is counted is counted within this time; that of the alert by default
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    window: Option<u64>,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(List::default())) {
            Verb::List(verb) => verb.run(ctx),
            Verb::Create(verb) => verb.run(ctx),
            Verb::Show(verb) => {
                alerts(ctx, Request::Show { name: verb.name.clone() })?;
                let found = standing(ctx)?.into_iter().find(|it| it.alert.name == verb.name);
                found.map_or_else(
                    || Err(Error::bug("an alert is gone")),
                    |it| ctx.ui.show(&Shown(Line::new(it, ctx))),
                )
            }
            Verb::Delete(verb) => verb.run(ctx),
            Verb::Silence(verb) => {
                let until = (!verb.off).then(|| ctx.clock.now().plus_ms(verb.time));
                let changed = alerts(ctx, Request::Silence { names: verb.names, until })?;
                show(ctx, changed)
            }
            Verb::History(verb) => match ctx.call(Request::History { name: verb.name, limit: verb.limit })? {
                EngineReply::Alert(Reply::Turns(turns)) => {
                    ctx.ui.show(&Rows(turns.into_iter().map(Turned).collect()))
                }
                other => engine::unexpected(&other),
            },
            Verb::Test(verb) => verb.run(ctx),
        }
    }
}

fn alerts(ctx: &Context, request: Request) -> Result<Vec<Alert>> {
    match ctx.call(request)? {
        EngineReply::Alert(Reply::Alerts(alerts)) => Ok(alerts),
        other => engine::unexpected(&other),
    }
}

/// How alerts stand: as the daemon finds them now, or as they were left.
fn standing(ctx: &Context) -> Result<Vec<Standing>> {
    match ctx.live_if_running(Live::Alerts)? {
        Some(LiveReply::Alerts(standing)) => Ok(standing),
        Some(other) => context::unexpected(&other),
        None => {
            let left = |alert| Standing { alert, pending: None, verdict: None };
            Ok(alerts(ctx, Request::List)?.into_iter().map(left).collect())
        }
    }
}

fn show(ctx: &Context, alerts: Vec<Alert>) -> Result<()> {
    let line = |alert| Line::new(Standing { alert, pending: None, verdict: None }, ctx);
    ctx.ui.show(&Rows(alerts.into_iter().map(line).collect()))
}

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let mut lines: Vec<Line> = standing(ctx)?.into_iter().map(|it| Line::new(it, ctx)).collect();
        lines.retain(|line| !self.firing || line.alert.firing.is_some());
        if lines.iter().any(|line| line.state == "not watched") {
            ctx.ui.note("no daemon is running, so nobody looks at them");
        }
        ctx.ui.show(&Rows(lines))
    }
}

impl Create {
    fn run(self, ctx: &Context) -> Result<()> {
        let alert = Alert {
            name: self.name,
            expression: self.when,
            window_ms: self.window,
            for_ms: self.wait,
            severity: self.severity,
            description: self.description,
            created: ctx.clock.now(),
            silenced_until: None,
            firing: None,
        };
        let made = alerts(ctx, Request::Put { alert: Box::new(alert), replace: self.replace })?;
        show(ctx, made)
    }
}

impl Delete {
    fn run(self, ctx: &Context) -> Result<()> {
        let gone = alerts(ctx, Request::Delete { names: self.names })?;
        show(ctx, gone)
    }
}

impl Test {
    fn run(self, ctx: &Context) -> Result<()> {
        let known = alerts(ctx, Request::List)?.into_iter().find(|alert| alert.name == self.what);
        let window_ms = self.window.or(known.as_ref().map(|alert| alert.window_ms)).unwrap_or(300_000);
        let expression = known.map_or(self.what, |alert| alert.expression);
        crate::alerts::rule::parse(&expression)?;
        let verdict =
            match ctx.live_if_running(Live::TestAlert { expression: expression.clone(), window_ms })? {
                Some(LiveReply::AlertTested(verdict)) => verdict,
                Some(other) => return context::unexpected(&other),
                None => Verdict {
                    holds: None,
                    because: String::new(),
                    problem: Some("no daemon is running, so nothing is measured".into()),
                },
            };
        ctx.ui.show(&Tested { expression, window_ms, verdict, names: &NAMES })
    }
}

/// One alert and how it stands.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    alert: Alert,
    /// firing, silenced, pending, quiet, unknown or not watched.
    state: &'static str,
    since: Option<String>,
    because: String,
    problem: Option<String>,
}

impl Line {
    fn new(standing: Standing, ctx: &Context) -> Self {
        let Standing { alert, pending, verdict } = standing;
        let silenced = alert.is_silenced(ctx.clock.now());
        let state = match (&verdict, alert.firing, pending) {
            (_, Some(_), _) if silenced => "silenced",
            (_, Some(_), _) => "firing",
            (None, None, _) => "not watched",
            (Some(_), None, Some(_)) => "pending",
            (Some(Verdict { holds: None, .. }), None, None) => "unknown",
            (Some(_), None, None) if silenced => "silenced",
            (Some(_), None, None) => "quiet",
        };
        let since = alert.firing.or(pending).map(Timestamp::rfc3339);
        let (because, problem) = verdict.map_or_else(Default::default, |it| (it.because, it.problem));
        Self { alert, state, since, because, problem }
    }

    fn mark(&self) -> State {
        match self.state {
            "firing" => State::Fail,
            "pending" | "unknown" => State::Warn,
            "quiet" => State::Ok,
            _ => State::Off,
        }
    }
}

impl Row for Line {
    const KIND: &'static str = "alert.list/1";
    const EMPTY: &'static str = "no alerts; umcp alert create NAME --when EXPRESSION makes one";

    fn columns() -> Vec<Column> {
        vec![
            Column::new("alert"),
            Column::new("state"),
            Column::new("severity"),
            Column::new("when").wraps(),
            Column::new("now").wraps().optional(1),
            Column::new("since").optional(2),
        ]
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::from(&self.alert.name),
            Cell::state(self.mark(), self.state),
            self.alert.severity.word().into(),
            (&self.alert.expression).into(),
            self.problem.as_ref().unwrap_or(&self.because).into(),
            self.since.as_deref().unwrap_or_default().into(),
        ]
    }

    fn id(&self) -> String {
        self.alert.name.clone()
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(Line);

impl Output for Shown {
    const KIND: &'static str = "alert.show/1";

    fn human(&self, page: &mut Page) {
        let Line { alert, state, since, because, problem } = &self.0;
        page.mark(self.0.mark(), format!("{}: {state}", alert.name));
        let some = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        page.pairs([
            ("when", alert.expression.clone()),
            ("for", text::duration_ms(alert.for_ms)),
            ("window", text::duration_ms(alert.window_ms)),
            ("severity", alert.severity.word().into()),
            ("since", some(since)),
            ("now", problem.clone().unwrap_or_else(|| because.clone())),
            ("silenced until", some(&alert.silenced_until.map(Timestamp::rfc3339))),
            ("description", some(&alert.description)),
        ]);
    }

    fn ids(&self) -> Vec<String> {
        vec![self.0.alert.name.clone()]
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Turned(Turn);

impl Row for Turned {
    const KIND: &'static str = "alert.history/1";
    const EMPTY: &'static str = "no alert has fired";

    fn columns() -> Vec<Column> {
        vec![
            Column::new("time"),
            Column::new("alert"),
            Column::new("state"),
            Column::new("severity").optional(2),
            Column::new("because").wraps(),
        ]
    }

    fn cells(&self) -> Vec<Cell> {
        let Turn { at, alert, severity, firing, because, silenced } = &self.0;
        let (state, word) = if *firing { (State::Fail, "firing") } else { (State::Ok, "resolved") };
        let word = if *silenced { format!("{word}, silenced") } else { word.into() };
        vec![
            at.rfc3339().into(),
            alert.into(),
            Cell::state(state, &word),
            severity.word().into(),
            because.into(),
        ]
    }

    fn id(&self) -> String {
        self.0.alert.clone()
    }
}

#[derive(Serialize)]
struct Tested {
    expression: String,
    window_ms: u64,
    #[serde(flatten)]
    verdict: Verdict,
    /// What an expression may name.
    names: &'static [&'static str],
}

impl Output for Tested {
    const KIND: &'static str = "alert.test/1";

    fn human(&self, page: &mut Page) {
        let Verdict { holds, because, problem } = &self.verdict;
        let window = text::duration_ms(self.window_ms);
        match (holds, problem) {
            (Some(true), _) => page.mark(State::Fail, format!("it holds: {because} (of the last {window})")),
            (Some(false), _) => {
                page.mark(State::Ok, format!("it does not hold: {because} (of the last {window})"))
            }
            (None, problem) => page
                .mark(State::Warn, format!("it cannot be said: {}", problem.as_deref().unwrap_or_default())),
        };
    }
}
