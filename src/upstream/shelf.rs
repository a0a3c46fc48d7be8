//! Catalogues on their way to the disk. Servers that are listed together are stored together: a commit for each of fifty
//! would cost more than their lists.

use super::{Shared, Upstream};
use crate::engine::StoreRequest;
use crate::tools::{self, Catalogue};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What arrives so soon after a commit goes into the next one.
const BREATH: Duration = Duration::from_millis(20);

/// Closed when the catalogue is on the disk, or cannot be.
pub(super) type Stored = oneshot::Receiver<()>;

struct Waiting {
    upstream: Arc<Upstream>,
    catalogue: Box<Catalogue>,
    /// Dropped when it was stored.
    done: oneshot::Sender<()>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Somebody stores.
    busy: bool,
}

/// What waits to be stored.
#[derive(Default)]
pub struct Shelf(Mutex<Queue>);

impl Shelf {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits; nobody stores any more when that is nothing.
    fn take(&self) -> Vec<Waiting> {
        let mut queue = self.queue();
        queue.busy = !queue.waiting.is_empty();
        std::mem::take(&mut queue.waiting)
    }
}

impl Shared {
    /// Stores a catalogue beside the runtime. That it could not be stored is noted with its server.
    pub(super) fn shelve(self: &Arc<Self>, upstream: Arc<Upstream>, catalogue: Box<Catalogue>) -> Stored {
        let (done, stored) = oneshot::channel();
        let mut queue = self.shelf.queue();
        queue.waiting.push(Waiting { upstream, catalogue, done });
        if !std::mem::replace(&mut queue.busy, true) {
            tokio::spawn(store(self.clone()));
        }
        stored
    }
}

/// Stores until nothing waits.
async fn store(shared: Arc<Shared>) {
    loop {
        let batch = shared.shelf.take();
        if batch.is_empty() {
            return;
        }
        let mut catalogues = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        for Waiting { upstream, catalogue, done } in batch {
            catalogues.push((upstream.id().to_string(), catalogue));
            waiting.push((upstream, done));
        }
        let put = StoreRequest::Tool(tools::Request::PutCatalogues(catalogues));
        let engine = shared.engine.clone();
        let failed = match tokio::task::spawn_blocking(move || engine.call(put)).await {
            Ok(outcome) => outcome.err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = failed {
            let message = format!("the catalogue could not be stored: {error}");
            waiting.iter().for_each(|(upstream, _)| upstream.note_error(message.clone()));
        }
        drop(waiting);
        if !shared.shelf.queue().waiting.is_empty() {
            tokio::time::sleep(BREATH).await;
        }
    }
}
