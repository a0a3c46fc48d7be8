//! Pipes and sockets by their descriptors: which can be handed over, how they travel, how one is waited for.
//! Rule: nothing here waits, but `wait`; a descriptor that arrives is closed on exec.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::time::Duration;

/// How many descriptors are handed over: stdin, stdout, the book.
pub const COUNT: usize = 3;
const SPACE: usize = (COUNT * size_of::<libc::c_int>()).next_multiple_of(8);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Pipe,
    /// A Unix stream socket.
    Socket,
}

/// What a descriptor is. `None`: something that is not handed over.
pub fn kind(fd: BorrowedFd) -> Option<Kind> {
    let file = File::from(fd.try_clone_to_owned().ok()?);
    let is = file.metadata().ok()?.file_type();
    let stream = |fd| {
        option(fd, libc::SO_DOMAIN) == Some(libc::AF_UNIX)
            && option(fd, libc::SO_TYPE) == Some(libc::SOCK_STREAM)
    };
    match (is.is_fifo(), is.is_socket() && stream(fd)) {
        (true, _) => Some(Kind::Pipe),
        (_, true) => Some(Kind::Socket),
        _ => None,
    }
}

/// Whether reading and writing never wait.
pub fn never_waits(fd: BorrowedFd, kind: Kind) -> bool {
    kind == Kind::Socket || flags(fd).is_some_and(|flags| flags & libc::O_NONBLOCK != 0)
}

