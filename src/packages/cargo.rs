//! What Cargo writes and reads: the manifest of an empty package that needs one crate, and the lock file made for it. Pure.

use super::model::Resolved;
use super::reference::Reference;
use crate::error::{Error, Result, codes};

/// The `Cargo.toml` by which a crate is resolved.
pub fn manifest(reference: &Reference) -> Result<String> {
    let wanted = reference.version.as_deref().unwrap_or("*");
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-+^~*<>=,".contains(c);
    if !wanted.chars().all(plain) {
        let message = format!("`{wanted}` is no version of a crate");
        return Err(
            Error::new(&codes::VALUE_INVALID, message).hint(format!("cargo:{}@1.2.3", reference.name))
        );
    }
    // A whole version means that one, where Cargo would take a newer one that fits.
    let is_whole = wanted.starts_with(|c: char| c.is_ascii_digit()) && wanted.split('.').count() >= 3;
    let sign = if is_whole { "=" } else { "" };
    Ok(format!(
        "[package]\nname = \"umcp-package\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[lib]\npath = \"lib.rs\"\n\n\
         [dependencies]\n{} = \"{sign}{wanted}\"\n",
        reference.name
    ))
}

/// Reads the `Cargo.lock` that was made for it.
pub fn resolved(reference: &Reference, lock: &str) -> Result<Resolved> {
    let name = normal(&reference.name);
    let blocks: Vec<&str> = lock.split("[[package]]").skip(1).collect();
    let field = |block: &str, field: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(" = \""))?;
        line.strip_suffix('"').map(String::from)
    };
    // What the empty package needs: of a crate that is in it twice, that one.
    let own = blocks.iter().find(|block| field(block, "name").is_some_and(|name| name == "umcp-package"));
    let needs = own.and_then(|block| block.split_once("dependencies = [")).map_or("", |(_, needs)| needs);
    let exact = needs.lines().find_map(|line| {
        let (needed, version) = line.trim().trim_matches([',', '"']).split_once(' ')?;
        (normal(needed) == name).then(|| version.to_string())
    });
    let is_it = |block: &&&str| {
        field(block, "name").is_some_and(|it| normal(&it) == name)
            && exact.as_ref().is_none_or(|exact| field(block, "version").as_ref() == Some(exact))
    };
    let found = blocks
        .iter()
        .find(is_it)
        .and_then(|block| Some((field(block, "name")?, field(block, "version")?, field(block, "checksum")?)));
    let Some((name, version, checksum)) = found else {
        let message = format!("cargo gives no digest of `{reference}`, so it cannot be pinned");
        return Err(Error::new(&codes::PACKAGE_INVALID, message));
    };
    Ok(Resolved {
        pins: format!("{name} {version} {checksum}\n"),
        recipe: vec![format!("cargo {}", install(&name, &version).join(" "))],
        digest: format!("sha256:{checksum}"),
        dependencies: 0,
        scripted: Vec::new(),
        published: None,
        version,
    })
}

/// The words that install exactly this version into the folder one is in.
pub fn install(name: &str, version: &str) -> Vec<String> {
    let words = ["install", "--locked", "--root", ".", "--version"];
    let words = words.iter().map(ToString::to_string);
    words.chain([format!("={version}"), "--".into(), name.into()]).collect()
}

/// The index takes both signs for one.
fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"version = 4

[[package]]
name = "mcp-thing"
version = "0.9.0"
source = "registry+https://example.com/index"
checksum = "aa"

[[package]]
name = "mcp-thing"
version = "1.2.3"
source = "registry+https://example.com/index"
checksum = "bb"
dependencies = [
 "mcp-thing 0.9.0",
]

[[package]]
name = "umcp-package"
version = "0.0.0"
dependencies = [
 "mcp-thing 1.2.3",
]
"#;

    #[test]
    fn a_lock_file_tells_version_and_digest() {
        let found = resolved(&"cargo:mcp_thing".parse().unwrap(), LOCK).unwrap();
        assert_eq!((found.version.as_str(), found.digest.as_str()), ("1.2.3", "sha256:bb"));
        assert_eq!(found.pins, "mcp-thing 1.2.3 bb\n");
        assert_eq!(found.recipe, ["cargo install --locked --root . --version =1.2.3 -- mcp-thing"]);
        assert!(resolved(&"cargo:other".parse().unwrap(), LOCK).is_err());
    }

    #[test]
    fn a_version_is_asked_for_as_it_was_meant() {
        for (reference, expected) in [
            ("cargo:a", Some("a = \"*\"")),
            ("cargo:a@1.2", Some("a = \"1.2\"")),
            ("cargo:a@1.2.3", Some("a = \"=1.2.3\"")),
            ("cargo:a@>=1,<2", Some("a = \">=1,<2\"")),
            ("cargo:a@1\"}", None),
        ] {
            let manifest = manifest(&reference.parse().unwrap()).ok();
            assert_eq!(manifest.as_deref().and_then(|text| text.lines().last()), expected, "{reference}");
        }
    }
}
