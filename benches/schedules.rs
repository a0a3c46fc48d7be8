//! What schedules cost: reading expressions, the next instant, a new plan after a change of zones, a thousand due at once
//! on disk, memory. Figures of one run belong together. Run: `cargo bench --bench schedules`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use umcp::clock::Timestamp;
use umcp::schedules::cron::Cron;
use umcp::schedules::model::{Missed, Overlap, Schedule, Target, Trigger};
use umcp::schedules::plan::{Plan, Slip};
use umcp::schedules::{Reply, Request, timetable, write};
use umcp::store::Store;

const ZONES: [&str; 4] = ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata"];

fn main() {
    expressions();
    plans();
    memory();
    year();
    store();
}

/// Median time of one go in nanoseconds, over batches.
fn median(mut go: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..51)
        .map(|_| {
            let start = Instant::now();
            (0..200).for_each(|_| go());
            start.elapsed().as_secs_f64() * 1e9 / 200.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn expressions() {
    let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
    let from = "2026-11-21T10:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    println!("{:<24} {:>10} {:>10}", "expression", "parse ns", "next ns");
    for text in [
        "*/5 * * * *",
        "0 9-17 * * 1-5",
        "0 2 * * *",
        "0 0 1,15 * *",
        "*/10 * * * * *",
        "0 0 29 2 *",
        "0 0 13 * 5",
        "0 0 LW * *",
        "59 23 31 12 5L",
        "0 0 * 2 5#5",
    ] {
        let cron = Cron::parse(text).unwrap();
        let parse = median(|| drop(std::hint::black_box(Cron::parse(std::hint::black_box(text)))));
        let mut after = from;
        let next = median(|| {
            after =
                cron.next_after(after, &zone).filter(|next| *next < from + 40 * 31_557_600).unwrap_or(from)
        });
        println!("{text:<24} {parse:>10.0} {next:>10.0}");
    }
}

/// So many schedules with as many different expressions as that many need.
fn slips(count: u64) -> impl Iterator<Item = Slip> {
    (0..count).map(|number| {
        let (minute, hour, day) = (number % 60, number / 60 % 24, 1 + number / 1440 % 28);
        let cron = match number % 4 {
            0 => format!("{minute} {hour} * * *"),
            1 => format!("{minute} {hour} * * {}", day % 7),
            2 => format!("{minute} {hour} {day} * *"),
            _ => format!("*/{} {hour}-23 * * *", 2 + minute / 2),
        };
        let watermark = Timestamp::parse("2026-11-21T10:00:00Z").unwrap();
        let (trigger, zone) = (Trigger::Cron(cron), ZONES[(number % 4) as usize].to_string());
        Slip { name: format!("schedule-{number}"), trigger, zone, offset: 0, watermark }
    })
}

fn plan(count: u64) -> Plan {
    let mut plan = Plan::default();
    slips(count).for_each(|slip| plan.put(slip).unwrap());
    plan
}

fn plans() {
    let mut plan = plan(10_000);
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let start = Instant::now();
            plan.replan(timetable::zone);
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("10,000 schedules planned anew: median {:.2} ms", times[10].as_secs_f64() * 1e3);
}

fn memory() {
    let before = resident();
    let start = Instant::now();
    let plan = plan(100_000);
    let took = start.elapsed();
    let after = resident();
    println!(
        "100,000 schedules: {:.1} MB, planned in {:.0} ms, {} wait",
        (after.saturating_sub(before)) as f64 / 1e6,
        took.as_secs_f64() * 1e3,
        plan.waiting()
    );
}

/// Resident memory in bytes; 0 where the system does not tell.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn year() {
    let mut plan = Plan::default();
    slips(10_000)
        .filter(|slip| !matches!(&slip.trigger, Trigger::Cron(text) if text.starts_with('*')))
        .for_each(|slip| plan.put(slip).unwrap());
    let end = Timestamp::parse("2027-11-21T10:00:00Z").unwrap();
    let (start, mut fired) = (Instant::now(), 0_u64);
    while let Some(now) = plan.peek().filter(|now| *now <= end) {
        for name in plan.due(now) {
            fired += 1;
            plan.passed(&name, now);
        }
    }
    println!(
        "a year of {} schedules: {fired} firings in {:.1} s",
        plan.waiting(),
        start.elapsed().as_secs_f64()
    );
}

/// A thousand schedules due in the same second: from the plan to the commit that lets them begin.
fn store() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("schedules-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let from = Timestamp::parse("2026-11-21T10:00:30Z").unwrap();
    let store = Store::open(&dir.join("store.redb"), from).unwrap();
    store
        .write(|tx| {
            for number in 0..1000 {
                let schedule = schedule(&format!("s{number}"), from);
                write(tx, Request::Put { schedule: Box::new(schedule), replace: false })?;
            }
            Ok(())
        })
        .unwrap();
    let names: Vec<String> = (0..1000).map(|number| format!("s{number}")).collect();
    let mut times = Vec::new();
    for round in 1..=11_u64 {
        let now = Timestamp(from.0 + round * 60_000_000);
        let start = Instant::now();
        let request = Request::Fire { names: names.clone(), now, host: "{}".into() };
        let Reply::Fired(fired) = store.write(|tx| write(tx, request)).unwrap() else { panic!() };
        times.push(start.elapsed());
        assert_eq!(fired.begun.len(), 1000);
    }
    times.sort();
    println!(
        "1,000 due in one second: decided and durable in {:.1} ms (median)",
        times[5].as_secs_f64() * 1e3
    );
    store.close().unwrap();
    fs::remove_dir_all(&dir).unwrap();
}

fn schedule(name: &str, now: Timestamp) -> Schedule {
    Schedule {
        id: format!("sch_{name}"),
        name: name.into(),
        description: String::new(),
        agent: None,
        target: Target::Tool("s.t".into()),
        trigger: Trigger::Cron("* * * * *".into()),
        zone: "Europe/Berlin".into(),
        input: "{}".into(),
        missed: Missed::Once,
        overlap: Overlap::Allow,
        jitter_ms: 0,
        when: None,
        deadline_ms: None,
        retries: 0,
        retry_after_ms: 1000,
        enabled: true,
        paused: false,
        created: now,
        updated: now,
        revision: 0,
    }
}
