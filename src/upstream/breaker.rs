//! The breaker of one server: when to leave it alone, and when to try again.
//! Pure: the caller brings the time and a random number, and decides what counts as a failure. Only transport
//! failures, timeouts and protocol errors do; an error that a tool reports is an answer, hence a success here.

use crate::engine::live::Breaker as State;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many failures within [`WINDOW`] open the breaker.
const FAILURES: usize = 5;
const WINDOW: Duration = Duration::from_secs(30);
/// Half of so many calls in a row open it too, however slowly they come.
const SAMPLE: u32 = 20;
const COOL_DOWN: Duration = Duration::from_secs(5);
const COOL_DOWN_MAX: Duration = Duration::from_secs(300);
/// A probe that was not reported by then is taken for lost, and the next call becomes the probe.
const PROBE_PATIENCE: Duration = Duration::from_secs(60);

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    Yes,
    /// The one call that finds out whether the server is well again.
    Probe,
    /// Not before `retry_at`.
    No {
        retry_at: Instant,
    },
}

/// The breaker itself. Starts closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    phase: Phase,
    /// The wait of the next opening, before jitter.
    cool_down: Duration,
    /// Times of the latest failures, at most [`FAILURES`].
    failures: VecDeque<Instant>,
    /// The latest outcomes, one bit each, 1 is a failure; `calls` of them are valid.
    outcomes: u32,
    calls: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Instant },
    Probing { since: Instant },
}

impl Default for Breaker {
    fn default() -> Self {
        Self { phase: Phase::Closed, cool_down: COOL_DOWN, failures: VecDeque::new(), outcomes: 0, calls: 0 }
    }
}

impl Breaker {
    /// Asks for one call. After `Yes` or `Probe` report the outcome with `success` or `failure`.
    pub fn admit(&mut self, now: Instant) -> Admit {
        match self.phase {
            Phase::Closed => Admit::Yes,
            Phase::Open { until } if now < until => Admit::No { retry_at: until },
            Phase::Probing { since } if now < since + PROBE_PATIENCE => {
                Admit::No { retry_at: since + PROBE_PATIENCE }
            }
            Phase::Open { .. } | Phase::Probing { .. } => {
                self.phase = Phase::Probing { since: now };
                Admit::Probe
            }
        }
    }

    /// The server answered. While open, answers to calls from before do not close it: the probe decides.
    pub fn success(&mut self) {
        match self.phase {
            Phase::Closed => self.note(false),
            Phase::Open { .. } => {}
            Phase::Probing { .. } => self.reset(),
        }
    }

    /// The server could not be reached, did not answer in time, or broke the protocol. `jitter`: from 0 to 1.
    pub fn failure(&mut self, now: Instant, jitter: f64) {
        match self.phase {
            Phase::Closed => {
                self.note(true);
                self.failures.push_back(now);
                if self.failures.len() > FAILURES {
                    self.failures.pop_front();
                }
                if self.too_many(now) {
                    self.open(now, jitter);
                }
            }
            Phase::Open { .. } => {}
            Phase::Probing { .. } => {
                self.cool_down = (self.cool_down * 2).min(COOL_DOWN_MAX);
                self.open(now, jitter);
            }
        }
    }

    /// The probe ended without a verdict, such as a call that was cancelled: the next call is the probe.
    pub fn give_back(&mut self, now: Instant) {
        if let Phase::Probing { .. } = self.phase {
            self.phase = Phase::Open { until: now };
        }
    }

    /// When a call may be tried again, while it may not.
    pub fn retry_at(&self, now: Instant) -> Option<Instant> {
        match self.phase {
            Phase::Open { until } => Some(until).filter(|until| *until > now),
            Phase::Closed | Phase::Probing { .. } => None,
        }
    }

