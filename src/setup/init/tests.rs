//! The first run in a home made up by the test: what is asked, written and undone.

use super::*;
use crate::clock::Clock;
use crate::engine::{Engine, Reply, Request};
use crate::error::codes;
use crate::paths::Paths;
use crate::setup::connect::{Action, Ask};
use crate::setup::undo::{self, Options, Which, undo};
use crate::store::Store;
use std::fs;

const CURSOR: &str = r#"{
  // my servers
  "mcpServers": {
    "git": {"command": "uvx", "args": ["mcp-server-git"], "env": {"TOKEN": "s3cret"}},
    "shell": {"command": "bash", "args": ["-c", "run"]}
  },
  "theme": "dark"
}
"#;
const CODEX: &str = "# mine\nmodel = \"x\"\n\n[mcp_servers.git]\ncommand = \"npx\"\nargs = [\"other-git\"]\n\n[mcp_servers.vcs]\ncommand = \"uvx\"\nargs = [\"mcp-server-git\"]\nenv = { TOKEN = \"s3cret\" }\n";
const PROJECT: &str = r#"{"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}"#;

struct Home {
    dir: tempfile::TempDir,
    engine: Engine,
    paths: Paths,
}

impl Home {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let paths = Paths::in_folder(&dir.path().join("umcp"), dir.path().to_path_buf());
        Self { dir, engine: Engine::new(Store::memory(), Clock::Fixed(now())), paths }
    }

    fn machine(&self) -> Machine<'_> {
        Machine {
            paths: &self.paths,
            env: &|_| None,
            project: Some(self.dir.path().join("project")),
            home: None,
            program: "/opt/umcp".into(),
        }
    }

    fn call(&self, request: Request) -> Result<Reply> {
        match request {
            Request::Store(request) => self.engine.call(request),
            Request::Live(_) => Err(Error::bug("nothing runs here")),
        }
    }

    fn init(&self, choice: &Choice) -> Report {
        run(choice, &self.machine(), now(), false, &mut |request| self.call(request)).unwrap()
    }

    fn undo(&self, which: Which, force: bool) -> Result<undo::Report> {
        let options = Options { which, dry_run: false, force, now: now() };
        undo(&self.paths, options, &mut |request| self.call(request))
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.dir.path().join(path)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        self.engine.servers().unwrap().into_iter().map(|server| server.name).collect()
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_763_717_400_000)
}

fn everything() -> Choice {
    let all = vec!["cursor", "codex", "claude-code"];
    Choice { import: all.clone(), connect: all, replace: true, extra: Vec::new() }
}

fn mess() -> Home {
    Home::new(&[(".cursor/mcp.json", CURSOR), (".codex/config.toml", CODEX), ("project/.mcp.json", PROJECT)])
}

#[test]
fn a_mess_becomes_one_endpoint_and_a_mess_again() {
    let home = mess();
    let report = home.init(&everything());
    assert_eq!(home.names(), ["git", "git-2", "shell", "time"]);
    let codex = home.read(".codex/config.toml");
    assert!(
        codex.contains("/opt/umcp") && codex.contains("# mine") && !codex.contains("other-git"),
        "{codex}"
    );
    assert!(home.read(".claude.json").contains("claude-code"));
    assert_eq!(home.read("project/.mcp.json"), PROJECT);
    let shell = report.added.iter().find(|server| server.name == "shell").unwrap();
    assert_eq!(shell.cautions, ["runs a line of shell"]);
    assert!(!serde_json::to_string(&report.added).unwrap().contains("s3cret"));

    let back = home.undo(Which::Last(1), false).unwrap();
    assert_eq!(back.entries[0].servers.len(), 4);
    assert_eq!(home.read(".cursor/mcp.json"), CURSOR);
    assert_eq!(home.read(".codex/config.toml"), CODEX);
    assert!(!home.dir.path().join(".claude.json").exists());
    assert!(home.names().is_empty());
    assert!(home.undo(Which::Last(1), false).unwrap_err().is(&codes::UNDO_NOTHING));
}

#[test]
fn a_server_of_the_user_and_the_project_is_one() {
    let both =
        r#"{"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}, "b": {"command": "b"}}}"#;
    let home = Home::new(&[(".claude.json", both), ("project/.mcp.json", PROJECT)]);
    let found = survey(&home.machine(), now());
    let shown: Vec<(&str, Vec<Scope>)> =
        found[0].servers().into_iter().map(|(server, scopes)| (server.name.as_str(), scopes)).collect();
    assert_eq!(shown, [("time", vec![Scope::User, Scope::Project]), ("b", vec![Scope::User])]);
    let report = home.init(&everything());
    assert_eq!((report.clients[0].imported, home.names()), (2, vec!["b".to_string(), "time".into()]));
}

