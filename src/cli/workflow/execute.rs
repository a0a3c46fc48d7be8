//! `workflow execute`, `retry` and `replay`: begin a run, and see it to its end.

use super::super::context::{self, CLIENT, Context};
use super::{check, document, is_file, line, row};
use crate::documents;
use crate::engine::live::{Event, Live, LiveReply, RunRequest, RunSource};
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::workflows::journal::Status;
use crate::workflows::model::Workflow;
use crate::workflows::{Run, read, sample, start};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Run a workflow and see it to its end
///
/// Without --detach the run is shown as it goes on; Ctrl-C leaves it running. Inputs are NAME=VALUE, typed by the
/// workflow's own declaration, or a JSON or YAML file; a terminal is asked for those that are missing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp workflow execute onboarding --input email=ada@example.org\n  umcp workflow execute ./onboarding.yaml --inputs inputs.yaml --detach"
)]
pub struct Execute {
    /// A stored workflow, or a file
    #[arg(value_name = "WORKFLOW|FILE")]
    name: String,
    /// One input; may be given often
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// All inputs from a file, or - for stdin as JSON
    #[arg(long = "inputs", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only begin the run and print its id
    #[arg(long, short)]
    detach: bool,
}

impl Execute {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (file, text) = document(ctx, &self.name)?;
        let workflow = match is_file(&self.name) {
            true => check::demand(ctx, &file, &text)?,
            false => read::read(&file, &text).map_err(|mut errors| errors.swap_remove(0))?,
        };
        let mut inputs = match &self.file {
            Some(path) => from_file(path)?,
            None => Map::new(),
        };
        for word in &self.inputs {
            let Some((name, value)) = word.split_once('=') else {
                let error = Error::new(&codes::USAGE, format!("`{word}` is no NAME=VALUE"));
                return Err(
                    error.hint(format!("umcp workflow execute {} --input email=ada@example.org", self.name))
                );
            };
            inputs.insert(name.into(), start::typed(&workflow, name, value));
        }
        ask_missing(ctx, &workflow, &mut inputs)?;
        // Checked here, so that a mistake starts nothing.
        start::inputs(&workflow, inputs.clone())?;
        let inputs = Value::Object(inputs).to_string();
        let source = match is_file(&self.name) {
            true => RunSource::Document { text, inputs },
            false => RunSource::Named { name: self.name, inputs },
        };
        begin(ctx, source, CLIENT, self.detach)
    }
}

/// Asks for what the run cannot begin without, where there is somebody to ask.
fn ask_missing(ctx: &Context, workflow: &Workflow, inputs: &mut Map<String, Value>) -> Result<()> {
    if !ctx.ui.can_ask() {
        return Ok(());
    }
    for input in &workflow.inputs {
        if !sample::is_missing(input, inputs) {
            continue;
        }
        let question = match input.description.as_str() {
            "" => input.name.clone(),
            about => format!("{} ({about})", input.name),
        };
        let flag = format!("--input {}=…", input.name);
        let word = match input.secret {
            true => ctx.ui.password(&question, &flag)?,
            false => ctx.ui.input(&question, None, &flag)?,
        };
        inputs.insert(input.name.clone(), start::typed(workflow, &input.name, &word));
    }
    Ok(())
}

/// Inputs from a file; `-` is JSON on stdin.
pub fn from_file(path: &Path) -> Result<Map<String, Value>> {
    let (name, text) = match path.to_str() {
        Some("-") => {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut std::io::stdin().lock(), &mut text)
                .map_err(|error| Error::new(&codes::IO, "cannot read stdin").because(error))?;
            ("stdin".into(), text)
        }
        _ => (path.display().to_string(), documents::read_file(path)?),
    };
    match documents::parse_value(&name, &text)? {
        Value::Object(map) => Ok(map),
        _ => Err(Error::new(&codes::FILE_INVALID, format!("`{name}` holds no map of inputs"))),
    }
}

/// Run again what failed; steps that were done are not done again
#[derive(Debug, Args)]
pub struct Retry {
    #[arg(value_name = "RUN")]
    run: String,
    #[arg(long, short)]
    detach: bool,
}

/// Run again from the beginning, with the same document and inputs
#[derive(Debug, Args)]
pub struct Replay {
    #[arg(value_name = "RUN")]
    run: String,
    #[arg(long, short)]
    detach: bool,
}

impl Retry {
    pub fn run(self, ctx: &Context) -> Result<()> {
        begin(ctx, RunSource::Earlier { run: self.run, keep: true }, CLIENT, self.detach)
    }
}

impl Replay {
    pub fn run(self, ctx: &Context) -> Result<()> {
        begin(ctx, RunSource::Earlier { run: self.run, keep: false }, CLIENT, self.detach)
    }
}

/// Begins a run and, unless it is detached, sees it to its end. `by`: who started it.
pub fn begin(ctx: &Context, source: RunSource, by: &str, detach: bool) -> Result<()> {
    let request = RunRequest { source, by: by.into(), wait: !detach };
    if detach {
        return match ctx.live(Live::RunWorkflow(request))? {
            LiveReply::Run(run) => ctx.ui.show(&super::runs::View::new(*run, ctx.clock.now())),
            other => context::unexpected(&other),
        };
    }
    watch(ctx, Live::RunWorkflow(request))
}

/// Shows a run as it goes on; its end decides the exit code.
pub fn watch(ctx: &Context, request: Live) -> Result<()> {
    let mut shown: Option<String> = None;
    let outcome = ctx.call_with_events(request, &mut |event| {
        if let Event::Run { at, run, event } = &event {
            if shown.is_none() {
                shown = Some(run.clone());
                ctx.ui.note(&format!("run {run}"));
            }
            ctx.ui.line(&row(run, event, *at), &line(event, *at));
        }
    });
    let run = match outcome {
        Ok(Reply::Live(LiveReply::Run(run))) => *run,
        Ok(other) => return engine::unexpected(&other),
        Err(error) => {
            return Err(match &shown {
                Some(run) => error.hint(format!("the run goes on: umcp workflow logs {run} --follow")),
                None => error,
            });
        }
    };
    finish(ctx, &run)
}

/// The outputs, or why there are none.
fn finish(ctx: &Context, run: &Run) -> Result<()> {
    let outputs: Value = serde_json::from_str(&run.outputs).unwrap_or_default();
    if run.status == Status::Completed {
        ctx.ui.finish_stream(&json!({"ok": true, "run": run.id, "status": run.status, "outputs": outputs}));
        if !ctx.ui.is_json() && outputs.as_object().is_some_and(|outputs| !outputs.is_empty()) {
            let text = serde_json::to_string_pretty(&outputs).unwrap_or_default();
            return ctx.ui.raw(&format!("{text}\n"));
        }
        return Ok(());
    }
    let reason = run.failure.as_ref().map_or_else(String::new, |failure| format!(": {}", failure.message));
    let message = format!("the run `{}` is {}{reason}", run.id, run.status.word());
    let error = match run.status {
        Status::Cancelled => Error::new(&codes::CANCELLED, message),
        Status::Uncertain => Error::new(&codes::RUN_STATE, message)
            .hint(format!("umcp workflow status {}", run.id))
            .hint(format!("umcp workflow settle {} --done, or --again", run.id)),
        _ => Error::new(&codes::RUN_FAILED, message)
            .hint(format!("umcp workflow logs {}", run.id))
            .hint(format!("umcp workflow retry {}", run.id)),
    };
    Err(error)
}
