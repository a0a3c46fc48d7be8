//! One secret goes everywhere a secret may go, and is then looked for everywhere it must not be: files, outputs,
//! arguments, environments, errors. Linux only, where /proc tells.

use crate::support::daemon::{Daemon, HttpFixture, UMCP, fixture_server, server, stdio};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use umcp::engine::live::{CallRequest, Live, LiveReply};
use umcp::engine::{Reply, Request};
use umcp::ids;
use umcp::servers::model::{EraChoice, Server, Transport};

struct Canary {
    daemon: Daemon,
    value: String,
    /// Everything that was printed, with what printed it.
    said: Vec<(String, String)>,
}

impl Canary {
    fn new() -> Self {
        Self { daemon: Daemon::start(), value: format!("canary-{}", ids::random_hex(12)), said: Vec::new() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(UMCP);
        command.args(arguments).env("UMCP_HOME", self.daemon.folder()).env("HOME", self.daemon.folder());
        command
            .current_dir(self.daemon.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command, keeps what it says, and gives whether it succeeded.
    fn run(&mut self, arguments: &[&str]) -> bool {
        let output = self.command(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        self.said.push((arguments.join(" "), String::from_utf8_lossy(&text).into_owned()));
        output.status.success()
    }

    /// Stores a value that comes from a file outside the home.
    fn store(&mut self, name: &str, value: &str) {
        let outside = tempfile::tempdir().unwrap();
        let file = outside.path().join("value");
        fs::write(&file, value).unwrap();
        assert!(
            self.run(&["secret", "set", name, "--yes", "--value-file", file.to_str().unwrap()]),
            "{:?}",
            self.said
        );
    }

    fn call(&mut self, target: &str, arguments: &str) -> bool {
        let request = CallRequest {
            target: target.into(),
            arguments: arguments.into(),
            timeout_ms: Some(20_000),
            client: "canary".into(),
            profile: None,
            account: None,
            record: false,
        };
        match self.daemon.try_ask(Request::Live(Live::Call(request))) {
            Ok(reply) => matches!(reply, Reply::Live(LiveReply::Called(_))),
            Err(error) => {
                let text = serde_json::to_string(&error).unwrap();
                self.said.push((format!("error of {target}"), format!("{error} {error:?} {text}")));
                false
            }
        }
    }

    /// The forms in which the value could have got somewhere.
    fn forms(&self) -> Vec<Vec<u8>> {
        use base64::Engine;
        let plain = self.value.as_bytes();
        let base64 = base64::engine::general_purpose::STANDARD.encode(plain);
        vec![plain.to_vec(), ids::hex(plain).into_bytes(), base64.trim_end_matches('=').as_bytes().to_vec()]
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms().iter().any(|form| bytes.windows(form.len()).any(|window| window == form.as_slice()))
    }

    fn check_files(&self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => self.check_files(&path),
                kind if kind.is_file() => {
                    assert!(!self.is_in(&fs::read(&path).unwrap()), "{}", path.display())
                }
                _ => {}
            }
        }
    }

    /// Processes of this home, with whether they are children of the daemon.
    fn processes(&self) -> Vec<(u32, bool)> {
        let home = self.daemon.folder().as_os_str().as_encoded_bytes();
        let pids = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let children = self.daemon.children();
        let ours = |pid: &u32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            children.contains(pid) || environ.windows(home.len()).any(|window| window == home)
        };
        pids.filter(ours).map(|pid| (pid, children.contains(&pid))).collect()
    }
}

fn with_env(entry: Server, name: &str, value: &str) -> Server {
    Server { env: [(name.to_string(), value.to_string())].into(), ..entry }
}

#[test]
fn a_secret_is_where_it_is_needed_and_nowhere_else() {
    let mut canary = Canary::new();
    let value = canary.value.clone();
    canary.store("CANARY", &value);
    canary.store("OTHER", "nothing-of-note");

    let child = with_env(fixture_server("child", EraChoice::Modern, &[]), "TOKEN", "secret://CANARY");
    let http = HttpFixture::start(EraChoice::Modern);
    let mut remote = http.server("remote");
    remote.headers.insert("Authorization".into(), "Bearer secret://CANARY".into());
    remote.headers.insert("X-Key".into(), "${secret://CANARY}".into());
    let shell = ["-c", "echo \"my key is $TOKEN\" >&2; printf \"$TOKEN\" >&2; exit 3"];
    let chatty = with_env(server("chatty", stdio("/bin/sh", shell)), "TOKEN", "secret://CANARY");
    let nobody =
        Transport::Http { url: "http://127.0.0.1:1/mcp?key=${secret://CANARY}".into(), probe: false };
    let program =
        with_env(fixture_server("program", EraChoice::Modern, &[]), "TOKEN", "cmd://cat /nonexistent/file");
    for entry in [child, remote, chatty, server("nobody", nobody), program] {
        canary.daemon.add(entry);
    }

    let mut follower = canary.command(&["events", "--follow", "--json"]).spawn().unwrap();
    assert!(canary.call("child.echo", r#"{"message":"hello"}"#), "{:?}", canary.said);
    assert!(canary.call("remote.echo", r#"{"message":"hello"}"#), "{:?}", canary.said);
    let with_it = format!(r#"{{"message":"{value}"}}"#);
    assert!(canary.call("child.echo", &with_it), "{:?}", canary.said);
    for failing in ["chatty", "nobody", "program"] {
        assert!(!canary.call(&format!("{failing}.echo"), "{}"), "{failing}");
        canary.run(&["server", "test", failing]);
    }

    // The one process that was to have it has it; no other of ours, and none as an argument.
    let (mut holders, processes) = (0, canary.processes());
    assert!(processes.len() >= 3, "daemon, follower and server: {processes:?}");
    for (pid, is_child) in processes {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        assert!(!canary.is_in(&read("cmdline")), "arguments of {pid}");
        if read("cmdline").ends_with(b"__daemon\0") {
            let limits = String::from_utf8(read("limits")).unwrap();
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            assert_eq!(
                core.split_whitespace().nth(4),
                Some("0"),
                "a crash of the daemon leaves a dump: {core}"
            );
        }
        if canary.is_in(&read("environ")) {
            assert!(is_child, "environment of {pid}: {}", String::from_utf8_lossy(&read("cmdline")));
            holders += 1;
        }
    }
    assert_eq!(holders, 1, "only the fixture server is given it and still runs");

    for arguments in [
        &["status"][..],
        &["doctor"],
        &["server", "list"],
        &["server", "show", "child"],
        &["server", "show", "remote"],
        &["server", "show", "nobody"],
        &["server", "status"],
        &["server", "logs", "chatty"],
        &["server", "export"],
        &["config", "show"],
        &["events"],
        &["tool", "history"],
        &["logs"],
        &["gateway", "logs"],
        &["transport", "connections"],
        &["transport", "metrics"],
        &["health"],
        &["secret", "list", "--all"],
        &["secret", "backend"],
        &["secret", "scan"],
        &["undo", "--list"],
    ] {
        canary.run(arguments);
        canary.run(&[arguments, &["--json"]].concat());
    }

    // A new value reaches the server at its next use, without a restart by hand.
    let old = canary.daemon.children();
    canary.store("CANARY", &format!("{value}-second"));
    assert!(canary.call("child.echo", r#"{"message":"again"}"#), "{:?}", canary.said);
    let fresh = canary.daemon.children().into_iter().filter(|pid| !old.contains(pid));
    let second = format!("TOKEN={value}-second");
    let has = |pid: u32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|pair| pair == second.as_bytes())
    };
    assert!(fresh.into_iter().any(has), "the server that uses it has its new value");

    let deadline = Instant::now() + Duration::from_secs(5);
    while !canary.daemon.children().iter().all(|pid| !old.contains(pid)) {
        assert!(Instant::now() < deadline, "the process with the old value ends");
        std::thread::sleep(Duration::from_millis(10));
    }

    follower.kill().unwrap();
    let mut followed = String::new();
    follower.stdout.take().unwrap().read_to_string(&mut followed).unwrap();
    follower.wait().unwrap();
    assert!(followed.contains("child"), "the follower heard of the calls: {followed}");
    canary.said.push(("events --follow".into(), followed));

    for (what, text) in &canary.said {
        assert!(!canary.is_in(text.as_bytes()), "`{what}` says it: {text}");
    }
    canary.check_files(canary.daemon.folder());
}

#[test]
fn a_locked_vault_says_how_to_unlock_it_and_then_opens() {
    let mut canary = Canary::new();
    let value = canary.value.clone();
    canary.store("CANARY", &value);
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("passphrase");
    fs::write(&file, "correct horse battery\n").unwrap();
    let passphrase = file.to_str().unwrap().to_string();
    let change = ["secret", "backend", "set", "passphrase", "--yes", "--new-passphrase-file", &passphrase];
    assert!(canary.run(&change), "{:?}", canary.said);
    assert!(canary.run(&["secret", "lock"]));
    canary.daemon.add(with_env(fixture_server("child", EraChoice::Modern, &[]), "TOKEN", "secret://CANARY"));
    assert!(!canary.call("child.echo", r#"{"message":"hello"}"#));
    let (_, said) = canary.said.last().unwrap();
    assert!(said.contains("umcp secret unlock"), "{said}");
    assert!(canary.run(&["secret", "unlock", "--passphrase-file", &passphrase]), "{:?}", canary.said);
    assert!(canary.call("child.echo", r#"{"message":"hello"}"#), "{:?}", canary.said);
    for (what, text) in &canary.said {
        assert!(!canary.is_in(text.as_bytes()), "`{what}` says it: {text}");
    }
    canary.check_files(canary.daemon.folder());
}
