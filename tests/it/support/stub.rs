//! A web service on loopback that answers by a function and remembers what it was asked. One thread, plain std.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(body: impl ToString) -> Self {
        let headers = vec![("Content-Type", "application/json".to_string())];
        Self { status: 200, headers, body: body.to_string().into_bytes() }
    }

    pub fn status(status: u16, body: &str) -> Self {
        Self { status, headers: vec![("Content-Type", "text/plain".into())], body: body.into() }
    }
}

pub struct Stub {
    pub address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stub {
    /// Answers every request by `answer`, until the test's process ends.
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let known = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A peer that hangs up early is no fault of the stub.
                let _ = serve(stream, &known, &answer);
            }
        });
        Self { address, asked }
    }

    /// What was asked so far; forgotten here.
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn serve(
    stream: TcpStream,
    known: &Mutex<Vec<Asked>>,
    answer: &dyn Fn(&Asked) -> Answer,
) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_string);
    let mut asked = Asked {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        ..Asked::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => asked.headers.push((name.to_ascii_lowercase(), value.trim().into())),
            None => break,
        }
    }
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    known.lock().unwrap().push(asked.clone());
    let Answer { status, headers, body } = answer(&asked);
    let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    writer.write_all(head.as_bytes())?;
    writer.write_all(b"\r\n")?;
    writer.write_all(&body)
}
