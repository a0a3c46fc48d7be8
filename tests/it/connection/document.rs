//! A client that is known by the address of its document: where the provider reads such documents, and where not.

use super::{Stage, text};
use serde_json::json;

const DOCUMENT: &str = "https://umcp.example/client.json";

#[test]
fn a_client_is_known_by_its_document() {
    let Some(stage) = Stage::set() else { return };
    for bad in [
        "http://umcp.example/c.json",
        "https://umcp.example",
        "https://umcp.example/",
        "https://a@b.example/c",
    ] {
        let refused = stage.run(&["server", "login", "private", "--no-browser", "--client-metadata", bad]);
        assert_eq!(refused.status.code(), Some(3), "{bad}: {}", text(&refused));
        assert!(text(&refused).contains("cannot be the address of a document"), "{bad}: {}", text(&refused));
    }
    let login = ["server", "login", "private", "--client-metadata", DOCUMENT];
    let output = stage.login(&login);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(stage.call().unwrap(), "someone");
    assert_eq!((stage.count("registered"), stage.count("documents")), (0, 1));
    assert_eq!(stage.connection("private").client_id.as_deref(), Some(DOCUMENT));
    stage.control(json!({"forget": true}));
    assert_eq!((stage.call().unwrap().as_str(), stage.count("refresh")), ("someone", 1));

    // A provider that does not read documents is registered with.
    stage.control(json!({"documents": false}));
    assert!(stage.run(&["connection", "revoke", "private", "--yes"]).status.success());
    let output = stage.login(&login);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!((stage.call().unwrap().as_str(), stage.count("registered")), ("someone", 1));
    assert_ne!(stage.connection("private").client_id.as_deref(), Some(DOCUMENT));
}
