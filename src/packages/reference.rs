//! What is typed to name a package: `npm:@scope/name@1.2.3`, `pypi:name==1.2`, `github:owner/repo@ref`.
//! It looks at no network and no disk. Rule: a word that comes out of here is safe as one argument of a manager's
//! program: never empty, never an option, no control characters, no blanks.

use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Who publishes packages, and whose program installs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    Npm,
    Pypi,
    Cargo,
    Go,
    Gem,
    Composer,
    Nuget,
    /// An image of a container registry.
    Oci,
    /// A bundle: a zip archive with a manifest.
    Mcpb,
    /// A repository on GitHub.
    Github,
    /// Any git repository, by its URL.
    Git,
}

impl Manager {
    pub const ALL: [Self; 11] = [
        Self::Npm,
        Self::Pypi,
        Self::Cargo,
        Self::Go,
        Self::Gem,
        Self::Composer,
        Self::Nuget,
        Self::Oci,
        Self::Mcpb,
        Self::Github,
        Self::Git,
    ];

    /// The word before the colon.
    pub fn word(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pypi => "pypi",
            Self::Cargo => "cargo",
            Self::Go => "go",
            Self::Gem => "gem",
            Self::Composer => "composer",
            Self::Nuget => "nuget",
            Self::Oci => "oci",
            Self::Mcpb => "mcpb",
            Self::Github => "github",
            Self::Git => "git",
        }
    }

    /// Whether code of the package may run while it is installed: it is compiled here, or may compile.
    pub fn is_built(self) -> bool {
        matches!(self, Self::Cargo | Self::Go | Self::Gem | Self::Github | Self::Git)
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|manager| manager.word() == word)
    }
}

/// One package of one manager.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    pub manager: Manager,
    /// The manager's own name of it: package, module path, image, `owner/repo`, URL, or the file of a bundle.
    pub name: String,
    /// A version, range, tag, branch or commit as the manager knows it; `None` takes the newest.
    pub version: Option<String>,
    /// SHA-256 of a bundle's file in hex, where it was given.
    pub sha256: Option<String>,
}

impl Reference {
    /// A reference to the newest version.
    pub fn new(manager: Manager, name: &str) -> Result<Self> {
        format!("{}:{name}", manager.word()).parse()
    }

    /// The same package at this version.
    #[must_use]
    pub fn at(&self, version: &str) -> Self {
        Self { version: Some(version.into()), ..self.clone() }
    }

    /// What tells this package from others, for a folder: letters, digits, `.`, `-`, `_` only.
    pub fn folder(&self) -> String {
        let last = self.name.rsplit(['\\', '/']).next().unwrap_or_default();
        let name = if self.manager == Manager::Mcpb { last } else { &self.name };
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let mut word: String = name.chars().map(plain).collect::<String>().trim_matches(['.', '_']).into();
        word.truncate(80);
        // Two names must not meet in one folder: what was tamed carries a digest of what it was.
        match word == self.name && !word.is_empty() {
            true => word,
            false => format!("{word}-{}", &crate::ids::digest(self.name.as_bytes())[..8]),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.manager.word(), self.name)?;
        if let Some(version) = &self.version {
            let sign = match self.manager {
                Manager::Pypi if version.starts_with(|c: char| c.is_ascii_digit()) => "==",
                Manager::Pypi => "",
                Manager::Oci if !version.contains(':') => ":",
                _ => "@",
            };
            write!(f, "{sign}{version}")?;
        }
        self.sha256.as_ref().map_or(Ok(()), |sha256| write!(f, "#sha256={sha256}"))
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((word, rest)) = text.split_once(':') else { return Err(bare(text)) };
        let Some(manager) = Manager::from_word(word) else { return Err(bare(text)) };
        let refuse = |why: &str| {
            let error = Error::new(&codes::VALUE_INVALID, format!("`{text}` names no package: {why}"));
            Err(error.hint(format!("write it as {}", example(manager))))
        };
        let (rest, sha256) = match rest.rsplit_once("#sha256=") {
            Some((rest, hash)) if manager == Manager::Mcpb => (rest, Some(hash.to_ascii_lowercase())),
            _ => (rest, None),
        };
        if sha256
            .as_ref()
            .is_some_and(|hash| hash.len() != 64 || !hash.chars().all(|c| c.is_ascii_hexdigit()))
        {
            return refuse("a SHA-256 has 64 hexadecimal digits");
        }
        let (name, version) = split(manager, rest);
        let blank =
            |c: char| c.is_control() || is_hidden(c) || (c.is_whitespace() && manager != Manager::Mcpb);
        for part in [Some(name), version].into_iter().flatten() {
            if part.is_empty() {
                return refuse("something is missing");
            }
            if part.starts_with('-') || part.contains(blank) {
                return refuse("it would not be taken for one word");
            }
        }
        if !fits(manager, name) {
            return refuse("such a name is not given there");
        }
        Ok(Self { manager, name: name.into(), version: version.map(String::from), sha256 })
    }
}

