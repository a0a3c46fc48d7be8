//! What Go writes and reads: `go.mod` and `go.sum` of an empty module that needs one program. Pure.
//! Rule: pins are versions and digests alone; nothing in them leads to another place or runs another compiler.

use super::model::Resolved;
use super::reference::Reference;
use crate::error::{Error, Result, codes};

/// The `go.mod` of an empty module into which a program is resolved.
pub const EMPTY: &str = "module umcp-package\n";

/// The words that tell which module a package is of, and whether it is a program.
pub fn list(package: &str) -> Vec<String> {
    let form = "{{.Name}} {{.Module.Path}} {{.Module.Version}}";
    ["list", "-mod=readonly", "-f", form, "--", package].map(String::from).into()
}

/// The words that bring every package a program needs.
pub fn fetch(package: &str) -> Vec<String> {
    ["list", "-mod=readonly", "-deps", "--", package].map(String::from).into()
}

/// The words that build a program out of exactly what is pinned.
pub fn install(package: &str) -> Vec<String> {
    ["install", "-mod=readonly", "-trimpath", "--", package].map(String::from).into()
}

/// Reads `go.mod` and `go.sum` after `go get`, and the answer to [`list`].
pub fn resolved(reference: &Reference, listed: &str, manifest: &str, sums: &str) -> Result<Resolved> {
    let words: Vec<&str> = listed.split_whitespace().collect();
    let [kind, module, version] = words[..] else { return Err(odd("its list of packages")) };
    if kind != "main" {
        let message = format!("`{reference}` is a library, not a program");
        return Err(Error::new(&codes::PACKAGE_INVALID, message)
            .hint("name the package of its command: go:MODULE/cmd/NAME"));
    }
    let own = format!("{module} {version} ");
    let Some(digest) = sums.lines().find_map(|line| line.strip_prefix(&own)) else {
        let message = format!("go gives no digest of `{reference}`, so it cannot be pinned");
        return Err(Error::new(&codes::PACKAGE_INVALID, message));
    };
    let mut lines = vec![format!("module {module} {version}")];
    lines.extend(manifest.lines().filter_map(|line| line.strip_prefix("go ")).map(|it| format!("go {it}")));
    let needs = requirements(manifest);
    lines.extend(needs.iter().map(|(path, version)| format!("require {path} {version}")));
    lines.extend(sums.lines().map(|line| format!("sum {line}")));
    let pins: String = lines.iter().map(|line| format!("{line}\n")).collect();
    files(&pins)?;
    Ok(Resolved {
        version: version.into(),
        digest: digest.into(),
        dependencies: needs.len().saturating_sub(1),
        scripted: Vec::new(),
        recipe: vec![format!("GOBIN=./bin go {}", install(&reference.name).join(" "))],
        published: None,
        pins,
    })
}

/// The versions a `go.mod` asks for.
fn requirements(manifest: &str) -> Vec<(String, String)> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let wanted = match line {
            "require (" => {
                inside = true;
                continue;
            }
            ")" => {
                inside = false;
                continue;
            }
            line if inside => Some(line),
            line => line.strip_prefix("require "),
        };
        let words = wanted.map(|wanted| wanted.split_whitespace().collect::<Vec<_>>()).unwrap_or_default();
        if let [path, version] = words[..] {
            found.push((path.to_string(), version.to_string()));
        }
    }
    found
}

/// `go.mod` and `go.sum` made of pins.
pub fn files(pins: &str) -> Result<(String, String)> {
    let (mut manifest, mut sums) = (EMPTY.to_string(), String::new());
    let plain = |word: &str| {
        !word.is_empty()
            && !word.starts_with('-')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~/+!=".contains(c))
    };
    for line in pins.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let is_good = match words[..] {
            ["go", version] => {
                manifest.push_str(&format!("\ngo {version}\n\n"));
                version.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
            }
            ["require", path, version] => {
                manifest.push_str(&format!("require {path} {version}\n"));
                plain(path) && path.contains('.') && version.starts_with('v') && plain(version)
            }
            ["sum", path, version, hash] => {
                sums.push_str(&format!("{path} {version} {hash}\n"));
                plain(path) && plain(version) && hash.strip_prefix("h1:").is_some_and(plain)
            }
            ["module", path, version] => plain(path) && plain(version),
            _ => false,
        };
        if !is_good {
            return Err(Error::new(
                &codes::PACKAGE_INVALID,
                format!("`{line}` is not a version with its digest"),
            ));
        }
    }
    Ok((manifest, sums))
}

