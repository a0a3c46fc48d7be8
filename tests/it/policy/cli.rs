//! The verbs of `umcp policy` and `umcp approve` on the command line.

use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn rules_are_set_shown_explained_and_deleted() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["policy"]), @"
    exit: 0
    --- stdout ---
    no rules: every client may call every tool it sees
    ");
    assert_snapshot!(sandbox.run(&["policy", "set", "no-push", "--effect", "deny", "--tool", "git.push*", "--client", "cursor,claude*", "--reason", "reviews first"]), @"
    exit: 0
    --- stdout ---
    ok   set no-push
    ");
    assert_snapshot!(sandbox.run(&["policy", "set", "etc", "--effect", "ask", "--server", "files", "--argument", "path=/etc/*", "--hint", "destructive", "--hours", "09:00-18:00"]), @"
    exit: 0
    --- stdout ---
    ok   set etc
    ");
    assert_snapshot!(sandbox.run(&["policy", "preset", "rate"]), @"
    exit: 0
    --- stdout ---
    ok   set rate
    ");
    assert_snapshot!(sandbox.run(&["policy", "list"]), @"
    exit: 0
    --- stdout ---
    RULE     EFFECT  WHO              WHAT                                      WHEN
    no-push  deny    cursor, claude*  git.push*                                 always
    etc      ask     everybody        server files; destructive; path = /etc/*  09:00-18:00
    rate     limit   everybody        every tool                                always
    ");
    assert_snapshot!(sandbox.run(&["policy", "show", "etc"]), @"
    exit: 0
    --- stdout ---
    rules:
    - name: etc
      effect: ask
      servers:
      - files
      arguments:
        path: /etc/*
      hints:
        destructive: true
      hours: 09:00-18:00
    ");
    assert_snapshot!(sandbox.run(&["policy", "explain", "git.push", "--client", "cursor"]), @"
    exit: 0
    --- stdout ---
    FAIL deny git.push for cursor: rule no-push (reviews first)
    no server is known to offer this tool; its hints count as not given
    the client does not see it in lists
    FAIL no-push (deny) fits
    off  etc (ask) does not fit: servers
    ok   rate (limit) fits
    change it: umcp policy show no-push, umcp policy delete no-push
    ");
    assert_snapshot!(sandbox.run(&["policy", "test", "git.push", "--expect", "deny"]), @"
    exit: 13
    --- stdout ---
    ok   allow git.push for cli: no rule decides
    no server is known to offer this tool; its hints count as not given
    off  no-push (deny) does not fit: clients
    off  etc (ask) does not fit: servers
    ok   rate (limit) fits
    --- stderr ---
    error: `git.push`: allow, not deny [UM0010]
    ");
    assert_snapshot!(sandbox.run(&["policy", "explain", "nothing"]), @"
    exit: 4
    --- stderr ---
    error: no tool named `nothing` [UM0406]
    hint: umcp tool search nothing
    hint: umcp tool list
    ");
    assert_snapshot!(sandbox.run(&["policy", "delete", "no-pusch"]), @"
    exit: 4
    --- stderr ---
    error: no rule named `no-pusch` [UM0703]
    hint: did you mean `no-push`?
    ");
    assert_snapshot!(sandbox.run(&["policy", "delete", "no-push", "--json"]), @r#"
    exit: 0
    --- stdout ---
    {"ok":true,"kind":"policy.changed/1","data":{"names":["no-push"]},"warnings":[]}
    "#);
    assert_snapshot!(sandbox.run(&["policy", "set", "x", "--effect", "deny", "--role", "guest"]), @"
    exit: 3
    --- stderr ---
    error: rule `x` speaks of the role `guest`, which is unknown [UM0702]
    hint: umcp policy role guest --client CLIENT
    ");
    assert_snapshot!(sandbox.run(&["policy", "set", "x", "--effect", "limit"]), @"
    exit: 3
    --- stderr ---
    error: rule `x`: the effect `limit` needs `limit` [UM0702]
    ");
    assert_snapshot!(sandbox.run(&["policy", "role", "guest", "--token", "ci"]), @"
    exit: 4
    --- stderr ---
    error: no token named `ci` [UM0412]
    hint: umcp token create ci
    ");
    sandbox.run(&["token", "create", "ci"]);
    assert_snapshot!(sandbox.run(&["policy", "role", "guest", "--token", "cy,ci"]), @"
    exit: 4
    --- stderr ---
    error: no token named `cy` [UM0412]
    hint: umcp token create cy
    ");
    assert_snapshot!(sandbox.run(&["policy", "role", "guest", "--token", "ci"]), @"
    exit: 0
    --- stdout ---
    ok   set role guest
    ");
    assert_snapshot!(sandbox.run(&["policy", "label", "private", "mail.*"]), @"
    exit: 0
    --- stdout ---
    ok   set label private
    ");
    assert_snapshot!(sandbox.run(&["policy", "default", "ask"]), @"
    exit: 0
    --- stdout ---
    ok   by default: ask
    ");
    assert_snapshot!(sandbox.run(&["policy", "show"]), @"
    exit: 0
    --- stdout ---
    default: ask
    labels:
      private:
      - mail.*
    roles:
      guest:
        tokens:
        - ci
    rules:
    - name: etc
      effect: ask
      servers:
      - files
      arguments:
        path: /etc/*
      hints:
        destructive: true
      hours: 09:00-18:00
    - name: rate
      effect: limit
      limit:
        calls: 60
        per_seconds: 60
      reason: a client that loops is stopped
    ");
    assert_snapshot!(sandbox.run(&["approve"]), @"
    exit: 0
    --- stdout ---
    no call waits
    ");
    assert_snapshot!(sandbox.run(&["approve", "7"]), @"
    exit: 4
    --- stderr ---
    error: nothing waits under 7 [UM0706]
    hint: umcp approve list
    ");
}

#[test]
fn a_policy_file_is_checked_tested_and_taken_over() {
    let sandbox = Sandbox::new();
    let good = "rules:
  - {name: no-push, effect: deny, tools: ['git.push*'], clients: [cursor]}
cases:
  - {tool: git.push, client: cursor, expect: deny}
  - {tool: git.push, client: other, expect: deny}
";
    sandbox.file("policy.yaml", good);
    assert_snapshot!(sandbox.run(&["policy", "test", "-f", "policy.yaml"]), @"
    exit: 13
    --- stdout ---
    ok   git.push for cursor: deny by no-push
    FAIL git.push for other: allow, not deny
    --- stderr ---
    error: 1 case decided otherwise [UM0010]
    ");
    assert_snapshot!(sandbox.run(&["policy", "set", "-f", "policy.yaml", "--replace"]), @"
    exit: 0
    --- stdout ---
    ok   set no-push
    ");
    assert_snapshot!(sandbox.run(&["policy", "list", "--json"]), @r#"
    exit: 0
    --- stdout ---
    {"ok":true,"kind":"policy.list/1","data":{"rules":[{"name":"no-push","effect":"deny","clients":["cursor"],"tools":["git.push*"]}]},"warnings":[]}
    "#);
    sandbox.file("policy.yaml", "rules:\n  - name: no-push\n    efect: deny\n");
    assert_snapshot!(sandbox.run(&["policy", "set", "-f", "policy.yaml"]), @"
    exit: 3
    --- stderr ---
    error: unknown field `efect` [UM0103]
     --> policy.yaml:3:5
      |
    3 |     efect: deny
      |     ^
    hint: did you mean `effect`?
    ");
    sandbox.file("policy.yaml", "rules:\n  - {name: a, effect: deny, arguments: {x: 're:('}}\n");
    assert_snapshot!(sandbox.run(&["policy", "set", "-f", "policy.yaml"]), @"
    exit: 3
    --- stderr ---
    error: rule `a`: `re:(` is no pattern: unclosed group [UM0702]
     --> policy.yaml:2:5
      |
    2 |   - {name: a, effect: deny, arguments: {x: 're:('}}
      |     ^
    ");
    // What was refused changed nothing.
    assert_snapshot!(sandbox.run(&["policy", "list", "--quiet"]), @"
    exit: 0
    --- stdout ---
    no-push
    ");
}
