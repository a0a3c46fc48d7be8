//! Searching below the allowed directories: names by glob or part, contents by text.
//! Links are never followed, and every search is bounded in names visited, results and time.

use super::super::reply::{self, Output};
use super::system::Dir;
use super::{Kind, MAX_READ, Place};
use crate::error::Result;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub const MAX_RESULTS: usize = 1_000;
const DEFAULT_RESULTS: usize = 200;
const MAX_VISITED: usize = 200_000;
const MAX_DEPTH: usize = 64;
const MAX_TIME: Duration = Duration::from_secs(10);
/// Lines are cut here in results.
const MAX_LINE: usize = 300;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub pattern: String,
    pub text: Option<String>,
    pub path: Option<String>,
    pub limit: Option<usize>,
}

struct Search<'a> {
    pattern: &'a str,
    text: Option<&'a str>,
    limit: usize,
    deadline: Instant,
    visited: usize,
    found: Vec<Value>,
    /// Why the search ended early.
    stopped: Option<&'static str>,
}

pub fn run(asked: &Asked, places: &[Place]) -> Result<Output> {
    let mut search = Search {
        pattern: &asked.pattern,
        text: asked.text.as_deref().filter(|text| !text.is_empty()),
        limit: asked.limit.unwrap_or(DEFAULT_RESULTS).clamp(1, MAX_RESULTS),
        deadline: Instant::now() + MAX_TIME,
        visited: 0,
        found: Vec::new(),
        stopped: None,
    };
    if asked.pattern.is_empty() {
        return Err(reply::invalid("the pattern is empty").hint("`*` finds every name"));
    }
    for place in places {
        let dir = place.root.dir(&place.below).map_err(|error| place.explain("search", &error))?;
        search.walk(&dir, Path::new(&place.shown), &PathBuf::new(), 0);
    }
    Ok(search.finish())
}

impl Search<'_> {
    fn walk(&mut self, dir: &Dir, shown: &Path, below: &Path, depth: usize) {
        // A directory that cannot be read has nothing to find.
        let Ok(mut entries) = dir.entries() else { return };
        entries.sort();
        for (name, kind) in entries {
            self.visited += 1;
            if self.visited > MAX_VISITED || Instant::now() > self.deadline || depth > MAX_DEPTH {
                self.stopped = Some("the search ended early: there is too much below; begin further down");
            }
            if self.stopped.is_some() {
                return;
            }
            let path = below.join(&name);
            if matches(self.pattern, &path.to_string_lossy().replace('\\', "/")) {
                self.take(dir, shown, &path, kind);
            }
            if kind == Kind::Directory
                && let Ok(child) = dir.child(&name)
            {
                self.walk(&child, shown, &path, depth + 1);
            }
        }
    }

    fn take(&mut self, dir: &Dir, shown: &Path, path: &Path, kind: Kind) {
        let full = shown.join(path).to_string_lossy().into_owned();
        let Some(text) = self.text else {
            self.push(json!({"path": full}));
            return;
        };
        if kind != Kind::File {
            return;
        }
        let Some(file) = path.file_name().and_then(|name| dir.file(Path::new(name)).ok()) else { return };
        let mut bytes = Vec::new();
        if file.take(MAX_READ as u64 + 1).read_to_end(&mut bytes).is_err() || bytes.len() > MAX_READ {
            return;
        }
        let Ok(content) = String::from_utf8(bytes) else { return };
        for (number, line) in content.lines().enumerate().filter(|(_, line)| line.contains(text)) {
            let line: String = line.chars().take(MAX_LINE).collect();
            self.push(json!({"path": full, "line": number + 1, "text": line}));
        }
    }

    fn push(&mut self, found: Value) {
        if self.found.len() < self.limit {
            self.found.push(found);
        } else {
            self.stopped = Some("there are more results; narrow the pattern or raise `limit`");
        }
    }

    fn finish(self) -> Output {
        let line = |found: &Value| {
            let path = found["path"].as_str().unwrap_or_default();
            match found["text"].as_str() {
                Some(text) => format!("{path}:{}: {text}", found["line"]),
                None => path.to_string(),
            }
        };
        let mut lines: Vec<String> = self.found.iter().map(line).collect();
        if lines.is_empty() {
            lines.push("nothing found".into());
        }
        lines.extend(self.stopped.map(String::from));
        Output::data(lines.join("\n"), json!({"results": self.found, "truncated": self.stopped.is_some()}))
    }
}

