//! The manifest of a skill: every file with its digest, signed by its publisher. A file that was changed, that is
//! missing or that the manifest does not name is refused. Pure: files come as bytes, keys as values.

use super::is_name;
use super::model::{File, Publisher, Signer};
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::sealing::minisign::{PublicKey, SigningKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The manifest's file, and its signature's.
pub const MANIFEST: &str = "umcp-bundle.json";
pub const SIGNATURE: &str = "umcp-bundle.json.minisig";
/// Most files of a skill, and most bytes of all of them.
pub const MAX_FILES: usize = 1000;
pub const MAX_BYTES: u64 = 64 << 20;
const FORMAT: u32 = 1;

/// The bytes of a file, and whether somebody may run it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub executable: bool,
}

/// All files of a skill by their path below its folder, with `/`.
pub type Files = BTreeMap<String, Content>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    name: String,
    version: String,
    publisher: String,
    /// The public key's line; whether it counts is decided by whoever installs.
    key: String,
    files: Vec<File>,
}

/// What a signature says, once it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub publisher: String,
    pub key: PublicKey,
}

impl Signed {
    pub fn signer(&self) -> Signer {
        Signer { publisher: self.publisher.clone(), key: self.key.id() }
    }
}

/// The list of files, in order; the manifest and its signature are no part of it.
pub fn list(files: &Files) -> Vec<File> {
    let own = |path: &String| path != MANIFEST && path != SIGNATURE;
    let file = |(path, content): (&String, &Content)| File {
        path: path.clone(),
        size: content.bytes.len() as u64,
        sha256: ids::digest(&content.bytes),
        executable: content.executable,
    };
    files.iter().filter(|(path, _)| own(path)).map(file).collect()
}

/// SHA-256 over a list of files.
pub fn digest(files: &[File]) -> String {
    let line =
        |file: &File| format!("{} {} {}\n", file.sha256, if file.executable { 'x' } else { '-' }, file.path);
    ids::digest(files.iter().map(line).collect::<String>().as_bytes())
}

/// Refuses what a skill has no need of: too many files, too many bytes, names that differ between systems.
pub fn check_bounds(files: &Files) -> Result<()> {
    let total: u64 = files.values().map(|content| content.bytes.len() as u64).sum();
    if files.len() > MAX_FILES || total > MAX_BYTES {
        let message = format!("a skill has at most {MAX_FILES} files of {} MiB in all", MAX_BYTES >> 20);
        return Err(Error::new(&codes::SKILL_INVALID, message));
    }
    let mut seen = std::collections::BTreeSet::new();
    for path in files.keys() {
        crate::archive::check_name(path)?;
        if !seen.insert(path.to_lowercase()) {
            let message = format!("`{path}` is in it twice, for systems that do not tell letters apart");
            return Err(Error::new(&codes::SKILL_INVALID, message));
        }
    }
    Ok(())
}

/// The manifest of a skill and its signature, as files.
pub fn sign(
    files: &Files,
    name: &str,
    version: &str,
    publisher: &str,
    key: &SigningKey,
) -> Result<(String, String)> {
    if !is_name(publisher) {
        let message = format!("`{}` is no name of a publisher", publisher.escape_debug());
        return Err(Error::new(&codes::SIGNATURE_INVALID, message)
            .hint("lower-case letters, digits and single hyphens: --publisher acme"));
    }
    let manifest = Manifest {
        format: FORMAT,
        name: name.into(),
        version: version.into(),
        publisher: publisher.into(),
        key: key.public().line(),
        files: list(files),
    };
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| Error::bug("a manifest has only text keys").because(error))?;
    let text = format!("{text}\n");
    let signature = key.sign(text.as_bytes(), &comment(name, version))?;
    Ok((text, signature))
}

fn comment(name: &str, version: &str) -> String {
    format!("umcp skill {name} {version}")
}

