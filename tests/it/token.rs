//! `umcp token`: a key is shown once, and only its hash is kept.

use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn a_key_lives() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["token"]), @"
    exit: 0
    --- stdout ---
    no keys yet; make one: umcp token create NAME
    ");
    assert_snapshot!(sandbox.run(&["token", "create", "ci", "--expires", "24h"]), @"
    exit: 0
    --- stdout ---
    umcp_[KEY]
    --- stderr ---
    keep it now; it is not shown again
    ");
    assert_snapshot!(sandbox.run(&["token", "list"]), @"
    exit: 0
    --- stdout ---
    NAME  STATE  PROFILE  SCOPES  CREATED   EXPIRES
    ci    valid  all      all     just now  in 1 day
    ");
    assert_snapshot!(sandbox.run(&["token", "create", "ci"]), @"
    exit: 5
    --- stderr ---
    error: a token named `ci` exists already [UM0418]
    hint: umcp token rotate ci
    ");
    assert_snapshot!(sandbox.run(&["token", "rotate", "ci"]), @"
    exit: 0
    --- stdout ---
    umcp_[KEY]
    --- stderr ---
    keep it now; it is not shown again
    ");
    assert_snapshot!(sandbox.run(&["token", "revoke", "ci"]), @"
    exit: 0
    --- stdout ---
    ok   revoked ci
    ");
    assert_snapshot!(sandbox.run(&["token", "list", "--json"]), @r#"
    exit: 0
    --- stdout ---
    {"ok":true,"kind":"token.list/1","data":[{"id":"tok_[ID]","name":"ci","state":"revoked","profile":null,"scopes":["tools:read","tools:call","resources","prompts"],"created":"2026-01-02T03:04:05.000Z","expires":"2026-01-03T03:04:05.000Z","revoked":"2026-01-02T03:04:05.000Z"}],"warnings":[]}
    "#);
    assert_snapshot!(sandbox.run(&["token", "revoke", "ci"]), @"
    exit: 4
    --- stderr ---
    error: no token named `ci` [UM0412]
    hint: umcp token list
    ");
    assert_snapshot!(sandbox.run(&["token", "create", "v", "--scope", "tool:read"]), @"
    exit: 3
    --- stderr ---
    error: `tool:read` is no scope [UM0104]
    hint: did you mean `tools:read`?
    ");
    assert_snapshot!(sandbox.run(&["token", "create", "a:b"]), @"
    exit: 3
    --- stderr ---
    error: `a:b` cannot name a key [UM0405]
    hint: use at most 64 characters, none of them a colon or a control character
    ");
    assert_snapshot!(sandbox.run(&["token", "create", "x", "--expires", "0d"]), @"
    exit: 2
    --- stderr ---
    error: invalid value `0d` for `--expires <TIME>`: `0d` is not a time [UM0003]
    hint: umcp token create --help
    ");
    assert_snapshot!(sandbox.run(&["token", "create", "x", "--profile", "none"]), @"
    exit: 4
    --- stderr ---
    error: no profile named `none` [UM0409]
    hint: umcp profile list
    ");
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
