//! The listener a browser comes back to: on this machine only, at a path nobody can guess, for one sign-in.
//! Rule: it looks at nothing but a GET for its own host and path, and answers with a fixed page.

use crate::error::{Error, Result, codes};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// A request whose head is longer is not a browser's.
const MAX_HEAD: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>umcp</title><body \
style=\"font-family:sans-serif;margin:3em\"><h1>Back to your terminal</h1><p>umcp has what it needs; it says there \
whether the sign-in succeeded. You can close this page.</p></body></html>";

/// An open listener.
pub struct Loopback {
    listener: TcpListener,
    port: u16,
    path: String,
}

impl Loopback {
    /// Listens on a free port at a random path. A client that was registered before is known with `/callback`, and
    /// some with a port.
    pub async fn open(port: Option<u16>, known: bool) -> Result<Self> {
        let address = ("127.0.0.1", port.unwrap_or(0));
        let failed = |error: std::io::Error| {
            let message = format!("cannot wait for the browser on 127.0.0.1:{}", address.1);
            Error::new(&codes::BIND_FAILED, message).because(error)
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?.port();
        let path = match known || port.is_some() {
            true => "/callback".into(),
            false => format!("/callback/{}", crate::ids::random_hex(16)),
        };
        Ok(Self { listener, port: bound, path })
    }

    /// Where the provider sends the browser.
    pub fn redirect(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.path)
    }

    /// Waits for the next request to the path, and gives its whole address. The browser gets its page at once.
    pub async fn next(&self) -> Url {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            // Browsers open connections ahead of need; such a one must not keep the real one waiting for long.
            if let Ok(Some(url)) = tokio::time::timeout(PATIENCE, self.serve(stream)).await {
                return url;
            }
        }
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<Url> {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut piece = [0; 2048];
            let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
            head.extend_from_slice(&piece[..read]);
            if head.len() > MAX_HEAD {
                answer(&mut stream, "431 Request Header Fields Too Large", "").await;
                return None;
            }
        }
        let text = String::from_utf8_lossy(&head);
        match self.target(&text) {
            Ok(url) => {
                answer(&mut stream, "200 OK", PAGE).await;
                Some(url)
            }
            Err(status) => {
                answer(&mut stream, status, "").await;
                None
            }
        }
    }

    /// The address a request asks for, if it is ours.
    fn target(&self, head: &str) -> Result<Url, &'static str> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let hosts: Vec<&str> = lines
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
            .map(|(_, value)| value.trim())
            .collect();
        // A page elsewhere whose name was made to lead here names itself in this header.
        if hosts != [format!("127.0.0.1:{}", self.port)] {
            return Err("421 Misdirected Request");
        }
        if target.split('?').next() != Some(self.path.as_str()) {
            return Err("404 Not Found");
        }
        if method != "GET" {
            return Err("405 Method Not Allowed");
        }
        Url::parse(&format!("http://127.0.0.1:{}{target}", self.port)).map_err(|_| "400 Bad Request")
    }
}

async fn answer(stream: &mut TcpStream, status: &str, page: &str) {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n\r\n{page}",
        page.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    async fn ask(port: u16, head: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer.lines().next().unwrap_or_default().into()
    }

    #[test]
    fn only_a_browser_with_the_right_address_is_heard() {
        run(async {
            let listener = Loopback::open(None, false).await.unwrap();
            let (port, path) = (listener.port, listener.path.clone());
            assert!(path.len() == "/callback/".len() + 32 && listener.redirect().ends_with(&path));
            let host = format!("Host: 127.0.0.1:{port}");
            let asking = async {
                let mut seen = Vec::new();
                for head in [
                    format!("GET /callback HTTP/1.1\r\n{host}\r\n\r\n"),
                    format!("GET {path}x HTTP/1.1\r\n{host}\r\n\r\n"),
                    format!("GET {path}?a HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"),
                    format!("GET {path}?a HTTP/1.1\r\n\r\n"),
                    format!("GET {path}?a HTTP/1.1\r\n{host}\r\n{host}\r\n\r\n"),
                    format!("POST {path}?a HTTP/1.1\r\n{host}\r\n\r\n"),
                    format!("GET {path} HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(MAX_HEAD)),
                    format!("GET {path}?code=c&state=s HTTP/1.1\r\n{host}\r\n\r\n"),
                ] {
                    seen.push(ask(port, &head).await.trim_start_matches("HTTP/1.1 ").to_string());
                }
                seen
            };
            let (url, seen) = tokio::join!(listener.next(), asking);
            assert_eq!(url.as_str(), format!("http://127.0.0.1:{port}{path}?code=c&state=s"));
            let expected = ["404", "404", "421", "421", "421", "405", "431", "200"];
            let starts: Vec<&str> = seen.iter().map(|line| line.get(..3).unwrap_or("431")).collect();
            assert_eq!(starts, expected, "{seen:?}");
        });
    }
}
