//! `umcp skill`: skills on the command line, in registries, behind signatures, and at the endpoint.

mod endpoint;

use crate::support::sandbox::Sandbox;
use serde_json::{Value, json};
use std::path::Path;

const TEXT: &str = "---\nname: greet\ndescription: Says hello\ncontext: fork\n---\n\nSay hello.\n";
const STEPS: &str = "id: greet\nversion: VERSION\nparameters:\n  who: {type: string, default: world}\nsteps:\n  - {id: a, set: \"Hello ${{ inputs.who }}\"}\noutputs: {text: \"${{ steps.a.result }}\"}\ntests:\n  - {name: greets, inputs: {who: Ada}, expect: {text: Hello Ada}}\n";

/// A skill with steps in a folder of the sandbox.
fn greet(sandbox: &Sandbox, version: &str) {
    sandbox.file("greet/SKILL.md", TEXT);
    sandbox.file("greet/skill.yaml", &STEPS.replace("VERSION", version));
}

fn code(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    sandbox.json(arguments)["error"]["name"].clone()
}

#[test]
fn a_skill_is_made_checked_tried_installed_and_run() {
    let sandbox = Sandbox::new();
    for template in ["instructions", "steps"] {
        let name = format!("new-{template}");
        sandbox.json(&["skill", "create", &name, "--template", template]);
        let checked = sandbox.json(&["skill", "validate", &format!("./{name}"), "--strict"]);
        assert_eq!(checked["data"][0]["ok"], json!(true), "{checked}");
    }
    assert_eq!(sandbox.json(&["skill", "test", "./new-steps"])["data"][0]["ok"], json!(true));
    greet(&sandbox, "1.0.0");
    let done = sandbox.run(&["skill", "install", "./greet"]).to_string();
    for line in ["installed greet 1.0.0", "not signed", "added the server skills", "umcp skill execute greet"]
    {
        assert!(done.contains(line), "{line}: {done}");
    }
    let listed = sandbox.json(&["skill", "list"])["data"][0].clone();
    assert_eq!((&listed["name"], &listed["version"]), (&json!("greet"), &json!("1.0.0")));
    let info = sandbox.json(&["skill", "info", "greet"])["data"].clone();
    assert_eq!(info["inputs"]["properties"]["who"]["default"], json!("world"));
    let front: Value = serde_json::from_str(info["front"].as_str().unwrap()).unwrap();
    assert_eq!(front["context"], json!("fork"), "keys that umcp does not know are kept");
    let tried = sandbox.run(&["skill", "execute", "greet", "--input", "who=Ada", "--dry-run"]).to_string();
    assert!(tried.contains("Hello Ada"), "{tried}");
    assert_eq!(code(&sandbox, &["skill", "execute", "greet", "--input", "whom=Ada"]), "arguments_invalid");
    sandbox.json(&["skill", "install", "./new-instructions"]);
    let text = sandbox.run(&["skill", "execute", "new-instructions"]).to_string();
    assert!(text.contains("# new instructions"), "{text}");
    assert_eq!(
        sandbox.json(&["skill", "rate", "greet", "5", "--comment", "good"])["data"]["stars"],
        json!(5)
    );
    assert_eq!(sandbox.json(&["skill", "stats", "greet"])["data"][0]["stars"], json!(5));
    assert_eq!(code(&sandbox, &["skill", "rate", "greet", "6"]), "usage");
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    let sandbox = Sandbox::new();
    sandbox.file("greet/SKILL.md", TEXT);
    let wrong = STEPS.replace("VERSION", "1.0.0").replace("set:", "sett:");
    sandbox.file("greet/skill.yaml", &wrong);
    let checked = sandbox.json(&["skill", "validate", "./greet"]);
    let error = &checked["data"][0]["errors"][0];
    assert_eq!(error["span"]["line"], json!(6), "{checked}");
    sandbox.file("greet/skill.yaml", "id: Other\nversoin: 1.0.0\n");
    let checked = sandbox.json(&["skill", "validate", "./greet"]);
    assert_eq!(checked["data"][0]["errors"].as_array().unwrap().len(), 2, "{checked}");
    assert_eq!(code(&sandbox, &["skill", "install", "./greet"]), "field_unknown");
    assert_eq!(code(&sandbox, &["skill", "install", "./nothing"]), "file_not_found");
    assert_eq!(code(&sandbox, &["skill", "info", "nothing"]), "skill_not_found");
}

