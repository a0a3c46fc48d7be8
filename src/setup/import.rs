//! Servers of other programs' files into the store: read, told apart from those already there, flagged where
//! they deserve a second look. Nothing is started.
//! Rule: the same server found twice is kept once; another server under a known name gets a name of its own.

use super::Call;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::servers::formats::{self, Note};
use crate::servers::model::{Server, Transport, check_name};
use crate::servers::references;
use crate::servers::view::safe_target;
use crate::servers::{self as noun};
use crate::{documents, engine, ids};
use serde::Serialize;
use std::path::Path;

/// What one file brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub file: String,
    /// The format it was read as.
    pub format: String,
    pub added: Vec<Added>,
    /// Left out, because umcp has the same server.
    pub known: Vec<Known>,
    pub notes: Vec<Note>,
}

/// One server that was added, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Added {
    pub name: String,
    pub transport: String,
    /// Command line or URL, every argument; values of telling flags and query fields are hidden.
    pub target: String,
    /// Names of variables and headers; never their values.
    pub env: Vec<String>,
    /// Why it deserves a second look before its first start.
    pub cautions: Vec<String>,
}

/// A server umcp has already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    pub name: String,
    /// What umcp calls it.
    pub known_as: String,
    /// The two said different things of its sandbox, and the stricter holds.
    pub stricter: bool,
}

/// Reads a file and says what it would add to the servers known so far.
pub fn read(path: &Path, known: &[Server], now: Timestamp) -> Result<(Report, Merged)> {
    let text = documents::read_file(path)?;
    let imported = formats::read(&path.display().to_string(), &text, &mut || ids::fresh("srv"), now)?;
    let merged = merge(known, imported.servers);
    let report = Report {
        file: path.display().to_string(),
        format: imported.format.into(),
        added: merged.add.iter().map(Added::of).collect(),
        known: merged.known.clone(),
        notes: imported.notes,
    };
    Ok((report, merged))
}

/// Adds servers to the store, all or none.
pub fn add(call: &mut Call<'_>, servers: Vec<Server>) -> Result<()> {
    if servers.is_empty() {
        return Ok(());
    }
    match call(noun::Request::Add { servers, replace: false }.into())? {
        engine::Reply::Server(_) => Ok(()),
        other => engine::unexpected(&other),
    }
}

/// What is new among found servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merged {
    pub add: Vec<Server>,
    pub known: Vec<Known>,
    /// Known ones with the stricter sandbox of both.
    pub tighten: Vec<Server>,
}

impl Merged {
    /// Puts an entry with a stricter sandbox in the place of the same one.
    fn tighten(&mut self, server: Server) {
        let found = self.add.iter_mut().chain(&mut self.tighten).find(|other| other.id == server.id);
        match found {
            Some(other) => *other = server,
            None => self.tighten.push(server),
        }
    }
}

/// Writes known servers with the stricter sandbox of both.
pub fn tighten(call: &mut Call<'_>, servers: Vec<Server>) -> Result<()> {
    for server in servers {
        call(noun::Request::Update { server: Box::new(server) }.into())?;
    }
    Ok(())
}

/// Tells new servers from known ones and gives each new one a free name.
pub fn merge(known: &[Server], found: Vec<Server>) -> Merged {
    let mut merged = Merged::default();
    for mut server in found {
        let all = || merged.tighten.iter().chain(known).chain(&merged.add);
        if let Some(same) = all().find(|other| same(other, &server)) {
            let (same, sandbox) = (same.clone(), same.sandbox.stricter(&server.sandbox));
            let stricter = same.sandbox != server.sandbox;
            merged.known.push(Known { name: server.name, known_as: same.name.clone(), stricter });
            if sandbox != same.sandbox {
                merged.tighten(Server { sandbox, ..same });
            }
            continue;
        }
        let taken = |name: &str| all().any(|other| other.name.eq_ignore_ascii_case(name));
        server.name = free_name(&server.name, &taken);
        merged.add.push(server);
    }
    merged
}

/// Whether two entries start the same server in the same way, whatever they are called.
pub fn same(a: &Server, b: &Server) -> bool {
    a.transport == b.transport && a.env == b.env && a.headers == b.headers && a.cwd == b.cwd
}

fn free_name(wanted: &str, taken: &dyn Fn(&str) -> bool) -> String {
    let numbered = |number: usize| {
        let tail = format!("-{number}");
        let head: String = wanted.chars().take(40 - tail.len()).collect();
        format!("{}{tail}", head.trim_end_matches('_'))
    };
    std::iter::once(wanted.to_string())
        .chain((2..).map(numbered))
        .find(|name| !taken(name) && check_name(name).is_ok())
        .expect("numbers never end")
}

impl Added {
    pub fn of(server: &Server) -> Self {
        Self {
            name: server.name.clone(),
            transport: server.transport.word().into(),
            target: safe_target(&server.transport.target()),
            env: server.env.keys().chain(server.headers.keys()).cloned().collect(),
            cautions: cautions(server),
        }
    }
}

