//! Real processes, small ones: what they leave behind is looked up in the system's own process table.
//! Long because there are many ways in which processes come and go.
//! Some tests run this binary again as a process of its own, because they change or kill the whole process.
#![allow(clippy::unwrap_used, reason = "a helper of tests is no test to the lint")]

use super::*;
use std::fs;
use std::io::{BufRead, BufReader};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(5);

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

fn shell(script: &str) -> Spec {
    Spec {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        env: BTreeMap::new(),
        cwd: None,
        label: "srv".into(),
        confinement: None,
    }
}

/// Test runs beside each other must not sweep each other.
fn nonce(name: &str) -> String {
    let outer = std::env::var("UMCP_TEST_OUTER").unwrap_or_else(|_| std::process::id().to_string());
    format!("{name}-{outer}")
}

/// Everybody who carries a marker of `nonce`.
fn left(nonce: &str) -> Vec<u32> {
    let marker = format!("{MARKER}={nonce}:").into_bytes();
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|line| line.starts_with(&marker))
    })
    .collect()
}

fn exists(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}

/// Looks again until it is so; the deadline is what the test promises.
fn soon(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

async fn first_line(child: &mut Child) -> String {
    let mut line = Vec::new();
    let stdout = child.stdout.as_mut().unwrap();
    loop {
        match stdout.read_u8().await {
            Ok(b'\n') | Err(_) => return String::from_utf8(line).unwrap(),
            Ok(byte) => line.push(byte),
        }
    }
}

#[test]
fn a_child_speaks_on_its_pipes_and_its_exit_is_told() {
    run(async {
        let children = Children::start(&nonce("t-speak")).unwrap();
        let script = "read word; echo \"got $word\"; echo oops >&2; exit 3";
        let mut child = children.spawn(shell(script)).await.unwrap();
        child.stdin.as_mut().unwrap().write_all(b"hello\n").await.unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        child.stdout.as_mut().unwrap().read_to_string(&mut out).await.unwrap();
        child.stderr.as_mut().unwrap().read_to_string(&mut err).await.unwrap();
        let exit = child.exit().wait().await;
        let pid = child.pid;
        assert_eq!(
            (out.as_str(), err.as_str(), exit),
            ("got hello\n", "oops\n", ExitInfo { code: Some(3), signal: None })
        );
        assert_eq!(child.stop(SHORT).await, Some(exit));
        assert!(!exists(pid));
    });
}

#[test]
fn an_exit_is_noticed_within_100_ms() {
    run(async {
        let children = Children::start(&nonce("t-notice")).unwrap();
        let child = children.spawn(shell("exec sleep 100")).await.unwrap();
        let mut exit = child.exit();
        assert_eq!(exit.now(), None);
        let killed = Instant::now();
        // SAFETY: a signal to our own child.
        unsafe { libc::kill(child.pid.cast_signed(), libc::SIGKILL) };
        assert_eq!(exit.wait().await, ExitInfo { code: None, signal: Some(9) });
        assert!(killed.elapsed() < Duration::from_millis(100), "{:?}", killed.elapsed());
    });
}

#[test]
fn the_end_of_input_is_enough_for_a_polite_server() {
    run(async {
        let children = Children::start(&nonce("t-polite")).unwrap();
        let child = children.spawn(shell("exec cat")).await.unwrap();
        assert_eq!(child.stop(LONG).await, Some(ExitInfo { code: Some(0), signal: None }));
    });
}

#[test]
fn a_server_that_ignores_all_requests_is_killed_with_its_tree() {
    run(async {
        let cases = [
            ("t-tree", "sleep 100 & echo up; sleep 100", Some(15)),
            ("t-deaf", "trap '' TERM; echo up; sleep 100 & while :; do sleep 0.05; done", Some(9)),
            ("t-stopped", "echo up; kill -STOP $$", Some(9)),
        ];
        for (name, script, signal) in cases {
            let nonce = &nonce(name);
            let children = Children::start(nonce).unwrap();
            let mut child = children.spawn(shell(script)).await.unwrap();
            assert_eq!(first_line(&mut child).await, "up", "{nonce}");
            let members = left(nonce);
            assert_eq!(child.stop(SHORT).await, Some(ExitInfo { code: None, signal }), "{nonce}");
            let remains: Vec<u32> = members.into_iter().filter(|pid| exists(*pid)).collect();
            assert_eq!((left(nonce), remains), (vec![], vec![]), "{nonce}: no process and no zombie");
        }
    });
}

#[test]
fn a_daemon_that_forked_away_twice_ends_with_its_server() {
    run(async {
        let children = Children::start(&nonce("t-daemon")).unwrap();
        let script = "(setsid sh -c 'sleep 100 & exec sleep 100' <&- >/dev/null 2>&1 &); exit 0";
        let child = children.spawn(shell(script)).await.unwrap();
        assert_eq!(child.exit().wait().await.code, Some(0));
        assert!(
            soon(LONG, || left(&nonce("t-daemon")).len() == 2),
            "both daemons run: {:?}",
            left(&nonce("t-daemon"))
        );
        let daemons = left(&nonce("t-daemon"));
        let begun = Instant::now();
        child.stop(SHORT).await;
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert_eq!(daemons.iter().filter(|pid| exists(**pid)).count(), 0, "no process and no zombie");
    });
}

#[test]
fn a_dropped_child_takes_its_tree_along() {
    run(async {
        let children = Children::start(&nonce("t-drop")).unwrap();
        let mut child = children.spawn(shell("sleep 100 & echo up; sleep 100")).await.unwrap();
        first_line(&mut child).await;
        let (pid, mut exit) = (child.pid, child.exit());
        drop(child);
        assert_eq!(exit.wait().await.signal, Some(9));
        assert!(soon(LONG, || left(&nonce("t-drop")).is_empty() && !exists(pid)));
    });
}

#[test]
fn fifty_children_start_and_stop_without_a_trace() {
    run(async {
        let children = Children::start(&nonce("t-fifty")).unwrap();
        let mut running = Vec::new();
        for _ in 0..50 {
            running.push(children.spawn(shell("sleep 100 & exec cat")).await.unwrap());
        }
        let pids: Vec<u32> = running.iter().map(|child| child.pid).collect();
        let begun = Instant::now();
        let stops: Vec<_> = running.into_iter().map(|child| tokio::spawn(child.stop(LONG))).collect();
        for stop in stops {
            assert_eq!(stop.await.unwrap(), Some(ExitInfo { code: Some(0), signal: None }));
        }
        assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
        assert_eq!(left(&nonce("t-fifty")), [] as [u32; 0]);
        assert_eq!(pids.iter().filter(|pid| exists(**pid)).count(), 0);
    });
}

#[test]
fn a_child_sees_declared_variables_and_none_of_ours() {
    run(async {
        let children = Children::start(&nonce("t-env")).unwrap();
        let allowed =
            |name: &str| environment::inherited(name, false) || ["DECLARED", MARKER].contains(&name);
        assert!(std::env::vars().any(|(name, _)| !allowed(&name)), "there is something to hide");
        let mut spec = Spec { program: "env".into(), args: vec![], ..shell("") };
        spec.env.insert("DECLARED".into(), "yes".into());
        let mut child = children.spawn(spec).await.unwrap();
        let mut out = String::new();
        child.stdout.as_mut().unwrap().read_to_string(&mut out).await.unwrap();
        let lines: Vec<(&str, &str)> = out.lines().filter_map(|line| line.split_once('=')).collect();
        assert!(lines.iter().all(|(name, _)| allowed(name)), "{out}");
        assert!(lines.contains(&("DECLARED", "yes")), "{out}");
    });
}

#[test]
fn a_child_has_three_descriptors_whatever_we_inherited() {
    run(async {
        let children = Children::start(&nonce("t-descriptors")).unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        // SAFETY: a descriptor without close-on-exec, as a careless starter of the daemon leaves it; closed below.
        let leaky = unsafe { libc::dup(std::os::fd::AsRawFd::as_raw_fd(&file)) };
        let spec = Spec { program: "ls".into(), args: vec!["/proc/self/fd".into()], ..shell("") };
        let mut child = children.spawn(spec).await.unwrap();
        let mut out = String::new();
        child.stdout.as_mut().unwrap().read_to_string(&mut out).await.unwrap();
        // SAFETY: opened above, used by nobody else.
        unsafe { libc::close(leaky) };
        assert_eq!(out, "0\n1\n2\n3\n", "the fourth is the folder that `ls` reads");
    });
}

#[test]
fn a_program_that_cannot_run_says_why() {
    run(async {
        let children = Children::start(&nonce("t-missing")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tool");
        fs::write(&file, "#!/no/such/interpreter\n").unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let tool = file.display().to_string();
        let cases = [
            (
                "npx",
                "/nowhere",
                "`srv`: the program `npx` was not found on PATH",
                "install Node.js: https://nodejs.org",
            ),
            (
                "uvx",
                "/nowhere",
                "`srv`: the program `uvx` was not found on PATH",
                "install uv: https://docs.astral.sh/uv",
            ),
            (&tool, "/bin", &format!("`srv`: the interpreter of `{tool}` is missing"), ""),
        ];
        for (program, path, message, hint) in cases {
            let env = BTreeMap::from([("PATH".into(), path.into())]);
            let spec = Spec {
                program: program.into(),
                args: vec![],
                env,
                cwd: None,
                label: "srv".into(),
                confinement: None,
            };
            let error = children.spawn(spec).await.err().unwrap();
            assert!(error.is(&codes::UPSTREAM_START));
            assert_eq!(
                (error.message.as_str(), error.hints.first().map_or("", String::as_str)),
                (message, hint)
            );
        }
    });
}

#[test]
fn the_use_of_a_tree_is_summed() {
    run(async {
        let children = Children::start(&nonce("t-usage")).unwrap();
        let script = "sleep 100 & i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo up; wait";
        let mut child = children.spawn(shell(script)).await.unwrap();
        first_line(&mut child).await;
        assert!(soon(LONG, || usage(child.pid).is_some_and(|usage| usage.processes == 2)));
        let used = usage(child.pid).unwrap();
        assert!(used.cpu_ms > 0 && used.rss_bytes > 100_000, "{used:?}");
        let pid = child.pid;
        child.stop(Duration::ZERO).await;
        assert_eq!(usage(pid), None);
    });
}

#[test]
fn children_of_others_are_left_to_them_and_do_not_hide_ours() {
    run(async {
        let children = Children::start(&nonce("t-others")).unwrap();
        let mut other = std::process::Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let stat = format!("/proc/{}/stat", other.id());
        assert!(soon(LONG, || fs::read_to_string(&stat).unwrap().contains(") Z ")));
        for _ in 0..3 {
            let child = children.spawn(shell("exit 3")).await.unwrap();
            let begun = Instant::now();
            assert_eq!(child.exit().wait().await.code, Some(3));
            assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
        }
        assert_eq!(other.wait().unwrap().code(), Some(7));
    });
}

#[test]
fn an_orphan_that_ends_by_itself_leaves_no_zombie() {
    run(async {
        let children = Children::start(&nonce("t-orphans")).unwrap();
        let script = "(setsid sh -c 'echo $$; read line </dev/tty' &); exec cat";
        let mut child = children.spawn(shell(script)).await.unwrap();
        let orphan: u32 = first_line(&mut child).await.parse().unwrap();
        assert!(soon(LONG, || !exists(orphan)), "{orphan}");
        assert_eq!(child.exit().now(), None, "the server still runs");
        child.stop(LONG).await;
    });
}

/// Runs one ignored test of this binary in a process of its own, after the shell did something `before`.
fn alone(test: &str, before: &str) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    let script = format!("{before}; exec \"$0\" --exact --ignored --nocapture \"$1\"");
    command.args(["-c", &script]).arg(std::env::current_exe().unwrap());
    command.arg(format!("upstream::process::tests::{test}"));
    command.env("UMCP_TEST_OUTER", std::process::id().to_string());
    command
}

#[test]
fn a_process_without_descriptors_says_so_and_recovers() {
    let output = alone("inner_without_descriptors", "ulimit -n 64").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn exits_are_told_although_the_starter_ignored_them() {
    // Not through a shell, which would heed the signal again.
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "upstream::process::tests::a_child_speaks_on_its_pipes_and_its_exit_is_told"]);
    let ignore = || {
        // SAFETY: one system call between fork and exec.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        Ok(())
    };
    // SAFETY: as above.
    unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, ignore) };
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by a_process_without_descriptors_says_so_and_recovers"]
fn inner_without_descriptors() {
    run(async {
        let children = Children::start(&nonce("t-full")).unwrap();
        let mut running = Vec::new();
        let error = loop {
            match children.spawn(shell("exec cat")).await {
                Ok(child) => running.push(child),
                Err(error) => break error,
            }
            assert!(running.len() < 64);
        };
        assert!(error.is(&codes::UPSTREAM_RESOURCES), "{error}");
        assert!(running.len() > 10, "{}", running.len());
        // Even now, with hardly a descriptor left, a child can be ended.
        let child = running.pop().unwrap();
        assert!(child.stop(LONG).await.is_some());
        let child = children.spawn(shell("exec cat")).await.unwrap();
        assert_eq!(child.stop(LONG).await, Some(ExitInfo { code: Some(0), signal: None }));
    });
}

