//! The processes behind one spawn on Unix systems without /proc: the process group is all that is known.
//! Compiled for macOS and the BSDs in place of `tree.rs`. A process that leaves its group is out of reach here.

use super::{Usage, reaper};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One process group.
pub(super) struct Tree {
    pid: u32,
}

impl Tree {
    pub(super) fn new(pid: u32, _marker: String) -> Self {
        Self { pid }
    }

    /// SIGTERM to the group.
    pub(super) fn ask(&self) {
        reaper::while_held(self.pid, || {
            self.signal(libc::SIGTERM);
        });
    }

    /// SIGKILL to the group until nobody is in it. False: some outlived `patience`.
    ///
    /// The number of a group is not given away while it has a member, so the group may be signalled after its
    /// leader was reaped, as long as every look found somebody.
    pub(super) fn end(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            let gone = !self.signal(libc::SIGKILL);
            reaper::collect(&BTreeSet::from([self.pid]));
            if gone {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// False when the group has no member.
    fn signal(&self, signal: i32) -> bool {
        // SAFETY: a system call without memory.
        let sent = unsafe { libc::kill(-self.pid.cast_signed(), signal) } == 0;
        // A group of zombies answers EPERM on macOS; they are there until they are reaped.
        sent || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
    }
}

/// Without /proc nobody can be recognised: children of a killed daemon end at the end of their input.
pub(super) fn sweep(_nonce: &str, _patience: Duration) -> usize {
    0
}

/// Not known here, and nothing is adopted: the reaper then deals with one stranger after the other.
pub(super) fn ended_children() -> Vec<u32> {
    Vec::new()
}

pub(super) fn usages(pids: &[u32]) -> Vec<Option<Usage>> {
    vec![None; pids.len()]
}

/// Not known here: only the bounds that the kernel holds for each process are in force.
pub(super) fn used(trees: &[Arc<Tree>]) -> Vec<Option<Usage>> {
    vec![None; trees.len()]
}

/// Never asked for, since nothing is known of the whole either.
pub(super) fn proportional(_tree: &Tree) -> Option<u64> {
    None
}
