//! The run state machine: a workflow and the events so far, to what is to be done next. Pure and deterministic: no
//! clock, no store, no tasks. The runner does what it says and writes down what became of it.
//!
//! It walks the tree of steps anew for every decision and computes whatever follows from the events (conditions,
//! branches, the results of composite steps), so that only outcomes of leaves are ever written down. What is done is
//! remembered, so a walk looks at open steps only.
//! Long because the state, what changes it and the round that decides read as one.

mod blocks;
mod leaves;
mod loops;
mod paths;

use super::journal::{Event, Failure, Json, Outcome, Path, Status};
use super::model::{Action, Own, Runs, Shape, Workflow};
use crate::clock::Timestamp;
use crate::expressions::{Fault, Names, Scope};
pub use paths::is_handler;
use paths::{find, split};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// One run.
#[derive(Debug)]
pub struct Machine {
    workflow: Arc<Workflow>,
    /// Inputs, templates, `workflow`, `run` and the steps that are done.
    base: Names,
    /// The names of a round of a loop, of a `catch` or of a fallback, by the prefix of its paths.
    layers: HashMap<String, Names>,
    leaves: HashMap<Path, Leaf>,
    /// Every step that is over, leaves and composites; one that failed may still have a fallback under way.
    done: HashMap<Path, Outcome>,
    /// Steps that failed and are dealt with.
    settled: HashSet<Path>,
    /// The first step of a block, or round of a loop, that is not over.
    cursors: HashMap<String, usize>,
    /// Steps whose condition held, and what they chose: a branch, or the items of a loop.
    entered: HashMap<Path, Entered>,
    /// Results of the rounds of loops, by the prefix of the round.
    rounds: HashMap<String, Value>,
    /// Steps being done now.
    running: usize,
    status: Status,
    cancelling: bool,
    timed_out: bool,
    /// Why the steps failed, once they have: what is left is `finally`.
    failed: Option<Failure>,
    /// When the run began, for its deadline.
    began: Timestamp,
    ended: Option<(Status, Value, Option<Failure>)>,
    /// Steps that may still come to their end in this walk before loops rest.
    patience: usize,
}

/// Steps that end within one walk, after which loops begin no further round before they are asked again: whoever walks
/// has other work, and rounds that call nothing need no news to go on. Steps that stay open are not counted, so that
/// every walk gets further.
const PATIENCE: usize = 200;

/// A step that does something itself.
#[derive(Debug, Clone, PartialEq)]
struct Leaf {
    attempts: u32,
    phase: Phase,
}

#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Running,
    /// Was running when the daemon ended.
    Interrupted,
    Again(Timestamp),
    Waiting(Option<Timestamp>),
}

/// What was decided when a step was entered.
#[derive(Debug, Clone)]
enum Entered {
    Plain,
    Branch(usize),
    Items(Arc<Vec<Value>>),
}

/// What the runner is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Call {
        path: Path,
        target: String,
        arguments: Value,
        timeout_ms: Option<u64>,
        cache_ms: Option<u64>,
        /// The same for every attempt of this step in this run.
        key: String,
    },
    Run {
        path: Path,
        runs: Runs,
        name: String,
        inputs: Value,
        timeout_ms: Option<u64>,
    },
    Own {
        path: Path,
        what: Own,
        values: Value,
        timeout_ms: Option<u64>,
        cache_ms: Option<u64>,
        key: String,
    },
    /// Stop doing it; nothing is heard of it again.
    Cancel {
        path: Path,
    },
}

impl Command {
    /// The step that is to be done, and how long it may take.
    pub fn starts(&self) -> Option<(&Path, Option<u64>)> {
        match self {
            Self::Call { path, timeout_ms, .. }
            | Self::Run { path, timeout_ms, .. }
            | Self::Own { path, timeout_ms, .. } => Some((path, *timeout_ms)),
            Self::Cancel { .. } => None,
        }
    }
}

/// A decision: what to write down first, what to do then, and when to ask again without news.
#[derive(Debug, Default, PartialEq)]
pub struct Next {
    pub events: Vec<Event>,
    pub commands: Vec<Command>,
    pub wake: Option<Timestamp>,
}

