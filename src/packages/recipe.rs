//! How a repository becomes a server: which language it is in, and the commands that build it. Pure; the commands are
//! shown to the user before they run.

use crate::error::{Error, Result, codes};
use serde_json::Value;

/// Where the files of a repository lie below its version's folder.
pub const FILES: &str = "repository";

/// Holds the id of the image that was built, below the version's folder.
pub const IMAGE: &str = "image";

/// What is known where a repository is built.
pub struct Site<'a> {
    /// The text of a file at its root.
    pub read: &'a dyn Fn(&str) -> Option<String>,
    /// Whether a program is on this machine.
    pub has: &'a dyn Fn(&str) -> bool,
    /// The program that builds images, and what it is to call this one.
    pub image: (&'static str, &'a str),
}

/// How a repository is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipe {
    Node,
    Python,
    Rust,
    Go,
    /// By its Dockerfile.
    Image,
}

/// A command in the folder of the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub program: &'static str,
    pub args: Vec<String>,
    /// It runs in the repository rather than in the folder above.
    pub inside: bool,
}

impl Command {
    fn new(program: &'static str, line: &str, inside: bool) -> Self {
        Self { program, args: line.split(' ').map(String::from).collect(), inside }
    }

    /// As one would type it.
    pub fn line(&self) -> String {
        format!("{} {}", self.program, self.args.join(" "))
    }
}

impl Recipe {
    pub const ALL: [Self; 5] = [Self::Node, Self::Python, Self::Rust, Self::Go, Self::Image];

    pub fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python",
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Image => "image",
        }
    }

    /// Looks at a repository; `read` gives the text of a file at its root.
    pub fn detect(read: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let has = |name: &str| read(name).is_some();
        if has("pyproject.toml") || has("setup.py") {
            return Ok(Self::Python);
        }
        if has("package.json") {
            return Ok(Self::Node);
        }
        if has("Cargo.toml") {
            return Ok(Self::Rust);
        }
        if has("go.mod") {
            return Ok(Self::Go);
        }
        if has("Dockerfile") {
            return Ok(Self::Image);
        }
        let message = "the repository has no package.json, pyproject.toml, Cargo.toml, go.mod or Dockerfile at its root";
        Err(Error::new(&codes::PACKAGE_INVALID, message).hint("umcp server add NAME -- COMMAND"))
    }

    /// The commands that build it: by its lock file, where it has one.
    pub fn commands(self, at: &Site<'_>, scripts: bool) -> Vec<Command> {
        let read = at.read;
        match self {
            Self::Node => node(read, scripts),
            Self::Python => python(at),
            Self::Rust => {
                let locked = if read("Cargo.lock").is_some() { " --locked" } else { "" };
                vec![Command::new("cargo", &format!("install --path repository --root .{locked}"), false)]
            }
            Self::Go => vec![Command::new("go", "build -trimpath -o ../bin/ ./...", true)],
            Self::Image => {
                let (program, name) = at.image;
                vec![Command::new(program, &format!("build --iidfile ../{IMAGE} --tag {name} ."), true)]
            }
        }
    }

    /// The name of the package at an index, if the repository is one: what is published is pinned better.
    pub fn published(self, read: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let manifest: Value = serde_json::from_str(&read("package.json")?).ok()?;
        let is_public = self == Self::Node && manifest["private"] != true;
        manifest["name"].as_str().filter(|_| is_public).map(String::from)
    }
}

/// With a lock file, exactly what it names is installed, by its digests; then the repository alone.
fn python(at: &Site<'_>) -> Vec<Command> {
    let pip = |what: &str| {
        let line = "-I -m pip --python venv/bin/python install --quiet --disable-pip-version-check --no-input --compile";
        Command::new("python3", &format!("{line} {what}"), false)
    };
    let mut commands = vec![Command::new("python3", "-I -m venv --without-pip venv", false)];
    let is_hashed = |name: &str| (at.read)(name).is_some_and(|text| text.contains("--hash=sha256:"));
    if (at.read)("uv.lock").is_some() && (at.has)("uv") {
        let export = "export --frozen --quiet --no-dev --no-emit-project --output-file ../requirements.lock";
        commands.push(Command::new("uv", export, true));
        commands.push(pip("--no-deps --require-hashes -r requirements.lock"));
    } else if is_hashed("requirements.txt") {
        commands.push(pip(&format!("--require-hashes -r {FILES}/requirements.txt")));
    } else {
        commands.push(pip("--report report.json ./repository"));
        return commands;
    }
    commands.push(pip("--no-deps --report report.json ./repository"));
    commands
}

