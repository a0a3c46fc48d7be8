//! Runs workflows: keeps one task for each run that is under way, starts them, takes orders for them and takes them up
//! again when the daemon starts. What is next is decided by `workflows::machine`; every call goes through `Caller`.
//! Rule: what a task does is written down before it is done, and what came of it before anything follows.

mod cached;
mod child;
mod drive;
mod outcome;
mod own;
mod sealed;
pub mod target;

use super::Caller;
use crate::clock::Timestamp;
use crate::engine::live::{self, RunOrder};
use crate::engine::{Reply, StoreRequest};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::workflows::journal::{Event, Failure, Status};
use crate::workflows::model::Workflow;
use crate::workflows::{self, Definition, Run, check, read, start};
use futures_util::future::{AbortHandle, AbortRegistration, Abortable};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// How deep workflows may start workflows.
const MAX_DEPTH: usize = 8;

/// All runs of this daemon.
pub struct Runner {
    caller: Arc<Caller>,
    runs: Mutex<HashMap<String, Handle>>,
    cached: cached::Cached,
    /// What happens in any run.
    happening: broadcast::Sender<live::Event>,
}

/// The way to a run's task.
#[derive(Clone)]
struct Handle {
    orders: mpsc::UnboundedSender<Ordered>,
    status: watch::Receiver<Status>,
    depth: usize,
    task: AbortHandle,
}

/// A run's place on the list, for the task that will be it.
struct Seat {
    queue: mpsc::UnboundedReceiver<Ordered>,
    status: watch::Sender<Status>,
    registration: AbortRegistration,
    leaving: Leaving,
}

/// An order, and where to say that it is written down, or why it cannot be followed.
type Ordered = (RunOrder, oneshot::Sender<Result<()>>);

/// How a run is to begin.
pub struct Start {
    pub definition: Definition,
    pub inputs: Map<String, Value>,
    pub by: String,
    pub parent: Option<String>,
    /// `None`: a fresh one.
    pub id: Option<String>,
    /// What is taken over from an earlier run.
    pub seed: Vec<Event>,
    pub depth: usize,
}

