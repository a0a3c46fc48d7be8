//! One call of a tool on behalf of something that umcp runs by itself: a step of a workflow, a schedule. The same way
//! as a client's call: profile, policy, bounds and records hold.

use super::outcome::{failure, of_result};
use crate::calls::{Caller, Context, Params};
use crate::error::{Error, Result, codes};
use crate::upstream::message::quote;
use crate::usage::Door;
use crate::workflows::journal::{Failure, Outcome};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    pub client: &'a str,
    pub door: Door,
    /// The run whose step it is.
    pub run: Option<&'a str>,
    /// What the server can tell a second attempt by; empty: nothing.
    pub key: &'a str,
}

impl Who<'_> {
    fn context(&self, caller: &Caller) -> Context {
        let mut context = Context::plain(self.client, self.door);
        if let Some(run) = self.run {
            context.mark = caller.measures.spans.step(run);
            context.run = Some(run.into());
        }
        context
    }
}

/// The key of `_meta` that is the same for every attempt of a step.
pub const KEY: &str = "umcp/idempotency-key";

/// Calls `server.tool` and says what came of it; an error of umcp is an outcome too.
pub async fn outcome(
    caller: &Caller,
    who: Who<'_>,
    target: &str,
    arguments: &Value,
    timeout: Option<Duration>,
) -> Outcome {
    let called = call(caller, who, target, arguments, timeout).await;
    called.unwrap_or_else(|error| Outcome::Failed(failure(&error)))
}

async fn call(
    caller: &Caller,
    who: Who<'_>,
    target: &str,
    arguments: &Value,
    timeout: Option<Duration>,
) -> Result<Outcome> {
    let Who { client, door, .. } = who;
    let world = &caller.world;
    let profile = world.profile(None, client, None)?;
    let name = Arc::from(client);
    let mut view = world.view(&profile, &name, None);
    if view.target(target).is_none()
        && let Some((server, _)) = target.split_once('.')
    {
        world.find(server)?.listed().await?;
        world.touch();
        view = world.view(&profile, &name, None);
    }
    let missing =
        || Error::new(&codes::TOOL_NOT_FOUND, format!("no tool named `{target}`")).hint("umcp tool list");
    if let Some(denied) = view.denied(target) {
        return Err(caller.refuse(denied, &arguments.to_string(), &who.context(caller)));
    }
    let tool = view.target(target).ok_or_else(missing)?;
    // Depth and cancellation of runs within runs are kept by the step that is made for it.
    if door == Door::Workflow && tool.upstream.entry.offers_workflows() {
        return Err(Error::new(&codes::ARGUMENTS_INVALID, format!("`{target}` is a workflow"))
            .hint(format!("a step runs it by `workflow: {}`", tool.tool)));
    }
    let meta = match who.key {
        "" => String::new(),
        key => format!(r#","_meta":{{"{KEY}":{}}}"#, quote(key)),
    };
    let text = format!(r#"{{"name":{},"arguments":{arguments}{meta}}}"#, quote(&tool.tool));
    let params = Params::parse(&text)?;
    let mut context = who.context(caller);
    context.timeout = timeout;
    context.whose.profile = Some(profile.name.as_str().into());
    let reply = caller.call(tool, &params, &context).await?;
    if !reply.answer.ok {
        let message = reply.answer.message();
        return Ok(Outcome::Failed(Failure::new("tool_error", codes::UPSTREAM_ERROR.code, message)));
    }
    Ok(of_result(reply.answer.text()))
}
