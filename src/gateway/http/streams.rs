//! Event streams of legacy sessions. A client that loses one opens it again with the id of the last event it has
//! (`Last-Event-ID`) and gets what it missed; what it asked for goes on meanwhile. Each event carries the number of its
//! stream and its own. Rules: the latest reader of a stream is its only one; of what was sent so much is kept and no more.

use super::body::event;
use crate::gateway::outbox::OutQueue;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// Events of a stream kept for a client that comes back, and their bytes. A larger one is sent once.
const KEPT: usize = 256;
const KEPT_BYTES: usize = 1 << 20;
/// Streams of requests at once that a session may come back to; more forget the oldest.
const MOST: usize = 32;

/// Number of the stream for messages outside any request.
pub const GENERAL: u64 = 0;

struct State {
    queue: OutQueue,
    /// The latest reader, and whether it is still there.
    reader: u64,
    attached: bool,
    /// Number of the latest event.
    latest: u64,
    kept: VecDeque<(u64, Bytes)>,
    kept_bytes: usize,
    over: bool,
}

/// One event stream.
pub struct Stream {
    number: u64,
    state: Mutex<State>,
}

impl Stream {
    fn new(number: u64, queue: OutQueue) -> Arc<Self> {
        let state = State {
            queue,
            reader: 0,
            attached: false,
            latest: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
            over: false,
        };
        Arc::new(Self { number, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_attached(&self) -> bool {
        self.state().attached
    }

    /// Reads on, after the event of that number where it is known. Ends the reader before.
    pub fn read(self: &Arc<Self>, after: Option<u64>) -> Reader {
        let mut state = self.state();
        state.reader += 1;
        state.attached = true;
        let missed = state.kept.iter().filter(|(number, _)| after.is_some_and(|after| *number > after));
        let first = missed.map(|(_, event)| event.clone()).collect();
        Reader { stream: self.clone(), number: state.reader, first }
    }
}

impl State {
    /// Numbers a message and keeps it.
    fn take(&mut self, stream: u64, line: &[u8]) -> Bytes {
        self.latest += 1;
        let event = event(Some((stream, self.latest)), line);
        if event.len() <= KEPT_BYTES {
            self.kept_bytes += event.len();
            self.kept.push_back((self.latest, event.clone()));
        }
        while self.kept.len() > KEPT || self.kept_bytes > KEPT_BYTES {
            let Some((_, oldest)) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.len();
        }
        event
    }
}

/// Who writes a stream to a client.
pub struct Reader {
    stream: Arc<Stream>,
    number: u64,
    first: VecDeque<Bytes>,
}

impl Reader {
    /// Sends a message first that was taken from the queue already.
    pub fn begin(mut self, line: Option<Bytes>) -> Self {
        if let Some(line) = line {
            let event = self.stream.state().take(self.stream.number, &line);
            self.first.push_back(event);
        }
        self
    }

    /// Tells the client first how to come back, by an event without a message.
    pub fn primed(mut self) -> Self {
        let id = format!("id: {}-{}\nretry: 1000\ndata: \n\n", self.stream.number, 0);
        self.first.push_front(id.into());
        self
    }

    /// The next event as text; `None` at the end of the stream, or of this reader.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(event) = self.first.pop_front() {
            return Poll::Ready(Some(event));
        }
        let mut state = self.stream.state();
        if state.over || state.reader != self.number {
            return Poll::Ready(None);
        }
        state.queue.poll_recv(cx).map(|line| match line.filter(|line| !line.is_empty()) {
            Some(line) => Some(state.take(self.stream.number, &line)),
            None => {
                state.over = true;
                None
            }
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.stream.state();
        if state.reader == self.number {
            state.attached = false;
        }
    }
}

/// The streams of one session.
pub struct Streams(Mutex<(u64, BTreeMap<u64, Arc<Stream>>)>);

impl Streams {
    /// With the stream for messages outside any request.
    pub fn new(general: OutQueue) -> Self {
        Self(Mutex::new((GENERAL, BTreeMap::from([(GENERAL, Stream::new(GENERAL, general))]))))
    }

    fn all(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Arc<Stream>>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream for one request, and its number.
    pub fn open(&self, queue: OutQueue) -> (u64, Arc<Stream>) {
        let (latest, streams) = &mut *self.all();
        *latest += 1;
        let stream = Stream::new(*latest, queue);
        streams.insert(*latest, stream.clone());
        if streams.len() > MOST + 1
            && let Some(oldest) = streams.keys().copied().find(|number| *number != GENERAL)
        {
            streams.remove(&oldest);
        }
        (*latest, stream)
    }

    pub fn get(&self, number: u64) -> Option<Arc<Stream>> {
        self.all().1.get(&number).cloned()
    }

    /// The stream of an event's id, and the event's number.
    pub fn of_event(&self, id: &str) -> Option<(Arc<Stream>, u64)> {
        let (stream, event) = id.split_once('-')?;
        Some((self.get(stream.parse().ok()?)?, event.parse().ok()?))
    }

    /// Nobody comes back to it any more.
    pub fn forget(&self, number: u64) {
        self.all().1.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::outbox::Outbox;

    fn next(reader: &mut Reader) -> Option<String> {
        match reader.poll_next(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(event) => event.map(|event| String::from_utf8(event.to_vec()).unwrap()),
            Poll::Pending => Some("nothing yet".into()),
        }
    }

    #[test]
    fn a_client_that_comes_back_gets_what_it_missed() {
        let streams = Streams::new(Outbox::new().1);
        let (outbox, queue) = Outbox::new();
        let (number, stream) = streams.open(queue);
        let mut first = stream.read(None).begin(Some("a\n".into())).primed();
        outbox.send(b"b\n".into());
        outbox.send(b"c\n".into());
        assert_eq!(next(&mut first).unwrap(), "id: 1-0\nretry: 1000\ndata: \n\n");
        assert_eq!(next(&mut first).unwrap(), "id: 1-1\nevent: message\ndata: a\n\n");
        assert_eq!(next(&mut first).unwrap(), "id: 1-2\nevent: message\ndata: b\n\n");
        let (again, event) = streams.of_event("1-1").unwrap();
        let mut second = again.read(Some(event));
        assert_eq!(next(&mut first), None, "the latest reader is the only one");
        drop(first);
        assert!(stream.is_attached());
        for text in ["1-2\nevent: message\ndata: b", "1-3\nevent: message\ndata: c"] {
            assert_eq!(next(&mut second).unwrap(), format!("id: {text}\n\n"));
        }
        assert_eq!(next(&mut second).unwrap(), "nothing yet");
        outbox.end();
        assert_eq!(next(&mut second), None);
        drop(second);
        assert!(!stream.is_attached());
        assert_eq!(next(&mut stream.read(Some(2))).unwrap(), "id: 1-3\nevent: message\ndata: c\n\n");
        streams.forget(number);
        for id in ["1-1", "7-0", "x", "0", "0-"] {
            assert!(streams.of_event(id).is_none(), "{id}");
        }
        assert!(streams.of_event("0-0").is_some());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let streams = Streams::new(Outbox::new().1);
        let (outbox, queue) = Outbox::new();
        let (_, stream) = streams.open(queue);
        let mut reader = stream.read(None);
        for size in [KEPT_BYTES, KEPT_BYTES / 2, KEPT_BYTES / 3, KEPT_BYTES / 3] {
            outbox.send(vec![b'x'; size]);
            next(&mut reader).unwrap();
        }
        assert_eq!(stream.read(Some(0)).first.len(), 2);
        for _ in 0..2 * MOST {
            streams.open(Outbox::new().1);
        }
        assert_eq!(streams.all().1.len(), MOST + 1);
        assert!(streams.get(GENERAL).is_some() && streams.get(1).is_none());
    }
}
