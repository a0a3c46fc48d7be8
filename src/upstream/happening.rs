//! What happens in the running world, as it is told to whoever listens. Plain data.

use super::link::Ask;
use crate::engine::live::State;

/// What the world tells whoever listens (the gateway). Handlers return at once.
pub enum Happening {
    /// Something clients list has changed: servers, tools, prompts, resources or their names.
    ListChanged,
    State {
        server: String,
        state: State,
        detail: Option<String>,
    },
    /// A notification that belongs to no call. `session`: only for that client.
    Notification {
        server: String,
        session: Option<u64>,
        method: String,
        params: String,
    },
    /// A call waits for the user.
    Approval {
        id: u64,
        client: String,
        server: String,
        tool: String,
    },
    /// Something about an account that its owner should know.
    Account {
        connection: String,
        state: String,
        detail: Option<String>,
    },
    /// A question outside any call, for the one client the connection belongs to.
    Ask {
        /// Id of the server.
        server: String,
        session: u64,
        ask: Ask,
    },
}
