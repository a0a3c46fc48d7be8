//! What process trees hold and use, read from /proc. The gateway's own processes are counted apart from the
//! fixtures below it.

use std::collections::HashMap;
use std::fs;

/// Sum over the processes of one or more trees.
#[derive(Default, Clone, Copy, Debug)]
pub struct Tree {
    pub rss_kib: u64,
    pub pss_kib: u64,
    pub procs: u64,
    pub threads: u64,
    pub fixtures: u64,
    pub cpu_us: u64,
}

impl std::ops::Add for Tree {
    type Output = Tree;
    fn add(self, other: Tree) -> Tree {
        Tree {
            rss_kib: self.rss_kib + other.rss_kib,
            pss_kib: self.pss_kib + other.pss_kib,
            procs: self.procs + other.procs,
            threads: self.threads + other.threads,
            fixtures: self.fixtures + other.fixtures,
            cpu_us: self.cpu_us + other.cpu_us,
        }
    }
}

struct Process {
    parent: u32,
    threads: u64,
}

fn processes() -> HashMap<u32, Process> {
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|s| s.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let Some(end) = stat.rfind(')') else { continue };
        let mut words = stat[end + 1..].split_whitespace();
        if words.next() == Some("Z") {
            continue;
        }
        // From ppid on: num_threads is 16 further.
        let f: Vec<u64> = words.map(|x| x.parse().unwrap_or(0)).collect();
        all.insert(pid, Process { parent: f[0] as u32, threads: f[16] });
    }
    all
}

/// CPU time of a process so far, ended threads included. /proc tells it in ticks of 10 ms only.
fn cpu_us(pid: u32) -> u64 {
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls write one integer or struct of ours; a pid that is gone is an error.
    let known = unsafe {
        libc::clock_getcpuclockid(pid as i32, &mut clock) == 0 && libc::clock_gettime(clock, &mut time) == 0
    };
    if known { time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000 } else { 0 }
}

fn is_below(all: &HashMap<u32, Process>, pid: u32, root: u32) -> bool {
    let (mut at, mut depth) = (pid, 0);
    while at != root && at > 1 && depth < 64 {
        at = all.get(&at).map_or(0, |p| p.parent);
        depth += 1;
    }
    at == root
}

fn is_fixture(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe"))
        .is_ok_and(|exe| exe.file_name().is_some_and(|n| n == "mcp-fixture"))
}

/// Samples `root` and all its descendants, but for those from `except` down.
pub fn tree(root: u32, except: Option<u32>) -> Tree {
    let all = processes();
    let mut t = Tree::default();
    for (&pid, process) in &all {
        if !is_below(&all, pid, root) || except.is_some_and(|except| is_below(&all, pid, except)) {
            continue;
        }
        if pid != root && is_fixture(pid) {
            t.fixtures += 1;
            continue;
        }
        t.procs += 1;
        t.threads += process.threads;
        t.cpu_us += cpu_us(pid);
        let Ok(maps) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
        let kib = |key: &str| {
            let line = maps.lines().find(|l| l.starts_with(key));
            line.and_then(|l| l.split_whitespace().nth(1)).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0)
        };
        t.rss_kib += kib("Rss:");
        t.pss_kib += kib("Pss:");
    }
    t
}

/// Fixture processes below `root` that were started with `--name NAME`.
pub fn fixtures_named(root: u32, name: &str) -> Vec<u32> {
    let all = processes();
    let named = |pid: u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
        words.windows(2).any(|w| w[0] == b"--name" && w[1] == name.as_bytes())
    };
    all.keys()
        .copied()
        .filter(|&pid| pid != root && is_below(&all, pid, root) && is_fixture(pid) && named(pid))
        .collect()
}
