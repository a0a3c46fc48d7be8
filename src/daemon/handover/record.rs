//! The daemon's side of the book: the client's bytes on their way in, and who waits for an answer.
//! Not here: when to read and write (`daemon/pipes.rs`). Rule: a message is in the log before its bytes are let go,
//! and behind the bytes that were read everything is zero; so a death at any moment loses nothing.

use super::layout::{self, CHUNK, INPUT, LOG, Out, PAGE, ROOM, Word, log_at, pack, unpack};
use super::memory::Map;
use crate::daemon::bridge::ledger::{Ledger, Note};
use crate::daemon::bridge::scan::Scanner;
use std::io;
use std::os::fd::BorrowedFd;

/// Memory kept for the next messages once all bytes are worked through.
const KEEP: usize = 2 * PAGE;
/// Unfinished bytes are moved to the front once they end behind this place.
const FRONT: usize = 64 << 10;
/// Whole lines up to this length reach a pipe together or not at all.
const FEW: usize = 4096;
/// The log is written anew when it has doubled and grown by this.
const GROWTH: usize = 2048;

/// An open book.
#[derive(Debug)]
pub struct Record {
    map: Map,
    log: Log,
    /// Bytes before `head` are done with, those before `given` were handed on, those before `tail` are there.
    head: usize,
    given: usize,
    tail: usize,
    skipping: bool,
    client: Scanner,
    daemon: Scanner,
    within: bool,
}

impl Record {
    /// Opens what the bridge wrote. `None`: it makes no sense.
    pub fn open(map: Map) -> Option<Self> {
        let (head, tail) = unpack(map.load(Word::Input));
        let log = Log::open(&map)?;
        let skipping = map.load(Word::Skip) == 1;
        let within = Out::may_be_within(map.load(Word::Out));
        let (client, daemon) = (Scanner::default(), Scanner::default());
        let record = Self { map, log, head, given: head, tail, skipping, client, daemon, within };
        (head <= tail && tail <= ROOM).then_some(record)
    }

    /// Who waits for what.
    pub fn ledger(&self) -> &Ledger {
        &self.log.ledger
    }

    /// The client has gone; the bridge will see it here.
    pub fn end(&mut self) {
        self.map.store(Word::Ended, 1);
    }

    /// Reads from the client at most `most` bytes; 0: it has closed. They wait to be taken.
    pub fn fill(&mut self, from: BorrowedFd, socket: bool, most: usize) -> io::Result<usize> {
        let most = most.min(CHUNK).min(ROOM - self.tail);
        if most == 0 {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let read = self.map.receive(from, socket, INPUT + self.tail, most)?;
        self.tail += read;
        self.store_input();
        Ok(read)
    }

    /// Bytes that wait, read by this daemon or a former one.
    pub fn waiting(&self) -> usize {
        self.tail - self.given
    }

    /// Takes as many of the bytes that wait as fit, and gives how many of them are to be looked at, which can be none.
    pub fn take(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.waiting());
        let into = &mut into[..count];
        self.map.read(INPUT + self.given, into);
        self.hand_on(into)
    }

    /// Makes room at the front. To be called before the client is waited for.
    pub fn tidy(&mut self) {
        let (head, tail) = (self.head, self.tail);
        if self.given < tail || head == 0 {
            return;
        }
        let rest = tail - head;
        if rest > 0 && (rest >= head || tail < FRONT) {
            return;
        }
        // The rest keeps its old place until it is known at the new one, with a zero behind it there.
        self.map.copy(INPUT + head..INPUT + tail, INPUT);
        self.map.zero(INPUT + rest..INPUT + rest + 1);
        (self.head, self.given, self.tail) = (0, rest, rest);
        self.store_input();
        self.zero(rest, tail);
    }

    /// Bytes are about to be written to the client.
    pub fn writing(&mut self, bytes: &[u8]) {
        let few = !self.within && bytes.len() <= FEW && bytes.last() == Some(&b'\n');
        self.map.store(Word::Out, if few { Out::WritingFew } else { Out::Writing } as u64);
    }

