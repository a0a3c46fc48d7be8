//! Runs of workflows, asked for on the socket: begin, follow, begin again.

use super::Jobs;
use crate::calls::runner::{Abandon, Start, compile};
use crate::daemon::wire::{Hello, Mode};
use crate::engine::Reply;
use crate::engine::live::{Event, RunRequest, RunSource};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::metrics::trace::Mark;
use crate::upstream::builtin::workflows::Asked;
use crate::workflows::journal::{Event as Happened, Outcome, Status};
use crate::workflows::machine::is_handler;
use crate::workflows::{Definition, Run, read};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};

impl Jobs {
    /// Goes on with the runs that a former daemon left. Before anybody is listened to, so that none is begun twice.
    pub async fn take_up_runs(&self) {
        match self.runner.recover().await {
            Ok((count, failed)) => {
                if count > 0 {
                    self.diary.line(&format!("took up {count} runs of workflows"));
                }
                for error in failed {
                    self.diary.line(&format!("a run of a workflow could not be taken up: {}", error.message));
                }
            }
            Err(error) => {
                self.diary.line(&format!("runs of workflows could not be taken up: {}", error.message));
            }
        }
    }

    /// Answers what the servers inside umcp ask, such as runs of skills.
    pub fn answer_own_servers(self: &Arc<Self>) {
        let jobs = Arc::downgrade(self);
        self.gateway.world().shared.answer(move |live| {
            let jobs = jobs.clone();
            Box::pin(async move {
                let Some(jobs) = jobs.upgrade() else {
                    return Err(Error::new(&codes::CANCELLED, "the daemon ends"));
                };
                let (events, _) = mpsc::unbounded_channel();
                match jobs.answer(live.into(), events, &Hello::new(Mode::Call, "umcp")).await? {
                    Reply::Live(reply) => Ok(reply),
                    other => crate::engine::unexpected(&other),
                }
            })
        });
    }

    /// Lets the endpoint run workflows as tools.
    pub fn offer_runs(self: &Arc<Self>) {
        let jobs = Arc::downgrade(self);
        self.gateway.world().shared.run_workflows_by(Box::new(move |asked| {
            let jobs = jobs.upgrade();
            Box::pin(async move {
                match jobs {
                    Some(jobs) => jobs.run_asked(asked).await,
                    None => Err(Error::new(&codes::CANCELLED, "the daemon is ending")),
                }
            })
        }));
    }

    /// Runs a workflow for whoever called it as a tool.
    async fn run_asked(&self, asked: Asked) -> Result<Value> {
        let Asked { name, inputs, told, trace } = asked;
        let definition = self.runner.definition(&name).await?;
        let happening = self.runner.follow();
        let id = ids::fresh("wf");
        if let Some(mark) = trace.as_deref().and_then(Mark::parse) {
            self.gateway.caller.measures.spans.adopt(&id, mark);
        }
        let guard = Abandon::new(&self.runner, &id);
        let start = Start {
            definition,
            inputs,
            by: "tool".into(),
            parent: None,
            id: Some(id.clone()),
            seed: Vec::new(),
            depth: 0,
        };
        self.runner.begin(start).await?;
        let tell = |event: Event| {
            if let Event::Run { event, .. } = event
                && let Some(line) = progress(&event)
            {
                // Nobody listens: nothing to tell.
                let _ = told.send(line);
            }
        };
        let run = self.see(&id, happening, tell).await?;
        guard.disarm();
        match run.status {
            Status::Completed => Ok(serde_json::from_str(&run.outputs).unwrap_or_default()),
            status => {
                let reason = run.failure.map_or_else(String::new, |failure| format!(": {}", failure.message));
                let message = format!("the run `{id}` is {}{reason}", status.word());
                Err(Error::new(&codes::RUN_FAILED, message).hint(format!("umcp workflow logs {id}")))
            }
        }
    }

    /// Begins a run; with `wait`, sees it to its end.
    pub(super) async fn run_workflow(
        &self,
        request: RunRequest,
        events: &mpsc::UnboundedSender<Event>,
    ) -> Result<Run> {
        let (definition, inputs, seed) = self.source(request.source).await?;
        let happening = self.runner.follow();
        let start = Start { definition, inputs, by: request.by, parent: None, id: None, seed, depth: 0 };
        let run = self.runner.begin(start).await?;
        match request.wait {
            true => self.see(&run.id, happening, |event| drop(events.send(event))).await,
            false => Ok(run),
        }
    }

