//! Words a user types or a server says: package references, addresses, names of tools.
#![no_main]

use libfuzzer_sys::fuzz_target;
use umcp::policy::address;
use umcp::servers::spec;
use umcp::upstream::names;
use umcp::secrets::dotenv;
use umcp::ui::sanitise;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(guess) = spec::read(text, |_| None) {
        assert!(umcp::servers::model::check_name(&guess.name).is_ok(), "{:?} of {text:?}", guess.name);
    }
    let _ = address::parse(text);
    let _ = names::valid(text);
    let _ = dotenv::read(text);
    let shown = sanitise::one_line(text);
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
});