/// What to hand over of a descriptor: a pipe opened anew, so that it can be non-blocking for the other side alone.
pub fn to_hand_over(fd: BorrowedFd, write: bool) -> io::Result<OwnedFd> {
    match kind(fd) {
        Some(Kind::Socket) => fd.try_clone_to_owned(),
        Some(Kind::Pipe) => {
            let mut options = OpenOptions::new();
            options.read(!write).write(write).custom_flags(libc::O_NONBLOCK);
            options.open(format!("/proc/self/fd/{}", fd.as_raw_fd())).map(Into::into)
        }
        None => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Writes without waiting.
pub fn write(fd: BorrowedFd, kind: Kind, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the kernel reads `bytes.len()` bytes from `bytes`.
    let written = unsafe {
        match kind {
            Kind::Socket => libc::send(
                fd.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            ),
            Kind::Pipe => libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()),
        }
    };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

fn flags(fd: BorrowedFd) -> Option<libc::c_int> {
    // SAFETY: `fd` is open; no memory is involved.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    (flags >= 0).then_some(flags)
}

fn option(fd: BorrowedFd, name: libc::c_int) -> Option<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` is as large as `size` says.
    let done = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut size)
    };
    (done == 0).then_some(value)
}

/// Room for the message that carries descriptors, aligned as its head.
#[repr(C, align(8))]
struct Control([u8; 64]);

const HEAD: usize = size_of::<libc::cmsghdr>();
const _: () = assert!(HEAD + SPACE <= 64 && align_of::<libc::cmsghdr>() <= 8);

/// Sends bytes with descriptors over a Unix socket. The bytes are few and sent at once.
pub fn send(socket: BorrowedFd, bytes: &[u8], fds: [BorrowedFd; COUNT]) -> io::Result<()> {
    let mut control = Control([0; 64]);
    let numbers = fds.map(|fd| fd.as_raw_fd());
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: `message` points to values that outlive the call; the control buffer has room for one head and the
    // numbers, which was checked above at compile time, and is aligned for the head.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of_val(&numbers) as u32) as _;
        let head = control.0.as_mut_ptr().cast::<libc::cmsghdr>();
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        (*head).cmsg_len = libc::CMSG_LEN(size_of_val(&numbers) as u32) as _;
        let data = libc::CMSG_DATA(head).cast::<libc::c_int>();
        std::ptr::copy_nonoverlapping(numbers.as_ptr(), data, COUNT);
        libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    match usize::try_from(sent) {
        Ok(sent) if sent == bytes.len() => Ok(()),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Receives bytes and the descriptors that came with them, if any, without waiting.
pub fn receive(socket: BorrowedFd, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut fds = Vec::new();
    // SAFETY: `message` points to values that outlive the call and are as long as it says. The kernel puts heads
    // into the control buffer and says how much of it counts; each descriptor found there is open and nobody else's.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = 64;
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        let read = libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags);
        let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
        let mut head = libc::CMSG_FIRSTHDR(&raw const message);
        while let Some(cmsg) = head.as_ref() {
            if (cmsg.cmsg_level, cmsg.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                #[allow(clippy::unnecessary_cast, reason = "a smaller number with musl")]
                let length = (cmsg.cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
                let data = libc::CMSG_DATA(head).cast::<libc::c_int>();
                for at in 0..length / size_of::<libc::c_int>() {
                    fds.push(OwnedFd::from_raw_fd(data.add(at).read_unaligned()));
                }
            }
            head = libc::CMSG_NXTHDR(&raw const message, head);
        }
        Ok((read, fds))
    }
}

/// What has happened to the descriptors of `wait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Woken {
    /// The daemon said something, or has gone.
    pub daemon: bool,
    /// Nobody can write to the client's input any more. What was written may still be in it.
    pub client: bool,
}

/// Waits for the daemon, and for the end of the client's input. Bytes in that input wake nobody.
pub fn wait(daemon: Option<BorrowedFd>, input: Option<BorrowedFd>, timeout: Option<Duration>) -> Woken {
    let entry = |fd: Option<BorrowedFd>, events| libc::pollfd {
        fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
        events,
        revents: 0,
    };
    let mut both = [entry(daemon, libc::POLLIN), entry(input, libc::POLLRDHUP)];
    let millis = timeout.map_or(-1, |timeout| i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
    // SAFETY: `both` holds two entries.
    unsafe { libc::poll(both.as_mut_ptr(), 2, millis) };
    Woken { daemon: both[0].revents != 0, client: both[1].revents != 0 }
}

/// Whether there is something to read.
pub fn has_bytes(fd: BorrowedFd) -> bool {
    let mut count: libc::c_int = 0;
    // SAFETY: the kernel puts one number into `count`.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    done == 0 && count > 0
}

/// Whether both ends of a client can be handed over.
pub fn can_be_handed_over(input: &impl AsFd, output: &impl AsFd) -> bool {
    kind(input.as_fd()).is_some() && kind(output.as_fd()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixDatagram, UnixStream};

    #[test]
    fn pipes_and_stream_sockets_are_handed_over_and_nothing_else() {
        let (pipe, _write) = io::pipe().unwrap();
        let (stream, _other) = UnixStream::pair().unwrap();
        let (packets, _more) = UnixDatagram::pair().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let file = tempfile::tempfile().unwrap();
        let kinds = [
            kind(pipe.as_fd()),
            kind(stream.as_fd()),
            kind(packets.as_fd()),
            kind(file.as_fd()),
            kind(listener.as_fd()),
        ];
        assert_eq!(kinds, [Some(Kind::Pipe), Some(Kind::Socket), None, None, None]);
    }

    #[test]
    fn a_pipe_is_handed_over_as_one_that_never_waits_and_stays_as_it_was_here() {
        let (read, mut write) = io::pipe().unwrap();
        let theirs = to_hand_over(read.as_fd(), false).unwrap();
        assert!(never_waits(theirs.as_fd(), Kind::Pipe) && !never_waits(read.as_fd(), Kind::Pipe));
        let mut theirs = File::from(theirs);
        assert_eq!(theirs.read(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        write.write_all(b"x").unwrap();
        assert_eq!(theirs.read(&mut [0; 4]).unwrap(), 1);
        let full = to_hand_over(write.as_fd(), true).unwrap();
        assert_eq!(super::write(full.as_fd(), Kind::Pipe, b"yz").unwrap(), 2);
        assert!(to_hand_over(tempfile::tempfile().unwrap().as_fd(), true).is_err());
    }

    #[test]
    fn descriptors_travel_with_their_bytes() {
        let (one, two) = UnixStream::pair().unwrap();
        let (read, mut write) = io::pipe().unwrap();
        (&one).write_all(b"before\n").unwrap();
        send(one.as_fd(), b"these\n", [read.as_fd(), one.as_fd(), two.as_fd()]).unwrap();
        drop(read);
        let mut bytes = [0; 64];
        let (read, fds) = receive(two.as_fd(), &mut bytes).unwrap();
        assert_eq!((&bytes[..read], fds.len()), (&b"before\nthese\n"[..], COUNT));
        write.write_all(b"through").unwrap();
        let mut text = [0; 7];
        File::from(fds.into_iter().next().unwrap()).read_exact(&mut text).unwrap();
        assert_eq!(&text, b"through");
        assert_eq!(receive(two.as_fd(), &mut bytes).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn bytes_wake_nobody_but_the_end_does() {
        let soon = Some(Duration::from_millis(1));
        let (read, mut write) = io::pipe().unwrap();
        let (stream, mut other) = UnixStream::pair().unwrap();
        assert!(!has_bytes(read.as_fd()) && !has_bytes(stream.as_fd()));
        write.write_all(b"x").unwrap();
        other.write_all(b"x").unwrap();
        assert!(has_bytes(read.as_fd()) && has_bytes(stream.as_fd()));
        let woken = |daemon, client| Woken { daemon, client };
        assert_eq!(wait(None, Some(read.as_fd()), soon), woken(false, false));
        assert_eq!(wait(None, Some(stream.as_fd()), soon), woken(false, false));
        assert_eq!(wait(Some(stream.as_fd()), Some(read.as_fd()), None), woken(true, false));
        drop((write, other));
        assert_eq!(wait(None, Some(read.as_fd()), None), woken(false, true));
        assert_eq!(wait(None, Some(stream.as_fd()), None), woken(false, true));
    }
}
