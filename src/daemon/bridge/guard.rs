//! The bridge that has handed its pipes to the daemon: it waits, and takes them back when the daemon dies.
//! Not here: what stands in the book (`handover/`), nor how bytes are copied where nothing can be handed over
//! (`pump.rs`). Rules: while a daemon holds the pipes, no byte is read or written here; what a daemon left is settled
//! with the client before the next one is sought.

use super::ledger::Left;
use super::pump;
use super::reconnect::{self, LIVED};
use crate::daemon::handover::book::Book;
use crate::daemon::handover::descriptors;
use crate::daemon::lifecycle::{self, Connection, Options};
use crate::daemon::memory;
use crate::daemon::wire::{self, HANDOVER, HELLO_LIMIT, Line, PIPES, Taken};
use crate::error::{Error, Result, codes};
use crate::paths::Paths;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long the daemon may take to end a session after the client has closed its input: its own bound and more.
const DRAIN: Duration = Duration::from_secs(10);

/// How a daemon's hold of the pipes ended.
enum Ended {
    /// It has gone. The book tells where it was.
    Daemon(Book),
    /// The client closed its input, and the daemon did not react in time.
    Client,
    /// Nothing was taken: the socket is the transport.
    Refused,
}

/// Serves one client from its first byte to its last.
pub fn serve(paths: &Paths, mut options: Options, input: File, mut output: File) -> Result<()> {
    options.hello.pipes = PIPES;
    let mut connection = lifecycle::ensure(paths, &options)?;
    let mut left = Left::default();
    let mut short_lives = 0;
    loop {
        let since = Instant::now();
        match lend(&mut connection, &left, &input, &output)? {
            Ended::Daemon(book) => left = book.read().map_err(lost)?,
            Ended::Client => return Ok(()),
            Ended::Refused => {
                options.hello.pipes = 0;
                return pump::resume(paths, &options, connection, left, input, output);
            }
        }
        if settle(&mut left, &mut output).is_err() || left.ended {
            return Ok(());
        }
        short_lives = if since.elapsed() < LIVED { short_lives + 1 } else { 0 };
        let leaves = |pause| leaves_within(&input, &left, pause);
        match reconnect::until_found(short_lives, leaves, || lifecycle::ensure(paths, &options))? {
            Some(next) => connection = next,
            None => return Ok(()),
        }
    }
}

/// Ends a line that was cut, and answers what was in flight.
fn settle(left: &mut Left, output: &mut File) -> io::Result<()> {
    let mut lines = left.ledger.settle();
    if std::mem::take(&mut left.within) {
        lines.insert(0, b'\n');
    }
    output.write_all(&lines)
}

/// Hands the pipes over, and waits for the end of that.
fn lend(connection: &mut Connection, left: &Left, input: &File, output: &File) -> Result<Ended> {
    if connection.welcome.pipes != PIPES {
        return Ok(Ended::Refused);
    }
    let book = hand_over(connection, left, input, output);
    // From here on it only waits, for hours.
    memory::give_back();
    Ok(match (watch(connection, input)?, book) {
        (Heard::End, Some(book)) => Ended::Daemon(book),
        (Heard::Nothing, _) => Ended::Client,
        (Heard::No, _) | (Heard::End, None) => Ended::Refused,
    })
}

/// What was heard of a daemon.
enum Heard {
    End,
    /// Nothing, long after the client had closed its input.
    Nothing,
    /// It does not take the pipes.
    No,
}

/// Sends the pipes and a book. `None`: only word that there is nothing to send; the daemon will refuse.
fn hand_over(connection: &Connection, left: &Left, input: &File, output: &File) -> Option<Book> {
    let prepare = || {
        let input = descriptors::to_hand_over(input.as_fd(), false)?;
        let output = descriptors::to_hand_over(output.as_fd(), true)?;
        io::Result::Ok((input, output, Book::of(left)?))
    };
    let prepared = prepare();
    match prepared {
        Ok((input, output, book)) => {
            let fds = [input.as_fd(), output.as_fd(), book.file()];
            // A daemon that died meanwhile is met by `watch`.
            let _ = descriptors::send(connection.stream.as_fd(), HANDOVER, fds);
            Some(book)
        }
        Err(_) => {
            let _ = connection.stream.clone().write_all(HANDOVER);
            None
        }
    }
}

/// Waits while the daemon serves the client.
fn watch(connection: &mut Connection, input: &File) -> Result<Heard> {
    let mut closed: Option<Instant> = None;
    loop {
        let left = closed.map(|since| DRAIN.saturating_sub(since.elapsed()));
        let client = closed.is_none().then(|| input.as_fd());
        let woken = descriptors::wait(Some(connection.stream.as_fd()), client, left);
        if woken.daemon {
            match connection.lines.next(HELLO_LIMIT) {
                Ok(Line::Whole(line)) if wire::parse::<Taken>(&line)?.taken => {}
                Ok(Line::Whole(_)) => return Ok(Heard::No),
                Ok(Line::Paused) => {}
                Ok(Line::End) | Err(_) => return Ok(Heard::End),
            }
        } else if woken.client {
            closed = Some(Instant::now());
        } else if left.is_some_and(|left| left.is_zero()) {
            return Ok(Heard::Nothing);
        }
    }
}

/// Waits for a while; whether the client has left and nothing it said is still to be read.
fn leaves_within(input: &File, left: &Left, pause: Duration) -> bool {
    if !left.unread.is_empty() || descriptors::has_bytes(input.as_fd()) {
        std::thread::sleep(pause);
        return false;
    }
    descriptors::wait(None, Some(input.as_fd()), Some(pause)).client && !descriptors::has_bytes(input.as_fd())
}

fn lost(error: io::Error) -> Error {
    Error::new(&codes::IO, "the memory shared with the daemon cannot be read").because(error)
}
