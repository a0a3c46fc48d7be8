//! Images: with a small program in the place of docker, whose words are looked at, and with the real podman against a
//! registry on loopback.

use super::managers::{flow, text};
use super::registry::{PYTHON, Registry};
use crate::support::peers::say;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program in the place of docker: it knows the images of a file, writes down its words, and runs a server.
pub struct Engine {
    folder: PathBuf,
}

const DOCKER: &str = r#"#!/usr/bin/env python3
import hashlib, json, os, sys
here = os.path.dirname(os.path.realpath(__file__))
words = sys.argv[1:]
images = json.load(open(here + "/images.json"))
digest = lambda text: "sha256:" + hashlib.sha256(text.encode()).hexdigest()
if words[0] in ("pull", "build"):
    with open(here + "/log", "a") as log:
        log.write(json.dumps(words) + "\n")
if words[0] == "version":
    sys.exit(0)
if words[0] == "pull":
    version = images.get(words[1])
    if version is None:
        sys.exit("Error response from daemon: manifest unknown: " + words[1])
    print("1.0: Pulling from notes\nDigest: " + digest(version) + "\nStatus: Downloaded")
    sys.exit(0)
if words[0] == "build":
    open(words[words.index("--iidfile") + 1], "w").write(digest("built"))
    sys.exit(0)
if words[:3] != ["run", "-i", "--rm"]:
    sys.exit("unknown words: " + " ".join(words))
image = [word for word in words[3:] if not word.startswith("--")][0]
found = [version for version in list(images.values()) + ["built"] if image.endswith(digest(version))]
VERSION = found[0] + "".join(" " + os.environ[word[6:]] for word in words if word.startswith("--env="))
TOOLS = [{"name": "read", "description": "Reads one of your notes", "inputSchema": {"type": "object"}}]
"#;

impl Engine {
    pub fn offer(registry: &mut Registry) -> Self {
        let folder = registry.sandbox.home().join("engine");
        std::fs::create_dir(&folder).unwrap();
        let engine = Self { folder: folder.clone() };
        engine.images(&json!({}));
        program(&folder.join("docker"), &format!("{DOCKER}{PYTHON}\nmain()\n"));
        registry.offer(&folder);
        engine
    }

    /// Image -> its version.
    fn images(&self, images: &Value) {
        std::fs::write(self.folder.join("images.json"), images.to_string()).unwrap();
    }

    /// The words of all calls of a verb.
    pub fn asked(&self, verb: &str) -> Vec<Vec<String>> {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let all = log.lines().map(|line| serde_json::from_str::<Vec<String>>(line).unwrap());
        all.filter(|words| words[0] == verb).collect()
    }
}

