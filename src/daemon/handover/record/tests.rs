//! Tests of `record.rs`, with the bridge's side of the same book.

use super::*;
use crate::daemon::bridge::ledger::Left;
use crate::daemon::handover::book::Book;
use crate::daemon::handover::memory::create;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::UnixStream;

/// A client's end of a socket, the daemon's end, and a book both sides look at.
struct Bench {
    client: UnixStream,
    daemon: UnixStream,
    book: Book,
    record: Record,
}

fn file(book: &Book) -> File {
    book.file().try_clone_to_owned().unwrap().into()
}

fn open(book: &Book) -> Option<Record> {
    Record::open(Map::new(&file(book)).unwrap())
}

impl Bench {
    fn new(left: &Left) -> Self {
        let (client, daemon) = UnixStream::pair().unwrap();
        let book = Book::of(left).unwrap();
        let record = open(&book).unwrap();
        Self { client, daemon, book, record }
    }

    fn say(&mut self, text: &str) {
        self.client.write_all(text.as_bytes()).unwrap();
    }

    /// What the gateway would see of one read into a buffer of this size.
    fn hear(&mut self, size: usize) -> String {
        self.record.tidy();
        let mut heard = String::new();
        let mut left = size;
        loop {
            let read = self.record.fill(self.daemon.as_fd(), true, left).unwrap_or(0);
            let mut bytes = vec![0; read];
            let given = self.record.take(&mut bytes);
            heard += std::str::from_utf8(&bytes[..given]).unwrap();
            left -= read;
            if read == 0 || left == 0 {
                return heard;
            }
        }
    }

    fn answer(&mut self, line: &str) {
        self.record.writing(line.as_bytes());
        self.record.wrote(line.as_bytes());
    }

    /// As the bridge finds it when the daemon dies now: ids that wait, bytes that were not worked through.
    fn left(&self) -> (Vec<String>, String) {
        let mut left = self.book.read().unwrap();
        let lines = String::from_utf8(left.ledger.settle()).unwrap();
        let ids = lines.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["id"].to_string()
        });
        (ids.collect(), String::from_utf8(left.unread).unwrap())
    }
}

fn left(ids: &[&str], unread: &str) -> (Vec<String>, String) {
    (ids.iter().map(ToString::to_string).collect(), unread.into())
}

#[test]
fn what_is_asked_is_known_before_it_is_let_go_of() {
    let mut bench = Bench::new(&Left::default());
    bench.say("{\"id\":1,\"method\":\"a\"}\n{\"id\":2,\"me");
    assert_eq!(bench.hear(100), "{\"id\":1,\"method\":\"a\"}\n{\"id\":2,\"me");
    assert_eq!(bench.left(), left(&["1"], "{\"id\":2,\"me"));
    bench.say("thod\":\"b\"}\n");
    assert_eq!(bench.hear(6), "thod\":");
    assert_eq!(bench.left(), left(&["1"], "{\"id\":2,\"method\":"));
    assert_eq!(bench.hear(100), "\"b\"}\n");
    assert_eq!(bench.left(), left(&["1", "2"], ""));
    bench.answer("{\"id\":1,\"result\":{}}\n");
    assert_eq!(bench.left(), left(&["2"], ""));
    bench.say("{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":2}}\n");
    bench.hear(100);
    assert_eq!(bench.left(), left(&[], ""));
}

#[test]
fn bytes_that_were_read_and_not_recorded_are_found() {
    let mut bench = Bench::new(&Left::default());
    for line in ["{\"id\":1,\"method\":\"a\"}\n", "{\"id\":2,\"meth"] {
        bench.say(line);
        bench.hear(100);
    }
    // As if the daemon had died between the read and its record.
    let words = file(&bench.book);
    let (head, tail) = unpack(bench.record.map.load(Word::Input));
    words.write_all_at(b"od\":\"b\"}\n{", (INPUT + tail) as u64).unwrap();
    assert_eq!(bench.left(), left(&["1"], "{\"id\":2,\"method\":\"b\"}\n{"));
    // And as if it had noted a message without letting go of it.
    let log = bench.record.log.length;
    let mut note = Vec::new();
    layout::encode(&Note::Asked(b"2".to_vec()), &mut note);
    bench.record.map.write(log_at(bench.record.log.half) + log, &note);
    bench.record.map.store(Word::Log, pack(bench.record.log.half, log + note.len()));
    assert_eq!(bench.left(), left(&["1"], "{\"id\":2,\"method\":\"b\"}\n{"));
    assert_eq!((head, tail), (0, 13));
}

