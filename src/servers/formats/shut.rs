//! The field `sandbox` of a server in umcp's own files: words and sizes as people write them.
//! What they mean stands in `crate::sandbox`.

use crate::documents::near;
use crate::error::{Error, Result, codes};
use crate::sandbox::{Base, Guard, Net, Sandbox};
use serde::{Deserialize, Serialize};

/// Everything may be left out.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    read: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    write: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    net: Option<Words>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    require: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<String>,
}

/// One word, or several.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected `any`, `none` or ports")]
enum Words {
    One(String),
    Port(u16),
    Ports(Vec<u16>),
    Several(Vec<String>),
}

impl TryFrom<Entry> for Sandbox {
    type Error = Error;

    fn try_from(entry: Entry) -> Result<Self> {
        let net = entry.net.map(|words| match words {
            Words::One(word) => vec![word],
            Words::Port(port) => vec![port.to_string()],
            Words::Ports(ports) => ports.iter().map(ToString::to_string).collect(),
            Words::Several(words) => words,
        });
        Ok(Self {
            profile: entry.profile.as_deref().map(profile).transpose()?,
            read: entry.read,
            write: entry.write,
            net: net.map(|words| Net::parse(&words)).transpose()?,
            require: entry.require.iter().map(|word| guard(word)).collect::<Result<_>>()?,
            memory: entry.memory.as_deref().map(parse_size).transpose()?,
            processes: entry.processes,
            disk: entry.disk.as_deref().map(parse_size).transpose()?,
        })
    }
}

impl From<&Sandbox> for Entry {
    fn from(sandbox: &Sandbox) -> Self {
        let net = sandbox.net.as_ref().map(Net::words).map(|mut words| match words.len() {
            1 => Words::One(words.remove(0)),
            _ => Words::Several(words),
        });
        Self {
            profile: sandbox.profile.map(|base| base.word().into()),
            read: sandbox.read.clone(),
            write: sandbox.write.clone(),
            net,
            require: sandbox.require.iter().map(|guard| guard.word().into()).collect(),
            memory: sandbox.memory.map(write_size),
            processes: sandbox.processes,
            disk: sandbox.disk.map(write_size),
        }
    }
}

/// Reads the word of a profile.
pub fn profile(word: &str) -> Result<Base> {
    let all = [Base::Off, Base::Default, Base::Strict];
    let found = all.into_iter().find(|base| base.word() == word);
    found.ok_or_else(|| unknown(word, "profile of sandboxes", Base::WORDS))
}

/// Reads the word of a guard.
pub fn guard(word: &str) -> Result<Guard> {
    let found = Guard::ALL.iter().find(|guard| guard.word() == word);
    let words: Vec<&str> = Guard::ALL.iter().map(|guard| guard.word()).collect();
    found.copied().ok_or_else(|| unknown(word, "guard", &words))
}

fn unknown(word: &str, what: &str, known: &[&str]) -> Error {
    let error = Error::new(&codes::VALUE_INVALID, format!("there is no {what} named `{word}`"));
    match near(word, known.iter().copied()) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint(format!("choose from {}", known.join(", "))),
    }
}

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Bytes of a size such as `512MiB`; a bare number counts bytes.
pub fn parse_size(text: &str) -> Result<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[digits..].trim() {
        "" => Some(1),
        word => UNITS.iter().find(|(name, _)| *name == word).map(|(_, bytes)| *bytes),
    };
    let number = text[..digits].parse::<u64>().ok();
    number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit)).ok_or_else(|| {
        Error::new(&codes::VALUE_INVALID, format!("`{text}` is not a size")).hint("write 512MiB or 2GiB")
    })
}

/// A size in the largest unit that says it whole.
pub fn write_size(bytes: u64) -> String {
    let (name, unit) =
        UNITS.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit)).unwrap_or(&("B", 1));
    format!("{}{name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, bytes, written) in [
            ("512MiB", 512 << 20, "512MiB"),
            ("1024", 1024, "1KiB"),
            ("0", 0, "0B"),
            ("2 GiB", 2 << 30, "2GiB"),
        ] {
            assert_eq!(parse_size(text).unwrap(), bytes);
            assert_eq!(write_size(bytes), written);
        }
        for text in ["", "MiB", "1MB", "-1", "99999999999GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_and_a_sandbox_say_the_same() {
        let sandbox = Sandbox {
            profile: Some(Base::Strict),
            read: vec!["/a".into()],
            write: vec!["~/b".into()],
            net: Some(Net::Ports(vec![80, 443])),
            require: vec![Guard::Files],
            memory: Some(1 << 20),
            processes: Some(3),
            disk: Some(0),
        };
        for sandbox in [sandbox.clone(), Sandbox { net: Some(Net::None), ..sandbox }, Sandbox::default()] {
            assert_eq!(Sandbox::try_from(Entry::from(&sandbox)).unwrap(), sandbox);
        }
        let wrong = |entry: Entry| Sandbox::try_from(entry).unwrap_err();
        let error = wrong(Entry { profile: Some("strickt".into()), ..Entry::default() });
        assert_eq!(error.message, "there is no profile of sandboxes named `strickt`");
        assert_eq!(error.hints, ["did you mean `strict`?"]);
        assert!(wrong(Entry { require: vec!["x".into()], ..Entry::default() }).is(&codes::VALUE_INVALID));
    }
}
