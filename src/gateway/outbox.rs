//! Messages on their way to one client, bounded in bytes: a client that never reads loses notifications first
//! and its session in the end, never the daemon's memory.

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::Notify;

/// Above this, notifications are dropped.
const SOFT: usize = 8 << 20;
/// Above this, the client has stopped reading.
const HARD: usize = 64 << 20;

/// What both sides share. Every request over HTTP has one and nearly none puts anything in, so an empty one is one
/// allocation; the channels of tokio take their first block of places when they are made.
#[derive(Default)]
struct Channel {
    lines: Mutex<Lines>,
    bytes: AtomicUsize,
    arrived: AtomicWaker,
    stuck: Flag,
    gone: Flag,
}

#[derive(Default)]
struct Lines {
    waiting: VecDeque<Bytes>,
    /// The sending side is no more.
    ended: bool,
}

/// Something that becomes true once.
#[derive(Default)]
struct Flag {
    up: AtomicBool,
    raised: Notify,
}

impl Flag {
    fn raise(&self) {
        self.up.store(true, Relaxed);
        self.raised.notify_waiters();
    }

    async fn wait(&self) {
        let raised = self.raised.notified();
        if !self.up.load(Relaxed) {
            raised.await;
        }
    }
}

impl Channel {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: Bytes) {
        self.lines().waiting.push_back(line);
        self.arrived.wake();
    }
}

/// The sending side; those who send share it.
pub struct Outbox(Arc<Channel>);

/// The side that writes to the client.
pub struct OutQueue(Arc<Channel>);

impl Drop for Outbox {
    fn drop(&mut self) {
        self.0.lines().ended = true;
        self.0.arrived.wake();
    }
}

impl Drop for OutQueue {
    fn drop(&mut self) {
        self.0.gone.raise();
        self.0.lines().waiting = VecDeque::new();
    }
}

impl Outbox {
    pub fn new() -> (Arc<Self>, OutQueue) {
        let channel = Arc::<Channel>::default();
        (Arc::new(Self(channel.clone())), OutQueue(channel))
    }

    /// Queues a message that must arrive. `line` ends in a line break.
    pub fn send(&self, line: Vec<u8>) {
        if self.0.gone.up.load(Relaxed) {
            return;
        }
        let queued = self.0.bytes.fetch_add(line.len(), Relaxed) + line.len();
        if queued > HARD {
            self.0.bytes.fetch_sub(line.len(), Relaxed);
            self.0.stuck.raise();
            return;
        }
        self.0.push(line.into());
    }

    /// Queues a notification, which may be dropped when the client does not keep up.
    pub fn notify(&self, line: Vec<u8>) {
        if self.0.bytes.load(Relaxed) < SOFT {
            self.send(line);
        }
    }

    /// Ends a stream of one request, after what waits.
    pub fn end(&self) {
        self.0.push(Bytes::new());
    }

    /// Waits until nobody takes messages any more: the client hung up.
    pub async fn hung_up(&self) {
        self.0.gone.wait().await;
    }

    /// Waits until the client is given up as stuck.
    pub async fn stuck(&self) {
        self.0.stuck.wait().await;
    }
}

impl OutQueue {
    /// The next message; `None` when nobody sends any more and all were taken.
    pub async fn recv(&mut self) -> Option<Bytes> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    pub fn try_recv(&mut self) -> Option<Bytes> {
        self.take().ok()
    }

    /// For `poll` functions; otherwise as `recv`. An empty message is the end that `Outbox::end` says.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Ok(line) = self.take() {
            return Poll::Ready(Some(line));
        }
        self.0.arrived.register(cx.waker());
        // It may have come before the waker was there.
        match self.take() {
            Ok(line) => Poll::Ready(Some(line)),
            Err(true) => Poll::Ready(None),
            Err(false) => Poll::Pending,
        }
    }

    /// What waits first; without one, whether nothing will come any more.
    fn take(&self) -> Result<Bytes, bool> {
        let mut lines = self.0.lines();
        let line = lines.waiting.pop_front().ok_or(lines.ended)?;
        drop(lines);
        self.0.bytes.fetch_sub(line.len(), Relaxed);
        Ok(line)
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
        assert!(outbox.0.stuck.up.load(Relaxed));
    }

    #[test]
    fn each_side_learns_that_the_other_is_gone() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (outbox, mut queue) = Outbox::new();
            outbox.send(b"a\n".to_vec());
            let reader = tokio::spawn(async move {
                let mut seen = Vec::new();
                while let Some(line) = queue.recv().await {
                    seen.push(line);
                }
                seen
            });
            tokio::task::yield_now().await;
            outbox.send(b"b\n".to_vec());
            drop(outbox);
            assert_eq!(reader.await.unwrap(), ["a\n", "b\n"]);

            let (outbox, queue) = Outbox::new();
            let waiting = outbox.clone();
            let waiting = tokio::spawn(async move { waiting.hung_up().await });
            tokio::task::yield_now().await;
            drop(queue);
            waiting.await.unwrap();
            outbox.hung_up().await;
            outbox.send(vec![0; 10]);
            assert_eq!(outbox.0.bytes.load(Relaxed), 0);
        });
    }
}
