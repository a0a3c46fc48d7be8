//! Starting a process on Unix: pipes, group, parent-death signal, closed descriptors.
//! `launch` runs on the one spawning thread only; everything it decides stands in `environment.rs`.

use super::tree::Tree;
#[cfg(target_os = "linux")]
use super::vfork;
use super::{ExitInfo, Guard, Launched, Spec, environment, reaper};
use crate::error::{Error, Result, codes};
use crate::sandbox::Prepared;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::net::unix::pipe;
use tokio::sync::watch;

/// The daemon's end of a child's stdin.
pub type Input = pipe::Sender;
/// The daemon's end of a child's stdout or stderr.
pub type Output = pipe::Receiver;

/// The child's ends: stdin, stdout, stderr.
pub(super) struct Theirs([OwnedFd; 3]);

/// Makes this process the one that inherits orphaned descendants, and starts the thread that reaps.
pub(super) fn prepare() -> Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: sets a flag of this process, no memory is involved. Fails only on kernels before 3.4.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    reaper::start().map_err(|error| {
        Error::new(&codes::UPSTREAM_RESOURCES, "no thread to wait for child processes").because(error)
    })
}

pub(super) fn pipes() -> io::Result<((Input, Output, Output), Theirs)> {
    let (stdin, stdin_theirs) = pipe::pipe()?;
    let (stdout_theirs, stdout) = pipe::pipe()?;
    let (stderr_theirs, stderr) = pipe::pipe()?;
    enlarge(stdin.as_raw_fd());
    enlarge(stdout.as_raw_fd());
    let theirs = [
        stdin_theirs.into_blocking_fd()?,
        stdout_theirs.into_blocking_fd()?,
        stderr_theirs.into_blocking_fd()?,
    ];
    Ok(((stdin, stdout, stderr), Theirs(theirs)))
}

/// Makes room in a pipe, if the system allows. Measured through `cat`, there and back: 1 MiB takes 0.9 ms with the
/// default of 64 KiB, 0.5 ms with 256 KiB and no less with 1 MiB. What Linux grants a user for all pipes together
/// (64 MiB) holds 113 such servers; beyond that pipes are smaller, not refused.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn enlarge(fd: libc::c_int) {
    const PIPE_BYTES: libc::c_int = 256 * 1024;
    // SAFETY: `fd` is an open pipe; refusal leaves it as it was.
    unsafe { libc::fcntl(fd, libc::F_SETPIPE_SZ, PIPE_BYTES) };
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn enlarge(_fd: libc::c_int) {}

pub(super) fn launch(spec: &Spec, marker: String, theirs: Theirs) -> Result<Launched> {
    let env = environment::child_env(std::env::vars_os(), &spec.env, &marker);
    let program = environment::resolve(spec, &env)?;
    let mut command = Command::new(&program);
    command.args(&spec.args).env_clear().envs(&env);
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    let prepared =
        spec.confinement.as_ref().map(|it| it.prepare(spec, &program, &mut command)).transpose()?;
    let (pid, exited) =
        start(command, prepared, theirs.0).map_err(|error| refused(spec, &program, &error))?;
    Ok(Launched { tree: Guard(Some(Arc::new(Tree::new(pid, marker)))), pid, exited })
}

/// Starts it, where the system lets us without a copy of this process.
fn start(
    command: Command,
    prepared: Option<Prepared>,
    pipes: [OwnedFd; 3],
) -> io::Result<(u32, watch::Receiver<Option<ExitInfo>>)> {
    let parent = std::process::id();
    reaper::spawn(|| {
        #[cfg(target_os = "linux")]
        if let Some(pid) = vfork::spawn(&command, &pipes, prepared.as_ref(), &|| before_exec(parent))? {
            return Ok(pid);
        }
        fork(command, prepared, pipes, parent)
    })
}

/// Starts it as the standard library does.
pub(super) fn fork(
    mut command: Command,
    prepared: Option<Prepared>,
    [stdin, stdout, stderr]: [OwnedFd; 3],
    parent: u32,
) -> io::Result<u32> {
    if let Some(prepared) = prepared {
        // First of all: on some systems it puts another program in front.
        prepared.attach(&mut command);
    }
    command.process_group(0);
    command.stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).stderr(Stdio::from(stderr));
    // SAFETY: `before_exec` makes system calls only; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(move || before_exec(parent)) };
    Ok(command.spawn()?.id())
}

/// Runs in the child before it becomes a program.
fn before_exec(parent: u32) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: plain system calls without pointers.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        // Descriptors that this process itself inherited without close-on-exec. Kernels before 5.11 refuse; then
        // only those of ours, which all have the flag, are closed.
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC);
    }
    // SAFETY: as above. A daemon that died before the signal was armed would never be told about.
    if unsafe { libc::getppid() }.cast_unsigned() != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;

fn refused(spec: &Spec, program: &std::path::Path, error: &io::Error) -> Error {
    let label = &spec.label;
    if let Some(failure) = Prepared::failure(error) {
        return Error { message: format!("`{label}`: {}", failure.message), ..failure };
    }
    let message = match error.raw_os_error() {
        // The file is there, `resolve` saw it: what is missing is the program its first line names.
        Some(libc::ENOENT) => format!("`{label}`: the interpreter of `{}` is missing", program.display()),
        Some(libc::EACCES) => format!("`{label}`: `{}` may not be executed", program.display()),
        Some(libc::ENOEXEC) => format!("`{label}`: `{}` is not a program", program.display()),
        Some(libc::E2BIG) => format!("`{label}`: arguments and environment are too long"),
        _ => return environment::launch_error(label, error),
    };
    Error::new(&codes::UPSTREAM_START, message).because(error)
}
