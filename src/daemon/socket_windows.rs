//! The local socket on Windows: a named pipe, with the names of `socket.rs`. The daemon's end is tokio's; the
//! client's end is blocking calls on an overlapped handle, because on a plain one a waiting read blocks every write.
//! Rule: only the owner may open the pipe, and a client uses no pipe that another user made.

use super::lock::Guard;
use crate::error::{Error, Result, codes};
use crate::paths::Paths;
use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};
use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_IO_PENDING, ERROR_NO_DATA, ERROR_PIPE_BUSY, ERROR_PIPE_NOT_CONNECTED, HANDLE,
    LocalFree, WAIT_TIMEOUT,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1, SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::{
    EqualSid, GetTokenInformation, OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID,
    SECURITY_ATTRIBUTES, TOKEN_OWNER, TOKEN_QUERY, TokenOwner,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OVERLAPPED, ReadFile, SECURITY_IDENTIFICATION, WriteFile,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Threading::{
    CreateEventW, GetCurrentProcess, INFINITE, OpenProcessToken, WaitForSingleObject,
};

/// The daemon's end of a connection.
pub type Peer = NamedPipeServer;
pub type ReadHalf = tokio::io::ReadHalf<Peer>;
pub type WriteHalf = tokio::io::WriteHalf<Peer>;

/// Both directions of a connection, each to be owned by one task.
pub fn split(peer: Peer) -> (ReadHalf, WriteHalf) {
    tokio::io::split(peer)
}

/// The daemon's end of the pipe.
#[derive(Debug)]
pub struct Listener {
    name: String,
    /// The instance the next client connects to; there is always one.
    next: NamedPipeServer,
}

impl Listener {
    /// Listens. Needs the daemon's lock and a runtime.
    pub fn bind(paths: &Paths, _guard: &Guard) -> Result<Self> {
        let name = name(paths);
        let next = instance(&name, true).map_err(|error| {
            Error::new(&codes::NOT_PRIVATE, format!("the pipe `{name}` cannot be made")).because(error)
        })?;
        Ok(Self { name, next })
    }

    /// The next connection. The pipe's own access list keeps other users out.
    pub async fn accept(&mut self) -> io::Result<Peer> {
        self.next.connect().await?;
        let next = instance(&self.name, false)?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

/// A pipe has no folder; its name tells the homes of one machine apart.
fn name(paths: &Paths) -> String {
    let path = paths.socket().to_string_lossy().to_lowercase();
    let digest = ring::digest::digest(&ring::digest::SHA256, path.as_bytes());
    format!(r"\\.\pipe\umcp-{}", crate::ids::hex(&digest.as_ref()[..16]))
}

fn instance(name: &str, first: bool) -> io::Result<NamedPipeServer> {
    // Protected list with one entry: everything for the owner of the object.
    let text: Vec<u16> = "D:P(A;;GA;;;OW)\0".encode_utf16().collect();
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: `text` ends with a zero; the descriptor is freed below.
    let made = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            null_mut(),
        )
    };
    if made == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut attributes = SECURITY_ATTRIBUTES {
        nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
        lpSecurityDescriptor: descriptor,
        bInheritHandle: 0,
    };
    let mut options = ServerOptions::new();
    options.first_pipe_instance(first).reject_remote_clients(true);
    // SAFETY: the attributes and their descriptor live until the call returned.
    let pipe =
        unsafe { options.create_with_security_attributes_raw(name, (&raw mut attributes).cast::<c_void>()) };
    // SAFETY: allocated by the conversion above.
    unsafe { LocalFree(descriptor) };
    pipe
}

/// A blocking connection of a client. Clones are the same connection.
#[derive(Debug, Clone)]
pub struct Stream(Arc<Pipe>);

#[derive(Debug)]
struct Pipe {
    /// Taken when the connection is closed.
    file: File,
    closed: AtomicBool,
    /// Milliseconds; `INFINITE` waits for ever.
    read_timeout: AtomicU32,
    reads: Mutex<OwnedHandle>,
    writes: Mutex<OwnedHandle>,
}

/// Connects. `None`: nobody listens.
pub fn connect(paths: &Paths) -> Result<Option<Stream>> {
    let name = name(paths);
    let failed = |error: io::Error| {
        Error::new(&codes::DAEMON_UNAVAILABLE, format!("cannot connect to `{name}`")).because(error)
    };
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .custom_flags(FILE_FLAG_OVERLAPPED)
        .security_qos_flags(SECURITY_IDENTIFICATION);
    for _ in 0..200 {
        let file = match options.open(&name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed()) => {
                // The daemon makes the next instance right after each client.
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(foreign(&name)),
            Err(error) => return Err(failed(error)),
        };
        if !owned_by_us(&file).map_err(failed)? {
            return Err(foreign(&name));
        }
        let pipe = Pipe {
            file,
            closed: AtomicBool::new(false),
            read_timeout: AtomicU32::new(INFINITE),
            reads: Mutex::new(event().map_err(failed)?),
            writes: Mutex::new(event().map_err(failed)?),
        };
        return Ok(Some(Stream(Arc::new(pipe))));
    }
    Err(Error::new(&codes::DAEMON_UNAVAILABLE, "the daemon has no room for another client"))
}

impl Stream {
    /// Reads give up after this time; `None` waits for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let millis =
            timeout.map_or(INFINITE, |time| u32::try_from(time.as_millis().max(1)).unwrap_or(INFINITE - 1));
        self.0.read_timeout.store(millis, Ordering::Relaxed);
        Ok(())
    }

    /// A pipe cannot be closed by halves: what is in flight is answered, and the last handle closes it.
    pub fn close_write(&self) {}

    /// Ends both directions and wakes a read that waits.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        // SAFETY: the handle is open while `self` lives; no request is named, so all of them are cancelled.
        unsafe { CancelIoEx(self.0.file.as_raw_handle().cast(), null()) };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let event = self.0.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let timeout = self.0.read_timeout.load(Ordering::Relaxed);
        let done = self.0.transfer(&event, timeout, |handle, overlapped| {
            // SAFETY: `transfer` returns only after the system let go of the buffer.
            unsafe { ReadFile(handle, buffer.as_mut_ptr(), length, null_mut(), overlapped) }
        });
        match done {
            Err(error) if is_end(&error) => Ok(0),
            other => other,
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let event = self.0.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        self.0.transfer(&event, INFINITE, |handle, overlapped| {
            // SAFETY: `transfer` returns only after the system let go of the buffer.
            unsafe { WriteFile(handle, buffer.as_ptr(), length, null_mut(), overlapped) }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pipe {
    /// Starts one operation and waits for its end; one that takes too long is cancelled and waited for.
    fn transfer(
        &self,
        event: &OwnedHandle,
        timeout: u32,
        start: impl FnOnce(HANDLE, *mut OVERLAPPED) -> i32,
    ) -> io::Result<usize> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let handle: HANDLE = self.file.as_raw_handle().cast();
        let mut overlapped = OVERLAPPED { hEvent: event.as_raw_handle().cast(), ..OVERLAPPED::default() };
        if start(handle, &raw mut overlapped) == 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(ERROR_IO_PENDING.cast_signed()) {
                return Err(error);
            }
        }
        if self.closed.load(Ordering::SeqCst) {
            // `close` may have come before the operation that it should have cancelled.
            // SAFETY: the operation belongs to this handle and is still ours.
            unsafe { CancelIoEx(handle, &raw const overlapped) };
        }
        // SAFETY: the event lives as long as `self`.
        let late = unsafe { WaitForSingleObject(overlapped.hEvent, timeout) } == WAIT_TIMEOUT;
        if late {
            // SAFETY: as above.
            unsafe { CancelIoEx(handle, &raw const overlapped) };
        }
        let mut count = 0;
        // SAFETY: waits until the system has let go of `overlapped` and of the buffer.
        let done = unsafe { GetOverlappedResult(handle, &raw const overlapped, &raw mut count, 1) };
        match (done, late) {
            (0, true) => Err(io::ErrorKind::TimedOut.into()),
            (0, false) if self.closed.load(Ordering::SeqCst) => Err(io::ErrorKind::BrokenPipe.into()),
            (0, false) => Err(io::Error::last_os_error()),
            _ => Ok(count as usize),
        }
    }
}

/// Ways in which a pipe says that the other side is gone.
fn is_end(error: &io::Error) -> bool {
    let ends =
        [ERROR_BROKEN_PIPE, ERROR_PIPE_NOT_CONNECTED, ERROR_NO_DATA].map(|code| Some(code.cast_signed()));
    error.kind() == io::ErrorKind::BrokenPipe || ends.contains(&error.raw_os_error())
}

/// An event that a pending operation sets. Starting an operation clears it.
fn event() -> io::Result<OwnedHandle> {
    // SAFETY: no name, no attributes.
    let handle = unsafe { CreateEventW(null(), 1, 0, null()) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh handle that nobody else closes.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle.cast()) })
}