/// Whether the manifest of a skill holds, and who signed it. `None` for one that has no manifest.
///
/// # Errors
/// `SIGNATURE_INVALID` names the file that was changed, is missing or is not named, or says what is wrong with the
/// signature. A manifest without a signature is worth nothing and refused.
pub fn verify(files: &Files, name: &str, version: &str) -> Result<Option<Signed>> {
    let (manifest, signature) = match (files.get(MANIFEST), files.get(SIGNATURE)) {
        (None, None) => return Ok(None),
        (Some(manifest), Some(signature)) => (manifest, signature),
        (Some(_), None) => return Err(refused(format!("`{MANIFEST}` is there without `{SIGNATURE}`"))),
        (None, Some(_)) => return Err(refused(format!("`{SIGNATURE}` is there without `{MANIFEST}`"))),
    };
    let read: Manifest = serde_json::from_slice(&manifest.bytes)
        .map_err(|error| refused(format!("`{MANIFEST}` is no manifest of a skill")).because(error))?;
    if read.format != FORMAT {
        return Err(refused(format!(
            "`{MANIFEST}` is of format {}, which this umcp does not know",
            read.format
        )));
    }
    if !is_name(&read.publisher) {
        return Err(refused("its publisher has no name"));
    }
    let key = PublicKey::read(&read.key)?;
    let signature = String::from_utf8_lossy(&signature.bytes);
    let said = key.verify(&manifest.bytes, &signature)?;
    if (read.name.as_str(), read.version.as_str()) != (name, version) || said != comment(name, version) {
        let signed =
            format!("it was signed as {} {}, and says it is {name} {version}", read.name, read.version);
        return Err(refused(signed));
    }
    compare(&read.files, &list(files)).map_err(refused)?;
    Ok(Some(Signed { publisher: read.publisher, key }))
}

/// The first difference between what should be there and what is.
pub fn compare(expected: &[File], found: &[File]) -> Result<(), String> {
    let by_path = |files: &[File]| -> BTreeMap<String, File> {
        files.iter().map(|file| (file.path.clone(), file.clone())).collect()
    };
    let (expected, found) = (by_path(expected), by_path(found));
    for (path, file) in &found {
        match expected.get(path) {
            None => return Err(format!("`{path}` is there and not named")),
            Some(known) if known.sha256 != file.sha256 => return Err(format!("`{path}` was changed")),
            Some(known) if known.executable != file.executable && cfg!(unix) => {
                return Err(format!("`{path}` has other permissions"));
            }
            Some(_) => {}
        }
    }
    match expected.keys().find(|path| !found.contains_key(*path)) {
        Some(path) => Err(format!("`{path}` is missing")),
        None => Ok(()),
    }
}

/// Whether a signature counts, given whom its publisher was before and who signed the skill before.
///
/// # Errors
/// `PUBLISHER_CHANGED`: another key, or none where there was one.
pub fn trusted(
    name: &str,
    signed: Option<&Signed>,
    known: Option<&Publisher>,
    before: Option<&Signer>,
    allow_unsigned: bool,
) -> Result<()> {
    let changed = |message: String| Error::new(&codes::PUBLISHER_CHANGED, message);
    if let (Some(signed), Some(known)) = (signed, known)
        && signed.key.line() != known.key
    {
        let message = format!(
            "`{name}` is signed as {} with the key {}, and {} is known by the key {}",
            signed.publisher,
            signed.key.id(),
            known.name,
            known.id
        );
        return Err(
            changed(message).hint(format!("umcp skill trust forget {}    # if it is true", known.name))
        );
    }
    match (signed, before) {
        (None, Some(before)) if !allow_unsigned => {
            let message =
                format!("`{name}` was signed by {} until now, and this one is not signed", before.publisher);
            Err(changed(message).hint("give --allow-unsigned if you know why"))
        }
        (Some(signed), Some(before)) if signed.publisher != before.publisher && !allow_unsigned => {
            let message = format!(
                "`{name}` was signed by {} until now, and this one by {}",
                before.publisher, signed.publisher
            );
            Err(changed(message).hint(format!("umcp skill uninstall {name}    # and install it anew")))
        }
        _ => Ok(()),
    }
}

