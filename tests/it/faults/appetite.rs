//! Faults of appetite: memory, processes, disk; rows 18 to 20 of the fault table. Small bounds, and a fixture that stops
//! by itself, so that the machine is never in danger.

use super::entries::fixture;
use super::house::{House, failed_with, ms, note, within};
use super::process::is_alive;
use std::time::{Duration, Instant};
use umcp::error::codes;
use umcp::sandbox::{Base, Sandbox};
use umcp::servers::Server;

/// From the fault to the verdict.
const VERDICT: Duration = ms(5000);

/// The server `bad` is ended for what it takes, says so, and is well again at the next call.
fn row(number: u32, fault: &str, sandbox: Sandbox, verdict: &str) {
    let house = House::new();
    house.add(Server { sandbox, ..fixture("bad", &[]) });
    house.call("bad.echo", r#"{"text":"x"}"#).unwrap();
    let before = house.children();
    let started = Instant::now();
    let error = failed_with(house.misbehave("bad", fault), &codes::UPSTREAM_LIMIT);
    let took = started.elapsed();
    assert!(took < VERDICT, "the verdict took {took:?}");
    assert!(error.to_string().contains(&format!("it passed its limit of {verdict} (")), "{error}");
    note(number, took);
    house.good_answers();
    let bad: Vec<u32> = before.into_iter().filter(|pid| *pid != house.pid_of("good")).collect();
    within(ms(2000), "the tree is gone", || {
        house.children().len() == 1 && bad.iter().all(|pid| !is_alive(*pid))
    });
    // What fills a folder stays there; the others heal by the end of the tree.
    let folders = std::fs::read_dir(house.paths.data.join("work")).into_iter().flatten().flatten();
    folders.for_each(|folder| std::fs::remove_dir_all(folder.path()).unwrap());
    house.recovers(number, "bad", ms(2000));
    assert_eq!(house.server("bad").restarts, 1);
}

#[test]
fn row_18_a_server_that_leaks_memory_is_ended_at_its_limit() {
    let sandbox = Sandbox { memory: Some(64 << 20), ..Sandbox::default() };
    row(18, "memory-leak=256", sandbox, "memory");
}

#[test]
fn row_19_a_fork_bomb_is_ended_with_its_whole_tree() {
    let sandbox = Sandbox { processes: Some(10), ..Sandbox::default() };
    row(19, "fork-bomb=40", sandbox, "processes");
}

#[test]
fn row_20_a_server_that_fills_its_folder_is_ended() {
    let sandbox = Sandbox { profile: Some(Base::Strict), disk: Some(8 << 20), ..Sandbox::default() };
    row(20, "fill-disk=64", sandbox, "disk");
}

#[test]
fn a_demand_that_cannot_be_met_starts_nothing() {
    let house = House::new();
    // Podman needs what a sandbox takes away, so nothing is guarded, and the entry wants files guarded.
    let link = house.file("podman");
    std::os::unix::fs::symlink("/bin/sh", &link).unwrap();
    let transport = umcp::servers::model::Transport::Stdio {
        command: link.display().to_string(),
        args: vec!["-c".into(), format!("touch {}", house.file("started").display())],
    };
    let sandbox = Sandbox { require: vec![umcp::sandbox::Guard::Files], ..Sandbox::default() };
    house.add(Server { sandbox, ..super::entries::server("bad", transport) });
    let error = failed_with(house.call("bad.echo", "{}"), &codes::SANDBOX_MISSING);
    assert!(error.to_string().contains("demands `files`"), "{error}");
    assert!(!house.file("started").exists());
    house.good_answers();
}
