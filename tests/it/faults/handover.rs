//! A client's pipes in the daemon's own hands: how they get there, and what the death of either side does to them.
//! Each case that matters runs over pipes, over sockets, and with bytes copied. Rule: nothing that was asked is lost;
//! only an answer that was being written when the daemon was killed may come twice.

use super::entries::fixture;
use super::house::{House, is_long, ms, note, within};
use super::process::{is_alive, memory_kib, open_files, send_signal};
use super::session::{DeafBridge, Manner, Session, text};
use serde_json::{Value, json};
use std::io::Read;
use std::time::Instant;
use umcp::error::codes;

const HANDED: [Manner; 2] = [Manner::Pipes, Manner::Sockets];
const ALL: [Manner; 3] = [Manner::Pipes, Manner::Sockets, Manner::Copy];

/// Whether some daemon of the house holds the bridge's stdin.
fn holds(house: &House, bridge: u32) -> bool {
    let Ok(input) = std::fs::read_link(format!("/proc/{bridge}/fd/0")) else { return false };
    house.daemons().iter().any(|daemon| {
        let files = std::fs::read_dir(format!("/proc/{daemon}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|file| file == input)
    })
}

fn arrive(house: &House, manner: Manner) -> Session {
    let session = Session::bridged_as(house, manner).greeted();
    if manner != Manner::Copy {
        assert!(holds(house, session.pid()), "{manner:?}: the daemon has the pipes");
    }
    session
}

fn house() -> House {
    let house = House::new();
    house.add(fixture("slow", &[]));
    house.call("slow.echo", r#"{"text":"x"}"#).unwrap();
    house
}

fn is_interrupted(answer: &Value) -> bool {
    answer["error"]["data"] == json!({"code": codes::DAEMON_UNAVAILABLE.code, "retryable": true})
}

fn kill_daemons(house: &mut House) {
    let daemons = house.daemons();
    daemons.iter().for_each(|pid| send_signal(*pid, libc::SIGKILL));
    house.reap();
    within(ms(2000), "the daemon is gone", || !daemons.iter().any(|pid| is_alive(*pid)));
}

#[test]
fn pipes_and_sockets_are_handed_over_unless_copying_is_asked_for() {
    let house = house();
    for manner in ALL {
        let mut session = arrive(&house, manner);
        for n in 0..20 {
            let call = session.call("slow__echo", json!({"text": format!("{n}")}));
            assert_eq!(session.text(call, ms(5000)), n.to_string());
        }
        assert_eq!(holds(&house, session.pid()), manner != Manner::Copy, "{manner:?}");
        assert_eq!((session.answered_twice(), session.broken()), (0, 0));
        assert_eq!(session.close(ms(2000)), Some(0));
        within(ms(1000), "the session is over", || house.status().sessions == 0);
    }
}

#[test]
fn a_killed_daemon_answers_what_was_in_flight_and_loses_no_byte() {
    for manner in HANDED {
        let mut house = house();
        let mut session = arrive(&house, manner);
        let lost: Vec<u64> = (0..16).map(|_| session.call("slow__sleep", json!({"ms": 60_000}))).collect();
        within(ms(2000), "the calls run", || house.server("slow").in_flight == 16);
        // Half a line: short, and longer than any pipe holds.
        for length in [10, 300_000] {
            let id = session.next_id();
            let line = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
                "params": {"name": "slow__echo", "arguments": {"text": "x".repeat(length)}}});
            let line = format!("{line}\n");
            let (head, tail) = line.split_at(line.len() / 2);
            session.say_bytes(head.as_bytes());
            let started = Instant::now();
            // Somebody else is answered: so its last answer to this client is noted.
            house.status();
            kill_daemons(&mut house);
            session.say_bytes(tail.as_bytes());
            assert_eq!(session.text(id, ms(10_000)).len(), length, "{manner:?}");
            note(0, started.elapsed());
        }
        for answer in session.answers(&lost, ms(1000)) {
            assert!(is_interrupted(&answer.expect("a lost call is told")));
        }
        assert!(holds(&house, session.pid()), "{manner:?}: the next daemon has the pipes");
        assert_eq!((session.answered_twice(), session.broken(), house.daemons().len()), (0, 0, 1));
    }
}

#[test]
fn a_daemon_killed_at_any_moment_leaves_nothing_unanswered() {
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut below = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let mut house = house();
    let mut sessions = HANDED.map(|manner| arrive(&house, manner));
    let rounds = if is_long() { 50 } else { 4 };
    let mut interrupted = 0;
    for round in 0..rounds {
        let mut ids = [Vec::new(), Vec::new()];
        let before = sessions[0].answered();
        for (session, ids) in sessions.iter_mut().zip(&mut ids) {
            for _ in 0..20 + below(40) {
                let text = "x".repeat([10, 1000, 100_000][below(3) as usize]);
                ids.push(session.call("slow__echo", json!({"text": text})));
            }
        }
        // From before the first answer to after the last.
        let some = below(2 + ids[0].len() as u64) as usize;
        let enough = before + some.min(ids[0].len());
        let deadline = Instant::now() + ms(20_000);
        while sessions[0].answered() < enough && Instant::now() < deadline {
            std::thread::yield_now();
        }
        kill_daemons(&mut house);
        for (session, ids) in sessions.iter().zip(&ids) {
            for answer in session.answers(ids, ms(20_000)) {
                let answer = answer.unwrap_or_else(|| panic!("round {round}: a call was lost"));
                interrupted += usize::from(is_interrupted(&answer));
                assert!(is_interrupted(&answer) || answer["result"]["isError"] != true, "{answer}");
            }
        }
    }
    for session in &mut sessions {
        // What was being written when the daemon was killed: one batch of answers, one line cut.
        let (twice, broken) = (session.answered_twice(), session.broken());
        assert!(broken <= rounds, "{broken} lines were cut by {rounds} kills");
        assert!(twice <= interrupted, "{twice} answers came twice, {interrupted} calls were interrupted");
        eprintln!(
            "{rounds} kills: {interrupted} calls interrupted, {twice} answered twice, {broken} lines cut"
        );
        let call = session.call("slow__echo", json!({"text": "well"}));
        assert_eq!(session.text(call, ms(5000)), "well");
        assert!(holds(&house, session.pid()));
    }
}

#[test]
fn a_killed_bridge_closes_the_clients_pipes_at_once() {
    let house = house();
    let files = open_files(house.pid());
    for manner in ALL {
        let mut session = arrive(&house, manner);
        session.call("slow__sleep", json!({"ms": 60_000}));
        within(ms(2000), "the call runs", || house.server("slow").in_flight == 1);
        send_signal(session.pid(), libc::SIGKILL);
        within(ms(1000), "the client sees the end", || session.has_ended());
        within(ms(1000), "the call is cancelled", || house.server("slow").in_flight == 0);
        // With answers on their way that nobody reads.
        let mut deaf = DeafBridge::arrive(&house, manner);
        (0..4).for_each(|_| deaf.call("slow__big", &json!({"bytes": 1 << 20})));
        within(ms(5000), "the calls are answered", || house.server("slow").in_flight == 0);
        send_signal(deaf.pid(), libc::SIGKILL);
        let mut output = deaf.output.take().unwrap();
        let started = Instant::now();
        let mut rest = Vec::new();
        // A socket closed with bytes in it may say so.
        let _ = output.read_to_end(&mut rest);
        assert!(started.elapsed() < ms(2000), "{manner:?}: the end came after {:?}", started.elapsed());
        within(ms(1000), "the sessions are over", || house.status().sessions == 0);
    }
    within(ms(2000), "every descriptor is given back", || open_files(house.pid()) <= files + 1);
    house.good_answers();
}

#[test]
fn a_client_that_closes_its_input_is_served_to_the_end() {
    let house = house();
    for manner in ALL {
        let mut session = arrive(&house, manner);
        session.call("slow__sleep", json!({"ms": 60_000}));
        within(ms(2000), "the call runs", || house.server("slow").in_flight == 1);
        assert_eq!(session.close(ms(2000)), Some(0), "{manner:?}");
        within(ms(1000), "the client sees the end", || session.has_ended());
        within(ms(1000), "the call is cancelled", || house.server("slow").in_flight == 0);
        assert_eq!((session.answered_twice(), session.broken()), (0, 0));
    }
}

#[test]
fn a_client_that_says_all_at_once_and_leaves_is_answered() {
    let house = house();
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "once", "version": "1"}}});
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    for manner in HANDED {
        let mut session = Session::bridged_as(&house, manner);
        session.say_bytes(format!("{hello}\n{list}\n").as_bytes());
        assert_eq!(session.close(ms(5000)), Some(0));
        let answers = session.answers(&[1, 2], ms(1000));
        assert!(
            answers.iter().all(|answer| answer.as_ref().is_some_and(|it| it["result"].is_object())),
            "{answers:?}"
        );
    }
}

