//! The loader of users' files, and the edits that keep their comments: what was edited can be read again, and says
//! what was set.
#![no_main]

use libfuzzer_sys::fuzz_target;
use umcp::documents::{Format, edit, parse_as};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for (format, file) in [(Format::Yaml, "a.yaml"), (Format::Toml, "a.toml"), (Format::Json, "a.json")] {
        one(format, file, text);
    }
});

fn one(format: Format, file: &str, text: &str) {
    let Ok(node) = parse_as(format, file, text) else { return };
    let _ = node.to_json();
    let value = serde_json::json!({"command": "x", "args": ["a b", "#"]});
    if let Ok(edited) = edit::set(format, file, text, &["servers", "new one"], &value) {
        let node = parse_as(format, file, &edited).expect("an edited file can be read");
        let set = node.at_path(&["servers", "new one"]).map(umcp::documents::Node::to_json);
        assert_eq!(set, Some(value), "{edited}");
        if let Ok(removed) = edit::remove(format, file, &edited, &["servers", "new one"]) {
            parse_as(format, file, &removed).expect("a file can be read when something was taken out");
        }
    }
}
