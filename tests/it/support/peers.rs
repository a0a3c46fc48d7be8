//! The real servers, clients and suites that `.ci/install-peers` installs. One that is missing is named, and its
//! test is skipped: a machine without Node or Python still runs the rest.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A line on stderr that also a passing test shows: what was skipped, what a suite scored.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        // Nobody may be listening.
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
pub(crate) use say;

/// Where the peers are: `UMCP_PEERS`, else `target/peers`.
pub fn root() -> PathBuf {
    match std::env::var_os("UMCP_PEERS") {
        Some(root) => root.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/peers"),
    }
}

/// A command of a peer. Says so, in one line, when it is not installed.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = root().join("bin").join(name);
    if path.exists() {
        return Some(path);
    }
    say!("skipped: {name} is not installed");
    None
}

/// A folder of installed modules, such as `typescript-v1`.
pub fn room(name: &str) -> Option<PathBuf> {
    let path = root().join(name);
    if path.join("node_modules").exists() {
        return Some(path);
    }
    say!("skipped: {name} is not installed");
    None
}

/// Runs a command to its end and gives what it wrote; kills it and panics when it takes too long.
pub fn run(command: &mut Command, patience: Duration) -> Output {
    let shown = format!("{command:?}");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = drain(child.stdout.take().unwrap());
    let stderr = drain(child.stderr.take().unwrap());
    let deadline = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            let (out, err) = (stdout.join().unwrap(), stderr.join().unwrap());
            let (out, err) = (String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
            panic!("{shown} took more than {patience:?}\n{out}\n{err}");
        }
        thread::sleep(Duration::from_millis(10));
    };
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn drain(mut pipe: impl std::io::Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// A server that runs beside the test and is killed when dropped.
pub struct Beside(Child);

impl Beside {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Takes over a child that was started already.
    pub fn new(child: Child) -> Self {
        Self(child)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port nobody listens on right now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until something listens on the port.
pub fn wait_for(port: u16, patience: Duration) {
    let deadline = Instant::now() + patience;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "nobody listens on port {port} after {patience:?}");
        thread::sleep(Duration::from_millis(20));
    }
}
