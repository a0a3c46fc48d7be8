//! What the store costs beside the disk itself: commits against raw syncs, appends, reads, openings, memory.
//! Figures of one run belong together; absolute times are those of the machine. Run: `cargo bench --bench store`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use umcp::clock::Timestamp;
use umcp::store::{ReadOnly, Row, Series, Store, Table, tables};

#[derive(Serialize, Deserialize)]
struct Sample {
    text: String,
    number: u64,
}

impl Row for Sample {
    const KIND: u8 = 250;
    const VERSION: u16 = 1;
}

const ROWS: Table<Sample> = Table::new(tables::SERVERS);
const RECORDS: Series<Sample> = Series::new(tables::CALLS);
const ROUNDS: u64 = 200;
const APPENDS: u64 = 50_000;

fn sample(number: u64) -> Sample {
    Sample { text: "x".repeat(190), number }
}

fn main() {
    if let Some(path) = std::env::var_os("UMCP_BENCH_OPEN") {
        return hold(Path::new(&path));
    }
    // Beside the build, on a disk; the temporary folder is often memory.
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("store-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join("store.redb");
    memory(&path);
    let store = Store::open(&path, Timestamp(1)).unwrap();
    commits(&store, &dir);
    appends(&store);
    reads(&store);
    store.close().unwrap();
    openings(&path);
    fs::remove_dir_all(&dir).unwrap();
}

/// Durable commits of one 200 B row, alternating with a bare write and sync on the same disk.
fn commits(store: &Store, dir: &Path) {
    let mut file = File::create(dir.join("raw")).unwrap();
    file.write_all(&vec![0; 1 << 20]).unwrap();
    file.sync_all().unwrap();
    let (mut raw, mut commit) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let start = Instant::now();
        file.seek(SeekFrom::Start(round * 4096)).unwrap();
        file.write_all(&[round as u8; 200]).unwrap();
        file.sync_data().unwrap();
        raw.push(start.elapsed());
        let start = Instant::now();
        store.write(|tx| tx.put(&ROWS, &format!("{round:05}"), &sample(round))).unwrap();
        commit.push(start.elapsed());
    }
    let (raw, commit) = (median(raw), median(commit));
    println!("write 200 B + fdatasync    p50 {raw:?}");
    println!("durable commit, one row    p50 {commit:?}   {:.2} x fdatasync", ratio(commit, raw));
}

fn appends(store: &Store) {
    let start = Instant::now();
    for number in 0..APPENDS {
        assert!(store.append(&RECORDS, Timestamp(number), &sample(number)).unwrap());
    }
    let queued = start.elapsed();
    store.flush().unwrap();
    let rate = |time: Duration| APPENDS as f64 / time.as_secs_f64();
    println!("append, as seen by caller  {:?} each", queued / APPENDS as u32);
    println!("append, until durable      {:.0} records/s", rate(start.elapsed()));
}

fn reads(store: &Store) {
    let times = (0..10_000).map(|round| {
        let key = format!("{:05}", round % ROUNDS);
        let start = Instant::now();
        assert!(store.read(|tx| tx.get(&ROWS, &key)).unwrap().is_some());
        start.elapsed()
    });
    println!("read transaction and get   p50 {:?}", median(times.collect()));
    let start = Instant::now();
    let rows = store.read(|tx| tx.last(&RECORDS, 100, None, None)).unwrap();
    println!("newest {} of {APPENDS}       {:?}", rows.len(), start.elapsed());
}

fn openings(path: &Path) {
    let (mut write, mut read) = (Vec::new(), Vec::new());
    for _ in 0..30 {
        let start = Instant::now();
        let store = Store::open(path, Timestamp(1)).unwrap();
        write.push(start.elapsed());
        store.close().unwrap();
        let start = Instant::now();
        assert!(matches!(Store::open_read_only(path).unwrap(), ReadOnly::Open(_)));
        read.push(start.elapsed());
    }
    println!("open read-write            p50 {:?}", median(write));
    println!("open read-only             p50 {:?}", median(read));
}

/// Resident memory of processes of their own: without a store, with an empty one open, after 1,000 commits.
fn memory(path: &Path) {
    drop(Store::open(path, Timestamp(1)).unwrap());
    let itself = std::env::current_exe().unwrap();
    for (label, what) in [("no store", "none"), ("empty store", "open"), ("1,000 commits later", "work")] {
        let child =
            Command::new(&itself).env("UMCP_BENCH_OPEN", path).env("UMCP_BENCH_DO", what).output().unwrap();
        println!("resident, {label:<20} {}", String::from_utf8_lossy(&child.stdout).trim());
    }
    fs::remove_file(path).unwrap();
}

/// The child of `memory`.
fn hold(path: &Path) {
    let what = std::env::var("UMCP_BENCH_DO").unwrap();
    let store = (what != "none").then(|| Store::open(path, Timestamp(1)).unwrap());
    if let Some(store) = store.as_ref().filter(|_| what == "work") {
        for round in 0..1_000 {
            store.append(&RECORDS, Timestamp(round), &sample(round)).unwrap();
            store.write(|tx| tx.put(&ROWS, &format!("{:03}", round % 100), &sample(round))).unwrap();
        }
        store.flush().unwrap();
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap_or("not known here");
    println!("{}; {}", line("VmRSS").replace('\t', " "), line("RssAnon").replace('\t', " "));
    drop(store);
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
