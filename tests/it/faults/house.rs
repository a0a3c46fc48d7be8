//! A home of its own with the real daemon, a healthy server, and whatever misbehaves beside it.
//! It speaks with the daemon through the library's client and knows nothing of single faults.
//! Rule: when a house ends, no process and no socket of it is left; a test that leaves some fails.

use super::entries::fixture;
use super::process::{has_variable, is_alive, pids, send_signal};
use std::io::BufReader;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use umcp::daemon::client::Client;
use umcp::daemon::report::Report;
use umcp::engine::live::{CallRequest, Called, Live, LiveReply, ServerStatus, Status};
use umcp::engine::{Reply, Request};
use umcp::error::{Code, Error, Result};
use umcp::paths::Paths;
use umcp::servers::Server;

/// Polls until `reached`; fails the test when `bound` passes first. Gives the time it took.
pub fn within(bound: Duration, what: &str, mut reached: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !reached() {
        assert!(started.elapsed() < bound.mul_f64(busy()), "not within {bound:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    started.elapsed()
}

/// How much longer things may take here: bounds are those of an idle machine, one with more to do than it has
/// processors takes its time. From 1 to 4; always 1 where the whole counts were asked for.
fn busy() -> f64 {
    if is_long() {
        return 1.0;
    }
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = text.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    let processors = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
    (load / processors).clamp(1.0, 4.0)
}

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Whether the whole counts were asked for, rather than those of a quick run.
pub fn is_long() -> bool {
    std::env::var_os("UMCP_LONG").is_some_and(|value| value == "1")
}

/// How a daemon is started.
#[derive(Default)]
pub struct Terms {
    /// Bound of open files, both soft and hard.
    pub files: Option<u64>,
}

/// See the head of this file.
pub struct House {
    pub paths: Paths,
    pub folder: tempfile::TempDir,
    daemon: Option<Child>,
    terms: Terms,
}

impl House {
    /// A home without a daemon.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(folder.path(), folder.path().into());
        paths.create().unwrap();
        Self { paths, folder, daemon: None, terms: Terms::default() }
    }

    /// A home with a daemon and the server `good`, which has been called once.
    pub fn new() -> Self {
        Self::with(Terms::default())
    }

    pub fn with(terms: Terms) -> Self {
        let mut house = Self::empty();
        house.terms = terms;
        house.start().unwrap();
        house.add(fixture("good", &["--name", "good"]));
        house.call("good.echo", r#"{"text":"warm"}"#).unwrap();
        house
    }

    /// A file in the home; faults bound to it last as long as it exists.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that keeps a fault alive, and the arguments that bind it.
    pub fn bound_fault(&self, fault: &str) -> (PathBuf, Vec<String>) {
        let file = self.file("fault");
        std::fs::write(&file, "").unwrap();
        let bind = file.display().to_string();
        (file, vec!["--fault".into(), fault.into(), "--fault-once-file".into(), bind])
    }

    /// The program with this home, in an environment of its own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_umcp"));
        command
            .args(arguments)
            .env_clear()
            .env("UMCP_HOME", self.folder.path())
            .env("HOME", self.folder.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).stderr(Stdio::null());
        command
    }

    /// Starts the daemon's process; its report is the first line of its stdout.
    pub fn spawn_daemon(&self) -> Child {
        let log = std::fs::File::options().append(true).create(true).open(self.paths.daemon_log()).unwrap();
        let mut command = self.command(&["__daemon"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        if let Some(files) = self.terms.files {
            let limit = libc::rlimit { rlim_cur: files, rlim_max: files };
            // SAFETY: `setrlimit` may be called between fork and exec, and the structure is copied into the closure.
            unsafe {
                command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                });
            }
        }
        command.spawn().unwrap()
    }

    /// Starts the daemon and waits for its report.
    pub fn start(&mut self) -> Result<u32> {
        let mut daemon = self.spawn_daemon();
        match report(&mut daemon) {
            Report::Failed(error) => {
                daemon.wait().unwrap();
                Err(error)
            }
            _ => {
                let pid = daemon.id();
                self.daemon = Some(daemon);
                Ok(pid)
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("a daemon was started").id()
    }

    pub fn signal(&self, signal: i32) {
        send_signal(self.pid(), signal);
    }

    /// Waits for the daemon's end; gives its exit code.
    pub fn wait(&mut self, bound: Duration) -> (Option<i32>, Duration) {
        let mut daemon = self.daemon.take().expect("a daemon was started");
        let mut status = None;
        let took = within(bound, "the daemon ends", || {
            status = daemon.try_wait().unwrap();
            status.is_some()
        });
        (status.and_then(|status| status.code()), took)
    }

    /// As a crash: nothing is said, nothing is cleaned up.
    pub fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("a daemon was started");
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// After the daemon that this house started was killed by somebody.
    pub fn reap(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.wait().unwrap();
        }
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.paths, "faults").unwrap().expect("the daemon answers")
    }

    pub fn ask(&self, request: impl Into<Request>) -> Result<Reply> {
        self.client().call(&request.into(), &mut |_| {})
    }

    pub fn live(&self, live: Live) -> Result<LiveReply> {
        match self.ask(live)? {
            Reply::Live(reply) => Ok(reply),
            other => panic!("no live reply: {other:?}"),
        }
    }

    pub fn add(&self, server: Server) {
        let request = umcp::servers::Request::Add { servers: vec![server], replace: false };
        self.ask(request).unwrap();
    }

    /// Calls `server.tool` and gives the text of the result.
    pub fn call(&self, target: &str, arguments: &str) -> Result<String> {
        call_over(&mut self.client(), target, arguments)
    }

    /// A single call of the tool that misbehaves once.
    pub fn misbehave(&self, server: &str, fault: &str) -> Result<String> {
        let (name, arg) = fault.split_once('=').unwrap_or((fault, ""));
        self.call(&format!("{server}.fault"), &format!(r#"{{"name":"{name}","arg":"{arg}"}}"#))
    }

    pub fn status(&self) -> Status {
        match self.live(Live::Status).unwrap() {
            LiveReply::Status(status) => *status,
            other => panic!("no status: {other:?}"),
        }
    }

    pub fn server(&self, name: &str) -> ServerStatus {
        let servers = self.status().servers;
        servers.into_iter().find(|server| server.name == name).expect("the server exists")
    }

    /// Pid of a server that runs.
    pub fn pid_of(&self, name: &str) -> u32 {
        self.server(name).pid.expect("the server runs")
    }

    pub fn stop_server(&self, name: &str) {
        self.live(Live::StopServers { names: vec![name.into()] }).unwrap();
    }

    /// The healthy neighbour answers within a second, whatever goes on beside it.
    pub fn good_answers(&self) {
        let started = Instant::now();
        let said = self.call("good.echo", r#"{"text":"still here"}"#).unwrap();
        let took = started.elapsed();
        assert_eq!(said, "still here");
        assert!(took < ms(1000), "the healthy neighbour took {took:?}");
    }

    /// Calls until it succeeds, which must be within `bound`; notes how long row `row` took to recover.
    pub fn recovers(&self, row: u32, server: &str, bound: Duration) -> Duration {
        let target = format!("{server}.echo");
        let started = Instant::now();
        loop {
            match self.call(&target, r#"{"text":"well again"}"#) {
                Ok(said) => {
                    assert_eq!(said, "well again");
                    break;
                }
                Err(error) => {
                    assert!(started.elapsed() < bound, "row {row}: no recovery within {bound:?}: {error}")
                }
            }
            std::thread::sleep(ms(10));
        }
        let took = started.elapsed();
        assert!(took < bound, "row {row}: recovery took {took:?}");
        note(row, took);
        took
    }

    /// Processes that carry the marker of this home's daemons.
    pub fn children(&self) -> Vec<u32> {
        let nonce = crc32fast::hash(self.paths.store().as_os_str().as_encoded_bytes());
        let marker = format!("UMCP_SPAWN={nonce:08x}:");
        pids().filter(|pid| has_variable(*pid, marker.as_bytes())).collect()
    }

    /// Daemons of this home, whoever started them.
    pub fn daemons(&self) -> Vec<u32> {
        let home = format!("UMCP_HOME={}\0", self.folder.path().display());
        let is_daemon = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(b"__daemon")
        };
        pids().filter(is_daemon).filter(|pid| has_variable(*pid, home.as_bytes())).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            send_signal(daemon.id(), libc::SIGTERM);
            let deadline = Instant::now() + ms(8000);
            while daemon.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < deadline {
                std::thread::sleep(ms(5));
            }
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        // Those that a bridge started.
        let others = self.daemons();
        others.iter().for_each(|pid| send_signal(*pid, libc::SIGTERM));
        let deadline = Instant::now() + ms(8000);
        while others.iter().any(|pid| is_alive(*pid)) && Instant::now() < deadline {
            std::thread::sleep(ms(5));
        }
        let left = self.children();
        left.iter().for_each(|pid| send_signal(*pid, libc::SIGKILL));
        let socket = self.paths.socket().exists();
        if !std::thread::panicking() {
            assert_eq!(left, Vec::<u32>::new(), "processes were left behind");
            assert!(!socket || self.daemon.is_none(), "a socket was left behind");
        }
    }
}

/// Calls `server.tool` over a connection of its own and gives the text of the result.
pub fn call_over(client: &mut Client, target: &str, arguments: &str) -> Result<String> {
    let request = CallRequest {
        target: target.into(),
        arguments: arguments.into(),
        timeout_ms: None,
        client: "faults".into(),
        profile: None,
        account: None,
        record: false,
    };
    match client.call(&Live::Call(request).into(), &mut |_| {})? {
        Reply::Live(LiveReply::Called(called)) => Ok(text_of(&called)),
        other => panic!("no result: {other:?}"),
    }
}

fn text_of(called: &Called) -> String {
    let result: serde_json::Value = serde_json::from_str(&called.result).unwrap();
    result["content"][0]["text"].as_str().unwrap_or_default().to_string()
}

/// The report of a daemon just started.
pub fn report(daemon: &mut Child) -> Report {
    let stdout = daemon.stdout.take().expect("the daemon has a pipe");
    Report::read(BufReader::new(stdout)).unwrap().expect("the daemon reports")
}

/// The call failed for the reason of this code.
pub fn failed_with<T: std::fmt::Debug>(outcome: Result<T>, code: &Code) -> Error {
    let error = outcome.expect_err(code.name);
    assert_eq!((error.code.code, error.code.name), (code.code, code.name), "{error}");
    error
}

/// Appends the recovery time of a row to the file named in `UMCP_FAULT_REPORT`, if there is one.
pub fn note(row: u32, took: Duration) {
    let Some(path) = std::env::var_os("UMCP_FAULT_REPORT") else { return };
    use std::io::Write;
    let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
    writeln!(file, "{row} {}", took.as_millis()).unwrap();
}
