//! `umcp profile`: made, changed, used, deleted.

use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn a_profile_lives() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["profile"]), @"");
    assert_snapshot!(sandbox.run(&["profile", "create", "work", "--server", "git,time", "--mode", "search"]), @"");
    assert_snapshot!(sandbox.run(&["profile", "update", "work", "--exclude", "git.push", "--server", ""]), @"");
    assert_snapshot!(sandbox.run(&["profile", "show", "work"]), @"");
    assert_snapshot!(sandbox.run(&["profile", "use", "work", "--client", "cursor"]), @"");
    assert_snapshot!(sandbox.run(&["profile", "create", "play"]), @"");
    assert_snapshot!(sandbox.run(&["profile", "use", "play", "--client", "cursor", "--below", "."]), @"");
    assert_snapshot!(sandbox.run(&["profile", "list"]), @"");
    assert_snapshot!(sandbox.run(&["profile", "delete", "work", "play"]), @"");
    assert_snapshot!(sandbox.run(&["profile", "list", "-q"]), @"");
}

#[test]
fn mistakes_with_profiles() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["profile", "create", "a b"]), @"");
    assert_snapshot!(sandbox.run(&["profile", "show", "none"]), @"");
    sandbox.run(&["profile", "create", "work"]);
    assert_snapshot!(sandbox.run(&["profile", "create", "work"]), @"");
    assert_snapshot!(sandbox.run(&["profile", "update", "work", "--mode", "wide"]), @"");
}
