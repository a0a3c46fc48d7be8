//! Requests that reach a server: tools, prompts, resources, completion, tasks. One way through for all of them.
//! Questions that a server puts to the client on the way stand in `relay/questions.rs`.

mod obtain;
mod questions;
mod tasks;

use super::Gateway;
use super::handler::{Asker, Incoming, as_answer, count, door};
use super::listener::CallListener;
use super::session::level_word;
use crate::calls::{self, Context, Params, Relayed, Reply, results};
use crate::error::Result;
use crate::metrics::trace::{Mark, TRACEPARENT};
use crate::tools::Era;
use crate::upstream::link::Ask;
use crate::upstream::message::{self, Answer, code};
use crate::upstream::oauth::Whose;
use crate::upstream::view::Denied;
use crate::upstream::{Upstream, View, names};
use obtain::Obtained;
use questions::Exchanged;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where a request goes.
#[derive(Clone)]
enum Target {
    /// A tool, by the name the client sees.
    Tool { view: Arc<View>, exposed: Arc<str> },
    Other {
        upstream: Arc<Upstream>,
        method: Arc<str>,
        replaced: Vec<(&'static str, String)>,
        name: Option<Arc<str>>,
        /// What the policy decides about; nothing where that was decided before.
        subject: Option<Arc<Obtained>>,
    },
}

impl Target {
    fn upstream(&self) -> Option<&Arc<Upstream>> {
        match self {
            Self::Tool { view, exposed } => view.tool(exposed).map(|tool| &tool.upstream),
            Self::Other { upstream, .. } => Some(upstream),
        }
    }

    /// Whether the user may have to be asked before it is called.
    fn may_ask(&self) -> bool {
        match self {
            Self::Tool { view, exposed } => {
                view.tool(exposed).and_then(|tool| tool.gate.as_ref()).is_some_and(|gate| gate.may_ask())
            }
            Self::Other { subject, .. } => {
                subject.as_ref().and_then(|it| it.gate.as_ref()).is_some_and(|gate| gate.may_ask())
            }
        }
    }

    /// What a parked call's state is sealed with.
    fn what(&self) -> String {
        match self {
            Self::Tool { exposed, .. } => format!("tools/call\n{exposed}"),
            Self::Other { method, name, .. } => format!("{method}\n{}", name.as_deref().unwrap_or_default()),
        }
    }

