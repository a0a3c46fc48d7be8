//! What a file must be before anybody parses it: small, UTF-8, free of control characters.

use super::{Position, Source};
use crate::error::{Error, Result, codes};
use std::path::Path;

/// Largest file of settings or servers, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Deepest nesting of maps and lists.
pub const MAX_DEPTH: usize = 64;

/// Reads a file whole, with the cap applied before memory is taken.
pub fn read_file(path: &Path) -> Result<String> {
    use std::io::Read;
    let name = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(&codes::FILE_NOT_FOUND, format!("there is no file `{name}`"))
        }
        _ => Error::new(&codes::IO, format!("cannot read `{name}`")).because(error),
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    decode(&name.to_string(), bytes)
}

/// Turns bytes into text, or says where they stop being text.
pub fn decode(path: &str, bytes: Vec<u8>) -> Result<String> {
    check_size(path, bytes.len())?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let head = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
        let source = Source::new(path, &head);
        source.invalid(source.position(good), format!("`{path}` is not UTF-8 text"))
    })?;
    check(path, &text)?;
    Ok(text)
}

/// Refuses a text above the cap or with control characters other than tab and line ends.
pub fn check(path: &str, text: &str) -> Result<()> {
    check_size(path, text.len())?;
    let bad = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    let Some(offset) = text.find(bad) else { return Ok(()) };
    let code = text[offset..].chars().next().map_or(0, u32::from);
    let source = Source::new(path, text);
    let mut at = source.span(source.position(offset));
    at.text = at.text.replace(bad, "\u{fffd}");
    Err(Error::new(&codes::FILE_INVALID, format!("control character U+{code:04X} is not allowed here"))
        .at(at))
}

fn check_size(path: &str, bytes: usize) -> Result<()> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(Error::new(&codes::FILE_TOO_LARGE, format!("`{path}` is larger than 1 MiB")))
}

/// The text without the byte order mark some editors put in front.
pub fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Line and column numbers fit: a file has at most 1 MiB.
pub(super) fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Refuses a node nested deeper than [`MAX_DEPTH`].
pub(super) fn check_depth(source: &Source<'_>, at: Position, depth: usize) -> Result<()> {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(source.invalid(at, format!("nested deeper than {MAX_DEPTH} levels")))
}
