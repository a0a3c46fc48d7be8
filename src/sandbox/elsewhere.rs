//! The back ends for systems other than Linux: Seatbelt on macOS, nothing but limits on Windows.
//! The same names as in `linux.rs`. Seatbelt is reached through the system's own `sandbox-exec`.

use super::plan::Plan;
use super::profile::{Base, Guard};
use crate::error::{Error, Result};
use std::io;
use std::process::Command;

/// What this system offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    pub seatbelt: bool,
}

/// Who the child runs as; nobody asks here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity;

impl Identity {
    pub fn current() -> Self {
        Self
    }
}

#[cfg(target_os = "macos")]
const SANDBOX_EXEC: &str = "/usr/bin/sandbox-exec";

impl Support {
    /// Nothing at all.
    pub const NONE: Self = Self { seatbelt: false };

    #[cfg(target_os = "macos")]
    pub fn probe() -> Self {
        Self { seatbelt: std::path::Path::new(SANDBOX_EXEC).is_file() }
    }

    #[cfg(not(target_os = "macos"))]
    pub fn probe() -> Self {
        Self::NONE
    }

    /// What is guarded when a plan is carried out here.
    pub fn guards(self, plan: &Plan) -> Vec<Guard> {
        match self.seatbelt && plan.base != Base::Off {
            true => vec![Guard::Files, Guard::Network, Guard::Syscalls, Guard::Processes],
            false => Vec::new(),
        }
    }

    /// Why a guard is missing.
    pub fn why_not(self, _guard: Guard) -> String {
        "this system has no sandbox that umcp can use".into()
    }
}

/// What a command needs to be shut in.
#[derive(Debug)]
pub struct Prepared {
    guards: Vec<Guard>,
    /// The profile in Seatbelt's language.
    #[cfg(target_os = "macos")]
    profile: Option<String>,
}

pub(super) fn prepare(plan: &Plan, support: Support, _identity: Identity) -> Result<Prepared> {
    Ok(Prepared {
        guards: support.guards(plan),
        #[cfg(target_os = "macos")]
        profile: (support.seatbelt && plan.base != Base::Off).then(|| super::seatbelt::profile(plan)),
    })
}

impl Prepared {
    /// What is guarded in the child.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// Shuts in the process that `command` is going to start: the command becomes that of `sandbox-exec`, which
    /// replaces itself by it.
    #[cfg(target_os = "macos")]
    pub fn attach(self, command: &mut Command) {
        let Some(profile) = self.profile else { return };
        let mut wrapped = Command::new(SANDBOX_EXEC);
        wrapped.arg("-p").arg(profile).arg(command.get_program()).args(command.get_args());
        wrapped.env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                wrapped.env(name, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            wrapped.current_dir(folder);
        }
        *command = wrapped;
    }

    #[cfg(not(target_os = "macos"))]
    pub fn attach(self, _command: &mut Command) {}

    /// There is no step here that could fail by itself.
    pub fn failure(_error: &io::Error) -> Option<Error> {
        None
    }
}