/// What a reader of the entry should not overlook: shells, rights, downloads, remote hosts in plain text.
pub fn cautions(server: &Server) -> Vec<String> {
    let mut cautions = Vec::new();
    let mut say = |text: &str| cautions.push(text.to_string());
    match &server.transport {
        Transport::Stdio { command, args } => {
            let program = command.rsplit(['/', '\\']).next().unwrap_or(command).to_ascii_lowercase();
            let program = program.trim_end_matches(".exe");
            let shells = ["sh", "bash", "zsh", "dash", "fish", "cmd", "powershell", "pwsh"];
            let runs = |arg: &String| matches!(arg.to_ascii_lowercase().as_str(), "-c" | "/c" | "-command");
            if shells.contains(&program) && args.iter().any(runs) {
                say("runs a line of shell");
            }
            if matches!(program, "sudo" | "doas" | "su" | "pkexec" | "runas") {
                say("asks for the rights of another user");
            }
            let text = format!("{command} {}", args.join(" "));
            if text.split([' ', '|', ';', '&']).any(|word| matches!(word, "curl" | "wget" | "iwr")) {
                say("downloads something by itself");
            }
            let hidden = |c: char| c.is_control() || ('\u{200b}'..='\u{206f}').contains(&c);
            if text.contains(hidden) {
                say("holds characters that cannot be seen");
            }
        }
        Transport::Http { url, .. } | Transport::Sse { url } | Transport::WebSocket { url } => {
            let plain = url.starts_with("http://") || url.starts_with("ws://");
            let host = url.split("://").nth(1).unwrap_or_default();
            let near = ["127.", "localhost", "[::1]"].iter().any(|start| host.starts_with(start));
            if plain && !near {
                say("is reached without encryption");
            }
        }
        Transport::Socket { .. } | Transport::Builtin { .. } | Transport::App { .. } => {}
    }
    if references::texts(server).iter().any(|text| text.contains("cmd://")) {
        say("runs another program for one of its values");
    }
    if server.env.values().chain(server.headers.values()).any(|text| text.contains("file://")) {
        say("is given the content of a file");
    }
    if server.env.keys().any(|key| {
        ["LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "NODE_OPTIONS", "PYTHONSTARTUP"].contains(&key.as_str())
    }) {
        say("loads other code through its environment");
    }
    cautions
}

/// A file or the files of a client, by the word on the command line.
pub fn refuse_missing(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let word = path.display();
    Err(Error::new(&codes::FILE_NOT_FOUND, format!("`{word}` is neither a file nor a client umcp knows"))
        .hint("umcp client list"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{Base, Sandbox};

    fn server(name: &str, command: &str, args: &[&str]) -> Server {
        let args = args.iter().map(ToString::to_string).collect();
        let transport = Transport::Stdio { command: command.into(), args };
        Server::new(format!("id-{name}-{command}"), name, transport, Timestamp::default())
    }

    #[test]
    fn equal_servers_are_kept_once_and_different_ones_get_names() {
        let known = [server("git", "uvx", &["git"])];
        let found = vec![
            server("vcs", "uvx", &["git"]),
            server("git", "npx", &["git"]),
            server("Git", "docker", &[]),
            server("time", "uvx", &["time"]),
            server("time", "uvx", &["time"]),
        ];
        let merged = merge(&known, found);
        let names: Vec<_> = merged.add.iter().map(|server| server.name.as_str()).collect();
        assert_eq!(names, ["git-2", "Git-3", "time"]);
        let known = |name: &str, known_as: &str| Known {
            name: name.into(),
            known_as: known_as.into(),
            stricter: false,
        };
        assert_eq!(merged.known, [known("vcs", "git"), known("time", "time")]);
    }

    #[test]
    fn the_stricter_sandbox_of_one_server_wins_and_is_told() {
        let shut = |name: &str, base| Server {
            sandbox: Sandbox { profile: Some(base), ..Sandbox::default() },
            ..server(name, "uvx", &["git"])
        };
        let merged = merge(&[], vec![server("git", "uvx", &["git"]), shut("vcs", Base::Strict)]);
        let names = |servers: &[Server]| {
            let pair = |server: &Server| (server.name.clone(), server.sandbox.profile);
            servers.iter().map(pair).collect::<Vec<_>>()
        };
        assert_eq!(names(&merged.add), [("git".to_string(), Some(Base::Strict))]);
        assert!(merged.known[0].stricter && merged.tighten.is_empty());
        // One that is stored becomes stricter, and never less so.
        let merged = merge(&[shut("git", Base::Off)], vec![shut("vcs", Base::Strict)]);
        assert_eq!(names(&merged.tighten), [("git".to_string(), Some(Base::Strict))]);
        let merged =
            merge(&[shut("git", Base::Strict)], vec![shut("git", Base::Off), server("x", "uvx", &["git"])]);
        assert!(merged.add.is_empty() && merged.tighten.is_empty());
    }

    #[test]
    fn what_deserves_a_second_look_is_named() {
        let mut preload = server("a", "npx", &[]);
        preload.env.insert("LD_PRELOAD".into(), "x.so".into());
        let http = |url: &str| {
            let transport = Transport::Http { url: url.into(), probe: true };
            Server::new("x".into(), "x", transport, Timestamp::default())
        };
        for (server, expected) in [
            (server("a", "npx", &["-y", "x"]), vec![]),
            (server("a", "/bin/bash", &["-c", "x"]), vec!["runs a line of shell"]),
            (server("a", "bash", &["x.sh"]), vec![]),
            (server("a", "sudo", &["x"]), vec!["asks for the rights of another user"]),
            (
                server("a", "sh", &["-c", "curl http://x|sh"]),
                vec!["runs a line of shell", "downloads something by itself"],
            ),
            (server("a", "x\u{202e}", &[]), vec!["holds characters that cannot be seen"]),
            (preload, vec!["loads other code through its environment"]),
            (http("http://127.0.0.1:1/mcp"), vec![]),
            (http("http://example.com/mcp"), vec!["is reached without encryption"]),
        ] {
            assert_eq!(cautions(&server), expected, "{}", server.transport.target());
        }
    }
}
