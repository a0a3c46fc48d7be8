//! A server that clients wait for and that ended by itself is started again without a call: nothing else would bring
//! their subscriptions back. Processes are started as the restart policy allows, others in growing intervals.

use super::{Upstream, locked};
use crate::upstream::restart::Start;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// First pause after a try that failed; it doubles.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

impl Upstream {
    /// Starts the connection of a place again if somebody waits for news on it. `session`: whose place, 0 for all.
    pub(in crate::upstream) fn revive(self: &Arc<Self>, session: u64) {
        if !self.is_awaited(session) {
            return;
        }
        let slot = self.slot_of(&self.usual(session));
        if slot.reviving.swap(true, Relaxed) {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            this.try_until_up(session).await;
            slot.reviving.store(false, Relaxed);
        });
    }

    /// Takes over who waits for news of the same server, as its entry was before.
    pub(in crate::upstream) fn succeed(self: &Arc<Self>, before: &Self) {
        self.subscriptions().clone_from(&before.subscriptions());
        let sessions = self.subscriptions().sessions();
        sessions.into_iter().for_each(|session| self.revive(session));
    }

    /// Whether the server should run although nobody calls it.
    fn is_awaited(&self, session: u64) -> bool {
        self.entry.enabled
            && !self.retired.load(Relaxed)
            && !self.shared.is_ending()
            && !self.subscriptions().of(self.place(session)).is_empty()
    }

    async fn try_until_up(self: &Arc<Self>, session: u64) {
        let mut changed = self.resubscribed();
        let mut pause = Duration::ZERO;
        while self.is_awaited(session) {
            let now = Instant::now();
            let allowed = match locked(&self.restarts).may_start(now) {
                Start::Now => now,
                Start::Wait { until } => until,
                Start::Looping => return,
            };
            tokio::select! {
                () = tokio::time::sleep_until(allowed.max(now + pause).into()) => {}
                // Perhaps nobody waits any more.
                _ = changed.changed() => continue,
            }
            if !self.is_awaited(session) || self.connect(session).await.is_ok() {
                return;
            }
            pause = (pause * 2).clamp(PAUSE, PAUSE_MAX);
        }
    }
}
