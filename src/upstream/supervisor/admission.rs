//! Who may call a server now: its breaker, its places, its queue; and what became of the calls.
//! Not here: starting it, and the call itself.

use super::{Running, Stats, Upstream, locked};
use crate::error::{Error, Result, codes};
use crate::upstream::breaker::Admit;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;

/// Right to make one call; held until it ends.
pub struct Permit {
    _permit: OwnedSemaphorePermit,
    _probe: Option<Probe>,
}

/// The call that finds out whether a server is well again. One that ends without a verdict leaves it to the next.
struct Probe(Arc<Upstream>);

impl Drop for Probe {
    fn drop(&mut self) {
        locked(&self.0.breaker).give_back(Instant::now());
    }
}

/// A place in the queue, given back however the waiting ends.
struct Queued<'a>(&'a Stats);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

impl Upstream {
    /// Asks for the right to make a call: breaker, then a place among those in flight, else in the queue.
    pub async fn admit(self: &Arc<Self>) -> Result<Permit> {
        let admitted = locked(&self.breaker).admit(Instant::now());
        let probe = match admitted {
            Admit::Yes => None,
            Admit::Probe => Some(Probe(self.clone())),
            Admit::No { retry_at } => return Err(self.left_alone(retry_at)),
        };
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(Permit { _permit: permit, _probe: probe });
        }
        let queued = Queued(&self.stats);
        if self.stats.waiting.fetch_add(1, Relaxed) >= self.bounds.queue {
            let message = format!("server `{}` is busy: too many calls are running and waiting", self.name());
            return Err(Error::new(&codes::UPSTREAM_BUSY, message));
        }
        let waited = tokio::time::timeout(self.bounds.call, self.permits.clone().acquire_owned()).await;
        drop(queued);
        match waited {
            Ok(Ok(permit)) => Ok(Permit { _permit: permit, _probe: probe }),
            _ => Err(Error::new(&codes::UPSTREAM_BUSY, format!("server `{}` is busy", self.name()))),
        }
    }

    pub(super) fn left_alone(&self, retry_at: Instant) -> Error {
        let seconds = retry_at.saturating_duration_since(Instant::now()).as_secs() + 1;
        let message = format!("server `{}` failed repeatedly and is left alone for {seconds} s", self.name());
        Error::new(&codes::UPSTREAM_OPEN, message)
            .hint(format!("umcp server logs {}", self.name()))
            .hint(format!("umcp health breakers --reset {}", self.name()))
    }

    /// Calls that hold a permit. The connections know of more: lists, and the request that waits for changes.
    pub fn in_flight(&self) -> usize {
        self.bounds.concurrency - self.permits.available_permits()
    }

    /// Tells how a call went over a connection. Errors of the tool itself are no failures of the server, and all calls that
    /// end with one process are one failure.
    pub fn went(&self, running: &Running, outcome: Result<(), &Error>) {
        self.stats.calls.fetch_add(1, Relaxed);
        if outcome.is_err_and(counts) {
            self.stats.failures.fetch_add(1, Relaxed);
        }
        let died = self.is_process() && outcome.is_err_and(|error| error.is(&codes::UPSTREAM_DIED));
        if !(died && running.mourned.swap(true, Relaxed)) {
            self.judge(outcome);
        }
    }

    pub(super) fn judge(&self, outcome: Result<(), &Error>) {
        match outcome {
            Ok(()) => locked(&self.breaker).success(),
            Err(error) if counts(error) => {
                locked(&self.breaker).failure(Instant::now(), self.shared.jitter())
            }
            Err(_) => {}
        }
    }
}

/// Failures that speak against the server: transport, timeout, protocol. Never what a tool said.
fn counts(error: &Error) -> bool {
    [
        &codes::UPSTREAM_DIED,
        &codes::UPSTREAM_LIMIT,
        &codes::UPSTREAM_TIMEOUT,
        &codes::UPSTREAM_PROTOCOL,
        &codes::UPSTREAM_TOO_LARGE,
        &codes::UPSTREAM_CONNECT,
        &codes::UPSTREAM_HTTP,
    ]
    .iter()
    .any(|code| error.is(code))
}
