//! What a server may reach under the strict profile: the system's programs, its own program with what belongs to it,
//! its working folder, and what its entry lists. Looks at the disk, changes nothing.
//! Rule: nothing of the user's home that was not named, directly or by the program it starts.

use super::place;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The system's own folders and files, without anything of a user.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/proc",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/current-system",
    "/var/lib/ca-certificates",
    "/System",
    "/Library",
    "/private/etc",
    "/private/var/db",
];

/// Devices everybody may use.
const DEVICES: &[&str] =
    &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/fd"];

/// Folders below the home in which version managers keep whole toolchains.
const TOOLCHAINS: &[&str] = &[
    ".pyenv",
    ".nvm",
    ".volta",
    ".asdf",
    ".fnm",
    ".nodenv",
    ".bun",
    ".deno",
    ".rbenv",
    ".sdkman",
    ".local/share/mise",
    ".local/share/fnm",
    ".local/share/pnpm",
    ".local/share/uv",
];

/// What may be read (and run), and what written as well. All exist, links are followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    pub read: Vec<PathBuf>,
    pub write: Vec<PathBuf>,
}

/// The start of a server, as far as it tells what the server needs.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Absolute, links not followed.
    pub program: &'a Path,
    pub args: &'a [String],
    /// The `PATH` of the child.
    pub path: &'a str,
    pub home: &'a Path,
    /// Folders it works in.
    pub work: &'a [PathBuf],
    pub read: &'a [PathBuf],
    pub write: &'a [PathBuf],
}

impl Reach {
    pub fn of(start: Start<'_>) -> Self {
        let home = &place::real(start.home).unwrap_or_else(|_| start.home.to_path_buf());
        let mut read: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        read.extend(program(start.program, start.path, home));
        read.extend(start.args.iter().flat_map(|arg| argument(arg, home)));
        read.extend_from_slice(start.read);
        let mut write: Vec<PathBuf> = DEVICES.iter().map(PathBuf::from).collect();
        write.extend(start.work.iter().filter(|folder| !holds(folder, home)).cloned());
        write.extend_from_slice(start.write);
        Self { read: existing(read), write: existing(write) }
    }
}

/// Whether a folder is the home or holds it; such a one is never opened as a whole.
fn holds(folder: &Path, home: &Path) -> bool {
    place::real(folder).is_ok_and(|folder| home.starts_with(folder))
}

fn existing(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = paths.iter().filter_map(|path| place::real(path).ok()).collect();
    found.sort();
    found.dedup_by(|inner, outer| inner.starts_with(&*outer));
    found
}

/// What belongs to a program: the installation around it, and the same for what its first line names.
fn program(program: &Path, path: &str, home: &Path) -> Vec<PathBuf> {
    let mut places = installation(program, home);
    let real = place::real(program).unwrap_or_else(|_| program.to_path_buf());
    if let Some(interpreter) = interpreter(&real, path) {
        places.extend(installation(&interpreter, home));
    }
    places
}

/// The folder around `bin`, for the program and for what it is a link to; the file alone where that would be too much.
fn installation(program: &Path, home: &Path) -> Vec<PathBuf> {
    let mut places = vec![program.to_path_buf()];
    let mut steps = vec![program.to_path_buf()];
    // A link may lead through others: a virtual environment's python, the base's, the real one.
    while let Ok(next) = std::fs::read_link(&steps[steps.len() - 1])
        && steps.len() < 8
    {
        let step = steps[steps.len() - 1].parent().unwrap_or(Path::new("/")).join(next);
        steps.push(step);
    }
    steps.extend(place::real(program));
    for step in steps {
        if let Some(toolchain) =
            TOOLCHAINS.iter().map(|place| home.join(place)).find(|at| step.starts_with(at))
        {
            places.push(toolchain);
            continue;
        }
        let Some(folder) = step.parent() else { continue };
        let around = folder.parent().filter(|_| folder.ends_with("bin") || folder.ends_with("Scripts"));
        match around {
            Some(around) if !is_wide(around, home) => places.push(around.to_path_buf()),
            Some(_) if !is_wide(folder, home) => places.push(folder.to_path_buf()),
            _ => places.extend(package(&step, home)),
        }
    }
    places
}

