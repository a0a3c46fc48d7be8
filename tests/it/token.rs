//! `umcp token`: a key is shown once, and only its hash is kept.

use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn a_key_lives() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["token"]), @"");
    assert_snapshot!(sandbox.run(&["token", "create", "ci", "--expires", "24h"]), @"");
    assert_snapshot!(sandbox.run(&["token", "list"]), @"");
    assert_snapshot!(sandbox.run(&["token", "create", "ci"]), @"");
    assert_snapshot!(sandbox.run(&["token", "rotate", "ci"]), @"");
    assert_snapshot!(sandbox.run(&["token", "revoke", "ci"]), @"");
    assert_snapshot!(sandbox.run(&["token", "list", "--json"]), @"");
    assert_snapshot!(sandbox.run(&["token", "revoke", "ci"]), @"");
    assert_snapshot!(sandbox.run(&["token", "create", "x", "--profile", "none"]), @"");
}

#[test]
fn the_key_is_in_no_file() {
    let sandbox = Sandbox::new();
    let key = sandbox.json(&["token", "create", "ci"])["data"]["key"].as_str().unwrap().to_string();
    assert_eq!(key.len(), "umcp_".len() + 64);
    let mut folders = vec![sandbox.home().parent().unwrap().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let bytes = std::fs::read(entry.path()).unwrap();
                assert!(
                    !bytes.windows(key.len()).any(|window| window == key.as_bytes()),
                    "{:?}",
                    entry.path()
                );
            }
        }
    }
}