#[test]
fn the_next_daemon_goes_on_where_the_last_one_was() {
    let mut first = Bench::new(&Left::default());
    first.say("{\"id\":0,\"method\":\"initialize\"}\n{\"method\":\"notifications/initialized\"}\n{\"id\":3,");
    first.hear(1000);
    first.answer("{\"id\":0,\"result\":{}}\n{\"id\":");
    let found = first.book.read().unwrap();
    assert!(found.within && !found.ended && !found.skip);
    let mut second = Bench::new(&found);
    let (initialize, initialized) = second.record.ledger().handshake();
    assert!(initialize.unwrap().answered && initialized.is_some());
    let mut bytes = [0; 4];
    let mut seen = String::new();
    while second.record.waiting() > 0 {
        let count = second.record.take(&mut bytes);
        seen += std::str::from_utf8(&bytes[..count]).unwrap();
    }
    assert_eq!(seen, "{\"id\":3,");
    second.say("\"method\":\"x\"}\n");
    second.hear(100);
    assert_eq!(second.left(), left(&["3"], ""));
    second.record.end();
    assert!(second.book.read().unwrap().ended);
}

#[test]
fn the_rest_of_a_message_that_was_given_up_is_skipped() {
    let mut bench = Bench::new(&Left { skip: true, ..Left::default() });
    bench.say("no id, no sense");
    assert_eq!(bench.hear(100), "");
    assert_eq!(bench.left().1, "");
    bench.say("\"}\n{\"id\":1,\"method\":\"a\"}\n{");
    assert_eq!(bench.hear(100), "{\"id\":1,\"method\":\"a\"}\n{");
    assert_eq!(bench.left(), left(&["1"], "{"));
}

#[test]
fn a_message_beyond_all_bounds_is_given_up_by_the_bridge() {
    let (reader, mut writer) = io::pipe().unwrap();
    let book = Book::of(&Left::default()).unwrap();
    let mut record = open(&book).unwrap();
    let theirs = crate::daemon::handover::descriptors::to_hand_over(reader.as_fd(), false).unwrap();
    let (mut chunk, mut read) = (vec![0; 1 << 20], 0);
    while read <= layout::LONGEST {
        writer.write_all(&[b'x'; 64 << 10]).unwrap();
        record.tidy();
        read += record.fill(theirs.as_fd(), false, 1 << 20).unwrap();
        record.take(&mut chunk);
    }
    let found = book.read().unwrap();
    assert!(found.skip && found.unread.is_empty());
}

#[test]
fn a_stream_without_a_pause_stays_at_the_front_and_leaves_no_memory() {
    let mut bench = Bench::new(&Left::default());
    let line = format!("{{\"method\":\"n\",\"params\":\"{}\"}}\n", "x".repeat(5000));
    let (mut sent, mut heard) = (String::new(), String::new());
    // Always cut in the middle of a line.
    bench.say(&line[..100]);
    sent += &line[..100];
    for _ in 0..400 {
        let next = format!("{}{}", &line[100..], &line[..100]);
        bench.say(&next);
        sent += &next;
        heard += &bench.hear(1 << 20);
        assert_eq!(bench.left().1, line[..100]);
        assert!(bench.record.tail <= FRONT + 2 * line.len());
    }
    assert_eq!(heard, sent);
    // A large one in between, with the beginning of the next behind it.
    let large = format!("{{\"id\":1,\"params\":\"{}\"}}\n{{\"id\"", "y".repeat(1 << 20));
    bench.say(&line[100..]);
    heard = bench.hear(1 << 20);
    for part in large.as_bytes().chunks(100_000) {
        bench.say(std::str::from_utf8(part).unwrap());
        heard += &bench.hear(1 << 20);
    }
    assert_eq!(heard, format!("{}{large}", &line[100..]));
    assert_eq!(bench.left().1, "{\"id\"");
    bench.record.tidy();
    assert_eq!((bench.left().1.as_str(), bench.record.tail), ("{\"id\"", 5));
    let kept = file(&bench.book).metadata().unwrap().blocks() * 512;
    assert!(kept <= 512 << 10, "{kept} bytes are kept");
    // Behind what is there, everything is zero.
    let mut behind = vec![1; ROOM - 5];
    bench.record.map.read(INPUT + 5, &mut behind);
    assert!(behind.iter().all(|byte| *byte == 0));
}

