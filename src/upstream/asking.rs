//! Threads for what may wait for a program or a file of the user before a server can start: one that hangs keeps a thread of
//! its own, never one that others work on. Rules: so many at once and no more, fewer for one server, and whoever has waited
//! too long for a turn is told so.

use crate::error::{Error, Result, codes};
use crate::sealing::program::DEADLINE;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Threads at once, and those of them that one server may have.
const MOST: usize = 32;
const EACH: usize = 4;
const STACK: usize = 2 << 20;

/// See the head of the file.
pub struct Asking {
    all: Arc<Semaphore>,
    /// By id of the server.
    each: Mutex<HashMap<String, Arc<Semaphore>>>,
    patience: Duration,
}

impl Default for Asking {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(MOST)), each: Mutex::default(), patience: DEADLINE }
    }
}

impl Asking {
    /// Does a server's work on a thread of its own.
    ///
    /// # Errors
    /// `SECRET_SOURCE` when it had no turn in time.
    pub async fn aside<T: Send + 'static>(
        &self,
        server: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let turn = tokio::time::timeout(self.patience, self.turn(server)).await.map_err(|_| {
            let message = "too many programs and files that were asked for secrets have not answered";
            Error::new(&codes::SECRET_SOURCE, message)
                .because(format!("no turn within {} s", self.patience.as_secs()))
        })?;
        let (done, end) = oneshot::channel();
        // Accounts are asked for their tokens from there.
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new().name("secrets".into()).stack_size(STACK).spawn(move || {
            let _runtime = runtime.enter();
            let value = work();
            drop(turn);
            // Nobody waits any more: the call has ended.
            let _ = done.send(value);
        });
        thread.map_err(|error| Error::bug("no thread for a secret").because(error))?;
        end.await.map_err(|_| Error::bug("resolving a server's values did not end"))
    }

    async fn turn(&self, server: &str) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let own = {
            let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
            each.retain(|_, own| Arc::strong_count(own) > 1);
            each.entry(server.into()).or_insert_with(|| Arc::new(Semaphore::new(EACH))).clone()
        };
        let own = own.acquire_owned().await.ok()?;
        Some((own, self.all.clone().acquire_owned().await.ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_server_whose_program_hangs_leaves_room_for_others() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asking = Asking { patience: Duration::from_millis(50), ..Asking::default() };
        runtime.block_on(async {
            let mut holders = Vec::new();
            let hang = |server: &'static str, holders: &mut Vec<mpsc::Sender<()>>| {
                let (hold, held) = mpsc::channel::<()>();
                holders.push(hold);
                asking.aside(server, move || held.recv().is_ok())
            };
            let stuck: Vec<_> = (0..EACH).map(|_| hang("stuck", &mut holders)).collect();
            let mut stuck = futures_util::future::join_all(stuck);
            let meanwhile = async {
                let refused = asking.aside("stuck", || 1).await.unwrap_err();
                assert!(refused.is(&codes::SECRET_SOURCE), "{refused}");
                asking.aside("other", || 2).await.unwrap()
            };
            let other = tokio::select! {
                biased;
                _ = &mut stuck => 0,
                other = meanwhile => other,
            };
            assert_eq!(other, 2);
            holders.clear();
            assert!(stuck.await.into_iter().all(|it| it.is_ok()));
            assert_eq!(asking.aside("stuck", || 3).await.unwrap(), 3);
        });
    }
}
