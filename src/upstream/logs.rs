//! The logs of all servers, opened at their first line.

use super::known::Known;
use super::stderr_log::ServerLog;
use crate::clock::Timestamp;
use crate::paths::Paths;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lines of a log that stand in an error.
const SHOWN: usize = 5;

pub struct Logs {
    paths: Paths,
    known: Arc<Known>,
    open: Mutex<HashMap<String, ServerLog>>,
}

impl Logs {
    /// `known` secrets are left out of every line.
    pub fn new(paths: Paths, known: Arc<Known>) -> Self {
        Self { paths, known, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, ServerLog>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a server (by id) wrote to stderr. A log that cannot be written costs the log, not the server.
    pub fn write(&self, id: &str, chunk: &[u8], now: Timestamp) {
        let mut open = self.open();
        if !open.contains_key(id) {
            match ServerLog::open(&self.paths.server_log(id)) {
                Ok(log) => _ = open.insert(id.into(), log.hiding(self.known.clone())),
                Err(_) => return,
            }
        }
        if let Some(log) = open.get_mut(id) {
            log.write(chunk, now);
        }
    }

    /// The server's process has ended.
    pub fn finish(&self, id: &str, now: Timestamp) {
        if let Some(log) = self.open().get_mut(id) {
            log.finish(now);
        }
    }

    /// The last lines of a server, for an error.
    pub fn tail(&self, id: &str) -> String {
        let lines = self.open().get(id).map(ServerLog::tail).unwrap_or_default();
        lines[lines.len().saturating_sub(SHOWN)..].join("\n")
    }
}
