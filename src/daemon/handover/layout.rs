//! What stands where in the book, and how a note is written in it. Pure.
//!
//! A page of words; two halves of a log of notes, of which one counts; then the client's bytes that no daemon has
//! worked through. Rule: each word is stored after what it speaks of, so a death between two stores leaves an older
//! truth and never a wrong one.

use crate::daemon::bridge::ledger::Note;

/// Words of 64 bits, by their place in the first page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Where the client's unfinished bytes begin and end, packed by [`pack`].
    Input = 0,
    /// Which half of the log counts and how long it is, packed by [`pack`].
    Log = 8,
    /// An [`Out`].
    Out = 16,
    /// 1: the client has gone; the bridge has nothing more to do.
    Ended = 24,
    /// 1: the client's bytes up to the next line break belong to a message that was given up.
    Skip = 32,
}

/// How far the daemon's writing to the client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// All lines are whole.
    Whole = 0,
    /// The last line has begun and not ended.
    Within = 1,
    /// Whole lines are being written, so few that they arrive together or not at all.
    WritingFew = 2,
    /// Something is being written, and any part of it may have arrived.
    Writing = 3,
}

impl Out {
    /// Whether the client may have got the beginning of a line without its end.
    pub fn may_be_within(word: u64) -> bool {
        word == Self::Within as u64 || word == Self::Writing as u64
    }
}

/// The largest page of any system, so that places are whole pages on all of them.
pub const PAGE: usize = 64 << 10;
/// Length of either half of the log.
pub const LOG: usize = 1 << 20;
/// A longer message is given up.
pub const LONGEST: usize = 16 << 20;
/// Most that is read at once.
pub const CHUNK: usize = 64 << 10;
/// Where the client's bytes begin, and how many there is room for: the longest message and what came around it.
pub const INPUT: usize = PAGE + 2 * LOG;
pub const ROOM: usize = LONGEST + (1 << 20);
/// The whole book.
pub const SIZE: usize = INPUT + ROOM;

/// The place of a half of the log.
pub fn log_at(half: usize) -> usize {
    PAGE + half * LOG
}

/// Two numbers in one word, so that they change together. Both are below 2^32.
pub fn pack(first: usize, second: usize) -> u64 {
    ((first as u64) << 32) | second as u64
}

/// The two numbers of a word.
pub fn unpack(word: u64) -> (usize, usize) {
    ((word >> 32) as usize, (word & 0xffff_ffff) as usize)
}

/// Appends a note: its kind, the lengths of its two texts, the texts.
pub fn encode(note: &Note, out: &mut Vec<u8>) {
    let (kind, id, line): (u8, &[u8], &[u8]) = match note {
        Note::Initialize { id, line } => (1, id, line),
        Note::Initialized { line } => (2, &[], line),
        Note::Asked(id) => (3, id, &[]),
        Note::Answered(id) => (4, id, &[]),
        Note::Asking(id) => (5, id, &[]),
        Note::Told(id) => (6, id, &[]),
    };
    out.push(kind);
    out.extend_from_slice(&(id.len() as u32).to_le_bytes());
    out.extend_from_slice(&(line.len() as u32).to_le_bytes());
    out.extend_from_slice(id);
    out.extend_from_slice(line);
}

/// The first note of a log, and the rest. `None`: there is none, or it makes no sense.
pub fn decode(log: &[u8]) -> Option<(Note, &[u8])> {
    let (kind, rest) = log.split_first()?;
    let (id, rest) = rest.split_first_chunk::<4>()?;
    let (line, rest) = rest.split_first_chunk::<4>()?;
    let (id, rest) = rest.split_at_checked(u32::from_le_bytes(*id) as usize)?;
    let (line, rest) = rest.split_at_checked(u32::from_le_bytes(*line) as usize)?;
    let (id, line) = (id.to_vec(), line.to_vec());
    let note = match kind {
        1 => Note::Initialize { id, line },
        2 => Note::Initialized { line },
        3 => Note::Asked(id),
        4 => Note::Answered(id),
        5 => Note::Asking(id),
        6 => Note::Told(id),
        _ => return None,
    };
    Some((note, rest))
}

/// All notes of a log, up to the first that makes no sense.
pub fn notes(mut log: &[u8]) -> impl Iterator<Item = Note> {
    std::iter::from_fn(move || {
        let (note, rest) = decode(log)?;
        log = rest;
        Some(note)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    fn some() -> Vec<Note> {
        let word = |text: &str| text.as_bytes().to_vec();
        vec![
            Note::Initialize { id: word("0"), line: word("{\"id\":0}") },
            Note::Answered(word("0")),
            Note::Initialized { line: word("{}") },
            Note::Asked(word("\"a b\"")),
            Note::Asking(word("\"umcp-1\"")),
            Note::Told(Vec::new()),
        ]
    }

    #[test]
    fn notes_are_read_as_they_were_written() {
        let mut log = Vec::new();
        some().iter().for_each(|note| encode(note, &mut log));
        assert_eq!(notes(&log).collect::<Vec<_>>(), some());
        // Cut anywhere: what is whole is read, the rest is left alone.
        for end in 0..log.len() {
            let read: Vec<Note> = notes(&log[..end]).collect();
            assert_eq!(read, some()[..read.len()]);
            assert!(read.len() < some().len());
        }
    }

    #[test]
    fn lengths_that_lead_beyond_the_log_end_it() {
        let mut log = Vec::new();
        some().iter().for_each(|note| encode(note, &mut log));
        let first = log.clone();
        for at in [1, 5] {
            for length in [9, 0x7fff_ffff, u32::MAX] {
                let mut log = first.clone();
                log[at..at + 4].copy_from_slice(&length.to_le_bytes());
                assert!(notes(&log).count() <= 6);
            }
        }
        assert_eq!(decode(&[9, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn two_numbers_fit_in_a_word() {
        for pair in [(0, 0), (1, LOG), (ROOM, ROOM), (u32::MAX as usize, 7)] {
            assert_eq!(unpack(pack(pair.0, pair.1)), pair);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in any::<Vec<u8>>()) {
            let _ = notes(&bytes).count();
        }
    }
}
