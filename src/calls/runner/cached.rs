//! Results of steps that say `cache`, for as long as they say, in memory. Equal is what calls the same with the same
//! values, in whatever workflow. Only successes are kept.

use crate::ids;
use crate::workflows::machine::Command;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Results beyond this are dropped, those first that would have gone first.
const MOST: usize = 512;
/// Larger results are not kept, so that all of them together stay small.
const LARGEST: usize = 128 << 10;

#[derive(Default)]
pub struct Cached(Mutex<HashMap<String, (Instant, Value)>>);

/// Under which name a step's result is kept, and how long; `None` for one that is not.
pub fn key(command: &Command) -> Option<(String, Duration)> {
    let (what, values, ms) = match command {
        Command::Call { target, arguments, cache_ms: Some(ms), .. } => (target.as_str(), arguments, ms),
        Command::Own { what, values, cache_ms: Some(ms), .. } => (what.word(), values, ms),
        _ => return None,
    };
    let digest = ids::sha256(&[what.as_bytes(), b"\0", values.to_string().as_bytes()]);
    Some((ids::hex(&digest), Duration::from_millis(*ms)))
}

impl Cached {
    pub fn get(&self, key: &str, now: Instant) -> Option<Value> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(key) {
            Some((until, value)) if *until > now => Some(value.clone()),
            Some(_) => {
                all.remove(key);
                None
            }
            None => None,
        }
    }

    pub fn put(&self, key: String, value: &Value, until: Instant) {
        if value.to_string().len() > LARGEST {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(&key) {
            let first = all.iter().min_by_key(|(_, (until, _))| *until).map(|(key, _)| key.clone());
            first.and_then(|key| all.remove(&key));
        }
        all.insert(key, (until, value.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_steps_share_a_result_while_it_is_good() {
        let call = |target: &str, arguments: Value, cache_ms: Option<u64>| Command::Call {
            path: "a".into(),
            target: target.into(),
            arguments,
            timeout_ms: None,
            cache_ms,
            key: String::new(),
        };
        let one = key(&call("s.t", json!({"a": 1}), Some(1000))).unwrap();
        assert_eq!(one.1, Duration::from_secs(1));
        assert_eq!(key(&call("s.t", json!({"a": 1}), None)), None);
        assert_ne!(key(&call("s.t", json!({"a": 2}), Some(1000))).unwrap().0, one.0);
        assert_ne!(key(&call("s.u", json!({"a": 1}), Some(1000))).unwrap().0, one.0);
        let (cached, now) = (Cached::default(), Instant::now());
        cached.put("k".into(), &json!(7), now + one.1);
        assert_eq!(cached.get("k", now), Some(json!(7)));
        assert_eq!(cached.get("k", now + one.1), None);
        cached.put("large".into(), &json!("x".repeat(LARGEST)), now + one.1);
        assert_eq!(cached.get("large", now), None);
        for count in 0..=MOST as u64 {
            cached.put(format!("k{count}"), &json!(count), now + one.1 + Duration::from_millis(count));
        }
        assert_eq!((cached.get("k0", now), cached.get("k1", now)), (None, Some(json!(1))));
    }
}
