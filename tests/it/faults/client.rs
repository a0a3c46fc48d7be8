//! Faults of clients: they vanish, they stop reading, they ask too much.
//! The numbers are the rows of the fault table: 32 to 34.

use super::entries::fixture;
use super::house::{House, ms, note, within};
use super::process::{is_alive, memory_kib, send_signal};
use super::session::{Deaf, Session, text};
use serde_json::json;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use umcp::engine::live::{Listening, Live, LiveReply};
use umcp::servers::Server;
use umcp::servers::model::EraChoice;

fn cancelled(house: &House, count: &str) -> Duration {
    within(ms(1000), "the server hears of the cancel", || {
        house.call("slow.cancelled_count", "{}").unwrap() == count
    })
}

#[test]
fn row_32_a_client_that_vanishes_takes_its_calls_along() {
    for era in [EraChoice::Legacy, EraChoice::Modern] {
        let house = House::new();
        house.add(Server { era, ..fixture("slow", &[]) });
        house.call("slow.echo", r#"{"text":"x"}"#).unwrap();
        for (round, bridged) in [(1, false), (2, true)] {
            let mut session = if bridged { Session::bridged(&house) } else { Session::direct(&house) };
            session.call("slow__sleep", json!({"ms": 60_000}));
            within(ms(1000), "the call runs", || house.server("slow").in_flight == 1);
            // Dropping it kills the bridge, or closes the socket.
            drop(session);
            note(32, cancelled(&house, &round.to_string()));
            within(ms(1000), "the session is over", || house.status().sessions == 0);
            house.good_answers();
        }
        within(ms(1000), "nothing is in flight", || house.server("slow").in_flight == 0);
        house.recovers(32, "slow", ms(1000));
    }
}

#[test]
fn row_32_a_client_that_vanishes_gives_its_places_in_the_queue_back() {
    let house = House::new();
    house.add(fixture("slow", &[]));
    house.call("slow.echo", r#"{"text":"x"}"#).unwrap();
    let mut session = Session::direct(&house);
    (0..300).for_each(|_| _ = session.call("slow__sleep", json!({"ms": 60_000})));
    let places = || {
        let status = house.server("slow");
        (status.in_flight, status.waiting)
    };
    within(ms(3000), "the calls run and wait", || places() == (128, 172));
    drop(session);
    note(32, within(ms(1000), "all places are free", || places() == (0, 0)));
    house.good_answers();
    house.recovers(32, "slow", ms(1000));
}

#[test]
fn row_32_an_http_client_that_vanishes_takes_its_calls_along() {
    let house = House::new();
    house.add(fixture("slow", &[]));
    house.call("slow.echo", r#"{"text":"x"}"#).unwrap();
    let listening = Listening { address: "127.0.0.1:0".into(), no_key: true, ..Listening::default() };
    let listened = house.live(Live::Listen(listening)).unwrap();
    let LiveReply::Listening(Listening { address, .. }) = listened else { panic!("no address") };
    let mut stream = TcpStream::connect(&address).unwrap();
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"slow__sleep","arguments":{{"ms":60000}},{meta}}}}}"#
    );
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
         Mcp-Method: tools/call\r\nMcp-Name: slow__sleep\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    within(ms(1000), "the call runs", || house.server("slow").in_flight == 1);
    drop(stream);
    note(32, cancelled(&house, "1"));
    house.good_answers();
    house.recovers(32, "slow", ms(1000));
}

#[test]
fn row_33_a_client_that_never_reads_costs_bounded_memory_and_then_its_session() {
    let house = House::new();
    house.add(fixture("big", &[]));
    house.call("big.echo", r#"{"text":"x"}"#).unwrap();
    let before = memory_kib(house.pid(), "VmRSS");
    let mut deaf = Deaf::arrive(&house);
    for _ in 0..90 {
        deaf.call("big__big", &json!({"bytes": 1 << 20}));
    }
    house.good_answers();
    // Between two looks it may still be writing to the half that nobody reads.
    within(ms(20_000), "the session is given up", || {
        house.good_answers();
        house.status().sessions == 0
    });
    let grown = memory_kib(house.pid(), "VmHWM").saturating_sub(before);
    assert!(grown < 160 << 10, "the daemon grew by {grown} KiB");
    within(ms(7000), "the connection is closed", || deaf.is_shut());
    // The server itself still works through what was asked of it.
    house.recovers(33, "big", ms(5000));
    let mut session = Session::direct(&house);
    let call = session.call("big__echo", json!({"text": "next"}));
    assert_eq!(session.text(call, ms(1000)), "next");
}

#[test]
fn row_34_what_exceeds_places_and_queue_is_busy_at_once() {
    let house = House::new();
    house.add(fixture("bad", &[]));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let mut session = Session::direct(&house);
    let started = Instant::now();
    let ids: Vec<u64> = (0..2000).map(|_| session.call("bad__sleep", json!({"ms": 1500}))).collect();
    within(ms(3000), "all are admitted or refused", || {
        let status = house.server("bad");
        (status.in_flight, status.waiting) == (128, 1000)
    });
    // The calls beyond were refused while the first still sleep.
    let refused = |answer: &Option<serde_json::Value>| {
        answer.as_ref().is_some_and(|answer| text(answer).contains("is busy"))
    };
    let early = session.answers(&ids[1128..], ms(1000));
    assert_eq!(early.iter().filter(|answer| refused(answer)).count(), 872);
    assert!(started.elapsed() < ms(4000), "the refusals took {:?}", started.elapsed());
    house.good_answers();
    let rest = session.answers(&ids[..1128], ms(40_000));
    let slept =
        rest.iter().filter(|answer| answer.as_ref().is_some_and(|answer| text(answer) == "slept 1500 ms"));
    assert_eq!(slept.count(), 1128);
    assert_eq!(session.answered_twice(), 0);
    house.recovers(34, "bad", ms(1000));
    let status = house.server("bad");
    assert_eq!((status.in_flight, status.waiting), (0, 0));
}

#[test]
fn a_bridge_that_is_killed_leaves_no_session() {
    let house = House::new();
    let session = Session::bridged(&house);
    within(ms(1000), "the session is there", || house.status().sessions == 1);
    let pid = session.pid();
    send_signal(pid, libc::SIGKILL);
    within(ms(1000), "the session is over", || house.status().sessions == 0);
    // The kernel closes the pipes of a killed process in its own time.
    within(ms(1000), "the bridge is gone", || !is_alive(pid) && session.has_ended());
    house.good_answers();
}
