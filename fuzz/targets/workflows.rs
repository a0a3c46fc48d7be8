//! Workflows and the expressions in them: every mistake has a place, and masking keeps every place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use umcp::expressions::{Expression, Template, mask};
use umcp::workflows::{check, read};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let masked = mask(text);
    assert_eq!(masked.text.len(), text.len());
    assert_eq!(masked.unmask(&masked.text), text);
    let _ = Expression::parse(text);
    let _ = Template::parse(text);
    if let Ok(mut workflow) = read::read("w.yaml", text) {
        let _ = check::check("w.yaml", text, &mut workflow, None);
    }
});
