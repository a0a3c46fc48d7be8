//! The way of a child from our memory to its program: what it inherits, what fails, what it leaves behind.

use super::*;
use crate::upstream::process::spawn::fork;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

fn pipes() -> [OwnedFd; 3] {
    let null = || fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap().into();
    [null(), null(), null()]
}

fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("A", "1");
    command
}

/// The status of a child that is waited for.
fn end(pid: u32) -> i32 {
    let mut status = 0;
    // SAFETY: a child of this test, which nobody else waits for; writes one integer.
    let answer = unsafe { libc::waitpid(pid.cast_signed(), &raw mut status, 0) };
    assert_eq!(answer, pid.cast_signed());
    status
}

fn nothing() -> io::Result<()> {
    Ok(())
}

#[test]
fn errors_of_each_step_are_told_as_by_a_forked_child() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "text").unwrap();
    let file = file.to_str().unwrap();
    let mut lost = command("/bin/true", &[]);
    lost.current_dir("/nowhere");
    let mut cases: Vec<(Command, Option<i32>)> =
        [1, 4, 6, 7].map(|step| (command("/bin/true", &[]), Some(step))).into();
    cases.extend([(lost, None), (command("/no/such/program", &[]), None), (command(file, &[]), None)]);
    let mut zero = command("/bin/true", &[]);
    zero.env("B", "zero\0");
    cases.push((zero, None));
    for (command, step) in cases {
        let told = |error: io::Error| {
            let failure = Prepared::failure(&error).map(|failure| failure.to_string());
            (error.raw_os_error(), error.kind(), failure)
        };
        let ours = spawn(&command, &pipes(), step.map(Prepared::failing).as_ref(), &nothing);
        let ours = told(ours.unwrap_err());
        let shown = format!("{command:?} {step:?} {ours:?}");
        assert_eq!(ours.2.is_some(), step.is_some(), "{shown}");
        let forked = fork(command, step.map(Prepared::failing), pipes(), std::process::id());
        assert_eq!(ours, told(forked.unwrap_err()), "{shown}");
    }
}

#[test]
fn an_argument_with_a_zero_is_left_to_the_standard_library() {
    let command = command("/bin/true", &["zero\0"]);
    assert_eq!(spawn(&command, &pipes(), None, &nothing).unwrap(), None);
    let error = fork(command, None, pipes(), std::process::id()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn the_last_step_of_the_caller_can_refuse() {
    let refuse = || Err(io::Error::from_raw_os_error(libc::ESRCH));
    let error = spawn(&command("/bin/true", &[]), &pipes(), None, &refuse).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    // Kernels before 4.3; then the child has to be forked.
    let refuse = || Err(io::Error::from_raw_os_error(20_000 + libc::EINVAL));
    assert_eq!(spawn(&command("/bin/true", &[]), &pipes(), None, &refuse).unwrap(), None);
}

#[test]
fn whoever_starts_a_child_waits_until_it_is_a_program() {
    let pause = Duration::from_millis(60);
    let slow = || {
        // SAFETY: waits for no descriptor.
        unsafe { libc::poll(std::ptr::null_mut(), 0, 60) };
        Ok(())
    };
    let begun = Instant::now();
    let pid = spawn(&command("/bin/sleep", &["60"]), &pipes(), None, &slow).unwrap().unwrap();
    assert!(begun.elapsed() >= pause);
    let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert_ne!(program, std::env::current_exe().unwrap());
    // SAFETY: a signal to our own child.
    unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
    assert_eq!(libc::WTERMSIG(end(pid)), libc::SIGKILL);
}

#[test]
fn a_child_that_is_killed_on_its_way_ends_like_any_other() {
    let kill = || {
        // SAFETY: ends the process that runs it, which is the child.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        Ok(())
    };
    let pid = spawn(&command("/bin/true", &[]), &pipes(), None, &kill).unwrap().unwrap();
    assert_eq!(libc::WTERMSIG(end(pid)), libc::SIGKILL);
}

#[test]
fn a_file_without_a_first_line_is_run_as_the_c_library_does() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tool");
    fs::write(&file, "test \"$1$A\" = x1 && exit 7\n").unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let command = command(file.to_str().unwrap(), &["x"]);
    let ours = spawn(&command, &pipes(), None, &nothing).map(|pid| libc::WEXITSTATUS(end(pid.unwrap())));
    let forked = fork(command, None, pipes(), std::process::id()).map(|pid| libc::WEXITSTATUS(end(pid)));
    let told = |outcome: io::Result<i32>| outcome.map_err(|error| error.raw_os_error());
    assert_eq!(told(ours), told(forked));
}

#[test]
fn the_signals_of_the_starter_are_what_they_were() {
    let mask = || {
        // SAFETY: reads this thread's mask into a set of the right type; all bytes zero is a valid one.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &raw mut set);
            (1..=SIGNALS).filter(|signal| libc::sigismember(&raw const set, *signal) == 1).collect::<Vec<_>>()
        }
    };
    let caught = || {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    let before = (mask(), caught());
    assert_ne!(before.1, 0, "the runtime catches overflows of the stack");
    let pid = spawn(&command("/bin/true", &[]), &pipes(), None, &nothing).unwrap().unwrap();
    assert_eq!(libc::WEXITSTATUS(end(pid)), 0);
    spawn(&command("/nowhere", &[]), &pipes(), None, &nothing).unwrap_err();
    // Tests beside this one may have set more.
    assert_eq!((mask(), caught() & before.1), before);
}