    async fn source(&self, source: RunSource) -> Result<(Definition, Map<String, Value>, Vec<Happened>)> {
        match source {
            RunSource::Named { name, inputs } => {
                Ok((self.runner.definition(&name).await?, object(&inputs)?, Vec::new()))
            }
            RunSource::Document { text, inputs } => {
                let workflow = read::read("workflow", &text).map_err(|mut errors| errors.swap_remove(0))?;
                Ok((loose(workflow.name, workflow.version, text), object(&inputs)?, Vec::new()))
            }
            RunSource::Earlier { run, keep } => {
                let (run, journal) = self.runner.load(&run).await?;
                if !run.status.is_over() {
                    let message = format!(
                        "the run `{}` is {}; only one that is over is begun again",
                        run.id,
                        run.status.word()
                    );
                    return Err(Error::new(&codes::RUN_STATE, message)
                        .hint(format!("umcp workflow cancel {}", run.id)));
                }
                if keep && run.status == Status::Completed {
                    let message = format!("the run `{}` is completed; there is nothing to try again", run.id);
                    return Err(Error::new(&codes::RUN_STATE, message)
                        .hint(format!("umcp workflow replay {}", run.id)));
                }
                let events = journal.into_iter().flat_map(|entry| entry.events);
                let workflow = compile(&run.text)?;
                let kept = |event: &Happened| {
                    is_kept(event) && event.path().is_some_and(|path| !is_handler(&workflow, path))
                };
                let seed = if keep { events.filter(kept).collect() } else { Vec::new() };
                let inputs = object(&run.inputs)?;
                Ok((loose(run.workflow, run.version, run.text), inputs, seed))
            }
        }
    }

    /// Sees a run that is under way to its end.
    pub(super) async fn follow_run(&self, id: &str, events: &mpsc::UnboundedSender<Event>) -> Result<Run> {
        let happening = self.runner.follow();
        self.see(id, happening, |event| drop(events.send(event))).await
    }

    async fn see(
        &self,
        id: &str,
        mut happening: broadcast::Receiver<Event>,
        tell: impl Fn(Event),
    ) -> Result<Run> {
        let over = self.runner.wait(id);
        tokio::pin!(over);
        let hand_on = |event: Event| {
            if matches!(&event, Event::Run { run, .. } if run == id) {
                // Who asked may have gone; the run goes on.
                tell(event);
            }
        };
        let ended = loop {
            tokio::select! {
                biased;
                event = happening.recv() => match event {
                    Ok(event) => hand_on(event),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => break over.await,
                },
                ended = &mut over => break ended,
            }
        };
        while let Ok(event) = happening.try_recv() {
            hand_on(event);
        }
        ended
    }
}

/// What of a run is worth a line to a client.
fn progress(event: &Happened) -> Option<String> {
    Some(match event {
        Happened::Finished { path, outcome } => {
            let word = match outcome {
                Outcome::Done(_) => "done",
                Outcome::Failed(_) => "failed",
                Outcome::Skipped => return None,
                Outcome::Cancelled => "cancelled",
            };
            format!("{path}: {word}")
        }
        Happened::Retry { path, failure, .. } => format!("{path}: {}, is tried again", failure.message),
        Happened::Waiting { path, message, .. } if message.is_empty() => format!("{path}: waits"),
        Happened::Waiting { path, message, .. } => format!("{path}: waits for an answer: {message}"),
        _ => return None,
    })
}

/// What a retry takes over: steps that were done or skipped, but not those that dealt with the failure.
fn is_kept(event: &Happened) -> bool {
    matches!(event, Happened::Finished { outcome: Outcome::Done(_) | Outcome::Skipped, .. })
}

/// A document as if it were stored.
fn loose(name: String, version: String, text: String) -> Definition {
    Definition { name, version, text, ..Definition::default() }
}

fn object(text: &str) -> Result<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err(Error::new(&codes::ARGUMENTS_INVALID, "the inputs of a workflow are a JSON object")),
    }
}
