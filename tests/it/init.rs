//! The first run as a new user meets it: a home with servers of other programs, the binary, and nothing else.
//! Every command runs with an environment of its own, so that no test can reach the files of whoever runs it.

use crate::support::daemon::fixture;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A home of its own; its daemon ends with it.
struct Home(tempfile::TempDir);

impl Home {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(dir.path().join("project")).unwrap();
        Self(dir)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_on("/usr/bin:/bin", arguments)
    }

    /// The same with another PATH.
    fn run_on(&self, path: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_umcp"));
        command.args(arguments).current_dir(self.path("project")).env_clear();
        command.env("HOME", self.0.path()).env("PATH", path).env("SHELL", "/bin/bash");
        command.output().unwrap()
    }

    /// The document of a command, and its exit code.
    fn json(&self, arguments: &[&str]) -> (Value, Option<i32>) {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let output = self.run(&arguments);
        let text = String::from_utf8_lossy(&output.stdout);
        let document = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}: {text} {}", String::from_utf8_lossy(&output.stderr))
        });
        (document, output.status.code())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.run(&["gateway", "stop"]);
    }
}

fn cursor() -> String {
    format!(
        "{{\n  // mine\n  \"mcpServers\": {{\n    \"echo\": {{\"command\": \"{}\", \"args\": [\"stdio\"], \"env\": {{\"TOKEN\": \"s3cret-value\"}}}}\n  }},\n  \"theme\": \"dark\"\n}}\n",
        fixture().display()
    )
}

#[test]
fn init_ends_with_a_real_call_and_undo_gives_every_byte_back() {
    let cursor = cursor();
    let codex = "# mine\nmodel = \"x\"\n";
    let home = Home::new(&[(".cursor/mcp.json", &cursor), (".codex/config.toml", codex)]);

    let (dry, code) = home.json(&["init", "--dry-run"]);
    assert_eq!((dry["data"]["dry_run"].clone(), code), (json!(true), Some(0)), "{dry}");
    assert_eq!(home.read(".cursor/mcp.json"), cursor);
    assert!(!dry.to_string().contains("s3cret-value"), "{dry}");

    let asked = home.run(&["init"]);
    assert_eq!(asked.status.code(), Some(11));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("hint: answer with `--from`"));

    let (done, code) = home.json(&["init", "--yes"]);
    assert_eq!(code, Some(0), "{done}");
    assert_eq!(done["data"]["added"][0]["name"], "echo");
    let check = &done["data"]["check"];
    assert!(
        check["error"].is_null() && check["tool"].is_string() && check["tools"].as_u64() > Some(3),
        "{check}"
    );
    assert!(
        !home.read(".cursor/mcp.json").contains("s3cret") && home.read(".codex/config.toml").contains("umcp")
    );

    // What is written beside the clients' files is told.
    let completions = home.path(".local/share/bash-completion/completions/umcp").display().to_string();
    assert_eq!(done["data"]["others"], json!([completions]));

    let (test, code) = home.json(&["client", "test", "cursor"]);
    assert_eq!((test["data"]["ok"].clone(), code), (json!(true), Some(0)), "{test}");
    assert!(home.path(".local/share/bash-completion/completions/umcp").exists());

    let (undone, code) = home.json(&["undo"]);
    assert_eq!(code, Some(0), "{undone}");
    assert_eq!((home.read(".cursor/mcp.json"), home.read(".codex/config.toml")), (cursor, codex.to_string()));
    assert!(!home.path(".local/share/bash-completion").exists());
    assert_eq!(home.json(&["server", "list"]).0["data"], json!([]));
    assert_eq!(home.json(&["undo"]).1, Some(4));
}