/// Characters that change how a line reads without being seen.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Name and version, split where the manager's own notation splits them.
fn split(manager: Manager, text: &str) -> (&str, Option<&str>) {
    let found = match manager {
        Manager::Mcpb => None,
        Manager::Pypi => {
            return match text.find(['=', '<', '>', '~', '!', '@']) {
                Some(index) if text[index..].starts_with("==") && !text[index..].contains(',') => {
                    (&text[..index], Some(&text[index + 2..]))
                }
                Some(index) if text[index..].starts_with('@') => (&text[..index], Some(&text[index + 1..])),
                Some(index) => (&text[..index], Some(&text[index..])),
                None => (text, None),
            };
        }
        Manager::Oci => match text.find('@') {
            Some(index) => Some(index),
            // A colon before the last slash is that of a port.
            None => text.rfind(':').filter(|&index| !text[index..].contains('/')),
        },
        Manager::Composer => text.rfind(['@', ':']),
        // A URL may name a user before its host.
        Manager::Git => text.rfind('@').filter(|&index| !text[index..].contains(['/', ':'])),
        // A scope opens with the sign that elsewhere begins the version.
        _ => text.rfind('@').filter(|&index| index > 0),
    };
    match found {
        Some(index) => (&text[..index], Some(&text[index + 1..])),
        None => (text, None),
    }
}

/// Whether the manager would give such a name to a package.
fn fits(manager: Manager, name: &str) -> bool {
    let word = |text: &str, more: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        !text.is_empty() && text.chars().all(plain) && !text.starts_with(['.', '-'])
    };
    let parts: Vec<&str> = name.split('/').collect();
    match manager {
        Manager::Npm => match name.strip_prefix('@') {
            Some(scoped) => {
                scoped.split('/').count() == 2 && scoped.split('/').all(|part| word(part, "-_.~"))
            }
            None => word(name, "-_.~"),
        },
        Manager::Pypi => match name.split_once('[') {
            Some((name, extras)) => {
                let extras = extras.strip_suffix(']').unwrap_or_default();
                word(name, "-_.") && extras.split(',').all(|extra| word(extra, "-_."))
            }
            None => word(name, "-_."),
        },
        Manager::Cargo => word(name, "-_"),
        Manager::Gem | Manager::Nuget => word(name, "-_."),
        Manager::Go => parts[0].contains('.') && parts.iter().all(|part| word(part, "-_.~")),
        Manager::Composer => parts.len() == 2 && parts.iter().all(|part| word(part, "-_.")),
        Manager::Oci => parts.iter().all(|part| word(part, "-_.:")),
        Manager::Github => parts.len() == 2 && parts.iter().all(|part| word(part, "-_.")),
        Manager::Mcpb => !name.contains("://") || name.starts_with("https://") || name.starts_with("http://"),
        Manager::Git => {
            let known = ["https://", "http://", "ssh://", "git://", "file://"];
            known.iter().any(|scheme| name.len() > scheme.len() && name.starts_with(scheme))
        }
    }
}

/// A reference of that manager, as a hint shows it.
fn example(manager: Manager) -> &'static str {
    match manager {
        Manager::Npm => "npm:@scope/name or npm:name@1.2.3",
        Manager::Pypi => "pypi:name or pypi:name==1.2",
        Manager::Cargo => "cargo:name or cargo:name@1.2.3",
        Manager::Go => "go:example.com/module/command@v1.2.3",
        Manager::Gem => "gem:name or gem:name@1.2",
        Manager::Composer => "composer:vendor/name or composer:vendor/name@1.2",
        Manager::Nuget => "nuget:Name or nuget:Name@1.2.3",
        Manager::Oci => "oci:registry/name:tag or oci:registry/name@sha256:...",
        Manager::Mcpb => "mcpb:file.mcpb or mcpb:https://example.com/file.mcpb#sha256=...",
        Manager::Github => "github:owner/repository or github:owner/repository@v1.2",
        Manager::Git => "git:https://example.com/repository.git@v1.2",
    }
}

