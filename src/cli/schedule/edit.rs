//! `schedule create` and `schedule update`. Everything is checked here, before anything is stored: the expression, the
//! zone, the agent, the target and its inputs. Long because every flag and what it is checked against stand together.

use super::super::context::Context;
use super::super::known::Known;
use super::super::tool::call;
use super::list::Shown;
use super::say::View;
use super::{change, item};
use crate::clients::CLIENTS;
use crate::documents::near;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::schedules::model::{Missed, Overlap, Schedule, Target, Trigger};
use crate::schedules::{self, Request, check_name, scope, timetable};
use crate::skills;
use crate::tools::arguments;
use crate::workflows::read::{self, duration};
use crate::workflows::{self, start};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

/// Make a schedule
///
/// It is due as --cron, --every or --at says, on the clocks of --timezone. Runs go through the same policy, limits and
/// records as every call; the client is called schedule:NAME, or as the agent of --agent.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp schedule create daily-backup --workflow backup-database --cron \"0 2 * * *\" --timezone America/New_York\n  umcp schedule create ping --tool web.fetch --input url=https://example.org --every 15m --overlap queue\n  umcp schedule create follow-up --workflow send-mail --at \"2027-02-10 14:30\" --input user=123"
)]
pub struct Create {
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    how: How,
    /// Keep it switched off for now
    #[arg(long)]
    disabled: bool,
    /// Do not start the daemon; nothing runs until one does
    #[arg(long)]
    no_start: bool,
}

/// Change a schedule; what is not named stays
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp schedule update daily-backup --cron \"30 2 * * *\" --retries 3")]
pub struct Update {
    #[arg(value_name = "SCHEDULE")]
    name: String,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    how: How,
    /// Drop the condition
    #[arg(long, conflicts_with = "when")]
    no_when: bool,
    /// Let runs take as long as they like
    #[arg(long, conflicts_with = "deadline")]
    no_deadline: bool,
    /// Take it from its agent
    #[arg(long, conflicts_with = "agent")]
    no_agent: bool,
}

/// What runs, and when.
#[derive(Debug, Args)]
struct What {
    /// Run this workflow
    #[arg(long, value_name = "WORKFLOW", group = "target")]
    workflow: Option<String>,
    /// Call this tool, as SERVER.TOOL
    #[arg(long, value_name = "TOOL", group = "target")]
    tool: Option<String>,
    /// Run this command, as `umcp command list` names it
    #[arg(long, value_name = "COMMAND", group = "target")]
    command: Option<String>,
    /// Run this skill; it has steps
    #[arg(long, value_name = "SKILL", group = "target")]
    skill: Option<String>,
    /// Due as this says: minute hour day month weekday, with seconds in front if six, or @daily and the like
    #[arg(long, value_name = "EXPR", group = "trigger")]
    cron: Option<String>,
    /// Due again and again after this time, such as 15m; counted from now, without drift
    #[arg(long, value_name = "TIME", group = "trigger", value_parser = interval)]
    every: Option<u64>,
    /// Due once: RFC 3339, or a date and time on the clocks of --timezone
    #[arg(long, value_name = "TIME", group = "trigger")]
    at: Option<String>,
    /// Zone of --cron and --at, such as Europe/Berlin; otherwise this machine's
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
}

