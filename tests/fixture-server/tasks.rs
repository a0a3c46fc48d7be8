//! The tasks extension `io.modelcontextprotocol/tasks` and the tools that become tasks.
//! A client that did not declare the extension gets plain results, or an error from tools that cannot give one.
//! Rule: a task that reached its end never changes again.

use crate::call::{Ask, Call, Era};
use crate::elicit;
use crate::rpc::{self, Halt, RpcError};
use crate::tools::tool;
use crate::world::{World, locked};
use serde_json::{Map, Value, json};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

const EXTENSION: &str = "io.modelcontextprotocol/tasks";
const TTL_MS: u64 = 300_000;

pub struct Task {
    pub id: String,
    created: String,
    state: Mutex<State>,
    /// Rings at each answer and at the end.
    changed: Notify,
}

struct State {
    status: &'static str,
    updated: String,
    /// `result` or `error` with its value.
    outcome: Option<(&'static str, Value)>,
    requests: Map<String, Value>,
    answers: Map<String, Value>,
}

pub fn catalog() -> Vec<Value> {
    vec![
        tool("greet", "Greets at once, never as a task", &["name:string!"]),
        tool("slow_compute", "Computes for some seconds", &["seconds:number", "label:string"]),
        tool("failing_job", "Reports an error after a while; only as a task", &[]),
        tool("protocol_error_job", "Ends in a protocol error; only as a task", &[]),
        tool("confirm_delete", "Asks before it deletes nothing", &["filename:string"]),
        tool("multi_input", "Asks two things at once", &[]),
        tool("test_tool_with_task", "Asks for a name, then becomes a task", &[]),
    ]
}

/// Answers if the tool is one of these.
pub async fn call(call: &Call, name: &str) -> Option<Result<Value, Halt>> {
    Some(match name {
        "greet" => Ok(rpc::text(format!("Hello, {}!", call.text("name")))),
        "slow_compute" => slow_compute(call).await,
        "failing_job" => {
            only_as_task(call, async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(rpc::tool_error("the job failed"))
            })
            .await
        }
        "protocol_error_job" => {
            only_as_task(call, async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(RpcError::new(rpc::INTERNAL_ERROR, "the job broke the server"))
            })
            .await
        }
        "confirm_delete" => asking(call, vec![confirmation("confirm", "Delete the file?")]).await,
        "multi_input" => {
            asking(
                call,
                vec![confirmation("first", "First question"), confirmation("second", "Second question")],
            )
            .await
        }
        "test_tool_with_task" => after_a_name(call).await,
        _ => return None,
    })
}

/// `tasks/get`, `tasks/update`, `tasks/cancel`.
pub fn method(call: &Call) -> Result<Value, Halt> {
    if !declared(call) {
        return Err(lacks_tasks(call));
    }
    let id = call.params["taskId"].as_str().unwrap_or_default();
    let task = call.world.task(id).ok_or_else(|| rpc::invalid_params(format!("unknown task: {id}")))?;
    match call.method.as_str() {
        "tasks/get" => return Ok(task.view()),
        "tasks/update" => task.answer(&call.world, &call.params["inputResponses"]),
        _ => task.end(&call.world, "cancelled", None),
    }
    Ok(json!({}))
}

impl Task {
    fn new(id: String) -> Self {
        let now = now();
        let state = State {
            status: "working",
            updated: now.clone(),
            outcome: None,
            requests: Map::new(),
            answers: Map::new(),
        };
        Self { id, created: now, state: Mutex::new(state), changed: Notify::new() }
    }

    /// The task in the words of `tasks/get`.
    fn view(&self) -> Value {
        let state = locked(&self.state);
        let mut view = json!({
            "taskId": self.id,
            "status": state.status,
            "createdAt": self.created,
            "lastUpdatedAt": state.updated,
            "ttlMs": TTL_MS,
            "pollIntervalMs": 100,
        });
        if let Some((key, value)) = &state.outcome {
            view[*key] = value.clone();
        }
        if state.status == "input_required" {
            view["inputRequests"] = json!(state.requests);
        }
        view
    }