#[test]
fn undo_works_after_the_client_rewrote_its_file() {
    let claude = format!(
        "{{\"mcpServers\": {{\"echo\": {{\"command\": \"{}\", \"args\": [\"stdio\"]}}}}}}",
        fixture().display()
    );
    let codex = "# mine\nmodel = \"x\"\n";
    let home = Home::new(&[(".claude.json", &claude), (".codex/config.toml", codex)]);
    assert_eq!(home.json(&["init", "--yes", "--no-completions"]).1, Some(0));
    let mut written: Value = serde_json::from_str(&home.read(".claude.json")).unwrap();
    assert_eq!(written["mcpServers"].as_object().unwrap().keys().collect::<Vec<_>>(), ["umcp"]);
    written["firstStartTime"] = json!("2026-01-01T00:00:00Z");
    fs::write(home.path(".claude.json"), written.to_string()).unwrap();

    let undone = home.run(&["undo"]);
    let said = String::from_utf8_lossy(&undone.stdout);
    assert_eq!(undone.status.code(), Some(0), "{said} {}", String::from_utf8_lossy(&undone.stderr));
    assert!(said.contains("was changed since; took umcp out and put 1 server back, kept the rest"), "{said}");
    let mut expected: Value = serde_json::from_str(&claude).unwrap();
    expected["firstStartTime"] = written["firstStartTime"].clone();
    assert_eq!(serde_json::from_str::<Value>(&home.read(".claude.json")).unwrap(), expected);
    assert_eq!(home.read(".codex/config.toml"), codex);
    // The file as its client had written it can be had back too.
    assert!(said.contains("umcp undo 2"), "{said}");
    assert_eq!(home.json(&["server", "list"]).0["data"], json!([]));
    let (again, code) = home.json(&["undo", "2"]);
    assert_eq!(
        (again["data"]["entries"][0]["returned"].clone(), code),
        (json!(["echo"]), Some(0)),
        "{again}"
    );
    assert_eq!(home.read(".claude.json"), written.to_string());
    // So that it leads somewhere, and what was taken back stands again.
    assert_eq!(home.json(&["server", "list"]).0["data"][0]["name"], "echo");
    let planned = home.run(&["undo", "--dry-run"]);
    let said = String::from_utf8_lossy(&planned.stdout);
    let words = "umcp would be taken out and 1 server put back, the rest would stay";
    assert!(said.contains(words) && said.contains("server echo would be removed from umcp again"), "{said}");
    assert_eq!(home.json(&["undo"]).1, Some(0));
    assert_eq!(home.json(&["server", "list"]).0["data"], json!([]));
    assert_eq!(serde_json::from_str::<Value>(&home.read(".claude.json")).unwrap(), expected);
}

#[test]
fn disconnect_puts_back_what_connect_moved_also_in_a_file_that_was_changed() {
    let cursor = cursor();
    let home = Home::new(&[(".cursor/mcp.json", &cursor)]);
    assert_eq!(home.json(&["client", "connect", "cursor", "--replace"]).1, Some(0));
    // Connected once more with a profile: two edits of umcp in a row.
    assert_eq!(home.json(&["client", "connect", "cursor", "--profile", "default"]).1, Some(0));
    let connected = home.read(".cursor/mcp.json");
    assert!(connected.contains("--profile") && !connected.contains("echo"), "{connected}");
    fs::write(home.path(".cursor/mcp.json"), connected.replace("\"dark\"", "\"light\"")).unwrap();
    assert_eq!(home.json(&["client", "disconnect", "cursor"]).1, Some(0));
    let left = home.read(".cursor/mcp.json");
    assert!(left.contains("\"echo\"") && left.contains("\"light\"") && left.contains("// mine"), "{left}");
    assert!(!left.contains("umcp"), "{left}");
}

#[test]
fn one_file_edited_by_hand_makes_undo_partial() {
    let cursor = cursor();
    let codex = "# mine\nmodel = \"x\"\n";
    let home = Home::new(&[(".cursor/mcp.json", &cursor), (".codex/config.toml", codex)]);
    assert_eq!(home.json(&["init", "--yes", "--no-completions"]).1, Some(0));
    let mine = home.read(".cursor/mcp.json").replace("\"serve\"", "\"serve\", \"--profile\", \"mine\"");
    fs::write(home.path(".cursor/mcp.json"), &mine).unwrap();

    let (undone, code) = home.json(&["undo"]);
    assert_eq!((undone["error"]["code"].clone(), code), (json!("UM0009"), Some(12)), "{undone:#}");
    let files = undone["data"]["entries"][0]["files"].as_array().unwrap();
    let actions: Vec<&str> = files.iter().map(|file| file["action"].as_str().unwrap()).collect();
    assert!(actions.contains(&"refused") && actions.contains(&"restored"), "{undone:#}");
    assert_eq!((home.read(".cursor/mcp.json"), home.read(".codex/config.toml")), (mine, codex.to_string()));
    assert_eq!(home.json(&["undo", "--force"]).1, Some(0));
    assert_eq!(home.read(".cursor/mcp.json"), cursor);
}

#[test]
fn a_bare_machine_gets_a_clock_that_works() {
    let home = Home::new(&[]);
    let (done, code) = home.json(&["init", "--minimal"]);
    assert_eq!(
        (done["data"]["check"]["tool"].clone(), code),
        (json!("umcp__server_list"), Some(0)),
        "{done}"
    );
    // With nothing left to add nothing is written, and the store that was read must be free for the endpoint.
    home.run(&["gateway", "stop"]);
    let (again, code) = home.json(&["init", "--minimal"]);
    assert_eq!((again["data"]["check"]["error"].clone(), code), (Value::Null, Some(0)), "{again}");
}

