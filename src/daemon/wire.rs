//! What is said on the local socket, and blocking helpers that say it: JSON, one value a line.
//! First a [`Hello`], answered by a [`Welcome`]; then, in mode `call`, requests and [`Frame`]s, and in mode
//! `mcp` the stream is the MCP stdio transport. Not here: sockets, and what the daemon does with a request.
//! Rule: the shapes of `Hello` and `Welcome` outlive every protocol version; fields are only ever added.

use crate::engine::Reply;
use crate::engine::live::Event;
use crate::error::{Error, Result, codes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind, Read, Write};

/// Version of everything after the welcome. Raised when requests or frames change in a way older programs misread.
pub const PROTOCOL: u32 = 1;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Longest line in mode `call`: the largest message of a server (16 MiB) and what is wrapped around it.
pub const LINE_LIMIT: usize = (16 << 20) + (64 << 10);

/// Longest hello or welcome.
pub const HELLO_LIMIT: usize = 64 << 10;

/// Layout of the book that goes with a client's pipes. 0: this system cannot hand them over.
pub const PIPES: u32 = if cfg!(all(target_os = "linux", target_pointer_width = "64")) { 1 } else { 0 };

/// The line that the pipes come with, in mode `mcp` behind a welcome that takes them. Answered by a [`Taken`].
pub const HANDOVER: &[u8] = b"{\"pipes\":1}\n";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Requests, each answered by events and one reply.
    #[default]
    Call,
    /// After the welcome the stream is the MCP stdio transport.
    Mcp,
    /// The daemon ends after the welcome. Understood by every version, whatever its protocol.
    Stop,
    /// A mode this program does not know; refused in the welcome.
    #[serde(other)]
    Other,
}

/// The first line on a connection, from the client.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// Protocol version of the client.
    pub umcp: u32,
    /// Program version of the client.
    pub version: String,
    pub mode: Mode,
    /// Who asks, such as `cli`; empty when an MCP client will name itself.
    pub client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Working directory of the client, for profiles chosen by directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    pub pid: u32,
    /// The client would hand over its pipes, with a book of this layout.
    #[serde(skip_serializing_if = "is_zero")]
    pub pipes: u32,
}

impl Hello {
    /// A hello of this process.
    pub fn new(mode: Mode, client: impl Into<String>) -> Self {
        let cwd = std::env::current_dir().ok().and_then(|dir| dir.into_os_string().into_string().ok());
        Self {
            umcp: PROTOCOL,
            version: VERSION.into(),
            mode,
            client: client.into(),
            profile: None,
            cwd,
            environment: None,
            pid: std::process::id(),
            pipes: 0,
        }
    }

    /// Whether the client's pipes follow the welcome.
    pub fn hands_over(&self) -> bool {
        PIPES != 0 && self.mode == Mode::Mcp && self.pipes == PIPES
    }
}

/// The daemon's answer to a hello.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Welcome {
    /// Protocol version of the daemon.
    pub umcp: u32,
    /// Program version of the daemon.
    pub version: String,
    pub pid: u32,
    /// Why the daemon will not serve this client; the connection ends after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Error>,
    /// The daemon expects the client's pipes next, with a book of this layout.
    #[serde(skip_serializing_if = "is_zero")]
    pub pipes: u32,
}

impl Welcome {
    /// The answer of this process to `hello`: refuses what no version of it could serve.
    pub fn to(hello: &Hello) -> Self {
        let refused = match hello.mode {
            Mode::Stop => None,
            Mode::Other => Some(Error::new(&codes::WIRE_INVALID, "the hello asks for an unknown mode")),
            Mode::Call | Mode::Mcp if hello.umcp == PROTOCOL => None,
            Mode::Call | Mode::Mcp => Some(super::version::misfit(hello.umcp, &hello.version)),
        };
        let pipes = if hello.hands_over() { PIPES } else { 0 };
        Self { umcp: PROTOCOL, version: VERSION.into(), pid: std::process::id(), refused, pipes }
    }
}

/// Whether the daemon has taken the client's pipes; if not, the stream is the transport after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub taken: bool,
}

/// A line of the daemon in mode `call`. A request is over with its `Reply` or `Error`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    Event(Event),
    Reply(Reply),
    Error(Error),
}

/// The value as one line, newline included. A line above `limit` is an error.
pub fn line<T: Serialize>(value: &T, limit: usize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value).map_err(|error| {
        Error::new(&codes::WIRE_INVALID, "a value cannot be written as JSON").because(error)
    })?;
    if line.len() > limit {
        return Err(too_long(limit));
    }
    line.push(b'\n');
    Ok(line)
}

/// Reads a value from one line.
pub fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T> {
    serde_json::from_slice(line).map_err(|error| {
        let head: String = String::from_utf8_lossy(line).chars().take(80).collect();
        Error::new(&codes::WIRE_INVALID, format!("cannot understand `{head}`")).because(error)
    })
}

/// Writes a value as one line with one write.
pub fn send<T: Serialize>(writer: &mut impl Write, value: &T) -> Result<()> {
    let line = line(value, LINE_LIMIT)?;
    writer.write_all(&line).and_then(|()| writer.flush()).map_err(|error| gone(&error))
}

