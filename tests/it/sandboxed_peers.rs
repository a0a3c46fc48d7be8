//! Real Node and Python servers under the strict profile: they do their work in the folders they were given, and a key
//! in the home is out of their reach. Under the default profile they run in all of `peers`.

use crate::support::daemon::{Daemon, server};
use crate::support::mcp::{Era, Mcp};
use crate::support::peers::{self, say};
use crate::support::wire::Door;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use umcp::sandbox::{Base, Guard, Net, Sandbox};
use umcp::servers::model::{Server, Transport};

/// The real command behind an installed peer: its wrapper is a shell's, and lies elsewhere.
fn behind(name: &str, more: &[&str]) -> Option<Transport> {
    let wrapper = std::fs::read_to_string(peers::find(name)?).unwrap();
    let line = wrapper.lines().find(|line| line.starts_with("exec ")).unwrap();
    let mut words = line.split('\'').skip(1).step_by(2).map(String::from);
    let command = words.next().unwrap();
    let args = words.chain(more.iter().map(ToString::to_string)).collect();
    Some(Transport::Stdio { command, args })
}

/// Runs a strict server that may write one folder, and checks it.
fn strict(name: &str, transport: Transport, folder: &Path, net: Net, check: impl Fn(&mut Mcp)) {
    let daemon = Daemon::start();
    let sandbox = Sandbox {
        profile: Some(Base::Strict),
        write: vec![folder.display().to_string()],
        net: Some(net),
        require: vec![Guard::Files, Guard::Processes],
        ..Sandbox::default()
    };
    daemon.add(Server { sandbox, ..server(name, transport) });
    let mut mcp = Mcp::connect(&daemon, Door::Bridge, Era::Legacy);
    check(&mut mcp);
    say!("{name}: at work under the strict profile");
}

#[test]
fn node_servers_work_in_their_folders_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let other = tempfile::tempdir().unwrap();
    let other = other.path().canonicalize().unwrap();
    std::fs::write(other.join("note"), "only read").unwrap();
    // The server itself would write both; what refuses the second is the sandbox, which lets it read what it was given.
    let folders = [folder.to_str().unwrap(), other.to_str().unwrap()];
    if let Some(transport) = behind("mcp-server-filesystem", &folders) {
        strict("files", transport, &folder, Net::None, |mcp| {
            let path = folder.join("new.txt");
            mcp.call("files__write_file", json!({"path": path, "content": "written"})).result();
            assert_eq!(mcp.call("files__read_text_file", json!({"path": path})).text(), "written");
            assert_eq!(
                mcp.call("files__read_text_file", json!({"path": other.join("note")})).text(),
                "only read"
            );
            let refused =
                mcp.call("files__write_file", json!({"path": other.join("new"), "content": "written"}));
            assert_eq!(refused.result()["isError"], true);
            assert!(refused.text().contains("EACCES"), "{}", refused.text());
        });
    }
    if let Some(mut transport) = behind("mcp-server-memory", &[]) {
        if let Transport::Stdio { command, args } = &mut transport {
            args.insert(0, command.clone());
            args.insert(0, format!("MEMORY_FILE_PATH={}", folder.join("memory.json").display()));
            *command = "/usr/bin/env".into();
        }
        strict("memory", transport, &folder, Net::None, |mcp| {
            let entity = json!({"name": "umcp", "entityType": "program", "observations": ["relays"]});
            mcp.call("memory__create_entities", json!({"entities": [entity]})).result();
            let found = mcp.call("memory__search_nodes", json!({"query": "umcp"}));
            assert!(found.text().contains("relays"), "{}", found.text());
        });
    }
    if let Some(transport) = behind("mcp-server-everything", &["stdio"]) {
        strict("everything", transport, &folder, Net::None, |mcp| {
            assert_eq!(mcp.call("everything__echo", json!({"message": "hi"})).text(), "Echo: hi");
        });
    }
}

#[test]
fn python_servers_work_in_their_folders() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    if let Some(transport) = behind("mcp-server-time", &["--local-timezone", "UTC"]) {
        strict("time", transport, &folder, Net::None, |mcp| {
            let now = mcp.call("time__get_current_time", json!({"timezone": "Europe/Berlin"}));
            assert!(now.text().contains("Europe/Berlin"), "{}", now.text());
        });
    }
    let git = Command::new("git").args(["init", "-q"]).arg(&folder).status();
    if !git.is_ok_and(|status| status.success()) {
        say!("skipped: git is not installed");
        return;
    }
    std::fs::write(folder.join("new.txt"), "new").unwrap();
    let path = folder.to_str().unwrap();
    if let Some(transport) = behind("mcp-server-git", &["--repository", path]) {
        strict("git", transport, &folder, Net::None, |mcp| {
            let status = mcp.call("git__git_status", json!({"repo_path": path}));
            assert!(status.text().contains("new.txt"), "{}", status.text());
        });
    }
}

#[test]
fn a_port_that_is_allowed_is_reached_and_another_is_not() {
    let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (open, closed) = (listen(), listen());
    let address = |listener: &std::net::TcpListener| listener.local_addr().unwrap();
    let (open_port, open_url) = (address(&open).port(), format!("http://{}/page", address(&open)));
    let closed_url = format!("http://{}/page", address(&closed));
    std::thread::spawn(move || open.incoming().flatten().for_each(answer));
    std::thread::spawn(move || closed.incoming().flatten().for_each(answer));
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--ignore-robots-txt", "--allow-private-ips"];
    let Some(transport) = behind("mcp-server-fetch", &arguments) else { return };
    strict("fetch", transport, folder.path(), Net::Ports(vec![open_port]), |mcp| {
        let page = mcp.call("fetch__fetch", json!({"url": open_url}));
        assert!(page.text().contains("a page of the test"), "{}", page.text());
        let refused = mcp.call("fetch__fetch", json!({"url": closed_url}));
        assert!(!refused.text().contains("a page of the test"), "{}", refused.text());
    });
}

fn answer(mut stream: std::net::TcpStream) {
    use std::io::{Read, Write};
    let mut request = [0; 4096];
    let _ = stream.read(&mut request);
    let page = "a page of the test";
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close";
    let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
}