#[test]
fn versions_stand_side_by_side() {
    let sandbox = Sandbox::new();
    greet(&sandbox, "1.0.0");
    sandbox.json(&["skill", "install", "./greet"]);
    sandbox.file("greet/more.md", "more");
    assert_eq!(code(&sandbox, &["skill", "install", "./greet"]), "skill_exists");
    greet(&sandbox, "1.1.0");
    assert_eq!(sandbox.json(&["skill", "update", "--check"])["error"]["exit"], json!(13));
    assert_eq!(sandbox.json(&["skill", "update"])["data"][0]["to"], json!("1.1.0"));
    let current = |sandbox: &Sandbox| sandbox.json(&["skill", "list"])["data"][0]["version"].clone();
    assert_eq!(current(&sandbox), "1.1.0");
    sandbox.json(&["skill", "rollback", "greet"]);
    assert_eq!(current(&sandbox), "1.0.0");
    sandbox.json(&["skill", "uninstall", "greet", "--version", "1.0.0", "--yes"]);
    assert_eq!(current(&sandbox), "1.1.0");
    sandbox.json(&["skill", "uninstall", "greet", "--yes"]);
    assert_eq!(sandbox.json(&["skill", "list"])["data"], json!([]));
}

#[test]
fn a_signature_is_held_to() {
    let sandbox = Sandbox::new();
    greet(&sandbox, "1.0.0");
    let sign = ["skill", "sign", "./greet", "--publisher", "acme"];
    assert_eq!(code(&sandbox, &sign), "file_not_found");
    let made = sandbox.json(&[&sign[..], &["--create-key"]].concat());
    assert!(made["data"]["created"].is_string(), "{made}");
    sandbox.json(&["skill", "export", "./greet", "--output", "greet.zip"]);
    let done = sandbox.json(&["skill", "import", "greet.zip"]);
    assert_eq!(done["data"]["skills"][0]["new_publisher"], json!(true), "{done}");
    assert_eq!(sandbox.json(&["skill", "verify"])["data"][0]["known"], json!(true));
    assert_eq!(sandbox.json(&["skill", "trust", "list"])["data"][0]["name"], json!("acme"));
    // A file that nobody signed.
    sandbox.file("greet/more.md", "more");
    assert_eq!(code(&sandbox, &["skill", "install", "./greet", "--replace"]), "signature_invalid");
    // The next version without a signature, then with another key.
    for name in ["more.md", "umcp-bundle.json", "umcp-bundle.json.minisig"] {
        std::fs::remove_file(sandbox.file("greet/mark", "").with_file_name(name)).unwrap();
    }
    greet(&sandbox, "1.1.0");
    assert_eq!(code(&sandbox, &["skill", "install", "./greet"]), "publisher_changed");
    sandbox.json(&[&sign[..], &["--key", "other.key", "--create-key"]].concat());
    assert_eq!(code(&sandbox, &["skill", "install", "./greet"]), "publisher_changed");
    sandbox.json(&["skill", "trust", "forget", "acme", "--yes"]);
    sandbox.json(&["skill", "install", "./greet"]);
    // What lies there is changed behind umcp's back.
    let found = find(sandbox.home().parent().unwrap(), "skills/greet/1.1.0/SKILL.md");
    std::fs::write(found, "other").unwrap();
    assert_eq!(code(&sandbox, &["skill", "verify", "greet"]), "skill_changed");
    assert_eq!(code(&sandbox, &["skill", "execute", "greet"]), "skill_changed");
}

/// The file whose path ends so, somewhere below a folder.
fn find(folder: &Path, end: &str) -> std::path::PathBuf {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if path.ends_with(end) && !path.to_string_lossy().contains("current") {
                return path;
            }
            if kind.is_dir() {
                folders.push(path);
            }
        }
    }
    panic!("no {end} below {}", folder.display());
}

