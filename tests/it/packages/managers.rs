//! Go modules, gems, packages of PHP and tools of NuGet: each with its real program where that is installed, against a
//! registry on loopback; a small program in the place of `dotnet`, whose words are looked at.

use super::images::program;
use super::registry::{PYTHON, Registry, folder_of, versions, zip};
use crate::support::sandbox::{Output, Sandbox};
use base64::Engine;
use serde_json::json;
use std::path::Path;
use std::process::Command;

pub fn text(output: &Output) -> &str {
    output.stdout.trim()
}

/// From the first look to an update, a way back and a second machine. The server is `notes`, its tool says its version.
pub fn flow(registry: &Registry, reference: &str, digest: &str, publish: &dyn Fn(&str)) {
    let said = |version: &str| {
        let output = registry.run(&["call", "notes.read"]);
        assert_eq!(text(&output), format!("read of {version}"), "{output}");
    };
    publish("1.0.0");
    let (plan, code) = registry.json(&["install", reference, "--dry-run"]);
    let found = plan["data"]["digest"].as_str().unwrap_or_default();
    assert!(code == 0 && found.starts_with(digest), "{plan}");
    let asked = registry.run(&["install", reference]);
    let first = plan["data"]["recipe"][0].as_str().unwrap();
    assert!(asked.code == 11 && asked.stderr.contains(first), "{asked}");
    assert_eq!(versions(&registry.packages()), Vec::<String>::new());
    let output = registry.run(&["install", reference, "--yes"]);
    assert_eq!(output.code, 0, "{output}");
    said("1.0.0");

    publish("1.1.0");
    let (rows, code) = registry.json(&["outdated"]);
    assert_eq!((code, &rows["data"][0]["outdated"]), (0, &json!(true)), "{rows}");
    assert_eq!(registry.run(&["update", "--check"]).code, 13);
    said("1.0.0");
    let output = registry.run(&["update", "--yes"]);
    assert_eq!(output.code, 0, "{output}");
    said("1.1.0");
    assert_eq!(registry.run(&["rollback", "notes"]).code, 0);
    said("1.0.0");
    assert_eq!(registry.run(&["lock", "verify"]).code, 0);

    let other = Sandbox::new();
    let lock = lock_of(registry);
    let (done, code) = registry.json_in(&other, &["sync", "--frozen", &lock, "--yes"]);
    assert_eq!((code, &done["data"][0]["state"]), (0, &json!("installed")), "{done}");
    let output = registry.run_in(&other, &["call", "notes.read"]);
    assert_eq!(text(&output), "read of 1.0.0", "{output}");
    registry.run_in(&other, &["gateway", "stop"]);
}

fn lock_of(registry: &Registry) -> String {
    registry.sandbox.home().parent().unwrap().join("umcp/config/umcp.lock").display().to_string()
}

/// Another machine, where a version has other bytes than those of the lock file.
fn refused(registry: &Registry, said: &str) {
    let other = Sandbox::new();
    let output = registry.run_in(&other, &["sync", "--frozen", &lock_of(registry), "--yes"]);
    let log = other.home().parent().unwrap().join("umcp/state/packages.log");
    let log = std::fs::read_to_string(log).unwrap_or_default();
    assert!(output.code != 0 && (output.stderr.contains(said) || log.contains(said)), "{output}\n{log}");
    assert_eq!(versions(&folder_of(&other)), Vec::<String>::new());
}

/// What Ruby and PHP print are these answers, with the version in its place.
const ANSWERS: &str = r#"{"initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
 "serverInfo": {"name": "notes", "version": "1"}},
 "tools/list": {"tools": [{"name": "read", "description": "Reads one of your notes", "inputSchema": {"type": "object"}}]},
 "tools/call": {"content": [{"type": "text", "text": "read of VERSION"}]}}"#;

const GO: &str = r#"package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"example.com/acme/dep"
)

func main() {
	answers := map[string]json.RawMessage{}
	json.Unmarshal([]byte(dep.Answers), &answers)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var asked struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		json.Unmarshal(lines.Bytes(), &asked)
		if answer, ok := answers[asked.Method]; ok {
			line, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": asked.ID, "result": answer})
			fmt.Println(string(line))
		} else if asked.ID != nil {
			fmt.Printf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":-32601,\"message\":\"no such method\"}}\n", asked.ID)
		}
	}
}
"#;

