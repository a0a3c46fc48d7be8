//! A server for tests that says over raw HTTP what a script tells it, faults included.
//! Not a server of the protocol: each test writes the bytes it wants.

use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

/// A request as it came in.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// Header lines in lower case, apart from their values.
    head: Vec<(String, String)>,
    pub body: String,
    /// Which connection it came on, counted from 1.
    pub connection: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a script does next.
pub enum Step {
    Write(String),
    /// Goes on when a request whose body or method holds the text has come in.
    Await(&'static str),
    /// Ends the connection in good order.
    Close,
    /// Ends it with a reset.
    Reset,
    /// Says nothing more until the client goes away, which counts as a request `GONE`.
    Hold,
}

/// A whole response with a body.
pub fn response(status: &str, headers: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    vec![Step::Write(format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}"))]
}

pub fn json(body: &str) -> Vec<Step> {
    response("200 OK", "content-type: application/json\r\n", body)
}

/// The head of an event stream; events follow with [`event`], then [`end`].
pub fn events() -> Step {
    Step::Write(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".into(),
    )
}

pub fn event(text: &str) -> Step {
    let text = format!("{text}\n\n");
    Step::Write(format!("{:x}\r\n{text}\r\n", text.len()))
}

pub fn end() -> Step {
    Step::Write("0\r\n\r\n".into())
}

type Script = dyn Fn(&Seen) -> Vec<Step> + Send + Sync;

/// The running server.
pub struct Server {
    pub url: String,
    seen: watch::Sender<Vec<Seen>>,
}

impl Server {
    pub async fn start(script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let seen = watch::Sender::new(Vec::new());
        let (script, list): (Arc<Script>, _) = (Arc::new(script), seen.clone());
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connection += 1;
                let reset = Arc::new(Mutex::new(false));
                let (script, list) = (script.clone(), list.clone());
                tokio::spawn(async move {
                    let mut stream = stream;
                    serve(&mut stream, connection, &*script, &list, &reset).await;
                    if *reset.lock().unwrap() {
                        stream.set_zero_linger().unwrap();
                    }
                });
            }
        });
        Self { url, seen }
    }

    /// The same on a Unix socket.
    pub fn start_local(path: &Path, script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let seen = watch::Sender::new(Vec::new());
        let list = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                serve(&mut stream, 1, &script, &list, &Arc::default()).await;
            }
        });
        Self { url: "http://localhost/mcp".into(), seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits for a request whose method or body holds `text`.
    pub async fn until(&self, text: &str) -> Seen {
        until(&self.seen, text).await
    }
}

async fn until(seen: &watch::Sender<Vec<Seen>>, text: &str) -> Seen {
    let holds = |one: &Seen| one.method.contains(text) || one.body.contains(text);
    let mut list = seen.subscribe();
    let wait = list.wait_for(|list| list.iter().any(holds));
    let list = tokio::time::timeout(std::time::Duration::from_secs(10), wait).await;
    let list = list.unwrap_or_else(|_| panic!("no request with `{text}` came in")).unwrap();
    list.iter().find(|one| holds(one)).unwrap().clone()
}

async fn serve(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    connection: usize,
    script: &Script,
    seen: &watch::Sender<Vec<Seen>>,
    reset: &Mutex<bool>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read(&mut stream).await {
        request.connection = connection;
        seen.send_modify(|list| list.push(request.clone()));
        for step in script(&request) {
            match step {
                Step::Write(text) => {
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
                Step::Await(text) => _ = until(seen, text).await,
                Step::Close => return,
                Step::Reset => {
                    *reset.lock().unwrap() = true;
                    return;
                }
                Step::Hold => {
                    let _ = stream.read_u8().await;
                    let gone = Seen { method: "GONE".into(), connection, ..Seen::default() };
                    seen.send_modify(|list| list.push(gone));
                    return;
                }
            }
        }
    }
}

async fn read(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let mut seen = Seen { method: words.next()?.into(), path: words.next()?.into(), ..Seen::default() };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        seen.head.push((name.to_ascii_lowercase(), value.to_string()));
    }
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    seen.body = String::from_utf8(body).unwrap();
    Some(seen)
}