/// What a walk over a block or a step found.
#[derive(Debug, Clone, PartialEq)]
enum Found {
    Open,
    /// With the result of the last step that was done.
    Done(Value),
    Failed(Failure),
}

impl Machine {
    /// A run that has just begun; `inputs` are complete and checked.
    pub fn new(workflow: Arc<Workflow>, run: &str, inputs: Map<String, Value>, began: Timestamp) -> Self {
        let mut base = Map::new();
        base.insert("inputs".into(), inputs.into());
        base.insert("workflow".into(), json!({"name": workflow.name, "version": workflow.version}));
        base.insert("run".into(), json!({"id": run, "started": began.rfc3339()}));
        base.insert("steps".into(), Value::Object(Map::new()));
        base.insert("templates".into(), Value::Object(Map::new()));
        let mut machine = Self {
            workflow,
            base,
            layers: HashMap::new(),
            leaves: HashMap::new(),
            done: HashMap::new(),
            settled: HashSet::new(),
            cursors: HashMap::new(),
            entered: HashMap::new(),
            rounds: HashMap::new(),
            running: 0,
            status: Status::Running,
            cancelling: false,
            timed_out: false,
            failed: None,
            began,
            ended: None,
            patience: PATIENCE,
        };
        machine.render_templates();
        machine
    }

    /// The run as its events leave it.
    pub fn replay(mut self, events: impl IntoIterator<Item = Event>) -> Self {
        for event in events {
            self.apply(&event);
        }
        self
    }

    pub fn status(&self) -> Status {
        self.status
    }

    /// How the run stands for whoever looks at it: one that only waits for a person says so.
    pub fn standing(&self) -> Status {
        let rests = |leaf: &Leaf| matches!(leaf.phase, Phase::Waiting(_));
        match self.status {
            Status::Running
                if self.running == 0 && self.leaves.values().all(rests) && !self.approvals().is_empty() =>
            {
                Status::Waiting
            }
            status => status,
        }
    }

    /// Steps being done, for a runner that has lost them: they are interrupted.
    pub fn unfinished(&self) -> Vec<Path> {
        self.open(|_, _, leaf| leaf.phase == Phase::Running)
    }

    /// Steps that wait for a person.
    pub fn approvals(&self) -> Vec<Path> {
        self.open(|machine, path, leaf| {
            matches!(leaf.phase, Phase::Waiting(_))
                && find(&machine.workflow, path)
                    .is_some_and(|step| matches!(step.action, Action::Approval { .. }))
        })
    }

    /// Interrupted steps that a person decides about.
    pub fn uncertain(&self) -> Vec<Path> {
        self.open(|machine, path, leaf| leaf.phase == Phase::Interrupted && !machine.is_idempotent(path))
    }

    fn open(&self, wanted: impl Fn(&Self, &str, &Leaf) -> bool) -> Vec<Path> {
        let found = self.leaves.iter().filter(|(path, leaf)| wanted(self, path, leaf));
        let mut paths: Vec<Path> = found.map(|(path, _)| path.clone()).collect();
        paths.sort();
        paths
    }

    /// How it ended: status, outputs and the reason of a failure.
    pub fn ended(&self) -> Option<&(Status, Value, Option<Failure>)> {
        self.ended.as_ref()
    }

