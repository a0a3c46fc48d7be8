//! Documents of machines rather than of people: larger than what is written by hand, and read without positions.
//! JSON and YAML. What is wrong is still told with line and column.

use super::yaml;
use super::{Format, Position, Source, limits};
use crate::error::{Error, Result, codes};
use std::path::Path;

/// Largest document, in bytes.
pub const MAX_LARGE: usize = 64 << 20;

/// Reads a document of up to [`MAX_LARGE`] bytes.
pub fn parse_large(path: &str, text: &str) -> Result<serde_json::Value> {
    if text.len() > MAX_LARGE {
        return Err(too_large(path));
    }
    let text = limits::without_bom(text);
    match Format::of(path, text) {
        Format::Json => serde_json::from_str(text).map_err(|error| {
            let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).max(1);
            let at = Position { line: small(error.line()), column: small(error.column()) };
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default().to_string();
            Source::new(path, text).invalid(at, message)
        }),
        Format::Yaml | Format::Toml => yaml::parse_large(&Source::new(path, text)),
    }
}

/// Reads a file for [`parse_large`].
pub fn read_large(path: &Path) -> Result<String> {
    use std::io::Read;
    let name = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(&codes::FILE_NOT_FOUND, format!("there is no file `{name}`"))
        }
        _ => Error::new(&codes::IO, format!("cannot read `{name}`")).because(error),
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(MAX_LARGE as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() > MAX_LARGE {
        return Err(too_large(&name.to_string()));
    }
    Ok(text)
}

fn too_large(path: &str) -> Error {
    Error::new(&codes::FILE_TOO_LARGE, format!("`{path}` is larger than {} MiB", MAX_LARGE >> 20))
}
