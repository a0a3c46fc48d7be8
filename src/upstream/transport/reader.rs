//! An HTTP response that is an event stream, read event by event.
//! It opens nothing and opens nothing again.

use super::client;
use super::events::{Event, Events};
use crate::error::Result;
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::Incoming;
use std::time::Duration;

/// How long and how far the rest of a stream is read, to keep its connection.
const DRAIN: (Duration, usize) = (Duration::from_secs(1), 64 << 10);

/// The body and what was read of it.
pub struct Reader {
    body: Incoming,
    pub events: Events,
}

impl Reader {
    /// Reads `body`; `events` may hold what an earlier stream left.
    pub fn new(body: Incoming, events: Events) -> Self {
        Self { body, events }
    }

    /// The next event, `None` at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.events.next_event()? {
                return Ok(Some(event));
            }
            match client::next_piece(&mut self.body).await? {
                Some(piece) => self.events.push(&piece),
                None => return Ok(None),
            }
        }
    }

    /// The next message; events of other kinds and empty ones are passed over.
    pub async fn message(&mut self) -> Result<Option<Bytes>> {
        while let Some(event) = self.next().await? {
            if event.is_message() {
                return Ok(Some(event.data));
            }
        }
        Ok(None)
    }

    /// Reads to the end if that is near, so that the connection serves the next request.
    pub fn finish(mut self) {
        if let Some(Ok(None)) = client::next_piece(&mut self.body).now_or_never() {
            return;
        }
        tokio::spawn(async move {
            let drain = async {
                let mut left = DRAIN.1;
                while let Ok(Some(piece)) = client::next_piece(&mut self.body).await {
                    let Some(rest) = left.checked_sub(piece.len()) else { return };
                    left = rest;
                }
            };
            let _ = tokio::time::timeout(DRAIN.0, drain).await;
        });
    }

    /// What the next stream must know of this one.
    pub fn into_events(self) -> Events {
        self.events.resumed()
    }
}
