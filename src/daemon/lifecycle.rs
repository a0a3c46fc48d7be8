//! Finding the daemon, starting it when nobody answers, replacing an older one, stopping it.
//! Not here: what the daemon does once it lives. Rule: only the holder of `start.lock` starts or replaces a
//! daemon, and only the holder of `daemon.lock` is one; every wait has a deadline.

use super::report::Report;
use super::socket::{self, Stream};
use super::version::{self, Verdict};
use super::wire::{self, HELLO_LIMIT, Hello, Line, Lines, Mode, Welcome};
use super::{lock, spawn};
use crate::error::{Error, Result, codes};
use crate::paths::Paths;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a daemon may take to answer a hello.
const WELCOME_DEADLINE: Duration = Duration::from_secs(5);
/// How long finding, stopping and starting may take together.
const ENSURE_DEADLINE: Duration = Duration::from_secs(25);
/// How long an old daemon may take to end: six seconds for its calls, and some for a busy machine.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// Daemons started in one `ensure` before it gives up: ready ones that are gone when we connect.
const STARTS: u32 = 3;
/// The hidden argument that makes this program the daemon.
pub const DAEMON_ARGUMENT: &str = "__daemon";

/// A connection after hello and welcome.
#[derive(Debug)]
pub struct Connection {
    pub stream: Stream,
    /// The reading side of the same stream, with what was read beyond the welcome.
    pub lines: Lines<Stream>,
    pub welcome: Welcome,
}

/// How a daemon is started.
#[derive(Debug, Clone)]
pub struct Starter {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// Set in the daemon's environment, beside everything inherited.
    pub environment: Vec<(OsString, OsString)>,
}

#[derive(Debug, Clone)]
pub struct Options {
    pub hello: Hello,
    pub starter: Starter,
}

impl Options {
    /// Starts this very program as the daemon.
    pub fn new(hello: Hello) -> Result<Self> {
        Ok(Self { hello, starter: Starter::this_program()? })
    }
}

impl Starter {
    /// This program with the hidden argument.
    pub fn this_program() -> Result<Self> {
        let program = std::env::current_exe().map_err(|error| {
            Error::new(&codes::DAEMON_START, "the path of this program is not known").because(error)
        })?;
        // The daemon runs in `/`, where a relative folder would be another one.
        let home = std::env::var_os("UMCP_HOME").filter(|home| !home.is_empty());
        let home = home.and_then(|home| std::path::absolute(home).ok());
        Ok(Self {
            program: spawn::on_disk(program),
            arguments: vec![DAEMON_ARGUMENT.into()],
            environment: home.map(|home| ("UMCP_HOME".into(), home.into())).into_iter().collect(),
        })
    }
}

/// What answers on the socket.
enum Found {
    Nobody,
    Fits(Connection),
    Older(Welcome),
}

/// Connects to the daemon that runs, whatever its age, if it serves us. Starts nothing. `None`: none runs.
pub fn connect(paths: &Paths, hello: &Hello) -> Result<Option<Connection>> {
    match look(paths, hello)? {
        Found::Nobody => Ok(None),
        Found::Fits(connection) => Ok(Some(connection)),
        Found::Older(welcome) => Err(older(&welcome)),
    }
}

/// Connects to the daemon; starts it when none runs and replaces one that is older than this program.
pub fn ensure(paths: &Paths, options: &Options) -> Result<Connection> {
    if let Found::Fits(connection) = look(paths, &options.hello)? {
        return Ok(connection);
    }
    paths.create()?;
    let deadline = Instant::now() + ENSURE_DEADLINE;
    let _starting = match wait_for_turn(paths, &options.hello, deadline)? {
        Turn::Found(connection) => return Ok(connection),
        Turn::Ours(lock) => lock,
    };
    let mut starts = 0;
    loop {
        match look(paths, &options.hello)? {
            Found::Fits(connection) => return Ok(connection),
            Found::Older(_) => end(paths)?,
            Found::Nobody if lock::is_held(paths)? => pause(deadline)?,
            Found::Nobody if starts == STARTS => {
                return Err(Error::new(&codes::DAEMON_START, "the daemon ends as soon as it is started")
                    .hint("umcp gateway logs"));
            }
            Found::Nobody => {
                starts += 1;
                if let Report::Failed(error) = spawn::start(paths, &options.starter)? {
                    return Err(error);
                }
            }
        }
    }
}