/// A file that can be started.
pub fn program(path: &Path, script: &str) {
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn sha256(text: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text);
    format!("sha256:{}", digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[test]
fn an_image_runs_by_its_digest() {
    let Some(mut registry) = Registry::start(&["python3"]) else { return };
    let engine = Engine::offer(&mut registry);
    let image = |version: &str| format!("acme/mcp-notes@{}", sha256(version.as_bytes()));
    flow(&registry, "oci:acme/mcp-notes", &sha256(b"1.0.0"), &|version| {
        engine.images(&json!({"acme/mcp-notes": version, "acme/mcp-notes:1.0": "1.0.0",
            image("1.0.0"): "1.0.0", image("1.1.0"): "1.1.0"}));
    });
    // Once by its name to look it up, then by its digest.
    let first = engine.asked("pull");
    assert!(first.contains(&vec!["pull".into(), "acme/mcp-notes".into()]), "{first:?}");
    assert!(first.contains(&vec!["pull".into(), image("1.1.0")]), "{first:?}");

    // What its user says is handed on; anything else is not.
    let install = ["install", "oci:acme/mcp-notes:1.0", "--yes", "--name", "boxed"];
    let output = registry.run(
        &[
            &install[..],
            &["--env", "NOTES_TOKEN=s3", "--set", "volume=/srv:/notes:ro", "--set", "network=none"],
        ]
        .concat(),
    );
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(text(&registry.run(&["call", "boxed.read"])), "read of 1.0.0 s3");
    let (shown, _) = registry.json(&["server", "show", "boxed"]);
    let words = format!("--env=NOTES_TOKEN --network=none --volume=/srv:/notes:ro {}", image("1.0.0"));
    assert!(shown.to_string().replace("\",\"", " ").contains(&words), "{shown}");
    for bad in ["privileged=true", "volume=~/a:/b", "network=--x"] {
        let refused = registry.run(&["install", "oci:acme/mcp-notes", "--yes", "--name", "x", "--set", bad]);
        assert!(refused.code == 3 && refused.stderr.contains("--set env=NAME"), "{bad}: {refused}");
    }
    let missing = registry.run(&["install", "oci:acme/mcp-notes:9", "--yes", "--name", "x"]);
    assert!(missing.code == 4 && missing.stderr.contains("knows no such version [UM0457]"), "{missing}");
}

/// A registry's answers for an image of one file.
fn publish(registry: &Registry) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hello"), "hello").unwrap();
    let to = folder.path().join("layer.tar");
    let tar = Command::new("tar").arg("-cf").arg(&to).arg("-C").arg(folder.path()).arg("hello").status();
    assert!(tar.unwrap().success());
    let layer = std::fs::read(to).unwrap();
    let config =
        json!({"architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "os": "linux",
        "config": {"Cmd": ["/hello"]}, "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)]}})
        .to_string();
    let part = |kind: &str, bytes: &[u8]| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": sha256(bytes), "size": bytes.len()});
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": part("config.v1+json", config.as_bytes()), "layers": [part("layer.v1.tar", &layer)]})
    .to_string();
    registry.put("/v2/", b"{}".to_vec());
    registry.put(&format!("/v2/acme/mcp-notes/blobs/{}", sha256(&layer)), layer);
    registry.put(&format!("/v2/acme/mcp-notes/blobs/{}", sha256(config.as_bytes())), config.into_bytes());
    let digest = sha256(manifest.as_bytes());
    for name in ["1.0", digest.as_str()] {
        registry.put(&format!("/v2/acme/mcp-notes/manifests/{name}"), manifest.clone().into_bytes());
    }
    digest
}

#[test]
fn the_real_podman_pins_an_image_by_its_digest() {
    let Some(mut registry) = Registry::start(&["podman", "tar"]) else { return };
    let real = ["/usr/bin/podman", "/usr/local/bin/podman"].into_iter().find(|path| Path::new(path).exists());
    let Some(real) = real else {
        say!("skipped: podman is not where systems install it");
        return;
    };
    let folder = registry.sandbox.home().join("engine");
    std::fs::create_dir(&folder).unwrap();
    let host = registry.stub.address.trim_start_matches("http://").to_string();
    let at = |name: &str| folder.join(name).display().to_string();
    std::fs::write(
        folder.join("registries.conf"),
        format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n"),
    )
    .unwrap();
    let script = format!(
        "#!/bin/sh\nexport CONTAINERS_REGISTRIES_CONF={}\nexec {real} --storage-driver=vfs --root {} --runroot {} \"$@\"\n",
        at("registries.conf"),
        at("root"),
        at("run"),
    );
    program(&folder.join("podman"), &script);
    let info = Command::new(folder.join("podman")).arg("info").output().unwrap();
    if !info.status.success() {
        say!("skipped: podman does not work here");
        return;
    }
    registry.offer(&folder);
    let digest = publish(&registry);
    let reference = format!("oci:{host}/acme/mcp-notes:1.0");
    let (plan, code) = registry.json(&["install", &reference, "--dry-run"]);
    assert_eq!((code, &plan["data"]["digest"]), (0, &json!(digest)), "{plan}");
    // It is a file of five letters, so it is no server; it is installed all the same, and that is said.
    let (done, code) = registry.json(&["install", &reference, "--yes", "--name", "notes"]);
    assert_eq!((code, &done["data"]["tools"]), (0, &Value::Null), "{done}");
    assert_eq!(registry.run(&["lock", "verify"]).code, 0);
    assert_eq!(registry.run(&["update", "--check"]).code, 0);
    let _ = Command::new(folder.join("podman")).args(["rmi", "--all", "--force"]).output();
}