#[test]
fn a_skill_goes_through_a_registry_with_what_it_needs() {
    let sandbox = Sandbox::new();
    let registry = sandbox.file("registry/.keep", "");
    let registry = registry.parent().unwrap().to_str().unwrap();
    sandbox.json(&["skill", "registry", "add", "team", registry]);
    for (name, yaml) in [
        ("tone", "id: tone\nversion: 1.2.0\n"),
        ("mood", "id: mood\nversion: 2.0.0\nauthor: community\ntags: [nlp]\nrequired_skills: {tone: ^1.2}\n"),
    ] {
        let text = format!("---\nname: {name}\ndescription: About {name}\n---\nText\n");
        sandbox.file(&format!("{name}/SKILL.md"), &text);
        sandbox.file(&format!("{name}/skill.yaml"), yaml);
        sandbox.json(&["skill", "publish", &format!("./{name}"), "--registry", "team"]);
    }
    assert_eq!(code(&sandbox, &["skill", "install", "team/mood"]), "skill_not_found", "not read again yet");
    sandbox.json(&["skill", "registry", "refresh"]);
    let found = sandbox.json(&["skill", "search", "mood", "--tag", "nlp", "--author", "community"]);
    assert_eq!(found["data"][0]["registry"], json!("team"), "{found}");
    let done = sandbox.json(&["skill", "install", "team/mood", "--version", "2.0.0"]);
    let names: Vec<&str> =
        done["data"]["skills"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["mood", "tone"]);
    assert_eq!(sandbox.json(&["skill", "info", "mood"])["data"]["resolved"], json!({"tone": "1.2.0"}));
    assert_eq!(code(&sandbox, &["skill", "uninstall", "tone", "--yes"]), "skill_in_use");
    // A published version stays as it is.
    sandbox.file("tone/more.md", "more");
    assert_eq!(code(&sandbox, &["skill", "publish", "./tone"]), "skill_exists");
    // A bundle that is another one than the list says.
    sandbox.json(&["skill", "uninstall", "mood", "tone", "--yes"]);
    let bundle = Path::new(registry).join("tone/tone-1.2.0.zip");
    let mut bytes = std::fs::read(&bundle).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    assert_eq!(code(&sandbox, &["skill", "install", "team/tone"]), "registry_invalid");
}

#[test]
fn a_marketplace_is_a_registry_as_it_is() {
    let sandbox = Sandbox::new();
    let list = json!({"plugins": [{"name": "near", "source": "./near"}, {"name": "far", "source": {"source": "github", "repo": "a/b"}}]});
    sandbox.file("market/.claude-plugin/marketplace.json", &list.to_string());
    sandbox.file("market/near/skills/greet/SKILL.md", TEXT);
    sandbox.file("market/near/skills/broken/SKILL.md", "nothing");
    let added = sandbox.json(&["skill", "registry", "add", "market", "./market"]);
    assert_eq!(added["data"][0]["skills"], json!(1));
    assert_eq!(added["data"][0]["remarks"].as_array().unwrap().len(), 2, "{added}");
    sandbox.json(&["skill", "install", "market/greet"]);
    assert_eq!(sandbox.json(&["skill", "list"])["data"][0]["version"], json!("0.0.0"));
}

#[cfg(unix)]
#[test]
fn links_lead_clients_to_skills_and_can_be_taken_back() {
    let sandbox = Sandbox::new();
    greet(&sandbox, "1.0.0");
    sandbox.json(&["skill", "install", "./greet"]);
    let done = sandbox.json(&["skill", "sync", "claude-code", "codex"]);
    assert_eq!(done["data"]["links"].as_array().unwrap().len(), 2, "{done}");
    let links = [".claude/skills/greet", ".agents/skills/greet"].map(|path| sandbox.home().join(path));
    let read = |link: &Path| std::fs::read_to_string(link.join("SKILL.md")).unwrap();
    assert!(links.iter().all(|link| read(link) == TEXT));
    greet(&sandbox, "1.1.0");
    sandbox.file("greet/SKILL.md", &TEXT.replace("hello", "goodbye"));
    sandbox.json(&["skill", "update"]);
    assert!(links.iter().all(|link| read(link).contains("goodbye")), "a link leads to the version in use");
    sandbox.json(&["undo"]);
    assert!(links.iter().all(|link| !link.exists() && !link.parent().unwrap().exists()));
    sandbox.json(&["skill", "sync", "claude-code"]);
    sandbox.json(&["skill", "uninstall", "greet", "--yes"]);
    assert!(std::fs::symlink_metadata(&links[0]).is_err(), "a link goes with its skill");
    assert_eq!(code(&sandbox, &["skill", "sync", "zed"]), "client_not_found");
}

#[test]
fn the_examples_are_skills_and_pass_their_tests() {
    let sandbox = Sandbox::new();
    sandbox.json(&["server", "add", "builtin:time"]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/skills");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["greet-team", "release-notes"]);
    for name in names {
        let path = folder.join(&name);
        let path = path.to_str().unwrap();
        let checked = sandbox.json(&["skill", "validate", path]);
        assert_eq!(checked["data"][0]["ok"], json!(true), "{checked}");
        if folder.join(&name).join("skill.yaml").exists() {
            let tried = sandbox.json(&["skill", "test", path]);
            assert!(tried["data"].as_array().unwrap().iter().all(|it| it["ok"] == true), "{tried}");
        }
        sandbox.json(&["skill", "install", path]);
    }
}
