//! Legacy HTTP sessions by their id, with the general stream a client may open. Idle ones are forgotten.

use super::streams::{GENERAL, Streams};
use crate::gateway::outbox::OutQueue;
use crate::gateway::session::Session;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A session nobody used for this long is forgotten, unless its general stream is open.
const IDLE: Duration = Duration::from_secs(6 * 3600);
/// Two looks for idle ones are at least this far apart.
const LEAST: Duration = Duration::from_millis(20);
/// Sessions at once; more push out the one idle for longest.
const MOST: usize = 10_000;

/// A legacy session over HTTP.
pub struct HttpSession {
    pub id: String,
    pub session: Arc<Session>,
    pub streams: Streams,
    used: Mutex<Instant>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HttpSession {
    pub fn new(session: Arc<Session>, queue: OutQueue) -> Arc<Self> {
        let id = crate::ids::random_hex(16);
        Arc::new(Self { id, session, streams: Streams::new(queue), used: Mutex::new(Instant::now()) })
    }

    /// The general stream is open.
    fn is_followed(&self) -> bool {
        self.streams.get(GENERAL).is_some_and(|general| general.is_attached())
    }

    pub fn touch(&self) {
        *locked(&self.used) = Instant::now();
    }

    fn idle_for(&self, now: Instant) -> Duration {
        match self.is_followed() {
            true => Duration::ZERO,
            false => now.saturating_duration_since(*locked(&self.used)),
        }
    }
}

/// All legacy sessions of one listener.
pub struct Sessions {
    sessions: Mutex<HashMap<String, Arc<HttpSession>>>,
    idle: Duration,
    sweeping: AtomicBool,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { sessions: Mutex::default(), idle: IDLE, sweeping: AtomicBool::new(false) }
    }
}

impl Sessions {
    /// A session of the same address and key: one that was opened for another profile is not known here.
    pub fn get(&self, id: &str, profile: Option<&str>) -> Option<Arc<HttpSession>> {
        let session = locked(&self.sessions).get(id).cloned()?;
        let same = session.session.arrival.profile.as_deref() == profile;
        same.then(|| session.touch())?;
        Some(session)
    }

    /// Adds a session and gives the one that had to go for it.
    pub fn insert(&self, session: Arc<HttpSession>) -> Option<Arc<HttpSession>> {
        let now = Instant::now();
        let mut sessions = locked(&self.sessions);
        let oldest = (sessions.len() >= MOST)
            .then(|| sessions.values().max_by_key(|session| session.idle_for(now)).map(|it| it.id.clone()));
        let gone = oldest.flatten().and_then(|id| sessions.remove(&id));
        sessions.insert(session.id.clone(), session);
        gone
    }

    /// Takes out those that were idle for too long.
    fn expired(&self, now: Instant) -> Vec<Arc<HttpSession>> {
        let mut sessions = locked(&self.sessions);
        let idle = |session: &&Arc<HttpSession>| session.idle_for(now) >= self.idle;
        let ids: Vec<String> = sessions.values().filter(idle).map(|session| session.id.clone()).collect();
        ids.iter().filter_map(|id| sessions.remove(id)).collect()
    }

    /// How long from now no session can have expired; `None` when there is none.
    fn quiet_for(&self, now: Instant) -> Option<Duration> {
        let sessions = locked(&self.sessions);
        let left = sessions.values().map(|session| self.idle.saturating_sub(session.idle_for(now)));
        left.min()
    }

    /// Whether somebody should begin to `sweep`: nobody does.
    pub fn wants_sweeping(&self) -> bool {
        !self.sweeping.swap(true, Relaxed)
    }

    /// Tells `gone` of each session when it has expired. Ends with the last one, so that an idle daemon sleeps.
    pub async fn sweep(&self, gone: impl Fn(&HttpSession)) {
        while let Some(quiet) = self.quiet_for(Instant::now()) {
            tokio::time::sleep(quiet.max(LEAST)).await;
            self.expired(Instant::now()).iter().for_each(|session| gone(session));
        }
        self.sweeping.store(false, Relaxed);
    }

    pub fn remove(&self, id: &str) {
        locked(&self.sessions).remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::gateway::outbox::Outbox;
    use crate::gateway::session::Arrival;
    use crate::usage::Door;

    fn session() -> Arc<HttpSession> {
        let (outbox, queue) = Outbox::new();
        let arrival = Arrival {
            door: Door::Http,
            client: String::new(),
            token: None,
            until: None,
            profile: Some("work".into()),
            cwd: None,
        };
        HttpSession::new(Session::new(1, arrival, Arc::default(), outbox, Timestamp(0)), queue)
    }

    #[test]
    fn idle_sessions_go_without_a_newcomer_and_the_last_one_ends_the_sweeping() {
        let idle = Duration::from_millis(30);
        let sessions = Sessions { idle, ..Sessions::default() };
        let (first, streaming) = (session(), session());
        let reader = streaming.streams.get(GENERAL).unwrap().read(None);
        for one in [&first, &streaming] {
            assert!(sessions.insert(one.clone()).is_none());
        }
        let late = Instant::now() + idle;
        assert_eq!(sessions.quiet_for(late), Some(Duration::ZERO));
        let expired = |now| sessions.expired(now).iter().map(|it| it.id.clone()).collect::<Vec<_>>();
        assert_eq!((expired(late), expired(late)), (vec![first.id.clone()], vec![]));
        assert_eq!(sessions.quiet_for(late), Some(idle), "one with an open stream is not idle");
        drop(reader);
        assert!(sessions.wants_sweeping() && !sessions.wants_sweeping());
        let gone = Mutex::new(Vec::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(sessions.sweep(|session| locked(&gone).push(session.id.clone())));
        assert_eq!(locked(&gone).join(" "), streaming.id);
        assert!(sessions.wants_sweeping());
    }

    #[test]
    fn a_session_is_known_to_its_own_profile_only() {
        let sessions = Sessions::default();
        let session = session();
        let id = session.id.clone();
        assert!(sessions.insert(session).is_none());
        assert!(sessions.get(&id, Some("work")).is_some());
        assert!(sessions.get(&id, Some("other")).is_none() && sessions.get(&id, None).is_none());
        sessions.remove(&id);
        assert!(sessions.get(&id, Some("work")).is_none());
    }
}
