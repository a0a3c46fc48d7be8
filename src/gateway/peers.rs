//! What clients say of themselves. A modern client says it with every request, always the same, so it is read once and
//! found again by its text.

use super::session::{Abilities, Peer};
use crate::tools::Era;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Clients that are remembered.
const MOST: usize = 16;
/// Bytes of a text that is remembered.
const LONGEST: usize = 4 << 10;

/// What one client said, and what it means.
pub struct Known {
    pub peer: Peer,
    /// The name it goes by.
    pub name: Option<Arc<str>>,
    /// What tells it from others over HTTP without a key, where each request is a session: see `Session::identity`.
    pub identity: Arc<str>,
}

impl Known {
    /// `capabilities` and `info` as JSON text.
    pub fn read(era: Era, capabilities: &str, info: &str) -> Self {
        let said: Value = serde_json::from_str(info).unwrap_or_default();
        let name: Option<Arc<str>> = said["name"].as_str().map(Into::into);
        let abilities = Abilities::of(&serde_json::from_str(capabilities).unwrap_or_default());
        let identity = format!("http {}", name.as_deref().unwrap_or_default()).into();
        let peer = Peer { era, abilities, capabilities: capabilities.into(), info: info.into() };
        Self { peer, name, identity }
    }

    fn says(&self, capabilities: &str, info: &str) -> bool {
        *self.peer.info == *info && *self.peer.capabilities == *capabilities
    }
}

/// The modern clients that were seen last.
#[derive(Default)]
pub struct Peers(Mutex<VecDeque<Arc<Known>>>);

impl Peers {
    pub fn modern(&self, capabilities: &str, info: &str) -> Arc<Known> {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = peers.iter().find(|known| known.says(capabilities, info)) {
            return known.clone();
        }
        let known = Arc::new(Known::read(Era::Modern, capabilities, info));
        if capabilities.len().max(info.len()) <= LONGEST {
            peers.truncate(MOST - 1);
            peers.push_front(known.clone());
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_seen_is_found_and_who_says_something_else_is_somebody_else() {
        let peers = Peers::default();
        let first = peers.modern(r#"{"sampling":{}}"#, r#"{"name":"a"}"#);
        assert!(first.peer.abilities.sampling && first.name.as_deref() == Some("a"));
        assert!(Arc::ptr_eq(&first, &peers.modern(r#"{"sampling":{}}"#, r#"{"name":"a"}"#)));
        let other = peers.modern("{}", r#"{"name":"a"}"#);
        assert!(!other.peer.abilities.sampling);
        for number in 0..MOST {
            peers.modern("{}", &format!(r#"{{"name":"{number}"}}"#));
        }
        assert!(!Arc::ptr_eq(&other, &peers.modern("{}", r#"{"name":"a"}"#)), "one too many");
        let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(LONGEST));
        assert!(!Arc::ptr_eq(&peers.modern("{}", &long), &peers.modern("{}", &long)));
        assert_eq!(peers.modern("not JSON", "not JSON either").name, None);
    }
}
