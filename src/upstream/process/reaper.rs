//! Waits for every child of this process, adopted orphans included, so that no zombie stays.
//! One per process, because the system has one list of children per process.
//! Rule: a process id is signalled and reaped under one lock, so that no signal meets a number that was given away.
//! Children that other code of this process started are left to their owner as long as he can be expected to come.

use super::{ExitInfo, tree};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long an ended child that nobody registered may wait for somebody else's `wait`.
const PATIENCE_OWN_GROUP: Duration = Duration::from_secs(60);
/// The same in a process group other than ours, where it most likely is an orphan.
const PATIENCE_OTHER_GROUP: Duration = Duration::from_secs(1);
/// How often one looks while such a child stands in the way of a blocking wait.
const POLL: Duration = Duration::from_millis(50);

static REAPER: Reaper = Reaper {
    state: Mutex::new(State { started: false, children: BTreeMap::new() }),
    arrived: Condvar::new(),
};

struct Reaper {
    state: Mutex<State>,
    arrived: Condvar,
}

struct State {
    started: bool,
    /// Started by us and not reaped yet: these process ids cannot belong to anybody else.
    children: BTreeMap<u32, watch::Sender<Option<ExitInfo>>>,
}

/// Starts the thread once.
pub(super) fn start() -> io::Result<()> {
    let mut state = lock();
    if !state.started {
        heed_exits();
        std::thread::Builder::new().name("umcp-reap".into()).spawn(run)?;
        state.started = true;
    }
    Ok(())
}

/// A starter may have left us with SIGCHLD ignored; then the system would throw every exit away.
fn heed_exits() {
    // SAFETY: all bytes zero is a valid sigaction to be overwritten; a handler that is set stays.
    unsafe {
        let mut present: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGCHLD, std::ptr::null(), &raw mut present);
        if present.sa_sigaction == libc::SIG_IGN {
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        }
    }
}

/// Starts and registers a process in one step, so that its end cannot be missed.
pub(super) fn spawn(
    start: impl FnOnce() -> io::Result<u32>,
) -> io::Result<(u32, watch::Receiver<Option<ExitInfo>>)> {
    let mut state = lock();
    // The lock is held until the child is its program: one that fails on its way is waited for by `start`.
    let pid = start()?;
    let (sender, receiver) = watch::channel(None);
    state.children.insert(pid, sender);
    REAPER.arrived.notify_all();
    Ok((pid, receiver))
}

/// Calls `act` while `pid` is certainly our child; false when it was reaped already.
pub(super) fn while_held(pid: u32, act: impl FnOnce()) -> bool {
    let state = lock();
    let held = state.children.contains_key(&pid);
    if held {
        act();
    }
    held
}

/// Every child that was started here and is not reaped yet.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn held() -> BTreeSet<u32> {
    lock().children.keys().copied().collect()
}

/// Reaps those of `killed` that are children of ours and have ended.
pub(super) fn collect(killed: &BTreeSet<u32>) {
    let mut state = lock();
    for pid in killed {
        settle(&mut state, *pid);
    }
}

fn lock() -> MutexGuard<'static, State> {
    REAPER.state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reaps `pid` if it is our child and has ended, and tells its exit to whoever waits.
fn settle(state: &mut State, pid: u32) {
    let mut status = 0;
    // SAFETY: writes one integer.
    let answer = unsafe { libc::waitpid(pid.cast_signed(), &raw mut status, libc::WNOHANG) };
    if answer == 0 {
        return;
    }
    let exit = if answer < 0 {
        ExitInfo::default()
    } else if libc::WIFEXITED(status) {
        ExitInfo { code: Some(libc::WEXITSTATUS(status)), signal: None }
    } else {
        ExitInfo { code: None, signal: Some(libc::WTERMSIG(status)) }
    };
    if let Some(sender) = state.children.remove(&pid) {
        sender.send_replace(Some(exit));
    }
}

fn run() {
    // Unregistered zombies, and since when they are known. As long as there is one, a blocking wait would return
    // at once, so one looks from time to time instead.
    let mut strangers: BTreeMap<u32, Instant> = BTreeMap::new();
    loop {
        match peek(strangers.is_empty()) {
            Peek::Ended(pid) => meet(pid, &mut strangers),
            Peek::Nothing => strangers.clear(),
            Peek::Childless => {
                strangers.clear();
                wait_for_arrival();
            }
        }
        if !strangers.is_empty() {
            std::thread::sleep(POLL);
            settle_all(&mut lock());
        }
    }
}

/// Deals with an ended child, and if it is a stranger with all other strangers.
fn meet(pid: u32, strangers: &mut BTreeMap<u32, Instant>) {
    let mut state = lock();
    if state.children.contains_key(&pid) {
        settle(&mut state, pid);
        return;
    }
    let mut ended = tree::ended_children();
    ended.retain(|pid| !state.children.contains_key(pid));
    ended.push(pid);
    strangers.retain(|pid, _| ended.contains(pid));
    for pid in ended {
        let since = *strangers.entry(pid).or_insert_with(Instant::now);
        // SAFETY: asks for two numbers.
        let own_group = unsafe { libc::getpgid(pid.cast_signed()) == libc::getpgrp() };
        let patience = if own_group { PATIENCE_OWN_GROUP } else { PATIENCE_OTHER_GROUP };
        if since.elapsed() >= patience {
            settle(&mut state, pid);
            strangers.remove(&pid);
        }
    }
}

fn settle_all(state: &mut State) {
    for pid in state.children.keys().copied().collect::<Vec<_>>() {
        settle(state, pid);
    }
}

enum Peek {
    Ended(u32),
    Nothing,
    Childless,
}

/// Looks for an ended child without reaping it.
fn peek(block: bool) -> Peek {
    let flags = libc::WEXITED | libc::WNOWAIT | if block { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: all bytes zero is a valid siginfo_t, and waitid fills it.
        let (result, pid) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let result = libc::waitid(libc::P_ALL, 0, &raw mut info, flags);
            (result, info.si_pid())
        };
        match (result, u32::try_from(pid)) {
            (0, Ok(0) | Err(_)) => return Peek::Nothing,
            (0, Ok(pid)) => return Peek::Ended(pid),
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => return Peek::Childless,
        }
    }
}

/// Sleeps until a child is registered. Somebody who reaped ours behind our back must not make us spin.
fn wait_for_arrival() {
    let mut state = lock();
    settle_all(&mut state);
    while state.children.is_empty() {
        state = REAPER.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}
