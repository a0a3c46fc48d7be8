//! Answers of tools the user marked as cacheable, for as long as the mark says. Nothing is cached unasked.

use super::{Params, Reply};
use crate::servers::model::Server;
use crate::upstream::message::{Answer, member};
use crate::upstream::supervisor::Seat;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Entries beyond this are dropped, oldest first.
const MOST: usize = 512;
/// Larger answers are not kept, so that all of them together stay small.
const LARGEST: usize = 128 << 10;

#[derive(Default)]
pub struct Cache {
    entries: Mutex<HashMap<String, (Instant, Reply)>>,
}

impl Cache {
    /// Equal tool of the same entry and equal arguments, as text, over the same connection: a server that each client
    /// has for itself answers each client for itself, and one account gets nothing of another. `None` for a call that goes on with an earlier one.
    pub fn key(server: &Server, tool: &str, params: &Params<'_>, seat: &Seat) -> Option<String> {
        if params.raw("requestState").is_some() || params.raw("inputResponses").is_some() {
            return None;
        }
        let (session, accounts) = (seat.session.unwrap_or(0), seat.accounts.as_deref().unwrap_or_default());
        let arguments = params.raw("arguments").unwrap_or("{}");
        Some(format!("{}/{}/{session}/{accounts}/{tool}/{arguments}", server.id, server.revision))
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

    /// Keeps a whole answer; one that asks for input, or names a task, is a step on the way to it.
    pub fn put(&self, key: String, reply: &Reply, ttl_ms: u64) {
        if reply.answer.body.len() > LARGEST || !is_complete(&reply.answer) {
            return;
        }
        // A copy: the body is a slice of whatever it was read with.
        let body = Bytes::copy_from_slice(&reply.answer.body);
        let reply = Reply { answer: Answer { ok: reply.answer.ok, body }, era: reply.era };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST {
            let oldest = entries.iter().min_by_key(|(_, (until, _))| *until).map(|(key, _)| key.clone());
            oldest.and_then(|key| entries.remove(&key));
        }
        entries.insert(key, (Instant::now() + Duration::from_millis(ttl_ms), reply));
    }
}

fn is_complete(answer: &Answer) -> bool {
    matches!(member(&answer.body, "resultType"), None | Some(r#""complete""#))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::servers::model::Transport;
    use crate::tools::Era;

    #[test]
    fn a_key_tells_entries_and_clients_apart() {
        let transport = Transport::Builtin { name: "time".into() };
        let mut server = Server::new("srv_1".into(), "a", transport, Timestamp(0));
        let seat = |session, account: Option<&str>| Seat { session, accounts: account.map(Into::into) };
        let key = |server: &Server, params: &str, seat: Seat| {
            Cache::key(server, "t", &Params::parse(params).unwrap(), &seat)
        };
        let shared = key(&server, r#"{"arguments":{"x":1}}"#, seat(None, None));
        assert_eq!(shared, key(&server, r#"{"arguments":{"x":1}}"#, seat(None, None)));
        assert_ne!(shared, key(&server, r#"{"arguments":{"x":2}}"#, seat(None, None)));
        assert_ne!(shared, key(&server, r#"{"arguments":{"x":1}}"#, seat(Some(1), None)));
        assert_ne!(shared, key(&server, r#"{"arguments":{"x":1}}"#, seat(None, Some("con_1"))));
        server.revision += 1;
        assert_ne!(shared, key(&server, r#"{"arguments":{"x":1}}"#, seat(None, None)));
        assert_eq!(key(&server, r#"{"requestState":"s"}"#, seat(None, None)), None);
    }

    #[test]
    fn only_whole_answers_are_kept() {
        let cache = Cache::default();
        for (body, kept) in [
            ("{}".to_string(), true),
            (r#"{"resultType":"complete"}"#.into(), true),
            (r#"{"resultType":"input_required"}"#.into(), false),
            (r#"{"resultType":"task","taskId":"1"}"#.into(), false),
            (format!(r#"{{"a":"{}"}}"#, "x".repeat(LARGEST)), false),
        ] {
            cache.put(
                body.clone(),
                &Reply { answer: Answer::result(body.clone()), era: Era::Modern },
                60_000,
            );
            assert_eq!(cache.get(&body).is_some(), kept, "{body:.40}");
        }
    }
}
