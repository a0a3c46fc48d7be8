//! The command line as a whole: its help, its mistakes, its exit codes.

use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

/// Every command that is not hidden, by its path.
fn leaves(command: &clap::Command, path: &[String], found: &mut Vec<(Vec<String>, clap::Command)>) {
    let verbs: Vec<&clap::Command> = command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    if verbs.is_empty() {
        found.push((path.to_vec(), command.clone()));
    }
    for verb in verbs {
        let path: Vec<String> = path.iter().cloned().chain([verb.get_name().to_string()]).collect();
        leaves(verb, &path, found);
    }
}

fn all_leaves() -> Vec<(Vec<String>, clap::Command)> {
    let mut root = umcp::cli::command();
    root.build();
    let mut found = Vec::new();
    leaves(&root, &[], &mut found);
    found
}

#[test]
fn the_whole_help() {
    let mut root = umcp::cli::command();
    root.build();
    fn collect(command: &mut clap::Command, text: &mut String) {
        let name = command.get_bin_name().unwrap_or("umcp").to_string();
        text.push_str(&format!("## {name}\n\n{}\n", command.render_long_help()));
        command.get_subcommands_mut().filter(|verb| !verb.is_hide_set()).for_each(|verb| collect(verb, text));
    }
    let mut text = String::new();
    collect(&mut root, &mut text);
    // The global flags stand once, at the top.
    let mut sections = text.split("Global options:").map(String::from);
    let mut whole = sections.next().unwrap();
    for (index, section) in sections.enumerate() {
        let end = section.find("\n\nExamples:").or_else(|| section.find("\n\nExample:"));
        let end = end
            .or_else(|| section.find("\n\n## "))
            .or_else(|| section.find("\n\nRun `"))
            .unwrap_or(section.len());
        whole.push_str("Global options:");
        whole.push_str(if index == 0 { &section } else { &section[end..] });
    }
    assert_snapshot!("help", whole.replace(env!("CARGO_PKG_VERSION"), "[VERSION]"));
}

#[test]
fn every_command_takes_json_and_is_explained() {
    let leaves = all_leaves();
    assert!(leaves.len() > 50, "{}", leaves.len());
    for (path, command) in leaves {
        let long = |name: &str| command.get_arguments().any(|arg| arg.get_long() == Some(name));
        assert!(long("json"), "{path:?} takes no --json");
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty() && !about.ends_with('.') && about.len() <= 80, "{path:?}: {about:?}");
        for arg in command.get_arguments().filter(|arg| arg.get_long().is_some() && !arg.is_hide_set()) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.ends_with('.'), "{path:?} --{:?}: {help:?}", arg.get_long());
        }
    }
}

#[test]
fn a_failure_is_one_document_with_json() {
    let sandbox = Sandbox::new();
    for arguments in
        [&["server", "shw"][..], &["server", "show", "x"], &["explain", "x"], &["server", "add", "a", "b"]]
    {
        let document = sandbox.json(arguments);
        assert_eq!(document["kind"], "error/1", "{arguments:?}");
        assert!(document["error"]["code"].as_str().unwrap().starts_with("UM0"), "{arguments:?}");
    }
}

