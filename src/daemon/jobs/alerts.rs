//! Looks at the alerts every few seconds while there are any: measures, judges, writes down what turned, and tells of it.
//! What an expression means and when an alert fires stands in the noun `alerts`.

use super::Jobs;
use crate::alerts::rule::{self, Verdict};
use crate::alerts::{self, Alert, Standing, Turn};
use crate::clock::Timestamp;
use crate::engine::live::Event;
use crate::engine::{Reply, StoreRequest, unexpected};
use crate::error::Result;
use crate::metrics::facts::Facts;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(15);
/// As far back as a window reaches, in microseconds.
const REACH: u64 = 3_600_000_000;
const MOST: usize = 300;

/// What is remembered between two looks.
#[derive(Default)]
pub struct Watch {
    state: Mutex<State>,
    /// One look at a time, so that an alert turns once.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Since when alerts hold that do not fire yet.
    pending: HashMap<String, Timestamp>,
    past: VecDeque<Facts>,
}

impl State {
    /// What was measured when the window began: at the last look before it, or else at the first one. A window that reaches
    /// back to the daemon's start has everything.
    fn before(&self, facts: &Facts, window_ms: u64, started: Timestamp) -> Facts {
        let begin = facts.at.0.saturating_sub(window_ms.saturating_mul(1000));
        if begin <= started.0 {
            return Facts::nothing(started);
        }
        let known = self.past.iter().rev().find(|facts| facts.at.0 <= begin);
        known.or(self.past.front()).unwrap_or(facts).clone()
    }

    fn keep(&mut self, facts: Facts) {
        let oldest = facts.at.0.saturating_sub(REACH);
        self.past.push_back(facts);
        // One from before the longest window stays.
        while self.past.len() > MOST || self.past.get(1).is_some_and(|next| next.at.0 <= oldest) {
            self.past.pop_front();
        }
    }
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever a panic leaves is a shorter memory.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jobs {
    /// Looks at the alerts until the daemon ends. Sleeps while there are none, until `changed`.
    pub async fn keep_alerts(self: Arc<Self>, changed: Arc<Notify>) {
        loop {
            // A store that cannot be read is asked again, and told to the next one who asks it.
            let watched = self.alerts().await.map_or(1, |standing| standing.len());
            match watched {
                0 => {
                    self.watch.state().past.clear();
                    changed.notified().await;
                }
                _ => {
                    let _ = tokio::time::timeout(PAUSE, changed.notified()).await;
                }
            }
        }
    }

    /// Looks now, and says how each alert stands.
    pub(super) async fn alerts(&self) -> Result<Vec<Standing>> {
        let _turn = self.watch.turn.lock().await;
        let all = self.alert_rules(alerts::Request::List).await?;
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.now();
        let facts = Facts::of(&self.measure_all().await);
        let (mut standing, mut turns) = (Vec::new(), Vec::new());
        {
            let mut state = self.watch.state();
            state.pending.retain(|name, _| all.iter().any(|alert| alert.name == *name));
            for alert in all {
                let verdict = self.judge(&state, &facts, &alert.expression, alert.window_ms);
                let next = rule::next(&alert, state.pending.get(&alert.name).copied(), verdict.holds, now);
                match next.pending {
                    Some(since) => state.pending.insert(alert.name.clone(), since),
                    None => state.pending.remove(&alert.name),
                };
                turns.extend(next.turn.map(|firing| turned(&alert, firing, &verdict, now)));
                let firing = next.turn.map_or(alert.firing, |firing| firing.then_some(now));
                standing.push(Standing {
                    pending: next.pending,
                    alert: Alert { firing, ..alert },
                    verdict: Some(verdict),
                });
            }
            state.keep(facts);
        }
        if !turns.is_empty() {
            self.alert_store(alerts::Request::Turned { turns: turns.clone() }).await?;
            turns.into_iter().filter(|turn| !turn.silenced).for_each(|turn| self.tell_alert(turn));
        }
        Ok(standing)
    }

    /// What an expression finds now.
    pub(super) async fn test_alert(&self, expression: &str, window_ms: u64) -> Result<Verdict> {
        rule::parse(expression)?;
        let facts = Facts::of(&self.measure_all().await);
        Ok(self.judge(&self.watch.state(), &facts, expression, window_ms))
    }

    fn judge(&self, state: &State, facts: &Facts, text: &str, window_ms: u64) -> Verdict {
        let before = state.before(facts, window_ms, self.started);
        match rule::parse(text) {
            Ok(expression) => rule::judge(&expression, &facts.names(&before)),
            Err(error) => Verdict { holds: None, because: String::new(), problem: Some(error.message) },
        }
    }

    /// The one place that tells of an alert; what brings it to people listens to the event.
    fn tell_alert(&self, turn: Turn) {
        self.gateway.tell(|_| Event::Alert(turn));
    }

    async fn alert_rules(&self, request: alerts::Request) -> Result<Vec<Alert>> {
        match self.alert_store(request).await? {
            alerts::Reply::Alerts(alerts) => Ok(alerts),
            other => unexpected(&Reply::Alert(other)),
        }
    }

    async fn alert_store(&self, request: alerts::Request) -> Result<alerts::Reply> {
        match self.store(StoreRequest::Alert(request)).await? {
            Reply::Alert(reply) => Ok(reply),
            other => unexpected(&other),
        }
    }
}

fn turned(alert: &Alert, firing: bool, verdict: &Verdict, now: Timestamp) -> Turn {
    Turn {
        at: now,
        alert: alert.name.clone(),
        severity: alert.severity,
        firing,
        because: verdict.because.clone(),
        silenced: alert.is_silenced(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_has_a_value() {
        let given = Facts::default().names(&Facts::default());
        let given: BTreeSet<&str> = given.keys().map(String::as_str).collect();
        assert_eq!(given, rule::NAMES.into_iter().collect());
    }

    #[test]
    fn a_window_begins_at_the_last_look_before_it() {
        let mut state = State::default();
        let minute = |count: u64| Timestamp(count * 60_000_000);
        let facts = |count: u64| Facts::nothing(minute(count));
        let before =
            |state: &State, now: u64, window_ms: u64| state.before(&facts(now), window_ms, minute(1)).at;
        // Nobody has looked yet: nothing is known of what came since, but for the whole life of the daemon.
        assert_eq!((before(&state, 5, 60_000), before(&state, 5, 600_000)), (minute(5), minute(1)));
        (2..=100).for_each(|count| state.keep(facts(count)));
        assert_eq!((before(&state, 100, 60_000), before(&state, 100, 90_000)), (minute(99), minute(98)));
        // What came before the longest window is forgotten, but for one.
        assert_eq!((state.past.front().unwrap().at, state.past.len()), (minute(40), 61));
        // Looks began late in the daemon's life: what came before them is not counted.
        let mut late = State::default();
        late.keep(facts(50));
        assert_eq!(before(&late, 51, 600_000), minute(50));
    }
}
