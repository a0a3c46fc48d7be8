//! Connections of a raw MCP client: keep-alive HTTP, HTTP+SSE and stdio, in either era. No SDK.

use mcp_gateway_bench::{Era, Http, MODERN, read_http, request};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Error, Result, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::Duration;

const PROTOCOL: &str = "2025-11-25";

pub fn bad(s: impl Into<String>) -> Error {
    Error::other(s.into())
}

fn init_params() -> String {
    json!({"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": {"name": "mcp-load", "version": "1"}})
        .to_string()
}

/// Text of about `n` bytes with the escapes that ordinary prose and code have,
/// already as a JSON string body (no quotes around it).
pub fn payload(n: usize) -> String {
    let unit = "the quick \\\"brown\\\" fox, at line 17:\\n\\tjumps over { the: 'lazy' } dog; ";
    unit.repeat(n / unit.len() + 1)
}

/// What the text of call `id` starts with. Every call differs, so that a gateway
/// that caches results gains nothing by it, and an answer can be told from
/// another call's.
pub fn mark(id: u64) -> String {
    format!("call {id} of the run; ")
}

/// Whether `line` answers request `id` with a result of at least `min` bytes
/// and, for a call (`min` over 200), that call's own text. `None`: it is
/// another message.
pub fn verdict(line: &[u8], id: u64, min: usize) -> Option<bool> {
    let edge = |b: &[u8]| String::from_utf8_lossy(b).replace([' ', '\t'], "");
    let head = edge(&line[..line.len().min(120)]);
    let end = edge(&line[line.len().saturating_sub(120)..]);
    let key = format!("\"id\":{id}");
    let hit = |s: &str| {
        s.match_indices(&key).any(|(at, k)| !s.as_bytes().get(at + k.len()).is_some_and(u8::is_ascii_digit))
    };
    if !hit(&head) && !hit(&end) {
        return None;
    }
    let err =
        head.contains("\"error\":") || end.contains("\"isError\":true") || head.contains("\"isError\":true");
    let own = min <= 200 || {
        let m = mark(id);
        line[..line.len().min(1500)].windows(m.len()).any(|w| w == m.as_bytes())
    };
    Some(!err && own && line.len() >= min)
}

/// One keep-alive HTTP connection.
pub struct Conn {
    host: String,
    path: String,
    extra: String,
    pub session: Option<String>,
    io: Option<(TcpStream, BufReader<TcpStream>)>,
    era: Era,
}

