//! Starting the daemon's process and waiting for its one-shot report.
//! Not here: whether to start one (`lifecycle.rs`). Rule: the daemon inherits nothing but the environment:
//! its own session, `/` as its folder, no terminal, no descriptor of ours beyond the report pipe and its log.

use super::lifecycle::Starter;
use super::report::Report;
use crate::error::{Error, Result, codes};
use crate::paths::{Paths, create_private_dir, io_error, private_options};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// How long a daemon may take until its report.
const REPORT_DEADLINE: Duration = Duration::from_secs(10);

/// Starts a daemon and returns its report.
pub(super) fn start(paths: &Paths, starter: &Starter) -> Result<Report> {
    let log = paths.daemon_log();
    create_private_dir(log.parent().unwrap_or(Path::new("/")))?;
    let stderr = private_options().append(true).create(true).open(&log);
    let stderr = stderr.map_err(|error| io_error("open", &log, &error))?;
    let before = stderr.metadata().map_or(0, |meta| meta.len());
    let mut command = Command::new(&starter.program);
    command.args(&starter.arguments).envs(starter.environment.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
    detach(&mut command);
    let mut child = command.spawn().map_err(|error| {
        let program = starter.program.display();
        Error::new(&codes::DAEMON_START, format!("cannot start the daemon `{program}`")).because(error)
    })?;
    let stdout = child.stdout.take().ok_or_else(|| Error::bug("the daemon was started without a pipe"))?;
    match watch(child, stdout)?.recv_timeout(REPORT_DEADLINE) {
        Ok(Outcome::Report(report)) => Ok(report),
        Ok(Outcome::Ended(status)) => {
            let error =
                Error::new(&codes::DAEMON_START, format!("the daemon ended while it started ({status})"));
            let error = match last_line(&log, before) {
                Some(line) => error.because(line),
                None => error,
            };
            Err(error.hint("umcp gateway logs"))
        }
        Ok(Outcome::Unreadable(error)) => Err(error),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let message = format!(
                "the daemon did not report within {} s; it may still start",
                REPORT_DEADLINE.as_secs()
            );
            Err(Error::new(&codes::DAEMON_START, message).hint("umcp gateway logs"))
        }
    }
}

/// The path of a running program, also when its file was replaced by an update since.
pub(super) fn on_disk(program: PathBuf) -> PathBuf {
    if program.exists() {
        return program;
    }
    let text = program.to_string_lossy();
    match text.strip_suffix(" (deleted)") {
        Some(path) => path.into(),
        None => program,
    }
}

enum Outcome {
    Report(Report),
    Ended(std::process::ExitStatus),
    Unreadable(Error),
}

/// A small thread reads the report and then waits for the process, so that a long-lived starter keeps no zombie.
fn watch(mut child: Child, stdout: ChildStdout) -> Result<mpsc::Receiver<Outcome>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("daemon-report".into()).stack_size(128 << 10);
    let run = move || {
        let outcome = match Report::read(BufReader::with_capacity(1024, stdout)) {
            Ok(Some(report)) => Outcome::Report(report),
            Err(error) => Outcome::Unreadable(error),
            Ok(None) => match child.wait() {
                Ok(status) => Outcome::Ended(status),
                Err(error) => {
                    Outcome::Unreadable(Error::new(&codes::DAEMON_START, "the daemon is lost").because(error))
                }
            },
        };
        let _ = sender.send(outcome);
        let _ = child.wait();
    };
    thread
        .spawn(run)
        .map_err(|error| Error::new(&codes::DAEMON_START, "no thread for the report").because(error))?;
    Ok(receiver)
}

/// Last line that was written to the log since it had `from` bytes.
fn last_line(log: &Path, from: u64) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(4096)))).ok()?;
    let mut bytes = Vec::new();
    file.take(4096).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_string)
}

#[cfg(unix)]
fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.current_dir("/");
    // SAFETY: runs between fork and exec; both are plain system calls that touch no memory of ours.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            close_inherited();
            Ok(())
        });
    }
}

/// Marks everything beyond stderr to be closed at exec: an editor may have leaked pipes into us, and the daemon outlives it.
#[cfg(target_os = "linux")]
fn close_inherited() {
    // SAFETY: three integers; on a kernel without the call nothing happens.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 4_u32 /* CLOSE_RANGE_CLOEXEC */)
    };
}

#[cfg(all(unix, not(target_os = "linux")))]
fn close_inherited() {}

#[cfg(windows)]
fn detach(command: &mut Command) {
    use std::os::windows::process::CommandExt;
    const DETACHED_PROCESS: u32 = 0x0000_0008;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
    if let Some(root) = std::env::var_os("SystemRoot") {
        command.current_dir(root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_failed_start_is_its_last_line_on_stderr() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(home.path(), home.path().into());
        let script = "echo old >&2; echo banner; echo 'cannot open the store' >&2; exit 3";
        let starter = Starter {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![],
        };
        let error = start(&paths, &starter).unwrap_err();
        assert!(error.is(&codes::DAEMON_START));
        assert_eq!(
            error.to_string(),
            "the daemon ended while it started (exit status: 3): cannot open the store"
        );
    }

    #[test]
    fn a_program_replaced_by_an_update_is_found_again() {
        assert_eq!(on_disk("/no/umcp (deleted)".into()), PathBuf::from("/no/umcp"));
        assert_eq!(on_disk("/no/umcp".into()), PathBuf::from("/no/umcp"));
        assert_eq!(on_disk("/bin/sh".into()), PathBuf::from("/bin/sh"));
    }
}
