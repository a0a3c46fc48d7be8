//! The bridge's side of the book: it writes one before every handover and reads it when the daemon has gone.
//! Through the file, never mapped. Rule: whatever stands in it, reading gives something and does no harm.

use super::layout::{self, CHUNK, INPUT, LOG, LONGEST, Out, ROOM, Word, log_at, pack, unpack};
use super::memory;
use crate::daemon::bridge::ledger::{Ledger, Left};
use crate::daemon::bridge::scan::Scanner;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// A book in the making, or one a daemon holds.
#[derive(Debug)]
pub struct Book(File);

impl Book {
    /// A new book with what a daemon left.
    pub fn of(left: &Left) -> io::Result<Self> {
        let file = memory::create()?;
        let mut log = Vec::new();
        left.ledger.notes().iter().for_each(|note| layout::encode(note, &mut log));
        if log.len() > LOG || left.unread.len() > ROOM {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        file.write_all_at(&log, log_at(0) as u64)?;
        file.write_all_at(&left.unread, INPUT as u64)?;
        let book = Self(file);
        book.store(Word::Log, pack(0, log.len()))?;
        book.store(Word::Input, pack(0, left.unread.len()))?;
        book.store(Word::Skip, u64::from(left.skip))?;
        Ok(book)
    }

    /// What to send along.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// What the daemon that held it left. Nobody may hold it any more.
    pub fn read(&self) -> io::Result<Left> {
        let mut ledger = Ledger::default();
        layout::notes(&self.log()?).for_each(|note| ledger.apply(note));
        let mut unread = self.unread()?;
        let mut skip = self.load(Word::Skip)? == 1;
        if unread.len() > LONGEST && !unread.contains(&b'\n') {
            // The daemon gave this message up; its rest is still to come.
            (unread, skip) = (Vec::new(), true);
        }
        // A message that was noted and not let go of: the next daemon will read it.
        Scanner::default().feed(&unread, &mut |message, _| ledger.unsay(&message));
        let within = Out::may_be_within(self.load(Word::Out)?);
        Ok(Left { ledger, unread, skip, within, ended: self.load(Word::Ended)? == 1 })
    }

    fn log(&self) -> io::Result<Vec<u8>> {
        let (half, length) = unpack(self.load(Word::Log)?);
        let mut log = vec![0; length.min(LOG)];
        self.0.read_exact_at(&mut log, log_at(half.min(1)) as u64)?;
        Ok(log)
    }

    /// The client's bytes that were not worked through: up to the recorded end, and those that were read without
    /// being recorded, which end at the first zero.
    fn unread(&self) -> io::Result<Vec<u8>> {
        let (head, tail) = unpack(self.load(Word::Input)?);
        let (head, tail) = if head <= tail && tail <= ROOM { (head, tail) } else { (0, 0) };
        let mut unread = vec![0; (ROOM - head).min(tail - head + CHUNK)];
        self.0.read_exact_at(&mut unread, (INPUT + head) as u64)?;
        let beyond = memchr::memchr(0, &unread[tail - head..]);
        if let Some(at) = beyond {
            unread.truncate(tail - head + at);
        }
        unread.shrink_to_fit();
        Ok(unread)
    }

    fn load(&self, word: Word) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, word as u64)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn store(&self, word: Word, value: u64) -> io::Result<()> {
        self.0.write_all_at(&value.to_ne_bytes(), word as u64)
    }
}