    fn end(&self, world: &World, status: &'static str, outcome: Option<(&'static str, Value)>) {
        let mut state = locked(&self.state);
        if is_final(state.status) {
            return;
        }
        state.status = status;
        state.outcome = outcome;
        state.updated = now();
        drop(state);
        self.changed.notify_one();
        world.task_changed(&self.view());
    }

    fn park(&self, world: &World, requests: Map<String, Value>) {
        let mut state = locked(&self.state);
        if is_final(state.status) {
            return;
        }
        state.status = "input_required";
        state.requests = requests;
        state.updated = now();
        drop(state);
        world.task_changed(&self.view());
    }

    fn answer(&self, world: &World, responses: &Value) {
        let mut state = locked(&self.state);
        for (key, answer) in responses.as_object().into_iter().flatten() {
            if state.requests.remove(key).is_some() {
                state.answers.insert(key.clone(), answer.clone());
            }
        }
        if state.status == "input_required" && state.requests.is_empty() {
            state.status = "working";
        }
        state.updated = now();
        drop(state);
        self.changed.notify_one();
        world.task_changed(&self.view());
    }

    fn is_final(&self) -> bool {
        is_final(locked(&self.state).status)
    }

    /// The answers, once no question is open or nobody will answer any more.
    fn settled(&self) -> Option<Map<String, Value>> {
        let state = locked(&self.state);
        (state.requests.is_empty() || is_final(state.status)).then(|| state.answers.clone())
    }

    /// Waits until every question is answered, or the task ended.
    async fn answers(&self) -> Map<String, Value> {
        loop {
            if let Some(answers) = self.settled() {
                return answers;
            }
            self.changed.notified().await;
        }
    }
}

fn is_final(status: &str) -> bool {
    matches!(status, "completed" | "failed" | "cancelled")
}

async fn slow_compute(call: &Call) -> Result<Value, Halt> {
    let seconds = call.argument("seconds").as_f64().unwrap_or(1.0).clamp(0.0, 3600.0);
    let label = call.text("label");
    let work = async move {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        Ok(rpc::text(format!("computed {label} for {seconds} s")))
    };
    if declared(call) && seconds > 0.0 {
        Ok(become_task(call, work))
    } else {
        work.await.map_err(Halt::Error)
    }
}

/// A legacy client knows no such tasks, so it gets the plain result.
async fn only_as_task(
    call: &Call,
    work: impl Future<Output = Result<Value, RpcError>> + Send + 'static,
) -> Result<Value, Halt> {
    if declared(call) {
        Ok(become_task(call, work))
    } else if call.era == Era::Modern {
        Err(lacks_tasks(call))
    } else {
        work.await.map_err(Halt::Error)
    }
}

/// Asks from within a task, or directly when the client has no tasks.
async fn asking(call: &Call, asks: Vec<Ask>) -> Result<Value, Halt> {
    if !declared(call) {
        let answers = call.ask(&asks, None).await?;
        return Ok(rpc::text(Value::Object(answers).to_string()));
    }
    let task = Arc::new(Task::new(call.world.fresh("task")));
    let requests = asks
        .into_iter()
        .map(|ask| (call.world.fresh(ask.key), json!({"method": ask.method, "params": ask.params})));
    let requests: Map<_, _> = requests.collect();
    call.world.keep_task(Arc::clone(&task));
    let created = as_result(&task);
    let (world, running) = (Arc::clone(&call.world), Arc::clone(&task));
    tokio::spawn(async move {
        running.park(&world, requests);
        let answers = running.answers().await;
        let result = rpc::text(Value::Object(answers).to_string());
        running.end(&world, "completed", Some(("result", result)));
    });
    Ok(created)
}

async fn after_a_name(call: &Call) -> Result<Value, Halt> {
    if call.era == Era::Modern && !declared(call) {
        return Err(lacks_tasks(call));
    }
    let answers = call.ask(&[elicit::name_ask()], Some(json!({"asked": "name"}))).await?;
    let name = answers["user_name"]["content"]["name"].as_str().unwrap_or("stranger").to_owned();
    only_as_task(call, async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(rpc::text(format!("The task was started by {name}")))
    })
    .await
}

fn become_task(call: &Call, work: impl Future<Output = Result<Value, RpcError>> + Send + 'static) -> Value {
    let task = Arc::new(Task::new(call.world.fresh("task")));
    call.world.keep_task(Arc::clone(&task));
    let created = as_result(&task);
    let world = Arc::clone(&call.world);
    tokio::spawn(async move {
        tokio::select! {
            outcome = work => match outcome {
                Ok(result) => task.end(&world, "completed", Some(("result", result))),
                Err(error) => task.end(&world, "failed", Some(("error", error.to_json()))),
            },
            () = ended(&task) => {}
        }
    });
    created
}

async fn ended(task: &Task) {
    while !task.is_final() {
        task.changed.notified().await;
    }
}

fn as_result(task: &Task) -> Value {
    let mut created = task.view();
    created["resultType"] = json!("task");
    created
}

fn confirmation(key: &'static str, message: &str) -> Ask {
    let schema =
        json!({"type": "object", "properties": {"confirm": {"type": "boolean"}}, "required": ["confirm"]});
    Ask { key, method: "elicitation/create", params: json!({"message": message, "requestedSchema": schema}) }
}

fn declared(call: &Call) -> bool {
    call.era == Era::Modern && call.capabilities()["extensions"].get(EXTENSION).is_some()
}

fn lacks_tasks(call: &Call) -> Halt {
    call.lacks(EXTENSION, json!({"extensions": {EXTENSION: {}}}))
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}
