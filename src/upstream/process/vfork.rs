//! Starting a process without a copy of this one: the child borrows our memory until it becomes another program, and
//! the thread that starts it stands still meanwhile (`CLONE_VM` with `CLONE_VFORK`). It knows no policy: what the
//! child does on its way comes from the command, the sandbox and the caller.
//! Rule: what runs in the child makes system calls only. It neither allocates nor locks nor panics, and no handler of
//! a signal runs in it.

use crate::sandbox::Prepared;
use std::ffi::{CString, OsStr, c_char, c_void};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering};

/// The child needs a few KiB; the pages it does not touch cost nothing.
const STACK_BYTES: usize = 256 << 10;
/// A page that nobody may touch, of whatever size pages have.
const GUARD_BYTES: usize = 64 << 10;

/// Signals are counted from 1 to this.
const SIGNALS: libc::c_int = 64;
/// Bytes of a set of signals as the kernel has it.
const SET_BYTES: usize = 8;

/// Starts what `command` says, with its program as a path, its environment cleared and set anew.
///
/// Runs `prepared` and then `last` in the child. `None`: the system does not let us, so it has to be forked.
///
/// # Errors
/// Those of the child on its way come back as they are; no process is left of it then.
pub(super) fn spawn(
    command: &Command,
    pipes: &[OwnedFd; 3],
    prepared: Option<&Prepared>,
    last: &dyn Fn() -> io::Result<()>,
) -> io::Result<Option<u32>> {
    let pipes = [0, 1, 2].map(|number: usize| pipes[number].as_raw_fd());
    // The layout of the kernel's structures is known for these. A pipe in the place of another would be overwritten.
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) || pipes.iter().any(|fd| *fd < 3) {
        return Ok(None);
    }
    // What std keeps in the place of a text with a zero in it, which it tells of only when it starts the command.
    let unfit = OsStr::new("<string-with-nul>");
    let folder = command.get_current_dir().map(std::path::Path::as_os_str);
    if command.get_args().chain([command.get_program()]).chain(folder).any(|text| text == unfit) {
        return Ok(None);
    }
    let program = Program::of(command)?;
    let task = Task { program: &program, pipes, prepared, last, failed: AtomicI32::new(0) };
    let pid = match clone(&task) {
        Ok(pid) => pid,
        Err(error) => {
            let refused = [libc::EPERM, libc::ENOSYS, libc::EINVAL];
            let refused = error.raw_os_error().is_some_and(|number| refused.contains(&number));
            return if refused { Ok(None) } else { Err(error) };
        }
    };
    // The child has become its program or has ended, or we would still stand still.
    match task.failed.load(Ordering::Relaxed) {
        0 => Ok(Some(pid.cast_unsigned())),
        number => {
            bury(pid);
            let error = io::Error::from_raw_os_error(number);
            if Prepared::needs_own_memory(&error) { Ok(None) } else { Err(error) }
        }
    }
}

/// What `execve` is given, built before there is a child.
struct Program {
    path: CString,
    args: Strings,
    env: Strings,
    cwd: Option<CString>,
    /// The arguments of the shell that runs a file without a first line, as `execvp` of this C library does.
    shell: Option<Strings>,
}

impl Program {
    fn of(command: &Command) -> io::Result<Self> {
        let path = text(command.get_program())?;
        let args = command.get_args().map(text).collect::<io::Result<Vec<_>>>()?;
        let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let env = set.map(|(name, value)| text(&[name, value].join(OsStr::new("="))));
        let before = |first: &[CString]| Strings::new([first, args.as_slice()].concat());
        let shell = cfg!(target_env = "gnu").then(|| before(&[c"/bin/sh".into(), path.clone()]));
        Ok(Self {
            args: before(std::slice::from_ref(&path)),
            env: Strings::new(env.collect::<io::Result<_>>()?),
            cwd: command.get_current_dir().map(|cwd| text(cwd.as_os_str())).transpose()?,
            path,
            shell,
        })
    }
}

fn text(text: &OsStr) -> io::Result<CString> {
    Ok(CString::new(text.as_bytes())?)
}

/// Strings for the kernel: pointers to them, and a null.
struct Strings {
    pointers: Vec<*const c_char>,
    /// What they point to.
    _texts: Vec<CString>,
}

impl Strings {
    fn new(texts: Vec<CString>) -> Self {
        let pointers = texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        Self { pointers, _texts: texts }
    }
}

/// What the child does, and how it went.
struct Task<'a> {
    program: &'a Program,
    pipes: [libc::c_int; 3],
    prepared: Option<&'a Prepared>,
    last: &'a dyn Fn() -> io::Result<()>,
    /// The number of the error that ended the child on its way; 0 is none.
    failed: AtomicI32,
}

/// Makes the child and waits until it needs our memory no more.
fn clone(task: &Task) -> io::Result<libc::pid_t> {
    let stack = Stack::new()?;
    let blocked = Blocked::all()?;
    // SAFETY: asks for a flag of this process.
    let dumpable = unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let argument = std::ptr::from_ref(task).cast_mut().cast::<c_void>();
    // SAFETY: the child runs on a stack of its own and is done with it and with `task` when this returns, because
    // of CLONE_VFORK. What it shares with us it reads only, but for the number of its error, which is an atomic.
    let pid = unsafe { libc::clone(child, stack.top(), flags, argument) };
    let error = io::Error::last_os_error();
    // The flag belongs to the memory we share. The child puts it back itself, unless it was killed meanwhile.
    // SAFETY: a flag of this process. A value that cannot be set from here leaves the stricter one.
    unsafe {
        if libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) != dumpable {
            libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(dumpable == 1), 0, 0, 0);
        }
    }
    drop(blocked);
    drop(stack);
    if pid < 0 { Err(error) } else { Ok(pid) }
}

