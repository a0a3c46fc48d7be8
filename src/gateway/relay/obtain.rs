//! Prompts, resources and completion: the policy decides about them as about tools, with the same words for who is
//! refused. Their lists stand in the view.

use super::{Target, context};
use crate::calls::{Item, Params, Subject};
use crate::error::Error;
use crate::gateway::Gateway;
use crate::gateway::handler::{Asker, Incoming, as_answer, not_found};
use crate::policy::rules::Kind;
use crate::policy::rules::decide::Gate;
use crate::tools::Era;
use crate::upstream::Upstream;
use crate::upstream::message::{Answer, code, quote};
use crate::upstream::view::{Denied, Reached, View, ViewItem};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What a client wants that is no tool.
pub(super) struct Obtained {
    pub kind: Kind,
    /// Its own name, or the URI.
    pub name: String,
    /// What stands for it in records.
    pub recorded: String,
    pub what: &'static str,
    pub gate: Option<Arc<Gate>>,
    /// As JSON text.
    pub arguments: String,
}

impl Obtained {
    pub fn item<'a>(&'a self, upstream: &'a Arc<Upstream>) -> Item<'a> {
        let Self { kind, name, recorded, what, gate, arguments } = self;
        let subject = Subject { upstream, kind: *kind, name, recorded, json: "" };
        Item { subject, what, gate: gate.as_deref(), arguments }
    }

    fn prompt(prompt: &ViewItem, arguments: &str) -> Self {
        Self {
            kind: Kind::Prompt,
            name: prompt.key.clone(),
            recorded: prompt.key.clone(),
            what: "prompt",
            gate: prompt.gate.clone(),
            arguments: arguments.into(),
        }
    }

