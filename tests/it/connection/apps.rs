//! An app in the name of an account of its service: a real provider gives the tokens, and its other half takes them.

use super::{Stage, text};
use crate::support::daemon::Daemon;
use crate::support::mcp::{Era, Mcp, agreeable, everything};
use crate::support::wire::Door;
use serde_json::{Value, json};

const MANIFEST: &str = "
name: me
description: Who I am
integration: local
base: BASE
settings: [{name: ME_TOKEN, secret: true}]
auth: {bearer: '${ME_TOKEN}'}
tools:
  who: {description: Tells who asks, http: {url: /me, result: /who}}
";

#[test]
fn an_app_acts_with_the_account_of_its_service() {
    let Some(stage) = Stage::set() else { return };
    let file = stage.daemon.folder().join("me.yaml");
    std::fs::write(&file, MANIFEST.replace("BASE", stage.me.trim_end_matches("/me"))).unwrap();
    let file = file.to_str().unwrap();
    // A manifest of one's own is not let near an account unasked.
    let refused = stage.run(&["app", "install", file, "--allow-private"]);
    assert_eq!(refused.status.code(), Some(11), "{}", text(&refused));
    assert!(text(&refused).contains("use your account of local at http://127.0.0.1:"), "{}", text(&refused));
    let create = ["integration", "create", "local", "--type", "oauth2", "--issuer", &stage.issuer];
    let more = ["--client-id", "tv", "--client-auth", "none", "--scope", "mcp:read"];
    assert!(stage.run(&[&create[..], &more].concat()).status.success());
    let installed = stage.json(&["app", "install", file, "--allow-private", "--yes"]);
    assert_eq!((&installed["data"]["sign_in"], &installed["data"]["missing"]), (&json!("local"), &json!([])));

    let before = stage.run(&["call", "me.who"]);
    assert_eq!(before.status.code(), Some(6), "{}", text(&before));
    assert!(text(&before).contains("umcp connection create local"), "{}", text(&before));
    // The app's name is enough to sign in.
    let (child, url) = stage.begin(&["connection", "create", "me", "--flow", "device"]);
    stage.browse(&url, false);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(stage.run(&["call", "me.who"]).stdout, b"someone\n");

    // Refused tokens are renewed once for all who use them, and the calls are sent again.
    stage.control(json!({"forget": true}));
    let calls = many(&stage.daemon);
    assert_eq!(calls, vec!["someone"; 20]);
    assert_eq!((stage.count("refresh"), stage.count("refused")), (1, 0));

    // The account ends at the provider: told once, then refused without asking.
    stage.control(json!({"end": true}));
    for _ in 0..3 {
        let ended = stage.run(&["call", "me.who"]);
        assert_eq!(ended.status.code(), Some(6), "{}", text(&ended));
        assert!(text(&ended).contains("umcp connection create local"), "{}", text(&ended));
    }
    assert_eq!(stage.count("refused"), 1);
}

fn many(daemon: &Daemon) -> Vec<String> {
    let mut mcp = Mcp::new(daemon, Door::Bridge, Era::Legacy, "many", everything(), Box::new(agreeable));
    let call = json!({"name": "me__who", "arguments": {}});
    let calls: Vec<Value> = (0..20).map(|_| mcp.start("tools/call", call.clone())).collect();
    calls.iter().map(|call| mcp.wait(call).text().to_string()).collect()
}
