//! The room as a whole, against a minimal daemon in a process of its own: this very test binary, started again
//! with the ignored test `host`. It keeps the lock, the socket and the report as the real one does.
#![cfg(unix)]

use super::bridge::pump;
use super::client::Client;
use super::lifecycle::{self, Connection, Options, Starter};
use super::lock::{self, Guard};
use super::report::Report;
use super::socket::Listener;
use super::wire::{Frame, Hello, Line, Lines, Mode, PROTOCOL, VERSION, Welcome};
use super::{door, socket};
use crate::engine::live::{Event, Live, LiveReply};
use crate::engine::{Reply, Request};
use crate::error::{Error, codes};
use crate::paths::Paths;
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Barrier};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

/// A home, and how to start the minimal daemon in it. Ends the daemon when dropped.
struct Home {
    _dir: tempfile::TempDir,
    paths: Paths,
    environment: Vec<(&'static str, String)>,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(dir.path(), dir.path().into());
        let environment = vec![("UMCP_TEST_HOST", dir.path().display().to_string())];
        Self { _dir: dir, paths, environment }
    }

    fn options(&self, mode: Mode) -> Options {
        let arguments = ["--exact", "daemon::tests::host", "--ignored", "--nocapture", "--test-threads=1"];
        let starter = Starter {
            program: std::env::current_exe().unwrap(),
            arguments: arguments.map(Into::into).to_vec(),
            environment: self.environment.iter().map(|(key, value)| (key.into(), value.into())).collect(),
        };
        Options { hello: Hello::new(mode, "test"), starter }
    }

    fn ensure(&self) -> crate::error::Result<Connection> {
        lifecycle::ensure(&self.paths, &self.options(Mode::Call))
    }

    /// How many daemons ever became ready here.
    fn starts(&self) -> usize {
        std::fs::read_to_string(self.paths.state.join("starts")).unwrap_or_default().lines().count()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = lifecycle::stop(&self.paths);
    }
}

/// The minimal daemon. Not a test of its own.
#[test]
#[ignore = "started by the other tests as their daemon"]
fn host() {
    let Some(home) = std::env::var_os("UMCP_TEST_HOST") else { return };
    let paths = Paths::in_folder(home.as_ref(), home.clone().into());
    // The harness has begun a line with the name of this test.
    std::io::stdout().write_all(b"\n").unwrap();
    if std::env::var_os("UMCP_TEST_FAILS").is_some() {
        return Report::Failed(Error::new(&codes::STORE_NEWER, "the store is newer")).send();
    }
    let Some(guard) = Guard::take(&paths).unwrap() else {
        return Report::Running { pid: lock::holder(&paths) }.send();
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut listener = Listener::bind(&paths, &guard).unwrap();
        let mut starts =
            std::fs::OpenOptions::new().append(true).create(true).open(paths.state.join("starts")).unwrap();
        writeln!(starts, "{}", std::process::id()).unwrap();
        Report::ready().send();
        let stop = Arc::new(tokio::sync::Notify::new());
        loop {
            tokio::select! {
                peer = listener.accept() => { tokio::spawn(visit(peer.unwrap(), Arc::clone(&stop))); }
                () = stop.notified() => break,
            }
        }
    });
}