/// Publishes a version of a module, beside those that are listed.
fn module(registry: &Registry, name: &str, version: &str, listed: &[&str], files: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join(format!("{name}@{version}"));
    for (path, text) in files {
        let path = inside.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let to = registry.sandbox.home().join("module.zip");
    // Without entries for folders, which modules do not have.
    let script = "import os, sys, zipfile\narchive = zipfile.ZipFile(sys.argv[1], 'w')\n\
        for at, _, names in os.walk(sys.argv[2]):\n  for name in names:\n    path = os.path.join(at, name)\n    \
        archive.write(path, os.path.relpath(path, sys.argv[2]))\narchive.close()\n";
    let made = Command::new("python3").args(["-c", script]).arg(&to).arg(folder.path()).status().unwrap();
    assert!(made.success());
    let at = |end: &str| format!("/{name}/@v/{end}");
    registry.put(&at("list"), listed.join("\n").into_bytes());
    let info = json!({"Version": version, "Time": "2026-01-01T00:00:00Z"}).to_string();
    registry.put(&at(&format!("{version}.info")), info.into_bytes());
    registry.put(&at(&format!("{version}.mod")), std::fs::read(inside.join("go.mod")).unwrap());
    registry.put(&at(&format!("{version}.zip")), std::fs::read(to).unwrap());
}

#[test]
fn a_go_program_is_built_from_pinned_modules() {
    let Some(registry) = Registry::start(&["go", "python3"]) else { return };
    let publish = |version: &str| {
        let all = ["v1.0.0", "v1.1.0"];
        let listed = if version == "1.0.0" { &all[..1] } else { &all[..] };
        let name = format!("v{version}");
        let answers = ANSWERS.replace("VERSION", version);
        let dep = format!("package dep\n\nconst Answers = `{answers}`\n");
        let manifest = "module example.com/acme/dep\n\ngo 1.19\n";
        module(&registry, "example.com/acme/dep", &name, listed, &[("go.mod", manifest), ("dep.go", &dep)]);
        let manifest =
            format!("module example.com/acme/notes\n\ngo 1.19\n\nrequire example.com/acme/dep {name}\n");
        let files =
            [("go.mod", manifest.as_str()), ("cmd/mcp-notes/main.go", GO), ("notes.go", "package notes\n")];
        module(&registry, "example.com/acme/notes", &name, listed, &files);
    };
    flow(&registry, "go:example.com/acme/notes/cmd/mcp-notes", "h1:", &publish);
    let lock = std::fs::read_to_string(lock_of(&registry)).unwrap();
    assert!(lock.contains("sum example.com/acme/dep v1.0.0 h1:"), "{lock}");
    let library = registry.run(&["install", "go:example.com/acme/notes", "--name", "x", "--yes"]);
    assert!(library.code == 3 && library.stderr.contains("is a library"), "{library}");
    let missing = registry.run(&["install", "go:example.com/acme/notes/cmd/none", "--name", "x"]);
    assert!(missing.code == 4 && missing.stderr.contains("[UM0457]"), "{missing}");
    // The proxy serves other bytes under the same version.
    let evil = [
        ("go.mod", "module example.com/acme/dep\n\ngo 1.19\n"),
        ("dep.go", "package dep\n\nconst Answers = `{}`\n"),
    ];
    module(&registry, "example.com/acme/dep", "v1.0.0", &["v1.0.0"], &evil);
    refused(&registry, "checksum mismatch");
}

const RUBY: &str = r#"#!/usr/bin/env ruby
require "json"
require "acme_dep"
answers = JSON.parse(ACME_ANSWERS)
$stdout.sync = true
STDIN.each_line do |line|
  asked = JSON.parse(line)
  next unless asked["id"]
  answer = answers[asked["method"]]
  said = { "jsonrpc" => "2.0", "id" => asked["id"] }
  said[answer ? "result" : "error"] = answer || { "code" => -32601, "message" => "no such method" }
  puts JSON.generate(said)
end
"#;

/// Builds a gem into the folder of all gems.
fn gem(folder: &Path, name: &str, version: &str, spec: &str, file: (&str, &str)) {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join(file.0);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    program(&path, file.1);
    let spec = format!(
        "Gem::Specification.new do |s|\n  s.name = {name:?}\n  s.version = {version:?}\n  s.summary = \"notes\"\n  \
         s.authors = [\"a\"]\n  s.files = [{:?}]\n  {spec}\nend\n",
        file.0
    );
    std::fs::write(source.path().join("x.gemspec"), spec).unwrap();
    let built = Command::new("gem").args(["build", "x.gemspec"]).current_dir(source.path()).output().unwrap();
    assert!(built.status.success(), "{built:?}");
    let file = format!("{name}-{version}.gem");
    std::fs::create_dir_all(folder.join("gems")).unwrap();
    std::fs::copy(source.path().join(&file), folder.join("gems").join(file)).unwrap();
}

#[test]
fn a_gem_is_installed_from_files_with_their_digests() {
    let Some(registry) = Registry::start(&["gem", "ruby"]) else { return };
    let folder = registry.sandbox.home().join("gem-repository");
    let serve = || {
        let index = Command::new("gem").args(["generate_index", "-d"]).arg(&folder).output().unwrap();
        assert!(index.status.success(), "{index:?}");
        let mut folders = vec![folder.clone()];
        while let Some(at) = folders.pop() {
            for path in std::fs::read_dir(at).unwrap().flatten().map(|entry| entry.path()) {
                let name = path.strip_prefix(&folder).unwrap().display().to_string();
                match path.is_dir() {
                    true => folders.push(path),
                    false => registry.put(&format!("/gem/{name}"), std::fs::read(path).unwrap()),
                }
            }
        }
    };
    let helped = Command::new("gem").args(["help", "generate_index"]).output().unwrap();
    if !helped.status.success() || String::from_utf8_lossy(&helped.stdout).contains("Unknown") {
        crate::support::peers::say!("skipped: this gem makes no index");
        return;
    }
    let publish = |version: &str| {
        let answers = ANSWERS.replace("VERSION", version);
        let module = format!("ACME_ANSWERS = <<'ANSWERS'\n{answers}\nANSWERS\n");
        gem(&folder, "acme-dep", version, "", ("lib/acme_dep.rb", &module));
        let more = format!(
            "s.bindir = \"exe\"; s.executables = [\"mcp-notes\"]; s.add_dependency \"acme-dep\", {version:?}"
        );
        gem(&folder, "mcp-notes", version, &more, ("exe/mcp-notes", RUBY));
        serve();
    };
    flow(&registry, "gem:mcp-notes", "sha256:", &publish);
    let lock = std::fs::read_to_string(lock_of(&registry)).unwrap();
    assert!(lock.contains("acme-dep 1.0.0 acme-dep-1.0.0.gem "), "{lock}");
    let missing = registry.run(&["install", "gem:mcp-nothing"]);
    assert!(missing.code == 4 && missing.stderr.contains("[UM0457]"), "{missing}");
    gem(&folder, "acme-dep", "1.0.0", "", ("lib/acme_dep.rb", "ACME_ANSWERS = '{}'\n"));
    serve();
    refused(&registry, "is another file than the one wanted");
}

const PHP: &str = r#"#!/usr/bin/env php
<?php
$answers = json_decode(<<<'ANSWERS'
ALL
ANSWERS, true);
while (($line = fgets(STDIN)) !== false) {
    $asked = json_decode($line, true);
    if (!isset($asked["id"])) continue;
    $answer = $answers[$asked["method"]] ?? null;
    if (($asked["method"] ?? "") === "initialize") $answer["capabilities"]["tools"] = (object) [];
    $said = ["jsonrpc" => "2.0", "id" => $asked["id"]];
    $said[$answer ? "result" : "error"] = $answer ?? ["code" => -32601, "message" => "no such method"];
    fwrite(STDOUT, json_encode($said) . "\n");
}
"#;

#[test]
fn a_php_package_is_installed_from_its_lock_file() {
    let Some(registry) = Registry::start(&["composer", "php", "python3"]) else { return };
    let listed = std::cell::RefCell::new(serde_json::Map::new());
    let serve = |version: &str, script: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        let manifest = json!({"name": "acme/mcp-notes", "bin": ["bin/mcp-notes"]}).to_string();
        std::fs::write(folder.path().join("composer.json"), manifest).unwrap();
        program(&folder.path().join("bin/mcp-notes"), script);
        let to = registry.sandbox.home().join("package.zip");
        zip(folder.path(), &to);
        let bytes = std::fs::read(to).unwrap();
        let place = format!("/composer/files/{version}.zip");
        registry.put(&place, bytes.clone());
        bytes
    };
    let publish = |version: &str| {
        let bytes = serve(version, &PHP.replace("ALL", &ANSWERS.replace("VERSION", version)));
        let sum = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &bytes);
        let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let url = format!("{}/composer/files/{version}.zip", registry.stub.address);
        let package = json!({"name": "acme/mcp-notes", "version": version, "bin": ["bin/mcp-notes"],
            "dist": {"type": "zip", "url": url, "shasum": sum}});
        listed.borrow_mut().insert(version.into(), package);
        let all = json!({"packages": {"acme/mcp-notes": *listed.borrow()}});
        registry.put("/composer/packages.json", all.to_string().into_bytes());
    };
    flow(&registry, "composer:acme/mcp-notes", "sha1:", &publish);
    let missing = registry.run(&["install", "composer:acme/mcp-nothing"]);
    assert!(missing.code == 4 && missing.stderr.contains("[UM0457]"), "{missing}");
    serve("1.0.0", "<?php evil();");
    refused(&registry, "checksum verification of the file failed");
}

