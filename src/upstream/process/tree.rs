//! The processes behind one spawn, found through /proc: descendants, the process group, and whoever carries the
//! marker after changing its parent, its group and its session.
//! Out of reach: a process that detached itself completely *and* cleared its environment.
//! `macos.rs` holds the same functions for systems without /proc.

use super::look::{self, Look, environ};
use super::{MARKER, Usage, reaper};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many looks in a row must find nothing while an orphan does not show whose it is.
const LOOKS: u32 = 3;

/// All processes that one spawn led to.
pub(super) struct Tree {
    pid: u32,
    marker: String,
    /// Members that were signalled; they may end, and become ours to reap, long before anybody looks again.
    signalled: Mutex<BTreeSet<u32>>,
}

impl Tree {
    pub(super) fn new(pid: u32, marker: String) -> Self {
        Self { pid, marker: format!("{MARKER}={marker}"), signalled: Mutex::default() }
    }

    /// SIGTERM to every member.
    pub(super) fn ask(&self) {
        reaper::while_held(self.pid, || signal(-self.pid.cast_signed(), libc::SIGTERM));
        let mut signalled = self.signalled.lock().unwrap_or_else(PoisonError::into_inner);
        let look = look::now();
        for process in self.members(&look).0 {
            if !process.ended() && process.group != self.pid {
                signal(process.pid.cast_signed(), libc::SIGTERM);
            }
            signalled.insert(process.pid);
        }
    }

