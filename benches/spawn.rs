//! What a sandbox adds to the start of a process: each profile beside a plain start, in turns.
//! Figures of one run belong together; absolute times are those of the machine. Run: `cargo bench --bench spawn`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("nothing is measured on this system");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::{Duration, Instant};
    use umcp::sandbox::{Base, Defaults, Identity, Sandbox, Subject, Support, plan, prepare_with, support};

    const ROUNDS: usize = 400;

    pub fn main() {
        let home = std::env::home_dir().unwrap_or_else(|| "/".into());
        let without_mounts = Support { mounts: false, ..support() };
        let ways = [
            ("plain", None, support()),
            ("default, by mounts", Some(Base::Default), support()),
            ("default, by Landlock", Some(Base::Default), without_mounts),
            ("strict", Some(Base::Strict), support()),
        ];
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); ways.len()];
        for _ in 0..ROUNDS {
            for ((_, base, support), times) in ways.iter().zip(&mut times) {
                times.push(once(*base, *support, &home));
            }
        }
        println!("{:<24}{:>12}{:>12}{:>14}", "start of /bin/true", "minimum µs", "median µs", "median more");
        let median = |times: &mut Vec<Duration>| {
            times.sort();
            (times[0].as_micros(), times[times.len() / 2].as_micros())
        };
        let plain = median(&mut times[0]).1;
        for ((name, ..), times) in ways.iter().zip(&mut times) {
            let (least, middle) = median(times);
            println!("{name:<24}{least:>12}{middle:>12}{:>14}", middle.saturating_sub(plain));
        }
    }

    /// From the decision to the end of the process, planning included.
    fn once(base: Option<Base>, support: Support, home: &Path) -> Duration {
        let started = Instant::now();
        let program = PathBuf::from("/bin/true");
        let mut command = Command::new(&program);
        // As every server is started: with a group of its own, between fork and exec.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        // SAFETY: does nothing.
        unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, || Ok(())) };
        if let Some(base) = base {
            let sandbox = Sandbox { profile: Some(base), ..Sandbox::default() };
            let chosen = sandbox.over(&Defaults { base, memory: 0, processes: 0, disk: 0 }, 0);
            let work = std::env::temp_dir();
            let subject = Subject {
                program: &program,
                args: &[],
                env: &BTreeMap::new(),
                path: "/usr/bin:/bin",
                work: std::slice::from_ref(&work),
                home,
                runtime: None,
                own: &[],
            };
            prepare_with(&plan(&chosen, subject), support, Identity::current()).unwrap().attach(&mut command);
        }
        assert!(command.status().unwrap().success());
        started.elapsed()
    }
}
