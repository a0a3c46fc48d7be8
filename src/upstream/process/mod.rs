//! Owns the processes of stdio servers: starts them, notices their end, and leaves nothing of them behind.
//! It does not know MCP and does not restart anything; it hands out three pipes and an exit.
//! Rule: a process started here dies with its [`Child`], and so does everything that process started.

mod confine;
mod environment;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod look;
#[cfg(unix)]
mod reaper;
mod run;
#[cfg(unix)]
mod spawn;
#[cfg(all(test, target_os = "linux"))]
mod tests;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod tree;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
#[path = "macos.rs"]
mod tree;
#[cfg(target_os = "linux")]
mod vfork;
mod watch;
#[cfg(windows)]
mod windows;

use crate::error::{Error, Result, codes};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;

#[cfg(unix)]
use {spawn as platform, tree as platform_tree};
#[cfg(windows)]
use {windows as platform, windows as platform_tree};

pub use confine::Confinement;
pub use platform::{Input, Output};
pub use run::{Finished, Job};
pub use watch::Verdict;

/// Name of the variable by which processes of ours are recognised, however often they changed their parent.
///
/// A daemon must remove it from its own environment when it is started by a server of another daemon.
pub const MARKER: &str = "UMCP_SPAWN";

/// How long the end of a killed tree is waited for; it takes milliseconds unless the machine is very busy.
const KILL_PATIENCE: Duration = Duration::from_secs(2);
/// How long the news of the end may take after that.
const EXIT_PATIENCE: Duration = Duration::from_millis(200);

/// Numbers the spawns of this process, so that no two trees share a marker.
static SPAWNS: AtomicU64 = AtomicU64::new(1);

/// What to start.
#[derive(Clone)]
pub struct Spec {
    /// A name looked up in the child's `PATH`, or a path (relative ones start at `cwd`).
    pub program: String,
    pub args: Vec<String>,
    /// Declared variables; they win over the inherited ones.
    pub env: BTreeMap<String, String>,
    pub cwd: Option<PathBuf>,
    /// Name of the server, for messages.
    pub label: String,
    /// How it is shut in; `None` is not at all.
    pub confinement: Option<Confinement>,
}

/// How a process ended. Both empty: the system did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExitInfo {
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

impl fmt::Display for ExitInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => f.write_str("unknown exit"),
        }
    }
}

/// What a process and its descendants use at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// User and system time together, including descendants that ended and were waited for.
    pub cpu_ms: u64,
    /// Sum of the resident sets; shared pages count once per process.
    pub rss_bytes: u64,
    pub processes: u32,
}

/// The one who starts processes. Ends its thread, and with it every child that is left, when the last
/// `Arc` is gone; each [`Child`] holds one.
pub struct Children {
    requests: mpsc::Sender<Request>,
    nonce: String,
}

struct Request {
    spec: Spec,
    marker: String,
    theirs: platform::Theirs,
    answer: oneshot::Sender<Result<Launched>>,
}

/// What the spawning thread gives back.
struct Launched {
    tree: Guard,
    pid: u32,
    exited: tokio::sync::watch::Receiver<Option<ExitInfo>>,
}

impl Children {
    /// Starts the thread that spawns. `nonce` names the store; it stands in the marker of every child, so that
    /// [`sweep`] finds what a killed daemon left behind.
    pub fn start(nonce: &str) -> Result<Arc<Self>> {
        Self::start_after(nonce, || {})
    }

    /// The same; no process starts before `first` is done, which its thread does while others go on.
    pub fn start_after(nonce: &str, first: impl FnOnce() + Send + 'static) -> Result<Arc<Self>> {
        platform::prepare()?;
        let (requests, inbox) = mpsc::channel();
        // One thread for all spawns, alive as long as the children: on Linux the parent-death signal is sent
        // when the thread that forked ends, not when the process does.
        let started = std::thread::Builder::new().name("umcp-spawn".into()).spawn(move || {
            first();
            serve(&inbox);
        });
        started.map_err(|error| {
            Error::new(&codes::UPSTREAM_RESOURCES, "no thread for child processes").because(error)
        })?;
        Ok(Arc::new(Self { requests, nonce: nonce.into() }))
    }

