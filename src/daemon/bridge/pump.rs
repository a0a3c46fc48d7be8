//! The two threads of the bridge: stdin to daemon, daemon to stdout, and the change to a new daemon when one dies.
//! Rule: an id is in the ledger before the end of its line is sent, and the link it is sent over is chosen under
//! the same lock; so the death of a daemon answers exactly what was sent to it.

use super::ledger::{self, Ledger, Left};
use super::reconnect::{self, LIVED};
use super::scan::{Message, Scanner};
use crate::daemon::lifecycle::{self, Connection, Options};
use crate::daemon::socket::Stream;
use crate::daemon::wire::{LINE_LIMIT, Line, Lines};
use crate::error::{Error, Result, codes};
use crate::paths::Paths;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const BUFFER: usize = 64 << 10;
/// How long answers may take after the client closed its end.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a new daemon may take to answer the replayed handshake.
const REPLAY: Duration = Duration::from_secs(10);

/// What both threads share.
struct Bridge<W> {
    state: Mutex<State>,
    changed: Condvar,
    output: Mutex<Output<W>>,
}

#[derive(Default)]
struct State {
    ledger: Ledger,
    /// The living daemon; `None` while there is none.
    link: Option<Stream>,
    /// Counts daemons.
    generation: u64,
    /// The client closed its end.
    closing: bool,
    /// The bridge is over.
    over: bool,
}

struct Output<W> {
    writer: W,
    mid_line: bool,
    /// Lines of our own that wait for the end of a line of the daemon.
    waiting: Vec<u8>,
}

