//! Catalogues on their way to the disk. Servers that are listed together are stored together: a commit for each of fifty
//! would cost more than their lists.

use super::{Shared, Upstream};
use crate::engine::StoreRequest;
use crate::tools::{self, Catalogue};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What arrives so soon after a commit goes into the next one.
const BREATH: Duration = Duration::from_millis(50);

/// Tells when a catalogue is on the disk, or cannot be.
pub(super) struct Stored {
    number: u64,
    done: watch::Receiver<u64>,
}

impl Stored {
    pub async fn wait(mut self) {
        // Whoever stores has gone with the whole world.
        let _ = self.done.wait_for(|done| *done >= self.number).await;
    }
}

struct Waiting {
    upstream: Arc<Upstream>,
    catalogue: Box<Catalogue>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Somebody stores.
    busy: bool,
    /// How many came so far.
    number: u64,
}

/// What waits to be stored.
#[derive(Default)]
pub struct Shelf {
    queue: Mutex<Queue>,
    /// How many of those that came are done with.
    done: watch::Sender<u64>,
}

impl Shelf {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits; nobody stores any more when that is nothing.
    fn take(&self) -> (Vec<Waiting>, u64) {
        let mut queue = self.queue();
        queue.busy = !queue.waiting.is_empty();
        (std::mem::take(&mut queue.waiting), queue.number)
    }

    /// Tells when all that came so far is stored.
    pub(super) fn all(&self) -> Stored {
        Stored { number: self.queue().number, done: self.done.subscribe() }
    }
}

impl Shared {
    /// Stores a catalogue beside the runtime. That it could not be stored is noted with its server.
    pub(super) fn shelve(self: &Arc<Self>, upstream: Arc<Upstream>, catalogue: Box<Catalogue>) -> Stored {
        let mut queue = self.shelf.queue();
        queue.number += 1;
        queue.waiting.push(Waiting { upstream, catalogue });
        if !std::mem::replace(&mut queue.busy, true) {
            tokio::spawn(store(self.clone()));
        }
        Stored { number: queue.number, done: self.shelf.done.subscribe() }
    }
}

/// Stores until nothing waits.
async fn store(shared: Arc<Shared>) {
    loop {
        let (batch, number) = shared.shelf.take();
        if batch.is_empty() {
            return;
        }
        let mut catalogues = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        for Waiting { upstream, catalogue } in batch {
            catalogues.push((upstream.id().to_string(), catalogue));
            waiting.push(upstream);
        }
        let put = StoreRequest::Tool(tools::Request::PutCatalogues(catalogues));
        let engine = shared.engine.clone();
        let failed = match tokio::task::spawn_blocking(move || engine.call(put)).await {
            Ok(outcome) => outcome.err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = failed {
            let message = format!("the catalogue could not be stored: {error}");
            waiting.iter().for_each(|upstream| upstream.note_error(message.clone()));
        }
        shared.shelf.done.send_replace(number);
        if !shared.shelf.queue().waiting.is_empty() {
            tokio::time::sleep(BREATH).await;
        }
    }
}