#[test]
fn nothing_outlives_a_killed_daemon_and_the_next_sweep() {
    let mut daemon = alone("inner_daemon", ":").stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
    let ready = lines.map_while(std::result::Result::ok).find(|line| line.starts_with("child "));
    let child: u32 = ready.unwrap()[6..].parse().unwrap();
    // Looked at again, because a process has no environment to show for the moment in which it becomes another.
    assert!(soon(LONG, || left(&nonce("t-orphan")).len() == 2), "the server and what it started");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(
        soon(LONG, || left(&nonce("t-orphan")).len() == 1),
        "the server dies with its daemon: {:?}",
        left(&nonce("t-orphan"))
    );
    assert!(!left(&nonce("t-orphan")).contains(&child));
    assert_eq!(sweep(&nonce("t-orpha")), 0, "another store's");
    assert_eq!(sweep(&nonce("t-orphan")), 1);
    assert_eq!(left(&nonce("t-orphan")), [] as [u32; 0]);
}

#[test]
#[ignore = "run by nothing_outlives_a_killed_daemon_and_the_next_sweep"]
fn inner_daemon() {
    run(async {
        let children = Children::start(&nonce("t-orphan")).unwrap();
        let mut child = children.spawn(shell("setsid sleep 100 & echo up; exec sleep 100")).await.unwrap();
        first_line(&mut child).await;
        assert!(soon(LONG, || left(&nonce("t-orphan")).len() == 2));
        println!("child {}", child.pid);
        child.exit().wait().await;
    });
}

