//! What a child sees of the world, decided without touching it: which variables it inherits, where its program is,
//! and what to say when it cannot be started.
//! Rule: a variable that is neither on the list nor declared never reaches a child.

use super::{MARKER, Spec};
use crate::error::{Error, Result, codes};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "TERM",
    "TMPDIR",
    "TZ",
    "SHELL",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];

/// Without these most Windows programs do not start, or cannot find their own files.
const INHERITED_WINDOWS: &[&str] = &[
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "COMSPEC",
    "PATHEXT",
    "TEMP",
    "TMP",
    "USERNAME",
    "USERPROFILE",
    "HOMEDRIVE",
    "HOMEPATH",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "PROGRAMFILES(X86)",
    "PROCESSOR_ARCHITECTURE",
    "NUMBER_OF_PROCESSORS",
];

const INHERITED_PREFIXES: &[&str] = &["LC_", "XDG_", "SSL_CERT_"];

/// The whole environment of a child: the allowed part of `parent`, then `declared`, then the marker.
pub(super) fn child_env(
    parent: impl Iterator<Item = (OsString, OsString)>,
    declared: &BTreeMap<String, String>,
    marker: &str,
) -> BTreeMap<OsString, OsString> {
    let mut env: BTreeMap<OsString, OsString> =
        parent.filter(|(name, _)| name.to_str().is_some_and(|name| inherited(name, cfg!(windows)))).collect();
    for (name, value) in declared {
        if cfg!(windows) {
            env.retain(|known, _| !known.eq_ignore_ascii_case(name));
        }
        env.insert(name.into(), value.into());
    }
    env.insert(MARKER.into(), marker.into());
    env
}

pub(super) fn inherited(name: &str, windows: bool) -> bool {
    if windows {
        let upper = name.to_ascii_uppercase();
        return INHERITED.contains(&upper.as_str())
            || INHERITED_WINDOWS.contains(&upper.as_str())
            || INHERITED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix));
    }
    INHERITED.contains(&name) || INHERITED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The absolute path of the program of `spec`, seen from the child: its working directory and its `PATH`.
pub(super) fn resolve(spec: &Spec, env: &BTreeMap<OsString, OsString>) -> Result<PathBuf> {
    if let Some(cwd) = spec.cwd.as_ref().filter(|cwd| !cwd.is_dir()) {
        let message = format!("`{}`: the working directory `{}` does not exist", spec.label, cwd.display());
        return Err(Error::new(&codes::UPSTREAM_START, message));
    }
    let program = Path::new(&spec.program);
    if program.components().count() > 1 {
        let path = spec.cwd.as_deref().map_or_else(|| program.to_path_buf(), |cwd| cwd.join(program));
        let path = std::path::absolute(path).map_err(|error| launch_error(&spec.label, &error))?;
        return candidates(&path).into_iter().find(|path| path.exists()).ok_or_else(|| {
            let message = format!("`{}`: the program `{}` does not exist", spec.label, path.display());
            Error::new(&codes::UPSTREAM_START, message)
        });
    }
    let folders =
        env.iter().find(|(name, _)| name.eq_ignore_ascii_case("PATH")).map(|(_, value)| value.as_os_str());
    std::env::split_paths(folders.unwrap_or(OsStr::new("")))
        // A relative entry would let the working directory choose the program.
        .filter(|folder| folder.is_absolute())
        .flat_map(|folder| candidates(&folder.join(program)))
        .find(|path| runnable(path))
        .ok_or_else(|| missing(spec))
}

fn missing(spec: &Spec) -> Error {
    let message = format!("`{}`: the program `{}` was not found on PATH", spec.label, spec.program);
    let hint = match spec.program.as_str() {
        "npx" | "npm" | "node" => "install Node.js: https://nodejs.org",
        "uvx" | "uv" => "install uv: https://docs.astral.sh/uv",
        "python" | "python3" | "pip" | "pipx" => "install Python: https://www.python.org",
        "docker" => "install Docker: https://docs.docker.com/get-docker",
        "bunx" | "bun" => "install Bun: https://bun.sh",
        "deno" => "install Deno: https://deno.com",
        "" => "give the server a command",
        _ => "install it, or give its full path as the command",
    };
    Error::new(&codes::UPSTREAM_START, message).hint(hint)
}

