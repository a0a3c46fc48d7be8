//! `umcp.lock`: which packages are installed, exactly: version, digest, every dependency, every tool's definition.
//! JSON, written from the store after each change, always in the same order, meant to be kept with a project.
//! It holds no variables and no secrets; arguments are in it as the server's entry has them.

use super::model::{Installed, Package};
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The form of the file.
pub const FORMAT: u32 = 1;
/// Largest file that is read, in bytes: trees of hundreds of packages.
pub const MAX_BYTES: usize = 16 << 20;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    pub lockfile: u32,
    /// By the name of the server.
    pub packages: BTreeMap<String, Locked>,
}

/// One package, as it has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    pub reference: String,
    pub version: String,
    pub digest: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scripts: bool,
    /// Which of its programs is the server, where that had to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// What a bundle wanted to know; secrets by their references.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<String, Vec<String>>,
    /// Arguments of the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// SHA-256 of each tool's definition; absent when it could not be asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeMap<String, String>>,
    /// SHA-256 of `pins`.
    pub tree: String,
    /// The manager's own list of all dependencies: an object, or lines.
    pub pins: Value,
}

impl Locked {
    /// What a package's version in use comes to. `tools` are the digests of its tools' definitions.
    pub fn of(
        package: &Package,
        installed: &Installed,
        args: Vec<String>,
        tools: Option<BTreeMap<String, String>>,
    ) -> Self {
        Self {
            reference: package.reference.clone(),
            version: installed.version.clone(),
            digest: installed.digest.clone(),
            scripts: package.scripts,
            program: package.program.clone(),
            answers: package.answers.clone(),
            args,
            tools,
            tree: installed.tree(),
            pins: shown(&installed.pins),
        }
    }

    /// The pins as the manager reads them, after a check that they are what `tree` says.
    pub fn pins(&self, name: &str) -> Result<String> {
        let text = match &self.pins {
            Value::Array(lines) => {
                lines.iter().filter_map(Value::as_str).map(|line| format!("{line}\n")).collect()
            }
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if crate::ids::digest(text.as_bytes()) != self.tree {
            let message = format!("the pins of `{name}` are not those its `tree` was made of");
            return Err(Error::new(&codes::LOCK_INVALID, message).hint("umcp lock verify"));
        }
        Ok(text)
    }

    /// How this differs from what is wanted; empty when it does not. Arguments are the user's and do not count.
    pub fn differences(&self, wanted: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut compare = |what: &str, is: &str, wanted: &str| {
            if is != wanted {
                found.push(Difference { what: what.into(), is: is.into(), wanted: wanted.into() });
            }
        };
        compare("version", &self.version, &wanted.version);
        compare("digest", &self.digest, &wanted.digest);
        compare("dependencies", &self.tree, &wanted.tree);
        if let (Some(is), Some(wanted)) = (&self.tools, &wanted.tools) {
            let names: std::collections::BTreeSet<&String> = is.keys().chain(wanted.keys()).collect();
            for name in names {
                let digest =
                    |tools: &BTreeMap<String, String>| tools.get(name).cloned().unwrap_or("absent".into());
                compare(&format!("tool {name}"), &digest(is), &digest(wanted));
            }
        }
        found
    }
}

/// One thing that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub what: String,
    pub is: String,
    pub wanted: String,
}

/// A JSON tree as it is, lines as a list of lines.
fn shown(pins: &str) -> Value {
    match serde_json::from_str(pins) {
        Ok(tree @ Value::Object(_)) => tree,
        _ if pins.ends_with('\n') => pins.lines().map(Value::from).collect(),
        _ => Value::from(pins),
    }
}

/// The text of the file.
pub fn write(lock: &Lock) -> Result<String> {
    let text = serde_json::to_string_pretty(lock).map_err(|error| Error::bug(error.to_string()))?;
    Ok(text + "\n")
}

/// Reads the file's text.
pub fn read(path: &Path, text: &str) -> Result<Lock> {
    let invalid = |why: String| Error::new(&codes::LOCK_INVALID, format!("`{}`: {why}", path.display()));
    if text.len() > MAX_BYTES {
        return Err(invalid(format!("a lock file has at most {} MiB", MAX_BYTES >> 20)));
    }
    let lock: Lock = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    if lock.lockfile > FORMAT {
        return Err(invalid(format!("it has the form {}, of a newer umcp", lock.lockfile)));
    }
    for (name, locked) in &lock.packages {
        locked.pins(name).map_err(|error| invalid(error.message))?;
        locked.reference.parse::<super::Reference>().map_err(|error| invalid(error.message))?;
    }
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::super::model::Run;
    use super::*;
    use crate::clock::Timestamp;

    fn locked(version: &str, pins: &str, tools: &[(&str, &str)]) -> Locked {
        let installed = Installed {
            version: version.into(),
            digest: format!("sha512-{version}"),
            pins: pins.into(),
            folder: String::new(),
            content: String::new(),
            run: Run { command: String::new(), args: vec![] },
            env: BTreeMap::new(),
            tools: None,
            at: Timestamp(0),
        };
        let package = Package {
            reference: "npm:a".into(),
            scripts: false,
            program: None,
            answers: BTreeMap::new(),
            installs: vec![],
        };
        let tools = tools.iter().map(|(name, hash)| (name.to_string(), hash.to_string())).collect();
        Locked::of(&package, &installed, vec!["/srv".into()], Some(tools))
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        for pins in [r#"{"a":1,"b":[2]}"#, "x==1 --hash=sha256:00\ny==2\n", "one word"] {
            let lock = Lock { lockfile: FORMAT, packages: [("a".into(), locked("1", pins, &[]))].into() };
            let text = write(&lock).unwrap();
            let again = read(Path::new("umcp.lock"), &text).unwrap();
            assert_eq!((&again, again.packages["a"].pins("a").unwrap().as_str()), (&lock, pins));
        }
    }

    #[test]
    fn a_file_that_was_tampered_with_is_refused() {
        let lock = Lock { lockfile: FORMAT, packages: [("a".into(), locked("1", r#"{"a":1}"#, &[]))].into() };
        let text = write(&lock).unwrap();
        for (from, to, said) in [
            ("\"a\": 1", "\"a\": 2", "the pins of `a` are not those"),
            ("\"lockfile\": 1", "\"lockfile\": 9", "of a newer umcp"),
            ("npm:a", "npm:--global", "names no package"),
            ("\"version\"", "\"verison\"", "unknown field"),
        ] {
            let error = read(Path::new("umcp.lock"), &text.replace(from, to)).unwrap_err();
            assert!(error.is(&codes::LOCK_INVALID) && error.message.contains(said), "{error}");
        }
    }

    #[test]
    fn differences_name_what_is_not_as_wanted() {
        let is = locked("1", "a", &[("t", "1"), ("u", "1")]);
        assert_eq!(is.differences(&is), []);
        let wanted = locked("2", "a", &[("t", "2"), ("v", "1")]);
        let what: Vec<String> = is.differences(&wanted).into_iter().map(|it| it.what).collect();
        assert_eq!(what, ["version", "digest", "tool t", "tool u", "tool v"]);
    }
}
