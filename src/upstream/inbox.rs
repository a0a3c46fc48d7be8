//! What one server says outside any call, and where it goes: changed lists are read again,
//! questions about roots are answered from the entry, the rest is told to the gateway.

use super::Happening;
use super::link::{Ask, Inbox};
use super::message::{Answer, code, quote};
use super::supervisor::Upstream;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A burst of change notifications costs one re-read.
const COALESCE: Duration = Duration::from_millis(20);

/// The inbox of one connection.
pub struct ServerInbox {
    /// Weak: a connection must not keep a removed server alive.
    upstream: Weak<Upstream>,
    /// The only client of the connection, for servers that are not shared.
    session: Option<u64>,
}

impl ServerInbox {
    pub fn new(upstream: &Arc<Upstream>, session: Option<u64>) -> Self {
        Self { upstream: Arc::downgrade(upstream), session }
    }
}

impl Inbox for ServerInbox {
    fn notification(&self, method: &str, params: &str) {
        let Some(upstream) = self.upstream.upgrade() else { return };
        match method {
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed" => {
                let session = self.session.unwrap_or(0);
                tokio::spawn(async move {
                    tokio::time::sleep(COALESCE).await;
                    if let Some(running) = upstream.running(session) {
                        let _ = upstream.fetch(&running).await;
                    }
                });
            }
            "notifications/cancelled" => {}
            "notifications/subscriptions/acknowledged" => upstream.listens(),
            _ => upstream.shared().happened(Happening::Notification {
                server: upstream.id().into(),
                session: self.session,
                method: method.into(),
                params: params.into(),
            }),
        }
    }

    fn ask(&self, ask: Ask) {
        let Some(upstream) = self.upstream.upgrade() else { return };
        match (ask.method.as_str(), self.session) {
            ("ping", _) => _ = ask.reply.send(Answer::result("{}")),
            (_, Some(session)) => {
                let server = upstream.id().into();
                upstream.shared().happened(Happening::Ask { server, session, ask });
            }
            ("roots/list", None) => _ = ask.reply.send(Answer::result(roots(&upstream.entry.roots))),
            (method, None) => {
                let message = format!(
                    "`{method}` cannot be passed on: several clients or none are using this shared server; \
                     try again, or set its sharing to per-client"
                );
                let _ = ask.reply.send(Answer::error(code::METHOD_NOT_FOUND, &message));
            }
        }
    }

    fn asks(&self, method: &str) {
        // Roots of a shared server stand in its entry, so none of its clients has to wait for another. Many servers
        // ask for them once after their start, and nothing else ever.
        if let Some(upstream) = self.upstream.upgrade().filter(|_| method != "roots/list") {
            upstream.asks();
        }
    }
}

/// The result of `roots/list` for directories or URIs of an entry.
fn roots(directories: &[String]) -> String {
    let uri = |directory: &String| match directory.contains("://") {
        true => directory.clone(),
        false => format!("file://{}", directory.replace(' ', "%20")),
    };
    let roots: Vec<String> =
        directories.iter().map(|dir| format!(r#"{{"uri":{}}}"#, quote(&uri(dir)))).collect();
    format!(r#"{{"roots":[{}]}}"#, roots.join(","))
}
