//! Bodies of responses: one piece, or an event stream that ends its request when the client hangs up.

use super::sessions::HttpSession;
use super::streams::Reader;
use crate::gateway::outbox::OutQueue;
use bytes::{BufMut, Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// A comment keeps quiet streams open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Body of a response.
pub enum Body {
    Full(Option<Bytes>),
    /// Events of one request; dropping the queue tells the request's task.
    Events(Events),
    /// Events of a legacy session, which the client may come back for.
    Kept(Kept),
}

/// The stream of one request, up to its answer.
pub struct Events {
    first: Option<Bytes>,
    queue: OutQueue,
    keep_alive: Interval,
}

/// A stream of a legacy session.
pub struct Kept {
    session: Arc<HttpSession>,
    reader: Reader,
    keep_alive: Interval,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.session.touch();
    }
}

impl Body {
    pub fn full(text: impl Into<Bytes>) -> Self {
        Self::Full(Some(text.into()))
    }

    /// `first` was taken from the queue already.
    pub fn events(first: Bytes, queue: OutQueue) -> Self {
        Self::Events(Events { first: Some(first), queue, keep_alive: ticks() })
    }

    pub fn kept(session: Arc<HttpSession>, reader: Reader) -> Self {
        Self::Kept(Kept { session, reader, keep_alive: ticks() })
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(KEEP_ALIVE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    ticks
}

/// One message as an event; `line` may end in a line break. `id`: the stream's number and the event's own.
pub fn event(id: Option<(u64, u64)>, line: &[u8]) -> Bytes {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut event = BytesMut::with_capacity(line.len() + 48);
    if let Some((stream, number)) = id {
        event.put_slice(format!("id: {stream}-{number}\n").as_bytes());
    }
    event.put_slice(b"event: message\ndata: ");
    event.put_slice(line);
    event.put_slice(b"\n\n");
    event.freeze()
}

type Polled = Poll<Option<Result<Frame<Bytes>, Infallible>>>;

fn kept_alive(ticks: &mut Interval, cx: &mut Context<'_>) -> Polled {
    ticks.poll_tick(cx).map(|_| Some(Ok(Frame::data(Bytes::from_static(b": open\n\n")))))
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events(events) => {
                if let Some(first) = events.first.take() {
                    return Poll::Ready(Some(Ok(Frame::data(event(None, &first)))));
                }
                match events.queue.poll_recv(cx) {
                    Poll::Ready(line) => {
                        let line = line.filter(|line| !line.is_empty());
                        Poll::Ready(line.map(|line| Ok(Frame::data(event(None, &line)))))
                    }
                    Poll::Pending => kept_alive(&mut events.keep_alive, cx),
                }
            }
            Self::Kept(kept) => match kept.reader.poll_next(cx) {
                Poll::Ready(event) => Poll::Ready(event.map(|event| Ok(Frame::data(event)))),
                Poll::Pending => kept_alive(&mut kept.keep_alive, cx),
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            _ => SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::outbox::Outbox;
    use http_body_util::BodyExt;

    #[test]
    fn the_stream_of_a_request_ends_with_its_answer_and_tells_when_it_is_dropped() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (outbox, mut queue) = Outbox::new();
            outbox.send(b"1\n".into());
            outbox.send(b"2".into());
            outbox.end();
            outbox.send(b"late".into());
            let first = queue.try_recv().unwrap();
            let sent = Body::events(first, queue).collect().await.unwrap().to_bytes();
            assert_eq!(sent, "event: message\ndata: 1\n\nevent: message\ndata: 2\n\n");
            outbox.hung_up().await;
        });
    }
}