/// How it runs.
#[derive(Debug, Args)]
struct How {
    /// One input, or all as a JSON object or @FILE; `${{ agent.x }}`, `schedule`, `last` and `host` are known in texts
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// What to do about runs that were missed: one for all by default
    #[arg(long, value_enum, value_name = "POLICY")]
    missed: Option<MissedWord>,
    /// What to do while the run before is under way: skip by default
    #[arg(long, value_enum, value_name = "POLICY")]
    overlap: Option<OverlapWord>,
    /// Be due up to so much later: by the same time at every run, other schedules by another
    #[arg(long, value_name = "TIME", value_parser = time)]
    jitter: Option<u64>,
    /// Run only when this holds, such as 'host.load_avg < 0.8' or 'last.status != "failed"'
    #[arg(long, value_name = "EXPR")]
    when: Option<String>,
    /// End a run that takes longer, all attempts together
    #[arg(long, value_name = "TIME", value_parser = time)]
    deadline: Option<u64>,
    /// Try a failed run so many times more
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    retries: Option<u32>,
    /// Wait so long before the second attempt; twice as long before each further one
    #[arg(long, value_name = "TIME", value_parser = time)]
    retry_after: Option<u64>,
    /// The agent it belongs to: its name in records and policy, its context for inputs
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MissedWord {
    /// Run nothing
    Skip,
    /// One run for all that were missed
    Once,
    /// A run for each of the latest ten
    All,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OverlapWord {
    /// Leave it out
    Skip,
    /// Run it when the other has ended
    Queue,
    /// Cancel the other and run
    Replace,
    /// Run both
    Allow,
}

fn time(text: &str) -> std::result::Result<u64, String> {
    duration(text).ok_or_else(|| "write 500ms, 30s, 15m, 2h or 1d".into())
}

fn interval(text: &str) -> std::result::Result<u64, String> {
    match time(text)? {
        ..1000 => Err("at least a second".into()),
        ms => Ok(ms),
    }
}

impl Create {
    pub fn run(self, ctx: &Context) -> Result<()> {
        check_name(&self.name)?;
        let now = ctx.clock.now();
        let mut schedule = Schedule {
            id: ids::fresh("sch"),
            name: self.name.clone(),
            description: String::new(),
            agent: None,
            target: Target::Workflow(String::new()),
            trigger: Trigger::At(now),
            zone: timetable::own_zone(),
            input: "{}".into(),
            missed: Missed::default(),
            overlap: Overlap::default(),
            jitter_ms: 0,
            when: None,
            deadline_ms: None,
            retries: 0,
            retry_after_ms: 10_000,
            enabled: !self.disabled,
            paused: false,
            created: now,
            updated: now,
            revision: 0,
        };
        let what = &self.what;
        if what.workflow.is_none() && what.tool.is_none() && what.command.is_none() && what.skill.is_none() {
            return Err(Error::new(&codes::USAGE, "what is to run? --workflow, --tool or --command").hint(
                format!("umcp schedule create {} --workflow WORKFLOW --cron \"0 2 * * *\"", self.name),
            ));
        }
        if what.cron.is_none() && what.every.is_none() && what.at.is_none() {
            return Err(Error::new(&codes::USAGE, "when is it to run? --cron, --every or --at")
                .hint(format!("umcp schedule create {} … --cron \"0 2 * * *\"", self.name)));
        }
        apply(ctx, &mut schedule, self.what, self.how)?;
        store(ctx, schedule, false)?;
        match self.disabled || self.no_start {
            true => Ok(()),
            false => change::keep_time(ctx),
        }
    }
}

impl Update {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let mut schedule = item(ctx, &self.name)?.schedule;
        schedule.updated = ctx.clock.now();
        if self.no_when {
            schedule.when = None;
        }
        if self.no_deadline {
            schedule.deadline_ms = None;
        }
        if self.no_agent {
            schedule.agent = None;
        }
        apply(ctx, &mut schedule, self.what, self.how)?;
        store(ctx, schedule, true)
    }
}

fn store(ctx: &Context, schedule: Schedule, replace: bool) -> Result<()> {
    match ctx.call(Request::Put { schedule: Box::new(schedule), replace })? {
        Reply::Schedule(schedules::Reply::Item(item)) => {
            let now = ctx.clock.now();
            ctx.ui.show(&Shown { schedule: View::new(*item), latest: Vec::new(), now })
        }
        other => engine::unexpected(&other),
    }
}

/// Takes over what was said; what was not stays.
fn apply(ctx: &Context, schedule: &mut Schedule, what: What, how: How) -> Result<()> {
    if let Some(zone) = what.timezone {
        schedule.zone = zone;
    }
    let zone = timetable::zone(&schedule.zone)?;
    if let Some(text) = what.cron {
        timetable::cron(&text)?;
        schedule.trigger = Trigger::Cron(text);
    } else if let Some(ms) = what.every {
        schedule.trigger = Trigger::Every { ms, from: schedule.updated };
    } else if let Some(text) = what.at {
        schedule.trigger = Trigger::At(timetable::instant(&text, &zone)?);
    }
    let changes_target =
        what.workflow.is_some() || what.tool.is_some() || what.command.is_some() || what.skill.is_some();
    let skill = what.skill.map(|name| skill(ctx, &name)).transpose()?;
    let chosen = match (what.workflow, what.tool, what.command) {
        (Some(name), ..) => Target::Workflow(name),
        (_, Some(name), ..) => Target::Tool(name),
        (_, _, Some(name)) => Target::Command(name),
        _ => schedule.target.clone(),
    };
    how_to(schedule, &how)?;
    if let Some(agent) = &how.agent {
        check_agent(ctx, agent)?;
    }
    if changes_target || !how.inputs.is_empty() {
        let (target, schema) = match skill {
            Some(found) => found,
            None => find(ctx, chosen)?,
        };
        schedule.target = target;
        if !how.inputs.is_empty() || schedule.input.is_empty() {
            schedule.input = Value::Object(inputs(&how.inputs, &schema)?).to_string();
        }
        check_inputs(ctx, schedule)?;
    }
    Ok(())
}

/// A name that is nobody's yet becomes an agent, which is told; one that is nearly somebody's is a slip.
fn check_agent(ctx: &Context, name: &str) -> Result<()> {
    let agents = match ctx.call(Request::Agents)? {
        Reply::Schedule(schedules::Reply::Agents(agents)) => agents,
        other => return engine::unexpected(&other),
    };
    let known = || agents.iter().map(|agent| agent.name.as_str()).chain(CLIENTS.iter().map(|it| it.id));
    if known().any(|known| known == name) {
        return Ok(());
    }
    let Some(meant) = near(name, known()) else {
        ctx.ui.note(&format!("there was no agent `{name}` yet; it is made now (umcp agent list)"));
        return Ok(());
    };
    Err(Error::new(&codes::AGENT_NOT_FOUND, format!("no agent or client is named `{name}`"))
        .hint(format!("did you mean `{meant}`?"))
        .hint(format!("should it be another one: umcp agent create {name}")))
}

fn how_to(schedule: &mut Schedule, how: &How) -> Result<()> {
    if let Some(agent) = &how.agent {
        check_name(agent)?;
        schedule.agent = Some(agent.clone());
    }
    if let Some(when) = &how.when {
        scope::condition(when)?;
        schedule.when = Some(when.clone());
    }
    if let Some(word) = how.missed {
        schedule.missed = match word {
            MissedWord::Skip => Missed::Skip,
            MissedWord::Once => Missed::Once,
            MissedWord::All => Missed::All,
        };
    }
    if let Some(word) = how.overlap {
        schedule.overlap = match word {
            OverlapWord::Skip => Overlap::Skip,
            OverlapWord::Queue => Overlap::Queue,
            OverlapWord::Replace => Overlap::Replace,
            OverlapWord::Allow => Overlap::Allow,
        };
    }
    schedule.deadline_ms = how.deadline.or(schedule.deadline_ms);
    schedule.jitter_ms = how.jitter.unwrap_or(schedule.jitter_ms);
    schedule.retries = how.retries.unwrap_or(schedule.retries);
    schedule.retry_after_ms = how.retry_after.unwrap_or(schedule.retry_after_ms);
    if let Some(text) = &how.description {
        schedule.description.clone_from(text);
    }
    Ok(())
}

/// The target with its full name, and the schema of its inputs.
fn find(ctx: &Context, target: Target) -> Result<(Target, Value)> {
    match target {
        Target::Workflow(name) => {
            let workflow = workflow(ctx, &name)?;
            Ok((Target::Workflow(name), start::schema(&workflow)))
        }
        Target::Tool(word) => {
            let (path, schema) = tool(ctx, &word)?;
            Ok((Target::Tool(path), schema))
        }
        Target::Command(word) => {
            let found = super::super::app::known::command(ctx, &word)?;
            let path = format!("{}.{}", found.installed.name(), found.tool.name);
            Ok((Target::Command(path), found.tool.input.clone()))
        }
    }
}

/// The tool that a skill with steps is.
fn skill(ctx: &Context, name: &str) -> Result<(Target, Value)> {
    let found = match ctx.call(skills::Request::Show { name: name.into() })? {
        Reply::Skill(skills::Reply::Skill(skill)) => skill,
        other => return engine::unexpected(&other),
    };
    let current = found.current()?;
    if !current.is_executable() {
        let message = format!("the skill `{name}` is instructions alone; there is nothing to run");
        return Err(Error::new(&codes::USAGE, message)
            .hint("schedule a workflow with a step `agent: claude`, `skill: NAME`"));
    }
    let schema = serde_json::from_str(&current.schema).unwrap_or_default();
    Ok((Target::Tool(format!("{}.{}", skills::SERVER, found.name)), schema))
}

fn workflow(ctx: &Context, name: &str) -> Result<workflows::model::Workflow> {
    match ctx.call(workflows::Request::Show { name: name.into() })? {
        Reply::Workflow(workflows::Reply::Definition(row)) => {
            read::read(&row.file, &row.text).map_err(|mut errors| errors.swap_remove(0))
        }
        other => engine::unexpected(&other),
    }
}

fn tool(ctx: &Context, word: &str) -> Result<(String, Value)> {
    let schema = |known: &Known| {
        known.tool(word).map(|found| {
            let definition: Value = serde_json::from_str(&found.tool.json).unwrap_or_default();
            (found.path(), definition["inputSchema"].clone())
        })
    };
    match schema(&Known::read(ctx)?) {
        Ok(found) => Ok(found),
        // It may be of a server that was never asked.
        Err(_) => {
            let named = word.split_once('.').map(|(server, _)| server);
            schema(&Known::ask(ctx, &|server| named.is_none_or(|named| server.name == named))?)
        }
    }
}

/// Words with `${{ }}` stay texts until they are rendered; the others take the types of the schema.
fn inputs(words: &[String], schema: &Value) -> Result<Map<String, Value>> {
    let is_template = |word: &&String| word.contains("${{") && !word.trim_start().starts_with('{');
    let plain: Vec<String> = words.iter().filter(|word| !is_template(word)).cloned().collect();
    let mut inputs = arguments::build(&plain, schema, &mut call::read)?;
    for word in words.iter().filter(is_template) {
        let Some((name, value)) = word.split_once('=') else {
            return Err(Error::new(&codes::USAGE, format!("`{word}` is no NAME=VALUE")));
        };
        inputs.insert(name.into(), value.into());
    }
    Ok(inputs)
}

/// Mistakes are told now rather than at night: unknown names, and what is missing where nothing else can bring it.
fn check_inputs(ctx: &Context, schedule: &Schedule) -> Result<()> {
    let given: Value = serde_json::from_str(&schedule.input).unwrap_or_default();
    scope::check_input(&given)?;
    if given.to_string().contains("${{") {
        return Ok(());
    }
    match &schedule.target {
        Target::Workflow(name) => {
            let workflow = workflow(ctx, name)?;
            if let (Value::Object(given), None) = (given, &schedule.agent) {
                let hint = format!("umcp schedule create {} … --input NAME=VALUE", schedule.name);
                start::inputs(&workflow, given).map_err(|mut error| {
                    error.hints.retain(|hint| hint.starts_with("did you mean"));
                    if error.hints.is_empty() {
                        error.hints.push(hint);
                    }
                    error
                })?;
            }
            Ok(())
        }
        Target::Tool(word) | Target::Command(word) => {
            let (_, schema) = tool(ctx, word)?;
            match given {
                Value::Object(given) => arguments::check(&given, &schema),
                _ => Ok(()),
            }
        }
    }
}
