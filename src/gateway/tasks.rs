//! Tasks (the extension) that servers made for clients. Requests about a task name its id alone, so here stands which
//! server runs it, and for whom: nobody else is told of it. Of two servers that chose one id the later is meant.

use super::session::Owner;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// More make the oldest unknown.
const MOST: usize = 10_000;

type Key = (Owner, String);

#[derive(Default)]
struct State {
    /// Ids of the servers that gave the task its id, the latest last.
    servers: HashMap<Key, Vec<String>>,
    /// In the order in which they came.
    order: VecDeque<Key>,
}

#[derive(Default)]
pub struct Tasks(Mutex<State>);

impl Tasks {
    /// A server runs a task of a client.
    pub fn note(&self, owner: Owner, task: &str, server: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (owner, task.to_string());
        if !state.servers.contains_key(&key) {
            state.order.push_back(key.clone());
        }
        let servers = state.servers.entry(key).or_default();
        servers.retain(|known| known != server);
        servers.push(server.into());
        if state.order.len() > MOST
            && let Some(oldest) = state.order.pop_front()
        {
            state.servers.remove(&oldest);
        }
    }

    /// Id of the server that runs a task of this client.
    pub fn server(&self, owner: Owner, task: &str) -> Option<String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.servers.get(&(owner, task.to_string()))?.last().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(profile: &str, client: &str) -> Owner {
        Owner { profile: profile.into(), client: client.into() }
    }

    #[test]
    fn a_task_is_known_to_its_own_client_and_profile() {
        let tasks = Tasks::default();
        tasks.note(owner("work", "a"), "1", "srv_x");
        assert_eq!(tasks.server(owner("work", "a"), "1").as_deref(), Some("srv_x"));
        for (profile, client, task) in [("home", "a", "1"), ("work", "b", "1"), ("work", "a", "2")] {
            assert_eq!(tasks.server(owner(profile, client), task), None);
        }
        tasks.note(owner("work", "a"), "1", "srv_y");
        tasks.note(owner("home", "a"), "1", "srv_z");
        assert_eq!(tasks.server(owner("work", "a"), "1").as_deref(), Some("srv_y"));
        for task in 0..MOST {
            tasks.note(owner("much", ""), &task.to_string(), "srv_x");
        }
        assert_eq!(tasks.server(owner("work", "a"), "1"), None, "the oldest had to go");
        assert_eq!(tasks.server(owner("much", ""), "0").as_deref(), Some("srv_x"));
    }
}
