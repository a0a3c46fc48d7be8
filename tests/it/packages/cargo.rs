//! Crates, with the real Cargo and a source of crates that is a folder.

use super::registry::{Registry, versions};
use serde_json::json;

/// A server in plain Rust: enough of the protocol for one tool.
const MAIN: &str = r##"
use std::io::{BufRead, Write};
fn main() {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let after = |key: &str| line.split_once(key).map(|(_, rest)| rest.trim_start());
        let Some(id) = after("\"id\":") else { continue };
        let id = id.split([',', '}']).next().unwrap();
        let revision = after("\"protocolVersion\":\"").and_then(|it| it.split('"').next()).unwrap_or("2025-06-18");
        let result = if line.contains("\"initialize\"") {
            format!(r#""result":{{"protocolVersion":"{revision}","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"n","version":"1"}}}}"#)
        } else if line.contains("\"tools/list\"") {
            r#""result":{"tools":[{"name":"read","description":"Reads one of your notes","inputSchema":{"type":"object"}}]}"#.into()
        } else if line.contains("\"tools/call\"") {
            r#""result":{"content":[{"type":"text","text":"read in Rust"}]}"#.into()
        } else {
            r#""error":{"code":-32601,"message":"no such method"}"#.into()
        };
        println!(r#"{{"jsonrpc":"2.0","id":{id},{result}}}"#);
        std::io::stdout().flush().unwrap();
    }
}
"##;

#[test]
fn a_crate_is_built_at_the_version_of_its_digest() {
    let Some(registry) = Registry::start(&["cargo", "cc"]) else { return };
    let home = registry.sandbox.home();
    let (source, cargo) = (home.join("crates/mcp-notes"), home.join("cargo"));
    std::fs::create_dir_all(source.join("src")).unwrap();
    std::fs::create_dir_all(&cargo).unwrap();
    let manifest = "[package]\nname = \"mcp-notes\"\nversion = \"1.2.3\"\nedition = \"2021\"\n";
    let lock = "version = 4\n\n[[package]]\nname = \"mcp-notes\"\nversion = \"1.2.3\"\n";
    for (name, text) in [("Cargo.toml", manifest), ("Cargo.lock", lock), ("src/main.rs", MAIN)] {
        std::fs::write(source.join(name), text).unwrap();
    }
    let digest = "ab".repeat(32);
    let sums = json!({"package": digest, "files": {}}).to_string();
    std::fs::write(source.join(".cargo-checksum.json"), sums).unwrap();
    let config = format!(
        "[source.crates-io]\nreplace-with = \"local\"\n[source.local]\ndirectory = {:?}\n",
        home.join("crates")
    );
    std::fs::write(cargo.join("config.toml"), config).unwrap();

    let (plan, code) = registry.json(&["install", "cargo:mcp-notes", "--dry-run"]);
    assert_eq!((code, &plan["data"]["digest"]), (0, &json!(format!("sha256:{digest}"))), "{plan}");
    assert_eq!(registry.run(&["install", "cargo:mcp-notes"]).code, 11, "it asks before it builds");
    let output = registry.run(&["install", "cargo:mcp-notes", "--yes"]);
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(registry.run(&["call", "notes.read"]).stdout.trim(), "read in Rust");
    assert_eq!(versions(&registry.packages()), ["1.2.3"]);
    assert_eq!(registry.run(&["update", "--check"]).code, 0);
    assert_eq!(registry.run(&["lock", "verify"]).code, 0);
}
