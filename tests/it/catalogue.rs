//! `umcp catalog`: what is found, installed, read and published; sources as they should be, and hostile ones.
//! Long because of what the command says, word for word.

mod registry;

use crate::command::umcp;
use crate::support::daemon::Daemon;
use crate::support::sandbox::Sandbox;
use crate::support::stub::{Answer, Stub};
use insta::assert_snapshot;
use registry::item;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const TEAM: &str = "
servers:
  - name: notes
    title: Team notes
    description: Keeps the notes of the team
    categories: [productivity]
    run: npm:@acme/notes@1.2.3
    args: [--stdio]
    env: {NOTES_KEY: key, NOTES_MODE: optional}
  - name: wiki
    description: The wiki of the team
    run: https://wiki.acme.example.com/mcp
    headers: {X-Key: key}
  - name: lan
    description: A server in the office
    run: http://192.168.7.7:8080/mcp
  - name: playwright
    description: A browser of our own
    run: npm:@acme/browser
  - name: folders
    description: Looks into a folder
    run: pypi:acme-folders
    asks: [FOLDER]
";

#[test]
fn the_bundled_list_is_searched_and_installed_from() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["catalog", "search", "drive", "a", "browser", "--limit", "3", "-q"]), @"
    exit: 0
    --- stdout ---
    bundled/playwright
    bundled/playwright-execute
    bundled/chrome-devtools
    ");
    assert_snapshot!(sandbox.run(&["catalog", "show", "brave-search"]), @"
    exit: 0
    --- stdout ---
    Brave Search
    Web, news, image and video search by Brave
    name        bundled/brave-search
    categories  search
    license     MIT
    repository  https://github.com/brave/brave-search-mcp-server

    ok   npm:@brave/brave-search-mcp-server (stdio)
      BRAVE_API_KEY (needed, secret)
    install it: umcp catalog install bundled/brave-search
    ");
    assert_eq!(sandbox.run(&["catalog", "-q"]), sandbox.run(&["catalog", "list", "-q"]));
    assert_snapshot!(sandbox.run(&["catalog", "list", "--category", "maps", "--json"]), @r#"
    exit: 0
    --- stdout ---
    {"ok":true,"kind":"catalog.list/1","data":{"of":118,"entries":[{"name":"mapbox","source":"bundled","title":"Mapbox","description":"Places, routes and maps","run":"npm:@mapbox/mcp-server","transport":"stdio","categories":["maps"],"version":null,"deprecated":false,"stars":null,"also":[]}]},"warnings":[]}
    "#);
    assert_snapshot!(sandbox.run(&["catalog", "search", "zzzzzz"]), @"
    exit: 0
    --- stdout ---
    nothing fits; read more sources: umcp catalog refresh
    ");
    assert_snapshot!(sandbox.run(&["catalog", "show", "playwrihgt"]), @"
    exit: 4
    --- stderr ---
    error: no catalogue has `playwrihgt` [UM0801]
    hint: did you mean `playwright`?
    ");
    assert_snapshot!(sandbox.run(&["catalog", "install", "brave-search"]), @"
    exit: 11
    --- stderr ---
    entry    bundled/brave-search
    name     brave-search
    runs     npx -y @brave/brave-search-mcp-server
    version  the newest at each start
    takes    BRAVE_API_KEY (needed, secret)
    error: nobody can be asked `Install bundled/brave-search as brave-search?`: there is no terminal [UM0004]
    hint: answer with `--yes`
    ");
    assert_snapshot!(sandbox.run(&["catalog", "install", "brave-search", "--dry-run"]), @"
    exit: 0
    --- stdout ---
    nothing was installed; this would be
    entry    bundled/brave-search
    name     brave-search
    runs     npx -y @brave/brave-search-mcp-server
    version  the newest at each start
    takes    BRAVE_API_KEY (needed, secret)
    warn `BRAVE_API_KEY` has no value yet
    ");
    assert_snapshot!(sandbox.run(&["catalog", "install", "brave-search", "--yes"]), @"
    exit: 0
    --- stdout ---
    ok   installed brave-search (npm:@brave/brave-search-mcp-server)
    warn `BRAVE_API_KEY` has no value yet
    umcp server edit brave-search --set env.BRAVE_API_KEY=secret://BRAVE_API_KEY
    --- stderr ---
    entry    bundled/brave-search
    name     brave-search
    runs     npx -y @brave/brave-search-mcp-server
    version  the newest at each start
    takes    BRAVE_API_KEY (needed, secret)
    warning: `npx` is not found on PATH
    ");
    let server = sandbox.json(&["server", "show", "brave-search"]);
    assert_eq!(server["data"]["origin"], "catalog:bundled/brave-search", "{server}");
    assert_snapshot!(sandbox.run(&["catalog", "install", "brave-search", "--yes", "-q"]), @"
    exit: 5
    --- stderr ---
    error: a server named `brave-search` exists already [UM0402]
    hint: umcp server edit brave-search
    hint: give another name with --name, or --replace
    ");
    assert_snapshot!(sandbox.run(&["catalog", "install", "github-remote", "--yes", "--name", "gh", "--header", "Authorization=Bearer ${GITHUB_TOKEN}", "-q"]), @"
    exit: 0
    --- stdout ---
    gh
    ");
    assert_snapshot!(sandbox.run(&["catalog", "install", "zenquotes", "--yes", "-q"]), @"
    exit: 0
    --- stdout ---
    zenquotes
    ");
    assert_snapshot!(sandbox.run(&["catalog", "install", "azure-devops", "--yes"]), @"
    exit: 2
    --- stderr ---
    error: `azure-devops` wants arguments that only you can say: ORGANIZATION [UM0003]
    hint: umcp catalog install azure-devops -- ORGANIZATION
    ");
    for noun in [&["catalog", "install"][..], &["app", "install"]] {
        let asked = sandbox.run(&[noun, &["filesystem", "--yes"]].concat());
        assert_eq!(asked.code, 2, "{asked}");
        let hint = format!("hint: umcp {} install filesystem -- FOLDER", noun[0]);
        assert!(asked.stderr.contains(&hint), "{asked}");
    }
    let plan = sandbox.run(&["catalog", "install", "filesystem", "--dry-run", "--", "/srv/notes"]);
    assert!(
        plan.stdout.contains("runs     npx -y @modelcontextprotocol/server-filesystem /srv/notes\n"),
        "{plan}"
    );
    let installed = sandbox.run(&["catalog", "install", "azure-devops", "--yes", "-q", "--", "contoso"]);
    assert_eq!(installed.stdout, "azure-devops\n", "{installed}");
    let added = sandbox.json(&["server", "show", "azure-devops"]);
    assert_eq!(added["data"]["target"], "npx -y @azure-devops/mcp contoso", "{added}");
}

#[test]
fn every_shipped_app_stands_in_the_list() {
    use umcp::catalogue::{Way, bundled};
    for (name, _) in umcp::apps::shipped::SHIPPED {
        let entry = bundled::find(name).unwrap_or_else(|| panic!("the app {name} is in no catalogue"));
        assert_eq!(entry.ways, [Way::App { name: (*name).into() }]);
    }
    let apps = bundled::entries().iter().filter(|entry| matches!(entry.ways[0], Way::App { .. }));
    assert_eq!(apps.count(), umcp::apps::shipped::SHIPPED.len());
}

#[test]
fn a_file_of_ones_own_is_a_source() {
    let sandbox = Sandbox::new();
    sandbox.file("team.yaml", TEAM);
    assert_snapshot!(sandbox.run(&["catalog", "source", "add", "team.yaml"]), @"
    exit: 0
    --- stdout ---
    ok   added team with 5 entries
    ");
    assert_snapshot!(sandbox.run(&["catalog", "source", "add", "team.yaml"]), @"
    exit: 5
    --- stderr ---
    error: a source named `team` exists already [UM0805]
    hint: umcp catalog source list
    ");
    assert_snapshot!(sandbox.run(&["catalog", "source", "list"]), @"
    exit: 0
    --- stdout ---
    SOURCE    STATE    KIND      ENTRIES  READ      PLACE
    bundled   enabled  bundled       118            umcp itself
    official  enabled  registry        0  never     https://registry.modelcontextprotocol.io
    team      enabled  file            5  just now  [DIR]/home/team.yaml
    ");
    assert_snapshot!(sandbox.run(&["catalog", "search", "notes", "--source", "team"]), @"
    exit: 0
    --- stdout ---
    NAME   SOURCE  RUNS                   STARS  CATEGORIES    DESCRIPTION
    notes  team    npm:@acme/notes@1.2.3         productivity  Keeps the notes of the team
    1 of 123 entries; more of one: umcp catalog show NAME
    ");
    assert_snapshot!(sandbox.run(&["catalog", "install", "playwright", "--yes"]), @"
    exit: 5
    --- stderr ---
    error: `playwright` could be 2 entries [UM0802]
    hint: say `bundled/playwright` for npm:@playwright/mcp
    hint: say `team/playwright` for npm:@acme/browser
    ");
    assert_snapshot!(sandbox.run(&["catalog", "install", "team/playwright", "--dry-run"]), @"
    exit: 0
    --- stdout ---
    nothing was installed; this would be
    entry    team/playwright
    name     playwright
    runs     npx -y @acme/browser
    version  the newest at each start
    ");
    assert_snapshot!(sandbox.run(&["catalog", "install", "notes", "--dry-run", "--env", "NOTES_KEY=secret://NOTES_KEY"]), @"
    exit: 0
    --- stdout ---
    nothing was installed; this would be
    entry    team/notes
    name     notes
    runs     npx -y @acme/notes@1.2.3 --stdio
    version  1.2.3
    takes    NOTES_KEY (needed, secret)
    takes    NOTES_MODE (optional)
    ");
    assert_snapshot!(sandbox.run(&["catalog", "install", "lan", "--yes", "-q"]), @"
    exit: 0
    --- stdout ---
    lan
    ");
    assert_snapshot!(sandbox.run(&["catalog", "rate", "notes", "5", "--comment", "ours"]), @"
    exit: 0
    --- stdout ---
    ok   rated team/notes with 5
    ");
    assert_snapshot!(sandbox.run(&["catalog", "rate"]), @"
    exit: 0
    --- stdout ---
    ENTRY       STARS  COMMENT
    team/notes  *****  ours
    ");
    assert_eq!(sandbox.run(&["catalog", "rate", "notes", "6"]).code, 2);
    assert_eq!(sandbox.run(&["catalog", "rate", "notes", "--clear"]).code, 0);
    // Read again, it is what the file says now.
    sandbox.file("team.yaml", &TEAM.replace("name: notes", "name: papers"));
    assert_snapshot!(sandbox.run(&["catalog", "refresh", "team"]), @"
    exit: 0
    --- stdout ---
    ok   team: read 5 entries; it has 5 now
    ");
    assert_eq!(sandbox.run(&["catalog", "show", "team/notes"]).code, 4);
    let names = sandbox.run(&["__complete", "catalog", "show", "pap"]);
    assert_eq!(names.stdout, "paper-search\npapers\n", "{names}");
    assert_snapshot!(sandbox.run(&["catalog", "source", "disable", "team"]), @"
    exit: 0
    --- stdout ---
    ok   disabled team with 5 entries
    ");
    assert_eq!(sandbox.run(&["catalog", "show", "papers"]).code, 4);
    assert_snapshot!(sandbox.run(&["catalog", "source", "remove", "team", "--no-input"]), @"
    exit: 11
    --- stderr ---
    error: nobody can be asked `Remove the source team and its entries?`: `--no-input` was given [UM0004]
    hint: answer with `--yes`
    ");
    assert_snapshot!(sandbox.run(&["catalog", "source", "remove", "team", "--yes"]), @"
    exit: 0
    --- stdout ---
    ok   removed team with 5 entries
    ");
    assert_snapshot!(sandbox.run(&["catalog", "source", "remove", "bundled", "--yes"]), @"
    exit: 5
    --- stderr ---
    error: `bundled` is part of umcp and cannot be removed [UM0805]
    hint: umcp catalog source disable bundled
    ");
}

#[test]
fn a_file_that_is_no_catalogue_is_refused_and_not_added() {
    let sandbox = Sandbox::new();
    let one = |entry: &str| format!("servers:\n  - {{name: x, description: d, {entry}}}\n");
    for (text, code, says) in [
        ("servers: 5".to_string(), 3, "it has neither `servers` nor `plugins`"),
        ("{".into(), 3, ""),
        ("[]".into(), 3, "it has neither"),
        (one("run: \"npm:../x\""), 3, "it names no package"),
        (one("run: \"pypi:a==latest\""), 3, "its version is none"),
        (
            one("run: \"https://u:p@x.example.com\", args: []").replace("https://u:p@", "ftp://"),
            3,
            "its address is not https",
        ),
        (one("run: \"npm:x\", args: [\"secret://KEY\"]"), 3, "refers to something of yours"),
        (one("run: \"npm:x\", env: {LD_PRELOAD: required}"), 3, "it wants to set `LD_PRELOAD`"),
        (one("run: \"npm:x\", categories: [nonsense]"), 3, "`nonsense` is no category"),
        (one("run: \"npm:x\", shell: true"), 3, "unknown field `shell`"),
        (one("run: \"npm:x\"").replace("name: x", "name: \"../../x\""), 3, "its name holds what no name may"),
        ("servers: [{name: x, name: y, description: d, run: \"npm:x\"}]".into(), 3, ""),
    ] {
        sandbox.file("bad.yaml", &text);
        let refused = sandbox.run(&["catalog", "source", "add", "bad.yaml"]);
        assert_eq!(refused.code, code, "{text}: {refused}");
        assert!(refused.stderr.contains(says), "{text}: {refused}");
    }
    let sources = sandbox.json(&["catalog", "source", "list"]);
    assert_eq!(sources["data"].as_array().unwrap().len(), 2, "{sources}");
    for (target, code) in [
        ("none.yaml", 4),
        ("http://example.com/x.json", 3),
        ("https://u:p@example.com", 3),
        ("ftp://x/y.json", 4),
    ] {
        assert_eq!(sandbox.run(&["catalog", "source", "add", target]).code, code, "{target}");
    }
    assert_eq!(sandbox.run(&["catalog", "source", "add", "bad.yaml", "--name", "Bad Name"]).code, 3);
}

#[test]
fn a_server_is_published_without_its_secrets() {
    let sandbox = Sandbox::new();
    let add = [
        "server",
        "add",
        "npm:@acme/notes@1.2.3",
        "--env",
        "NOTES_KEY=hunter2hunter2",
        "--description",
        "Keeps notes",
        "--",
        "--stdio",
    ];
    assert_eq!(sandbox.run(&add).code, 0);
    let publish = ["catalog", "publish", "notes", "--as", "com.acme/notes"];
    let printed = sandbox.run(&publish);
    assert_snapshot!(printed, @r#"
    exit: 0
    --- stdout ---
    {
      "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
      "name": "com.acme/notes",
      "description": "Keeps notes",
      "version": "1.2.3",
      "packages": [
        {
          "registryType": "npm",
          "identifier": "@acme/notes",
          "version": "1.2.3",
          "transport": {
            "type": "stdio"
          },
          "packageArguments": [
            {
              "type": "positional",
              "value": "--stdio"
            }
          ],
          "environmentVariables": [
            {
              "name": "NOTES_KEY",
              "isRequired": true,
              "isSecret": true
            }
          ]
        }
      ]
    }
    "#);
    assert!(!printed.stdout.contains("hunter2"), "{printed}");
    assert_eq!(sandbox.run(&[&publish[..], &["--format", "server.json"]].concat()), printed);
    assert_snapshot!(sandbox.run(&[&publish[..], &["--to", "team.json"]].concat()), @"
    exit: 0
    --- stdout ---
    ok   wrote com.acme/notes to team.json
    ");
    // In the place of the same name, beside another.
    assert_eq!(sandbox.run(&[&publish[..], &["--to", "team.json", "--version", "1.2.4"]].concat()).code, 0);
    let other = ["catalog", "publish", "notes", "--as", "com.acme/other", "--to", "team.json"];
    assert_eq!(sandbox.run(&other).code, 0);
    assert_snapshot!(sandbox.run(&["catalog", "source", "add", "team.json"]), @"
    exit: 0
    --- stdout ---
    ok   added team with 2 entries
    ");
    let shown = sandbox.json(&["catalog", "show", "com.acme/notes"]);
    assert_eq!(shown["data"]["entry"]["version"], "1.2.4", "{shown}");
    std::fs::create_dir(sandbox.home().join("folder")).unwrap();
    assert_eq!(sandbox.run(&[&publish[..], &["--to", "folder"]].concat()).code, 0);
    assert_eq!(sandbox.run(&["catalog", "source", "add", "folder"]).code, 0);
    assert_eq!(
        sandbox.json(&["catalog", "list", "--source", "folder"])["data"]["entries"].as_array().unwrap().len(),
        1
    );
    for (arguments, code) in [
        (&["--as", "notes"][..], 3),
        (&["--as", "com.acme/notes", "--version", "^1"], 3),
        (&["--as", "com.acme/notes", "--to", "x.yaml"], 3),
        (&["--as", "com.acme/notes", "--to", "new/x.json"], 0),
    ] {
        let ran = sandbox.run(&[&["catalog", "publish", "notes"], arguments].concat());
        assert_eq!(ran.code, code, "{arguments:?}: {ran}");
    }
    let keyed = [
        "server",
        "add",
        "npm:x@1.0.0",
        "--name",
        "keyed",
        "--description",
        "d",
        "--",
        "--token=ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    ];
    assert_eq!(sandbox.run(&keyed).code, 0);
    assert_snapshot!(sandbox.run(&["catalog", "publish", "keyed", "--as", "com.acme/keyed"]), @"
    exit: 3
    --- stderr ---
    error: the argument `--to… (48 characters)` looks like a key [UM0104]
    hint: umcp secret scan, or give it as a variable: umcp server edit keyed
    ");
    assert_eq!(sandbox.run(&["server", "add", "builtin:time"]).code, 0);
    assert_snapshot!(sandbox.run(&["catalog", "publish", "time", "--as", "com.acme/time"]), @"
    exit: 3
    --- stderr ---
    error: a server over `builtin` exists only on this machine [UM0104]
    ");
}

#[test]
fn a_document_at_an_address_is_a_source() {
    let daemon = Daemon::start();
    let stub = Stub::start(|asked| match asked.path.as_str() {
        "/team.yaml" => Answer {
            headers: vec![],
            ..Answer::json(TEAM.replace("http://192.168.7.7:8080/mcp", "https://lan.acme.example.com/"))
        },
        "/lan.yaml" => Answer::json(TEAM),
        _ => Answer::status(404, "no"),
    });
    let added = umcp(&daemon, &["catalog", "source", "add", &format!("{}/team.yaml", stub.address)]);
    assert_eq!((&added["data"]["name"], &added["data"]["entries"]), (&json!("team"), &json!(5)), "{added}");
    // Somebody else's list names no address of one's own network.
    let refused = umcp(&daemon, &["catalog", "source", "add", &format!("{}/lan.yaml", stub.address)]);
    assert_eq!(refused["error"]["name"], "source_invalid", "{refused}");
    let none = umcp(&daemon, &["catalog", "source", "add", &format!("{}/none.yaml", stub.address)]);
    assert_eq!(none["ok"], false, "{none}");
}

/// Runs git in a folder; the machine's own settings have no say.
fn git(folder: &Path, arguments: &[&str]) {
    let ran = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "init.defaultBranch=main",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_marketplace_in_git_is_a_source_and_nothing_of_it_runs() {
    let sandbox = Sandbox::new();
    let market = json!({"name": "acme", "owner": {"name": "Acme"}, "plugins": [
        {"name": "books", "source": "./plugins/books", "description": "Books", "category": "database"},
        {"name": "linked", "source": "./plugins/linked", "description": "A link out"},
        {"name": "away", "source": "./../../outside", "description": "A path out"},
        {"name": "run", "source": "./plugins/run", "description": "Its own program"},
    ]});
    sandbox.file("market/.claude-plugin/marketplace.json", &market.to_string());
    sandbox.file("market/plugins/books/.mcp.json", &json!({"mcpServers": {"books": {"command": "uvx", "args": ["acme-books==2.0"], "env": {"BOOKS_KEY": "${BOOKS_KEY}"}}}}).to_string());
    sandbox.file(
        "market/plugins/run/.mcp.json",
        &json!({"mcpServers": {"run": {"command": "${CLAUDE_PLUGIN_ROOT}/run.sh"}}}).to_string(),
    );
    sandbox.file(
        "outside/.mcp.json",
        &json!({"mcpServers": {"secret": {"command": "uvx", "args": ["secret"]}}}).to_string(),
    );
    sandbox.file("market/plugins/linked/x", "");
    let market = sandbox.home().join("market");
    std::os::unix::fs::symlink(
        sandbox.home().join("outside/.mcp.json"),
        market.join("plugins/linked/.mcp.json"),
    )
    .unwrap();
    // What a checkout would run, were there one.
    sandbox.file("market/.gitattributes", "* filter=evil\n");
    git(&market, &["init", "-q"]);
    git(&market, &["add", "."]);
    git(&market, &["commit", "-q", "-m", "one"]);
    let proof = sandbox.home().join("proof");
    let settings = format!("[filter \"evil\"]\n\tsmudge = touch {}\n\trequired = true\n", proof.display());
    sandbox.file(".gitconfig", &settings);
    let path = std::env::var("PATH").unwrap();
    let place = market.display().to_string();
    let with_git = |arguments: &[&str]| sandbox.run_with(arguments, &[("PATH", path.as_str())]);
    assert_snapshot!(with_git(&["catalog", "source", "add", &place, "--kind", "git", "--name", "acme"]), @"
    exit: 0
    --- stdout ---
    ok   added acme with 2 entries
    --- stderr ---
    cloning [DIR]/home/market ...
    ");
    assert!(!proof.exists(), "a filter of a repository ran");
    let list = sandbox.json(&["catalog", "list", "--source", "acme", "--all"]);
    let seen: Vec<_> = list["data"]["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["name"].clone(), entry["run"].clone()))
        .collect();
    assert_eq!(
        seen,
        [(json!("books"), json!("pypi:acme-books==2.0")), (json!("run"), Value::Null)],
        "{list}"
    );
    assert_snapshot!(sandbox.run(&["catalog", "install", "run", "--yes"]), @"
    exit: 7
    --- stderr ---
    error: `acme/run` offers nothing that umcp runs [UM0803]
    because: ${CLAUDE_PLUGIN_ROOT}/run.sh: its command is no program's name
    hint: umcp catalog show acme/run
    ");
    // The same folder read as a folder: links are not followed there either.
    assert_eq!(sandbox.run(&["catalog", "source", "add", "market", "--name", "folder"]).code, 0);
    assert_eq!(sandbox.json(&["catalog", "source", "list"])["data"][3]["entries"], 2);
    assert_snapshot!(with_git(&["catalog", "source", "add", "file:///nonexistent/x.git", "--name", "none"]), @"
    exit: 3
    --- stderr ---
    error: `file:///nonexistent/x.git` is no address of a git repository [UM0104]
    hint: https://HOST/PATH.git, git@HOST:PATH.git, or a folder
    ");
    assert_snapshot!(sandbox.run(&["catalog", "refresh", "acme"]), @"
    exit: 10
    --- stdout ---
    FAIL acme: `git` is not found on PATH
    --- stderr ---
    cloning [DIR]/home/market ...
    error: `git` is not found on PATH [UM0807]
    hint: install git, or add the catalogue as a file or address
    ");
}

#[test]
fn names_are_completed_from_a_file_and_not_from_the_entries() {
    let sandbox = Sandbox::new();
    let entries: Vec<Value> =
        (0..300).map(|n| item(&format!("io.many/tool-{n:03}"), "2025-12-02T00:00:00Z", "active")).collect();
    sandbox.file("many.json", &json!({"servers": entries}).to_string());
    let before = sandbox.run(&["__complete", "catalog", "install", "playw"]);
    assert_eq!(before.stdout, "playwright\nplaywright-execute\n");
    assert_eq!(sandbox.run(&["catalog", "source", "add", "many.json"]).code, 0);
    let names = sandbox.run(&["__complete", "catalog", "install", "io.many/tool-29"]);
    assert_eq!(names.stdout.lines().count(), 10, "{names}");
    assert_eq!(sandbox.run(&["__complete", "catalog", "install", "io.many/"]).stdout.lines().count(), 200);
    assert_eq!(sandbox.run(&["__complete", "catalog", "refresh", "ma"]).stdout, "many\tfile\n");
}