impl Conn {
    pub fn new(url: &str, extra: &[String], era: Era) -> Self {
        let rest = url.strip_prefix("http://").expect("http URL");
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        Conn {
            host: host.into(),
            path: format!("/{path}"),
            extra: extra.iter().map(|h| format!("{h}\r\n")).collect(),
            session: None,
            io: None,
            era,
        }
    }
    /// Header lines that say what the message is, as its era asks for.
    fn head(&self, method: &str, name: &str) -> String {
        let name = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
        match self.era {
            Era::Legacy => format!("MCP-Protocol-Version: {PROTOCOL}\r\n"),
            Era::Modern => format!("MCP-Protocol-Version: {MODERN}\r\nMcp-Method: {method}\r\n{name}"),
        }
    }
    /// Sends once more on a new connection when a kept one turns out closed.
    fn send(&mut self, verb: &str, body: &str, head: &str) -> Result<Http> {
        let kept = self.io.is_some();
        match self.send_once(verb, body, head) {
            Err(e)
                if kept
                    && !matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                self.send_once(verb, body, head)
            }
            r => r,
        }
    }
    fn send_once(&mut self, verb: &str, body: &str, head: &str) -> Result<Http> {
        if self.io.is_none() {
            let s = TcpStream::connect(&self.host)?;
            s.set_nodelay(true)?;
            s.set_read_timeout(Some(Duration::from_secs(20)))?;
            self.io = Some((s.try_clone()?, BufReader::with_capacity(256 << 10, s)));
        }
        let mut m = Vec::with_capacity(body.len() + 512);
        write!(
            m,
            "{verb} {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\n{}",
            self.path, self.host, self.extra
        )?;
        if let Some(s) = &self.session {
            write!(m, "Mcp-Session-Id: {s}\r\n")?;
        }
        m.extend_from_slice(head.as_bytes());
        write!(m, "Content-Length: {}\r\n\r\n{body}", body.len())?;
        let (w, r) = self.io.as_mut().unwrap();
        let got = w.write_all(&m).and_then(|_| read_http(r, true));
        let h = match got {
            Ok(Some(h)) => h,
            Ok(None) => {
                self.io = None;
                return Err(bad("closed"));
            }
            Err(e) => {
                self.io = None;
                return Err(e);
            }
        };
        if h.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"))
            || (h.header("content-length").is_none()
                && h.header("transfer-encoding").is_none()
                && h.status() == 200)
        {
            self.io = None;
        }
        Ok(h)
    }
    /// Sends one request that is ready as text; `name` is the tool it calls. Whether its answer is good.
    pub fn call(&mut self, id: u64, body: &str, method: &str, name: &str, min: usize) -> Result<bool> {
        let head = self.head(method, name);
        let h = self.send("POST", body, &head)?;
        if h.status() != 200 {
            return Err(bad(format!(
                "{}: {}",
                h.start,
                String::from_utf8_lossy(&h.body[..h.body.len().min(120)])
            )));
        }
        let sse = h.header("content-type").is_some_and(|v| v.starts_with("text/event-stream"));
        if !sse {
            return Ok(verdict(&h.body, id, min).unwrap_or(false));
        }
        Ok(h.body
            .split(|&b| b == b'\n')
            .filter_map(|l| l.strip_prefix(b"data:"))
            .find_map(|l| verdict(l.trim_ascii(), id, min))
            .unwrap_or(false))
    }
    pub fn ask(&mut self, id: u64, method: &str, params: &str, name: &str) -> Result<Value> {
        let head = if method == "initialize" { String::new() } else { self.head(method, name) };
        let h = self.send("POST", &request(self.era, id, method, params), &head)?;
        if h.status() != 200 {
            return Err(bad(format!(
                "{}: {}",
                h.start,
                String::from_utf8_lossy(&h.body[..h.body.len().min(200)])
            )));
        }
        if let Some(s) = h.header("mcp-session-id") {
            self.session = Some(s.into());
        }
        let text = String::from_utf8_lossy(&h.body);
        let all = std::iter::once(text.as_ref()).chain(text.lines().filter_map(|l| l.strip_prefix("data:")));
        all.filter_map(|l| serde_json::from_str::<Value>(l).ok())
            .find(|v| v["id"] == id)
            .ok_or_else(|| bad("no answer in body"))
    }
    pub fn open(&mut self) -> Result<()> {
        self.session = None;
        let hello = match self.era {
            Era::Legacy => self.ask(1, "initialize", &init_params(), "")?,
            Era::Modern => return Ok(()),
        };
        if hello.get("result").is_none() {
            return Err(bad(hello.to_string()));
        }
        let head = self.head("", "");
        self.send("POST", r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, &head)?;
        Ok(())
    }
    pub fn close(&mut self) {
        if self.session.is_some() {
            let head = self.head("", "");
            let _ = self.send("DELETE", "", &head);
        }
    }
}

/// Where messages come from when they are lines: the gateway's stdout, or the
/// `data:` lines of the event stream of the older HTTP+SSE transport.
pub struct Lines {
    r: Box<dyn BufRead + Send>,
    sse: bool,
}

impl Lines {
    pub fn next(&mut self, line: &mut Vec<u8>) -> Result<()> {
        loop {
            line.clear();
            if self.r.read_until(b'\n', line)? == 0 {
                return Err(bad("gateway closed its output"));
            }
            if !self.sse {
                return Ok(());
            }
            if line.starts_with(b"data:") {
                line.drain(..5);
                return Ok(());
            }
        }
    }
}

