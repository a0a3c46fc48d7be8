//! Answers of tools the user marked as cacheable, for as long as the mark says. Nothing is cached unasked.

use super::Reply;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Entries beyond this are dropped, oldest first.
const MOST: usize = 512;

#[derive(Default)]
pub struct Cache {
    entries: Mutex<HashMap<String, (Instant, Reply)>>,
}

impl Cache {
    /// Equal tool and equal arguments, as text.
    pub fn key(server: &str, tool: &str, arguments: &str) -> String {
        format!("{server}/{tool}/{arguments}")
    }

    pub fn get(&self, key: &str) -> Option<Reply> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.get(key) {
            Some((until, reply)) if *until > Instant::now() => Some(reply.clone()),
            Some(_) => {
                entries.remove(key);
                None
            }
            None => None,
        }
    }

    pub fn put(&self, key: String, reply: Reply, ttl_ms: u64) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST {
            let oldest = entries.iter().min_by_key(|(_, (until, _))| *until).map(|(key, _)| key.clone());
            oldest.and_then(|key| entries.remove(&key));
        }
        entries.insert(key, (Instant::now() + Duration::from_millis(ttl_ms), reply));
    }
}
