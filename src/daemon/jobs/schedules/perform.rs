//! One run of a schedule, from its beginning to the report of its end: attempts, pauses between them, the deadline.
//! What it calls goes through `Caller` or the runner of workflows, like everything else.

use super::{Jobs, Running, until};
use crate::calls::runner::target::{self, Who};
use crate::calls::runner::{Start, compile};
use crate::engine::live::RunOrder;
use crate::error::{Error, Result, codes};
use crate::schedules::due;
use crate::schedules::model::{Failure, Firing, Line, Status, Target};
use crate::schedules::{End, Reply, Request};
use crate::usage::Door;
use crate::workflows;
use crate::workflows::journal::Outcome;
use crate::workflows::model::Workflow;
use futures_util::future::{AbortHandle, Abortable};
use serde_json::{Map, Value};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A server that is busy is asked again after this, for so long; it costs no attempt.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
const BUSY_TRIES: u32 = 3000;
/// A workflow that is cancelled gets so long to wind up.
const FAREWELL: Duration = Duration::from_secs(10);

/// What came of one attempt: the result as JSON text, or why there is none, and whether trying again may help.
type Attempted = std::result::Result<String, (Failure, bool)>;

impl Jobs {
    /// Does a run that was written down as begun.
    pub(super) fn begin_firing(self: &Arc<Self>, firing: Firing) {
        let key = firing.key();
        let (task, registration) = AbortHandle::new_pair();
        self.keeper.running().insert(key.clone(), Running { firing: firing.clone(), task });
        let jobs = self.clone();
        let under_way = Arc::new(Mutex::new(firing));
        let work = async move {
            let first = now(&under_way);
            let attempts = Abortable::new(jobs.attempts(under_way.clone()), registration);
            let left = first
                .deadline_ms
                .map(|limit| until(jobs.now(), first.began.unwrap_or(first.due).plus_ms(limit)));
            let ended = match left {
                None => attempts.await,
                Some(left) => match tokio::time::timeout(left, attempts).await {
                    Ok(ended) => ended,
                    Err(_) => Ok(Err(too_long(first.deadline_ms.unwrap_or_default()))),
                },
            };
            if jobs.keeper.is_halted() {
                // The row stays open: the next daemon takes it up.
                return;
            }
            let firing = now(&under_way);
            let end = match ended {
                Ok(outcome) => jobs.ending(&firing, outcome),
                Err(_) => jobs.ending_with(&firing, Status::Cancelled, String::new(), None, "cancelled"),
            };
            if end.status != Status::Completed {
                jobs.wind_up(&firing).await;
            }
            jobs.report(end);
        };
        tokio::spawn(work);
    }

    /// Ends a run before its time; one that is not under way here is only wound up.
    pub(super) fn cancel_firing(self: &Arc<Self>, firing: Firing) {
        let task = self.keeper.running().get(&firing.key()).map(|running| running.task.clone());
        if let Some(task) = task {
            return task.abort();
        }
        let jobs = self.clone();
        tokio::spawn(async move {
            jobs.wind_up(&firing).await;
            jobs.report(jobs.ending_with(&firing, Status::Cancelled, String::new(), None, "cancelled"));
        });
    }

    async fn attempts(&self, under_way: Arc<Mutex<Firing>>) -> Attempted {
        loop {
            let firing = now(&under_way);
            let outcome = self.attempt(&firing).await;
            let Err((failure, may_pass)) = &outcome else { return outcome };
            if firing.attempts > firing.retries || !may_pass {
                return outcome;
            }
            let next = firing.attempts + 1;
            let pause = due::pause(firing.retry_after_ms, next);
            let why =
                format!("attempt {} failed: {}; attempt {next} begins", firing.attempts, failure.message);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let request = Request::Attempt { key: firing.key(), at: self.now(), attempt: next, why };
            match self.schedule(request).await {
                Ok(Reply::Firing(noted)) => {
                    *under_way.lock().unwrap_or_else(PoisonError::into_inner) = *noted
                }
                // The schedule is gone, or nothing can be written: what was not written down is not done.
                _ => return outcome,
            }
        }
    }

    async fn attempt(&self, firing: &Firing) -> Attempted {
        let input: Value = serde_json::from_str(&firing.input).unwrap_or_default();
        match &firing.target {
            Target::Workflow(name) => {
                let ran = self.run_of(firing, name, input).await;
                ran.map_err(|error| (failure(&error), error.kind().retryable())).and_then(judged)
            }
            Target::Tool(target) | Target::Command(target) => self.call_for(firing, target, &input).await,
        }
    }

