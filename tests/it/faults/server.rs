//! Faults of servers that are child processes: deaths, silence, noise and leftovers. Much at once is `load.rs`.
//! The numbers in names and notes are the rows of the fault table: 1 to 14 and 16.

use super::entries::{fixture, fixture_program, hasty, server};
use super::house::{House, failed_with, ms, note, within};
use super::process::{cpu, exists, is_alive, memory_kib, send_signal};
use std::time::{Duration, Instant};
use umcp::engine::live::{Breaker, Live, State};
use umcp::error::codes;
use umcp::servers::Server;
use umcp::servers::model::{EraChoice, Transport};

/// What most rows allow for a restart.
const RESTART: Duration = ms(2000);

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn row_01_a_server_that_ends_at_start_says_why() {
    let house = House::new();
    let (file, bind) = house.bound_fault("exit-at-start");
    house.add(fixture("bad", &words(&bind)));
    let started = Instant::now();
    let error = failed_with(house.call("bad.echo", "{}"), &codes::UPSTREAM_START);
    assert!(started.elapsed() < ms(5000));
    assert!(error.to_string().contains("the disk of the moon is full"), "{error}");
    house.good_answers();
    let status = house.server("bad");
    assert_eq!(status.state, State::Waiting);
    assert!(status.retry_at.is_some() && status.last_error.is_some(), "{status:?}");
    std::fs::remove_file(file).unwrap();
    house.recovers(1, "bad", RESTART);
    assert_eq!(house.server("bad").retry_at, None);
}

