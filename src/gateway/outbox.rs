//! Messages on their way to one client, bounded in bytes: a client that never reads loses notifications first
//! and its session in the end, never the daemon's memory.

use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use tokio::sync::{Notify, mpsc};

/// Above this, notifications are dropped.
const SOFT: usize = 8 << 20;
/// Above this, the client has stopped reading.
const HARD: usize = 64 << 20;

/// The sending side; clones share it.
pub struct Outbox {
    queue: mpsc::UnboundedSender<Bytes>,
    bytes: Arc<AtomicUsize>,
    stuck: AtomicBool,
    stuck_now: Notify,
}

/// The side that writes to the client.
pub struct OutQueue {
    queue: mpsc::UnboundedReceiver<Bytes>,
    bytes: Arc<AtomicUsize>,
}

impl Outbox {
    pub fn new() -> (Arc<Self>, OutQueue) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let bytes = Arc::new(AtomicUsize::new(0));
        let outbox = Self {
            queue: sender,
            bytes: bytes.clone(),
            stuck: AtomicBool::new(false),
            stuck_now: Notify::new(),
        };
        (Arc::new(outbox), OutQueue { queue: receiver, bytes })
    }

    /// Queues a message that must arrive. `line` ends in a line break.
    pub fn send(&self, line: Vec<u8>) {
        let queued = self.bytes.fetch_add(line.len(), Relaxed) + line.len();
        if queued > HARD {
            self.bytes.fetch_sub(line.len(), Relaxed);
            self.stuck.store(true, Relaxed);
            self.stuck_now.notify_waiters();
            return;
        }
        let _ = self.queue.send(line.into());
    }

    /// Queues a notification, which may be dropped when the client does not keep up.
    pub fn notify(&self, line: Vec<u8>) {
        if self.bytes.load(Relaxed) < SOFT {
            self.send(line);
        }
    }

    /// Ends a stream of one request, after what waits.
    pub fn end(&self) {
        let _ = self.queue.send(Bytes::new());
    }

    /// Waits until nobody takes messages any more: the client hung up.
    pub async fn hung_up(&self) {
        self.queue.closed().await;
    }

    /// Waits until the client is given up as stuck.
    pub async fn stuck(&self) {
        loop {
            let notified = self.stuck_now.notified();
            if self.stuck.load(Relaxed) {
                return;
            }
            notified.await;
        }
    }
}

impl OutQueue {
    pub async fn recv(&mut self) -> Option<Bytes> {
        let line = self.queue.recv().await?;
        self.bytes.fetch_sub(line.len(), Relaxed);
        Some(line)
    }

    pub fn try_recv(&mut self) -> Option<Bytes> {
        let line = self.queue.try_recv().ok()?;
        self.bytes.fetch_sub(line.len(), Relaxed);
        Some(line)
    }

    /// For `poll` functions; otherwise as `recv`. An empty message is the end that `Outbox::end` says.
    pub fn poll_recv(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> {
        self.queue.poll_recv(cx).map(|line| {
            let line = line?;
            self.bytes.fetch_sub(line.len(), Relaxed);
            Some(line)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_not_read_loses_notifications_and_then_its_session() {
        let (outbox, mut queue) = Outbox::new();
        outbox.send(vec![0; SOFT]);
        outbox.notify(vec![0; 10]);
        assert_eq!(queue.try_recv().map(|line| line.len()), Some(SOFT));
        assert!(queue.try_recv().is_none());
        for _ in 0..9 {
            outbox.send(vec![0; SOFT]);
        }
        assert!(outbox.stuck.load(Relaxed));
    }
}
