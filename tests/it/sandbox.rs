//! What a sandbox forbids, act by act, under each back end that is here; and what a tree of processes may use up.
//! A probe of the fixture server tries each act in a child that is shut in, with decoys in a home of its own.
//! Also the words of the command line for it. Servers behind the gateway are `faults`, `peers` and `sandboxed_peers`.

use crate::support::daemon::fixture;
use crate::support::sandbox::Sandbox as Home;
use insta::assert_snapshot;
use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use umcp::sandbox::{self, Base, Defaults, Identity, Net, Sandbox, Subject, Support};

/// A home with decoys, and everything an act could be about.
struct Room {
    dir: tempfile::TempDir,
    tcp: TcpListener,
    udp: UdpSocket,
    _agent: UnixListener,
    /// A process of the same user outside the sandbox.
    other: std::process::Child,
    identity: Identity,
}

impl Room {
    fn new(identity: Identity) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_path_buf();
        for folder in ["home/.ssh", "home/.config/gh", "home/projects", "home/.cache", "work", "umcp"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in
            ["home/.ssh/id_ed25519", "home/.netrc", "home/projects/notes", "umcp/store.redb", "work/own"]
        {
            std::fs::write(root.join(file), "secret").unwrap();
        }
        let agent = UnixListener::bind(root.join("agent")).unwrap();
        let mut room = Self {
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            _agent: agent,
            other: Command::new("sleep").arg("0").spawn().unwrap(),
            identity,
            dir,
        };
        let _ = room.other.wait();
        room.give(&root);
        let mut other = Command::new("sleep");
        other.arg("60").env("DECOY", "1");
        room.dress(&mut other);
        room.other = other.spawn().unwrap();
        room
    }

    /// Everything below belongs to the one who acts.
    fn give(&self, path: &Path) {
        std::os::unix::fs::lchown(path, Some(self.identity.uid), Some(self.identity.gid)).unwrap();
        if path.is_dir() {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
            std::fs::read_dir(path).unwrap().flatten().for_each(|entry| self.give(&entry.path()));
        }
    }

