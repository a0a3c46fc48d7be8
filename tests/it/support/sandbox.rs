//! A home of its own for one test: nothing of the machine comes in, and what differs from run to run is redacted
//! on the way out. Not here: a running daemon.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The time in every sandbox.
pub const NOW: &str = "2026-01-02T03:04:05Z";

/// An empty home with a fixed clock.
pub struct Sandbox {
    dir: TempDir,
}

/// What one run of the program said, redacted. Its `Display` is what snapshots hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Sandbox {
    pub fn new() -> Self {
        let sandbox = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(sandbox.home()).unwrap();
        sandbox
    }

    /// The user's home, where commands run too.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Writes a file below the home and gives its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs the program with these arguments and no input.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    /// The same with variables set.
    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let output = self.command(arguments, variables).output().unwrap();
        let text = |bytes: &[u8]| self.redact(&String::from_utf8_lossy(bytes));
        Output {
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Runs with `--json` and gives the document, after a check of its frame.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let output = self.command(&arguments, &[]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let document: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text:?}"));
        assert_eq!(document["ok"] == true, output.status.success(), "{arguments:?}: {document}");
        assert!(document["kind"].is_string(), "{arguments:?}: {document}");
        document
    }

    /// Starts the program and does not wait for it.
    pub fn start(&self, arguments: &[&str]) -> std::process::Child {
        let mut command = self.command(arguments, &[]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_umcp"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home())
            .env("UMCP_HOME", self.dir.path().join("umcp"))
            .env("UMCP_CLOCK", NOW)
            .env("PATH", "/nonexistent")
            .envs(variables.iter().copied())
            .current_dir(self.home())
            .stdin(Stdio::null());
        // Windows finds neither its libraries nor a folder for sockets without these.
        for name in ["SystemRoot", "TEMP", "TMP"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    fn redact(&self, text: &str) -> String {
        let root = self.dir.path();
        let real = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
        let place = |path: &Path| path.display().to_string();
        let text = text.replace(&place(&real), "[DIR]").replace(&place(root), "[DIR]");
        let text = text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
        let text = if cfg!(windows) { text.replace('\\', "/") } else { text };
        let text = hex_after(&text, &["srv_", "tok_"], 32, "[ID]");
        let text = hex_after(&text, &["umcp_"], 64, "[KEY]");
        digits_after(&text, "pid ")
    }
}

/// Replaces `length` hex digits behind one of the prefixes.
fn hex_after(text: &str, prefixes: &[&str], length: usize, name: &str) -> String {
    let mut redacted = String::new();
    let mut rest = text;
    let next =
        |rest: &str| prefixes.iter().filter_map(|prefix| rest.find(prefix).map(|at| at + prefix.len())).min();
    while let Some(at) = next(rest) {
        redacted.push_str(&rest[..at]);
        rest = &rest[at..];
        let digits = rest.chars().take_while(char::is_ascii_hexdigit).count();
        if digits == length {
            redacted.push_str(name);
            rest = &rest[digits..];
        }
    }
    redacted + rest
}

fn digits_after(text: &str, prefix: &str) -> String {
    let mut parts = text.split(prefix);
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |text, part| {
        let tail = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = if tail.len() == part.len() { "" } else { "[PID]" };
        format!("{text}{prefix}{number}{tail}")
    })
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit: {}", self.code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "\n--- {name} ---\n{}", text.trim_end_matches('\n'))?;
            }
        }
        Ok(())
    }
}

#[test]
fn what_differs_from_run_to_run_is_redacted() {
    let sandbox = Sandbox::new();
    let id = format!("srv_{} srv_x (pid 123) pid x", "0a".repeat(16));
    let text = format!("{}/a {id}", sandbox.home().display());
    assert_eq!(sandbox.redact(&text), "[DIR]/home/a srv_[ID] srv_x (pid [PID]) pid x");
}
