//! What is remembered of a package: what was asked for, each version that was installed, and how its server is run.
//! Pure data. Paths are kept relative to the version's folder, so that the data folder may be moved.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Stands for a version's folder in a [`Run`].
pub const FOLDER: &str = "{folder}";
/// Versions of one package that stay on disk, the one in use among them.
pub const KEPT: usize = 3;

/// One row, under the id of the server entry that runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// As it was asked for: what `update` looks up again.
    pub reference: String,
    /// Whether its programs may run while it is being installed.
    pub scripts: bool,
    /// Which of its programs is the server, where the user said so.
    pub program: Option<String>,
    /// What a bundle wanted to know; a secret by its reference.
    pub answers: BTreeMap<String, Vec<String>>,
    /// In the order in which they came into use; the last one is in use.
    pub installs: Vec<Installed>,
}

/// One version on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    pub version: String,
    /// The artefact's own digest, as its manager writes it: `sha512-…`, `sha256:…`, or a commit.
    pub digest: String,
    /// Every dependency with its version and digest, in the manager's own form.
    pub pins: String,
    /// Below the folder of packages, with `/`.
    pub folder: String,
    /// SHA-256 over the files of the folder.
    pub content: String,
    pub run: Run,
    /// Variables that the package itself sets.
    pub env: BTreeMap<String, String>,
    /// The definitions of its tools; `None` when it could not be asked.
    pub tools: Option<BTreeMap<String, String>>,
    pub at: Timestamp,
}

/// How the server is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub command: String,
    /// What stands before the arguments of the user.
    pub args: Vec<String>,
}

impl Package {
    /// The version in use. A row without one is never written.
    pub fn current(&self) -> Option<&Installed> {
        self.installs.last()
    }

    /// The version that was in use before.
    pub fn previous(&self) -> Option<&Installed> {
        self.installs.len().checked_sub(2).and_then(|at| self.installs.get(at))
    }

    /// Takes a version into use, and gives those that are no longer kept.
    pub fn switch(&mut self, installed: Installed) -> Vec<Installed> {
        self.installs.retain(|old| old.folder != installed.folder);
        self.installs.push(installed);
        let gone = self.installs.len().saturating_sub(KEPT);
        self.installs.drain(..gone).collect()
    }
}

impl Installed {
    /// SHA-256 of all that is pinned, in hex.
    pub fn tree(&self) -> String {
        crate::ids::digest(self.pins.as_bytes())
    }
}

impl Run {
    /// The same with a folder put in the place of its sign.
    pub fn within(&self, folder: &Path) -> Self {
        let folder = folder.to_string_lossy();
        let fill = |word: &String| word.replace(FOLDER, &folder);
        Self { command: fill(&self.command), args: self.args.iter().map(fill).collect() }
    }
}

/// What a manager found for a reference, before anything is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub version: String,
    pub digest: String,
    pub pins: String,
    /// Packages that come along.
    pub dependencies: usize,
    /// Those of all that would run programs of their own while being installed.
    pub scripted: Vec<String>,
    /// The commands that build it, where it is built here.
    pub recipe: Vec<String>,
    /// The same at an index, where it is pinned better.
    pub published: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(version: &str) -> Installed {
        Installed {
            version: version.into(),
            digest: String::new(),
            pins: String::new(),
            folder: format!("npm/x/{version}"),
            content: String::new(),
            run: Run { command: "{folder}/bin".into(), args: vec!["--at={folder}".into()] },
            env: BTreeMap::new(),
            tools: None,
            at: Timestamp(0),
        }
    }

    #[test]
    fn the_last_version_is_in_use_and_old_ones_go() {
        let mut package = Package {
            reference: "npm:x".into(),
            scripts: false,
            program: None,
            answers: BTreeMap::new(),
            installs: vec![installed("1")],
        };
        assert!(package.previous().is_none());
        assert!(package.switch(installed("2")).is_empty());
        assert!(package.switch(installed("3")).is_empty());
        let gone = package.switch(installed("4"));
        assert_eq!(gone.iter().map(|it| it.version.as_str()).collect::<Vec<_>>(), ["1"]);
        // Back to an older one: nothing is kept twice.
        assert!(package.switch(installed("3")).is_empty());
        let versions: Vec<&str> = package.installs.iter().map(|it| it.version.as_str()).collect();
        assert_eq!(versions, ["2", "4", "3"]);
        assert_eq!(package.previous().unwrap().version, "4");
    }

    #[test]
    fn a_run_is_put_into_its_folder() {
        let run = installed("1").run.within(Path::new("/data/x"));
        assert_eq!((run.command.as_str(), run.args[0].as_str()), ("/data/x/bin", "--at=/data/x"));
    }
}
