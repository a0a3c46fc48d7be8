//! The daemon's use of a client's own pipes: a reader and a writer for the gateway, with every step in the book.
//! Not here: what the lines mean. Rules: nothing waits but in `poll`; what can be written at once is written without
//! being registered anywhere; when the bridge goes, the pipes are closed on the spot.

use super::bridge::ledger::{LIST_CHANGED, Note};
use super::bridge::scan::Scanner;
use super::door::{self, Visitor};
use super::handover::descriptors::{self, COUNT, Kind};
use super::handover::layout::CHUNK;
use super::handover::memory::Map;
use super::handover::record::Record;
use super::socket::ReadHalf;
use super::wire::{HANDOVER, Taken};
use crate::error::Result;
use crate::gateway::Gateway;
use crate::gateway::session::Arrival;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf};

/// How long a bridge may take to send what it announced.
const DEADLINE: Duration = Duration::from_secs(5);

/// A client's pipes. Clones are the same pipes: one reads, one writes, one looks after the bridge.
#[derive(Clone)]
pub struct Pipes(Arc<Mutex<State>>);

struct State {
    record: Record,
    input: Option<Input>,
    output: Option<Output>,
    replay: Replay,
    /// Bytes of the replay for the gateway to read, and lines of ours for the client, both before all others.
    say: Vec<u8>,
    tell: Vec<u8>,
    /// The client has closed its input, or no longer takes output.
    ended: bool,
    /// The end of the input was met once: what was read just before is worked on first.
    ending: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Input {
    fd: AsyncFd<OwnedFd>,
    socket: bool,
}

struct Output {
    fd: Ready,
    kind: Kind,
}

/// Registered only after a write that would have waited.
enum Ready {
    Always(OwnedFd),
    Watched(AsyncFd<OwnedFd>),
}

impl AsFd for Ready {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Always(fd) => fd.as_fd(),
            Self::Watched(fd) => fd.as_fd(),
        }
    }
}

fn watched(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by what watches it, and nothing here replaces or closes it meanwhile.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(Into::into)
}

/// The client's handshake with a former daemon, said again to this one.
enum Replay {
    Over,
    /// The answer to this id is kept from the client, who has had one; then `initialized` follows, if it was said.
    Waiting {
        id: Vec<u8>,
        initialized: Option<Vec<u8>>,
    },
}

impl Pipes {
    /// Takes what the bridge sends behind its welcome, and tells it whether it could be used.
    pub async fn take(visitor: &mut Visitor) -> Result<Option<Self>> {
        let received = tokio::time::timeout(DEADLINE, receive(visitor)).await;
        let pipes = received.ok().and_then(io::Result::ok).and_then(|fds| Self::new(fds).ok());
        door::send(&mut visitor.write, &Taken { taken: pipes.is_some() }).await?;
        Ok(pipes)
    }

