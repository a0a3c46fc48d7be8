//! The lists of one server: read from it, remembered, stored. When they are shown is not decided here.

use super::{Running, Upstream, locked};
use crate::error::{Error, Result, codes};
use crate::tools::Catalogue;
use crate::upstream::shelf::Stored;
use crate::upstream::{Happening, catalogue};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

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
            // A client waits for this: it need not wait for the disk too.
            None => Ok(self.list().await?.0),
        }
    }

    /// Asks the server for its lists over its running connection, made where there is none.
    pub async fn list_anew(self: &Arc<Self>) -> Result<Arc<Catalogue>> {
        let running = self.connect(0).await?;
        self.fetch(&running).await
    }

    /// The same, but waits no longer than `patience`: the listing goes on behind, and the server is noted as late.
    pub async fn list_within(self: &Arc<Self>, patience: Duration) -> Result<Arc<Catalogue>> {
        let listing = tokio::spawn({
            let upstream = self.clone();
            async move { upstream.list_anew().await }
        });
        match tokio::time::timeout(patience, listing).await {
            Ok(listed) => listed.map_err(|error| Error::bug("a listing did not end").because(error))?,
            Err(_) => {
                let (name, waited) = (self.name(), patience.as_secs_f64());
                let message = format!("server `{name}` has not listed its tools within {waited} s");
                locked(&self.note).last_error = Some(message.clone());
                Err(Error::new(&codes::UPSTREAM_TIMEOUT, message).hint(format!("umcp server logs {name}")))
            }
        }
    }

    async fn list(self: &Arc<Self>) -> Result<(Arc<Catalogue>, Stored)> {
        let before = self.catalogue();
        let _permit = self.admit().await?;
        let running = self.connect(0).await?;
        let _fetching = self.fetching.lock().await;
        if let Some(now) =
            self.catalogue().filter(|now| before.as_ref().is_none_or(|old| !Arc::ptr_eq(old, now)))
        {
            return Ok((now, self.shared.shelf.all()));
        }
        let fetched = self.fetch_locked(&running).await;
        self.judge(fetched.as_ref().map(|_| ()));
        fetched
    }

    /// Asks the server for its lists over a running connection and keeps them.
    pub async fn fetch(self: &Arc<Self>, running: &Running) -> Result<Arc<Catalogue>> {
        let _fetching = self.fetching.lock().await;
        let (catalogue, storing) = self.fetch_locked(running).await?;
        storing.wait().await;
        Ok(catalogue)
    }

    async fn fetch_locked(self: &Arc<Self>, running: &Running) -> Result<(Arc<Catalogue>, Stored)> {
        let mut fetched = self.look(running).await?;
        // The entry was changed or removed meanwhile: another one is listed in its place, or none.
        if self.retired.load(Relaxed) {
            return Err(self.gone());
        }
        fetched.transport = running.transport.map(Into::into);
        Ok(self.keep_locked(fetched))
    }

    /// Keeps lists that were read over a connection of somebody else; they are stored when this returns.
    pub async fn keep(self: &Arc<Self>, catalogue: Catalogue) {
        if self.is_retired() || catalogue.entry_revision != self.entry.revision {
            return;
        }
        let _fetching = self.fetching.lock().await;
        let (_, storing) = self.keep_locked(catalogue);
        storing.wait().await;
    }

    fn keep_locked(self: &Arc<Self>, fetched: Catalogue) -> (Arc<Catalogue>, Stored) {
        let old = self.catalogue();
        let same =
            old.as_ref().is_some_and(|old| Catalogue { fetched: old.fetched, ..fetched.clone() } == **old);
        if let (true, Some(old)) = (same, old) {
            // Whoever read the same a moment ago may still be storing it.
            return (old, self.shared.shelf.all());
        }
        let fetched = Arc::new(fetched);
        *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched.clone());
        let storing = self.shared.shelve(self.clone(), Box::new(Catalogue::clone(&fetched)));
        self.shared.happened(Happening::ListChanged);
        (fetched, storing)
    }

    /// Notes what went wrong beside any call.
    pub(in crate::upstream) fn note_error(&self, message: String) {
        locked(&self.note).last_error = Some(message);
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