/// What the running daemon says of itself. Starts nothing. `None`: none runs.
pub fn running(paths: &Paths) -> Result<Option<Welcome>> {
    let hello = Hello::new(Mode::Call, "status");
    Ok(greet(paths, &hello)?.map(|connection| connection.welcome))
}

/// Ends the daemon, of whatever version, and waits for it. False: none ran.
pub fn stop(paths: &Paths) -> Result<bool> {
    if !lock::is_held(paths)? && socket::connect(paths)?.is_none() {
        return Ok(false);
    }
    end(paths)?;
    Ok(true)
}

/// Asks the daemon to end and waits until its lock is free.
fn end(paths: &Paths) -> Result<()> {
    let deadline = Instant::now() + STOP_DEADLINE;
    while greet(paths, &Hello::new(Mode::Stop, "stop"))?.is_none() && lock::is_held(paths)? {
        // It is just starting, or ending already.
        pause(deadline)?;
    }
    lock::wait_free(paths, deadline)
}

enum Turn {
    Found(Connection),
    Ours(lock::Held),
}

/// Waits for `start.lock`, or for the daemon that its holder is starting.
fn wait_for_turn(paths: &Paths, hello: &Hello, deadline: Instant) -> Result<Turn> {
    let path = paths.start_lock();
    loop {
        if let Some(lock) = lock::try_lock(&path)? {
            return Ok(Turn::Ours(lock));
        }
        pause(deadline)?;
        if let Found::Fits(connection) = look(paths, hello)? {
            return Ok(Turn::Found(connection));
        }
    }
}

fn look(paths: &Paths, hello: &Hello) -> Result<Found> {
    let Some(mut connection) = greet(paths, hello)? else { return Ok(Found::Nobody) };
    match version::judge(&connection.welcome) {
        Verdict::Replace => Ok(Found::Older(connection.welcome)),
        Verdict::Refuse(error) => Err(error),
        Verdict::Use => match connection.welcome.refused.take() {
            Some(error) => Err(error),
            None => Ok(Found::Fits(connection)),
        },
    }
}

/// Connects and says hello. `None`: nobody listens, or the listener ended before its welcome.
fn greet(paths: &Paths, hello: &Hello) -> Result<Option<Connection>> {
    let Some(mut stream) = socket::connect(paths)? else { return Ok(None) };
    if wire::send(&mut stream, hello).is_err() {
        return Ok(None);
    }
    stream.set_read_timeout(Some(WELCOME_DEADLINE)).map_err(|error| wire::gone(&error))?;
    let deadline = Instant::now() + WELCOME_DEADLINE;
    let mut lines = Lines::new(stream.clone());
    loop {
        match lines.next(HELLO_LIMIT)? {
            Line::Whole(line) => {
                stream.set_read_timeout(None).map_err(|error| wire::gone(&error))?;
                return Ok(Some(Connection { welcome: wire::parse(&line)?, stream, lines }));
            }
            Line::End => return Ok(None),
            Line::Paused if Instant::now() < deadline => {}
            Line::Paused => {
                let pid = lock::holder(paths).map_or_else(String::new, |pid| format!(" (pid {pid})"));
                return Err(Error::new(
                    &codes::DAEMON_UNAVAILABLE,
                    format!("the daemon{pid} does not answer"),
                )
                .hint("umcp gateway logs"));
            }
        }
    }
}

fn older(welcome: &Welcome) -> Error {
    let message = format!("the running daemon is umcp {}, older than this program", welcome.version);
    Error::new(&codes::DAEMON_UNAVAILABLE, message).hint("umcp gateway restart")
}

fn pause(deadline: Instant) -> Result<()> {
    if Instant::now() >= deadline {
        return Err(Error::new(&codes::DAEMON_UNAVAILABLE, "the daemon did not become ready in time")
            .hint("umcp gateway logs"));
    }
    std::thread::sleep(lock::PAUSE);
    Ok(())
}
