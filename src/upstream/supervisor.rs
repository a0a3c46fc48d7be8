//! One server and everything that keeps it running: lazy start, idle stop, restart, breaker, bounds.
//! It does not know what a call means; it hands out a connection and hears how the call went.
//! Long because all of it changes one state, that of the server, under its locks; its parts are in `state.rs`, the watch of a
//! running connection in `life.rs`.

mod admission;
mod life;
mod listing;
mod revival;
mod seat;
mod state;
mod turns;

use super::breaker::Breaker;
use super::inbox::ServerInbox;
use super::oauth::Need;
use super::restart::{Restarts, Start};
use super::subscriptions::Subscribed;
use super::transport;
use super::{Happening, Shared};
use crate::engine::live::State;
use crate::error::{Error, Kind, Result, codes};
use crate::servers::model::{Sharing, Transport};
use crate::servers::{Server, references};
use crate::tools::Catalogue;
pub use seat::Seat;
use state::Slot;
pub use state::{Bounds, Note, Running, Stats};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// Grace of each stage of stopping: end of input, then a request to end, then the kill.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// A call waits so long for a restart; beyond that it is refused at once.
const SHORT_WAIT: Duration = Duration::from_secs(2);

/// One server of the user, running or not. A changed entry gets a new one.
pub struct Upstream {
    pub entry: Arc<Server>,
    pub bounds: Bounds,
    pub stats: Stats,
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    /// Connections that belong to one client, or speak for one choice of accounts.
    apart: Mutex<HashMap<Seat, Arc<Slot>>>,
    needs: OnceLock<Vec<Need>>,
    breaker: Mutex<Breaker>,
    restarts: Mutex<Restarts>,
    note: Mutex<Note>,
    permits: Arc<Semaphore>,
    turns: turns::Turns,
    catalogue: RwLock<Option<Arc<Catalogue>>>,
    fetching: tokio::sync::Mutex<()>,
    retired: AtomicBool,
    waited: AtomicBool,
    /// Outside the world: stores nothing.
    probe: bool,
    subscribed: Mutex<Subscribed>,
    resubscribed: watch::Sender<()>,
    /// A modern server has said that it tells of changes from now on.
    listening: watch::Sender<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upstream {
    pub(super) fn new(entry: Server, catalogue: Option<Arc<Catalogue>>, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self::make(entry, catalogue, shared))
    }

    fn make(entry: Server, catalogue: Option<Arc<Catalogue>>, shared: Arc<Shared>) -> Self {
        let defaults = &shared.settings.servers;
        let limits = &entry.limits;
        let millis = |own: Option<u64>, default: u64| Duration::from_millis(own.unwrap_or(default));
        let bounds = Bounds {
            start: millis(limits.start_timeout_ms, defaults.start_timeout_ms),
            call: millis(limits.call_timeout_ms, defaults.call_timeout_ms),
            idle: millis(limits.idle_stop_ms, defaults.idle_stop_ms),
            concurrency: limits.concurrency.unwrap_or(defaults.concurrency).max(1) as usize,
            queue: u64::from(limits.queue.unwrap_or(defaults.queue)),
        };
        let state = if entry.enabled { State::Idle } else { State::Disabled };
        Self {
            entry: Arc::new(entry),
            bounds,
            stats: Stats::default(),
            slot: Arc::default(),
            apart: Mutex::default(),
            needs: OnceLock::new(),
            breaker: Mutex::default(),
            restarts: Mutex::default(),
            note: Mutex::new(Note { state, last_error: None, retry_at: None }),
            permits: Arc::new(Semaphore::new(bounds.concurrency)),
            turns: turns::Turns::default(),
            catalogue: RwLock::new(catalogue),
            fetching: tokio::sync::Mutex::default(),
            retired: AtomicBool::new(false),
            waited: AtomicBool::new(false),
            subscribed: Mutex::default(),
            resubscribed: watch::Sender::new(()),
            listening: watch::Sender::new(()),
            probe: false,
            shared,
        }
    }

