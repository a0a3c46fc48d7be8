//! From a profile and a server's start to what is to be enforced: which places are hidden or reached, which sockets.
//! Looks at the disk, changes nothing; the back ends take it from here.

use super::job::Limits;
use super::place;
use super::profile::{Base, Chosen, Guard, Net};
use super::protect::{self, Who};
use super::reach::{Reach, Start};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The start of one process.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Absolute, links not followed.
    pub program: &'a Path,
    pub args: &'a [String],
    /// Declared variables.
    pub env: &'a BTreeMap<String, String>,
    /// The `PATH` of the child.
    pub path: &'a str,
    /// Folders it works in: the current one, and one of its own.
    pub work: &'a [PathBuf],
    pub home: &'a Path,
    /// `XDG_RUNTIME_DIR`.
    pub runtime: Option<&'a Path>,
    /// Places of umcp itself.
    pub own: &'a [PathBuf],
}

/// Which files are open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// All but these.
    Hide(Vec<PathBuf>),
    /// None but these.
    Only(Reach),
}

/// What is to be enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub base: Base,
    pub files: Files,
    pub net: Net,
    pub require: Vec<Guard>,
    pub limits: Limits,
}

/// Plans one start. Under `off`, and for a program that no sandbox fits, the plan is empty but for limits.
pub fn plan(chosen: &Chosen, subject: Subject<'_>) -> Plan {
    let unfit = chosen.base == Base::Default && protect::is_unfit(subject.program);
    let read: Vec<PathBuf> = chosen.read.iter().map(|place| expand(place, subject.home)).collect();
    let write: Vec<PathBuf> = chosen.write.iter().map(|place| expand(place, subject.home)).collect();
    let files = match chosen.base {
        _ if unfit => Files::Hide(Vec::new()),
        Base::Off => Files::Hide(Vec::new()),
        Base::Default => {
            let name = subject.program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let mut named = named(subject);
            named.extend(read.into_iter().chain(write));
            let named: Vec<PathBuf> = named.iter().map(|place| real(place)).collect();
            let who = Who { program: name, env: subject.env, named: &named };
            Files::Hide(protect::hidden(who, subject.home, subject.runtime, subject.own))
        }
        Base::Strict => {
            let named: Vec<PathBuf> = read.iter().chain(&write).map(|place| real(place)).collect();
            let who = Who { program: "", env: &BTreeMap::new(), named: &named };
            let hidden = protect::hidden(who, subject.home, subject.runtime, subject.own);
            let open = |places: &[PathBuf]| places.iter().flat_map(|place| around(place, &hidden)).collect();
            let (read, write): (Vec<PathBuf>, Vec<PathBuf>) = (open(&read), open(&write));
            Files::Only(Reach::of(Start {
                program: subject.program,
                args: subject.args,
                path: subject.path,
                home: subject.home,
                work: subject.work,
                read: &read,
                write: &write,
            }))
        }
    };
    Plan {
        base: if unfit { Base::Off } else { chosen.base },
        files,
        net: if unfit { Net::Any } else { chosen.net.clone() },
        require: chosen.require.clone(),
        limits: chosen.limits,
    }
}

/// A place as it is; where it holds something hidden, what stands in it beside that. Naming a home names no key.
fn around(place: &Path, hidden: &[PathBuf]) -> Vec<PathBuf> {
    let real = real(place);
    if hidden.iter().any(|secret| real.starts_with(secret)) {
        return Vec::new();
    }
    if !hidden.iter().any(|secret| secret.starts_with(&real)) {
        return vec![place.to_path_buf()];
    }
    let entries = std::fs::read_dir(&real).into_iter().flatten().flatten();
    // A link that leads elsewhere is looked at where it leads; one that leads back up would never end.
    let below = entries.map(|entry| entry.path()).filter(|entry| !real.starts_with(self::real(entry)));
    below.flat_map(|entry| around(&entry, hidden)).collect()
}

fn real(place: &Path) -> PathBuf {
    place::real(place).unwrap_or_else(|_| place.to_path_buf())
}

/// Paths the entry itself names: what it starts, where, and every absolute path in its arguments and variables.
fn named(subject: Subject<'_>) -> Vec<PathBuf> {
    let mut named = vec![subject.program.to_path_buf()];
    // A home is nobody's choice; any other folder is.
    named.extend(subject.work.iter().filter(|folder| *folder != subject.home).cloned());
    let words = subject.args.iter().chain(subject.env.values());
    // `--config=/a`, and `/a:/b:ro` as in the volumes of containers.
    let parts = words.flat_map(|word| word.split(['=', ':', ',']));
    named.extend(parts.filter(|part| part.starts_with(['/', '~'])).map(|part| expand(part, subject.home)));
    named
}

/// A leading `~` is the home.
fn expand(place: &str, home: &Path) -> PathBuf {
    match place.strip_prefix('~') {
        Some("") => home.to_path_buf(),
        Some(rest) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => place.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(base: Base, read: &[&str]) -> Chosen {
        Chosen {
            base,
            read: read.iter().map(ToString::to_string).collect(),
            write: vec![],
            net: Net::Any,
            require: vec![],
            limits: Limits::default(),
        }
    }

    #[test]
    fn a_place_that_the_entry_names_is_open_to_it() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        for place in [".ssh", ".aws", ".kube"] {
            std::fs::create_dir(home.join(place)).unwrap();
        }
        let hidden = |base, read: &[&str], args: &[&str], program: &str| {
            let args: Vec<String> =
                args.iter().map(|arg| arg.replace("HOME", home.to_str().unwrap())).collect();
            let subject = Subject {
                program: Path::new(program),
                args: &args,
                env: &BTreeMap::new(),
                path: "",
                work: std::slice::from_ref(&home),
                home: &home,
                runtime: None,
                own: &[],
            };
            match plan(&chosen(base, read), subject).files {
                Files::Hide(places) => places.len(),
                Files::Only(_) => panic!("a list of what is open"),
            }
        };
        assert_eq!(hidden(Base::Default, &[], &[], "/bin/x"), 3);
        assert_eq!(hidden(Base::Default, &["~/.ssh"], &[], "/bin/x"), 2);
        assert_eq!(hidden(Base::Default, &[], &["-v", "HOME/.aws:/root/.aws:ro"], "/bin/x"), 2);
        assert_eq!(hidden(Base::Default, &[], &["HOME"], "/bin/x"), 3, "the home alone names no key");
        assert_eq!(hidden(Base::Off, &[], &[], "/bin/x"), 0);
        assert_eq!(hidden(Base::Default, &[], &[], "/bin/podman"), 0);
    }

    #[test]
    fn a_strict_entry_that_names_a_folder_opens_no_key_in_it() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        for folder in [".ssh", "notes", ".config/gh"] {
            std::fs::create_dir_all(home.join(folder)).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(home.join(".ssh"), home.join("link")).unwrap();
        let subject = Subject {
            program: Path::new("/bin/x"),
            args: &[],
            env: &BTreeMap::new(),
            path: "",
            work: &[],
            home: &home,
            runtime: None,
            own: &[],
        };
        let open = |read: &[&str]| match plan(&chosen(Base::Strict, read), subject).files {
            Files::Only(reach) => {
                let opens = |place: &str| reach.read.iter().any(|open| home.join(place).starts_with(open));
                [".ssh/id", "link", "notes/a"].map(opens)
            }
            Files::Hide(_) => panic!("a list of what is hidden"),
        };
        assert_eq!(open(&["~"]), [false, false, true]);
        assert_eq!(open(&["~/.ssh"]), [true, false, false]);
    }
}
