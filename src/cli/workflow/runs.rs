//! `workflow runs`, `status` and `logs`: what became of runs. Reads the store; starts nothing but `logs --follow`.

use super::super::context::Context;
use super::execute::watch;
use super::say::brief;
use super::{line, row};
use crate::clock::Timestamp;
use crate::engine::live::Live;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use crate::workflows::journal::{Event, Failure, Json, Outcome, Status as State_};
use crate::workflows::{self, Entry, Request, Run};
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// List runs, newest first
#[derive(Debug, Args)]
pub struct Runs {
    /// Only runs of this workflow
    #[arg(value_name = "WORKFLOW")]
    workflow: Option<String>,
    /// Only runs in this state: running, waiting, paused, uncertain, completed, failed, cancelled
    #[arg(long, value_name = "STATE", value_parser = state)]
    status: Option<State_>,
    /// Show at most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: u32,
}

fn state(word: &str) -> Result<State_, String> {
    serde_json::from_value(Value::from(word))
        .map_err(|_| "it is running, waiting, paused, uncertain, completed, failed or cancelled".into())
}

/// One run without its document.
#[derive(Serialize)]
pub struct View {
    id: String,
    workflow: String,
    version: String,
    status: State_,
    by: String,
    started: String,
    ended: Option<String>,
    duration_ms: u64,
    inputs: Value,
    outputs: Value,
    failure: Option<Failure>,
    #[serde(skip)]
    at: Timestamp,
}

impl View {
    pub fn new(run: Run, now: Timestamp) -> Self {
        Self {
            duration_ms: run.ended.unwrap_or(now).since_ms(run.started),
            started: run.started.rfc3339(),
            ended: run.ended.map(Timestamp::rfc3339),
            inputs: serde_json::from_str(&run.inputs).unwrap_or_default(),
            outputs: serde_json::from_str(&run.outputs).unwrap_or_default(),
            at: run.started,
            id: run.id,
            workflow: run.workflow,
            version: run.version,
            status: run.status,
            by: run.by,
            failure: run.failure,
        }
    }
}

fn shade(status: State_) -> State {
    match status {
        State_::Running => State::Busy,
        State_::Waiting | State_::Paused | State_::Uncertain => State::Warn,
        State_::Completed => State::Ok,
        State_::Failed => State::Fail,
        State_::Cancelled => State::Off,
    }
}

impl Output for View {
    const KIND: &'static str = "workflow.run/1";

    fn human(&self, page: &mut Page) {
        page.mark(shade(self.status), format!("{} {} is {}", self.workflow, self.id, self.status.word()));
        if let Some(failure) = &self.failure {
            page.text(&failure.message);
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.id.clone()]
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct All {
    runs: Vec<View>,
    #[serde(skip)]
    now: Timestamp,
}

impl Runs {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let now = ctx.clock.now();
        match ctx.call(Request::Runs { workflow: self.workflow, status: self.status, limit: self.limit })? {
            Reply::Workflow(workflows::Reply::Runs(runs)) => {
                tell_if_alone(ctx, &runs)?;
                ctx.ui.show(&All { runs: runs.into_iter().map(|run| View::new(run, now)).collect(), now })
            }
            other => engine::unexpected(&other),
        }
    }
}

impl Output for All {
    const KIND: &'static str = "workflow.runs/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("run"),
            Column::new("workflow"),
            Column::new("state"),
            Column::new("started").optional(1),
            Column::new("took").right().optional(2),
            Column::new("by").optional(3),
        ];
        let mut table = Table::new("no runs yet; start one: umcp workflow execute NAME", columns);
        for run in &self.runs {
            table.row([
                Cell::from(&run.id),
                Cell::from(&run.workflow),
                Cell::state(shade(run.status), run.status.word()),
                text::ago(self.now, run.at).into(),
                text::duration_ms(run.duration_ms).into(),
                Cell::from(&run.by),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.runs.iter().map(|run| run.id.clone()).collect()
    }
}

/// Show a run: each step and how it stands
#[derive(Debug, Args)]
pub struct Status {
    #[arg(value_name = "RUN")]
    run: String,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    run: View,
    steps: Vec<StepView>,
}

/// One step as the journal tells of it.
#[derive(Debug, Default, Serialize)]
struct StepView {
    path: String,
    status: &'static str,
    attempts: u32,
    started: Option<String>,
    ended: Option<String>,
    duration_ms: Option<u64>,
    result: Value,
    error: Option<Failure>,
    /// What a person is asked.
    message: Option<String>,
    #[serde(skip)]
    at: Option<Timestamp>,
}

impl Status {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (run, journal) = load(ctx, &self.run)?;
        tell_if_alone(ctx, std::slice::from_ref(&run))?;
        ctx.ui.show(&Shown { run: View::new(run, ctx.clock.now()), steps: steps(&journal) })
    }
}

/// Says that runs stand still where no daemon is there to go on with them.
fn tell_if_alone(ctx: &Context, runs: &[Run]) -> Result<()> {
    let goes_on = |run: &Run| matches!(run.status, State_::Running | State_::Waiting);
    if runs.iter().any(goes_on) && ctx.live_if_running(Live::Status)?.is_none() {
        ctx.ui.warn("no daemon runs; what is under way goes on when one does: umcp gateway start --detach");
    }
    Ok(())
}

/// A step that waits for a person.
#[derive(Serialize)]
pub struct Asking {
    pub run: String,
    pub workflow: String,
    pub step: String,
    pub message: String,
}

/// Steps of all runs that wait for a person, also of runs that have something else to do meanwhile.
pub fn asking(ctx: &Context) -> Result<Vec<Asking>> {
    let Reply::Workflow(workflows::Reply::Runs(runs)) = ctx.call(Request::Unfinished)? else {
        return Err(Error::bug("no list of runs in the reply"));
    };
    let mut found = Vec::new();
    for run in runs {
        let (run, journal) = load(ctx, &run.id)?;
        let asks = |step: StepView| Some((step.path, step.message?));
        let waiting = steps(&journal).into_iter().filter_map(asks);
        found.extend(waiting.map(|(step, message)| Asking {
            run: run.id.clone(),
            workflow: run.workflow.clone(),
            step,
            message,
        }));
    }
    Ok(found)
}

fn load(ctx: &Context, id: &str) -> Result<(Run, Vec<Entry>)> {
    match ctx.call(Request::Run { id: id.into() })? {
        Reply::Workflow(workflows::Reply::Run { run, journal }) => Ok((*run, journal)),
        other => engine::unexpected(&other),
    }
}

/// Steps in the order in which they were begun.
fn steps(journal: &[Entry]) -> Vec<StepView> {
    let mut order: Vec<String> = Vec::new();
    let mut found: BTreeMap<String, StepView> = BTreeMap::new();
    for entry in journal {
        for event in &entry.events {
            let Some(path) = event.path() else { continue };
            let step = found.entry(path.into()).or_insert_with(|| {
                order.push(path.into());
                StepView { path: path.into(), ..StepView::default() }
            });
            take(step, event, entry.at);
        }
    }
    order.into_iter().filter_map(|path| found.remove(&path)).collect()
}

fn take(step: &mut StepView, event: &Event, at: Timestamp) {
    match event {
        Event::Started { attempt, .. } => {
            step.status = "running";
            step.attempts = *attempt;
            step.at.get_or_insert(at);
            step.started.get_or_insert_with(|| at.rfc3339());
        }
        Event::Retry { failure, .. } => {
            step.status = "waiting to retry";
            step.error = Some(failure.clone());
        }
        Event::Waiting { message, .. } => {
            step.status = "waiting";
            step.at.get_or_insert(at);
            step.message = Some(message.clone()).filter(|message| !message.is_empty());
        }
        Event::Interrupted { .. } => step.status = "interrupted",
        Event::Finished { outcome, .. } => {
            step.ended = Some(at.rfc3339());
            step.duration_ms = step.at.map(|started| at.since_ms(started));
            step.message = None;
            match outcome {
                Outcome::Done(Json(value)) => {
                    step.status = "completed";
                    step.error = None;
                    step.result = value.clone();
                }
                Outcome::Failed(failure) => {
                    step.status = "failed";
                    step.error = Some(failure.clone());
                }
                Outcome::Skipped => step.status = "skipped",
                Outcome::Cancelled => step.status = "cancelled",
            }
        }
        _ => {}
    }
}

impl Output for Shown {
    const KIND: &'static str = "workflow.status/1";