    /// These bytes were written; none: the client does not take any now.
    pub fn wrote(&mut self, bytes: &[u8]) {
        let (map, log) = (&mut self.map, &mut self.log);
        self.daemon.feed(bytes, &mut |message, text| {
            if let Some(note) = Note::of_daemon(message, text) {
                log.append(map, note);
            }
        });
        self.within = bytes.last().map_or(self.within, |last| *last != b'\n');
        self.map.store(Word::Out, if self.within { Out::Within } else { Out::Whole } as u64);
    }

    /// Zeroes what nobody needs; behind `to` it is zero already.
    fn zero(&mut self, from: usize, to: usize) {
        if from < KEEP {
            self.map.zero(INPUT + from..INPUT + to.min(KEEP));
        }
        if to > KEEP {
            let from = from.max(KEEP);
            self.map.zero(INPUT + from..INPUT + to.min(from.next_multiple_of(PAGE)));
            self.map.give_back(INPUT + from..INPUT + to.next_multiple_of(PAGE));
        }
    }

    fn store_input(&mut self) {
        self.map.store(Word::Input, pack(self.head, self.tail));
    }

    /// Notes what is in the bytes at `given`, and lets go of the lines that end in them. Gives how many of the bytes
    /// are to be looked at; they stand in front then.
    fn hand_on(&mut self, bytes: &mut [u8]) -> usize {
        let start = self.given;
        self.given += bytes.len();
        let mut from = 0;
        if self.skipping {
            let end = memchr::memchr(b'\n', bytes);
            from = end.map_or(bytes.len(), |at| at + 1);
            if end.is_some() {
                self.skipping = false;
                self.map.store(Word::Skip, 0);
            } else {
                self.head = self.given;
                self.store_input();
            }
        }
        let (map, log) = (&mut self.map, &mut self.log);
        self.client.feed(&bytes[from..], &mut |message, text| {
            if let Some(note) = Note::of_client(message, text) {
                log.append(map, note);
            }
        });
        if let Some(at) = memchr::memrchr(b'\n', bytes) {
            self.head = start + at + 1;
            self.store_input();
        }
        bytes.copy_within(from.., 0);
        bytes.len() - from
    }
}

/// The log and the ledger it makes.
#[derive(Debug)]
struct Log {
    ledger: Ledger,
    half: usize,
    length: usize,
    /// Beyond this it is written anew, into the other half.
    limit: usize,
    scratch: Vec<u8>,
}

impl Log {
    fn open(map: &Map) -> Option<Self> {
        let (half, length) = unpack(map.load(Word::Log));
        if half > 1 || length > LOG {
            return None;
        }
        let mut bytes = vec![0; length];
        map.read(log_at(half), &mut bytes);
        let mut ledger = Ledger::default();
        layout::notes(&bytes).for_each(|note| ledger.apply(note));
        Some(Self { ledger, half, length, limit: limit(length), scratch: Vec::new() })
    }

    fn append(&mut self, map: &mut Map, note: Note) {
        self.scratch.clear();
        layout::encode(&note, &mut self.scratch);
        self.ledger.apply(note);
        if self.length + self.scratch.len() > self.limit {
            return self.write_anew(map);
        }
        map.write(log_at(self.half) + self.length, &self.scratch);
        self.length += self.scratch.len();
        map.store(Word::Log, pack(self.half, self.length));
    }

    fn write_anew(&mut self, map: &mut Map) {
        self.scratch.clear();
        self.ledger.notes().iter().for_each(|note| layout::encode(note, &mut self.scratch));
        if self.scratch.len() > LOG {
            // More requests in flight than any daemon lets in: those beyond are not answered after its death.
            return;
        }
        let (old, length) = (log_at(self.half), self.length);
        self.half = 1 - self.half;
        self.length = self.scratch.len();
        self.limit = limit(self.length);
        map.write(log_at(self.half), &self.scratch);
        map.store(Word::Log, pack(self.half, self.length));
        map.give_back(old + PAGE..old + length.next_multiple_of(PAGE));
        self.scratch.shrink_to(GROWTH);
    }
}

fn limit(length: usize) -> usize {
    (2 * length + GROWTH).min(LOG)
}

#[cfg(test)]
mod tests;
