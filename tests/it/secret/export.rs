//! Secrets on their way to another machine: sealed under a passphrase of the file, or plain on a clear word.

use super::{VALUE, private, with_secret};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;
use std::fs;

#[test]
fn an_export_is_read_on_another_machine_and_shows_nothing_on_the_way() {
    let sandbox = with_secret("A");
    let multiline = sandbox.file("more", "two\nlines \"quoted\"");
    sandbox.run(&["secret", "set", "b/c", "--value-file", multiline.to_str().unwrap()]);
    let pass = sandbox.home().join("pass");
    private(&pass, b"correct horse\n");
    assert_snapshot!(sandbox.run(&["secret", "export", "out.json", "--passphrase-file", "pass"]), @"
    exit: 0
    --- stdout ---
    ok   wrote 2 secrets to out.json
    without its passphrase nobody reads it; umcp secret import --from export out.json
    ");
    let file = sandbox.home().join("out.json");
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains(VALUE) && text.contains("umcp.secrets/1"), "{text}");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions()) & 0o777,
        0o600
    );

    let other = Sandbox::new();
    other.file("out.json", &text);
    private(&other.home().join("pass"), b"correct horse\n");
    private(&other.home().join("wrong"), b"horse\n");
    let import = ["secret", "import", "--from", "export", "out.json", "--file-passphrase"];
    assert_snapshot!(other.run(&[&import[..], &["wrong"]].concat()), @"
    exit: 6
    --- stderr ---
    error: the passphrase is wrong, or the file was changed [UM0713]
    ");
    // The name it had before is still understood, and so is the one of the vault beside it.
    assert!(!other.run(&["secret", "import", "--help"]).stdout.contains("--file-passphrase"));
    let imported = other.json(&[&import[..], &["pass", "--vault-passphrase-file", "nothing"]].concat());
    assert_eq!(imported["data"]["stored"], serde_json::json!(["A", "b/c"]));
    for (name, value) in [("A", VALUE), ("b/c", "two\nlines \"quoted\"")] {
        assert_eq!(other.run(&["secret", "get", name, "--reveal"]).stdout.trim_end(), value, "{name}");
    }
    other.file("plain.env", "A=1\n");
    assert_snapshot!(other.run(&["secret", "import", "--from", "export", "plain.env"]), @"
    exit: 3
    --- stderr ---
    error: `plain.env` is no export of secrets [UM0101]
    hint: umcp secret import --from env plain.env
    ");
}

#[test]
fn plain_values_go_into_a_private_file_and_into_no_pipe() {
    let sandbox = with_secret("A");
    assert_snapshot!(sandbox.run(&["secret", "export", "--plain"]), @"
    exit: 2
    --- stderr ---
    error: plain values go to a terminal or into a file, and this is neither [UM0003]
    hint: umcp secret export --plain FILE --yes
    ");
    assert_eq!(sandbox.run(&["secret", "export", "--plain", "out.env"]).code, 11);
    let file = sandbox.file("out.env", "old");
    assert_snapshot!(sandbox.run(&["secret", "export", "--plain", "out.env", "--yes"]), @"
    exit: 0
    --- stdout ---
    ok   wrote 1 secret to out.env
    whoever reads the file has the values; delete it once it is used
    ");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("A=\"{VALUE}\"\n"));
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions()) & 0o777,
        0o600
    );
    assert_snapshot!(sandbox.run(&["secret", "export", "x.json", "B"]), @"
    exit: 4
    --- stderr ---
    error: no secret named `B` [UM0716]
    hint: umcp secret list
    ");
}
