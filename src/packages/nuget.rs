//! Tools of NuGet: the words for `dotnet`, and the pin of a tool, which is one file with all it needs. Pure.

use super::model::Resolved;
use super::reference::Reference;
use crate::error::{Error, Result, codes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The words that install a tool into the folder one is in. A whole version means that one alone.
pub fn install(reference: &Reference) -> Vec<String> {
    let mut words = ["tool", "install", &reference.name, "--tool-path", "bin"].map(String::from).to_vec();
    if let Some(version) = &reference.version {
        let is_whole = version.starts_with(|c: char| c.is_ascii_digit()) && !version.contains(['*', ',']);
        let wanted = if is_whole { format!("[{version}]") } else { version.clone() };
        words.extend(["--version".into(), wanted]);
    }
    words
}

/// What is pinned: the version that was found, and the digest of its file.
pub fn resolved(reference: &Reference, version: &str, file: &[u8]) -> Resolved {
    let hash = ring::digest::digest(&ring::digest::SHA512, file);
    let digest = format!("sha512-{}", STANDARD.encode(hash));
    Resolved {
        version: version.into(),
        pins: format!("{} {version} {digest}\n", reference.name.to_ascii_lowercase()),
        recipe: vec![format!("dotnet {}", install(&reference.at(version)).join(" "))],
        dependencies: 0,
        scripted: Vec::new(),
        published: None,
        digest,
    }
}

/// Version and digest of pins.
pub fn read(reference: &Reference, pins: &str) -> Result<(String, String)> {
    let words: Vec<&str> = pins.trim_end().split(' ').collect();
    let plain = |word: &str| {
        !word.starts_with('-') && word.chars().all(|c| c.is_ascii_alphanumeric() || "-.+".contains(c))
    };
    match words[..] {
        [name, version, digest]
            if name.eq_ignore_ascii_case(&reference.name)
                && plain(version)
                && digest.starts_with("sha512-") =>
        {
            Ok((version.into(), digest.into()))
        }
        _ => Err(Error::new(&codes::PACKAGE_INVALID, "the pins of a tool are a version and its digest")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_asked_for_by_its_version_alone() {
        for (reference, expected) in [
            ("nuget:Acme.Notes", "tool install Acme.Notes --tool-path bin"),
            ("nuget:Acme.Notes@1.2.3-rc.1", "tool install Acme.Notes --tool-path bin --version [1.2.3-rc.1]"),
            ("nuget:Acme.Notes@1.*", "tool install Acme.Notes --tool-path bin --version 1.*"),
        ] {
            assert_eq!(install(&reference.parse().unwrap()).join(" "), expected, "{reference}");
        }
    }

    #[test]
    fn the_pin_is_the_digest_of_its_file() {
        let reference: Reference = "nuget:Acme.Notes".parse().unwrap();
        let found = resolved(&reference, "1.2.3", b"abc");
        // The SHA-512 of "abc" that FIPS 180 gives as an example.
        let digest =
            "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==";
        assert_eq!((found.digest.as_str(), found.pins), (digest, format!("acme.notes 1.2.3 {digest}\n")));
        let pins = format!("acme.notes 1.2.3 {digest}\n");
        assert_eq!(read(&reference, &pins).unwrap(), ("1.2.3".into(), digest.into()));
        for bad in ["", "other 1 sha512-x\n", "acme.notes --x sha512-x\n", "acme.notes 1 sha256-x\n"] {
            assert!(read(&reference, bad).is_err(), "{bad}");
        }
    }
}