/// Too much to open for the sake of one program.
fn is_wide(folder: &Path, home: &Path) -> bool {
    let folder = place::real(folder).unwrap_or_else(|_| folder.to_path_buf());
    home.starts_with(&folder)
        || folder == home.join(".local")
        || folder == home.join(".cargo")
        || folder.components().count() < 2
        || ["/tmp", "/var", "/home", "/root", "/mnt", "/srv"].iter().any(|wide| folder == Path::new(wide))
}

/// The package a file belongs to: the nearest folder with a manifest, else the file's own folder.
fn package(file: &Path, home: &Path) -> Vec<PathBuf> {
    const MANIFESTS: &[&str] = &["package.json", "pyproject.toml", "setup.py", "deno.json", "Cargo.toml"];
    let Some(folder) = file.parent() else { return Vec::new() };
    let manifest = |folder: &&Path| MANIFESTS.iter().any(|name| folder.join(name).is_file());
    let mut narrow = folder.ancestors().take_while(|folder| !is_wide(folder, home));
    match narrow.find(manifest) {
        // Dependencies stand beside a package as well as in it.
        Some(package) => {
            let modules = package.ancestors().find(|folder| folder.ends_with("node_modules"));
            vec![modules.unwrap_or(package).to_path_buf()]
        }
        None if !is_wide(folder, home) => vec![folder.to_path_buf()],
        None => vec![file.to_path_buf()],
    }
}

/// The program that a script's first line names, found as the system would.
fn interpreter(script: &Path, path: &str) -> Option<PathBuf> {
    let mut head = [0; 256];
    let read = std::fs::File::open(script).ok()?.read(&mut head).ok()?;
    let line = std::str::from_utf8(&head[..read]).ok()?.lines().next()?.strip_prefix("#!")?;
    let mut words = line.split_whitespace();
    let program = words.next()?;
    if !program.ends_with("/env") {
        return Some(program.into());
    }
    let name = words.find(|word| !word.starts_with('-'))?;
    std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// What an argument that is an absolute path, alone or behind `=`, opens for reading.
fn argument(argument: &str, home: &Path) -> Vec<PathBuf> {
    let text = argument.rsplit_once('=').map_or(argument, |(_, value)| value);
    let path = Path::new(text);
    match path.metadata() {
        _ if !path.is_absolute() || holds(path, home) => Vec::new(),
        Ok(meta) if meta.is_dir() => vec![path.to_path_buf()],
        Ok(_) => [vec![path.to_path_buf()], package(path, home)].concat(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_program_brings_its_installation_and_nothing_wider() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        put(&home.join(".nvm/versions/v20/bin/node"), "");
        put(&home.join("venv/bin/tool"), &format!("#!{}/venv/bin/python\n", home.display()));
        std::os::unix::fs::symlink(home.join("base/bin/python3"), home.join("venv/bin/python")).unwrap();
        put(&home.join("base/bin/python3"), "");
        put(&home.join(".local/bin/uvx"), "");
        put(&home.join("server/package.json"), "{}");
        put(&home.join("server/build/index.js"), "");
        put(&home.join("lone.js"), "");
        put(&home.join("bin/script"), "");
        let shown = |places: Vec<PathBuf>| {
            let inside = existing(places).into_iter();
            let inside =
                inside.filter_map(|place| Some(place.strip_prefix(&home).ok()?.display().to_string()));
            inside.collect::<Vec<_>>().join(" ")
        };
        let of = |name: &str| shown(program(&home.join(name), "", &home));
        assert_eq!(of(".nvm/versions/v20/bin/node"), ".nvm");
        assert_eq!(of("venv/bin/tool"), "base venv");
        assert_eq!(of(".local/bin/uvx"), ".local/bin");
        assert_eq!(of("bin/script"), "bin");
        let argument = |name: &str| shown(argument(&format!("--x={}", home.join(name).display()), &home));
        assert_eq!(argument("server/build/index.js"), "server");
        assert_eq!(argument("lone.js"), "lone.js");
        assert_eq!(argument("server/build"), "server/build");
        assert_eq!(argument(""), "", "the home is never opened as a whole");
        assert_eq!(argument("absent"), "");
    }
}
