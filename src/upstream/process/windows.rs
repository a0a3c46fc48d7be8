//! Children on Windows: named pipes, which the runtime can wait for, and one job object per child.
//! The job is closed with its last handle, also when this process is killed, and takes all its members along,
//! so that nothing has to be swept. A process that the child starts before it is in the job escapes.

use super::{Confinement, ExitInfo, Guard, Launched, Spec, Usage, environment};
use crate::error::{Error, Result, codes};
use crate::sandbox::Limits;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::windows::named_pipe::{NamedPipeServer, PipeMode, ServerOptions};
use tokio::sync::watch;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_JOB_MEMORY,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, SetInformationJobObject, TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW};

/// The daemon's end of a child's stdin.
pub type Input = NamedPipeServer;
/// The daemon's end of a child's stdout or stderr.
pub type Output = NamedPipeServer;

const PIPE_BYTES: u32 = 256 * 1024;
/// Exit code of a killed process.
const KILLED: u32 = 1;

/// The child's ends: stdin, stdout, stderr.
pub(super) struct Theirs([File; 3]);

pub(super) fn prepare() -> Result<()> {
    Ok(())
}

pub(super) fn pipes() -> io::Result<((Input, Output, Output), Theirs)> {
    let (stdin, stdin_theirs) = pipe(false)?;
    let (stdout, stdout_theirs) = pipe(true)?;
    let (stderr, stderr_theirs) = pipe(true)?;
    Ok(((stdin, stdout, stderr), Theirs([stdin_theirs, stdout_theirs, stderr_theirs])))
}

/// One direction: `inbound` is read by us. Anonymous pipes cannot be waited for, hence one with a secret name.
fn pipe(inbound: bool) -> io::Result<(NamedPipeServer, File)> {
    let name = format!(r"\\.\pipe\umcp-{}", crate::ids::random_hex(16));
    let ours = ServerOptions::new()
        .access_inbound(inbound)
        .access_outbound(!inbound)
        .pipe_mode(PipeMode::Byte)
        .first_pipe_instance(true)
        .reject_remote_clients(true)
        .max_instances(1)
        .in_buffer_size(PIPE_BYTES)
        .out_buffer_size(PIPE_BYTES)
        .create(&name)?;
    let theirs = OpenOptions::new().read(!inbound).write(inbound).open(&name)?;
    Ok((ours, theirs))
}

pub(super) fn launch(spec: &Spec, marker: String, theirs: Theirs) -> Result<Launched> {
    let env = environment::child_env(std::env::vars_os(), &spec.env, &marker);
    let program = environment::resolve(spec, &env)?;
    let refused = |error: io::Error| environment::launch_error(&spec.label, &error);
    let limits = spec.confinement.as_ref().map(Confinement::bounds).unwrap_or_default().limits;
    let job = job(limits).map_err(refused)?;
    let [stdin, stdout, stderr] = theirs.0;
    let mut command = Command::new(&program);
    command.args(&spec.args).env_clear().envs(&env);
    command.creation_flags(CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP);
    command.stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).stderr(Stdio::from(stderr));
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    if let Some(confinement) = &spec.confinement {
        confinement.prepare(spec, &program, &mut command)?.attach(&mut command);
    }
    let mut child = command.spawn().map_err(refused)?;
    // SAFETY: both handles are open and ours.
    if unsafe { AssignProcessToJobObject(job.as_raw_handle(), child.as_raw_handle()) } == 0 {
        let error = io::Error::last_os_error();
        let _ = child.kill();
        return Err(refused(error));
    }
    let pid = child.id();
    let tree = Guard(Some(Arc::new(Tree { job })));
    let (sender, exited) = watch::channel(None);
    let wait = move || {
        let code = child.wait().ok().and_then(|status| status.code());
        sender.send_replace(Some(ExitInfo { code, signal: None }));
    };
    std::thread::Builder::new().name("umcp-wait".into()).spawn(wait).map_err(|error| {
        Error::new(&codes::UPSTREAM_RESOURCES, format!("`{}`: no thread to wait for it", spec.label))
            .because(error)
    })?;
    Ok(Launched { tree, pid, exited })
}

fn job(bounds: Limits) -> io::Result<OwnedHandle> {
    // SAFETY: no name and no attributes; a handle other than null is ours to close.
    let job = unsafe {
        let handle = CreateJobObjectW(std::ptr::null(), std::ptr::null());
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        OwnedHandle::from_raw_handle(handle)
    };
    // SAFETY: all bytes zero means no limit; pointer and length describe `limits`.
    let set = unsafe {
        let mut limits: JOBOBJECT_EXTENDED_LIMIT_INFORMATION = std::mem::zeroed();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        if let Some(bytes) = bounds.memory {
            limits.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_JOB_MEMORY;
            limits.JobMemoryLimit = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
        if let Some(count) = bounds.processes {
            limits.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
            limits.BasicLimitInformation.ActiveProcessLimit = u32::try_from(count).unwrap_or(u32::MAX);
        }
        let size = u32::try_from(size_of_val(&limits)).expect("a structure of some hundred bytes");
        SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            (&raw const limits).cast(),
            size,
        )
    };
    if set == 0 { Err(io::Error::last_os_error()) } else { Ok(job) }
}

/// The job of one child.
pub(super) struct Tree {
    job: OwnedHandle,
}

impl Tree {
    /// There is no polite signal for a process without a console; the end of input was the request.
    pub(super) fn ask(&self) {}

    pub(super) fn end(&self, _patience: Duration) -> bool {
        // SAFETY: the handle is open.
        unsafe { TerminateJobObject(self.job.as_raw_handle(), KILLED) != 0 }
    }
}

/// The job objects of a killed daemon are closed by the system, and end their members.
pub(super) fn sweep(_nonce: &str, _patience: Duration) -> usize {
    0
}

pub(super) fn usages(pids: &[u32]) -> Vec<Option<Usage>> {
    vec![None; pids.len()]
}

/// The job object itself holds the bounds: what goes beyond them fails.
pub(super) fn used(trees: &[Arc<Tree>]) -> Vec<Option<Usage>> {
    vec![None; trees.len()]
}

/// Never asked for, since nothing is known of the whole either.
pub(super) fn proportional(_tree: &Tree) -> Option<u64> {
    None
}
