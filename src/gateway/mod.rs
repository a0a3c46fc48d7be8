//! The MCP front door: both eras on one endpoint, over stdio bridges and HTTP. It keeps sessions, answers lists
//! from views, and hands every call to `calls`. Messages are relayed as raw JSON; only envelopes are parsed.

mod ends;
pub mod guard;
pub mod handler;
pub mod http;
pub mod hub;
pub mod listener;
mod listening;
pub mod modern;
pub mod outbox;
pub mod own;
mod peers;
pub mod relay;
pub mod session;
mod skills;
pub mod stdio;
pub mod tasks;

use crate::calls::Caller;
use crate::clock::Timestamp;
use crate::engine::live::Event;
use crate::environments::Profile;
use crate::error::Result;
use crate::metrics::Snapshot;
use crate::policy::pass::Pass;
use crate::policy::scope::Scopes;
use crate::upstream::{View, World};
use hub::Hub;
use modern::Parked;
use outbox::Outbox;
use peers::Peers;
use session::{Arrival, Session};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use tasks::Tasks;
use tokio::sync::{broadcast, watch};

/// Everything the front doors share.
pub struct Gateway {
    pub caller: Arc<Caller>,
    pub hub: Hub,
    pub events: broadcast::Sender<Event>,
    /// The daemon ends: nothing is waited for any more.
    ending: watch::Sender<bool>,
    /// The same without calls, which are many: for the daemon's log.
    pub news: broadcast::Sender<Event>,
    parked: Parked,
    peers: Peers,
    /// Of sessions that are told nothing.
    nowhere: Arc<Outbox>,
    tasks: Tasks,
    next_session: AtomicU64,
    recent: own::Recent,
    /// What all HTTP listeners share.
    entrance: http::Entrance,
    ends: ends::Ends,
    /// HTTP on the daemon's own socket; made at its first use.
    local_door: OnceLock<Arc<http::Door>>,
    /// Gathers what is measured.
    measure: OnceLock<Measure>,
}

type Measure = Box<dyn Fn() -> Option<Snapshot> + Send + Sync>;

impl Gateway {
    /// A gateway over a world; it hears what happens there from now on.
    pub fn new(caller: Arc<Caller>) -> Arc<Self> {
        let entrance = http::Entrance::new(&caller.world.shared.settings.gateway);
        let gateway = Arc::new(Self {
            caller,
            hub: Hub::default(),
            events: broadcast::channel(1024).0,
            ending: watch::Sender::new(false),
            news: broadcast::channel(256).0,
            parked: Parked::default(),
            peers: Peers::default(),
            nowhere: Outbox::new().0,
            tasks: Tasks::default(),
            next_session: AtomicU64::new(1),
            recent: own::Recent::default(),
            entrance,
            ends: ends::Ends::default(),
            local_door: OnceLock::new(),
            measure: OnceLock::new(),
        });
        let verbs = if gateway.world().shared.settings.gateway.own_tools { own::verbs() } else { Vec::new() };
        gateway.world().shared.list_also(verbs, own::reading());
        let events = gateway.events.clone();
        gateway.caller.watch(move |at, call| {
            if events.receiver_count() > 0 {
                let _ = events.send(Event::Call {
                    at,
                    client: call.client.into(),
                    server: call.server.into(),
                    tool: call.tool.into(),
                    class: call.class.word().into(),
                    duration_us: call.duration_us,
                });
            }
        });
        let weak = Arc::downgrade(&gateway);
        gateway.world().listen(move |happening| {
            if let Some(gateway) = weak.upgrade() {
                gateway.happened(happening);
            }
        });
        gateway
    }

    pub fn world(&self) -> &Arc<World> {
        &self.caller.world
    }

    /// A new session; the caller serves it and calls `leave` when it ends.
    pub fn arrive(self: &Arc<Self>, arrival: Arrival, outbox: Arc<Outbox>) -> Result<Arc<Session>> {
        let profile = self.profile_of(&arrival, &arrival.client)?;
        let id = self.next_session.fetch_add(1, Relaxed);
        let now = self.world().shared.engine.now();
        let session = self.with_key(Session::new(id, arrival, profile, outbox, now));
        self.hub.insert(session.clone());
        if session.ends().is_some() {
            self.watch_ends();
        }
        Ok(session)
    }

