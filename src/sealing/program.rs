//! What a program prints, or a file holds, taken as a secret: for `cmd://`, `file://` and slots of kind `command`.
//! Rules: no shell, no input, a deadline, a bound on the length; one line end is taken off; an error shows the
//! program's name and the first words of its stderr, never its arguments or its output.

use super::Secret;
use crate::error::{Error, Result, codes};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::{Zeroize, Zeroizing};

/// Longest secret that is taken.
const MOST: u64 = 64 * 1024;
/// How long a program may take; one that asks the user for a touch or a password needs a while.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Pause between two looks at a program.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs a program and takes what it prints.
///
/// # Errors
/// `SECRET_SOURCE` with the reason.
pub fn run(words: &[String], deadline: Duration) -> Result<Secret> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| Error::new(&codes::SECRET_SOURCE, "`cmd://` names no program"))?;
    let failed = |reason: String| {
        Error::new(&codes::SECRET_SOURCE, format!("the program `{program}` gave no secret")).because(reason)
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Error::bug("a fresh child without pipes"));
    };
    let (said, heard) = std::sync::mpsc::sync_channel(1);
    // Threads of their own: a grandchild that keeps a pipe open must not hold us up beyond the deadline.
    std::thread::spawn(move || said.send(read(stdout)));
    let (complained, complaint) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || complained.send(read(stderr)));
    let ends = Instant::now() + deadline;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < ends => std::thread::sleep(PAUSE),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("no answer within {} ms", deadline.as_millis())));
            }
            Err(error) => return Err(failed(error.to_string())),
        }
    };
    let rest = ends.saturating_duration_since(Instant::now()).max(PAUSE);
    if !status.success() {
        let complaint = complaint.recv_timeout(rest).ok().and_then(std::io::Result::ok).unwrap_or_default();
        let words = String::from_utf8_lossy(&complaint);
        let first = words.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let first: String = first.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(failed(format!("{status} {first}").trim_end().to_string()));
    }
    match heard.recv_timeout(rest) {
        Ok(Ok(bytes)) => text(bytes).map_err(|reason| failed(reason.into())),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("its output did not end with it".into())),
    }
}

/// The secret in a file.
///
/// # Errors
/// `SECRET_SOURCE` with the reason.
pub fn file(path: &Path) -> Result<Secret> {
    let failed = |reason: String| {
        Error::new(&codes::SECRET_SOURCE, format!("the file `{}` gave no secret", path.display()))
            .because(reason)
    };
    let meta = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if !meta.is_file() {
        return Err(failed("it is not a plain file".into()));
    }
    let bytes = File::open(path).and_then(read).map_err(|error| failed(error.to_string()))?;
    text(bytes).map_err(|reason| failed(reason.into()))
}

/// The secret that a stream brings, such as our own input.
///
/// # Errors
/// `SECRET_SOURCE` with the reason.
pub fn stream(source: impl Read, name: &str) -> Result<Secret> {
    let failed =
        |reason: String| Error::new(&codes::SECRET_SOURCE, format!("{name} gave no secret")).because(reason);
    let bytes = read(source).map_err(|error| failed(error.to_string()))?;
    text(bytes).map_err(|reason| failed(reason.into()))
}

fn read(mut source: impl Read) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    source.by_ref().take(MOST + 1).read_to_end(&mut bytes)?;
    // Whoever says more is to hear that it was too much, rather than that nobody listens.
    std::io::copy(&mut source, &mut std::io::sink())?;
    Ok(bytes)
}

/// The text without the end of its last line.
fn text(mut bytes: Zeroizing<Vec<u8>>) -> Result<Secret, &'static str> {
    if bytes.len() as u64 > MOST {
        return Err("it is longer than 64 KiB");
    }
    let mut text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        error.into_bytes().zeroize();
        "it is not text"
    })?;
    let kept =
        text.strip_suffix('\n').map_or(text.len(), |rest| rest.strip_suffix('\r').unwrap_or(rest).len());
    text.truncate(kept);
    match text.is_empty() {
        true => Err("it is empty"),
        false => Ok(Secret::new(text)),
    }
}

/// Splits a line into words as a shell would, with quotes and backslashes and nothing else. `None`: a quote is open.
pub fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        end if end == c => break,
                        '\\' if c == '"' => word.push(chars.next()?),
                        inner => word.push(inner),
                    }
                }
            }
            // On Windows it divides folders.
            '\\' if !cfg!(windows) => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_into_words() {
        for (line, expected) in [
            ("op read op://a/b", Some(vec!["op", "read", "op://a/b"])),
            (" a  'b c' d\"e f\"'' ", Some(vec!["a", "b c", "de f"])),
            (r#""a \" b" ''"#, Some(vec!["a \" b", ""])),
            ("$(x) `y` ; z|w", Some(vec!["$(x)", "`y`", ";", "z|w"])),
            ("", Some(vec![])),
            ("'a", None),
        ] {
            let expected: Option<Vec<String>> = expected.map(|all| all.into_iter().map(Into::into).collect());
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_program_gives_a_line_or_says_why_not() {
        let shell = |script: &str| ["sh", "-c", script].map(String::from);
        let run = |script: &str, ms: u64| run(&shell(script), Duration::from_millis(ms));
        assert_eq!(run("echo ' a b '", 5000).unwrap().reveal(), " a b ");
        assert_eq!(run("printf 'a\\nb\\r\\n'", 5000).unwrap().reveal(), "a\nb");
        for (script, ms, reason) in [
            ("echo canary; echo 'not signed in' >&2; exit 3", 5000, "not signed in"),
            ("true", 5000, "it is empty"),
            ("printf '\\377'", 5000, "it is not text"),
            ("yes | head -c 70000", 5000, "longer than 64 KiB"),
            ("exec sleep 20", 60, "no answer within 60 ms"),
        ] {
            let error = run(script, ms).unwrap_err();
            assert!(error.is(&codes::SECRET_SOURCE), "{script}");
            assert!(error.to_string().contains(reason), "{script}: {error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        let error = super::run(&["/no/such/program".to_string()], DEADLINE).unwrap_err();
        assert!(error.is(&codes::SECRET_SOURCE));
    }

    #[test]
    fn a_file_gives_its_text_or_says_why_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(file(&path).unwrap().reveal(), "abc");
        for place in [dir.path().to_path_buf(), dir.path().join("none")] {
            assert!(file(&place).unwrap_err().is(&codes::SECRET_SOURCE));
        }
    }
}
