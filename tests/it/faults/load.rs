//! Servers under load: many calls, large answers, floods, a busy neighbour, a dead one, a long series of faults.
//! The numbers are the rows of the fault table: 15, 17 and 21.

use super::entries::{fixture, hasty};
use super::house::{House, call_over, is_long, ms, note, within};
use super::process::{memory_kib, open_files, send_signal};
use super::session::{Session, text};
use serde_json::json;
use std::time::{Duration, Instant};
use umcp::engine::live::Live;

const RESTART: Duration = ms(2000);

#[test]
fn row_15_answers_in_any_order_find_their_calls() {
    let house = House::new();
    house.add(fixture("bad", &["--fault", "out-of-order=100"]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let mut session = Session::direct(&house);
    let started = Instant::now();
    let ids: Vec<u64> =
        (0..100).map(|n| session.call("bad__echo", json!({"text": format!("word {n}")}))).collect();
    house.good_answers();
    for (n, answer) in session.answers(&ids, ms(5000)).into_iter().enumerate() {
        assert_eq!(text(&answer.expect("an answer")), format!("word {n}"));
    }
    note(15, started.elapsed());
    assert_eq!(house.server("bad").late, 0);
}

#[test]
fn row_17_a_flood_on_stderr_costs_neither_memory_nor_disk() {
    let house = House::new();
    house.add(fixture("bad", &[]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let before = memory_kib(house.pid(), "VmRSS");
    let size = if is_long() { 1024 } else { 128 };
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| house.misbehave("bad", &format!("stderr-flood={size}")));
        while !flood.is_finished() {
            house.good_answers();
        }
        flood.join().unwrap().unwrap();
    });
    let grown = memory_kib(house.pid(), "VmHWM").saturating_sub(before);
    assert!(grown < 32 << 10, "the daemon grew by {grown} KiB");
    let log = house.paths.server_log(&house.server("bad").id);
    let logs = std::fs::read_dir(log.parent().unwrap()).unwrap();
    let bytes: u64 = logs.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes > 0 && bytes < 4 << 20, "{bytes} bytes of logs");
    house.recovers(17, "bad", RESTART);
}

#[test]
fn row_21_a_server_that_burns_cpu_does_not_slow_the_others() {
    let house = House::new();
    let count = if is_long() { 50 } else { 12 };
    for n in 0..count {
        house.add(fixture(&format!("s{n}"), &[]));
    }
    let warm = |n: usize| house.call(&format!("s{n}.echo"), r#"{"text":"x"}"#).unwrap();
    (0..count).for_each(|n| _ = warm(n));
    let mut client = house.client();
    let mut slowest = || {
        let mut times: Vec<Duration> = (0..200)
            .map(|call| {
                let started = Instant::now();
                let target = format!("s{}.echo", 1 + call % (count - 1));
                call_over(&mut client, &target, r#"{"text":"x"}"#).unwrap();
                started.elapsed()
            })
            .collect();
        times.sort();
        times[197]
    };
    // Other work on the machine spoils a single comparison, hence the best of three.
    let mut seen = Vec::new();
    let calm = (0..3).any(|_| {
        let quiet = slowest();
        std::thread::scope(|scope| {
            scope.spawn(|| house.misbehave("s0", "burn-cpu=2").unwrap());
            within(ms(2000), "the burning has begun", || house.server("s0").in_flight == 1);
            seen.push((quiet, slowest()));
        });
        seen.last().is_some_and(|(quiet, loaded)| *loaded <= (*quiet * 3).max(ms(10)))
    });
    assert!(calm, "99 of 100 calls: (quiet, loaded) {seen:?}");
    note(21, seen.last().unwrap().1);
    house.good_answers();
    house.recovers(21, "s0", ms(4000));
}

#[test]
fn many_faults_cost_neither_memory_nor_descriptors() {
    let house = House::new();
    house.add(fixture("bad", &[]));
    let mut client = house.client();
    let names = vec!["bad".to_string()];
    let mut cycle = |number: usize| {
        let fault =
            ["duplicate-ids", "invalid-json", "banner", "invalid-utf8", "unknown-content"][number % 5];
        // Some of them fail, as they should; the breaker must not end the series.
        let _ = call_over(&mut client, "bad.fault", &format!(r#"{{"name":"{fault}"}}"#));
        client.call(&Live::ResetBreakers { names: names.clone() }.into(), &mut |_| {}).unwrap();
        assert_eq!(call_over(&mut client, "bad.echo", r#"{"text":"x"}"#).unwrap(), "x", "after {fault}");
        if number % 200 == 199 {
            send_signal(house.pid_of("bad"), libc::SIGKILL);
            client.call(&Live::Restart { names: names.clone() }.into(), &mut |_| {}).unwrap();
        }
    };
    let usage = || (memory_kib(house.pid(), "VmRSS"), open_files(house.pid()));
    let (warm, count) = if is_long() { (1000, 10_000) } else { (400, 1000) };
    (0..warm).for_each(&mut cycle);
    let (memory, files) = usage();
    (0..count).for_each(&mut cycle);
    within(ms(2000), "no descriptor is kept", || usage().1 <= files);
    let grown = usage().0.saturating_sub(memory);
    assert!(grown * 10 < memory, "{memory} KiB and {grown} KiB more after {count} faults");
    house.good_answers();
}

#[test]
fn large_answers_many_at_once_are_all_delivered() {
    let house = House::new();
    house.add(fixture("big", &[]));
    house.call("big.echo", r#"{"text":"x"}"#).unwrap();
    for count in [16, 64] {
        let mut session = Session::bridged(&house);
        let body = "y".repeat(100 << 10);
        let ids: Vec<u64> = (0..count).map(|_| session.call("big__echo", json!({"text": body}))).collect();
        house.good_answers();
        for answer in session.answers(&ids, ms(20_000)) {
            assert_eq!(text(&answer.expect("an answer")).len(), body.len(), "{count} at once");
        }
        let last = session.call("big__echo", json!({"text": "z".repeat(1024)}));
        assert_eq!(session.text(last, ms(1000)).len(), 1024);
        assert_eq!(session.answered_twice(), 0);
    }
    let mut session = Session::bridged(&house);
    let huge = session.call("big__echo", json!({"text": "w".repeat(10 << 20)}));
    assert_eq!(session.text(huge, ms(20_000)).len(), 10 << 20);
}

#[test]
fn one_dead_server_among_ten_delays_a_list_by_its_bound_only() {
    let house = House::new();
    for n in 0..9 {
        house.add(fixture(&format!("s{n}"), &[]));
    }
    house.add(hasty("dead", 1500, 1000, &["--fault", "never-initialize"]));
    let started = Instant::now();
    let mut session = Session::direct(&house);
    let list = |session: &mut Session| {
        let id = session.ask("tools/list", json!({}));
        let tools = session.answer(id, ms(10_000))["result"]["tools"].as_array().unwrap().clone();
        tools.iter().filter(|tool| tool["name"].as_str().unwrap().ends_with("__echo")).count()
    };
    assert_eq!(list(&mut session), 10, "the nine and the neighbour");
    assert!(started.elapsed() < ms(4500), "the first list took {:?}", started.elapsed());
    let again = Instant::now();
    assert_eq!(list(&mut session), 10);
    assert!(again.elapsed() < ms(300), "the second list took {:?}", again.elapsed());
    house.good_answers();
}
