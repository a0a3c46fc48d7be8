//! Ctrl-C while something is awaited: the first is a flag that the wait notices, the second ends the process.
//! Commands that wait for nothing keep the system's own behaviour.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C sets this flag, once.
pub fn watch() -> &'static AtomicBool {
    install();
    &INTERRUPTED
}

#[cfg(unix)]
fn install() {
    extern "C" fn on_signal(_: libc::c_int) {
        INTERRUPTED.store(true, Ordering::Relaxed);
    }
    let handler: extern "C" fn(libc::c_int) = on_signal;
    // SAFETY: the handler only stores to an atomic. SA_RESETHAND gives the second Ctrl-C its usual meaning;
    // without SA_RESTART a blocking read returns at once.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_RESETHAND;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut());
    }
}

#[cfg(not(unix))]
fn install() {}

/// Whether Ctrl-C was pressed since `watch`.
pub fn happened() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Waits in short steps, so that Ctrl-C is noticed.
pub fn wait(time: Duration) {
    let end = Instant::now() + time;
    while !happened() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
}
