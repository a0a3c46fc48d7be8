//! Holds the code to the house that ARCHITECTURE.md draws: who may import whom, how long a file may be, where each
//! named crate lives. When it stops you, move the code; a new exception here is a change of the design.

mod lexer;
mod modules;
mod paths;
mod rules;

use rules::{Plan, check};
use std::path::Path;

/// Rooms, in the order in which they stand on each other, and what each may import: rooms of the lines above, and
/// those of its own line among each other where they stand together at its start. A line such as `daemon/host`
/// makes one file (with what is below it) a room of its own: whoever may import `daemon` may not import that.
const ROOMS: &str = "
error clock ids paths    | error clock ids paths
glob                     |
store                    | error clock ids paths
expressions              |
archive                  | error
sealing                  | error ids paths
documents/near           |
documents                | error documents/near
search                   | error
embedding                |
sandbox                  | error
settings                 | error paths documents documents/near sandbox
ui                       | error clock

servers                  | error clock ids glob store documents documents/near sandbox
apps                     | error clock ids store documents documents/near
tools                    | error clock ids store documents documents/near
clients                  | error clock ids store documents documents/near
environments             | error clock ids store documents documents/near
policy                   | error clock ids glob store documents documents/near
usage                    | error clock ids glob store documents documents/near
audit                    | error clock ids store documents documents/near
workflows                | error clock ids store documents documents/near expressions
schedules                | error clock ids store documents documents/near expressions
secrets                  | error clock ids store sealing documents documents/near
integrations             | error clock ids store documents documents/near
packages                 | error clock ids store documents documents/near archive
skills                   | error clock ids store sealing documents documents/near expressions archive
catalogue                | error clock ids store documents documents/near search
memory                   | error clock ids store documents documents/near search
metrics                  | error clock ids store documents documents/near
alerts                   | error clock ids store documents documents/near expressions

engine                   | error clock ids paths store servers tools clients environments policy usage audit workflows schedules sealing secrets integrations apps packages catalogue memory skills metrics alerts embedding
upstream                 | error clock ids paths glob engine search settings documents/near servers tools environments policy sealing secrets sandbox integrations apps memory skills workflows
calls                    | error clock ids paths engine upstream servers tools policy usage audit workflows metrics
gateway                  | error clock ids paths engine upstream calls settings servers tools environments policy usage audit integrations metrics


daemon                   | error clock ids paths engine
daemon/door              | error daemon
daemon/pipes             | error gateway daemon daemon/door
daemon/teller            | error engine upstream daemon clock calls
daemon/jobs daemon/host  | error clock ids paths engine upstream calls gateway store settings servers tools environments policy usage workflows schedules daemon daemon/door daemon/teller daemon/jobs daemon/host sealing secrets daemon/pipes audit integrations apps packages memory skills metrics alerts

setup                    | error clock ids paths engine store settings documents documents/near ui daemon servers tools clients environments policy usage sealing secrets sandbox integrations apps packages archive skills
cli                      | error clock ids paths glob engine store settings documents documents/near ui daemon servers tools clients environments policy usage audit workflows schedules setup sealing secrets sandbox integrations apps packages catalogue memory archive skills metrics alerts



main                     | error clock paths ui daemon daemon/host cli
";

/// The named crates, each with the rooms and files it lives in.
const HOMES: &str = "
clap           | cli
clap_complete  | cli
clap_mangen    | cli
comfy_table    | ui
dialoguer      | ui
indicatif      | ui
cron           | schedules
chrono         | schedules
redb           | store
mimalloc       | daemon
libmimalloc_sys | daemon
rusqlite       | upstream
rmcp           | upstream gateway
serde_yaml     | documents
toml_edit      | documents
jsonc_parser   | documents
similar        | documents
directories    | paths
uuid           | ids
jsonschema     | tools
regex          | policy
miniz_oxide    | archive
semver         | skills
blake2         | sealing
chacha20poly1305 | sealing
argon2         | sealing
tokio          | upstream calls gateway web daemon/socket daemon/door daemon/pipes daemon/teller daemon/jobs daemon/host
hyper          | upstream gateway
hyper_util     | upstream gateway
reqwest        | upstream
rustls         | upstream gateway
rcgen          | gateway
";

#[test]
fn the_code_keeps_to_the_plan_of_the_house() {
    let plan = Plan::read(ROOMS, HOMES);
    let found = check(Path::new(env!("CARGO_MANIFEST_DIR")), &plan);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} places break a rule of the house:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn the_plan_itself_points_down() {
    assert_eq!(Plan::read(ROOMS, HOMES).circles(), Vec::<String>::new());
    let circle = Plan::read("a b | a b\nc | a d\nd | c\n", "");
    assert_eq!(circle.circles(), ["`c` may import `d`, which does not stand above it"]);
}

