//! One HTTP exchange with an MCP endpoint on loopback, in plain std: request out, JSON or an event stream in.
//! Not here: what the messages mean. Rule: every read has a deadline; a closed socket ends the exchange quietly.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Debug, Default, Clone)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

impl Head {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A request that has been sent.
pub struct Exchange {
    reader: BufReader<TcpStream>,
}

/// Sends a request. The socket is given too, so that somebody else can hang up.
pub fn send(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: &str,
) -> (Exchange, TcpStream) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Accept: application/json, text/event-stream\r\n",
        body.len()
    );
    if !body.is_empty() {
        text.push_str("Content-Type: application/json\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    stream.write_all(text.as_bytes()).unwrap();
    let hang_up = stream.try_clone().unwrap();
    (Exchange { reader: BufReader::new(stream) }, hang_up)
}

impl Exchange {
    /// Reads the status line and the headers. `None`: hung up before.
    pub fn head(&mut self) -> Option<Head> {
        let mut line = String::new();
        self.reader.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).ok()?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_string())),
                None => return Some(Head { status, headers }),
            }
        }
    }

    /// Hands on every JSON message of the body. Gives what was no JSON.
    pub fn messages(self, head: &Head, mut each: impl FnMut(Value)) -> String {
        let chunked = head.get("transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
        let length = head.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(u64::MAX);
        let body: Box<dyn BufRead> = match chunked {
            true => Box::new(BufReader::new(Chunks { inner: self.reader, left: 0 })),
            false => Box::new(self.reader.take(length)),
        };
        match head.get("content-type").unwrap_or_default().starts_with("text/event-stream") {
            true => events(body, each),
            false => {
                let mut text = String::new();
                let mut body = body;
                let _ = body.read_to_string(&mut text);
                match serde_json::from_str(&text) {
                    Ok(message) => each(message),
                    Err(_) => return text,
                }
            }
        }
        String::new()
    }
}

impl Exchange {
    /// The events of a stream with their ids, one after another. Dropped half-way, it hangs up.
    pub fn events(self, head: &Head) -> impl Iterator<Item = (String, String)> + use<> {
        assert_eq!(head.get("content-type"), Some("text/event-stream"), "{head:?}");
        let mut lines = BufReader::new(Chunks { inner: self.reader, left: 0 }).lines();
        std::iter::from_fn(move || {
            let (mut id, mut data) = (String::new(), None::<String>);
            loop {
                let line = lines.next()?.ok()?;
                if let Some(text) = line.strip_prefix("id: ") {
                    id = text.into();
                } else if let Some(text) = line.strip_prefix("data: ") {
                    data.get_or_insert_default().push_str(text);
                } else if let (true, Some(data)) = (line.is_empty(), data.take()) {
                    return Some((id, data));
                }
            }
        })
    }
}

fn events(body: impl BufRead, mut each: impl FnMut(Value)) {
    let mut data = String::new();
    for line in body.lines() {
        let Ok(line) = line else { return };
        if let Some(piece) = line.strip_prefix("data:") {
            data.push_str(piece.trim_start());
        } else if line.is_empty() && !data.is_empty() {
            each(serde_json::from_str(&data).unwrap());
            data.clear();
        }
    }
}

/// The body of a chunked response.
struct Chunks<R> {
    inner: R,
    left: usize,
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let mut line = String::new();
            self.inner.read_line(&mut line)?;
            if line.trim().is_empty() {
                line.clear();
                self.inner.read_line(&mut line)?;
            }
            self.left = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
            if self.left == 0 {
                return Ok(0);
            }
        }
        let most = buffer.len().min(self.left);
        let read = self.inner.read(&mut buffer[..most])?;
        self.left -= read;
        Ok(read)
    }
}
