//! What must be said to a server again after every start: subscriptions to resources, the log level, and in the
//! modern era the long request that carries change notifications.

use super::connection::Connection;
use super::era;
use super::link::Outgoing;
use super::message::quote;
use super::supervisor::{Running, Upstream};
use crate::tools::Era;
use std::sync::Arc;
use std::time::Duration;

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
pub async fn listen(upstream: &Arc<Upstream>, running: &Running) {
    if running.agreement.era != Era::Modern {
        return;
    }
    let mut renewed = upstream.resubscribed();
    while !running.connection.is_closed() {
        let uris: Vec<String> = upstream.subscriptions().keys().map(|uri| quote(uri)).collect();
        let meta = era::modern_meta("{}", &era::own_info().to_string());
        let params = format!(
            r#"{{"_meta":{{{meta}}},"notifications":{{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":[{}]}}}}"#,
            uris.join(",")
        );
        let started = std::time::Instant::now();
        tokio::select! {
            () = tell(&running.connection, "subscriptions/listen", &params, FOREVER) => {
                // A server without the method answers at once: then there is nothing to listen to until
                // somebody subscribes.
                if started.elapsed() < Duration::from_secs(5) {
                    let _ = renewed.changed().await;
                }
            }
            _ = renewed.changed() => {}
        }
    }
}

impl Upstream {
    /// One more client waits for changes of a resource.
    pub async fn subscribe(self: &Arc<Self>, uri: &str) {
        let first = {
            let mut subscribed = self.subscriptions();
            let count = subscribed.entry(uri.into()).or_default();
            *count += 1;
            *count == 1
        };
        if first {
            self.resubscribe();
            if let Ok(running) = self.connect(0).await {
                on_legacy(&running, "resources/subscribe", uri).await;
            }
        }
    }

    /// One client less waits for changes of a resource.
    pub async fn unsubscribe(self: &Arc<Self>, uri: &str) {
        let last = {
            let mut subscribed = self.subscriptions();
            let left = subscribed.get_mut(uri).map(|count| {
                *count = count.saturating_sub(1);
                *count
            });
            if left == Some(0) {
                subscribed.remove(uri);
            }
            left == Some(0)
        };
        if last {
            self.resubscribe();
            // One that does not run has nothing to forget.
            if let Some(running) = self.running(0) {
                on_legacy(&running, "resources/unsubscribe", uri).await;
            }
        }
    }
}
