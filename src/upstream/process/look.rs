//! One look at the process table, which all who ask for one at the same time share: it takes milliseconds on a busy
//! machine, and a daemon that stops ends all of its trees at once.
//! Rule: nobody is given a look that began before he asked, so what he did before asking shows in it.

use super::reaper;
use super::tree::{Process, table};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What was seen.
pub(super) struct Look {
    pub processes: Vec<Process>,
    /// Children this process started, not reaped yet.
    pub held: BTreeSet<u32>,
    /// Environments as far as somebody wanted to know them.
    environs: Mutex<BTreeMap<u32, Arc<[u8]>>>,
}

static SHARED: Shared<Look> = Shared { asking: AtomicUsize::new(0), latest: Mutex::new(None) };

/// The processes as they are now, or a moment later.
pub(super) fn now() -> Arc<Look> {
    SHARED.get(|| {
        let processes = table();
        Look { processes, held: reaper::held(), environs: Mutex::default() }
    })
}

impl Look {
    /// Empty when it may not be read, and for a moment during exec.
    pub fn environ(&self, pid: u32) -> Arc<[u8]> {
        let mut environs = self.environs.lock().unwrap_or_else(PoisonError::into_inner);
        environs.entry(pid).or_insert_with(|| environ(pid).into()).clone()
    }
}

/// As [`Look::environ`], read anew.
pub(super) fn environ(pid: u32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

/// The latest of something, for as long as somebody waits who may use it.
struct Shared<T> {
    asking: AtomicUsize,
    latest: Mutex<Option<(Instant, Arc<T>)>>,
}

impl<T> Shared<T> {
    fn get(&self, take: impl FnOnce() -> T) -> Arc<T> {
        let asked = Instant::now();
        self.asking.fetch_add(1, Ordering::Relaxed);
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = latest.as_ref().filter(|(begun, _)| *begun >= asked).map(|(_, taken)| taken.clone());
        let taken = fresh.unwrap_or_else(|| {
            let begun = Instant::now();
            let taken = Arc::new(take());
            *latest = Some((begun, taken.clone()));
            taken
        });
        if self.asking.fetch_sub(1, Ordering::Relaxed) == 1 {
            *latest = None;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn all_who_ask_during_one_look_share_the_next() {
        static SHARED: Shared<usize> = Shared { asking: AtomicUsize::new(0), latest: Mutex::new(None) };
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let take = || TAKEN.fetch_add(1, Ordering::SeqCst);
        let (begun, wait) = mpsc::channel();
        let (release, held) = mpsc::channel();
        let first = std::thread::spawn(move || {
            *SHARED.get(|| {
                begun.send(()).unwrap();
                held.recv().unwrap();
                take()
            })
        });
        wait.recv().unwrap();
        let others: Vec<_> = (0..20).map(|_| std::thread::spawn(move || *SHARED.get(take))).collect();
        while SHARED.asking.load(Ordering::SeqCst) < 21 {
            std::thread::yield_now();
        }
        release.send(()).unwrap();
        assert_eq!(first.join().unwrap(), 0);
        let others: BTreeSet<usize> = others.into_iter().map(|other| other.join().unwrap()).collect();
        assert_eq!((others, TAKEN.load(Ordering::SeqCst)), (BTreeSet::from([1]), 2));
        assert!(SHARED.latest.lock().unwrap().is_none(), "nothing is kept for nobody");
        assert_eq!(*SHARED.get(take), 2, "an old look is given to nobody");
    }
}
