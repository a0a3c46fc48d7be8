//! The local socket on Unix: the daemon's listener, the blocking connection of clients, and who may use them.
//! Not here: what is said (`wire.rs`), the same on Windows (`socket_windows.rs`, same names).
//! Rule: folder and socket belong to one user; a place or a peer of somebody else is refused on both sides.

use super::lock::Guard;
use crate::error::{Error, Result, codes};
use crate::paths::{Paths, create_private_dir, io_error};
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The daemon's end of a connection.
pub type Peer = tokio::net::UnixStream;
pub type ReadHalf = tokio::net::unix::OwnedReadHalf;
pub type WriteHalf = tokio::net::unix::OwnedWriteHalf;

/// Both directions of a connection, each to be owned by one task.
pub fn split(peer: Peer) -> (ReadHalf, WriteHalf) {
    peer.into_split()
}

/// The daemon's end of the socket. Drop it before the guard; the socket file goes with it.
#[derive(Debug)]
pub struct Listener {
    inner: tokio::net::UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Listens. Needs the daemon's lock, because a socket file left by a dead daemon is removed. Needs a runtime.
    pub fn bind(paths: &Paths, _guard: &Guard) -> Result<Self> {
        let path = paths.socket();
        let dir = path.parent().unwrap_or(Path::new("/"));
        create_private_dir(dir)?;
        check_owner(dir)?;
        fs::set_permissions(dir, Permissions::from_mode(0o700))
            .map_err(|error| io_error("protect", dir, &error))?;
        match fs::symlink_metadata(&path) {
            Ok(meta) if !meta.file_type().is_socket() => return Err(not_private(&path, "is not a socket")),
            Ok(_) => {
                check_owner(&path)?;
                fs::remove_file(&path).map_err(|error| io_error("remove", &path, &error))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("look at", &path, &error)),
        }
        let inner =
            tokio::net::UnixListener::bind(&path).map_err(|error| io_error("listen on", &path, &error))?;
        let listener = Self { inner, path };
        fs::set_permissions(&listener.path, Permissions::from_mode(0o600))
            .map_err(|error| io_error("protect", &listener.path, &error))?;
        Ok(listener)
    }

    /// The next connection of this user. Connections of others are closed without a word.
    /// An error is one of the system, such as no free descriptors: pause, then accept again.
    pub async fn accept(&mut self) -> io::Result<Peer> {
        loop {
            let (peer, _) = self.inner.accept().await?;
            if peer_is_us(peer.as_raw_fd()) {
                return Ok(peer);
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A blocking connection of a client. Clones are the same connection.
#[derive(Debug, Clone)]
pub struct Stream(Arc<UnixStream>);

/// Connects. `None`: nobody listens.
pub fn connect(paths: &Paths) -> Result<Option<Stream>> {
    let path = paths.socket();
    let stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(not_private(&path, "may not be used by you").because(error));
        }
        Err(error) => return Err(io_error("connect to", &path, &error)),
    };
    if !peer_is_us(stream.as_raw_fd()) {
        return Err(not_private(&path, "is answered by a process of another user"));
    }
    Ok(Some(Stream(Arc::new(stream))))
}

impl Stream {
    /// Reads give up after this time; `None` waits for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(timeout)
    }

    /// Ends our direction; the other side may still answer.
    pub fn close_write(&self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// Ends both directions and wakes a read that waits.
    pub fn close(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&*self.0).write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn not_private(path: &Path, why: &str) -> Error {
    Error::new(&codes::NOT_PRIVATE, format!("`{}` {why}", path.display()))
        .hint(format!("ls -ld {}", path.display()))
        .hint("remove it, or set UMCP_HOME to a folder of your own")
}

/// Refuses a link, and a file or folder of somebody else.
fn check_owner(path: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(path).map_err(|error| io_error("look at", path, &error))?;
    if meta.file_type().is_symlink() {
        return Err(not_private(path, "is a symbolic link"));
    }
    if meta.uid() != own_uid() {
        return Err(not_private(path, "belongs to another user"));
    }
    Ok(())
}

fn own_uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

fn peer_is_us(socket: RawFd) -> bool {
    peer_uid(socket) == Some(own_uid())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn peer_uid(socket: RawFd) -> Option<u32> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut size = libc::socklen_t::try_from(size_of::<libc::ucred>()).ok()?;
    // SAFETY: `peer` is a whole ucred and `size` says so; the kernel writes at most that much.
    let done = unsafe {
        libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut peer).cast(), &raw mut size)
    };
    (done == 0).then_some(peer.uid)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn peer_uid(socket: RawFd) -> Option<u32> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: both pointers lead to values of the right type that outlive the call.
    let done = unsafe { libc::getpeereid(socket, &raw mut uid, &raw mut gid) };
    (done == 0).then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn home() -> (tempfile::TempDir, Paths) {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(dir.path(), dir.path().into());
        paths.create().unwrap();
        (dir, paths)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn bind(paths: &Paths) -> Result<Listener> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let guard = Guard::take(paths)?.unwrap();
        runtime.block_on(async { Listener::bind(paths, &guard) })
    }

    #[test]
    fn folder_and_socket_are_for_the_owner_and_go_with_the_listener() {
        let (_dir, paths) = home();
        fs::set_permissions(&paths.runtime, Permissions::from_mode(0o755)).unwrap();
        let listener = bind(&paths).unwrap();
        assert_eq!((mode(&paths.runtime), mode(&paths.socket())), (0o700, 0o600));
        drop(listener);
        assert!(!paths.socket().exists());
        assert!(connect(&paths).unwrap().is_none());
    }

    #[test]
    fn a_socket_left_by_a_dead_daemon_is_replaced() {
        let (_dir, paths) = home();
        drop(std::os::unix::net::UnixListener::bind(paths.socket()).unwrap());
        assert!(paths.socket().exists() && connect(&paths).unwrap().is_none());
        let _listener = bind(&paths).unwrap();
        assert!(connect(&paths).unwrap().is_some());
    }

    #[test]
    fn a_link_or_another_file_in_the_place_of_the_socket_is_refused() {
        let (dir, paths) = home();
        fs::write(paths.socket(), "precious").unwrap();
        assert!(bind(&paths).unwrap_err().is(&codes::NOT_PRIVATE));
        assert_eq!(fs::read(paths.socket()).unwrap(), b"precious");
        fs::rename(&paths.runtime, dir.path().join("real")).unwrap();
        symlink(dir.path().join("real"), &paths.runtime).unwrap();
        assert!(bind(&paths).unwrap_err().is(&codes::NOT_PRIVATE));
    }

    #[test]
    fn both_ends_of_a_connection_of_ours_are_ours() {
        let (one, two) = UnixStream::pair().unwrap();
        assert!(peer_is_us(one.as_raw_fd()) && peer_is_us(two.as_raw_fd()));
        assert_eq!(peer_uid(-1), None);
    }
}