    /// Closes and forgets everything.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    pub fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::Probing { .. } => State::HalfOpen,
        }
    }

    fn note(&mut self, failed: bool) {
        self.outcomes = ((self.outcomes << 1) | u32::from(failed)) & ((1 << SAMPLE) - 1);
        self.calls = (self.calls + 1).min(SAMPLE);
    }

    fn too_many(&self, now: Instant) -> bool {
        let recent =
            self.failures.iter().filter(|time| now.saturating_duration_since(**time) <= WINDOW).count();
        recent >= FAILURES || (self.calls == SAMPLE && self.outcomes.count_ones() * 2 >= SAMPLE)
    }

    fn open(&mut self, now: Instant, jitter: f64) {
        let wait = self.cool_down.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)).min(COOL_DOWN_MAX);
        self.phase = Phase::Open { until: now + wait };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, any, prop_oneof};

    const MIDDLE: f64 = 0.5;

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    /// Fails `count` calls, one every `gap`, and says after which one the breaker opened.
    fn opened_after(count: u32, gap: Duration, between: u32) -> Option<u32> {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        for call in 0..count {
            for _ in 0..between {
                breaker.success();
            }
            breaker.failure(start + gap * call, MIDDLE);
            if breaker.state() == State::Open {
                return Some(call + 1);
            }
        }
        None
    }

    #[test]
    fn it_opens_by_number_or_by_share() {
        let cases = [
            ("five at once", 9, seconds(0), 0, Some(5)),
            ("five in 28 s", 9, seconds(7), 0, Some(5)),
            ("slower: when half of twenty failed", 40, seconds(8), 0, Some(20)),
            ("one of two, slowly", 40, seconds(8), 1, Some(10)),
            ("one of three, slowly", 40, seconds(8), 2, None),
            ("one of three, quickly", 40, seconds(1), 2, Some(5)),
        ];
        for (name, count, gap, between, expected) in cases {
            assert_eq!(opened_after(count, gap, between), expected, "{name}");
        }
    }

    #[test]
    fn the_wait_doubles_up_to_five_minutes_and_starts_over_after_a_success() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            assert_eq!(breaker.admit(now), Admit::Yes);
            breaker.failure(now, MIDDLE);
        }
        for wait in [5, 10, 20, 40, 80, 160, 300, 300] {
            let retry_at = now + seconds(wait);
            assert_eq!(breaker.admit(now), Admit::No { retry_at });
            assert_eq!(breaker.admit(retry_at - Duration::from_millis(1)), Admit::No { retry_at });
            now = retry_at;
            assert_eq!((breaker.admit(now), breaker.state()), (Admit::Probe, State::HalfOpen));
            assert_eq!(breaker.admit(now), Admit::No { retry_at: now + PROBE_PATIENCE }, "one probe only");
            breaker.failure(now, MIDDLE);
        }
        now += seconds(300);
        assert_eq!(breaker.admit(now), Admit::Probe);
        breaker.success();
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn a_lost_probe_makes_room_for_another() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        (0..5).for_each(|_| breaker.failure(now, MIDDLE));
        let later = now + seconds(5);
        assert_eq!(breaker.admit(later), Admit::Probe);
        assert_eq!(breaker.admit(later + PROBE_PATIENCE), Admit::Probe);
    }

    #[test]
    fn a_probe_without_a_verdict_is_given_back() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.give_back(now);
        assert_eq!(breaker.admit(now), Admit::Yes);
        (0..5).for_each(|_| breaker.failure(now, MIDDLE));
        assert_eq!(breaker.retry_at(now), Some(now + seconds(5)));
        let later = now + seconds(5);
        assert_eq!((breaker.admit(later), breaker.retry_at(later)), (Admit::Probe, None));
        breaker.give_back(later);
        assert_eq!(breaker.admit(later), Admit::Probe);
    }

    #[test]
    fn late_outcomes_do_not_move_an_open_breaker() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        (0..5).for_each(|_| breaker.failure(now, MIDDLE));
        let open = breaker.clone();
        breaker.failure(now + seconds(1), 1.0);
        breaker.success();
        assert_eq!(breaker, open);
        breaker.reset();
        assert_eq!(breaker.admit(now), Admit::Yes);
    }

    #[derive(Debug, Clone)]
    enum Event {
        Pass(u64),
        Call { fails: bool, jitter: f64 },
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            (0u64..20_000).prop_map(Event::Pass),
            (any::<bool>(), 0.0..=1.0f64).prop_map(|(fails, jitter)| Event::Call { fails, jitter }),
        ];
        proptest::collection::vec(event, 0..200)
    }

    proptest::proptest! {
        /// The model keeps the whole history and counts it anew each time.
        #[test]
        fn it_does_what_its_history_says(events in events()) {
            let mut now = Instant::now();
            let mut breaker = Breaker::default();
            let mut history: Vec<(Instant, bool)> = Vec::new();
            let mut rounds = 0u32;
            let mut opened: Option<Instant> = None;
            for event in events {
                let (fails, jitter) = match event {
                    Event::Pass(millis) => { now += Duration::from_millis(millis); continue }
                    Event::Call { fails, jitter } => (fails, jitter),
                };
                let nominal = seconds(5) * 2u32.pow(rounds.min(6));
                match (breaker.admit(now), opened) {
                    (Admit::No { retry_at }, Some(at)) => {
                        proptest::prop_assert!(now < retry_at);
                        let wait = retry_at - at;
                        proptest::prop_assert!(wait >= nominal.min(seconds(300)).mul_f64(0.79) && wait <= seconds(300));
                        continue;
                    }
                    (Admit::Probe, Some(_)) => {
                        if fails {
                            rounds += 1;
                            opened = Some(now);
                        } else {
                            (rounds, opened) = (0, None);
                            history.clear();
                        }
                    }
                    (Admit::Yes, None) => {
                        history.push((now, fails));
                        let recent = history.iter().filter(|(at, failed)| *failed && now - *at <= WINDOW).count();
                        let last = &history[history.len().saturating_sub(20)..];
                        let share = last.len() == 20 && last.iter().filter(|(_, failed)| *failed).count() >= 10;
                        if fails && (recent >= 5 || share) {
                            opened = Some(now);
                        }
                    }
                    other => proptest::prop_assert!(false, "{other:?}"),
                }
                if fails { breaker.failure(now, jitter) } else { breaker.success() }
                proptest::prop_assert_eq!(breaker.state() == State::Open, opened.is_some());
            }
        }
    }
}
