//! `workflow test`: a whole run in the imagination, with results from a file. Calls nothing and waits for nothing.

use super::super::context::Context;
use super::{check, document, line};
use crate::clock::Timestamp;
use crate::documents;
use crate::error::{Error, Result, codes};
use crate::workflows::journal::{Event, Failure, Json, Outcome, Status};
use crate::workflows::machine::{Command, Machine};
use crate::workflows::model::Workflow;
use crate::workflows::{sample, start};
use clap::Args;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// Most decisions of one imagined run.
const MOST: usize = 100_000;

/// Try a workflow without calling anything
///
/// Steps that call a tool get their results from --mock: a map of step ids to results, `{error: text}` for a failure.
/// What was not said is made up: inputs, which is told, and results with the fields that are read of them. Where a decision
/// needs a result that is made up, the run stops and says so. Waits are over at once, and approvals are given.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp workflow test onboarding.yaml --dry-run --input email=a@b.c\n  umcp workflow test onboarding.yaml --mock results.yaml"
)]
pub struct Test {
    #[arg(value_name = "WORKFLOW|FILE")]
    name: String,
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// Results of steps, from a YAML or JSON file
    #[arg(long, value_name = "FILE")]
    mock: Option<PathBuf>,
    /// Call nothing, which is what this command always does
    #[arg(long)]
    dry_run: bool,
}

impl Test {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (file, text) = document(ctx, &self.name)?;
        let workflow = check::demand(ctx, &file, &text)?;
        let mocks = match &self.mock {
            Some(path) => documents::parse_value(&path.display().to_string(), &documents::read_file(path)?)?,
            None => Value::Null,
        };
        let mut inputs = Map::new();
        for word in &self.inputs {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| Error::new(&codes::USAGE, format!("`{word}` is no NAME=VALUE")))?;
            inputs.insert(name.into(), start::typed(&workflow, name, value));
        }
        for (name, sample) in sample::inputs(&workflow, &inputs) {
            ctx.ui.note(&format!("the input `{name}` is made up: {sample}"));
            inputs.insert(name, sample);
        }
        try_out(ctx, workflow, inputs, &mocks)
    }
}

/// Shows a run of a document that was accepted, in the imagination and with results of null.
pub fn dry_run(ctx: &Context, text: &str, inputs: Map<String, Value>) -> Result<()> {
    let workflow = check::demand(ctx, "steps", text)?;
    try_out(ctx, workflow, inputs, &Value::Null)
}

fn try_out(ctx: &Context, workflow: Workflow, inputs: Map<String, Value>, mocks: &Value) -> Result<()> {
    let inputs = start::inputs(&workflow, inputs)?;
    let now = ctx.clock.now();
    let mut results = sample::results(&workflow);
    results.extend(mocks.as_object().into_iter().flatten().map(|(id, result)| (id.clone(), result.clone())));
    let is_made_up = sample::calls(&workflow).iter().any(|id| mocks.get(id).is_none());
    let machine = Machine::new(Arc::new(workflow), "test", inputs, now);
    let (status, outputs, failure) = imagine(machine, now, &results.into(), &mut |at, event| {
        ctx.ui.line(event, &line_of(event, at));
    })?;
    match failure {
        None if status == Status::Completed => {
            ctx.ui.finish_stream(&json!({"ok": true, "status": status, "outputs": outputs}));
            Ok(())
        }
        // What is made up is of no type that somebody can rely on.
        Some(failure) if is_made_up && failure.class == "expression" => {
            ctx.ui
                .finish_stream(&json!({"ok": true, "status": "unknown", "outputs": {}, "failure": failure}));
            ctx.ui.note(&format!("{}; results that decide it are given with --mock FILE", failure.message));
            Ok(())
        }
        failure => {
            let reason = failure.map_or_else(String::new, |failure| format!(": {}", failure.message));
            Err(Error::new(&codes::RUN_FAILED, format!("the imagined run is {}{reason}", status.word())))
        }
    }
}

/// What would be called, or what happened.
#[derive(serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Seen {
    Call { path: String, target: String, arguments: Value },
    Event { event: Event },
}

fn line_of(seen: &Seen, at: Timestamp) -> String {
    match seen {
        Seen::Call { path, target, arguments } => format!("→ {path}: {target} {arguments}"),
        Seen::Event { event } => line(event, at),
    }
}

/// How an imagined run ended.
pub type Ended = (Status, Value, Option<Failure>);

/// Runs a machine to its end with results from `mocks`; calls nothing.
pub fn imagine(
    mut machine: Machine,
    mut now: Timestamp,
    mocks: &Value,
    tell: &mut dyn FnMut(Timestamp, &Seen),
) -> Result<Ended> {
    let mut pending: VecDeque<(String, Outcome)> = VecDeque::new();
    for _ in 0..MOST {
        let next = machine.next(now);
        for event in next.events {
            if !matches!(event, Event::Started { .. }) {
                tell(now, &Seen::Event { event });
            }
        }
        for command in next.commands {
            match command {
                Command::Call { path, target, arguments, .. } => {
                    tell(now, &Seen::Call { path: path.clone(), target, arguments });
                    let outcome = mocked(mocks, &path);
                    pending.push_back((path, outcome));
                }
                Command::Run { path, name, inputs, .. } => {
                    tell(now, &Seen::Call { path: path.clone(), target: name, arguments: inputs });
                    let outcome = mocked(mocks, &path);
                    pending.push_back((path, outcome));
                }
                Command::Own { path, what, values, .. } => {
                    let target = what.word().to_string();
                    tell(now, &Seen::Call { path: path.clone(), target, arguments: values });
                    let outcome = mocked(mocks, &path);
                    pending.push_back((path, outcome));
                }
                Command::Cancel { path } => pending.retain(|(open, _)| *open != path),
            }
        }
        if let Some(ended) = machine.ended() {
            return Ok(ended.clone());
        }
        let event = match pending.pop_front() {
            Some((path, outcome)) => machine.attempted(&path, outcome, now),
            None => machine.approvals().into_iter().next().map(|path| {
                let outcome = Outcome::Done(Json(json!({"approved": true, "note": ""})));
                Event::Finished { path, outcome }
            }),
        };
        match (event, next.wake) {
            (Some(event), _) => {
                machine.apply(&event);
                tell(now, &Seen::Event { event });
            }
            (None, Some(wake)) => now = now.max(wake),
            (None, None) => return Err(Error::bug("the imagined run stands still")),
        }
    }
    Err(Error::new(&codes::RUN_FAILED, format!("the imagined run takes more than {MOST} decisions")))
}

/// The result of a step: by its whole path, else by its id.
fn mocked(mocks: &Value, path: &str) -> Outcome {
    let id = path.rsplit('/').next().unwrap_or(path);
    let value = mocks.get(path).or_else(|| mocks.get(id)).cloned().unwrap_or_default();
    match value.get("error").and_then(Value::as_str) {
        Some(message) => {
            let class = value["class"].as_str().unwrap_or("tool_error");
            Outcome::Failed(Failure::new(class, "UM0513", message))
        }
        None => Outcome::Done(Json(value)),
    }
}
