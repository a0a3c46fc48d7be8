//! One MCP client with many requests in flight: over the daemon's socket, or over `umcp serve` as editors run it.
//! Lines only; it checks no schema. Rule: every wait has a deadline.

use super::house::{House, ms, within};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use umcp::daemon::lifecycle;
use umcp::daemon::socket::Stream;
use umcp::daemon::wire::{Hello, Mode};

/// What has arrived.
#[derive(Default)]
struct Arrived {
    answers: HashMap<u64, Value>,
    /// Answers to ids that had one already.
    twice: usize,
    /// Lines that hold something else than a message.
    broken: usize,
    ended: bool,
}

type Inbox = Arc<(Mutex<Arrived>, Condvar)>;

enum Way {
    Socket(Stream),
    Bridge { child: Child, input: Option<OwnedFd> },
}

/// What a bridge gets as its stdin and stdout, and whether it may hand them over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Pipes,
    /// As Node's child processes have them.
    Sockets,
    /// Pipes, and bytes are copied.
    Copy,
}

/// A client of the legacy era, which has said hello.
pub struct Session {
    way: Way,
    inbox: Inbox,
    next: u64,
}

impl Session {
    /// Straight to the daemon's socket.
    pub fn direct(house: &House) -> Self {
        let connection = lifecycle::connect(&house.paths, &Hello::new(Mode::Mcp, "")).unwrap().unwrap();
        let (reader, rest) = connection.lines.into_parts();
        let inbox = receive(std::io::Cursor::new(rest).chain(reader));
        Self { way: Way::Socket(connection.stream), inbox, next: 1 }.greeted()
    }

    /// Through the bridge.
    pub fn bridged(house: &House) -> Self {
        Self::bridged_silently(house).greeted()
    }

    /// Through the bridge, without a word so far.
    pub fn bridged_silently(house: &House) -> Self {
        Self::bridged_as(house, Manner::Pipes)
    }

    /// As `bridged_silently`, over a certain kind of stdio.
    pub fn bridged_as(house: &House, manner: Manner) -> Self {
        let (child, input, output) = start(house, manner);
        Self { way: Way::Bridge { child, input: Some(input) }, inbox: receive(File::from(output)), next: 1 }
    }

