//! Opening the local socket of a server: a Unix socket, or a named pipe on Windows.
//! Only the stream; HTTP over it is spoken by the same client as over TCP.

use super::dial::Wire;
use std::io;
use std::path::Path;

/// Connects to the socket at `path`. On Linux `@name` is an abstract socket.
#[cfg(unix)]
pub async fn open(path: &Path) -> io::Result<Wire> {
    #[cfg(target_os = "linux")]
    if let Some(name) = path.to_str().and_then(|path| path.strip_prefix('@')) {
        return open_abstract(name);
    }
    Ok(Wire::new(tokio::net::UnixStream::connect(path).await?))
}

/// Connecting to a local socket never waits for a network, so the blocking call is short.
#[cfg(target_os = "linux")]
fn open_abstract(name: &str) -> io::Result<Wire> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};
    let stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    stream.set_nonblocking(true)?;
    Ok(Wire::new(tokio::net::UnixStream::from_std(stream)?))
}

/// Connects to the pipe at `path`, such as `\\.\pipe\name`; a busy pipe is tried again for a second.
#[cfg(windows)]
pub async fn open(path: &Path) -> io::Result<Wire> {
    use tokio::net::windows::named_pipe::ClientOptions;
    /// `ERROR_PIPE_BUSY`: all instances are taken, one comes free soon.
    const PIPE_BUSY: i32 = 231;
    let mut tries = 20;
    loop {
        match ClientOptions::new().open(path) {
            Ok(pipe) => return Ok(Wire::new(pipe)),
            Err(error) if error.raw_os_error() == Some(PIPE_BUSY) && tries > 0 => tries -= 1,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