#[test]
fn a_daemon_that_ends_in_order_gives_the_pipes_back() {
    for manner in HANDED {
        let mut house = house();
        let mut session = arrive(&house, manner);
        let short: Vec<u64> = (0..9).map(|_| session.call("slow__sleep", json!({"ms": 300}))).collect();
        let long: Vec<u64> = (0..9).map(|_| session.call("slow__sleep", json!({"ms": 60_000}))).collect();
        within(ms(2000), "the calls run", || house.server("slow").in_flight == 18);
        let id = session.next_id();
        let line = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "slow__echo", "arguments": {"text": "after"}}});
        let line = format!("{line}\n");
        let (head, tail) = line.split_at(40);
        session.say_bytes(head.as_bytes());
        house.signal(libc::SIGTERM);
        assert_eq!(house.wait(ms(6000)).0, Some(0));
        session.say_bytes(tail.as_bytes());
        assert_eq!(session.text(id, ms(10_000)), "after");
        for answer in session.answers(&short, ms(1000)) {
            assert_eq!(text(&answer.unwrap()), "slept 300 ms");
        }
        for answer in session.answers(&long, ms(1000)) {
            let said = text(&answer.unwrap());
            assert!(said.contains("was stopped"), "{said}");
        }
        assert_eq!((session.answered_twice(), session.broken()), (0, 0));
        assert!(holds(&house, session.pid()));
    }
}