/// In the place of `dotnet`: it puts files where the real one does, which was read in its sources.
const DOTNET: &str = r##"#!/usr/bin/env python3
import json, os, sys
here = os.path.dirname(os.path.realpath(__file__))
words = sys.argv[1:]
with open(here + "/log", "a") as log:
    log.write(json.dumps(words) + "\n")
if words[:2] != ["tool", "install"] or words[3:5] != ["--tool-path", "bin"]:
    sys.exit("unknown words")
tools = json.load(open(here + "/tools.json"))
if words[2] != "notes":
    sys.exit("error NU1101: Unable to find package " + words[2] + ". No packages exist with this id in source(s): local")
version = words[words.index("--version") + 1].strip("[]") if "--version" in words else max(tools)
id = words[2].lower()
folder = f"bin/.store/{id}/{version}/{id}/{version}"
os.makedirs(folder)
open(f"{folder}/{id}.{version}.nupkg", "w").write(tools[version])
with open("bin/mcp-notes", "w") as program:
    program.write("#!/usr/bin/env python3\nVERSION = %r\nTOOLS = [{'name': 'read', 'description': 'Reads', "
        "'inputSchema': {'type': 'object'}}]\n" % version + open(here + "/server").read() + "\nmain()\n")
os.chmod("bin/mcp-notes", 0o755)
"##;

