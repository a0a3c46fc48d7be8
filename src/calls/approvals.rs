//! Calls that wait for the user, and what was granted for a while. It knows who asks only by the questions it is
//! handed; who answers first - the client's user, `umcp approve`, a terminal - decides.
//! Rule: whatever is not answered in time is refused.

use crate::clock::Timestamp;
use crate::engine::live::{Approval, Approvals, Grant};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A call that was allowed once may go on with answers to its server's questions for this long.
const ONCE_MS: u64 = 600_000;
/// Calls that go on, kept at once.
const MOST: usize = 10_000;

/// The user's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub allow: bool,
    pub for_ms: Option<u64>,
    /// Who answered: `client`, `approve`.
    pub by: &'static str,
}

/// What is granted: client, server, tool.
pub type Key = (Arc<str>, String, String);

#[derive(Default)]
struct State {
    last: u64,
    waiting: BTreeMap<u64, (Approval, oneshot::Sender<Answered>)>,
    granted: HashMap<Key, Timestamp>,
    /// Calls allowed once whose server asked something: key and digest of their arguments.
    going: HashMap<(Key, String), Timestamp>,
}

/// Everything that waits or was granted.
#[derive(Default)]
pub struct Desk(Mutex<State>);

/// A call that waits; dropping it withdraws the question.
pub struct Waiting<'a> {
    desk: &'a Desk,
    pub id: u64,
    pub answer: oneshot::Receiver<Answered>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.desk.state().waiting.remove(&self.id);
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a question down; its id is set here.
    pub fn put(&self, mut approval: Approval) -> Waiting<'_> {
        let (reply, answer) = oneshot::channel();
        let mut state = self.state();
        state.last += 1;
        let id = state.last;
        approval.id = id;
        state.waiting.insert(id, (approval, reply));
        Waiting { desk: self, id, answer }
    }

    /// Answers a question; false when nothing waits under that id.
    pub fn answer(&self, id: u64, answered: Answered) -> bool {
        let waiting = self.state().waiting.remove(&id);
        waiting.is_some_and(|(_, reply)| reply.send(answered).is_ok())
    }

    pub fn is_waiting(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// Lets further calls through until a time.
    pub fn grant(&self, key: Key, until: Timestamp) {
        self.state().granted.insert(key, until);
    }

    pub fn is_granted(&self, key: &Key, now: Timestamp) -> bool {
        self.state().granted.get(key).is_some_and(|until| now < *until)
    }

    /// A call that was allowed once has ended in a question of its server: it may go on with the answer.
    pub fn goes_on(&self, key: Key, arguments: &str, now: Timestamp) {
        let mut state = self.state();
        state.going.retain(|_, until| now < *until);
        if state.going.len() < MOST {
            state.going.insert((key, crate::ids::digest(arguments.as_bytes())), now.plus_ms(ONCE_MS));
        }
    }

    /// Whether a call may go on; true for one alone, so that "once" stays once.
    pub fn take_going_on(&self, key: &Key, arguments: &str, now: Timestamp) -> bool {
        let mut state = self.state();
        if state.going.is_empty() {
            return false;
        }
        let key = (key.clone(), crate::ids::digest(arguments.as_bytes()));
        state.going.remove(&key).is_some_and(|until| now < until)
    }

    /// Takes back what was granted to a client, or to all.
    pub fn forget(&self, client: Option<&str>) {
        let keeps = |key: &Key| client.is_some_and(|client| *key.0 != *client);
        let mut state = self.state();
        state.granted.retain(|key, _| keeps(key));
        state.going.retain(|(key, _), _| keeps(key));
    }

    pub fn list(&self, now: Timestamp) -> Approvals {
        let mut state = self.state();
        state.granted.retain(|_, until| now < *until);
        let grant = |(key, until): (&Key, &Timestamp)| Grant {
            client: key.0.to_string(),
            server: key.1.clone(),
            tool: key.2.clone(),
            until: *until,
        };
        let mut granted: Vec<Grant> = state.granted.iter().map(grant).collect();
        granted.sort_by(|a, b| (&a.client, &a.server, &a.tool).cmp(&(&b.client, &b.server, &b.tool)));
        Approvals { waiting: state.waiting.values().map(|(approval, _)| approval.clone()).collect(), granted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval() -> Approval {
        Approval {
            id: 0,
            client: "c".into(),
            server: "s".into(),
            tool: "t".into(),
            arguments: "{}".into(),
            rule: None,
            reason: None,
            since: Timestamp(0),
            until: Timestamp(9),
        }
    }

    #[test]
    fn a_question_is_answered_once_and_withdrawn_with_its_call() {
        let desk = Desk::default();
        let mut first = desk.put(approval());
        let second = desk.put(approval());
        assert_eq!((first.id, second.id), (1, 2));
        let yes = Answered { allow: true, for_ms: None, by: "approve" };
        assert!(desk.answer(1, yes.clone()) && !desk.answer(1, yes.clone()));
        assert_eq!(first.answer.try_recv().unwrap(), yes);
        drop(second);
        assert!(!desk.is_waiting() && !desk.answer(2, yes));
    }

    #[test]
    fn grants_end_and_are_taken_back() {
        let desk = Desk::default();
        let key = |client: &str| (Arc::from(client), "s".to_string(), "t".to_string());
        desk.grant(key("a"), Timestamp(10));
        desk.grant(key("b"), Timestamp(20));
        assert!(desk.is_granted(&key("a"), Timestamp(9)) && !desk.is_granted(&key("a"), Timestamp(10)));
        assert_eq!(desk.list(Timestamp(15)).granted.len(), 1);
        desk.forget(Some("b"));
        assert!(!desk.is_granted(&key("b"), Timestamp(15)));
        desk.goes_on(key("a"), "{}", Timestamp(0));
        assert!(!desk.take_going_on(&key("a"), "{ }", Timestamp(1)));
        assert!(desk.take_going_on(&key("a"), "{}", Timestamp(1)));
        assert!(!desk.take_going_on(&key("a"), "{}", Timestamp(1)), "one call goes on, not two");
        desk.goes_on(key("a"), "{}", Timestamp(0));
        assert!(!desk.take_going_on(&key("a"), "{}", Timestamp(0).plus_ms(ONCE_MS)));
    }
}