    /// Starts a process with three pipes, in its own group, with a short list of inherited variables.
    ///
    /// Errors: `UPSTREAM_START` when the program cannot be run, `UPSTREAM_RESOURCES` when the system is out of
    /// file descriptors, processes or memory. Must be called inside a tokio runtime with I/O.
    pub async fn spawn(self: &Arc<Self>, spec: Spec) -> Result<Child> {
        let label = spec.label.clone();
        let (ours, theirs) = platform::pipes().map_err(|error| environment::launch_error(&label, &error))?;
        let number = SPAWNS.fetch_add(1, Ordering::Relaxed);
        let marker = format!("{}:{}.{number}", self.nonce, std::process::id());
        let (answer, launched) = oneshot::channel();
        let gone = || Error::bug("the thread that starts processes is gone");
        let bounds = spec.confinement.as_ref().map(Confinement::bounds).unwrap_or_default();
        self.requests.send(Request { spec, marker, theirs, answer }).map_err(|_| gone())?;
        let Launched { tree, pid, exited } = launched.await.map_err(|_| gone())??;
        let (stdin, stdout, stderr) = ours;
        let verdict = watch::Verdict::new(bounds.limits, exited.clone());
        if let Some(tree) = &tree.0 {
            watch::add(bounds, tree, &verdict)?;
        }
        Ok(Child {
            verdict,
            pid,
            stdin: Some(stdin),
            stdout: Some(stdout),
            stderr: Some(stderr),
            exited,
            tree,
            _children: self.clone(),
        })
    }
}

fn serve(inbox: &mpsc::Receiver<Request>) {
    while let Ok(Request { spec, marker, theirs, answer }) = inbox.recv() {
        // Nobody may be waiting any more; then the answer is dropped, and its guard ends the tree.
        let _ = answer.send(platform::launch(&spec, marker, theirs));
    }
}

/// A running process. Dropping it kills the whole tree; [`Child::stop`] asks first.
pub struct Child {
    pub pid: u32,
    /// Taken by whoever speaks with the server, who must drop it before [`Child::stop`].
    pub stdin: Option<Input>,
    pub stdout: Option<Output>,
    pub stderr: Option<Output>,
    exited: tokio::sync::watch::Receiver<Option<ExitInfo>>,
    verdict: watch::Verdict,
    tree: Guard,
    _children: Arc<Children>,
}

impl Child {
    /// A handle that waits for the end of the process and outlives the child.
    pub fn exit(&self) -> Exit {
        Exit(self.exited.clone())
    }

    /// A handle that tells which bound was passed, and outlives the child.
    pub fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    /// Ends the process and everything it started: end of input, `grace`, SIGTERM to the tree, `grace`, SIGKILL.
    ///
    /// With a `grace` of zero it kills at once. Processes left when the server itself has ended are killed without
    /// being asked. `None`: the system did not end the process within two seconds of the kill.
    pub async fn stop(mut self, grace: Duration) -> Option<ExitInfo> {
        self.stdin = None;
        let mut exit = self.exit();
        if !grace.is_zero() && tokio::time::timeout(grace, exit.wait()).await.is_err() {
            self.tree.with(platform_tree::Tree::ask);
            let _ = tokio::time::timeout(grace, exit.wait()).await;
        }
        if let Some(tree) = self.tree.0.take() {
            // Walks /proc and waits: not for the runtime's own thread. When this future is dropped it still runs.
            let _ = tokio::task::spawn_blocking(move || tree.end(KILL_PATIENCE)).await;
        }
        tokio::time::timeout(EXIT_PATIENCE, exit.wait()).await.ok()
    }
}

/// The end of one process.
#[derive(Clone)]
pub struct Exit(tokio::sync::watch::Receiver<Option<ExitInfo>>);

impl Exit {
    /// Waits until the process has ended; may be dropped and called again.
    pub async fn wait(&mut self) -> ExitInfo {
        match self.0.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or_default(),
            Err(_) => ExitInfo::default(),
        }
    }

    /// How it ended, if it has.
    pub fn now(&self) -> Option<ExitInfo> {
        *self.0.borrow()
    }
}

/// Kills the tree unless it was taken out before.
struct Guard(Option<Arc<platform_tree::Tree>>);

impl Guard {
    fn with(&self, act: impl Fn(&platform_tree::Tree)) {
        if let Some(tree) = &self.0 {
            act(tree.as_ref());
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(tree) = self.0.take() else { return };
        let other = tree.clone();
        let end = move || {
            other.end(KILL_PATIENCE);
        };
        if std::thread::Builder::new().name("umcp-kill".into()).spawn(end).is_err() {
            tree.end(KILL_PATIENCE);
        }
    }
}

/// Kills every process that a former daemon of the same store started and left behind; returns how many.
///
/// Call it while holding the daemon's lock and before the first spawn. Never touches this process or its ancestors.
pub fn sweep(nonce: &str) -> usize {
    platform_tree::sweep(nonce, KILL_PATIENCE)
}

/// What `pid` and its descendants use. `None` when it is gone or the platform has no cheap way to tell.
pub fn usage(pid: u32) -> Option<Usage> {
    usages(&[pid]).pop().flatten()
}

/// [`usage`] of several processes with one look at the system.
pub fn usages(pids: &[u32]) -> Vec<Option<Usage>> {
    platform_tree::usages(pids)
}