/// Serves one client from its first byte to its last.
pub fn serve(
    paths: &Paths,
    options: &Options,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> Result<()> {
    let connection = lifecycle::ensure(paths, options)?;
    resume(paths, options, connection, Left::default(), input, output)
}

/// Serves a client from where a former daemon left it, beginning with a new daemon that has heard nothing yet.
pub fn resume(
    paths: &Paths,
    options: &Options,
    connection: Connection,
    left: Left,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> Result<()> {
    let Left { ledger, unread, skip, .. } = left;
    let output = Output { writer: output, mid_line: false, waiting: Vec::new() };
    let state = State { ledger, ..State::default() };
    let bridge =
        Arc::new(Bridge { state: Mutex::new(state), changed: Condvar::new(), output: Mutex::new(output) });
    let first = match bridge.replay(connection) {
        Ok(first) => Some(first),
        Err(_) => bridge.reconnect(paths, options, 0)?,
    };
    let Some((stream, rest)) = first else { return Ok(()) };
    bridge.attach(&stream);
    // Of no generation: the end of a message that was given up is for nobody.
    let begun = skip.then_some(u64::MAX);
    let up = Up { bridge: Arc::clone(&bridge), scanner: Scanner::default(), begun };
    let thread = std::thread::Builder::new().name("stdin".into()).stack_size(256 << 10);
    thread
        .spawn(move || up.run(io::Cursor::new(unread).chain(input)))
        .map_err(|error| Error::new(&codes::IO, "no thread for stdin").because(error))?;
    let ended = bridge.down(paths, options, stream, rest);
    let mut state = bridge.lock();
    state.over = true;
    state.link = None;
    drop(state);
    bridge.changed.notify_all();
    ended
}

impl<W: Write> Bridge<W> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attach(&self, stream: &Stream) {
        self.lock().link = Some(stream.clone());
        self.changed.notify_all();
    }

    /// Daemon to client, over as many daemons as it takes. Ends when the client is gone or no daemon comes back.
    fn down(&self, paths: &Paths, options: &Options, mut stream: Stream, mut rest: Vec<u8>) -> Result<()> {
        let mut short_lives = 0;
        loop {
            let since = Instant::now();
            if self.copy_down(&mut stream, &rest) == Ended::Client {
                return Ok(());
            }
            stream.close();
            short_lives = if since.elapsed() < LIVED { short_lives + 1 } else { 0 };
            let (lines, closing) = {
                let mut state = self.lock();
                state.link = None;
                state.generation += 1;
                if state.closing && state.ledger.is_settled() {
                    return Ok(());
                }
                (state.ledger.settle(), state.closing)
            };
            if self.say(&lines, true).is_err() || closing {
                return Ok(());
            }
            match self.reconnect(paths, options, short_lives)? {
                Some(next) => (stream, rest) = next,
                None => return Ok(()),
            }
        }
    }

    /// Copies what one daemon says until it or the client is gone.
    fn copy_down(&self, stream: &mut Stream, rest: &[u8]) -> Ended {
        let mut scanner = Scanner::default();
        let mut buffer = vec![0; BUFFER];
        if !rest.is_empty() && !self.hand_down(rest, &mut scanner) {
            return Ended::Client;
        }
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Ended::Daemon,
                Ok(count) if self.hand_down(&buffer[..count], &mut scanner) => {}
                Ok(_) => return Ended::Client,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Ended::Daemon,
            }
        }
    }

    /// Hands a chunk to the client first and looks at it afterwards. False: nobody needs more.
    fn hand_down(&self, chunk: &[u8], scanner: &mut Scanner) -> bool {
        {
            let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            if output.daemon(chunk).is_err() {
                return false;
            }
        }
        let mut seen: Vec<(Message, Option<Vec<u8>>)> = Vec::new();
        scanner.feed(chunk, &mut |message, text| seen.push(with_text(message, text)));
        if seen.is_empty() {
            return true;
        }
        let mut state = self.lock();
        for (message, text) in seen {
            state.ledger.daemon_said(message, text.as_deref());
        }
        !(state.closing && state.ledger.is_settled() && !scanner.mid_line())
    }

    /// Lines of our own to the client; `dead`: the daemon's unfinished line will never be finished.
    fn say(&self, lines: &[u8], dead: bool) -> io::Result<()> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).own(lines, dead)
    }

    /// Finds or starts the next daemon and brings it to where the last one was. `None`: the client left meanwhile.
    fn reconnect(
        &self,
        paths: &Paths,
        options: &Options,
        short_lives: u32,
    ) -> Result<Option<(Stream, Vec<u8>)>> {
        let leaves = |pause| self.client_leaves_within(pause);
        let find = || lifecycle::ensure(paths, options).and_then(|connection| self.replay(connection));
        let next = reconnect::until_found(short_lives, leaves, find)?;
        if let Some((stream, _)) = &next {
            self.attach(stream);
        }
        Ok(next)
    }

    fn client_leaves_within(&self, pause: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), pause, |state| !state.closing);
        waited.unwrap_or_else(PoisonError::into_inner).0.closing
    }

    /// Says the client's handshake again, and keeps the answer that the client has had already to ourselves.
    fn replay(&self, connection: Connection) -> Result<(Stream, Vec<u8>)> {
        let Connection { mut stream, mut lines, .. } = connection;
        let (initialize, initialized) = self.lock().ledger.handshake();
        let Some(initialize) = initialize else { return Ok((stream, lines.into_parts().1)) };
        let lost = |error: io::Error| crate::daemon::wire::gone(&error);
        stream.write_all(&[initialize.line.as_slice(), b"\n"].concat()).map_err(lost)?;
        if !initialize.answered {
            return Ok((stream, lines.into_parts().1));
        }
        stream.set_read_timeout(Some(REPLAY)).map_err(lost)?;
        let early = swallow(&mut lines, &initialize.id)?;
        stream.set_read_timeout(None).map_err(lost)?;
        let mut rest = early;
        rest.extend(lines.into_parts().1);
        if let Some(line) = initialized {
            stream.write_all(&[line.as_slice(), b"\n"].concat()).map_err(lost)?;
            rest.splice(0..0, ledger::LIST_CHANGED.iter().copied());
        }
        Ok((stream, rest))
    }
}

#[derive(PartialEq, Eq)]
enum Ended {
    Client,
    Daemon,
}

/// Reads up to the answer to `id` and drops it; whatever came before it is returned.
fn swallow(lines: &mut Lines<Stream>, id: &[u8]) -> Result<Vec<u8>> {
    let mut early = Vec::new();
    let deadline = Instant::now() + REPLAY;
    loop {
        match lines.next(LINE_LIMIT)? {
            Line::Whole(mut line) => {
                line.push(b'\n');
                let mut found = false;
                Scanner::default().feed(&line, &mut |message, _| {
                    found = message.method.is_none() && message.id.as_deref() == Some(id);
                });
                if found {
                    return Ok(early);
                }
                early.extend(line);
            }
            Line::Paused if Instant::now() < deadline => {}
            Line::Paused | Line::End => {
                return Err(Error::new(
                    &codes::DAEMON_UNAVAILABLE,
                    "the daemon did not answer the handshake",
                ));
            }
        }
    }
}

