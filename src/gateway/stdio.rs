//! MCP over a stream of lines: what a stdio bridge brings, and what a test puts in.

use super::Gateway;
use super::handler::Incoming;
use super::outbox::{OutQueue, Outbox};
use super::session::{Arrival, Session};
use crate::error::Result;
use crate::upstream::link::MAX_LINE;
use crate::upstream::message::{Answer, Envelope, code};
use bytes::{Bytes, BytesMut};
use futures_util::future::{AbortHandle, Abortable};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Time for answers already made to reach a client that has closed its end.
const FAREWELL: Duration = Duration::from_secs(5);
/// Joined into one write up to this size.
const JOIN: usize = 32 << 10;

impl Gateway {
    /// Serves one client until its stream ends. `first` is what was read of the stream already.
    pub async fn serve_stream(
        self: &Arc<Self>,
        reader: impl AsyncRead + Unpin + Send + 'static,
        writer: impl AsyncWrite + Unpin + Send + 'static,
        first: &[u8],
        arrival: Arrival,
    ) -> Result<()> {
        let (outbox, queue) = Outbox::new();
        let session = self.arrive(arrival, outbox.clone())?;
        let mut writing = tokio::spawn(write(queue, writer));
        let _leaving = Leaving { gateway: self.clone(), session: session.clone() };
        tokio::select! {
            () = self.read(reader, first, &session) => {}
            () = outbox.stuck() => {}
        }
        // Answers already made still go out; calls still running are cancelled by `leave`.
        drop(_leaving);
        drop(session);
        drop(outbox);
        if tokio::time::timeout(FAREWELL, &mut writing).await.is_err() {
            // The client does not read; what waits for it is given up with its connection.
            writing.abort();
        }
        Ok(())
    }

    async fn read(
        self: &Arc<Self>,
        mut reader: impl AsyncRead + Unpin,
        first: &[u8],
        session: &Arc<Session>,
    ) {
        let mut buffer = BytesMut::with_capacity(8 << 10);
        buffer.extend_from_slice(first);
        let mut scanned = 0;
        loop {
            while let Some(at) = memchr::memchr(b'\n', &buffer[scanned..]) {
                let line = buffer.split_to(scanned + at + 1).freeze();
                scanned = 0;
                self.line(line, session);
            }
            scanned = buffer.len();
            if scanned > MAX_LINE {
                let answer = Answer::error(code::INVALID_REQUEST, "the message is above 16 MiB");
                session.outbox.send(with_break(answer.line("null")));
                return;
            }
            if buffer.capacity() - buffer.len() < 4 << 10 {
                buffer.reserve(buffer.len().clamp(8 << 10, 1 << 20));
            }
            match reader.read_buf(&mut buffer).await {
                Ok(read) if read > 0 => {}
                _ => return,
            }
        }
    }

    fn line(self: &Arc<Self>, line: Bytes, session: &Arc<Session>) {
        let text = line.trim_ascii();
        if text.is_empty() {
            return;
        }
        if text.first() == Some(&b'[') {
            // Batches existed in 2025-03-26 only; each message is answered by itself.
            if let Ok(batch) = serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(text) {
                // A batch holds messages, never batches: so nothing nests.
                for one in batch.iter().filter(|one| one.get().starts_with('{')) {
                    self.line(line.slice_ref(one.get().as_bytes()), session);
                }
                return;
            }
        }
        let envelope = match Envelope::parse(text) {
            Ok(envelope) => envelope,
            Err(error) => {
                let answer = Answer::error(code::PARSE, &format!("invalid JSON: {error}"));
                session.outbox.send(with_break(answer.line("null")));
                return;
            }
        };
        match (&envelope.method, envelope.id) {
            (Some(method), None) => self.notified_by_client(session, method, envelope.params_text()),
            (Some(method), Some(id)) => {
                let id = id.get().to_string();
                let (abort, registration) = AbortHandle::new_pair();
                session.started(&id, abort);
                let (gateway, session) = (self.clone(), session.clone());
                let method = method.to_string();
                let params = envelope.params.map(|params| line.slice_ref(params.get().as_bytes()));
                // A cancelled request is not answered. Boxed, because a task's future is moved three times in its
                // life, and this one is several KiB.
                let request = Box::pin(async move { gateway.request(&method, params, &id, session).await });
                tokio::spawn(Abortable::new(request, registration));
            }
            (None, Some(id)) => {
                let body = envelope.result.or(envelope.error).map_or("null", |raw| raw.get());
                let answer =
                    Answer { ok: envelope.result.is_some(), body: Bytes::copy_from_slice(body.as_bytes()) };
                session.answered(id.get(), answer);
            }
            (None, None) => {}
        }
    }

    async fn request(self: Arc<Self>, method: &str, params: Option<Bytes>, id: &str, session: Arc<Session>) {
        let params = params.as_deref().and_then(|params| std::str::from_utf8(params).ok()).unwrap_or("{}");
        let sink = session.outbox.clone();
        let incoming =
            Incoming { session: session.clone(), id, method, params, sink: sink.clone(), trace: None };
        let answer = self.handle(incoming).await;
        session.finished(id);
        sink.send(with_break(answer.line(id)));
    }
}

/// Tells the gateway that the client has gone, however serving ends.
struct Leaving {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.gateway.leave(&self.session);
    }
}

fn with_break(mut line: Vec<u8>) -> Vec<u8> {
    line.push(b'\n');
    line
}

/// Writes what waits, joined into few writes, until the last sender is gone or the stream fails.
async fn write(mut queue: OutQueue, mut writer: impl AsyncWrite + Unpin) {
    let mut joined: Vec<u8> = Vec::new();
    while let Some(first) = queue.recv().await {
        let mut next = queue.try_recv();
        let mut outcome = Ok(());
        if next.is_none() || first.len() > JOIN {
            outcome = writer.write_all(&first).await;
        } else {
            joined.extend_from_slice(&first);
        }
        while let (Ok(()), Some(line)) = (&outcome, next.take()) {
            joined.extend_from_slice(&line);
            if joined.len() < JOIN {
                next = queue.try_recv();
            }
        }
        if outcome.is_ok() && !joined.is_empty() {
            outcome = writer.write_all(&joined).await;
            joined.clear();
            joined.shrink_to(2 * JOIN);
        }
        if outcome.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}