/// A bare word could be anything; guessing would install a stranger's code.
fn bare(text: &str) -> Error {
    let error = Error::new(&codes::VALUE_INVALID, format!("`{text}` does not say whose package it is"));
    if text.ends_with(".mcpb") {
        return error.hint(format!("umcp install mcpb:{text}"));
    }
    let words: Vec<&str> = Manager::ALL.iter().map(|manager| manager.word()).collect();
    let error = error.hint(format!("umcp install npm:{text}"));
    match text.starts_with('@') {
        true => error,
        false => {
            error.hint(format!("umcp install pypi:{text}")).hint(format!("known are {}", words.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_and_written() {
        for (text, name, version) in [
            ("npm:is-odd", "is-odd", None),
            ("npm:@scope/name@1.2.3", "@scope/name", Some("1.2.3")),
            ("npm:@scope/name", "@scope/name", None),
            ("npm:name@^1", "name", Some("^1")),
            ("pypi:mcp-server-git==2.0", "mcp-server-git", Some("2.0")),
            ("pypi:a[b,c]>=1,<2", "a[b,c]", Some(">=1,<2")),
            ("cargo:ripgrep@14.1.0", "ripgrep", Some("14.1.0")),
            ("go:example.com/x/cmd/y@v1.0.0", "example.com/x/cmd/y", Some("v1.0.0")),
            ("gem:rake@13.0", "rake", Some("13.0")),
            ("composer:a/b@1.0", "a/b", Some("1.0")),
            ("nuget:A.B@1.0.0-rc.1", "A.B", Some("1.0.0-rc.1")),
            ("oci:host:5000/a/b:tag", "host:5000/a/b", Some("tag")),
            ("oci:a/b@sha256:00ff", "a/b", Some("sha256:00ff")),
            ("oci:host:5000/a", "host:5000/a", None),
            ("mcpb:./my bundle@2.mcpb", "./my bundle@2.mcpb", None),
            ("github:owner/repo@main", "owner/repo", Some("main")),
            ("git:file:///srv/a.git@v1", "file:///srv/a.git", Some("v1")),
            ("git:ssh://git@host/a.git", "ssh://git@host/a.git", None),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.name.as_str(), reference.version.as_deref()), (name, version), "{text}");
            assert_eq!(reference.to_string(), text);
        }
        let same: Reference = "pypi:a@1.0".parse().unwrap();
        assert_eq!(same.to_string(), "pypi:a==1.0");
        let hash = "ab".repeat(32);
        let bundle: Reference = format!("mcpb:https://h/x.mcpb#sha256={hash}").parse().unwrap();
        assert_eq!((bundle.name.as_str(), bundle.sha256), ("https://h/x.mcpb", Some(hash)));
    }

    #[test]
    fn what_could_be_an_option_or_another_path_is_refused() {
        for text in [
            "npm:",
            "npm:--version",
            "npm:a b",
            "npm:../x",
            "npm:@a/../b",
            "npm:@a",
            "npm:a@",
            "npm:a@-g",
            "npm:a\u{202e}b",
            "npm:a\u{200b}",
            "npm:https://x/y.tgz",
            "pypi:a;b",
            "pypi:a[b",
            "pypi:git+https://x",
            "cargo:a/b",
            "go:local",
            "composer:a",
            "oci:../a",
            "github:a",
            "github:a/../b",
            "git:/etc",
            "git:ext::sh -c x",
            "mcpb:ftp://x/y",
            "mcpb:x#sha256=00",
        ] {
            let error = text.parse::<Reference>().unwrap_err();
            assert!(error.is(&codes::VALUE_INVALID), "{text}: {error}");
        }
        assert_eq!("time".parse::<Reference>().unwrap_err().hints[0], "umcp install npm:time");
        assert_eq!("x.mcpb".parse::<Reference>().unwrap_err().hints, ["umcp install mcpb:x.mcpb"]);
    }

    #[test]
    fn a_folder_is_one_plain_word_and_no_other_packages() {
        let folder = |text: &str| text.parse::<Reference>().unwrap().folder();
        assert_eq!(folder("npm:is-odd@1"), "is-odd");
        assert_ne!(folder("npm:@a/b"), folder("npm:a_b"));
        assert_ne!(folder("npm:@a/b"), folder("npm:@a/c"));
        for text in ["npm:@a/b", "git:file:///srv/../a.git", "mcpb:../../x.mcpb", "mcpb:.."] {
            let word = folder(text);
            assert!(!word.contains(['/', '\\']) && !word.starts_with('.'), "{text}: {word}");
        }
    }
}
