//! What npm writes and reads: `package-lock.json`, `package.json`, the answer of `npm view`. Pure.

use super::model::Resolved;
use super::reference::Reference;
use crate::error::{Error, Result, codes};
use serde_json::{Map, Value, json};

/// The `package.json` of an empty folder into which a package is resolved.
pub const EMPTY: &str = r#"{"name":"umcp-package","private":true}"#;

/// Reads the lock file that npm made for one package.
pub fn resolved(reference: &Reference, lock: &str) -> Result<Resolved> {
    let mut lock: Value =
        serde_json::from_str(lock).map_err(|error| odd("`package-lock.json`").because(error))?;
    let main = format!("node_modules/{}", reference.name);
    let packages = lock["packages"].as_object().ok_or_else(|| odd("`package-lock.json`"))?;
    let entry = packages.get(&main).ok_or_else(|| odd("`package-lock.json`"))?;
    let text = |field: &str| entry[field].as_str().map(String::from);
    let (Some(version), Some(digest)) = (text("version"), text("integrity")) else {
        let message = format!("npm gives no digest of `{reference}`, so it cannot be pinned");
        return Err(Error::new(&codes::PACKAGE_INVALID, message));
    };
    let own = |path: &&String| !path.is_empty() && **path != main;
    let dependencies = packages.keys().filter(own).count();
    let scripted = packages
        .iter()
        .filter(|(_, entry)| entry["hasInstallScript"] == json!(true))
        .map(|(path, _)| path.rsplit("node_modules/").next().unwrap_or(path).to_string())
        .collect();
    // What was asked may have been a range; the same version is meant from now on.
    lock["packages"][""]["dependencies"] = json!({ reference.name.as_str(): version });
    let pins = sorted(&lock).to_string();
    Ok(Resolved { version, digest, pins, dependencies, scripted, recipe: Vec::new(), published: None })
}

/// The `package.json` that goes with a lock file.
pub fn manifest(pins: &str) -> Result<String> {
    let lock: Value = serde_json::from_str(pins).map_err(|error| odd("the pinned tree").because(error))?;
    let dependencies = lock["packages"][""]["dependencies"].clone();
    Ok(json!({"name": "umcp-package", "private": true, "dependencies": dependencies}).to_string())
}

/// The programs that a package's own `package.json` names.
pub fn programs(reference: &Reference, manifest: &str) -> Result<Vec<String>> {
    let manifest: Value =
        serde_json::from_str(manifest).map_err(|error| odd("`package.json`").because(error))?;
    let last = reference.name.rsplit('/').next().unwrap_or_default();
    let names = match &manifest["bin"] {
        Value::String(_) => vec![last.to_string()],
        Value::Object(programs) => programs.keys().cloned().collect(),
        _ => Vec::new(),
    };
    // They become part of a path.
    let plain = |name: &String| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
    Ok(names.into_iter().filter(plain).collect())
}

/// The newest of the versions that `npm view NAME version --json` tells.
pub fn newest(answer: &str) -> Result<String> {
    match serde_json::from_str(answer) {
        Ok(Value::String(version)) => Ok(version),
        Ok(Value::Array(versions)) => versions
            .last()
            .and_then(Value::as_str)
            .map(String::from)
            .ok_or_else(|| odd("the list of versions")),
        _ => Err(odd("the list of versions")),
    }
}

/// Objects in the order of their keys, so that equal trees are equal texts.
pub(super) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            let entries = entries.into_iter().map(|(key, value)| (key.clone(), sorted(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn odd(what: &str) -> Error {
    Error::new(&codes::PACKAGE_INVALID, format!("npm wrote {what} in a form umcp does not know"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"{
      "name": "umcp-package", "lockfileVersion": 3, "requires": true,
      "packages": {
        "": {"name": "umcp-package", "dependencies": {"@a/b": "^1.0.0"}},
        "node_modules/@a/b": {"version": "1.2.3", "resolved": "https://registry.example/b.tgz",
          "integrity": "sha512-AAAA", "dependencies": {"c": "^2"}, "bin": {"b": "b.js"}},
        "node_modules/c": {"version": "2.0.0", "integrity": "sha512-BBBB", "hasInstallScript": true}
      }}"#;

    #[test]
    fn a_lock_file_tells_version_digest_and_tree() {
        let reference: Reference = "npm:@a/b@^1.0.0".parse().unwrap();
        let found = resolved(&reference, LOCK).unwrap();
        assert_eq!((found.version.as_str(), found.digest.as_str()), ("1.2.3", "sha512-AAAA"));
        assert_eq!((found.dependencies, found.scripted), (1, vec!["c".to_string()]));
        let again = resolved(&reference, &found.pins).unwrap();
        assert_eq!(again.pins, found.pins, "the same tree is the same text");
        assert_eq!(
            manifest(&found.pins).unwrap(),
            r#"{"name":"umcp-package","private":true,"dependencies":{"@a/b":"1.2.3"}}"#
        );
        let other: Reference = "npm:other".parse().unwrap();
        assert!(resolved(&other, LOCK).unwrap_err().is(&codes::PACKAGE_INVALID));
        let undigested = LOCK.replace(r#""integrity": "sha512-AAAA","#, "");
        assert!(resolved(&reference, &undigested).unwrap_err().message.contains("no digest"));
    }

    #[test]
    fn programs_are_plain_words() {
        let reference: Reference = "npm:@a/b".parse().unwrap();
        for (manifest, expected) in [
            (r#"{"bin": "x.js"}"#, &["b"][..]),
            (r#"{"bin": {"x": "x.js", "../y": "y.js"}}"#, &["x"]),
            (r#"{}"#, &[]),
        ] {
            assert_eq!(programs(&reference, manifest).unwrap(), expected, "{manifest}");
        }
    }

    #[test]
    fn the_last_version_listed_is_the_newest() {
        assert_eq!(newest(r#""1.2.3""#).unwrap(), "1.2.3");
        assert_eq!(newest(r#"["1.0.0", "1.1.0"]"#).unwrap(), "1.1.0");
        assert!(newest("").is_err() && newest("[]").is_err());
    }
}
