//! The task of one run: asks the machine, writes down, does, listens. Decides nothing itself.

use super::outcome::failure;
use super::target::{self, Who};
use super::{Ordered, Runner};
use super::{cached, child, own, sealed};
use crate::engine::live::{self, RunOrder};
use crate::error::{Error, Result, codes};
use crate::usage::Door;
use crate::workflows::journal::{Event, Failure, Json, Outcome, Path, Status};
use crate::workflows::machine::{Command, Machine};
use crate::workflows::model::Workflow;
use crate::workflows::{self, Entry, Run};
use futures_util::future::{AbortHandle, Abortable};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// Longest sleep: a clock that jumped, as after a suspend, is noticed after this.
const NAP: Duration = Duration::from_secs(20);
/// Pause before a commit that failed is tried again, and how often.
const COMMIT_PAUSE: Duration = Duration::from_millis(500);
const COMMIT_TRIES: u32 = 20;

pub struct Drive {
    runner: Arc<Runner>,
    run: Run,
    machine: Machine,
    /// It has secret inputs, which no result may repeat.
    hides: bool,
    /// Number of the next entry of the journal.
    entry: u64,
    status: watch::Sender<Status>,
    /// What is being done, and how to stop it.
    doing: HashMap<Path, AbortHandle>,
    /// Where what is done tells what came of it, and where that is heard.
    report: mpsc::UnboundedSender<(Path, Outcome)>,
    reports: mpsc::UnboundedReceiver<(Path, Outcome)>,
    /// Taken in, not yet written down.
    events: Vec<Event>,
    /// Who is to be told once it is.
    followed: Vec<oneshot::Sender<Result<()>>>,
}

impl Drive {
    pub fn new(
        runner: Arc<Runner>,
        workflow: Arc<Workflow>,
        run: Run,
        journal: Vec<Entry>,
        sealed: serde_json::Map<String, Value>,
        status: watch::Sender<Status>,
    ) -> Self {
        let entry = journal.len() as u64;
        let hides = !sealed.is_empty();
        let mut inputs = match serde_json::from_str(&run.inputs) {
            Ok(Value::Object(inputs)) => inputs,
            _ => serde_json::Map::new(),
        };
        inputs.extend(sealed);
        let events = journal.into_iter().flat_map(|entry| entry.events);
        let machine = Machine::new(workflow, &run.id, inputs, run.started).replay(events);
        let (report, reports) = mpsc::unbounded_channel();
        let mut drive = Self {
            runner,
            run,
            machine,
            hides,
            entry,
            status,
            doing: HashMap::new(),
            report,
            reports,
            events: Vec::new(),
            followed: Vec::new(),
        };
        for path in drive.machine.unfinished() {
            drive.take_in(Event::Interrupted { path });
        }
        drive
    }

