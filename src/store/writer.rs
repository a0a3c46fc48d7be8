//! The queue of high-rate records and the one thread that makes them durable.
//! It commits at once what comes after a quiet moment, and then what queued during the commit and a short breath:
//! a commit costs as much CPU as dozens of calls, and nobody waits for one; whoever does, hurries it.
//! Rules: `push` never blocks on the disk. A full queue drops the record and counts it. So is one that cannot be written
//! though the disk can: it keeps no other one waiting.

use super::access::{Batch, Fold, Record};
use super::db::Core;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Records waiting at most.
const CAPACITY: usize = 65_536;
/// Least time between two commits; with the commit itself, how late a record may be durable.
const BREATH: Duration = Duration::from_millis(40);
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
    teller: OnceLock<Teller>,
    fold: OnceLock<Fold>,
}

/// What waits for the thread.
pub enum Queued {
    Ready(Record),
    /// Made by the thread, so that whoever hands it over does not spend the time; with the time of the record of a chain
    /// among what is made, if there is one.
    Later(Option<Timestamp>, Box<dyn FnOnce(&mut Batch) + Send>),
}

impl Queued {
    /// When a record of a chain came to be that goes with this one.
    fn chained(&self) -> Option<Timestamp> {
        match self {
            Self::Ready(record) => record.body.as_ref().map(|_| record.at),
            Self::Later(at, _) => *at,
        }
    }
}

/// Records of a chain that were lost, so that the chain itself can tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    pub records: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// Makes the record that tells of a loss.
pub type Teller = Box<dyn Fn(&mut Batch, Lost) + Send + Sync>;

#[derive(Default)]
struct State {
    waiting: Vec<Queued>,
    /// Handed over so far.
    accepted: u64,
    /// Of those, durable or given up.
    durable: u64,
    /// Records lost.
    dropped: u64,
    /// Those of a chain among them that it does not tell of yet.
    untold: Option<Lost>,
    /// Commits tried, for `flush` to tell an old failure from a new one.
    failures: u64,
    last_failure: Option<Error>,
    /// Ask the thread to try now rather than after its pause.
    hurry: bool,
    stopping: bool,
}

impl State {
    /// Gives a record up.
    fn lose(&mut self, at: Option<Timestamp>) {
        self.dropped += 1;
        let Some(at) = at else { return };
        let lost = self.untold.get_or_insert(Lost { records: 0, first: at, last: at });
        lost.records += 1;
        (lost.first, lost.last) = (lost.first.min(at), lost.last.max(at));
    }
}

impl Appender {
    pub fn new() -> Self {
        let (state, teller, fold) = (Mutex::default(), OnceLock::new(), OnceLock::new());
        let shared = Shared { state, work: Condvar::new(), done: Condvar::new(), teller, fold };
        Self { shared: Arc::new(shared), thread: Mutex::new(None) }
    }

    /// Sets who makes the record of a loss; once.
    pub fn tell_losses(&self, teller: Teller) {
        let _ = self.shared.teller.set(teller);
    }

    /// Sets what is done with the records of a series before they are written; once.
    pub fn fold(&self, fold: Fold) {
        let _ = self.shared.fold.set(fold);
    }

