//! Faults of the daemon itself: killed, started twice, asked to end, out of descriptors.
//! The numbers are the rows of the fault table: 40, 44 and 45.

use super::entries::{fixture, hasty};
use super::house::{House, Terms, call_over, failed_with, is_long, ms, note, report, within};
use super::process::{is_alive, open_files};
use super::session::{Session, text};
use serde_json::json;
use std::time::Instant;
use umcp::daemon::client::Client;
use umcp::daemon::lifecycle;
use umcp::daemon::report::Report;
use umcp::error::codes;

#[test]
fn row_40_of_two_daemons_started_at_once_one_wins() {
    let house = House::empty();
    for round in 0..if is_long() { 50 } else { 10 } {
        let started = Instant::now();
        let mut both = [house.spawn_daemon(), house.spawn_daemon()];
        let ready: Vec<bool> =
            both.iter_mut().map(|daemon| matches!(report(daemon), Report::Ready { .. })).collect();
        assert_eq!(ready.iter().filter(|ready| **ready).count(), 1, "round {round}: {ready:?}");
        note(40, started.elapsed());
        let winner = both[usize::from(ready[1])].id();
        assert_eq!(house.client().welcome().pid, winner);
        assert!(lifecycle::stop(&house.paths).unwrap());
        both.iter_mut().for_each(|daemon| assert!(daemon.wait().unwrap().success()));
    }
}

#[test]
fn row_40_two_bridges_without_a_daemon_share_the_one_they_start() {
    let house = House::empty();
    for round in 0..if is_long() { 50 } else { 10 } {
        let started = Instant::now();
        let both =
            [Session::bridged_silently(&house), Session::bridged_silently(&house)].map(Session::greeted);
        note(40, started.elapsed());
        assert_eq!(house.daemons().len(), 1, "round {round}");
        drop(both);
        lifecycle::stop(&house.paths).unwrap();
        within(ms(2000), "the daemon is gone", || house.daemons().is_empty());
    }
}