    fn new(fds: Vec<OwnedFd>) -> io::Result<Self> {
        let unusable = || io::Error::from(ErrorKind::InvalidInput);
        let [input, output, book] = <[OwnedFd; COUNT]>::try_from(fds).map_err(|_| unusable())?;
        let kinds = [&input, &output].map(|fd| {
            let kind = descriptors::kind(fd.as_fd())?;
            descriptors::never_waits(fd.as_fd(), kind).then_some(kind)
        });
        let [Some(reads), Some(kind)] = kinds else { return Err(unusable()) };
        let record = Record::open(Map::new(&File::from(book))?).ok_or_else(unusable)?;
        let input = Input { fd: watched(input, Interest::READABLE)?, socket: reads == Kind::Socket };
        let (initialize, initialized) = record.ledger().handshake();
        let (mut say, mut replay) = (Vec::new(), Replay::Over);
        if let Some(initialize) = initialize {
            say = [initialize.line.as_slice(), b"\n"].concat();
            if initialize.answered {
                replay = Replay::Waiting { id: initialize.id, initialized };
            }
        }
        let state = State {
            record,
            input: Some(input),
            output: Some(Output { fd: Ready::Always(output), kind }),
            replay,
            say,
            tell: Vec::new(),
            ended: false,
            ending: false,
            reader: None,
            writer: None,
        };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    /// Serves the client over its pipes until it leaves, or the bridge does.
    pub async fn serve(self, visitor: Visitor, gateway: &Arc<Gateway>, arrival: Arrival) -> Result<()> {
        let Visitor { read, write, .. } = visitor;
        let watching = tokio::spawn(self.clone().watch(read.into_inner()));
        let served = gateway.serve_stream(self.clone(), self.clone(), &[], arrival).await;
        self.end();
        watching.abort();
        // Last, since this is what the bridge waits for.
        drop(write);
        served
    }

    /// Closes the pipes when the bridge has gone.
    async fn watch(self, mut bridge: ReadHalf) {
        let mut nothing = [0; 64];
        while bridge.read(&mut nothing).await.is_ok_and(|read| read > 0) {}
        self.close();
    }

    /// The session is over: closes the pipes, and leaves word in the book if it was the client who left.
    fn end(&self) {
        let mut state = self.lock();
        if state.ended {
            state.record.end();
        }
        drop(state);
        self.close();
    }

    fn close(&self) {
        let mut state = self.lock();
        state.input = None;
        state.output = None;
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the line of the handover and gives what came with it.
async fn receive(visitor: &Visitor) -> io::Result<Vec<OwnedFd>> {
    let stream: &tokio::net::UnixStream = visitor.read.get_ref().as_ref();
    let mut line = [0; HANDOVER.len()];
    loop {
        stream.readable().await?;
        match stream.try_io(Interest::READABLE, || descriptors::receive(stream.as_fd(), &mut line)) {
            Ok((read, fds)) if line[..read] == *HANDOVER && visitor.read.buffer().is_empty() => {
                return Ok(fds);
            }
            Ok(_) => return Err(ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

impl AsyncRead for Pipes {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let polled = state.poll_read(cx, buf);
        if polled.is_pending() {
            state.reader = Some(cx.waker().clone());
        }
        polled
    }
}

impl AsyncWrite for Pipes {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if let Replay::Waiting { .. } = state.replay {
            state.keep_from_client(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        std::task::ready!(state.poll_tell(cx))?;
        state.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        match state.replay {
            Replay::Waiting { .. } => Poll::Ready(Ok(())),
            Replay::Over => state.poll_tell(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl State {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.say.is_empty() {
                let count = self.say.len().min(buf.remaining());
                buf.put_slice(&self.say[..count]);
                self.say.drain(..count);
                return Poll::Ready(Ok(()));
            }
            if self.input.is_some() && matches!(self.replay, Replay::Waiting { .. }) {
                return Poll::Pending;
            }
            let Some(input) = self.input.as_ref().filter(|_| !self.ended) else { return Poll::Ready(Ok(())) };
            self.record.tidy();
            let (waiting, room) = (self.record.waiting(), buf.remaining());
            if waiting > 0 && room > 0 {
                let given = self.record.take(buf.initialize_unfilled_to(waiting.min(room)));
                buf.advance(given);
                if given > 0 {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            let mut ready = std::task::ready!(input.fd.poll_read_ready(cx))?;
            match self.record.fill(input.fd.as_fd(), input.socket, room) {
                Ok(read) if read > 0 => {
                    // Less than there was room for: the next bytes come with an event of their own.
                    if read < room.min(CHUNK) {
                        ready.clear_ready();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A message that is too long is not the client's end.
                Err(error) if error.kind() == ErrorKind::OutOfMemory => return Poll::Ready(Ok(())),
                _ if self.ending => self.ended = true,
                _ => {
                    self.ending = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Writes what can be written at once.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let Some(Output { fd, kind }) = self.output.as_ref() else {
                return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
            };
            let mut ready = match fd {
                Ready::Always(_) => None,
                Ready::Watched(fd) => match fd.poll_write_ready(cx) {
                    Poll::Ready(ready) => Some(ready?),
                    Poll::Pending => {
                        self.writer = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                },
            };
            self.record.writing(bytes);
            match descriptors::write(fd.as_fd(), *kind, bytes) {
                Ok(count) => {
                    self.record.wrote(&bytes[..count]);
                    self.unwatch_socket();
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.record.wrote(&[]);
                    match &mut ready {
                        Some(ready) => ready.clear_ready(),
                        None => self.watch_output()?,
                    }
                }
                Err(error) => {
                    self.record.wrote(&[]);
                    // The client reads no more: its session ends as if it had closed its input.
                    self.ended = true;
                    self.reader.take().into_iter().for_each(Waker::wake);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    fn watch_output(&mut self) -> io::Result<()> {
        if let Some(Output { fd: Ready::Always(fd), kind }) = self.output.take() {
            let fd = Ready::Watched(watched(fd, Interest::WRITABLE)?);
            self.output = Some(Output { fd, kind });
        }
        Ok(())
    }

    /// A socket that is watched wakes us whenever the client reads; a pipe only when it was full.
    fn unwatch_socket(&mut self) {
        if let Some(Output { fd: Ready::Watched(_), kind: Kind::Socket }) = &self.output
            && let Some(Output { fd: Ready::Watched(fd), kind }) = self.output.take()
        {
            self.output = Some(Output { fd: Ready::Always(fd.into_inner()), kind });
        }
    }

    fn poll_tell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.tell.is_empty() {
            let tell = std::mem::take(&mut self.tell);
            let polled = self.poll_write(cx, &tell);
            self.tell = tell;
            let written = std::task::ready!(polled)?;
            self.tell.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Looks for the answer to the replayed handshake in whole lines, and drops it; the others are written later.
    fn keep_from_client(&mut self, lines: &[u8]) {
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let Replay::Waiting { id, initialized } = &mut self.replay else {
                self.tell.extend_from_slice(line);
                continue;
            };
            let mut found = false;
            Scanner::default().feed(line, &mut |message, text| {
                found = matches!(Note::of_daemon(message, text), Some(Note::Answered(it)) if it == *id);
            });
            if !found {
                self.tell.extend_from_slice(line);
                continue;
            }
            if let Some(initialized) = initialized.take() {
                self.say = [initialized.as_slice(), b"\n"].concat();
                self.tell.splice(0..0, LIST_CHANGED.iter().copied());
            }
            self.replay = Replay::Over;
            self.reader.take().into_iter().for_each(Waker::wake);
        }
    }
}
