//! `umcp logs`, `umcp server logs`, `umcp gateway logs`: the last lines of a log file, and new ones as they come.
//! The files are read as they are; no daemon is asked.

use super::context::Context;
use super::interrupt;
use super::known::one_server;
use crate::error::Result;
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
#[command(after_help = "Examples:\n  umcp logs\n  umcp logs time --follow")]
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
}

impl Tail {
    pub fn run(self, ctx: &Context, path: &Path) -> Result<()> {
        let mut reader = LogFile { path, position: 0, rest: String::new() };
        let mut shown = 0;
        let mut show = |line: &str| {
            ctx.ui.line(&json!({"type": "log", "line": line}), line);
            shown += 1;
        };
        let last = reader.last(self.lines)?;
        if last.is_empty() && !self.follow {
            ctx.ui.note(&format!("nothing was logged yet ({})", path.display()));
        } else {
            ctx.ui.note(&format!("from {}", path.display()));
        }
        last.iter().for_each(|line| show(line));
        if self.follow {
            interrupt::watch();
        }
        while self.follow && !interrupt::happened() && !ctx.ui.closed() {
            reader.fresh()?.iter().for_each(|line| show(line));
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
