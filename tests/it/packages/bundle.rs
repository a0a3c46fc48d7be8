//! Bundles: a zip with a manifest, from a file or an address, with settings that go where they belong.

use super::registry::{Registry, SERVER, tool, versions, zip};
use serde_json::{Value, json};
use std::path::PathBuf;

fn pack(registry: &Registry, version: &str, description: &str, more: Value) -> PathBuf {
    let dir = tempfile::tempdir().unwrap();
    let tools = Value::from(vec![tool("read", description)]);
    let script = format!("const VERSION = {version:?}, TOOLS = {tools};\n{SERVER}");
    std::fs::create_dir(dir.path().join("server")).unwrap();
    std::fs::write(dir.path().join("server/index.js"), script).unwrap();
    let mut manifest = json!({
        "manifest_version": "0.3", "name": "mcp-notes", "version": version, "description": "d", "author": {"name": "a"},
        "server": {"type": "node", "entry_point": "server/index.js", "mcp_config": {"command": "node",
            "args": ["${__dirname}/server/index.js", "${user_config.folder}"],
            "env": {"NOTES_TOKEN": "${user_config.token}"}}},
        "user_config": {
            "folder": {"type": "directory", "title": "Folder", "default": "${HOME}/notes"},
            "token": {"type": "string", "title": "Token", "sensitive": true, "required": true}}
    });
    manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    std::fs::write(dir.path().join("manifest.json"), manifest.to_string()).unwrap();
    let to = registry.sandbox.home().join("notes.mcpb");
    zip(dir.path(), &to);
    to
}

#[test]
fn a_bundle_is_unpacked_asked_for_its_settings_and_updated() {
    let Some(registry) = Registry::start(&["node", "python3"]) else { return };
    pack(&registry, "1.0.0", "Reads one of your notes, whole", json!({}));
    let asked = registry.run(&["install", "mcpb:notes.mcpb"]);
    assert_eq!(asked.code, 11, "{asked}");
    assert!(asked.stderr.contains("--set token=secret://NAME"), "{asked}");
    let unknown = registry.run(&["install", "mcpb:notes.mcpb", "--set", "tokn=x"]);
    assert_eq!((unknown.code, versions(&registry.packages())), (4, vec![]), "{unknown}");

    let install = ["install", "mcpb:notes.mcpb", "--set", "token=t0p-s3cret", "--set", "folder=/srv"];
    let (done, code) = registry.json(&install);
    assert_eq!(
        (code, &done["data"]["name"], &done["data"]["tools"]),
        (0, &json!("notes"), &json!(1)),
        "{done}"
    );
    let said = registry.run(&["call", "notes.read"]);
    assert_eq!(said.stdout.trim(), "read of 1.0.0 with /srv and t0p-s3cret", "{said}");
    // The vault has it, and nothing else.
    let umcp = registry.sandbox.home().parent().unwrap().join("umcp");
    for file in ["config/umcp.lock", "data/store.redb"] {
        let bytes = std::fs::read(umcp.join(file)).unwrap();
        assert!(!bytes.windows(10).any(|it| it == b"t0p-s3cret"), "{file}");
    }
    assert!(registry.run(&["secret", "list"]).stdout.contains("notes.token"));

    pack(&registry, "1.1.0", "Reads one of your notes, or all", json!({}));
    let (check, code) = registry.json(&["update", "--check"]);
    assert_eq!((code, &check["data"][0]["changes"][0]["change"]), (13, &json!("changed")), "{check}");
    assert_eq!(registry.run(&["update", "notes", "--yes"]).code, 0);
    let said = registry.run(&["call", "notes.read"]);
    assert_eq!(said.stdout.trim(), "read of 1.1.0 with /srv and t0p-s3cret", "{said}");
    assert_eq!(registry.run(&["rollback", "notes"]).code, 0);
    assert_eq!(registry.run(&["lock", "verify"]).code, 0);

    // A setting that the next version wants and nobody has given: nothing changes.
    let wish =
        json!({"user_config": {"token": {"type": "string"}, "zone": {"type": "string", "required": true}}});
    pack(&registry, "2.0.0", "Reads one of your notes, whole", wish);
    let output = registry.run(&["update", "notes", "--yes"]);
    assert!(output.code == 3 && output.stderr.contains("wants to know zone"), "{output}");
    assert_eq!(registry.run(&["call", "notes.read"]).code, 0);
}

#[test]
fn a_bundle_from_an_address_is_the_one_of_its_digest() {
    let Some(registry) = Registry::start(&["node", "python3"]) else { return };
    let file = pack(&registry, "1.0.0", "Reads one of your notes, whole", json!({"user_config": {}}));
    let bytes = std::fs::read(&file).unwrap();
    let digest = umcp::ids::digest(&bytes);
    registry.put("/notes.mcpb", bytes.clone());
    let url = format!("mcpb:{}/notes.mcpb", registry.stub.address);
    let wrong = registry.run(&["install", &format!("{url}#sha256={}", "0".repeat(64))]);
    assert!(wrong.code == 3 && wrong.stderr.contains(&digest), "{wrong}");
    let output = registry.run(&["install", &format!("{url}#sha256={digest}")]);
    assert_eq!(output.code, 0, "{output}");
    assert!(registry.run(&["call", "notes.read"]).stdout.starts_with("read of 1.0.0"));

    let open = registry.run(&["install", "mcpb:http://example.com/x.mcpb"]);
    assert!(open.code == 3 && open.stderr.contains("#sha256="), "{open}");
    for (name, bytes) in [("cut", bytes[..bytes.len() - 30].to_vec()), ("text", b"hello".to_vec())] {
        registry.put("/bad.mcpb", bytes);
        let bad = format!("mcpb:{}/bad.mcpb", registry.stub.address);
        let output = registry.run(&["install", &bad, "--name", "bad"]);
        assert!(output.code == 3 && output.stderr.contains("[UM0452]"), "{name}: {output}");
    }
    assert_eq!(versions(&registry.packages()), ["1.0.0"]);
}
