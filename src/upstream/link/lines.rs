//! The two tasks of a link: lines in, lines out. What a line says is not looked at here.
//! Rules: a line that is too long is skipped and costs its own call only; what waits is written in few writes.

use super::Link;
use crate::error::{Error, codes};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// A longer line is an error, not memory.
pub const MAX_LINE: usize = 16 << 20;

/// Reads lines into the link until the stream ends or fails, then closes the link.
pub async fn read_lines(link: Arc<Link>, mut reader: impl AsyncRead + Unpin) {
    let mut buffer = BytesMut::with_capacity(8 << 10);
    let mut scanned = 0;
    let mut skipping = false;
    loop {
        while let Some(at) = memchr::memchr(b'\n', &buffer[scanned..]) {
            let line = buffer.split_to(scanned + at + 1).freeze();
            scanned = 0;
            if !std::mem::take(&mut skipping) {
                link.receive(&line);
            }
        }
        scanned = buffer.len();
        if scanned > MAX_LINE || skipping {
            if !skipping {
                let message = "the server sent a message above 16 MiB";
                link.counters.noise.fetch_add(1, Relaxed);
                link.fail(&buffer, Error::new(&codes::UPSTREAM_TOO_LARGE, message));
            }
            skipping = true;
            buffer = BytesMut::with_capacity(64 << 10);
            scanned = 0;
        }
        if buffer.capacity() - buffer.len() < 4 << 10 {
            buffer.reserve(buffer.len().clamp(8 << 10, 1 << 20));
        }
        link.mid_line.store(!buffer.is_empty() || skipping, Relaxed);
        match reader.read_buf(&mut buffer).await {
            Ok(read) if read > 0 => _ = link.reads.fetch_add(1, Relaxed),
            _ => break,
        }
    }
    // Last words need no line break.
    if !skipping && !buffer.is_empty() {
        link.receive(&buffer.freeze());
    }
    link.close(Error::new(&codes::UPSTREAM_DIED, "the server ended the connection"));
}

/// Writes the link's queue, joining what waits into few writes.
pub async fn write_lines(
    link: Arc<Link>,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    mut writer: impl AsyncWrite + Unpin,
) {
    let mut joined: Vec<u8> = Vec::new();
    while let Some(first) = queue.recv().await {
        let mut next = queue.try_recv().ok();
        let written = if next.is_none() || first.len() > 32 << 10 {
            writer.write_all(&first).await
        } else {
            joined.clear();
            joined.extend_from_slice(&first);
            Ok(())
        };
        let mut outcome = written;
        while let (Ok(()), Some(line)) = (&outcome, next.take()) {
            joined.extend_from_slice(&line);
            if joined.len() < 32 << 10 {
                next = queue.try_recv().ok();
            }
        }
        if outcome.is_ok() && !joined.is_empty() {
            outcome = writer.write_all(&joined).await;
            joined.clear();
            joined.shrink_to(64 << 10);
        }
        if outcome.is_ok() {
            outcome = writer.flush().await;
        }
        if outcome.is_err() {
            link.close(Error::new(&codes::UPSTREAM_DIED, "the server closed its input"));
            return;
        }
    }
}
