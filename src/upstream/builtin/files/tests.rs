//! The `files` server without its protocol: what it does below its roots, and what it refuses.
//! Only real files in a directory of the test; links are tried where the system has them.

use super::*;
use serde_json::json;

fn call(files: &Files, tool: &str, arguments: Value) -> Result<Output, String> {
    files.act(tool, arguments).map_err(|error| format!("{error} | {}", error.hints.join(" | ")))
}

struct Home {
    directory: tempfile::TempDir,
    files: Files,
}

fn home() -> Home {
    let directory = tempfile::tempdir().unwrap();
    // Temporary directories lie behind a link on some systems.
    let base = directory.path().canonicalize().unwrap();
    std::fs::create_dir_all(base.join("work/src/deep")).unwrap();
    std::fs::create_dir(base.join("work-evil")).unwrap();
    std::fs::write(base.join("work-evil/secret.txt"), "secret").unwrap();
    std::fs::write(base.join("work/src/main.rs"), "one\ntwo needle\nthree\n").unwrap();
    std::fs::write(base.join("work/src/deep/lib.rs"), "needle\n").unwrap();
    let files = Files::new(vec![base.join("work")]);
    Home { directory, files }
}

impl Home {
    fn path(&self, below: &str) -> String {
        self.directory.path().canonicalize().unwrap().join(below).to_string_lossy().into_owned()
    }

    fn refused(&self, tool: &str, path: &str) -> String {
        let arguments = match tool {
            "write_file" => json!({"path": path, "content": "x"}),
            "search_files" => json!({"path": path, "pattern": "*"}),
            _ => json!({"path": path}),
        };
        call(&self.files, tool, arguments).unwrap_err()
    }
}

const ALL: [&str; 5] = ["list_directory", "read_file", "write_file", "file_info", "search_files"];

#[test]
fn without_roots_every_call_is_refused_with_the_way_to_add_one() {
    for tool in ALL {
        let refusal = call(&Files::new(Vec::new()), tool, json!({"path": "/"})).unwrap_err();
        assert!(
            refusal.starts_with("no directory is allowed") && refusal.contains("--root DIR"),
            "{refusal}"
        );
    }
}

#[test]
fn what_is_not_below_a_root_is_refused() {
    let home = home();
    for tool in ALL {
        for path in [
            home.path("work-evil"),
            home.path("work-evil/secret.txt"),
            home.path("work/../work-evil/secret.txt"),
            "/".into(),
        ] {
            assert!(home.refused(tool, &path).contains("is not below an allowed directory"), "{tool} {path}");
        }
        assert!(home.refused(tool, "../work-evil/secret.txt").contains("is not below"), "{tool}");
    }
    assert!(!std::fs::exists(home.path("work-evil/x")).unwrap());
}

#[cfg(unix)]
#[test]
fn links_out_of_a_root_are_refused() {
    let home = home();
    std::os::unix::fs::symlink(home.path("work-evil"), home.path("work/out")).unwrap();
    std::os::unix::fs::symlink("../work-evil/secret.txt", home.path("work/file")).unwrap();
    for (tool, path) in [
        ("list_directory", "out"),
        ("read_file", "out/secret.txt"),
        ("read_file", "file"),
        ("write_file", "out/new.txt"),
        ("file_info", "out/secret.txt"),
        ("search_files", "out"),
    ] {
        let refusal = home.refused(tool, path);
        assert!(refusal.contains("leads out of the allowed directory through a link"), "{tool}: {refusal}");
    }
    assert!(home.refused("write_file", "file").contains("no file but a link"));
    // A link is shown as what it is, and a search does not go through it.
    let info = call(&home.files, "file_info", json!({"path": "out"})).unwrap().data.unwrap();
    assert_eq!((&info["kind"], &info["target"]), (&json!("link"), &json!(home.path("work-evil"))));
    let found = call(&home.files, "search_files", json!({"pattern": "secret"})).unwrap();
    assert_eq!(found.data.unwrap(), json!({"results": [], "truncated": false}));
    assert_eq!(std::fs::read_to_string(home.path("work-evil/secret.txt")).unwrap(), "secret");
}