async fn visit(peer: socket::Peer, stop: Arc<tokio::sync::Notify>) {
    let Ok(door::Guest::Visitor(mut visitor)) = door::Visitor::receive(peer).await else { return };
    let variable = |name: &str| std::env::var(name).ok();
    if let Some(version) = variable("UMCP_TEST_VERSION") {
        let umcp = variable("UMCP_TEST_PROTOCOL").map_or(PROTOCOL, |number| number.parse().unwrap());
        let welcome = Welcome { umcp, version, pid: std::process::id(), refused: None, pipes: 0 };
        door::send(&mut visitor.write, &welcome).await.unwrap();
    } else {
        let unknown = visitor.hello.profile.as_ref().filter(|profile| *profile == "unknown");
        let reason = unknown.map(|_| Error::new(&codes::PROFILE_NOT_FOUND, "no profile named `unknown`"));
        if !visitor.welcome(reason).await.unwrap() {
            return;
        }
    }
    match visitor.hello.mode {
        Mode::Stop => stop.notify_one(),
        Mode::Mcp => mcp(visitor).await,
        _ => {
            while let Ok(Some(request)) = door::receive::<Request>(&mut visitor.read).await {
                let event = Event::Log { level: "info".into(), message: "working".into() };
                door::send(&mut visitor.write, &Frame::Event(event)).await.unwrap();
                let frame = match request {
                    Request::Live(Live::Sessions) => Frame::Reply(Reply::Live(LiveReply::Done)),
                    Request::Live(Live::Follow) => continue,
                    _ => Frame::Error(Error::new(&codes::SERVER_NOT_FOUND, "no server named `x`")),
                };
                door::send(&mut visitor.write, &frame).await.unwrap();
            }
        }
    }
}

/// Echoes; some methods do what a test needs.
async fn mcp(visitor: door::Visitor) {
    let door::Visitor { mut read, mut write, .. } = visitor;
    let mut line = String::new();
    while read.read_line(&mut line).await.unwrap() > 0 {
        let message: Value = serde_json::from_str(&line).unwrap();
        line.clear();
        let mut say = String::new();
        match message["method"].as_str().unwrap_or_default() {
            "die" | "die-mid-line" => {
                let half = if message["method"] == "die" { "" } else { "{\"id\":" };
                write.write_all(half.as_bytes()).await.unwrap();
                // SAFETY: a signal to ourselves: the test wants this very death.
                unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            }
            "ask" => say = json!({"id": 70, "method": "sampling/createMessage"}).to_string() + "\n",
            "slow" => {}
            "notifications/initialized" => {
                say = json!({"method": "seen", "params": "initialized"}).to_string() + "\n"
            }
            method if !message["id"].is_null() => {
                let size = message["params"].as_str().map_or(0, str::len);
                let result = json!({"method": method, "pid": std::process::id(), "size": size});
                say = json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string() + "\n";
            }
            _ => {}
        }
        write.write_all(say.as_bytes()).await.unwrap();
    }
}

#[test]
fn fifty_times_two_starters_end_with_one_daemon() {
    let home = Home::new();
    for round in 1..=50 {
        let barrier = Barrier::new(2);
        let start = || {
            barrier.wait();
            home.ensure().unwrap().welcome.pid
        };
        let (one, two) = std::thread::scope(|scope| {
            let other = scope.spawn(start);
            (start(), other.join().unwrap())
        });
        assert_eq!((one, home.starts()), (two, round), "round {round}");
        assert_eq!(lock::holder(&home.paths), Some(one));
        assert!(lifecycle::stop(&home.paths).unwrap());
        assert!(lifecycle::running(&home.paths).unwrap().is_none() && !home.paths.socket().exists());
    }
}

#[test]
fn nothing_is_started_by_looking() {
    let home = Home::new();
    assert!(lifecycle::running(&home.paths).unwrap().is_none());
    assert!(Client::connect(&home.paths, "test").unwrap().is_none());
    assert!(!lifecycle::stop(&home.paths).unwrap());
    assert!(!home.paths.state.exists());
}

#[test]
fn a_daemon_killed_leaves_nothing_in_the_way() {
    let home = Home::new();
    let first = home.ensure().unwrap();
    let pid = libc::pid_t::try_from(first.welcome.pid).unwrap();
    // SAFETY: the process is a child that this test started.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    assert_eq!(first.lines.into_parts().0.set_read_timeout(Some(Duration::from_secs(10))).ok(), Some(()));
    lock::wait_free(&home.paths, std::time::Instant::now() + Duration::from_secs(10)).unwrap();
    assert!(home.paths.socket().exists());
    let second = home.ensure().unwrap();
    assert_ne!(second.welcome.pid, first.welcome.pid);
}