#[test]
fn row_02_a_death_in_the_middle_fails_every_call_of_that_server() {
    let house = House::new();
    house.add(fixture("bad", &[]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    std::thread::scope(|scope| {
        let others: Vec<_> =
            (0..8).map(|_| scope.spawn(|| house.call("bad.sleep", r#"{"ms":20000}"#))).collect();
        within(ms(5000), "the other calls run", || house.server("bad").in_flight == 8);
        failed_with(house.misbehave("bad", "exit-mid-call"), &codes::UPSTREAM_DIED);
        for other in others {
            failed_with(other.join().unwrap(), &codes::UPSTREAM_DIED);
        }
    });
    house.good_answers();
    assert_eq!(house.server("bad").breaker, Breaker::Closed, "one death is one failure");
    house.recovers(2, "bad", RESTART);
    assert_eq!(house.server("bad").restarts, 1);
}

#[test]
fn row_03_a_server_killed_while_idle_is_noticed() {
    let house = House::new();
    house.add(fixture("bad", &[]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let pid = house.pid_of("bad");
    send_signal(pid, libc::SIGKILL);
    within(ms(1000), "the death is noticed", || house.server("bad").state == State::Waiting);
    within(ms(1000), "no zombie is left", || !exists(pid));
    house.good_answers();
    house.recovers(3, "bad", RESTART);
}

/// The server `bad` with these arguments, and how often it was started so far.
fn counted(house: &House, arguments: &[String]) -> (Server, impl Fn() -> usize + use<>) {
    let count = house.file("starts");
    let script = format!("echo x >> {}; exec \"$0\" \"$@\"", count.display());
    let mut args = vec!["-c".to_string(), script, fixture_program().display().to_string(), "stdio".into()];
    args.extend_from_slice(arguments);
    let entry = server("bad", Transport::Stdio { command: "/bin/sh".into(), args });
    (entry, move || std::fs::read_to_string(&count).map_or(0, |text| text.lines().count()))
}

#[test]
fn row_04_a_crash_loop_is_given_up_after_five_starts() {
    let house = House::new();
    let (file, bind) = house.bound_fault("crash-loop");
    let (entry, starts) = counted(&house, &bind);
    house.add(entry);
    let mut last = None;
    within(ms(40_000), "the loop is recognised", || match house.call("bad.echo", r#"{"text":"x"}"#) {
        Err(error) if error.is(&codes::UPSTREAM_LOOPING) => true,
        other => {
            last = other.err();
            house.good_answers();
            false
        }
    });
    assert_eq!(house.server("bad").state, State::CrashLoop, "{last:?}");
    assert_eq!(starts(), 5);
    let (before, since) = (cpu(house.pid()), Instant::now());
    within(ms(1500), "a second passes", || since.elapsed() > ms(1000));
    assert!(cpu(house.pid()) - before < ms(50), "a given-up server costs CPU");
    assert_eq!(starts(), 5);
    std::fs::remove_file(file).unwrap();
    house.live(Live::Restart { names: vec!["bad".into()] }).unwrap();
    house.recovers(4, "bad", RESTART);
}

#[test]
fn row_04_a_server_that_never_gets_up_is_given_up_after_five_starts() {
    let house = House::new();
    let (file, bind) = house.bound_fault("exit-at-start");
    let (entry, starts) = counted(&house, &bind);
    house.add(entry);
    within(ms(40_000), "the loop is recognised", || {
        house.call("bad.echo", "{}").is_err_and(|error| error.is(&codes::UPSTREAM_LOOPING))
    });
    assert_eq!(starts(), 5, "the second try as a legacy server is a start too");
    house.good_answers();
    std::fs::remove_file(file).unwrap();
    house.live(Live::Restart { names: vec!["bad".into()] }).unwrap();
    house.recovers(4, "bad", RESTART);
}

#[test]
fn row_05_a_server_that_never_answers_the_first_message_meets_the_start_deadline() {
    let house = House::new();
    let (file, bind) = house.bound_fault("never-initialize");
    house.add(hasty("bad", 600, 1000, &words(&bind)));
    let started = Instant::now();
    failed_with(house.call("bad.echo", "{}"), &codes::UPSTREAM_TIMEOUT);
    assert!(started.elapsed() < ms(2500), "{:?}", started.elapsed());
    house.good_answers();
    assert_eq!(house.children().len(), 1, "only the neighbour's process is left");
    std::fs::remove_file(file).unwrap();
    house.recovers(5, "bad", RESTART);
}

#[test]
fn row_05_those_who_wait_for_the_same_start_fail_with_it() {
    let house = House::new();
    house.add(hasty("bad", 600, 1000, &["--fault", "never-initialize"]));
    let started = Instant::now();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| house.call("bad.echo", "{}"))).collect();
        calls.into_iter().for_each(|call| _ = failed_with(call.join().unwrap(), &codes::UPSTREAM_TIMEOUT));
    });
    assert!(started.elapsed() < ms(2500), "eight calls took {:?}", started.elapsed());
    house.good_answers();
}

#[test]
fn row_06_an_unanswered_call_is_cancelled_and_the_server_kept() {
    for era in [EraChoice::Legacy, EraChoice::Modern] {
        let house = House::new();
        house.add(Server { era, ..hasty("bad", 5000, 300, &[]) });
        house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
        let pid = house.pid_of("bad");
        let started = Instant::now();
        failed_with(house.misbehave("bad", "never-answer"), &codes::UPSTREAM_TIMEOUT);
        assert!(started.elapsed() < ms(1300));
        house.good_answers();
        let cancelled = || house.call("bad.cancelled_count", "{}").unwrap() == "1";
        within(ms(1000), "the cancel has arrived", cancelled);
        house.recovers(6, "bad", RESTART);
        assert_eq!(house.pid_of("bad"), pid, "{era:?}");
    }
}

#[test]
fn row_07_a_late_answer_is_dropped_and_counted() {
    let house = House::new();
    house.add(hasty("bad", 5000, 300, &[]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let pid = house.pid_of("bad");
    failed_with(house.misbehave("bad", "ignore-cancel=600"), &codes::UPSTREAM_TIMEOUT);
    house.good_answers();
    within(ms(2000), "the late answer is counted", || house.server("bad").late == 1);
    house.recovers(7, "bad", RESTART);
    assert_eq!((house.server("bad").late, house.pid_of("bad")), (1, pid));
}

#[test]
fn row_08_a_stopped_server_opens_its_breaker_and_heals() {
    let house = House::new();
    house.add(hasty("bad", 5000, 200, &[]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let pid = house.pid_of("bad");
    send_signal(pid, libc::SIGSTOP);
    for _ in 0..5 {
        failed_with(house.call("bad.echo", "{}"), &codes::UPSTREAM_TIMEOUT);
    }
    house.good_answers();
    assert_eq!(house.server("bad").breaker, Breaker::Open);
    assert!(house.server("bad").retry_at.is_some());
    let started = Instant::now();
    failed_with(house.call("bad.echo", "{}"), &codes::UPSTREAM_OPEN);
    assert!(started.elapsed() < ms(150), "an open breaker answers at once");
    send_signal(pid, libc::SIGCONT);
    house.recovers(8, "bad", ms(7500));
    assert_eq!((house.server("bad").breaker, house.pid_of("bad")), (Breaker::Closed, pid));
}

#[test]
fn row_09_a_server_deaf_to_everything_is_killed() {
    let mut house = House::new();
    house.add(fixture("bad", &["--fault", "ignore-eof-and-term"]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let pid = house.pid_of("bad");
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| {
            let started = Instant::now();
            house.stop_server("bad");
            started.elapsed()
        });
        house.good_answers();
        let took = stop.join().unwrap();
        assert!(took < ms(5000), "stopping took {took:?}");
        note(9, took);
    });
    assert!(!is_alive(pid));
    house.recovers(9, "bad", RESTART);
    house.signal(libc::SIGTERM);
    let (code, took) = house.wait(ms(6000));
    assert_eq!(code, Some(0), "after {took:?}");
    assert_eq!(house.children(), Vec::<u32>::new());
}

#[test]
fn row_10_a_daemon_that_a_server_left_behind_goes_with_it() {
    let house = House::new();
    let file = house.file("daemon.pid");
    house.add(fixture("bad", &["--fault", &format!("double-fork={}", file.display())]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let read = || std::fs::read_to_string(&file).ok()?.trim().parse::<u32>().ok();
    within(ms(2000), "the server leaves a daemon", || read().is_some_and(is_alive));
    let daemon = read().unwrap();
    house.stop_server("bad");
    note(10, within(ms(1000), "the daemon is gone", || !is_alive(daemon)));
    house.good_answers();
    house.recovers(10, "bad", RESTART);
}

#[test]
fn row_11_banners_are_tolerated_and_counted() {
    let house = House::new();
    house.add(fixture("bad", &["--fault", "banner", "--fault-scope", "all"]));
    house.recovers(11, "bad", RESTART);
    house.good_answers();
    let noise = house.server("bad").noise;
    assert!(noise >= 3, "{noise} lines of noise");
}

#[test]
fn row_12_half_a_line_then_silence_restarts_the_stream() {
    let house = House::new();
    house.add(hasty("bad", 5000, 400, &[]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let pid = house.pid_of("bad");
    failed_with(house.misbehave("bad", "half-line"), &codes::UPSTREAM_TIMEOUT);
    house.good_answers();
    house.recovers(12, "bad", ms(4000));
    assert_ne!(house.pid_of("bad"), pid);
    within(ms(5000), "the stuck process is gone", || !exists(pid));
}

#[test]
fn row_13_a_huge_line_is_an_error_and_no_hang() {
    let house = House::new();
    house.add(fixture("bad", &[]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let (pid, before) = (house.pid_of("bad"), memory_kib(house.pid(), "VmRSS"));
    // Other work on the machine may spoil one measurement, hence the best of three.
    let took = (0..3).map(|_| {
        let started = Instant::now();
        failed_with(house.misbehave("bad", "huge-line"), &codes::UPSTREAM_TOO_LARGE);
        started.elapsed()
    });
    let took = took.min().unwrap();
    assert!(took < ms(1000), "{took:?}");
    house.good_answers();
    house.recovers(13, "bad", RESTART);
    assert_eq!(house.pid_of("bad"), pid);
    let grown = memory_kib(house.pid(), "VmRSS").saturating_sub(before);
    assert!(grown < 40 << 10, "the daemon grew by {grown} KiB");
}

#[test]
fn row_14_an_invalid_answer_fails_its_call_alone() {
    let house = House::new();
    house.add(fixture("bad", &[]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let pid = house.pid_of("bad");
    for fault in ["invalid-utf8", "invalid-json"] {
        failed_with(house.misbehave("bad", fault), &codes::UPSTREAM_PROTOCOL);
        house.good_answers();
        house.recovers(14, "bad", RESTART);
    }
    assert_eq!((house.pid_of("bad"), house.server("bad").noise), (pid, 2));
}

#[test]
fn row_16_duplicate_and_unknown_ids_are_dropped_and_counted() {
    let house = House::new();
    house.add(fixture("bad", &[]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    assert_eq!(house.misbehave("bad", "duplicate-ids").unwrap(), "duplicate-ids is over");
    house.good_answers();
    within(ms(1000), "both strays are counted", || house.server("bad").late == 2);
    house.recovers(16, "bad", RESTART);
}

#[test]
fn a_stop_ends_a_start_that_is_under_way() {
    let house = House::new();
    house.add(hasty("bad", 20_000, 1000, &["--fault", "slow-start=3000"]));
    std::thread::scope(|scope| {
        let call = scope.spawn(|| house.call("bad.echo", "{}"));
        within(ms(2000), "the server starts", || house.server("bad").state == State::Starting);
        within(ms(2000), "its process is there", || house.children().len() == 2);
        let started = Instant::now();
        house.stop_server("bad");
        failed_with(call.join().unwrap(), &codes::CANCELLED);
        assert!(started.elapsed() < ms(2000), "{:?}", started.elapsed());
    });
    within(ms(1000), "the process has gone", || house.children().len() == 1);
    let status = house.server("bad");
    assert_eq!((status.state, status.failures, status.breaker), (State::Idle, 0, Breaker::Closed));
    house.good_answers();
}

#[test]
fn what_a_server_says_on_stdout_before_it_is_ready_is_not_lost() {
    let house = House::new();
    let script = "echo 'to stderr' >&2; echo 'usage: bad TOKEN'; printf '{broken'; exit 2";
    let args = vec!["-c".into(), script.into()];
    house.add(server("bad", Transport::Stdio { command: "/bin/sh".into(), args }));
    let error = failed_with(house.call("bad.echo", "{}"), &codes::UPSTREAM_START);
    let told = format!("{error:?}");
    for line in ["to stderr", "stdout: usage: bad TOKEN", "stdout: {broken"] {
        assert!(told.contains(line), "{told}");
    }
    let id = house.server("bad").id;
    let log = std::fs::read_to_string(house.paths.server_log(&id)).unwrap();
    assert!(log.contains("stdout: usage: bad TOKEN\n"), "{log}");
    house.good_answers();
}

#[test]
fn a_list_of_tools_does_not_wait_for_a_server_that_hangs() {
    let mut house = House::empty();
    std::fs::write(house.paths.settings_file(), "gateway:\n  first_list_ms: 800\n").unwrap();
    house.start().unwrap();
    house.add(hasty("hangs", 30_000, 30_000, &["--fault", "never-initialize"]));
    house.add(fixture("well", &[]));
    let started = Instant::now();
    let output = house.command(&["tool", "list", "--json"]).output().unwrap();
    let took = started.elapsed();
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(took < ms(8000), "the list took {took:?}");
    let names: Vec<_> = listed["data"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert!(names.contains(&&"well.echo".into()), "{names:?}");
    assert!(listed["warnings"].to_string().contains("hangs did not answer"), "{}", listed["warnings"]);
    // Who dawdled is not waited for a second time.
    let started = Instant::now();
    let output = house.command(&["tool", "list"]).output().unwrap();
    assert!(output.status.success() && started.elapsed() < ms(2000), "{:?}", started.elapsed());
}
