//! Programs of this machine: where they are found, which version they are, and the PATH that apps started from
//! the desktop see. It starts nothing but `PROGRAM --version`.

use crate::documents::near;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long `--version` may take.
const VERSION_DEADLINE: Duration = Duration::from_secs(5);

/// The PATH of apps that no shell started.
pub const DESKTOP_PATH: &str = if cfg!(target_os = "macos") {
    "/usr/bin:/bin:/usr/sbin:/sbin"
} else {
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
};

/// Whether a client is an app of the desktop and sees [`DESKTOP_PATH`]; on Windows all see the user's PATH.
pub fn is_desktop(client: &str) -> bool {
    let shell = ["claude-code", "codex", "gemini", "goose", "opencode"];
    !cfg!(windows) && !shell.contains(&client)
}

/// Where a program is found in a search path; a word with a separator is taken as a path.
pub fn find(program: &str, path: &str) -> Option<PathBuf> {
    if program.contains('/') || cfg!(windows) && program.contains('\\') {
        return Some(PathBuf::from(program)).filter(|path| is_program(path));
    }
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .flat_map(|folder| candidates(&folder, program))
        .find(|candidate| is_program(candidate))
}

/// The program of a search path whose name is nearest to a mistyped one. Looks at every folder, so only for a miss.
pub fn nearest(program: &str, path: &str) -> Option<String> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    let files = folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let names: Vec<String> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
    near(program, names.iter().map(String::as_str)).map(String::from)
}

fn candidates(folder: &Path, program: &str) -> Vec<PathBuf> {
    let endings: &[&str] = if cfg!(windows) { &["", ".exe", ".cmd", ".bat"] } else { &[""] };
    endings.iter().map(|ending| folder.join(format!("{program}{ending}"))).collect()
}

/// Whether the path leads to a file that can be started.
pub fn is_program(path: &Path) -> bool {
    let Ok(meta) = std::fs::metadata(path) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        meta.is_file() && meta.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    meta.is_file()
}

/// The first line of what a program says to `--version`; `None` when it does not end in time or says nothing.
pub fn version(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let until = Instant::now() + VERSION_DEADLINE;
    let ended = loop {
        match child.try_wait() {
            Ok(Some(_)) => break true,
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            _ => break false,
        }
    };
    if !ended {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    }
    let mut text = Vec::new();
    // A version fits into the pipe; a program that says more is cut.
    child.stdout.take()?.take(4096).read_to_end(&mut text).ok()?;
    let line = String::from_utf8_lossy(&text).lines().next()?.trim().to_string();
    (!line.is_empty()).then_some(line)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn programs_are_found_where_they_can_be_started() {
        let dir = tempfile::tempdir().unwrap();
        let tool = dir.path().join("tool");
        std::fs::write(&tool, "#!/bin/sh\necho tool 1.2\necho more\n").unwrap();
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o644)).unwrap();
        let path = format!("relative:{}:/bin", dir.path().display());
        assert_eq!(find("tool", &path), None);
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("tool", &path), Some(tool.clone()));
        assert_eq!(find(tool.to_str().unwrap(), ""), Some(tool.clone()));
        assert_eq!(find("no-such-tool", &path), None);
        assert_eq!(nearest("toool", &path).as_deref(), Some("tool"));
        assert_eq!(nearest("xyzzy", dir.path().to_str().unwrap()), None);
        assert_eq!(version(&tool).as_deref(), Some("tool 1.2"));
    }
}
