//! Which connection of a server carries a call: the one all share, one of a single client, one that speaks for the
//! accounts chosen for the caller. Not here: starting it.

use super::state::{Running, Slot};
use super::{Upstream, locked};
use crate::apps;
use crate::engine::{Reply, StoreRequest};
use crate::error::Result;
use crate::servers::model::Transport;
use crate::upstream::oauth::{Chosen, Need, REFERENCE, Whose};
use std::sync::Arc;

/// The key of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Seat {
    /// The only client of the connection.
    pub session: Option<u64>,
    /// The accounts it speaks for.
    pub accounts: Chosen,
}

impl Upstream {
    /// The connection for a caller.
    ///
    /// Errors: `CONNECTION_NOT_FOUND` for an account asked for by name that the server does not have.
    pub fn seat(&self, session: u64, whose: &Whose) -> Result<Seat> {
        let accounts = self.shared.accounts.choose(self.needs(), whose, self.name())?;
        Ok(Seat { session: self.place(session), accounts })
    }

    /// The connection for a session of which nothing else is known.
    pub(super) fn usual(&self, session: u64) -> Seat {
        // A store that cannot be read is told by what reads it next.
        self.seat(session, &Whose::default()).unwrap_or_default()
    }

    /// The running connection for a session, starting the server if needed.
    pub async fn connect(self: &Arc<Self>, session: u64) -> Result<Arc<Running>> {
        self.connect_at(self.seat(session, &Whose::default())?).await
    }

    /// The running connection for a session, if there is one.
    pub fn running(&self, session: u64) -> Option<Arc<Running>> {
        let seat = self.usual(session);
        match seat == Seat::default() {
            true => self.slot.current(),
            false => locked(&self.apart).get(&seat)?.current(),
        }
    }

    pub(super) fn slot_of(&self, seat: &Seat) -> Arc<Slot> {
        match *seat == Seat::default() {
            true => self.slot.clone(),
            false => locked(&self.apart).entry(seat.clone()).or_default().clone(),
        }
    }

    /// What this server needs accounts for.
    fn needs(&self) -> &[Need] {
        if let Some(needs) = self.needs.get() {
            return needs;
        }
        let referred = |values: Vec<&String>| -> Vec<Need> {
            let names = values.into_iter().filter_map(|value| value.strip_prefix(REFERENCE));
            names.map(|name| Need::Named(name.into())).collect()
        };
        let entry = &self.entry;
        let mut needs = referred(entry.env.values().chain(entry.headers.values()).collect());
        match &entry.transport {
            Transport::App { name } => match self.integration(name) {
                Ok(integration) => needs.extend(integration.map(Need::Named)),
                // Asked again at the next call.
                Err(_) => return &[],
            },
            Transport::Stdio { .. } | Transport::Builtin { .. } => {}
            _ if referred(entry.headers.values().collect()).is_empty() => {
                needs.push(Need::Server(self.account_id().into()));
            }
            _ => {}
        }
        self.needs.get_or_init(|| needs)
    }

    /// The service whose account an app needs.
    fn integration(&self, app: &str) -> Result<Option<String>> {
        match self.shared.engine.call(StoreRequest::App(apps::Request::Show { name: app.into() }))? {
            Reply::App(apps::Reply::App(app)) => Ok(app.integration),
            other => crate::engine::unexpected(&other),
        }
    }
}
