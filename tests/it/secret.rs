//! `umcp secret`: the vault from the command line, what it refuses, and plain keys on their way into it.
//! Long because the output of each verb stands here word for word.

mod export;

use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;
use std::fs;
use std::path::PathBuf;
use umcp::clock::Timestamp;
use umcp::secrets;
use umcp::store::{Store, Table, tables};

/// A value that stands nowhere else.
const VALUE: &str = "s3cret-Value-0001";

fn umcp_folder(sandbox: &Sandbox) -> PathBuf {
    sandbox.home().parent().unwrap().join("umcp")
}

fn key_file(sandbox: &Sandbox) -> PathBuf {
    umcp_folder(sandbox).join("data").join("vault.key")
}

fn private(path: &std::path::Path, text: &[u8]) {
    fs::write(path, text).unwrap();
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

fn with_secret(name: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("value", VALUE);
    assert_eq!(sandbox.run(&["secret", "set", name, "--value-file", "value"]).code, 0);
    sandbox
}

#[test]
fn a_secret_lives() {
    let sandbox = Sandbox::new();
    sandbox.file("value", &format!("{VALUE}\n"));
    assert_snapshot!(sandbox.run(&["secret"]), @"
    exit: 0
    --- stdout ---
    no secrets yet; store one: umcp secret set NAME
    ");
    assert_snapshot!(sandbox.run(&["secret", "set", "A", "--value-file", "value"]), @"
    exit: 0
    --- stdout ---
    ok   stored A
    use it as secret://A
    --- stderr ---
    the vault is opened by the key file [DIR]/umcp/data/vault.key: it protects a copy of the store, not against programs that run as you; for that: umcp secret backend set passphrase
    ");
    sandbox.run(&["server", "add", "mine", "--env", "KEY=secret://A", "--", "tool"]);
    assert_snapshot!(sandbox.run(&["secret", "list"]), @"
    exit: 0
    --- stdout ---
    SECRET  USED BY  CHANGED
    A       mine     just now
    ");
    assert_snapshot!(sandbox.run(&["secret", "get", "A"]), @"
    exit: 11
    --- stderr ---
    error: nobody can be asked `Show the value of A here?`: there is no terminal [UM0004]
    hint: answer with `--reveal`
    ");
    assert_snapshot!(sandbox.run(&["secret", "get", "A", "--reveal"]), @"
    exit: 0
    --- stdout ---
    s3cret-Value-0001
    ");
    assert_snapshot!(sandbox.run(&["secret", "set", "A", "--value-file", "value"]), @"
    exit: 11
    --- stderr ---
    error: nobody can be asked `Replace the value of A?`: there is no terminal [UM0004]
    hint: answer with `--yes`
    ");
    sandbox.file("value", "another-value-2\n");
    assert_snapshot!(sandbox.run(&["secret", "rotate", "A", "--value-file", "value"]), @"
    exit: 0
    --- stdout ---
    ok   replaced A
    mine will start with it at the next use
    ");
    assert_snapshot!(sandbox.run(&["secret", "rename", "A", "B"]), @"
    exit: 0
    --- stdout ---
    ok   renamed to B
    ");
    assert!(sandbox.run(&["server", "show", "mine"]).stdout.contains("secret://B"));
    assert_snapshot!(sandbox.run(&["secret", "backend"]), @"
    exit: 0
    --- stdout ---
    OPENED BY  STATE  PLACE
    key-file   ready  [DIR]/umcp/data/vault.key
    1 secret inside
    the vault is opened by the key file [DIR]/umcp/data/vault.key: it protects a copy of the store, not against programs that run as you; for that: umcp secret backend set passphrase
    ");
    assert_snapshot!(sandbox.run(&["secret", "rotate", "--key", "--yes", "--json=secrets"]), @r#"
    exit: 0
    --- stdout ---
    {"ok":true,"kind":"secret.rekeyed/1","data":{"secrets":1},"warnings":[]}
    "#);
    assert_snapshot!(sandbox.run(&["secret", "get", "B", "--reveal", "--json"]), @r#"
    exit: 0
    --- stdout ---
    {"ok":true,"kind":"secret.value/1","data":{"name":"B","value":"another-value-2"},"warnings":[]}
    "#);
    assert_snapshot!(sandbox.run(&["secret", "delete", "B"]), @"
    exit: 11
    --- stderr ---
    error: nobody can be asked `Delete B for good? mine will not start without it.`: there is no terminal [UM0004]
    hint: answer with `--yes`
    ");
    assert_snapshot!(sandbox.run(&["secret", "delete", "B", "--yes"]), @"
    exit: 0
    --- stdout ---
    ok   deleted B
    ");
    assert_snapshot!(sandbox.run(&["secret", "get", "B", "--reveal"]), @"
    exit: 4
    --- stderr ---
    error: no secret named `B` [UM0716]
    hint: umcp secret list
    ");
}

#[test]
fn a_value_on_the_command_line_is_refused_and_not_repeated() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["secret", "set", "A", VALUE][..],
        &["secret", "set", "A", "--value", VALUE],
        &["secret", "set", "A", VALUE, "more"],
        &["secret", "set", "A", "--", VALUE],
        &["secret", "rotate", "A", VALUE],
    ] {
        let output = sandbox.run(arguments);
        assert!(output.code == 2 || output.code == 4, "{arguments:?}: {output}");
        assert!(!output.to_string().contains(VALUE), "{arguments:?}: {output}");
    }
    assert_snapshot!(sandbox.run(&["secret", "set", "A", VALUE]), @"
    exit: 2
    --- stderr ---
    error: a value does not belong on the command line, where other programs can read it [UM0003]
    hint: umcp secret set A
    hint: umcp secret set A --value-file FILE
    hint: where it was typed, the shell's history has it too: best make a new one
    ");
    assert_snapshot!(sandbox.run(&["secret", "set", "A"]), @"
    exit: 11
    --- stderr ---
    error: nobody can be asked `Value of A`: there is no terminal [UM0004]
    hint: answer with `--value-file FILE, or - for standard input`
    ");
    assert_snapshot!(sandbox.run(&["secret", "set", "connection/x/token"]), @"
    exit: 3
    --- stderr ---
    error: names like `connection/x/token` belong to umcp itself [UM0405]
    hint: a name must not begin with connection/, integration/, umcp/
    ");
}

#[test]
fn a_key_that_is_gone_is_told_and_never_replaced() {
    let sandbox = with_secret("A");
    let key = fs::read(key_file(&sandbox)).unwrap();
    fs::remove_file(key_file(&sandbox)).unwrap();
    for arguments in [
        &["secret", "get", "A", "--reveal"][..],
        &["secret", "set", "B", "--value-file", "value"],
        &["secret", "rotate", "--key", "--yes"],
        &["secret", "backend", "set", "key-file", "--yes"],
    ] {
        let output = sandbox.run(arguments);
        assert_eq!(output.code, 6, "{arguments:?}: {output}");
        assert!(output.stderr.contains("UM0712"), "{arguments:?}: {output}");
        assert!(!key_file(&sandbox).exists(), "{arguments:?}");
    }
    let told = sandbox.run(&["doctor", "--only", "vault"]);
    assert!(told.code == 13 && told.stdout.contains("is missing"), "{told}");
    private(&key_file(&sandbox), b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    assert!(sandbox.run(&["secret", "get", "A", "--reveal"]).stderr.contains("UM0713"));
    private(&key_file(&sandbox), &key[..20]);
    assert!(sandbox.run(&["secret", "get", "A", "--reveal"]).stderr.contains("UM0713"));
    private(&key_file(&sandbox), &key);
    assert_eq!(sandbox.run(&["secret", "get", "A", "--reveal"]).stdout, VALUE);
    #[cfg(unix)]
    {
        fs::set_permissions(key_file(&sandbox), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let output = sandbox.run(&["secret", "get", "A", "--reveal"]);
        assert!(output.code == 9 && output.stderr.contains("hint: chmod 600"), "{output}");
    }
}

#[test]
fn a_passphrase_opens_it_and_a_wrong_one_does_not() {
    let sandbox = with_secret("A");
    sandbox.file("right", "correct horse battery\n");
    sandbox.file("wrong", "correct horse\n");
    let change = ["secret", "backend", "set", "passphrase", "--new-passphrase-file", "right", "--yes"];
    assert_eq!(sandbox.run(&change).code, 0);
    assert!(!key_file(&sandbox).exists(), "the key file goes");
    let get = |more: &[&str]| sandbox.run(&[&["secret", "get", "A", "--reveal"], more].concat());
    assert_eq!(get(&["--passphrase-file", "right"]).stdout, VALUE);
    assert_snapshot!(get(&["--passphrase-file", "wrong"]), @"
    exit: 6
    --- stderr ---
    error: the passphrase is wrong [UM0713]
    ");
    assert_snapshot!(get(&[]), @"
    exit: 11
    --- stderr ---
    error: nobody can be asked `Passphrase of the vault`: there is no terminal [UM0004]
    hint: answer with `--passphrase-file FILE`
    ");
    let back = ["secret", "backend", "set", "key-file", "--passphrase-file", "right", "--yes"];
    assert_eq!(sandbox.run(&back).code, 0);
    assert_eq!(get(&[]).stdout, VALUE);
}

/// Changes the stored row of a secret behind the program's back.
fn meddle(sandbox: &Sandbox, change: impl FnOnce(&mut secrets::Stored)) {
    const SECRETS: Table<secrets::Stored> = Table::new(tables::SECRETS);
    let store = Store::open(&umcp_folder(sandbox).join("data").join("store.redb"), Timestamp(0)).unwrap();
    store
        .write(|tx| {
            let mut row = tx.get(&SECRETS, "A")?.unwrap();
            change(&mut row);
            tx.put(&SECRETS, &row.name.clone(), &row)
        })
        .unwrap();
    store.close().unwrap();
}

#[test]
fn a_changed_cut_or_moved_value_is_never_returned() {
    type Change = fn(&mut secrets::Stored);
    let flip: Change = |row| *row.value.bytes.last_mut().unwrap() ^= 1;
    let cut: Change = |row| row.value.bytes.truncate(20);
    let swap: Change = |row| row.name = "B".into();
    let cases = [("A", flip, "was changed"), ("A", cut, "cut short"), ("B", swap, "another name")];
    for (name, change, reason) in cases {
        let sandbox = with_secret("A");
        meddle(&sandbox, change);
        let output = sandbox.run(&["secret", "get", name, "--reveal"]);
        assert_eq!(output.code, 9, "{output}");
        assert!(output.stderr.contains("UM0714") && output.stderr.contains(reason), "{output}");
        assert!(!output.to_string().contains(VALUE));
    }
}

#[test]
fn a_file_of_variables_is_imported_once() {
    let sandbox = Sandbox::new();
    sandbox.file(".env", "# keys\nexport A=one-value\nB=\"two\\nlines\"\nEMPTY=\nnot a pair\n");
    assert_snapshot!(sandbox.run(&["secret", "import", "--from", "env", ".env", "--dry-run"]), @"
    exit: 0
    --- stdout ---
    ok   would store A
    ok   would store B
    off  EMPTY has no value
    2 secrets would store
    --- stderr ---
    warning: .env: line 5 is no NAME=VALUE and was left out
    ");
    assert_snapshot!(sandbox.run(&["secret", "import", "--from", "env", ".env", "--quiet"]), @"
    exit: 0
    --- stdout ---
    A
    B
    --- stderr ---
    warning: .env: line 5 is no NAME=VALUE and was left out
    ");
    assert_snapshot!(sandbox.run(&["secret", "import", "--from", "env", ".env"]), @"
    exit: 0
    --- stdout ---
    off  A is there already; --replace takes the new value
    off  B is there already; --replace takes the new value
    off  EMPTY has no value
    0 secrets stored
    --- stderr ---
    warning: .env: line 5 is no NAME=VALUE and was left out
    ");
    assert_eq!(sandbox.run(&["secret", "get", "B", "--reveal"]).stdout, "two\nlines");
    assert_snapshot!(sandbox.run(&["secret", "import", "--from", "env", "none"]), @"
    exit: 4
    --- stderr ---
    error: cannot read `none` [UM0107]
    because: No such file or directory (os error 2)
    ");
    assert_snapshot!(sandbox.run(&["secret", "import", "--from", "keyring"]), @"
    exit: 2
    --- stderr ---
    error: a keyring does not tell its names; which ones? [UM0003]
    hint: umcp secret import --from keyring TAVILY_API_KEY
    ");
}

const CLIENT: &str = r#"{
  // ours
  "mcpServers": {
    "github": { "command": "npx", "args": ["-y", "gh-server"], "env": { "GITHUB_TOKEN": "ghp_0123456789abcdefABCDEF0123456789abcd" } },
    "docs": { "type": "http", "url": "https://docs.example.com/mcp", "headers": { "Authorization": "Bearer q8Zr3vT1xW7yB5nM9kLpQ2sD" } },
    "search": { "command": "npx", "args": ["search", "--api-key", "tvly-0123456789abcdef"] },
    "plain": { "command": "npx", "args": ["nothing-secret"], "env": { "DEBUG": "1" } }
  }
}
"#;

#[cfg(unix)]
#[test]
fn plain_keys_of_a_client_move_into_the_vault_and_back() {
    let sandbox = Sandbox::new();
    let file = sandbox.file(".mcp.json", CLIENT);
    assert_snapshot!(sandbox.run(&["secret", "scan", "--json=file,server,place,value,why,secret,moved"]), @r#"
    exit: 13
    --- stdout ---
    {"ok":false,"kind":"secret.scan/1","data":{"file":null,"server":null,"place":null,"value":null,"why":null,"secret":null,"moved":null},"error":{"code":"UM0010","name":"differs","message":"3 plain keys found","hints":["umcp secret scan --move"],"retryable":false,"exit":13},"warnings":["the result has no field `file`","the result has no field `server`","the result has no field `place`","the result has no field `value`","the result has no field `why`","the result has no field `secret`","the result has no field `moved`"]}
    --- stderr ---
    warning: the result has no field `file`
    warning: the result has no field `server`
    warning: the result has no field `place`
    warning: the result has no field `value`
    warning: the result has no field `why`
    warning: the result has no field `secret`
    warning: the result has no field `moved`
    error: 3 plain keys found [UM0010]
    hint: umcp secret scan --move
    "#);
    assert_eq!(fs::read_to_string(&file).unwrap(), CLIENT, "looking changes nothing");
    assert_eq!(sandbox.json(&["secret", "list"])["data"].as_array().unwrap().len(), 0);

    let moved = sandbox.json(&["secret", "scan", "--move", "--yes"]);
    assert_eq!(moved["data"]["findings"].as_array().unwrap().len(), 3);
    let text = fs::read_to_string(&file).unwrap();
    for (key, name) in [
        ("ghp_0123456789abcdefABCDEF0123456789abcd", "GITHUB_TOKEN"),
        ("q8Zr3vT1xW7yB5nM9kLpQ2sD", "docs_Authorization"),
        ("tvly-0123456789abcdef", "search_api-key"),
    ] {
        assert!(!text.contains(key), "{text}");
        assert!(!moved.to_string().contains(key), "{moved}");
        assert_eq!(sandbox.run(&["secret", "get", name, "--reveal"]).stdout, key);
    }
    assert!(
        text.contains("nothing-secret") && text.contains("// ours") && text.contains("\"umcp\""),
        "{text}"
    );
    assert_snapshot!(sandbox.run(&["secret", "list"]), @"
    exit: 0
    --- stdout ---
    SECRET              USED BY  CHANGED
    GITHUB_TOKEN        github   just now
    docs_Authorization  docs     just now
    search_api-key      search   just now
    ");
    let shown = sandbox.run(&["server", "show", "docs", "--json=headers"]);
    assert!(shown.stdout.contains("Bearer secret://docs_Authorization"), "{shown}");
    let again = sandbox.run(&["secret", "scan"]);
    assert_snapshot!(again, @"
    exit: 0
    --- stdout ---
    no plain keys found
    ");

    let id = moved["data"]["undo"].to_string();
    let undone = sandbox.run(&["undo", &id]);
    assert_eq!(undone.code, 0);
    let kept =
        "the vault keeps GITHUB_TOKEN, docs_Authorization, search_api-key\numcp secret delete GITHUB_TOKEN";
    assert!(undone.stdout.contains(kept), "{undone}");
    assert_eq!(fs::read_to_string(&file).unwrap(), CLIENT);
    assert_snapshot!(sandbox.run(&["undo", "--forget", &id, "--yes"]), @"
    exit: 0
    --- stdout ---
    ok   forgot entry 1 (umcp secret scan --move) and its copies of files
    ");
    let kept = fs::read_dir(umcp_folder(&sandbox).join("data").join("undo")).unwrap();
    let copies = kept.flatten().flat_map(|entry| fs::read_dir(entry.path()).unwrap().flatten());
    for copy in copies {
        assert!(!fs::read_to_string(copy.path()).unwrap_or_default().contains("ghp_01"), "{copy:?}");
    }
}

#[test]
fn plain_keys_of_stored_servers_become_references() {
    let sandbox = Sandbox::new();
    sandbox.run(&[
        "server",
        "add",
        "one",
        "--env",
        "API_KEY=abcdef-123456",
        "--env",
        "MODE=fast",
        "--",
        "tool",
    ]);
    sandbox.run(&["server", "add", "two", "--env", "API_KEY=other-654321", "--", "tool"]);
    assert_eq!(sandbox.run(&["secret", "scan"]).code, 13);
    assert_eq!(sandbox.run(&["secret", "scan", "--move", "--yes"]).code, 0);
    assert_eq!(sandbox.run(&["secret", "get", "API_KEY", "--reveal"]).stdout, "abcdef-123456");
    assert_eq!(sandbox.run(&["secret", "get", "two_API_KEY", "--reveal"]).stdout, "other-654321");
    assert_eq!(sandbox.run(&["secret", "scan"]).code, 0);
}