#[test]
fn row_44_a_signal_lets_calls_end_or_fails_them() {
    let mut house = House::new();
    house.add(fixture("bad", &[]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let mut session = Session::direct(&house);
    let short: Vec<u64> = (0..9).map(|_| session.call("bad__sleep", json!({"ms": 500}))).collect();
    let long: Vec<u64> = (0..10).map(|_| session.call("bad__sleep", json!({"ms": 60_000}))).collect();
    let mut client = house.client();
    let shell = std::thread::spawn(move || call_over(&mut client, "bad.sleep", r#"{"ms":500}"#));
    within(ms(1000), "20 calls run", || house.server("bad").in_flight == 20);
    house.good_answers();
    house.signal(libc::SIGTERM);
    for answer in session.answers(&short, ms(3000)) {
        assert_eq!(text(&answer.expect("a short call is answered")), "slept 500 ms");
    }
    assert_eq!(shell.join().unwrap().unwrap(), "slept 500 ms");
    for answer in session.answers(&long, ms(6000)) {
        let said = text(&answer.expect("a long call is told"));
        assert!(said.starts_with("error: ") && said.contains("was stopped"), "{said}");
    }
    let (code, took) = house.wait(ms(6000));
    assert_eq!(code, Some(0));
    note(44, took);
    assert_eq!((house.children(), session.answered_twice()), (Vec::new(), 0));
    house.start().unwrap();
    house.good_answers();
    house.recovers(44, "bad", ms(2000));
}

#[test]
fn row_44_a_second_signal_ends_at_once() {
    let mut house = House::new();
    house.add(fixture("bad", &["--fault", "ignore-eof-and-term"]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let mut session = Session::direct(&house);
    session.call("bad__sleep", json!({"ms": 60_000}));
    within(ms(1000), "the call runs", || house.server("bad").in_flight == 1);
    house.signal(libc::SIGTERM);
    // The first has been taken when the door is shut.
    within(ms(2000), "no new client is let in", || {
        !matches!(Client::connect(&house.paths, "x"), Ok(Some(_)))
    });
    let started = Instant::now();
    house.signal(libc::SIGTERM);
    let (code, _) = house.wait(ms(1000));
    assert_eq!(code, Some(0));
    note(44, started.elapsed());
    house.start().unwrap();
    within(ms(2000), "nothing of the old servers lives", || house.children().is_empty());
    house.good_answers();
    house.recovers(44, "bad", ms(2000));
}

#[test]
fn row_45_without_descriptors_new_work_is_refused_and_old_work_goes_on() {
    let house = House::with(Terms { files: Some(64) });
    for n in 0..20 {
        house.add(hasty(&format!("s{n}"), 5000, 5000, &[]));
    }
    let before = open_files(house.pid());
    let mut old = house.client();
    let mut running = Vec::new();
    let refused = (0..20).find_map(|n| {
        let name = format!("s{n}");
        match call_over(&mut old, &format!("{name}.echo"), r#"{"text":"x"}"#) {
            Ok(_) => {
                running.push(name);
                None
            }
            Err(error) => Some(error),
        }
    });
    failed_with::<()>(
        Err(refused.expect("64 descriptors are not enough for 20 servers")),
        &codes::UPSTREAM_RESOURCES,
    );
    assert!(running.len() >= 3, "{running:?}");
    for name in &running {
        assert_eq!(call_over(&mut old, &format!("{name}.echo"), r#"{"text":"old"}"#).unwrap(), "old");
    }
    assert_eq!(call_over(&mut old, "good.echo", r#"{"text":"old"}"#).unwrap(), "old");
    // The door too: more clients than descriptors, of which the late ones wait.
    let crowd: Vec<_> =
        (0..64).map(|_| std::os::unix::net::UnixStream::connect(house.paths.socket())).collect();
    assert_eq!(call_over(&mut old, "good.echo", r#"{"text":"crowded"}"#).unwrap(), "crowded");
    drop(crowd);
    for name in &running {
        let stop = umcp::engine::live::Live::StopServers { names: vec![name.clone()] };
        old.call(&stop.into(), &mut |_| {}).unwrap();
    }
    drop(old);
    house.good_answers();
    within(ms(2000), "every descriptor is given back", || open_files(house.pid()) <= before);
    house.recovers(45, "s19", ms(3000));
}

#[test]
fn a_bridge_outlives_the_daemon() {
    let mut house = House::new();
    house.add(fixture("slow", &[]));
    house.call("slow.echo", r#"{"text":"x"}"#).unwrap();
    let mut session = Session::bridged(&house);
    let lost: Vec<u64> = (0..3).map(|_| session.call("slow__sleep", json!({"ms": 60_000}))).collect();
    within(ms(1000), "the calls run", || house.server("slow").in_flight == 3);
    let started = Instant::now();
    house.kill_daemon();
    for answer in session.answers(&lost, ms(1000)) {
        let answer = answer.expect("a lost call is told");
        assert_eq!(answer["error"]["data"]["code"], codes::DAEMON_UNAVAILABLE.code, "{answer}");
    }
    let next = session.call("slow__echo", json!({"text": "again"}));
    assert_eq!(session.text(next, ms(5000)), "again");
    note(0, started.elapsed());
    house.good_answers();
    assert_eq!((house.daemons().len(), session.answered_twice()), (1, 0));
}

#[test]
fn what_a_killed_daemon_leaves_behind_is_swept_by_the_next() {
    let mut house = House::new();
    let file = house.file("daemon.pid");
    house.add(fixture("deaf", &["--fault", "ignore-eof-and-term"]));
    house.add(fixture("forks", &["--fault", &format!("double-fork={}", file.display())]));
    for name in ["deaf", "forks"] {
        house.call(&format!("{name}.echo"), r#"{"text":"x"}"#).unwrap();
    }
    let read = || std::fs::read_to_string(&file).ok()?.trim().parse::<u32>().ok();
    within(ms(2000), "the server leaves a daemon", || read().is_some_and(is_alive));
    assert!(house.children().len() >= 4);
    house.kill_daemon();
    house.start().unwrap();
    note(0, within(ms(2000), "everything of the old daemon is gone", || house.children().is_empty()));
    // The one that left its group is ended in the same sweep, beside the first answers.
    within(ms(2000), "the daemon it left is gone", || !is_alive(read().unwrap()));
    house.good_answers();
    house.recovers(0, "deaf", ms(2000));
}