/// The whole life of the child before it becomes a program.
extern "C" fn child(task: *mut c_void) -> libc::c_int {
    // SAFETY: `clone` passes a task that outlives the child.
    let task = unsafe { &*task.cast::<Task>() };
    let number = task.run().raw_os_error().filter(|number| *number > 0).unwrap_or(libc::EIO);
    task.failed.store(number, Ordering::Relaxed);
    // SAFETY: ends the child at once; nothing of ours is cleaned up by it.
    unsafe { libc::_exit(127) }
}

impl Task<'_> {
    /// Returns only when something failed.
    fn run(&self) -> io::Error {
        match self.prepare() {
            Ok(()) => self.exec(),
            Err(error) => error,
        }
    }

    fn prepare(&self) -> io::Result<()> {
        forget_handlers();
        for (fd, number) in self.pipes.iter().zip(0..) {
            // SAFETY: numbers only; the table of descriptors is the child's own.
            done(unsafe { libc::dup2(*fd, number) })?;
        }
        if let Some(cwd) = &self.program.cwd {
            // SAFETY: a string that ends with a zero; the current folder is the child's own.
            done(unsafe { libc::chdir(cwd.as_ptr()) })?;
        }
        // SAFETY: numbers only.
        done(unsafe { libc::setpgid(0, 0) })?;
        if let Some(prepared) = self.prepared {
            prepared.enter()?;
        }
        (self.last)()
    }

    fn exec(&self) -> io::Error {
        let Program { path, args, env, shell, .. } = self.program;
        set_mask(0);
        // SAFETY: strings that end with a zero and lists that end with a null; all of them outlive the child.
        unsafe { libc::execve(path.as_ptr(), args.pointers.as_ptr(), env.pointers.as_ptr()) };
        let error = io::Error::last_os_error();
        if let (Some(libc::ENOEXEC), Some(shell)) = (error.raw_os_error(), shell) {
            // SAFETY: as above.
            unsafe { libc::execve(c"/bin/sh".as_ptr(), shell.pointers.as_ptr(), env.pointers.as_ptr()) };
        }
        error
    }
}

fn done(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A handler would run in our memory: every one that is set becomes the default, in the child alone. Ignored signals
/// stay ignored, but for the broken pipe, which the runtime ignores and no program expects to.
fn forget_handlers() {
    /// The kernel's structure, which is no longer than this; the handler comes first.
    type Action = [usize; 8];
    static DEFAULT: Action = [libc::SIG_DFL; 8];
    for signal in 1..=SIGNALS {
        let mut present = DEFAULT;
        let none = std::ptr::null::<Action>();
        // The C library hides the signals it keeps for itself, so the kernel is asked.
        // SAFETY: the kernel fills a structure that is long enough, and reads one of zeros.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, none, &raw mut present, SET_BYTES);
            let caught = present[0] != libc::SIG_DFL && present[0] != libc::SIG_IGN;
            if caught || signal == libc::SIGPIPE {
                libc::syscall(libc::SYS_rt_sigaction, signal, &raw const DEFAULT, none, SET_BYTES);
            }
        }
    }
}

/// Sets which signals this thread does not take now; gives what it was. `None`: refused.
fn set_mask(mask: u64) -> Option<u64> {
    let mut before = 0_u64;
    // SAFETY: reads one set of signals and fills another, both of the size that is told.
    let answer = unsafe {
        let how = libc::SIG_SETMASK;
        libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const mask, &raw mut before, SET_BYTES)
    };
    (answer == 0).then_some(before)
}

/// No signal meets this thread, and so none meets its child, until it is dropped.
struct Blocked(u64);

impl Blocked {
    fn all() -> io::Result<Self> {
        set_mask(u64::MAX).map(Self).ok_or_else(io::Error::last_os_error)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set_mask(self.0);
    }
}

/// Memory for the child's calls.
struct Stack(*mut c_void);

impl Stack {
    fn new() -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: new memory at a place of the system's choice; its lowest part is closed before anybody has it.
        unsafe {
            let memory = libc::mmap(std::ptr::null_mut(), STACK_BYTES, access, kind, -1, 0);
            if memory == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let stack = Self(memory);
            done(libc::mprotect(memory, GUARD_BYTES, libc::PROT_NONE))?;
            Ok(stack)
        }
    }

    /// Where it begins; it grows down.
    fn top(&self) -> *mut c_void {
        self.0.wrapping_byte_add(STACK_BYTES)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size; whoever ran on it has become another program or has ended.
        unsafe { libc::munmap(self.0, STACK_BYTES) };
    }
}

/// Waits for a child that has ended or is just ending.
fn bury(pid: libc::pid_t) {
    // SAFETY: a child of ours that nobody else knows of; no status is asked for.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

#[cfg(test)]
#[path = "vfork_tests.rs"]
mod tests;
