//! `umcp quota`: how much may be used, by whom and of what. Verbs here; what a quota means stands in the noun `usage`.

use super::context::Context;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use crate::usage;
use crate::usage::money::Pico;
use crate::usage::quota::{Action, Limit, Per, Quota, Request, Standing, Used};
use crate::usage::sums::Dimension;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp quota set cursor-day --client cursor --calls 500 --per day\n  umcp quota set spend --cost 20 --per month --action warn\n  umcp quota check"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

// The help of each verb stands on its arguments.
#[derive(Debug, Subcommand)]
enum Verb {
    #[command(aliases = ["ls", "show"])]
    List(List),
    #[command(aliases = ["add", "create", "edit"])]
    Set(Box<Set>),
    #[command(aliases = ["rm", "remove"])]
    Delete(Delete),
    Check(Check),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(List {})) {
            Verb::List(_) => ctx.ui.show(&shown(ask(ctx, Request::List { now: ctx.clock.now() })?)),
            Verb::Set(verb) => verb.run(ctx),
            Verb::Delete(verb) => {
                let request = Request::Delete { names: verb.names, now: ctx.clock.now() };
                ctx.ui.show(&shown(ask(ctx, request)?))
            }
            Verb::Check(verb) => verb.run(ctx),
        }
    }
}

/// List quotas and what is used of them
#[derive(Debug, Args)]
struct List {}

/// Set a quota, or change it
///
/// Several quotas may concern a call; each has to have room for it. Periods begin in local time.
#[derive(Debug, Args)]
struct Set {
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    of: Of,
    /// So many calls
    #[arg(long, value_name = "N")]
    calls: Option<u64>,
    /// So many tokens, read and written by models together
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// So many dollars
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    cost: Option<Pico>,
    /// In each minute, hour, day, week or month, or in total
    #[arg(long, alias = "period", value_name = "PERIOD", value_parser = per, default_value = "day")]
    per: Per,
    /// What happens beyond it: warn, throttle or block
    #[arg(long, value_name = "ACTION", value_parser = action, default_value = "block")]
    action: Action,
    /// What the agent is told besides
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Whose calls, and of what; patterns take *
#[derive(Debug, Args)]
struct Of {
    #[arg(long, value_name = "CLIENT", help = "Only calls of this client; patterns take *")]
    client: Option<String>,
    #[arg(long, value_name = "AGENT", help = "Only calls of this agent")]
    agent: Option<String>,
    #[arg(long, value_name = "USER", help = "Only calls accounted to this user")]
    user: Option<String>,
    #[arg(
        long,
        visible_alias = "profile",
        value_name = "NAME",
        help = "Only calls in this profile or environment"
    )]
    environment: Option<String>,
    #[arg(long, visible_alias = "app", value_name = "SERVER", help = "Only calls of this server or app")]
    server: Option<String>,
    #[arg(long, value_name = "TOOL", help = "Only calls of this tool (SERVER.TOOL)")]
    tool: Option<String>,
    #[arg(long, value_name = "WORKFLOW", help = "Only calls of this workflow")]
    workflow: Option<String>,
}

impl Of {
    fn dimensions(self) -> BTreeMap<Dimension, String> {
        let given = [
            (Dimension::Client, self.client),
            (Dimension::Agent, self.agent),
            (Dimension::User, self.user),
            (Dimension::Environment, self.environment),
            (Dimension::Server, self.server),
            (Dimension::Entity, self.tool),
            (Dimension::Workflow, self.workflow),
        ];
        given.into_iter().filter_map(|(dimension, word)| Some((dimension, word?))).collect()
    }
}

fn dollars(word: &str) -> Result<Pico, String> {
    Pico::parse(word).map_err(|error| error.message)
}

fn per(word: &str) -> Result<Per, String> {
    Per::parse(word).ok_or_else(|| "it is one of minute, hour, day, week, month, total".into())
}

fn action(word: &str) -> Result<Action, String> {
    Action::parse(word).ok_or_else(|| "it is one of warn, throttle, block".into())
}

impl Set {
    fn run(self, ctx: &Context) -> Result<()> {
        let quota = Quota {
            name: self.name,
            of: self.of.dimensions(),
            per: self.per,
            limit: Limit { calls: self.calls, tokens: self.tokens, cost: self.cost },
            action: self.action,
            reason: self.reason,
        };
        ctx.ui.show(&shown(ask(ctx, Request::Put { quota, now: ctx.clock.now() })?))
    }
}

/// Delete quotas
#[derive(Debug, Args)]
struct Delete {
    #[arg(value_name = "QUOTA", required = true)]
    names: Vec<String>,
}

/// Fail when a quota is used up
#[derive(Debug, Args)]
struct Check {
    /// Only these
    #[arg(value_name = "QUOTA")]
    names: Vec<String>,
}

