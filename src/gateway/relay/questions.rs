//! Where the eras differ most: a legacy server asks its client in the middle of a call, a modern one in the call's
//! result. Here a client of either era is led through the questions of a server of the other.

use super::{Target, context, listener};
use crate::calls::{Context, Params, Reply};
use crate::error::Result;
use crate::gateway::Gateway;
use crate::gateway::handler::{Asker, Incoming};
use crate::gateway::modern::{Parked, Seal, Waiting, input_required};
use crate::gateway::session::Session;
use crate::tools::Era;
use crate::upstream::link::Ask;
use crate::upstream::message::{Answer, code, member, quote};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Rounds of questions a legacy client is led through for one call.
const MAX_ROUNDS: usize = 16;
/// Deadline of a client's answer (a person may have to give it).
const ASK_DEADLINE: Duration = Duration::from_secs(600);

impl Gateway {
    /// Sends a request to its server and leads the client through the server's questions.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        target: &Target,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Result<Reply, Exchanged> {
        let reply = self.led(target, incoming, params, asker).await?;
        self.note_task(target, params, &reply, asker, &incoming.session);
        Ok(reply)
    }

    async fn led(
        self: &Arc<Self>,
        target: &Target,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Result<Reply, Exchanged> {
        let state = params.text("requestState");
        if let Some(state) = state.filter(|state| Parked::is_ours(state)) {
            let seal = seal(target, incoming);
            let Some(mut waiting) = self.parked.take(&state, &seal, Instant::now()) else {
                let message = "`requestState` is unknown, expired or of another request";
                return Err(Exchanged::Answer(Answer::error(code::INVALID_PARAMS, message)));
            };
            let token = params.meta().raw("progressToken").map(ToString::to_string);
            waiting.listener.redirect(incoming.sink.clone(), token);
            waiting.answer(params.raw("inputResponses").unwrap_or("{}"));
            // The server goes on only when it has all answers: the client is asked again for what is missing.
            return if waiting.questions().is_empty() {
                self.drive(waiting).await
            } else {
                Err(self.ask(waiting))
            };
        }
        // A legacy server asks in the middle of a call, and so does the policy.
        let may_ask = || {
            let catalogue = target.upstream().and_then(|upstream| upstream.catalogue());
            catalogue.is_none_or(|it| it.era == Era::Legacy) || target.may_ask()
        };
        if asker.peer.era == Era::Modern && asker.peer.abilities.any() && may_ask() {
            return self.park_if_asked(target, incoming, asker).await;
        }
        let listener = listener(incoming, params, asker, None);
        let context = context(incoming, params, asker, Some(listener));
        let mut reply = target.run(self, params, &context).await?;
        if asker.peer.era == Era::Legacy && asks_for_input(&reply) {
            reply = self.lead(target, reply, incoming, params, asker, &context).await?;
        }
        Ok(reply)
    }

    /// Runs the call in a task of its own, so that it can wait while the client is asked.
    async fn park_if_asked(
        self: &Arc<Self>,
        target: &Target,
        incoming: &Incoming<'_>,
        asker: &Asker,
    ) -> Result<Reply, Exchanged> {
        let (questions, asks) = mpsc::unbounded_channel();
        let seal = seal(target, incoming);
        let text = seal.params.clone();
        let params = Params::parse(&text)?;
        let listener = listener(incoming, &params, asker, Some(questions));
        let context = context(incoming, &params, asker, Some(listener.clone()));
        let (gateway, run) = (self.clone(), target.clone());
        let owned = text.clone();
        let outcome = tokio::spawn(async move { run.run(&gateway, &Params::parse(&owned)?, &context).await });
        self.drive(Waiting::new(outcome, asks, listener, seal, Arc::downgrade(self))).await
    }

    /// Waits for the call's end or the next questions, whichever is first.
    async fn drive(&self, mut waiting: Waiting) -> Result<Reply, Exchanged> {
        tokio::select! {
            biased;
            outcome = &mut waiting.outcome => match outcome {
                Ok(outcome) => Ok(outcome?),
                // As if it had been in this task.
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => Err(Exchanged::Answer(Answer::error(code::INTERNAL, "the call was given up"))),
            },
            Some(ask) = waiting.asks.recv() => {
                waiting.put(ask);
                while let Ok(ask) = waiting.asks.try_recv() {
                    waiting.put(ask);
                }
                Err(self.ask(waiting))
            }
        }
    }

    /// Parks the call and asks the client in its result.
    fn ask(&self, waiting: Waiting) -> Exchanged {
        let questions = waiting.questions();
        waiting.listener.hold();
        let state = self.parked.park(waiting, Instant::now());
        Exchanged::Answer(input_required(&questions, &state))
    }

    /// A legacy client in front of a modern server: puts the result's questions to the client and repeats the call.
    async fn lead(
        self: &Arc<Self>,
        target: &Target,
        mut reply: Reply,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
        context: &Context,
    ) -> Result<Reply, Exchanged> {
        for _ in 0..MAX_ROUNDS {
            let result = reply.answer.json();
            let responses = ask_all(&incoming.session, asker, &result["inputRequests"], incoming)
                .await
                .map_err(Exchanged::Answer)?;
            let state = result["requestState"].as_str().map(quote).unwrap_or_default();
            let text = params.forward(
                &[("inputResponses", &responses), ("requestState", &state)],
                params.raw("_meta").unwrap_or_default(),
            );
            reply = target.run(self, &Params::parse(&text)?, context).await?;
            if !asks_for_input(&reply) {
                return Ok(reply);
            }
        }
        Err(Exchanged::Answer(Answer::error(code::INTERNAL, "the server asked for input again and again")))
    }
}

fn seal(target: &Target, incoming: &Incoming<'_>) -> Seal {
    Seal { what: target.what(), owner: incoming.session.owner(), params: incoming.params.into() }
}

/// Why an exchange gave no reply of the server.
pub(super) enum Exchanged {
    /// The client gets this instead.
    Answer(Answer),
    Failed(crate::error::Error),
}

impl From<crate::error::Error> for Exchanged {
    fn from(error: crate::error::Error) -> Self {
        Self::Failed(error)
    }
}

fn asks_for_input(reply: &Reply) -> bool {
    reply.answer.ok
        && reply.era == Era::Modern
        && member(&reply.answer.body, "resultType") == Some(r#""input_required""#)
}

async fn ask_all(
    session: &Arc<Session>,
    asker: &Asker,
    requests: &Value,
    incoming: &Incoming<'_>,
) -> Result<String, Answer> {
    let mut waiting = Vec::new();
    for (key, request) in requests.as_object().into_iter().flatten() {
        let (reply, answer) = oneshot::channel();
        let method = request["method"].as_str().unwrap_or_default().to_string();
        let params = match &request["params"] {
            Value::Null => "{}".into(),
            params => params.to_string(),
        };
        session.ask(&asker.peer.abilities, Ask { method, params, reply }, &incoming.sink);
        waiting.push((key, answer));
    }
    let mut responses = Vec::with_capacity(waiting.len());
    for (key, answer) in waiting {
        let Ok(answer) = tokio::time::timeout(ASK_DEADLINE, answer).await else {
            return Err(Answer::error(code::INTERNAL, "the client did not answer in time"));
        };
        match answer {
            Ok(answer) if answer.ok => responses.push(format!("{}:{}", quote(key), answer.text())),
            Ok(answer) => return Err(answer),
            Err(_) => return Err(Answer::error(code::INTERNAL, "the client did not answer")),
        }
    }
    Ok(format!("{{{}}}", responses.join(",")))
}
