//! Files that are made from the command line and checked in: completions and manual pages.

use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;
use std::path::Path;

#[test]
fn completions_are_fresh_and_installed() {
    let sandbox = Sandbox::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    let files = [
        ("bash", "umcp.bash"),
        ("zsh", "_umcp"),
        ("fish", "umcp.fish"),
        ("powershell", "_umcp.ps1"),
        ("elvish", "umcp.elv"),
    ];
    for (shell, file) in files {
        let checked_in = std::fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!(sandbox.json(&["completions", shell])["data"]["script"], checked_in, "{file}");
    }
    assert_snapshot!(sandbox.run(&["completions", "fish", "--install"]), @"
    exit: 0
    --- stdout ---
    ok   wrote [DIR]/home/.config/fish/completions/umcp.fish
    new shells complete umcp
    ");
    let installed = sandbox.home().join(".config/fish/completions/umcp.fish");
    assert_eq!(std::fs::read(&installed).unwrap(), std::fs::read(folder.join("umcp.fish")).unwrap());
    std::fs::write(&installed, "complete -c other").unwrap();
    assert_eq!(sandbox.run(&["completions", "fish", "--install"]).code, 1);
}

#[cfg(unix)]
#[test]
fn bash_completes_names_from_the_index() {
    let sandbox = Sandbox::new();
    sandbox.run(&["server", "add", "builtin:time"]);
    sandbox.run(&["server", "add", "builtin:kv"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions/umcp.bash");
    let program = env!("CARGO_BIN_EXE_umcp");
    let complete = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let text = format!(
            "source '{}'; COMP_LINE='{program} {line}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({program} {}); \
             COMP_CWORD={}; _umcp; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len(),
        );
        let output = std::process::Command::new("/bin/bash")
            .args(["--norc", "-c", &text])
            .env("UMCP_HOME", sandbox.home().parent().unwrap().join("umcp"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().replace('\n', " ")
    };
    if !Path::new("/bin/bash").exists() {
        return;
    }
    assert_eq!(complete("server show "), "kv time");
    assert_eq!(complete("server show t"), "time");
    assert_eq!(complete("server rem"), "remove");
    assert_eq!(complete("server list --st"), "--status");
    // What a server was seen to offer is completed too: a tool, then its arguments.
    sandbox.run(&["server", "test", "time"]);
    // The daemon writes the names a moment after it has answered.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while complete("call time.conv").is_empty() && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(complete("call time.conv"), "time.convert_time");
    assert_eq!(complete("call time.convert_time "), "source_timezone= time= target_timezone=");
    assert_eq!(complete("call time.convert_time time=09:30 s"), "source_timezone=");
    sandbox.run(&["gateway", "stop"]);
}

#[test]
fn manual_pages_are_fresh() {
    let sandbox = Sandbox::new();
    let written = sandbox.json(&["man", "--out", "pages"]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let mut pages: Vec<&str> =
        written["data"]["pages"].as_array().unwrap().iter().map(|page| page.as_str().unwrap()).collect();
    for page in &pages {
        let fresh = std::fs::read_to_string(sandbox.home().join("pages").join(page)).unwrap();
        let checked_in = std::fs::read_to_string(folder.join(page)).unwrap_or_default();
        assert!(fresh == checked_in, "man/{page} is stale: umcp man --out man");
    }
    let mut there: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort_unstable();
    there.sort_unstable();
    assert_eq!(there, pages);
}
