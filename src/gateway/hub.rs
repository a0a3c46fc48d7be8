//! All sessions, and what happens in the world on its way to them.

use super::Gateway;
use super::session::{Session, level_word, severity};
use crate::engine::live::Event;
use crate::policy::rules::redact::redact;
use crate::upstream::{Happening, Upstream, View};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Changes within this time are told once.
const COALESCE: Duration = Duration::from_millis(30);

/// The sessions.
#[derive(Default)]
pub struct Hub {
    sessions: Mutex<BTreeMap<u64, Arc<Session>>>,
    telling: AtomicBool,
}

impl Hub {
    fn sessions(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn insert(&self, session: Arc<Session>) {
        self.sessions().insert(session.id, session);
    }

    pub fn remove(&self, id: u64) {
        self.sessions().remove(&id);
    }

    pub fn get(&self, id: u64) -> Option<Arc<Session>> {
        self.sessions().get(&id).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Session>> {
        self.sessions().values().cloned().collect()
    }

    pub fn count(&self) -> usize {
        self.sessions().len()
    }
}

/// Tags of a view's tool, prompt and resource lists; equal tags, equal lists.
pub fn tags(view: &View) -> [u64; 3] {
    fn tag<'a>(texts: impl Iterator<Item = &'a str>) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        texts.for_each(|text| text.hash(&mut hasher));
        hasher.finish() | 1
    }
    [
        tag(view.tools.iter().map(|tool| tool.json.as_str())),
        tag(view.prompts.iter().map(|item| item.json.as_str())),
        tag(view.resources.iter().chain(&view.templates).map(|item| item.json.as_str())),
    ]
}

impl Gateway {
    /// Takes what happened in the world. Returns at once.
    pub(super) fn happened(self: &Arc<Self>, happening: Happening) {
        match happening {
            Happening::ListChanged => self.lists_changed(),
            Happening::State { server, state, detail } => {
                self.tell(|at| Event::Server { at, server, state, detail })
            }
            Happening::Approval { id, client, server, tool } => {
                self.tell(|at| Event::Approval { at, id, client, server, tool });
            }
            Happening::Account { connection, state, detail } => {
                self.tell(|at| Event::Account { at, connection, state, detail })
            }
            Happening::Ask { server, session, mut ask } => {
                if let Some(session) = self.hub.get(session) {
                    if let Some(upstream) = self.world().by_id(&server) {
                        ask.params = self.hidden(&upstream, &session, &ask.params).unwrap_or(ask.params);
                    }
                    let abilities = session.peer().map(|peer| peer.abilities).unwrap_or_default();
                    session.ask(&abilities, ask, &session.outbox);
                }
            }
            Happening::Notification { server, session, method, params } => {
                self.notified(&server, session, &method, &params);
            }
        }
    }

    fn lists_changed(self: &Arc<Self>) {
        self.world().touch();
        if tokio::runtime::Handle::try_current().is_err() || self.hub.telling.swap(true, SeqCst) {
            return;
        }
        let gateway = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(COALESCE).await;
            gateway.hub.telling.store(false, SeqCst);
            gateway.tell_lists();
        });
    }

    fn tell_lists(&self) {
        // Sessions that see the same share one view.
        let mut made: Vec<(Arc<View>, [u64; 3])> = Vec::new();
        for session in self.hub.all() {
            // A changed profile reaches the session that uses it.
            if let Ok(profile) = self.profile_of(&session.arrival, &session.client()) {
                session.set_profile(profile);
            }
            let view = self.view_of(&session);
            let known = made.iter().find(|(other, _)| Arc::ptr_eq(other, &view)).map(|(_, tags)| *tags);
            let tags = known.unwrap_or_else(|| tags(&view));
            if known.is_none() {
                made.push((view, tags));
            }
            session.lists_changed(tags);
        }
        self.tell(|at| {
            let catalogues = self.world().all().into_iter().filter_map(|upstream| upstream.catalogue());
            Event::ListChanged { at, tools: catalogues.map(|catalogue| catalogue.tools.len() as u64).sum() }
        });
    }

    fn notified(&self, server: &str, session: Option<u64>, method: &str, params: &str) {
        let sessions: Vec<Arc<Session>> = match session {
            Some(id) => self.hub.get(id).into_iter().collect(),
            None => self.hub.all(),
        };
        let Some(upstream) = self.world().by_id(server) else { return };
        let value: Value = serde_json::from_str(params).unwrap_or_default();
        // A client hears nothing of servers that its profile does not show.
        let hears = |session: &Arc<Session>| {
            let (profile, token) = (session.profile(), session.arrival.token.as_ref());
            upstream.is_shown(&profile)
                && !self.world().is_closed(upstream.name(), &profile, &session.client(), token)
        };
        for session in sessions.into_iter().filter(hears) {
            let hidden = self.hidden(&upstream, &session, params);
            let params = hidden.as_deref().unwrap_or(params);
            match method {
                "notifications/resources/updated" => {
                    let uri = value["uri"].as_str().unwrap_or_default();
                    if session.waits_for(uri) && self.may_hear(&session, uri) {
                        session.resource_updated(uri, params);
                    }
                }
                // Outside a call a log message is for those who asked for the server's log.
                "notifications/message" => {
                    let level = severity(value["level"].as_str().unwrap_or("info"));
                    if session.level().is_some_and(|wanted| level >= wanted) {
                        session.outbox.notify(crate::upstream::message::notification(method, params));
                    }
                }
                "notifications/progress" => {}
                _ => session.broadcast(method, params),
            }
        }
        if method == "notifications/message" {
            let message =
                value["data"].as_str().map_or_else(|| value["data"].to_string(), ToString::to_string);
            let level = level_word(severity(value["level"].as_str().unwrap_or("info"))).to_string();
            self.tell(|_| Event::Log { level, message: format!("{}: {message}", upstream.name()) });
        }
    }

    /// What a server says outside any call without what the policy redacts; `None` when there is nothing to hide.
    fn hidden(&self, upstream: &Upstream, session: &Session, params: &str) -> Option<String> {
        let (profile, token) = (session.profile(), session.arrival.token.as_ref());
        let rules = self.world().redactions(upstream.name(), &profile, &session.client(), token);
        if rules.is_empty() { None } else { redact(params, &rules) }
    }

    /// Whether the policy, as it is now, lets a client hear of a resource it once subscribed to.
    fn may_hear(&self, session: &Session, uri: &str) -> bool {
        !matches!(self.view_of(session).reach(uri), Some(Err(_)))
    }
}
