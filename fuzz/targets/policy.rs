//! Rules, their patterns, and what takes secrets out of results.
#![no_main]

use libfuzzer_sys::fuzz_target;
use umcp::audit::shape;
use umcp::glob;
use umcp::policy::rules::compile::Policy;
use umcp::policy::rules::{file, pattern, redact};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(document) = file::parse("policy.yaml", text) {
        let _ = Policy::compile(&document);
    }
    let (left, right) = text.split_once('\n').unwrap_or((text, ""));
    let _ = glob::fits(left, right);
    if let Ok(pattern) = pattern::Pattern::parse(left) {
        let _ = pattern.fits(right);
    }
    let _ = redact::depth(text);
    let shape = shape::shape(text);
    serde_json::from_str::<serde_json::Value>(&shape).expect("a shape is JSON");
});
