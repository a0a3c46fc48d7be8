//! What Composer writes and reads: `composer.json` and `composer.lock`. Pure.

use super::model::Resolved;
use super::npm::sorted;
use super::recipe::is_commit;
use super::reference::Reference;
use crate::error::{Error, Result, codes};
use serde_json::{Value, json};

/// Parts of a lock file that say nothing of what is installed.
const NOISE: [&str; 3] = ["_readme", "content-hash", "plugin-api-version"];

/// The `composer.json` by which a package is resolved and installed.
pub fn manifest(name: &str, version: &str, scripts: bool) -> String {
    let require = json!({ name.to_ascii_lowercase(): version });
    json!({"require": require, "config": {"allow-plugins": scripts}}).to_string()
}

/// Reads the `composer.lock` that was made for one package.
pub fn resolved(reference: &Reference, lock: &str) -> Result<Resolved> {
    let mut lock: Value = serde_json::from_str(lock).map_err(|error| odd().because(error))?;
    if let Some(lock) = lock.as_object_mut() {
        lock.retain(|key, _| !NOISE.contains(&key.as_str()));
    }
    let entry = entry(reference, &lock).ok_or_else(odd)?;
    let version = entry["version"].as_str().map(String::from).ok_or_else(odd)?;
    let Some(digest) = digest(entry) else {
        let message =
            format!("composer gives neither a digest nor a commit of `{reference}`, so it cannot be pinned");
        return Err(Error::new(&codes::PACKAGE_INVALID, message));
    };
    let packages = lock["packages"].as_array().ok_or_else(odd)?;
    let scripted = packages
        .iter()
        .filter(|it| it["type"] == "composer-plugin")
        .filter_map(|it| it["name"].as_str().map(String::from))
        .collect();
    let dependencies = packages.len() - 1;
    let recipe = vec![format!("composer {}", install(false).join(" "))];
    let pins = sorted(&lock).to_string();
    Ok(Resolved { version, digest, pins, dependencies, scripted, recipe, published: None })
}

/// The words that install what a lock file names. Plugins are programs of packages.
pub fn install(scripts: bool) -> Vec<String> {
    let fixed = ["install", "--no-dev", "--no-scripts", "--prefer-dist", "--no-interaction", "--no-progress"];
    let more = if scripts { &[][..] } else { &["--no-plugins"] };
    fixed.iter().chain(more).map(ToString::to_string).collect()
}

/// The programs that the package itself brings.
pub fn programs(reference: &Reference, pins: &str) -> Result<Vec<String>> {
    let lock: Value = serde_json::from_str(pins).map_err(|error| odd().because(error))?;
    let entry = entry(reference, &lock).ok_or_else(odd)?;
    let names = entry["bin"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let last = names.map(|path| path.rsplit('/').next().unwrap_or(path));
    let plain = |name: &&str| !name.is_empty() && !name.starts_with('.') && !name.contains('\\');
    Ok(last.filter(plain).map(String::from).collect())
}

/// What identifies a package's files: a digest where its repository gives one, else the commit they are made of.
fn digest(entry: &Value) -> Option<String> {
    let is_sum = |sum: &&str| sum.len() == 40 && sum.chars().all(|c| c.is_ascii_hexdigit());
    if let Some(sum) = entry["dist"]["shasum"].as_str().filter(is_sum) {
        return Some(format!("sha1:{sum}"));
    }
    let commit = [&entry["dist"], &entry["source"]].into_iter().find_map(|it| it["reference"].as_str());
    commit.filter(|commit| is_commit(commit)).map(|commit| format!("git:{commit}"))
}

fn entry<'a>(reference: &Reference, lock: &'a Value) -> Option<&'a Value> {
    let is_it =
        |it: &&Value| it["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&reference.name));
    lock["packages"].as_array()?.iter().find(is_it)
}

fn odd() -> Error {
    Error::new(&codes::PACKAGE_INVALID, "composer wrote `composer.lock` in a form umcp does not know")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_tells_version_digest_and_programs() {
        let sum = "0a".repeat(20);
        let lock = |dist: Value| {
            json!({"_readme": ["x"], "content-hash": "y", "packages": [
                {"name": "acme/notes", "version": "v1.2.0", "bin": ["bin/mcp-notes", "x/../.y"], "dist": dist},
                {"name": "acme/dep", "version": "1.0.0", "type": "composer-plugin"}]})
            .to_string()
        };
        let reference: Reference = "composer:Acme/Notes".parse().unwrap();
        let found = resolved(&reference, &lock(json!({"shasum": sum}))).unwrap();
        assert_eq!((found.version.as_str(), found.digest), ("v1.2.0", format!("sha1:{sum}")));
        assert_eq!((found.dependencies, found.scripted), (1, vec!["acme/dep".to_string()]));
        assert!(!found.pins.contains("content-hash"));
        assert_eq!(resolved(&reference, &found.pins).unwrap().pins, found.pins);
        assert_eq!(programs(&reference, &found.pins).unwrap(), ["mcp-notes"]);
        let by_commit = resolved(&reference, &lock(json!({"shasum": "", "reference": sum}))).unwrap();
        assert_eq!(by_commit.digest, format!("git:{sum}"));
        let bare = resolved(&reference, &lock(json!({"reference": "main"}))).unwrap_err();
        assert!(bare.message.contains("neither a digest nor a commit"), "{bare}");
        assert!(resolved(&"composer:a/b".parse().unwrap(), &found.pins).is_err());
        assert_eq!(
            manifest("Acme/Notes", "v1.2.0", false),
            r#"{"require":{"acme/notes":"v1.2.0"},"config":{"allow-plugins":false}}"#
        );
        assert!(!install(true).contains(&"--no-plugins".to_string()));
    }
}
