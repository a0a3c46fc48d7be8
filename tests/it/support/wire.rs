//! How a raw client's messages travel: a stdio bridge, the local socket, or HTTP. Every message that comes in, from
//! whatever stream, lands in one queue. Not here: what the messages mean (`mcp.rs`).

use super::daemon::Daemon;
use super::http;
use super::mcp::Era;
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use umcp::daemon::lifecycle;
use umcp::daemon::wire::{Hello, Mode};

/// Which front door a client comes in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `umcp serve`, as editors run it.
    Bridge,
    /// The bridge's side of the socket, without a process: for many clients at once.
    Socket,
    Http,
}

pub enum Wire {
    Lines { out: Box<dyn Write + Send>, bridge: Option<Child> },
    Http(Http),
}

pub struct Http {
    address: String,
    path: String,
    era: Era,
    pub session: Option<String>,
    inbox: Sender<Value>,
    /// Open exchanges by the id of their request.
    open: HashMap<String, TcpStream>,
}

impl Wire {
    fn lines(out: impl Write + Send + 'static, read: impl Read + Send + 'static) -> (Self, Receiver<Value>) {
        (Self::Lines { out: Box::new(out), bridge: None }, read_lines(read))
    }

    pub fn bridge(mut command: std::process::Command) -> (Self, Receiver<Value>) {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (out, inbox) = (child.stdin.take().unwrap(), read_lines(child.stdout.take().unwrap()));
        (Self::Lines { out: Box::new(out), bridge: Some(child) }, inbox)
    }

    pub fn socket(daemon: &Daemon, profile: Option<&str>) -> (Self, Receiver<Value>) {
        let hello = Hello { profile: profile.map(Into::into), ..Hello::new(Mode::Mcp, "") };
        let connection = lifecycle::connect(&daemon.paths, &hello).unwrap().unwrap();
        let (stream, first) = connection.lines.into_parts();
        Self::lines(connection.stream, std::io::Cursor::new(first).chain(stream))
    }

    pub fn http(address: &str, path: &str, era: Era) -> (Self, Receiver<Value>) {
        let (inbox, receiver) = channel();
        let (address, path) = (address.to_string(), path.to_string());
        (Self::Http(Http { address, path, era, session: None, inbox, open: HashMap::new() }), receiver)
    }

    pub fn send(&mut self, message: &Value) {
        match self {
            Self::Lines { out, .. } => {
                out.write_all(format!("{message}\n").as_bytes()).unwrap();
                out.flush().unwrap();
            }
            Self::Http(http) => http.post(message),
        }
    }

    /// Sends a line as it is; only where lines are sent.
    pub fn send_line(&mut self, line: &str) {
        if let Self::Lines { out, .. } = self {
            out.write_all(format!("{line}\n").as_bytes()).unwrap();
            out.flush().unwrap();
        }
    }

    /// Hangs up on one request; false where that is not how a request is cancelled.
    pub fn hang_up(&mut self, id: &Value) -> bool {
        match self {
            Self::Http(http) if http.era == Era::Modern => {
                let stream = http.open.remove(&id.to_string()).unwrap();
                stream.shutdown(Shutdown::Both).unwrap();
                true
            }
            _ => false,
        }
    }
}

/// Every line as JSON, from a thread that ends with the stream.
fn read_lines(read: impl Read + Send + 'static) -> Receiver<Value> {
    let (sender, inbox) = channel();
    thread::spawn(move || {
        for line in BufReader::new(read).lines() {
            let Ok(line) = line else { return };
            let message = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    inbox
}

impl Http {
    fn headers(&self, message: &Value) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some(session) = &self.session {
            headers.push(("Mcp-Session-Id", session.clone()));
        }
        if message["method"] == "initialize" {
            return headers;
        }
        headers.push(("MCP-Protocol-Version", self.era.revision().into()));
        if self.era == Era::Modern {
            headers.push(("Mcp-Method", message["method"].as_str().unwrap_or_default().into()));
            let params = &message["params"];
            let named = ["name", "uri", "taskId"].iter().find_map(|key| params[key].as_str());
            if let Some(name) = named {
                headers.push(("Mcp-Name", name.into()));
            }
        }
        headers
    }

    fn post(&mut self, message: &Value) {
        let headers = self.headers(message);
        let (mut exchange, stream) =
            http::send(&self.address, "POST", &self.path, &headers, &message.to_string());
        let inbox = self.inbox.clone();
        let id = message["id"].clone();
        if message["method"] == "initialize" {
            let head = exchange.head().unwrap();
            self.session = head.get("mcp-session-id").map(Into::into);
            exchange.messages(&head, |message| drop(inbox.send(message)));
            return;
        }
        if !id.is_null() {
            self.open.insert(id.to_string(), stream);
        }
        thread::spawn(move || {
            let Some(head) = exchange.head() else { return };
            let text = exchange.messages(&head, |message| drop(inbox.send(message)));
            if head.status >= 400 && !text.is_empty() {
                let error = serde_json::json!({"code": head.status, "message": text});
                let _ = inbox.send(serde_json::json!({"jsonrpc": "2.0", "id": id, "error": error}));
            }
        });
    }

    /// Opens the general stream of a legacy session.
    pub fn follow(&mut self) {
        let headers = self.headers(&Value::Null);
        let (mut exchange, stream) = http::send(&self.address, "GET", &self.path, &headers, "");
        let head = exchange.head().unwrap();
        assert_eq!(head.status, 200, "the general stream");
        let inbox = self.inbox.clone();
        self.open.insert("general".into(), stream);
        thread::spawn(move || exchange.messages(&head, |message| drop(inbox.send(message))));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        match self {
            Self::Lines { out, bridge } => {
                *out = Box::new(std::io::sink());
                if let Some(bridge) = bridge {
                    let status = bridge.wait();
                    if !thread::panicking() {
                        assert!(status.unwrap().success(), "the bridge ended badly");
                    }
                }
            }
            Self::Http(http) => {
                for stream in http.open.values() {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            }
        }
    }
}