/// The file names a program may have; on Windows `npx` is `npx.cmd`.
fn candidates(path: &Path) -> Vec<PathBuf> {
    let mut names = vec![path.to_path_buf()];
    if cfg!(windows) {
        let with = |extension: &str| {
            let mut name = path.as_os_str().to_os_string();
            name.push(extension);
            PathBuf::from(name)
        };
        let bare = if path.extension().is_some() { 1 } else { 0 };
        names.truncate(bare);
        names.extend([".exe", ".cmd", ".bat", ".com"].map(with));
    }
    names
}

#[cfg(unix)]
fn runnable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn runnable(path: &Path) -> bool {
    path.is_file()
}

/// The error of a start that the system refused.
pub(super) fn launch_error(label: &str, error: &io::Error) -> Error {
    if exhausted(error) {
        let message = format!("`{label}`: the system has no room for another process");
        return Error::new(&codes::UPSTREAM_RESOURCES, message)
            .because(error)
            .hint("stop a server, or raise the limits of open files and processes");
    }
    Error::new(&codes::UPSTREAM_START, format!("`{label}` could not be started")).because(error)
}

#[cfg(unix)]
fn exhausted(error: &io::Error) -> bool {
    let full = [libc::EMFILE, libc::ENFILE, libc::EAGAIN, libc::ENOMEM];
    error.raw_os_error().is_some_and(|number| full.contains(&number))
}

#[cfg(not(unix))]
fn exhausted(error: &io::Error) -> bool {
    // ERROR_TOO_MANY_OPEN_FILES, ERROR_NOT_ENOUGH_MEMORY, ERROR_NO_SYSTEM_RESOURCES, ERROR_COMMITMENT_LIMIT
    error.raw_os_error().is_some_and(|number| [4, 8, 1450, 1455].contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_and_declared_variables_are_passed_on() {
        let parent = [
            ("PATH", "/bin"),
            ("HOME", "/h"),
            ("LC_ALL", "C"),
            ("XDG_DATA_HOME", "/x"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("UMCP_SPAWN", "old:1"),
            ("LD_PRELOAD", "/evil.so"),
            ("TERM", "dumb"),
            ("path", "no"),
        ];
        let parent = parent.map(|(name, value)| (name.into(), value.into()));
        let declared = BTreeMap::from([("TOKEN".into(), "t".into()), ("TERM".into(), "xterm".into())]);
        let env = child_env(parent.into_iter(), &declared, "n:2");
        let expected = [
            ("PATH", "/bin"),
            ("HOME", "/h"),
            ("LC_ALL", "C"),
            ("XDG_DATA_HOME", "/x"),
            ("TERM", "xterm"),
            ("TOKEN", "t"),
            ("UMCP_SPAWN", "n:2"),
        ];
        let expected: BTreeMap<OsString, OsString> =
            expected.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        assert_eq!(env, expected);
    }

    #[test]
    fn windows_names_are_compared_without_case() {
        for (name, expected) in
            [("Path", true), ("SystemRoot", true), ("GITHUB_TOKEN", false), ("Xdg_Cache", true)]
        {
            assert_eq!(inherited(name, true), expected, "{name}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn programs_are_found_on_the_path_of_the_child() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tool");
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        let spec = |program: &str| Spec {
            program: program.into(),
            args: vec![],
            env: BTreeMap::new(),
            cwd: Some(dir.path().into()),
            label: "srv".into(),
            confinement: None,
        };
        let env = |path: String| BTreeMap::from([(OsString::from("PATH"), OsString::from(path))]);
        let path = env(format!(".::relative:{}", dir.path().display()));
        let message = |result: Result<PathBuf>| result.map_err(|error| error.to_string());
        let absent = Err("`srv`: the program `tool` was not found on PATH".to_string());
        assert_eq!(message(resolve(&spec("tool"), &path)), absent, "not executable yet");
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(message(resolve(&spec("tool"), &path)), Ok(file.clone()));
        assert_eq!(
            message(resolve(&spec("tool"), &env(".:".into()))),
            absent,
            "relative entries are ignored"
        );
        assert_eq!(message(resolve(&spec("./tool"), &env(String::new()))), Ok(file));
        let mut lost = spec("tool");
        lost.cwd = Some("/nowhere/at/all".into());
        let lost = message(resolve(&lost, &path));
        assert_eq!(lost, Err("`srv`: the working directory `/nowhere/at/all` does not exist".to_string()));
    }
}
