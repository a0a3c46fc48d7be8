//! A lock file in a project's folder: what is installed with `--project` is in it, and it makes another machine the same
//! without a word about what else is there.

use super::registry::{Registry, tool};
use crate::support::sandbox::Sandbox;
use serde_json::{Value, json};

#[test]
fn a_project_has_a_lock_file_of_its_own() {
    let Some(registry) = Registry::start(&["npm", "node", "tar"]) else { return };
    let file = registry.sandbox.home().join("umcp.lock");
    let names = || -> Vec<String> {
        let text = std::fs::read_to_string(&file).unwrap();
        let lock: Value = serde_json::from_str(&text).unwrap();
        lock["packages"].as_object().unwrap().keys().cloned().collect()
    };
    let none = registry.run(&["sync", "--project"]);
    assert!(none.code == 4 && none.stderr.contains("umcp install REFERENCE --project"), "{none}");
    registry.publish("1.0.0", &[tool("read", "Reads one of your notes")], json!({}));
    assert_eq!(registry.run(&["install", "npm:@acme/mcp-notes", "--name", "own"]).code, 0);
    assert!(!file.exists());
    let output = registry.run(&["install", "npm:@acme/mcp-notes", "--project"]);
    assert!(output.code == 0 && output.stderr.contains("pinned in "), "{output}");
    assert_eq!(names(), ["notes"]);

    // Another machine, with a server of its own.
    let other = Sandbox::new();
    std::fs::copy(&file, other.home().join("umcp.lock")).unwrap();
    assert_eq!(registry.run_in(&other, &["install", "npm:@acme/mcp-notes", "--name", "mine"]).code, 0);
    let (done, code) = registry.json_in(&other, &["sync", "--frozen", "--project"]);
    let data = done["data"].as_array().unwrap();
    assert_eq!((code, data.len(), &data[0]["state"]), (0, 1, &json!("installed")), "{done}");
    assert_eq!(registry.run_in(&other, &["call", "notes.read"]).stdout.trim(), "read of 1.0.0 with");
    assert_eq!(registry.run_in(&other, &["lock", "verify", "--project"]).code, 0);
    registry.run_in(&other, &["gateway", "stop"]);

    // Updates of the project keep its file; what does not belong to it stays.
    registry.publish("1.1.0", &[tool("read", "Reads one of your notes")], json!({}));
    let (done, code) = registry.json(&["update", "--project", "--yes"]);
    assert_eq!((code, done["data"].as_array().unwrap().len()), (0, 1), "{done}");
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"version\": \"1.1.0\""));
    assert_eq!(registry.run(&["lock", "verify", "--project"]).code, 0);
    assert_eq!(registry.run(&["rollback", "notes"]).code, 0);
    let differs = registry.run(&["lock", "verify", "--project"]);
    assert!(differs.code == 13 && differs.stderr.contains("umcp sync --project"), "{differs}");
    assert_eq!(registry.run(&["sync", "--frozen", "--project"]).code, 13);
    assert_eq!(registry.run(&["sync", "--project"]).code, 0);
    assert_eq!(registry.run(&["uninstall", "notes", "--project", "--yes"]).code, 0);
    assert_eq!(names(), Vec::<String>::new());
}
