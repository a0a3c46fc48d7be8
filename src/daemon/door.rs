//! The daemon's side of a connection: hello and welcome, then lines in mode `call`. Async.
//! Not here: what is answered. Rule: every wait for the first line has a deadline.

use super::socket::{self, Peer, ReadHalf, WriteHalf};
use super::wire::{self, HELLO_LIMIT, Hello, LINE_LIMIT, Welcome};
use crate::error::{Error, Result, codes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// How long a client may take for its hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(5);

/// A connection that has said hello and was not answered yet.
#[derive(Debug)]
pub struct Visitor {
    pub hello: Hello,
    /// May hold bytes the client sent behind its hello.
    pub read: BufReader<ReadHalf>,
    pub write: WriteHalf,
}

/// Who came: a program of ours, or an HTTP client.
pub enum Guest {
    Visitor(Visitor),
    /// Its first bytes were not a hello; they are still in the buffer.
    Http(BufReader<ReadHalf>, WriteHalf),
}

impl Visitor {
    /// Looks at the first byte of a new connection, and reads the hello if it is one.
    pub async fn receive(peer: Peer) -> Result<Guest> {
        let (read, write) = socket::split(peer);
        let mut read = BufReader::new(read);
        let first = tokio::time::timeout(HELLO_DEADLINE, read.fill_buf()).await;
        if matches!(&first, Ok(Ok([byte, ..])) if byte.is_ascii_uppercase()) {
            return Ok(Guest::Http(read, write));
        }
        let hello = tokio::time::timeout(HELLO_DEADLINE, next(&mut read, HELLO_LIMIT)).await;
        let hello =
            hello.map_err(|_| Error::new(&codes::TIMED_OUT, "a client said no hello within 5 s"))??;
        let hello = hello.ok_or_else(|| Error::new(&codes::WIRE_INVALID, "a client left without a hello"))?;
        Ok(Guest::Visitor(Self { hello, read, write }))
    }

    /// Welcomes the client, or refuses it for `reason`. True: the connection goes on in the mode of the hello.
    pub async fn welcome(&mut self, reason: Option<Error>) -> Result<bool> {
        let mut welcome = Welcome::to(&self.hello);
        welcome.refused = welcome.refused.or(reason);
        send(&mut self.write, &welcome).await?;
        Ok(welcome.refused.is_none())
    }
}

/// The next value of a client. `None`: it closed.
pub async fn receive<T: DeserializeOwned>(read: &mut BufReader<ReadHalf>) -> Result<Option<T>> {
    next(read, LINE_LIMIT).await
}

/// Writes one value as a line.
pub async fn send<T: Serialize>(write: &mut (impl AsyncWrite + Unpin), value: &T) -> Result<()> {
    let line = wire::line(value, LINE_LIMIT)?;
    let written = async {
        write.write_all(&line).await?;
        write.flush().await
    };
    written.await.map_err(|error| left(&error))
}

async fn next<T: DeserializeOwned>(read: &mut BufReader<ReadHalf>, limit: usize) -> Result<Option<T>> {
    let mut line = Vec::new();
    let most = u64::try_from(limit + 1).unwrap_or(u64::MAX);
    read.take(most).read_until(b'\n', &mut line).await.map_err(|error| left(&error))?;
    if line.pop_if(|byte| *byte == b'\n').is_some() {
        return wire::parse(&line).map(Some);
    }
    if line.len() > limit {
        return Err(Error::new(
            &codes::WIRE_INVALID,
            format!("a client sent a line longer than {limit} bytes"),
        ));
    }
    Ok(None)
}

fn left(error: &std::io::Error) -> Error {
    Error::new(&codes::DAEMON_UNAVAILABLE, "a client went away").because(error)
}