/// Whether pins hold this version of the module with this digest.
pub fn holds(reference: &Reference, version: &str, digest: &str, pins: &str) -> bool {
    let first = pins.lines().next().and_then(|line| line.strip_prefix("module ")).unwrap_or_default();
    let Some(module) = first.strip_suffix(&format!(" {version}")) else { return false };
    let is_in = reference.name == module || reference.name.starts_with(&format!("{module}/"));
    is_in && pins.lines().any(|line| line == format!("sum {module} {version} {digest}"))
}

fn odd(what: &str) -> Error {
    Error::new(&codes::PACKAGE_INVALID, format!("go wrote {what} in a form umcp does not know"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "module umcp-package\n\ngo 1.21.0\n\ntoolchain go1.22.1\n\nrequire example.com/a/n v1.2.3\n\n\
                            require (\n\texample.com/dep v0.1.0 // indirect\n)\n";
    const SUMS: &str = "example.com/a/n v1.2.3 h1:AA+/b=\nexample.com/a/n v1.2.3/go.mod h1:BB=\nexample.com/dep v0.1.0 h1:CC=\n";

    #[test]
    fn a_module_is_pinned_with_all_it_needs() {
        let reference: Reference = "go:example.com/a/n/cmd/mcp@latest".parse().unwrap();
        let found = resolved(&reference, "main example.com/a/n v1.2.3\n", MANIFEST, SUMS).unwrap();
        let pins = "module example.com/a/n v1.2.3\ngo 1.21.0\nrequire example.com/a/n v1.2.3\n\
                    require example.com/dep v0.1.0\nsum example.com/a/n v1.2.3 h1:AA+/b=\n\
                    sum example.com/a/n v1.2.3/go.mod h1:BB=\nsum example.com/dep v0.1.0 h1:CC=\n";
        assert_eq!(
            (found.version.as_str(), found.digest.as_str(), found.dependencies, found.pins.as_str()),
            ("v1.2.3", "h1:AA+/b=", 1, pins)
        );
        assert_eq!(
            found.recipe,
            ["GOBIN=./bin go install -mod=readonly -trimpath -- example.com/a/n/cmd/mcp"]
        );
        assert!(holds(&reference, "v1.2.3", "h1:AA+/b=", pins));
        for (version, digest) in [("v1.2.4", "h1:AA+/b="), ("v1.2.3", "h1:CC="), ("v1.2.3", "h1:BB=")] {
            assert!(!holds(&reference, version, digest, pins), "{version} {digest}");
        }
        assert!(!holds(&"go:example.com/a/no".parse().unwrap(), "v1.2.3", "h1:AA+/b=", pins));
        let (manifest, sums) = files(pins).unwrap();
        assert_eq!(
            manifest,
            "module umcp-package\n\ngo 1.21.0\n\nrequire example.com/a/n v1.2.3\nrequire example.com/dep v0.1.0\n"
        );
        assert_eq!(sums, SUMS);
    }

    #[test]
    fn a_library_and_a_module_without_digest_are_refused() {
        let reference: Reference = "go:example.com/a/n".parse().unwrap();
        let library = resolved(&reference, "n example.com/a/n v1.2.3\n", MANIFEST, SUMS).unwrap_err();
        assert!(library.message.contains("is a library"), "{library}");
        let bare = resolved(&reference, "main example.com/a/n v1.2.3\n", MANIFEST, "").unwrap_err();
        assert!(bare.message.contains("no digest"), "{bare}");
        assert!(resolved(&reference, "", MANIFEST, SUMS).is_err());
    }

    #[test]
    fn pins_lead_nowhere_else() {
        for line in [
            "replace example.com/a => ../a",
            "require example.com/a => /etc v1",
            "require a v1.0.0",
            "require example.com/a latest",
            "sum example.com/a v1.0.0 sha256:00",
            "go 1.21\ttoolchain",
            "toolchain go9",
            "",
        ] {
            assert!(files(&format!("{line}\n")).is_err(), "{line}");
        }
    }
}