/// Words as a shell splits them, with single quotes.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (index, part) in line.split(['\'', '"']).enumerate() {
        let mut pieces = if index % 2 == 1 { vec![part] } else { part.split(' ').collect() }.into_iter();
        words.last_mut().unwrap().push_str(pieces.next().unwrap());
        words.extend(pieces.map(String::from));
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn examples_in_the_help_parse() {
    let mut root = umcp::cli::command();
    root.build();
    let screen = Sandbox::new().run(&["-h"]).stdout;
    let texts =
        all_leaves().into_iter().filter_map(|(_, command)| command.get_after_help().map(ToString::to_string));
    let nouns = root.get_subcommands().filter_map(|noun| noun.get_after_help().map(ToString::to_string));
    let texts: Vec<String> =
        texts.chain(nouns).chain([screen.split("Examples:").nth(1).unwrap().to_string()]).collect();
    let mut checked = 0;
    for text in texts {
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("umcp ")) {
            let line = line.split(" > ").next().unwrap().split("    ").next().unwrap();
            let parsed = umcp::cli::command().try_get_matches_from(shell_words(&format!("umcp {line}")));
            assert!(parsed.is_ok(), "umcp {line}: {}", parsed.unwrap_err());
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
}

/// Commands that only hold others.
fn groups(command: &clap::Command) -> usize {
    let shown = command.get_subcommands().filter(|verb| verb.has_subcommands() && !verb.is_hide_set());
    shown.map(|verb| 1 + groups(verb)).sum()
}

#[test]
fn the_first_screen_and_the_tree() {
    let sandbox = Sandbox::new();
    let bare = sandbox.run(&[]);
    assert_eq!(bare, sandbox.run(&["-h"]));
    assert_eq!(bare, sandbox.run(&["help"]));
    assert!(bare.stdout.lines().count() <= 24);
    assert_eq!(
        sandbox.run(&["help", "all"]).stdout.lines().count() - groups(&umcp::cli::command()),
        all_leaves().len()
    );
    assert_snapshot!(sandbox.run(&["--version"]), @"
    exit: 0
    --- stdout ---
    umcp [VERSION]
    ");
}

#[test]
fn mistakes_are_told_with_what_was_meant() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["serv"]), @"
    exit: 2
    --- stderr ---
    error: `umcp` has no command `serv` [UM0003]
    hint: did you mean `umcp serve`?
    hint: did you mean `umcp server`?
    ");
    assert_snapshot!(sandbox.run(&["server", "lst"]), @"
    exit: 2
    --- stderr ---
    error: `umcp server` has no command `lst` [UM0003]
    hint: did you mean `umcp server list`?
    ");
    assert_snapshot!(sandbox.run(&["server", "list", "--tga", "x"]), @"
    exit: 2
    --- stderr ---
    error: unexpected argument `--tga` [UM0003]
    hint: did you mean `--tag`?
    hint: umcp server list --help
    ");
    assert_snapshot!(sandbox.run(&["server", "add", "x", "--sharing", "none"]), @"
    exit: 2
    --- stderr ---
    error: invalid value `none` for `--sharing <SHARING>` [possible values: shared, per-client] [UM0003]
    hint: umcp server add --help
    ");
    assert_snapshot!(sandbox.run(&["server", "add", "builtin:time", "--timeout", "soon"]), @"
    exit: 2
    --- stderr ---
    error: invalid value `soon` for `--timeout <TIME>`: `soon` is not a time [UM0003]
    hint: umcp server add --help
    ");
    assert_snapshot!(sandbox.run(&["server", "rename", "x"]), @"
    exit: 2
    --- stderr ---
    error: the following required arguments were not provided: <NAME> [UM0003]
    hint: umcp server rename --help
    ");
    assert_snapshot!(sandbox.run(&["help", "server", "ad"]), @"
    exit: 2
    --- stderr ---
    error: `umcp server` has no command `ad` [UM0003]
    hint: did you mean `umcp server add`?
    ");
    assert_snapshot!(sandbox.run(&["xyzzy"]), @"
    exit: 2
    --- stderr ---
    error: `umcp` has no command `xyzzy` [UM0003]
    hint: umcp help all
    ");
}

#[test]
fn an_error_code_is_explained() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["explain", "um0401"]), @"
    exit: 0
    --- stdout ---
    UM0401 server_not_found
    No server of that name is known. `umcp server list` shows all.

    exit code     4
    trying again  does not help by itself
    ");
    assert_snapshot!(sandbox.run(&["explain", "server_not_fuond"]), @"
    exit: 4
    --- stderr ---
    error: there is no error code `server_not_fuond` [UM0416]
    hint: umcp explain server_not_found
    ");
    assert_eq!(sandbox.json(&["explain"])["data"].as_array().unwrap().len(), umcp::error::codes::ALL.len());
}

#[test]
fn nothing_is_there_at_first() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["status"]), @"
    exit: 0
    --- stdout ---
    off  daemon not running; it starts when a client or a call needs it
    0 servers, 0 tools
    add one: umcp server add builtin:time
    ");
    assert_snapshot!(sandbox.run(&["gateway"]), @"
    exit: 0
    --- stdout ---
    off  not running; it starts when a client or a call needs it
    ");
    assert_snapshot!(sandbox.run(&["logs"]), @"
    exit: 0
    --- stderr ---
    nothing was logged yet ([DIR]/umcp/state/logs/daemon.log)
    ");
    assert_snapshot!(sandbox.run(&["events"]), @"
    exit: 0
    --- stderr ---
    no calls yet
    ");
    assert_snapshot!(sandbox.run(&["server", "stop"]), @"
    exit: 0
    --- stdout ---
    no server is running
    --- stderr ---
    no daemon is running, so no server is
    ");
    assert_snapshot!(sandbox.run(&["transport"]), @"
    exit: 0
    --- stdout ---
    TRANSPORT  SERVERS  WHAT IT IS
    stdio            0  a process that speaks on stdin and stdout
    http             0  streamable HTTP, and HTTP with events where the server is older
    sse              0  HTTP with events, the transport of 2024-11-05
    websocket        0  ws:// and wss://
    socket           0  a Unix socket or a named pipe
    builtin          0  inside umcp
    ");
    assert_snapshot!(sandbox.run(&["gateway", "uninstall"]), @"
    exit: 4
    --- stderr ---
    error: the gateway is not installed: there is no `[DIR]/home/.config/systemd/user/umcp.service` [UM0107]
    hint: umcp gateway install
    ");
    let left: Vec<_> = std::fs::read_dir(sandbox.home()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_list_starts_no_daemon_and_knows_json() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["server", "list"][..],
        &["server", "status"],
        &["tool", "list"],
        &["tool", "lint"],
        &["tool", "budget"],
        &["tool", "history"],
        &["profile", "list"],
        &["token", "list"],
        &["transport", "list"],
        &["transport", "status"],
        &["transport", "metrics"],
        &["health", "breakers"],
        &["gateway", "status"],
        &["gateway", "stop"],
        &["status"],
        &["version"],
        &["help", "all"],
        &["man"],
        &["completions", "zsh"],
    ] {
        let document = sandbox.json(arguments);
        assert_eq!(document["ok"], true, "{arguments:?}");
        assert_eq!(document["kind"].as_str().unwrap().rsplit('/').next(), Some("1"), "{arguments:?}");
    }
    assert_eq!(sandbox.json(&["gateway", "status"])["data"], serde_json::Value::Null);
}

#[test]
fn fields_are_picked_and_unknown_ones_are_told() {
    let sandbox = Sandbox::new();
    sandbox.run(&["server", "add", "builtin:time"]);
    assert_snapshot!(sandbox.run(&["server", "list", "-q", "--json=name,state,nme"]), @r#"
    exit: 0
    --- stdout ---
    {"ok":true,"kind":"server.list/1","data":[{"name":"time","state":null,"nme":null}],"warnings":["the result has no field `nme`"]}
    --- stderr ---
    warning: the result has no field `nme`
    "#);
}

#[test]
fn another_home_and_another_directory() {
    let sandbox = Sandbox::new();
    sandbox.run(&["--home", "other", "server", "add", "builtin:time"]);
    assert_snapshot!(sandbox.run(&["server", "list", "-q"]), @"exit: 0");
    assert_snapshot!(sandbox.run(&["server", "list", "-q", "--home", "other"]), @"
    exit: 0
    --- stdout ---
    time
    ");
    sandbox.file("below/notes.py", "");
    assert_snapshot!(sandbox.run(&["-C", "below", "server", "add", "notes.py"]), @"
    exit: 0
    --- stdout ---
    ok   added notes (stdio: python3 [DIR]/home/below/notes.py)
    try it: umcp server test notes
    --- stderr ---
    warning: `python3` is not found on PATH
    ");
    assert_snapshot!(sandbox.run(&["-C", "none", "status"]), @"
    exit: 4
    --- stderr ---
    error: cannot enter `none` [UM0107]
    because: No such file or directory (os error 2)
    ");
}