    /// Until the run is over or cannot be written down.
    pub async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Ordered>) {
        // What was ordered while the run was written down comes before its first step.
        while let Ok(ordered) = orders.try_recv() {
            self.take_order(ordered);
        }
        loop {
            let next = self.machine.next(self.runner.now());
            self.events.extend(next.events);
            if self.commit().await.is_err() {
                // Nothing that was not written down may follow; the run is taken up at the next start.
                self.stop();
                return;
            }
            for reply in self.followed.drain(..) {
                // Who asked may have gone.
                let _ = reply.send(Ok(()));
            }
            for command in next.commands {
                self.obey(command);
            }
            self.status.send_replace(self.machine.status());
            if self.machine.ended().is_some() {
                self.stop();
                if self.hides {
                    sealed::forget(&self.runner.caller.world.shared, &self.run.id).await;
                }
                return;
            }
            // A walk that was long enough goes on when others have had their turn.
            tokio::task::yield_now().await;
            let nap = next
                .wake
                .map_or(NAP, |wake| Duration::from_millis(wake.since_ms(self.runner.now())).min(NAP));
            tokio::select! {
                biased;
                Some(ordered) = orders.recv() => self.take_order(ordered),
                Some((path, outcome)) = self.reports.recv() => self.came(&path, outcome),
                () = tokio::time::sleep(nap) => {}
            }
            // Whatever else has come belongs into the same commit.
            while let Ok((path, outcome)) = self.reports.try_recv() {
                self.came(&path, outcome);
            }
        }
    }

    fn take_in(&mut self, event: Event) {
        self.machine.apply(&event);
        self.events.push(event);
    }

    fn came(&mut self, path: &str, outcome: Outcome) {
        self.doing.remove(path);
        if let Some(event) = self.machine.attempted(path, outcome, self.runner.now()) {
            self.take_in(event);
        }
    }

    fn take_order(&mut self, (order, reply): Ordered) {
        match self.ordered(order) {
            Ok(()) => self.followed.push(reply),
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn ordered(&mut self, order: RunOrder) -> Result<()> {
        let status = self.machine.status();
        let wrong = |wanted: &str| {
            let message = format!("the run `{}` is {}, not {wanted}", self.run.id, status.word());
            Err(Error::new(&codes::RUN_STATE, message))
        };
        match order {
            RunOrder::Cancel => self.take_in(Event::CancelAsked),
            RunOrder::Pause if status != Status::Running => return wrong("running"),
            RunOrder::Pause => self.take_in(Event::Paused),
            RunOrder::Resume if status == Status::Uncertain => {
                return wrong("paused").map_err(|error: Error| {
                    error.hint(format!("umcp workflow settle {} --done or --again", self.run.id))
                });
            }
            RunOrder::Resume if status != Status::Paused => return wrong("paused"),
            RunOrder::Resume => self.take_in(Event::Resumed),
            RunOrder::Approve { step, yes, note } => {
                let path = one(self.machine.approvals(), step, "waits for a person", &self.run.id)?;
                let outcome = match yes {
                    true => Outcome::Done(Json(serde_json::json!({"approved": true, "note": note}))),
                    false => {
                        let reason = if note.is_empty() {
                            "a person said no".into()
                        } else {
                            format!("a person said no: {note}")
                        };
                        Outcome::Failed(Failure::new("refused", "UM0005", reason))
                    }
                };
                self.take_in(Event::Finished { path, outcome });
            }
            RunOrder::Settle { .. } if status != Status::Uncertain => return wrong("uncertain"),
            RunOrder::Settle { step, done } => {
                let path = one(self.machine.uncertain(), step, "was interrupted", &self.run.id)?;
                if let Some(result) = done {
                    let value = serde_json::from_str(&result).unwrap_or(Value::String(result));
                    self.take_in(Event::Finished { path, outcome: Outcome::Done(Json(value)) });
                } else {
                    self.take_in(Event::Again { path });
                }
            }
        }
        Ok(())
    }

    /// Makes what was taken in durable, and tells of it.
    async fn commit(&mut self) -> Result<()> {
        if self.events.is_empty() {
            return Ok(());
        }
        let events = std::mem::take(&mut self.events);
        let at = self.runner.now();
        let mut tries = 0;
        loop {
            let record = workflows::Request::Record {
                run: self.run.id.clone(),
                entry: self.entry,
                at,
                status: self.machine.standing(),
                events: events.clone(),
            };
            match self.runner.store(record).await {
                Ok(_) => break,
                Err(_) if tries < COMMIT_TRIES => {
                    tries += 1;
                    tokio::time::sleep(COMMIT_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
        self.entry += 1;
        for event in events {
            // Nobody listens: nothing to tell.
            let _ = self.runner.happening.send(live::Event::Run { at, run: self.run.id.clone(), event });
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        let work = match command {
            Command::Cancel { path } => {
                if let Some(task) = self.doing.remove(&path) {
                    task.abort();
                }
                return;
            }
            command => command,
        };
        let Some((path, timeout_ms)) = work.starts() else { return };
        let (path, timeout) = (path.clone(), timeout_ms.map(Duration::from_millis));
        let (abort, registration) = AbortHandle::new_pair();
        self.doing.insert(path.clone(), abort);
        let (runner, run, done) = (self.runner.clone(), self.run.clone(), self.report.clone());
        let hides = self.hides;
        let work = async move {
            let doing = perform(&runner, &run, work, timeout);
            let outcome = match timeout {
                None => doing.await,
                Some(limit) => tokio::time::timeout(limit, doing).await.unwrap_or_else(|_| {
                    let message = format!("the step took longer than {} ms", limit.as_millis());
                    Outcome::Failed(Failure::new("timeout", "UM0006", message))
                }),
            };
            let outcome = if hides { sealed::hidden(&runner.caller.world.shared, outcome) } else { outcome };
            let _ = done.send((path, outcome));
        };
        tokio::spawn(Abortable::new(work, registration));
    }

    fn stop(&mut self) {
        for (_, task) in self.doing.drain() {
            task.abort();
        }
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn perform(runner: &Arc<Runner>, run: &Run, command: Command, timeout: Option<Duration>) -> Outcome {
    let kept = cached::key(&command);
    if let Some(value) = kept.as_ref().and_then(|(key, _)| runner.cached.get(key, Instant::now())) {
        return Outcome::Done(Json(value));
    }
    let client = format!("workflow:{}", run.workflow);
    let outcome = match command {
        Command::Call { target, arguments, key, .. } => {
            let who = Who { client: &client, door: Door::Workflow, run: Some(&run.id), key: &key };
            target::outcome(&runner.caller, who, &target, &arguments, timeout).await
        }
        Command::Own { what, values, key, .. } => {
            own::outcome(&runner.caller, (&client, &run.id), what, values, &key, timeout).await
        }
        Command::Run { path, runs, name, inputs, .. } => {
            child::run(runner, run, &path, (runs, &name), inputs)
                .await
                .unwrap_or_else(|error| Outcome::Failed(failure(&error)))
        }
        Command::Cancel { .. } => Outcome::Cancelled,
    };
    if let (Some((key, good)), Outcome::Done(Json(value))) = (kept, &outcome) {
        runner.cached.put(key, value, Instant::now() + good);
    }
    outcome
}

/// The one step an order is about.
fn one(open: Vec<Path>, named: Option<String>, what: &str, run: &str) -> Result<Path> {
    let list = open.join(", ");
    match named {
        Some(step) if open.contains(&step) => Ok(step),
        Some(step) => {
            let error =
                Error::new(&codes::RUN_STATE, format!("the step `{step}` of `{run}` is none that {what}"));
            Err(if open.is_empty() { error } else { error.hint(format!("those are: {list}")) })
        }
        None => match <[Path; 1]>::try_from(open) {
            Ok([path]) => Ok(path),
            Err(open) if open.is_empty() => {
                Err(Error::new(&codes::RUN_STATE, format!("no step of `{run}` {what}")))
            }
            Err(_) => Err(Error::new(&codes::USAGE, format!("several steps of `{run}`: {list}"))
                .hint("name one with --step")),
        },
    }
}