#[test]
fn a_child_begins_with_the_signals_of_a_fresh_program() {
    run(async {
        let children = Children::start(&nonce("t-signals")).unwrap();
        let spec = Spec { program: "cat".into(), args: vec!["/proc/self/status".into()], ..shell("") };
        let mut child = children.spawn(spec).await.unwrap();
        let mut out = String::new();
        child.stdout.as_mut().unwrap().read_to_string(&mut out).await.unwrap();
        let set = |status: &str, name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        let ours = fs::read_to_string("/proc/self/status").unwrap();
        let broken_pipe = 1 << (libc::SIGPIPE - 1);
        assert!(set(&ours, "SigCgt:") != 0 && set(&ours, "SigIgn:") & broken_pipe != 0, "{ours}");
        let theirs = ["SigBlk:", "SigCgt:", "SigIgn:"].map(|name| set(&out, name));
        assert_eq!(theirs, [0, 0, set(&ours, "SigIgn:") & !broken_pipe], "{out}");
    });
}

#[test]
fn two_hundred_children_in_a_row_leave_nothing_in_this_process() {
    let output = alone("inner_two_hundred", ":").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by two_hundred_children_in_a_row_leave_nothing_in_this_process"]
fn inner_two_hundred() {
    let counts = || {
        let entries = |folder: &str| fs::read_dir(folder).unwrap().count();
        let maps = fs::read_to_string("/proc/self/maps").unwrap().lines().count();
        (entries("/proc/self/fd"), maps)
    };
    run(async {
        let children = Children::start(&nonce("t-row")).unwrap();
        let start = async |spec: Spec| match children.spawn(spec).await {
            Ok(child) => child.stop(LONG).await.and_then(|exit| exit.code),
            Err(error) => panic!("{error}"),
        };
        for _ in 0..20 {
            assert_eq!(start(shell("exit 3")).await, Some(3));
        }
        let before = counts();
        for _ in 0..100 {
            assert_eq!(start(shell("exit 3")).await, Some(3));
            let lost = Spec { program: "/proc/version".into(), ..shell("") };
            assert!(children.spawn(lost).await.is_err());
        }
        let (descriptors, maps) = counts();
        assert_eq!(descriptors, before.0);
        // The allocator and the pool of threads come and go; 200 stacks would show.
        assert!(maps < before.1 + 50, "{maps} instead of {}", before.1);
        let ended = super::tree::ended_children();
        assert_eq!((left(&nonce("t-row")), ended), (vec![], vec![]), "no process and no zombie");
    });
}

/// The confinement of a home with a key in it, and the folder that keeps it.
fn with_key() -> (tempfile::TempDir, Confinement) {
    use crate::{paths::Paths, sandbox, settings::Settings};
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().canonicalize().unwrap();
    fs::create_dir(home.join(".ssh")).unwrap();
    fs::write(home.join(".ssh/key"), "secret").unwrap();
    let paths = Paths::in_folder(&home.join("umcp"), home);
    let sandbox = sandbox::Sandbox { profile: Some(sandbox::Base::Default), ..sandbox::Sandbox::default() };
    let confinement = Confinement::new(&sandbox, &Settings::default(), &paths, "srv");
    (dir, confinement)
}

#[test]
fn a_key_is_hidden_whoever_we_are_and_our_own_memory_stays_guarded() {
    use std::os::unix::process::CommandExt;
    let mut ways = vec![alone("inner_guarded", ":")];
    // SAFETY: asks for a number.
    if unsafe { libc::geteuid() } == 0 {
        let mut nobody = alone("inner_guarded", ":");
        nobody.uid(65534).gid(65534);
        ways.push(nobody);
    }
    for mut way in ways {
        let output = way.current_dir("/").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{way:?} {text}");
    }
}

#[test]
#[ignore = "run by a_key_is_hidden_whoever_we_are_and_our_own_memory_stays_guarded"]
fn inner_guarded() {
    run(async {
        let children = Children::start(&nonce("t-guarded")).unwrap();
        let (dir, confinement) = with_key();
        let key = dir.path().canonicalize().unwrap().join(".ssh/key");
        let read = format!("cat {} || id -u", key.display());
        for guarded in [0, 1] {
            // SAFETY: a flag of this process, which is the test's own; then the same is asked for.
            let dumpable = || unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) };
            // SAFETY: as above.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(guarded == 1), 0, 0, 0) };
            let said = async |confinement: Option<&Confinement>| {
                let spec = Spec { confinement: confinement.cloned(), ..shell(&read) };
                let mut child = children.spawn(spec).await.unwrap();
                let mut out = String::new();
                child.stdout.as_mut().unwrap().read_to_string(&mut out).await.unwrap();
                out
            };
            // SAFETY: asks for a number.
            let own = unsafe { libc::geteuid() };
            assert_eq!(said(Some(&confinement)).await, format!("{own}\n"));
            assert_eq!(dumpable(), guarded, "after a start");
            assert_eq!(said(None).await, "secret");
            let lost =
                Spec { program: "/proc/version".into(), confinement: Some(confinement.clone()), ..shell("") };
            assert!(children.spawn(lost).await.is_err());
            assert_eq!(dumpable(), guarded, "after a failed start");
        }
    });
}
