//! The result of a call: text for people, the whole for programs, binary parts as files with `--save`.

use crate::engine::live;
use crate::error::{Error, Result, codes};
use crate::paths;
use crate::ui::{Output, Page, State, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
pub struct Called {
    server: String,
    tool: String,
    duration_ms: u64,
    /// The result as the server gave it.
    result: Value,
    /// Files that `--save` wrote.
    saved: Vec<String>,
}

impl Called {
    /// Reads a result; writes its binary parts below `save`.
    pub fn new(called: live::Called, save: Option<&Path>) -> Result<Self> {
        let result: Value = serde_json::from_str(&called.result).map_err(|error| {
            Error::new(&codes::UPSTREAM_PROTOCOL, "the result is not JSON").because(error)
        })?;
        let saved = save.map(|dir| save_all(dir, &called.tool, &result)).transpose()?.unwrap_or_default();
        let saved = saved.into_iter().map(|path| path.display().to_string()).collect();
        Ok(Self {
            server: called.server,
            tool: called.tool,
            duration_ms: called.duration_us / 1000,
            result,
            saved,
        })
    }

    /// The tool's own failure, if it reported one.
    pub fn error(&self) -> Option<Error> {
        (self.result["isError"] == true).then(|| {
            Error::new(&codes::TOOL_FAILED, format!("`{}.{}` reported an error", self.server, self.tool))
        })
    }

    fn blocks(&self) -> impl Iterator<Item = &Value> {
        self.result["content"].as_array().into_iter().flatten()
    }
}

impl Output for Called {
    const KIND: &'static str = "tool.call/1";

    /// A result of text alone is the tool's own, byte for byte, and its last line ends like any other. Several parts
    /// are told apart by lines.
    fn exact(&self) -> Option<String> {
        let blocks: Vec<&Value> = self.blocks().collect();
        let is_text = |block: &&Value| block["type"] == "text";
        if blocks.is_empty() || !self.saved.is_empty() || !blocks.iter().all(is_text) {
            return None;
        }
        let mut whole = String::new();
        for block in blocks {
            if !whole.is_empty() && !whole.ends_with('\n') {
                whole.push('\n');
            }
            whole.push_str(block["text"].as_str().unwrap_or_default());
        }
        if !whole.is_empty() && !whole.ends_with('\n') {
            whole.push('\n');
        }
        Some(whole)
    }

    fn human(&self, page: &mut Page) {
        for block in self.blocks() {
            page.text(block_text(block));
        }
        if self.blocks().next().is_none() && !self.result["structuredContent"].is_null() {
            page.text(serde_json::to_string_pretty(&self.result["structuredContent"]).unwrap_or_default());
        }
        for file in &self.saved {
            page.mark(State::Ok, format!("saved {file}"));
        }
    }
}

fn block_text(block: &Value) -> String {
    let word = |key: &str| block[key].as_str().unwrap_or_default();
    let binary = |data: &Value, mime: &str| {
        let size = data.as_str().map_or(0, |data| data.len() as u64 / 4 * 3);
        format!("[{} of type {mime}, {}; --save DIR keeps it]", word("type"), text::bytes(size))
    };
    match word("type") {
        "text" => word("text").into(),
        "image" | "audio" => binary(&block["data"], word("mimeType")),
        "resource_link" => format!("[{}: {}]", word("name"), word("uri")),
        "resource" => {
            let resource = &block["resource"];
            let mime = resource["mimeType"].as_str().unwrap_or("unknown");
            resource["text"].as_str().map_or_else(|| binary(&resource["blob"], mime), String::from)
        }
        _ => serde_json::to_string_pretty(block).unwrap_or_default(),
    }
}

fn save_all(dir: &Path, tool: &str, result: &Value) -> Result<Vec<PathBuf>> {
    let mut saved = Vec::new();
    for (index, block) in result["content"].as_array().into_iter().flatten().enumerate() {
        let (data, mime) = match block["type"].as_str() {
            Some("image" | "audio") => (&block["data"], &block["mimeType"]),
            Some("resource") => (&block["resource"]["blob"], &block["resource"]["mimeType"]),
            _ => continue,
        };
        let Some(data) = data.as_str() else { continue };
        let bytes = STANDARD.decode(data).map_err(|error| {
            Error::new(&codes::UPSTREAM_PROTOCOL, format!("part {} of the result is not base64", index + 1))
                .because(error)
        })?;
        let extension = extension(mime.as_str().unwrap_or_default());
        let path = free_path(dir, &format!("{}-{}", plain_name(tool), index + 1), extension);
        paths::write_atomic(&path, &bytes)?;
        saved.push(path);
    }
    Ok(saved)
}

/// A path that no file has yet; nothing is ever written over.
fn free_path(dir: &Path, stem: &str, extension: &str) -> PathBuf {
    let first = dir.join(format!("{stem}.{extension}"));
    if !first.exists() {
        return first;
    }
    let numbered = (2_u32..).map(|number| dir.join(format!("{stem}-{number}.{extension}")));
    numbered.into_iter().find(|path| !path.exists()).unwrap_or(first)
}

/// A tool's name without anything that means something in a path.
fn plain_name(tool: &str) -> String {
    tool.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(60).collect()
}

/// The usual extension of a media type; its second half where none is known.
fn extension(mime: &str) -> &'static str {
    const KNOWN: [(&str, &str); 12] = [
        ("image/png", "png"),
        ("image/jpeg", "jpg"),
        ("image/gif", "gif"),
        ("image/webp", "webp"),
        ("image/svg+xml", "svg"),
        ("audio/wav", "wav"),
        ("audio/mpeg", "mp3"),
        ("audio/ogg", "ogg"),
        ("application/pdf", "pdf"),
        ("application/json", "json"),
        ("application/zip", "zip"),
        ("text/html", "html"),
    ];
    let mime = mime.split(';').next().unwrap_or_default().trim();
    KNOWN.iter().find(|(known, _)| *known == mime).map_or("bin", |(_, extension)| extension)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn called(result: &Value) -> live::Called {
        live::Called {
            server: "s".into(),
            tool: "a/../b".into(),
            result: result.to_string(),
            duration_us: 1500,
        }
    }

    #[test]
    fn binary_parts_are_saved_and_never_over_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let result = json!({"content": [{"type": "text", "text": "hello"},
            {"type": "image", "mimeType": "image/png", "data": "AAEC"},
            {"type": "resource", "resource": {"uri": "x", "blob": "AAEC"}}]});
        for expected in [["a____b-2.png", "a____b-3.bin"], ["a____b-2-2.png", "a____b-3-2.bin"]] {
            let called = Called::new(called(&result), Some(dir.path())).unwrap();
            let expected = expected.map(|name| dir.path().join(name).display().to_string());
            assert_eq!(called.saved, expected);
        }
        assert_eq!(std::fs::read(dir.path().join("a____b-2.png")).unwrap(), [0, 1, 2]);
    }

    #[test]
    fn text_is_exact_for_programs() {
        let text = |text: &str| json!({"type": "text", "text": text});
        let image = json!({"type": "image", "mimeType": "image/png", "data": "AAEC"});
        for (content, expected) in [
            (json!([text("a\r\n\u{1b}[1mb\u{7}\n\n")]), Some("a\r\n\u{1b}[1mb\u{7}\n\n")),
            (json!([text("no end")]), Some("no end\n")),
            (json!([text("")]), Some("")),
            (json!([text("a"), text("b\n"), text("c")]), Some("a\nb\nc\n")),
            (json!([text("a"), image]), None),
            (json!([]), None),
        ] {
            let called = Called::new(called(&json!({"content": content})), None).unwrap();
            assert_eq!(called.exact().as_deref(), expected, "{content}");
        }
    }

    #[test]
    fn a_result_is_text_for_people() {
        let result = json!({"isError": true, "content": [{"type": "text", "text": "no such file"},
            {"type": "audio", "mimeType": "audio/wav", "data": "AAEC"},
            {"type": "resource_link", "name": "log", "uri": "file:///log"}]});
        let called = Called::new(called(&result), None).unwrap();
        let mut page = Page::default();
        called.human(&mut page);
        let expected =
            "no such file\n[audio of type audio/wav, 3 B; --save DIR keeps it]\n[log: file:///log]\n";
        assert_eq!(page.render(crate::ui::Look::PLAIN), expected);
        assert!(called.error().is_some_and(|error| error.is(&codes::TOOL_FAILED)));
    }
}