/// Where lines go: the gateway's stdin, or one POST for each.
pub enum Sink {
    Stdin(std::process::ChildStdin),
    Post(Box<Conn>),
}

impl Sink {
    pub fn put(&mut self, body: &str) -> Result<()> {
        match self {
            Sink::Stdin(w) => {
                // One write for a message and its newline.
                let mut v = Vec::with_capacity(body.len() + 1);
                v.extend_from_slice(body.as_bytes());
                v.push(b'\n');
                w.write_all(&v)
            }
            Sink::Post(c) => match c.send("POST", body, "")?.status() {
                200..=204 => Ok(()),
                n => Err(bad(format!("POST: {n}"))),
            },
        }
    }
}

/// A connection that carries lines both ways, calls pipelined.
pub struct Pipe {
    pub w: Sink,
    pub r: Lines,
    pub id: u64,
    pub line: Vec<u8>,
    pub era: Era,
}

impl Pipe {
    pub fn stdio(child: &mut Child, era: Era) -> Self {
        let r = BufReader::with_capacity(256 << 10, child.stdout.take().unwrap());
        Pipe {
            w: Sink::Stdin(child.stdin.take().unwrap()),
            r: Lines { r: Box::new(r), sse: false },
            id: 0,
            line: Vec::new(),
            era,
        }
    }
    pub fn sse(url: &str, extra: &[String]) -> Result<Self> {
        let mut c = Conn::new(url, extra, Era::Legacy);
        let mut s = TcpStream::connect(&c.host)?;
        s.set_read_timeout(Some(Duration::from_secs(20)))?;
        // HTTP/1.0, so that the stream comes without chunk frames.
        let (path, host) = (&c.path, &c.host);
        write!(s, "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: text/event-stream\r\n{}\r\n", c.extra)?;
        let mut r = BufReader::with_capacity(256 << 10, s);
        let mut status = String::new();
        r.read_line(&mut status)?;
        if !status.contains(" 200") {
            return Err(bad(status));
        }
        let mut r = Lines { r: Box::new(r), sse: true };
        let mut line = Vec::new();
        r.next(&mut line)?;
        let at = String::from_utf8_lossy(&line).trim().to_string();
        c.path = match at.strip_prefix("http://") {
            Some(rest) => format!("/{}", rest.split_once('/').map_or("", |x| x.1)),
            None => at,
        };
        let mut p = Pipe { w: Sink::Post(Box::new(c)), r, id: 0, line, era: Era::Legacy };
        p.open()?;
        Ok(p)
    }
    pub fn open(&mut self) -> Result<()> {
        if self.era == Era::Modern {
            return Ok(());
        }
        self.ask("initialize", &init_params())?;
        self.put(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
    }
    pub fn put(&mut self, s: &str) -> Result<()> {
        self.w.put(s)
    }
    pub fn read(&mut self) -> Result<()> {
        self.r.next(&mut self.line)
    }
    pub fn ask(&mut self, method: &str, params: &str) -> Result<Value> {
        self.id += 1;
        let id = self.id;
        self.put(&request(self.era, id, method, params))?;
        loop {
            self.read()?;
            let v: Value = serde_json::from_slice(&self.line).unwrap_or_default();
            if v["id"] == id && v.get("method").is_none() {
                return Ok(v);
            }
        }
    }
}

pub enum Link {
    Http(Conn),
    Stdio(Pipe),
}

impl Link {
    /// Asks and waits; `name` is the tool that is called, if one is.
    pub fn ask(&mut self, method: &str, params: &str, name: &str) -> Result<Value> {
        match self {
            Link::Http(c) => c.ask(2, method, params, name),
            Link::Stdio(p) => p.ask(method, params),
        }
    }
}
