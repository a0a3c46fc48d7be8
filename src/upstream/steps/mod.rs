//! What steps of workflows do that is no tool of a server: run a program, send a request, ask an agent's program; and
//! what a skill is that a step names.
//! The values are complete; what they may hold was decided when the document was read. Nothing is recorded here.

mod agent;
mod command;
mod http;
pub mod skill;

use super::Shared;
use crate::error::{Error, Result, codes};
use crate::workflows::model::Own;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Does one step to its end; `key` is the same for every attempt of it. Dropping the future ends what it started.
///
/// # Errors
/// `UPSTREAM_ERROR` where the program or the other side reports a failure.
pub async fn run(
    shared: &Arc<Shared>,
    own: Own,
    values: Value,
    key: &str,
    limit: Option<Duration>,
) -> Result<Value> {
    let done = match own {
        Own::Command => command::run(shared, read(values)?, limit).await,
        Own::Http => http::run(shared, read(values)?, key, limit).await,
        Own::Agent => agent::run(shared, read(values)?, limit).await,
    };
    // A program may repeat the key it was given.
    done.map_err(|error| shared.known.hide_in(error)).map(|value| without_secrets(shared, value))
}

fn without_secrets(shared: &Shared, value: Value) -> Value {
    match shared.known.hide(value.to_string().as_bytes()) {
        Some(hidden) => serde_json::from_slice(&hidden).unwrap_or_default(),
        None => value,
    }
}

fn read<T: DeserializeOwned>(values: Value) -> Result<T> {
    serde_json::from_value(values).map_err(|error| {
        Error::new(&codes::ARGUMENTS_INVALID, "the step cannot be done with these values").because(error)
    })
}

/// Variables or headers: those the document holds, which may refer to secrets, and computed ones.
async fn named(
    shared: &Arc<Shared>,
    what: &'static str,
    fixed: BTreeMap<String, Value>,
    computed: BTreeMap<String, Value>,
) -> Result<BTreeMap<String, String>> {
    let shared = shared.clone();
    let resolve = move || -> Result<BTreeMap<String, String>> {
        let mut all: BTreeMap<String, String> =
            computed.into_iter().map(|(name, value)| (name, plain(&value))).collect();
        for (name, value) in fixed {
            let resolved = shared.resolve_value(&plain(&value), &format!("{what} {name}"))?;
            all.insert(name, resolved);
        }
        Ok(all)
    };
    let resolved = tokio::task::spawn_blocking(resolve).await;
    resolved.map_err(|error| Error::bug("values were not resolved").because(error))?
}

/// A value as one word: texts as they are, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), Into::into)
}

/// The folder a program starts in: the user's home unless the step names one; `~` is the home.
fn folder(shared: &Shared, cwd: Option<String>) -> PathBuf {
    let home = &shared.paths.home;
    match cwd.as_deref() {
        None | Some("" | "~") => home.clone(),
        Some(cwd) => home.join(cwd.strip_prefix("~/").unwrap_or(cwd)),
    }
}

/// The last of a text, for a message.
fn tail(text: &str) -> String {
    let text = text.trim();
    let cut = text.char_indices().rev().nth(1000).map_or(0, |(at, _)| at);
    text[cut..].to_string()
}
