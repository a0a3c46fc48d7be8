//! What a catalogue holds: entries, the ways to run one, the sources they come from, and what the user thinks of them.
//! Pure data. Whether a text of somebody else may become an entry is decided in `check`.

use super::check;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};

/// The words an entry can be filed under; at most 32, for a set of them is one number.
pub const CATEGORIES: &[&str] = &[
    "ai",
    "automation",
    "browser",
    "cloud",
    "communication",
    "data",
    "database",
    "design",
    "development",
    "devops",
    "documents",
    "files",
    "finance",
    "maps",
    "media",
    "memory",
    "monitoring",
    "productivity",
    "reasoning",
    "research",
    "search",
    "security",
    "system",
    "testing",
    "web",
];

/// A server or app somebody offers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Entry {
    /// As its source calls it: `playwright`, `io.github.upstash/context7`, `plugin/server`.
    pub name: String,
    pub title: Option<String>,
    pub description: String,
    pub version: Option<String>,
    pub categories: Vec<String>,
    /// The first one that umcp can run is taken.
    pub ways: Vec<Way>,
    pub homepage: Option<String>,
    pub repository: Option<String>,
    pub license: Option<String>,
    /// RFC 3339, as the source says it.
    pub updated: Option<String>,
    /// The source advises against it.
    pub deprecated: bool,
    /// How widely it is used, 0 to 100, where the source tells.
    pub popularity: Option<u8>,
}

/// How an entry is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    Npm(Package),
    Pypi(Package),
    /// A server somebody else runs.
    Remote(Remote),
    /// An app that umcp brings along.
    App {
        name: String,
    },
    /// A command line, as a plugin names it.
    Command {
        command: String,
        args: Vec<String>,
        env: Vec<Input>,
    },
    /// What umcp does not run, and why.
    Other {
        what: String,
        reason: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: Option<String>,
    /// Arguments of its program.
    pub args: Vec<String>,
    /// What stands behind those and only the user can say, such as a folder.
    pub asks: Vec<String>,
    pub env: Vec<Input>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Remote {
    pub url: String,
    /// Legacy HTTP+SSE rather than streamable HTTP.
    pub sse: bool,
    pub headers: Vec<Input>,
}

/// A variable or header that a server takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Input {
    pub name: String,
    pub description: Option<String>,
    pub required: bool,
    pub secret: bool,
    /// A value the entry sets itself. Never one that refers to the user's variables or secrets.
    pub value: Option<String>,
}

impl Way {
    /// The same in one word, as `umcp server add` takes it where it takes it at all.
    pub fn spec(&self) -> String {
        let pinned = |kind: &str, package: &Package, mark: &str| match &package.version {
            Some(version) => format!("{kind}:{}{mark}{version}", package.name),
            None => format!("{kind}:{}", package.name),
        };
        match self {
            Self::Npm(package) => pinned("npm", package, "@"),
            Self::Pypi(package) => pinned("pypi", package, "=="),
            Self::Remote(remote) => remote.url.clone(),
            Self::App { name } => format!("app:{name}"),
            Self::Command { command, args, .. } => {
                std::iter::once(command).chain(args).map(String::as_str).collect::<Vec<_>>().join(" ")
            }
            Self::Other { what, .. } => what.clone(),
        }
    }

    /// What it runs, whatever the version: two entries with the same subject offer the same thing.
    pub fn subject(&self) -> String {
        match self {
            Self::Npm(package) => format!("npm:{}", package.name),
            Self::Pypi(package) => format!("pypi:{}", package.name.to_ascii_lowercase().replace('_', "-")),
            Self::Remote(remote) => remote.url.trim_end_matches('/').to_ascii_lowercase(),
            other => other.spec(),
        }
    }

    /// Whether umcp can run it.
    pub fn runs(&self) -> bool {
        !matches!(self, Self::Other { .. })
    }

    /// `stdio`, `http`, `sse` or `app`.
    pub fn transport(&self) -> &'static str {
        match self {
            Self::Npm(_) | Self::Pypi(_) | Self::Command { .. } => "stdio",
            Self::Remote(remote) if remote.sse => "sse",
            Self::Remote(_) => "http",
            Self::App { .. } => "app",
            Self::Other { .. } => "other",
        }
    }

    /// Arguments that only the user can say.
    pub fn asks(&self) -> &[String] {
        match self {
            Self::Npm(package) | Self::Pypi(package) => &package.asks,
            _ => &[],
        }
    }

    /// Variables of a process, headers of a remote server.
    pub fn inputs(&self) -> &[Input] {
        match self {
            Self::Npm(package) | Self::Pypi(package) => &package.env,
            Self::Remote(remote) => &remote.headers,
            Self::Command { env, .. } => env,
            Self::App { .. } | Self::Other { .. } => &[],
        }
    }
}

