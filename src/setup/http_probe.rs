//! One request to the HTTP endpoint on this machine, as small as a client can be: no runtime, no TLS, one answer.
//! It tries umcp's own listener; servers are reached by `upstream`.

use super::probe::answer;
use crate::error::{Error, Result, codes};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Largest answer that is read, in bytes.
const LIMIT: u64 = 32 << 20;

/// A session with the endpoint.
#[derive(Debug)]
pub struct HttpProbe {
    /// `host:port`.
    address: String,
    path: String,
    session: Option<String>,
    next_id: u64,
    deadline: Duration,
}

impl HttpProbe {
    /// For a URL such as `http://127.0.0.1:7332/mcp`.
    pub fn new(url: &str, deadline: Duration) -> Result<Self> {
        let rest = url.strip_prefix("http://").ok_or_else(|| {
            Error::new(&codes::VALUE_INVALID, format!("`{url}` is not an address of this machine's endpoint"))
        })?;
        let (address, path) = rest.split_once('/').unwrap_or((rest, "mcp"));
        let path = format!("/{path}");
        Ok(Self { address: address.into(), path, session: None, next_id: 1, deadline })
    }

    /// Asks and returns the result.
    pub fn request(&mut self, method: &str, params: Value) -> Result<Value> {
        let id = self.next_id;
        self.next_id += 1;
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let (head, body) = self.post(&body)?;
        if self.session.is_none() {
            self.session = header(&head, "mcp-session-id").map(String::from);
        }
        let message = messages(&head, &body)
            .into_iter()
            .find(|message| message["id"] == json!(id) && message.get("method").is_none());
        match message {
            Some(message) => answer(method, message),
            None => {
                let status = head.lines().next().unwrap_or_default().to_string();
                Err(Error::new(&codes::UPSTREAM_HTTP, format!("`{method}` was answered with `{status}`"))
                    .because(body.chars().take(200).collect::<String>()))
            }
        }
    }

    /// Says something that has no answer.
    pub fn notify(&mut self, method: &str) -> Result<()> {
        self.post(&json!({"jsonrpc": "2.0", "method": method})).map(|_| ())
    }

    fn post(&self, body: &Value) -> Result<(String, String)> {
        let failed = |error: std::io::Error| {
            Error::new(&codes::UPSTREAM_CONNECT, format!("`{}` does not answer", self.address)).because(error)
        };
        let address = self.address.to_socket_addrs().map_err(failed)?.next();
        let address = address.ok_or_else(|| failed(std::io::ErrorKind::AddrNotAvailable.into()))?;
        let mut stream = TcpStream::connect_timeout(&address, self.deadline).map_err(failed)?;
        stream.set_read_timeout(Some(self.deadline)).map_err(failed)?;
        let body = body.to_string();
        let session = self.session.as_ref().map(|id| format!("Mcp-Session-Id: {id}\r\n")).unwrap_or_default();
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {}\r\n{session}\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.path,
            self.address,
            super::probe::REVISION,
            body.len()
        );
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut answer = Vec::new();
        stream.take(LIMIT).read_to_end(&mut answer).map_err(failed)?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let chunked = header(head, "transfer-encoding").is_some_and(|value| value.contains("chunked"));
        Ok((head.into(), if chunked { joined(body) } else { body.into() }))
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// The chunks of a body as one text.
fn joined(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).unwrap_or(0);
        let Some(chunk) = rest.get(..size).filter(|_| size > 0) else { break };
        text.push_str(chunk);
        body = rest.get(size..).and_then(|rest| rest.strip_prefix("\r\n")).unwrap_or_default();
    }
    text
}

/// The messages of an answer: the body, or the events of a stream.
fn messages(head: &str, body: &str) -> Vec<Value> {
    let stream = header(head, "content-type").is_some_and(|value| value.starts_with("text/event-stream"));
    if !stream {
        return serde_json::from_str(body).into_iter().collect();
    }
    let data = body.lines().filter_map(|line| line.strip_prefix("data:"));
    data.filter_map(|data| serde_json::from_str(data.trim()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    #[test]
    fn json_streams_and_errors_are_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let answers = [
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: s1\r\n\r\n{\"id\":1,\"result\":{\"a\":1}}",
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
             e\r\ndata: {\"x\":1}\n\r\n1c\r\ndata: {\"id\":2,\"result\":2}\n\n\n\n\r\n0\r\n\r\n",
            "HTTP/1.1 403 Forbidden\r\n\r\nno",
        ];
        let server = std::thread::spawn(move || {
            let mut seen = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.strip_prefix("Content-Length: ") {
                        length = value.trim().parse().unwrap();
                    }
                    if line == "\r\n" {
                        break;
                    }
                    head.push_str(&line);
                }
                reader.read_exact(&mut vec![0; length]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                seen.push(head);
            }
            seen
        });
        let mut probe = HttpProbe::new(&url, Duration::from_secs(20)).unwrap();
        assert_eq!(probe.request("initialize", json!({})).unwrap(), json!({"a": 1}));
        assert_eq!(probe.request("tools/list", json!({})).unwrap(), json!(2));
        let error = probe.request("tools/list", json!({})).unwrap_err();
        assert_eq!(error.message, "`tools/list` was answered with `HTTP/1.1 403 Forbidden`");
        let seen = server.join().unwrap();
        assert!(!seen[0].contains("Session-Id") && seen[1].contains("Mcp-Session-Id: s1"), "{seen:?}");
    }
}