#[test]
fn files_are_listed_read_written_and_found() {
    let home = home();
    let text = |tool, arguments| call(&home.files, tool, arguments).unwrap().text;
    assert_eq!(text("list_directory", json!({})), "src/");
    assert_eq!(text("list_directory", json!({"path": "src"})), "deep/\nmain.rs (21 bytes)");
    assert_eq!(text("read_file", json!({"path": home.path("work/src/main.rs")})), "one\ntwo needle\nthree\n");
    assert_eq!(
        text("read_file", json!({"path": "src/main.rs", "first_line": 2, "last_line": 2})),
        "two needle\n"
    );
    assert_eq!(text("read_file", json!({"path": "src/main.rs", "first_line": 9})), "");
    let new = home.path("work/new/file.txt");
    assert_eq!(
        text("write_file", json!({"path": "new/file.txt", "content": "1", "create_directories": true})),
        format!("created `{new}` (1 bytes)")
    );
    assert_eq!(
        text("write_file", json!({"path": new, "content": "22"})),
        format!("replaced `{new}` (2 bytes)")
    );
    assert_eq!(std::fs::read_to_string(&new).unwrap(), "22");
    assert_eq!(text("list_directory", json!({"path": "new"})), "file.txt (2 bytes)");
    let (lib, main) = (home.path("work/src/deep/lib.rs"), home.path("work/src/main.rs"));
    assert_eq!(text("search_files", json!({"pattern": "**/*.rs"})), format!("{lib}\n{main}"));
    assert_eq!(
        text("search_files", json!({"pattern": "*.rs", "text": "needle"})),
        format!("{lib}:1: needle\n{main}:2: two needle")
    );
    let one = call(&home.files, "search_files", json!({"pattern": "*.rs", "limit": 1})).unwrap();
    assert_eq!(one.data.unwrap(), json!({"results": [{"path": lib}], "truncated": true}));
}

#[test]
fn what_cannot_be_done_says_what_can() {
    let home = home();
    std::fs::write(home.path("work/big"), vec![b'x'; MAX_READ + 1]).unwrap();
    std::fs::write(home.path("work/binary"), [0xFF, 0xFE]).unwrap();
    for (tool, arguments, expected) in [
        ("read_file", json!({"path": "none"}), "it does not exist | `list_directory` shows what is there"),
        ("read_file", json!({"path": "src"}), "it is a directory | `list_directory` shows what is in it"),
        (
            "read_file",
            json!({"path": "big"}),
            "at most 1048576 are read at once | give `first_line` and `last_line`",
        ),
        ("read_file", json!({"path": "big", "first_line": 1}), "these lines have more than 1048576 bytes"),
        ("read_file", json!({"path": "binary"}), "is not text in UTF-8 | `file_info` shows what it is"),
        ("read_file", json!({"path": "big", "first_line": 0}), "`first_line` counts from 1"),
        ("read_file", json!({}), "missing field `path`"),
        ("read_file", json!({"path": "big", "lines": 3}), "unknown field `lines`"),
        ("list_directory", json!({"path": "big"}), "a name on the way is no directory"),
        ("write_file", json!({"path": "none/x", "content": ""}), "set `create_directories`"),
        ("write_file", json!({"path": "src", "content": ""}), "no file but a directory"),
        ("write_file", json!({"path": ".", "content": ""}), "is the allowed directory itself"),
        ("search_files", json!({"pattern": ""}), "`*` finds every name"),
    ] {
        let refusal = call(&home.files, tool, arguments).unwrap_err();
        assert!(refusal.contains(expected), "{tool}: {refusal}, not {expected}");
    }
}

#[cfg(unix)]
#[test]
fn a_replaced_file_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let home = home();
    let path = home.path("work/src/main.rs");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750)).unwrap();
    call(&home.files, "write_file", json!({"path": path, "content": "new"})).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o750);
}