#[test]
fn a_dotnet_tool_is_pinned_by_its_file() {
    let Some(mut registry) = Registry::start(&["python3"]) else { return };
    let folder = registry.sandbox.home().join("dotnet");
    std::fs::create_dir(&folder).unwrap();
    program(&folder.join("dotnet"), DOTNET);
    std::fs::write(folder.join("server"), PYTHON).unwrap();
    registry.offer(&folder);
    let tools = |of: serde_json::Value| std::fs::write(folder.join("tools.json"), of.to_string()).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA512, b"file of 1.0.0");
    let digest = format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(digest));
    flow(&registry, "nuget:notes", &digest, &|version| match version {
        "1.0.0" => tools(json!({"1.0.0": "file of 1.0.0"})),
        _ => tools(json!({"1.0.0": "file of 1.0.0", "1.1.0": "file of 1.1.0"})),
    });
    let log = std::fs::read_to_string(folder.join("log")).unwrap();
    let first = json!(["tool", "install", "notes", "--tool-path", "bin"]).to_string();
    let exact = json!(["tool", "install", "notes", "--tool-path", "bin", "--version", "[1.0.0]"]);
    let lines: Vec<String> = log.lines().map(|line| line.replace(", ", ",")).collect();
    assert!(lines[0] == first && lines.contains(&exact.to_string()), "{log}");
    let missing = registry.run(&["install", "nuget:Acme.Nothing"]);
    assert!(missing.code == 4 && missing.stderr.contains("knows no such package [UM0457]"), "{missing}");
    tools(json!({"1.0.0": "another file"}));
    refused(&registry, "is another file than the one wanted");
}

/// With the real .NET SDK, where there is one: a source that is an empty folder has no tool.
#[test]
fn the_real_dotnet_says_that_a_tool_is_missing() {
    let Some(registry) = Registry::start(&["dotnet"]) else { return };
    let home = registry.sandbox.home();
    std::fs::create_dir_all(home.join("source")).unwrap();
    let config = format!(
        "<configuration><packageSources><clear/><add key=\"local\" value={:?}/></packageSources></configuration>",
        home.join("source")
    );
    std::fs::create_dir_all(home.join(".nuget/NuGet")).unwrap();
    std::fs::write(home.join(".nuget/NuGet/NuGet.Config"), config).unwrap();
    let missing = registry.run(&["install", "nuget:Acme.Nothing", "--dry-run"]);
    assert!(missing.code != 0 && missing.stderr.contains("[UM045"), "{missing}");
}
