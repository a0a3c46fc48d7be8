//! A connection to a server, whatever carries it, and what was agreed on it.
//! One type for the layers above, so that nobody asks which transport it is.

use super::link::{Counters, Link, Outgoing};
use super::message::Answer;
use super::transport::http::HttpLink;
use crate::error::{Error, Result};
use crate::tools::Era;
use std::sync::Arc;

/// Where messages go.
#[derive(Clone)]
pub enum Connection {
    /// Lines over pipes, a socket, WebSocket or legacy SSE.
    Stream(Arc<Link>),
    /// Streamable HTTP: one exchange for each request.
    Http(Arc<HttpLink>),
}

/// What the handshake agreed on.
#[derive(Debug, Clone)]
pub struct Agreement {
    pub era: Era,
    /// Such as `2025-11-25`.
    pub revision: String,
    /// JSON text.
    pub server_info: String,
    /// JSON text.
    pub capabilities: String,
    pub instructions: Option<String>,
}

impl Agreement {
    /// Whether the server declared a capability, such as `tools` or `resources.subscribe`.
    pub fn has(&self, path: &str) -> bool {
        let capabilities: serde_json::Value = serde_json::from_str(&self.capabilities).unwrap_or_default();
        let mut value = &capabilities;
        for key in path.split('.') {
            match value.get(key) {
                Some(inner) => value = inner,
                None => return false,
            }
        }
        *value != serde_json::Value::Bool(false)
    }
}

impl Connection {
    pub fn next_id(&self) -> u64 {
        match self {
            Self::Stream(link) => link.next_id(),
            Self::Http(link) => link.next_id(),
        }
    }

    /// Sends a request and waits for its answer. Dropping the future cancels the request at the server.
    pub async fn request(&self, outgoing: Outgoing<'_>) -> Result<Answer> {
        match self {
            Self::Stream(link) => link.request(outgoing).await,
            // Its state is a dozen times that of the other kind, and would be part of every call's.
            Self::Http(link) => Box::pin(link.request(outgoing)).await,
        }
    }

    pub fn notify(&self, method: &str, params: &str) {
        match self {
            Self::Stream(link) => link.notify(method, params),
            Self::Http(link) => link.notify(method, params),
        }
    }

    /// Tells the transport what was agreed; HTTP sends it in headers from now on.
    pub fn agreed(&self, era: Era, revision: &str) {
        if let Self::Http(link) = self {
            link.agreed(era, revision);
        }
    }

    pub fn close(&self, error: Error) {
        match self {
            Self::Stream(link) => link.close(error),
            Self::Http(link) => link.close(error),
        }
    }

    pub fn is_closed(&self) -> bool {
        match self {
            Self::Stream(link) => link.is_closed(),
            Self::Http(link) => link.is_closed(),
        }
    }

    /// Waits until the connection is gone and tells why.
    pub async fn closed(&self) -> Error {
        match self {
            Self::Stream(link) => link.closed().await,
            Self::Http(link) => link.closed().await,
        }
    }

    pub fn in_flight(&self) -> usize {
        match self {
            Self::Stream(link) => link.in_flight(),
            Self::Http(link) => link.in_flight(),
        }
    }

    pub fn counters(&self) -> &Counters {
        match self {
            Self::Stream(link) => &link.counters,
            Self::Http(link) => &link.counters,
        }
    }
}
