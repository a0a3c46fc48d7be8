//! Calls that wait for the user, and what was granted for a while. It knows who asks only by the questions it is
//! handed; who answers first - the client's user, `umcp approve`, a terminal - decides.
//! Rule: whatever is not answered in time is refused.

use crate::clock::Timestamp;
use crate::engine::live::{Approval, Approvals, Grant};
use crate::policy::rules::Kind;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A call that was allowed once may go on with answers to its server's questions for this long.
const ONCE_MS: u64 = 600_000;
/// Ids of questions: short enough to type, too many to meet one again.
const IDS: std::ops::Range<u64> = 1_000_000..1_000_000_000;
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

/// What is granted, to whom. Names alone would do for whoever takes one: another client that calls itself the same,
/// or another server under the name of one that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Who calls, as far as umcp knows it itself: a key of the HTTP endpoint, a client's entry, a session.
    pub who: Arc<str>,
    /// What the client calls itself.
    pub client: Arc<str>,
    /// Id of the server.
    pub server: String,
    /// What the server runs, or where it is.
    pub print: String,
    pub kind: Kind,
    pub name: String,
}

/// A server and what was granted of it, as people know them.
type Named = (String, String);

#[derive(Default)]
struct State {
    waiting: BTreeMap<u64, (Approval, oneshot::Sender<Answered>)>,
    granted: HashMap<Key, (Named, Timestamp)>,
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

    /// Puts a question down; its id is set here. `draw` gives random numbers: an id that was answered, or was read off
    /// before the daemon began anew, means no other question.
    pub fn put(&self, mut approval: Approval, draw: impl Fn() -> u64) -> Waiting<'_> {
        let (reply, answer) = oneshot::channel();
        let mut state = self.state();
        let ids = std::iter::repeat_with(|| IDS.start + draw() % (IDS.end - IDS.start));
        let mut free = ids.filter(|id| !state.waiting.contains_key(id));
        let id = free.next().unwrap_or(IDS.end);
        drop(free);
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
    pub fn grant(&self, key: Key, named: Named, now: Timestamp, until: Timestamp) {
        let mut state = self.state();
        state.granted.retain(|_, (_, until)| now < *until);
        state.granted.insert(key, (named, until));
    }

    pub fn is_granted(&self, key: &Key, now: Timestamp) -> bool {
        self.state().granted.get(key).is_some_and(|(_, until)| now < *until)
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
        let keeps = |key: &Key| client.is_some_and(|client| *key.client != *client);
        let mut state = self.state();
        state.granted.retain(|key, _| keeps(key));
        state.going.retain(|(key, _), _| keeps(key));
    }

    pub fn list(&self, now: Timestamp) -> Approvals {
        let mut state = self.state();
        state.granted.retain(|_, (_, until)| now < *until);
        let grant = |(key, ((server, tool), until)): (&Key, &(Named, Timestamp))| Grant {
            client: key.client.to_string(),
            server: server.clone(),
            tool: tool.clone(),
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

    fn key(client: &str) -> Key {
        Key {
            who: "session 1".into(),
            client: client.into(),
            server: "srv_1".into(),
            print: "p".into(),
            kind: Kind::Tool,
            name: "t".into(),
        }
    }

    #[test]
    fn a_question_is_answered_once_and_withdrawn_with_its_call() {
        let desk = Desk::default();
        let drawn = std::cell::Cell::new(0);
        let draw = || drawn.replace(drawn.get() + 1) / 2;
        let mut first = desk.put(approval(), draw);
        let second = desk.put(approval(), draw);
        assert_eq!((first.id, second.id), (1_000_000, 1_000_001), "one that waits is not drawn again");
        let yes = Answered { allow: true, for_ms: None, by: "approve" };
        assert!(desk.answer(first.id, yes.clone()) && !desk.answer(first.id, yes.clone()));
        assert_eq!(first.answer.try_recv().unwrap(), yes);
        let id = second.id;
        drop(second);
        assert!(!desk.is_waiting() && !desk.answer(id, yes));
    }

    #[test]
    fn grants_end_and_are_taken_back() {
        let desk = Desk::default();
        let grant =
            |key: Key, until| desk.grant(key, ("s".into(), "t".into()), Timestamp(0), Timestamp(until));
        grant(key("a"), 10);
        grant(key("b"), 20);
        for other in [
            Key { who: "other".into(), ..key("a") },
            Key { server: "srv_2".into(), ..key("a") },
            Key { print: "other".into(), ..key("a") },
            Key { kind: Kind::Prompt, ..key("a") },
        ] {
            assert!(!desk.is_granted(&other, Timestamp(1)), "{other:?}");
        }
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