    fn human(&self, page: &mut Page) {
        self.run.human(page);
        let columns = [
            Column::new("step"),
            Column::new("state"),
            Column::new("took").right().optional(2),
            Column::new("attempts").right().optional(3),
            Column::new("result").optional(1).wraps(),
        ];
        let mut table = Table::new("nothing has been done yet", columns);
        for step in &self.steps {
            let state = match step.status {
                "completed" => State::Ok,
                "failed" => State::Fail,
                "skipped" | "cancelled" => State::Off,
                "interrupted" => State::Warn,
                _ => State::Busy,
            };
            let result = match (&step.error, &step.message) {
                (Some(failure), _) => failure.message.clone(),
                (None, Some(message)) => message.clone(),
                _ => brief(&step.result).trim().into(),
            };
            table.row([
                Cell::from(&step.path),
                Cell::state(state, step.status),
                step.duration_ms.map_or_else(String::new, text::duration_ms).into(),
                if step.attempts > 0 { step.attempts.to_string() } else { String::new() }.into(),
                result.into(),
            ]);
        }
        page.table(table);
        if self.steps.iter().any(|step| step.message.is_some()) {
            page.text(format!("answer: umcp workflow approve {}", self.run.id));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.path.clone()).collect()
    }
}

/// Show what happened in a run, in order
#[derive(Debug, Args)]
pub struct Logs {
    #[arg(value_name = "RUN")]
    run: String,
    /// Only this step, with its whole result
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Go on until the run is over
    #[arg(long, short, conflicts_with = "step")]
    follow: bool,
}

impl Logs {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (run, journal) = load(ctx, &self.run)?;
        if let Some(step) = &self.step {
            let known = steps(&journal);
            let found =
                known.into_iter().find(|view| view.path == *step || view.path.ends_with(&format!("/{step}")));
            let missing = || {
                Error::new(&codes::RUN_NOT_FOUND, format!("the run has not come to a step `{step}`"))
                    .hint(format!("umcp workflow status {}", run.id))
            };
            return ctx.ui.show(&Whole(found.ok_or_else(missing)?));
        }
        for entry in &journal {
            for event in &entry.events {
                let happened = row(&run.id, event, entry.at);
                ctx.ui.line(&happened, &format!("{} {}", entry.at.rfc3339(), line(event, entry.at)));
            }
        }
        if self.follow && !run.status.is_over() {
            return watch(ctx, Live::FollowRun { run: run.id });
        }
        ctx.ui.finish_stream(&serde_json::json!({"ok": true, "run": run.id, "status": run.status}));
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Whole(StepView);

impl Output for Whole {
    const KIND: &'static str = "workflow.step/1";

    fn human(&self, page: &mut Page) {
        let step = &self.0;
        page.heading(format!("{}: {}", step.path, step.status));
        if let Some(failure) = &step.error {
            page.text(format!("{} ({})", failure.message, failure.code));
        }
        if !step.result.is_null() {
            page.text(serde_json::to_string_pretty(&step.result).unwrap_or_default());
        }
    }
}