    /// SIGKILL to every member until none is left and all of ours are reaped. False: some outlived `patience`.
    pub(super) fn end(&self, patience: Duration) -> bool {
        let own = std::process::id();
        let deadline = Instant::now() + patience;
        let mut killed = self.signalled.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pause = Duration::from_millis(1);
        let mut looks = 0;
        loop {
            // First the group, which works even when no file of /proc can be opened any more.
            let held = reaper::while_held(self.pid, || signal(-self.pid.cast_signed(), libc::SIGKILL));
            let look = look::now();
            let processes = &look.processes;
            let seen = processes.iter().any(|process| process.pid == own);
            let (members, undecided) = self.members(&look);
            for process in &members {
                if !process.ended() {
                    signal(process.pid.cast_signed(), libc::SIGKILL);
                }
                killed.insert(process.pid);
            }
            // An ended process is ours to reap as soon as its parent has ended too.
            let inherits = |process: &Process| process.parent == own || killed.contains(&process.parent);
            let left = processes.iter().any(|process| killed.contains(&process.pid) && inherits(process));
            let clean = seen && !held && !left && members.iter().all(|process| process.ended());
            looks = if clean { looks + 1 } else { 0 };
            if looks >= if undecided { LOOKS } else { 1 } {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            reaper::collect(&killed);
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// The members, and whether an orphan showed no environment: it cleared it, or it is just becoming another program.
    fn members<'a>(&self, look: &'a Look) -> (Vec<&'a Process>, bool) {
        let undecided = Cell::new(false);
        let members = members(&look.processes, self.pid, &look.held, |pid| {
            let environ = look.environ(pid);
            undecided.set(undecided.get() || environ.is_empty());
            carries(&environ, self.marker.as_bytes(), true)
        });
        (members, undecided.get())
    }
}

/// Kills whoever carries a marker of `nonce`, but neither this process nor its ancestors.
pub(super) fn sweep(nonce: &str, patience: Duration) -> usize {
    let marker = format!("{MARKER}={nonce}:");
    let deadline = Instant::now() + patience;
    let mut killed = BTreeSet::new();
    loop {
        let processes = table();
        let spared = ancestors(&processes, std::process::id());
        let left: Vec<u32> = processes
            .iter()
            .filter(|process| !process.ended() && !spared.contains(&process.pid))
            .map(|process| process.pid)
            .filter(|pid| carries(&environ(*pid), marker.as_bytes(), false))
            .collect();
        for pid in &left {
            signal(pid.cast_signed(), libc::SIGKILL);
            killed.insert(*pid);
        }
        if left.is_empty() || Instant::now() > deadline {
            return killed.len();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What whole trees use, orphans that left their group included, with one look at the system.
pub(super) fn used(trees: &[Arc<Tree>]) -> Vec<Option<Usage>> {
    let look = look::now();
    let usage = |tree: &Arc<Tree>| {
        let (mut members, _) = tree.members(&look);
        members.retain(|process| !process.ended());
        (!members.is_empty()).then(|| sum(&members))
    };
    trees.iter().map(usage).collect()
}

/// The memory of a tree with shared pages counted once in all; dear to find out. `None`: not told.
pub(super) fn proportional(tree: &Tree) -> Option<u64> {
    let look = look::now();
    let (members, _) = tree.members(&look);
    let of = |process: &&Process| {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let kibibytes = members.iter().filter(|process| !process.ended()).map(of).sum::<Option<u64>>()?;
    Some(kibibytes << 10)
}

pub(super) fn usages(pids: &[u32]) -> Vec<Option<Usage>> {
    let processes = table();
    let usage = |pid: &u32| {
        processes.iter().find(|process| process.pid == *pid && !process.ended())?;
        let mut members = members(&processes, *pid, &BTreeSet::from([*pid]), |_| false);
        members.retain(|process| !process.ended());
        Some(sum(&members))
    };
    pids.iter().map(usage).collect()
}

fn sum(members: &[&Process]) -> Usage {
    // SAFETY: asks for two constants of the system.
    let (ticks, page) = unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
    let (ticks, page) = (u64::try_from(ticks).unwrap_or(100).max(1), u64::try_from(page).unwrap_or(4096));
    Usage {
        cpu_ms: members.iter().map(|process| process.ticks).sum::<u64>() * 1000 / ticks,
        rss_bytes: members.iter().map(|process| process.pages).sum::<u64>() * page,
        processes: u32::try_from(members.len()).unwrap_or(u32::MAX),
    }
}

/// Children of this process that have ended and wait to be reaped.
pub(super) fn ended_children() -> Vec<u32> {
    let own = std::process::id();
    let processes = table();
    let ended = processes.iter().filter(|process| process.parent == own && process.ended());
    ended.map(|process| process.pid).collect()
}

/// One line of the process table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pid: u32,
    state: u8,
    parent: u32,
    group: u32,
    /// CPU time, its own and that of children it waited for.
    ticks: u64,
    pages: u64,
}

impl Process {
    /// Ended, but not reaped by its parent yet.
    fn ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

/// All processes of the system; empty when /proc cannot be read.
pub(super) fn table() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let stat = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        parse_stat(pid, &fs::read(entry.path().join("stat")).ok()?)
    };
    entries.flatten().filter_map(stat).collect()
}

/// Reads `/proc/PID/stat`. The name in brackets may hold anything, brackets and spaces included.
fn parse_stat(pid: u32, stat: &[u8]) -> Option<Process> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields: Vec<&str> = std::str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace().collect();
    // Fields count from 3 (state) on, as in proc(5).
    let number =
        |field: usize| fields.get(field - 3)?.parse::<i64>().ok().map(|number| number.max(0).cast_unsigned());
    let id = |field: usize| u32::try_from(number(field)?).ok();
    Some(Process {
        pid,
        state: *fields.first()?.as_bytes().first()?,
        parent: id(4)?,
        group: id(5)?,
        ticks: (14..=17).map(number).sum::<Option<u64>>()?,
        pages: number(24)?,
    })
}

/// The processes that belong to `root`, ended ones that nobody reaped yet included.
///
/// `held` are the children this process started. Its other children are orphans it inherited as their subreaper:
/// whoever moved out of a tree is one of them or below one, so that no more processes need to show their marker.
fn members<'a>(
    processes: &'a [Process],
    root: u32,
    held: &BTreeSet<u32>,
    carries: impl Fn(u32) -> bool,
) -> Vec<&'a Process> {
    let own = std::process::id();
    let rooted = held.contains(&root);
    // When `root` was reaped, its number may have been given to a stranger, who then leads a group of his own.
    let group = rooted || !processes.iter().any(|process| process.pid == root);
    let orphan =
        |process: &Process| process.parent == own && !process.ended() && !held.contains(&process.pid);
    let mut inside: BTreeSet<u32> = processes
        .iter()
        .filter(|process| {
            (rooted && process.pid == root)
                || (group && process.group == root)
                || (orphan(process) && carries(process.pid))
        })
        .map(|process| process.pid)
        .collect();
    loop {
        let before = inside.len();
        let children = processes.iter().filter(|process| inside.contains(&process.parent));
        let children: Vec<u32> = children.map(|process| process.pid).collect();
        inside.extend(children);
        if inside.len() == before {
            break;
        }
    }
    processes.iter().filter(|process| inside.contains(&process.pid)).collect()
}

fn ancestors(processes: &[Process], pid: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::from([pid, 1]);
    let mut next = pid;
    while let Some(process) = processes.iter().find(|process| process.pid == next) {
        next = process.parent;
        if !found.insert(next) {
            break;
        }
    }
    found
}

/// Whether it holds the variable; `whole`: with exactly this value, else beginning so.
fn carries(environ: &[u8], marker: &[u8], whole: bool) -> bool {
    environ.split(|byte| *byte == 0).any(|line| if whole { line == marker } else { line.starts_with(marker) })
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: a system call without memory; a process that is gone by now is no error.
    unsafe { libc::kill(pid, signal) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_process_table_is_read_behind_any_name() {
        let stat = b"42 (a) b) (c) S 7 40 40 0 -1 4194560 100 0 0 0 11 22 3 4 20 0 1 0 500 1000000 77 18446744073709551615 1 1\n";
        let expected = Process { pid: 42, state: b'S', parent: 7, group: 40, ticks: 40, pages: 77 };
        assert_eq!(parse_stat(42, stat), Some(expected));
        assert_eq!(parse_stat(42, b"42 (a"), None);
        assert_eq!(parse_stat(42, b"42 (a) S 1"), None);
    }

    #[test]
    fn a_tree_is_descendants_group_and_marked_ones() {
        let own = std::process::id();
        let process = |pid, parent, group, state| Process { pid, parent, group, state, ticks: 0, pages: 0 };
        let table = [
            process(10, own, 10, b'S'),
            process(13, 12, 13, b'S'),
            process(11, 10, 10, b'S'),
            process(12, 11, 12, b'S'),
            process(14, own, 10, b'S'),
            process(15, own, 15, b'S'),
            process(16, 15, 15, b'S'),
            process(17, 10, 10, b'Z'),
            process(20, own, 20, b'S'),
            process(21, 1, 21, b'S'),
        ];
        let found = |table: &[Process], held: &[u32], marked: &[u32]| -> Vec<u32> {
            let held = held.iter().copied().collect();
            let members = members(table, 10, &held, |pid| marked.contains(&pid));
            members.iter().map(|process| process.pid).collect()
        };
        assert_eq!(found(&table, &[10, 20], &[15, 20, 21]), [10, 13, 11, 12, 14, 15, 16, 17]);
        assert_eq!(found(&table, &[10, 20], &[]), [10, 13, 11, 12, 14, 17]);
        assert_eq!(
            found(&table, &[20], &[15]),
            [15, 16],
            "the number of a reaped process may be a stranger's"
        );
        assert_eq!(found(&table[1..], &[20], &[]), [13, 11, 12, 14, 17], "a group outlives its leader");
        assert_eq!(found(&table[8..], &[20], &[]), [] as [u32; 0]);
    }
}
