//! Legacy HTTP sessions by their id, with the general stream a client may open. Idle ones are forgotten.

use crate::gateway::outbox::OutQueue;
use crate::gateway::session::Session;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A session nobody used for this long is forgotten, unless its general stream is open.
const IDLE: Duration = Duration::from_secs(6 * 3600);
/// Sessions at once; more push out the one idle for longest.
const MOST: usize = 10_000;

/// A legacy session over HTTP.
pub struct HttpSession {
    pub id: String,
    pub session: Arc<Session>,
    /// Messages outside any request, while no general stream is open.
    queue: Mutex<Option<OutQueue>>,
    used: Mutex<Instant>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HttpSession {
    pub fn new(session: Arc<Session>, queue: OutQueue) -> Arc<Self> {
        let id = crate::ids::random_hex(16);
        Arc::new(Self { id, session, queue: Mutex::new(Some(queue)), used: Mutex::new(Instant::now()) })
    }

    /// The queue for a general stream; `None` while one is open.
    pub fn take_queue(&self) -> Option<OutQueue> {
        locked(&self.queue).take()
    }

    pub fn give_back(&self, queue: OutQueue) {
        *locked(&self.queue) = Some(queue);
        self.touch();
    }

    fn touch(&self) {
        *locked(&self.used) = Instant::now();
    }

    fn idle_for(&self) -> Duration {
        match locked(&self.queue).is_some() {
            true => locked(&self.used).elapsed(),
            false => Duration::ZERO,
        }
    }
}

/// All legacy sessions of one listener.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<String, Arc<HttpSession>>>);

impl Sessions {
    /// A session of the same address and key: one that was opened for another profile is not known here.
    pub fn get(&self, id: &str, profile: Option<&str>) -> Option<Arc<HttpSession>> {
        let session = locked(&self.0).get(id).cloned()?;
        let same = session.session.arrival.profile.as_deref() == profile;
        same.then(|| session.touch())?;
        Some(session)
    }

    /// Adds a session and gives those that had to go.
    pub fn insert(&self, session: Arc<HttpSession>) -> Vec<Arc<HttpSession>> {
        let mut sessions = locked(&self.0);
        let mut gone: Vec<String> = sessions
            .values()
            .filter(|session| session.idle_for() > IDLE)
            .map(|session| session.id.clone())
            .collect();
        if sessions.len() - gone.len() >= MOST {
            let oldest = sessions.values().max_by_key(|session| session.idle_for());
            gone.extend(oldest.map(|session| session.id.clone()));
        }
        let gone = gone.iter().filter_map(|id| sessions.remove(id)).collect();
        sessions.insert(session.id.clone(), session);
        gone
    }

    pub fn remove(&self, id: &str) {
        locked(&self.0).remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::gateway::outbox::Outbox;
    use crate::gateway::session::Arrival;
    use crate::usage::Door;

    #[test]
    fn a_session_is_known_to_its_own_profile_only() {
        let sessions = Sessions::default();
        let (outbox, queue) = Outbox::new();
        let arrival = Arrival {
            door: Door::Http,
            client: String::new(),
            token: None,
            profile: Some("work".into()),
            cwd: None,
        };
        let session = Session::new(1, arrival, Arc::default(), outbox, Timestamp(0));
        let session = HttpSession::new(session, queue);
        let id = session.id.clone();
        assert!(sessions.insert(session).is_empty());
        assert!(sessions.get(&id, Some("work")).is_some());
        assert!(sessions.get(&id, Some("other")).is_none() && sessions.get(&id, None).is_none());
        sessions.remove(&id);
        assert!(sessions.get(&id, Some("work")).is_none());
    }
}