    /// Queues a record; `false` when it was dropped.
    pub fn push(&self, core: &Arc<Core>, record: Queued) -> Result<bool> {
        self.start(core)?;
        let mut state = self.shared.state();
        if state.waiting.len() >= CAPACITY || state.stopping {
            state.lose(record.chained());
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
        loop {
            if state.failures > failures {
                let fallback = || Error::bug("a failed commit left no reason");
                return Err(state.last_failure.clone().unwrap_or_else(fallback));
            }
            if state.durable >= target {
                return Ok(());
            }
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub fn dropped(&self) -> u64 {
        self.shared.state().dropped
    }

    /// Records that wait for the thread.
    pub fn waiting(&self) -> usize {
        self.shared.state().waiting.len()
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
        // Nobody is left who could make them durable: whoever waits for that waits no longer.
        state.durable = state.accepted;
        self.shared.done.notify_all();
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

    /// Everything waiting, as soon as there is something, and how much was handed over until now; `None` at the end.
    fn take(&self) -> Option<(Vec<Queued>, u64)> {
        let mut state = self.state();
        loop {
            state.hurry = false;
            if !state.waiting.is_empty() {
                return Some((std::mem::take(&mut state.waiting), state.accepted));
            }
            if state.stopping {
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Books records that cannot be written at all.
    fn give_up(&self, records: Vec<Option<Timestamp>>, error: Error) {
        let mut state = self.state();
        records.into_iter().for_each(|at| state.lose(at));
        state.failures += 1;
        state.last_failure = Some(error);
    }

    /// Books the outcome of a commit of all that was handed over before `until`; `false` when the thread shall end.
    fn book(&self, batch: Vec<Record>, until: u64, outcome: Result<()>) -> bool {
        let mut state = self.state();
        let Err(error) = outcome else {
            state.durable = until;
            self.done.notify_all();
            let idle =
                |state: &mut State| !state.hurry && !state.stopping && state.waiting.len() < CAPACITY / 4;
            drop(self.work.wait_timeout_while(state, BREATH, idle));
            return true;
        };
        let mut waiting: Vec<Queued> = batch.into_iter().map(Queued::Ready).collect();
        waiting.append(&mut state.waiting);
        for gone in waiting.drain(CAPACITY.min(waiting.len())..) {
            state.lose(gone.chained());
        }
        state.waiting = waiting;
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
    while let Some((queued, until)) = shared.take() {
        // There is room again: the chain tells of what it lacks, before anything that came later.
        let untold = shared.state().untold.take();
        let mut batch = Batch::default();
        if let (Some(lost), Some(teller)) = (untold, shared.teller.get()) {
            teller(&mut batch, lost);
        }
        let (mut records, lost, panicked) = made(queued, batch);
        if lost > 0 || !panicked.is_empty() {
            let mut state = shared.state();
            state.dropped += lost;
            panicked.into_iter().for_each(|at| state.lose(at));
        }
        let fold = shared.fold.get();
        let outcome = match commit(core, &mut records, fold) {
            Err(error) if !concerns_disk(&error) => {
                let mut sifted = Sifted { kept: Vec::new(), outcome: Ok(()), unwritable: Vec::new() };
                sifted.sift(core, records, fold);
                records = sifted.kept;
                if !sifted.unwritable.is_empty() {
                    shared.give_up(sifted.unwritable, error);
                }
                sifted.outcome
            }
            outcome => outcome,
        };
        if !shared.book(records, until, outcome) {
            return;
        }
    }
}

fn commit(core: &Core, records: &mut [Record], fold: Option<&Fold>) -> Result<()> {
    let commit = || core.write(|writer| writer.push_all(records, fold));
    catch_unwind(AssertUnwindSafe(commit))
        .unwrap_or_else(|_| Err(Error::bug("the writer thread of the store panicked")))
}

/// Whether a failure says nothing of the records: they are kept until the disk is well again.
fn concerns_disk(error: &Error) -> bool {
    [&codes::STORE_FULL, &codes::STORE_IO, &codes::STORE_LOCKED].iter().any(|code| error.is(code))
}

/// What came of records that could not be written together.
struct Sifted {
    /// Those that wait for the disk, and what it said.
    kept: Vec<Record>,
    outcome: Result<()>,
    unwritable: Vec<Option<Timestamp>>,
}

impl Sifted {
    /// Writes all but those that stand in the way, halving until they are found.
    fn sift(&mut self, core: &Core, mut records: Vec<Record>, fold: Option<&Fold>) {
        match commit(core, &mut records, fold) {
            Ok(()) => {}
            Err(error) if concerns_disk(&error) => {
                self.kept.append(&mut records);
                self.outcome = Err(error);
            }
            Err(_) if records.len() <= 1 => {
                self.unwritable.extend(records.iter().map(|record| record.body.as_ref().map(|_| record.at)));
            }
            Err(_) => {
                let rest = records.split_off(records.len() / 2);
                self.sift(core, records, fold);
                self.sift(core, rest, fold);
            }
        }
    }
}

/// The records of all that was queued, how many could not be encoded, and those whose making panicked, with the times
/// of those that a chain lacks now.
fn made(queued: Vec<Queued>, mut batch: Batch) -> (Vec<Record>, u64, Vec<Option<Timestamp>>) {
    let mut panicked = Vec::new();
    for one in queued {
        match one {
            Queued::Ready(record) => batch.records.push(record),
            Queued::Later(at, make) => {
                if catch_unwind(AssertUnwindSafe(|| make(&mut batch))).is_err() {
                    panicked.push(at);
                }
            }
        }
    }
    (batch.records, batch.lost, panicked)
}
