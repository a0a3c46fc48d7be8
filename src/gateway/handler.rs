//! One request of one client: which method, and who answers it. The methods that call something stand in
//! `relay.rs`, umcp's own tools in `own.rs`.

use super::outbox::Outbox;
use super::peers::Known;
use super::session::{Abilities, Peer, Session, level_word, severity};
use super::{Gateway, guard};
use crate::calls::Params;
use crate::engine::live::Event;
use crate::environments::Mode;
use crate::error::{Error, codes};
use crate::metrics::trace::Mark;
use crate::tools::Era;
use crate::upstream::era::{LEGACY, MODERN, own_info};
use crate::upstream::message::{self, Answer, code};
use crate::upstream::view::{View, as_modern_list};
use crate::usage::Door;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// `initialize` waits this long for servers that were never listed, since what it declares depends on them.
const GREET_PATIENCE: Duration = Duration::from_secs(3);

/// A request on its way through the gateway.
pub struct Incoming<'a> {
    pub session: Arc<Session>,
    /// Raw JSON of the request's id.
    pub id: &'a str,
    pub method: &'a str,
    /// Raw JSON of the parameters.
    pub params: &'a str,
    /// Where messages of this request go before its answer.
    pub sink: Arc<Outbox>,
    /// The trace a header said it belongs to.
    pub trace: Option<Mark>,
}

/// Who asks: the peer of this request, with what it said about this request.
pub struct Asker {
    pub peer: Peer,
    pub level: Option<Arc<str>>,
}

impl Gateway {
    /// Answers one request, whatever happens on the way.
    pub async fn handle(self: &Arc<Self>, incoming: Incoming<'_>) -> Answer {
        let method = incoming.method;
        match guard::caught(method, self.answer(incoming)).await {
            Ok(answer) => answer,
            Err(error) => {
                self.tell(|_| Event::Log { level: "error".into(), message: error.to_string() });
                as_answer(&error)
            }
        }
    }

    async fn answer(self: &Arc<Self>, incoming: Incoming<'_>) -> Answer {
        let params = match Params::parse_checked(incoming.params) {
            Ok(params) => params,
            Err(error) => return Answer::error(code::INVALID_PARAMS, &error.to_string()),
        };
        if incoming.method == "initialize" {
            return self.initialize(&incoming.session, &params).await;
        }
        let asker = match self.asker(&incoming, &params) {
            Ok(asker) => asker,
            Err(answer) => return answer,
        };
        match (incoming.method, asker.peer.era) {
            ("tools/call", _) => self.call_tool(&incoming, &params, &asker).await,
            ("tools/list", era) => self.list(&incoming, &params, era).await,
            ("prompts/list" | "resources/list" | "resources/templates/list", era) => {
                self.list(&incoming, &params, era).await
            }
            ("prompts/get", _) => self.get_prompt(&incoming, &params, &asker).await,
            ("resources/read", _) => self.read_resource(&incoming, &params, &asker).await,
            ("skills/list", _) => self.list_skills(&incoming, &params, &asker).await,
            ("skills/get" | "resources/directory/read", _) => {
                self.ask_resource(incoming.method, &incoming, &params, &asker).await
            }
            ("completion/complete", _) => self.complete(&incoming, &params, &asker).await,
            ("tasks/get" | "tasks/update" | "tasks/cancel", Era::Modern) => {
                self.task(&incoming, &params, &asker).await
            }
            ("server/discover", Era::Modern) => self.discover(&incoming.session).await,
            ("subscriptions/listen", Era::Modern) => self.hold_listen(&incoming, &params, &asker).await,
            ("ping", Era::Legacy) => Answer::result("{}"),
            ("logging/setLevel", Era::Legacy) => self.set_level(&incoming.session, &params),
            ("resources/subscribe", Era::Legacy) => self.subscribe(&incoming, &params, &asker).await,
            ("resources/unsubscribe", Era::Legacy) => self.unsubscribe(&incoming.session, &params).await,
            (method, _) => Answer::error(code::METHOD_NOT_FOUND, &format!("method not found: {method}")),
        }
    }

    /// A notification of a client.
    pub fn notified_by_client(&self, session: &Arc<Session>, method: &str, params: &str) {
        match method {
            "notifications/initialized" => session.set_initialized(),
            "notifications/cancelled" => {
                if let Some(id) = Params::parse(params).ok().and_then(|params| params.raw("requestId")) {
                    session.cancel(id);
                }
            }
            "notifications/roots/list_changed" => {
                for upstream in self.world().all() {
                    if upstream.entry.sharing == crate::servers::model::Sharing::PerClient
                        && let Some(running) = upstream.running(session.id)
                    {
                        running.connection.notify(method, params);
                    }
                }
            }
            _ => {}
        }
    }

