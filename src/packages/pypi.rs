//! What pip writes and reads: its installation report, files of requirements with hashes, entry points. Pure.

use super::model::Resolved;
use super::reference::Reference;
use crate::error::{Error, Result, codes};
use serde_json::Value;

/// Reads `pip install --dry-run --report`.
pub fn resolved(reference: &Reference, report: &str) -> Result<Resolved> {
    let report: Value = serde_json::from_str(report).map_err(|error| odd("its report").because(error))?;
    let items = report["install"].as_array().ok_or_else(|| odd("its report"))?;
    let mut lines = Vec::with_capacity(items.len());
    let mut main = None;
    for item in items {
        let text = |value: &Value| value.as_str().map(String::from).ok_or_else(|| odd("its report"));
        let (name, version) = (text(&item["metadata"]["name"])?, text(&item["metadata"]["version"])?);
        let archive = &item["download_info"]["archive_info"];
        let old = archive["hash"].as_str().and_then(|hash| hash.strip_prefix("sha256="));
        let Some(hash) = archive["hashes"]["sha256"].as_str().or(old) else {
            let message = format!("pip gives no digest of `{name}`, so it cannot be pinned");
            return Err(Error::new(&codes::PACKAGE_INVALID, message));
        };
        lines.push(format!("{name}=={version} --hash=sha256:{hash}"));
        if normal(&name) == normal(&reference.name) {
            main = Some((version, format!("sha256:{hash}")));
        }
    }
    let (version, digest) = main.ok_or_else(|| odd("its report"))?;
    lines.sort_by_key(|line| line.to_ascii_lowercase());
    let pins = lines.iter().map(|line| format!("{line}\n")).collect();
    Ok(Resolved {
        version,
        digest,
        pins,
        dependencies: lines.len() - 1,
        scripted: Vec::new(),
        recipe: Vec::new(),
        published: None,
    })
}

/// Whether pins hold nothing but versions with digests: no options, addresses or files.
pub fn check(pins: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+!".contains(c);
    let good = |line: &str| {
        let (package, hash) = line.split_once(" --hash=sha256:")?;
        let (name, version) = package.split_once("==")?;
        let words = !name.starts_with('-')
            && [name, version].iter().all(|word| !word.is_empty() && word.chars().all(plain));
        (words && hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit())).then_some(())
    };
    match pins.lines().find(|line| good(line).is_none()) {
        Some(line) => {
            Err(Error::new(&codes::PACKAGE_INVALID, format!("`{line}` is not a version with its digest")))
        }
        None => Ok(()),
    }
}

/// Whether pins hold this version of a package with this digest.
pub fn holds(reference: &Reference, version: &str, digest: &str, pins: &str) -> bool {
    let is_it = |line: &str| {
        let (package, hash) = line.split_once(" --hash=").unwrap_or_default();
        let (name, pinned) = package.split_once("==").unwrap_or_default();
        normal(name) == normal(&reference.name) && pinned == version && hash == digest
    };
    pins.lines().any(is_it)
}

/// The programs that `entry_points.txt` of a package names.
pub fn programs(entry_points: &str) -> Vec<String> {
    let mut inside = false;
    let mut programs = Vec::new();
    for line in entry_points.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[console_scripts]";
        } else if let (true, Some((name, _))) = (inside, line.split_once('=')) {
            let name = name.trim();
            if !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']) {
                programs.push(name.to_string());
            }
        }
    }
    programs
}

/// The name as the index compares names, without extras.
pub fn normal(name: &str) -> String {
    let name = name.split('[').next().unwrap_or(name);
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

fn odd(what: &str) -> Error {
    Error::new(&codes::PACKAGE_INVALID, format!("pip wrote {what} in a form umcp does not know"))
        .hint("python3 -m pip install --upgrade pip")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> String {
        let item = |name: &str, version: &str, hash: &str| {
            format!(
                r#"{{"metadata": {{"name": "{name}", "version": "{version}"}},
                  "download_info": {{"url": "https://x", "archive_info": {hash}}}}}"#
            )
        };
        let new = format!(r#"{{"hashes": {{"sha256": "{}"}}}}"#, "a".repeat(64));
        let old = format!(r#"{{"hash": "sha256={}"}}"#, "b".repeat(64));
        let items = [item("My_Server", "2.0", &new), item("dep", "1.0", &old)];
        format!(r#"{{"version": "1", "install": [{}]}}"#, items.join(","))
    }

    #[test]
    fn a_report_tells_version_digest_and_tree() {
        let reference: Reference = "pypi:my-server[x]>=1".parse().unwrap();
        let found = resolved(&reference, &report()).unwrap();
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        assert_eq!((found.version.as_str(), &found.digest), ("2.0", &format!("sha256:{a}")));
        assert_eq!(found.pins, format!("dep==1.0 --hash=sha256:{b}\nMy_Server==2.0 --hash=sha256:{a}\n"));
        check(&found.pins).unwrap();
        assert!(holds(&reference, "2.0", &found.digest, &found.pins));
        assert!(!holds(&reference, "2.1", &found.digest, &found.pins));
        assert!(resolved(&"pypi:other".parse().unwrap(), &report()).is_err());
        let local = report().replace("hashes", "nothing");
        assert!(resolved(&reference, &local).unwrap_err().message.contains("no digest"));
    }

    #[test]
    fn pins_hold_nothing_but_versions_with_digests() {
        let hash = "0".repeat(64);
        for line in [
            "--index-url=http://evil".to_string(),
            "x @ file:///etc --hash=sha256:00".to_string(),
            format!("-rx==1 --hash=sha256:{hash}"),
            format!("x==1; y --hash=sha256:{hash}"),
            "x==1".to_string(),
            format!("x==1 --hash=sha256:{hash} --no-deps"),
        ] {
            assert!(check(&format!("{line}\n")).is_err(), "{line}");
        }
        check(&format!("x==1.0+local --hash=sha256:{hash}\n")).unwrap();
    }

    #[test]
    fn console_scripts_are_programs() {
        let text = "[console_scripts]\nserve = a.b:main\n../x = a:b\n\n[other]\nno = c:d\n";
        assert_eq!(programs(text), ["serve"]);
    }
}
