//! What is kept of a skill: its versions with the digest of every file, what it needs, who signed it, and which version
//! is in use. Pure data; the files themselves lie in the data folder.

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One row: a skill by its name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Skill {
    pub name: String,
    /// The version in use.
    pub current: String,
    /// The version that was in use before, for a way back.
    pub previous: Option<String>,
    /// From the lowest to the highest.
    pub versions: Vec<Installed>,
    /// It was asked for by name, not only needed by another one.
    pub wanted: bool,
}

impl Skill {
    /// The version in use.
    pub fn current(&self) -> Result<&Installed> {
        self.version(&self.current).ok_or_else(|| Error::bug("a skill without the version in use"))
    }

    pub fn version(&self, version: &str) -> Option<&Installed> {
        self.versions.iter().find(|installed| installed.version == version)
    }
}

/// One version of a skill, as it was installed: this is its lock.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Installed {
    pub version: String,
    pub title: String,
    pub description: String,
    pub author: String,
    pub license: String,
    pub tags: Vec<String>,
    /// SHA-256 over the list of files.
    pub digest: String,
    pub files: Vec<File>,
    /// Where it came from, as one would type it.
    pub source: String,
    /// Who signed it; `None` for an unsigned one.
    pub signer: Option<Signer>,
    /// The workflow that its steps are, as JSON; empty for one that is instructions alone.
    pub document: String,
    /// What its steps take, as JSON Schema; empty for instructions.
    pub schema: String,
    /// Its front matter, as JSON.
    pub front: String,
    /// Servers, or `SERVER.TOOL`.
    pub tools: Vec<String>,
    pub models: Vec<String>,
    /// What it asks for.
    pub needs: Vec<String>,
    /// What that came to: exact versions by name.
    pub resolved: BTreeMap<String, String>,
    pub installed: Timestamp,
}

impl Installed {
    /// Whether it has steps that umcp runs.
    pub fn is_executable(&self) -> bool {
        !self.document.is_empty()
    }
}

/// One file of a skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Relative, with `/`.
    pub path: String,
    pub size: u64,
    /// In hex.
    pub sha256: String,
    pub executable: bool,
}

/// Whose key a version was signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    pub publisher: String,
    /// The id of the key, as minisign shows it.
    pub key: String,
}

/// One row: a publisher and the one key that counts for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publisher {
    pub name: String,
    /// The public key's line.
    pub key: String,
    pub id: String,
    pub since: Timestamp,
    /// Where its first skill came from.
    pub source: String,
}

/// Where skills are offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// A folder on this machine, such as a shared drive.
    Folder {
        path: String,
    },
    Git {
        url: String,
        branch: Option<String>,
    },
    /// `index.json` at an address, with the bundles beside it.
    Http {
        url: String,
        private: bool,
    },
}

impl Place {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "folder",
            Self::Git { .. } => "git",
            Self::Http { .. } => "http",
        }
    }

    pub fn target(&self) -> &str {
        match self {
            Self::Folder { path } => path,
            Self::Git { url, .. } | Self::Http { url, .. } => url,
        }
    }
}

/// One row: a registry and what it offered when it was last read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    pub name: String,
    pub place: Place,
    pub read: Option<Timestamp>,
    pub offers: Vec<Offer>,
    /// Why the last reading left something out.
    pub remarks: Vec<String>,
}

/// One version of a skill that a registry offers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Offer {
    pub name: String,
    pub version: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub author: String,
    #[serde(default)]
    pub tags: Vec<String>,
    /// The bundle or folder below the registry, with `/`.
    pub path: String,
    /// SHA-256 of the bundle in hex; empty for a folder.
    #[serde(default)]
    pub sha256: String,
    #[serde(default)]
    pub needs: Vec<String>,
}

/// One row: what the user thinks of a skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    pub stars: u8,
    pub comment: String,
    pub at: Timestamp,
}

/// A skill that another one needs, and in which versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    pub name: String,
    pub range: VersionReq,
}

impl Need {
    /// `name`, or `name@range` with a range such as `^1.2`, `>=1, <3`, `1.2.3` or `*`.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, range) = text.trim().split_once('@').unwrap_or((text.trim(), "*"));
        let range = range.trim();
        if !super::is_name(name) {
            let message = format!("`{}` is no name of a skill", name.escape_debug());
            return Err(Error::new(&codes::SKILL_INVALID, message));
        }
        let parsed = VersionReq::parse(if range.is_empty() { "*" } else { range });
        let range = parsed.map_err(|error| {
            let message = format!("`{}` is no range of versions", range.escape_debug());
            Error::new(&codes::SKILL_INVALID, message)
                .because(error)
                .hint("such as ^1.2, >=1, <3, 1.2.3 or *")
        })?;
        Ok(Self { name: name.into(), range })
    }

    pub fn takes(&self, version: &str) -> bool {
        Version::parse(version).is_ok_and(|version| self.range.matches(&version))
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.range.to_string().as_str() {
            "*" => f.write_str(&self.name),
            range => write!(f, "{}@{range}", self.name),
        }
    }
}

/// A version that can be compared; what is none stands below all.
pub fn order(version: &str) -> Version {
    Version::parse(version).unwrap_or(Version::new(0, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_read_and_shown() {
        for (text, shown) in [
            ("tone", "tone"),
            ("tone@^1.2", "tone@^1.2"),
            ("tone@*", "tone"),
            ("tone@>=1,<3", "tone@>=1, <3"),
        ] {
            assert_eq!(Need::parse(text).unwrap().to_string(), shown);
        }
        assert!(Need::parse("Tone").is_err() && Need::parse("tone@x.y").is_err());
        let need = Need::parse("tone@^1.2").unwrap();
        assert!(need.takes("1.9.0") && !need.takes("2.0.0") && !need.takes("nonsense"));
    }
}
