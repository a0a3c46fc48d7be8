//! The queue of high-rate records and the one thread that makes them durable.
//! It commits at once what comes after a quiet moment, and then what queued during the commit and a short breath:
//! a commit costs as much CPU as dozens of calls, and nobody waits for one; whoever does, hurries it.
//! Rule: `push` never blocks on the disk. A full queue drops the record and counts it.

use super::access::Record;
use super::db::Core;
use crate::error::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Records waiting at most.
const CAPACITY: usize = 65_536;
/// Least time between two commits.
const BREATH: Duration = Duration::from_millis(20);
/// Pause before a failed commit is tried again: a full disk does not empty itself at once.
const RETRY: Duration = Duration::from_millis(500);

/// Owns the thread; dropping it writes what is queued.
pub struct Appender {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    /// Wakes the thread.
    work: Condvar,
    /// Wakes those in `flush`.
    done: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Record>,
    accepted: u64,
    durable: u64,
    dropped: u64,
    /// Commits tried, for `flush` to tell an old failure from a new one.
    failures: u64,
    last_failure: Option<Error>,
    /// Ask the thread to try now rather than after its pause.
    hurry: bool,
    stopping: bool,
}

impl Appender {
    pub fn new() -> Self {
        let shared = Shared { state: Mutex::default(), work: Condvar::new(), done: Condvar::new() };
        Self { shared: Arc::new(shared), thread: Mutex::new(None) }
    }

    /// Queues a record; `false` when it was dropped.
    pub fn push(&self, core: &Arc<Core>, record: Record) -> Result<bool> {
        self.start(core)?;
        let mut state = self.shared.state();
        if state.waiting.len() >= CAPACITY || state.stopping {
            state.dropped += 1;
            return Ok(false);
        }
        state.accepted += 1;
        state.waiting.push(record);
        if state.waiting.len() == 1 {
            self.shared.work.notify_one();
        }
        Ok(true)
    }

    /// Waits until everything accepted so far is durable, or the commit that should do it fails.
    pub fn flush(&self) -> Result<()> {
        let mut state = self.shared.state();
        let (target, failures) = (state.accepted, state.failures);
        if state.durable < target {
            state.hurry = true;
            self.shared.work.notify_one();
        }
        while state.durable < target {
            if state.failures > failures {
                let fallback = || Error::bug("a failed commit left no reason");
                return Err(state.last_failure.clone().unwrap_or_else(fallback));
            }
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    pub fn dropped(&self) -> u64 {
        self.shared.state().dropped
    }

    /// Ends the thread after one last commit; the error is that of records which could not be written.
    pub fn stop(&self) -> Result<()> {
        self.shared.state().stopping = true;
        self.shared.work.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        let mut state = self.shared.state();
        let lost = state.waiting.len() as u64;
        state.dropped += lost;
        state.waiting.clear();
        if lost == 0 { Ok(()) } else { state.last_failure.take().map_or(Ok(()), Err) }
    }

    fn start(&self, core: &Arc<Core>) -> Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (shared, core) = (Arc::clone(&self.shared), Arc::clone(core));
            let spawned = std::thread::Builder::new()
                .name("store-writer".into())
                .stack_size(512 << 10)
                .spawn(move || run(&shared, &core));
            *thread = Some(spawned.map_err(|error| Error::bug("no thread for the store").because(error))?);
        }
        Ok(())
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        // Whoever wants to know of a failure calls `stop` first.
        let _ = self.stop();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Counters and queue change together under the lock, without anything that panics between.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything waiting, as soon as there is something; `None` at the end.
    fn take(&self) -> Option<Vec<Record>> {
        let mut state = self.state();
        loop {
            state.hurry = false;
            if !state.waiting.is_empty() {
                return Some(std::mem::take(&mut state.waiting));
            }
            if state.stopping {
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Books the outcome of a commit; `false` when the thread shall end.
    fn book(&self, mut batch: Vec<Record>, outcome: Result<()>) -> bool {
        let mut state = self.state();
        let count = batch.len() as u64;
        let Err(error) = outcome else {
            state.durable += count;
            self.done.notify_all();
            let idle =
                |state: &mut State| !state.hurry && !state.stopping && state.waiting.len() < CAPACITY / 4;
            drop(self.work.wait_timeout_while(state, BREATH, idle));
            return true;
        };
        batch.append(&mut state.waiting);
        let excess = batch.len().saturating_sub(CAPACITY);
        batch.truncate(CAPACITY);
        state.waiting = batch;
        state.dropped += excess as u64;
        state.accepted -= excess as u64;
        state.failures += 1;
        state.last_failure = Some(error);
        self.done.notify_all();
        let pause = |state: &mut State| !state.hurry && !state.stopping;
        let waited = self.work.wait_timeout_while(state, RETRY, pause);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.stopping
    }
}

fn run(shared: &Shared, core: &Core) {
    while let Some(mut batch) = shared.take() {
        let commit = || core.write(|writer| writer.push_all(&mut batch));
        let outcome = catch_unwind(AssertUnwindSafe(commit))
            .unwrap_or_else(|_| Err(Error::bug("the writer thread of the store panicked")));
        if !shared.book(batch, outcome) {
            return;
        }
    }
}