    /// The same entry not started yet: its breaker closed, what it offers still known.
    pub(super) fn anew(&self) -> Arc<Self> {
        let fresh = Self::new((*self.entry).clone(), self.catalogue(), self.shared.clone());
        fresh.subscriptions().clone_from(&self.subscriptions());
        fresh
    }

    /// A server outside the world, for `server test`: it stores nothing and tells nobody.
    pub fn for_test(entry: Server, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { probe: true, ..Self::make(entry, None, shared) })
    }

    pub fn id(&self) -> &str {
        &self.entry.id
    }

    /// The server in whose name it signs in: a probe speaks for the one it was made of.
    pub fn account_id(&self) -> &str {
        let id = self.id();
        if self.probe { id.strip_suffix("-test").unwrap_or(id) } else { id }
    }

    pub fn name(&self) -> &str {
        &self.entry.name
    }

    pub fn note(&self) -> Note {
        let mut note = locked(&self.note).clone();
        let now = Instant::now();
        let started = match locked(&self.restarts).may_start(now) {
            Start::Wait { until } => Some(until),
            Start::Now | Start::Looping => None,
        };
        note.retry_at = started.max(locked(&self.breaker).retry_at(now));
        note
    }

    pub fn breaker_state(&self) -> crate::engine::live::Breaker {
        locked(&self.breaker).state()
    }

    /// The session whose own connection this is; `None` for one that all share.
    pub(super) fn place(&self, session: u64) -> Option<u64> {
        (self.entry.sharing == Sharing::PerClient).then_some(session)
    }

    /// A value of the entry with its references resolved.
    pub fn address(&self, url: &str) -> Result<String> {
        self.shared.resolve(url, "the URL")
    }

    /// Starts anew with what has changed about its account.
    pub async fn take_up(self: &Arc<Self>) {
        self.stop().await;
        self.reset();
        if self.entry.enabled {
            let _ = self.list_anew().await;
        }
    }

    /// Closes the breaker and forgets a crash loop.
    pub fn reset(&self) {
        locked(&self.breaker).reset();
        locked(&self.restarts).reset();
        let mut note = locked(&self.note);
        if note.state.is_failing() {
            note.state = State::Idle;
        }
    }

    /// Makes something out of the entry's resolved values; beside the runtime where a program or a disk is asked.
    pub(super) async fn resolving<T: Send + 'static>(
        self: &Arc<Self>,
        make: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let asks = !self.is_process() || !references::secrets(&self.entry).is_empty();
        let opens = !self.shared.vault.is_open() && asks;
        let waits = references::may_wait(&self.entry);
        if !opens && !waits {
            return make(self);
        }
        let this = self.clone();
        self.shared.beside(self.id(), waits, move || make(&this)).await
    }

    /// The running connection of a seat, starting the server if needed.
    pub async fn connect_at(self: &Arc<Self>, seat: Seat) -> Result<Arc<Running>> {
        let slot = self.slot_of(&seat);
        if let Some(running) = slot.current() {
            running.touch();
            return Ok(running);
        }
        let asked = Instant::now();
        let starting = slot.starting.clone().lock_owned().await;
        while slot.is_ending() {
            tokio::task::yield_now().await;
        }
        if let Some(running) = slot.current() {
            running.touch();
            return Ok(running);
        }
        if let Some(error) = slot.failed_since(asked) {
            return Err(error);
        }
        if self.retired.load(Relaxed) {
            return Err(self.gone());
        }
        if self.shared.is_ending() {
            return Err(Error::new(&codes::DAEMON_UNAVAILABLE, "the daemon is ending"));
        }
        if !self.entry.enabled {
            let message = format!("server `{}` is disabled", self.name());
            return Err(Error::new(&codes::SERVER_DISABLED, message)
                .hint(format!("umcp server enable {}", self.name())));
        }
        self.pause().await?;
        let this = self.clone();
        // A task of its own: a caller who gives up must not end a slow start that others, or he himself, need.
        let started = tokio::spawn(async move {
            let _starting = starting;
            let outcome = this.start(&slot, seat).await;
            if let Err(error) = &outcome {
                this.failed(error);
                *locked(&slot.failed) = Some((Instant::now(), error.clone()));
            }
            outcome
        });
        started.await.map_err(|error| Error::bug("the start of a server did not end").because(error))?
    }

    fn gone(&self) -> Error {
        Error::new(&codes::SERVER_NOT_FOUND, format!("server `{}` was changed or removed", self.name()))
    }

    /// Whether it is one of the servers inside umcp.
    pub fn is_inside(&self) -> bool {
        matches!(self.entry.transport, Transport::Builtin { .. })
    }

    /// Whether what it answers depends on who asks, which it is told in `_meta`.
    pub fn is_told_the_caller(&self) -> bool {
        matches!(&self.entry.transport, Transport::Builtin { name } if name == "memory")
    }

    /// Only processes are started; to reach other servers again the breaker alone decides.
    fn is_process(&self) -> bool {
        matches!(self.entry.transport, Transport::Stdio { .. })
    }

    /// Waits out a short back-off, refuses during a long one and in a crash loop.
    async fn pause(&self) -> Result<()> {
        let now = Instant::now();
        let start = locked(&self.restarts).may_start(now);
        let last = locked(&self.note).last_error.clone().unwrap_or_default();
        match start {
            Start::Now => Ok(()),
            Start::Wait { until } if until - now <= SHORT_WAIT => {
                tokio::time::sleep_until(until.into()).await;
                Ok(())
            }
            Start::Wait { until } => Err(self.left_alone(until).because(last)),
            Start::Looping => {
                self.set_state(State::CrashLoop, None);
                let message =
                    format!("server `{}` ended again and again and is not started any more", self.name());
                Err(Error::new(&codes::UPSTREAM_LOOPING, message)
                    .because(last)
                    .hint(format!("umcp server restart {}", self.name())))
            }
        }
    }

    async fn start(self: &Arc<Self>, slot: &Arc<Slot>, seat: Seat) -> Result<Arc<Running>> {
        self.set_state(State::Starting, None);
        if self.is_process() {
            locked(&self.restarts).started(Instant::now());
        }
        let inbox = Arc::new(ServerInbox::new(self, seat.session));
        let remembered = self.catalogue().filter(|known| known.entry_revision == self.entry.revision);
        let mut stops = slot.stops.subscribe();
        let opened = tokio::select! {
            opened = transport::connect(self, inbox, remembered.as_deref(), &seat.accounts) => opened,
            // Dropped half-way, it takes its process with it.
            _ = stops.changed() => return Err(self.called_off()),
        };
        let opened = opened.map_err(|error| self.named(error))?;
        let running = Arc::new(Running {
            pid: opened.child.as_ref().map(|child| child.pid),
            connection: opened.connection,
            agreement: opened.agreement,
            transport: opened.word,
            started: Instant::now(),
            child: Mutex::new(opened.child),
            mourned: AtomicBool::new(false),
            last_used: AtomicU64::new(0),
            epoch: Instant::now(),
        });
        slot.set(Some(running.clone()));
        self.set_state(State::Ready, None);
        tokio::spawn(self.clone().watch(slot.clone(), running.clone(), seat));
        if stops.has_changed().unwrap_or(true) || self.retired.load(Relaxed) || slot.abandoned.load(Relaxed) {
            let error =
                Error::new(&codes::CANCELLED, format!("server `{}` is no longer needed", self.name()));
            running.connection.close(error.clone());
            return Err(error);
        }
        Ok(running)
    }

    /// Enters a start that was given up on purpose.
    fn called_off(&self) -> Error {
        if self.is_process() {
            locked(&self.restarts).stopped(Instant::now());
        }
        self.set_state(if self.entry.enabled { State::Idle } else { State::Disabled }, None);
        Error::new(&codes::CANCELLED, format!("server `{}` was stopped while it started", self.name()))
    }

    /// Whether a start that failed may be tried once more in another way; it counts as a start of its own.
    pub(super) fn may_try_again(&self) -> bool {
        locked(&self.restarts).once_more(Instant::now())
    }

    /// Puts the server's name in front of an error.
    pub fn named(&self, mut error: Error) -> Error {
        let prefix = format!("server `{}`: ", self.name());
        if !error.message.contains(&format!("`{}`", self.name())) {
            error.message.insert_str(0, &prefix);
        }
        if error.is(&codes::UPSTREAM_SIGN_IN) {
            // What the account says goes first: it knows its own name.
            error.hints.insert(0, format!("umcp server login {}", self.name()));
        } else if !error.is(&codes::SIGN_IN_NEEDED) && !error.hints.iter().any(|hint| hint.contains("logs")) {
            error = error.hint(format!("umcp server logs {}", self.name()));
        }
        error
    }

    fn failed(&self, error: &Error) {
        if error.is(&codes::CANCELLED) {
            return;
        }
        if error.kind() == Kind::Credential {
            // No failure of the server's, and nothing that time heals.
            let (state, said) = state::wants(error);
            return self.set_state(state, Some(said));
        }
        let now = Instant::now();
        if self.is_process() {
            locked(&self.restarts).ended(now, false, self.shared.jitter());
        }
        locked(&self.breaker).failure(now, self.shared.jitter());
        self.set_state(State::Waiting, Some(error.to_string()));
    }

    fn set_state(&self, state: State, error: Option<String>) {
        let changed = {
            let mut note = locked(&self.note);
            let changed = note.state != state;
            note.state = state;
            if error.is_some() {
                note.last_error = error.clone();
            }
            changed
        };
        if changed {
            self.shared.happened(Happening::State { server: self.name().into(), state, detail: error });
        }
    }

    /// The server tells of changes from now on.
    pub(super) fn listens(&self) {
        self.listening.send_replace(());
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn subscriptions(&self) -> MutexGuard<'_, Subscribed> {
        locked(&self.subscribed)
    }

    pub(super) fn resubscribed(&self) -> watch::Receiver<()> {
        self.resubscribed.subscribe()
    }

    pub(super) fn resubscribe(&self) {
        self.resubscribed.send_replace(());
    }

    /// Ends every connection of a session that has gone.
    pub fn leave(&self, session: u64) {
        if self.place(session).is_some() {
            self.subscriptions().leave(session);
        }
        let own = |seat: &Seat| seat.session == Some(session);
        let gone: Vec<_> = locked(&self.apart).extract_if(|seat, _| own(seat)).collect();
        for (_, slot) in gone {
            slot.abandoned.store(true, Relaxed);
            slot.stop();
            if let Some(running) = slot.current() {
                running.connection.close(Error::new(&codes::CANCELLED, "the client left"));
            }
        }
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    fn slots(&self) -> Vec<Arc<Slot>> {
        let mut slots: Vec<Arc<Slot>> = locked(&self.apart).values().cloned().collect();
        slots.push(self.slot.clone());
        slots
    }

    /// Ends all connections, and starts that are under way; the next use starts the server again. Returns when the
    /// processes are gone.
    pub async fn stop(&self) {
        let mut stopped = false;
        for slot in self.slots() {
            slot.stop();
            let Some(running) = slot.set(None) else {
                // A start under way gives up its process before it gives up this.
                let _ = tokio::time::timeout(STOP_GRACE, slot.starting.lock()).await;
                continue;
            };
            stopped = true;
            running
                .connection
                .close(Error::new(&codes::CANCELLED, format!("server `{}` was stopped", self.name())));
            let child = locked(&running.child).take();
            if let Some(child) = child {
                child.stop(STOP_GRACE).await;
            }
        }
        // Whoever asked for the stop looks next; the watcher of the connection may come later than that.
        if stopped && self.connections().is_empty() {
            self.set_state(if self.entry.enabled { State::Idle } else { State::Disabled }, None);
        }
    }

    /// As `stop`, and for good: the entry was changed or removed.
    pub(super) fn retire(self: &Arc<Self>) {
        self.retired.store(true, Relaxed);
        let this = self.clone();
        tokio::spawn(async move { this.stop().await });
    }

    /// Pids of all running processes of this server.
    pub fn pids(&self) -> Vec<u32> {
        self.slots().iter().filter_map(|slot| slot.current()?.pid).collect()
    }

    /// Connections of this server that are up.
    pub fn connections(&self) -> Vec<Arc<Running>> {
        self.slots().iter().filter_map(|slot| slot.current()).collect()
    }
}
