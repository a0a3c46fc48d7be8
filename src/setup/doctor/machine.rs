//! Checks of the machine: the runtimes servers need, as a shell and as a desktop app find them, and what servers are
//! shut in by on this system.

use super::{Area, Check, Facts, Level};
use crate::sandbox::{self, Base, Defaults, Files, Guard, Plan, Sandbox, Support};
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

/// What servers are shut in by on this machine, and which of them ask for more than that.
pub fn sandbox(machine: &Machine<'_>, facts: &Facts) -> Vec<Check> {
    let support = sandbox::support();
    let path = (machine.env)("PATH").unwrap_or_default();
    let chosen =
        facts.settings.as_ref().map(|resolved| resolved.settings.sandbox.profile).unwrap_or(Base::Default);
    let mut checks: Vec<Check> =
        [Base::Default, Base::Strict].map(|base| guarded(base, chosen, support)).into();
    if chosen == Base::Off {
        let what = "servers that say nothing of a sandbox run in none (`sandbox.profile` is off)";
        checks.push(
            Check::new(Area::Sandbox, Level::Warn, what).cure("umcp config set sandbox.profile default"),
        );
    }
    for server in facts.servers.iter().filter(|server| server.enabled) {
        let Transport::Stdio { command, .. } = &server.transport else { continue };
        let base = server.sandbox.profile.unwrap_or(chosen);
        let program = programs::find(command, &path).unwrap_or_else(|| command.into());
        if base == Base::Default && sandbox::is_unfit(&program) {
            let what = format!("`{}` runs outside a sandbox: `{command}` needs privileges", server.name);
            checks.push(Check::new(Area::Sandbox, Level::Info, what));
        }
        let guards = support.guards(&bare(base, &server.sandbox));
        let missing: Vec<&str> = server
            .sandbox
            .require
            .iter()
            .filter(|guard| !guards.contains(guard))
            .map(|guard| guard.word())
            .collect();
        if !missing.is_empty() {
            let what =
                format!("`{}` requires {}, which cannot be guarded here", server.name, missing.join(", "));
            let cure = format!("umcp server edit {} --unset sandbox.require", server.name);
            checks.push(Check::new(Area::Sandbox, Level::Fail, what).cure(cure));
        }
    }
    checks
}

fn guarded(base: Base, chosen: Base, support: Support) -> Check {
    let guards = support.guards(&bare(base, &Sandbox::default()));
    let missing: Vec<Guard> = Guard::ALL.iter().copied().filter(|guard| !guards.contains(guard)).collect();
    let words = |guards: &[Guard]| guards.iter().map(|guard| guard.word()).collect::<Vec<_>>().join(", ");
    let now = if base == chosen { ", which is in force," } else { "" };
    let what = match (guards.is_empty(), missing.first()) {
        (_, None) => format!("the profile `{}`{now} guards {}", base.word(), words(&guards)),
        (true, Some(first)) => {
            format!("the profile `{}`{now} guards nothing here: {}", base.word(), support.why_not(*first))
        }
        (false, Some(first)) => format!(
            "the profile `{}`{now} guards {}, not {}: {}",
            base.word(),
            words(&guards),
            words(&missing),
            support.why_not(*first)
        ),
    };
    let level = if missing.is_empty() { Level::Ok } else { Level::Info };
    Check::new(Area::Sandbox, level, what)
}

/// A plan that only says what is asked for.
fn bare(base: Base, sandbox: &Sandbox) -> Plan {
    let chosen = Sandbox { profile: Some(base), ..sandbox.clone() };
    let defaults = Defaults { base, memory: 0, processes: 0, disk: 0 };
    let chosen = chosen.over(&defaults, 0);
    Plan {
        base,
        files: Files::Hide(Vec::new()),
        net: chosen.net,
        require: chosen.require,
        limits: chosen.limits,
    }
}