#[test]
fn the_log_is_written_anew_and_stays_short() {
    let mut bench = Bench::new(&Left::default());
    bench.say("{\"id\":0,\"method\":\"initialize\"}\n");
    bench.hear(100);
    bench.answer("{\"id\":0,\"result\":{}}\n");
    for id in 1..3000 {
        bench.say(&format!("{{\"id\":{id},\"method\":\"a\"}}\n"));
        bench.hear(100);
        bench.answer(&format!("{{\"id\":{id},\"result\":{{}}}}\n"));
        assert!(bench.record.log.length <= 3 * GROWTH);
    }
    assert_eq!(bench.book.read().unwrap().ledger.handshake().0.unwrap().id, b"0");
    // Many at once need a long one, which shrinks again.
    for id in 0..3000 {
        bench.say(&format!("{{\"id\":{id},\"method\":\"a\"}}\n"));
        bench.hear(100);
    }
    assert_eq!(bench.left().0.len(), 3000);
    for id in 0..3000 {
        bench.answer(&format!("{{\"id\":{id},\"result\":{{}}}}\n"));
    }
    assert_eq!(bench.left().0.len(), 0);
    for id in 0..300 {
        bench.answer(&format!("{{\"id\":{id},\"method\":\"ping\"}}\n"));
        bench.say(&format!("{{\"id\":{id},\"result\":{{}}}}\n"));
        bench.hear(100);
    }
    assert!(bench.record.log.length <= 3 * GROWTH);
    let kept = file(&bench.book).metadata().unwrap().blocks() * 512;
    assert!(kept <= 256 << 10, "{kept} bytes are kept");
}

#[test]
fn whole_lines_that_were_being_written_need_a_break_only_when_they_are_long() {
    let mut bench = Bench::new(&Left::default());
    let within = |bench: &Bench| bench.book.read().unwrap().within;
    let long = "x".repeat(FEW) + "\n";
    let mut seen = vec![within(&bench)];
    for bytes in ["short\n", &long, "part"] {
        bench.record.writing(bytes.as_bytes());
        seen.push(within(&bench));
        bench.record.wrote(bytes.as_bytes());
        seen.push(within(&bench));
    }
    assert_eq!(seen, [false, false, false, true, false, true, true]);
    bench.record.writing(b" of a line\n");
    assert!(within(&bench));
    bench.record.wrote(b"");
    assert!(within(&bench));
    bench.record.wrote(b" of a line\n");
    assert!(!within(&bench));
}

#[test]
fn a_book_with_wrong_lengths_is_refused_by_the_daemon_and_harmless_to_the_bridge() {
    let far = [u64::MAX, pack(5, 4), pack(0, ROOM + 1), pack(ROOM + 1, ROOM + 1)];
    for input in far {
        let book = Book::of(&Left::default()).unwrap();
        file(&book).write_all_at(&input.to_ne_bytes(), Word::Input as u64).unwrap();
        assert!(open(&book).is_none());
        assert_eq!(book.read().unwrap().unread, b"");
    }
    for log in [u64::MAX, pack(2, 0), pack(0, LOG + 1), pack(7, LOG + 1)] {
        let book = Book::of(&Left::default()).unwrap();
        file(&book).write_all_at(&log.to_ne_bytes(), Word::Log as u64).unwrap();
        assert!(open(&book).is_none());
        assert!(book.read().unwrap().ledger.is_settled());
    }
    let rubbish = create().unwrap();
    rubbish.write_all_at(&pack(1, 40).to_ne_bytes(), Word::Log as u64).unwrap();
    rubbish.write_all_at(&[0xff; 40], log_at(1) as u64).unwrap();
    let record = Record::open(Map::new(&rubbish).unwrap()).unwrap();
    assert!(record.ledger().is_settled());
}
