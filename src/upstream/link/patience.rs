//! The deadline of one request. It stands still while a question of the server is with the client, since a person may
//! have to answer; that pause has a bound of its own. The arithmetic is plain, the waiting is at the bottom.

use super::ASK_DEADLINE;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What is left of the time, as of `since`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Left {
    work: Duration,
    /// All pauses of a request together.
    pause: Duration,
    /// Questions that are with the client.
    open: usize,
    since: Instant,
}

impl Left {
    fn new(work: Duration, now: Instant) -> Self {
        Self { work, pause: ASK_DEADLINE, open: 0, since: now }
    }

    /// Enters the time that has passed; what exceeds the pause is the request's own.
    fn pass(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        let paused = if self.open > 0 { passed.min(self.pause) } else { Duration::ZERO };
        self.pause -= paused;
        self.work = self.work.saturating_sub(passed - paused);
        self.since = now;
    }

    fn end(&self) -> Instant {
        let pause = if self.open > 0 { self.pause } else { Duration::ZERO };
        self.since + pause + self.work
    }
}

/// The deadline of one request.
pub struct Patience {
    left: Mutex<Left>,
    moved: Notify,
}

/// A question that is with the client; dropped when it is answered.
pub struct Held(Arc<Patience>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.change(|left| left.open -= 1);
    }
}

/// The time was over.
#[derive(Debug, PartialEq, Eq)]
pub struct Over {
    /// A question was still with the client.
    pub asking: bool,
}

impl Patience {
    pub fn new(timeout: Duration) -> Arc<Self> {
        Arc::new(Self { left: Mutex::new(Left::new(timeout, Instant::now())), moved: Notify::new() })
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Left)) {
        let mut left = self.left();
        left.pass(Instant::now());
        change(&mut left);
        drop(left);
        self.moved.notify_one();
    }

    /// Stops the clock until the returned value is dropped.
    pub fn hold(self: &Arc<Self>) -> Held {
        self.change(|left| left.open += 1);
        Held(self.clone())
    }

    /// Waits for the work's end, no longer than the time that is left. One may wait at a time.
    pub async fn wait_for<T>(&self, mut work: Pin<&mut impl Future<Output = T>>) -> Result<T, Over> {
        loop {
            let end = self.left().end();
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = self.moved.notified() => {}
                () = tokio::time::sleep_until(end.into()) => {
                    let left = self.left();
                    if left.end() <= Instant::now() {
                        return Err(Over { asking: left.open > 0 });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_clock_stands_still_while_somebody_is_asked_and_not_for_ever() {
        let start = Instant::now();
        // Steps: at which second, questions more or less. Then the second at which the time is over.
        for (steps, end) in [
            (vec![], 10),
            (vec![(4, 1), (104, -1)], 110),
            (vec![(4, 1), (5, 1), (50, -1), (104, -1)], 110),
            (vec![(4, 1)], 610),
            (vec![(4, 1), (304, -1), (306, 1)], 610),
            (vec![(4, 1), (606, -1)], 610),
        ] {
            let mut left = Left::new(s(10), start);
            for (at, more) in &steps {
                left.pass(start + s(*at));
                left.open = left.open.saturating_add_signed(*more);
            }
            assert_eq!(left.end() - start, s(end), "{steps:?}");
        }
    }

    #[test]
    fn a_question_is_waited_for_and_the_work_only_as_long_as_allowed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ms = Duration::from_millis;
            let patience = Patience::new(ms(20));
            let held = patience.hold();
            let mut never = pin!(std::future::pending::<()>());
            let asked = patience.wait_for(never.as_mut());
            assert!(tokio::time::timeout(ms(100), asked).await.is_err(), "the clock ran");
            drop(held);
            assert_eq!(
                patience.wait_for(pin!(std::future::pending::<()>())).await,
                Err(Over { asking: false })
            );
            assert_eq!(patience.wait_for(pin!(std::future::ready(7))).await, Ok(7));
        });
    }
}
