//! Watches what trees of processes use and ends the one that passes a bound, with a verdict.
//! One thread for all of them, which sleeps while there is nothing to watch and looks less often while nothing moves.
//! Out of its sight: what happens between two looks. The kernel's own bounds stand in `sandbox`.

use super::confine::Bounds;
use super::{ExitInfo, KILL_PATIENCE, Usage, platform_tree};
use crate::error::{Error, Result, codes};
use crate::sandbox::{Breach, Limits, Resource, Used};
use platform_tree::Tree;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch::Receiver;

/// Between two looks while a tree works or grows.
const BUSY: Duration = Duration::from_millis(200);
/// The same when nothing has moved for some looks.
const CALM: Duration = Duration::from_secs(1);
/// CPU time between two looks that counts as work.
const WORK_MS: u64 = 20;
/// A folder of more entries than this is full, whatever is in them.
const ENTRIES: usize = 200_000;

static WATCH: Watch = Watch {
    state: Mutex::new(State { started: false, due: None, watched: Vec::new() }),
    arrived: Condvar::new(),
};

struct Watch {
    state: Mutex<State>,
    arrived: Condvar,
}

struct State {
    started: bool,
    /// When the next look is taken; `None` while there is nothing to look at, and during a look.
    due: Option<Instant>,
    watched: Vec<Arc<Watched>>,
}

struct Watched {
    bounds: Bounds,
    tree: Weak<Tree>,
    verdict: Verdict,
    cpu_ms: Mutex<u64>,
}

/// Which bound a process passed, if it did.
#[derive(Clone)]
pub struct Verdict {
    limits: Limits,
    exited: Receiver<Option<ExitInfo>>,
    seen: Arc<OnceLock<Breach>>,
}

impl Verdict {
    pub(super) fn new(limits: Limits, exited: Receiver<Option<ExitInfo>>) -> Self {
        Self { limits, exited, seen: Arc::default() }
    }

    /// What was seen while it ran, or what the signal that ended it tells.
    pub fn breach(&self) -> Option<Breach> {
        let signal = (*self.exited.borrow()).and_then(|exit| exit.signal);
        self.seen.get().copied().or_else(|| Breach::of_signal(&self.limits, signal?))
    }

    fn is_over(&self) -> bool {
        self.exited.borrow().is_some() || self.seen.get().is_some()
    }
}

/// Watches a tree until it ends. Without bounds there is nothing to do.
pub(super) fn add(bounds: Bounds, tree: &Arc<Tree>, verdict: &Verdict) -> Result<()> {
    if bounds.limits.is_empty() {
        return Ok(());
    }
    let mut state = lock();
    if !state.started {
        std::thread::Builder::new().name("umcp-watch".into()).spawn(run).map_err(|error| {
            Error::new(&codes::UPSTREAM_RESOURCES, "no thread to watch the limits of child processes")
                .because(error)
        })?;
        state.started = true;
    }
    let (tree, verdict) = (Arc::downgrade(tree), verdict.clone());
    state.watched.push(Arc::new(Watched { bounds, tree, verdict, cpu_ms: Mutex::new(0) }));
    // A process that just started has used nothing up. Many that start together are looked at together.
    let first = Instant::now() + BUSY;
    if state.due.is_none_or(|due| due > first) {
        state.due = Some(first);
        WATCH.arrived.notify_all();
    }
    Ok(())
}

fn lock() -> MutexGuard<'static, State> {
    WATCH.state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run() {
    let mut pause = BUSY;
    loop {
        let watched = next(pause);
        let trees: Vec<(Arc<Watched>, Arc<Tree>)> = watched
            .into_iter()
            .filter_map(|watched| Some((watched.clone(), watched.tree.upgrade()?)))
            .collect();
        let only: Vec<Arc<Tree>> = trees.iter().map(|(_, tree)| tree.clone()).collect();
        let mut moved = false;
        for ((watched, tree), usage) in trees.iter().zip(platform_tree::used(&only)) {
            let Some(usage) = usage else { continue };
            moved |= watched.moved(&usage);
            if let Some(breach) = watched.look(tree, &usage) {
                end(watched, tree.clone(), breach);
            }
        }
        pause = if moved { BUSY } else { (pause * 2).min(CALM) };
    }
}

/// Sleeps for the pause, or less for the sake of somebody new; for as long as there is nobody at all.
fn next(pause: Duration) -> Vec<Arc<Watched>> {
    let due = Instant::now() + pause;
    let mut state = lock();
    state.due = Some(state.due.map_or(due, |fresh| fresh.min(due)));
    loop {
        state.watched.retain(|watched| !watched.verdict.is_over() && watched.tree.strong_count() > 0);
        if state.watched.is_empty() {
            state.due = None;
            state = WATCH.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let left = state.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            state.due = None;
            return state.watched.clone();
        }
        state = WATCH.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

impl Watched {
    /// Whether it worked since the last look, or has come half the way to its bound of memory.
    fn moved(&self, usage: &Usage) -> bool {
        let mut last = self.cpu_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let worked = usage.cpu_ms.saturating_sub(*last) >= WORK_MS;
        *last = usage.cpu_ms;
        worked || self.bounds.limits.memory.is_some_and(|bound| usage.rss_bytes > bound / 2)
    }

    fn look(&self, tree: &Tree, usage: &Usage) -> Option<Breach> {
        let mut used = Used {
            memory: usage.rss_bytes,
            processes: usage.processes.into(),
            disk: self.bounds.work.as_deref().map_or(0, size),
            cpu_ms: usage.cpu_ms,
        };
        let breach = Breach::of(&self.bounds.limits, &used)?;
        if breach.resource != Resource::Memory {
            return Some(breach);
        }
        // The sum counts shared pages once per process; only beyond the bound is it worth to ask more exactly.
        used.memory = platform_tree::proportional(tree).unwrap_or(used.memory);
        Breach::of(&self.bounds.limits, &used)
    }
}

fn end(watched: &Watched, tree: Arc<Tree>, breach: Breach) {
    // First the verdict: the exit may be told while the rest of the tree still ends.
    let _ = watched.verdict.seen.set(breach);
    let other = tree.clone();
    let kill = move || {
        other.end(KILL_PATIENCE);
    };
    if std::thread::Builder::new().name("umcp-kill".into()).spawn(kill).is_err() {
        tree.end(KILL_PATIENCE);
    }
}

/// Bytes of all files below a folder as they stand on the disk; links are not followed.
fn size(folder: &Path) -> u64 {
    let mut folders = vec![folder.to_path_buf()];
    let (mut sum, mut entries) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            entries += 1;
            if entries > ENTRIES {
                return u64::MAX;
            }
            let Ok(meta) = entry.metadata() else { continue };
            match meta.is_dir() {
                true => folders.push(entry.path()),
                false => sum += on_disk(&meta),
            }
        }
    }
    sum
}

#[cfg(unix)]
fn on_disk(meta: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // The unit is 512 bytes everywhere; a sparse file takes less than it says.
    meta.blocks() * 512
}

#[cfg(not(unix))]
fn on_disk(meta: &std::fs::Metadata) -> u64 {
    meta.len()
}