fn with_text(message: Message, text: Option<&[u8]>) -> (Message, Option<Vec<u8>>) {
    // Only the few methods whose line the ledger reads are worth a copy.
    let wanted = [&b"initialize"[..], b"notifications/initialized", b"notifications/cancelled"];
    let keep = message.method.as_deref().is_some_and(|method| wanted.contains(&method));
    (message, text.filter(|_| keep).map(<[u8]>::to_vec))
}

impl<W: Write> Output<W> {
    fn daemon(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.writer.write_all(chunk)?;
        self.mid_line = chunk.last().is_some_and(|byte| *byte != b'\n');
        if !self.mid_line && !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            self.writer.write_all(&waiting)?;
        }
        self.writer.flush()
    }

    fn own(&mut self, lines: &[u8], dead: bool) -> io::Result<()> {
        if self.mid_line && !dead {
            self.waiting.extend_from_slice(lines);
            return Ok(());
        }
        let end: &[u8] = if self.mid_line { b"\n" } else { b"" };
        self.mid_line = false;
        let waiting = std::mem::take(&mut self.waiting);
        self.writer.write_all(&[end, &waiting, lines].concat())?;
        self.writer.flush()
    }
}

/// Client to daemon.
struct Up<W> {
    bridge: Arc<Bridge<W>>,
    scanner: Scanner,
    /// The generation that got the beginning of a line the client has not finished.
    begun: Option<u64>,
}

impl<W: Write> Up<W> {
    fn run(mut self, mut input: impl Read) {
        let mut buffer = vec![0; BUFFER];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) if self.forward(&buffer[..count]) => {}
                Ok(_) => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.close();
    }

    /// Sends a chunk. False: the bridge is over.
    fn forward(&mut self, chunk: &[u8]) -> bool {
        let mut seen: Vec<(Message, Option<Vec<u8>>)> = Vec::new();
        let ends = chunk.contains(&b'\n');
        if ends {
            self.scanner.feed(chunk, &mut |message, text| seen.push(with_text(message, text)));
        }
        let Some((mut link, start)) = self.note(chunk, seen) else { return false };
        if link.write_all(&chunk[start..]).is_err() {
            // The other thread sees the end of the daemon and answers what is in the ledger.
            link.close();
        }
        if !ends {
            // No daemon can answer before the end of the line, so it may have the bytes first.
            self.scanner.feed(chunk, &mut |_, _| {});
        }
        true
    }

    /// Waits for a living daemon and enters what is about to be sent to it. Returns it, and where to begin.
    fn note(&mut self, chunk: &[u8], seen: Vec<(Message, Option<Vec<u8>>)>) -> Option<(Stream, usize)> {
        let bridge = Arc::clone(&self.bridge);
        let waiting = bridge.changed.wait_while(bridge.lock(), |state| state.link.is_none() && !state.over);
        let mut state = waiting.unwrap_or_else(PoisonError::into_inner);
        let link = state.link.clone()?;
        let end = chunk.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let broken = self.begun.is_some_and(|generation| generation != state.generation);
        if !broken {
            for (message, text) in seen {
                state.ledger.client_said(message, text.as_deref());
            }
            let open = chunk.last() != Some(&b'\n');
            self.begun = open.then_some(state.generation);
            return Some((link, 0));
        }
        // The beginning of this line went to a daemon that is gone: its rest must not reach the next one.
        let Some(start) = end else { return Some((link, chunk.len())) };
        let mut seen = seen.into_iter();
        let lost = seen.next();
        for (message, text) in seen {
            state.ledger.client_said(message, text.as_deref());
        }
        self.begun = (chunk.last() != Some(&b'\n')).then_some(state.generation);
        drop(state);
        if let Some((Message { id: Some(id), method: Some(_) }, _)) = lost {
            let _ = bridge.say(&ledger::interrupted(&id), false);
        }
        Some((link, start))
    }

    /// The client closed: lets the daemon finish what is in flight, for a while.
    fn close(&self) {
        let bridge = &self.bridge;
        let mut state = bridge.lock();
        state.closing = true;
        bridge.changed.notify_all();
        if let Some(link) = state.link.clone() {
            if state.ledger.is_settled() {
                link.close();
                return;
            }
            link.close_write();
        }
        let waited = bridge.changed.wait_timeout_while(state, DRAIN, |state| !state.over);
        if let Some(link) = &waited.unwrap_or_else(PoisonError::into_inner).0.link {
            link.close();
        }
    }
}