#[test]
fn a_client_that_would_list_umcp_twice_is_told_of() {
    let home = Home::new(&[("project/.mcp.json", PROJECT), (".claude.json", "{}")]);
    let client = crate::clients::find("claude-code").unwrap();
    let ask = |scope| Ask { scope, ..ask("claude-code", false, None) };
    let connect = |scope| {
        let call = &mut |request| home.call(request);
        connect::connect(&ask(scope), &home.machine(), now(), call).unwrap()
    };
    assert_eq!(connect(Scope::Project).files[0].twice, Vec::<PathBuf>::new());
    let project = home.dir.path().join("project/.mcp.json");
    assert_eq!(home.init(&everything()).clients[0].twice, std::slice::from_ref(&project));
    assert_eq!(connect(Scope::Project).files[0].twice, [home.dir.path().join(".claude.json")]);
    // Another profile is another way.
    let other =
        fs::read_to_string(&project).unwrap().replace("\"serve\"", "\"serve\", \"--profile\", \"work\"");
    fs::write(&project, other).unwrap();
    assert_eq!(home.init(&everything()).clients[0].twice, Vec::<PathBuf>::new());
    assert_eq!(client.id, "claude-code");
}

#[test]
fn a_second_init_changes_nothing() {
    let home = mess();
    home.init(&everything());
    let files = [".cursor/mcp.json", ".codex/config.toml", ".claude.json"].map(|file| home.read(file));
    let again = home.init(&everything());
    assert_eq!((again.added, again.undo), (Vec::new(), None));
    assert_eq!([".cursor/mcp.json", ".codex/config.toml", ".claude.json"].map(|file| home.read(file)), files);
}

#[test]
fn a_dry_run_touches_nothing() {
    let home = mess();
    let report = run(&everything(), &home.machine(), now(), true, &mut |request| home.call(request)).unwrap();
    assert_eq!((report.dry_run, report.added.len(), report.files.len()), (true, 4, 3));
    assert!(home.names().is_empty() && !home.paths.undo().exists());
    assert_eq!(home.read(".cursor/mcp.json"), CURSOR);
}

#[test]
fn a_bare_machine_gets_a_clock() {
    let home = Home::new(&[]);
    let report = home.init(&Choice::default());
    assert_eq!(report.added[0].target, "builtin:time");
    assert_eq!(home.names(), ["time"]);
}

#[test]
fn a_broken_file_is_told_and_left_alone() {
    let home = Home::new(&[(".cursor/mcp.json", "{\"mcpServers\": "), (".codex/config.toml", CODEX)]);
    let report = home.init(&everything());
    let cursor = report.clients.iter().find(|client| client.id == "cursor").unwrap();
    assert!(cursor.error.is_some() && cursor.connected.is_empty());
    assert_eq!(home.read(".cursor/mcp.json"), "{\"mcpServers\": ");
    assert!(home.read(".codex/config.toml").contains("/opt/umcp"));
}

/// The file of that path as JSON, changed and written as its owner would write it.
fn rewrite(home: &Home, path: &str, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let source = home.read(path).replace("// my servers", "");
    let mut document = serde_json::from_str(&source).unwrap();
    change(&mut document);
    let text = serde_json::to_string_pretty(&document).unwrap();
    fs::write(home.dir.path().join(path), &text).unwrap();
    text
}

fn actions(undone: &undo::Undone) -> Vec<undo::Action> {
    undone.files.iter().map(|file| file.action).collect()
}