#[test]
fn a_daemon_that_cannot_start_says_why_to_its_starter() {
    let mut home = Home::new();
    home.environment.push(("UMCP_TEST_FAILS", "1".into()));
    assert!(home.ensure().unwrap_err().is(&codes::STORE_NEWER));
}

#[test]
fn a_refusal_in_the_welcome_is_the_error_of_the_caller() {
    let home = Home::new();
    let mut options = home.options(Mode::Mcp);
    options.hello.profile = Some("unknown".into());
    assert!(lifecycle::ensure(&home.paths, &options).unwrap_err().is(&codes::PROFILE_NOT_FOUND));
    assert!(lifecycle::running(&home.paths).unwrap().is_some());
    assert_eq!(home.starts(), 1);
}

#[test]
fn only_a_newer_program_replaces_a_daemon() {
    let mut home = Home::new();
    home.environment.push(("UMCP_TEST_VERSION", "0.0.1".into()));
    let old = home.ensure();
    // What we start is old again, so the replacing never ends well; but it did replace.
    assert!(old.unwrap_err().is(&codes::DAEMON_START));
    assert!(home.starts() > 1);
    home.environment.pop();
    let fresh = home.ensure().unwrap();
    assert_eq!(
        (fresh.welcome.version.as_str(), lifecycle::running(&home.paths).unwrap().unwrap().pid),
        (VERSION, fresh.welcome.pid)
    );
    lifecycle::stop(&home.paths).unwrap();
    home.environment.push(("UMCP_TEST_VERSION", "99.0.0".into()));
    let newer = home.ensure().unwrap();
    assert_eq!(home.ensure().unwrap().welcome.pid, newer.welcome.pid);
    lifecycle::stop(&home.paths).unwrap();
    home.environment.push(("UMCP_TEST_PROTOCOL", "99".into()));
    assert!(home.ensure().unwrap_err().is(&codes::DAEMON_NEWER));
    assert_eq!(lifecycle::running(&home.paths).unwrap().unwrap().umcp, 99);
}

#[test]
fn a_client_asks_again_and_again_over_one_connection() {
    let home = Home::new();
    let mut client = Client::over(home.ensure().unwrap());
    let mut events = 0;
    for _ in 0..3 {
        let reply = client.call(&Live::Sessions.into(), &mut |_| events += 1).unwrap();
        assert!(matches!(reply, Reply::Live(LiveReply::Done)));
        let error = client.call(&Live::Status.into(), &mut |_| events += 1).unwrap_err();
        assert!(error.is(&codes::SERVER_NOT_FOUND));
    }
    assert_eq!(events, 6);
    client.set_timeout(Some(Duration::from_millis(30)));
    assert!(client.call(&Live::Follow.into(), &mut |_| events += 1).unwrap_err().is(&codes::TIMED_OUT));
    assert_eq!(events, 7);
}

/// An MCP client at the other end of a bridge.
struct Editor {
    input: UnixStream,
    output: Lines<UnixStream>,
    bridge: std::thread::JoinHandle<crate::error::Result<()>>,
}

impl Editor {
    fn new(home: &Home) -> Self {
        let (input, bridge_input) = UnixStream::pair().unwrap();
        let (output, bridge_output) = UnixStream::pair().unwrap();
        output.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (paths, options) = (home.paths.clone(), home.options(Mode::Mcp));
        let bridge = std::thread::spawn(move || pump::serve(&paths, &options, bridge_input, bridge_output));
        Self { input, output: Lines::new(output), bridge }
    }

    fn say(&mut self, message: &Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    fn hear_text(&mut self) -> String {
        let Line::Whole(line) = self.output.next(1 << 20).unwrap() else { panic!("the bridge is silent") };
        String::from_utf8(line).unwrap()
    }

    fn hear(&mut self) -> Value {
        serde_json::from_str(&self.hear_text()).unwrap()
    }

    fn ask(&mut self, id: u32, method: &str) -> Value {
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method}));
        self.hear()
    }

    fn shake_hands(&mut self) -> Value {
        let answer = self.ask(0, "initialize");
        self.say(&json!({"method": "notifications/initialized"}));
        assert_eq!(self.hear()["params"], "initialized");
        answer
    }
}

