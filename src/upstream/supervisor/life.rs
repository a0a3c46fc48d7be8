//! The watch of one running connection, from its start to its end: lists it anew, stops it when nobody uses it, says why it
//! ended. It starts nothing; what waits for news is brought back by `revival.rs`.

use super::{Running, STOP_GRACE, Seat, Slot, Upstream, locked};
use crate::engine::live::State;
use crate::error::{Error, codes};
use crate::tools::Era;
use crate::upstream::subscriptions;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A modern server has this long to say that it tells of changes, before it is listed without.
const LISTEN_PATIENCE: Duration = Duration::from_secs(1);

impl Upstream {
    /// Owns one running connection until it ends: lists anew, stops it when idle, notes its death.
    pub(super) async fn watch(self: Arc<Self>, slot: Arc<Slot>, running: Arc<Running>, seat: Seat) {
        let session = seat.session;
        let refresh = tokio::spawn(self.clone().settle(running.clone(), seat));
        let reason = loop {
            tokio::select! {
                reason = running.connection.closed() => break Some(reason),
                () = tokio::time::sleep(self.until_idle(&running)) => {
                    let idle = !self.bounds.idle.is_zero() && running.idle_for() >= self.bounds.idle;
                    if idle && self.in_flight() == 0 && locked(&self.subscribed).of(session).is_empty() {
                        break None;
                    }
                }
            }
        };
        refresh.abort();
        let wanted = self.account(reason.as_ref());
        if slot.current().is_none_or(|current| Arc::ptr_eq(&current, &running)) {
            slot.set(None);
        }
        running
            .connection
            .close(Error::new(&codes::UPSTREAM_DIED, format!("server `{}` was stopped", self.name())));
        let child = locked(&running.child).take();
        let ended = match child {
            Some(child) => child.stop(STOP_GRACE).await.map(|exit| exit.to_string()),
            None => None,
        };
        match reason {
            Some(reason) if !wanted => {
                self.explain(&slot, &reason, ended);
                self.revive(session.unwrap_or(0));
            }
            _ if slot.current().is_some() => {}
            _ => self.set_state(if self.entry.enabled { State::Idle } else { State::Disabled }, None),
        }
    }

    fn until_idle(&self, running: &Running) -> Duration {
        match self.bounds.idle {
            Duration::ZERO => Duration::from_secs(3600),
            idle => idle.saturating_sub(running.idle_for()).max(Duration::from_millis(200)),
        }
    }

    /// Enters an end into the account of starts, before anybody can start anew. True: it was wanted.
    fn account(&self, reason: Option<&Error>) -> bool {
        let wanted = self.retired.load(Relaxed) || reason.is_none_or(|reason| reason.is(&codes::CANCELLED));
        if wanted {
            locked(&self.restarts).stopped(Instant::now());
            return true;
        }
        self.stats.restarts.fetch_add(1, Relaxed);
        if self.is_process() {
            locked(&self.restarts).ended(Instant::now(), true, self.shared.jitter());
        }
        false
    }

    /// Tells why it ended, with how the process went and its last words.
    fn explain(&self, slot: &Slot, reason: &Error, exit: Option<String>) {
        self.shared.logs.finish(self.id(), self.shared.engine.now());
        let tail = self.shared.logs.tail(self.id());
        let mut detail = reason.to_string();
        if let Some(exit) = exit {
            detail = format!("{detail} ({exit})");
        }
        if !tail.is_empty() {
            detail = format!("{detail}: {tail}");
        }
        // A slow end may be over when the next start has begun.
        let restarted = slot.current().is_some() || slot.starting.try_lock().is_err();
        let looping = locked(&self.restarts).looping();
        match (restarted, looping) {
            (true, _) => locked(&self.note).last_error = Some(detail),
            (false, true) => self.set_state(State::CrashLoop, Some(detail)),
            (false, false) => self.set_state(State::Waiting, Some(detail)),
        }
    }

    /// After every start: subscribe again to what clients wait for, and see whether the lists changed.
    async fn settle(self: Arc<Self>, running: Arc<Running>, seat: Seat) {
        let session = seat.session;
        let uris = self.subscriptions().of(session);
        subscriptions::renew(&self, &running, &uris).await;
        let mut listening = self.listening.subscribe();
        let list = async {
            // What clients are shown is what the usual account may see.
            if session.is_some() || self.probe || seat != self.usual(0) {
                return;
            }
            // Listed only when changes are told of, so that none falls in between.
            if running.agreement.era == Era::Modern {
                let _ = tokio::time::timeout(LISTEN_PATIENCE, listening.changed()).await;
            }
            let _ = self.fetch(&running).await;
        };
        tokio::join!(list, subscriptions::listen(&self, &running, session));
    }
}
