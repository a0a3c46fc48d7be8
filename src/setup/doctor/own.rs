//! Checks of what belongs to umcp: settings, folders and their permissions, the store, the daemon and its socket.

use super::{Area, Check, Facts, Fix, Level, StoreRead};
use crate::error::{Result, codes};
use crate::setup::{Machine, journal};
use std::net::TcpListener;
use std::path::Path;

/// The port the documentation suggests for HTTP.
const USUAL_PORT: u16 = 7332;

pub fn settings(facts: &Facts) -> Vec<Check> {
    match &facts.settings {
        Ok(resolved) => {
            let mut checks: Vec<Check> = resolved
                .warnings
                .iter()
                .map(|warning| Check::new(Area::Settings, Level::Warn, warning).cure("umcp config show"))
                .collect();
            if checks.is_empty() {
                checks.push(Check::new(Area::Settings, Level::Ok, "the settings can be read"));
            }
            checks
        }
        Err(error) => {
            let place = error.span.as_ref().map(|span| format!(" ({}:{})", span.file, span.line));
            let what = format!("the settings cannot be read: {error}{}", place.unwrap_or_default());
            vec![Check::new(Area::Settings, Level::Fail, what).cure("umcp config edit")]
        }
    }
}

pub fn files(machine: &Machine<'_>) -> Vec<Check> {
    let paths = machine.paths;
    let (store, settings, secrets) = (paths.store(), paths.settings_file(), paths.secrets_file());
    let (undo, socket) = (paths.undo(), paths.socket());
    let places = [
        &paths.config,
        &paths.data,
        &paths.state,
        &paths.runtime,
        &undo,
        &store,
        &settings,
        &secrets,
        &socket,
    ];
    let open: Vec<Check> = places
        .into_iter()
        .filter(|path| is_open(path))
        .map(|path| {
            let what = format!("`{}` can be read by others", path.display());
            Check::new(Area::Files, Level::Fail, what)
                .cure(format!("chmod go= '{}'", path.display()))
                .fix(Fix::Private(path.clone()))
        })
        .collect();
    if open.is_empty() {
        return vec![Check::new(Area::Files, Level::Ok, "umcp's files belong to you alone")];
    }
    open
}

/// Whether others than the owner may do anything with it.
fn is_open(path: &Path) -> bool {
    journal::mode_of(path).is_some_and(|mode| mode & 0o077 != 0)
}

pub fn make_private(path: &Path) -> Result<()> {
    journal::set_mode(path, journal::mode_of(path).map(|mode| mode & !0o077))
}

pub fn store(facts: &Facts) -> Vec<Check> {
    match &facts.store {
        Ok(problems) if problems.is_empty() => {
            vec![Check::new(Area::Store, Level::Ok, healthy(facts.store_read))]
        }
        Ok(problems) => problems
            .iter()
            .map(|problem| {
                Check::new(Area::Store, Level::Fail, problem).cure("restore a backup of the store")
            })
            .collect(),
        Err(error) => {
            let cure = error.hints.first().map_or("umcp explain UM0202".to_string(), String::clone);
            vec![
                Check::new(Area::Store, Level::Fail, format!("the store cannot be opened: {error}"))
                    .cure(cure),
            ]
        }
    }
}

fn healthy(read: StoreRead) -> &'static str {
    match read {
        StoreRead::Whole => "every record of the store was read, every checksum holds",
        StoreRead::Served => {
            "the daemon answers from the store; checksums were not checked, that needs `umcp gateway stop` first"
        }
        StoreRead::Busy => "another process has the store open; checksums were not checked",
        StoreRead::Unclean => {
            "the store was not closed cleanly, the next command mends that; checksums were not checked"
        }
        StoreRead::Missing => "there is no store yet",
    }
}

pub fn daemon(machine: &Machine<'_>, facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    match &facts.daemon {
        Ok(Some((pid, version))) => {
            let own = env!("CARGO_PKG_VERSION");
            if version == own {
                checks.push(Check::new(Area::Daemon, Level::Ok, format!("the daemon runs (process {pid})")));
            } else {
                let what = format!("the daemon is version {version}, this program is {own}");
                checks.push(Check::new(Area::Daemon, Level::Warn, what).cure("umcp gateway restart"));
            }
        }
        Ok(None) => {
            let socket = machine.paths.socket();
            if cfg!(unix) && std::fs::symlink_metadata(&socket).is_ok() {
                let what = format!("`{}` was left behind by a daemon that is gone", socket.display());
                checks.push(
                    Check::new(Area::Daemon, Level::Warn, what)
                        .cure("umcp gateway start --detach")
                        .fix(Fix::Remove(socket)),
                );
            } else if facts.schedules > 0 {
                let what =
                    format!("no daemon keeps the time of the schedules that are on ({})", facts.schedules);
                checks.push(Check::new(Area::Daemon, Level::Warn, what).cure("umcp gateway start --detach"));
            } else {
                let what = "no daemon runs; it starts when it is needed";
                checks.push(Check::new(Area::Daemon, Level::Ok, what));
            }
        }
        Err(error) => {
            let cure = if error.is(&codes::DAEMON_NEWER) { "update umcp" } else { "umcp gateway restart" };
            let what = format!("the daemon does not answer: {error}");
            checks.push(Check::new(Area::Daemon, Level::Fail, what).cure(cure));
        }
    }
    checks.extend(port(facts));
    checks
}

/// Whether somebody else sits on the usual port.
fn port(facts: &Facts) -> Option<Check> {
    let ours = facts.http.iter().any(|address| address.contains(&format!(":{USUAL_PORT}")));
    if ours {
        return None;
    }
    match TcpListener::bind(("127.0.0.1", USUAL_PORT)) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let what = format!("another program listens on port {USUAL_PORT}");
            Some(Check::new(Area::Daemon, Level::Info, what).cure("umcp gateway start --http 127.0.0.1:0"))
        }
        _ => None,
    }
}
