//! `umcp profile`: made, changed, used, deleted.

use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn a_profile_lives() {
    let sandbox = Sandbox::new();
    sandbox.run(&["server", "add", "builtin:time"]);
    sandbox.run(&["server", "add", "builtin:kv", "--name", "git"]);
    assert_snapshot!(sandbox.run(&["profile"]), @"
    exit: 0
    --- stdout ---
    PROFILE  MODE  SERVERS  CLIENTS  BELOW
    default  full  all
    ");
    assert_snapshot!(sandbox.run(&["profile", "create", "work", "--server", "git,time", "--mode", "search"]), @"
    exit: 0
    --- stdout ---
    ok   created work (search mode)
    ");
    assert_snapshot!(sandbox.run(&["profile", "update", "work", "--exclude", "git.push", "--server", ""]), @"
    exit: 0
    --- stdout ---
    ok   changed work (search mode)
    ");
    assert_snapshot!(sandbox.run(&["profile", "show", "work"]), @"
    exit: 0
    --- stdout ---
    work
    mode           search
    servers        all
    without tools  git.push
    ");
    assert_snapshot!(sandbox.run(&["profile", "use", "work", "--client", "cursor"]), @"
    exit: 0
    --- stdout ---
    ok   in use: work (search mode)
         for cursor
    ");
    assert_snapshot!(sandbox.run(&["profile", "create", "play"]), @"
    exit: 0
    --- stdout ---
    ok   created play (full mode)
    ");
    assert_snapshot!(sandbox.run(&["profile", "use", "play", "--client", "cursor", "--below", "."]), @"
    exit: 0
    --- stdout ---
    ok   in use: play (full mode)
         for cursor
         for clients started below [DIR]/home
    ");
    assert_snapshot!(sandbox.run(&["profile", "list"]), @"
    exit: 0
    --- stdout ---
    PROFILE  MODE    SERVERS  CLIENTS  BELOW
    default  full    all
    play     full    all      cursor   [DIR]/home
    work     search  all
    ");
    assert_snapshot!(sandbox.run(&["profile", "delete", "work", "play"]), @"
    exit: 0
    --- stdout ---
    ok   deleted work (search mode)
    ok   deleted play (full mode)
    ");
    assert_snapshot!(sandbox.run(&["profile", "list", "-q"]), @"
    exit: 0
    --- stdout ---
    default
    ");
}

#[test]
fn mistakes_with_profiles() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["profile", "create", "a b"]), @"
    exit: 3
    --- stderr ---
    error: `a b` cannot be the name of a profile [UM0405]
    hint: use 1 to 40 letters, digits, `-` and `_`
    ");
    assert_snapshot!(sandbox.run(&["profile", "show", "none"]), @"
    exit: 4
    --- stderr ---
    error: no profile named `none` [UM0409]
    hint: umcp profile list
    ");
    // What leads to nothing now is told, not refused: a server may be added later.
    sandbox.run(&["server", "add", "builtin:time"]);
    assert_snapshot!(sandbox.run(&["profile", "create", "work", "--server", "tiem,files", "--tag", "x"]), @"
    exit: 0
    --- stdout ---
    ok   created work (full mode)
    --- stderr ---
    warning: no server is named `tiem`; did you mean `time`?
    warning: no server is named `files`
    warning: no server has the tag `x`
    ");
    assert_snapshot!(sandbox.run(&["profile", "use", "work", "--client", "cursr"]), @"
    exit: 0
    --- stdout ---
    ok   in use: work (full mode)
         for cursr
    --- stderr ---
    warning: no client is known as `cursr`; did you mean `cursor`?
    ");
    assert_snapshot!(sandbox.run(&["profile", "create", "work"]), @"
    exit: 5
    --- stderr ---
    error: a profile named `work` exists already [UM0410]
    hint: umcp profile update work
    ");
    assert_snapshot!(sandbox.run(&["profile", "update", "work", "--mode", "wide"]), @"
    exit: 2
    --- stderr ---
    error: invalid value `wide` for `--mode <MODE>` [possible values: full, search, hybrid] [UM0003]
    hint: umcp profile update --help
    ");
}
