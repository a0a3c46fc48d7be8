//! Resolving the values of a server's entry: `${VAR}`, `${VAR:-default}`, `secret://NAME`, and `env://NAME`,
//! `file://PATH`, `cmd://PROGRAM ARGUMENTS`. Pure: where values come from is handed in. A missing value is an error
//! that names it, never an empty string; the values themselves stand in no error.

use crate::error::{Error, Result, codes};
use crate::sealing::{Secret, program};
use crate::servers::references::{OTHERS, SECRET, name_length};
use std::path::PathBuf;

/// Where values come from.
pub trait Sources {
    fn variable(&self, name: &str) -> Option<String>;

    /// `None`: no secret has that name.
    fn secret(&self, name: &str) -> Result<Option<Secret>>;

    fn file(&self, path: &str) -> Result<Secret>;

    fn command(&self, words: &[String]) -> Result<Secret>;
}

/// Resolves every reference in `text`. `place` names the value for the error, such as `env GITHUB_TOKEN`.
/// With `whole`, the text may be one of `env://`, `file://` and `cmd://` as it stands; arguments and URLs may not,
/// since `file://…` is an ordinary argument.
pub fn resolve(text: &str, place: &str, whole: bool, sources: &dyn Sources) -> Result<String> {
    if whole && OTHERS.iter().any(|scheme| text.starts_with(scheme)) {
        return reference(text, place, sources);
    }
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = next(rest) {
        resolved.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(named) = rest.strip_prefix(SECRET) {
            let name = &named[..name_length(named)];
            resolved.push_str(&secret(name, place, sources)?);
            rest = &named[name.len()..];
            continue;
        }
        let inner = &rest[2..];
        let Some(end) = inner.find('}') else { break };
        resolved.push_str(&reference(&inner[..end], place, sources)?);
        rest = &inner[end + 1..];
    }
    resolved.push_str(rest);
    Ok(resolved)
}

/// Where the next reference begins.
fn next(text: &str) -> Option<usize> {
    [text.find("${"), text.find(SECRET)].into_iter().flatten().min()
}

fn reference(inner: &str, place: &str, sources: &dyn Sources) -> Result<String> {
    if let Some(name) = inner.strip_prefix(SECRET).or_else(|| inner.strip_prefix("secret:")) {
        return secret(name, place, sources);
    }
    let told = |error: Error| Error { message: format!("{}, needed for {place}", error.message), ..error };
    if let Some(path) = inner.strip_prefix("file://") {
        let given = sources.file(path).map_err(told).map_err(|error| {
            error.hint(format!("to hand over the text itself, write it as `${{UNSET:-file://{path}}}`"))
        })?;
        return Ok(given.reveal().into());
    }
    if let Some(line) = inner.strip_prefix("cmd://") {
        let words = program::words(line).filter(|words| !words.is_empty()).ok_or_else(|| {
            Error::new(
                &codes::SECRET_SOURCE,
                format!("`cmd://` names no program, or a quote is open, in {place}"),
            )
        })?;
        return Ok(sources.command(&words).map_err(told)?.reveal().into());
    }
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let name = name.strip_prefix("env://").or_else(|| name.strip_prefix("env:")).unwrap_or(name);
    let value = sources.variable(name).filter(|value| default.is_none() || !value.is_empty());
    value.or_else(|| default.map(Into::into)).ok_or_else(|| {
        missing("variable", name, place).hint(format!(
            "set `{name}` in the environment umcp is started from, or a default: `${{{name}:-…}}`"
        ))
    })
}

fn secret(name: &str, place: &str, sources: &dyn Sources) -> Result<String> {
    match sources.secret(name)? {
        Some(secret) => Ok(secret.reveal().into()),
        None => Err(missing("secret", name, place).hint(format!("umcp secret set {name}"))),
    }
}

fn missing(what: &str, name: &str, place: &str) -> Error {
    Error::new(&codes::SECRET_MISSING, format!("the {what} `{name}`, needed for {place}, is not set"))
}

/// The places of this machine that a path after `file://` may name.
pub fn place(path: &str, home: &std::path::Path) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(below) => home.join(below),
        None => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Sources for Known {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "HOME").then(|| "/h".to_string())
        }

        fn secret(&self, name: &str) -> Result<Option<Secret>> {
            match name {
                "key" | "a/b.c" => Ok(Some(Secret::new("k1"))),
                "sealed" => Err(Error::new(&codes::VAULT_LOCKED, "the vault is locked: sealed")),
                _ => Ok(None),
            }
        }

        fn file(&self, path: &str) -> Result<Secret> {
            match path {
                "/k" => Ok(Secret::new("f1")),
                _ => Err(Error::new(&codes::SECRET_SOURCE, format!("no {path}"))),
            }
        }

        fn command(&self, words: &[String]) -> Result<Secret> {
            Ok(Secret::new(words.join("+")))
        }
    }

    #[test]
    fn references_are_resolved_or_named() {
        for (text, expected) in [
            ("plain $5", Ok("plain $5")),
            ("${HOME}/x${env:HOME}", Ok("/h/x/h")),
            ("${NONE:-d}e", Ok("de")),
            ("secret://key", Ok("k1")),
            ("Bearer secret://key", Ok("Bearer k1")),
            ("Bearer ${secret://key}", Ok("Bearer k1")),
            ("${secret:key}", Ok("k1")),
            ("https://x/?a=secret://a/b.c&b=secret://key.", Ok("https://x/?a=k1&b=k1.")),
            ("env://HOME", Ok("/h")),
            ("file:///k", Ok("f1")),
            ("x-${file:///k}", Ok("x-f1")),
            ("cmd://op read 'a b'", Ok("op+read+a b")),
            ("${UNSET:-file:///k}", Ok("file:///k")),
            ("${HOME", Ok("${HOME")),
            ("${NONE}", Err("NONE")),
            ("secret://none", Err("none")),
            ("secret://", Err("secret")),
            ("env://NONE", Err("NONE")),
            ("file:///none", Err("/none")),
            ("cmd://", Err("cmd")),
            ("cmd://'x", Err("cmd")),
        ] {
            match (resolve(text, "env X", true, &Known), expected) {
                (Ok(value), Ok(expected)) => assert_eq!(value, expected),
                (Err(error), Err(name)) => {
                    assert!(error.message.contains(name) && error.message.contains("env X"), "{error}")
                }
                (outcome, expected) => panic!("{text}: {outcome:?}, not {expected:?}"),
            }
        }
        assert!(resolve("secret://sealed", "env X", true, &Known).unwrap_err().is(&codes::VAULT_LOCKED));
    }

    #[test]
    fn an_argument_may_be_the_address_of_a_file() {
        for text in ["file:///k", "cmd://x", "env://HOME"] {
            assert_eq!(resolve(text, "an argument", false, &Known).unwrap(), text);
        }
        assert_eq!(resolve("${file:///k}", "an argument", false, &Known).unwrap(), "f1");
    }

    #[test]
    fn the_error_of_a_missing_secret_names_the_command() {
        let error = resolve("secret://none", "header A", true, &Known).unwrap_err();
        assert_eq!(error.message, "the secret `none`, needed for header A, is not set");
        assert_eq!(error.hints, ["umcp secret set none"]);
    }
}