#[test]
fn doctor_finds_a_dead_entry_and_mends_it() {
    let dead =
        r#"{"mcpServers": {"umcp": {"command": "/gone/umcp", "args": ["serve", "--client", "cursor"]}}}"#;
    let home = Home::new(&[(".cursor/mcp.json", dead)]);
    let (found, code) = home.json(&["doctor", "--only", "clients"]);
    assert_eq!((found["data"]["failed"].clone(), code), (json!(1), Some(13)), "{found}");
    let (mended, code) = home.json(&["doctor", "--only", "clients", "--fix"]);
    assert_eq!((mended["data"]["fixed"].clone(), code), (json!(1), Some(0)), "{mended}");
    assert_eq!(home.json(&["doctor", "--only", "clients"]).1, Some(0));
    home.json(&["undo"]);
    assert_eq!(home.read(".cursor/mcp.json"), dead);
}

#[test]
fn settings_change_with_their_origin_and_come_back() {
    let home = Home::new(&[]);
    assert_eq!(home.json(&["config", "set", "gateway.page_size", "10"]).1, Some(0));
    let (shown, _) = home.json(&["config", "get", "gateway.page_size"]);
    assert_eq!(
        (shown["data"]["value"].clone(), shown["data"]["origin"]["from"].clone()),
        (json!(10), json!("file"))
    );
    let (unknown, code) = home.json(&["config", "set", "gateway.pagesize", "10"]);
    assert_eq!(code, Some(4));
    assert_eq!(unknown["error"]["hints"], json!(["did you mean `gateway.page_size`?"]));
    home.json(&["undo"]);
    let (shown, _) = home.json(&["config", "get", "gateway.page_size"]);
    assert_eq!(shown["data"]["origin"]["from"], "default");
}

#[test]
fn the_tour_works_without_a_network() {
    let home = Home::new(&[]);
    let (tour, code) = home.json(&["quickstart", "--offline"]);
    assert_eq!(code, Some(0), "{tour:#}");
    let outcomes: Vec<&str> = tour["data"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "skipped").count(), 1, "{outcomes:?}");
    // Nothing of it reached the user's own home.
    assert!(!home.path(".local/share/umcp").exists() && !home.path(".config").exists());
}

#[cfg(unix)]
#[test]
fn the_tour_says_at_once_that_there_is_no_network() {
    use std::os::unix::fs::PermissionsExt;
    let npx = "#!/bin/sh\necho 'npm error code EAI_AGAIN' >&2\nexit 1\n";
    let home = Home::new(&[("bin/npx", npx)]);
    fs::set_permissions(home.path("bin/npx"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", home.path("bin").display());
    let output = home.run_on(&path, &["quickstart"]);
    let (said, progress) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("skipped: no network") && said.contains("EAI_AGAIN"), "{said}");
    let waits =
        "A server from npm, the reference server of the protocol: npx fetches the package, 20 s at most ...";
    assert!(progress.lines().any(|line| line == waits), "{progress}");
}

#[test]
fn keys_that_come_in_plain_are_told_with_the_command_that_moves_them() {
    let servers = r#"{"mcpServers": {
        "gh": {"command": "gh", "env": {"GH_TOKEN": "hunter2hunter2", "PATH": "/usr/bin:/opt/tool/bin", "KEYS_DIR": "/srv/keys/1"}},
        "plain": {"command": "p", "env": {"API_KEY": "${API_KEY}", "HOME": "/home/someone/else"}}}}"#;
    let home = Home::new(&[("project/servers.json", servers), (".cursor/mcp.json", servers)]);
    let note = "plain keys in gh (env GH_TOKEN); into the vault with them: umcp secret scan --move\n";
    let told = |arguments: &[&str]| {
        let output = home.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.matches("plain keys in").count(), usize::from(said.contains(note)), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        said.contains(note)
    };
    assert!(told(&["import", "servers.json"]));
    assert!(!told(&["server", "add", "tame", "--env", "PATH=/usr/bin:/opt/1/bin", "--", "tool"]));
    home.run(&["server", "remove", "gh", "--yes"]);
    assert!(told(&["server", "add", "gh", "--env", "GH_TOKEN=hunter2hunter2", "--", "gh"]));
    home.run(&["server", "remove", "*", "--yes"]);
    assert!(told(&["init", "--yes", "--no-connect", "--no-completions"]));
}