    fn dress(&self, command: &mut Command) {
        if self.identity != Identity::current() {
            command.uid(self.identity.uid).gid(self.identity.gid);
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The arguments of an act by its name in the table.
    fn arguments(&self, act: &str) -> Vec<String> {
        let path = |name: &str| self.path(name).display().to_string();
        let words: Vec<String> = match act {
            "read a key" => vec!["read".into(), path("home/.ssh/id_ed25519")],
            "read a secret file" => vec!["read".into(), path("home/.netrc")],
            "read the store" => vec!["read".into(), path("umcp/store.redb")],
            "list the keys" => vec!["list".into(), path("home/.ssh")],
            "read it through a link" => {
                vec!["read-by-link".into(), path("home/.ssh/id_ed25519"), path("work/link")]
            }
            "hard-link it" => vec!["hard-link".into(), path("home/.ssh/id_ed25519"), path("work/hard")],
            "uncover it" => vec!["uncover".into(), path("home/.ssh")],
            "read a project" => vec!["read".into(), path("home/projects/notes")],
            "list the home" => vec!["list".into(), path("home")],
            "write in the home" => vec!["write".into(), path("home/projects/new")],
            "make a folder in the home" => vec!["write".into(), path("home/fresh")],
            "read its own" => vec!["read".into(), path("work/own")],
            "write its own" => vec!["write".into(), path("work/new")],
            "move its own" => vec!["move".into(), path("work/new"), path("work/sub/new")],
            "read the system" => vec!["read".into(), "/etc/passwd".into()],
            "environment of another" => vec!["environ".into(), self.other.id().to_string()],
            "signal another" => vec!["signal".into(), self.other.id().to_string()],
            "trace another" => vec!["ptrace".into(), self.other.id().to_string()],
            "connect" => vec!["tcp".into(), self.tcp.local_addr().unwrap().port().to_string()],
            "send a datagram" => vec!["udp".into(), self.udp.local_addr().unwrap().port().to_string()],
            "listen" => vec!["listen".into()],
            "local socket" => vec!["unix".into(), path("agent")],
            "pair of sockets" => vec!["pair".into()],
            word => vec![word.into()],
        };
        words
    }

    /// Whether an act succeeds under a profile where the system offers this much.
    fn can(&self, act: &str, sandbox: &Sandbox, support: Support) -> bool {
        let (home, work) = (self.path("home"), self.path("work"));
        let _ = std::fs::create_dir(work.join("sub"));
        self.give(&work);
        let defaults = Defaults { base: Base::Default, memory: 0, processes: 0, disk: 0 };
        let program = fixture();
        let subject = Subject {
            program: &program,
            args: &[],
            env: &BTreeMap::new(),
            path: "/usr/bin:/bin",
            work: std::slice::from_ref(&work),
            home: &home,
            runtime: None,
            own: &[self.path("umcp/store.redb")],
        };
        let plan = sandbox::plan(&sandbox.over(&defaults, 0), subject);
        let mut command = Command::new(&program);
        command.arg("probe").args(self.arguments(act)).current_dir(&work).stdin(Stdio::null());
        self.dress(&mut command);
        sandbox::prepare_with(&plan, support, self.identity).unwrap().attach(&mut command);
        let output = command.output().unwrap_or_else(|error| panic!("{act}: {error}"));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{act}: {} {told}", output.status);
        output.status.success()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.other.kill();
        let _ = self.other.wait();
    }
}

/// Everybody this machine lets the tests be: root, and nobody in particular.
fn identities() -> Vec<Identity> {
    let current = Identity::current();
    match current.uid {
        0 => vec![current, Identity { uid: 65534, gid: 65534 }],
        _ => vec![current],
    }
}

fn strict(net: Option<Net>) -> Sandbox {
    Sandbox { profile: Some(Base::Strict), net, ..Sandbox::default() }
}

/// Act, and whether it succeeds: not shut in · default by mounts · default by Landlock · strict.
const ACTS: &[(&str, [bool; 4])] = &[
    ("read a key", [true, false, false, false]),
    ("read a secret file", [true, false, false, false]),
    ("read the store", [true, false, false, false]),
    ("list the keys", [true, false, true, false]),
    ("read it through a link", [true, false, false, false]),
    ("hard-link it", [true, false, false, false]),
    ("uncover it", [false, false, false, false]),
    ("read a project", [true, true, true, false]),
    ("list the home", [true, true, true, false]),
    ("write in the home", [true, true, true, false]),
    // Rules can only name what is there: the price of Landlock without mounts.
    ("make a folder in the home", [true, true, false, false]),
    ("read its own", [true, true, true, true]),
    ("write its own", [true, true, true, true]),
    ("move its own", [true, true, true, true]),
    ("read the system", [true, true, true, true]),
    ("environment of another", [true, false, false, false]),
    ("trace another", [true, false, false, false]),
    ("signal another", [true, true, true, false]),
    ("connect", [true, true, true, false]),
    ("send a datagram", [true, true, true, false]),
    ("listen", [true, true, true, false]),
    ("local socket", [true, true, true, false]),
    ("pair of sockets", [true, true, true, true]),
    ("keyctl", [true, false, false, false]),
    ("io-uring", [true, false, false, false]),
];

#[test]
fn each_act_succeeds_where_it_may() {
    let here = sandbox::support();
    if here.landlock < 6 || !here.mounts || !here.filter {
        crate::support::peers::say!("skipped: this kernel offers only {here:?}");
        return;
    }
    let off = Sandbox { profile: Some(Base::Off), ..Sandbox::default() };
    let without_mounts = Support { mounts: false, ..here };
    let ways = [
        ("off", off, here),
        ("default by mounts", Sandbox::default(), here),
        ("default by Landlock", Sandbox::default(), without_mounts),
        ("strict", strict(None), here),
    ];
    let mut wrong = Vec::new();
    for identity in identities() {
        for (act, expected) in ACTS {
            for ((way, sandbox, support), expected) in ways.iter().zip(expected) {
                let room = Room::new(identity);
                if room.can(act, sandbox, *support) != *expected {
                    wrong.push(format!("{act}, {way}, uid {}: not {expected}", identity.uid));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_sandbox_is_added_shown_and_changed() {
    let sandbox = Home::new();
    let add = [
        "server",
        "add",
        "notes",
        "--sandbox",
        "strict",
        "--allow-read",
        "/data",
        "--allow-write",
        "~/notes",
    ];
    let more =
        ["--allow-net", "*:443", "--require", "files", "--max-memory", "512MiB", "--", "node", "notes.js"];
    assert_eq!(sandbox.run(&[&add[..], &more[..]].concat()).code, 0);
    let set = ["server", "edit", "notes", "--set", "sandbox.net=none", "--set", "sandbox.processes=20"];
    assert_eq!(sandbox.run(&[&set[..], &["--unset", "sandbox.require"]].concat()).code, 0);
    let shown = sandbox.json(&["server", "show", "notes"])["data"]["sandbox"].clone();
    let expected = serde_json::json!({"profile": "strict", "read": ["/data"], "write": ["~/notes"], "net": ["none"],
        "require": [], "memory": 512 << 20, "processes": 20, "disk": null});
    assert_eq!(shown, expected);
    let text = sandbox.run(&["server", "show", "notes"]).stdout;
    for words in
        ["strict", "reads /data", "connects to none", "memory at most 512MiB", "processes at most 20"]
    {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    let exported = sandbox.run(&["server", "export"]).stdout;
    assert!(exported.contains("profile: strict"), "{exported}");
    assert_snapshot!(sandbox.run(&["server", "add", "x", "--allow-net", "example.com:443", "--", "node"]), @"
    exit: 3
    --- stderr ---
    error: `example.com:443` names a host, and only ports can be limited here [UM0104]
    hint: give `*:PORT`, `any` or `none`
    ");
    assert_snapshot!(sandbox.run(&["server", "add", "x", "--sandbox", "off", "--allow-read", "/a", "--", "node"]), @"
    exit: 3
    --- stderr ---
    error: a sandbox that is `off` allows and requires nothing [UM0104]
    hint: give the profile `default` or `strict`
    ");
    assert_snapshot!(sandbox.run(&["server", "add", "https://example.com/mcp", "--sandbox", "strict"]), @"
    exit: 3
    --- stderr ---
    error: server `example` is no process of this machine, so it has no sandbox [UM0404]
    ");
    assert_eq!(sandbox.run(&["server", "edit", "notes", "--set", "sandbox.profile=strickt"]).code, 3);
    assert_eq!(sandbox.run(&["config", "set", "sandbox.profile", "strict"]).code, 0);
    assert_eq!(sandbox.run(&["config", "set", "sandbox.profile", "hard"]).code, 3);
}
