//! The built-in `workflows` server: every stored workflow that is published is a tool with its inputs as schema. What
//! a run is stands in `calls::runner`, which this room cannot see; the daemon hands a way to run one down.
//! Rule: a run belongs to its call; when the call is given up, the run is cancelled.

use super::reply::Output;
use crate::engine::{Reply, StoreRequest, unexpected};
use crate::error::{Error, Result, codes};
use crate::upstream::Shared;
use crate::workflows::{self, Definition, read, start};
use futures_util::future::BoxFuture;
use rmcp::model::{JsonObject, ProgressNotificationParam, ProgressToken, Tool, ToolAnnotations};
use rmcp::{Peer, RoleServer};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The name by which an entry says that it is this server.
pub const NAME: &str = "workflows";

/// One call of a workflow.
pub struct Asked {
    pub name: String,
    pub inputs: Map<String, Value>,
    /// Takes a line for everything worth telling.
    pub told: mpsc::UnboundedSender<String>,
    /// The trace context of the call.
    pub trace: Option<String>,
}

/// Runs a workflow to its end and gives its outputs; dropping the future cancels the run.
pub type Runs = Box<dyn Fn(Asked) -> BoxFuture<'static, Result<Value>> + Send + Sync>;

pub struct Workflows {
    shared: Arc<Shared>,
}

impl Workflows {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The tools as the store has them now.
    pub async fn tools(&self) -> Result<Vec<Tool>> {
        let engine = self.shared.engine.clone();
        let read = move || match engine.call(StoreRequest::Workflow(workflows::Request::List))? {
            Reply::Workflow(workflows::Reply::Definitions(all)) => {
                Ok(all.iter().filter(|one| !one.hidden).filter_map(described).collect())
            }
            other => unexpected(&other),
        };
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(|error| Error::bug("workflows were not read").because(error))?
    }

    /// Runs one. A line is told as progress to whoever wants that.
    pub async fn call(
        &self,
        name: &str,
        inputs: Map<String, Value>,
        listener: (&Peer<RoleServer>, Option<ProgressToken>),
        trace: Option<String>,
    ) -> Result<Output> {
        if !self.tools().await?.iter().any(|tool| tool.name == name) {
            return Err(Error::new(&codes::WORKFLOW_NOT_FOUND, format!("no workflow `{name}` is a tool"))
                .hint("umcp workflow list"));
        }
        let (told, mut lines) = mpsc::unbounded_channel();
        let runs = self.shared.runs().ok_or_else(|| Error::bug("workflows are run by the daemon alone"))?;
        let running = runs(Asked { name: name.into(), inputs, told, trace });
        tokio::pin!(running);
        let mut count = 0.0;
        let outputs = loop {
            tokio::select! {
                biased;
                outputs = &mut running => {
                    // What was told up to its end.
                    while let Ok(line) = lines.try_recv() {
                        count += 1.0;
                        tell(listener.0, listener.1.clone(), count, line).await;
                    }
                    break outputs?;
                }
                Some(line) = lines.recv() => {
                    count += 1.0;
                    tell(listener.0, listener.1.clone(), count, line).await;
                }
            }
        };
        Ok(Output::data(outputs.to_string(), outputs))
    }
}

async fn tell(peer: &Peer<RoleServer>, token: Option<ProgressToken>, count: f64, line: String) {
    if let Some(token) = token {
        // Nobody is left to be told when this fails, and the call ends for that reason.
        let _ = peer.notify_progress(ProgressNotificationParam::new(token, count).with_message(line)).await;
    }
}

/// A workflow as a tool; `None` for a document that cannot be read any more.
fn described(definition: &Definition) -> Option<Tool> {
    let workflow = read::read(&definition.name, &definition.text).ok()?;
    let about = match definition.description.trim() {
        "" => format!("Runs the workflow `{}`.", definition.name),
        about => about.to_string(),
    };
    let Value::Object(schema) = start::schema(&workflow) else { return None };
    let annotations = ToolAnnotations::with_title(&definition.name)
        .read_only(false)
        .destructive(true)
        .idempotent(false)
        .open_world(true);
    let schema: JsonObject = schema;
    Some(Tool::new(definition.name.clone(), about, schema).with_annotations(annotations))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_workflow_is_a_tool_with_its_inputs() {
        let text = "name: w\ninputs:\n  to: string\n  times: {type: integer, default: 2, description: How often}\nsteps: [{id: a, set: \"${{ inputs.to + string(inputs.times) }}\"}]\n";
        let mut definition = Definition { name: "w".into(), text: text.into(), ..Definition::default() };
        let tool = serde_json::to_value(described(&definition).unwrap()).unwrap();
        assert_eq!(
            tool,
            json!({
                "name": "w", "description": "Runs the workflow `w`.",
                "inputSchema": {"type": "object", "required": ["to"], "additionalProperties": false, "properties": {
                    "to": {"type": "string"},
                    "times": {"type": "integer", "default": 2, "description": "How often"}}},
                "annotations": {"title": "w", "readOnlyHint": false, "destructiveHint": true,
                    "idempotentHint": false, "openWorldHint": true}
            })
        );
        definition.text = "name: w\nsteps: {".into();
        assert!(described(&definition).is_none());
    }
}
