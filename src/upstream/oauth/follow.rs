//! How the running world follows its accounts: what becomes of them is told, and servers are taken up again.

use super::Told;
use crate::upstream::{Happening, World};
use std::sync::Arc;

impl World {
    /// Accounts tell what becomes of them, and a server whose account is new or gone is taken up again.
    pub(in crate::upstream) fn follow_accounts(self: &Arc<Self>) {
        let shared = Arc::downgrade(&self.shared);
        let teller = move |told: Told<'_>| {
            let Some(shared) = shared.upgrade() else { return };
            shared.happened(Happening::Account {
                connection: told.connection.into(),
                state: told.state.into(),
                detail: told.detail.map(Into::into),
            });
        };
        let world = Arc::downgrade(self);
        let entered = move |id: &str| {
            let Some(upstream) = world.upgrade().and_then(|world| world.by_id(id)) else { return };
            tokio::spawn(async move { upstream.take_up().await });
        };
        self.shared.accounts.listen(Box::new(teller), Box::new(entered));
    }
}
