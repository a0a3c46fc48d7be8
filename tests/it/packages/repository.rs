//! Repositories: a local one in each language whose tools are here, at the commit that was asked for.

use super::images::Engine;
use super::registry::{Registry, SERVER, tool, versions};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

fn git(folder: &Path, words: &[&str]) {
    let fixed = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"];
    let status = Command::new("git").args(fixed).args(words).current_dir(folder).output().unwrap();
    assert!(status.status.success(), "{words:?}: {status:?}");
}

fn commit(folder: &Path, files: &[(&str, &str)], tag: &str) {
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--no-gpg-sign", "-m", "x"]);
    git(folder, &["tag", tag]);
}

#[test]
fn a_node_repository_is_built_at_one_commit() {
    let Some(registry) = Registry::start(&["npm", "node", "git"]) else { return };
    let folder = registry.sandbox.home().join("notes-mcp");
    std::fs::create_dir(&folder).unwrap();
    git(&folder, &["init", "--quiet"]);
    let source = |version: &str| {
        let tools = Value::from(vec![tool("read", "Reads one of your notes, whole")]);
        format!("const VERSION = {version:?}, TOOLS = {tools};\n{SERVER}")
    };
    let manifest = json!({"name": "notes-mcp", "version": "1.0.0", "private": true, "bin": "built.js",
        "scripts": {"build": "node -e \"require('fs').copyFileSync('source.js', 'built.js')\""}});
    commit(&folder, &[("package.json", &manifest.to_string()), ("source.js", &source("one"))], "v1");
    commit(&folder, &[("source.js", &source("two"))], "v2");

    let reference = format!("git:file://{}@v1", folder.display());
    let (plan, code) = registry.json(&["install", &reference, "--dry-run"]);
    let recipe = ["npm install --ignore-scripts --no-audit --no-fund --loglevel=error", "npm run build"];
    assert_eq!((code, &plan["data"]["recipe"]), (0, &json!(recipe)), "{plan}");
    let asked = registry.run(&["install", &reference]);
    assert!(asked.code == 11 && asked.stderr.contains("npm run build"), "{asked}");
    assert_eq!(versions(&registry.packages()), Vec::<String>::new());
    let output = registry.run(&["install", &reference, "--yes", "--name", "notes"]);
    assert_eq!(output.code, 0, "{output}");
    assert!(registry.run(&["call", "notes.read"]).stdout.starts_with("read of one"));

    let output = registry.run(&["update", "notes", "--to", "v2", "--yes"]);
    assert_eq!(output.code, 0, "{output}");
    assert!(registry.run(&["call", "notes.read"]).stdout.starts_with("read of two"));
    assert_eq!(registry.run(&["rollback", "notes"]).code, 0);
    assert!(registry.run(&["call", "notes.read"]).stdout.starts_with("read of one"));
    assert_eq!(registry.run(&["lock", "verify"]).code, 0);

    let missing =
        registry.run(&["install", &format!("git:file://{}@v9", folder.display()), "--name", "other"]);
    assert!(missing.code == 3 && missing.stderr.contains("no tag or branch `v9`"), "{missing}");
}

#[test]
fn a_repository_without_a_recipe_says_what_to_do() {
    let Some(registry) = Registry::start(&["git"]) else { return };
    let folder = registry.sandbox.home().join("plain");
    std::fs::create_dir(&folder).unwrap();
    git(&folder, &["init", "--quiet"]);
    commit(&folder, &[("Makefile", "all:\n")], "v1");
    let output = registry.run(&["install", &format!("git:file://{}", folder.display()), "--yes"]);
    assert!(output.code == 3 && output.stderr.contains("or Dockerfile at its root"), "{output}");
    assert_eq!(versions(&registry.packages()), Vec::<String>::new());
}

#[test]
fn a_dockerfile_is_built_after_a_question() {
    let Some(mut registry) = Registry::start(&["git", "python3"]) else { return };
    let engine = Engine::offer(&mut registry);
    let folder = registry.sandbox.home().join("boxed");
    std::fs::create_dir(&folder).unwrap();
    git(&folder, &["init", "--quiet"]);
    commit(&folder, &[("Dockerfile", "FROM scratch\n")], "v1");
    let reference = format!("git:file://{}@v1", folder.display());
    let (plan, code) = registry.json(&["install", &reference, "--dry-run"]);
    let line = plan["data"]["recipe"][0].as_str().unwrap();
    assert!(code == 0 && line.starts_with("docker build --iidfile ../image --tag umcp-build/"), "{plan}");
    let asked = registry.run(&["install", &reference]);
    assert!(asked.code == 11 && asked.stderr.contains("docker build"), "{asked}");
    assert_eq!(engine.asked("build"), Vec::<Vec<String>>::new());
    let output = registry.run(&["install", &reference, "--yes", "--name", "notes"]);
    assert_eq!(output.code, 0, "{output}");
    assert!(registry.run(&["call", "notes.read"]).stdout.starts_with("read of built"));
    assert_eq!(engine.asked("build").len(), 1);
    assert_eq!(registry.run(&["lock", "verify"]).code, 0);
}
