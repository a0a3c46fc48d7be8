//! A small MCP client over a child's stdin and stdout, with a deadline on every wait: it tries umcp's entry the
//! way a client would. Plain threads, no runtime; not a client for servers, that is `upstream`.
//! Rule: the child is ended when the probe goes, whatever happened.

use crate::error::{Error, Result, codes};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The revision the probe speaks, as most clients of today do.
pub const REVISION: &str = "2025-11-25";
/// Most of a child's stderr that is kept, in bytes.
const STDERR_LIMIT: u64 = 16 << 10;
/// How long the child may take to end after its stdin was closed.
const END_DEADLINE: Duration = Duration::from_secs(3);

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct Start {
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Set in the child's environment.
    pub env: BTreeMap<OsString, OsString>,
    /// Nothing is inherited but `env`.
    pub bare: bool,
}

/// A running child that speaks MCP.
pub struct Probe {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    next_id: u64,
    /// Notifications nobody waited for yet.
    notifications: Vec<Value>,
}

impl Probe {
    /// Starts the child; says nothing to it yet.
    pub fn start(start: &Start) -> Result<Self> {
        let mut command = Command::new(&start.program);
        if start.bare {
            command.env_clear();
        }
        command.args(&start.args).envs(&start.env);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            let message = format!("`{}` could not be started", start.program.display());
            Error::new(&codes::UPSTREAM_START, message).because(error)
        })?;
        let stdin = child.stdin.take();
        let stderr = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(std::io::Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        if let Some(pipe) = child.stderr.take() {
            let kept = Arc::clone(&stderr);
            std::thread::spawn(move || keep(pipe, &kept));
        }
        Ok(Self { child, stdin, lines, stderr, next_id: 1, notifications: Vec::new() })
    }

    /// Introduces itself and returns what the server says of itself.
    pub fn initialize(&mut self, client: &str, deadline: Duration) -> Result<Value> {
        let result = self.request("initialize", initialize_params(client), deadline)?;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(result)
    }

    /// All tools, page by page.
    pub fn tools(&mut self, deadline: Duration) -> Result<Vec<Value>> {
        let until = Instant::now() + deadline;
        let mut tools = Vec::new();
        let mut cursor: Option<Value> = None;
        loop {
            let params = cursor.take().map_or(json!({}), |cursor| json!({ "cursor": cursor }));
            let left = until.saturating_duration_since(Instant::now());
            let mut page = self.request("tools/list", params, left)?;
            match page["tools"].take() {
                Value::Array(items) => tools.extend(items),
                _ => return Err(odd("`tools/list` was answered without `tools`")),
            }
            match page.get("nextCursor") {
                Some(next) if !next.is_null() => cursor = Some(next.clone()),
                _ => return Ok(tools),
            }
        }
    }

    /// Calls a tool; a tool's own error is an error here.
    pub fn call(&mut self, tool: &str, arguments: &Value, deadline: Duration) -> Result<Value> {
        let result = self.request("tools/call", json!({"name": tool, "arguments": arguments}), deadline)?;
        if result["isError"] == json!(true) {
            let text = text_of(&result);
            return Err(Error::new(&codes::TOOL_FAILED, format!("`{tool}` reported: {text}")));
        }
        Ok(result)
    }

    /// Asks and waits for the answer of the same id.
    pub fn request(&mut self, method: &str, params: Value, deadline: Duration) -> Result<Value> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        let until = Instant::now() + deadline;
        loop {
            let message = self.receive(method, until)?;
            if message["id"] == json!(id) && message.get("method").is_none() {
                return answer(method, message);
            }
            self.other(message)?;
        }
    }

    /// Waits for a notification; false when the deadline passed without it.
    pub fn hears(&mut self, method: &str, deadline: Duration) -> Result<bool> {
        let until = Instant::now() + deadline;
        loop {
            if let Some(at) = self.notifications.iter().position(|message| message["method"] == json!(method))
            {
                self.notifications.remove(at);
                return Ok(true);
            }
            match self.receive(method, until) {
                Ok(message) => self.other(message)?,
                Err(error) if error.is(&codes::TIMED_OUT) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    fn receive(&mut self, waited_for: &str, until: Instant) -> Result<Value> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    let message = format!("no answer to `{waited_for}` in time");
                    return Err(Error::new(&codes::TIMED_OUT, message).because(self.last_words()));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.died()),
            };
            // A banner on stdout is noise to a client, not the end.
            if let Ok(message @ Value::Object(_)) = serde_json::from_str(&line) {
                return Ok(message);
            }
        }
    }

    /// Keeps a notification; answers a request of the server's with what a plain client can.
    fn other(&mut self, message: Value) -> Result<()> {
        match (message.get("method"), message.get("id")) {
            (Some(method), Some(id)) if method == "ping" => {
                self.send(&json!({"jsonrpc": "2.0", "id": id, "result": {}}))
            }
            (Some(_), Some(id)) => self.send(&json!({"jsonrpc": "2.0", "id": id,
                "error": {"code": -32601, "message": "not supported by this client"}})),
            (Some(_), None) => {
                self.notifications.push(message);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let line = format!("{message}\n");
        let sent =
            self.stdin.as_mut().map(|stdin| stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(self.died()),
        }
    }

    fn died(&mut self) -> Error {
        let status = self.child.try_wait().ok().flatten();
        let how = status.map_or("closed its output".into(), |status| format!("ended with {status}"));
        Error::new(&codes::UPSTREAM_DIED, format!("the program {how}")).because(self.last_words())
    }

    /// The last lines of stderr.
    fn last_words(&self) -> String {
        let text = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        if lines.is_empty() {
            return "it said nothing on stderr".into();
        }
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // A closed stdin is how a client says goodbye.
        self.stdin = None;
        let until = Instant::now() + END_DEADLINE;
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps the tail of what a child says on stderr, reading on so that it never blocks.
fn keep(pipe: impl Read, kept: &Mutex<String>) {
    for line in BufReader::new(pipe).lines().map_while(std::io::Result::ok) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() as u64 + line.len() as u64 > STDERR_LIMIT {
            kept.clear();
        }
        kept.extend(line.chars().take(1000));
        kept.push('\n');
    }
}

/// The parameters of `initialize`.
pub fn initialize_params(client: &str) -> Value {
    json!({"protocolVersion": REVISION, "capabilities": {},
        "clientInfo": {"name": client, "version": env!("CARGO_PKG_VERSION")}})
}

/// The result of an answer, or its error.
pub fn answer(method: &str, mut message: Value) -> Result<Value> {
    if let Some(error) = message.get("error") {
        let words = error["message"].as_str().unwrap_or("no message");
        let message = format!("`{method}` was answered with an error: {words}");
        return Err(Error::new(&codes::UPSTREAM_ERROR, message));
    }
    Ok(message["result"].take())
}

/// The texts of a tool's result, joined.
pub fn text_of(result: &Value) -> String {
    let items = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item["text"].as_str()).collect::<Vec<_>>().join("\n")
}

fn odd(message: &str) -> Error {
    Error::new(&codes::UPSTREAM_PROTOCOL, message)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A server of five lines of shell: enough to see that the probe keeps to the protocol.
    fn shell(script: &str) -> Probe {
        let args = vec!["-c".into(), script.into()];
        Probe::start(&Start { program: "/bin/sh".into(), args, ..Start::default() })
            .expect("every Unix has a shell")
    }

    #[test]
    fn a_session_goes_past_noise_and_questions() {
        let mut probe = shell(
            r#"echo banner; read a; echo '{"jsonrpc":"2.0","id":"x","method":"ping"}'
            echo '{"jsonrpc":"2.0","id":1,"result":{"serverInfo":{"name":"s"}}}'
            read pong; case "$pong" in *'"id":"x"'*) ;; *) exit 3;; esac
            read initialized; read list
            echo '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
            echo '{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"a"}],"nextCursor":"n"}}'
            read more; case "$more" in *'"cursor":"n"'*) ;; *) exit 4;; esac
            echo '{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"b"}]}}'
            read call; echo '{"jsonrpc":"2.0","id":4,"result":{"isError":true,"content":[{"type":"text","text":"no"}]}}'
            read end"#,
        );
        assert_eq!(probe.initialize("test", LONG).unwrap()["serverInfo"]["name"], "s");
        let names: Vec<_> = probe.tools(LONG).unwrap().iter().map(|tool| tool["name"].clone()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(probe.hears("notifications/tools/list_changed", LONG).unwrap());
        assert!(!probe.hears("notifications/tools/list_changed", Duration::ZERO).unwrap());
        let error = probe.call("a", &json!({}), LONG).unwrap_err();
        assert_eq!(error.message, "`a` reported: no");
    }

    #[test]
    fn a_death_and_a_silence_are_told_apart() {
        let dead = shell("echo why >&2; exit 7").initialize("test", LONG).unwrap_err();
        assert!(dead.is(&codes::UPSTREAM_DIED), "{dead}");
        let silent = shell("read a; read b").initialize("test", Duration::from_millis(50)).unwrap_err();
        assert!(silent.is(&codes::TIMED_OUT), "{silent}");
        let missing = Start { program: "/no/such/program".into(), ..Start::default() };
        assert!(Probe::start(&missing).err().unwrap().is(&codes::UPSTREAM_START));
    }
}