fn node(read: &dyn Fn(&str) -> Option<String>, scripts: bool) -> Vec<Command> {
    let manifest: Value =
        read("package.json").and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let locked = ["package-lock.json", "npm-shrinkwrap.json"].iter().any(|name| read(name).is_some());
    let verb = if locked { "ci" } else { "install" };
    let ignore = if scripts { "" } else { " --ignore-scripts" };
    let line = format!("{verb}{ignore} --no-audit --no-fund --loglevel=error");
    let mut commands = vec![Command::new("npm", &line, true)];
    if manifest["scripts"]["build"].is_string() {
        commands.push(Command::new("npm", "run build", true));
    }
    commands
}

/// The script of a Node package's program, relative to the repository; `wanted` names one of several.
pub fn node_script(manifest: &str, wanted: Option<&str>) -> Result<String> {
    let invalid = |why: &str| Error::new(&codes::PACKAGE_INVALID, format!("its package.json {why}"));
    let manifest: Value =
        serde_json::from_str(manifest).map_err(|error| invalid("cannot be read").because(error))?;
    let name = manifest["name"].as_str().unwrap_or_default();
    let script = match (&manifest["bin"], &manifest["main"]) {
        (Value::String(script), _) => script.clone(),
        (Value::Object(programs), _) => {
            let names: Vec<String> = programs.keys().cloned().collect();
            let program = super::program::choose(&names, name, wanted)?;
            programs[program].as_str().unwrap_or_default().to_string()
        }
        (_, Value::String(script)) => script.clone(),
        _ => return Err(invalid("names no program")),
    };
    let script = script.strip_prefix("./").unwrap_or(&script);
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':']);
    match script.split('/').all(plain) {
        true => Ok(script.to_string()),
        false => Err(invalid("names a program outside of the repository")),
    }
}

/// The name of what was asked for in a report of pip.
pub fn python_name(report: &str) -> Result<String> {
    let odd = || Error::new(&codes::PACKAGE_INVALID, "pip wrote its report in a form umcp does not know");
    let report: Value = serde_json::from_str(report).map_err(|error| odd().because(error))?;
    let asked = report["install"].as_array().ok_or_else(odd)?.iter().find(|item| item["requested"] == true);
    asked.and_then(|item| item["metadata"]["name"].as_str()).map(String::from).ok_or_else(odd)
}

/// The image that was built, as the program that built it has written.
pub fn image_id(text: &str) -> Result<String> {
    let id = text.trim();
    let hash = id.strip_prefix("sha256:").unwrap_or(id);
    match hash.len() == 64 && hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
        true => Ok(id.into()),
        false => Err(Error::new(&codes::PACKAGE_INVALID, "the build did not say which image it has made")),
    }
}

/// What is pinned of a repository: the commit, and how it is built.
pub fn pins(commit: &str, recipe: Recipe) -> String {
    format!("commit {commit}\nrecipe {}\n", recipe.word())
}

/// Commit and recipe of pins, if they are such.
pub fn read_pins(pins: &str) -> Result<(String, Recipe)> {
    let found = (|| {
        let (commit, recipe) = pins.strip_prefix("commit ")?.split_once("\nrecipe ")?;
        let recipe = Recipe::ALL.into_iter().find(|it| it.word() == recipe.trim_end())?;
        is_commit(commit).then(|| (commit.to_string(), recipe))
    })();
    found
        .ok_or_else(|| Error::new(&codes::LOCK_INVALID, "the pins of a repository are a commit and a recipe"))
}