fn refused(why: impl Into<String>) -> Error {
    Error::new(&codes::SIGNATURE_INVALID, format!("the skill is not taken: {}", why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn files(pairs: &[(&str, &str)]) -> Files {
        let content = |text: &str| Content { bytes: text.into(), executable: false };
        pairs.iter().map(|(path, text)| (path.to_string(), content(text))).collect()
    }

    fn signed(key: &SigningKey) -> Files {
        let mut files = files(&[("SKILL.md", "text"), ("scripts/run", "x")]);
        let (manifest, signature) = sign(&files, "greet", "1.0.0", "acme", key).unwrap();
        files.insert(MANIFEST.into(), Content { bytes: manifest.into(), executable: false });
        files.insert(SIGNATURE.into(), Content { bytes: signature.into(), executable: false });
        files
    }

    #[test]
    fn a_signature_holds_for_exactly_these_files() {
        let key = SigningKey::generate().unwrap();
        let good = signed(&key);
        let found = verify(&good, "greet", "1.0.0").unwrap().unwrap();
        assert_eq!(found.signer(), Signer { publisher: "acme".into(), key: key.public().id() });
        assert_eq!(verify(&files(&[("SKILL.md", "x")]), "greet", "1.0.0").unwrap(), None);
        type Change = fn(&mut Files);
        let changes: [(Change, &str); 7] = [
            (|files| files.get_mut("SKILL.md").unwrap().bytes.push(b'!'), "`SKILL.md` was changed"),
            (|files| drop(files.insert("more".into(), Content::default())), "`more` is there and not named"),
            (|files| drop(files.remove("scripts/run")), "`scripts/run` is missing"),
            (|files| files.get_mut("scripts/run").unwrap().executable = true, "has other permissions"),
            (|files| drop(files.remove(SIGNATURE)), "is there without"),
            (|files| drop(files.remove(MANIFEST)), "is there without"),
            (|files| files.get_mut(MANIFEST).unwrap().bytes.push(b' '), "does not fit"),
        ];
        for (change, why) in changes {
            let mut files = good.clone();
            change(&mut files);
            let error = verify(&files, "greet", "1.0.0").unwrap_err();
            assert!(error.message.contains(why), "{why}: {error}");
        }
        assert!(
            verify(&good, "greet", "1.0.1").unwrap_err().message.contains("it was signed as greet 1.0.0")
        );
        assert!(verify(&good, "other", "1.0.0").is_err());
    }

    #[test]
    fn the_first_key_of_a_publisher_counts() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let of =
            |key: &SigningKey, publisher: &str| Signed { publisher: publisher.into(), key: key.public() };
        let known = Publisher {
            name: "acme".into(),
            key: key.public().line(),
            id: key.public().id(),
            since: Timestamp(0),
            source: String::new(),
        };
        let before = of(&key, "acme").signer();
        let decide =
            |signed: Option<Signed>, known: Option<&Publisher>, before: Option<&Signer>, allow: bool| {
                trusted("greet", signed.as_ref(), known, before, allow).err().map(|error| error.code.code)
            };
        let changed = Some(codes::PUBLISHER_CHANGED.code);
        assert_eq!(decide(Some(of(&key, "acme")), None, None, false), None);
        assert_eq!(decide(Some(of(&key, "acme")), Some(&known), Some(&before), false), None);
        assert_eq!(decide(Some(of(&other, "acme")), Some(&known), None, false), changed);
        assert_eq!(decide(Some(of(&other, "acme")), Some(&known), None, true), changed);
        assert_eq!(decide(Some(of(&other, "evil")), None, Some(&before), false), changed);
        assert_eq!(decide(None, None, Some(&before), false), changed);
        assert_eq!(decide(None, None, Some(&before), true), None);
        assert_eq!(decide(None, None, None, false), None);
    }

    #[test]
    fn what_a_skill_has_no_need_of_is_refused() {
        for (pairs, why) in [
            (&[("../x", "")][..], "leads elsewhere"),
            (&[("a", ""), ("A", "")], "twice"),
            (&[("C:x", "")], "not relative"),
        ] {
            assert!(check_bounds(&files(pairs)).unwrap_err().message.contains(why), "{why}");
        }
        let many: Files = (0..=MAX_FILES).map(|number| (number.to_string(), Content::default())).collect();
        assert!(check_bounds(&many).is_err());
    }
}
