//! What a supervisor keeps of its server: bounds, places for connections, counters, the last word on its state.
//! It decides nothing and starts nothing.

use super::locked;
use crate::engine::live::State;
use crate::error::{Error, codes};
use crate::upstream::connection::{Agreement, Connection};
use crate::upstream::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// A running connection with what belongs to it.
pub struct Running {
    pub connection: Connection,
    pub agreement: Agreement,
    pub pid: Option<u32>,
    /// The transport that answered, when it is not the entry's.
    pub transport: Option<&'static str>,
    pub started: Instant,
    pub(super) child: Mutex<Option<Child>>,
    /// That it died was counted, which all calls on it are told.
    pub(super) mourned: AtomicBool,
    pub(super) last_used: AtomicU64,
    pub(super) epoch: Instant,
}

impl Running {
    pub(super) fn touch(&self) {
        self.last_used.store(self.epoch.elapsed().as_millis() as u64, Relaxed);
    }

    pub(super) fn idle_for(&self) -> Duration {
        self.epoch.elapsed().saturating_sub(Duration::from_millis(self.last_used.load(Relaxed)))
    }
}

/// Bounds of a server with the settings filled in.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub start: Duration,
    pub call: Duration,
    /// Zero never stops it.
    pub idle: Duration,
    pub concurrency: usize,
    pub queue: u64,
}

/// One place for a running connection: the shared one, or that of one client session.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) running: RwLock<Option<Arc<Running>>>,
    pub(super) starting: Arc<tokio::sync::Mutex<()>>,
    /// The latest failed start, for those who were waiting for it.
    pub(super) failed: Mutex<Option<(Instant, Error)>>,
    /// Counts the stops, so that a start under way hears of one.
    pub(super) stops: tokio::sync::watch::Sender<u64>,
    /// Its session has left.
    pub(super) abandoned: AtomicBool,
    /// Somebody tries to start it again already.
    pub(super) reviving: AtomicBool,
}

impl Slot {
    /// Calls off a start that is under way.
    pub(super) fn stop(&self) {
        self.stops.send_modify(|stops| *stops += 1);
    }

    /// Its connection is closed, and the one who watches it has not come round to that yet.
    pub(super) fn is_ending(&self) -> bool {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().is_some_and(|running| running.connection.is_closed())
    }

    pub(super) fn current(&self) -> Option<Arc<Running>> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().filter(|running| !running.connection.is_closed()).cloned()
    }

    pub(super) fn failed_since(&self, asked: Instant) -> Option<Error> {
        locked(&self.failed).as_ref().filter(|(at, _)| *at >= asked).map(|(_, error)| error.clone())
    }

    pub(super) fn set(&self, running: Option<Arc<Running>>) -> Option<Arc<Running>> {
        std::mem::replace(&mut *self.running.write().unwrap_or_else(PoisonError::into_inner), running)
    }
}

/// What `server status` tells besides the counters.
#[derive(Debug, Clone)]
pub struct Note {
    pub state: State,
    pub last_error: Option<String>,
    pub retry_at: Option<Instant>,
}

/// What a server waits for that was refused for want of a credential, with the command that brings it.
pub(super) fn wants(error: &Error) -> (State, String) {
    let kept = [
        &codes::SECRET_MISSING,
        &codes::SECRET_SOURCE,
        &codes::VAULT_LOCKED,
        &codes::VAULT_KEY_MISSING,
        &codes::VAULT_KEY_WRONG,
    ];
    if !kept.into_iter().any(|code| error.is(code)) {
        return (State::NeedsSignIn, error.to_string());
    }
    let command = error.hints.iter().find(|hint| hint.starts_with("umcp "));
    let command = command.map_or_else(String::new, |command| format!(" ({command})"));
    (State::NeedsSecret, format!("{error}{command}"))
}

/// Counters of one server since the daemon started.
#[derive(Debug, Default)]
pub struct Stats {
    pub calls: AtomicU64,
    pub failures: AtomicU64,
    pub restarts: AtomicU64,
    pub waiting: AtomicU64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_secret_is_no_missing_sign_in() {
        let missing =
            Error::new(&codes::SECRET_MISSING, "the secret `A` is not set").hint("umcp secret set A");
        assert_eq!(
            wants(&missing),
            (State::NeedsSecret, "the secret `A` is not set (umcp secret set A)".to_string())
        );
        let sign_in = Error::new(&codes::UPSTREAM_SIGN_IN, "who asks?").hint("umcp server login a");
        assert_eq!(wants(&sign_in), (State::NeedsSignIn, "who asks?".to_string()));
    }
}
