//! The rules, and the one pass over a tree that finds whatever breaks them.
//! Everything is reported at once, with file and line, in order of the files.

use super::modules::{File, follow};
use super::paths::{Named, Root, named};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// A file above this says in its head why it is long: a sentence that begins `Long because`.
const LONG: usize = 400;
/// A file above this is refused.
const TOO_LONG: usize = 600;
/// Folders and files of these names collect what has no home.
const NAMELESS: &[&str] = &["util", "utils", "common", "helper", "helpers", "prelude", "misc"];
/// Folders with Rust files of ours, and whether they exist for tests only.
const FOLDERS: &[(&str, bool)] = &[("src", false), ("tests", true), ("benches", true)];

/// Who may import whom, and where crates live.
pub struct Plan {
    /// Room to rooms, in the order of the table.
    rooms: Vec<(String, BTreeSet<String>)>,
    /// Crate to places.
    homes: BTreeMap<String, Vec<String>>,
}

impl Plan {
    /// Reads two tables of lines `names | names`.
    pub fn read(rooms: &str, homes: &str) -> Self {
        let words = |text: &str| text.split_whitespace().map(ToString::to_string).collect::<Vec<_>>();
        let lines = |text: &str| -> Vec<(Vec<String>, Vec<String>)> {
            let split = text.lines().filter_map(|line| line.split_once('|'));
            split.map(|(left, right)| (words(left), words(right))).collect()
        };
        let rooms = lines(rooms)
            .into_iter()
            .flat_map(|(names, may)| names.into_iter().map(move |name| (name, may.iter().cloned().collect())))
            .collect();
        let homes = lines(homes)
            .into_iter()
            .flat_map(|(crates, places)| crates.into_iter().map(move |name| (name, places.clone())))
            .collect();
        Self { rooms, homes }
    }

    /// What the table allows against its own order; two rooms that allow each other stand on one line.
    pub fn circles(&self) -> Vec<String> {
        let place = |name: &String| self.rooms.iter().position(|(room, _)| room == name);
        let mut found = Vec::new();
        for (at, (room, may)) in self.rooms.iter().enumerate() {
            for other in may {
                let together = |place: usize| self.rooms[place].1 == *may;
                if !place(other).is_some_and(|place| place < at || together(place)) {
                    found.push(format!("`{room}` may import `{other}`, which does not stand above it"));
                }
            }
        }
        found
    }

    /// The room a path leads into: the longest line of the table that it begins with.
    fn room(&self, segments: &[String]) -> Option<&(String, BTreeSet<String>)> {
        let covers = |name: &str| covers(name, segments);
        self.rooms.iter().filter(|(name, _)| covers(name)).max_by_key(|(name, _)| name.len())
    }
}

fn covers(place: &str, segments: &[String]) -> bool {
    let mut segments = segments.iter();
    place.split('/').all(|part| segments.next().is_some_and(|segment| segment == part))
}

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Everything below `root` that breaks a rule.
pub fn check(root: &Path, plan: &Plan) -> Vec<Violation> {
    let mut inspection = Inspection { root, plan, found: BTreeSet::new() };
    let mut reached = BTreeSet::new();
    for (start, test) in starts(root) {
        for file in follow(&start, test) {
            reached.insert(file.path.clone());
            inspection.file(&file);
        }
    }
    for (folder, _) in FOLDERS {
        for path in files_below(&root.join(folder)) {
            inspection.place(&path, reached.contains(&path));
        }
    }
    inspection.found.into_iter().collect()
}

/// The roots of all crates: the library, the program, and each test program and benchmark.
fn starts(root: &Path) -> Vec<(PathBuf, bool)> {
    let mut starts = vec![(root.join("src/lib.rs"), false), (root.join("src/main.rs"), false)];
    let below = |folder: &str| files_below(&root.join(folder)).into_iter();
    starts.extend(below("tests").filter(|path| path.ends_with("main.rs")).map(|path| (path, true)));
    starts.extend(below("benches").map(|path| (path, true)));
    starts
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

struct Inspection<'a> {
    root: &'a Path,
    plan: &'a Plan,
    found: BTreeSet<Violation>,
}

