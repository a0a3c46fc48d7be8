//! The secret inputs of a run: sealed in the vault while it goes on, so that a run survives the daemon, and in no
//! journal. What repeats one of them is kept without it.

use crate::error::{Error, Result, codes};
use crate::upstream::Shared;
use crate::workflows::journal::{Failure, Json, Outcome};
use crate::workflows::model::Workflow;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Shorter ones are words and cannot be hidden.
const SHORTEST: usize = 8;

fn name(run: &str) -> String {
    format!("umcp/run/{run}")
}

/// Takes the secret ones out of the inputs of a run.
///
/// # Errors
/// `ARGUMENTS_INVALID` for one that is too short to be told from a word.
pub fn apart(workflow: &Workflow, inputs: &mut Map<String, Value>) -> Result<Map<String, Value>> {
    let mut sealed = Map::new();
    for input in workflow.inputs.iter().filter(|input| input.secret) {
        let Some(value) = inputs.remove(&input.name) else { continue };
        if value.as_str().is_some_and(|text| text.len() < SHORTEST) {
            let message =
                format!("the secret input `{}` has less than {SHORTEST} characters, like a word", input.name);
            return Err(Error::new(&codes::ARGUMENTS_INVALID, message));
        }
        sealed.insert(input.name.clone(), value);
    }
    Ok(sealed)
}

/// Seals them; durable when it returns.
pub async fn keep(shared: &Arc<Shared>, run: &str, sealed: &Map<String, Value>) -> Result<()> {
    let (shared, name, values) = (shared.clone(), name(run), sealed.clone());
    beside(move || shared.keep_values(&name, &values)).await
}

/// Those of a run that is taken up again.
///
/// # Errors
/// `SECRET_NOT_FOUND` when they are gone; those of the vault.
pub async fn load(shared: &Arc<Shared>, run: &str, workflow: &Workflow) -> Result<Map<String, Value>> {
    if !workflow.inputs.iter().any(|input| input.secret) {
        return Ok(Map::new());
    }
    let (shared, id) = (shared.clone(), name(run));
    let gone =
        || Error::new(&codes::SECRET_NOT_FOUND, format!("the secret inputs of the run `{run}` are gone"));
    beside(move || shared.kept_values(&id)).await?.ok_or_else(gone)
}

/// The run is over. What cannot be deleted now is deleted with nothing else, and is sealed.
pub async fn forget(shared: &Arc<Shared>, run: &str) {
    let (shared, name) = (shared.clone(), name(run));
    let _ = beside(move || shared.drop_values(&name)).await;
}

async fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::bug("the vault was not asked").because(error))?
}

/// What came of a step, without secrets.
pub fn hidden(shared: &Shared, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Done(Json(value)) => match shared.known.hide(value.to_string().as_bytes()) {
            Some(text) => Outcome::Done(Json(serde_json::from_slice(&text).unwrap_or_default())),
            None => Outcome::Done(Json(value)),
        },
        Outcome::Failed(failure) => match shared.known.hide(failure.message.as_bytes()) {
            Some(text) => {
                let message = String::from_utf8_lossy(&text).into_owned();
                Outcome::Failed(Failure { message, ..failure })
            }
            None => Outcome::Failed(failure),
        },
        other => other,
    }
}
