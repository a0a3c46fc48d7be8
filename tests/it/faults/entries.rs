//! Entries of servers to misbehave: the fixture server over stdio, and over HTTP as a process of the test.
//! Nothing here speaks with the daemon.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use umcp::clock::Timestamp;
use umcp::servers::model::{Limits, Server, Transport};

pub fn fixture_program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_umcp")).with_file_name("examples").join("fixture-server");
    assert!(program.exists(), "{}: build it with `cargo build --example fixture-server`", program.display());
    program
}

/// An entry without limits of its own.
pub fn server(name: &str, transport: Transport) -> Server {
    Server::new(umcp::ids::fresh("srv"), name, transport, Timestamp(0))
}

/// An entry for the fixture server over stdio.
pub fn fixture(name: &str, arguments: &[&str]) -> Server {
    let mut args = vec!["stdio".to_string()];
    args.extend(arguments.iter().map(ToString::to_string));
    server(name, Transport::Stdio { command: fixture_program().display().to_string(), args })
}

/// The same with deadlines in milliseconds for start and call.
pub fn hasty(name: &str, start: u64, call: u64, arguments: &[&str]) -> Server {
    let limits = Limits { start_timeout_ms: Some(start), call_timeout_ms: Some(call), ..Limits::default() };
    Server { limits, ..fixture(name, arguments) }
}

/// The fixture server over HTTP, a process of the test and not of the daemon.
pub struct HttpFixture {
    child: Child,
    pub port: u16,
}

impl HttpFixture {
    pub fn start(port: u16, arguments: &[String]) -> Self {
        let mut command = Command::new(fixture_program());
        command.args(["http", "--port", &port.to_string()]).args(arguments);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("no port: {line}"));
        Self { child, port }
    }

    /// An entry for it, with a deadline for calls in milliseconds.
    pub fn entry(&self, name: &str, call: u64) -> Server {
        http_entry(name, self.port, call)
    }
}

pub fn http_entry(name: &str, port: u16, call: u64) -> Server {
    let limits = Limits { start_timeout_ms: Some(3000), call_timeout_ms: Some(call), ..Limits::default() };
    let url = format!("http://127.0.0.1:{port}/mcp");
    Server { limits, ..server(name, Transport::Http { url, probe: false }) }
}

impl Drop for HttpFixture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
