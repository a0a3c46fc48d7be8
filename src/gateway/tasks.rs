//! Tasks (the extension) that servers made for clients. Requests about a task name its id alone, so here stands which
//! server runs it, and for whom: nobody else is told of it. Of two servers that chose one id the later is meant.

use super::session::Owner;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// More make the oldest unknown.
const MOST: usize = 10_000;
/// Arguments of more bytes in all make the oldest unknown, too.
const MOST_BYTES: usize = 64 << 20;

type Key = (Owner, String);

/// Where a task came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Id of the server that runs it.
    pub server: String,
    /// The tool's own name and the arguments of the call that made it; the policy goes by them.
    pub call: Option<(String, String)>,
}

impl Origin {
    fn bytes(&self) -> usize {
        self.call.as_ref().map_or(0, |(_, arguments)| arguments.len())
    }
}

#[derive(Default)]
struct State {
    /// Of two servers that gave one id, the later.
    origins: HashMap<Key, Origin>,
    /// In the order in which they came.
    order: VecDeque<Key>,
    /// Of all arguments.
    bytes: usize,
}

#[derive(Default)]
pub struct Tasks(Mutex<State>);

impl Tasks {
    /// A server runs a task of a client.
    pub fn note(&self, owner: Owner, task: &str, origin: Origin) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        let key = (owner, task.to_string());
        state.bytes += origin.bytes();
        match state.origins.insert(key.clone(), origin) {
            Some(earlier) => state.bytes -= earlier.bytes(),
            None => state.order.push_back(key),
        }
        while state.order.len() > MOST || state.bytes > MOST_BYTES {
            let Some(oldest) = state.order.pop_front() else { break };
            state.bytes -= state.origins.remove(&oldest).map_or(0, |origin| origin.bytes());
        }
    }

    /// Where a task of this client came from.
    pub fn origin(&self, owner: Owner, task: &str) -> Option<Origin> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.origins.get(&(owner, task.to_string())).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(profile: &str, client: &str) -> Owner {
        Owner { profile: profile.into(), client: client.into() }
    }

    fn origin(server: &str, arguments: &str) -> Origin {
        Origin { server: server.into(), call: Some(("t".into(), arguments.into())) }
    }

    #[test]
    fn a_task_is_known_to_its_own_client_and_profile() {
        let tasks = Tasks::default();
        tasks.note(owner("work", "a"), "1", origin("srv_x", "{}"));
        assert_eq!(tasks.origin(owner("work", "a"), "1"), Some(origin("srv_x", "{}")));
        for (profile, client, task) in [("home", "a", "1"), ("work", "b", "1"), ("work", "a", "2")] {
            assert_eq!(tasks.origin(owner(profile, client), task), None);
        }
        tasks.note(owner("work", "a"), "1", origin("srv_y", "{}"));
        tasks.note(owner("home", "a"), "1", origin("srv_z", "{}"));
        assert_eq!(tasks.origin(owner("work", "a"), "1"), Some(origin("srv_y", "{}")));
        for task in 0..MOST {
            tasks.note(owner("much", ""), &task.to_string(), origin("srv_x", "{}"));
        }
        assert_eq!(tasks.origin(owner("work", "a"), "1"), None, "the oldest had to go");
        assert_eq!(tasks.origin(owner("much", ""), "0"), Some(origin("srv_x", "{}")));
    }

    #[test]
    fn arguments_are_kept_within_a_bound() {
        let tasks = Tasks::default();
        let long = "x".repeat(MOST_BYTES / 2);
        for task in ["1", "1", "2", "3"] {
            tasks.note(owner("p", "c"), task, origin("s", &long));
        }
        let known = ["1", "2", "3"].map(|task| tasks.origin(owner("p", "c"), task).is_some());
        assert_eq!(known, [false, true, true]);
    }
}