    /// Who asks: a legacy peer said hello before; a modern one says everything with each request.
    fn asker(&self, incoming: &Incoming<'_>, params: &Params<'_>) -> Result<Asker, Answer> {
        let legacy = incoming.session.peer();
        let meta = params.meta();
        let version = meta.text("io.modelcontextprotocol/protocolVersion");
        match (version, legacy) {
            (None, Some(peer)) => Ok(Asker { peer, level: None }),
            (Some(version), None) => {
                if version != MODERN {
                    let data = json!({"supported": [MODERN], "requested": version});
                    let message = format!("protocol version `{version}` is not supported");
                    return Err(Answer::error_with(code::UNSUPPORTED_VERSION, &message, data));
                }
                let Some(capabilities) = meta.raw("io.modelcontextprotocol/clientCapabilities") else {
                    let message = "`_meta` lacks `io.modelcontextprotocol/clientCapabilities`";
                    return Err(Answer::error(code::INVALID_PARAMS, message));
                };
                let info = meta
                    .raw("io.modelcontextprotocol/clientInfo")
                    .unwrap_or(r#"{"name":"unknown","version":""}"#);
                let known = self.peers.modern(capabilities, info);
                incoming.session.introduce(&known);
                let peer = known.peer.clone();
                let level = meta
                    .text("io.modelcontextprotocol/logLevel")
                    .map(|level| level_word(severity(&level)).into());
                Ok(Asker { peer, level })
            }
            // A legacy session may carry the keys of its own next hop; its hello decides.
            (Some(_), Some(peer)) => Ok(Asker { peer, level: None }),
            (None, None) if matches!(incoming.method, "ping") => {
                Ok(Asker { peer: plain_peer(), level: None })
            }
            (None, None) => Err(Answer::error(
                code::INVALID_PARAMS,
                "send `initialize` first, or `_meta` with `io.modelcontextprotocol/protocolVersion`",
            )),
        }
    }

    async fn initialize(self: &Arc<Self>, session: &Arc<Session>, params: &Params<'_>) -> Answer {
        let asked = params.text("protocolVersion").unwrap_or_default();
        let revision = LEGACY.into_iter().find(|known| *known == asked).unwrap_or(LEGACY[0]);
        let capabilities = params.raw("capabilities").unwrap_or("{}");
        let info = params.raw("clientInfo").unwrap_or("{}");
        let Known { peer, name, .. } = Known::read(Era::Legacy, capabilities, info);
        let client = match session.arrival.client.as_str() {
            "" => name.as_deref().unwrap_or("unknown").to_string(),
            given => given.to_string(),
        };
        let profile = match self.profile_of(&session.arrival, &client) {
            Ok(profile) => profile,
            Err(error) => return Answer::error(code::INVALID_PARAMS, &error.to_string()),
        };
        session.greet(peer, &client, profile);
        let view = self.settled_view(session, GREET_PATIENCE).await;
        session.saw(super::hub::tags(&view));
        self.tell(|at| Event::Session { at, client, opened: true });
        let mut result = json!({
            "protocolVersion": revision,
            "capabilities": capabilities_of(&view, Era::Legacy),
            "serverInfo": own_info(),
        });
        if let Some(instructions) = &view.instructions {
            result["instructions"] = instructions.as_str().into();
        }
        Answer::result(result.to_string())
    }

    async fn discover(self: &Arc<Self>, session: &Arc<Session>) -> Answer {
        let view = self.settled_view(session, GREET_PATIENCE).await;
        session.saw(super::hub::tags(&view));
        let mut versions = vec![MODERN];
        versions.extend(LEGACY);
        let mut result = json!({
            "resultType": "complete",
            "supportedVersions": versions,
            "capabilities": capabilities_of(&view, Era::Modern),
            "ttlMs": 5000,
            "cacheScope": "private",
            "_meta": {"io.modelcontextprotocol/serverInfo": own_info()},
        });
        if let Some(instructions) = &view.instructions {
            result["instructions"] = instructions.as_str().into();
        }
        Answer::result(result.to_string())
    }

    /// The session's view, after servers that were never listed had their time.
    pub async fn settled_view(&self, session: &Session, patience: Duration) -> Arc<View> {
        let _ = tokio::time::timeout(patience, self.world().list_missing()).await;
        self.view_of(session)
    }

    async fn list(self: &Arc<Self>, incoming: &Incoming<'_>, params: &Params<'_>, era: Era) -> Answer {
        let patience = Duration::from_millis(self.world().shared.settings.gateway.first_list_ms);
        let view = self.settled_view(&incoming.session, patience).await;
        let cursor = params
            .raw("cursor")
            .filter(|raw| *raw != "null")
            .map(|_| params.text("cursor").unwrap_or_default());
        let own;
        let list = match incoming.method {
            "tools/list" if view.profile.mode == Mode::Full => &view.tool_list,
            "tools/list" => {
                own = self.short_list(&view).await;
                &own
            }
            "prompts/list" => &view.prompt_list,
            "resources/list" => &view.resource_list,
            _ => &view.template_list,
        };
        match list.page(cursor.as_deref()) {
            Some(body) if era == Era::Modern => Answer::result(as_modern_list(&body)),
            Some(body) => Answer::result(body),
            None => Answer::error(code::INVALID_PARAMS, "unknown cursor"),
        }
    }

    fn set_level(&self, session: &Session, params: &Params<'_>) -> Answer {
        let Some(level) = params.text("level") else {
            return Answer::error(code::INVALID_PARAMS, "`level` is missing");
        };
        if level_word(severity(&level)) != level {
            return Answer::error(code::INVALID_PARAMS, &format!("unknown log level: {level}"));
        }
        session.set_level(severity(&level));
        let lowest = self.hub.all().iter().filter_map(|session| session.level()).min().unwrap_or(1);
        self.world().set_level(level_word(lowest));
        Answer::result("{}")
    }

    async fn subscribe(&self, incoming: &Incoming<'_>, params: &Params<'_>, asker: &Asker) -> Answer {
        let uri = params.text("uri").unwrap_or_default();
        let view = self.view_of(&incoming.session);
        let owner = match self.heard_from(&view, incoming, params, asker, &uri) {
            Some(Ok(owner)) => owner,
            Some(Err(error)) => return as_answer(&error),
            None => return not_found(&uri, Era::Legacy),
        };
        if incoming.session.subscribe(&uri) {
            owner.subscribe(incoming.session.id, &uri).await;
        }
        Answer::result("{}")
    }

    /// What a client may not hear of any more it may still leave.
    async fn unsubscribe(&self, session: &Session, params: &Params<'_>) -> Answer {
        let uri = params.text("uri").unwrap_or_default();
        let view = self.view_of(session);
        let Some(owner) = view.owner(&uri) else { return not_found(&uri, Era::Legacy) };
        if session.unsubscribe(&uri) {
            owner.unsubscribe(session.id, &uri).await;
        }
        Answer::result("{}")
    }
}

fn plain_peer() -> Peer {
    Peer { era: Era::Legacy, abilities: Abilities::default(), capabilities: "{}".into(), info: "{}".into() }
}

/// What umcp declares: lists always, the rest when some server has it.
fn capabilities_of(view: &View, era: Era) -> Value {
    let mut capabilities = json!({
        "tools": {"listChanged": true},
        "prompts": {"listChanged": true},
        "resources": {"listChanged": true, "subscribe": view.subscribes},
    });
    if view.completes {
        capabilities["completions"] = json!({});
    }
    if view.logs {
        capabilities["logging"] = json!({});
    }
    if era == Era::Modern && !view.extensions.is_empty() {
        capabilities["extensions"] = Value::Object(view.extensions.clone());
    }
    capabilities
}

/// "Resource not found", in the words of the era.
pub fn not_found(uri: &str, era: Era) -> Answer {
    let code = if era == Era::Modern { code::INVALID_PARAMS } else { code::RESOURCE_NOT_FOUND };
    Answer::error_with(code, &format!("resource not found: {uri}"), json!({"uri": uri}))
}

/// An error of umcp as an error of the protocol.
pub fn as_answer(error: &Error) -> Answer {
    let code = match error.code {
        code if *code == codes::ARGUMENTS_INVALID => message::code::INVALID_PARAMS,
        code if *code == codes::BUG => message::code::INTERNAL,
        _ => message::code::SERVER,
    };
    let data = json!({"code": error.code.code, "name": error.code.name, "hints": error.hints, "retryable": error.kind().retryable()});
    Answer::error_with(code, &error.to_string(), data)
}

/// Counts a call for the session.
pub fn count(session: &Session) {
    session.calls.fetch_add(1, Relaxed);
}

/// The door of a session, as usage records have it.
pub fn door(session: &Session) -> Door {
    session.arrival.door
}