    async fn run(&self, gateway: &Gateway, params: &Params<'_>, context: &Context) -> Result<Reply> {
        match self {
            Self::Tool { view, exposed } => match view.tool(exposed) {
                Some(tool) => gateway.caller.call(tool, params, context).await,
                None => Err(crate::error::Error::bug("a tool left its own view")),
            },
            Self::Other { upstream, method, replaced, name, subject } => {
                let replaced: Vec<(&str, &str)> =
                    replaced.iter().map(|(key, value)| (*key, value.as_str())).collect();
                let request =
                    Relayed { method, params, replaced: &replaced, name: name.as_deref(), headers: &[] };
                match subject {
                    Some(subject) => gateway.caller.obtain(&subject.item(upstream), request, context).await,
                    None => gateway.caller.relay(upstream, request, context).await,
                }
            }
        }
    }
}

impl Gateway {
    pub(super) async fn call_tool(
        self: &Arc<Self>,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Answer {
        let Some(name) = params.text("name") else {
            return Answer::error(code::INVALID_PARAMS, "`name` is missing");
        };
        count(&incoming.session);
        let view = self.view_of(&incoming.session);
        if view.tool(&name).is_none() {
            if let Some(denied) = view.denied(&name) {
                return self.refuse(denied, incoming, params, asker);
            }
            if let Some(answer) = self.call_own(&view, &name, incoming, params, asker).await {
                return answer;
            }
            // It may be a tool of a server that was never listed.
            let view = self.settled_view(&incoming.session, std::time::Duration::from_secs(5)).await;
            if view.tool(&name).is_none() {
                if let Some(denied) = view.denied(&name) {
                    return self.refuse(denied, incoming, params, asker);
                }
                return Answer::error(code::INVALID_PARAMS, &unknown_tool(&view, &name));
            }
            return self.call_shown(view, &name, incoming, params, asker).await;
        }
        self.call_shown(view, &name, incoming, params, asker).await
    }

    /// Answers a call of a tool that the policy does not show to this client.
    pub(super) fn refuse(
        &self,
        denied: &Denied,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Answer {
        let context = context(incoming, params, asker, None);
        let error = self.caller.refuse(denied, params.raw("arguments").unwrap_or("{}"), &context);
        Answer::result(for_era(calls::as_tool_result(&error).into_bytes(), asker.peer.era))
    }

    /// Calls a tool that the view shows.
    pub(super) async fn call_shown(
        self: &Arc<Self>,
        view: Arc<View>,
        name: &str,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Answer {
        let limit = view.profile.result_limit.unwrap_or(self.world().shared.settings.gateway.result_limit);
        let called = view.clone();
        let target = Target::Tool { view, exposed: name.into() };
        let reply = match self.exchange(&target, incoming, params, asker).await {
            Ok(reply) => reply,
            Err(Exchanged::Answer(answer)) => return answer,
            Err(Exchanged::Failed(error)) => {
                let result = calls::as_tool_result(&error);
                return Answer::result(for_era(result.into_bytes(), asker.peer.era));
            }
        };
        let origin = |view: &View| {
            let tool = view.tool(name)?;
            Some(results::Origin {
                whose: whose(&incoming.session),
                server: tool.upstream.id().into(),
                tool: tool.tool.clone(),
                arguments: params.raw("arguments").unwrap_or("{}").into(),
            })
        };
        let answer = self.shortened(reply, limit, || origin(&called)).await;
        self.finish(answer, asker.peer.era, "")
    }

    /// Replaces a result above the limit by its head and a handle.
    async fn shortened(
        &self,
        reply: Reply,
        limit: u64,
        origin: impl FnOnce() -> Option<results::Origin>,
    ) -> Reply {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if limit == 0 || !reply.answer.ok || reply.answer.body.len() <= limit {
            return reply;
        }
        let Some(origin) = origin() else { return reply };
        let shared = &self.world().shared;
        let (paths, now, answer) = (shared.paths.clone(), shared.engine.now(), reply.answer.clone());
        let shorten = move || results::shorten(&paths, &origin, &answer.json(), limit, now);
        match tokio::task::spawn_blocking(shorten).await {
            Ok(Ok(Some(short))) => Reply { answer: Answer::result(short), era: Era::Legacy },
            // A result that cannot be stored is better whole than lost.
            _ => reply,
        }
    }

    async fn plain(
        self: &Arc<Self>,
        target: &Target,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
        more: &str,
    ) -> Answer {
        match self.exchange(target, incoming, params, asker).await {
            Ok(reply) => self.finish(reply, asker.peer.era, more),
            Err(Exchanged::Answer(answer)) => answer,
            Err(Exchanged::Failed(error)) => as_answer(&error),
        }
    }

    /// The answer in the client's era. `more` is added to results that come from the older era.
    fn finish(&self, reply: Reply, era: Era, more: &str) -> Answer {
        // Servers in the wild leave the type out of modern results too; clients insist on it.
        let typed =
            || reply.era == Era::Modern && message::member(&reply.answer.body, "resultType").is_some();
        if era == Era::Modern && reply.answer.ok && !typed() {
            let more = if reply.era == Era::Legacy { more } else { "" };
            let fields = format!(r#""resultType":"complete"{more}"#);
            return Answer::result(message::prepend(&reply.answer.body, &fields));
        }
        reply.answer
    }
}

fn listener(
    incoming: &Incoming<'_>,
    params: &Params<'_>,
    asker: &Asker,
    parking: Option<mpsc::UnboundedSender<Ask>>,
) -> Arc<CallListener> {
    Arc::new(CallListener::new(
        incoming.session.clone(),
        &asker.peer,
        incoming.sink.clone(),
        params.meta().raw("progressToken").map(ToString::to_string),
        asker.level.as_deref(),
        parking,
    ))
}

/// What the request says itself counts before what its header says.
fn mark(incoming: &Incoming<'_>, params: &Params<'_>) -> Mark {
    let said = params.meta().text(TRACEPARENT).and_then(|said| Mark::parse(&said));
    said.or(incoming.trace).map_or_else(Mark::root, |said| said.below())
}

pub(super) fn context(
    incoming: &Incoming<'_>,
    params: &Params<'_>,
    asker: &Asker,
    listener: Option<Arc<CallListener>>,
) -> Context {
    let session = &incoming.session;
    Context {
        client: session.client(),
        token: session.arrival.token.clone(),
        identity: session.identity(),
        door: door(session),
        profile: session.arrival.profile.as_deref().map(Into::into),
        whose: Whose {
            account: None,
            profile: Some(session.profile().name.as_str().into()),
            directory: session.arrival.cwd.as_deref().map(Into::into),
        },
        session: session.id,
        record: false,
        timeout: None,
        listener: listener.map(|listener| listener as Arc<dyn crate::upstream::link::Listener>),
        progress: params.meta().raw("progressToken").is_some(),
        capabilities: asker.peer.capabilities.clone(),
        client_info: asker.peer.info.clone(),
        // A modern server logs only when the request asks for it: a legacy client asked once, for all of them.
        mark: mark(incoming, params),
        run: None,
        log_level: asker.level.clone().or_else(|| session.level().map(|level| level_word(level).into())),
    }
}

/// Whose a stored result is, as one word.
pub(super) fn whose(session: &super::session::Session) -> String {
    let owner = session.owner();
    let key = session.arrival.token.as_ref().map(|_| session.identity());
    crate::ids::digest(
        format!("{}\n{}\n{}", owner.profile, owner.client, key.as_deref().unwrap_or("")).as_bytes(),
    )
}

/// A result umcp made itself, in the client's era.
pub(super) fn for_era(result: Vec<u8>, era: Era) -> Vec<u8> {
    match era {
        Era::Modern => message::prepend(&result, r#""resultType":"complete""#),
        Era::Legacy => result,
    }
}

/// "Unknown tool", with the nearest name.
fn unknown_tool(view: &View, name: &str) -> String {
    if name.len() > 2 * names::MAX {
        // Comparing takes time and memory of its length, for each tool.
        return "unknown tool; no tool has a name as long as this".into();
    }
    let nearest = view
        .tools
        .iter()
        .map(|tool| (strsim::damerau_levenshtein(name, &tool.exposed), &tool.exposed))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    match nearest {
        Some((_, nearest)) => format!("unknown tool: {name} (did you mean {nearest}?)"),
        None => format!("unknown tool: {name}"),
    }
}
