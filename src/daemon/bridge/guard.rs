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
    Daemon,
    /// The client closed its input, and the daemon did not react in time.
    Client,
    /// The daemon cannot use the pipes: its socket is the transport.
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
        let held = match connection.welcome.pipes == PIPES {
            true => hand_over(&connection, &left, &input, &output),
            false => None,
        };
        let ended = match (&held, connection.welcome.pipes == PIPES) {
            (_, false) => Ended::Refused,
            _ => watch(&mut connection, &input)?,
        };
        let book = match (ended, held) {
            (Ended::Daemon, Some(book)) => book,
            (Ended::Client, _) => return Ok(()),
            (Ended::Daemon, None) | (Ended::Refused, _) => {
                options.hello.pipes = 0;
                return pump::resume(paths, &options, connection, left, input, output);
            }
        };
        drop(connection);
        left = book.read().map_err(lost)?;
        drop(book);
        let lines = [if left.within { "\n".as_bytes() } else { b"" }, &left.ledger.settle()].concat();
        left.within = false;
        if output.write_all(&lines).is_err() || left.ended {
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
fn watch(connection: &mut Connection, input: &File) -> Result<Ended> {
    let mut closed: Option<Instant> = None;
    loop {
        let left = closed.map(|since| DRAIN.saturating_sub(since.elapsed()));
        let client = closed.is_none().then(|| input.as_fd());
        let woken = descriptors::wait(Some(connection.stream.as_fd()), client, left);
        if woken.daemon {
            match connection.lines.next(HELLO_LIMIT) {
                Ok(Line::Whole(line)) if wire::parse::<Taken>(&line)?.taken => {}
                Ok(Line::Whole(_)) => return Ok(Ended::Refused),
                Ok(Line::Paused) => {}
                Ok(Line::End) | Err(_) => return Ok(Ended::Daemon),
            }
        } else if woken.client {
            closed = Some(Instant::now());
        } else if left.is_some_and(|left| left.is_zero()) {
            return Ok(Ended::Client);
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