/// Whether a word is a whole commit's name.
pub fn is_commit(word: &str) -> bool {
    matches!(word.len(), 40 | 64) && word.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_shows_its_recipe() {
        let lines = |files: &[(&str, &str)], scripts: bool| {
            let read = |name: &str| files.iter().find(|it| it.0 == name).map(|it| it.1.to_string());
            let recipe = Recipe::detect(&read).map_err(|error| error.hints.join(" | "))?;
            let at = Site {
                read: &read,
                has: &|program| files.contains(&(program, "is here")),
                image: ("podman", "umcp-build/notes:0a"),
            };
            Ok::<_, String>(recipe.commands(&at, scripts).iter().map(Command::line).collect::<Vec<_>>())
        };
        let pip = |what: &str| {
            let line =
                "python3 -I -m pip --python venv/bin/python install --quiet --disable-pip-version-check";
            format!("{line} --no-input --compile {what}")
        };
        let venv = "python3 -I -m venv --without-pip venv".to_string();
        let alone = pip("--no-deps --report report.json ./repository");
        let uv = "uv export --frozen --quiet --no-dev --no-emit-project --output-file ../requirements.lock";
        let quiet = "--no-audit --no-fund --loglevel=error";
        for (files, scripts, expected) in [
            (&[("package.json", "{}")][..], false, vec![format!("npm install --ignore-scripts {quiet}")]),
            (
                &[("package.json", r#"{"scripts":{"build":"tsc"}}"#), ("package-lock.json", "{}")],
                true,
                vec![format!("npm ci {quiet}"), "npm run build".into()],
            ),
            (
                &[("Cargo.toml", ""), ("Cargo.lock", "")],
                false,
                vec!["cargo install --path repository --root . --locked".into()],
            ),
            (
                &[("pyproject.toml", ""), ("requirements.txt", "a>=1\n"), ("uv.lock", "")],
                false,
                vec![venv.clone(), pip("--report report.json ./repository")],
            ),
            (
                &[("pyproject.toml", ""), ("uv.lock", ""), ("uv", "is here")],
                false,
                vec![
                    venv.clone(),
                    uv.into(),
                    pip("--no-deps --require-hashes -r requirements.lock"),
                    alone.clone(),
                ],
            ),
            (
                &[("setup.py", ""), ("requirements.txt", "a==1 \\\n  --hash=sha256:00\n")],
                false,
                vec![venv, pip("--require-hashes -r repository/requirements.txt"), alone],
            ),
            (&[("npm-shrinkwrap.json", ""), ("package.json", "{}")], true, vec![format!("npm ci {quiet}")]),
            (&[("go.mod", "")], false, vec!["go build -trimpath -o ../bin/ ./...".into()]),
            (
                &[("Dockerfile", "")],
                false,
                vec!["podman build --iidfile ../image --tag umcp-build/notes:0a .".into()],
            ),
        ] {
            assert_eq!(lines(files, scripts).unwrap(), expected);
        }
        assert!(lines(&[], false).is_err());
    }

    #[test]
    fn a_program_stays_in_its_repository() {
        for (manifest, expected) in [
            (r#"{"bin": "./dist/x.js"}"#, Some("dist/x.js")),
            (r#"{"name": "@a/b", "bin": {"b": "b.js", "c": "c.js"}}"#, Some("b.js")),
            (r#"{"main": "index.js"}"#, Some("index.js")),
            (r#"{"bin": "../../x.js"}"#, None),
            (r#"{"bin": "/etc/x.js"}"#, None),
            ("{}", None),
        ] {
            assert_eq!(node_script(manifest, None).ok().as_deref(), expected, "{manifest}");
        }
    }

    #[test]
    fn pins_are_a_commit_and_a_recipe() {
        let commit = "0a".repeat(20);
        assert_eq!(read_pins(&pins(&commit, Recipe::Go)).unwrap(), (commit, Recipe::Go));
        for bad in ["", "commit HEAD\nrecipe go\n", "commit --upload-pack=x\nrecipe go\n"] {
            assert!(read_pins(bad).is_err(), "{bad}");
        }
        let id = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(image_id(&format!("{id}\n")).unwrap(), id);
        assert!(image_id("--privileged").is_err());
        let report =
            r#"{"install": [{"metadata": {"name": "dep"}}, {"requested": true, "metadata": {"name": "x"}}]}"#;
        assert_eq!(python_name(report).unwrap(), "x");
    }
}
