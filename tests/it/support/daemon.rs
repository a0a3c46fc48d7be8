//! A daemon with a home of its own in a temporary folder, driven through its socket.
//! Not here: the command line, MCP clients. Rule: when it is dropped the daemon ends, and nothing it started is left.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use umcp::clock::Timestamp;
use umcp::daemon::client::Client;
use umcp::daemon::lifecycle::{self, DAEMON_ARGUMENT, Options, Starter};
use umcp::daemon::wire::{Hello, Mode};
use umcp::engine::live::{Listening, Live, LiveReply};
use umcp::engine::{Reply, Request};
use umcp::environments::{self, Profile};
use umcp::error::Result;
use umcp::paths::Paths;
use umcp::servers;
use umcp::servers::model::{EraChoice, Server, Transport};

/// The program under test.
pub const UMCP: &str = env!("CARGO_BIN_EXE_umcp");

/// The fixture server, which plain `cargo test` builds.
pub fn fixture() -> PathBuf {
    let program = PathBuf::from(UMCP).with_file_name("examples").join("fixture-server");
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "{} is not built: cargo build --example fixture-server", program.display());
    program
}

pub struct Daemon {
    home: TempDir,
    pub paths: Paths,
    options: Options,
    client: Mutex<Option<Client>>,
}

fn connect(paths: &Paths, options: &Options) -> Client {
    let mut client = Client::over(lifecycle::ensure(paths, options).unwrap());
    client.set_timeout(Some(Duration::from_secs(60)));
    client
}

impl Daemon {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with more variables.
    pub fn start_with(variables: &[(&str, &str)]) -> Self {
        let home = tempfile::Builder::new().prefix("umcp-it-").tempdir().unwrap();
        let paths = Paths::in_folder(home.path(), home.path().into());
        let more = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let starter = Starter {
            program: UMCP.into(),
            arguments: vec![DAEMON_ARGUMENT.into()],
            environment: std::iter::once(("UMCP_HOME".into(), home.path().into())).chain(more).collect(),
        };
        let options = Options { hello: Hello::new(Mode::Call, "test"), starter };
        let client = connect(&paths, &options);
        Self { home, paths, options, client: Mutex::new(Some(client)) }
    }

    /// Starts it anew after it was killed.
    pub fn restart(&self) {
        *self.client.lock().unwrap() = Some(connect(&self.paths, &self.options));
    }

    /// Lets go of the connection, so that the daemon is needed by nobody here; `restart` takes it up again.
    pub fn hang_up(&self) {
        *self.client.lock().unwrap() = None;
    }

    pub fn try_ask(&self, request: impl Into<Request>) -> Result<Reply> {
        let mut client = self.client.lock().unwrap();
        client.as_mut().expect("not hung up").call(&request.into(), &mut |_| {})
    }

    pub fn ask(&self, request: impl Into<Request>) -> Reply {
        self.try_ask(request).unwrap()
    }

    pub fn live(&self, live: Live) -> LiveReply {
        match self.ask(live) {
            Reply::Live(reply) => reply,
            other => panic!("not a live reply: {other:?}"),
        }
    }

    pub fn add(&self, server: Server) {
        self.ask(servers::Request::Add { servers: vec![server], replace: true });
    }

    pub fn profile(&self, profile: Profile) {
        self.ask(environments::Request::Create { profile });
    }

    /// Listens for HTTP clients that need no key; gives the address.
    pub fn listen(&self) -> String {
        self.listen_as(Listening { no_key: true, ..Listening::default() }).address
    }

    /// Listens on a free port of loopback, otherwise as said; gives what came of it.
    pub fn listen_as(&self, listening: Listening) -> Listening {
        let address = "127.0.0.1:0".into();
        match self.live(Live::Listen(Listening { address, ..listening })) {
            LiveReply::Listening(listening) => listening,
            other => panic!("not listening: {other:?}"),
        }
    }

    /// `umcp serve` for this home.
    pub fn serve(&self) -> Command {
        let mut command = Command::new(UMCP);
        command.arg("serve").env("UMCP_HOME", self.home.path());
        command
    }

    pub fn folder(&self) -> &std::path::Path {
        self.home.path()
    }

    /// Processes that carry the mark of this home's daemon. Empty where the system does not tell.
    pub fn children(&self) -> Vec<u32> {
        let mark =
            format!("UMCP_SPAWN={:08x}:", crc32fast::hash(self.paths.store().as_os_str().as_encoded_bytes()));
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let marked = |pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|pair| pair.starts_with(mark.as_bytes()))
        };
        pids.filter(marked).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let stopped = lifecycle::stop(&self.paths);
        let deadline = Instant::now() + Duration::from_secs(3);
        while !self.children().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let left = self.children();
        if !std::thread::panicking() {
            stopped.unwrap();
            assert!(left.is_empty(), "processes the daemon left behind: {left:?}");
        }
    }
}

/// An entry for any server.
pub fn server(name: &str, transport: Transport) -> Server {
    Server::new(format!("srv_{name}"), name, transport, Timestamp(0))
}

pub fn stdio<S: Into<String>>(command: impl Into<PathBuf>, args: impl IntoIterator<Item = S>) -> Transport {
    let command: PathBuf = command.into();
    Transport::Stdio {
        command: command.to_str().unwrap().into(),
        args: args.into_iter().map(Into::into).collect(),
    }
}

fn word(era: EraChoice) -> &'static str {
    match era {
        EraChoice::Auto => "both",
        EraChoice::Legacy => "legacy",
        EraChoice::Modern => "modern",
    }
}

/// The fixture over stdio, held to one era; `more` are options of the fixture.
pub fn fixture_server(name: &str, era: EraChoice, more: &[&str]) -> Server {
    let args = [&["--era", word(era)], more, &["stdio"]].concat();
    Server { era, ..server(name, stdio(fixture(), args)) }
}

/// The fixture over streamable HTTP, beside the daemon; it ends when dropped.
pub struct HttpFixture {
    child: Child,
    port: String,
    era: EraChoice,
}

impl HttpFixture {
    pub fn start(era: EraChoice) -> Self {
        let mut command = Command::new(fixture());
        command.args(["--era", word(era), "http"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { child, port: port.trim().into(), era }
    }

    pub fn server(&self, name: &str) -> Server {
        let url = format!("http://127.0.0.1:{}/mcp", self.port);
        Server { era: self.era, ..server(name, Transport::Http { url, probe: false }) }
    }
}

impl Drop for HttpFixture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
