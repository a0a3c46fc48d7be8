//! `umcp agent`: who schedules belong to, and what their runs are to know.

use super::context::Context;
use super::schedule::items;
use super::tool::call;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::schedules::model::{Agent, EVERYONE};
use crate::schedules::{self, Request, check_name};
use crate::tools::arguments;
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

/// Keep agents: owners of schedules, with a context for their runs
///
/// Runs of an agent's schedules are called by its name in records and policy. Its context fills inputs that nobody gave
/// and is known to expressions as `agent`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp agent create mailbot --context email=bot@example.org\n  umcp schedule create check-inbox --agent mailbot --workflow process-emails --cron \"*/15 * * * *\"\n  umcp schedule pause --agent mailbot"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List agents
    #[command(alias = "ls")]
    List,
    /// Make an agent
    #[command(alias = "add")]
    Create(Create),
    /// Show an agent: its context and its schedules
    #[command(alias = "info")]
    Show(Name),
    /// Delete an agent that has no schedules
    #[command(aliases = ["remove", "rm"])]
    Delete(Names),
}

#[derive(Debug, Args)]
struct Create {
    #[arg(value_name = "AGENT")]
    name: String,
    /// One value of its context, or all as a JSON object or @FILE
    #[arg(long, value_name = "NAME=VALUE")]
    context: Vec<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// Put it in the place of the one that is there
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
struct Name {
    #[arg(value_name = "AGENT")]
    name: String,
}

#[derive(Debug, Args)]
struct Names {
    #[arg(value_name = "AGENT", required = true)]
    names: Vec<String>,
}

#[derive(Serialize)]
struct View {
    name: String,
    description: String,
    paused: bool,
    context: Value,
    schedules: Vec<String>,
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => ctx.ui.show(&All(views(ctx)?)),
            Verb::Create(create) => create.run(ctx),
            Verb::Show(Name { name }) => {
                let found = views(ctx)?.into_iter().find(|view| view.name == name);
                let missing = || {
                    Error::new(&codes::AGENT_NOT_FOUND, format!("no agent named `{name}`"))
                        .hint("umcp agent list")
                };
                ctx.ui.show(&found.ok_or_else(missing)?)
            }
            Verb::Delete(Names { names }) => {
                if !ctx.ui.confirm(&format!("delete {}?", names.join(", ")), false, "--yes")? {
                    return Err(Error::new(&codes::NOT_CONFIRMED, "nothing was deleted"));
                }
                match ctx.call(Request::DeleteAgents { names })? {
                    Reply::Schedule(schedules::Reply::Names(names)) => ctx.ui.show(&Deleted(names)),
                    other => engine::unexpected(&other),
                }
            }
        }
    }
}

impl Create {
    fn run(self, ctx: &Context) -> Result<()> {
        check_name(&self.name)?;
        let context = arguments::build(&self.context, &Value::Null, &mut call::read)?;
        let agent = Agent {
            name: self.name,
            description: self.description,
            context: Value::Object(context).to_string(),
            paused: false,
            created: ctx.clock.now(),
        };
        match ctx.call(Request::PutAgent { agent, replace: self.replace })? {
            Reply::Schedule(schedules::Reply::Agent(agent)) => ctx.ui.show(&view(agent, Vec::new())),
            other => engine::unexpected(&other),
        }
    }
}

fn view(agent: Agent, schedules: Vec<String>) -> View {
    let context = serde_json::from_str(&agent.context).unwrap_or_default();
    View { name: agent.name, description: agent.description, paused: agent.paused, context, schedules }
}

fn views(ctx: &Context) -> Result<Vec<View>> {
    let Reply::Schedule(schedules::Reply::Agents(agents)) = ctx.call(Request::Agents)? else {
        return Err(Error::bug("no agents in the reply"));
    };
    let items = items(ctx, None)?;
    let of = |agent: &Agent| {
        let owned = items.iter().filter(|item| item.schedule.agent.as_ref() == Some(&agent.name));
        owned.map(|item| item.schedule.name.clone()).collect()
    };
    let real = agents.into_iter().filter(|agent| agent.name != EVERYONE);
    Ok(real.map(|agent| (of(&agent), agent)).map(|(owned, agent)| view(agent, owned)).collect())
}

impl Output for View {
    const KIND: &'static str = "agent.show/1";

    fn human(&self, page: &mut Page) {
        page.heading(format!("{}{}", self.name, if self.paused { " is paused" } else { "" }));
        let mut pairs = vec![("context", self.context.to_string())];
        if !self.schedules.is_empty() {
            pairs.push(("schedules", self.schedules.join(", ")));
        }
        page.pairs(pairs);
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct All(Vec<View>);

impl Output for All {
    const KIND: &'static str = "agent.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("name"),
            Column::new("state"),
            Column::new("schedules").right(),
            Column::new("description").optional(1).wraps(),
        ];
        let mut table = Table::new("no agents yet; make one: umcp agent create NAME", columns);
        for view in &self.0 {
            table.row([
                Cell::from(&view.name),
                if view.paused { Cell::state(State::Warn, "paused") } else { Cell::state(State::Ok, "on") },
                text::number(view.schedules.len() as u64).into(),
                Cell::from(&view.description),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|view| view.name.clone()).collect()
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Deleted(Vec<String>);

impl Output for Deleted {
    const KIND: &'static str = "agent.deleted/1";

    fn human(&self, page: &mut Page) {
        self.0.iter().for_each(|name| _ = page.mark(State::Ok, format!("deleted {name}")));
    }

    fn ids(&self) -> Vec<String> {
        self.0.clone()
    }
}
