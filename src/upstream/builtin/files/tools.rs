//! What the `files` server says about its tools.

use super::super::reply::{Effect, World, object, tool};
use super::Files;
use rmcp::model::Tool;
use serde_json::{Value, json};

fn path(what: &str) -> Value {
    json!({"type": "string", "description": format!("{what}; absolute, or relative where one directory is allowed")})
}

impl Files {
    pub fn tools() -> Vec<Tool> {
        let mut tools = reading();
        tools.extend([search(), writing()]);
        tools
    }
}

fn reading() -> Vec<Tool> {
    let kind = json!({"type": "string", "enum": ["file", "directory", "link", "other"]});
    let entry = object(
        json!({"name": {"type": "string"}, "kind": kind, "size": {"type": "integer"}}),
        &["name", "kind", "size"],
    );
    let line = |what: &str| json!({"type": "integer", "minimum": 1, "description": what});
    vec![
        tool(
            "list_directory",
            "List a directory",
            "Lists the names in a directory with kind and size. Without a path: the allowed directories.",
            Effect::Reads,
            World::Closed,
            object(json!({"path": path("The directory")}), &[]),
            Some(object(
                json!({"path": {"type": "string"}, "entries": {"type": "array", "items": entry},
                    "truncated": {"type": "boolean"}}),
                &["path", "entries", "truncated"],
            )),
        ),
        tool(
            "read_file",
            "Read a file",
            "Returns a text file of at most 1 MiB, or a range of lines of a larger one.",
            Effect::Reads,
            World::Closed,
            object(
                json!({"path": path("The file"), "first_line": line("First line wanted, from 1"),
                    "last_line": line("Last line wanted")}),
                &["path"],
            ),
            None,
        ),
        tool(
            "file_info",
            "Look at a file",
            "Returns kind, size and time of the last change. A link is described, not followed.",
            Effect::Reads,
            World::Closed,
            object(json!({"path": path("The file or directory")}), &["path"]),
            Some(object(
                json!({"path": {"type": "string"}, "kind": kind, "size": {"type": "integer"},
                    "modified": {"type": "string"}, "target": {"type": "string"}}),
                &["path", "kind", "size"],
            )),
        ),
    ]
}

fn search() -> Tool {
    let found = object(
        json!({"path": {"type": "string"}, "line": {"type": "integer"}, "text": {"type": "string"}}),
        &["path"],
    );
    tool(
        "search_files",
        "Search files",
        "Finds files and directories by name, and files by a text in them. Links are not followed.",
        Effect::Reads,
        World::Closed,
        object(
            json!({
                "pattern": {"type": "string", "description":
                    "With `*`, `?` or `**`: a glob such as *.rs or src/**/*.rs; else a part of the name, in any case"},
                "text": {"type": "string", "description": "Only files that hold this text; their lines are returned"},
                "path": path("Where to begin; by default everywhere allowed"),
                "limit": {"type": "integer", "minimum": 1, "maximum": super::search::MAX_RESULTS,
                    "description": "Most results, 200 by default"}
            }),
            &["pattern"],
        ),
        Some(object(
            json!({"results": {"type": "array", "items": found}, "truncated": {"type": "boolean"}}),
            &["results", "truncated"],
        )),
    )
}

fn writing() -> Tool {
    tool(
        "write_file",
        "Write a file",
        "Writes a text file whole, replacing what was there in one step.",
        Effect::Replaces,
        World::Closed,
        object(
            json!({"path": path("The file"), "content": {"type": "string"},
                "create_directories": {"type": "boolean", "description": "Make missing directories above it"}}),
            &["path", "content"],
        ),
        Some(object(
            json!({"path": {"type": "string"}, "bytes": {"type": "integer"}, "created": {"type": "boolean"}}),
            &["path", "bytes", "created"],
        )),
    )
}
