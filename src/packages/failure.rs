//! What a package manager's last words mean: which of our errors it is, and the few lines of them that say why. Pure.
//! Rule: the lines are the manager's own; nothing is guessed beyond what they say.

use crate::error::{Code, codes};

/// Lines that an error quotes.
const QUOTED: usize = 3;

/// A failure as its program told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Unknown,
    Version,
    Network,
    Full,
    Denied,
}

/// What is said of a failure.
#[derive(Debug)]
pub struct Told {
    pub code: &'static Code,
    /// After the program's name: what went wrong.
    pub what: &'static str,
    /// The manager's own lines.
    pub why: String,
    /// What to do, where that is known.
    pub hint: Option<&'static str>,
}

/// Words by which a cause is known, in lower case. Network comes first: pip says of a package it could not ask for that
/// there is none.
const WORDS: &[(Cause, &[&str])] = &[
    (
        Cause::Network,
        &[
            "eai_again",
            "enotfound",
            "econnrefused",
            "econnreset",
            "etimedout",
            "failed to establish a new connection",
            "temporary failure in name resolution",
            "connection refused",
            "connection timed out",
            "read timed out",
            "could not resolve host",
            "network failure",
            "spurious network error",
            "certificate verify failed",
            "self-signed certificate",
            "no such host",
            "dial tcp",
            "nu1301",
            "error fetching http",
            "unable to download data from",
            "curl error 6 ",
            "curl error 7 ",
        ],
    ),
    (Cause::Full, &["enospc", "no space left on device"]),
    (
        Cause::Version,
        &[
            "etarget",
            "no matching version found",
            "(from versions: 0",
            "(from versions: 1",
            "failed to select a version",
            "no matching versions for query",
            "unknown revision",
            "nu1102",
            "but it does not match the constraint",
            "manifest unknown",
        ],
    ),
    (
        Cause::Unknown,
        &[
            "e404",
            "is not in this registry",
            "no matching distribution found",
            "could not find `",
            "repository not found",
            "does not appear to be a git repository",
            "does not contain package",
            "unrecognized import path",
            "404 not found",
            "could not find a valid gem",
            "could not be found in any version",
            "nu1101",
            "pull access denied",
        ],
    ),
    (Cause::Denied, &["eacces", "eperm", "permission denied", "e401", "e403", "authentication failed"]),
];

/// Reads the last words of a program.
pub fn read(said: &[String]) -> Told {
    let lower: Vec<String> = said.iter().map(|line| line.to_lowercase()).collect();
    let fits = |words: &[&str]| lower.iter().any(|line| words.iter().any(|word| line.contains(word)));
    let found = WORDS.iter().find(|(_, words)| fits(words));
    let telling = found.map_or(&[][..], |(_, words)| *words);
    let (code, what, hint) = match found.map(|(cause, _)| cause) {
        Some(Cause::Network) => (
            &codes::PACKAGE_NETWORK,
            "could not reach the place its packages come from",
            Some("look at the network, and at the program's own settings for proxies and mirrors"),
        ),
        Some(Cause::Unknown) => {
            (&codes::PACKAGE_UNKNOWN, "knows no such package", Some("umcp catalog search WORDS"))
        }
        Some(Cause::Version) => (
            &codes::PACKAGE_UNKNOWN,
            "knows no such version",
            Some("leave out the version for the newest one"),
        ),
        Some(Cause::Full) => (&codes::PACKAGE_FAILED, "found no room on the disk", None),
        Some(Cause::Denied) => (&codes::PACKAGE_FAILED, "was not allowed to", None),
        None => (&codes::PACKAGE_FAILED, "failed", None),
    };
    Told { code, what, why: quoted(said, telling), hint }
}

/// The lines that tell, else the last ones, without what every line of the program begins with.
fn quoted(said: &[String], telling: &[&str]) -> String {
    let lines: Vec<&str> = said.iter().map(|line| bare(line)).filter(|line| !line.is_empty()).collect();
    let tells = |line: &&&str| {
        let lower = line.to_lowercase();
        // A code alone says it to programs.
        line.contains(' ') && telling.iter().any(|word| lower.contains(word))
    };
    let mut chosen: Vec<&str> = lines.iter().filter(tells).copied().collect();
    if chosen.is_empty() {
        chosen = lines;
    }
    chosen.dedup();
    chosen.split_off(chosen.len().saturating_sub(QUOTED)).join("; ")
}

fn bare(line: &str) -> &str {
    let mut line = line.trim();
    for start in ["npm error", "npm ERR!", "ERROR:", "error:", "fatal:", "404"] {
        line = line.strip_prefix(start).unwrap_or(line).trim();
    }
    let noise = ["code E", "A complete log of this run", "Note that you can also", "tarball, folder"];
    if noise.iter().any(|start| line.starts_with(start)) { "" } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_managers_become_our_errors() {
        let npm = "npm error code E404\nnpm error 404 Not Found - GET https://example.org/@a%2fb - Not found\n\
                   npm error 404\nnpm error 404  '@a/b@latest' is not in this registry.\nnpm error 404\n\
                   npm error 404 Note that you can also install from a\nnpm error A complete log of this run can be found in: /l";
        let pip = "ERROR: Could not find a version that satisfies the requirement nix-da (from versions: none)\n\
                   ERROR: No matching distribution found for nix-da";
        let old = "ERROR: Could not find a version that satisfies the requirement six==99 (from versions: 1.0, 1.1)\n\
                   ERROR: No matching distribution found for six==99";
        let offline = "WARNING: Retrying after connection broken by 'NewConnectionError: Failed to establish a new connection'\n\
                       ERROR: Could not find a version that satisfies the requirement six (from versions: none)\n\
                       ERROR: No matching distribution found for six";
        for (text, code, what, why) in [
            (npm, &codes::PACKAGE_UNKNOWN, "knows no such package", "'@a/b@latest' is not in this registry."),
            (
                pip,
                &codes::PACKAGE_UNKNOWN,
                "knows no such package",
                "No matching distribution found for nix-da",
            ),
            (
                old,
                &codes::PACKAGE_UNKNOWN,
                "knows no such version",
                "Could not find a version that satisfies the requirement six==99 (from versions: 1.0, 1.1)",
            ),
            (
                offline,
                &codes::PACKAGE_NETWORK,
                "could not reach the place its packages come from",
                "WARNING: Retrying after connection broken by 'NewConnectionError: Failed to establish a new connection'",
            ),
            (
                "npm error code EAI_AGAIN\nnpm error errno EAI_AGAIN\nnpm error request to https://r failed, reason: EAI_AGAIN r",
                &codes::PACKAGE_NETWORK,
                "could not reach the place its packages come from",
                "errno EAI_AGAIN; request to https://r failed, reason: EAI_AGAIN r",
            ),
            ("a\nb\n\nc\nd", &codes::PACKAGE_FAILED, "failed", "b; c; d"),
            (
                "npm error code EACCES\nnpm error permission denied, mkdir '/x'",
                &codes::PACKAGE_FAILED,
                "was not allowed to",
                "permission denied, mkdir '/x'",
            ),
        ] {
            let lines: Vec<String> = text.lines().map(String::from).collect();
            let told = read(&lines);
            assert_eq!((told.code.code, told.what, told.why.as_str()), (code.code, what, why), "{text}");
        }
    }
}