/// A tree that keeps every rule, and what each case changes in it.
const GOOD: &[(&str, &str)] = &[
    ("src/lib.rs", "//! Lib.\npub mod low;\npub mod high;\npub mod beside;\n"),
    ("src/main.rs", "//! Main.\nuse umcp::high::X;\nfn main() {}\n"),
    ("src/low/mod.rs", "//! Low.\npub mod inner;\nuse redb::Database;\n#[cfg(test)]\nmod tests;\n"),
    ("src/low/tests.rs", "//! Tests of low.\nuse super::*;\nuse crate::high::X;\n"),
    ("src/low/inner.rs", "//! Inner.\n// crate::high::X\nconst A: &str = \"crate::high\";\n"),
    ("src/high.rs", "//! High.\nuse crate::low::inner;\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n"),
    ("src/beside.rs", "//! Beside.\n"),
    ("tests/it/main.rs", "//! The list.\nmod low;\n"),
    ("tests/it/low.rs", "//! Tests.\nuse umcp::high::X;\n"),
];

const GOOD_ROOMS: &str = "low | low\nbeside |\nlow/secret | low\nhigh | low\nmain | high\n";

/// Writes the good tree with some files replaced or added, and tells what is found in it.
fn found_with(changed: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in GOOD.iter().chain(changed) {
        let file = dir.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let plan = Plan::read(GOOD_ROOMS, "redb | low\nclap | high");
    check(dir.path(), &plan).iter().map(ToString::to_string).collect()
}

#[test]
fn a_tree_that_keeps_the_rules_passes() {
    assert_eq!(found_with(&[]), Vec::<String>::new());
}

#[test]
fn each_broken_rule_is_told_with_its_place() {
    let long = |head: &str, lines: usize| format!("//! {head}\n{}", "// x\n".repeat(lines - 1));
    let cases: &[(&str, &str, &str)] = &[
        (
            "src/low/inner.rs",
            "//! I.\nuse crate::high::X;\n",
            "src/low/inner.rs:2: `low` may not import `high`: high::X",
        ),
        (
            "src/low/inner.rs",
            "//! I.\nfn f() { super::super::high::x() }\n",
            "src/low/inner.rs:2: `low` may not import `high`: high::x",
        ),
        (
            "src/beside.rs",
            "//! B.\nuse crate::{\n    low,\n};\n",
            "src/beside.rs:3: `beside` may not import `low`: low",
        ),
        ("src/main.rs", "//! M.\nuse umcp::low;\n", "src/main.rs:2: `main` may not import `low`: low"),
        (
            "src/high.rs",
            "//! H.\nuse crate::low::secret::X;\n",
            "src/high.rs:2: `high` may not import `low/secret`: low::secret::X",
        ),
        ("src/high.rs", "//! H.\nuse redb::{Database};\n", "src/high.rs:2: crate `redb` lives in low"),
        (
            "src/low/inner.rs",
            "//! I.\nfn f() -> clap::Command {}\n",
            "src/low/inner.rs:2: crate `clap` lives in high",
        ),
        ("src/beside.rs", &long("B.", 601), "src/beside.rs:601: longer than 600 lines: split it"),
        (
            "src/beside.rs",
            &long("B.", 401),
            "src/beside.rs:401: longer than 400 lines, and the head does not say why (`Long because …`)",
        ),
        ("src/beside.rs", "use std::fmt;\n", "src/beside.rs:1: the file does not open with a `//!` head"),
        ("tests/it/low.rs", "fn f() {}\n", "tests/it/low.rs:1: the file does not open with a `//!` head"),
        ("src/high.rs", "//! H.\nuse crate::low::*;\n", "src/high.rs:2: glob import `low::*`"),
        ("src/high.rs", "//! H.\nuse super::*;\n", "src/high.rs:2: glob import `*`"),
        (
            "src/low/tests.rs",
            "//! T.\nuse proptest::prelude::*;\n",
            "src/low/tests.rs:2: glob import `proptest::prelude::*`",
        ),
        ("src/low/util.rs", "//! U.\n", "src/low/util.rs:1: `util` names nothing: say what is in it"),
        (
            "src/high/orphan.rs",
            "//! O.\n",
            "src/high/orphan.rs:1: no `mod` leads here: the file is not compiled",
        ),
        (
            "tests/it/forgotten.rs",
            "//! F.\n",
            "tests/it/forgotten.rs:1: no `mod` leads here: the file is not compiled",
        ),
        (
            "tests/more.rs",
            "//! M.\n",
            "tests/more.rs:1: stands directly under tests/: there is one test binary, tests/it",
        ),
    ];
    for (path, text, expected) in cases {
        let found = found_with(&[(path, text)]);
        assert!(found.contains(&expected.to_string()), "expected {expected}\nfound {found:#?}");
    }
    for (path, text) in [
        ("src/beside.rs", long("B.", 400)),
        ("src/beside.rs", long("B. Long because it is a table.", 600)),
        ("src/low/inner.rs", "//! I.\n#[cfg(test)]\nuse crate::high::X;\n".to_string()),
    ] {
        assert_eq!(found_with(&[(path, &text)]), Vec::<String>::new());
    }
}

#[test]
fn a_room_outside_the_plan_is_told() {
    let lib = format!("{}pub mod attic;\n", GOOD[0].1);
    let found = found_with(&[("src/lib.rs", &lib), ("src/attic.rs", "//! Attic.\nuse crate::low::X;\n")]);
    assert_eq!(found, ["src/attic.rs:1: room `attic` is not in the plan"]);
}
