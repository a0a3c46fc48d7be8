//! The gateway as a service of the user: systemd, launchd, or a task of Windows.
//! The texts are made by pure functions; only `install` and `uninstall` touch the system.

use super::context::Context;
use crate::error::{Error, Result, codes};
use crate::paths::{self, Paths};
use crate::ui::{Output, Page, State};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The service managers umcp knows; the one of this system is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Manager {
    Systemd,
    Launchd,
    Tasks,
}

const MANAGER: Manager = if cfg!(target_os = "macos") {
    Manager::Launchd
} else if cfg!(windows) {
    Manager::Tasks
} else {
    Manager::Systemd
};
const LABEL: &str = "dev.umcp.gateway";

/// What became of the service.
#[derive(Serialize)]
pub struct Changed {
    manager: Manager,
    /// The file that was written or removed; tasks of Windows have none.
    file: Option<String>,
    installed: bool,
    /// Whether the manager took note; the file alone works from the next login.
    active: bool,
}

pub fn install(ctx: &Context) -> Result<Changed> {
    let program = std::env::current_exe()
        .map_err(|error| Error::new(&codes::IO, "the path of this program is not known").because(error))?;
    let home = std::env::var("UMCP_HOME").ok().filter(|home| !home.is_empty());
    let file = file(&ctx.paths, MANAGER);
    let active = match MANAGER {
        Manager::Systemd => {
            write(file.as_deref(), &systemd_unit(&program, home.as_deref()))?;
            manage(ctx, "systemctl", &["--user", "daemon-reload"])
                && manage(ctx, "systemctl", &["--user", "enable", "--now", "umcp.service"])
        }
        Manager::Launchd => {
            write(file.as_deref(), &launchd_plist(&program, home.as_deref()))?;
            let file = file.as_deref().map(Path::to_string_lossy).unwrap_or_default();
            manage(ctx, "launchctl", &["load", "-w", &file])
        }
        Manager::Tasks => {
            let line = format!("\"{}\" gateway start", program.display());
            if !manage(ctx, "schtasks", &["/Create", "/F", "/SC", "ONLOGON", "/TN", LABEL, "/TR", &line]) {
                return Err(Error::new(&codes::FAILED, "the task could not be created"));
            }
            true
        }
    };
    Ok(Changed {
        manager: MANAGER,
        file: file.map(|file| file.display().to_string()),
        installed: true,
        active,
    })
}

pub fn uninstall(ctx: &Context) -> Result<Changed> {
    let file = file(&ctx.paths, MANAGER);
    let present = file.as_ref().is_none_or(|file| file.exists());
    if present {
        match MANAGER {
            Manager::Systemd => manage(ctx, "systemctl", &["--user", "disable", "--now", "umcp.service"]),
            Manager::Launchd => {
                let file = file.as_deref().map(Path::to_string_lossy).unwrap_or_default();
                manage(ctx, "launchctl", &["unload", "-w", &file])
            }
            Manager::Tasks => manage(ctx, "schtasks", &["/Delete", "/F", "/TN", LABEL]),
        };
    }
    if let Some(file) = file.as_deref().filter(|_| present) {
        std::fs::remove_file(file).map_err(|error| paths::io_error("remove", file, &error))?;
    }
    let file = file.filter(|_| present).map(|file| file.display().to_string());
    Ok(Changed { manager: MANAGER, file, installed: false, active: false })
}

fn file(paths: &Paths, manager: Manager) -> Option<PathBuf> {
    let config = || {
        let set = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        set.unwrap_or_else(|| paths.home.join(".config"))
    };
    match manager {
        Manager::Systemd => Some(config().join("systemd/user/umcp.service")),
        Manager::Launchd => Some(paths.home.join(format!("Library/LaunchAgents/{LABEL}.plist"))),
        Manager::Tasks => None,
    }
}

fn write(file: Option<&Path>, text: &str) -> Result<()> {
    file.map_or(Ok(()), |file| paths::write_atomic(file, text.as_bytes()))
}

/// Runs the service manager; false, with a warning, when it is not there or refuses.
fn manage(ctx: &Context, program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let reason = match output {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_string(),
        Err(error) => error.to_string(),
    };
    ctx.ui.warn(&format!("`{program} {}` failed: {reason}", arguments.join(" ")));
    false
}

fn systemd_unit(program: &Path, home: Option<&str>) -> String {
    // In unit files `%` starts a specifier, and backslash and quote are escapes inside quotes.
    let quoted =
        |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"));
    let home =
        home.map_or(String::new(), |home| format!("Environment={}\n", quoted(&format!("UMCP_HOME={home}"))));
    let program = quoted(&program.to_string_lossy()).replace('$', "$$");
    format!(
        "[Unit]\nDescription=umcp gateway\n\n[Service]\nExecStart={program} gateway start\n{home}Restart=on-failure\n\
         TimeoutStopSec=10\n\n[Install]\nWantedBy=default.target\n"
    )
}

fn launchd_plist(program: &Path, home: Option<&str>) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let home = home.map_or(String::new(), |home| {
        format!(
            "  <key>EnvironmentVariables</key>\n  <dict><key>UMCP_HOME</key><string>{}</string></dict>\n",
            escaped(home)
        )
    });
    let program = escaped(&program.to_string_lossy());
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n  <key>Label</key>\
         <string>{LABEL}</string>\n  <key>ProgramArguments</key>\n  <array><string>{program}</string>\
         <string>gateway</string><string>start</string></array>\n{home}  <key>RunAtLoad</key><true/>\n  \
         <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>\n</dict>\n</plist>\n"
    )
}

impl Output for Changed {
    const KIND: &'static str = "gateway.service/1";

    fn human(&self, page: &mut Page) {
        let file = self.file.as_deref().unwrap_or("the list of tasks");
        match (self.installed, self.active) {
            (true, true) => page.mark(State::Ok, format!("runs now and at every login ({file})")),
            (true, false) => page.mark(State::Warn, format!("wrote {file}; it runs from the next login")),
            (false, _) if self.file.is_none() && self.manager != Manager::Tasks => {
                page.mark(State::Off, "it was not installed")
            }
            (false, _) => page.mark(State::Ok, format!("removed {file}")),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_quotes_what_means_something_to_systemd() {
        let unit = systemd_unit(Path::new("/opt/a b/100%/umcp"), Some("/home/u/\"x\""));
        assert!(unit.contains("ExecStart=\"/opt/a b/100%%/umcp\" gateway start\n"), "{unit}");
        assert!(unit.contains("Environment=\"UMCP_HOME=/home/u/\\\"x\\\"\"\n"), "{unit}");
    }

    #[test]
    fn a_property_list_escapes_markup() {
        let list = launchd_plist(Path::new("/a&b/umcp"), None);
        assert!(list.contains("<string>/a&amp;b/umcp</string><string>gateway</string>"), "{list}");
        assert!(!list.contains("EnvironmentVariables"));
    }
}
