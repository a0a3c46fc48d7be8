//! Checks of the clients: their files can be read, umcp's entry leads to a program, and no server stands beside
//! umcp where an agent could reach it past every rule.

use super::{Area, Check, Fix, Level};
use crate::clients::{CLIENTS, Client, Scope};
use crate::clock::Timestamp;
use crate::servers::Server;
use crate::setup::clientfiles::{self, FileState};
use crate::setup::{Machine, programs, scan};
use crate::ui::text::plural;

pub fn check(machine: &Machine<'_>, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    for client in CLIENTS {
        let state = clientfiles::look(client, machine, now);
        if !state.installed {
            continue;
        }
        for file in &state.files {
            checks.extend(file_checks(client, file, machine, now));
            checks.extend(plain(client, file));
            // A server there is reached past umcp, whichever file umcp itself stands in.
            if state.connected() && !file.beside.is_empty() {
                checks.push(beside(client, file));
            }
        }
        if !state.connected() && state.files.iter().all(|file| file.error.is_none()) {
            let what = format!("{} does not use umcp", client.name);
            let cure = format!("umcp client connect {}", client.id);
            checks.push(Check::new(Area::Clients, Level::Info, what).cure(cure));
        }
    }
    if checks.is_empty() {
        checks.push(Check::new(Area::Clients, Level::Info, "no client that umcp knows is on this machine"));
    }
    checks
}

fn file_checks(client: &Client, file: &FileState, machine: &Machine<'_>, now: Timestamp) -> Vec<Check> {
    let path = file.path.display();
    if let Some(error) = &file.error {
        let at = error.span.as_ref().map(|span| format!(" in line {}", span.line)).unwrap_or_default();
        let what = format!("{}: `{path}` cannot be read{at}: {error}", client.name);
        return vec![Check::new(Area::Clients, Level::Fail, what).cure(format!("correct `{path}` by hand"))];
    }
    let Some(entry) = &file.entry else { return Vec::new() };
    let search = (machine.env)("PATH").unwrap_or_default();
    vec![match programs::find(&entry.command, &search) {
        Some(_) => Check::new(Area::Clients, Level::Ok, format!("{} uses umcp ({path})", client.name)),
        None => {
            let what = format!("{} starts `{}`, which is not there ({path})", client.name, entry.command);
            let scope = if file.scope == Scope::Project { " --scope project" } else { "" };
            let check = Check::new(Area::Clients, Level::Fail, what)
                .cure(format!("umcp client connect {}{scope}", client.id));
            match repair(client, file, machine, now) {
                Some(fix) => check.fix(fix),
                None => check,
            }
        }
    }]
}

/// Keys that stand in the file as they are.
fn plain(client: &Client, file: &FileState) -> Option<Check> {
    let held = |server: &Server| {
        let keys = scan::plain_keys(server);
        (!keys.is_empty()).then(|| format!("{} ({})", server.name, keys.join(", ")))
    };
    let held: Vec<String> = file.servers.iter().filter_map(held).collect();
    let what = format!("{} holds plain keys in `{}`: {}", client.name, file.path.display(), held.join(", "));
    (!held.is_empty()).then(|| Check::new(Area::Clients, Level::Warn, what).cure("umcp secret scan --move"))
}

fn beside(client: &Client, file: &FileState) -> Check {
    let names = file.beside.join(", ");
    let what = format!(
        "{} has {} beside umcp in `{}`: {names}",
        client.name,
        plural(file.beside.len(), "server"),
        file.path.display()
    );
    let scope = if file.scope == Scope::Project { " --scope project" } else { "" };
    let cure = format!("umcp client connect {} --replace{scope}", client.id);
    Check::new(Area::Clients, Level::Warn, what).cure(cure)
}

/// The same entry with the path of this program.
fn repair(client: &Client, file: &FileState, machine: &Machine<'_>, now: Timestamp) -> Option<Fix> {
    let mut entry = file.entry.clone()?;
    entry.command = machine.program.display().to_string();
    let connection = clientfiles::connect(client, &file.path, &entry, false, now).ok()?;
    Some(Fix::Edit(connection.edit))
}