impl Entry {
    /// The way umcp takes.
    pub fn way(&self) -> Option<&Way> {
        self.ways.iter().find(|way| way.runs())
    }

    /// The last part of the name: `context7` of `io.github.upstash/context7`.
    pub fn short(&self) -> &str {
        short(&self.name)
    }
}

/// The last part of a name.
pub fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Where entries come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The list inside the program.
    Bundled,
    /// A server that speaks the registry's API; the address without `/v0.1/servers`.
    Registry { url: String },
    /// A file or folder of this machine.
    File { path: String },
    /// One document at an address.
    Url { url: String },
    /// A repository, read through the user's own git.
    Git { url: String, branch: Option<String> },
}

impl Origin {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Bundled => "bundled",
            Self::Registry { .. } => "registry",
            Self::File { .. } => "file",
            Self::Url { .. } => "url",
            Self::Git { .. } => "git",
        }
    }

    /// Where it is.
    pub fn place(&self) -> &str {
        match self {
            Self::Bundled => "umcp itself",
            Self::Registry { url } | Self::Url { url } | Self::Git { url, .. } => url,
            Self::File { path } => path,
        }
    }
}

/// A source as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub name: String,
    pub origin: Origin,
    pub enabled: bool,
    /// The user says that it stands in a network of their own.
    pub private: bool,
    pub entries: u64,
    /// The last time it was read to its end.
    pub refreshed: Option<Timestamp>,
    /// The newest change seen, as the registry wrote it; the next refresh asks for what came after.
    pub watermark: Option<String>,
    /// A refresh that did not come to its end.
    pub pending: Option<Pending>,
    /// Counts whole readings: an entry of an earlier one is gone.
    pub round: u32,
}

/// Where a refresh stopped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pending {
    /// The page to go on with; nothing at the beginning.
    pub cursor: Option<String>,
    /// The change it asked for the successors of; nothing reads everything.
    pub since: Option<String>,
    /// The newest change seen so far.
    pub newest: Option<String>,
}

impl Source {
    pub fn new(name: impl Into<String>, origin: Origin) -> Self {
        Self {
            name: name.into(),
            origin,
            enabled: true,
            private: false,
            entries: 0,
            refreshed: None,
            watermark: None,
            pending: None,
            round: 0,
        }
    }
}

/// Refuses a name that could not stand before the `/` of an entry.
pub fn check_source_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= 40 && name.chars().all(good) && !name.starts_with(['-', '_']) {
        return Ok(());
    }
    let shown = check::shown(name);
    Err(Error::new(&codes::NAME_INVALID, format!("`{shown}` cannot be the name of a source"))
        .hint("use up to 40 of a-z, 0-9, `-` and `_`"))
}

/// What the user thinks of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    /// `SOURCE/NAME`.
    pub key: String,
    /// 1 to 5.
    pub stars: u8,
    pub comment: Option<String>,
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_tells_what_it_runs() {
        let package =
            |name: &str| Package { name: name.into(), version: Some("1.2".into()), ..Package::default() };
        let remote = Remote { url: "https://Example.com/mcp/".into(), ..Remote::default() };
        for (way, spec, subject) in [
            (Way::Npm(package("@a/b")), "npm:@a/b@1.2", "npm:@a/b"),
            (Way::Pypi(package("A_b")), "pypi:A_b==1.2", "pypi:a-b"),
            (Way::Remote(remote), "https://Example.com/mcp/", "https://example.com/mcp"),
            (Way::App { name: "github".into() }, "app:github", "app:github"),
        ] {
            assert_eq!((way.spec().as_str(), way.subject().as_str()), (spec, subject));
        }
    }

    #[test]
    fn names_of_sources_are_checked() {
        for good in ["team", "a-b_1"] {
            assert!(check_source_name(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a/b", "-a", "a b", "é", "a\u{202e}b", &"a".repeat(41)] {
            assert!(check_source_name(bad).is_err(), "{bad}");
        }
        assert!(CATEGORIES.len() <= 32 && CATEGORIES.is_sorted());
    }
}
