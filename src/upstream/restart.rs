//! When a server that ended may be started again. Pure: the caller brings the time and a random number.
//! Only starts that ended by themselves count; a server that was stopped on purpose owes nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const BACKOFF: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// So many starts within [`LOOP_WINDOW`] that all ended are a crash loop.
const LOOP_STARTS: usize = 5;
const LOOP_WINDOW: Duration = Duration::from_secs(120);
/// A server that ran so long was well; its end is the first one again.
const HEALTHY: Duration = Duration::from_secs(300);

/// Whether a server may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Now,
    Wait {
        until: Instant,
    },
    /// Given up until `reset`.
    Looping,
}

/// The starts of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restarts {
    /// Times of the latest starts, at most [`LOOP_STARTS`].
    starts: VecDeque<Instant>,
    /// Ends in a row without a healthy run between them.
    ends: u32,
    until: Option<Instant>,
    looping: bool,
}

impl Restarts {
    /// Whether it may be started now. Changes nothing: call `started` when it is done.
    pub fn may_start(&self, now: Instant) -> Start {
        match self.until {
            _ if self.looping => Start::Looping,
            Some(until) if now < until => Start::Wait { until },
            _ => Start::Now,
        }
    }

    /// A start was tried; one that fails at once is followed by `ended`.
    pub fn started(&mut self, now: Instant) {
        self.until = None;
        self.starts.push_back(now);
        if self.starts.len() > LOOP_STARTS {
            self.starts.pop_front();
        }
    }

    /// Asks for a second try within the same start, which counts as one more. No when that would be too many.
    pub fn once_more(&mut self, now: Instant) -> bool {
        let full = self.is_full(now);
        if !full {
            self.started(now);
        }
        !full
    }

    fn is_full(&self, now: Instant) -> bool {
        self.starts.len() == LOOP_STARTS
            && self.starts.front().is_some_and(|start| now.saturating_duration_since(*start) <= LOOP_WINDOW)
    }

    /// It ended by itself after it was `ready`, or could not be started. `jitter`: from 0 to 1.
    pub fn ended(&mut self, now: Instant, ready: bool, jitter: f64) {
        let since = |start: &Instant| now.saturating_duration_since(*start);
        if self.starts.back().is_some_and(|start| since(start) >= HEALTHY) {
            self.reset();
        }
        self.looping = self.is_full(now);
        // The first death of a server that worked may be an accident: the next call starts it at once.
        let accident = ready && self.ends == 0;
        if !accident {
            let doubled = BACKOFF.saturating_mul(1 << self.ends.min(16)).min(BACKOFF_MAX);
            self.until = Some(now + doubled.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)).min(BACKOFF_MAX));
        }
        self.ends += 1;
    }

    /// It was stopped on purpose: idle, by the user, or replaced.
    pub fn stopped(&mut self, now: Instant) {
        let start = self.starts.pop_back();
        if start.is_some_and(|start| now.saturating_duration_since(start) >= HEALTHY) {
            self.reset();
        }
    }

    /// Forgets everything, as `umcp server restart` asks.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// True when it was given up.
    pub fn looping(&self) -> bool {
        self.looping
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::any;

    const MIDDLE: f64 = 0.5;

    /// Starts as soon as it may, runs for `run`, ends; returns the waits until it is given up or `count` is reached.
    /// The first end of all costs no wait.
    fn waits(count: usize, run: Duration) -> (Vec<u128>, bool) {
        let (mut restarts, mut now, mut waits) = (Restarts::default(), Instant::now(), Vec::new());
        for _ in 0..=count {
            if restarts.looping() {
                break;
            }
            restarts.started(now);
            now += run;
            restarts.ended(now, true, MIDDLE);
            if let Start::Wait { until } = restarts.may_start(now) {
                waits.push((until - now).as_millis());
                now = until;
            }
        }
        (waits, restarts.looping())
    }

    #[test]
    fn the_first_end_costs_nothing_then_waits_double_and_five_quick_ends_are_a_loop() {
        let cases = [
            (Duration::ZERO, vec![1000, 2000, 4000], true),
            (Duration::from_secs(20), vec![1000, 2000, 4000], true),
            (
                Duration::from_secs(30),
                vec![1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000],
                false,
            ),
            (Duration::from_secs(300), vec![], false),
        ];
        for (run, expected, looping) in cases {
            assert_eq!(waits(10, run), (expected, looping), "runs of {run:?}");
        }
    }

    #[test]
    fn stops_on_purpose_do_not_count_and_a_reset_forgets() {
        let now = Instant::now();
        let mut restarts = Restarts::default();
        for _ in 0..10 {
            restarts.started(now);
            restarts.stopped(now);
        }
        assert_eq!(restarts, Restarts::default());
        for _ in 0..5 {
            restarts.started(now);
            restarts.ended(now, false, 1.0);
        }
        assert_eq!(restarts.may_start(now + HEALTHY), Start::Looping);
        restarts.reset();
        assert_eq!(restarts.may_start(now), Start::Now);
    }

    #[test]
    fn a_second_try_is_one_of_the_five() {
        let now = Instant::now();
        let mut restarts = Restarts::default();
        let mut starts = 0;
        while !restarts.looping() {
            restarts.started(now);
            starts += 1 + usize::from(restarts.once_more(now));
            restarts.ended(now, false, MIDDLE);
        }
        assert_eq!(starts, LOOP_STARTS);
    }

    proptest::proptest! {
        #[test]
        fn no_two_minutes_hold_more_than_five_starts(runs in proptest::collection::vec((0u64..400_000, 0.0..=1.0f64, any::<bool>()), 1..60)) {
            let (mut restarts, mut now, mut crashed) = (Restarts::default(), Instant::now(), Vec::new());
            for (run, jitter, stop) in runs {
                match restarts.may_start(now) {
                    Start::Now => {}
                    Start::Wait { until } => now = until,
                    Start::Looping => break,
                }
                let start = now;
                restarts.started(now);
                now += Duration::from_millis(run);
                if stop {
                    restarts.stopped(now);
                    continue;
                }
                crashed.push((start, now));
                restarts.ended(now, false, jitter);
                if let Start::Wait { until } = restarts.may_start(now) {
                    proptest::prop_assert!(until - now >= BACKOFF.mul_f64(0.79) && until - now <= BACKOFF_MAX);
                }
            }
            // A sixth start means that the five before it were no loop.
            for six in crashed.windows(6) {
                proptest::prop_assert!(six[4].1 - six[0].0 > LOOP_WINDOW);
            }
        }
    }
}