/// The other side cannot be written to or read from any more.
pub fn gone(error: &io::Error) -> Error {
    Error::new(&codes::DAEMON_UNAVAILABLE, "the daemon went away").because(error)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn too_long(limit: usize) -> Error {
    Error::new(&codes::WIRE_INVALID, format!("a line on the socket is longer than {limit} bytes"))
}

/// What reading a line came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// The line without its end.
    Whole(Vec<u8>),
    /// The other side closed; an unfinished line is dropped.
    End,
    /// A read timed out or was interrupted by a signal; what was read so far is kept.
    Paused,
}

/// Lines of a blocking stream. Keeps what it read beyond a line.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Bytes of `buffer` known to hold no newline.
    searched: usize,
}

impl<R: Read> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), searched: 0 }
    }

    /// Waits for the next line of at most `limit` bytes.
    pub fn next(&mut self, limit: usize) -> Result<Line> {
        let mut chunk = [0; 8192];
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let end = self.searched + at;
                let rest = self.buffer.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                self.searched = 0;
                return if end > limit { Err(too_long(limit)) } else { Ok(Line::Whole(line)) };
            }
            self.searched = self.buffer.len();
            if self.searched > limit {
                return Err(too_long(limit));
            }
            match self.reader.read(&mut chunk) {
                Ok(0) => return Ok(Line::End),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        return Ok(Line::Paused);
                    }
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => return Ok(Line::End),
                    _ => return Err(gone(&error)),
                },
            }
        }
    }

    /// The stream, and what was read from it beyond the last line.
    pub fn into_parts(self) -> (R, Vec<u8>) {
        (self.reader, self.buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its chunks one by one; an empty chunk is a timeout.
    struct Chunks(Vec<&'static [u8]>);

    impl Read for Chunks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let chunk = self.0.remove(0);
            if chunk.is_empty() {
                return Err(ErrorKind::WouldBlock.into());
            }
            buffer[..chunk.len()].copy_from_slice(chunk);
            Ok(chunk.len())
        }
    }

    #[test]
    fn lines_are_cut_wherever_the_chunks_end() {
        let mut lines = Lines::new(Chunks(vec![b"on", b"e\ntwo\nth", b"", b"ree\nrest"]));
        let mut seen = Vec::new();
        loop {
            match lines.next(100).unwrap() {
                Line::End => break,
                other => seen.push(other),
            }
        }
        let whole = |text: &str| Line::Whole(text.into());
        assert_eq!(seen, [whole("one"), whole("two"), Line::Paused, whole("three")]);
        assert_eq!(lines.into_parts().1, b"rest");
    }

    #[test]
    fn a_line_above_the_limit_is_an_error_not_memory() {
        let mut lines = Lines::new(io::repeat(b'x'));
        assert!(lines.next(100_000).unwrap_err().is(&codes::WIRE_INVALID));
        assert!(lines.buffer.len() < 120_000);
    }

    #[test]
    fn the_shapes_of_the_first_lines_stay() {
        let hello: Hello =
            serde_json::from_str(r#"{"umcp":7,"version":"9.1.0","mode":"new","extra":1}"#).unwrap();
        assert_eq!((hello.umcp, hello.mode), (7, Mode::Other));
        let stop = Hello { umcp: 1, version: "1.2.3".into(), mode: Mode::Stop, pid: 5, ..Hello::default() };
        let text = serde_json::to_string(&stop).unwrap();
        assert_eq!(text, r#"{"umcp":1,"version":"1.2.3","mode":"stop","client":"","pid":5}"#);
        let welcome: Welcome = serde_json::from_str(r#"{"umcp":1,"version":"0.1.0","pid":9}"#).unwrap();
        assert_eq!((welcome.pid, welcome.refused.is_none()), (9, true));
    }

    #[test]
    fn pipes_are_taken_only_where_both_sides_mean_the_same() {
        let pipes =
            |mode, pipes| Welcome::to(&Hello { umcp: PROTOCOL, mode, pipes, ..Hello::default() }).pipes;
        assert_eq!(
            [pipes(Mode::Mcp, PIPES), pipes(Mode::Mcp, 0), pipes(Mode::Mcp, 99), pipes(Mode::Call, PIPES)],
            [PIPES, 0, 0, 0]
        );
        // An older program on either side sees nothing of it.
        assert!(!serde_json::to_string(&Hello::new(Mode::Mcp, "x")).unwrap().contains("pipes"));
    }

    #[test]
    fn any_version_may_stop_the_daemon_but_only_a_fitting_one_may_call() {
        let refused = |mode, umcp| {
            let hello = Hello { umcp, version: "9.0.0".into(), mode, ..Hello::default() };
            Welcome::to(&hello).refused.map(|error| error.code.name)
        };
        assert_eq!(refused(Mode::Stop, PROTOCOL + 1), None);
        assert_eq!(refused(Mode::Call, PROTOCOL), None);
        assert_eq!(refused(Mode::Mcp, PROTOCOL + 1), Some("daemon_newer"));
        assert_eq!(refused(Mode::Other, PROTOCOL), Some("wire_invalid"));
    }
}
