//! What RubyGems says: the list of what an installation would bring, and the files gems are kept in. Pure.

use super::model::Resolved;
use super::reference::Reference;
use crate::error::{Error, Result, codes};

/// One gem with the file it comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub name: String,
    pub version: String,
    /// `NAME-VERSION[-PLATFORM].gem`.
    pub file: String,
    /// In hex, lower case.
    pub sha256: String,
}

/// The gems that `gem install --explain` lists: name, version, file.
pub fn explained(answer: &str) -> Result<Vec<(String, String, String)>> {
    let gems: Vec<_> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .map(|full| split(full.trim()).ok_or_else(|| odd(full)))
        .collect::<Result<_>>()?;
    if gems.is_empty() { Err(odd("its list of gems")) } else { Ok(gems) }
}

/// `NAME-VERSION[-PLATFORM]`: names and platforms may hold signs of versions, but versions nearly always hold a dot.
fn split(full: &str) -> Option<(String, String, String)> {
    let parts: Vec<&str> = full.split('-').collect();
    let begins = |part: &&str| part.starts_with(|c: char| c.is_ascii_digit());
    let dotted = parts.iter().skip(1).position(|part| begins(part) && part.contains('.'));
    let at = 1 + dotted.or_else(|| parts.iter().skip(1).position(begins))?;
    let (name, version) = (parts[..at].join("-"), parts[at].to_string());
    let plain = |word: &str| {
        !word.is_empty()
            && !word.starts_with(['-', '.'])
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    [name.as_str(), &version, full]
        .iter()
        .all(|word| plain(word))
        .then(|| (name, version, format!("{full}.gem")))
}

/// What is known when every gem was fetched.
pub fn resolved(reference: &Reference, gems: &[Pin]) -> Result<Resolved> {
    let Some(main) = gems.iter().find(|gem| gem.name == reference.name) else {
        return Err(odd("its list of gems"));
    };
    let mut gems: Vec<&Pin> = gems.iter().collect();
    gems.sort_by(|a, b| a.file.cmp(&b.file));
    let (first, last) = (install(&["FILES".into()], false), install(std::slice::from_ref(&main.file), true));
    let line = |words: &[String]| format!("gem {}", words.join(" "));
    let mut recipe = vec![line(&last)];
    if gems.len() > 1 {
        recipe.insert(0, line(&first));
    }
    Ok(Resolved {
        version: main.version.clone(),
        digest: format!("sha256:{}", main.sha256),
        pins: gems
            .iter()
            .map(|gem| format!("{} {} {} {}\n", gem.name, gem.version, gem.file, gem.sha256))
            .collect(),
        dependencies: gems.len() - 1,
        scripted: Vec::new(),
        recipe,
        published: None,
    })
}

/// The words that install fetched files; the programs of the wanted gem alone lie in `bin`.
pub fn install(files: &[String], is_wanted: bool) -> Vec<String> {
    let fixed = ["install", "--local", "--ignore-dependencies", "--no-document", "--install-dir", "gems"];
    let programs = if is_wanted { "bin" } else { "gems/bin" };
    let words = fixed.into_iter().chain(["--bindir", programs]).map(String::from);
    words.chain(files.iter().cloned()).collect()
}

/// Reads pins, which hold nothing but gems with their digests.
pub fn read(pins: &str) -> Result<Vec<Pin>> {
    let pin = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, version, file, sha256] = words[..] else { return None };
        let (named, numbered, whole) = split(file.strip_suffix(".gem")?)?;
        let is_hash = sha256.len() == 64 && sha256.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        (named == name && numbered == version && whole == file && is_hash).then(|| Pin {
            name: named,
            version: numbered,
            file: whole,
            sha256: sha256.into(),
        })
    };
    let read = |line: &str| {
        let message = format!("`{line}` is not a gem with its digest");
        pin(line).ok_or_else(|| Error::new(&codes::PACKAGE_INVALID, message))
    };
    pins.lines().map(read).collect()
}

/// Whether pins hold this version of a gem with this digest.
pub fn holds(reference: &Reference, version: &str, digest: &str, pins: &str) -> bool {
    let is_it = |gem: &Pin| {
        gem.name == reference.name && gem.version == version && digest == format!("sha256:{}", gem.sha256)
    };
    read(pins).is_ok_and(|gems| gems.iter().any(is_it))
}

fn odd(what: &str) -> Error {
    Error::new(&codes::PACKAGE_INVALID, format!("gem wrote `{what}` in a form umcp does not know"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_gems_is_taken_apart() {
        let found =
            explained("Gems to install:\n  mini-2-x-1.0.0\n  nokogiri-1.15.0.rc1-arm64-darwin-22\n  one-3\n")
                .unwrap();
        let names: Vec<(&str, &str, &str)> =
            found.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
        assert_eq!(
            names,
            [
                ("mini-2-x", "1.0.0", "mini-2-x-1.0.0.gem"),
                ("nokogiri", "1.15.0.rc1", "nokogiri-1.15.0.rc1-arm64-darwin-22.gem"),
                ("one", "3", "one-3.gem"),
            ]
        );
        for bad in ["", "Gems to install:\n  nothing\n", "  ../x-1.0\n", "  -x-1.0\n"] {
            assert!(explained(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn gems_are_pinned_by_their_files() {
        let pin = |name: &str, version: &str, digit: &str| Pin {
            name: name.into(),
            version: version.into(),
            file: format!("{name}-{version}.gem"),
            sha256: digit.repeat(64),
        };
        let reference: Reference = "gem:notes".parse().unwrap();
        let found = resolved(&reference, &[pin("notes", "1.0", "a"), pin("dep", "2.0", "b")]).unwrap();
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        assert_eq!((found.version.as_str(), found.digest), ("1.0", format!("sha256:{a}")));
        assert_eq!(found.pins, format!("dep 2.0 dep-2.0.gem {b}\nnotes 1.0 notes-1.0.gem {a}\n"));
        let fixed = "gem install --local --ignore-dependencies --no-document --install-dir gems";
        assert_eq!(
            found.recipe,
            [format!("{fixed} --bindir gems/bin FILES"), format!("{fixed} --bindir bin notes-1.0.gem")]
        );
        assert!(holds(&reference, "1.0", &format!("sha256:{a}"), &found.pins));
        assert!(!holds(&reference, "1.0", &format!("sha256:{b}"), &found.pins));
        assert!(resolved(&"gem:other".parse().unwrap(), &[pin("notes", "1.0", "a")]).is_err());
        for bad in [
            "notes 1.0 notes-1.0.gem 00\n".to_string(),
            format!("notes 1.0 ../notes-1.0.gem {a}\n"),
            format!("notes 1.0 notes-1.1.gem {a}\n"),
            format!("--x 1.0 --x-1.0.gem {a}\n"),
            format!("notes 1.0 notes-1.0.gem {a} --source=x\n"),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