    /// A session for one modern request over HTTP; only one that listens is told what happens.
    pub fn visit(self: &Arc<Self>, arrival: Arrival, listens: bool) -> Result<Arc<Session>> {
        if listens {
            return self.arrive(arrival, Outbox::new().0);
        }
        let outbox = self.nowhere.clone();
        let profile = self.profile_of(&arrival, &arrival.client)?;
        let id = self.next_session.fetch_add(1, Relaxed);
        Ok(self.with_key(Session::new(id, arrival, profile, outbox, self.world().shared.engine.now())))
    }

    /// Notes the id of the key a session came with: names of keys can be given again.
    fn with_key(&self, session: Arc<Session>) -> Arc<Session> {
        if let Some(pass) = &session.arrival.token
            && let Ok(tokens) = self.entrance.tokens(&self.world().shared.engine)
            && let Some(token) = tokens.iter().find(|it| it.name == **pass.name() && it.revoked.is_none())
        {
            session.came_with(&token.id);
        }
        session
    }

    /// The request of `visit` is over.
    pub fn end_visit(self: &Arc<Self>, session: &Arc<Session>) {
        if self.hub.get(session.id).is_some() {
            self.leave(session);
        } else if !self.parked.holds(session.id) {
            // A parked call goes on with the client's next request, and ends what belongs to it itself.
            self.world().leave(session.id);
        }
    }

    /// Sets who gathers what is measured; once.
    pub fn measure_by(&self, measure: impl Fn() -> Option<Snapshot> + Send + Sync + 'static) {
        let _ = self.measure.set(Box::new(measure));
    }

    /// Everything measured now; `None` while the daemon starts or ends.
    pub fn measure(&self) -> Option<Snapshot> {
        self.measure.get().and_then(|measure| measure())
    }

    /// Everything the client of a session is shown.
    pub fn view_of(&self, session: &Session) -> Arc<View> {
        self.world().view(&session.profile(), &session.client(), session.arrival.token.as_ref())
    }

    /// The `tools` array a client of this view is shown, as JSON text.
    pub async fn listed(self: &Arc<Self>, view: &Arc<View>) -> String {
        match view.is_searched() {
            true => self.short_list(view).await.whole("tools"),
            false => view.tool_list.whole("tools"),
        }
    }

    fn profile_of(&self, arrival: &Arrival, client: &str) -> Result<Arc<Profile>> {
        self.world().profile(arrival.profile.as_deref(), client, arrival.cwd.as_deref())
    }

    /// The client has gone: its calls are cancelled, what was started for it alone ends.
    pub fn leave(self: &Arc<Self>, session: &Arc<Session>) {
        session.close();
        self.hub.remove(session.id);
        self.world().leave(session.id);
        let waited = session.stop_waiting();
        if !waited.is_empty() {
            let gateway = self.clone();
            let session = session.clone();
            tokio::spawn(async move {
                for uri in waited {
                    gateway.stop_waiting(&session, &uri).await;
                }
            });
        }
        self.tell(|at| Event::Session { at, client: session.client().to_string(), opened: false });
    }

    async fn stop_waiting(&self, session: &Session, uri: &str) {
        let view = self.view_of(session);
        if let Some(owner) = view.owner(uri) {
            owner.unsubscribe(session.id, uri).await;
        }
    }

    /// A one-time code with which the owner allows a client at the consent page, and its end.
    pub fn invite(&self, profile: Option<String>, scopes: Scopes) -> (String, Timestamp) {
        self.entrance.server.invite(profile, scopes, self.world().shared.engine.now())
    }

    /// The keys of the HTTP door were changed: whoever came with one that is no longer good is let go.
    pub fn forget_tokens(self: &Arc<Self>) {
        self.entrance.forget();
        let engine = &self.world().shared.engine;
        for session in self.hub.all() {
            let name = session.arrival.token.as_ref().map(Pass::name);
            // A store that cannot be read is told to the next one who comes.
            if name.is_some_and(|name| matches!(self.entrance.still_opens(engine, name), Ok(false))) {
                self.let_go(&session);
            }
        }
    }

    /// Tells whoever follows events; costs nothing when nobody does.
    pub fn tell(&self, event: impl FnOnce(crate::clock::Timestamp) -> Event) {
        if self.events.receiver_count() + self.news.receiver_count() > 0 {
            let event = event(self.world().shared.engine.now());
            let _ = self.news.send(event.clone());
            let _ = self.events.send(event);
        }
    }
}
