//! Resolving the values of a server's entry: `${VAR}`, `${VAR:-default}` and `secret://NAME`.
//! Pure: where variables and secrets come from is handed in. A missing value is an error that names it,
//! never an empty string; the values themselves stand in no error.

use crate::error::{Error, Result, codes};

/// Where values come from.
pub struct Sources<'a> {
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    pub secret: &'a dyn Fn(&str) -> Option<String>,
}

/// Resolves every reference in `text`. `place` names the value for the error, such as `env GITHUB_TOKEN`.
pub fn resolve(text: &str, place: &str, sources: &Sources<'_>) -> Result<String> {
    if let Some(name) = text.strip_prefix("secret://") {
        return (sources.secret)(name).ok_or_else(|| missing("secret", name, place));
    }
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        resolved.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let Some(end) = inner.find('}') else {
            resolved.push_str(&rest[at..]);
            return Ok(resolved);
        };
        resolved.push_str(&reference(&inner[..end], place, sources)?);
        rest = &inner[end + 1..];
    }
    resolved.push_str(rest);
    Ok(resolved)
}

fn reference(inner: &str, place: &str, sources: &Sources<'_>) -> Result<String> {
    if let Some(name) = inner.strip_prefix("secret://").or_else(|| inner.strip_prefix("secret:")) {
        return (sources.secret)(name).ok_or_else(|| missing("secret", name, place));
    }
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let name = name.strip_prefix("env:").unwrap_or(name);
    let value = (sources.variable)(name).filter(|value| default.is_none() || !value.is_empty());
    value.or_else(|| default.map(Into::into)).ok_or_else(|| missing("variable", name, place))
}

fn missing(what: &str, name: &str, place: &str) -> Error {
    let error =
        Error::new(&codes::SECRET_MISSING, format!("the {what} `{name}`, needed for {place}, is not set"));
    match what {
        "secret" => error
            .hint(format!("put a line `{name}=…` into the file that `umcp config path` names as secrets")),
        _ => error.hint(format!(
            "set `{name}` in the environment umcp is started from, or a default: `${{{name}:-…}}`"
        )),
    }
}

/// Reads `NAME=VALUE` lines; `#` starts a comment line, quotes around a value are taken off.
pub fn secrets(text: &str) -> std::collections::BTreeMap<String, String> {
    let pair = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        let value = value.trim();
        let unquoted = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
        Some((name.trim().to_string(), unquoted.unwrap_or(value).to_string()))
    };
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_or_named() {
        let variable = |name: &str| (name == "HOME").then(|| "/h".to_string());
        let secret = |name: &str| (name == "key").then(|| "k1".to_string());
        let sources = Sources { variable: &variable, secret: &secret };
        for (text, expected) in [
            ("plain $5", Ok("plain $5")),
            ("${HOME}/x${env:HOME}", Ok("/h/x/h")),
            ("${NONE:-d}e", Ok("de")),
            ("secret://key", Ok("k1")),
            ("Bearer ${secret://key}", Ok("Bearer k1")),
            ("${HOME", Ok("${HOME")),
            ("${NONE}", Err("NONE")),
            ("secret://none", Err("none")),
        ] {
            match (resolve(text, "env X", &sources), expected) {
                (Ok(value), Ok(expected)) => assert_eq!(value, expected),
                (Err(error), Err(name)) => {
                    assert!(error.message.contains(name) && error.message.contains("env X"))
                }
                (outcome, expected) => panic!("{text}: {outcome:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn secret_lines_are_read() {
        let all = secrets("# c\nA=1\nexport B = \"x y\"\nbad\n");
        assert_eq!(
            all.into_iter().collect::<Vec<_>>(),
            [("A".into(), "1".into()), ("B".into(), "x y".into())]
        );
    }
}
