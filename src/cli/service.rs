//! `umcp gateway install` and `uninstall`: carries out what `daemon::service` plans for this system.

use super::context::Context;
use crate::daemon::service::{self, Manager, Plan, Service};
use crate::error::{Error, Result, codes};
use crate::paths::{self, io_error};
use crate::ui::{Output, Page, State};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What became of the service.
#[derive(Serialize)]
pub struct Changed {
    file: String,
    installed: bool,
    /// Whether the manager of services took note; the file alone works from the next login.
    active: bool,
}

pub fn install(ctx: &Context) -> Result<Changed> {
    let plan = service::install(Manager::of_this_system(), &described(ctx)?);
    paths::write_atomic(&plan.file, plan.text.as_bytes())?;
    let active = plan.commands.iter().all(|words| run(ctx, words));
    Ok(Changed { file: plan.file.display().to_string(), installed: true, active })
}

pub fn uninstall(ctx: &Context) -> Result<Changed> {
    let Plan { file, commands, .. } = service::uninstall(Manager::of_this_system(), &described(ctx)?);
    if !file.exists() {
        let message = format!("the gateway is not installed: there is no `{}`", file.display());
        return Err(Error::new(&codes::FILE_NOT_FOUND, message).hint("umcp gateway install"));
    }
    for words in &commands {
        run(ctx, words);
    }
    std::fs::remove_file(&file).map_err(|error| io_error("remove", &file, &error))?;
    Ok(Changed { file: file.display().to_string(), installed: false, active: false })
}

fn described(ctx: &Context) -> Result<Service> {
    let program = std::env::current_exe()
        .map_err(|error| Error::new(&codes::IO, "the path of this program is not known").because(error))?;
    let home = std::env::var("UMCP_HOME").ok().filter(|home| !home.is_empty());
    let home = home.map(|home| std::path::absolute(&home).unwrap_or_else(|_| PathBuf::from(home)));
    let variable = |home: PathBuf| ("UMCP_HOME".to_string(), home.to_string_lossy().into_owned());
    Ok(Service {
        program,
        arguments: vec!["gateway".into(), "start".into()],
        environment: home.map(variable).into_iter().collect(),
        home: ctx.paths.home.clone(),
        config_home: std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|path| Path::is_absolute(path)),
        log: ctx.paths.daemon_log(),
        uid: user_id(),
    })
}

#[cfg(unix)]
fn user_id() -> u32 {
    // SAFETY: `getuid` only reads and cannot fail.
    unsafe { libc::getuid() }
}

#[cfg(not(unix))]
fn user_id() -> u32 {
    0
}

/// Runs one command of the plan; false, with a warning, when it is not there or refuses.
fn run(ctx: &Context, words: &[String]) -> bool {
    let Some((program, arguments)) = words.split_first() else { return true };
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let reason = match output {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_string(),
        Err(error) => error.to_string(),
    };
    ctx.ui.warn(&format!("`{}` failed: {reason}", words.join(" ")));
    false
}

impl Output for Changed {
    const KIND: &'static str = "gateway.service/1";

    fn human(&self, page: &mut Page) {
        let file = &self.file;
        match (self.installed, self.active) {
            (true, true) => page.mark(State::Ok, format!("runs now and at every login ({file})")),
            (true, false) => page.mark(State::Warn, format!("wrote {file}; it runs from the next login")),
            (false, _) => page.mark(State::Ok, format!("removed {file}")),
        };
    }
}
