//! A client of the daemon: one request at a time over one connection, in blocking std, without a runtime.
//! Not here: finding and starting the daemon (`lifecycle.rs`).
//! Rule: an error in between leaves the connection unusable; a request that timed out is cancelled by hanging up.

use super::lifecycle::{self, Connection, Options};
use super::socket::Stream;
use super::wire::{self, Frame, Hello, LINE_LIMIT, Line, Lines, Mode, Welcome};
use crate::engine::live::Event;
use crate::engine::{Reply, Request};
use crate::error::{Error, Result, codes};
use crate::paths::Paths;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a waiting client looks whether it was interrupted.
const TICK: Duration = Duration::from_millis(200);

/// A connection in mode `call`.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    lines: Lines<Stream>,
    welcome: Welcome,
    timeout: Option<Duration>,
    interrupted: Option<&'static AtomicBool>,
}

impl Client {
    /// Connects to the daemon that runs. `None`: none does.
    pub fn connect(paths: &Paths, client: &str) -> Result<Option<Self>> {
        let found = lifecycle::connect(paths, &Hello::new(Mode::Call, client))?;
        Ok(found.map(Self::over))
    }

    /// Connects to the daemon and starts it where needed.
    pub fn start(paths: &Paths, client: &str) -> Result<Self> {
        let options = Options::new(Hello::new(Mode::Call, client))?;
        lifecycle::ensure(paths, &options).map(Self::over)
    }

    /// A client over a connection made in mode `call`.
    pub fn over(connection: Connection) -> Self {
        let Connection { stream, lines, welcome } = connection;
        Self { stream, lines, welcome, timeout: None, interrupted: None }
    }

    /// What the daemon said of itself.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Longest silence of the daemon during a request; `None` waits for ever.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// A flag that a signal handler sets. A waiting call notices it within 200 ms.
    pub fn set_interrupted(&mut self, flag: &'static AtomicBool) {
        self.interrupted = Some(flag);
    }

    /// Asks, hands events on as they arrive, and returns the reply.
    pub fn call(&mut self, request: &Request, on_event: &mut dyn FnMut(Event)) -> Result<Reply> {
        let waits_for_ever = self.timeout.is_none() && self.interrupted.is_none();
        let tick =
            (!waits_for_ever).then(|| self.timeout.unwrap_or(TICK).clamp(Duration::from_millis(1), TICK));
        self.stream.set_read_timeout(tick).map_err(|error| wire::gone(&error))?;
        wire::send(&mut self.stream, request)?;
        let mut heard = Instant::now();
        loop {
            match self.lines.next(LINE_LIMIT)? {
                Line::Whole(line) => match wire::parse(&line)? {
                    Frame::Event(event) => on_event(event),
                    Frame::Reply(reply) => return Ok(reply),
                    Frame::Error(error) => return Err(error),
                },
                Line::End => {
                    return Err(Error::new(
                        &codes::DAEMON_UNAVAILABLE,
                        "the daemon went away while it was asked",
                    )
                    .hint("umcp gateway logs"));
                }
                Line::Paused => {
                    self.check(heard)?;
                    continue;
                }
            }
            heard = Instant::now();
        }
    }

    fn check(&self, heard: Instant) -> Result<()> {
        if self.interrupted.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            self.stream.close();
            return Err(Error::new(&codes::INTERRUPTED, "interrupted"));
        }
        match self.timeout {
            Some(timeout) if heard.elapsed() >= timeout => {
                self.stream.close();
                Err(Error::new(&codes::TIMED_OUT, format!("no answer from the daemon for {timeout:?}")))
            }
            _ => Ok(()),
        }
    }
}
