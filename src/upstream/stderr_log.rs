//! What a server says on stderr: a rotated, owner-only file per server, and the last lines in memory for messages.
//! It does not read the pipe; whoever does hands over what came, with the time.
//! Rule: whatever a server writes, memory stays below 1 MiB, the disk below [`FILE_BYTES`] × 3, and no trouble with
//! the file ever reaches the server. What was left out is counted and said.

use super::known::Known;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::paths;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file is set aside before it would grow beyond this.
pub const FILE_BYTES: u64 = 1024 * 1024;
/// Files set aside, `NAME.1` being the younger.
const OLD_FILES: u32 = 2;
/// Longer lines are cut.
const LINE_BYTES: usize = 8 * 1024;
/// Kept in memory, and of each line so much.
const TAIL_LINES: usize = 20;
const TAIL_LINE_BYTES: usize = 1024;
/// A server may write so much at once, and so much each second after that.
const BURST_BYTES: u64 = 512 * 1024;
const RATE_BYTES: u64 = 64 * 1024;

/// The log of one server.
pub struct ServerLog {
    path: PathBuf,
    /// `None` after a failed rotation; tried again with the next line.
    file: Option<File>,
    size: u64,
    /// The line that has not ended yet, and how many bytes of it were cut.
    partial: Vec<u8>,
    cut: usize,
    tail: VecDeque<String>,
    allowance: u64,
    refilled: Option<Timestamp>,
    dropped_lines: u64,
    /// Secrets that no line may show.
    known: Arc<Known>,
}

impl ServerLog {
    /// Leaves these secrets out of every line.
    #[must_use]
    pub fn hiding(mut self, known: Arc<Known>) -> Self {
        self.known = known;
        self
    }

