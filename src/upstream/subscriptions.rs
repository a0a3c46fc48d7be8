//! What must be said to a server again after every start: subscriptions to resources, the log level, and in the
//! modern era the long request that carries change notifications.

use super::connection::Connection;
use super::era;
use super::link::Outgoing;
use super::message::quote;
use super::supervisor::{Running, Upstream};
use crate::tools::Era;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Resources that sessions wait for, with how often each of them asked.
///
/// `place` names the connection that carries a subscription: that of one session, or (`None`) the one all share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscribed(BTreeMap<(u64, String), usize>);

impl Subscribed {
    /// URIs a connection carries, each once.
    pub fn of(&self, place: Option<u64>) -> Vec<String> {
        let here = self.0.keys().filter(|(session, _)| place.is_none_or(|place| place == *session));
        let mut uris: Vec<String> = here.map(|(_, uri)| uri.clone()).collect();
        uris.sort();
        uris.dedup();
        uris
    }

    /// Everybody who waits for something.
    pub fn sessions(&self) -> BTreeSet<u64> {
        self.0.keys().map(|(session, _)| *session).collect()
    }

    fn carries(&self, place: Option<u64>, uri: &str) -> bool {
        let here = |session: u64| place.is_none_or(|place| place == session);
        self.0.keys().any(|(session, one)| here(*session) && one == uri)
    }

    /// One more; true when its connection did not carry it before.
    fn add(&mut self, place: Option<u64>, session: u64, uri: &str) -> bool {
        let first = !self.carries(place, uri);
        *self.0.entry((session, uri.into())).or_default() += 1;
        first
    }

    /// One less; true when its connection carries it no longer.
    fn remove(&mut self, place: Option<u64>, session: u64, uri: &str) -> bool {
        let key = (session, uri.to_string());
        let Some(count) = self.0.get_mut(&key) else { return false };
        *count -= 1;
        if *count == 0 {
            self.0.remove(&key);
        }
        !self.carries(place, uri)
    }

    /// Forgets a session.
    pub fn leave(&mut self, gone: u64) {
        self.0.retain(|(session, _), _| *session != gone);
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
/// A listen request has no end of its own.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

async fn tell(connection: &Connection, method: &str, params: &str, timeout: Duration) {
    let id = connection.next_id();
    // A server that refuses costs its notifications, nothing else.
    let _ = connection
        .request(Outgoing { id, method, params, listener: None, timeout, name: None, headers: &[] })
        .await;
}

/// Subscribes again to resources, and sets the log level, on a legacy connection.
pub async fn renew(upstream: &Upstream, running: &Running, uris: &[String]) {
    if running.agreement.era != Era::Legacy {
        return;
    }
    for uri in uris {
        on_legacy(running, "resources/subscribe", uri).await;
    }
    if let Some(level) = upstream.shared().level() {
        level_on(running, &level).await;
    }
}

async fn level_on(running: &Running, level: &str) {
    if running.agreement.era == Era::Legacy && running.agreement.has("logging") {
        let params = format!(r#"{{"level":{}}}"#, quote(level));
        tell(&running.connection, "logging/setLevel", &params, PATIENCE).await;
    }
}

async fn on_legacy(running: &Running, method: &str, uri: &str) {
    if running.agreement.era == Era::Legacy {
        tell(&running.connection, method, &format!(r#"{{"uri":{}}}"#, quote(uri)), PATIENCE).await;
    }
}

/// Tells one server the log level.
pub async fn set_level(running: Arc<Running>, level: String) {
    level_on(&running, &level).await;
}

/// Holds the listen request of a modern server open, with the resources clients wait for, and renews it when
/// those change. Ends with the connection.
pub async fn listen(upstream: &Arc<Upstream>, running: &Running, place: Option<u64>) {
    if running.agreement.era != Era::Modern {
        return;
    }
    let mut renewed = upstream.resubscribed();
    while !running.connection.is_closed() {
        let uris = upstream.subscriptions().of(place);
        let quoted: Vec<String> = uris.iter().map(|uri| quote(uri)).collect();
        let meta = era::modern_meta("{}", &era::own_info().to_string());
        let params = format!(
            r#"{{"_meta":{{{meta}}},"notifications":{{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":[{}]}}}}"#,
            quoted.join(",")
        );
        let started = std::time::Instant::now();
        let changed = async {
            while upstream.subscriptions().of(place) == uris {
                let _ = renewed.changed().await;
            }
        };
        tokio::pin!(changed);
        tokio::select! {
            () = tell(&running.connection, "subscriptions/listen", &params, FOREVER) => {
                // A server without the method answers at once: then there is nothing to listen to until
                // somebody subscribes.
                if started.elapsed() < Duration::from_secs(5) {
                    changed.await;
                }
            }
            () = &mut changed => {}
        }
    }
}

impl Upstream {
    /// A session waits for changes of a resource, at its own connection where it has one.
    pub async fn subscribe(self: &Arc<Self>, session: u64, uri: &str) {
        let first = self.subscriptions().add(self.place(session), session, uri);
        if first {
            self.resubscribe();
            match self.connect(session).await {
                Ok(running) => on_legacy(&running, "resources/subscribe", uri).await,
                Err(_) => self.revive(session),
            }
        }
    }

    /// A session waits once less for changes of a resource.
    pub async fn unsubscribe(self: &Arc<Self>, session: u64, uri: &str) {
        let last = self.subscriptions().remove(self.place(session), session, uri);
        if last {
            self.resubscribe();
            // One that does not run has nothing to forget.
            if let Some(running) = self.running(session) {
                on_legacy(&running, "resources/unsubscribe", uri).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_connection_carries_what_any_session_wants_and_another_that_of_its_own() {
        let mut shared = Subscribed::default();
        assert!(shared.add(None, 1, "a") && !shared.add(None, 1, "a") && !shared.add(None, 2, "a"));
        assert_eq!((shared.of(None), shared.of(Some(2))), (vec!["a".to_string()], vec!["a".to_string()]));
        assert!(!shared.remove(None, 1, "a") && !shared.remove(None, 1, "a") && !shared.remove(None, 1, "a"));
        assert!(shared.remove(None, 2, "a") && shared == Subscribed::default());
        let mut own = Subscribed::default();
        assert!(own.add(Some(1), 1, "a") && own.add(Some(2), 2, "a") && own.add(Some(2), 2, "b"));
        assert_eq!((own.of(Some(1)), own.of(Some(3))), (vec!["a".to_string()], vec![]));
        own.leave(2);
        assert_eq!(own.sessions().into_iter().collect::<Vec<_>>(), [1]);
    }
}
