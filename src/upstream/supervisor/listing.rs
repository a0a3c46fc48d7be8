//! The lists of one server: read from it, remembered, stored. When they are shown is not decided here.

use super::{Running, Upstream, locked};
use crate::engine::StoreRequest;
use crate::error::Result;
use crate::tools::{self, Catalogue};
use crate::upstream::{Happening, catalogue};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

impl Upstream {
    /// What the server offers, as last seen.
    pub fn catalogue(&self) -> Option<Arc<Catalogue>> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the lists without keeping them.
    pub async fn look(&self, running: &Running) -> Result<Catalogue> {
        let now = self.shared.engine.now();
        let revision = self.entry.revision;
        let fetched =
            catalogue::fetch(&running.connection, &running.agreement, now, revision, self.bounds.start).await;
        fetched.map_err(|error| self.named(error))
    }

    /// The catalogue, asking the server when it was never listed.
    pub async fn listed(self: &Arc<Self>) -> Result<Arc<Catalogue>> {
        match self.catalogue().filter(|known| known.entry_revision == self.entry.revision) {
            Some(catalogue) => Ok(catalogue),
            None => self.list_now().await,
        }
    }

    /// Asks the server for its lists now.
    pub async fn list_now(self: &Arc<Self>) -> Result<Arc<Catalogue>> {
        let before = self.catalogue();
        let _permit = self.admit().await?;
        let running = self.connect(0).await?;
        let _fetching = self.fetching.lock().await;
        if let Some(now) =
            self.catalogue().filter(|now| before.as_ref().is_none_or(|old| !Arc::ptr_eq(old, now)))
        {
            return Ok(now);
        }
        let fetched = self.fetch_locked(&running).await;
        self.judge(fetched.as_ref().map(|_| ()));
        fetched
    }

    /// Asks the server for its lists over a running connection and keeps them.
    pub async fn fetch(self: &Arc<Self>, running: &Running) -> Result<Arc<Catalogue>> {
        let _fetching = self.fetching.lock().await;
        self.fetch_locked(running).await
    }

    async fn fetch_locked(self: &Arc<Self>, running: &Running) -> Result<Arc<Catalogue>> {
        let mut fetched = self.look(running).await?;
        fetched.transport = running.transport.map(Into::into);
        let old = self.catalogue();
        let same =
            old.as_ref().is_some_and(|old| Catalogue { fetched: old.fetched, ..fetched.clone() } == **old);
        if let (true, Some(old)) = (same, old) {
            return Ok(old);
        }
        let fetched = Arc::new(fetched);
        *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched.clone());
        let put = tools::Request::PutCatalogue {
            server: self.id().into(),
            catalogue: Box::new((*fetched).clone()),
        };
        let engine = self.shared.engine.clone();
        let stored = tokio::task::spawn_blocking(move || engine.call(StoreRequest::Tool(put)));
        self.shared.happened(Happening::ListChanged);
        if let Ok(Err(error)) = stored.await {
            locked(&self.note).last_error = Some(format!("the catalogue could not be stored: {error}"));
        }
        Ok(fetched)
    }

    pub(in crate::upstream) fn forget_catalogue(&self) {
        *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether a list should wait for this server: nothing is known of it and nobody has waited for it yet.
    pub(in crate::upstream) fn wants_listing(&self) -> bool {
        self.entry.enabled && self.catalogue().is_none() && !self.waited.load(Relaxed)
    }

    /// Lists have waited for this server; the next one does not.
    pub(in crate::upstream) fn waited_for(&self) {
        self.waited.store(true, Relaxed);
    }
}