    async fn call_for(&self, firing: &Firing, target: &str, input: &Value) -> Attempted {
        let client = firing.client();
        // The same for every attempt of one due instant.
        let key = firing.key();
        let who = Who { client: &client, door: Door::Schedule, run: None, key: &key };
        let mut tries = 0;
        loop {
            match target::outcome(&self.gateway.caller, who, target, input, None).await {
                Outcome::Done(value) => return Ok(value.0.to_string()),
                Outcome::Failed(failure)
                    if failure.code == codes::UPSTREAM_BUSY.code && tries < BUSY_TRIES =>
                {
                    tries += 1;
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                Outcome::Failed(failed) => {
                    let may_pass = failed.may_pass();
                    return Err((Failure { code: failed.code, message: failed.message }, may_pass));
                }
                Outcome::Skipped | Outcome::Cancelled => return Ok("null".into()),
            }
        }
    }

    /// The run of a workflow: the one that was named when it was written down, begun if it is not there yet.
    async fn run_of(&self, firing: &Firing, name: &str, input: Value) -> Result<workflows::Run> {
        let id = firing.run.clone().ok_or_else(|| Error::bug("a run of a workflow without a name"))?;
        match self.runner.load(&id).await {
            Ok(_) => {}
            Err(error) if error.is(&codes::RUN_NOT_FOUND) => {
                let definition = self.runner.definition(name).await?;
                let given = match input {
                    Value::Object(given) => given,
                    _ => Map::new(),
                };
                let workflow = compile(&definition.text)?;
                if let Some(input) = workflow.inputs.iter().find(|input| input.secret) {
                    let message =
                        format!("a schedule keeps its inputs, and `{}` is a secret one", input.name);
                    return Err(Error::new(&codes::ARGUMENTS_INVALID, message)
                        .hint("keep the value in the vault, and name it in the step: secret://NAME"));
                }
                let inputs = self.with_context(firing, &workflow, given).await?;
                let by = format!("schedule:{}", firing.schedule);
                let start = Start {
                    definition,
                    inputs,
                    by,
                    parent: None,
                    id: Some(id.clone()),
                    seed: Vec::new(),
                    depth: 0,
                };
                self.runner.begin(start).await?;
            }
            Err(error) => return Err(error),
        }
        self.runner.wait(&id).await
    }

    /// Inputs that the workflow declares and nobody gave come from the agent's context.
    async fn with_context(
        &self,
        firing: &Firing,
        workflow: &Workflow,
        mut inputs: Map<String, Value>,
    ) -> Result<Map<String, Value>> {
        let Some(name) = &firing.agent else { return Ok(inputs) };
        let Reply::Agents(agents) = self.schedule(Request::Agents).await? else {
            return Err(Error::bug("no agents in the reply"));
        };
        let agent = agents.into_iter().find(|agent| agent.name == *name);
        let context = agent.and_then(|agent| serde_json::from_str(&agent.context).ok());
        if let Some(Value::Object(mut context)) = context {
            for input in &workflow.inputs {
                if let (false, Some(value)) = (inputs.contains_key(&input.name), context.remove(&input.name))
                {
                    inputs.insert(input.name.clone(), value);
                }
            }
        }
        Ok(inputs)
    }

    /// A run of a workflow that nobody waits for any more is cancelled.
    async fn wind_up(&self, firing: &Firing) {
        let Some(run) = &firing.run else { return };
        if self.runner.order(run, RunOrder::Cancel).await.is_ok() {
            // However it takes that: the schedule's run is over.
            let _ = tokio::time::timeout(FAREWELL, self.runner.wait(run)).await;
        }
    }

    fn ending(&self, firing: &Firing, outcome: Attempted) -> End {
        match outcome {
            Ok(result) => self.ending_with(firing, Status::Completed, result, None, "completed"),
            Err((failure, _)) => {
                let why = format!("failed: {}", failure.message);
                self.ending_with(firing, Status::Failed, String::new(), Some(failure), &why)
            }
        }
    }

    fn ending_with(
        &self,
        firing: &Firing,
        status: Status,
        result: String,
        failure: Option<Failure>,
        why: &str,
    ) -> End {
        let at = self.now();
        let lines = vec![Line { at, text: why.into() }];
        End { key: firing.key(), at, status, result, failure, lines }
    }
}

fn now(under_way: &Mutex<Firing>) -> Firing {
    under_way.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn failure(error: &Error) -> Failure {
    Failure { code: error.code.code.into(), message: error.to_string() }
}

fn too_long(limit: u64) -> (Failure, bool) {
    let message = format!("it took longer than {limit} ms");
    (Failure { code: codes::TIMED_OUT.code.into(), message }, false)
}

/// How a run of a workflow ended, as the end of an attempt.
fn judged(run: workflows::Run) -> Attempted {
    if run.status == workflows::journal::Status::Completed {
        return Ok(run.outputs);
    }
    let reason = run.failure.as_ref().map_or_else(String::new, |failure| format!(": {}", failure.message));
    let message = format!("the run `{}` is {}{reason}", run.id, run.status.word());
    let may_pass = run.failure.is_none_or(|failure| failure.may_pass())
        && run.status == workflows::journal::Status::Failed;
    Err((Failure { code: codes::RUN_FAILED.code.into(), message }, may_pass))
}
