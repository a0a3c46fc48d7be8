//! Faults of servers behind HTTP: closed ports, silence, broken streams, drips and refusals; large bodies at our own door.
//! The numbers are the rows of the fault table: 22 to 27.

use super::entries::{HttpFixture, http_entry};
use super::house::{House, failed_with, ms, note, within};
use super::process::memory_kib;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use umcp::engine::live::{Breaker, Listening, Live, LiveReply};
use umcp::error::codes;

const RECOVERY: Duration = ms(2000);

/// A fixture whose fault lasts as long as the file, and its entry `bad` which has been called once.
fn faulty(house: &House, fault: &str, call: u64) -> (HttpFixture, std::path::PathBuf) {
    let (file, bind) = house.bound_fault(fault);
    std::fs::remove_file(&file).unwrap();
    let fixture = HttpFixture::start(0, &bind);
    house.add(fixture.entry("bad", call));
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    std::fs::write(&file, "").unwrap();
    (fixture, file)
}

#[test]
fn row_22_a_closed_port_is_tried_three_times_and_then_left_alone() {
    let house = House::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    house.add(http_entry("bad", port, 1000));
    for _ in 0..5 {
        let started = Instant::now();
        failed_with(house.call("bad.echo", "{}"), &codes::UPSTREAM_CONNECT);
        let took = started.elapsed();
        // Two pauses, of at least 60 and 180 ms.
        assert!(took > ms(240) && took < ms(1000), "{took:?}");
    }
    house.good_answers();
    assert_eq!(house.server("bad").breaker, Breaker::Open);
    let started = Instant::now();
    failed_with(house.call("bad.echo", "{}"), &codes::UPSTREAM_OPEN);
    assert!(started.elapsed() < ms(150), "{:?}", started.elapsed());
    let _fixture = HttpFixture::start(port, &[]);
    house.recovers(22, "bad", ms(7500));
    assert_eq!(house.server("bad").breaker, Breaker::Closed);
}

#[test]
fn row_23_silence_meets_the_deadline() {
    let house = House::new();
    let (_fixture, file) = faulty(&house, "http-silence", 400);
    let started = Instant::now();
    failed_with(house.call("bad.echo", "{}"), &codes::UPSTREAM_TIMEOUT);
    assert!(started.elapsed() < ms(1400));
    house.good_answers();
    std::fs::remove_file(file).unwrap();
    house.recovers(23, "bad", RECOVERY);
}

#[test]
fn row_24_a_stream_that_breaks_loses_its_call_which_is_not_sent_again() {
    let house = House::new();
    let (_fixture, file) = faulty(&house, "http-reset", 3000);
    let started = Instant::now();
    let error = failed_with(house.call("bad.counter", "{}"), &codes::UPSTREAM_DIED);
    assert!(started.elapsed() < ms(2500), "{error}");
    house.good_answers();
    std::fs::remove_file(file).unwrap();
    house.recovers(24, "bad", RECOVERY);
    assert_eq!(house.call("bad.counter", "{}").unwrap(), "2", "the lost call was made once");
}

#[test]
fn row_25_a_drip_meets_the_deadline_and_holds_no_memory() {
    let house = House::new();
    let (_fixture, file) = faulty(&house, "http-drip=1000", 1500);
    let before = memory_kib(house.pid(), "RssAnon");
    failed_with(house.call("bad.big", r#"{"bytes":1000000}"#), &codes::UPSTREAM_TIMEOUT);
    house.good_answers();
    let grown = memory_kib(house.pid(), "RssAnon").saturating_sub(before);
    assert!(grown < 2048, "the daemon grew by {grown} KiB");
    std::fs::remove_file(file).unwrap();
    house.recovers(25, "bad", RECOVERY);
}

#[test]
fn row_26_a_server_that_asks_to_wait_is_not_asked_earlier() {
    let house = House::new();
    let (_fixture, file) = faulty(&house, "http-429=2", 10_000);
    std::thread::scope(|scope| {
        let started = Instant::now();
        let patient = scope.spawn(|| house.call("bad.echo", r#"{"text":"patient"}"#));
        within(ms(1000), "the call is on its way", || house.server("bad").in_flight == 1);
        house.good_answers();
        // It was refused when it arrived; the file must outlive that moment.
        within(ms(1500), "the refusal has arrived", || started.elapsed() > ms(1000));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(patient.join().unwrap().unwrap(), "patient");
        let took = started.elapsed();
        assert!(took >= ms(2000) && took < ms(3500), "{took:?}");
        note(26, took);
    });
    std::fs::write(&file, "").unwrap();
    let error = failed_with(house.call("bad.echo", "{}"), &codes::UPSTREAM_LIMITED);
    assert!(error.message.contains("wait 2 s"), "{error}");
    std::fs::remove_file(file).unwrap();
    house.recovers(26, "bad", RECOVERY);
}

#[test]
fn row_27_errors_of_half_the_calls_open_the_breaker_and_none_is_repeated() {
    let house = House::new();
    let (_fixture, file) = faulty(&house, "http-500=50", 3000);
    let mut counted = 0;
    let opened = (0..20).any(|_| {
        match house.call("bad.counter", "{}") {
            Ok(_) => counted += 1,
            Err(error) => _ = failed_with::<()>(Err(error), &codes::UPSTREAM_HTTP),
        }
        house.server("bad").breaker == Breaker::Open
    });
    assert!(opened && counted >= 4, "{counted} calls succeeded");
    house.good_answers();
    failed_with(house.call("bad.counter", "{}"), &codes::UPSTREAM_OPEN);
    std::fs::remove_file(file).unwrap();
    house.recovers(27, "bad", ms(7500));
    let calls = house.call("bad.counter", "{}").unwrap();
    assert_eq!(calls, (counted + 1).to_string(), "no call was repeated");
}

#[test]
fn a_server_that_was_down_for_long_is_reached_again_without_help() {
    let house = House::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    house.add(http_entry("bad", port, 1000));
    // More failures than a process would be allowed before it is given up.
    for _ in 0..7 {
        house.call("bad.echo", "{}").unwrap_err();
        house.live(Live::ResetBreakers { names: vec!["bad".into()] }).unwrap();
        failed_with(house.call("bad.echo", "{}"), &codes::UPSTREAM_CONNECT);
    }
    let _fixture = HttpFixture::start(port, &[]);
    house.recovers(22, "bad", RECOVERY);
}

#[test]
fn large_bodies_are_taken_at_the_http_door() {
    let house = House::new();
    let listening = Listening { address: "127.0.0.1:0".into(), no_key: true, ..Listening::default() };
    let listened = house.live(Live::Listen(listening)).unwrap();
    let LiveReply::Listening(Listening { address, .. }) = listened else { panic!("no address") };
    for size in [100 << 10, 10 << 20] {
        let text = "q".repeat(size);
        let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"good__echo","arguments":{{"text":"{text}"}},{meta}}}}}"#
        );
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(ms(20_000))).unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: tools/call\r\nMcp-Name: good__echo\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let echoed = answer.iter().filter(|byte| **byte == b'q').count();
        let head = String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned();
        assert!(head.starts_with("HTTP/1.1 200") && echoed >= size, "{echoed} of {size}: {head}");
        house.good_answers();
    }
}
