//! The manifest of a bundle (`manifest.json` of an .mcpb file): what it runs, and what it wants to know of its user. Pure.

use super::model::{FOLDER, Run};
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Largest manifest, in bytes.
pub const MAX_MANIFEST: u64 = 1 << 20;
/// Where the files of a bundle lie below its version's folder.
pub const FILES: &str = "bundle";

/// What umcp needs of a manifest; what it does not know is left alone.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    #[serde(default)]
    pub description: Option<String>,
    server: Server,
    #[serde(default)]
    pub user_config: BTreeMap<String, Wish>,
    #[serde(default)]
    compatibility: Compatibility,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Server {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    mcp_config: Option<Config>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
struct Config {
    #[serde(default)]
    command: Option<String>,
    #[serde(default)]
    args: Option<Vec<String>>,
    #[serde(default)]
    env: Option<BTreeMap<String, String>>,
    #[serde(default)]
    platform_overrides: BTreeMap<String, Config>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
struct Compatibility {
    #[serde(default)]
    platforms: Option<Vec<String>>,
}

/// Something a bundle wants to know of its user.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Wish {
    /// `string`, `number`, `boolean`, `directory` or `file`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub default: Option<Value>,
    #[serde(default)]
    pub multiple: bool,
    #[serde(default)]
    pub sensitive: bool,
    #[serde(default)]
    min: Option<f64>,
    #[serde(default)]
    max: Option<f64>,
}

/// What a user said, by key; several values only where a wish takes them.
pub type Answers = BTreeMap<String, Vec<String>>;

/// How a bundle's server is started, and with which variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Start {
    pub run: Run,
    pub env: BTreeMap<String, String>,
}

/// Reads and checks a manifest. `platform` is that of Node: `linux`, `darwin` or `win32`.
pub fn read(text: &str, platform: &str) -> Result<Manifest> {
    let manifest: Manifest =
        serde_json::from_str(text).map_err(|error| bad("its manifest.json cannot be read").because(error))?;
    let plain =
        |text: &str| !text.trim().is_empty() && text.len() < 200 && !text.chars().any(char::is_control);
    if !plain(&manifest.name) || !plain(&manifest.version) {
        return Err(bad("its manifest.json has no proper name or version"));
    }
    if !["node", "python", "binary", "uv"].contains(&manifest.server.kind.as_str()) {
        return Err(bad(&format!("its server is of the unknown type `{}`", manifest.server.kind)));
    }
    if manifest.config(platform).command.is_none_or(|command| command.trim().is_empty()) {
        return Err(bad("its manifest.json does not say how its server is started"));
    }
    match &manifest.compatibility.platforms {
        Some(platforms) if !platforms.iter().any(|it| it == platform) => {
            Err(bad(&format!("it is made for {}, and this is {platform}", platforms.join(", "))))
        }
        _ => Ok(manifest),
    }
}

impl Manifest {
    /// The command, arguments and variables for a platform.
    fn config(&self, platform: &str) -> Config {
        let mut config = self.server.mcp_config.clone().unwrap_or_default();
        if let Some(other) = config.platform_overrides.remove(platform) {
            config.command = other.command.or(config.command);
            config.args = other.args.or(config.args);
            config.env = other.env.or(config.env);
        }
        config
    }

