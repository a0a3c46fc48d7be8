//! Messages from clients and servers: the fast reading of an envelope agrees with serde_json's, a message is one line
//! whatever it holds, and what comes in pieces is found as what comes whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use umcp::daemon::bridge::scan::Scanner;
use umcp::upstream::message::{Answer, Envelope, member, request};
use umcp::upstream::scan;
use umcp::upstream::transport::events::Events;

fuzz_target!(|data: &[u8]| {
    if let Ok(envelope) = Envelope::parse(data) {
        let params = envelope.params_text();
        let line = request(7, envelope.method.as_deref().unwrap_or("m"), params);
        assert_eq!(line.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count(), 1);
        let answer = Answer::result(params.to_string()).line("7");
        assert!(!answer.contains(&b'\n'));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let mut fast = serde_json::Map::new();
        let walked = scan::walk(text, |key, value| {
            fast.insert(key.into(), serde_json::from_str(value).ok()?);
            Some(())
        });
        if walked.is_some() {
            assert_eq!(serde_json::from_str::<Value>(text).ok(), Some(Value::Object(fast)));
        }
        let _ = member(data, "isError");
    }
    let found = |size: usize| {
        let (mut scanner, mut found) = (Scanner::default(), 0);
        data.chunks(size.max(1)).for_each(|piece| scanner.feed(piece, &mut |_, _| found += 1));
        found
    };
    assert_eq!(found(data.len()), found(3));
    let mut events = Events::default();
    for piece in data.chunks(5) {
        events.push(piece);
        while let Ok(Some(_)) = events.next_event() {}
    }
});