impl Runner {
    pub fn new(caller: Arc<Caller>, happening: broadcast::Sender<live::Event>) -> Arc<Self> {
        let (runs, cached) = (Mutex::default(), cached::Cached::default());
        Arc::new(Self { caller, runs, cached, happening })
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Handle>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs that are under way, for whoever decides whether the daemon is needed.
    pub fn count(&self) -> usize {
        self.runs().len()
    }

    /// What happens in any run from now on.
    pub fn follow(&self) -> broadcast::Receiver<live::Event> {
        self.happening.subscribe()
    }

    /// Takes up every run that is not over; a step that was being done is interrupted. Gives how many, and why others
    /// could not be taken up.
    pub async fn recover(self: &Arc<Self>) -> Result<(usize, Vec<Error>)> {
        let reply = self.store(workflows::Request::Unfinished).await?;
        let workflows::Reply::Runs(runs) = reply else { return Err(Error::bug("no list of runs")) };
        let parents: HashMap<String, Option<String>> =
            runs.iter().map(|run| (run.id.clone(), run.parent.clone())).collect();
        let (mut count, mut failed) = (0, Vec::new());
        for run in runs {
            match self.take_up(&run, &parents).await {
                Ok(()) => count += 1,
                Err(error) => failed.push(error),
            }
        }
        Ok((count, failed))
    }

    async fn take_up(self: &Arc<Self>, run: &Run, parents: &HashMap<String, Option<String>>) -> Result<()> {
        if run.parent.as_ref().is_some_and(|parent| !parents.contains_key(parent)) {
            // Whoever waited for it is over.
            return self.close(run, Status::Cancelled, None).await;
        }
        let workflow = match compile(&run.text) {
            Ok(workflow) => workflow,
            Err(error) => return self.close(run, Status::Failed, Some(outcome::failure(&error))).await,
        };
        let above =
            std::iter::successors(run.parent.clone(), |parent| parents.get(parent).cloned().flatten());
        let depth = above.take(MAX_DEPTH).count();
        let (run, journal) = self.load(&run.id).await?;
        let sealed = match sealed::load(&self.caller.world.shared, &run.id, &workflow).await {
            Ok(sealed) => sealed,
            Err(error) if error.is(&codes::SECRET_NOT_FOUND) => {
                return self.close(&run, Status::Failed, Some(outcome::failure(&error))).await;
            }
            Err(error) => return Err(error),
        };
        let seat = self.seat(&run.id, depth, run.status)?;
        self.launch((workflow, sealed), run, journal, seat);
        Ok(())
    }

    /// Stops all tasks as if the daemon had been killed: what they were doing is interrupted, not failed.
    pub fn halt(&self) {
        let tasks: Vec<AbortHandle> = self.runs().values().map(|handle| handle.task.clone()).collect();
        tasks.iter().for_each(AbortHandle::abort);
    }

    /// Begins a run and gives its id; it goes on by itself. From here on it takes orders, so that one that comes
    /// before it is written down is not lost.
    ///
    /// # Errors
    /// `RUN_EXISTS` when a run of this id is under way or was.
    pub async fn begin(self: &Arc<Self>, start: Start) -> Result<Run> {
        let id = start.id.clone().unwrap_or_else(|| ids::fresh("wf"));
        let seat = self.seat(&id, start.depth, Status::Running)?;
        // In a task of its own: who asks may go away, and a run that is written down must be under way.
        let runner = self.clone();
        let begun = tokio::spawn(async move { runner.begin_now(start, id, seat).await }).await;
        begun.map_err(|error| Error::bug("a run did not begin").because(error))?
    }

    async fn begin_now(self: &Arc<Self>, start: Start, id: String, seat: Seat) -> Result<Run> {
        if start.depth > MAX_DEPTH {
            let message = format!("workflows start each other more than {MAX_DEPTH} deep");
            return Err(Error::new(&codes::RUN_FAILED, message));
        }
        let workflow = compile(&start.definition.text)?;
        let mut inputs = start::inputs(&workflow, start.inputs)?;
        let sealed = sealed::apart(&workflow, &mut inputs)?;
        if !sealed.is_empty() {
            sealed::keep(&self.caller.world.shared, &id, &sealed).await?;
        }
        let run = Run {
            id,
            workflow: start.definition.name,
            version: workflow.version.clone(),
            text: start.definition.text,
            inputs: Value::Object(inputs).to_string(),
            started: self.now(),
            by: start.by,
            parent: start.parent,
            status: Status::Running,
            ended: None,
            outputs: String::new(),
            failure: None,
        };
        let seed = start.seed;
        let begin = workflows::Request::Begin { run: Box::new(run.clone()), seed: seed.clone() };
        if let Err(error) = self.store(begin).await {
            if !sealed.is_empty() {
                sealed::forget(&self.caller.world.shared, &run.id).await;
            }
            return Err(error);
        }
        let seeded = (!seed.is_empty()).then_some(workflows::Entry { at: run.started, events: seed });
        self.launch((workflow, sealed), run.clone(), seeded.into_iter().collect(), seat);
        Ok(run)
    }

    /// Waits until a run is over or stands still.
    pub async fn wait(&self, id: &str) -> Result<Run> {
        loop {
            let handle = self.runs().get(id).cloned();
            let taken_up = handle.is_some();
            if let Some(mut handle) = handle {
                let rests = |status: &Status| status.is_over() || *status == Status::Uncertain;
                // An error: the task is gone, and the store knows more.
                let _ = handle.status.wait_for(rests).await;
            }
            let (run, _) = self.load(id).await?;
            if taken_up || run.status.is_over() || run.status == Status::Uncertain {
                return Ok(run);
            }
            // It is about to be taken up after a start of the daemon.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Gives an order to a run; it is written down when this returns.
    ///
    /// # Errors
    /// `RUN_STATE` when the run takes no such order now.
    pub async fn order(&self, id: &str, order: RunOrder) -> Result<Run> {
        // One that is being written down has no row yet.
        let begun = self.runs().get(id).cloned();
        if let Some(handle) = begun {
            let (reply, replied) = oneshot::channel();
            let sent = handle.orders.send((order.clone(), reply)).is_ok();
            if let (true, Ok(followed)) = (sent, replied.await) {
                followed?;
                return self.load(id).await.map(|(run, _)| run);
            }
        }
        let (run, _) = self.load(id).await?;
        let over = || {
            let message = format!("the run `{}` is {} and takes no orders", run.id, run.status.word());
            let verb = if run.status == Status::Completed { "replay" } else { "retry" };
            Error::new(&codes::RUN_STATE, message).hint(format!("umcp workflow {verb} {}", run.id))
        };
        let handle = self.runs().get(&run.id).cloned().ok_or_else(over)?;
        let (reply, replied) = oneshot::channel();
        handle.orders.send((order, reply)).map_err(|_| over())?;
        replied.await.map_err(|_| over())??;
        self.load(&run.id).await.map(|(run, _)| run)
    }

    /// A run and its journal.
    pub async fn load(&self, id: &str) -> Result<(Run, Vec<workflows::Entry>)> {
        match self.store(workflows::Request::Run { id: id.into() }).await? {
            workflows::Reply::Run { run, journal } => Ok((*run, journal)),
            _ => Err(Error::bug("no run in the reply")),
        }
    }

    /// The document of a workflow by its name.
    pub async fn definition(&self, name: &str) -> Result<Definition> {
        match self.store(workflows::Request::Show { name: name.into() }).await? {
            workflows::Reply::Definition(definition) => Ok(*definition),
            _ => Err(Error::bug("no workflow in the reply")),
        }
    }

    /// Puts a run on the list; it comes off when the seat is dropped.
    fn seat(self: &Arc<Self>, id: &str, depth: usize, status: Status) -> Result<Seat> {
        let (orders, queue) = mpsc::unbounded_channel();
        let (status, seen) = watch::channel(status);
        let (task, registration) = AbortHandle::new_pair();
        let mut runs = self.runs();
        if runs.contains_key(id) {
            return Err(Error::new(&codes::RUN_EXISTS, format!("a run `{id}` exists already")));
        }
        runs.insert(id.into(), Handle { orders, status: seen, depth, task });
        Ok(Seat { queue, status, registration, leaving: Leaving { runner: self.clone(), id: id.into() } })
    }

    fn launch(
        self: &Arc<Self>,
        (workflow, sealed): (Arc<Workflow>, Map<String, Value>),
        run: Run,
        journal: Vec<workflows::Entry>,
        seat: Seat,
    ) {
        let runner = self.clone();
        let Seat { queue, status, registration, leaving } = seat;
        let work = async move {
            // However the task ends, nobody waits for it any more.
            let _leaving = leaving;
            drive::Drive::new(runner, workflow, run, journal, sealed, status).run(queue).await;
        };
        tokio::spawn(Abortable::new(work, registration));
    }

    /// Ends a run that nobody can go on with.
    async fn close(&self, run: &Run, status: Status, failure: Option<Failure>) -> Result<()> {
        let events = vec![Event::Ended { status, outputs: "{}".into(), failure }];
        let at = self.now();
        // Behind every entry that can be there.
        let record =
            workflows::Request::Record { run: run.id.clone(), entry: 9_999_999_999, at, status, events };
        self.store(record).await.map(drop)
    }

    fn now(&self) -> Timestamp {
        self.caller.world.shared.engine.now()
    }

    async fn store(&self, request: workflows::Request) -> Result<workflows::Reply> {
        let engine = self.caller.world.shared.engine.clone();
        let answered =
            tokio::task::spawn_blocking(move || engine.call(StoreRequest::Workflow(request))).await;
        match answered.map_err(|error| Error::bug("a store request did not end").because(error))?? {
            Reply::Workflow(reply) => Ok(reply),
            other => crate::engine::unexpected(&other),
        }
    }
}

/// Takes a run off the list when its task is gone.
struct Leaving {
    runner: Arc<Runner>,
    id: String,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.runner.runs().remove(&self.id);
    }
}

/// Cancels a run when whoever waits for it stops waiting.
pub struct Abandon {
    runner: Arc<Runner>,
    id: String,
    armed: bool,
}

impl Abandon {
    pub fn new(runner: &Arc<Runner>, id: &str) -> Self {
        Self { runner: runner.clone(), id: id.into(), armed: true }
    }

    /// The run is over.
    pub fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Abandon {
    fn drop(&mut self) {
        if let (true, Some(handle)) = (self.armed, self.runner.runs().get(&self.id)) {
            let _ = handle.orders.send((RunOrder::Cancel, oneshot::channel().0));
        }
    }
}

/// A document that was accepted once, to a workflow.
pub fn compile(text: &str) -> Result<Arc<Workflow>> {
    let first = |mut errors: Vec<Error>| errors.swap_remove(0);
    let mut workflow = read::read("workflow", text).map_err(first)?;
    let findings = check::check("workflow", text, &mut workflow, None);
    match findings.errors.into_iter().next() {
        None => Ok(Arc::new(workflow)),
        Some(error) => Err(error),
    }
}
