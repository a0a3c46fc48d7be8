//! Where a value comes from. Rule: never from an argument; whoever types it there is told what to do, and it is not
//! repeated.

use super::super::context::Context;
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use crate::sealing::{Secret, program};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Value {
    /// Take the value from this file; `-` is standard input. One line end is taken off
    #[arg(long, value_name = "FILE")]
    value_file: Option<PathBuf>,
    /// `-` takes the value from standard input
    #[arg(value_name = "-", allow_hyphen_values = true)]
    given: Vec<String>,
    /// Caught only to be refused.
    #[arg(long, hide = true, allow_hyphen_values = true)]
    value: Option<String>,
}

impl Value {
    pub fn read(&self, ctx: &Context, name: &str) -> Result<Secret> {
        let from_input = matches!(self.given.as_slice(), [dash] if dash == "-");
        if self.value.is_some() || !self.given.is_empty() && !from_input {
            let message = "a value does not belong on the command line, where other programs can read it";
            return Err(Error::new(&codes::USAGE, message)
                .hint(format!("umcp secret set {name}"))
                .hint(format!("umcp secret set {name} --value-file FILE"))
                .hint("where it was typed, the shell's history has it too: best make a new one"));
        }
        match &self.value_file {
            Some(path) if path != Path::new("-") => {
                std::fs::metadata(path).map_err(|error| io_error("read", path, &error))?;
                program::file(path)
            }
            None if !from_input => {
                let flag = "--value-file FILE, or - for standard input";
                let value = Secret::new(ctx.ui.password(&format!("Value of {name}"), flag)?);
                match value.is_empty() {
                    true => Err(Error::new(
                        &codes::VALUE_INVALID,
                        "an empty value was given; nothing was changed",
                    )),
                    false => Ok(value),
                }
            }
            _ => program::stream(std::io::stdin().lock(), "standard input"),
        }
    }
}