    /// Says hello and waits for the answer.
    pub fn greeted(mut self) -> Self {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "faults", "version": "1"}});
        let hello = self.ask("initialize", params);
        assert_eq!(self.answer(hello, ms(20_000))["result"]["protocolVersion"], "2025-11-25");
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        self
    }

    pub fn say(&mut self, message: &Value) {
        self.say_bytes(format!("{message}\n").as_bytes());
    }

    /// Sends bytes as they are, such as a part of a line.
    pub fn say_bytes(&mut self, bytes: &[u8]) {
        let sent = match &mut self.way {
            Way::Socket(stream) => stream.write_all(bytes),
            Way::Bridge { input, .. } => {
                File::from(input.as_ref().unwrap().try_clone().unwrap()).write_all(bytes)
            }
        };
        sent.unwrap();
    }

    /// Closes the bridge's stdin and gives its exit code.
    pub fn close(&mut self, bound: Duration) -> Option<i32> {
        let Way::Bridge { child, input } = &mut self.way else { panic!("there is no bridge") };
        *input = None;
        let mut status = None;
        within(bound, "the bridge ends", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// The id the next request gets.
    pub fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// How many answers have come.
    pub fn answered(&self) -> usize {
        self.inbox.0.lock().unwrap().answers.len()
    }

    /// Lines that were no messages; an empty one does not count.
    pub fn broken(&self) -> usize {
        self.inbox.0.lock().unwrap().broken
    }

    /// Sends a request and gives its id.
    pub fn ask(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id();
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// Sends a call of `server__tool`.
    pub fn call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Waits for the answer to one id.
    pub fn answer(&self, id: u64, bound: Duration) -> Value {
        self.try_answer(id, bound).unwrap_or_else(|| panic!("no answer to {id} within {bound:?}"))
    }

    /// As `answer`; `None` when there is none in time or the stream ended.
    pub fn try_answer(&self, id: u64, bound: Duration) -> Option<Value> {
        let (arrived, changed) = &*self.inbox;
        let waiting = |arrived: &mut Arrived| !arrived.answers.contains_key(&id) && !arrived.ended;
        changed
            .wait_timeout_while(arrived.lock().unwrap(), bound, waiting)
            .unwrap()
            .0
            .answers
            .get(&id)
            .cloned()
    }

    /// Waits for the answers to all ids; gives those that came, in the order of the ids.
    pub fn answers(&self, ids: &[u64], bound: Duration) -> Vec<Option<Value>> {
        let deadline = Instant::now() + bound;
        ids.iter()
            .map(|id| self.try_answer(*id, deadline.saturating_duration_since(Instant::now())))
            .collect()
    }

    /// The text of a tool's result.
    pub fn text(&self, id: u64, bound: Duration) -> String {
        text(&self.answer(id, bound))
    }

    pub fn has_ended(&self) -> bool {
        self.inbox.0.lock().unwrap().ended
    }

    /// Ids that were answered more than once.
    pub fn answered_twice(&self) -> usize {
        self.inbox.0.lock().unwrap().twice
    }

    /// Pid of the bridge.
    pub fn pid(&self) -> u32 {
        match &self.way {
            Way::Bridge { child, .. } => child.id(),
            Way::Socket(_) => panic!("there is no bridge"),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        match &mut self.way {
            Way::Socket(stream) => stream.close(),
            Way::Bridge { child, input } => {
                *input = None;
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// Starts a bridge; gives our ends of its stdin and stdout.
fn start(house: &House, manner: Manner) -> (Child, OwnedFd, OwnedFd) {
    let mut command = house.command(&["serve"]);
    let (input, theirs, output): (OwnedFd, [OwnedFd; 2], OwnedFd) = if manner == Manner::Sockets {
        let (input, stdin) = UnixStream::pair().unwrap();
        let (output, stdout) = UnixStream::pair().unwrap();
        (input.into(), [stdin.into(), stdout.into()], output.into())
    } else {
        let (stdin, input) = std::io::pipe().unwrap();
        let (output, stdout) = std::io::pipe().unwrap();
        (input.into(), [stdin.into(), stdout.into()], output.into())
    };
    if manner == Manner::Copy {
        command.env("UMCP_TEST_COPY", "1");
    }
    let [stdin, stdout] = theirs;
    (command.stdin(stdin).stdout(stdout).spawn().unwrap(), input, output)
}

/// A client of a bridge that says a lot and reads nothing.
pub struct DeafBridge {
    child: Child,
    input: File,
    pub output: Option<File>,
}

impl DeafBridge {
    pub fn arrive(house: &House, manner: Manner) -> Self {
        let (child, input, output) = start(house, manner);
        let mut deaf = Self { child, input: input.into(), output: Some(output.into()) };
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "deaf", "version": "1"}}});
        writeln!(deaf.input, "{hello}").unwrap();
        deaf
    }

    pub fn call(&mut self, tool: &str, arguments: &Value) {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}});
        writeln!(self.input, "{call}").unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for DeafBridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that says a lot and reads nothing.
pub struct Deaf(Stream);

impl Deaf {
    pub fn arrive(house: &House) -> Self {
        let connection = lifecycle::connect(&house.paths, &Hello::new(Mode::Mcp, "")).unwrap().unwrap();
        let mut deaf = Self(connection.stream);
        deaf.say(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "deaf", "version": "1"}}}));
        deaf
    }

    pub fn call(&mut self, tool: &str, arguments: &Value) {
        self.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}}));
    }

    fn say(&mut self, message: &Value) {
        self.0.write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    /// Whether the daemon has closed both halves: writing fails then.
    pub fn is_shut(&mut self) -> bool {
        self.0.write_all(b"\n").is_err()
    }
}

/// The text of a tool's result, with a mark in front when it is an error.
pub fn text(answer: &Value) -> String {
    let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
    match (&answer["result"]["isError"], &answer["error"]["message"]) {
        (Value::Bool(true), _) => format!("error: {text}"),
        (_, Value::String(message)) => format!("refused: {message}"),
        _ => text.to_string(),
    }
}

fn receive(reader: impl Read + Send + 'static) -> Inbox {
    let inbox = Inbox::default();
    let theirs = inbox.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n') {
            let Ok(line) = line else { break };
            let mut arrived = theirs.0.lock().unwrap();
            let Ok(message) = serde_json::from_slice::<Value>(&line) else {
                arrived.broken += usize::from(!line.is_empty());
                continue;
            };
            if let (Some(id), None) = (message["id"].as_u64(), message["method"].as_str())
                && arrived.answers.insert(id, message).is_some()
            {
                arrived.twice += 1;
            }
            theirs.1.notify_all();
        }
        theirs.0.lock().unwrap().ended = true;
        theirs.1.notify_all();
    });
    inbox
}
