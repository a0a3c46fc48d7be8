//! Registries of packages on loopback: one of npm and one of PyPI in one stub, filled by the test. A package is a
//! server of a few lines, with the tools that its version is said to have.

use crate::support::peers::say;
use crate::support::sandbox::{Output, Sandbox};
use crate::support::stub::{Answer, Stub};
use base64::Engine;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// A server that offers the tools of `TOOLS` and answers each call with its version.
pub const SERVER: &str = r#"
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === "initialize") say({ id, result: { protocolVersion: params.protocolVersion,
    capabilities: { tools: {} }, serverInfo: { name: "notes", version: VERSION } } });
  else if (method === "tools/list") say({ id, result: { tools: TOOLS } });
  else if (method === "tools/call") say({ id, result: { content: [{ type: "text",
    text: `${params.name} of ${VERSION} with ${process.argv.slice(2)}` +
      (process.env.NOTES_TOKEN ? ` and ${process.env.NOTES_TOKEN}` : "") }] } });
  else if (id !== undefined) say({ id, error: { code: -32601, message: "no such method" } });
});
"#;

/// The same in Python.
pub const PYTHON: &str = r#"
import json, sys
def main():
    for line in sys.stdin:
        ask = json.loads(line)
        answer = {"jsonrpc": "2.0", "id": ask.get("id")}
        if ask["method"] == "initialize":
            answer["result"] = {"protocolVersion": ask["params"]["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "notes", "version": VERSION}}
        elif ask["method"] == "tools/list":
            answer["result"] = {"tools": TOOLS}
        elif ask["method"] == "tools/call":
            answer["result"] = {"content": [{"type": "text", "text": ask["params"]["name"] + " of " + VERSION}]}
        else:
            answer["error"] = {"code": -32601, "message": "no such method"}
        if "id" in ask:
            print(json.dumps(answer), flush=True)
"#;

/// Path -> what is served there.
type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

pub struct Registry {
    pub stub: Stub,
    pub sandbox: Sandbox,
    files: Files,
    versions: Arc<Mutex<Vec<Value>>>,
    path: String,
}

/// The form of an image's manifest.
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Packs a folder, as Python does.
pub fn zip(folder: &Path, to: &Path) {
    let script = "import os, shutil, sys; os.replace(shutil.make_archive(sys.argv[1], 'zip', sys.argv[2]), sys.argv[1])";
    let made = Command::new("python3").args(["-c", script]).arg(to).arg(folder).status().unwrap();
    assert!(made.success());
}

/// A tool's definition.
pub fn tool(name: &str, description: &str) -> Value {
    json!({"name": name, "description": description, "inputSchema": {"type": "object", "properties": {}}})
}

impl Registry {
    /// `None`, with a word about it, where a program that is needed is missing.
    pub fn start(programs: &[&str]) -> Option<Self> {
        let path = std::env::var("PATH").unwrap_or_default();
        for program in programs {
            let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
            if !found {
                say!("skipped: {program} is not installed");
                return None;
            }
        }
        let files: Files = Arc::default();
        let served = files.clone();
        let stub = Stub::start(move |asked| {
            let path = asked.path.split('?').next().unwrap_or_default().to_lowercase().replace("%2f", "/");
            match served.lock().unwrap().get(&path) {
                Some(bytes) if path.starts_with("/simple/") => Answer {
                    status: 200,
                    headers: vec![("Content-Type", "text/html".into())],
                    body: bytes.clone(),
                },
                Some(bytes) if path.contains("/manifests/") => {
                    Answer { status: 200, headers: vec![("Content-Type", IMAGE.into())], body: bytes.clone() }
                }
                Some(bytes) => Answer { body: bytes.clone(), ..Answer::json("") },
                None => Answer::status(404, "{}"),
            }
        });
        Some(Self { stub, sandbox: Sandbox::new(), files, versions: Arc::default(), path })
    }

    /// Publishes a version of `@acme/mcp-notes`, as the newest; `more` goes into its `package.json`.
    pub fn publish(&self, version: &str, tools: &[Value], more: Value) {
        let script = format!(
            "#!/usr/bin/env node\nconst VERSION = {version:?}, TOOLS = {};\n{SERVER}",
            Value::from(tools.to_vec())
        );
        let mut manifest =
            json!({"name": "@acme/mcp-notes", "version": version, "bin": {"mcp-notes": "server.js"}});
        let all = manifest.as_object_mut().unwrap();
        all.extend(more.as_object().unwrap().clone());
        let archive =
            self.archive(version, &[("package.json", &manifest.to_string()), ("server.js", &script)]);
        let digest = ring::digest::digest(&ring::digest::SHA512, &archive);
        let integrity = format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(digest));
        let place = format!("/files/notes-{version}.tgz");
        manifest["dist"] =
            json!({"tarball": format!("{}{place}", self.stub.address), "integrity": integrity});
        self.put(&place, archive);
        let mut versions = self.versions.lock().unwrap();
        versions.push(manifest);
        let all: serde_json::Map<String, Value> =
            versions.iter().map(|it| (it["version"].as_str().unwrap().into(), it.clone())).collect();
        let document = json!({"name": "@acme/mcp-notes", "dist-tags": {"latest": version}, "versions": all});
        self.put("/@acme/mcp-notes", document.to_string().into_bytes());
    }

    /// Lets programs of this folder be found first.
    pub fn offer(&mut self, folder: &Path) {
        self.path = format!("{}:{}", folder.display(), self.path);
    }

    /// Publishes a version of `mcp-clock` as a wheel.
    pub fn publish_wheel(&self, version: &str, tools: &[Value]) {
        let dir = tempfile::tempdir().unwrap();
        let tools = Value::from(tools.to_vec()).to_string();
        let module = format!("VERSION = {version:?}\nimport json\nTOOLS = json.loads({tools:?})\n{PYTHON}");
        std::fs::write(dir.path().join("mcp_clock.py"), module).unwrap();
        let info = dir.path().join(format!("mcp_clock-{version}.dist-info"));
        std::fs::create_dir(&info).unwrap();
        let about = format!("Metadata-Version: 2.1\nName: mcp-clock\nVersion: {version}\n");
        std::fs::write(info.join("METADATA"), about).unwrap();
        std::fs::write(info.join("WHEEL"), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            .unwrap();
        std::fs::write(info.join("entry_points.txt"), "[console_scripts]\nmcp-clock = mcp_clock:main\n")
            .unwrap();
        std::fs::write(info.join("RECORD"), "").unwrap();
        let name = format!("mcp_clock-{version}-py3-none-any.whl");
        let to = self.sandbox.home().join(&name);
        zip(dir.path(), &to);
        let bytes = std::fs::read(to).unwrap();
        let place = format!("/files/{name}");
        let link = format!("<a href=\"{}{place}\">{name}</a>\n", self.stub.address);
        self.put(&place, bytes);
        let mut files = self.files.lock().unwrap();
        files.entry("/simple/mcp-clock/".into()).or_default().extend(link.into_bytes());
    }

    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_lowercase(), bytes);
    }

    fn archive(&self, version: &str, files: &[(&str, &str)]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let package = dir.path().join("package");
        std::fs::create_dir(&package).unwrap();
        for (name, text) in files {
            std::fs::write(package.join(name), text).unwrap();
        }
        let to = dir.path().join(format!("{version}.tgz"));
        let tar = Command::new("tar").arg("-czf").arg(&to).arg("-C").arg(dir.path()).arg("package").status();
        assert!(tar.unwrap().success());
        std::fs::read(to).unwrap()
    }

    /// Runs the program with these registries and no others.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_in(&self.sandbox, arguments)
    }

    pub fn run_in(&self, sandbox: &Sandbox, arguments: &[&str]) -> Output {
        let cache = sandbox.home().join("npm-cache");
        let index = format!("{}/simple/", self.stub.address);
        let variables = [
            ("PATH", self.path.as_str()),
            ("npm_config_registry", self.stub.address.as_str()),
            ("npm_config_cache", cache.to_str().unwrap()),
            ("PIP_INDEX_URL", index.as_str()),
            ("PIP_NO_CACHE_DIR", "1"),
            ("PIP_CONFIG_FILE", "/dev/null"),
        ];
        let root = std::env::var("PYENV_ROOT").unwrap_or_default();
        let cargo = sandbox.home().join("cargo");
        let [go, gems, composer] = ["go", "gem-specs", "composer"].map(|name| sandbox.home().join(name));
        let gemrc = self.sandbox.home().join("gemrc");
        std::fs::create_dir_all(&composer).unwrap();
        let local = json!({"type": "composer", "url": format!("{}/composer", self.stub.address)});
        let config = json!({"config": {"secure-http": false},
            "repositories": {"packagist": false, "local": local}});
        std::fs::write(composer.join("config.json"), config.to_string()).unwrap();
        std::fs::write(&gemrc, format!("---\n:sources:\n- {}/gem/\n", self.stub.address)).unwrap();
        // The one that runs this test: a link of rustup would look for its toolchain below another home.
        let rust =
            std::env::var("RUSTUP_HOME").or_else(|_| std::env::var("HOME").map(|home| home + "/.rustup"));
        let rust = rust.unwrap_or_default();
        let more = [
            ("PYENV_ROOT", root.as_str()),
            ("CARGO_HOME", cargo.to_str().unwrap()),
            ("RUSTUP_HOME", rust.as_str()),
            ("GOPROXY", self.stub.address.as_str()),
            ("GOSUMDB", "off"),
            ("GOFLAGS", "-modcacherw"),
            ("GOPATH", go.to_str().unwrap()),
            ("GEMRC", gemrc.to_str().unwrap()),
            ("GEM_SPEC_CACHE", gems.to_str().unwrap()),
            ("COMPOSER_HOME", composer.to_str().unwrap()),
            ("COMPOSER_ALLOW_SUPERUSER", "1"),
        ];
        let all: Vec<(&str, &str)> =
            variables.into_iter().chain(more.into_iter().filter(|it| !it.1.is_empty())).collect();
        sandbox.run_with(arguments, &all)
    }

    /// The document of a run with `--json`, and its exit code.
    pub fn json(&self, arguments: &[&str]) -> (Value, i32) {
        self.json_in(&self.sandbox, arguments)
    }

    pub fn json_in(&self, sandbox: &Sandbox, arguments: &[&str]) -> (Value, i32) {
        let output = self.run_in(sandbox, &[&["--json"], arguments].concat());
        let document = serde_json::from_str(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output}"));
        (document, output.code)
    }

    /// The folder of all packages.
    pub fn packages(&self) -> PathBuf {
        folder_of(&self.sandbox)
    }
}

pub fn folder_of(sandbox: &Sandbox) -> PathBuf {
    sandbox.home().parent().unwrap().join("umcp/data/packages")
}

/// Every file and folder below, without what is in them two levels down.
pub fn versions(folder: &Path) -> Vec<String> {
    let list = |path: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let packages = list(folder).iter().flat_map(|manager| list(manager)).collect::<Vec<_>>();
    let mut names: Vec<String> = packages
        .iter()
        .flat_map(|package| list(package))
        .map(|version| version.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.extend(list(folder).iter().filter_map(|it| {
        let name = it.file_name()?.to_string_lossy().into_owned();
        name.starts_with('.').then_some(name)
    }));
    names.sort();
    names
}

impl Drop for Registry {
    fn drop(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_umcp"));
        command
            .args(["gateway", "stop"])
            .env("UMCP_HOME", self.sandbox.home().parent().unwrap().join("umcp"));
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
