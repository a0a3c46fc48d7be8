//! A step that runs something with steps of its own: another workflow, or a skill. Its run is a run like any other, with
//! an id that follows from the step, so that after an interruption the same one is taken up.

use super::{Abandon, Runner, Start};
use crate::error::{Error, Result, codes};
use crate::upstream::steps::skill;
use crate::workflows::journal::{Failure, Json, Outcome, Status};
use crate::workflows::model::Runs;
use crate::workflows::{Definition, Run};
use serde_json::Value;
use std::sync::Arc;

/// Another workflow, or the steps of a skill, run to the end. After an interruption the same child is taken up.
pub async fn run(
    runner: &Arc<Runner>,
    run: &Run,
    path: &str,
    (runs, name): (Runs, &str),
    inputs: Value,
) -> Result<Outcome> {
    let depth = runner.runs().get(&run.id).map_or(0, |handle| handle.depth) + 1;
    let id = match open_child(runner, run, path).await? {
        (id, true) => id,
        (id, false) => {
            let Value::Object(inputs) = inputs else {
                return Err(Error::new(
                    &codes::ARGUMENTS_INVALID,
                    "the inputs of a workflow are a map of names",
                ));
            };
            let (definition, by) = match runs {
                Runs::Workflow => (runner.definition(name).await?, format!("run:{}", run.id)),
                Runs::Skill => match skill(runner, name, inputs.is_empty()).await? {
                    Skill::Steps(definition) => {
                        let by = format!("skill:{}", definition.name);
                        (definition, by)
                    }
                    Skill::Text(value) => return Ok(Outcome::Done(Json(value))),
                },
            };
            let parent = Some(run.id.clone());
            let start =
                Start { definition, inputs, by, parent, id: Some(id.clone()), seed: Vec::new(), depth };
            // Boxed: a run may begin a run.
            Box::pin(runner.begin(start)).await?;
            id
        }
    };
    let guard = Abandon::new(runner, &id);
    let ended = runner.wait(&id).await?;
    guard.disarm();
    Ok(match ended.status {
        Status::Completed => Outcome::Done(Json(serde_json::from_str(&ended.outputs).unwrap_or_default())),
        Status::Cancelled => {
            Outcome::Failed(Failure::new("cancelled", "UM0515", format!("the run `{id}` was cancelled")))
        }
        _ => {
            let reason = ended.failure.map_or_else(String::new, |failure| format!(": {}", failure.message));
            Outcome::Failed(Failure::new(
                "failed",
                "UM1003",
                format!("the run `{id}` is {}{reason}", ended.status.word()),
            ))
        }
    })
}

/// What a step gets that names a skill.
enum Skill {
    /// To be run.
    Steps(Definition),
    /// Instructions, which whoever reads the step's result follows.
    Text(Value),
}

async fn skill(runner: &Arc<Runner>, name: &str, no_inputs: bool) -> Result<Skill> {
    let shared = &runner.caller.world.shared;
    let found = skill::find(shared, name).await?;
    if let Some(text) = found.document {
        let (name, version) = (found.name, found.version);
        return Ok(Skill::Steps(Definition { name, version, text, ..Definition::default() }));
    }
    if !no_inputs {
        let message = format!("the skill `{name}` is instructions alone and takes no inputs");
        return Err(Error::new(&codes::ARGUMENTS_INVALID, message));
    }
    let instructions = skill::instructions(shared, &found).await?;
    let files: Vec<&str> = skill::files(&found).collect();
    Ok(Skill::Text(serde_json::json!({
        "name": found.name, "version": found.version, "instructions": instructions, "files": files,
    })))
}

/// The child of a step that is under way or done, with `true`; else the id of its next attempt.
async fn open_child(runner: &Arc<Runner>, run: &Run, path: &str) -> Result<(String, bool)> {
    let first = format!("{}.{}", run.id, path.replace('/', "."));
    for attempt in 1_u32.. {
        let id = if attempt == 1 { first.clone() } else { format!("{first}.{attempt}") };
        match runner.load(&id).await {
            Ok((child, _)) if matches!(child.status, Status::Failed | Status::Cancelled) => {}
            Ok(_) => return Ok((id, true)),
            Err(error) if error.is(&codes::RUN_NOT_FOUND) => return Ok((id, false)),
            Err(error) => return Err(error),
        }
    }
    Err(Error::bug("attempts have no end"))
}
