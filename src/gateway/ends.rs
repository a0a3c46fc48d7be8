//! Sessions whose pass ends by itself: a token has an `exp`, a key an expiry, and what was opened with one ends then, unless
//! its client has come with a newer one meanwhile. One task waits for the earliest end and ends with the last such session.

use super::Gateway;
use super::session::Session;
use crate::policy::pass::Pass;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Notify;

/// The longest wait: clocks are set, and machines sleep.
const LONGEST: Duration = Duration::from_secs(600);
/// The shortest: an end lies between two milliseconds.
const SHORTEST: Duration = Duration::from_millis(5);

/// A key that was given a longer life is looked at again after this.
const AGAIN_MS: u64 = 60_000;

/// See the head of the file.
#[derive(Default)]
pub struct Ends {
    watching: AtomicBool,
    newcomer: Notify,
}

impl Gateway {
    /// A session with an end has come.
    pub(super) fn watch_ends(self: &Arc<Self>) {
        if self.ends.watching.swap(true, SeqCst) {
            self.ends.newcomer.notify_one();
            return;
        }
        let gateway = self.clone();
        tokio::spawn(async move {
            while let Some(wait) = gateway.end_what_ended() {
                tokio::select! {
                    () = tokio::time::sleep(wait.clamp(SHORTEST, LONGEST)) => {}
                    () = gateway.ends.newcomer.notified() => {}
                }
            }
        });
    }

    /// Ends what has ended; how long until the next does. With `None` the watch is over.
    fn end_what_ended(self: &Arc<Self>) -> Option<Duration> {
        let now = self.world().shared.engine.now();
        let mut next = None;
        for session in self.hub.all() {
            let Some(until) = session.ends() else { continue };
            let name = session.arrival.token.as_ref().map(Pass::name);
            if now < until {
                next = next.into_iter().chain([Duration::from_millis(until.since_ms(now))]).min();
            } else if name.is_some_and(|name| self.entrance.outlives(&self.world().shared.engine, name)) {
                session.used_until(Some(now.plus_ms(AGAIN_MS)));
                next = next.into_iter().chain([Duration::from_millis(AGAIN_MS)]).min();
            } else {
                self.let_go(&session);
            }
        }
        if next.is_none() {
            self.ends.watching.store(false, SeqCst);
        }
        next
    }

    /// Ends a session whose pass opens nothing any more.
    pub(super) fn let_go(self: &Arc<Self>, session: &Arc<Session>) {
        self.leave(session);
        session.outbox.end();
    }
}
