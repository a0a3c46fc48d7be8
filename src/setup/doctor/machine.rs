//! Checks of the machine: the runtimes servers need, as a shell and as a desktop app find them, and what the
//! system offers to shut servers in. The sandbox rows only report.

use super::{Area, Check, Facts, Level};
use crate::servers::model::Transport;
use crate::setup::{Machine, programs};
use std::collections::BTreeMap;

/// Programs that start servers, and where they come from.
const RUNTIMES: &[(&str, &str)] = &[
    ("node", "https://nodejs.org"),
    ("npx", "https://nodejs.org"),
    ("uvx", "https://docs.astral.sh/uv"),
    ("python3", "https://www.python.org"),
    ("docker", "https://docs.docker.com/get-docker"),
];

pub fn runtimes(machine: &Machine<'_>, facts: &Facts) -> Vec<Check> {
    let path = (machine.env)("PATH").unwrap_or_default();
    let users = users(facts);
    RUNTIMES.iter().map(|(program, from)| runtime(program, from, &path, users.get(*program))).collect()
}

fn runtime(program: &str, from: &str, path: &str, users: Option<&Vec<String>>) -> Check {
    let needed = |users: &Vec<String>| format!("; needed by {}", users.join(", "));
    let Some(place) = programs::find(program, path) else {
        return match users {
            Some(users) => {
                let what = format!("`{program}` is not installed{}", needed(users));
                Check::new(Area::Runtimes, Level::Fail, what).cure(format!("install it from {from}"))
            }
            None => Check::new(
                Area::Runtimes,
                Level::Info,
                format!("`{program}` is not installed; no server needs it"),
            ),
        };
    };
    let shown = place.display();
    match programs::version(&place) {
        Some(version) => {
            Check::new(Area::Runtimes, Level::Ok, format!("`{program}` is {version} at {shown}"))
        }
        None => {
            let level = if users.is_some() { Level::Fail } else { Level::Info };
            let what = format!("`{shown}` does not say its version{}", users.map(needed).unwrap_or_default());
            Check::new(Area::Runtimes, level, what).cure(format!("{program} --version"))
        }
    }
}

/// Names of the enabled servers by the program that starts them.
fn users(facts: &Facts) -> BTreeMap<&str, Vec<String>> {
    let mut users: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for server in facts.servers.iter().filter(|server| server.enabled) {
        if let Transport::Stdio { command, .. } = &server.transport {
            users.entry(command.as_str()).or_default().push(server.name.clone());
        }
    }
    users
}

pub fn sandbox() -> Vec<Check> {
    let info = |what: String| Check::new(Area::Sandbox, Level::Info, what);
    if !cfg!(target_os = "linux") {
        return vec![info("what this system offers to shut servers in is not looked at yet".into())];
    }
    let read = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_string());
    let landlock = match read("/sys/kernel/security/lsm") {
        Some(list) if list.split(',').any(|name| name == "landlock") => "Landlock is on".into(),
        Some(list) => format!("Landlock is off (active: {list})"),
        None => "the kernel does not tell whether Landlock is on".to_string(),
    };
    let number = |path: &str| read(path).and_then(|text| text.parse::<u64>().ok());
    let spaces = match (
        number("/proc/sys/user/max_user_namespaces"),
        number("/proc/sys/kernel/unprivileged_userns_clone"),
        number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    ) {
        (Some(0), ..) | (_, Some(0), _) => "user namespaces are off",
        (.., Some(1)) => "user namespaces are held back by AppArmor",
        (Some(_), ..) => "user namespaces are on",
        (None, ..) => "the kernel does not tell whether user namespaces are on",
    };
    vec![info(landlock), info(spaces.into())]
}