    /// Opens or continues the file. Its folder is created, for the owner only.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            paths::create_private_dir(folder)?;
        }
        let (file, size) = append_to(path).map_err(|error| paths::io_error("open", path, &error))?;
        Ok(Self {
            path: path.into(),
            file: Some(file),
            size,
            partial: Vec::new(),
            cut: 0,
            tail: VecDeque::with_capacity(TAIL_LINES),
            allowance: BURST_BYTES,
            refilled: None,
            dropped_lines: 0,
            known: Arc::default(),
        })
    }

    /// Takes the next bytes, wherever they were split. Each whole line is written as `TIME TEXT`.
    pub fn write(&mut self, chunk: &[u8], now: Timestamp) {
        self.refill(now);
        let mut out = Vec::new();
        let time = now.rfc3339();
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = LINE_BYTES.saturating_sub(self.partial.len()).min(text.len());
            self.partial.extend_from_slice(&text[..room]);
            self.cut += text.len() - room;
            if ended {
                self.end_line(&time, &mut out);
            }
        }
        self.append(&out);
    }

    /// Writes what has no line end yet, and what was left out: the server has ended.
    pub fn finish(&mut self, now: Timestamp) {
        let mut out = Vec::new();
        let time = now.rfc3339();
        if !self.partial.is_empty() {
            self.end_line(&time, &mut out);
        }
        self.tell_dropped(&time, &mut out);
        self.append(&out);
    }

    /// The last lines, oldest first, with the one that has not ended. Text from the server: not for a terminal as it is.
    pub fn tail(&self) -> Vec<String> {
        let whole = |line: &[u8]| self.known.hide(line).map_or_else(|| short(line), |hidden| short(&hidden));
        let unfinished = (!self.partial.is_empty()).then(|| whole(&self.partial));
        let skipped = (self.tail.len() + usize::from(unfinished.is_some())).saturating_sub(TAIL_LINES);
        self.tail.iter().skip(skipped).cloned().chain(unfinished).collect()
    }

    fn refill(&mut self, now: Timestamp) {
        let Some(last) = self.refilled else {
            self.refilled = Some(now);
            return;
        };
        let gained = now.since_ms(last).saturating_mul(RATE_BYTES) / 1000;
        if gained > 0 || now < last {
            self.allowance = self.allowance.saturating_add(gained).min(BURST_BYTES);
            self.refilled = Some(now);
        }
    }

    fn end_line(&mut self, time: &str, out: &mut Vec<u8>) {
        if let Some(hidden) = self.known.hide(&self.partial) {
            self.partial = hidden;
        }
        let line = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(short(line));
        let cut = if self.cut > 0 { format!(" … {} bytes cut", self.cut) } else { String::new() };
        let size = (time.len() + line.len() + cut.len() + 2) as u64;
        if size > self.allowance {
            self.dropped_lines += 1;
        } else {
            self.allowance -= size;
            let line = std::mem::take(&mut self.partial);
            self.tell_dropped(time, out);
            push_line(out, time, &[line.strip_suffix(b"\r").unwrap_or(&line), cut.as_bytes()]);
            self.partial = line;
        }
        self.partial.clear();
        self.cut = 0;
    }

    fn tell_dropped(&mut self, time: &str, out: &mut Vec<u8>) {
        let count = std::mem::take(&mut self.dropped_lines);
        if count > 0 {
            let lines = if count == 1 { "line" } else { "lines" };
            push_line(out, time, &[format!("umcp: {count} {lines} left out here").as_bytes()]);
        }
    }

    /// Appends whole lines. What cannot be written counts as left out.
    fn append(&mut self, out: &[u8]) {
        if out.is_empty() {
            return;
        }
        if self.size > 0 && self.size + out.len() as u64 > FILE_BYTES || self.file.is_none() {
            self.rotate();
        }
        let written = self.file.as_mut().is_some_and(|file| file.write_all(out).is_ok());
        if written {
            self.size += out.len() as u64;
        } else {
            self.dropped_lines += out.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
    }

    fn rotate(&mut self) {
        self.file = None;
        if self.size > 0 {
            for number in (1..OLD_FILES).rev() {
                let _ = fs::rename(self.numbered(number), self.numbered(number + 1));
            }
            let _ = fs::rename(&self.path, self.numbered(1));
        }
        (self.file, self.size) = append_to(&self.path).map_or((None, 0), |(file, size)| (Some(file), size));
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn append_to(path: &Path) -> std::io::Result<(File, u64)> {
    let file = paths::private_options().append(true).create(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn push_line(out: &mut Vec<u8>, time: &str, parts: &[&[u8]]) {
    out.extend_from_slice(time.as_bytes());
    out.push(b' ');
    for part in parts {
        out.extend_from_slice(part);
    }
    out.push(b'\n');
}

fn short(line: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&line[..line.len().min(TAIL_LINE_BYTES)]).into_owned();
    if line.len() > TAIL_LINE_BYTES {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_763_717_400_000);
    const TIME: &str = "2025-11-21T09:30:00.000Z";

    fn log() -> (tempfile::TempDir, PathBuf, ServerLog) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs").join("srv.log");
        let log = ServerLog::open(&path).unwrap();
        (dir, path, log)
    }

    #[test]
    fn lines_get_a_time_wherever_the_chunks_were_split() {
        let (_dir, path, mut log) = log();
        for chunk in [&b"one\ntw"[..], b"o\r\n", b"", b"\nbad \xff byte\nunfinished"] {
            log.write(chunk, NOW);
        }
        assert_eq!(log.tail(), ["one", "two", "", "bad \u{fffd} byte", "unfinished"]);
        log.finish(NOW);
        let expected = [&b"one"[..], b"two", b"", b"bad \xff byte", b"unfinished"];
        let expected = expected.map(|line| [TIME.as_bytes(), b" ", line, b"\n"].concat()).concat();
        assert_eq!(fs::read(&path).unwrap(), expected);
        let mut again = ServerLog::open(&path).unwrap();
        again.write(b"later\n", NOW);
        assert_eq!(fs::read(&path).unwrap().len(), expected.len() + TIME.len() + 7);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn the_last_twenty_lines_are_remembered() {
        let (_dir, _path, mut log) = log();
        (0..50).for_each(|number| log.write(format!("line {number}\n").as_bytes(), NOW));
        let expected: Vec<String> = (30..50).map(|number| format!("line {number}")).collect();
        assert_eq!(log.tail(), expected);
        log.write(b"half", NOW);
        assert_eq!(
            (log.tail().len(), log.tail()[19].as_str(), log.tail()[0].as_str()),
            (20, "half", "line 31")
        );
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let (_dir, path, mut log) = log();
        (0..100).for_each(|_| log.write(&[b'x'; 1000], NOW));
        log.write(b"\nnext\n", NOW);
        let text = fs::read_to_string(&path).unwrap();
        let expected = format!("{TIME} {} … {} bytes cut\n{TIME} next\n", "x".repeat(8192), 100_000 - 8192);
        assert_eq!(text, expected);
        assert_eq!(log.tail(), [format!("{}…", "x".repeat(1024)), "next".into()]);
    }

    #[test]
    fn a_flood_is_left_out_and_counted() {
        let (_dir, path, mut log) = log();
        let line = [&[b'y'; 998][..], b"\n"].concat();
        let size = TIME.len() as u64 + 1 + line.len() as u64;
        let chunk = line.repeat(64);
        (0..1000).for_each(|_| log.write(&chunk, NOW));
        assert!(log.partial.capacity() <= LINE_BYTES * 2);
        let fit = BURST_BYTES / size;
        assert_eq!(fs::metadata(&path).unwrap().len(), fit * size);
        log.write(b"calm again\n", NOW.plus_ms(1000));
        let text = fs::read_to_string(&path).unwrap();
        let last: Vec<&str> = text.lines().rev().take(2).collect();
        let later = NOW.plus_ms(1000).rfc3339();
        let notice = format!("{later} umcp: {} lines left out here", 64_000 - fit);
        assert_eq!(last, [format!("{later} calm again"), notice]);
    }

    #[test]
    fn three_files_are_kept() {
        let (dir, _, mut log) = log();
        let line = [&[b'z'; 998][..], b"\n"].concat();
        let mut now = NOW;
        for number in 0..8000 {
            now = now.plus_ms(20);
            log.write(format!("{number} ").as_bytes(), now);
            log.write(&line, now);
        }
        let files = ["srv.log", "srv.log.1", "srv.log.2"].map(|name| dir.path().join("logs").join(name));
        for file in &files[..] {
            assert!(fs::metadata(file).unwrap().len() <= FILE_BYTES, "{}", file.display());
        }
        assert_eq!(fs::read_dir(dir.path().join("logs")).unwrap().count(), 3);
        let all: String = files.iter().rev().map(|file| fs::read_to_string(file).unwrap()).collect();
        let numbers: Vec<u32> =
            all.lines().map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect();
        assert!(numbers.len() > 2000 && numbers.last() == Some(&7999));
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "no line is lost between the files");
    }

    #[test]
    fn a_file_that_cannot_be_written_does_no_harm() {
        let (dir, path, mut log) = log();
        log.file = None;
        log.size = 0;
        fs::remove_dir_all(dir.path().join("logs")).unwrap();
        log.write(b"one\ntwo\n", NOW);
        assert_eq!(log.tail(), ["one", "two"]);
        fs::create_dir(dir.path().join("logs")).unwrap();
        log.write(b"three\n", NOW);
        let expected = format!("{TIME} umcp: 2 lines left out here\n{TIME} three\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }
}
