//! The machine as the room of setup wants to see it, from what the command line knows.

use super::context::Context;
use crate::error::Result;
use crate::paths::io_error;
use crate::setup::{Machine, programs};
use std::path::{Path, PathBuf};

/// Home, project folder, environment and program of this run.
pub fn machine(ctx: &Context) -> Result<Machine<'_>> {
    Ok(Machine {
        paths: &ctx.paths,
        env: &variable,
        project: std::env::current_dir().ok(),
        home: ctx.home(),
        program: program()?,
    })
}

/// A variable of this process, if it is text.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// This program by the path that lives longest: where the PATH leads to the very same file, that one.
pub fn program() -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(|error| io_error("find", Path::new("umcp"), &error))?;
    let path = variable("PATH").unwrap_or_default();
    let same =
        |found: &PathBuf| matches!((found.canonicalize(), own.canonicalize()), (Ok(a), Ok(b)) if a == b);
    // A package manager's link stays when the version behind it changes.
    Ok(programs::find("umcp", &path).filter(same).unwrap_or(own))
}
