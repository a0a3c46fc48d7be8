//! The one-shot report of a daemon to the process that started it: one JSON line on its stdout, then silence.
//! Not a log: the log is stderr, which the starter pointed at `daemon.log`.
//! Rule: exactly one report per start; afterwards stdout leads nowhere, so that the starter's pipe is free.

use super::wire;
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};

/// How a start ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The socket answers.
    Ready {
        pid: u32,
        version: String,
    },
    /// Another daemon holds the lock; use that one.
    Running {
        pid: Option<u32>,
    },
    Failed(Error),
}

impl Report {
    /// The report of a daemon that listens now.
    pub fn ready() -> Self {
        Self::Ready { pid: std::process::id(), version: wire::VERSION.into() }
    }

    /// Hands the report to the starter and closes the way to it. A starter that is gone is no error.
    pub fn send(&self) {
        if let Ok(line) = wire::line(self, wire::LINE_LIMIT) {
            let mut stdout = std::io::stdout().lock();
            let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
        }
        silence();
    }

    /// Reads the report of a daemon just started. `None`: it ended without one. Other lines are skipped.
    pub fn read(reader: impl BufRead) -> Result<Option<Self>> {
        for line in reader.lines() {
            let line = line.map_err(|error| {
                Error::new(&codes::DAEMON_START, "the report of the daemon cannot be read").because(error)
            })?;
            if line.starts_with('{') {
                return wire::parse(line.as_bytes()).map(Some);
            }
        }
        Ok(None)
    }
}

/// Points stdout at nothing.
#[cfg(unix)]
fn silence() {
    use std::os::fd::AsRawFd;
    if let Ok(nothing) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
        // SAFETY: both descriptors are open; dup2 replaces the second in one step.
        unsafe { libc::dup2(nothing.as_raw_fd(), libc::STDOUT_FILENO) };
    }
}

/// The starter closes its end; nothing is written here any more.
#[cfg(not(unix))]
fn silence() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_back_past_other_lines() {
        let failed = Report::Failed(Error::new(&codes::STORE_NEWER, "the store is newer"));
        let mut text = b"\nsome banner\n".to_vec();
        text.extend(wire::line(&failed, 1000).unwrap());
        let Some(Report::Failed(error)) = Report::read(&text[..]).unwrap() else { panic!() };
        assert!(error.is(&codes::STORE_NEWER));
        assert!(Report::read(&b"nothing\n"[..]).unwrap().is_none());
    }

    #[test]
    fn the_words_of_a_report_stay() {
        let ready = Report::Ready { pid: 7, version: "0.1.0".into() };
        assert_eq!(wire::line(&ready, 100).unwrap(), b"{\"ready\":{\"pid\":7,\"version\":\"0.1.0\"}}\n");
    }
}
