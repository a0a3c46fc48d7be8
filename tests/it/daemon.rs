//! The daemon as its owner meets it: what its log tells, who may take its place, what survives a restart of it.

use crate::support::daemon::{Daemon, UMCP, fixture_server, server};
use crate::support::mcp::{Era, Mcp};
use crate::support::wire::Door;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use umcp::daemon::lifecycle;
use umcp::engine::Reply;
use umcp::engine::live::{Live, LiveReply, State};
use umcp::servers::model::{EraChoice, Transport};
use umcp::tools;

#[test]
fn the_log_tells_what_happened() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    let address = daemon.listen();
    let mut mcp = Mcp::connect(&daemon, Door::Bridge, Era::Legacy);
    mcp.call("fx__echo", json!({"text": "hi"})).result();
    lifecycle::stop(&daemon.paths).unwrap();
    let log = std::fs::read_to_string(daemon.paths.daemon_log()).unwrap();
    let mut rest = log.as_str();
    for told in [
        "started in the background: umcp",
        "servers were changed",
        &format!("listening on http://{address}/mcp"),
        "server fx: ready",
        "ending: a command asked for it",
        "server fx: idle",
        "ended",
    ] {
        let at = rest.find(told).unwrap_or_else(|| panic!("`{told}` is not told, or too early:\n{log}"));
        rest = &rest[at..];
    }
    assert_eq!(log.matches("started in").count(), 1, "{log}");
    // A client is greeted when its list is there or takes too long, whichever comes first.
    assert!(log.contains("client ") && log.contains(" connected\n"), "{log}");
    let timed = |line: &str| line.get(..20).is_some_and(|time| time.ends_with('.') && time.contains('T'));
    assert!(log.lines().all(timed), "{log}");
    drop(mcp);
}

#[test]
fn lists_that_were_refreshed_are_stored_whoever_read_them_first() {
    let daemon = Daemon::start();
    let names = ["one", "two", "three"];
    names.iter().for_each(|name| daemon.add(server(name, Transport::Builtin { name: "time".into() })));
    let mut mcp = Mcp::connect(&daemon, Door::Bridge, Era::Legacy);
    mcp.ask("tools/list", json!({})).result();
    daemon.live(Live::Refresh { names: names.map(String::from).into(), bounded: false });
    let Reply::Tool(tools::Reply::Catalogues(kept)) = daemon.ask(tools::Request::Catalogues) else {
        panic!()
    };
    assert_eq!(kept.len(), 3, "{:?}", kept.keys());
}

#[test]
fn a_test_keeps_the_lists_it_saw() {
    let daemon = Daemon::start();
    daemon.add(server("clock", Transport::Builtin { name: "time".into() }));
    let LiveReply::Test(report) = daemon.live(Live::Test { name: "clock".into() }) else { panic!() };
    assert!(report.ok && report.tools > 0, "{report:?}");
    let Reply::Tool(tools::Reply::Catalogues(kept)) = daemon.ask(tools::Request::Catalogues) else {
        panic!()
    };
    assert_eq!(kept["srv_clock"].tools.len() as u64, report.tools);
}

#[test]
fn a_stopped_server_is_idle_when_the_stop_is_answered() {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", EraChoice::Legacy, &[]));
    let states = |live: Live| match daemon.live(live) {
        LiveReply::Servers(servers) => servers.iter().map(|server| server.state).collect::<Vec<State>>(),
        other => panic!("{other:?}"),
    };
    for _ in 0..3 {
        assert_eq!(states(Live::Start { names: vec!["fx".into()] }), [State::Ready]);
        assert_eq!(states(Live::StopServers { names: vec!["fx".into()] }), [State::Idle]);
    }
}

/// Runs the program in a home of its own.
struct Home(tempfile::TempDir);

impl Home {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(UMCP);
        command.args(words).env("UMCP_HOME", self.0.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn json(&self, words: &[&str]) -> Value {
        let output = self.run(&[&["--json"], words].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {output:?}"))
    }

    /// A gateway in the foreground, once it says that it serves.
    fn serve(&self, words: &[&str]) -> Child {
        let mut child = self.command(words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("serving"), "{line}");
        child
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.run(&["gateway", "stop"]);
    }
}

#[test]
fn a_gateway_in_the_foreground_is_displaced_only_when_that_was_said() {
    let home = Home(tempfile::tempdir().unwrap());
    let serve = ["serve", "--http", "127.0.0.1:0", "--no-key"];
    let mut first = home.serve(&serve);
    let second = home.run(&serve);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(5), "{said}");
    assert!(said.contains("a gateway runs in the foreground already (pid"), "{said}");
    assert!(said.contains("hint: say --take-over"), "{said}");
    assert!(first.try_wait().unwrap().is_none(), "the first one goes on");
    let mut third = home.serve(&[&serve[..], &["--take-over"]].concat());
    assert!(first.wait().unwrap().success());
    // A restart listens again as it was asked for: here without a key.
    let before = home.json(&["gateway", "status"])["data"]["listeners"].clone();
    assert_eq!(before[0]["no_key"], true, "{before}");
    assert_eq!(home.json(&["gateway", "restart"])["data"]["listeners"], before);
    assert!(third.wait().unwrap().success());
}

#[test]
fn an_address_that_is_none_is_a_mistake_of_the_command_line() {
    let home = Home(tempfile::tempdir().unwrap());
    for words in [&["serve", "--http", "foo"][..], &["gateway", "start", "--detach", "--http", "foo:bar"]] {
        let output = home.run(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("write 127.0.0.1:7332, or only the port"), "{said}");
    }
}

#[cfg(unix)]
#[test]
fn a_command_that_is_not_there_is_told_when_it_is_added() {
    let home = Home(tempfile::tempdir().unwrap());
    let warned = |words: &[&str]| home.json(&[&["server", "add"], words].concat())["warnings"].clone();
    assert_eq!(warned(&["a", "--", "/no/such/program"]), json!(["there is no program `/no/such/program`"]));
    let near = warned(&["b", "--env", "PATH=/bin", "--", "shh"]);
    assert!(near[0].as_str().unwrap().starts_with("`shh` is not found on PATH"), "{near}");
    assert_eq!(warned(&["c", "--", "sh"]), json!([]));
    assert_eq!(
        warned(&["d", "--", "sh", "/no/such/run.sh"]),
        json!(["there is no script `/no/such/run.sh`"])
    );
    for fine in [
        &["e", "--", "sh", "-c", "exit 0"][..],
        &["f", "--", "sh", "${HOME}/x.sh"],
        &["g", "--", "sh", "word"],
    ] {
        assert_eq!(warned(fine), json!([]), "{fine:?}");
    }
    let hostless = home.run(&["server", "add", "https://"]);
    assert_eq!(hostless.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&hostless.stderr).contains("`https://` names no host"));
}
