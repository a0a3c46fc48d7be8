//! Manifests of apps, OpenAPI documents, and the files of other programs that servers are imported from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use umcp::apps::{file, openapi};
use umcp::clock::Timestamp;
use umcp::servers::formats;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = file::load("app.yaml", text);
    if let Ok(document) = serde_json::from_str(text) {
        let _ = openapi::convert(&document, &openapi::Options::default());
    }
    let mut ids = (0..).map(|id: u32| id.to_string());
    let _ = formats::read("mcp.json", text, &mut || ids.next().unwrap_or_default(), Timestamp(0));
});