    /// What is wrong with an answer; nothing when it is one that its wish takes.
    pub fn check(&self, key: &str, values: &[String]) -> Result<()> {
        let refuse = |why: String| {
            let error = Error::new(&codes::VALUE_INVALID, format!("`{key}` {why}"));
            Err(error.hint(format!("--set {key}=VALUE")))
        };
        let Some(wish) = self.user_config.get(key) else {
            let known: Vec<&str> = self.user_config.keys().map(String::as_str).collect();
            return Err(Error::new(&codes::SETTING_UNKNOWN, format!("the bundle has no setting `{key}`"))
                .hint(format!("its settings are {}", known.join(", "))));
        };
        if values.len() > 1 && !wish.multiple {
            return refuse("takes one value".into());
        }
        for value in values {
            match wish.kind.as_str() {
                "number" => match value.parse::<f64>() {
                    Ok(number)
                        if wish.min.is_some_and(|min| number < min)
                            || wish.max.is_some_and(|max| number > max) =>
                    {
                        return refuse(format!("cannot be {value}"));
                    }
                    Ok(_) => {}
                    Err(_) => return refuse(format!("is a number, and `{value}` is none")),
                },
                "boolean" if value != "true" && value != "false" => {
                    return refuse(format!("is true or false, and not `{value}`"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The answers with defaults in the place of those that were not given, and the keys that lack one.
    pub fn complete(&self, answers: &Answers) -> (Answers, Vec<&str>) {
        let mut complete = answers.clone();
        let mut missing = Vec::new();
        for (key, wish) in &self.user_config {
            if complete.contains_key(key) {
                continue;
            }
            match &wish.default {
                Some(default) => drop(complete.insert(key.clone(), texts(default))),
                None if wish.required => missing.push(key.as_str()),
                None => {}
            }
        }
        (complete, missing)
    }

    /// How the server is started; `known` gives the places of the user, such as `HOME`.
    pub fn start(&self, platform: &str, answers: &Answers, known: &dyn Fn(&str) -> Option<String>) -> Start {
        let config = self.config(platform);
        let one = |word: &str| fill(word, answers, known);
        let mut args = Vec::new();
        for word in config.args.unwrap_or_default() {
            // A word that is nothing but a list becomes as many words as the list has.
            let alone = word.strip_prefix("${user_config.").and_then(|rest| rest.strip_suffix('}'));
            match alone.filter(|key| self.user_config.contains_key(*key)) {
                Some(key) => args.extend(answers.get(key).cloned().unwrap_or_default()),
                None => args.push(one(&word)),
            }
        }
        let mut command = one(config.command.as_deref().unwrap_or_default());
        if platform == "win32" && self.server.kind == "binary" && !command.ends_with(".exe") {
            command.push_str(".exe");
        }
        let env = config.env.unwrap_or_default();
        // A variable of which nothing is known is left out, rather than set to nothing.
        let env =
            env.into_iter().map(|(name, value)| (name, one(&value))).filter(|(_, value)| !value.is_empty());
        let mut env: BTreeMap<String, String> = env.collect();
        if self.server.kind == "python" {
            // What it would compile into the bundle's folder could not be told from what somebody put there.
            env.entry("PYTHONDONTWRITEBYTECODE".into()).or_insert_with(|| "1".into());
        }
        Start { run: Run { command, args }, env }
    }
}

/// The texts of a default.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Null => Vec::new(),
        other => vec![other.to_string()],
    }
}

/// Puts what is known in the place of `${…}`; what is not known becomes nothing.
fn fill(word: &str, answers: &Answers, known: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find("${") {
        let Some(end) = rest[at..].find('}') else { break };
        text.push_str(&rest[..at]);
        let name = &rest[at + 2..at + end];
        match name {
            "__dirname" => text.push_str(&format!("{FOLDER}/{FILES}")),
            "/" | "pathSeparator" => text.push(std::path::MAIN_SEPARATOR),
            _ => match name.strip_prefix("user_config.") {
                Some(key) => {
                    text.push_str(&answers.get(key).map(|values| values.join(",")).unwrap_or_default());
                }
                None => text.push_str(&known(name).unwrap_or_default()),
            },
        }
        rest = &rest[at + end + 1..];
    }
    text + rest
}

fn bad(why: &str) -> Error {
    Error::new(&codes::PACKAGE_INVALID, format!("the bundle is not taken: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"{
      "manifest_version": "0.3", "name": "notes", "version": "1.2.0", "description": "d", "author": {"name": "a"},
      "server": {"type": "node", "entry_point": "server.js", "mcp_config": {
        "command": "node", "args": ["${__dirname}/server.js", "--dir=${HOME}/x", "${user_config.folders}"],
        "env": {"TOKEN": "${user_config.token}", "LEVEL": "${user_config.level}", "NONE": "${user_config.none}"},
        "platform_overrides": {"win32": {"command": "node.exe"}}}},
      "user_config": {
        "folders": {"type": "directory", "multiple": true, "required": true},
        "token": {"type": "string", "sensitive": true, "required": true},
        "level": {"type": "number", "default": 2, "min": 1, "max": 3},
        "none": {"type": "string"}}}"#;

    fn answers(of: &[(&str, &[&str])]) -> Answers {
        of.iter()
            .map(|(key, values)| (key.to_string(), values.iter().map(ToString::to_string).collect()))
            .collect()
    }

    #[test]
    fn answers_become_words_and_variables() {
        let manifest = read(MANIFEST, "linux").unwrap();
        let given = answers(&[("folders", &["/a", "/b c"]), ("token", &["secret://T"])]);
        let (complete, missing) = manifest.complete(&given);
        assert_eq!(missing, Vec::<&str>::new());
        let start = manifest.start("linux", &complete, &|name| (name == "HOME").then(|| "/home/u".into()));
        assert_eq!(start.run.command, "node");
        assert_eq!(start.run.args, ["{folder}/bundle/server.js", "--dir=/home/u/x", "/a", "/b c"]);
        let env: Vec<(&str, &str)> = start.env.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(env, [("LEVEL", "2"), ("TOKEN", "secret://T")]);
        let python =
            MANIFEST.replace(r#""type": "node", "entry_point""#, r#""type": "python", "entry_point""#);
        let start = read(&python, "linux").unwrap().start("linux", &complete, &|_| None);
        assert_eq!(start.env["PYTHONDONTWRITEBYTECODE"], "1", "a bundle's folder stays as it was unpacked");
        assert_eq!(manifest.start("win32", &complete, &|_| None).run.command, "node.exe");
        assert_eq!(manifest.complete(&Answers::new()).1, ["folders", "token"]);
    }

    #[test]
    fn answers_have_to_fit() {
        let manifest = read(MANIFEST, "linux").unwrap();
        for (key, values, good) in [
            ("level", &["3"][..], true),
            ("level", &["4"], false),
            ("level", &["x"], false),
            ("level", &["1", "2"], false),
            ("folders", &["a", "b"], true),
            ("unknown", &["a"], false),
        ] {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            assert_eq!(manifest.check(key, &values).is_ok(), good, "{key} {values:?}");
        }
    }

    #[test]
    fn a_manifest_that_says_too_little_is_refused() {
        for (from, to, why) in [
            ("\"node\", \"entry", "\"perl\", \"entry", "unknown type"),
            ("\"command\": \"node\",", "", "does not say how"),
            ("\"1.2.0\"", "\"\"", "no proper name"),
            (
                "\"user_config\"",
                "\"compatibility\": {\"platforms\": [\"darwin\"]}, \"user_config\"",
                "made for darwin",
            ),
            ("{", "[", "cannot be read"),
        ] {
            let error = read(&MANIFEST.replacen(from, to, 1), "linux").unwrap_err();
            assert!(error.message.contains(why), "{error}");
        }
    }
}
