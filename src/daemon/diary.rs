//! The daemon's own log: a line with its time for what somebody asks about afterwards: start and end, listeners,
//! clients, servers. Not here: calls (the store has a record of each) and what servers say (their own logs).
//! Rule: at most [`LIMIT`] × 2 on the disk, and no trouble with the file ever reaches the daemon.

use crate::clock::Clock;
use crate::engine::live::Event;
use crate::paths::{Paths, private_options};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The file is set aside, as `daemon.log.1`, before it would grow beyond this.
pub const LIMIT: u64 = 1 << 20;
/// Longer lines are cut; a crashed server's last words come along.
const LINE: usize = 1000;

/// The open log. Lines go to the file and, of a daemon in the foreground, to stderr too.
pub struct Diary {
    path: PathBuf,
    clock: Clock,
    file: Mutex<Option<File>>,
    echo: bool,
}

impl Diary {
    /// Opens or continues the log. One that cannot be opened is tried again with each line.
    pub fn open(paths: &Paths, clock: Clock, foreground: bool) -> Self {
        let path = paths.daemon_log();
        let file = private_options().append(true).create(true).open(&path).ok();
        // A daemon that was detached, or one below launchd, has this very file as its stderr.
        let echo = foreground && !file.as_ref().is_some_and(is_stderr);
        Self { path, clock, file: Mutex::new(file), echo }
    }

    /// Writes one line.
    pub fn line(&self, text: &str) {
        let shown: String = text.chars().take(LINE).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = format!("{} {shown}\n", self.clock.now().rfc3339());
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_room(&mut file, line.len() as u64);
        if let Some(file) = file.as_mut() {
            let _ = file.write_all(line.as_bytes());
        }
        if self.echo {
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        }
    }

    /// Writes what happened, if it is of the kind that is logged.
    pub fn event(&self, event: &Event) {
        if let Some(text) = told(event) {
            self.line(&text);
        }
    }

    /// Sets a full file aside. What is written to stderr follows, where the system lets it.
    fn make_room(&self, file: &mut Option<File>, more: u64) {
        let size = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
        if file.is_some() && size + more <= LIMIT {
            return;
        }
        let was_stderr = file.as_ref().is_some_and(is_stderr);
        *file = None;
        if size > 0 {
            let mut old = self.path.as_os_str().to_os_string();
            old.push(".1");
            let _ = std::fs::rename(&self.path, PathBuf::from(old));
        }
        *file = private_options().append(true).create(true).open(&self.path).ok();
        if let (true, Some(file)) = (was_stderr, file.as_ref()) {
            make_stderr(file);
        }
    }
}

/// The line for an event; `None` for those that are told elsewhere.
fn told(event: &Event) -> Option<String> {
    match event {
        Event::Server { server, state, detail, .. } => {
            let detail = detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"));
            Some(format!("server {server}: {}{detail}", state.word()))
        }
        Event::Session { client, .. } if client.is_empty() => None,
        Event::Session { client, opened, .. } => {
            Some(format!("client {client} {}", if *opened { "connected" } else { "left" }))
        }
        Event::Account { connection, state, detail, .. } => {
            let detail = detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"));
            Some(format!("connection {connection} {state}{detail}"))
        }
        Event::Schedule { schedule, run, status, .. } => {
            Some(format!("schedule {schedule}: {run} {}", status.word()))
        }
        Event::Alert(turn) => Some(turn.told()),
        Event::ListChanged { tools, .. } => Some(format!("tools changed: {tools} in all")),
        Event::Call { .. }
        | Event::Progress { .. }
        | Event::Log { .. }
        | Event::Run { .. }
        | Event::Approval { .. } => None,
    }
}

#[cfg(unix)]
fn is_stderr(file: &File) -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().map(File::from);
    let place = |file: &File| file.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    stderr.is_ok_and(|stderr| place(&stderr).is_some_and(|there| place(file) == Some(there)))
}

#[cfg(unix)]
fn make_stderr(file: &File) {
    use std::os::fd::AsRawFd;
    // SAFETY: both descriptors are open; dup2 replaces the second in one step.
    unsafe { libc::dup2(file.as_raw_fd(), libc::STDERR_FILENO) };
}

/// Not told there; a daemon in the foreground says each line on stderr too.
#[cfg(not(unix))]
fn is_stderr(_file: &File) -> bool {
    false
}

#[cfg(not(unix))]
fn make_stderr(_file: &File) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::engine::live::State;

    const NOW: Timestamp = Timestamp::from_millis(1_763_717_400_000);

    fn diary() -> (tempfile::TempDir, Diary) {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(home.path(), home.path().into());
        paths.create().unwrap();
        let diary = Diary::open(&paths, Clock::Fixed(NOW), false);
        (home, diary)
    }

    #[test]
    fn what_happens_is_one_line_each() {
        let (_home, diary) = diary();
        diary.line("started");
        let server = |state, detail: Option<&str>| Event::Server {
            at: NOW,
            server: "time".into(),
            state,
            detail: detail.map(Into::into),
        };
        diary.event(&server(State::Ready, None));
        diary.event(&server(State::Waiting, Some("it ended\nforged line")));
        diary.event(&Event::Session { at: NOW, client: "codex".into(), opened: true });
        diary.event(&Event::Session { at: NOW, client: String::new(), opened: false });
        diary.event(&Event::Session { at: NOW, client: "codex".into(), opened: false });
        diary.event(&Event::ListChanged { at: NOW, tools: 3 });
        diary.event(&Event::Log { level: "info".into(), message: "of a call".into() });
        let text = std::fs::read_to_string(&diary.path).unwrap();
        let lines: Vec<&str> =
            text.lines().map(|line| line.strip_prefix("2025-11-21T09:30:00.000Z ").unwrap()).collect();
        assert_eq!(
            lines,
            [
                "started",
                "server time: ready",
                "server time: waiting: it ended forged line",
                "client codex connected",
                "client codex left",
                "tools changed: 3 in all",
            ]
        );
    }

    #[test]
    fn two_files_are_kept_and_nothing_between_them_is_lost() {
        let (_home, diary) = diary();
        let filler = "x".repeat(2000);
        for number in 0..2000 {
            diary.line(&format!("{number} {filler}"));
        }
        let old = diary.path.with_file_name("daemon.log.1");
        let files = [&old, &diary.path].map(|path| std::fs::read_to_string(path).unwrap());
        assert!(files.iter().all(|text| text.len() as u64 <= LIMIT));
        let number = |line: &str| line.split(' ').nth(1).unwrap().parse::<u32>().unwrap();
        let numbers: Vec<u32> = files.iter().flat_map(|text| text.lines().map(number)).collect();
        assert!(numbers.last() == Some(&1999) && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
        assert_eq!(std::fs::read_dir(old.parent().unwrap()).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_that_is_gone_does_no_harm() {
        let (_home, diary) = diary();
        let folder = diary.path.parent().unwrap();
        *diary.file.lock().unwrap() = None;
        std::fs::remove_dir_all(folder).unwrap();
        diary.line("nobody reads this");
        std::fs::create_dir(folder).unwrap();
        diary.line("again");
        assert!(std::fs::read_to_string(&diary.path).unwrap().ends_with(" again\n"));
    }
}