fn foreign(name: &str) -> Error {
    Error::new(&codes::NOT_PRIVATE, format!("the pipe `{name}` belongs to another user"))
}

/// Whether the pipe's owner is the one that our own objects get.
fn owned_by_us(pipe: &File) -> io::Result<bool> {
    let mut token: HANDLE = null_mut();
    // SAFETY: the pseudo handle of this process is always valid; the token is closed by its owner below.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh handle that nobody else closes.
    let token = unsafe { OwnedHandle::from_raw_handle(token.cast()) };
    // Room for the structure and for the longest SID behind it, aligned for its pointer.
    let mut ours = [0_u64; 32];
    let (size, mut needed) = (u32::try_from(size_of_val(&ours)).unwrap_or(0), 0);
    let raw: HANDLE = token.as_raw_handle().cast();
    // SAFETY: the buffer has `size` bytes.
    if unsafe { GetTokenInformation(raw, TokenOwner, ours.as_mut_ptr().cast(), size, &raw mut needed) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let (mut owner, mut descriptor): (PSID, PSECURITY_DESCRIPTOR) = (null_mut(), null_mut());
    // SAFETY: the owner points into the descriptor, which is freed below.
    let status = unsafe {
        GetSecurityInfo(
            pipe.as_raw_handle().cast(),
            SE_KERNEL_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    };
    if status != 0 {
        return Err(io::Error::from_raw_os_error(status.cast_signed()));
    }
    // SAFETY: the call above filled the buffer with a TOKEN_OWNER whose SID lies in the same buffer.
    let same = unsafe { EqualSid(owner, (*ours.as_ptr().cast::<TOKEN_OWNER>()).Owner) } != 0;
    // SAFETY: allocated by GetSecurityInfo.
    unsafe { LocalFree(descriptor) };
    Ok(same)
}