impl Inspection<'_> {
    fn tell(&mut self, path: &Path, line: usize, what: impl Into<String>) {
        let file = path.strip_prefix(self.root).unwrap_or(path).display().to_string().replace('\\', "/");
        self.found.insert(Violation { file, line, what: what.into() });
    }

    /// Where a file stands and what it is called.
    fn place(&mut self, path: &Path, reached: bool) {
        let tests = self.root.join("tests");
        if path.parent() == Some(&tests) {
            self.tell(path, 1, "stands directly under tests/: there is one test binary, tests/it");
        } else if !reached {
            self.tell(path, 1, "no `mod` leads here: the file is not compiled");
        }
        let inside = path.strip_prefix(self.root).unwrap_or(path).with_extension("");
        for part in inside.iter().filter_map(|part| part.to_str()) {
            if NAMELESS.contains(&part) {
                self.tell(path, 1, format!("`{part}` names nothing: say what is in it"));
            }
        }
    }

    /// What stands in a file.
    fn file(&mut self, file: &File) {
        self.size(file);
        let names = named(&file.tokens, &file.module);
        for name in names.iter().filter(|name| name.segments.last().is_some_and(|last| last == "*")) {
            self.glob(file, name);
        }
        if file.test || file.path == self.root.join("src/lib.rs") {
            return;
        }
        let is_main = file.path == self.root.join("src/main.rs");
        let own = if is_main { vec!["main".to_string()] } else { file.module.clone() };
        for name in names.iter().filter(|name| !name.test) {
            match name.root {
                Root::Ours => self.import(file, &own, name),
                Root::Other => self.home(file, &own, name),
            }
        }
        if self.plan.room(&own).is_none() {
            self.tell(&file.path, 1, format!("room `{}` is not in the plan", own[0]));
        }
    }

    fn size(&mut self, file: &File) {
        let lines = file.source.lines().count();
        let head: Vec<&str> =
            file.source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
        if head.is_empty() {
            self.tell(&file.path, 1, "the file does not open with a `//!` head");
        }
        let excused = head.join(" ").replace("Long, because", "Long because").contains("Long because");
        if lines > TOO_LONG {
            self.tell(&file.path, lines, format!("longer than {TOO_LONG} lines: split it"));
        } else if lines > LONG && !excused {
            let what = format!("longer than {LONG} lines, and the head does not say why (`Long because …`)");
            self.tell(&file.path, lines, what);
        }
    }

    /// Only the tests below some code may take all of its names.
    fn glob(&mut self, file: &File, name: &Named) {
        let is_own =
            name.root == Root::Ours && name.segments[..name.segments.len() - 1] == self.tested(file)[..];
        if !((file.test || name.test) && is_own) {
            self.tell(&file.path, name.line, format!("glob import `{}`", name.segments.join("::")));
        }
    }

    /// The module that the tests in a file belong to: its own for tests inside it, else the one above.
    fn tested(&self, file: &File) -> Vec<String> {
        let own = file.module.len();
        let keep = if file.test { own.saturating_sub(1) } else { own };
        file.module[..keep].to_vec()
    }

    fn import(&mut self, file: &File, own: &[String], name: &Named) {
        let (Some((from, may)), Some(first)) = (self.plan.room(own), name.segments.first()) else { return };
        let into = self.plan.room(&name.segments).map_or(first, |(room, _)| room);
        if from != into && !may.contains(into) {
            let what = format!("`{from}` may not import `{into}`: {}", name.segments.join("::"));
            self.tell(&file.path, name.line, what);
        }
    }

    fn home(&mut self, file: &File, own: &[String], name: &Named) {
        let Some(places) = name.segments.first().and_then(|name| self.plan.homes.get(name)) else { return };
        if !places.iter().any(|place| covers(place, own)) {
            let what = format!("crate `{}` lives in {}", name.segments[0], places.join(", "));
            self.tell(&file.path, name.line, what);
        }
    }
}
