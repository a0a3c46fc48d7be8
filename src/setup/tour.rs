//! The hands of the quickstart: running this program and catching what it says, the endpoint in the foreground,
//! and how things look in few lines. The order of the tour stands in `quickstart.rs`.

use super::probe::Start;
use crate::documents::write_yaml;
use crate::error::{Error, Result, codes};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Widest line shown of a tool or an answer.
const WIDTH: usize = 100;
/// Most lines shown of an answer.
const HEIGHT: usize = 12;

/// The file of servers the tour begins with.
pub fn servers(folder: &Path) -> Result<String> {
    write_yaml(&json!({"umcp": 1, "servers": {
        "time": {"url": "builtin:time"},
        "files": {"url": "builtin:files", "roots": [folder.display().to_string()]},
        "kv": {"url": "builtin:kv"},
        "fetch": {"url": "builtin:fetch"},
    }}))
}

/// The endpoint, running in the foreground as a child of ours.
pub struct Endpoint {
    child: Child,
    pub url: String,
}

impl Endpoint {
    /// Starts it and waits until it says its address.
    pub fn start(start: &Start, deadline: Duration) -> Result<Self> {
        let mut child =
            command(start).stderr(Stdio::piped()).spawn().map_err(|error| not_started(start, &error))?;
        let (sender, lines) = channel();
        let pipes: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
            child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        ];
        for pipe in pipes.into_iter().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                // Read on to the end, so that the child never blocks on a full pipe.
                for line in BufReader::new(pipe).lines().map_while(std::io::Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        drop(sender);
        let mut endpoint = Self { child, url: String::new() };
        let until = Instant::now() + deadline;
        let mut said = Vec::new();
        loop {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => match address(&line) {
                    Some(url) => {
                        endpoint.url = url;
                        return Ok(endpoint);
                    }
                    None => said.push(line),
                },
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Error::new(
                        &codes::TIMED_OUT,
                        "the endpoint did not say its address in time",
                    )
                    .because(said.join("\n")));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::new(&codes::DAEMON_START, "the endpoint ended at once")
                        .because(said.join("\n")));
                }
            }
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // It was asked to stop; it may take its six seconds for calls, and then it must go.
        let until = Instant::now() + Duration::from_secs(8);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a line such as `listening on http://127.0.0.1:4711/mcp`.
fn address(line: &str) -> Option<String> {
    let url = &line[line.find("http://")?..];
    let end = url.find(|c: char| c.is_whitespace() || "\"`',".contains(c)).unwrap_or(url.len());
    let url = url[..end].trim_end_matches(['.', '/']);
    let bare = url.matches('/').count() == 2;
    Some(if bare { format!("{url}/mcp") } else { url.into() })
}

/// What a command says on stdout; its last words on stderr when it fails.
pub fn output(start: &Start, folder: &Path, deadline: Duration) -> Result<Vec<String>> {
    let mut child = command(start)
        .current_dir(folder)
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(start, &error))?;
    let catch = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut pipe) = pipe {
                // A broken pipe leaves what was said before.
                let _ = pipe.read_to_end(&mut text);
            }
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let stdout = catch(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let stderr = catch(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    let until = Instant::now() + deadline;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                let message = format!("the command did not end within {} s", deadline.as_secs());
                return Err(Error::new(&codes::TIMED_OUT, message));
            }
        }
    };
    let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
    if status.success() {
        return Ok(short(&stdout));
    }
    let last: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).take(HEIGHT).collect();
    Err(Error::new(&codes::FAILED, format!("the command ended with {status}")).because(last.join("\n")))
}

fn command(start: &Start) -> Command {
    let mut command = Command::new(&start.program);
    command.args(&start.args).envs(&start.env).stdin(Stdio::null()).stdout(Stdio::piped());
    // What it says is caught and shown again: it must not draw for a terminal.
    command.env("NO_COLOR", "1");
    command
}

fn not_started(start: &Start, error: &std::io::Error) -> Error {
    Error::new(&codes::FAILED, format!("`{}` could not be started", start.program.display())).because(error)
}

/// A tool in one line: its name and the first sentence about it.
pub fn tool_line(tool: &Value) -> String {
    let about = tool["description"].as_str().unwrap_or_default();
    let first = about.lines().next().unwrap_or_default().split(". ").next().unwrap_or_default();
    cut(&format!("  {:<28} {first}", tool["name"].as_str().unwrap_or("?")))
}

/// The first lines of a text, none too wide.
pub fn short(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().take(HEIGHT).map(|line| cut(line.trim_end())).collect();
    if text.lines().count() > HEIGHT {
        lines.push("…".into());
    }
    lines
}

fn cut(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.into();
    }
    line.chars().take(WIDTH - 1).chain(['…']).collect()
}

/// A word as a shell would need it.
pub fn word(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        arg.into()
    } else {
        format!("'{}'", arg.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_what_a_program_says() {
        for (line, expected) in [
            ("listening on http://127.0.0.1:4711/mcp", Some("http://127.0.0.1:4711/mcp")),
            (r#"{"http":"http://127.0.0.1:1"}"#, Some("http://127.0.0.1:1/mcp")),
            ("✓ http://127.0.0.1:4711/, no key", Some("http://127.0.0.1:4711/mcp")),
            ("starting", None),
        ] {
            assert_eq!(address(line).as_deref(), expected, "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn output_and_failure_are_caught() {
        let shell = |script: &str| Start {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            ..Start::default()
        };
        let run =
            |script: &str, millis| output(&shell(script), Path::new("/"), Duration::from_millis(millis));
        assert_eq!(run("echo a; echo b", 20_000).unwrap(), ["a", "b"]);
        assert_eq!(run("seq 20", 20_000).unwrap().len(), HEIGHT + 1);
        assert!(run("echo why >&2; exit 3", 20_000).unwrap_err().to_string().contains("why"));
        assert!(run("exec sleep 30", 50).unwrap_err().is(&codes::TIMED_OUT));
    }
}
