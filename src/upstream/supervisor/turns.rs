//! Whose turn it is at a shared server that asks its clients. Such a question does not say which call it belongs to, so
//! once a server has asked one, calls of one session only are with it at a time; those of others wait in order.
//! Servers that never ask are not slowed down. The decision is plain, the waiting is at the bottom.

use super::{Upstream, locked};
use crate::error::{Error, Result, codes};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

#[derive(Debug, Default)]
struct State {
    /// The server has asked a question.
    asks: bool,
    /// Calls with the server, by session.
    at_work: BTreeMap<u64, usize>,
    /// Those who wait: ticket and session.
    queue: VecDeque<(u64, u64)>,
    tickets: u64,
}

impl State {
    /// Whether a session may send a call now, before those in the queue or at the place of its own ticket.
    fn may(&self, session: u64, ticket: Option<u64>) -> bool {
        let before = self.queue.iter().take_while(|(waiting, _)| Some(*waiting) != ticket);
        let others = self.at_work.keys().chain(before.map(|(_, session)| session));
        !self.asks || others.into_iter().all(|other| *other == session)
    }

    fn enter(&mut self, session: u64) {
        *self.at_work.entry(session).or_default() += 1;
    }

    fn leave(&mut self, session: u64) {
        if let Some(calls) = self.at_work.get_mut(&session) {
            *calls -= 1;
            if *calls == 0 {
                self.at_work.remove(&session);
            }
        }
    }

    fn wait(&mut self, session: u64) -> u64 {
        self.tickets += 1;
        self.queue.push_back((self.tickets, session));
        self.tickets
    }

    fn give_up(&mut self, ticket: u64) {
        self.queue.retain(|(waiting, _)| *waiting != ticket);
    }
}

#[derive(Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    freed: Notify,
}

/// A call that is with the server; dropped when it ends.
pub struct Turn {
    upstream: Arc<Upstream>,
    session: u64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        locked(&self.upstream.turns.state).leave(self.session);
        self.upstream.turns.freed.notify_waiters();
    }
}

/// A place in the queue, given back however the waiting ends.
struct Ticket<'a> {
    turns: &'a Turns,
    number: u64,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        locked(&self.turns.state).give_up(self.number);
        self.turns.freed.notify_waiters();
    }
}

impl Upstream {
    /// The server has asked something in the middle of a call, and did not say of which.
    pub(in crate::upstream) fn asks(&self) {
        locked(&self.turns.state).asks = true;
    }

    /// Waits until a call of a session may be sent; no longer than a call may take.
    pub async fn turn(self: &Arc<Self>, session: u64) -> Result<Turn> {
        let ticket = {
            let mut state = locked(&self.turns.state);
            if self.place(session).is_some() || state.may(session, None) {
                state.enter(session);
                return Ok(Turn { upstream: self.clone(), session });
            }
            Ticket { turns: &self.turns, number: state.wait(session) }
        };
        let entered = tokio::time::timeout(self.bounds.call, self.turns.enter(session, ticket.number)).await;
        drop(ticket);
        entered.map(|()| Turn { upstream: self.clone(), session }).map_err(|_| {
            let message = format!("server `{}` is busy with another client, which it may ask", self.name());
            Error::new(&codes::UPSTREAM_BUSY, message)
                .hint("a server whose sharing is per-client runs once for each of them")
        })
    }
}

impl Turns {
    async fn enter(&self, session: u64, ticket: u64) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on no end of a call is missed.
            freed.as_mut().enable();
            {
                let mut state = locked(&self.state);
                if state.may(session, Some(ticket)) {
                    return state.enter(session);
                }
            }
            freed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_take_turns_once_the_server_has_asked() {
        let mut state = State::default();
        for session in [1, 2] {
            assert!(state.may(session, None));
            state.enter(session);
        }
        state.asks = true;
        assert!(!state.may(1, None), "two sessions are at work");
        state.leave(2);
        assert!(state.may(1, None) && !state.may(2, None));
        let second = state.wait(2);
        assert!(!state.may(1, None), "whoever waits comes first");
        let third = state.wait(3);
        let again = state.wait(2);
        state.leave(1);
        assert!(state.may(2, Some(second)) && !state.may(3, Some(third)) && !state.may(2, Some(again)));
        state.give_up(second);
        assert!(state.may(3, Some(third)));
        state.give_up(third);
        assert!(state.may(2, Some(again)));
    }
}
