//! Requests about a task: they go to the server that runs it, and the policy stands before them as it stands before
//! the tool whose call made the task. Where a task came from is remembered in `gateway/tasks.rs`.

use super::questions::Exchanged;
use super::{Target, context};
use crate::calls::{Params, Reply};
use crate::gateway::Gateway;
use crate::gateway::handler::{Asker, Incoming, as_answer};
use crate::gateway::session::Session;
use crate::gateway::tasks::Origin;
use crate::upstream::message::{Answer, code};
use crate::upstream::{Upstream, View};
use serde_json::json;
use std::sync::Arc;

impl Gateway {
    pub(in crate::gateway) async fn task(
        self: &Arc<Self>,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Answer {
        if !asker.peer.abilities.tasks {
            let message = "the client did not declare the extension `io.modelcontextprotocol/tasks`";
            let data = json!({"requiredCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}});
            return Answer::error_with(code::MISSING_CAPABILITY, message, data);
        }
        let id = params.text("taskId").unwrap_or_default();
        let session = &incoming.session;
        let Some((upstream, view, origin)) = self.task_origin(session, &id) else {
            return Answer::error(code::INVALID_PARAMS, &format!("unknown task: {id}"));
        };
        let target = Target::Other {
            upstream,
            method: incoming.method.into(),
            replaced: Vec::new(),
            name: Some(id.as_ref().into()),
            // Decided by what made the task, when its result comes.
            subject: None,
        };
        let reply = match self.exchange(&target, incoming, params, asker).await {
            Ok(reply) => reply,
            Err(Exchanged::Answer(answer)) => return answer,
            Err(Exchanged::Failed(error)) => return as_answer(&error),
        };
        let made =
            origin.call.and_then(|(tool, arguments)| Some((view.own(&origin.server, &tool)?, arguments)));
        let released = match made {
            Some((tool, arguments)) => {
                let made = format!(r#"{{"arguments":{arguments}}}"#);
                let context = context(incoming, params, asker, None);
                Params::parse(&made).and_then(|made| self.caller.release_later(tool, &made, &context, reply))
            }
            None => Ok(reply),
        };
        match released {
            Ok(reply) => self.finish(reply, asker.peer.era, ""),
            Err(error) => as_answer(&error),
        }
    }

    /// The server of a task, and what made it; nothing when the session may not reach that any more.
    fn task_origin(&self, session: &Session, id: &str) -> Option<(Arc<Upstream>, Arc<View>, Origin)> {
        let origin = self.tasks.origin(session.owner(), id)?;
        let upstream = self.world().by_id(&origin.server)?;
        let (profile, token) = (session.profile(), session.arrival.token.as_ref());
        let closed = self.world().is_closed(upstream.name(), &profile, &session.client(), token);
        let view = self.view_of(session);
        let kept_back =
            origin.call.as_ref().is_some_and(|(tool, _)| view.own(&origin.server, tool).is_none());
        (upstream.is_shown(&profile) && !closed && !kept_back).then_some((upstream, view, origin))
    }

    /// Remembers which server runs a task, so that requests about it find their way.
    pub(super) fn note_task(
        &self,
        target: &Target,
        params: &Params<'_>,
        reply: &Reply,
        asker: &Asker,
        session: &Session,
    ) {
        if !asker.peer.abilities.tasks
            || !reply.answer.ok
            || memchr::memmem::find(&reply.answer.body, b"taskId").is_none()
        {
            return;
        }
        let result = reply.answer.json();
        let id = result["taskId"].as_str().or_else(|| result["task"]["taskId"].as_str());
        if let (Some(id), Some(upstream)) = (id, target.upstream()) {
            let call = match target {
                Target::Tool { view, exposed } => view
                    .tool(exposed)
                    .map(|tool| (tool.tool.clone(), params.raw("arguments").unwrap_or("{}").to_string())),
                // An answer about a task tells no more of where it came from than is known.
                Target::Other { .. }
                    if self
                        .tasks
                        .origin(session.owner(), id)
                        .is_some_and(|it| it.server == upstream.id()) =>
                {
                    return;
                }
                Target::Other { .. } => None,
            };
            self.tasks.note(session.owner(), id, Origin { server: upstream.id().into(), call });
        }
    }
}