#[test]
fn undo_works_beside_what_the_owner_changed() {
    use undo::Action::{Deleted, Merged, Restored};
    let home = mess();
    home.init(&everything());
    let rewritten = rewrite(&home, ".cursor/mcp.json", |document| document["theme"] = "light".into());
    rewrite(&home, ".claude.json", |document| document["firstStartTime"] = "2026".into());
    let call = &mut |request| home.call(request);
    let dry = Options { which: Which::Last(1), dry_run: true, force: false, now: now() };
    let planned = undo(&home.paths, dry, call).unwrap();
    assert_eq!(home.read(".cursor/mcp.json"), rewritten);

    let back = home.undo(Which::Last(1), false).unwrap();
    assert!(back.failure().is_none());
    let entry = &back.entries[0];
    assert_eq!(actions(entry), actions(&planned.entries[0]));
    assert_eq!(actions(entry).iter().filter(|action| **action == Merged).count(), 2);
    assert!(actions(entry).contains(&Restored) && !actions(entry).contains(&Deleted));
    let mut cursor: serde_json::Value = serde_json::from_str(&CURSOR.replace("// my servers", "")).unwrap();
    cursor["theme"] = "light".into();
    let read = |path: &str| serde_json::from_str::<serde_json::Value>(&home.read(path)).unwrap();
    assert_eq!(read(".cursor/mcp.json"), cursor);
    assert_eq!(read(".claude.json"), serde_json::json!({"firstStartTime": "2026"}));
    assert_eq!(home.read(".codex/config.toml"), CODEX);
    assert!(home.names().is_empty());
    let file = entry.files.iter().find(|file| file.path.ends_with(".cursor/mcp.json")).unwrap();
    assert_eq!(file.merge.as_ref().unwrap().back, ["git", "shell"]);

    // The copy is no entry of its own for `--last`, and still can be had back.
    assert!(home.undo(Which::Last(1), false).unwrap_err().is(&codes::UNDO_NOTHING));
    home.undo(Which::Id(file.copy.unwrap()), false).unwrap();
    assert_eq!(home.read(".cursor/mcp.json"), rewritten);
}

#[test]
fn a_file_that_only_umcp_filled_goes_though_it_was_rewritten() {
    let home = mess();
    home.init(&everything());
    rewrite(&home, ".claude.json", |document| {
        document["mcpServers"]["umcp"]["disabled"] = true.into();
    });
    let back = home.undo(Which::Last(1), false).unwrap();
    assert!(back.failure().is_none() && !home.dir.path().join(".claude.json").exists());
    // One that is gone comes back: there is nothing to lose.
    home.init(&everything());
    fs::remove_file(home.dir.path().join(".cursor/mcp.json")).unwrap();
    assert!(home.undo(Which::Last(1), false).unwrap().failure().is_none());
    assert_eq!(home.read(".cursor/mcp.json"), CURSOR);
}

#[test]
fn what_cannot_be_taken_back_keeps_nothing_else_up() {
    let home = mess();
    let id = home.init(&everything()).undo.unwrap();
    let mine = rewrite(&home, ".cursor/mcp.json", |document| {
        document["mcpServers"]["umcp"]["command"] = "/my/umcp".into();
    });
    rewrite(&home, ".claude.json", |document| document["firstStartTime"] = "2026".into());
    let back = home.undo(Which::Id(id), false).unwrap();
    let error = back.failure().unwrap();
    assert!(error.is(&codes::PARTIAL) && error.hints[1].contains("--force"), "{error:?}");
    assert_eq!(home.read(".cursor/mcp.json"), mine);
    assert_eq!(home.read(".codex/config.toml"), CODEX);
    // What the file still leads to through umcp stays in umcp.
    assert_eq!((back.entries[0].held.len(), home.names().len()), (4, 4));
    let refused = back.entries[0].files.iter().find(|file| file.action == undo::Action::Refused).unwrap();
    assert!(refused.error.as_ref().unwrap().is(&codes::UNDO_CHANGED));

    // Nothing else is left to do: now that is the error.
    assert!(home.undo(Which::Last(1), false).unwrap().failure().unwrap().is(&codes::UNDO_CHANGED));
    let forced = home.undo(Which::Id(id), true).unwrap();
    assert!(forced.failure().is_none() && home.names().is_empty());
    assert_eq!(home.read(".cursor/mcp.json"), CURSOR);
    // Force is for what cannot be kept only.
    assert!(home.read(".claude.json").contains("firstStartTime"));
    // What was overwritten can be had back.
    let copy = forced.entries[0].files.iter().find_map(|file| file.copy).unwrap();
    home.undo(Which::Id(copy), false).unwrap();
    assert_eq!(home.read(".cursor/mcp.json"), mine);
}