/// Whether a process is stopped by a signal.
fn stands_still(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

#[test]
fn a_client_that_shakes_hands_again_is_brought_back_to_that() {
    let mut house = house();
    let mut session = arrive(&house, Manner::Pipes).greeted();
    kill_daemons(&mut house);
    let call = session.call("slow__echo", json!({"text": "again"}));
    assert_eq!(session.text(call, ms(10_000)), "again");
    // Killed before it can answer a third time: the next one does. That this one answers somebody else says that it
    // has noted its last answer to this client.
    house.status();
    house.daemons().iter().for_each(|pid| send_signal(*pid, libc::SIGSTOP));
    // The signal takes its time; a daemon that still runs could answer, and not note it any more.
    within(ms(2000), "the daemon stands still", || house.daemons().iter().all(|pid| stands_still(*pid)));
    let hello = session.ask(
        "initialize",
        json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "third", "version": "1"}}),
    );
    kill_daemons(&mut house);
    assert_eq!(session.answer(hello, ms(10_000))["result"]["protocolVersion"], "2025-11-25");
    assert_eq!((session.answered_twice(), session.broken()), (0, 0));
}

#[test]
fn row_33_a_client_that_never_reads_its_pipe_costs_bounded_memory_and_then_its_session() {
    for manner in if is_long() { &HANDED[..] } else { &HANDED[..1] } {
        let house = house();
        let before = memory_kib(house.pid(), "VmRSS");
        let mut deaf = DeafBridge::arrive(&house, *manner);
        (0..90).for_each(|_| deaf.call("slow__big", &json!({"bytes": 1 << 20})));
        // The daemon's one thread waits for no client: the neighbour is served all the while.
        within(ms(20_000), "the session is given up", || {
            house.call("good.echo", r#"{"text":"still here"}"#).unwrap();
            house.status().sessions == 0
        });
        let grown = memory_kib(house.pid(), "VmHWM").saturating_sub(before);
        assert!(grown < 160 << 10, "the daemon grew by {grown} KiB");
        // Answers already made have five seconds to go out.
        within(ms(15_000), "the pipes are given back", || !holds(&house, deaf.pid()));
        // The server itself still works through what was asked of it.
        house.recovers(33, "slow", ms(30_000));
    }
}

#[test]
fn large_messages_pass_and_leave_no_memory_behind() {
    let house = house();
    for manner in HANDED {
        let mut session = arrive(&house, manner);
        let shared = || memory_kib(house.pid(), "RssShmem");
        let large = "x".repeat(10 << 20);
        let call = session.call("slow__echo", json!({"text": large}));
        assert_eq!(session.text(call, ms(20_000)).len(), large.len());
        let few = session.call("slow__echo", json!({"text": "few"}));
        assert_eq!(session.text(few, ms(5000)), "few");
        assert!(shared() < 512, "{manner:?}: {} KiB stay", shared());
        // One beyond all bounds ends the session of the daemon, not the client's.
        session.say_bytes("{\"id\":\"".as_bytes());
        session.say_bytes("y".repeat(17 << 20).as_bytes());
        session.say_bytes(b"\"}\n");
        let next = session.call("slow__echo", json!({"text": "next"}));
        assert_eq!(session.text(next, ms(20_000)), "next");
        assert_eq!((session.answered_twice(), session.broken()), (0, 0));
    }
}
