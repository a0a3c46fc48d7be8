//! Where a secret comes from: standard input, a variable of the environment, a file, or a hidden question.
//! Rule: never an argument, which every program of the machine could read.

use super::super::context::Context;
use crate::engine::accounts::Hidden;
use crate::error::{Error, Result, codes};
use crate::paths::io_error;
use std::io::{BufRead, Read};
use std::path::Path;

/// Longer input is no secret.
const MOST: u64 = 64 << 10;

/// All of standard input, without the line's end.
pub fn from_stdin() -> Result<Hidden> {
    let mut text = String::new();
    std::io::stdin()
        .take(MOST)
        .read_to_string(&mut text)
        .map_err(|error| Error::new(&codes::IO, "standard input could not be read").because(error))?;
    filled(text, "standard input")
}

pub fn from_variable(name: &str) -> Result<Hidden> {
    let value = std::env::var(name)
        .map_err(|_| Error::new(&codes::SECRET_MISSING, format!("the variable `{name}` is not set")))?;
    filled(value, &format!("the variable `{name}`"))
}

pub fn from_file(path: &Path) -> Result<Hidden> {
    let text = std::fs::read_to_string(path).map_err(|error| io_error("read", path, &error))?;
    filled(text, &format!("`{}`", path.display()))
}

fn filled(text: String, place: &str) -> Result<Hidden> {
    match text.trim() {
        "" => Err(Error::new(&codes::VALUE_INVALID, format!("{place} holds no secret"))),
        text => Ok(Hidden(text.into())),
    }
}

/// One line from whoever pastes it, in a terminal or a pipe.
pub fn pasted(ctx: &Context, question: &str) -> Result<Hidden> {
    if ctx.ui.can_ask() {
        return ctx.ui.input(question, None, "--paste").map(Hidden);
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .take(MOST)
        .read_line(&mut line)
        .map_err(|error| Error::new(&codes::IO, "standard input could not be read").because(error))?;
    filled(line, "standard input")
}