#[test]
fn one_entry_that_fails_does_not_keep_the_older_ones() {
    let home = mess();
    connect(&home, "cursor", true, None);
    connect(&home, "codex", false, None);
    connect(&home, "gemini", false, None);
    fs::write(home.dir.path().join(".codex/config.toml"), "model = ").unwrap();
    let back = home.undo(Which::Last(3), false).unwrap();
    assert!(back.failure().unwrap().is(&codes::PARTIAL));
    let failed: Vec<bool> =
        back.entries.iter().map(|entry| entry.files.iter().any(|file| file.error.is_some())).collect();
    assert_eq!(failed, [false, true, false]);
    assert_eq!((home.read(".cursor/mcp.json"), home.names()), (CURSOR.to_string(), Vec::new()));
    assert!(!home.dir.path().join(".gemini").exists());
    assert_eq!(home.read(".codex/config.toml"), "model = ");
}

#[test]
fn a_server_changed_since_stays() {
    let home = mess();
    home.init(&everything());
    let request = crate::servers::Request::Enable { names: vec!["git".into()], enabled: false };
    home.call(request.into()).unwrap();
    let back = home.undo(Which::Last(1), false).unwrap();
    assert_eq!((back.entries[0].servers.len(), back.entries[0].kept.clone()), (3, vec!["git".to_string()]));
    assert_eq!(home.names(), ["git"]);
}

#[cfg(unix)]
#[test]
fn modes_and_links_come_back() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new(&[("dotfiles/cursor.json", CURSOR)]);
    let (real, link) =
        (home.dir.path().join("dotfiles/cursor.json"), home.dir.path().join(".cursor/mcp.json"));
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    fs::create_dir(home.dir.path().join(".cursor")).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    home.init(&everything());
    assert!(home.read("dotfiles/cursor.json").contains("/opt/umcp"));
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    home.undo(Which::Last(1), false).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), CURSOR);
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
}

fn ask(id: &str, replace: bool, profile: Option<&'static str>) -> Ask<'static> {
    let clients = vec![crate::clients::find(id).unwrap()];
    Ask {
        clients,
        scope: Scope::User,
        profile,
        replace,
        dry_run: false,
        command: "umcp client connect".into(),
    }
}

fn connect(home: &Home, id: &str, replace: bool, profile: Option<&'static str>) -> connect::Report {
    let call = &mut |request| home.call(request);
    connect::connect(&ask(id, replace, profile), &home.machine(), now(), call).unwrap()
}

fn disconnect(home: &Home, id: &str) -> connect::Action {
    let call = &mut |request| home.call(request);
    let report = connect::disconnect(&ask(id, false, None), &home.machine(), now(), call).unwrap();
    report.files[0].action
}

#[test]
fn disconnect_gives_back_what_was_there() {
    let home = mess();
    let report = connect(&home, "cursor", true, None);
    assert_eq!((report.added.len(), home.names().len(), report.undo), (2, 2, Some(1)));
    connect(&home, "cursor", false, Some("work"));
    assert!(home.read(".cursor/mcp.json").contains("work"));
    assert_eq!(disconnect(&home, "cursor"), Action::Disconnected);
    assert_eq!(home.read(".cursor/mcp.json"), CURSOR);
    assert_eq!(disconnect(&home, "cursor"), Action::Unchanged);

    // Somebody changed the file since: only the entry goes.
    connect(&home, "codex", false, None);
    let changed = home.read(".codex/config.toml").replace("model = \"x\"", "model = \"y\"");
    fs::write(home.dir.path().join(".codex/config.toml"), &changed).unwrap();
    assert_eq!(disconnect(&home, "codex"), Action::Disconnected);
    assert_eq!(home.read(".codex/config.toml"), CODEX.replace("model = \"x\"", "model = \"y\""));

    // A file umcp made goes away.
    assert_eq!(connect(&home, "gemini", false, None).files[0].action, Action::Connected);
    assert_eq!(connect(&home, "gemini", false, None).files[0].action, Action::Unchanged);
    assert_eq!(disconnect(&home, "gemini"), Action::Deleted);
    assert!(!home.dir.path().join(".gemini").exists());
}

#[test]
fn sync_follows_the_program() {
    let home = mess();
    connect(&home, "cursor", false, Some("work"));
    let machine = Machine { program: "/new/umcp".into(), ..home.machine() };
    let clients = crate::clients::CLIENTS.iter().collect();
    let ask = Ask { clients, ..ask("cursor", false, None) };
    let report = connect::sync(&ask, &machine, now(), &mut |request| home.call(request)).unwrap();
    assert_eq!(report.files.len(), 1);
    let text = home.read(".cursor/mcp.json");
    assert!(text.contains("/new/umcp") && text.contains("work") && !text.contains("/opt/umcp"), "{text}");
}
