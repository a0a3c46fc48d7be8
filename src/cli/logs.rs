//! `umcp logs`, `umcp server logs`, `umcp gateway logs`: the last lines of a log file, and new ones as they come.
//! The files are read as they are; no daemon is asked.

use super::context::Context;
use super::interrupt;
use super::known::one_server;
use crate::clock::{self, Timestamp};
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use clap::Args;
use serde_json::json;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// How much of the end of a file is looked at for its last lines.
const TAIL_BYTES: u64 = 1 << 20;

/// Show the log of a server or of the daemon
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp logs\n  umcp logs time --follow\n  umcp logs --grep failed --since 1h"
)]
pub struct Logs {
    /// A server; without one it is the daemon's log
    #[arg(value_name = "SERVER")]
    name: Option<String>,
    #[command(flatten)]
    tail: Tail,
}

impl Logs {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.name {
            Some(name) => ServerLogs { name, tail: self.tail }.run(ctx),
            None => self.tail.run(ctx, &ctx.paths.daemon_log()),
        }
    }
}

/// Show what a server wrote to stderr
#[derive(Debug, Args)]
pub struct ServerLogs {
    #[arg(value_name = "SERVER")]
    name: String,
    #[command(flatten)]
    tail: Tail,
}

impl ServerLogs {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let server = one_server(ctx, &self.name)?;
        self.tail.run(ctx, &ctx.paths.server_log(&server.id))
    }
}

/// How much of a log is shown.
#[derive(Debug, Args)]
pub struct Tail {
    /// Go on with new lines until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Show so many of the last lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    lines: usize,
    /// Only lines that hold this text, in any case; the file before the last rotation is searched too
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// Only lines of this stretch of time, such as 10m, 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_stretch)]
    since: Option<u64>,
}

/// Milliseconds of a time such as `7d`.
pub fn parse_stretch(text: &str) -> Result<u64> {
    let days =
        text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()).filter(|days| *days <= 36_500);
    days.map(|days| days * 86_400_000).or_else(|| clock::milliseconds(text)).ok_or_else(|| {
        Error::new(&codes::VALUE_INVALID, format!("`{text}` is not a time")).hint("write 7d, 12h or 30m")
    })
}

/// Which lines are shown.
struct Wanted {
    grep: Option<String>,
    since: Option<Timestamp>,
    /// Whether the last line with a time was recent enough: those without one belong to it.
    recent: bool,
}

impl Wanted {
    fn takes(&mut self, line: &str) -> bool {
        if let (Some(since), Some(at)) = (self.since, line.split(' ').next().and_then(Timestamp::parse)) {
            self.recent = at >= since;
        }
        self.recent && self.grep.as_ref().is_none_or(|grep| line.to_lowercase().contains(grep))
    }
}

impl Tail {
    pub fn run(self, ctx: &Context, path: &Path) -> Result<()> {
        let mut reader = LogFile { path, position: 0, rest: String::new() };
        let mut shown = 0;
        let mut show = |line: &str| {
            ctx.ui.line(&json!({"type": "log", "line": line}), line);
            shown += 1;
        };
        let since =
            self.since.map(|time| Timestamp(ctx.clock.now().0.saturating_sub(time.saturating_mul(1000))));
        let filters = self.grep.is_some() || since.is_some();
        let mut wanted =
            Wanted { grep: self.grep.map(|text| text.to_lowercase()), since, recent: since.is_none() };
        let mut last = Vec::new();
        if filters {
            let mut before = path.as_os_str().to_os_string();
            before.push(".1");
            let mut older = LogFile { path: Path::new(&before), position: 0, rest: String::new() };
            last = older.last(usize::MAX)?;
        }
        last.extend(reader.last(if filters { usize::MAX } else { self.lines })?);
        last.retain(|line| wanted.takes(line));
        last.drain(..last.len().saturating_sub(self.lines));
        if last.is_empty() && !self.follow {
            let what = if filters { "no line fits" } else { "nothing was logged yet" };
            ctx.ui.note(&format!("{what} ({})", path.display()));
        } else {
            ctx.ui.note(&format!("from {}", path.display()));
        }
        last.iter().for_each(|line| show(line));
        if self.follow {
            interrupt::watch();
        }
        while self.follow && !interrupt::happened() && !ctx.ui.closed() {
            reader.fresh()?.iter().filter(|line| wanted.takes(line)).for_each(|line| show(line));
            interrupt::wait(Duration::from_millis(200));
        }
        ctx.ui.finish_stream(&json!({"ok": true, "file": path.display().to_string(), "lines": shown}));
        Ok(())
    }
}

/// A log file that grows, and that may be replaced by a new one.
struct LogFile<'a> {
    path: &'a Path,
    position: u64,
    /// A line without its end.
    rest: String,
}

impl LogFile<'_> {
    /// The last lines; from then on `fresh` gives what follows.
    fn last(&mut self, count: usize) -> Result<Vec<String>> {
        let length = std::fs::metadata(self.path).map_or(0, |meta| meta.len());
        let cut = length > TAIL_BYTES;
        self.position = length.saturating_sub(TAIL_BYTES);
        let mut lines = self.fresh()?;
        if cut && !lines.is_empty() {
            lines.remove(0);
        }
        Ok(lines.split_off(lines.len().saturating_sub(count)))
    }

    /// Whole lines that were added since the last look.
    fn fresh(&mut self) -> Result<Vec<String>> {
        let failed = |error: &std::io::Error| io_error("read", self.path, error);
        let mut file = match File::open(self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&error)),
        };
        let length = file.metadata().map_err(|error| failed(&error))?.len();
        if length < self.position {
            self.position = 0;
            self.rest.clear();
        }
        file.seek(SeekFrom::Start(self.position)).map_err(|error| failed(&error))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        self.position += bytes.len() as u64;
        self.rest.push_str(&String::from_utf8_lossy(&bytes));
        let end = self.rest.rfind('\n').map_or(0, |at| at + 1);
        let whole: String = self.rest.drain(..end).collect();
        Ok(whole.lines().map(String::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_are_chosen_by_text_and_time() {
        let lines = [
            "2026-01-01T00:00:00.000Z client Codex connected",
            "2026-01-02T00:00:00.000Z server git: waiting",
            "  codex said so",
            "2026-01-02T00:00:01.000Z client codex left",
        ];
        let chosen = |grep: Option<&str>, since: Option<&str>| {
            let since = since.and_then(Timestamp::parse);
            let mut wanted = Wanted { grep: grep.map(Into::into), since, recent: since.is_none() };
            lines
                .iter()
                .enumerate()
                .filter(|(_, line)| wanted.takes(line))
                .map(|(place, _)| place)
                .collect::<Vec<_>>()
        };
        assert_eq!(chosen(Some("codex"), None), [0, 2, 3]);
        assert_eq!(chosen(None, Some("2026-01-02T00:00:00Z")), [1, 2, 3]);
        assert_eq!(chosen(Some("codex"), Some("2026-01-01T12:00:00Z")), [2, 3]);
    }

    #[test]
    fn lines_come_once_across_growth_and_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut reader = LogFile { path: &path, position: 0, rest: String::new() };
        assert!(reader.last(5).unwrap().is_empty());
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(reader.last(1).unwrap(), ["two"]);
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"ee\nfour\n").unwrap();
        assert_eq!(reader.fresh().unwrap(), ["three", "four"]);
        assert!(reader.fresh().unwrap().is_empty());
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(reader.fresh().unwrap(), ["new"]);
    }
}