impl Check {
    fn run(self, ctx: &Context) -> Result<()> {
        let mut standings = ask(ctx, Request::List { now: ctx.clock.now() })?;
        if let Some(unknown) =
            self.names.iter().find(|name| !standings.iter().any(|standing| standing.quota.name == **name))
        {
            return Err(Error::new(&codes::QUOTA_NOT_FOUND, format!("no quota named `{unknown}`"))
                .hint("umcp quota list"));
        }
        standings.retain(|standing| self.names.is_empty() || self.names.contains(&standing.quota.name));
        let shown = shown(standings);
        let over: Vec<&str> =
            shown.quotas.iter().filter(|it| it.exceeded).map(|it| it.name.as_str()).collect();
        if over.is_empty() {
            return ctx.ui.show(&shown);
        }
        let error = Error::new(&codes::DIFFERS, format!("used up: {}", over.join(", ")));
        ctx.ui.show_failed(&shown, &error)?;
        Err(error)
    }
}

fn ask(ctx: &Context, request: Request) -> Result<Vec<Standing>> {
    match ctx.call(usage::Request::Quota(request))? {
        Reply::Usage(usage::Reply::Quotas(standings)) => Ok(standings),
        other => engine::unexpected(&other),
    }
}

#[derive(Serialize)]
struct Shown {
    quotas: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    of: BTreeMap<Dimension, String>,
    per: Per,
    action: Action,
    reason: Option<String>,
    limit: Amounts,
    used: Amounts,
    /// From 0 to 1 and beyond, of the limit that is nearest.
    share: f64,
    /// Whether the next call is beyond it.
    exceeded: bool,
    from: String,
    until: Option<String>,
    #[serde(skip)]
    standing: Standing,
}

#[derive(Serialize)]
struct Amounts {
    calls: Option<u64>,
    tokens: Option<u64>,
    cost_usd: Option<f64>,
}

fn shown(standings: Vec<Standing>) -> Shown {
    let line = |standing: Standing| {
        let Standing { quota, from, until, used } = standing.clone();
        let Limit { calls, tokens, cost } = quota.limit;
        let share = |used: f64, limit: f64| if limit > 0.0 { used / limit } else { 1.0 };
        let shares = [
            calls.map(|limit| share(used.calls as f64, limit as f64)),
            tokens.map(|limit| share(used.tokens as f64, limit as f64)),
            cost.map(|limit| share(used.cost.dollars(), limit.dollars())),
        ];
        Line {
            exceeded: quota.exceeded(used, Used { calls: 1, ..Used::default() }).is_some(),
            share: shares.into_iter().flatten().fold(0.0, f64::max),
            name: quota.name,
            of: quota.of,
            per: quota.per,
            action: quota.action,
            reason: quota.reason,
            limit: Amounts { calls, tokens, cost_usd: cost.map(Pico::dollars) },
            used: Amounts {
                calls: Some(used.calls),
                tokens: Some(used.tokens),
                cost_usd: Some(used.cost.dollars()),
            },
            from: from.rfc3339(),
            until: (until.0 < u64::MAX).then(|| until.rfc3339()),
            standing,
        }
    };
    Shown { quotas: standings.into_iter().map(line).collect() }
}

impl Output for Shown {
    const KIND: &'static str = "quota.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("quota"),
            Column::new("of"),
            Column::new("used"),
            Column::new("per"),
            Column::new("").right(),
            Column::new("beyond it"),
        ];
        let mut table = Table::new("no quotas", columns);
        for line in &self.quotas {
            let of: Vec<String> =
                line.of.iter().map(|(dimension, word)| format!("{} {word}", dimension.word())).collect();
            let Standing { quota: Quota { limit, .. }, used, .. } = &line.standing;
            let parts = [
                limit.calls.map(|it| format!("{} of {} calls", text::number(used.calls), text::number(it))),
                limit
                    .tokens
                    .map(|it| format!("{} of {} tokens", text::number(used.tokens), text::number(it))),
                limit.cost.map(|it| format!("{} of {}", used.cost.short(), it.short())),
            ];
            let state = match (line.exceeded, line.share > 0.8) {
                (true, _) => State::Fail,
                (false, true) => State::Warn,
                (false, false) => State::Ok,
            };
            table.row([
                Cell::from(&line.name),
                if of.is_empty() { "everything".into() } else { of.join(", ").into() },
                parts.into_iter().flatten().collect::<Vec<_>>().join(", ").into(),
                line.per.word().into(),
                Cell::state(state, &format!("{:.0} %", line.share * 100.0)),
                line.action.word().into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.quotas.iter().map(|line| line.name.clone()).collect()
    }
}
