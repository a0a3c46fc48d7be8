//! Large results: kept in a file and replaced by a head and a handle, read on with `read_result`.

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::ids;
use crate::paths::{Paths, create_private_dir, io_error, private_options};
use crate::upstream::message::quote;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::time::Duration;

/// Where a stored result came from: it is read by whoever called, as long as the policy lets the call pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Who called, in a word that says nothing else.
    pub whose: String,
    /// Id of the server.
    pub server: String,
    pub tool: String,
    /// JSON text; rules may look at them. They lie where the result does, and go with it.
    pub arguments: String,
}

/// Kept this long.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// Characters of one page of `read_result`.
pub const PAGE: usize = 16_000;

/// Stores the text of a result and gives the result that stands for it.
pub fn shorten(
    paths: &Paths,
    origin: &Origin,
    result: &serde_json::Value,
    limit: usize,
    now: Timestamp,
) -> Result<Option<String>> {
    let Some(content) = result["content"].as_array() else { return Ok(None) };
    if !result["structuredContent"].is_null() {
        // The client checks it against the tool's output schema; a head of it would not fit.
        return Ok(None);
    }
    let text: Vec<&str> = content.iter().filter_map(|item| item["text"].as_str()).collect();
    let text = text.join("\n");
    if text.len() <= limit {
        return Ok(None);
    }
    let handle = format!("res-{}", ids::random_hex(8));
    store(paths, &handle, origin, &text)?;
    sweep(paths, now);
    let head = cut(&text, 0, (limit / 2).clamp(200, PAGE));
    let pages = text.len().div_ceil(PAGE);
    let note = format!(
        "{head}\n\n[… {} of {} bytes shown. The whole result is stored as `{handle}`: call `read_result` with \
         {{\"handle\":\"{handle}\",\"page\":1}} to {{\"page\":{pages}}}.]",
        head.len(),
        text.len()
    );
    let others: Vec<&serde_json::Value> = content.iter().filter(|item| item["type"] != "text").collect();
    let mut items = vec![format!(r#"{{"type":"text","text":{}}}"#, quote(&note))];
    items.extend(others.iter().map(ToString::to_string));
    let error = if result["isError"] == true { r#","isError":true"# } else { "" };
    Ok(Some(format!(r#"{{"content":[{}]{error}}}"#, items.join(","))))
}

fn store(paths: &Paths, handle: &str, origin: &Origin, text: &str) -> Result<()> {
    let origin = serde_json::to_string(origin)
        .map_err(|error| Error::bug("where a result came from cannot be written").because(error))?;
    let dir = paths.results();
    create_private_dir(&dir)?;
    let path = dir.join(handle);
    let file = private_options().write(true).create_new(true).open(&path);
    file.and_then(|mut file| file.write_all(format!("{origin}\n{text}").as_bytes()))
        .map_err(|error| io_error("write", &path, &error))
}

/// A stored result, and where it came from.
pub fn read(paths: &Paths, handle: &str) -> Result<(Origin, String)> {
    let good = handle.strip_prefix("res-").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_hexdigit()));
    if !good {
        return Err(missing(handle));
    }
    let whole = std::fs::read_to_string(paths.results().join(handle)).map_err(|_| missing(handle))?;
    let (origin, text) = whole.split_once('\n').ok_or_else(|| missing(handle))?;
    // What an older version stored does not say whose it is.
    let origin = serde_json::from_str(origin).map_err(|_| missing(handle))?;
    Ok((origin, text.into()))
}

/// "No stored result …": also for one of somebody else.
pub fn missing(handle: &str) -> Error {
    Error::new(&codes::RESULT_NOT_FOUND, format!("no stored result `{handle}`"))
}

/// One page, counted from 1, and how many there are.
pub fn page<'a>(text: &'a str, handle: &str, page: usize) -> Result<(&'a str, usize)> {
    let pages = text.len().div_ceil(PAGE).max(1);
    if page == 0 || page > pages {
        return Err(Error::new(
            &codes::ARGUMENTS_INVALID,
            format!("page {page} of `{handle}` does not exist"),
        )
        .hint(format!("pages go from 1 to {pages}")));
    }
    Ok((cut(text, (page - 1) * PAGE, PAGE), pages))
}

/// `length` bytes from `start`, widened to whole characters.
fn cut(text: &str, start: usize, length: usize) -> &str {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    &text[floor(start)..floor(start + length)]
}

/// Removes what is older than a day.
fn sweep(paths: &Paths, now: Timestamp) {
    let entries = std::fs::read_dir(paths.results()).into_iter().flatten().flatten();
    for entry in entries {
        let modified = entry.metadata().and_then(|meta| meta.modified()).ok();
        let age = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let old =
            age.is_some_and(|at| now.since_ms(Timestamp(at.as_micros() as u64)) > KEEP.as_millis() as u64);
        if old {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_result_is_read_back_in_pages() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(dir.path(), dir.path().into());
        let long = "ä".repeat(20_000);
        let result =
            serde_json::json!({"content": [{"type": "text", "text": long}, {"type": "image", "data": ""}]});
        let origin = Origin {
            whose: "w".into(),
            server: "srv_1".into(),
            tool: "t".into(),
            arguments: r#"{"a":"b\nc"}"#.into(),
        };
        assert!(shorten(&paths, &origin, &result, 50_000, Timestamp(0)).unwrap().is_none());
        let short = shorten(&paths, &origin, &result, 1000, Timestamp(0)).unwrap().unwrap();
        let short: serde_json::Value = serde_json::from_str(&short).unwrap();
        let text = short["content"][0]["text"].as_str().unwrap();
        assert_eq!(short["content"][1]["type"], "image");
        let handle = text.split('`').nth(1).unwrap();
        let (from, text) = read(&paths, handle).unwrap();
        assert_eq!(from, origin);
        let pages: Vec<&str> = (1..=3).map(|number| page(&text, handle, number).unwrap().0).collect();
        assert_eq!(pages.concat(), long);
        assert!(page(&text, handle, 4).is_err());
        assert!(read(&paths, "../etc/passwd").is_err());
        // One of an older version, which says nothing of where it came from.
        std::fs::write(paths.results().join("res-00"), "only\ntext").unwrap();
        assert!(read(&paths, "res-00").is_err());
    }
}
