//! A modern client's `subscriptions/listen`: held open for as long as the client wants to hear of changes. What it is
//! told on the way stands in `session.rs`.

use super::Gateway;
use super::handler::{Asker, Incoming};
use super::session::{Listen, Session, with_subscription};
use crate::calls::Params;
use crate::upstream::message::{self, Answer};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;

impl Gateway {
    /// Answers every listen request: the daemon ends in order.
    pub fn say_goodbye(&self) {
        self.ending.send_replace(true);
    }

    /// Holds a modern client's listen request open until it is cancelled or the daemon ends.
    pub(super) async fn hold_listen(
        self: &Arc<Self>,
        incoming: &Incoming<'_>,
        params: &Params<'_>,
        asker: &Asker,
    ) -> Answer {
        let asked: Value =
            params.raw("notifications").and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
        let wants = |key: &str| asked[key] == true;
        let session = &incoming.session;
        let view = self.view_of(session);
        let uris = asked["resourceSubscriptions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let uris: Vec<String> = uris
            .iter()
            .filter_map(Value::as_str)
            .filter(|uri| matches!(self.heard_from(&view, incoming, params, asker, uri), Some(Ok(_))))
            .map(Into::into)
            .collect();
        let listen = Listen {
            tools: wants("toolsListChanged"),
            prompts: wants("promptsListChanged"),
            resources: wants("resourcesListChanged"),
            uris: uris.clone(),
            id: incoming.id.into(),
        };
        let mut accepted = serde_json::Map::new();
        for (key, on) in [
            ("toolsListChanged", listen.tools),
            ("promptsListChanged", listen.prompts),
            ("resourcesListChanged", listen.resources),
        ] {
            if on {
                accepted.insert(key.into(), true.into());
            }
        }
        if !uris.is_empty() {
            accepted.insert("resourceSubscriptions".into(), uris.clone().into());
        }
        session.saw(super::hub::tags(&view));
        let ack = with_subscription(&json!({"notifications": accepted}).to_string(), incoming.id);
        incoming.sink.send(message::notification("notifications/subscriptions/acknowledged", &ack));
        session.listen(listen, incoming.sink.clone());
        let _guard = Listening { gateway: self.clone(), session: session.clone(), id: incoming.id.into() };
        // Side by side: a server that has to start delays no other, and all are noted before the first wait.
        let owned = uris.iter().filter_map(|uri| Some((view.owner(uri)?, uri)));
        join_all(owned.map(|(owner, uri)| owner.subscribe(session.id, uri))).await;
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
        Answer::result(with_subscription(r#"{"resultType":"complete"}"#, incoming.id))
    }
}

/// Ends a listen request when its future is dropped.
struct Listening {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    id: String,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let Some(listen) = self.session.unlisten(&self.id) else { return };
        let (gateway, session) = (self.gateway.clone(), self.session.clone());
        if listen.uris.is_empty() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        tokio::spawn(async move {
            for uri in listen.uris {
                gateway.stop_waiting(&session, &uri).await;
            }
        });
    }
}