/// Whether a path below the start, with `/` between its names, is what the pattern means.
fn matches(pattern: &str, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    match (pattern.contains(['*', '?']), pattern.contains('/')) {
        (false, false) => name.to_lowercase().contains(&pattern.to_lowercase()),
        (false, true) => path.to_lowercase().contains(&pattern.to_lowercase()),
        (true, false) => glob(pattern.as_bytes(), name.as_bytes()),
        (true, true) => glob(pattern.trim_start_matches('/').as_bytes(), path.as_bytes()),
    }
}

/// `?` is one character and `*` any run of them, both without `/`; `**` crosses directories and `**/` may be none.
/// Only the last star of each kind is ever tried again, so the time is bounded by pattern times path, squared.
fn glob(pattern: &[u8], path: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to try again: pattern position after the star, and the path position it stands for.
    let mut star: Option<(usize, usize)> = None;
    let mut stars: Option<(usize, usize)> = None;
    loop {
        if pattern[p..].starts_with(b"**") {
            p += if pattern[p..].starts_with(b"**/") { 3 } else { 2 };
            stars = Some((p, t));
            star = None;
            continue;
        }
        match (pattern.get(p), path.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                p += 1;
                star = Some((p, t));
                continue;
            }
            (Some(b'?'), Some(byte)) if *byte != b'/' => {
                p += 1;
                t = next_character(path, t);
                continue;
            }
            (Some(want), Some(have)) if want == have && *want != b'?' => {
                p += 1;
                t += 1;
                continue;
            }
            _ => {}
        }
        let may_grow = |(_, from): &(usize, usize)| path.get(*from).is_some_and(|byte| *byte != b'/');
        if let Some((after, from)) = star.filter(may_grow) {
            star = Some((after, from + 1));
            (p, t) = (after, from + 1);
        } else if let Some((after, from)) = stars.and_then(|place| further(pattern, path, place)) {
            stars = Some((after, from));
            star = None;
            (p, t) = (after, from);
        } else {
            return false;
        }
    }
}

/// The next place where what follows `**` may begin; after `**/` only the beginnings of names count.
fn further(pattern: &[u8], path: &[u8], (after, from): (usize, usize)) -> Option<(usize, usize)> {
    let left = path.get(from..).filter(|left| !left.is_empty())?;
    let step = if pattern[..after].ends_with(b"/") { memchr::memchr(b'/', left)? + 1 } else { 1 };
    Some((after, from + step))
}

fn next_character(path: &[u8], at: usize) -> usize {
    let mut next = at + 1;
    while path.get(next).is_some_and(|byte| byte & 0xC0 == 0x80) {
        next += 1;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_names_or_paths() {
        for (pattern, path, expected) in [
            ("main", "src/Main.rs", true),
            ("main", "main/other.rs", false),
            ("src/ma", "src/Main.rs", true),
            ("*.rs", "src/main.rs", true),
            ("*.rs", "src/main.rst", false),
            ("m?in.rs", "main.rs", true),
            ("m?n", "män", true),
            ("src/*.rs", "src/main.rs", true),
            ("src/*.rs", "src/a/main.rs", false),
            ("src/**/*.rs", "src/main.rs", true),
            ("src/**/*.rs", "src/a/b/main.rs", true),
            ("src/**/*.rs", "srcs/a/main.rs", false),
            ("**/main.rs", "main.rs", true),
            ("**/main.rs", "a/xmain.rs", false),
            ("src/**", "src/a/b", true),
            ("*a*b*", "xaxxb", true),
            ("*a*b", "xbxxa", false),
            ("**/a/*/c", "a/x/a/b/c", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let pattern = "*a".repeat(60) + "/**/" + &"*a".repeat(60);
        assert!(!matches(&pattern, &"a".repeat(4_000)));
    }
}
