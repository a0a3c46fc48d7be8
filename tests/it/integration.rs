//! `umcp integration` and `umcp connection` without a provider: presets, what is missing, what is refused.

use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn an_integration_lives() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["integration"]), @"
    exit: 0
    --- stdout ---
    no integrations yet; see what there is: umcp integration providers
    ");
    assert_snapshot!(sandbox.run(&["integration", "create", "github"]), @"
    exit: 0
    --- stdout ---
    github
    type         oauth2
    provider     github
    sign in at   https://github.com/login/oauth/authorize
    tokens from  https://github.com/login/oauth/access_token
    codes from   https://github.com/login/device/code
    tested at    https://api.github.com/user
    scopes       repo read:user
    key goes to  Authorization: Bearer …
    warn incomplete: umcp integration configure github --client-id …
    register a client at https://github.com/settings/developers
    ");
    assert_snapshot!(sandbox.run(&["integration", "test", "github"]), @"
    exit: 3
    --- stderr ---
    error: `github` lacks --client-id [UM0434]
    hint: umcp integration configure github --client-id …
    ");
    assert_snapshot!(sandbox.run(&["integration", "configure", "github", "--client-id", "abc", "--scope", "repo"]), @"
    exit: 0
    --- stdout ---
    github
    type         oauth2
    provider     github
    client       abc
    sign in at   https://github.com/login/oauth/authorize
    tokens from  https://github.com/login/oauth/access_token
    codes from   https://github.com/login/device/code
    tested at    https://api.github.com/user
    scopes       repo
    key goes to  Authorization: Bearer …
    sign in: umcp connection create github
    ");
    assert_snapshot!(sandbox.run(&["integration", "create", "github", "--client-id", "x"]), @"
    exit: 5
    --- stderr ---
    error: an integration named `github` exists already [UM0432]
    hint: umcp integration configure github
    ");
    assert_snapshot!(sandbox.run(&["integration", "create", "okta", "--client-id", "x"]), @"
    exit: 2
    --- stderr ---
    error: `okta` needs to know your organisation's host [UM0003]
    hint: umcp integration create okta --domain HOST
    ");
    assert_snapshot!(sandbox.run(&["integration", "create", "foo"]), @"
    exit: 2
    --- stderr ---
    error: there is no preset for `foo` [UM0003]
    hint: umcp integration providers
    hint: umcp integration create foo --type oauth2 --issuer URL --client-id ID
    ");
    assert_snapshot!(
        sandbox.run(&["integration", "create", "open", "--type", "oauth2", "--token-url", "http://example.com/t"]),
        @"
    exit: 3
    --- stderr ---
    error: `http://example.com/t` cannot be an address of a provider [UM0104]
    because: it must start with https://
    "
    );
    assert_snapshot!(sandbox.run(&["integration", "list"]), @"
    exit: 0
    --- stdout ---
    NAME    TYPE    STATE  ACCOUNTS  SCOPES
    github  oauth2  ready         0  repo
    ");
    assert_snapshot!(sandbox.run(&["integration", "delete", "github"]), @"
    exit: 11
    --- stderr ---
    error: nobody can be asked `Delete integration github?`: there is no terminal [UM0004]
    hint: answer with `--yes`
    ");
    assert_snapshot!(sandbox.run(&["integration", "delete", "github", "--yes"]), @"
    exit: 0
    --- stdout ---
    ok   deleted github
    ");
    assert_snapshot!(sandbox.run(&["integration", "show", "google"]), @"
    exit: 4
    --- stderr ---
    error: no integration named `google` [UM0430]
    hint: umcp integration create google --client-id ID
    ");
}

#[test]
fn connections_are_looked_for() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["connection"]), @"
    exit: 0
    --- stdout ---
    no accounts yet; sign in: umcp connection create SERVER
    ");
    assert_snapshot!(sandbox.run(&["connection", "show", "x"]), @"
    exit: 4
    --- stderr ---
    error: no connection named `x` [UM0431]
    hint: umcp connection list
    ");
    assert_snapshot!(sandbox.run(&["connection", "health"]), @"
    exit: 0
    --- stdout ---
    no accounts yet
    ");
    assert_snapshot!(sandbox.run(&["connection", "cleanup"]), @"
    exit: 0
    --- stdout ---
    nothing to clean up
    ");
}

#[test]
fn keys_are_kept_and_used_without_showing() {
    let sandbox = Sandbox::new();
    sandbox.file("key", "k-very-secret-1\n");
    sandbox.file(
        "accounts.yaml",
        "integrations:\n  - name: weather\n    type: api-key\n    key_header: X-Api-Key\n  - name: github\n    client_id: abc\n\
         connections:\n  - target: weather\n    key: file://key\n    user: ann\n    default: true\n  - target: github\n",
    );
    assert_snapshot!(sandbox.run(&["connection", "provision", "-f", "accounts.yaml"]), @"
    exit: 12
    --- stdout ---
    ok   created integration weather
    ok   created integration github
    ok   created connection weather
    warn github waits for a sign-in: umcp connection create github --name github
    --- stderr ---
    error: 1 account still to be signed in to [UM0009]
    ");
    assert_snapshot!(sandbox.run(&["connection", "provision", "-f", "accounts.yaml"]), @"
    exit: 12
    --- stdout ---
    ok   kept integration weather
    ok   kept integration github
    ok   kept connection weather
    warn github waits for a sign-in: umcp connection create github --name github
    --- stderr ---
    error: 1 account still to be signed in to [UM0009]
    ");
    assert_snapshot!(sandbox.run(&["connection", "list"]), @"
    exit: 0
    --- stdout ---
    NAME     FOR                  STATE  USER  DEFAULT  TOKEN ENDS  LAST USED
    weather  integration weather  ready  ann   yes      never       -
    ");
    assert_snapshot!(sandbox.run(&["connection", "refresh", "weather"]), @"
    exit: 3
    --- stderr ---
    error: `weather` has nothing that could be renewed [UM0104]
    hint: umcp connection create weather
    ");
    sandbox.file(
        "plain.yaml",
        "connections:\n  - target: weather\n    name: second\n    key: k-very-secret-2\n",
    );
    assert_snapshot!(sandbox.run(&["connection", "provision", "-f", "plain.yaml"]), @"
    exit: 3
    --- stderr ---
    error: the key of an account stands in the file in plain [UM0104]
    hint: name it instead: env://VARIABLE or file://PATH
    ");
    assert_snapshot!(sandbox.run(&["connection", "create", "weather", "--name", "w2"]), @"
    exit: 11
    --- stderr ---
    error: `weather` needs a key [UM0004]
    hint: give it with --key-stdin, or --key-env VARIABLE
    ");
    assert_snapshot!(sandbox.run(&["connection", "revoke", "weather", "--yes"]), @"
    exit: 0
    --- stdout ---
    warn forgot weather; not revoked at the provider: the provider names no place for that; end it in your account there
    ");
    sandbox.run(&["gateway", "stop"]);
}

#[test]
fn the_example_sets_up_what_it_says() {
    let sandbox = Sandbox::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/accounts.yaml");
    let missing = sandbox.run(&["connection", "provision", "-f", file]);
    assert_eq!(missing.code, 6, "{missing}");
    let variables = [("GITHUB_CLIENT_SECRET", "secret-of-github"), ("WEATHER_KEY", "key-of-weather")];
    let done = sandbox.run_with(&["connection", "provision", "-f", file], &variables);
    assert_eq!(done.code, 12, "{done}");
    assert!(
        done.stdout.contains("work waits for a sign-in: umcp connection create github --name work"),
        "{done}"
    );
    assert!(!done.to_string().contains("-of-"), "{done}");
    let shown = sandbox.json(&["integration", "show", "github"]);
    assert_eq!(shown["data"]["has_secret"], true);
    sandbox.run(&["gateway", "stop"]);
}