    /// Whether the step at a path may be done again by itself after an interruption.
    pub fn is_idempotent(&self, path: &str) -> bool {
        find(&self.workflow, path).is_none_or(|step| step.idempotent)
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Started { path, attempt } => {
                self.running += usize::from(self.phase(path) != Some(&Phase::Running));
                self.leaves.insert(path.clone(), Leaf { attempts: *attempt, phase: Phase::Running });
            }
            Event::Retry { path, again, .. } => self.set(path, Phase::Again(*again)),
            Event::Waiting { path, until, .. } => self.set(path, Phase::Waiting(*until)),
            Event::Interrupted { path } => {
                self.set(path, Phase::Interrupted);
                if !self.is_idempotent(path) {
                    self.status = Status::Uncertain;
                }
            }
            Event::Finished { path, outcome } => {
                self.finish(path, outcome.clone());
                self.decided();
            }
            Event::Again { path } => {
                self.set(path, Phase::Again(Timestamp::default()));
                self.decided();
            }
            Event::TimedOut => self.timed_out = true,
            Event::Paused => self.status = Status::Paused,
            Event::Resumed if self.status == Status::Paused => self.status = Status::Running,
            Event::Resumed => {}
            Event::CancelAsked => self.cancelling = true,
            Event::Ended { status, outputs, failure } => {
                self.status = *status;
                let outputs = serde_json::from_str(outputs).unwrap_or_default();
                self.ended = Some((*status, outputs, failure.clone()));
            }
        }
    }

    /// A run goes on once nothing is left for a person to decide.
    fn decided(&mut self) {
        if self.status == Status::Uncertain && self.uncertain().is_empty() {
            self.status = Status::Running;
        }
    }

    /// What an attempt came to: the events that follow from it.
    pub fn attempted(&self, path: &str, outcome: Outcome, now: Timestamp) -> Option<Event> {
        if self.phase(path) != Some(&Phase::Running) {
            return None;
        }
        let attempts = self.leaves.get(path).map_or(1, |leaf| leaf.attempts);
        if let (Outcome::Failed(failure), Some(step)) = (&outcome, find(&self.workflow, path))
            && attempts < step.retry.attempts
            && failure.may_pass()
            && step.retry.matches(failure)
            && !self.cancelling
        {
            let again = now.plus_ms(step.retry.pause_ms(attempts));
            return Some(Event::Retry { path: path.into(), failure: failure.clone(), again });
        }
        Some(Event::Finished { path: path.into(), outcome })
    }

    /// Decides what is next. The events are taken in already; the caller writes them down before it acts.
    pub fn next(&mut self, now: Timestamp) -> Next {
        let mut next = Next::default();
        self.patience = PATIENCE;
        if self.status.is_over() {
            return next;
        }
        if self.cancelling {
            self.cancel_below("", &mut next);
            self.end(Status::Cancelled, Map::new().into(), None, &mut next);
            return next;
        }
        if matches!(self.status, Status::Paused | Status::Uncertain) {
            return next;
        }
        let workflow = self.workflow.clone();
        let found = self.steps(&workflow, now, &mut next);
        if found == Found::Open {
            return next;
        }
        match self.block(&workflow.finally, "", "finally", now, &mut next) {
            Found::Open => {}
            Found::Failed(failure) => self.conclude(Found::Failed(failure), &mut next),
            Found::Done(_) => self.conclude(found, &mut next),
        }
        next
    }

    /// Walks the steps, unless they have failed already, within the time the run may take.
    fn steps(&mut self, workflow: &Workflow, now: Timestamp, next: &mut Next) -> Found {
        if let Some(failure) = &self.failed {
            return Found::Failed(failure.clone());
        }
        let deadline = workflow.timeout_ms.map(|limit| self.began.plus_ms(limit));
        let mut found = match self.timed_out {
            true => Found::Open,
            false => self.block(&workflow.steps, "", "", now, next),
        };
        let late = deadline.is_some_and(|deadline| now >= deadline);
        if found == Found::Open && (late || self.timed_out) {
            self.cancel_below("", next);
            if !self.timed_out {
                self.note(Event::TimedOut, next);
            }
            found =
                Found::Failed(Failure::new("timeout", "UM0006", "the run took longer than its `timeout`"));
        }
        match &found {
            Found::Open => next.wake = [next.wake, deadline].into_iter().flatten().min(),
            Found::Failed(failure) => self.failed = Some(failure.clone()),
            Found::Done(_) => {}
        }
        found
    }

    fn conclude(&mut self, found: Found, next: &mut Next) {
        if let Found::Failed(failure) = found {
            return self.end(Status::Failed, Map::new().into(), Some(failure), next);
        }
        let mut outputs = Map::new();
        for (name, shape) in &self.workflow.clone().outputs {
            match shape.render(&Scope::new(&self.base)) {
                Ok(value) => drop(outputs.insert(name.clone(), value)),
                Err(fault) => {
                    let failure = expression(&format!("output `{name}`"), &fault);
                    return self.end(Status::Failed, outputs.into(), Some(failure), next);
                }
            }
        }
        self.end(Status::Completed, outputs.into(), None, next);
    }

    fn end(&mut self, status: Status, outputs: Value, failure: Option<Failure>, next: &mut Next) {
        let event = Event::Ended { status, outputs: outputs.to_string(), failure };
        self.note(event, next);
    }

    fn note(&mut self, event: Event, next: &mut Next) {
        self.apply(&event);
        next.events.push(event);
    }

    fn phase(&self, path: &str) -> Option<&Phase> {
        self.leaves.get(path).map(|leaf| &leaf.phase)
    }

    fn set(&mut self, path: &str, phase: Phase) {
        let leaf =
            self.leaves.entry(path.into()).or_insert(Leaf { attempts: 0, phase: Phase::Waiting(None) });
        self.running -= usize::from(leaf.phase == Phase::Running);
        leaf.phase = phase;
        if leaf.phase == Phase::Running {
            self.running += 1;
        }
    }

    /// A step is over: its entry appears in the scope of its block.
    fn finish(&mut self, path: &str, outcome: Outcome) {
        self.patience = self.patience.saturating_sub(1);
        let leaf = self.leaves.remove(path);
        self.running -= usize::from(leaf.as_ref().is_some_and(|leaf| leaf.phase == Phase::Running));
        let (prefix, id) = split(path);
        let status = match &outcome {
            Outcome::Done(_) => "completed",
            Outcome::Failed(_) => "failed",
            Outcome::Skipped => "skipped",
            Outcome::Cancelled => "cancelled",
        };
        let mut entry = Map::new();
        let result = match &outcome {
            Outcome::Done(Json(value)) => value.clone(),
            _ => Value::Null,
        };
        let composite = find(&self.workflow, path).is_some_and(|step| !step.action.blocks().is_empty());
        if composite {
            entry.insert("results".into(), result.clone());
        }
        entry.insert("result".into(), result);
        entry.insert("status".into(), status.into());
        entry.insert("attempts".into(), leaf.map_or(0, |leaf| leaf.attempts).into());
        let error = match &outcome {
            Outcome::Failed(failure) => error_value(failure),
            _ => Value::Null,
        };
        entry.insert("error".into(), error);
        let id = id.to_string();
        let names = match prefix {
            "" => &mut self.base,
            prefix => self.layers.entry(prefix.into()).or_default(),
        };
        if let Value::Object(steps) = names.entry("steps").or_insert_with(|| Value::Object(Map::new())) {
            steps.insert(id, entry.into());
        }
        self.done.insert(path.into(), outcome);
    }

    /// The names a step at `prefix` sees.
    fn scope(&self, prefix: &str) -> Scope<'_> {
        let mut scope = Scope::new(&self.base);
        for (end, _) in prefix.match_indices('/') {
            if let Some(layer) = self.layers.get(&prefix[..=end]) {
                scope = scope.with(layer);
            }
        }
        scope
    }

    fn render(&self, shape: &Shape, prefix: &str, what: &str) -> Result<Value, Failure> {
        shape.render(&self.scope(prefix)).map_err(|fault| expression(what, &fault))
    }

    fn render_templates(&mut self) {
        for (name, shape) in &self.workflow.clone().templates {
            // One that cannot be made is missing where it is used, and said there.
            if let Ok(value) = shape.render(&Scope::new(&self.base))
                && let Some(Value::Object(templates)) = self.base.get_mut("templates")
            {
                templates.insert(name.clone(), value);
            }
        }
    }

    /// Stops everything that is open below a prefix of paths.
    fn cancel_below(&mut self, prefix: &str, next: &mut Next) {
        let mut open: Vec<Path> =
            self.leaves.keys().filter(|path| path.starts_with(prefix)).cloned().collect();
        open.sort();
        for path in open {
            self.cancel(path, next);
        }
    }

    fn cancel(&mut self, path: Path, next: &mut Next) {
        if self.phase(&path) == Some(&Phase::Running) {
            next.commands.retain(|command| command.starts().is_none_or(|(started, _)| *started != path));
            next.commands.push(Command::Cancel { path: path.clone() });
        }
        self.note(Event::Finished { path, outcome: Outcome::Cancelled }, next);
    }
}

fn expression(what: &str, fault: &Fault) -> Failure {
    let hint = fault.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    Failure::new("expression", "UM1003", format!("{what}: {}{hint}", fault.message))
}

fn error_value(failure: &Failure) -> Value {
    json!({"class": failure.class, "code": failure.code, "message": failure.message})
}