#[test]
fn the_bridge_outlives_the_daemon_and_replays_the_handshake() {
    let home = Home::new();
    let mut editor = Editor::new(&home);
    let first = editor.shake_hands()["result"]["pid"].clone();
    editor.say(&json!({"id": 6, "method": "ask"}));
    assert_eq!(editor.hear()["id"], 70);
    editor.say(&json!({"id": 7, "method": "slow"}));
    editor.say(&json!({"id": "eight", "method": "die"}));
    let interrupted = [editor.hear(), editor.hear(), editor.hear()];
    assert_eq!(interrupted.each_ref().map(|it| it["id"].clone()), [json!(6), json!(7), json!("eight")]);
    assert!(interrupted.iter().all(|it| it["error"]["code"] == -32000));
    assert_eq!(editor.hear()["params"]["requestId"], 70);
    assert_eq!(editor.hear()["method"], "notifications/tools/list_changed");
    assert_eq!(editor.hear()["params"], "initialized");
    let answer = editor.ask(9, "tools/list");
    assert_eq!((&answer["id"], home.starts()), (&json!(9), 2));
    assert_ne!(answer["result"]["pid"], first);
}

#[test]
fn a_line_cut_by_the_death_of_the_daemon_reaches_nobody() {
    let home = Home::new();
    let mut editor = Editor::new(&home);
    editor.shake_hands();
    let long = json!({"params": "x".repeat(200_000), "method": "big", "id": 5}).to_string() + "\n";
    let (head, tail) = long.split_at(150_000);
    editor.say(&json!({"id": 4, "method": "die-mid-line"}));
    // The daemon dies with its own line unfinished: the client gets the end of that line, then the answer.
    assert_eq!(editor.hear_text(), "{\"id\":");
    assert_eq!(editor.hear()["id"], 4);
    assert_eq!(editor.hear()["method"], "notifications/tools/list_changed");
    assert_eq!(editor.hear()["params"], "initialized");
    // Now one that dies in the middle of a line of the client.
    let pid = lock::holder(&home.paths).unwrap();
    // The answer to the ping says that the beginning of the long line was sent with it.
    editor.input.write_all(format!("{}\n{head}", json!({"id": 3, "method": "ping"})).as_bytes()).unwrap();
    assert_eq!((&editor.hear()["id"], home.starts()), (&json!(3), 2));
    // SAFETY: the process is a child that this test started.
    unsafe { libc::kill(libc::pid_t::try_from(pid).unwrap(), libc::SIGKILL) };
    assert_eq!(editor.hear()["method"], "notifications/tools/list_changed");
    assert_eq!(editor.hear()["params"], "initialized");
    editor.input.write_all(tail.as_bytes()).unwrap();
    let lost = editor.hear();
    assert_eq!((&lost["id"], &lost["error"]["code"]), (&json!(5), &json!(-32000)));
    editor.input.write_all(long.as_bytes()).unwrap();
    assert_eq!(editor.hear()["result"]["size"], 200_000);
}

#[test]
fn a_client_that_leaves_gets_its_last_answers() {
    let home = Home::new();
    let mut editor = Editor::new(&home);
    for id in 0..20 {
        editor.say(&json!({"id": id, "method": "tools/call"}));
    }
    editor.input.shutdown(std::net::Shutdown::Write).unwrap();
    let ids: Vec<Value> = (0..20).map(|_| editor.hear()["id"].clone()).collect();
    assert_eq!(ids, (0..20).map(Value::from).collect::<Vec<_>>());
    editor.bridge.join().unwrap().unwrap();
    assert_eq!(editor.output.next(100).unwrap(), Line::End);
}