    fn resource(reached: &Reached<'_>, uri: &str) -> Self {
        Self {
            kind: Kind::Resource,
            name: uri.into(),
            recorded: reached.recorded.to_string(),
            what: "resource",
            gate: reached.gate.clone(),
            arguments: format!(r#"{{"uri":{}}}"#, quote(uri)),
        }
    }
}

impl Gateway {
    pub(in crate::gateway) async fn get_prompt(
        self: &Arc<Self>,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Answer {
        let name = params.text("name").unwrap_or_default();
        let view = self.view_of(&incoming.session);
        let arguments = params.raw("arguments").unwrap_or("{}");
        let Some(prompt) = view.prompt(&name) else {
            if let Some(denied) = view.denied_prompt(&name) {
                return self.refuse_item(denied, arguments, incoming, params, asker);
            }
            return Answer::error(code::INVALID_PARAMS, &format!("unknown prompt: {name}"));
        };
        let target = Target::Other {
            upstream: prompt.upstream.clone(),
            method: "prompts/get".into(),
            replaced: vec![("name", quote(&prompt.key))],
            name: Some(prompt.key.as_str().into()),
            subject: Some(Arc::new(Obtained::prompt(prompt, arguments))),
        };
        self.plain(&target, incoming, params, asker, "").await
    }

    pub(in crate::gateway) async fn read_resource(
        self: &Arc<Self>,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Answer {
        self.ask_resource("resources/read", incoming, params, asker).await
    }

    /// A request about one resource, to the server that has it.
    pub(in crate::gateway) async fn ask_resource(
        self: &Arc<Self>,
        method: &str,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Answer {
        let uri = params.text("uri").unwrap_or_default();
        let view = self.view_of(&incoming.session);
        let reached = match view.reach(&uri) {
            Some(Ok(reached)) => reached,
            Some(Err(denied)) => {
                let arguments = format!(r#"{{"uri":{}}}"#, quote(&uri));
                return self.refuse_item(&denied, &arguments, incoming, params, asker);
            }
            None => return not_found(&uri, asker.peer.era),
        };
        let target = Target::Other {
            upstream: reached.upstream.clone(),
            method: method.into(),
            replaced: Vec::new(),
            name: Some(uri.as_ref().into()),
            subject: Some(Arc::new(Obtained::resource(&reached, &uri))),
        };
        let answer =
            self.plain(&target, incoming, params, asker, r#","ttlMs":0,"cacheScope":"private""#).await;
        match (answer.ok, asker.peer.era) {
            (false, Era::Modern) if answer.code() == code::RESOURCE_NOT_FOUND => not_found(&uri, Era::Modern),
            // The modern era has no code of its own for it; the URI in the data tells it from other mistakes.
            (false, Era::Legacy)
                if answer.code() == code::INVALID_PARAMS && answer.json()["data"]["uri"] == uri.as_ref() =>
            {
                not_found(&uri, Era::Legacy)
            }
            _ => answer,
        }
    }

    /// Completes an argument of a prompt or a template: what may not be used is not completed.
    pub(in crate::gateway) async fn complete(
        self: &Arc<Self>,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Answer {
        let mut reference: Value =
            params.raw("ref").and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
        let view = self.view_of(&incoming.session);
        let arguments = completed(params);
        let (name, uri) = (reference["name"].as_str(), reference["uri"].as_str());
        let (prompt, denied) =
            (name.and_then(|name| view.prompt(name)), name.and_then(|name| view.denied_prompt(name)));
        let (upstream, subject) = match (prompt, denied, uri.and_then(|uri| Some((uri, view.reach(uri)?)))) {
            (Some(prompt), _, _) => {
                let subject = Obtained::prompt(prompt, &arguments);
                reference["name"] = prompt.key.as_str().into();
                (prompt.upstream.clone(), subject)
            }
            (None, Some(denied), _) => {
                return self.refuse_item(denied, &arguments, incoming, params, asker);
            }
            (None, None, Some((_, Err(denied)))) => {
                return self.refuse_item(&denied, &arguments, incoming, params, asker);
            }
            (None, None, Some((uri, Ok(reached)))) => {
                let subject = Obtained { arguments, ..Obtained::resource(&reached, uri) };
                (reached.upstream.clone(), subject)
            }
            (None, None, None) => {
                return Answer::error(code::INVALID_PARAMS, "`ref` names no known prompt or resource");
            }
        };
        let target = Target::Other {
            upstream,
            method: "completion/complete".into(),
            replaced: vec![("ref", reference.to_string())],
            name: None,
            subject: Some(Arc::new(Obtained { what: "completion", ..subject })),
        };
        self.plain(&target, incoming, params, asker, "").await
    }

    /// Answers a request for a prompt or a resource that the policy does not show to this client.
    fn refuse_item(
        &self,
        denied: &Denied,
        arguments: &str,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Answer {
        let context = context(incoming, params, asker, None);
        as_answer(&self.caller.refuse(denied, arguments, &context))
    }

    /// The server of a resource that a client may hear of; the error says why it may not. Hearing that something has
    /// changed asks nobody.
    pub(in crate::gateway) fn heard_from<'v>(
        &self,
        view: &'v View,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
        uri: &str,
    ) -> Option<Result<&'v Arc<Upstream>, Error>> {
        let context = context(incoming, params, asker, None);
        let reached = match view.reach(uri)? {
            Ok(reached) => reached,
            Err(denied) => {
                let arguments = format!(r#"{{"uri":{}}}"#, quote(uri));
                return Some(Err(self.caller.refuse(&denied, &arguments, &context)));
            }
        };
        let obtained = Obtained::resource(&reached, uri);
        match self.caller.denies(&obtained.item(reached.upstream), &context) {
            Some(error) => Some(Err(error)),
            None => Some(Ok(reached.upstream)),
        }
    }
}

/// What is known of the arguments of a prompt or a template while one of them is typed.
fn completed(params: &Params<'_>) -> String {
    let value = |key: &str| -> Value {
        params.raw(key).and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default()
    };
    let mut arguments = match value("context")["arguments"].take() {
        Value::Object(known) => known,
        _ => Map::new(),
    };
    let mut typed = value("argument");
    if let Value::String(name) = typed["name"].take() {
        arguments.insert(name, typed["value"].take());
    }
    Value::Object(arguments).to_string()
}
